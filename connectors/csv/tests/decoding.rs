//! From text to columns: types, NULLs, headers, refused rows, and reading them again.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;

use harness::Drops;
use serde_json::{Value, json};
use unbatch_api::quarantine::Edit;
use unbatch_api::testkit::context::split;
use unbatch_api::{Batch, Bound, RawRow, SourceConnector};
use unbatch_csv::CsvDrops;

/// What a file of `text` gives under `columns` and `dialect`: rows without their place, and `line code` of refused ones.
async fn read(columns: Value, dialect: Value, text: impl AsRef<[u8]>) -> (Vec<String>, Vec<String>) {
    let drops =
        Drops::new().with("columns", columns).with("dialect", dialect).with("ready_when", json!({"stable_for": "1ms"}));
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
    let (read, refused) = read(columns, dialect, text).await;
    assert_eq!(read, rows, "rows of {shown:?}");
    assert_eq!(refused, rejected, "refused of {shown:?}");
}

fn column(column_type: &str) -> Value {
    json!([{"name": "v", "type": column_type}])
}

#[tokio::test]
async fn every_type_takes_what_it_should_and_refuses_the_rest() {
    let plain = || json!({});
    check(
        column("int32"),
        plain(),
        "v\n7\n-2147483648\n2147483648\n1.0\n",
        &["7", "-2147483648"],
        &["4 bad_int", "5 bad_int"],
    )
    .await;
    check(column("int64"), plain(), "v\n9007199254740993\n 1\n", &["9007199254740993"], &["3 bad_int"]).await;
    check(
        column("decimal(6,2)"),
        plain(),
        "v\n12.34\n-5\n1.234\n12345.00\n",
        &["12.34", "-5.00"],
        &["4 bad_decimal", "5 bad_decimal"],
    )
    .await;
    check(column("float64"), plain(), "v\n1.5e3\n1e999\nx\n", &["1500.0"], &["3 bad_float", "4 bad_float"]).await;
    check(column("bool"), plain(), "v\nyes\nF\n1\n2\n", &["true", "false", "true"], &["5 bad_bool"]).await;
    check(column("date"), plain(), "v\n2026-02-28\n2026-02-29\n", &["2026-02-28"], &["3 bad_date"]).await;
    check(
        column("timestamp"),
        plain(),
        "v\n2026-11-23T07:30:52.125+01:00\n2026-11-23 07:30:52\nnoon\n",
        &["2026-11-23T06:30:52.125Z", "2026-11-23T07:30:52Z"],
        &["4 bad_timestamp"],
    )
    .await;
    check(column("string"), plain(), b"v\n\xc3\xa9\n\xff\nx\0y\n", &["é"], &["3 invalid_encoding", "4 zero_byte"])
        .await;
    let german = json!([
        {"name": "d", "type": "date", "format": "%d.%m.%Y"}, {"name": "n", "type": "decimal(5,1)", "decimal_mark": ","},
        {"name": "t", "type": "timestamp", "format": "%d.%m.%Y %H:%M", "zone": "+01:00"},
    ]);
    let text = "d;n;t\n23.11.2026;1,5;23.11.2026 00:30\n2026-11-23;1,5;\n24.11.2026;1.5;\n";
    let want = ["2026-11-23|1.5|2026-11-22T23:30:00Z"];
    check(german, json!({"delimiter": ";"}), text, &want, &["3 bad_date", "4 bad_decimal"]).await;
}

#[tokio::test]
async fn null_and_the_empty_string_are_different() {
    let columns = json!([
        {"name": "a", "type": "string"}, {"name": "b", "type": "int64", "nulls": ["-"]},
        {"name": "c", "type": "string", "required": true},
    ]);
    let text = "a,b,c\n,,x\n\"\",1,\"\"\nNULL,-,\"NULL\"\n\"NULL\",\"\",x\nx,1,\nx,1,NULL\n";
    let rows = ["∅|∅|x", "|1|", "∅|∅|NULL"];
    let rejected = ["5 bad_int", "6 missing_required", "7 missing_required"];
    check(columns, json!({"nulls": ["NULL"]}), text, &rows, &rejected).await;
}

