//! Somebody who only looks leaves the folder exactly as it was, whatever a run would do with its files.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use harness::{Drops, everything_in};
use serde_json::json;
use std::time::Duration;
use unbatch_api::testkit::context::{place, source_context};
use unbatch_api::{Bound, Checkpoint, Committed, SourceConnector};
use unbatch_csv::CsvDrops;

async fn look(drops: &Drops) -> u64 {
    let (_sender, committed) = Committed::channel(Checkpoint::default());
    let mut place = place(drops.pipeline);
    place.base = drops.base.path().to_owned();
    let mut cx = source_context(place, Checkpoint::default(), committed, Bound::Once);
    cx.looks_only = true;
    let mut source = CsvDrops::open(drops.config(), cx).await.unwrap();
    let mut rows = 0;
    while let Some(batch) = tokio::time::timeout(Duration::from_secs(20), source.next()).await.unwrap().unwrap() {
        rows += batch.rows_read();
    }
    rows
}

#[tokio::test]
async fn a_look_changes_nothing_in_the_folder() {
    for after in [json!("keep"), json!("delete"), json!({"move_to": "file:drops/archive/"})] {
        let drops = Drops::new().with("after", after.clone());
        let folder = drops.base.path().join("drops");
        std::fs::write(folder.join("a.csv"), "id,text\n1,x\n2,y\nz,w\n").unwrap();
        // what runs leave: a marker of this pipeline and of another one that takes everything, a file that is half released,
        // and an archive of files that no ledger knows
        std::fs::write(folder.join(".unbatch-owner-test.stock-counts"), "{}").unwrap();
        let other = r#"{"v":1,"deployment":"other","pipeline":"theirs","match":"*.csv"}"#;
        std::fs::write(folder.join(".unbatch-owner-other.theirs"), other).unwrap();
        std::fs::create_dir(folder.join("archive")).unwrap();
        std::fs::write(folder.join("archive/b~test.stock-counts.0-1-0123456789abcdef.csv"), "id,text\n").unwrap();
        let before = everything_in(&folder);
        assert_eq!(look(&drops).await, 3, "{after}");
        assert_eq!(everything_in(&folder), before, "{after}");
    }
}
