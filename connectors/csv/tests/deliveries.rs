//! Deliveries that meet earlier ones under the same name: given up, parked, grown, replaced. Each test is a schedule in which
//! rows were lost, doubled or blocked.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;

use harness::{Drops, Run, numbered, rows_of};
use serde_json::json;
use unbatch_api::{Bound, Checkpoint, Error, Jump, Kind, SourceConnector};
use unbatch_csv::CsvDrops;

fn set(drops: &Drops, checkpoint: &Checkpoint, part: &str, position: &str) -> Result<Checkpoint, Error> {
    let jump = Jump { part: part.into(), position: position.into() };
    CsvDrops::jump(&drops.config(), checkpoint, &[jump])
}

/// Reads and commits the first four rows of `name`, which has many, and dies.
async fn killed_in(drops: &Drops, name: &str) -> Checkpoint {
    drops.deliver(name, numbered(0..400));
    let mut run = drops.open_with(Checkpoint::default(), Bound::Continuous, |s| s.rows(2)).await.unwrap();
    run.read_rows(4).await.unwrap();
    run.commit().await.unwrap();
    run.committed.clone()
}

#[tokio::test]
async fn giving_up_a_file_that_is_gone_does_not_give_up_the_next_one() {
    let drops = Drops::new().with("after", json!("delete"));
    let committed = killed_in(&drops, "stock.csv").await;
    std::fs::remove_file(drops.path("stock.csv")).unwrap();
    let mut run = drops.open_at(committed.clone(), Bound::Once).await.unwrap();
    assert_eq!(run.read_all().await.unwrap_err().kind(), Kind::Lost);
    let given_up = set(&drops, &committed, "stock.csv", "done").unwrap();
    drops.deliver("stock.csv", numbered(500..503));
    let run = drops.once(&given_up).await;
    assert_eq!(run.rows, rows_of("stock.csv", 500..503));
    assert!(!drops.path("stock.csv").exists());
}

#[tokio::test]
async fn a_file_that_was_given_up_is_told_and_never_taken_away() {
    for change in ["", "400,row-400\n"] {
        let drops = Drops::new().with("after", json!("delete"));
        let committed = killed_in(&drops, "stock.csv").await;
        drops.append("stock.csv", change);
        let given_up = set(&drops, &committed, "stock.csv", "done").unwrap();
        let run = drops.once(&given_up).await;
        assert!(run.rows.is_empty(), "{:?}", run.rows);
        assert!(run.has_notice("marked_done", "stock.csv"), "{:?}", run.notices());
        assert!(drops.path("stock.csv").exists());
        // a sender that still writes does not bring back the rows that are committed
        drops.append("stock.csv", "401,row-401\n");
        let run = drops.once(&run.committed).await;
        assert!(run.rows.is_empty() && run.has_notice("grown", "stock.csv"), "{:?}", run.rows);
        assert!(drops.path("stock.csv").exists());
        // the next delivery is another file
        drops.deliver("stock.csv", numbered(500..503));
        let run = drops.once(&run.committed).await;
        assert_eq!(run.rows, rows_of("stock.csv", 500..503));
    }
}

#[tokio::test]
async fn a_name_that_was_never_seen_is_marked_for_one_file_that_stays() {
    let drops = Drops::new().with("after", json!("delete"));
    let marked = set(&drops, &Checkpoint::default(), "stock.csv", "done").unwrap();
    drops.deliver("stock.csv", numbered(0..3));
    let run = drops.once(&marked).await;
    assert!(run.rows.is_empty() && run.has_notice("marked_done", "stock.csv"), "{:?}", run.notices());
    assert!(drops.path("stock.csv").exists());
    drops.deliver("stock.csv", numbered(3..5));
    let run = drops.once(&run.committed).await;
    assert_eq!(run.rows, rows_of("stock.csv", 3..5));
}

#[tokio::test]
async fn what_is_done_is_not_marked_for_what_comes_next() {
    let drops = Drops::new();
    drops.deliver("a.csv", "id,text\n1,\"one\n");
    drops.deliver("b.csv", numbered(3..5));
    let run = drops.once(&Checkpoint::default()).await;
    assert_eq!(run.reports.parked_count(), 1);
    let error = set(&drops, &run.committed, "b.csv", "done").unwrap_err();
    assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0226")));
    // a parked file that is given up stays so when it is sent again; another one under its name is read
    let given_up = set(&drops, &run.committed, "a.csv", "done").unwrap();
    drops.deliver("a.csv", "id,text\n1,\"one\n");
    let run = drops.once(&given_up).await;
    assert_eq!((run.rows.len(), run.reports.parked_count()), (0, 0));
    drops.deliver("a.csv", numbered(0..2));
    assert_eq!(drops.once(&run.committed).await.rows, rows_of("a.csv", 0..2));
}