#[tokio::test]
async fn the_first_fault_of_a_row_is_its_code_and_only_that_row_goes() {
    let columns = json!([{"name": "a", "type": "int32"}, {"name": "b", "type": "date", "required": true}]);
    let text = "b,a\n2026-01-01,1\nx,x\n,2\n2026-01-01\n2026-01-01,1,1\n\"2026-01-01\"x,1\n2026-01-02,3";
    let rejected = ["3 bad_int", "4 missing_required", "5 too_few_fields", "6 too_many_fields", "7 bad_quote"];
    check(columns, json!({}), text, &["1|2026-01-01", "3|2026-01-02"], &rejected).await;
}

#[tokio::test]
async fn columns_are_found_by_name_and_others_come_as_text() {
    let declared = || json!([{"name": "b", "type": "int32"}]);
    check(declared(), json!({}), "\u{feff}x,b,y\r\n007,1,\r\n", &["1|007|∅"], &[]).await;
    check(json!([]), json!({}), "x,y\n007,1\n", &["007|1"], &[]).await;
    check(declared(), json!({"header": "none"}), "1,u\n2,v\n3\n", &["1|u", "2|v"], &["3 too_few_fields"]).await;
    check(json!([]), json!({"header": "none"}), "\"a\nb\"\n\nc\n", &["a\nb", "∅", "c"], &[]).await;
    check(json!([]), json!({}), "a,b\n\n1,2\n\n", &["1|2"], &[]).await;
    check(json!([]), json!({"delimiter": "tab", "quote": "'"}), "a\tb\n'x\t''y'\t\"\n", &["x\t'y|\""], &[]).await;
}

/// What pandas writes for its index: only a column that is declared by its number may lack a name.
#[tokio::test]
async fn a_column_without_a_name_is_found_by_its_number() {
    let columns = json!([{"name": "c1", "type": "int32", "required": true}, {"name": "b", "type": "int32"}]);
    check(columns.clone(), json!({}), ",a,b\n0,x,1\n,y,2\nz,z,3\n", &["0|1|x"], &["3 missing_required", "4 bad_int"])
        .await;
    check(columns, json!({}), "b,c1\n1,0\n", &["0|1"], &[]).await;
}

#[tokio::test]
async fn a_header_that_breaks_the_contract_parks_the_file() {
    let declared = || json!([{"name": "price", "type": "int32"}]);
    for (text, code) in [
        (&b"sku,prise\n1,2\n"[..], "header_missing_column"),
        (b"price,a,a\n1,2,3\n", "header_duplicate_column"),
        (b"price,\n1,2\n", "header_blank_column"),
        (b",price\n1,2\n", "header_blank_column"),
        (b"price,\xff\n1,2\n", "invalid_encoding"),
        (b"price,a\0\n1,2\n", "zero_byte"),
        (b"\"price\"x\n1\n", "header_bad_quote"),
        (b"\xff\xfep\0r\0", "header_missing_column"),
        (b"\xff\xfe\0\0p\0\0\0", "unsupported_encoding"),
        (b"\x1f\x8b\x08\0", "compression_mismatch"),
        (b"\"price\n1\n", "truncated_in_quotes"),
    ] {
        let drops = Drops::new().with("columns", declared()).with("ready_when", json!({"stable_for": "1ms"}));
        drops.deliver("a.csv", text);
        let mut run = drops.open(Bound::Once).await;
        run.finish().await.unwrap();
        assert_eq!((run.codes(), run.rows.len(), run.reports.parked_count()), (vec![code], 0, 1));
        if code == "header_missing_column" {
            assert!(run.rejected[0].message.contains("`price`"), "{}", run.rejected[0].message);
        }
    }
}

