//! Everything about files that is not one of the numbered rules: limits, owners, checks, splits, offsets.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;

use harness::{Drops, numbered};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use unbatch_api::testkit::context::place;
use unbatch_api::{Bound, Checkpoint, Jump, Kind, Severity, SourceConnector, SplitId, StopAfter};
use unbatch_csv::CsvDrops;

fn bad_rows(numbers: std::ops::Range<u64>, is_bad: impl Fn(u64) -> bool) -> String {
    let row = |n: u64| if is_bad(n) { format!("x,{n}\n") } else { format!("{n},row\n") };
    numbers.map(row).fold("id,text\n".into(), |text, row| text + &row)
}

#[tokio::test]
async fn too_many_rejected_rows_park_the_file_at_the_same_row_whatever_the_batches() {
    for rows in [1, 3, 1000] {
        let drops = Drops::new().with("ready_when", json!({"stable_for": "1ms"}));
        drops.deliver("a.csv", bad_rows(0..30, |n| n % 4 == 1));
        drops.deliver("b.csv", bad_rows(30..60, |n| n % 10 == 1));
        let stop_after = StopAfter { count: Some(3), percent: None };
        let mut run = drops
            .open_with(Checkpoint::default(), Bound::Once, |s| {
                s.rows(rows);
                s.stop_after = stop_after;
            })
            .await
            .unwrap();
        run.finish().await.unwrap();
        // rows 1, 5, 9 and 13 are bad, the fourth of them is one too many
        let want: Vec<u64> = (0..13).filter(|n| n % 4 != 1).chain((30..60).filter(|n| n % 10 != 1)).collect();
        let ids: Vec<u64> = run.rows.iter().map(|r| r.split([' ', '|']).nth(1).unwrap().parse().unwrap()).collect();
        assert_eq!(ids, want, "{rows} rows a batch");
        let codes = [&["bad_int"; 4][..], &["too_many_rejected"], &["bad_int"; 3]].concat();
        assert_eq!(run.codes(), codes, "{rows} rows a batch");
        assert_eq!(run.reports.parked_count(), 1);
    }
}

#[tokio::test]
async fn a_percentage_counts_from_a_thousand_rows_on_and_across_restarts() {
    let drops = Drops::new().with("ready_when", json!({"stable_for": "1ms"}));
    drops.deliver("a.csv", bad_rows(0..2000, |n| n < 20));
    let mut checkpoint = Checkpoint::default();
    let (mut rows, mut codes) = (0, Vec::new());
    // another source for each batch
    while codes.last().is_none_or(|c| c != "too_many_rejected") {
        let mut run = drops
            .open_with(checkpoint, Bound::Once, |s| {
                s.rows(300);
                s.stop_after = StopAfter { count: None, percent: Some(1.5) };
            })
            .await
            .unwrap();
        assert!(run.next().await.unwrap(), "the file was not parked: {codes:?}");
        run.commit().await.unwrap();
        rows += run.rows.len();
        codes.extend(run.codes().into_iter().map(str::to_owned));
        checkpoint = run.committed.clone();
    }
    assert_eq!((rows, codes.len()), (980, 21));
}

#[tokio::test]
async fn splits_share_the_files() {
    let drops = Drops::new().with("splits", json!(3)).with("after", json!("delete"));
    (0..12).for_each(|n| drops.deliver(&format!("{n}.csv"), numbered(n..n + 1)));
    let mut runs = Vec::new();
    for index in 0..3 {
        let mut place = place("stock-counts");
        place.base = drops.base.path().to_owned();
        place.split = SplitId::new(place.split.pipeline, index);
        runs.push(drops.open_in(place, Bound::Once).await.unwrap());
    }
    let mut all = Vec::new();
    for run in &mut runs {
        run.finish().await.unwrap();
        assert!(!run.rows.is_empty(), "a split has no files");
        all.extend(run.rows.iter().map(|r| r.split('.').next().unwrap().parse::<u64>().unwrap()));
    }
    all.sort_unstable();
    assert_eq!(all, (0..12).collect::<Vec<_>>());
    assert_eq!(drops.names_in("drops"), [".unbatch-owner-test.stock-counts"]);
}

#[tokio::test]
async fn two_pipelines_over_one_folder_where_one_moves_are_refused() {
    let mover = Drops::new().with("after", json!("delete"));
    let mut run = mover.open(Bound::Continuous).await;
    let keeper = mover.beside("other").with("after", json!("keep"));
    let error = keeper.open_at(Checkpoint::default(), Bound::Once).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.one_line().contains("stock-counts"), "{error:?}");
    // other files in the same folder are nobody else's business, until a file is both
    let keeper = keeper.with("match", json!("x_*.csv"));
    let mut other = keeper.open(Bound::Continuous).await;
    keeper.deliver("x_1.csv", numbered(0..1));
    let error = other.until("the conflict is seen", |_| false).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured, "{error:?}");
    run.read_rows(1).await.unwrap();
    // who no longer moves takes its marker along
    drop(run);
    let keeper = mover.with("after", json!("keep"));
    keeper.open(Bound::Once).await;
    assert_eq!(keeper.names_in("drops"), ["x_1.csv"]);
}

