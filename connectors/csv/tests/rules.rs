//! The rules of delivery for files, one test or more for each. `UNBATCH_SABOTAGE=<rule>` switches a rule off, and then a test
//! that bears its name must fail.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;

use harness::{Drops, Owns, numbered, rows_of};
use serde_json::json;
use std::fs::File;
use std::time::{Duration, SystemTime};
use unbatch_api::{Bound, Checkpoint, Error, Kind};

fn is_lost<T>(result: Result<T, Error>) -> Error {
    let error = result.err().expect("nothing was noticed");
    assert_eq!(error.kind(), Kind::Lost, "{error:?}");
    assert!(error.remedy().is_some(), "{error:?}");
    error
}

#[tokio::test]
async fn f1_files_come_in_name_order_and_rows_in_file_order() {
    let drops = Drops::new();
    drops.deliver("b.csv", numbered(10..15));
    drops.deliver("c.csv", numbered(20..25));
    drops.deliver("a.csv", numbered(30..35));
    let mut run = drops.open_with(Checkpoint::default(), Bound::Once, |s| s.rows(2)).await.unwrap();
    run.finish().await.unwrap();
    let want = [rows_of("a.csv", 30..35), rows_of("b.csv", 10..15), rows_of("c.csv", 20..25)].concat();
    assert_eq!(run.rows, want);
}

#[tokio::test]
async fn f1_a_ready_file_waits_for_a_smaller_name_that_is_being_written() {
    // the wait is ten times this, so that a slow machine does not end it
    let drops = Drops::new().with("ready_when", json!({"stable_for": "1500ms"}));
    drops.deliver("b.csv", numbered(10..12));
    std::fs::write(drops.path("a.csv"), "id,text\n").unwrap();
    let mut run = drops.open(Bound::Continuous).await;
    for n in 0..12 {
        assert!(run.is_quiet(Duration::from_millis(50)).await, "{:?}", run.rows);
        drops.append("a.csv", &format!("{n},row-{n}\n"));
    }
    run.read_rows(14).await.unwrap();
    assert_eq!(run.rows, [rows_of("a.csv", 0..12), rows_of("b.csv", 10..12)].concat());
}

#[tokio::test]
async fn f2_a_file_that_took_the_place_of_a_finished_one_is_not_taken_away() {
    let drops = Drops::new().with("after", json!("delete")).with("ready_when", json!({"stable_for": "300ms"}));
    drops.deliver("a.csv", numbered(0..3));
    let mut run = drops.open(Bound::Continuous).await;
    run.read_rows(3).await.unwrap();
    run.seal().await.unwrap();
    drops.deliver("a.csv", numbered(3..5));
    run.publish();
    run.until("the new file is read and deleted", |run| run.rows.len() == 5 && !drops.path("a.csv").exists())
        .await
        .unwrap();
    assert_eq!(run.rows, [rows_of("a.csv", 0..3), rows_of("a.csv", 3..5)].concat());
}

#[tokio::test]
async fn f2_nothing_is_released_by_who_does_not_own_the_split() {
    let drops = Drops::new().with("after", json!({"move_to": "archive"}));
    drops.deliver("a.csv", numbered(0..3));
    let owns = Owns::default();
    owns.0.store(false, std::sync::atomic::Ordering::SeqCst);
    let mut run = drops.open_with(Checkpoint::default(), Bound::Once, |s| s.owns = owns.clone()).await.unwrap();
    run.finish().await.unwrap();
    assert!(drops.path("a.csv").exists());
    owns.0.store(true, std::sync::atomic::Ordering::SeqCst);
    run.source.settle(&run.committed).await.unwrap();
    assert!(!drops.path("a.csv").exists());
    let archived = drops.names_in("archive");
    assert_eq!(archived.len(), 1);
    assert!(archived[0].starts_with("a~test.stock-counts.0-1-") && archived[0].ends_with(".csv"), "{archived:?}");
}

#[tokio::test]
async fn f2_an_archived_file_is_never_overwritten() {
    let drops = Drops::new().with("after", json!({"move_to": "archive"}));
    drops.deliver("a.csv", numbered(0..3));
    let mut run = drops.open(Bound::Once).await;
    run.read_all().await.unwrap();
    run.seal().await.unwrap();
    // somebody else's file has the very name that ours would get
    let digest = run.committed.notes.values().find_map(|note| {
        let note: serde_json::Value = serde_json::from_slice(note).ok()?;
        Some(note["files"][0]["archive"].as_str()?.to_owned())
    });
    let target = drops.base.path().join("archive").join(digest.unwrap());
    std::fs::create_dir(drops.base.path().join("archive")).unwrap();
    std::fs::write(&target, "precious").unwrap();
    run.source.settle(&run.committed).await.unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), b"precious");
    assert_eq!(std::fs::read_to_string(drops.path("a.csv")).unwrap(), numbered(0..3));
    assert!(run.has_notice("archive", "a.csv"));
}

