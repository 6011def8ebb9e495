//! Files that are written otherwise than RFC 4180 says, through the whole source: rows, refused rows, parked files.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;

use harness::Drops;
use serde_json::{Value, json};
use unbatch_api::quarantine::Edit;
use unbatch_api::testkit::context::split;
use unbatch_api::testkit::row_text;
use unbatch_api::{Bound, SourceConnector};
use unbatch_csv::CsvDrops;

fn drops(columns: Value, dialect: Value) -> Drops {
    Drops::new().with("columns", columns).with("dialect", dialect).with("ready_when", json!({"stable_for": "1ms"}))
}

/// Rows without their place, and `line code` of what was refused or parked.
async fn read(drops: &Drops, text: impl AsRef<[u8]>) -> (Vec<String>, Vec<String>) {
    assert_eq!(errors(drops), Vec::<String>::new());
    drops.deliver("a.csv", text);
    let mut run = drops.open(Bound::Once).await;
    run.finish().await.unwrap();
    let rows = run.rows.iter().map(|r| r.split_once(' ').unwrap().1.to_owned()).collect();
    let rejected =
        run.rejected.iter().map(|r| format!("{} {}", r.origin.to_string().split_once(':').unwrap().1, r.code));
    (rows, rejected.collect())
}

async fn check(columns: Value, dialect: Value, text: impl AsRef<[u8]>, rows: &[&str], rejected: &[&str]) {
    let shown = String::from_utf8_lossy(text.as_ref()).into_owned();
    let (read, refused) = read(&drops(columns, dialect.clone()), text).await;
    assert_eq!(read, rows, "rows of {shown:?} as {dialect}");
    assert_eq!(refused, rejected, "refused of {shown:?} as {dialect}");
}

/// `path code` of what `validate` says.
fn errors(drops: &Drops) -> Vec<String> {
    CsvDrops::validate(&drops.config()).iter().map(|p| format!("{} {}", p.path, p.code)).collect()
}

fn two() -> Value {
    json!([{"name": "id", "type": "int32"}, {"name": "text", "type": "string"}])
}

#[tokio::test]
async fn a_dump_of_mysql_is_read_as_it_is_written() {
    let columns = json!([
        {"name": "id", "type": "int32"}, {"name": "price", "type": "decimal(6,2)", "decimal_mark": ","},
        {"name": "note", "type": "string"},
    ]);
    let dialect = json!({"delimiter": "tab", "quote": "none", "escape": "\\", "header": "none"});
    let text = "1\t1,50\ta\\tb\\nc\\\\d\n2\t\\N\t\\N\n3\t\\-2,00\tN\\\nx\n4\t5,00\t\\0\n";
    check(columns, dialect, text, &["1|1.50|a\tb\nc\\d", "2|∅|∅", "3|-2.00|N\nx"], &["5 zero_byte"]).await;
}

#[tokio::test]
async fn lines_in_front_comments_and_blank_lines_are_no_rows() {
    let dialect = json!({"skip": 2, "comment": "#", "trim_header": true});
    let text = "Report \"7\nof: today\n# made by hand\n id ,text\n1,a\n\n#2,b\n3,#c\n#";
    check(two(), dialect, text, &["1|a", "3|#c"], &[]).await;
    // a file that is shorter than what is skipped has no rows, as an empty one
    check(two(), json!({"skip": 9}), "a\nb", &[], &[]).await;
    check(two(), json!({"skip": 1}), "x\n\nid,text\r\n1,\n", &["1|∅"], &[]).await;
}

#[tokio::test]
async fn separators_of_the_control_characters() {
    let dialect = json!({"delimiter": "\u{1f}", "terminator": "\u{1e}", "quote": "none"});
    let text = "id\u{1f}text\u{1e}1\u{1f}two\nlines, \"x\"\u{1e}x\u{1f}y\u{1e}";
    let drops = drops(two(), dialect);
    let (rows, refused) = read(&drops, text).await;
    assert_eq!((rows, refused), (vec!["1|two\nlines, \"x\"".to_owned()], vec!["3 bad_int".to_owned()]));
}

#[tokio::test]
async fn blanks_are_taken_away_where_that_is_declared() {
    let columns = || {
        json!([
            {"name": "id", "type": "int32"}, {"name": "text", "type": "string"},
            {"name": "kept", "type": "string", "trim": "none"},
        ])
    };
    let text = "id,text,kept\n 1 , a b , c \n2 ,\" d \", \n 3,  ,\t\n";
    check(columns(), json!({"trim": "both"}), text, &["1|a b| c ", "2| d | ", "3|∅|\t"], &[]).await;
    let one = json!([{"name": "id", "type": "int32", "trim": "both"}]);
    check(one, json!({}), "id,text\n 1 , a \n\" 2\",b\n", &["1| a "], &["3 bad_int"]).await;
}

