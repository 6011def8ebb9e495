//! Full dumps: what of a whole table is handed on, what is never believed, and how a run goes on in the middle. Tests whose names begin with
//! `dump_` fail when their rule is switched off (`UNBATCH_SABOTAGE=dump-guards`).

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;

use harness::{Drops, Run};
use serde_json::{Value, json};
use unbatch_api::{Bound, Checkpoint, Error, Jump, Kind, SourceConnector};
use unbatch_csv::CsvDrops;

fn drops() -> Drops {
    Drops::new()
        .with("mode", json!({"full_dump": {"key": ["sku"], "baseline": "baselines", "deletes_max": "50%"}}))
        .with(
            "columns",
            json!([{"name": "sku", "type": "string"}, {"name": "price", "type": "int64", "required": true}]),
        )
}

/// `c a|1`: operation and cells.
fn changes(run: &Run) -> Vec<String> {
    let cells = |row: &String| row.split_once(' ').unwrap().1.to_owned();
    run.ops.iter().zip(&run.rows).map(|(op, row)| format!("{op} {}", cells(row))).collect()
}

fn csv(rows: &[&str]) -> String {
    let mut text = String::from("sku,price\n");
    rows.iter().for_each(|row| text.push_str(&format!("{row}\n")));
    text
}

/// A night: the file is there, all of it is handed on and committed.
async fn night(drops: &Drops, from: &Checkpoint, name: &str, rows: &[&str]) -> Run {
    drops.deliver(name, csv(rows));
    drops.once(from).await
}

fn jumped(drops: &Drops, from: &Checkpoint, file: &str, to: &str) -> Result<Checkpoint, Error> {
    CsvDrops::jump(&drops.config(), from, &[Jump { part: file.into(), position: to.into() }])
}

#[tokio::test]
async fn what_changed_since_the_night_before_is_handed_on_and_nothing_else() {
    let drops = drops();
    let run = night(&drops, &Checkpoint::default(), "1.csv", &["b,2", "a,1", "c,3"]).await;
    assert_eq!(changes(&run), ["c a|1", "c b|2", "c c|3"], "in the order of their keys");
    assert_eq!(run.rows[0], "1.csv:3 a|1", "with the place that each has in the file");
    let run = night(&drops, &run.committed, "2.csv", &["d,4", "a,1", "b,5"]).await;
    assert_eq!(changes(&run), ["u b|5", "d c|∅", "c d|4"]);
    assert!(run.rows[1].starts_with("2.csv:0 "), "a row that is gone stands nowhere: {}", run.rows[1]);
    assert_eq!((run.number("rows_unchanged_total"), run.number("rows_deleted_total")), (1, 1));
    let run = night(&drops, &run.committed, "3.csv", &["b,5", "a,1", "d,4"]).await;
    assert!(changes(&run).is_empty() && run.number("files_loaded_total") == 1);
    // the same content again is a duplicate, read again by hand it comes to nothing
    drops.deliver("3.csv", csv(&["b,5", "a,1", "d,4"]));
    let run = drops.once(&run.committed).await;
    assert_eq!((changes(&run).len(), run.number("files_duplicate_total")), (0, 1));
    let run = drops.once(&jumped(&drops, &run.committed, "3.csv", "again").unwrap()).await;
    assert_eq!((changes(&run).len(), run.number("files_loaded_total")), (0, 1));
}

#[tokio::test]
async fn dump_baseline_stays_until_the_next_is_committed() {
    let drops = drops();
    let run = night(&drops, &Checkpoint::default(), "1.csv", &["a,1"]).await;
    let first = drops.names_in("baselines");
    assert_eq!(first.len(), 1);
    assert!(first[0].starts_with("test.stock-counts.0.000001-000001."), "{first:?}");
    drops.deliver("2.csv", csv(&["a,2"]));
    let mut run = drops.open_at(run.committed, Bound::Once).await.unwrap();
    run.read_all().await.unwrap();
    run.seal().await.unwrap();
    assert_eq!(drops.names_in("baselines").len(), 2, "the source was not told that it is committed");
    run.publish();
    run.source.settle(&run.committed).await.unwrap();
    let second = drops.names_in("baselines");
    assert!(second.len() == 1 && second != first, "{second:?}");
}