#[tokio::test]
async fn f2_a_copy_that_was_archived_before_is_not_kept_twice() {
    let drops = Drops::new().with("after", json!({"move_to": "archive"}));
    drops.deliver("a.csv", numbered(0..3));
    let mut run = drops.open(Bound::Continuous).await;
    run.until("the file is archived", |_| !drops.path("a.csv").exists()).await.unwrap();
    drops.deliver("a.csv", numbered(0..3));
    run.until("the copy is gone", |_| !drops.path("a.csv").exists()).await.unwrap();
    assert_eq!((run.rows.len(), drops.names_in("archive").len()), (3, 1));
    assert!(run.has_notice("duplicate", "a.csv"));
}

#[tokio::test]
async fn f3_a_changed_prefix_is_lost() {
    let drops = Drops::new();
    drops.deliver("a.csv", numbered(0..9));
    let mut run = drops.open_with(Checkpoint::default(), Bound::Once, |s| s.rows(2)).await.unwrap();
    run.read_rows(4).await.unwrap();
    run.commit().await.unwrap();
    let committed = run.committed.clone();
    drop(run);
    // the same size, another first row
    drops.deliver("a.csv", numbered(0..9).replace("0,row-0", "0,row-7"));
    let mut run = drops.open_at(committed, Bound::Once).await.unwrap();
    is_lost(run.read_all().await);
}

#[tokio::test]
async fn f3_a_file_that_is_the_same_goes_on_wherever_it_was_copied_to() {
    let drops = Drops::new();
    drops.deliver("a.csv", numbered(0..9));
    let mut run = drops.open_with(Checkpoint::default(), Bound::Once, |s| s.rows(2)).await.unwrap();
    run.read_rows(4).await.unwrap();
    run.commit().await.unwrap();
    let (committed, before) = (run.committed.clone(), run.rows.clone());
    drop(run);
    drops.deliver("a.csv", numbered(0..9));
    let mut run = drops.open_at(committed, Bound::Once).await.unwrap();
    run.finish().await.unwrap();
    assert_eq!([before, run.rows].concat(), rows_of("a.csv", 0..9));
}

#[tokio::test]
async fn f3_a_file_that_is_archived_and_not_in_the_ledger_is_lost() {
    let drops = Drops::new().with("after", json!({"move_to": "archive"}));
    drops.deliver("a.csv", numbered(0..3));
    let mut run = drops.open(Bound::Once).await;
    run.finish().await.unwrap();
    assert_eq!(drops.names_in("archive").len(), 1);
    let committed = run.committed.clone();
    drop(run);
    drops.open_at(committed, Bound::Once).await.unwrap().finish().await.unwrap();
    // the sink has forgotten what it committed
    is_lost(drops.open_at(Checkpoint::default(), Bound::Once).await);
}

#[tokio::test]
async fn file_unsettled_waits_for_its_marker() {
    let drops = Drops::new().with("ready_when", json!({"marker": ".done"})).with("match", json!("*"));
    drops.deliver("a.csv", numbered(0..3));
    drops.deliver("b.csv", numbered(3..5));
    drops.deliver("b.csv.done", "");
    let mut run = drops.open(Bound::Once).await;
    run.finish().await.unwrap();
    assert_eq!(run.rows, rows_of("b.csv", 3..5));
    assert!(run.has_notice("waiting", "a.csv"), "{:?}", run.notices());
}

#[tokio::test]
async fn file_unsettled_is_not_read_while_it_grows() {
    let drops = Drops::new().with("ready_when", json!({"stable_for": "2s"}));
    drops.deliver("a.csv", numbered(0..1));
    let mut run = drops.open(Bound::Continuous).await;
    for n in 1..8 {
        assert!(run.is_quiet(Duration::from_millis(100)).await, "{:?}", run.rows);
        drops.append("a.csv", &format!("{n},row-{n}\n"));
    }
    run.read_rows(8).await.unwrap();
    run.commit().await.unwrap();
    assert_eq!(run.rows, rows_of("a.csv", 0..8));
}

#[tokio::test]
async fn file_duplicate_is_skipped_and_told() {
    let drops = Drops::new();
    drops.deliver("a.csv", numbered(0..3));
    let mut run = drops.open(Bound::Continuous).await;
    run.until("the file is read", |run| run.rows.len() == 3).await.unwrap();
    drops.deliver("a.csv", numbered(0..3));
    run.until("the duplicate is told", |run| run.has_notice("duplicate", "a.csv")).await.unwrap();
    assert_eq!(run.number("files_duplicate_total"), 1);
    let committed = run.committed.clone();
    drop(run);
    let mut run = drops.open_at(committed, Bound::Once).await.unwrap();
    run.finish().await.unwrap();
    assert!(run.rows.is_empty(), "{:?}", run.rows);
    assert_eq!(run.number("files_duplicate_total"), 0);
}

