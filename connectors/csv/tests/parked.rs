//! Parked files: each is tried again when it may be readable now, none of its rows comes twice, and its entry in quarantine waits
//! until it was read to its end.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;

use harness::{Drops, Run, numbered, rows_of};
use serde_json::json;
use std::fs::File;
use std::time::SystemTime;
use unbatch_api::quarantine::QuarantineEntry;
use unbatch_api::{Bound, Checkpoint, Jump, SourceConnector, SplitId, StopAfter};
use unbatch_csv::CsvDrops;

/// What a sink would have in quarantine after these runs, by what the sources handed on.
#[derive(Default)]
struct Quarantine(Vec<QuarantineEntry>);

impl Quarantine {
    /// As a sink does it: marks first, then new entries.
    fn take(&mut self, run: &Run) {
        let place = unbatch_api::testkit::context::place("stock-counts");
        for mark in &run.replayed {
            let kept = self.0.iter_mut().find(|entry| entry.id == mark.id).expect("a mark of an entry that is known");
            assert_eq!((&kept.raw, &kept.code, &kept.origin), (&mark.raw, &mark.code, &mark.origin));
            assert!(mark.replayed.is_some() && mark.message.starts_with(&kept.message), "{mark:?}");
            *kept = mark.clone();
        }
        for row in &run.rejected {
            let entry = row.clone().into_entry(&SplitId::new(place.split.pipeline.clone(), 0), 1);
            self.0.retain(|kept| kept.id != entry.id);
            self.0.push(entry);
        }
    }
    fn waiting(&self) -> Vec<&str> {
        self.0.iter().filter(|e| e.replayed.is_none()).map(|e| e.code.as_str()).collect()
    }
    fn settled(&self) -> Vec<&str> {
        let settled = self.0.iter().filter(|e| e.replayed.is_some());
        settled.map(|e| e.message.split("settled: ").nth(1).unwrap_or("")).collect()
    }
}

async fn with_stop(drops: &Drops, resume: &Checkpoint, count: Option<u64>) -> Run {
    let change = |s: &mut harness::Settings| s.stop_after = StopAfter { count, percent: None };
    let mut run = drops.open_with(resume.clone(), Bound::Once, change).await.unwrap();
    run.finish().await.unwrap();
    run
}

/// The header says `id;text`, the configuration a comma.
#[tokio::test]
async fn a_parked_file_is_tried_again_once_the_configuration_was_mended_and_its_entry_is_settled() {
    for identity in ["content", "delivery"] {
        let drops = Drops::new().with("identity", json!(identity));
        drops.deliver("a.csv", numbered(0..3).replace(',', ";"));
        let mut quarantine = Quarantine::default();
        let run = drops.once(&Checkpoint::default()).await;
        quarantine.take(&run);
        assert_eq!(quarantine.waiting(), ["header_missing_column"]);
        // nothing that has to do with reading: nothing happens
        let drops = drops.with("poll", json!("6ms"));
        let run = drops.once(&run.committed).await;
        assert_eq!((run.rows.len(), run.codes().len(), run.replayed.len()), (0, 0, 0));
        // a change that does not help: one entry stands for the file, and it is tried once
        let drops = drops.with("dialect", json!({"delimiter": "|"}));
        let mut run = drops.once(&run.committed).await;
        quarantine.take(&run);
        assert_eq!(quarantine.waiting(), ["header_missing_column"]);
        run = drops.once(&run.committed).await;
        assert_eq!((run.codes().len(), run.replayed.len()), (0, 0));

        let drops = drops.with("dialect", json!({"delimiter": ";"}));
        let run = drops.once(&run.committed).await;
        assert_eq!(run.rows, rows_of("a.csv", 0..3));
        quarantine.take(&run);
        assert!(quarantine.waiting().is_empty(), "{:?}", quarantine.0);
        assert!(quarantine.settled()[1].contains("read to its end"), "{:?}", quarantine.settled());
        assert!(run.committed.notes.keys().all(|key| !key.as_str().starts_with("parked/")), "nothing is owed");
        let run = drops.with("dialect", json!({"delimiter": ","})).once(&run.committed).await;
        assert!(run.rows.is_empty() && run.codes().is_empty(), "a file that was read is done: {:?}", run.rows);
    }
}

/// Rows that were taken before the file was parked are not taken again, whatever made it readable.
#[tokio::test]
async fn a_file_that_is_tried_again_goes_on_behind_the_rows_that_were_taken() {
    let drops = Drops::new();
    drops.deliver("a.csv", "id,text\n0,row-0\nx,row-1\n2,row-2\ny,row-3\n4,row-4\n");
    let mut quarantine = Quarantine::default();
    let run = with_stop(&drops, &Checkpoint::default(), Some(1)).await;
    assert_eq!(
        (&run.rows[..], run.codes()),
        (
            &["a.csv:2 0|row-0".to_owned(), "a.csv:4 2|row-2".into()][..],
            vec!["bad_int", "bad_int", "too_many_rejected"]
        )
    );
    quarantine.take(&run);
    // delivered again as it was: parked at the same place, and no row twice
    drops.deliver("a.csv", std::fs::read(drops.path("a.csv")).unwrap());
    let run = with_stop(&drops, &run.committed, Some(1)).await;
    assert_eq!((run.rows.len(), run.codes()), (0, vec!["too_many_rejected"]));
    quarantine.take(&run);
    assert_eq!(quarantine.waiting(), ["bad_int", "bad_int", "too_many_rejected"]);
    let run = with_stop(&drops, &run.committed, Some(9)).await;
    assert_eq!((&run.rows[..], run.codes().len()), (&["a.csv:6 4|row-4".to_owned()][..], 0));
    quarantine.take(&run);
    assert_eq!(quarantine.waiting(), ["bad_int", "bad_int"]);
    let views = CsvDrops::describe(&drops.config(), &run.committed);
    assert!(views[0].meaning.starts_with("5 rows") && views[0].meaning.ends_with("2 rejected"), "{views:?}");
}

