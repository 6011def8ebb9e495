//! Looking at the first rows of a pipeline: what is shown, and that nothing anywhere is changed by it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use unbatch_api::config::NoSecrets;
use unbatch_api::context::OwnsAll;
use unbatch_api::testkit::memory::{MemorySinkConnector, MemorySourceConnector, Transaction};
use unbatch_api::testkit::{MemoryFeed, MemoryWorld, table};
use unbatch_api::{Bound, DeploymentName, Part};
use unbatch_engine::config::{PipelineSpec, load_text};
use unbatch_engine::preview::{Ended, Glance, Preview, preview};
use unbatch_engine::{Registry, Rollback, Scene};

const TIME: Duration = Duration::from_secs(60);

fn scene(world: &MemoryWorld) -> Scene {
    Scene {
        deployment: DeploymentName::parse("test").unwrap(),
        resources: world.resources(),
        secrets: Arc::new(NoSecrets),
        ownership: Arc::new(OwnsAll),
        bound: Bound::Continuous,
        memory_bytes: 64 << 20,
        accept_change: BTreeSet::new(),
        rollback: Rollback::Intended,
        seed: 1,
    }
}

fn pipeline(source: &str) -> PipelineSpec {
    let registry = Registry::default().source::<MemorySourceConnector>().sink::<MemorySinkConnector>();
    let yaml = format!("version: 1\npipeline: p\nsource: {{memory: {source}}}\nsink: {{memory: {{store: rows}}}}\n");
    let (spec, found) = load_text(Path::new("p.yaml"), &yaml, &registry);
    spec.unwrap_or_else(|| panic!("{found:?}"))
}

fn one_row(id: &str, text: Option<&str>) -> Transaction {
    Transaction::of(table("rows", "id: int64 not null, text: string", &["id"], &[&[Some(id), text]]))
}

async fn look(world: &MemoryWorld, source: &str, rows: usize) -> Preview {
    preview(&pipeline(source), &scene(world), Glance { rows, time: TIME }).await.unwrap()
}

fn ids(preview: &Preview) -> Vec<Value> {
    preview.rows.iter().map(|row| row.cells["id"].clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_rows_are_shown_and_nothing_is_released_written_or_vouched_for() {
    let (world, feed) = (MemoryWorld::default(), MemoryFeed::default());
    world.set_feed("rows", feed.clone());
    for id in 1..=20 {
        feed.push(&Part::from("a"), one_row(&id.to_string(), (id > 1).then_some("x")));
    }
    let seen = look(&world, "{feed: rows}", 3).await;
    assert_eq!((ids(&seen), seen.ended), (vec![json!(1), json!(2), json!(3)], Ended::Limit));
    assert_eq!((seen.rows[0].cells["text"].clone(), seen.rows[1].cells["text"].clone()), (Value::Null, json!("x")));
    let columns: Vec<&str> = seen.streams[0].columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(columns, ["id", "text"]);
    let all = look(&world, "{feed: rows}", 100).await;
    assert_eq!((all.rows.len(), all.read, all.ended), (20, 20, Ended::End));

    assert!(feed.releases().is_empty() && feed.vouched().is_empty() && feed.settled().is_empty());
    let store = world.store("rows");
    assert!(store.rows().is_empty() && store.epochs().is_empty());
}

#[tokio::test(start_paused = true)]
async fn refused_rows_are_shown_with_their_content_up_to_the_limit() {
    let (world, feed) = (MemoryWorld::default(), MemoryFeed::default());
    world.set_feed("rows", feed.clone());
    for id in 1..=9 {
        feed.push(&Part::from("a"), one_row(&id.to_string(), None).bad_row(0, "bad_int", "1O"));
    }
    let seen = look(&world, "{feed: rows}", 4).await;
    assert_eq!((seen.rows.len(), seen.rejected.len()), (4, 4));
    assert_eq!(seen.rejected[0].code, "bad_int");
    assert!(seen.rejected[0].to_json().to_string().contains("1O"));
    let all = look(&world, "{feed: rows}", 9).await;
    assert_eq!((all.rows.len(), all.rejected.len(), all.rejected_in_all, all.read), (9, 9, 9, 18));
}

#[tokio::test(start_paused = true)]
async fn several_splits_are_looked_at_one_after_the_other_and_an_empty_source_has_no_rows() {
    let (world, feed) = (MemoryWorld::default(), MemoryFeed::default());
    world.set_feed("rows", feed.clone());
    let nothing = look(&world, "{feed: rows}", 5).await;
    assert_eq!((nothing.rows.len(), nothing.read, nothing.ended), (0, 0, Ended::End));
    for part in ["a", "b", "c", "d", "e", "f"] {
        feed.push(&Part::from(part), one_row("7", None));
    }
    let seen = look(&world, "{feed: rows, splits: 3}", 100).await;
    assert_eq!((seen.rows.len(), seen.ended), (6, Ended::End));
}

#[tokio::test(start_paused = true)]
async fn every_type_is_shown_as_its_readers_will_see_it() {
    let (world, feed) = (MemoryWorld::default(), MemoryFeed::default());
    world.set_feed("rows", feed.clone());
    let columns = "i: int32, l: int64, f: float64, d: decimal(12,2), b: bool, day: date, at: timestamp, s: string";
    let cells = |texts: [&'static str; 8]| texts.map(Some);
    let first = cells(["-7", "9007199254740993", "1.5", "61.60", "true", "2026-03-01", "2026-03-01T19:00:00Z", "ä"]);
    let second = cells(["0", "0", "NaN", "-0.05", "false", "0001-01-01", "2026-03-01T19:00:00.250Z", ""]);
    feed.push(&Part::from("a"), Transaction::of(table("rows", columns, &[], &[&first, &second])));
    let seen = look(&world, "{feed: rows}", 9).await;
    let cells: Vec<Value> = seen.rows.iter().map(|row| Value::from(row.cells.clone())).collect();
    let expected = [
        json!({"i": -7, "l": 9_007_199_254_740_993_i64, "f": 1.5, "d": "61.60", "b": true, "day": "2026-03-01",
               "at": "2026-03-01T19:00:00Z", "s": "ä"}),
        json!({"i": 0, "l": 0, "f": "NaN", "d": "-0.05", "b": false, "day": "0001-01-01",
               "at": "2026-03-01T19:00:00.25Z", "s": ""}),
    ];
    assert_eq!(cells, expected);
}
