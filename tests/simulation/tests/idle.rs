//! A row that comes alone is committed as soon as the source has nothing more to give; it does not wait for `every`.
#![allow(clippy::unwrap_used, reason = "tests stop at what they did not expect")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use unbatch_api::config::NoSecrets;
use unbatch_api::context::OwnsAll;
use unbatch_api::testkit::memory::{MemorySinkConnector, MemorySourceConnector, Transaction};
use unbatch_api::testkit::{MemoryFeed, MemoryWorld, table};
use unbatch_api::{Bound, DeploymentName, Part};
use unbatch_engine::config::load_text;
use unbatch_engine::{Registry, Rollback, Scene, StatusBoard, start};

const YAML: &str = "version: 1\npipeline: lone\nsource: {memory: {feed: lone}}\nsink: {memory: {store: lone}}\n\
                    commit: {every: 1h}\n";

#[tokio::test(start_paused = true)]
async fn a_lone_row_is_committed_when_the_source_is_idle() {
    let registry = Registry::default().source::<MemorySourceConnector>().sink::<MemorySinkConnector>();
    let (spec, found) = load_text(Path::new("lone.yaml"), YAML, &registry);
    let spec = spec.unwrap_or_else(|| panic!("{found:?}"));
    let world = MemoryWorld::default();
    let feed = MemoryFeed::default();
    world.set_feed("lone", feed.clone());
    let scene = Scene {
        deployment: DeploymentName::parse("sim").unwrap(),
        resources: world.resources(),
        secrets: Arc::new(NoSecrets),
        ownership: Arc::new(OwnsAll),
        bound: Bound::Continuous,
        memory_bytes: 64 << 20,
        accept_change: BTreeSet::new(),
        rollback: Rollback::Intended,
        seed: 1,
    };
    let running = start(vec![spec], scene, StatusBoard::default()).await;
    for id in ["1", "2"] {
        feed.push(&Part::from("a"), Transaction::of(table("a", "id: int64 not null", &["id"], &[&[Some(id)]])));
        let pushed = Instant::now();
        let wanted: usize = id.parse().unwrap();
        while world.store("lone").rows().len() < wanted {
            assert!(
                pushed.elapsed() < Duration::from_secs(1),
                "row {id} is not committed after {:?}",
                pushed.elapsed()
            );
            sleep(Duration::from_millis(1)).await;
        }
    }
    running.stop();
}
