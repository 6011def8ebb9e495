//! `expect`: what is told of a day's files, and that nothing waits for it. Deadlines lie before the test began, so that no test waits for
//! one; what came on other days has its time set back in the checkpoint, as after a restart.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;

use chrono::{DateTime, TimeDelta, Utc};
use harness::{Drops, Run, numbered, rows_of};
use serde_json::{Value, json};
use unbatch_api::{Bound, Checkpoint};

/// Files were due so many hours ago.
fn due(hours: i64) -> DateTime<Utc> {
    Utc::now() - TimeDelta::hours(hours)
}

/// The day of a deadline, as notices name it.
fn day(of: DateTime<Utc>) -> String {
    of.format("%Y-%m-%d").to_string()
}

fn expecting(by: DateTime<Utc>, more: Value) -> Drops {
    let mut expect = json!({"by": by.format("%H:%M").to_string()});
    expect.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Drops::new().with("expect", expect)
}

/// The one state that is shown.
fn state(run: &Run) -> &'static str {
    let shown = ["on_time", "late", "missing", "empty", "duplicate"].map(|s| (s, run.number(&format!("expected_{s}"))));
    assert_eq!(shown.iter().map(|(_, n)| n).sum::<i64>(), 1, "{shown:?}");
    shown.iter().find(|(_, n)| *n == 1).unwrap().0
}

fn told(run: &Run, code: &str, subject: &str) -> usize {
    run.notices().iter().filter(|n| n.code == code && n.subject == subject).count()
}

/// The checkpoint as if everything had come so many hours earlier.
fn set_back(checkpoint: &Checkpoint, hours: i64) -> Checkpoint {
    let mut aged = checkpoint.clone();
    let mut changed = 0;
    for (key, bytes) in &mut aged.notes {
        if !key.as_str().starts_with("ledger/") {
            continue;
        }
        let mut page: Value = serde_json::from_slice(bytes).unwrap();
        for file in page["files"].as_array_mut().unwrap() {
            file["came"] = (file["came"].as_i64().unwrap() - hours * 3_600_000).into();
            changed += 1;
        }
        *bytes = serde_json::to_vec(&page).unwrap().into();
    }
    assert!(changed > 0, "there are entries");
    aged
}

#[tokio::test]
async fn a_day_without_files_is_missing_until_one_comes() {
    let by = due(3);
    let drops = expecting(by, json!({"grace": "1h"}));
    let mut run = drops.open(Bound::Continuous).await;
    run.until("the day is missing", |run| told(run, "missing", &day(by)) == 1).await.unwrap();
    assert_eq!(state(&run), "missing");
    let next = run.number("expected_by_timestamp_seconds") - Utc::now().timestamp();
    assert!((20 * 3600..=21 * 3600).contains(&next), "{next} s to the next deadline");
    drops.deliver("a.csv", numbered(0..3));
    run.until("the day is late", |run| told(run, "late", &day(by)) == 1).await.unwrap();
    assert_eq!((state(&run), run.rows.clone()), ("late", rows_of("a.csv", 0..3)));
    assert_eq!(told(&run, "missing", &day(by)), 1);
}

#[tokio::test]
async fn files_are_awaited_within_the_grace_and_read_when_they_come() {
    let by = due(1);
    let drops = expecting(by, json!({"grace": "10h", "files": 2}));
    drops.deliver("a.csv", numbered(0..3));
    let mut run = drops.open(Bound::Continuous).await;
    run.until("the day is late", |run| told(run, "late", &day(by)) == 1).await.unwrap();
    run.until("rows come all the same", |run| run.rows.len() == 3).await.unwrap();
    drops.deliver("b.csv", numbered(3..5));
    run.until("both came", |run| told(run, "late", &day(by)) == 2).await.unwrap();
    assert_eq!((state(&run), run.rows.len()), ("late", 5));
    // another one changes nothing
    drops.deliver("c.csv", numbered(5..6));
    run.until("the third file", |run| run.rows.len() == 6).await.unwrap();
    assert_eq!((state(&run), told(&run, "late", &day(by))), ("late", 2));
}

#[tokio::test]
async fn a_bounded_run_is_judged_at_its_end() {
    let by = due(1);
    for (grace, text, want) in [
        ("10h", numbered(0..3), "late"),
        ("10h", "id,text\n".to_owned(), "empty"),
        ("0s", numbered(0..3), "late"),
        ("0s", "id,text\n".to_owned(), "missing"),
        // a file that is set aside came
        ("10h", "id,text\n1,\"one\n".to_owned(), "late"),
    ] {
        let drops = expecting(by, json!({"grace": grace}));
        drops.deliver("a.csv", text);
        let run = drops.once(&Checkpoint::default()).await;
        assert_eq!((state(&run), told(&run, want, &day(by))), (want, 1), "{grace} {:?}", run.notices());
        let all = run.notices().into_iter().filter(|n| n.subject == day(by)).count();
        assert_eq!(all, 1, "one state is told: {:?}", run.notices());
    }
}

