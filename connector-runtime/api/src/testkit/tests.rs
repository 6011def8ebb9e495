//! The suites on the memory connectors: the honest ones pass, each broken promise is caught by its check.

use super::context::{admit_all, place, sink_context, split};
use super::faults::{Fault, Faults, Place};
use super::memory::{
    MemoryFeed, MemorySink, MemorySinkConfig, MemorySinkConnector, MemorySourceConfig, MemorySourceConnector,
    MemoryStore, MemoryWorld, SinkSabotage, SourceSabotage, Transaction,
};
use super::rows::row_batch;
use super::suite::{
    Broken, Expected, Passed, SINK_CHECKS, SOURCE_CHECKS, SinkFixture, SinkProfile, SinkTarget, SourceFixture,
    SourceUpstream, sink_suite, source_suite,
};
use crate::checkpoint::{Advance, Part};
use crate::config::Size;
use crate::context::CheckContext;
use crate::error::{Kind, Result};
use crate::origin::RowOrigin;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// A feed of two parts with short, long, bad and empty transactions, one of them closed.
struct Feeds {
    sabotage: Option<SourceSabotage>,
}

struct Feed {
    world: MemoryWorld,
    sabotage: Option<SourceSabotage>,
}

fn transactions() -> Vec<(&'static str, Transaction)> {
    vec![
        ("a-0", Transaction::of(row_batch("left", 1..3)).at(1_000)),
        ("b-1", Transaction::of(row_batch("right", 1..2))),
        ("a-0", Transaction::of(row_batch("left", 3..15)).bad_row(4, "bad_row", "3|x").at(2_000)),
        ("b-1", Transaction::of(row_batch("right", 2..2)).bad_row(0, "bad_row", "?")),
        ("b-1", Transaction::of(row_batch("right", 2..9)).bad_row(7, "bad_row", "?")),
        ("a-0", Transaction::of(row_batch("left", 15..16)).at(3_000)),
        ("b-1", Transaction::of(row_batch("right", 9..9))),
    ]
}

#[async_trait]
impl SourceFixture for Feeds {
    type Connector = MemorySourceConnector;
    type Upstream = Feed;

    async fn upstream(&self) -> Result<Feed> {
        let feed = MemoryFeed::default();
        for (part, transaction) in transactions() {
            feed.push(&Part::from(part), transaction);
        }
        feed.close(&Part::from("b-1"));
        feed.close(&Part::from("empty"));
        let world = MemoryWorld::default();
        world.set_feed("feed", feed);
        Ok(Feed { world, sabotage: self.sabotage })
    }
    fn expected(&self) -> Expected {
        let rows = (1..16).chain(1..9).map(|n| format!("{n}|row-{n}"));
        Expected { rows: rows.collect(), rejected: 3, releases_all: true }
    }
}

#[async_trait]
impl SourceUpstream<MemorySourceConnector> for Feed {
    fn config(&self) -> Arc<MemorySourceConfig> {
        Arc::new(MemorySourceConfig { sabotage: self.sabotage, ..MemorySourceConfig::of("feed") })
    }
    fn place(&self) -> CheckContext {
        CheckContext { resources: self.world.resources(), ..place("suite") }
    }
    async fn released(&self, rows: &[RowOrigin]) -> Result<Vec<bool>> {
        let feed = self.world.feed("feed");
        let is_released = |row: &RowOrigin| match row {
            RowOrigin::Sequence { name, number } => *number <= feed.rows_released(&Part::from(&**name)),
            _ => false,
        };
        Ok(rows.iter().map(is_released).collect())
    }
    async fn snapshot(&self) -> Result<Vec<String>> {
        let feed = self.world.feed("feed");
        let releases = feed.releases().into_iter().map(|release| format!("{release:?}"));
        Ok(releases.chain(feed.claims()).collect())
    }
}

/// A store whose commits take time, with every fault of a commit.
struct Stores {
    sabotage: Option<SinkSabotage>,
}

struct Store {
    world: MemoryWorld,
    sabotage: Option<SinkSabotage>,
}

const FAULTS: [(&str, Place, Fault); 6] = [
    ("write fails", Place::Write, Fault::Fail),
    ("commit fails", Place::Commit, Fault::Fail),
    ("commit loses its reply", Place::Commit, Fault::LoseReply),
    ("commit hangs", Place::Commit, Fault::Hang(Duration::from_secs(60))),
    ("reply hangs", Place::Commit, Fault::Linger(Duration::from_secs(60))),
    ("commit comes late", Place::Commit, Fault::Late(Duration::from_micros(300))),
];

#[async_trait]
impl SinkFixture for Stores {
    type Connector = MemorySinkConnector;
    type Target = Store;

    async fn target(&self) -> Result<Store> {
        let world = MemoryWorld::default();
        world.store("store").set_commit_time(Duration::from_millis(10));
        world.set_faults(&place("suite").split.pipeline, Faults::default());
        Ok(Store { world, sabotage: self.sabotage })
    }
}

#[async_trait]
impl SinkTarget<MemorySinkConnector> for Store {
    fn config(&self) -> Arc<MemorySinkConfig> {
        let row_bytes_max = Some(Size(100));
        Arc::new(MemorySinkConfig { sabotage: self.sabotage, row_bytes_max, ..MemorySinkConfig::of("store") })
    }
    fn place(&self) -> CheckContext {
        CheckContext { resources: self.world.resources(), ..place("suite") }
    }
    fn profile(&self) -> SinkProfile {
        SinkProfile {
            ordered: true,
            op: None,
            row_bytes_max: Some(100),
            faults: FAULTS.iter().map(|(name, ..)| *name).collect(),
        }
    }
    async fn visible(&self) -> Result<Vec<String>> {
        Ok(self.world.store("store").rows().into_iter().map(|row| row.cells).collect())
    }
    async fn arm(&self, fault: &'static str) -> Result<()> {
        for (_, place, fault) in FAULTS.iter().filter(|(name, ..)| *name == fault) {
            self.faults().next(*place, *fault);
        }
        Ok(())
    }
    async fn disarm(&self) -> Result<()> {
        self.faults().heal();
        Ok(())
    }
}