#[tokio::test]
async fn ragged_rows_are_refused_or_filled_up() {
    let text = "id,text\n1\n2,b,\n3,c,,\n4,d,x\n";
    let all = ["2 too_few_fields", "3 too_many_fields", "4 too_many_fields", "5 too_many_fields"];
    check(two(), json!({}), text, &[], &all).await;
    check(two(), json!({"ragged": "pad"}), text, &["1|∅", "2|b", "3|c"], &["5 too_many_fields"]).await;
}

#[tokio::test]
async fn lines_of_fixed_width_are_columns() {
    let columns = json!([
        {"name": "sku", "type": "string", "required": true, "width": 5},
        {"name": "price", "type": "decimal(7,2)", "decimal_mark": "none", "negative": "trailing", "width": 6},
        {"name": "day", "type": "date", "format": "%Y%m%d", "at": 13, "width": 8},
    ]);
    let dialect = json!({"format": "fixed", "header": "none", "skip": 1, "line_width": 22});
    let text = "HEADER\nA-1  001250 20261123  \n B-ü 00300- 20261124XY\nC-1         20261125  \n\
                D-1  000001\n     000001 20261123  \nE-1  0x0001 20261123  \n";
    let rows = ["A-1|12.50|2026-11-23", " B-ü|-3.00|2026-11-24", "C-1|∅|2026-11-25"];
    let refused = ["5 line_too_short", "6 missing_required", "7 bad_decimal"];
    check(columns, dialect, text, &rows, &refused).await;
}

fn with_trailer(trailer: Value) -> Drops {
    let columns = json!([{"name": "sku", "type": "string"}, {"name": "amount", "type": "decimal(9,2)"}]);
    drops(columns, json!({"delimiter": "|", "trailer": trailer}))
}

#[tokio::test]
async fn a_trailer_that_agrees_is_no_row_and_one_that_does_not_parks_the_file() {
    let trailer = json!({"match": "T|", "rows": {"field": 2}, "sums": [{"of": "amount", "field": 3}]});
    let body = "sku|amount\nA|1.50\nB|-0.25\nC\nD|\n";
    let good = &["A|1.50", "B|-0.25", "D|∅"][..];
    for (end, code) in [
        ("T|4|1.25\n", None),
        ("T|0004|1.25|x|y\n\n \n\u{1a}", None),
        ("T|5|1.25\n", Some("6 trailer_disagrees")),
        ("T|4|1.26\n", Some("6 trailer_disagrees")),
        ("T|4|\n", Some("6 trailer_disagrees")),
        ("T|", Some("6 trailer_disagrees")),
        ("T|4|1.25\nE|1.00\n", Some("6 trailer_disagrees")),
        ("", Some("6 trailer_missing")),
    ] {
        let (rows, refused) = read(&with_trailer(trailer.clone()), format!("{body}{end}")).await;
        let want: Vec<&str> = ["4 too_few_fields"].into_iter().chain(code).collect();
        assert_eq!(
            (rows, refused),
            (good.iter().map(|r| r.to_string()).collect(), want.iter().map(|w| w.to_string()).collect()),
            "{end:?}"
        );
    }
    for (text, code) in [("", "1 trailer_missing"), ("sku|amount\n", "2 trailer_missing")] {
        let (rows, refused) = read(&with_trailer(trailer.clone()), text).await;
        assert_eq!((rows.len(), refused), (0, vec![code.to_owned()]));
    }
    let (rows, refused) = read(&with_trailer(trailer), "sku|amount\nT|0|0\n").await;
    assert_eq!((rows.len(), refused.len()), (0, 0));
}

#[tokio::test]
async fn a_trailer_may_count_more_than_rows_and_stand_in_places() {
    let trailer = json!({"match": "TRL", "rows": {"at": 4, "width": 6, "plus": 2}, "sums": [{"of": "n", "at": 10}]});
    let columns = json!([{"name": "k", "type": "string", "width": 2}, {"name": "n", "type": "int64", "width": 4}]);
    let dialect = json!({"format": "fixed", "header": "none", "skip": 1, "trailer": trailer});
    let text = "HDR20261123\nA    7\nB   -2\nTRL0000040000000005\n";
    check(columns, dialect, text, &["A|7", "B|-2"], &[]).await;
}