#[tokio::test]
async fn with_several_splits_a_file_is_set_in_its_own() {
    let drops = Drops::new().with("splits", json!(2)).with("ready_when", json!({"stable_for": "1ms"}));
    (0..8).for_each(|n| drops.deliver(&format!("{n}.csv"), numbered(n..n + 1)));
    let run = drops.once(&Checkpoint::default()).await;
    let is_ours = |name: &str| run.rows.iter().any(|row| row.starts_with(name));
    for n in 0..8 {
        let name = format!("{n}.csv");
        let marked = set(&drops, &run.committed, &name, "done");
        let error = marked.unwrap_err();
        assert_eq!(error.one_line().contains("split 1"), !is_ours(&name), "{name}: {error:?}");
    }
}

#[tokio::test]
async fn a_parked_file_that_is_delivered_again_is_read_again() {
    let drops = Drops::new();
    drops.deliver("a.csv", "number,text\n1,one\n");
    let mut run = drops.open(Bound::Continuous).await;
    run.until("the file is parked", |run| run.reports.parked_count() == 1).await.unwrap();
    drops.deliver("a.csv", "number,text\n1,one\n");
    run.until("it is parked again", |run| run.number("files_failed_total") == 2).await.unwrap();
    assert!(!run.has_notice("duplicate", "a.csv"));
    // untouched it stays parked, whoever looks
    let again = drops.once(&run.committed).await;
    assert_eq!(again.reports.parked_count(), 0);
    // and whoever starts later still says so
    assert_eq!((again.number("files_parked"), again.has_notice("parked", "a.csv")), (1, true));
    // the columns were wrong, not the file
    let drops = drops.with("columns", json!([{"name": "number", "type": "int64"}]));
    drops.deliver("a.csv", "number,text\n1,one\n");
    let mended = drops.once(&run.committed).await;
    assert_eq!(mended.rows, ["a.csv:2 1|one"]);
    assert_eq!(drops.once(&mended.committed).await.number("files_parked"), 0);
}

#[tokio::test]
async fn a_delivery_that_begins_like_the_one_before_is_a_new_file() {
    for after in ["delete", "keep"] {
        let drops = Drops::new().with("after", json!(after));
        drops.deliver("a.csv", numbered(0..3));
        let mut run = drops.open(Bound::Continuous).await;
        let is_done = |run: &Run| run.rows.len() == 3 && (after == "keep" || !drops.path("a.csv").exists());
        run.until("the file is done", is_done).await.unwrap();
        drops.deliver("a.csv", numbered(0..5));
        run.until("the new file is read", |run| run.rows.len() == 8).await.unwrap();
        assert_eq!(run.rows[3..], rows_of("a.csv", 0..5));
        assert!(!run.has_notice("grown", "a.csv"), "{:?}", run.notices());
    }
}

#[tokio::test]
async fn a_file_that_was_read_out_may_be_replaced_before_its_commit() {
    let drops = Drops::new();
    drops.deliver("b.csv", numbered(0..3));
    let mut run = drops.open(Bound::Continuous).await;
    run.read_rows(3).await.unwrap();
    drops.deliver("b.csv", numbered(3..5));
    run.commit().await.unwrap();
    run.until("the new file is read", |run| run.rows.len() == 5).await.unwrap();
    assert_eq!(run.rows, [rows_of("b.csv", 0..3), rows_of("b.csv", 3..5)].concat());
    // written into, it is another matter
    let drops = Drops::new();
    drops.deliver("b.csv", numbered(0..3));
    let mut run = drops.open(Bound::Continuous).await;
    run.read_rows(3).await.unwrap();
    drops.append("b.csv", "3,row-3\n");
    assert_eq!(run.commit().await.unwrap_err().kind(), Kind::Lost);
}

