//! Numbers, times, words and NULLs as people write them.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;

use harness::Drops;
use serde_json::{Value, json};
use unbatch_api::{Bound, SourceConnector};
use unbatch_csv::CsvDrops;

/// A file with the one column `v`, one field a line: what becomes of each field.
async fn check(column: Value, fields: &[(&str, &str)]) {
    check_in(json!({"quote": "\"", "delimiter": ";"}), column, fields).await;
}

async fn check_in(dialect: Value, mut column: Value, fields: &[(&str, &str)]) {
    column["name"] = "v".into();
    let shown = column.to_string();
    let drops = Drops::new()
        .with("columns", json!([column]))
        .with("dialect", dialect)
        .with("ready_when", json!({"stable_for": "1ms"}));
    let problems = CsvDrops::validate(&drops.config());
    assert!(problems.is_empty(), "{shown}: {problems:?}");
    let text: Vec<&str> = std::iter::once("v").chain(fields.iter().map(|(field, _)| *field)).collect();
    drops.deliver("a.csv", text.join("\n") + "\n");
    let mut run = drops.open(Bound::Once).await;
    run.finish().await.unwrap();
    let good = run.rows.iter().map(|row| row.trim_start_matches("a.csv:").split_once(' ').unwrap()).collect::<Vec<_>>();
    for (i, (field, want)) in fields.iter().enumerate() {
        let line = (i + 2).to_string();
        let got = good.iter().find(|(at, _)| *at == line).map(|(_, value)| (*value).to_owned());
        let refused = run.rejected.iter().find(|r| r.origin.to_string() == format!("a.csv:{line}"));
        let got = got.or(refused.map(|r| format!("!{}", r.code))).unwrap_or_default();
        assert_eq!(got, *want, "{field:?} as {shown}");
        if let Some(refused) = refused.filter(|_| field.len() > 4) {
            assert!(!refused.message.contains(field), "{}", refused.message);
        }
    }
}

#[tokio::test]
async fn numbers_with_marks_and_signs() {
    let german = json!({"type": "decimal(12,2)", "thousands": ".", "decimal_mark": ",", "negative": "trailing"});
    let fields = [
        ("1.234.567,89", "1234567.89"),
        ("1234567,89", "1234567.89"),
        ("1.000-", "-1000.00"),
        ("-5", "-5.00"),
        ("12.34,5", "!bad_decimal"),
        ("1,234", "!bad_decimal"),
        ("99.999.999.999,00", "!bad_decimal"),
        ("1.234,567", "!bad_decimal"),
        ("5%", "!bad_decimal"),
        ("", "∅"),
    ];
    check(german, &fields).await;
    let french = json!({"type": "float64", "thousands": " ", "decimal_mark": ","});
    check(french, &[("1 234,5", "1234.5"), ("1\u{202f}234", "1234.0"), ("12 34", "!bad_float"), ("1,5e3", "1500.0")])
        .await;
    let swiss = json!({"type": "int64", "thousands": "'"});
    check(swiss, &[("1'234'567", "1234567"), ("1’000", "1000"), ("1'0", "!bad_int"), ("007", "7")]).await;
    let accountant = json!({"type": "int32", "thousands": ",", "negative": "parentheses"});
    check(
        accountant,
        &[("(1,234)", "-1234"), ("1,234", "1234"), ("1234-", "!bad_int"), ("(2,147,483,649)", "!bad_int")],
    )
    .await;
    let cobol = json!({"type": "decimal(7,2)", "decimal_mark": "none"});
    check(cobol, &[("0001250", "12.50"), ("-5", "-0.05"), ("12.50", "!bad_decimal"), ("12345678", "!bad_decimal")])
        .await;
}

/// Berlin: 2026-03-29 has no 02:30, 2026-10-25 has it twice.
#[tokio::test]
async fn times_of_a_zone_and_times_of_day() {
    let berlin = |ambiguous: &str| json!({"type": "timestamp", "format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin", "ambiguous": ambiguous});
    let plain = [
        ("01.07.2026 12:00", "2026-07-01T10:00:00Z"),
        ("01.12.2026 12:00", "2026-12-01T11:00:00Z"),
        ("29.03.2026 02:30", "!skipped_time"),
        ("31.02.2026 02:30", "!bad_timestamp"),
    ];
    check(berlin("refuse"), &plain).await;
    for (ambiguous, want) in
        [("refuse", "!ambiguous_time"), ("earliest", "2026-10-25T00:30:00Z"), ("latest", "2026-10-25T01:30:00Z")]
    {
        check(berlin(ambiguous), &[("25.10.2026 02:30", want)]).await;
    }
    let iso = json!({"type": "timestamp", "zone": "America/New_York"});
    check(iso, &[("2026-11-23 07:30:00", "2026-11-23T12:30:00Z"), ("2026-11-23T07:30:00Z", "2026-11-23T07:30:00Z")])
        .await;
    let clock = json!({"type": "string", "format": "%I:%M %p"});
    check(clock, &[("01:05 PM", "13:05:00"), ("12:00 AM", "00:00:00"), ("13:05", "!bad_time_of_day"), ("", "∅")]).await;
    check(json!({"type": "date", "format": "%y%m%d"}), &[("261123", "2026-11-23"), ("261323", "!bad_date")]).await;
}

#[tokio::test]
async fn words_and_enumerations() {
    let german = json!({"type": "bool", "true_words": ["J", "Ja"], "false_words": ["N", "nein"]});
    let fields =
        [("J", "true"), ("Ja", "true"), ("nein", "false"), ("ja", "!bad_bool"), ("true", "!bad_bool"), ("", "∅")];
    check(german, &fields).await;
    let plain = json!({"type": "bool", "nulls": ["?"], "required": true});
    check(plain, &[("YES", "true"), ("0", "false"), ("?", "!missing_required")]).await;
    let kinds = json!({"type": "string", "values": ["A", "B b", "é"], "trim": "right"});
    let fields =
        [("A", "A"), ("B b  ", "B b"), ("a", "!not_in_values"), (" A", "!not_in_values"), ("é", "é"), ("", "∅")];
    check(kinds, &fields).await;
}

#[tokio::test]
async fn empty_fields_are_what_the_column_says() {
    let fields = |bare: &'static str, quoted: &'static str| [("", bare), ("\"\"", quoted), ("-", "∅"), ("\"-\"", "-")];
    for (empty, bare, quoted) in [("by_quotes", "∅", ""), ("is_null", "∅", "∅"), ("is_text", "", "")] {
        let column = json!({"type": "string", "nulls": ["-"], "empty": empty});
        check(column, &fields(bare, quoted)).await;
    }
    let number = json!({"type": "int32", "empty": "is_null"});
    check(number, &[("\"\"", "∅"), ("\"7\"", "7"), ("", "∅")]).await;
    check(json!({"type": "int32"}), &[("\"\"", "!bad_int")]).await;
    let required = json!({"type": "string", "empty": "is_null", "required": true});
    check(required, &[("\"\"", "!missing_required"), ("x", "x")]).await;
    let mysql = json!({"escape": "\\"});
    check_in(mysql, json!({"type": "string", "empty": "is_text"}), &[("", ""), ("\\N", "∅"), ("\"\\N\"", "N")]).await;
}
