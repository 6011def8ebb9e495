//! Refused rows that are read again: each goes through once, whatever happens and however often it is asked for.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;
use unbatch_api::config::NoSecrets;
use unbatch_api::context::OwnsAll;
use unbatch_api::quarantine::{Edit, Mend, QuarantineFilter, RawCell, Settlement};
use unbatch_api::testkit::memory::{MemorySinkConnector, MemorySourceConnector};
use unbatch_api::testkit::{Faults, MemoryWorld};
use unbatch_api::{
    Batch, Bound, CompiledStep, DeploymentName, Error, Kind, QuarantineEntry, Seen, Step, StepProblem, Stepped,
    StreamName, StreamSchema,
};
use unbatch_engine::config::{PipelineSpec, load_text};
use unbatch_engine::offsets::{carry_out, plan_reset};
use unbatch_engine::replay::{Choice, Rehearsed, Replayed, Settled, Verdict, rehearse, replay, settle};
use unbatch_engine::{Registry, Rollback, Scene, StatusBoard, start};

/// Of 40 rows every fifth is refused.
const REFUSED: u64 = 8;

struct Plant {
    world: MemoryWorld,
    spec: PipelineSpec,
}

impl Plant {
    /// A pipeline that has taken what it could.
    async fn run(sink_options: &str) -> Self {
        let world = MemoryWorld::default();
        let spec = pipeline(sink_options);
        let plant = Self { world, spec };
        let mut running = start(vec![plant.spec.clone()], plant.scene(), StatusBoard::default()).await;
        assert!(running.ended().await.iter().all(|ended| ended.errors.is_empty()));
        assert_eq!(plant.waiting(), REFUSED);
        plant
    }

    fn scene(&self) -> Scene {
        Scene {
            deployment: DeploymentName::parse("test").unwrap(),
            resources: self.world.resources(),
            secrets: Arc::new(NoSecrets),
            ownership: Arc::new(OwnsAll),
            bound: Bound::Once,
            memory_bytes: 64 << 20,
            accept_change: BTreeSet::new(),
            rollback: Rollback::Intended,
            seed: 1,
        }
    }

    async fn replay(&self, choice: &Choice) -> (Replayed, Option<Error>) {
        let (_go_on, stop) = watch::channel(false);
        replay(&self.spec, &self.scene(), choice.clone(), stop).await
    }

    async fn settle(&self, ids: &[&str]) -> (Settled, Option<Error>) {
        let (_go_on, stop) = watch::channel(false);
        let ids = (!ids.is_empty()).then(|| ids.iter().map(|&id| id.to_owned()).collect());
        let filter = QuarantineFilter { ids, ..QuarantineFilter::default() };
        let how = Settlement { reason: Some("delivered anew".into()) };
        settle(&self.spec, &self.scene(), filter, how, stop).await
    }

    fn entries(&self) -> Vec<QuarantineEntry> {
        self.world.store("rows").quarantine(&self.scene().deployment, &self.spec.name)
    }

    fn waiting(&self) -> u64 {
        self.entries().iter().filter(|entry| entry.replayed.is_none()).count() as u64
    }

    /// How often each row is visible, by its number.
    fn rows(&self) -> BTreeMap<u64, u32> {
        let mut rows = BTreeMap::new();
        for row in self.world.store("rows").rows() {
            *rows.entry(row.cells.split('|').next().unwrap().parse().unwrap()).or_default() += 1;
        }
        rows
    }
}

fn pipeline(sink_options: &str) -> PipelineSpec {
    let registry = Registry::default().source::<MemorySourceConnector>().sink::<MemorySinkConnector>();
    let yaml = format!(
        "version: 1\npipeline: p\nsource: {{memory: {{feed: rows, generate: {{rows: 40, rejected_every: 5}}}}}}\n\
         sink: {{memory: {{store: rows{sink_options}}}}}\n"
    );
    let (spec, found) = load_text(Path::new("p.yaml"), &yaml, &registry);
    spec.unwrap_or_else(|| panic!("{found:?}"))
}

fn with_price(price: &str) -> Choice {
    let edits = vec![Edit { column: "price".into(), text: price.into() }];
    Choice { edits, ..Choice::default() }
}