#[tokio::test]
async fn check_says_what_stands_in_the_way() {
    let drops = Drops::new().with("after", json!({"move_to": "archive"}));
    let check = async |drops: &Drops| {
        let mut place = place("stock-counts");
        place.base = drops.base.path().to_owned();
        CsvDrops::check(drops.config(), place).await
    };
    let findings = check(&drops).await.unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].severity, Severity::Warning);
    drops.deliver("a.csv", "id,text\n");
    assert!(check(&drops).await.unwrap().is_empty());
    assert_eq!(drops.names_in("drops"), ["a.csv"]);
    let inside = drops.with("after", json!({"move_to": "drops/../drops"}));
    assert!(check(&inside).await.unwrap().iter().any(|f| f.code == "U0215"));
    let nowhere = inside.with("url", json!("nowhere"));
    assert_eq!(check(&nowhere).await.unwrap_err().kind(), Kind::Misconfigured);
}

#[test]
fn validate_finds_every_mistake_at_once() {
    let drops = Drops::new()
        .with("url", json!("https://host/drops"))
        .with("match", json!("a/*.csv"))
        .with("splits", json!(0))
        .with("dialect", json!({"delimiter": "\n", "quote": "\"", "encoding": "utf-17"}))
        .with("after", json!({"move_to": "gcs://b/"}))
        .with("ready_when", json!({"marker": ""}))
        .with(
            "columns",
            json!([
                {"name": "a", "type": "int32", "format": "%d"}, {"name": "a", "type": "date", "format": "%Q"},
                {"name": "t", "type": "timestamp", "zone": "Europe/Berlon"},
            ]),
        );
    let problems = CsvDrops::validate(&drops.config());
    let found: Vec<_> = problems.iter().map(|p| format!("{} {}", p.code, p.path)).collect();
    let want = [
        "U0210 url",
        "U0211 match",
        "U0210 after.move_to",
        "U0214 ready_when.marker",
        "U0212 dialect.delimiter",
        "U0212 dialect.encoding",
        "U0213 columns[0].format",
        "U0213 columns[1].name",
        "U0213 columns[1].format",
        "U0213 columns[2].zone",
        "U0214 splits",
    ];
    assert_eq!(found, want);
    assert!(problems.iter().all(|p| !p.help.is_empty()));
    let same = Drops::new().with("after", json!({"move_to": "drops"}));
    assert_eq!(CsvDrops::validate(&same.config())[0].code, "U0215");
    for (url, to, is_right) in [
        ("s3://b/in/", "s3://b/done/", true),
        ("s3://b/in/", "s3://b/in", false),
        ("s3://b/in/", "s3://c/done/", false),
        ("s3://b/in/", "gs://b/done/", false),
        ("s3://b/in/", "done", false),
        ("in", "s3://b/done/", false),
    ] {
        let moved = Drops::new().with("url", json!(url)).with("after", json!({"move_to": to}));
        let found = CsvDrops::validate(&moved.config());
        assert_eq!(found.is_empty(), is_right, "{url} to {to}: {found:?}");
        assert!(found.iter().all(|p| (p.code, p.path.as_str()) == ("U0215", "after.move_to")), "{found:?}");
    }
    let entry = Drops::new().with("entry", json!("*.csv")).with("compression", json!("gz"));
    assert_eq!(CsvDrops::validate(&entry.config())[0].path, "entry");
}

#[test]
fn unknown_keys_and_types_are_refused() {
    for (key, value) in
        [("tabels", json!([])), ("columns", json!([{"name": "a", "type": "money"}])), ("poll", json!("5"))]
    {
        let drops = Drops::new().with(key, value);
        assert!(serde_json::from_value::<unbatch_csv::CsvDropsConfig>(drops.config).is_err(), "{key}");
    }
}