/// The control totals are counted on over a stop in the middle of the file.
#[tokio::test]
async fn a_trailer_is_compared_after_a_resume_too() {
    let trailer = json!({"match": "T|", "rows": {"field": 2}, "sums": [{"of": "amount", "field": 3}]});
    for (total, parked) in [("4950.00", 0), ("4950.01", 1)] {
        let drops = with_trailer(trailer.clone());
        let rows: String = (0..100).map(|n| format!("r{n}|{n}.00\n")).collect();
        drops.deliver("a.csv", format!("sku|amount\n{rows}T|100|{total}\n"));
        let mut first = drops.open_with(Default::default(), Bound::Once, |s| s.rows(30)).await.unwrap();
        assert!(first.next().await.unwrap());
        first.commit().await.unwrap();
        let committed = first.committed.clone();
        let note =
            committed.notes.values().find(|n| n.starts_with(b"{\"v\":1,\"path\"")).expect("the note of an open file");
        assert!(String::from_utf8_lossy(note).contains("\"totals\":{\"amount\":\""), "{note:?}");
        drop(first);
        let mut again = drops.open_at(committed, Bound::Once).await.unwrap();
        again.finish().await.unwrap();
        assert_eq!((again.rows.len(), again.reports.parked_count()), (70, parked), "{total}");
    }
}

#[tokio::test]
async fn refused_rows_of_any_dialect_are_read_again_and_mended() {
    let fixed = json!([{"name": "id", "type": "int32", "width": 3}, {"name": "text", "type": "string", "width": 4}]);
    let cases = [
        (two(), json!({"delimiter": "||", "skip": 1, "comment": "#"}), "x\nid||text\n1x||a|b\n", "7||a|b"),
        (two(), json!({"quote": "none", "escape": "\\"}), "id,text\n1x,a\\,b\n", "7|a,b"),
        (
            two(),
            json!({"terminator": "\u{1e}", "trailer": {"match": "T"}}),
            "id,text\u{1e}1x,a\nb\u{1e}T\u{1e}",
            "7|a\nb",
        ),
        (fixed, json!({"format": "fixed", "header": "none"}), "1x ab  \n", "7|ab"),
        (two(), json!({"header": "none", "trim": "both"}), "1x, \"a, b\" \n", "7|a, b"),
    ];
    for (columns, dialect, text, want) in cases {
        let drops = drops(columns, dialect.clone());
        drops.deliver("a.csv", text);
        let mut run = drops.open(Bound::Once).await;
        run.finish().await.unwrap();
        assert_eq!(run.codes(), ["bad_int"], "{dialect}");
        let entry = run.rejected[0].clone().into_entry(&split("drops", 0), 1);
        let again = CsvDrops::parse_raw(&drops.config(), &entry, &[]).unwrap();
        assert_eq!((again.rows.num_rows(), &*again.rejected[0].code), (0, "bad_int"), "{dialect}");
        let edit = Edit { column: "id".into(), text: "7".into() };
        let mended = CsvDrops::parse_raw(&drops.config(), &entry, &[edit]).unwrap();
        assert_eq!(row_text(&mended.rows, 0), want.replace("||", "|"), "{dialect}");
        // as steps and sinks have it: in plain notation, whatever the files have
        let mut entry = entry;
        entry.raw = unbatch_api::RawRow::Row(json!({"id": 8, "text": "x, \"y\""}));
        let plain = CsvDrops::parse_raw(&drops.config(), &entry, &[]).unwrap();
        assert_eq!(row_text(&plain.rows, 0), "8|x, \"y\"", "{dialect}");
    }
}

/// With `on_bad_file: stop` the last commit has no end of the file; the trailer is mended under its name, and the counts go on.
#[tokio::test]
async fn a_trailer_that_disagrees_stops_where_that_is_asked_for_and_is_mended_in_place() {
    let trailer = json!({"match": "T|", "rows": {"field": 2}, "sums": [{"of": "amount", "field": 3}]});
    let drops = with_trailer(trailer).with("on_bad_file", json!("stop"));
    let file = |end: &str| format!("sku|amount\nA|1.50\nB|2.25\n{end}");
    drops.deliver("a.csv", file("T|3|3.75\n"));
    let mut run = drops.open(Bound::Once).await;
    let stopped = run.finish().await.unwrap_err();
    assert_eq!(stopped.code_text(), Some("U0224"));
    let said = format!("{stopped:?}");
    assert!(said.contains("counts 3 rows, the file has 2") && said.contains("trailer_disagrees"), "{said}");
    run.commit().await.unwrap();
    assert_eq!((run.rows.len(), run.number("files_loaded_total")), (2, 0));
    drops.deliver("a.csv", file("T|2|3.75\n"));
    let again = drops.once(&run.committed).await;
    assert_eq!((again.rows.len(), again.number("files_loaded_total"), again.reports.parked_count()), (0, 1, 0));
}