#[tokio::test]
async fn dump_guards_park_a_file_and_nothing_of_it_is_handed_on() {
    let drops = drops();
    let mut run = night(&drops, &Checkpoint::default(), "2.csv", &["a,1", "b,2", "c,3", "d,4"]).await;
    for (name, text, code, message) in [
        ("3.csv", csv(&["a,9", "b,9", "a,8"]), "dump_duplicate_key", "lines 2 and 4"),
        ("4.csv", csv(&["a,9", "b,9", "a,x"]), "dump_duplicate_key", "lines 2 and 4"),
        ("5.csv", csv(&["a,9"]), "dump_deletes_too_many", "3 of 4 rows"),
        ("6.csv", csv(&[]), "dump_empty", "the table had 4"),
        ("7.csv", String::new(), "dump_empty", "the table had 4"),
        ("8.csv", csv(&["a,x"]), "dump_empty", "no rows that could be read"),
        ("9.csv", csv(&["a,9", "b,\""]), "truncated_in_quotes", ""),
        ("1.csv", csv(&["a,9", "b,2", "c,3", "d,4"]), "dump_out_of_order", "`2.csv`"),
        ("91.csv", "price\n7\n".to_owned(), "header_missing_column", "`sku`"),
    ] {
        drops.deliver(name, text);
        let next = drops.once(&run.committed).await;
        assert_eq!((changes(&next), next.codes()), (vec![], vec![code]), "{name}");
        assert!(next.rejected[0].message.contains(message), "{}", next.rejected[0].message);
        assert_eq!(next.reports.parked_count(), 1);
        run = next;
        // it is tried once, and what comes after it is not kept by it
        assert!(drops.once(&run.committed).await.codes().is_empty());
    }
    let run = night(&drops, &run.committed, "92.csv", &["a,1", "b,2", "c,4", "d,4"]).await;
    assert_eq!(changes(&run), ["u c|4"]);
    assert_eq!(drops.names_in("baselines").len(), 1);
}

/// Decision 11: another configuration is worth another attempt, and nothing of a newer dump is undone by it.
#[tokio::test]
async fn a_parked_dump_is_tried_again_under_another_guard_unless_a_newer_one_was_taken() {
    for is_newer_taken in [false, true] {
        let drops = drops().with("mode", drops_mode("10%"));
        let run = night(&drops, &Checkpoint::default(), "1.csv", &["a,1", "b,2", "c,3", "d,4"]).await;
        let mut run = night(&drops, &run.committed, "2.csv", &["a,1", "b,2"]).await;
        assert_eq!(run.codes(), ["dump_deletes_too_many"]);
        if is_newer_taken {
            run = night(&drops, &run.committed, "3.csv", &["a,1", "b,2", "c,3", "d,5"]).await;
            assert_eq!(changes(&run), ["u d|5"]);
        }
        let drops = drops.with("mode", drops_mode("100%"));
        run = drops.once(&run.committed).await;
        let (want, codes) = match is_newer_taken {
            false => (vec!["d c|∅", "d d|∅"], vec![]),
            true => (vec![], vec!["dump_out_of_order"]),
        };
        assert_eq!(
            (changes(&run), run.codes(), run.replayed.len()),
            (want.iter().map(|c| c.to_string()).collect(), codes, 1)
        );
    }
}

fn drops_mode(deletes_max: &str) -> Value {
    json!({"full_dump": {"key": ["sku"], "baseline": "baselines", "deletes_max": deletes_max}})
}

#[tokio::test]
async fn a_refused_row_keeps_what_was_told_of_it_and_without_its_key_nothing_is_deleted() {
    let drops = drops();
    let run = night(&drops, &Checkpoint::default(), "1.csv", &["a,1", "b,2", "c,3"]).await;
    let run = night(&drops, &run.committed, "2.csv", &["a,x", "b,2", "c,4", "n,y"]).await;
    assert_eq!((changes(&run), run.codes()), (vec!["u c|4".to_owned()], vec!["bad_int", "bad_int"]));
    // one row has no key, so nobody knows whether `c` is gone
    let run = night(&drops, &run.committed, "3.csv", &["a,1", "b,3", ",7"]).await;
    assert_eq!((changes(&run), run.codes()), (vec!["u b|3".to_owned()], vec!["missing_required"]));
    assert!(run.has_notice("deletes_withheld", "3.csv"));
    let run = night(&drops, &run.committed, "4.csv", &["a,1", "b,3", "d,4,5"]).await;
    assert_eq!((changes(&run).len(), run.codes()), (0, vec!["too_many_fields"]));
    assert!(run.has_notice("deletes_withheld", "4.csv"));
    let run = night(&drops, &run.committed, "5.csv", &["a,1", "b,3", "d,4"]).await;
    assert_eq!(changes(&run), ["d c|∅", "c d|4"]);
}