#[tokio::test]
async fn a_grown_file_that_was_parked_goes_on_where_it_was_read_to() {
    for restarts in [false, true] {
        let drops = Drops::new().with("on_growth", json!("continue"));
        drops.deliver("a.csv", numbered(0..3));
        let mut run = drops.open(Bound::Continuous).await;
        run.until("the file is read", |run| run.rows.len() == 3).await.unwrap();
        // the writer pauses inside quotes, twice
        drops.append("a.csv", "3,row-3\n4,\"half");
        run.until("the file is parked", |run| run.reports.parked_count() == 1).await.unwrap();
        drops.append("a.csv", " a");
        run.until("it is parked again", |run| run.number("files_failed_total") == 2).await.unwrap();
        let mut rows = std::mem::take(&mut run.rows);
        drops.append("a.csv", " row\"\n5,row-5\n");
        if restarts {
            run = drops.open_at(run.committed.clone(), Bound::Continuous).await.unwrap();
        }
        run.until("the rest is read", |run| run.rows.len() == 2).await.unwrap();
        drops.append("a.csv", "6,row-6\n");
        run.until("it grows on", |run| run.rows.len() == 3).await.unwrap();
        rows.append(&mut run.rows);
        let want = [rows_of("a.csv", 0..4), vec!["a.csv:6 4|half a row".into()]].concat();
        let want = [want, vec!["a.csv:7 5|row-5".into(), "a.csv:8 6|row-6".into()]].concat();
        assert_eq!(rows, want, "restarts: {restarts}");
    }
}

#[tokio::test]
async fn a_file_that_stopped_the_pipeline_goes_on_once_it_is_mended() {
    let drops = Drops::new().with("on_bad_file", json!("stop"));
    drops.deliver("a.csv", numbered(0..4) + "4,\"row-4\n5,row-5\n");
    let mut run = drops.open_with(Checkpoint::default(), Bound::Once, |s| s.rows(2)).await.unwrap();
    run.read_rows(4).await.unwrap();
    run.commit().await.unwrap();
    let error = run.read_all().await.unwrap_err();
    assert_eq!(error.code_text(), Some("U0224"), "{error:?}");
    let committed = run.committed.clone();
    // mended before what was read: that was not what is there now
    drops.deliver("a.csv", numbered(0..6).replace("1,row-1", "1,row-7"));
    let mut run = drops.open_at(committed.clone(), Bound::Once).await.unwrap();
    assert_eq!(run.read_all().await.unwrap_err().kind(), Kind::Lost);
    for text in [numbered(0..9), numbered(0..5)] {
        drops.deliver("a.csv", &text);
        let run = drops.once(&committed).await;
        assert_eq!(run.rows, rows_of("a.csv", 0..9)[4..text.lines().count() - 1]);
        assert!(run.has_notice("mended", "a.csv"), "{:?}", run.notices());
    }
}

#[tokio::test]
async fn a_grown_file_that_is_parked_for_its_header_goes_on_too() {
    let drops = Drops::new().with("on_growth", json!("continue"));
    drops.deliver("a.csv", numbered(0..3));
    let run = drops.once(&Checkpoint::default()).await;
    drops.append("a.csv", "3,row-3\n");
    let columns = drops.config["columns"].clone();
    let drops = drops.with("columns", json!([{"name": "number", "type": "int64"}]));
    let run = drops.once(&run.committed).await;
    assert_eq!(run.codes(), ["header_missing_column"]);
    let drops = drops.with("columns", columns);
    drops.append("a.csv", "4,row-4\n");
    assert_eq!(drops.once(&run.committed).await.rows, ["a.csv:5 3|row-3", "a.csv:6 4|row-4"]);
}

/// It was taken for another kind of file; a few rows more do not make it the right one.
#[tokio::test]
async fn a_file_that_was_parked_for_refused_rows_stays_so_when_it_grows() {
    let drops = Drops::new().with("on_growth", json!("continue"));
    drops.deliver("a.csv", "id,text\n0,a\nx,b\n2,c\n");
    let open = |committed: Checkpoint, count| {
        drops.open_with(committed, Bound::Once, move |s| {
            s.stop_after = unbatch_api::StopAfter { count: Some(count), percent: None };
        })
    };
    let mut run = open(Checkpoint::default(), 0).await.unwrap();
    run.finish().await.unwrap();
    assert_eq!(run.rows, ["a.csv:2 0|a"]);
    drops.append("a.csv", "3,d\n");
    let mut run = open(run.committed.clone(), 0).await.unwrap();
    run.finish().await.unwrap();
    assert_eq!((run.rows.len(), run.codes()), (0, vec!["too_many_rejected"]));
    drops.append("a.csv", "4,e\n");
    let mut run = open(run.committed.clone(), 9).await.unwrap();
    run.finish().await.unwrap();
    assert_eq!(run.rows, ["a.csv:4 2|c", "a.csv:5 3|d", "a.csv:6 4|e"]);
}