#[tokio::test(start_paused = true)]
async fn rows_go_through_once_and_a_second_replay_does_nothing() {
    let plant = Plant::run("").await;
    let (replayed, error) = plant.replay(&Choice::default()).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!((replayed.rows, replayed.still_wrong, replayed.told.len()), (0, REFUSED, REFUSED as usize));
    assert_eq!((plant.waiting(), plant.rows().len()), (REFUSED, 32));

    let one = plant.entries()[2].clone();
    let choice = Choice {
        filter: QuarantineFilter { ids: Some(vec![one.id[..9].to_owned()]), ..QuarantineFilter::default() },
        ..with_price("12.00")
    };
    let rehearsed = rehearse(&plant.spec, &plant.scene(), &choice, 100).await.unwrap();
    assert!(
        matches!(&rehearsed.seen[..], [Rehearsed { id, verdict: Verdict::Goes { .. }, .. }] if *id == one.id),
        "{rehearsed:?}"
    );
    assert_eq!(plant.waiting(), REFUSED, "a rehearsal changes nothing");
    assert_eq!(plant.replay(&choice).await.0.rows, 1);
    assert_eq!(plant.waiting(), REFUSED - 1);
    assert_eq!(plant.entries()[2].replayed, Some(1));

    assert_eq!(plant.replay(&with_price("12.00")).await.0.rows, REFUSED - 1);
    let (replayed, error) = plant.replay(&with_price("12.00")).await;
    assert!(error.is_none() && replayed.rows == 0 && replayed.still_wrong == 0, "{replayed:?} {error:?}");
    assert_eq!(plant.rows(), (1..=40).map(|id| (id, 1)).collect());
    let refused = plant.world.store("rows").rows().into_iter().find(|row| row.cells.starts_with("5|")).unwrap();
    assert_eq!((refused.cells.as_str(), refused.origin), ("5|part-0|12.00", plant.entries()[0].origin.clone()));
}

