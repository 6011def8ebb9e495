//! What happens around taking files away, and files that would stand in the way of others. Each test is a schedule in which a
//! file was lost, forgotten or blocked the rest.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;

use harness::{Drops, numbered, rows_of};
use serde_json::json;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use unbatch_api::failpoint::arm;
use unbatch_api::{Bound, Checkpoint};

const OWNER: &str = ".unbatch-owner-test.stock-counts";

/// Failpoints belong to the process: tests that arm one take turns with all others here.
async fn turn() -> MutexGuard<'static, ()> {
    static ARMED: Mutex<()> = Mutex::const_new(());
    ARMED.lock().await
}

#[tokio::test]
async fn a_release_takes_its_own_marker_and_not_the_next_one() {
    let _turn = turn().await;
    let places =
        ["before_release_rename", "after_marker_rename", "after_release_rename", "before_archive", "after_archive"];
    for place in places {
        let drops =
            Drops::new().with("after", json!({"move_to": "archive"})).with("ready_when", json!({"marker": ".done"}));
        drops.deliver("a.csv", numbered(0..3));
        drops.deliver("a.csv.done", "");
        let mut run = drops.open(Bound::Once).await;
        run.read_all().await.unwrap();
        run.seal().await.unwrap();
        arm(&format!("csv.{place}=fail@1"));
        assert!(run.source.settle(&run.committed).await.is_err(), "{place}");
        arm("");
        drops.deliver("a.csv", numbered(3..5));
        drops.deliver("a.csv.done", "");
        // the release is finished by who was cut short, or by the next run
        run.source.settle(&run.committed).await.unwrap();
        let next = drops.once(&run.committed).await;
        assert_eq!(next.rows, rows_of("a.csv", 3..5), "{place}");
        assert_eq!(drops.names_in("drops"), [OWNER], "{place}");
    }
}

#[tokio::test]
async fn a_file_that_went_back_under_another_name_is_told_as_long_as_nobody_reads_it() {
    let _turn = turn().await;
    let drops = Drops::new().with("after", json!({"move_to": "archive"})).with("match", json!("stock.csv"));
    drops.deliver("stock.csv", numbered(0..2));
    let mut run = drops.open(Bound::Once).await;
    run.read_all().await.unwrap();
    run.seal().await.unwrap();
    drops.deliver("stock.csv", numbered(5..7));
    // the newer file is caught by the rename, and a newer one still takes its name
    arm("csv.after_release_rename=fail@1");
    let stale = run.source.settle(&run.committed).await;
    arm("");
    assert!(stale.is_ok(), "a file that was not read was taken");
    let hidden = run.committed.notes.values().find_map(|note| {
        let note: serde_json::Value = serde_json::from_slice(note).ok()?;
        Some(note["files"][0]["archive"].as_str()?.to_owned())
    });
    std::fs::rename(drops.path("stock.csv"), drops.path(&format!(".{}", hidden.unwrap()))).unwrap();
    drops.deliver("stock.csv", numbered(8..9));
    let run = drops.once(&run.committed).await;
    assert_eq!(run.rows, rows_of("stock.csv", 8..9));
    assert!(run.has_notice("returned_unseen", "stock~returned-1.csv"), "{:?}", run.notices());
    let run = drops.once(&run.committed).await;
    assert!(run.has_notice("returned_unseen", "stock~returned-1.csv"), "{:?}", run.notices());
    assert_eq!(std::fs::read_to_string(drops.path("stock~returned-1.csv")).unwrap(), numbered(5..7));
}