#[tokio::test]
async fn empty_files_are_loaded_with_no_rows() {
    for text in ["", "\n\n", "v\n", "v", "\u{feff}"] {
        let drops = Drops::new().with("columns", column("int32")).with("ready_when", json!({"stable_for": "1ms"}));
        drops.deliver("a.csv", text);
        let mut run = drops.open(Bound::Once).await;
        run.finish().await.unwrap();
        assert_eq!((run.rows.len(), run.rejected.len(), run.number("files_loaded_total")), (0, 0, 1), "{text:?}");
    }
}

#[tokio::test]
async fn long_fields_are_refused_and_endless_records_park_the_file() {
    let drops = Drops::new()
        .with("columns", json!([]))
        .with("field_max", json!("8B"))
        .with("record_max", json!("1MiB"))
        .with("field_lines_max", json!(10_000_000))
        .with("ready_when", json!({"stable_for": "1ms"}));
    drops.deliver("a.csv", "v,w\n1,123456789\n2,x\n");
    drops.deliver("b.csv", format!("v,w\n3,x\n4,\"{}\"\n5,y\n", "z\n".repeat(1 << 20)));
    let mut run = drops.open(Bound::Once).await;
    run.finish().await.unwrap();
    assert_eq!(run.rows, ["a.csv:3 2|x", "b.csv:2 3|x"]);
    assert_eq!(run.codes(), ["field_too_large", "record_too_large"]);
    assert!(run.rejected[0].message.contains("column 2"), "{}", run.rejected[0].message);
    assert_eq!(run.rejected[1].origin.to_string(), "b.csv:3");
}

#[tokio::test]
async fn a_refused_row_is_kept_with_its_header_and_can_be_read_again() {
    let drops = Drops::new().with("ready_when", json!({"stable_for": "1ms"}));
    drops.deliver("a.csv", "text,id,more\nx,1,m\n\"say \"\"x\"\"\",1x,\n");
    let mut run = drops.open(Bound::Once).await;
    run.finish().await.unwrap();
    let entry = run.rejected[0].clone().into_entry(&split("drops", 0), 1);
    assert_eq!(entry.raw, RawRow::Bytes("text,id,more\n\"say \"\"x\"\"\",1x,\n".into()));
    assert_eq!((entry.origin.to_string(), entry.message.contains("1x")), ("a.csv:3".into(), false));
    let again = CsvDrops::parse_raw(&drops.config(), &entry, &[]).unwrap();
    again.check().unwrap();
    assert_eq!((again.rows.num_rows(), again.rejected.len()), (0, 1));
    assert_eq!(again.rejected[0].origin, entry.origin);

    let lenient = drops.with("columns", json!([{"name": "id", "type": "string"}, {"name": "text", "type": "string"}]));
    let again = CsvDrops::parse_raw(&lenient.config(), &entry, &[]).unwrap();
    assert_eq!(unbatch_api::testkit::row_text(&again.rows, 0), "1x|say \"x\"|∅");
    assert_eq!(again.origin.rows.row(0), entry.origin);
}

#[tokio::test]
async fn a_row_that_a_step_refused_is_read_again_from_its_columns() {
    let drops = Drops::new().with("ready_when", json!({"stable_for": "1ms"}));
    drops.deliver("a.csv", "id,text\n1\n");
    let mut run = drops.open(Bound::Once).await;
    run.finish().await.unwrap();
    let mut entry = run.rejected[0].clone().into_entry(&split("drops", 0), 1);
    entry.raw = RawRow::Row(json!({"text": "a \"b\", c", "id": 7}));
    let again = CsvDrops::parse_raw(&drops.config(), &entry, &[]).unwrap();
    assert_eq!(unbatch_api::testkit::row_text(&again.rows, 0), "7|a \"b\", c");
}