impl Store {
    fn faults(&self) -> Faults {
        self.world.faults(&place("suite").split.pipeline)
    }
}

#[tokio::test(start_paused = true)]
async fn the_memory_source_keeps_the_contract() {
    let passed = source_suite(&Feeds { sabotage: None }).await.unwrap();
    assert_eq!(passed, Passed { checks: SOURCE_CHECKS.to_vec() });
}

#[tokio::test(start_paused = true)]
async fn the_memory_sink_keeps_the_contract() {
    let passed = sink_suite(&Stores { sabotage: None }).await.unwrap();
    assert_eq!(passed, Passed { checks: SINK_CHECKS.to_vec() });
}

#[tokio::test(start_paused = true)]
async fn a_source_that_breaks_a_promise_is_caught() {
    let cases = [
        (SourceSabotage::ReleaseWhenRead, "nothing is released upstream before Committed covers it"),
        (
            SourceSabotage::PositionWithoutOrdinal,
            "opened at any checkpoint it yields exactly what follows, in the same order",
        ),
        (
            SourceSabotage::CommitMidTransaction,
            "opened at any checkpoint it yields exactly what follows, in the same order",
        ),
        (SourceSabotage::LosesDroppedBatch, "dropping the future of next loses nothing"),
        (SourceSabotage::EndsOnlyOnce, "a bounded input ends and stays ended"),
        (SourceSabotage::ClaimsWhileLooking, "somebody who only looks changes nothing upstream"),
        (SourceSabotage::ReleasesWhileLooking, "somebody who only looks changes nothing upstream"),
    ];
    for (sabotage, check) in cases {
        let caught = source_suite(&Feeds { sabotage: Some(sabotage) }).await;
        must_break(caught, check, &format!("{sabotage:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_breaks_a_promise_is_caught() {
    let cases = [
        (SinkSabotage::VisibleWhenWritten, "nothing is visible before the commit"),
        (SinkSabotage::RejectedApart, "nothing is visible before the commit"),
        (SinkSabotage::ProgressApart, "a fenced writer cannot commit"),
        (SinkSabotage::NoOwnershipCheck, "a fenced writer cannot commit"),
        (SinkSabotage::PlainReadAsCheck, "a fence while an epoch is in flight leaves it whole or absent"),
        (SinkSabotage::OwnerBeforeAdmit, "a first open finds nothing"),
        (SinkSabotage::MarksApart, "a mark that an entry was replayed goes with its epoch"),
    ];
    for (sabotage, check) in cases {
        let caught = sink_suite(&Stores { sabotage: Some(sabotage) }).await;
        must_break(caught, check, &format!("{sabotage:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_commit_waits_and_a_second_seal_beside_it_is_a_bug() {
    let store = MemoryStore::default();
    let fenced = MemorySink::fence(store.clone(), Default::default(), sink_context(place("held"))).unwrap();
    let mut opened = fenced.open(admit_all()).await.unwrap();
    store.hold();
    opened.sink.write(row_batch("s", 1..3)).await.unwrap();
    let mut first = opened.sink.seal(Advance::of("p".into(), None, "1".into()));
    assert!(futures::future::poll_immediate(&mut first).await.is_none());
    let second = opened.sink.seal(Advance::of("p".into(), Some("1".into()), "2".into()));
    assert_eq!(second.await.unwrap_err().kind(), Kind::Bug);
    assert!(store.rows().is_empty());
    store.let_go();
    assert_eq!(first.await.unwrap().written, 2);
    assert_eq!(store.rows().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn scripted_faults_strike_where_they_are_planned_and_nowhere_after_a_heal() {
    let faults = Faults::scripted([(Place::Read, 2, Fault::LoseReply)]);
    let done = || async { Ok(()) };
    assert!(faults.pass(Place::Read, done()).await.is_ok());
    assert!(faults.pass(Place::Write, done()).await.is_ok());
    assert!(faults.pass(Place::Read, done()).await.is_err());
    assert_eq!(faults.struck(), [(Place::Read, 2, Fault::LoseReply)]);
    let always = Faults::always(Place::Commit, Fault::Fail);
    assert!(always.pass(Place::Commit, done()).await.is_err());
    always.heal();
    assert!(always.pass(Place::Commit, done()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_draws_the_same_faults_for_each_split() {
    let draw = |seed: u64, index: u32| async move {
        let faults = Faults::seeded(seed, 3).of(&split("drawn", index));
        for _ in 0..50 {
            let _ = faults.pass(Place::Commit, async { Ok(()) }).await;
        }
        faults.struck()
    };
    assert_eq!(draw(7, 0).await, draw(7, 0).await);
    assert_ne!(draw(7, 0).await, draw(7, 1).await);
    assert_ne!(draw(7, 0).await, draw(8, 0).await);
}

fn must_break(caught: Result<Passed, Broken>, check: &str, sabotage: &str) {
    match caught {
        Ok(_) => panic!("{sabotage} was not caught"),
        Err(broken) => {
            println!("{sabotage}: {broken}");
            assert_eq!(broken.check, check, "{sabotage} was caught elsewhere: {broken}");
        }
    }
}