#[tokio::test]
async fn long_and_odd_names_are_released_too() {
    let _turn = turn().await;
    for after in [json!("delete"), json!({"move_to": "archive"})] {
        let is_moved = after.is_object();
        let drops = Drops::new().with("after", after).with("ready_when", json!({"marker": ".done"}));
        let long = "ü".repeat(122) + "y.csv";
        let names = [long.as_str(), "tab\there.csv", "new\nline.csv", "\"quoted\\\".csv", "z.csv"];
        for (n, name) in (0..).zip(names) {
            drops.deliver(name, numbered(n..n + 1));
            drops.deliver(&format!("{name}.done"), "");
        }
        let run = drops.once(&Checkpoint::default()).await;
        assert_eq!(run.rows.len(), names.len());
        assert_eq!(drops.names_in("drops"), [OWNER], "{:?}", run.notices());
        assert_eq!(drops.names_in("archive").len(), if is_moved { names.len() } else { 0 });
        // and a crash in between is found again under the short name
        drops.deliver(&long, numbered(7..8));
        drops.deliver(&format!("{long}.done"), "");
        let mut run = drops.open_at(run.committed.clone(), Bound::Once).await.unwrap();
        run.read_all().await.unwrap();
        run.seal().await.unwrap();
        arm("csv.after_release_rename=fail@1");
        assert!(run.source.settle(&run.committed).await.is_err());
        arm("");
        let run = drops.once(&run.committed).await;
        assert!(run.rows.is_empty(), "{:?}", run.rows);
        assert_eq!(drops.names_in("drops"), [OWNER]);
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_released_does_not_keep_the_others() {
    let _turn = turn().await;
    let drops = Drops::new().with("after", json!("delete"));
    (0..3).for_each(|n| drops.deliver(&format!("{n}.csv"), numbered(n..n + 1)));
    let mut run = drops.open(Bound::Once).await;
    run.read_all().await.unwrap();
    run.seal().await.unwrap();
    arm("csv.before_release_rename=fail@1");
    assert!(run.source.settle(&run.committed).await.is_err());
    arm("");
    let left = drops.names_in("drops").iter().filter(|name| name.ends_with(".csv")).count();
    assert_eq!(left, 1, "{:?}", drops.names_in("drops"));
}

#[tokio::test]
async fn files_that_cannot_be_opened_do_not_keep_the_others() {
    let drops = Drops::new();
    drops.deliver("a.csv", numbered(0..2));
    drops.deliver("d.csv", numbered(2..4));
    std::os::unix::fs::symlink("b.csv", drops.path("b.csv")).unwrap();
    // a file that not even root may read
    std::os::unix::fs::symlink("/proc/sys/vm/compact_memory", drops.path("c.csv")).unwrap();
    assert!(std::fs::File::open(drops.path("c.csv")).is_err());
    let run = drops.once(&Checkpoint::default()).await;
    assert_eq!(run.rows, [rows_of("a.csv", 0..2), rows_of("d.csv", 2..4)].concat());
    for name in ["b.csv", "c.csv"] {
        assert!(run.has_notice("unreadable", name), "{name}: {:?}", run.notices());
    }
    // a run that was to read all that is there did not
    assert_eq!(run.reports.parked_count(), 2);
    std::fs::remove_file(drops.path("c.csv")).unwrap();
    drops.deliver("c.csv", numbered(7..8));
    assert_eq!(drops.once(&run.committed).await.rows, rows_of("c.csv", 7..8));
}

/// Its sink forgot what it had committed, by a reset: the file is read again, and so its marker must be there again.
#[tokio::test]
async fn a_marker_that_was_taken_alone_goes_back_when_its_file_is_not_done() {
    let _turn = turn().await;
    for place in ["after_marker_rename", "after_release_rename"] {
        let mut drops = Drops::new().with("after", json!("delete")).with("ready_when", json!({"marker": ".done"}));
        drops.deliver("a.csv", numbered(0..3));
        drops.deliver("a.csv.done", "");
        let mut run = drops.open(Bound::Once).await;
        run.read_all().await.unwrap();
        run.seal().await.unwrap();
        arm(&format!("csv.{place}=fail@1"));
        assert!(run.source.settle(&run.committed).await.is_err(), "{place}");
        arm("");
        drops.generation = 2;
        let mut run = drops.open(Bound::Continuous).await;
        run.until("the file is read again", |run| run.rows.len() == 3).await.unwrap();
        run.until("it is released", |_| drops.names_in("drops") == [OWNER]).await.unwrap();
        assert_eq!(run.rows, rows_of("a.csv", 0..3), "{place}");
    }
}

/// A release that was abandoned at its time limit still runs; the next source of the split must not join in.
#[tokio::test]
async fn a_split_has_one_releaser_at_a_time() {
    let _turn = turn().await;
    let drops = Drops::new().with("after", json!({"move_to": "archive"}));
    drops.deliver("a.csv", numbered(0..2));
    let mut run = drops.open(Bound::Once).await;
    run.read_all().await.unwrap();
    run.seal().await.unwrap();
    arm("csv.after_release_rename=delay:1500@1");
    let settled = tokio::time::timeout(Duration::from_millis(300), run.source.settle(&run.committed)).await;
    assert!(settled.is_err(), "the release was not cut short");
    let committed = run.committed.clone();
    drop(run);
    drops.deliver("b.csv", numbered(5..6));
    let mut next = drops.open_at(committed, Bound::Continuous).await.unwrap();
    next.read_rows(1).await.unwrap();
    next.commit().await.unwrap();
    assert!(drops.names_in("archive").is_empty(), "two release at once");
    next.until("both are released", |_| drops.names_in("drops") == [OWNER]).await.unwrap();
    assert_eq!(drops.names_in("archive").len(), 2);
    arm("");
}
