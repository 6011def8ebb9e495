//! Positions that are changed by hand, and pipelines that get another name: whatever is still running, no row is doubled.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use unbatch_api::config::NoSecrets;
use unbatch_api::context::OwnsAll;
use unbatch_api::testkit::memory::{MemorySinkConnector, MemorySourceConnector, Transaction};
use unbatch_api::testkit::{Fault, Faults, MemoryFeed, MemoryWorld, Place, table};
use unbatch_api::{Bound, DeploymentName, Error, Kind, Part};
use unbatch_engine::config::{PipelineSpec, load_text};
use unbatch_engine::offsets::{carry_out, plan_reset, plan_set, view};
use unbatch_engine::{Ended, Registry, Rollback, Running, Scene, StatusBoard, start};

const PATIENCE: Duration = Duration::from_secs(600);

/// One feed and one store that every pipeline of a test uses.
struct Plant {
    world: MemoryWorld,
    feed: MemoryFeed,
    pushed: u64,
}

impl Plant {
    fn new() -> Self {
        let (world, feed) = (MemoryWorld::default(), MemoryFeed::default());
        world.set_feed("rows", feed.clone());
        Self { world, feed, pushed: 0 }
    }

    fn scene(&self, bound: Bound) -> Scene {
        Scene {
            deployment: DeploymentName::parse("test").unwrap(),
            resources: self.world.resources(),
            secrets: Arc::new(NoSecrets),
            ownership: Arc::new(OwnsAll),
            bound,
            memory_bytes: 64 << 20,
            accept_change: BTreeSet::new(),
            rollback: Rollback::Intended,
            seed: 1,
        }
    }

    fn push(&mut self, count: u64) {
        let from = self.pushed;
        self.pushed += count;
        self.give(from..self.pushed);
    }

    fn give(&self, ids: std::ops::Range<u64>) {
        for id in ids.map(|id| id.to_string()) {
            let row = table("rows", "id: int64 not null", &["id"], &[&[Some(id.as_str())]]);
            self.feed.push(&Part::from("a"), Transaction::of(row));
        }
    }

    /// What the feed had released is there again.
    fn restore(&mut self) {
        self.feed = MemoryFeed::default();
        self.world.set_feed("rows", self.feed.clone());
        self.give(0..self.pushed);
    }

    fn ids(&self) -> Vec<u64> {
        self.world.store("rows").rows().iter().map(|row| row.cells.parse().unwrap()).collect()
    }

    async fn run_once(&self, spec: &PipelineSpec) -> Vec<Ended> {
        start(vec![spec.clone()], self.scene(Bound::Once), StatusBoard::default()).await.ended().await
    }

    async fn run(&self, spec: &PipelineSpec) -> Running {
        start(vec![spec.clone()], self.scene(Bound::Continuous), StatusBoard::default()).await
    }