/// It dies in the middle of the second attempt.
#[tokio::test]
async fn an_attempt_that_dies_goes_on_where_it_was() {
    let drops = Drops::new().with("record_max", json!("1MiB"));
    let text = numbered(0..3) + "3,\"" + &"x".repeat(3 << 20) + "\"\n" + &numbered(4..40)["id,text\n".len()..];
    drops.deliver("a.csv", text);
    let run = drops.once(&Checkpoint::default()).await;
    assert_eq!((run.rows.len(), run.codes()), (3, vec!["record_too_large"]));
    let drops = drops.with("record_max", json!("16MiB"));
    let mut rows: Vec<String> = vec![];
    let mut second = drops.open_with(run.committed, Bound::Once, |s| s.rows(2)).await.unwrap();
    second.read_rows(5).await.unwrap();
    second.commit().await.unwrap();
    rows.append(&mut second.rows);
    assert!(second.replayed.is_empty(), "it is not at its end");
    let third = drops.once(&second.committed).await;
    rows.extend(third.rows.iter().cloned());
    assert_eq!(rows.len(), 37);
    assert!(rows[0].starts_with("a.csv:5 3|xxx") && rows[1] == "a.csv:6 4|row-4" && rows[36] == "a.csv:41 39|row-39");
    assert_eq!(third.replayed.len(), 1);
}

#[tokio::test]
async fn what_is_delivered_anew_under_the_name_settles_the_entries_of_the_name_once_it_is_read() {
    let drops = Drops::new();
    let mut quarantine = Quarantine::default();
    drops.deliver("a.csv", numbered(0..2) + "2,\"row");
    drops.deliver("b.csv", "id,text\n7,\"");
    let run = drops.once(&Checkpoint::default()).await;
    quarantine.take(&run);
    // broken once more, in another way: both wait
    drops.deliver("a.csv", "number,text\n");
    let run = drops.once(&run.committed).await;
    quarantine.take(&run);
    assert_eq!(quarantine.waiting(), ["truncated_in_quotes", "truncated_in_quotes", "header_missing_column"]);
    drops.deliver("a.csv", numbered(0..4));
    let run = drops.once(&run.committed).await;
    assert_eq!(run.rows, rows_of("a.csv", 0..4), "other content is another delivery");
    quarantine.take(&run);
    assert_eq!(quarantine.waiting(), ["truncated_in_quotes"]);
    assert!(quarantine.settled().iter().all(|how| how.starts_with("another file came")), "{:?}", quarantine.settled());
    // forgotten and read: not another file
    let jump = |part: &str, to: &str| [Jump { part: part.into(), position: to.into() }];
    drops.deliver("c.csv", numbered(0..2) + "2,\"row");
    let drops = drops.with("on_growth", json!("continue"));
    let run = drops.once(&run.committed).await;
    quarantine.take(&run);
    let again = CsvDrops::jump(&drops.config(), &run.committed, &jump("c.csv", "again")).unwrap();
    let drops = drops.with("dialect", json!({"quote": "'"}));
    let run = drops.once(&again).await;
    assert_eq!(run.rows[1..3], rows_of("c.csv", 0..2), "from its beginning");
    quarantine.take(&run);
    // b.csv was tried again too
    assert_eq!((quarantine.waiting().len(), run.rows.len()), (0, 4), "{:?} {:?}", quarantine.waiting(), run.rows);
    assert!(!quarantine.settled().last().unwrap().contains("another file"), "{:?}", quarantine.settled());
}

#[tokio::test]
async fn a_parked_file_that_is_given_up_is_settled() {
    let drops = Drops::new();
    let mut quarantine = Quarantine::default();
    drops.deliver("b.csv", "id,text\n7,\"");
    let run = drops.once(&Checkpoint::default()).await;
    quarantine.take(&run);
    let jump = Jump { part: "b.csv".into(), position: "done".into() };
    let given_up = CsvDrops::jump(&drops.config(), &run.committed, &[jump]).unwrap();
    let run = drops.once(&given_up).await;
    quarantine.take(&run);
    assert!(quarantine.waiting().is_empty() && drops.once(&run.committed).await.replayed.is_empty());
}

/// What is not told by content is told by time: neither another inode nor other rights make a parked file another one.
#[tokio::test]
async fn a_copy_with_the_old_time_is_tried_again_too_and_doubles_nothing() {
    for identity in ["content", "delivery"] {
        let drops = Drops::new().with("identity", json!(identity)).with("record_max", json!("1MiB"));
        let text = numbered(0..3) + "3,\"" + &"x".repeat(3 << 20) + "\"\n4,row-4\n";
        drops.deliver("a.csv", &text);
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        File::options().write(true).open(drops.path("a.csv")).unwrap().set_modified(time).unwrap();
        let run = drops.once(&Checkpoint::default()).await;
        assert_eq!((run.rows.len(), run.codes()), (3, vec!["record_too_large"]));
        drops.deliver("a.csv", &text);
        File::options().write(true).open(drops.path("a.csv")).unwrap().set_modified(time).unwrap();
        let drops = drops.with("record_max", json!("16MiB"));
        let run = drops.once(&run.committed).await;
        assert_eq!((run.rows.len(), run.replayed.len()), (2, 1), "{identity}: {:?}", run.codes());
    }
}