#[tokio::test]
async fn equal_rows_count_once_and_are_told() {
    let drops = drops();
    let run = night(&drops, &Checkpoint::default(), "1.csv", &["a,1", "b,2", "a,1"]).await;
    assert_eq!(changes(&run), ["c a|1", "c b|2"]);
    assert!(run.has_notice("rows_repeated", "1.csv") && run.codes().is_empty());
}

/// It was read half written, and is written on in place: the rest comes, and nothing twice.
#[tokio::test]
async fn a_dump_that_grows_is_read_whole_and_comes_to_what_is_new() {
    for identity in ["content", "delivery"] {
        let drops = drops().with("identity", json!(identity));
        let run = night(&drops, &Checkpoint::default(), "1.csv", &["a,1", "b,2"]).await;
        drops.append("1.csv", "c,3\n");
        let run = drops.once(&run.committed).await;
        assert_eq!((changes(&run), run.has_notice("grown", "1.csv")), (vec!["c c|3".to_owned()], false));
        let run = night(&drops, &run.committed, "1.csv", &["a,1", "c,4"]).await;
        assert_eq!(changes(&run), ["d b|∅", "u c|4"], "the same name each night");
    }
}

#[tokio::test]
async fn a_dump_without_a_header_has_its_columns_by_position() {
    let drops = drops().with("dialect", json!({"header": "none"}));
    drops.deliver("1.csv", "b,2\na,1\n");
    let run = drops.once(&Checkpoint::default()).await;
    drops.deliver("2.csv", "a,1\nc,x\nb,3\n");
    let run = drops.once(&run.committed).await;
    assert_eq!((changes(&run), run.codes()), (vec!["u b|3".to_owned()], vec!["bad_int"]));
}

#[tokio::test]
async fn other_columns_hand_every_row_on_once_and_still_see_deletes() {
    let drops = drops();
    let run = night(&drops, &Checkpoint::default(), "1.csv", &["a,1", "b,2", "c,3"]).await;
    drops.deliver("2.csv", "sku,price,colour\na,1,red\nb,2,\n");
    let run = drops.once(&run.committed).await;
    assert_eq!(changes(&run), ["r a|1|red", "r b|2|∅", "d c|∅|∅"]);
    assert!(run.has_notice("rebaselined", "2.csv"));
    // the order of columns is none of their business
    drops.deliver("3.csv", "colour,sku,price\nred,a,1\n,b,5\n");
    let run = drops.once(&run.committed).await;
    assert_eq!(changes(&run), ["u b|5|∅"]);
    // and another type in the configuration is another column
    let drops = drops.with("columns", json!([{"name": "price", "type": "decimal(9,2)"}]));
    drops.deliver("4.csv", "colour,sku,price\nred,a,1\n,b,5\n");
    let run = drops.once(&run.committed).await;
    assert_eq!(run.ops, ["r", "r"]);
}

#[tokio::test]
async fn dump_resume_goes_on_behind_what_was_handed_on() {
    let drops = drops();
    let rows: Vec<String> = (0..40).map(|n| format!("k{n:02},{n}")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).chain(["x,bad", "y,bad", "z,bad"]).collect();
    drops.deliver("1.csv", csv(&rows));
    for stop in [1, 3, 4, 10, 40] {
        let mut first = drops.open_with(Checkpoint::default(), Bound::Once, |s| s.rows(2)).await.unwrap();
        while first.rows.len() + first.rejected.len() < stop {
            assert!(first.next().await.unwrap());
        }
        first.commit().await.unwrap();
        let views = CsvDrops::describe(&drops.config(), &first.committed);
        assert!(views[0].meaning.contains("a full dump") && views[0].meaning.contains("of 43"), "{views:?}");
        let second = drops.once(&first.committed).await;
        let all: Vec<String> = changes(&first).into_iter().chain(changes(&second)).collect();
        let want: Vec<String> = (0..40).map(|n| format!("c k{n:02}|{n}")).collect();
        assert_eq!(all, want, "stopped at {stop}");
        assert_eq!((first.rejected.len() + second.rejected.len(), second.committed.parts.len()), (3, 0));
        assert_eq!(drops.names_in("baselines").len(), 1);
    }
}