    async fn wait_for(&self, rows: usize) {
        let begin = Instant::now();
        while self.ids().len() < rows {
            assert!(begin.elapsed() < PATIENCE, "{:?} is all that came", self.ids());
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn pipeline(name: &str, more: &str) -> PipelineSpec {
    pipeline_of("rows", name, more)
}

fn pipeline_of(feed: &str, name: &str, more: &str) -> PipelineSpec {
    let registry = Registry::default().source::<MemorySourceConnector>().sink::<MemorySinkConnector>();
    let yaml = format!(
        "version: 1\npipeline: {name}\nsource: {{memory: {{feed: {feed}}}}}\nsink: {{memory: {{store: rows}}}}\n{more}"
    );
    let (spec, found) = load_text(Path::new(&format!("{name}.yaml")), &yaml, &registry);
    spec.unwrap_or_else(|| panic!("{found:?}"))
}

fn only_error(ended: &[Ended]) -> &Error {
    let errors: Vec<&Error> = ended.iter().flat_map(|e| &e.errors).collect();
    assert_eq!(errors.len(), 1, "{ended:?}");
    errors[0]
}

fn is_good(ended: &[Ended]) {
    assert!(ended.iter().all(|e| e.errors.is_empty()), "{ended:?}");
}

/// A pipeline that still runs commits between the look at its positions and their change.
#[tokio::test(start_paused = true)]
async fn positions_are_not_changed_under_a_pipeline_that_went_on() {
    let mut plant = Plant::new();
    let spec = pipeline("p", "");
    plant.push(3);
    let mut running = plant.run(&spec).await;
    plant.wait_for(3).await;
    let scene = plant.scene(Bound::Once);
    let set = plan_set(&spec, &scene, 0, &[]).await.unwrap();
    let mut reset = plan_reset(&spec, &scene).await.unwrap();
    plant.push(2);
    plant.wait_for(5).await;
    for change in [set, reset.remove(0)] {
        let error = carry_out(&spec, &scene, change).await.unwrap_err();
        assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0406")), "{error:?}");
        assert!(error.remedy().unwrap().contains("stop it"), "{error:?}");
    }
    // it was fenced, and goes on all the same
    plant.push(2);
    plant.wait_for(7).await;
    running.stop();
    is_good(&running.ended().await);
    assert_eq!(plant.ids(), (0..7).collect::<Vec<_>>());

    // stopped, the same command does what it shows, and whoever still ran it would be fenced
    let change = plan_set(&spec, &scene, 0, &[]).await.unwrap();
    assert_eq!(carry_out(&spec, &scene, change).await.unwrap().generation, 2);
    plant.push(1);
    is_good(&plant.run_once(&spec).await);
    assert_eq!(plant.ids(), (0..8).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_adopted_state_goes_on_under_the_new_name_only() {
    let mut plant = Plant::new();
    let (old, new) = (pipeline("p", ""), pipeline("q", "formerly: p\n"));
    plant.push(3);
    is_good(&plant.run_once(&old).await);
    plant.push(2);
    is_good(&plant.run_once(&new).await);
    plant.push(2);
    // the old file is still there
    let ended = plant.run_once(&old).await;
    let error = only_error(&ended);
    assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0405")), "{error:?}");
    assert!(error.one_line().contains('q'), "{error:?}");
    let scene = plant.scene(Bound::Once);
    assert_eq!(plan_set(&old, &scene, 0, &[]).await.unwrap_err().code_text(), Some("U0405"));
    assert_eq!(view(&old, &scene).await.unwrap()[0].moved_to.as_deref(), Some("q"));
    // and a third name cannot take what is taken
    let third = pipeline("r", "formerly: p\n");
    assert_eq!(only_error(&plant.run_once(&third).await).code_text(), Some("U0405"));
    is_good(&plant.run_once(&new).await);
    assert_eq!(plant.ids(), (0..7).collect::<Vec<_>>());
}

/// A new name makes no other source the same: positions that are adopted count before the first epoch.
#[tokio::test(start_paused = true)]
async fn a_pipeline_that_changes_its_source_with_its_name_needs_consent() {
    let mut plant = Plant::new();
    plant.push(3);
    is_good(&plant.run_once(&pipeline("p", "")).await);
    plant.world.set_feed("other", MemoryFeed::default());
    let other = pipeline_of("other", "q", "formerly: p\n");
    let ended = plant.run_once(&other).await;
    let error = only_error(&ended);
    assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0401")), "{error:?}");
    assert!(error.remedy().unwrap().contains("--accept-change q"), "{error:?}");
    // nothing was moved: with its own source it still can be
    is_good(&plant.run_once(&pipeline("q", "formerly: p\n")).await);
    assert_eq!(plant.ids(), [0, 1, 2]);

    let third = pipeline_of("other", "r", "formerly: q\n");
    let scene = Scene { accept_change: BTreeSet::from([third.name.clone()]), ..plant.scene(Bound::Once) };
    is_good(&start(vec![third], scene, StatusBoard::default()).await.ended().await);
}

/// `offsets reset` promises to read everything again, not what came after the old name's last commit.
#[tokio::test(start_paused = true)]
async fn a_reset_of_the_new_name_does_not_adopt_the_old_state_again() {
    let mut plant = Plant::new();
    let (old, new) = (pipeline("p", ""), pipeline("q", "formerly: p\n"));
    plant.push(3);
    is_good(&plant.run_once(&old).await);
    plant.push(1);
    is_good(&plant.run_once(&new).await);
    let scene = plant.scene(Bound::Once);
    for change in plan_reset(&new, &scene).await.unwrap() {
        carry_out(&new, &scene, change).await.unwrap();
    }
    assert!(view(&new, &scene).await.unwrap().is_empty());
    plant.restore();
    is_good(&plant.run_once(&new).await);
    assert_eq!(plant.ids(), [0, 1, 2, 3, 0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_gets_its_first_name_back_and_a_reset_frees_the_old_one() {
    let mut plant = Plant::new();
    plant.push(2);
    is_good(&plant.run_once(&pipeline("p", "")).await);
    is_good(&plant.run_once(&pipeline("q", "formerly: p\n")).await);
    plant.push(2);
    is_good(&plant.run_once(&pipeline("p", "formerly: q\n")).await);
    plant.push(1);
    is_good(&plant.run_once(&pipeline("p", "formerly: q\n")).await);
    assert_eq!(plant.ids(), (0..5).collect::<Vec<_>>());
    let old = pipeline("q", "");
    assert_eq!(only_error(&plant.run_once(&old).await).code_text(), Some("U0405"));
    let scene = plant.scene(Bound::Once);
    for change in plan_reset(&old, &scene).await.unwrap() {
        carry_out(&old, &scene, change).await.unwrap();
    }
    plant.restore();
    is_good(&plant.run_once(&old).await);
    assert_eq!(plant.ids().len(), 10);
}

/// One that could not reach its system for a while must not fence who took over meanwhile, nor go on when it cannot look.
#[tokio::test(start_paused = true)]
async fn an_owner_that_was_overtaken_while_it_failed_does_not_come_back() {
    let mut plant = Plant::new();
    let spec = pipeline("p", "");
    let faults = Faults::scripted([
        (Place::Read, 3, Fault::Usurp),
        (Place::Read, 4, Fault::Fail),
        (Place::Inspect, 1, Fault::Fail),
        (Place::Inspect, 2, Fault::LoseReply),
    ]);
    plant.world.set_faults(&spec.name, faults.clone());
    plant.push(1);
    let mut running = plant.run(&spec).await;
    plant.wait_for(1).await;
    plant.push(3);
    let ended = running.ended().await;
    let error = only_error(&ended);
    assert_eq!((error.kind(), error.code_text()), (Kind::Fenced, Some("U0411")), "{error:?}");
    assert_eq!(faults.passes(Place::Inspect), 3, "{:?}", faults.struck());
    assert_eq!(plant.ids(), [0]);
    is_good(&plant.run_once(&spec).await);
    assert_eq!(plant.ids(), [0, 1, 2, 3]);
}

/// Somebody who says stop does not wait for the look.
#[tokio::test(start_paused = true)]
async fn a_stop_is_heard_while_a_newer_owner_is_looked_for() {
    let mut plant = Plant::new();
    let spec = pipeline("p", "");
    let forever = Fault::Hang(Duration::from_secs(30 * 24 * 3600));
    let faults = Faults::scripted([(Place::Read, 2, Fault::Fail), (Place::Inspect, 1, forever)]);
    plant.world.set_faults(&spec.name, faults.clone());
    plant.push(1);
    let mut running = plant.run(&spec).await;
    let begin = Instant::now();
    while faults.passes(Place::Inspect) == 0 {
        assert!(begin.elapsed() < PATIENCE, "{:?}", faults.struck());
        sleep(Duration::from_millis(10)).await;
    }
    let asked = Instant::now();
    running.stop();
    is_good(&running.ended().await);
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
}