#[tokio::test]
async fn file_duplicate_is_loaded_where_that_is_wanted() {
    for (key, value) in [("redelivered", "load"), ("identity", "delivery")] {
        let drops = Drops::new().with(key, json!(value));
        drops.deliver("a.csv", numbered(0..3));
        let mut run = drops.open(Bound::Continuous).await;
        run.until("the file is read", |run| run.rows.len() == 3).await.unwrap();
        drops.deliver("a.csv", numbered(0..3));
        run.until("it is read again", |run| run.rows.len() == 6).await.unwrap();
        assert_eq!(run.rows, [rows_of("a.csv", 0..3), rows_of("a.csv", 0..3)].concat());
        let mut again = drops.open_at(run.committed.clone(), Bound::Once).await.unwrap();
        again.finish().await.unwrap();
        assert!(again.rows.is_empty(), "{key}: {:?}", again.rows);
    }
}

#[tokio::test]
async fn file_other_content_under_a_known_name_is_a_new_file() {
    let drops = Drops::new();
    drops.deliver("a.csv", numbered(0..3));
    let mut run = drops.open(Bound::Continuous).await;
    run.until("the file is read", |run| run.rows.len() == 3).await.unwrap();
    drops.deliver("a.csv", numbered(5..7));
    run.until("the new content is read", |run| run.rows.len() == 5).await.unwrap();
    assert_eq!(run.rows[3..], rows_of("a.csv", 5..7));
    // and the first content once more is known
    drops.deliver("a.csv", numbered(0..3));
    run.until("the old content is told", |run| run.has_notice("duplicate", "a.csv")).await.unwrap();
    assert_eq!(run.rows.len(), 5);
}

#[tokio::test]
async fn file_rewritten_while_it_is_read_is_lost() {
    for change in ["rewritten", "appended", "removed"] {
        let drops = Drops::new();
        drops.deliver("a.csv", numbered(0..400));
        let mut run = drops.open_with(Checkpoint::default(), Bound::Continuous, |s| s.rows(2)).await.unwrap();
        run.read_rows(4).await.unwrap();
        run.commit().await.unwrap();
        run.read_rows(6).await.unwrap();
        match change {
            "rewritten" => drops.deliver("a.csv", numbered(100..500)),
            "appended" => drops.append("a.csv", "400,row-400\n"),
            _ => std::fs::remove_file(drops.path("a.csv")).unwrap(),
        }
        is_lost(run.commit().await);
        // it stays lost until somebody does something about it
        let mut run = drops.open_at(run.committed.clone(), Bound::Once).await.unwrap();
        is_lost(run.read_all().await);
    }
}

#[tokio::test]
async fn file_rewritten_before_its_end_is_reached_is_lost() {
    let drops = Drops::new();
    drops.deliver("a.csv", numbered(0..400));
    let mut run = drops.open_with(Checkpoint::default(), Bound::Once, |s| s.rows(2)).await.unwrap();
    run.read_rows(4).await.unwrap();
    drops.append("a.csv", "400,row-400\n");
    is_lost(run.read_all().await);
}

#[tokio::test]
async fn file_grown_after_it_was_done_is_an_alarm() {
    let drops = Drops::new();
    drops.deliver("a.csv", numbered(0..3));
    let mut run = drops.open(Bound::Continuous).await;
    run.until("the file is read", |run| run.rows.len() == 3).await.unwrap();
    drops.append("a.csv", "3,row-3\n");
    run.until("the growth is told", |run| run.has_notice("grown", "a.csv")).await.unwrap();
    drops.append("a.csv", "4,row-4\n");
    run.until("it is told again", |run| run.number("files_grown_total") == 2).await.unwrap();
    assert_eq!(run.rows.len(), 3);
    let mut again = drops.open_at(run.committed.clone(), Bound::Once).await.unwrap();
    again.finish().await.unwrap();
    assert!(again.rows.is_empty(), "{:?}", again.rows);
}