#[tokio::test]
async fn what_came_before_a_restart_counts() {
    let by = due(1);
    let drops = expecting(by, json!({"grace": "10h"})).with("after", json!("delete"));
    drops.deliver("a.csv", numbered(0..3));
    let run = drops.once(&Checkpoint::default()).await;
    assert_eq!(state(&run), "late");
    assert!(!drops.path("a.csv").exists());
    let run = drops.once(&set_back(&run.committed, 2)).await;
    assert_eq!((state(&run), run.notices()), ("on_time", vec![]));
    let run = drops.once(&set_back(&run.committed, 24)).await;
    assert_eq!((state(&run), told(&run, "late", &day(by))), ("late", 1));
}

#[tokio::test]
async fn a_file_of_another_day_that_is_sent_again_is_a_duplicate_and_one_that_is_touched_is_nothing() {
    let by = due(1);
    let drops = expecting(by, json!({"grace": "10h"}));
    drops.deliver("a.csv", numbered(0..3));
    let run = drops.once(&Checkpoint::default()).await;
    let yesterday = set_back(&run.committed, 26);
    // rights are changed, which changes its times
    let mut rights = std::fs::metadata(drops.path("a.csv")).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut rights, 0o600);
    std::fs::set_permissions(drops.path("a.csv"), rights).unwrap();
    let touched = drops.once(&yesterday).await;
    assert_eq!((state(&touched), told(&touched, "late", &day(by))), ("late", 1));
    drops.deliver("a.csv", numbered(0..3));
    let run = drops.once(&yesterday).await;
    assert!(run.rows.is_empty() && run.has_notice("duplicate", "a.csv"), "{:?}", run.notices());
    assert_eq!((state(&run), told(&run, "duplicate", &day(by))), ("duplicate", 1));
    // and still so after a restart
    let run = drops.once(&run.committed).await;
    assert_eq!(state(&run), "duplicate");
    drops.deliver("b.csv", numbered(3..5));
    let run = drops.once(&run.committed).await;
    assert_eq!((state(&run), run.rows.len()), ("late", 2));
}

#[tokio::test]
async fn a_day_on_which_nothing_is_due_is_not_judged() {
    let by = due(1);
    let before = by - TimeDelta::days(2);
    let weekday = before.format("%a").to_string().to_lowercase();
    let drops = expecting(by, json!({"grace": "2h", "days": [weekday]}));
    let run = drops.once(&Checkpoint::default()).await;
    assert_eq!((state(&run), told(&run, "missing", &day(before))), ("missing", 1), "{:?}", run.notices());
}

#[tokio::test]
async fn a_marker_says_when_its_file_came() {
    let by = due(1);
    let drops = expecting(by, json!({"grace": "10h"})).with("ready_when", json!({"marker": ".done"}));
    drops.deliver("a.csv", numbered(0..3));
    let run = drops.once(&Checkpoint::default()).await;
    assert!(run.rows.is_empty());
    assert_eq!((state(&run), told(&run, "late", &day(by))), ("late", 1));
    drops.deliver("a.csv.done", "");
    let run = drops.once(&run.committed).await;
    assert_eq!((state(&run), run.rows.len()), ("late", 3));
    assert!(run.notices().iter().any(|n| n.message.contains("later")), "{:?}", run.notices());
}

#[tokio::test]
async fn who_expects_nothing_is_told_nothing_and_keeps_nothing() {
    let drops = Drops::new();
    drops.deliver("a.csv", numbered(0..3));
    let run = drops.once(&Checkpoint::default()).await;
    assert!(run.reports.numbers().keys().all(|name| !name.starts_with("expected_")), "{:?}", run.reports.numbers());
    let kept: Vec<String> = run.committed.notes.values().map(|n| String::from_utf8_lossy(n).into_owned()).collect();
    assert!(
        kept.iter().any(|note| note.contains("a.csv")) && kept.iter().all(|note| !note.contains("came")),
        "{kept:?}"
    );
    // files from before something was expected count by their times
    let by = due(1);
    let drops = drops.with("expect", json!({"by": by.format("%H:%M").to_string(), "grace": "10h"}));
    let run = drops.once(&run.committed).await;
    assert_eq!((state(&run), run.rows.len()), ("late", 0));
    assert!(run.notices().iter().any(|n| n.message.contains("later")), "{:?}", run.notices());
}
