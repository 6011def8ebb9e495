//! What must have come out in the end, written by the plan.

use crate::plan::{PipelinePlan, Plan, RowPlan};
use crate::sieve;
use std::collections::BTreeMap;
use unbatch_api::testkit::memory::Share;
use unbatch_api::testkit::{MemoryStore, MemoryWorld};
use unbatch_api::{DeploymentName, NoteKey, Part, PipelineName, RowOrigin, SplitId, Stage};

/// Text of rows that the sink refuses; its limit is half of this.
pub(crate) const LARGE_TEXT_BYTES: usize = 120;

/// The rows of each pipeline: what readers must see of each part, in order, and what the quarantine must hold.
#[derive(Debug)]
pub struct Ledger {
    pipelines: BTreeMap<String, PipelineLedger>,
}

#[derive(Debug, Default)]
struct PipelineLedger {
    splits: u32,
    /// By part: number of the row and its cells.
    visible: BTreeMap<String, Vec<(u64, String)>>,
    /// Part, number of the row, who rejected it.
    quarantined: Vec<(String, u64, String)>,
    /// By part: all rows in it, and whether it is closed.
    parts: BTreeMap<String, (u64, bool)>,
}

/// Cells of a row.
pub(crate) fn cells(number: u64, row: RowPlan) -> (String, String) {
    let text = match row {
        RowPlan::TooLarge => "x".repeat(LARGE_TEXT_BYTES),
        RowPlan::Good | RowPlan::Bad => format!("row-{number}"),
    };
    (number.to_string(), text)
}

impl Ledger {
    pub fn of(plan: &Plan) -> Self {
        Self { pipelines: plan.pipelines.iter().map(|p| (p.name.clone(), PipelineLedger::of(p))).collect() }
    }

    /// Everything that is not as it should be.
    pub fn check(&self, world: &MemoryWorld, deployment: &DeploymentName) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, ledger) in &self.pipelines {
            match PipelineName::parse(name) {
                Ok(name) => ledger.check(&world.store(name.as_str()), deployment, &name, &mut wrong),
                Err(e) => wrong.push(e),
            }
        }
        wrong
    }
}

impl PipelineLedger {
    fn of(plan: &PipelinePlan) -> Self {
        let mut ledger = PipelineLedger { splits: plan.splits, ..Self::default() };
        for part in &plan.parts {
            let rows = part.transactions.iter().flatten().copied();
            let visible = ledger.visible.entry(part.name.clone()).or_default();
            let mut count = 0;
            for (number, row) in (1..).zip(rows) {
                count = number;
                let rejected_by = match row {
                    RowPlan::Bad => Some(Stage::Source),
                    _ if plan.sieved && sieve::is_filtered(number) => continue,
                    _ if plan.sieved && sieve::is_rejected(number) => Some(Stage::Step),
                    RowPlan::TooLarge => Some(Stage::Sink),
                    RowPlan::Good => None,
                };
                let (id, text) = cells(number, row);
                match rejected_by {
                    Some(stage) => ledger.quarantined.push((part.name.clone(), number, format!("{stage:?}"))),
                    None => visible.push((number, format!("{id}|{text}"))),
                }
            }
            ledger.parts.insert(part.name.clone(), (count, part.closes));
        }
        ledger.quarantined.sort();
        ledger
    }

    fn check(&self, store: &MemoryStore, deployment: &DeploymentName, name: &PipelineName, wrong: &mut Vec<String>) {
        let mut visible: BTreeMap<String, Vec<(u64, String)>> =
            self.visible.keys().map(|part| (part.clone(), vec![])).collect();
        for row in store.rows() {
            let (part, number) = place(&row.origin);
            visible.entry(part).or_default().push((number, row.cells));
        }
        for (part, came) in &visible {
            let should = self.visible.get(part).map_or(&[][..], Vec::as_slice);
            if let Some(at) = (0..came.len().max(should.len())).find(|i| came.get(*i) != should.get(*i)) {
                let (came_at, should_at) = (came.get(at), should.get(at));
                wrong.push(format!(
                    "{name} {part}: {} rows are visible instead of {}; row {at} is {came_at:?} instead of {should_at:?}",
                    came.len(),
                    should.len()
                ));
            }
        }
        let mut quarantined: Vec<(String, u64, String)> = store
            .quarantine(deployment, name)
            .iter()
            .map(|entry| {
                let (part, number) = place(&entry.origin);
                (part, number, format!("{:?}", entry.stage))
            })
            .collect();
        quarantined.sort();
        if quarantined != self.quarantined {
            wrong.push(format!("{name}: the quarantine holds {quarantined:?} instead of {:?}", self.quarantined));
        }
        for index in 0..self.splits {
            self.check_split(store, deployment, &SplitId::new(name.clone(), index), wrong);
        }
    }

    /// Progress agrees with the rows: position, notes, counters, and epochs numbered without a gap by rising owners.
    fn check_split(&self, store: &MemoryStore, deployment: &DeploymentName, split: &SplitId, wrong: &mut Vec<String>) {
        let Some(stored) = store.stored(deployment, split) else {
            return wrong.push(format!("{split}: nothing is stored"));
        };
        let share = match split.index {
            unbatch_api::SplitIndex::Number(index) => Share { index, of: self.splits },
            unbatch_api::SplitIndex::Replay => Share::ALL,
        };
        for (name, (rows, closed)) in &self.parts {
            let part = Part::from(name.as_str());
            if !share.has(&part) {
                continue;
            }
            let counted = stored.checkpoint.note(&NoteKey::from(format!("rows/{part}")));
            let counted = counted.and_then(|n| std::str::from_utf8(n).ok()?.parse::<u64>().ok());
            let done = stored.checkpoint.note(&NoteKey::from(format!("closed/{part}"))).is_some();
            let agrees = match closed {
                true => done && counted.is_none() && stored.checkpoint.position(&part).is_none(),
                false => !done && counted == Some(*rows) && stored.checkpoint.position(&part).is_some(),
            };
            if !agrees {
                let position = stored.checkpoint.position(&part);
                wrong.push(format!(
                    "{split} {part}: of {rows} rows {counted:?} are noted, closed {done}, at {position:?}"
                ));
            }
        }
        let epochs: Vec<_> = store.epochs().into_iter().filter(|epoch| epoch.split == *split).collect();
        let numbered = epochs.iter().map(|e| e.seq).eq(1..=stored.facts.seq);
        let owners_rise = epochs.is_sorted_by_key(|e| e.owner);
        let rows: u64 = epochs.iter().flat_map(|e| &e.batches).map(|b| b.rows.num_rows() as u64).sum();
        let rejected: u64 = epochs.iter().map(|e| e.rejected.len() as u64).sum();
        let counters = stored.facts.counters;
        if !numbered || !owners_rise || (counters.written, counters.rejected) != (rows, rejected) {
            wrong.push(format!(
                "{split}: {} epochs with {rows} rows and {rejected} rejected ones do not agree with {:?}",
                epochs.len(),
                stored.facts
            ));
        }
    }
}

fn place(origin: &RowOrigin) -> (String, u64) {
    match origin {
        RowOrigin::Sequence { name, number } => (name.to_string(), *number),
        other => (other.to_string(), 0),
    }
}