/// The place where too many rows were refused is a place to go on from, also where a blank line is a row.
#[tokio::test]
async fn a_file_that_stopped_for_refused_rows_goes_on_without_a_row_too_many() {
    let stop_after = unbatch_api::StopAfter { count: Some(0), percent: None };
    let drops =
        Drops::new().with("on_bad_file", json!("stop")).with("columns", json!([{"name": "id", "type": "int64"}]));
    drops.deliver("a.csv", "id\n1\nx\n3\n4\n");
    let open = |committed: Checkpoint, count| {
        drops.open_with(committed, Bound::Once, move |s| {
            s.rows(2);
            s.stop_after = unbatch_api::StopAfter { count, percent: None };
        })
    };
    let mut run = open(Checkpoint::default(), stop_after.count).await.unwrap();
    assert!(run.next().await.unwrap());
    run.commit().await.unwrap();
    assert_eq!(run.read_all().await.unwrap_err().code_text(), Some("U0224"));
    let mut again = open(run.committed.clone(), Some(9)).await.unwrap();
    again.finish().await.unwrap();
    assert_eq!([run.rows, again.rows].concat(), ["a.csv:2 1", "a.csv:4 3", "a.csv:5 4"]);
}

#[tokio::test]
async fn a_grown_file_keeps_the_digests_of_what_was_archived_of_it() {
    let drops = Drops::new().with("after", json!({"move_to": "archive"})).with("on_growth", json!("continue"));
    drops.deliver("a.csv", numbered(0..3));
    let run = drops.once(&Checkpoint::default()).await;
    // somebody gives the archived file its name back and writes on, so that both names lead to it
    let archived = drops.base.path().join("archive").join(&drops.names_in("archive")[0]);
    std::fs::hard_link(archived, drops.path("a.csv")).unwrap();
    drops.append("a.csv", "3,row-3\n");
    let run = drops.once(&run.committed).await;
    assert_eq!(run.rows, ["a.csv:5 3|row-3"]);
    assert_eq!(drops.names_in("archive").len(), 2);
    assert!(drops.once(&run.committed).await.rows.is_empty());
}

#[tokio::test]
async fn a_record_too_large_to_keep_parks_its_file() {
    let drops = Drops::new().with("after", json!("delete")).with("field_lines_max", json!(1_000_000));
    // one stray quote, and the next one far below
    let text = numbered(0..3) + "3,\"foo\n" + &numbered(4..30_000)["id,text\n".len()..] + "30000,\"bar\"\n";
    drops.deliver("a.csv", text);
    drops.deliver("b.csv", numbered(0..2));
    let run = drops.once(&Checkpoint::default()).await;
    assert_eq!(run.rows, [rows_of("a.csv", 0..3), rows_of("b.csv", 0..2)].concat());
    assert_eq!(run.codes(), ["rejected_too_large"]);
    assert_eq!(run.rejected[0].origin.to_string(), "a.csv:5");
    assert_eq!(run.reports.parked_count(), 1);
    assert!(drops.path("a.csv").exists() && !drops.path("b.csv").exists());
}

#[tokio::test]
async fn no_cell_is_told_when_the_header_is_missing() {
    let secret = "DE89370400440532013000";
    for (text, columns) in [
        (format!("1,{secret},{secret}\n"), json!([])),
        (format!("id,{secret}\n1,{}\n", "x".repeat(2 << 20)), json!([])),
        (format!("1,{secret}\n"), json!([{"name": "id", "type": "int64"}])),
        (format!("1,{secret},\n"), json!([])),
    ] {
        let drops = Drops::new().with("columns", columns).with("field_max", json!("1KiB"));
        drops.deliver("a.csv", &text);
        let run = drops.once(&Checkpoint::default()).await;
        assert!(!run.rejected.is_empty(), "{:?}", run.notices());
        let told = format!("{:?} {:?}", run.notices(), run.rejected.iter().map(|r| &r.message).collect::<Vec<_>>());
        assert!(!told.contains("DE89"), "{told}");
    }
}
