//! A connector that panics ends its split with a bug. What it said may quote a row, so nobody repeats it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fmt::{Debug, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use unbatch_api::config::NoSecrets;
use unbatch_api::context::OwnsAll;
use unbatch_api::testkit::memory::{MemorySinkConnector, MemorySourceConnector, Transaction};
use unbatch_api::testkit::{MemoryFeed, MemoryWorld, table};
use unbatch_api::{Bound, DeploymentName, Kind, Part};
use unbatch_engine::config::load_text;
use unbatch_engine::{Registry, Rollback, Scene, StatusBoard, start};

const YAML: &str = "version: 1\npipeline: p\nsource: {memory: {feed: rows}}\nsink: {memory: {store: rows}}\n";

/// Keeps every field of every event as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut Writing(&mut self.0.lock().unwrap()));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Writing<'a>(&'a mut String);

impl Visit for Writing<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_panic_says_is_in_no_log_and_no_error() {
    let log = Log::default();
    let _listening = tracing::subscriber::set_default(log.clone());
    let registry = Registry::default().source::<MemorySourceConnector>().sink::<MemorySinkConnector>();
    let (spec, found) = load_text(Path::new("p.yaml"), YAML, &registry);
    let (world, feed) = (MemoryWorld::default(), MemoryFeed::default());
    feed.push(&Part::from("a"), Transaction::of(table("rows", "id: int64 not null", &["id"], &[&[Some("4711")]])));
    feed.guard(|release| panic!("no room for row 4711 of {release:?}"));
    world.set_feed("rows", feed);
    let scene = Scene {
        deployment: DeploymentName::parse("test").unwrap(),
        resources: world.resources(),
        secrets: Arc::new(NoSecrets),
        ownership: Arc::new(OwnsAll),
        bound: Bound::Once,
        memory_bytes: 64 << 20,
        accept_change: BTreeSet::new(),
        rollback: Rollback::Intended,
        seed: 1,
    };
    let spec = spec.unwrap_or_else(|| panic!("{found:?}"));
    let ended = start(vec![spec], scene, StatusBoard::default()).await.ended().await;
    let error = &ended[0].errors[0];
    assert_eq!((error.kind(), error.code_text()), (Kind::Bug, Some("U0908")), "{error:?}");
    let said = log.0.lock().unwrap().clone();
    assert!(said.contains("a split ended by a bug") && said.contains("p/0"), "{said}");
    assert!(!said.contains("4711") && !format!("{error:?}").contains("4711"), "{said}\n{error:?}");
}