#[tokio::test]
async fn dump_changed_while_it_is_handed_on_stops() {
    let drops = drops();
    drops.deliver("1.csv", csv(&["a,1", "b,2", "c,3", "d,4"]));
    let mut run = drops.open_with(Checkpoint::default(), Bound::Once, |s| s.rows(1)).await.unwrap();
    run.read_rows(2).await.unwrap();
    run.commit().await.unwrap();
    let fails = async |drops: &Drops, at: &Checkpoint| {
        let opened = drops.open_at(at.clone(), Bound::Once).await;
        let error = match opened {
            Ok(mut run) => run.finish().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(error.remedy().is_some(), "{error:?}");
        (error.kind(), error.code_text().unwrap_or_default())
    };
    let typed = drops.beside("stock-counts").with("columns", json!([{"name": "price", "type": "string"}]));
    assert_eq!(fails(&typed, &run.committed).await, (Kind::Misconfigured, "U0245"));
    let append = drops.beside("stock-counts").with("mode", json!("append"));
    assert_eq!(fails(&append, &run.committed).await, (Kind::Misconfigured, "U0245"));
    drops.deliver("1.csv", csv(&["a,1", "b,2", "c,3", "d,5"]));
    assert_eq!(fails(&drops, &run.committed).await, (Kind::Lost, "U0222"));
    // given up: the file that is there now is compared with whatever may have been told
    let given_up = jumped(&drops, &run.committed, "1.csv", "again").unwrap();
    let run = drops.once(&given_up).await;
    assert_eq!(changes(&run), ["u a|1", "u b|2", "u c|3", "u d|5"]);
    let run = night(&drops, &run.committed, "2.csv", &["a,1", "b,2", "c,3", "d,5"]).await;
    assert!(changes(&run).is_empty());
}

/// A row that was told by a dump that was given up, and is in no dump after it, is deleted all the same.
#[tokio::test]
async fn what_a_dump_told_that_was_given_up_is_mended_by_the_next_one() {
    let drops = drops();
    let run = night(&drops, &Checkpoint::default(), "1.csv", &["a,1", "b,2", "m,1", "z,1"]).await;
    drops.deliver("2.csv", csv(&["a,9", "b,2", "c,3", "d,4", "z,2"]));
    let mut half = drops.open_with(run.committed, Bound::Once, |s| s.rows(1)).await.unwrap();
    half.read_rows(2).await.unwrap();
    half.commit().await.unwrap();
    assert_eq!(changes(&half), ["u a|9", "c c|3"]);
    let given_up = jumped(&drops, &half.committed, "2.csv", "done").unwrap();
    drop(half);
    let run = drops.once(&given_up).await;
    assert!(changes(&run).is_empty() && run.has_notice("marked_done", "2.csv"));
    assert_eq!(drops.names_in("baselines").len(), 2, "both may hold");
    let run = night(&drops, &run.committed, "3.csv", &["a,9", "b,2", "d,4", "m,1", "z,1"]).await;
    assert_eq!(changes(&run), ["u a|9", "d c|∅", "u d|4", "u m|1", "u z|1"]);
    assert_eq!(drops.names_in("baselines").len(), 1);
}

#[tokio::test]
async fn without_its_baseline_a_split_stops_and_says_what_to_do() {
    let drops = drops();
    let run = night(&drops, &Checkpoint::default(), "1.csv", &["a,1", "b,2"]).await;
    let path = drops.base.path().join("baselines").join(&drops.names_in("baselines")[0]);
    let content = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let error = drops.open_at(run.committed.clone(), Bound::Once).await.err().unwrap();
    assert_eq!((error.kind(), error.code_text()), (Kind::Lost, Some("U0243")));
    assert!(error.remedy().unwrap().contains("offsets reset"));
    drops.deliver("2.csv", csv(&["a,1", "b,3"]));
    for damaged in [&content[..content.len() / 2], &[content.clone(), vec![0]].concat()[..]] {
        std::fs::write(&path, damaged).unwrap();
        let mut broken = drops.open_at(run.committed.clone(), Bound::Once).await.unwrap();
        let error = broken.finish().await.unwrap_err();
        assert_eq!((error.kind(), error.code_text()), (Kind::Lost, Some("U0243")), "{error:?}");
        assert!(broken.rows.is_empty());
    }
    std::fs::write(&path, &content).unwrap();
    assert_eq!(changes(&drops.once(&run.committed).await), ["u b|3"]);
    // a mount that is away may come back
    std::fs::remove_dir_all(drops.base.path().join("baselines")).unwrap();
    let error = drops.open_at(run.committed, Bound::Once).await.err().unwrap();
    assert_eq!((error.kind(), error.code_text()), (Kind::Transient, Some("U0242")));
}

#[tokio::test]
async fn who_only_looks_sees_the_changes_and_leaves_nothing() {
    let drops = drops();
    let run = night(&drops, &Checkpoint::default(), "1.csv", &["a,1", "b,2"]).await;
    drops.deliver("2.csv", csv(&["a,1", "b,3"]));
    let before = harness::everything_in(drops.base.path());
    let mut looking = drops.open_with(run.committed, Bound::Once, |s| s.looks_only = true).await.unwrap();
    looking.read_all().await.unwrap();
    assert_eq!(changes(&looking), ["u b|3"]);
    looking.source.settle(&looking.given).await.unwrap();
    assert_eq!(harness::everything_in(drops.base.path()), before);
}

#[tokio::test]
async fn a_key_or_a_mode_that_changes_is_told_at_the_start() {
    let drops = drops();
    let run = night(&drops, &Checkpoint::default(), "1.csv", &["a,1"]).await;
    for mode in [json!("append"), json!({"full_dump": {"key": ["price"], "baseline": "baselines"}})] {
        let other = drops.beside("stock-counts").with("mode", mode);
        let error = other.open_at(run.committed.clone(), Bound::Once).await.err().unwrap();
        assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0240")));
    }
}

#[test]
fn dumps_that_cannot_be() {
    let mistakes = |drops: Drops| {
        let problems = CsvDrops::validate(&drops.config());
        assert!(problems.iter().all(|p| !p.help.is_empty()), "{problems:?}");
        problems.iter().map(|p| format!("{} {}", p.code, p.path)).collect::<Vec<_>>()
    };
    let mode = |key: Value, baseline: &str| json!({"full_dump": {"key": key, "baseline": baseline}});
    assert_eq!(mistakes(drops()), [""; 0]);
    for (drops, want) in [
        (drops().with("mode", mode(json!([]), "b")), "U0244 mode.full_dump.key"),
        (drops().with("mode", mode(json!(["a", "a"]), "b")), "U0244 mode.full_dump.key[1]"),
        (drops().with("mode", mode(json!(["a"]), "")), "U0244 mode.full_dump.baseline"),
        (drops().with("mode", mode(json!(["a"]), "ftp://x/y")), "U0244 mode.full_dump.baseline"),
        (drops().with("mode", mode(json!(["a"]), "drops")), "U0244 mode.full_dump.baseline"),
        (drops().with("splits", json!(2)), "U0244 splits"),
        (drops().with("order", json!("none")), "U0244 order"),
        (drops().with("on_growth", json!("continue")), "U0244 on_growth"),
    ] {
        assert_eq!(mistakes(drops), [want]);
    }
    let no_header = drops().with("dialect", json!({"header": "none"}));
    assert_eq!(mistakes(no_header.with("columns", json!([]))), ["U0244 mode.full_dump.key[0]"]);
    let (_, schema) = &CsvDrops::streams(&drops().config())[0];
    assert_eq!(schema.key(), ["sku"]);
    assert!(schema.fields().field(1).is_nullable() && !schema.fields().field(0).is_nullable());
}

#[tokio::test]
async fn a_refused_row_of_a_dump_is_not_replayed_alone() {
    let drops = drops();
    let run = night(&drops, &Checkpoint::default(), "1.csv", &["a,x"]).await;
    let place = unbatch_api::testkit::context::place("stock-counts");
    let entry = run.rejected[0].clone().into_entry(&place.split, 1);
    let batch = CsvDrops::parse_raw(&drops.config(), &entry, &[]).unwrap();
    assert_eq!((batch.rows.num_rows(), batch.rejected.len()), (0, 1));
    assert!(batch.rejected[0].message.contains("FILE=again"));
    // once the configuration can read it, the file brings it by itself
    let drops = drops.with("columns", json!([{"name": "sku", "type": "string"}, {"name": "price", "type": "string"}]));
    let again = jumped(&drops, &run.committed, "1.csv", "again").unwrap();
    let run = drops.once(&again).await;
    assert_eq!(changes(&run), ["c a|x"]);
}