#[tokio::test]
async fn file_grown_goes_on_where_that_is_wanted() {
    let drops = Drops::new().with("on_growth", json!("continue"));
    drops.deliver("a.csv", numbered(0..3));
    let mut run = drops.open_with(Checkpoint::default(), Bound::Continuous, |s| s.rows(2)).await.unwrap();
    run.until("the file is read", |run| run.rows.len() == 3).await.unwrap();
    for n in 3..6 {
        drops.append("a.csv", &format!("{n},row-{n}\n"));
        let rows = n as usize + 1;
        run.until("what was appended is read", |run| run.rows.len() == rows).await.unwrap();
    }
    assert_eq!(run.rows, rows_of("a.csv", 0..6));
    // a last line without its end may be half a line: nothing is guessed
    drops.append("a.csv", "6,row");
    run.until("the half line is read", |run| run.rows.len() == 7).await.unwrap();
    drops.append("a.csv", "-6\n");
    run.until("the growth is told", |run| run.has_notice("grown", "a.csv")).await.unwrap();
}

#[tokio::test]
async fn file_grown_in_the_archive_is_an_alarm() {
    let drops = Drops::new().with("after", json!({"move_to": "archive"}));
    drops.deliver("a.csv", numbered(0..3));
    // a sender that keeps its file open
    let mut writer = File::options().append(true).open(drops.path("a.csv")).unwrap();
    let mut run = drops.open(Bound::Continuous).await;
    run.until("the file is archived", |run| run.number("files_released_total") == 1).await.unwrap();
    std::io::Write::write_all(&mut writer, b"3,row-3\n").unwrap();
    run.until("the growth is told", |run| run.has_notice("grown", "a.csv")).await.unwrap();
}

#[tokio::test]
async fn file_grown_from_nothing_is_a_new_file() {
    let drops = Drops::new();
    drops.deliver("a.csv", "id,text\n");
    drops.deliver("b.csv", "");
    let mut run = drops.open(Bound::Continuous).await;
    run.until("both are done", |run| run.number("files_loaded_total") == 2).await.unwrap();
    drops.append("a.csv", "0,row-0\n");
    drops.append("b.csv", &numbered(1..2));
    run.until("both are read", |run| run.rows.len() == 2).await.unwrap();
    assert!(!run.has_notice("grown", "a.csv") && !run.has_notice("grown", "b.csv"));
}

#[tokio::test]
async fn file_truncated_in_quotes_is_parked_and_the_next_goes_on() {
    let drops = Drops::new().with("after", json!("delete"));
    drops.deliver("a.csv", "id,text\n1,one\n2,\"two\n3,three\n");
    drops.deliver("b.csv", numbered(3..5));
    let mut run = drops.open(Bound::Once).await;
    run.finish().await.unwrap();
    assert_eq!(run.rows, [vec!["a.csv:2 1|one".into()], rows_of("b.csv", 3..5)].concat());
    assert_eq!(run.codes(), ["truncated_in_quotes"]);
    assert_eq!(run.rejected[0].origin.to_string(), "a.csv:3");
    assert_eq!((run.reports.parked_count(), run.number("files_failed_total")), (1, 1));
    assert!(drops.path("a.csv").exists() && !drops.path("b.csv").exists());
    // it stays parked; the same file mended is a new one
    let mut run = drops.open_at(run.committed.clone(), Bound::Once).await.unwrap();
    run.finish().await.unwrap();
    assert!(run.rows.is_empty() && run.rejected.is_empty());
    drops.deliver("a.csv", "id,text\n1,one\n2,\"two\"\n3,three\n");
    let mut run = drops.open_at(run.committed.clone(), Bound::Once).await.unwrap();
    run.finish().await.unwrap();
    assert_eq!(run.rows.len(), 3);
}

#[tokio::test]
async fn file_truncated_in_quotes_stops_where_that_is_wanted() {
    let drops = Drops::new().with("on_bad_file", json!("stop"));
    drops.deliver("a.csv", "id,text\n1,one\n2,\"two\n");
    let mut run = drops.open(Bound::Once).await;
    let error = run.read_all().await.unwrap_err();
    assert_eq!((error.kind(), run.rows.len()), (Kind::Rejected, 1));
    assert!(error.one_line().contains("truncated_in_quotes"), "{error:?}");
}

#[tokio::test]
async fn file_late_with_a_smaller_name_and_an_old_time_is_read() {
    let drops = Drops::new();
    drops.deliver("b.csv", numbered(3..5));
    let mut run = drops.open(Bound::Continuous).await;
    run.until("the file is read", |run| run.rows.len() == 2).await.unwrap();
    let draft = drops.base.path().join("late");
    std::fs::write(&draft, numbered(0..3)).unwrap();
    let old = SystemTime::now() - Duration::from_secs(400 * 24 * 3600);
    File::options().write(true).open(&draft).unwrap().set_modified(old).unwrap();
    std::fs::rename(&draft, drops.path("a.csv")).unwrap();
    run.until("the late file is read", |run| run.rows.len() == 5).await.unwrap();
    assert_eq!(run.rows[2..], rows_of("a.csv", 0..3));
}
