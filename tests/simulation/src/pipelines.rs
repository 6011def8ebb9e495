//! From a plan to pipelines that the engine can run, by way of YAML, and to the feeds that they read.

use crate::ledger::{LARGE_TEXT_BYTES, cells};
use crate::plan::{PartPlan, PipelinePlan, RowPlan};
use crate::sieve::Sieve;
use crate::simulation::Sabotage;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use unbatch_api::testkit::memory::{MemorySinkConnector, MemorySourceConnector, Share, Transaction};
use unbatch_api::testkit::{Faults, MemoryFeed, MemoryStore, MemoryWorld, table};
use unbatch_api::{Checkpoint, DeploymentName, NoteKey, Part, PipelineName, SplitId};
use unbatch_engine::Registry;
use unbatch_engine::config::{PipelineSpec, load_text};

/// What must never be seen while it runs.
pub(crate) type Violations = Arc<Mutex<Vec<String>>>;

pub(crate) fn report(violations: &Violations, what: String) {
    violations.lock().unwrap_or_else(PoisonError::into_inner).push(what);
}

pub(crate) fn spec(plan: &PipelinePlan, sabotage: Sabotage) -> Result<PipelineSpec, String> {
    let registry = Registry::default().source::<MemorySourceConnector>().sink::<MemorySinkConnector>();
    let file = format!("{}.yaml", plan.name);
    let (spec, diagnostics) = load_text(Path::new(&file), &yaml(plan, sabotage), &registry);
    let mut spec = spec.ok_or_else(|| format!("loading {file} failed: {diagnostics:?}"))?;
    if plan.sieved {
        spec.steps.push(Arc::new(Sieve));
    }
    Ok(spec)
}

fn yaml(plan: &PipelinePlan, sabotage: Sabotage) -> String {
    let (source, sink) = match sabotage {
        Sabotage::None => (String::new(), String::new()),
        Sabotage::Source(name) => (format!("    sabotage: {name}\n"), String::new()),
        Sabotage::Sink(name) => (String::new(), format!("    sabotage: {name}\n")),
    };
    format!(
        "version: 1\npipeline: {name}\n\
         source:\n  memory:\n    feed: {name}\n    splits: {splits}\n    batch_rows: {batch_rows}\n    uncut_rows: {uncut}\n{source}\
         sink:\n  memory:\n    store: {name}\n    row_bytes_max: {large}B\n{sink}\
         commit:\n  every: {every}ms\n  rows: {rows}\n",
        name = plan.name,
        splits = plan.splits,
        batch_rows = plan.batch_rows,
        uncut = plan.uncut_rows,
        large = LARGE_TEXT_BYTES / 2,
        every = plan.commit_every.as_millis(),
        rows = plan.commit_rows,
    )
}

/// Makes feed, store and faults of a pipeline. The feed reports whatever is released before it is stored.
pub(crate) fn furnish(
    world: &MemoryWorld,
    plan: &PipelinePlan,
    name: &PipelineName,
    deployment: &DeploymentName,
    violations: &Violations,
) {
    let feed = MemoryFeed::default();
    for part in &plan.parts {
        push(&feed, part, 0..part.early);
    }
    let store = world.store(&plan.name);
    store.set_commit_time(plan.commit_time);
    let (guarded, violations, deployment) = (store.clone(), violations.clone(), deployment.clone());
    let (name_of_guard, splits) = (name.clone(), plan.splits);
    feed.guard(move |release| {
        let stored = (0..splits)
            .filter(|index| Share { index: *index, of: splits }.has(&release.part))
            .find_map(|index| stored(&guarded, &deployment, &name_of_guard, index));
        let covered = stored.map_or(0, |checkpoint| covered(&checkpoint, &release.part));
        if release.rows > covered {
            report(&violations, format!("{name_of_guard}: {release:?} while {covered} rows are committed"));
        }
    });
    world.set_feed(&plan.name, feed);
    if let Some(faulty) = &plan.faulty {
        let faults = Faults::seeded(faulty.seed, faulty.one_in).longest(faulty.longest);
        world.set_faults(name, if faulty.usurped { faults.usurping() } else { faults });
    }
}

fn stored(store: &MemoryStore, deployment: &DeploymentName, name: &PipelineName, index: u32) -> Option<Checkpoint> {
    Some(store.stored(deployment, &SplitId::new(name.clone(), index))?.checkpoint)
}

fn covered(checkpoint: &Checkpoint, part: &Part) -> u64 {
    if checkpoint.note(&NoteKey::from(format!("closed/{part}"))).is_some() {
        return u64::MAX;
    }
    let note = checkpoint.note(&NoteKey::from(format!("rows/{part}")));
    note.and_then(|n| std::str::from_utf8(n).ok()?.parse().ok()).unwrap_or_default()
}

/// Pushes some of the part's transactions, and closes it after the last if it closes.
pub(crate) fn push(feed: &MemoryFeed, plan: &PartPlan, transactions: std::ops::Range<usize>) {
    let part = Part::from(plan.name.as_str());
    let mut number = plan.transactions[..transactions.start].iter().map(|t| t.len() as u64).sum::<u64>();
    for rows in &plan.transactions[transactions.clone()] {
        let numbered: Vec<(u64, RowPlan)> = (number + 1..).zip(rows.iter().copied()).collect();
        number += rows.len() as u64;
        feed.push(&part, transaction(&plan.name, &numbered));
    }
    if plan.closes && transactions.end == plan.transactions.len() {
        feed.close(&part);
    }
}

fn transaction(stream: &str, rows: &[(u64, RowPlan)]) -> Transaction {
    let texts: Vec<(String, String)> =
        rows.iter().filter(|(_, row)| *row != RowPlan::Bad).map(|(number, row)| cells(*number, *row)).collect();
    let texts: Vec<[Option<&str>; 2]> =
        texts.iter().map(|(id, text)| [Some(id.as_str()), Some(text.as_str())]).collect();
    let texts: Vec<&[Option<&str>]> = texts.iter().map(|row| &row[..]).collect();
    let mut made = Transaction::of(table(stream, "id: int64 not null, text: string", &["id"], &texts));
    for (place, _) in rows.iter().enumerate().filter(|(_, (_, row))| *row == RowPlan::Bad) {
        made = made.bad_row(place, "bad_row", "?");
    }
    made
}