/// Quarantine keeps such a row as JSON text. A reader of JSON that is in a hurry gives the neighbour of some doubles of 17 digits.
#[tokio::test]
async fn a_double_of_a_row_that_a_step_refused_is_the_same_again() {
    let columns = json!([{"name": "id", "type": "float64"}, {"name": "text", "type": "string"}]);
    let drops = Drops::new().with("ready_when", json!({"stable_for": "1ms"})).with("columns", columns);
    drops.deliver("a.csv", "id,text\n1\n");
    let mut run = drops.open(Bound::Once).await;
    run.finish().await.unwrap();
    let mut entry = run.rejected[0].clone().into_entry(&split("drops", 0), 1);
    for double in ["97.69131206443265", "1888.3333333327334", "1.0181722783479359", "0.30000000000000004"] {
        entry.raw = RawRow::Row(serde_json::from_str(&format!(r#"{{"id":{double},"text":"x"}}"#)).unwrap());
        let again = CsvDrops::parse_raw(&drops.config(), &entry, &[]).unwrap();
        assert_eq!(unbatch_api::testkit::row_text(&again.rows, 0), format!("{double}|x"));
    }
}

#[tokio::test]
async fn a_cell_of_a_column_without_a_name_is_changed_by_its_number() {
    let columns = json!([{"name": "c1", "type": "int32"}, {"name": "n", "type": "int32"}]);
    let drops = Drops::new().with("ready_when", json!({"stable_for": "1ms"})).with("columns", columns);
    drops.deliver("a.csv", ",n\nO,1\n");
    let mut run = drops.open(Bound::Once).await;
    run.finish().await.unwrap();
    let entry = run.rejected[0].clone().into_entry(&split("drops", 0), 1);
    let edits = [Edit { column: "c1".into(), text: "0".into() }];
    let again = CsvDrops::parse_raw(&drops.config(), &entry, &edits).unwrap();
    assert_eq!(unbatch_api::testkit::row_text(&again.rows, 0), "0|1");
}

/// `--set COLUMN=TEXT`: as it would stand in the file, quoted where it must be.
#[tokio::test]
async fn cells_of_a_refused_row_are_changed_by_the_name_of_their_column() {
    let drops = Drops::new()
        .with("ready_when", json!({"stable_for": "1ms"}))
        .with("columns", json!([{"name": "id", "type": "int32"}, {"name": "text", "type": "string"}]));
    drops.deliver("a.csv", "text,\"the, id\",id\n\"say \"\"x\"\"\",u,1x\ny\n");
    let mut run = drops.open(Bound::Once).await;
    run.finish().await.unwrap();
    let entries: Vec<_> = run.rejected.iter().map(|row| row.clone().into_entry(&split("drops", 0), 1)).collect();
    let edit = |column: &str, text: &str| Edit { column: column.into(), text: text.into() };
    let read = |at: usize, edits: &[Edit]| CsvDrops::parse_raw(&drops.config(), &entries[at], edits);
    let row = |batch: Batch| unbatch_api::testkit::row_text(&batch.rows, 0);
    assert_eq!(row(read(0, &[edit("id", "1")]).unwrap()), "1|say \"x\"|u");
    assert_eq!(
        row(read(0, &[edit("id", ""), edit("text", "a,\"b\nc"), edit("the, id", "v")]).unwrap()),
        "∅|a,\"b\nc|v"
    );
    // a row that is too short gets the fields that are given, and stays too short until none is missing
    let short = read(1, &[edit("the, id", "v")]).unwrap();
    assert_eq!((short.rows.num_rows(), &*short.rejected[0].code), (0, "too_few_fields"));
    assert_eq!(&*read(1, &[edit("id", "7")]).unwrap().rejected[0].code, "too_few_fields");
    assert_eq!(row(read(1, &[edit("id", "7"), edit("the, id", "v")]).unwrap()), "7|y|v");
    let error = read(0, &[edit("ident", "1")]).unwrap_err();
    assert_eq!(error.code_text(), Some("U0227"), "{error:?}");
    assert!(error.remedy().unwrap().contains("text, the, id, id"), "{error:?}");
}

/// A header that is none any more, a quote that is another: the kept text would be read as other rows, and the row itself be lost.
#[tokio::test]
async fn a_kept_row_that_falls_apart_under_another_dialect_stays_refused() {
    let kept = "zero,A-0\nx,A-1,1\n";
    let drops = Drops::new().with("ready_when", json!({"stable_for": "1ms"})).with("columns", json!([]));
    drops.deliver("a.csv", kept);
    let mut run = drops.open(Bound::Once).await;
    run.finish().await.unwrap();
    let mut entry = run.rejected[0].clone().into_entry(&split("drops", 0), 1);
    assert_eq!(entry.raw, RawRow::Bytes(kept.into()));
    let headless = drops.with("dialect", json!({"header": "none"}));
    let again = CsvDrops::parse_raw(&headless.config(), &entry, &[]).unwrap();
    assert_eq!((again.rows.num_rows(), &*again.rejected[0].code), (0, "not_one_row"));
    entry.raw = RawRow::Bytes("a,b\n1,\"x\ny\"\n".into());
    let quoted = headless.with("dialect", json!({"quote": "'"}));
    let again = CsvDrops::parse_raw(&quoted.config(), &entry, &[]).unwrap();
    assert_eq!((again.rows.num_rows(), &*again.rejected[0].code), (0, "not_one_row"));
}

/// It stands in plain notation, not in that of the files.
#[tokio::test]
async fn a_row_that_the_sink_refused_is_read_again_whatever_the_files_write() {
    let drops = Drops::new().with("ready_when", json!({"stable_for": "1ms"})).with(
        "columns",
        json!([{"name": "price", "type": "decimal(12,2)", "decimal_mark": ","},
               {"name": "day", "type": "date", "format": "%d.%m.%Y"}]),
    );
    drops.deliver("a.csv", "price,day\n1,x\n");
    let mut run = drops.open(Bound::Once).await;
    run.finish().await.unwrap();
    let mut entry = run.rejected[0].clone().into_entry(&split("drops", 0), 1);
    entry.raw = RawRow::Row(json!({"price": "12.50", "day": "2026-03-02"}));
    let again = CsvDrops::parse_raw(&drops.config(), &entry, &[]).unwrap();
    assert_eq!(unbatch_api::testkit::row_text(&again.rows, 0), "12.50|2026-03-02");
}

#[tokio::test]
async fn an_entry_of_a_parked_file_stays_refused() {
    let drops = Drops::new().with("ready_when", json!({"stable_for": "1ms"}));
    drops.deliver("a.csv", "id,text\n1,\"x\n");
    let mut run = drops.open(Bound::Once).await;
    run.finish().await.unwrap();
    let entry = run.rejected[0].clone().into_entry(&split("drops", 0), 1);
    let again = CsvDrops::parse_raw(&drops.config(), &entry, &[]).unwrap();
    assert_eq!((again.rows.num_rows(), &*again.rejected[0].code), (0, "truncated_in_quotes"));
}

/// Tomorrow's file has the same name, and its refused rows stand on the same lines: they must not replace today's.
#[tokio::test]
async fn refused_rows_of_another_delivery_are_other_entries_and_those_read_again_the_same() {
    let drops = Drops::new().with("ready_when", json!({"stable_for": "1ms"}));
    let ids = async || {
        let mut run = drops.open(Bound::Once).await;
        run.finish().await.unwrap();
        run.rejected.iter().map(|row| row.clone().into_entry(&split("drops", 0), 1).id).collect::<Vec<_>>()
    };
    for (today, tomorrow) in [("id,text\n1\n", "id,text\n2\n"), ("id,text\n1,\"x\n", "id,text\n2,\"x\n")] {
        drops.deliver("a.csv", today);
        let first = ids().await;
        assert_eq!((first.len(), &ids().await), (1, &first), "nothing was committed, so it is read again");
        drops.deliver("a.csv", tomorrow);
        assert_ne!(ids().await, first);
    }
}

/// Without a header the first row tells how many columns there are; a broken one must not make all others too long.
#[tokio::test]
async fn a_broken_first_row_does_not_decide_the_width() {
    let text = "\"1\"x,2\n3,4\n5,6\n7\n";
    check(json!([]), json!({"header": "none"}), text, &["3|4", "5|6"], &["1 bad_quote", "4 too_few_fields"]).await;
    check(column("int32"), json!({"header": "none"}), text, &["3|4", "5|6"], &["1 bad_quote", "4 too_few_fields"])
        .await;
}