#[tokio::test]
async fn offsets_are_told_and_set_in_human_terms() {
    let drops = Drops::new().with("ready_when", json!({"stable_for": "1ms"}));
    drops.deliver("a.csv", numbered(0..3));
    drops.deliver("b.csv", numbered(3..9));
    let mut run = drops.open_with(Checkpoint::default(), Bound::Once, |s| s.rows(2)).await.unwrap();
    run.read_rows(5).await.unwrap();
    run.commit().await.unwrap();
    let (config, committed) = (drops.config(), run.committed.clone());
    drop(run);
    let views = CsvDrops::describe(&config, &committed);
    assert_eq!(views[0].meaning, "b.csv, 2 rows read, 24 B of 56 B");
    assert_eq!((views[1].part.as_str(), views[1].position.as_str()), ("a.csv", "done"));

    let set = |checkpoint: &Checkpoint, part: &str, position: &str| {
        let jump = Jump { part: part.into(), position: position.into() };
        CsvDrops::jump(&config, checkpoint, &[jump])
    };
    assert_eq!(set(&committed, "a.csv", "later").unwrap_err().kind(), Kind::Misconfigured);
    assert_eq!(set(&committed, "c.csv", "again").unwrap_err().kind(), Kind::Misconfigured);
    let again = set(&committed, "a.csv", "again").unwrap();
    let given_up = set(&again, &views[0].part, "done").unwrap();
    drops.deliver("c.csv", numbered(20..21));
    let marked = set(&given_up, "c.csv", "done").unwrap();
    let mut run = drops.open_at(marked, Bound::Once).await.unwrap();
    run.finish().await.unwrap();
    assert_eq!(run.rows, ["a.csv:2 0|row-0", "a.csv:3 1|row-1", "a.csv:4 2|row-2"]);
    assert!(CsvDrops::describe(&config, &run.committed).iter().all(|v| v.position == "done"));
}

#[tokio::test]
async fn a_new_file_is_noticed_by_the_next_look() {
    let drops = Drops::new().with("poll", json!("250ms")).with("ready_when", json!({"stable_for": "10ms"}));
    let mut run = drops.open(Bound::Continuous).await;
    assert!(run.is_quiet(Duration::from_millis(20)).await);
    drops.deliver("a.csv", numbered(0..1));
    run.read_rows(1).await.unwrap();
    assert_eq!(run.rows, ["a.csv:2 0|row-0"]);
}

#[tokio::test]
async fn once_leaves_what_comes_later_to_the_next_run() {
    let drops = Drops::new();
    drops.deliver("a.csv", numbered(0..2));
    let mut run = drops.open_with(Checkpoint::default(), Bound::Once, |s| s.rows(1)).await.unwrap();
    run.read_rows(1).await.unwrap();
    drops.deliver("b.csv", numbered(2..4));
    run.finish().await.unwrap();
    assert_eq!(run.rows.len(), 2);
    let mut next = drops.open_at(run.committed.clone(), Bound::Once).await.unwrap();
    next.finish().await.unwrap();
    assert_eq!(next.rows, ["b.csv:2 2|row-2", "b.csv:3 3|row-3"]);
}

#[tokio::test]
async fn a_run_that_is_never_settled_releases_with_the_next_one() {
    let drops = Drops::new().with("after", json!({"move_to": "deep/archive"}));
    drops.deliver("a.csv", numbered(0..2));
    let mut run = drops.open(Bound::Once).await;
    run.read_all().await.unwrap();
    run.seal().await.unwrap();
    let committed = run.committed.clone();
    drop(run);
    assert!(drops.path("a.csv").exists());
    drops.open_at(committed, Bound::Once).await.unwrap().finish().await.unwrap();
    assert!(!drops.path("a.csv").exists());
    assert_eq!(drops.names_in("deep/archive").len(), 1);
}

#[tokio::test]
async fn a_hidden_file_that_is_not_the_one_that_was_read_gets_its_name_back() {
    let drops = Drops::new().with("after", json!({"move_to": "archive"}));
    drops.deliver("a.csv", numbered(0..2));
    let mut run = drops.open(Bound::Once).await;
    run.read_all().await.unwrap();
    run.seal().await.unwrap();
    let archive = run.committed.notes.values().find_map(|note| {
        let note: serde_json::Value = serde_json::from_slice(note).ok()?;
        Some(note["files"][0]["archive"].as_str()?.to_owned())
    });
    // a crash after a rename that caught a newer delivery, and a newer one still
    let committed = run.committed.clone();
    drop(run);
    drops.deliver(&format!(".{}", archive.unwrap()), numbered(5..7));
    drops.deliver("a.csv", numbered(8..9));
    let mut run = drops.open_at(committed, Bound::Once).await.unwrap();
    run.finish().await.unwrap();
    let mut run = drops.open_at(run.committed.clone(), Bound::Once).await.unwrap();
    run.finish().await.unwrap();
    assert_eq!(run.rows, ["a~returned-1.csv:2 5|row-5", "a~returned-1.csv:3 6|row-6"]);
    assert_eq!(drops.names_in("archive").len(), 2);
}

#[test]
fn the_same_words_in_another_folder_are_another_source() {
    let of = |url: &str, base: &str| {
        let text = format!(r#"{{"url": "{url}", "match": "*.csv", "columns": []}}"#);
        CsvDrops::fingerprint(&serde_json::from_str(&text).unwrap(), Path::new(base))
    };
    assert_ne!(of("file:drops/", "/shop/a"), of("file:drops/", "/shop/b"));
    assert_eq!(of("file:../drops/", "/shop/a"), of("file:///shop/drops", "/shop/b"));
}