/// The row that went through is refused once more, now by the sink: its old entry is done with, its new one waits.
#[tokio::test(start_paused = true)]
async fn a_row_that_the_sink_refuses_waits_again() {
    let plant = Plant::run(", row_bytes_max: 20B").await;
    let (replayed, error) = plant.replay(&with_price("123456789.00")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!((replayed.rows, replayed.refused), (0, REFUSED));
    let waiting: Vec<_> = plant.entries().into_iter().filter(|entry| entry.replayed.is_none()).collect();
    assert!(waiting.iter().all(|entry| entry.code == "too_large" && entry.split == "p/replay"), "{waiting:?}");
    assert_eq!(waiting.len() as u64, REFUSED);
    assert_eq!(plant.rows().len(), 32);
}

#[tokio::test(start_paused = true)]
async fn a_column_that_there_is_not_is_told_for_each_row_and_nothing_is_written() {
    let plant = Plant::run("").await;
    let edits = vec![Edit { column: "prize".into(), text: "1.00".into() }];
    let (replayed, error) = plant.replay(&Choice { edits, ..Choice::default() }).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!((replayed.rows, replayed.still_wrong), (0, REFUSED));
    assert!(replayed.told[0].message.contains("only `price` can be"), "{:?}", replayed.told[0]);
    assert_eq!(plant.waiting(), REFUSED);
}

/// After a reset all rows come again, and those that were refused are refused again or, with a mended pipeline, are good: what
/// was refused before is not to be written beside them.
#[tokio::test(start_paused = true)]
async fn what_was_refused_before_a_reset_is_replayed_only_by_name() {
    let plant = Plant::run("").await;
    for change in plan_reset(&plant.spec, &plant.scene()).await.unwrap() {
        carry_out(&plant.spec, &plant.scene(), change).await.unwrap();
    }
    let (replayed, error) = plant.replay(&with_price("1.00")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!((replayed.rows, replayed.outdated, plant.waiting()), (0, REFUSED, REFUSED));
    let ids = Some(vec![plant.entries()[0].id.clone()]);
    let filter = QuarantineFilter { ids, ..QuarantineFilter::default() };
    assert_eq!(plant.replay(&Choice { filter, ..with_price("1.00") }).await.0.rows, 1);
}

/// Replies are lost, commits come late, somebody else opens the split, and two people replay at once.
#[tokio::test(start_paused = true)]
async fn whatever_fails_each_row_goes_through_once() {
    for seed in 1..=150 {
        let plant = Plant::run("").await;
        plant.world.set_faults(&plant.spec.name, Faults::seeded(seed, 3).at_most(12).usurping());
        let choice = with_price("1.00");
        let mut attempts = 0;
        while plant.waiting() > 0 {
            attempts += 1;
            assert!(attempts < 50, "seed {seed}: {:?}", plant.entries());
            let (one, other) = tokio::join!(plant.replay(&choice), plant.replay(&choice));
            for error in [one.1, other.1].into_iter().flatten() {
                assert!(matches!(error.kind(), Kind::Fenced | Kind::Transient), "seed {seed}: {error:?}");
            }
        }
        assert_eq!(plant.rows(), (1..=40).map(|id| (id, 1)).collect(), "seed {seed}");
    }
}

/// Leaves rows as they are.
struct Pass;

struct Passing(StreamName, Arc<StreamSchema>);

impl Step for Pass {
    fn name(&self) -> &str {
        "pass"
    }
    fn compile(&self, seen: &Seen<'_>) -> Result<Box<dyn CompiledStep>, Vec<StepProblem>> {
        Ok(Box::new(Passing(seen.stream.clone(), seen.schema.clone())))
    }
}

impl CompiledStep for Passing {
    fn output(&self) -> &Arc<StreamSchema> {
        &self.1
    }
    fn streams(&self) -> Vec<StreamName> {
        vec![self.0.clone()]
    }
    fn apply(&mut self, batch: Batch) -> unbatch_api::Result<Stepped> {
        Ok(Stepped::one(batch))
    }
}

/// A price twice as long as the one that was refused, computed from the row.
#[derive(Debug)]
struct Longer;

impl Mend for Longer {
    fn edits(&self, row: &[RawCell]) -> unbatch_api::Result<Vec<Edit>> {
        let id = row.iter().find(|cell| cell.column == "id").and_then(|cell| cell.text.clone()).unwrap();
        Ok(vec![Edit { column: "price".into(), text: format!("{id}{id}.00") }])
    }
}

#[tokio::test(start_paused = true)]
async fn each_row_is_mended_by_its_own_cells() {
    let plant = Plant::run("").await;
    let (replayed, error) = plant.replay(&Choice { mend: Some(Arc::new(Longer)), ..Choice::default() }).await;
    assert!(error.is_none() && replayed.rows == REFUSED, "{replayed:?} {error:?}");
    let rows = plant.world.store("rows").rows();
    assert!(rows.iter().any(|row| row.cells == "5|part-0|55.00"), "{rows:?}");
}

/// What the sink refused is kept as the steps left it; through them again a price would be converted twice.
#[tokio::test(start_paused = true)]
async fn what_the_sink_refused_does_not_go_through_the_steps_again() {
    let mut plant = Plant::run(", row_bytes_max: 20B").await;
    assert_eq!(plant.replay(&with_price("123456789.00")).await.0.refused, REFUSED);
    plant.spec.steps.push(Arc::new(Pass));
    let (replayed, error) = plant.replay(&with_price("1.00")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!((replayed.rows, replayed.still_wrong), (0, REFUSED));
    assert!(replayed.told.iter().all(|told| told.code == "U0412"), "{:?}", replayed.told);
}

/// Whatever they are, and once: what no replay takes, and what a replay passes over since its row may have come again.
#[tokio::test(start_paused = true)]
async fn settled_entries_leave_the_list_without_their_rows() {
    let plant = Plant::run("").await;
    let first = plant.entries()[0].clone();
    let (settled, error) = plant.settle(&[&first.id[..9]]).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!((settled.settled, &settled.entries[0].place), (1, &first.origin));
    let marked = plant.entries()[0].clone();
    let how = Settlement { reason: Some("delivered anew".into()) };
    assert_eq!((marked.replayed, marked.settled, &marked.raw), (Some(1), Some(how), &first.raw));
    assert_eq!(plant.settle(&[&first.id[..9]]).await.0.settled, 0, "a second time");
    assert_eq!((plant.waiting(), plant.rows().len()), (REFUSED - 1, 32));

    let choice = Choice {
        filter: QuarantineFilter { ids: Some(vec![plant.entries()[1].id.clone()]), ..QuarantineFilter::default() },
        ..with_price("1.00")
    };
    assert_eq!(plant.replay(&choice).await.0.rows, 1, "a replay goes on behind it");
    for change in plan_reset(&plant.spec, &plant.scene()).await.unwrap() {
        carry_out(&plant.spec, &plant.scene(), change).await.unwrap();
    }
    assert_eq!(plant.replay(&with_price("1.00")).await.0.outdated, REFUSED - 2);
    let (settled, error) = plant.settle(&[]).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!((settled.settled, plant.waiting(), plant.rows().len()), (REFUSED - 2, 0, 33));
    assert!(plant.entries()[1].settled.is_none(), "its row went through");
}

/// Replies are lost and commits come late: the count is of what is in the sink, and nothing is settled twice.
#[tokio::test(start_paused = true)]
async fn settling_counts_once_what_it_had_to_try_again() {
    for seed in 1..=60 {
        let plant = Plant::run("").await;
        plant.world.set_faults(&plant.spec.name, Faults::seeded(seed, 3).at_most(8));
        let (mut counted, mut told, mut is_done) = (0, 0, false);
        for _ in 0..20 {
            let (settled, error) = plant.settle(&[]).await;
            (counted, told) = (counted + settled.settled, told + settled.entries.len() as u64);
            is_done = error.is_none();
            if is_done {
                break;
            }
        }
        assert!(is_done, "seed {seed}");
        assert_eq!((counted, told, plant.waiting()), (REFUSED, REFUSED, 0), "seed {seed}");
        assert_eq!((plant.settle(&[]).await.0.settled, plant.rows().len()), (0, 32), "seed {seed}");
    }
}
