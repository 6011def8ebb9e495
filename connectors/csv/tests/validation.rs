//! What a configuration cannot be: each mistake has its place, a code and a remedy.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;

use harness::Drops;
use serde_json::{Value, json};
use unbatch_api::SourceConnector;
use unbatch_csv::CsvDrops;

/// `code path` of each mistake.
fn mistakes(dialect: Value, columns: Value) -> Vec<String> {
    let drops = Drops::new().with("dialect", dialect.clone()).with("columns", columns.clone());
    let problems = CsvDrops::validate(&drops.config());
    let is_told = problems.iter().all(|p| !p.help.is_empty() && !p.message.is_empty());
    assert!(is_told, "{dialect} {columns}: {problems:?}");
    problems.iter().map(|p| format!("{} {}", p.code, p.path)).collect()
}

#[test]
fn dialects_that_cannot_be() {
    let cases = [
        (json!({"delimiter": ""}), "U0212 dialect.delimiter"),
        (json!({"delimiter": "a\nb"}), "U0212 dialect.delimiter"),
        (json!({"delimiter": "\""}), "U0212 dialect"),
        (json!({"delimiter": "|\"|"}), "U0212 dialect"),
        (json!({"quote": "\"\""}), "U0212 dialect.quote"),
        (json!({"quote": ""}), "U0212 dialect.quote"),
        (json!({"escape": "ab"}), "U0212 dialect.escape"),
        (json!({"escape": "\""}), "U0212 dialect"),
        (json!({"escape": ","}), "U0212 dialect"),
        (json!({"escapes": "literal"}), "U0212 dialect.escapes"),
        (json!({"escape": "\\", "escapes": "quotes", "quote": "none"}), "U0212 dialect.escapes"),
        (json!({"comment": ""}), "U0212 dialect.comment"),
        (json!({"comment": "#\n"}), "U0212 dialect.comment"),
        (json!({"comment": "\"#"}), "U0212 dialect"),
        (json!({"comment": ",,"}), "U0212 dialect"),
        (json!({"delimiter": "||", "comment": "|"}), "U0212 dialect"),
        (json!({"terminator": ""}), "U0212 dialect.terminator"),
        (json!({"terminator": "none"}), "U0212 dialect.terminator"),
        (json!({"terminator": "\""}), "U0212 dialect"),
        (json!({"terminator": ","}), "U0212 dialect"),
        (json!({"skip": 1_000_000}), "U0212 dialect.skip"),
        (json!({"line_width": 80}), "U0212 dialect.line_width"),
        (json!({"header": "none", "trim_header": true}), "U0212 dialect.trim_header"),
    ];
    for (dialect, want) in cases {
        assert_eq!(mistakes(dialect.clone(), json!([])), [want], "{dialect}");
    }
    for right in [
        json!({"delimiter": "~|~", "comment": "~#"}),
        json!({"delimiter": "tab", "quote": "none", "escape": "\\"}),
        json!({"delimiter": "|", "terminator": "|\n"}),
        json!({"delimiter": " ", "trim": "both", "ragged": "pad", "skip": 3}),
    ] {
        assert_eq!(mistakes(right.clone(), json!([])), Vec::<String>::new(), "{right}");
    }
}

#[test]
fn columns_that_cannot_be() {
    let cases = [
        (json!({"type": "decimal(9,2)", "thousands": "."}), "thousands"),
        (json!({"type": "float64", "thousands": ",", "decimal_mark": ","}), "thousands"),
        (json!({"type": "decimal(9,2)", "thousands": ",", "decimal_mark": "none"}), "thousands"),
        (json!({"type": "decimal(9,0)", "decimal_mark": "none"}), "decimal_mark"),
        (json!({"type": "float64", "decimal_mark": "none"}), "decimal_mark"),
        (json!({"type": "int32", "decimal_mark": ","}), "decimal_mark"),
        (json!({"type": "string", "thousands": ","}), "thousands"),
        (json!({"type": "date", "negative": "trailing"}), "negative"),
        (json!({"type": "string", "true_words": ["J"], "false_words": ["N"]}), "true_words false_words"),
        (json!({"type": "bool", "true_words": ["J"]}), "false_words"),
        (json!({"type": "bool", "true_words": ["J"], "false_words": ["N", "J"]}), "false_words"),
        (json!({"type": "int32", "values": ["1"]}), "values"),
        (json!({"type": "string", "values": ["1"], "format": "%H:%M"}), "values"),
        (json!({"type": "int32", "empty": "is_text"}), "empty"),
        (json!({"type": "timestamp", "zone": "Europe/Berlon"}), "zone"),
        (json!({"type": "timestamp", "ambiguous": "latest"}), "ambiguous"),
        (json!({"type": "timestamp", "ambiguous": "latest", "zone": "+01:00"}), "ambiguous"),
        (json!({"type": "date", "zone": "UTC"}), "zone"),
        (json!({"type": "date", "format": "%H:%M"}), "format"),
        (json!({"type": "date", "format": "%Q"}), "format"),
        (json!({"type": "timestamp", "format": "%d.%m.%Y"}), "format"),
        (json!({"type": "string", "format": "%d.%m.%Y"}), "format"),
        (json!({"type": "bool", "format": "%H"}), "format"),
        (json!({"type": "string", "width": 3, "at": 1}), "width at"),
    ];
    for (mut column, want) in cases {
        column["name"] = "v".into();
        let want: Vec<_> = want.split(' ').map(|field| format!("U0213 columns[0].{field}")).collect();
        assert_eq!(mistakes(json!({}), json!([column.clone()])), want, "{column}");
    }
    for mut right in [
        json!({"type": "int32", "thousands": "."}),
        json!({"type": "timestamp", "format": "%s"}),
        json!({"type": "timestamp", "format": "%d/%b/%Y:%H:%M:%S %z"}),
        json!({"type": "timestamp", "zone": "Europe/Berlin", "ambiguous": "earliest"}),
        json!({"type": "date", "format": "%y%j"}),
        json!({"type": "string", "format": "%H%M%S%.f"}),
    ] {
        right["name"] = "v".into();
        assert_eq!(mistakes(json!({}), json!([right.clone()])), Vec::<String>::new(), "{right}");
    }
}

#[test]
fn fixed_widths_that_cannot_be() {
    let column = |extra: Value| {
        let mut column = json!({"name": "v", "type": "string", "width": 3});
        column.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!([{"name": "u", "type": "string", "width": 2}, column])
    };
    let fixed = |extra: Value| {
        let mut dialect = json!({"format": "fixed", "header": "none"});
        dialect.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        dialect
    };
    let plain = || column(json!({}));
    let cases = [
        (fixed(json!({"header": "present"})), plain(), "dialect.header"),
        (fixed(json!({"delimiter": ";"})), plain(), "dialect.delimiter"),
        (fixed(json!({"quote": "'"})), plain(), "dialect.quote"),
        (fixed(json!({"escape": "\\"})), plain(), "dialect.escape"),
        (fixed(json!({"comment": "#"})), plain(), "dialect.comment"),
        (fixed(json!({"line_width": 4})), plain(), "dialect.line_width"),
        (fixed(json!({"trim": "left"})), plain(), "dialect.trim"),
        (fixed(json!({})), json!([]), "columns"),
        (fixed(json!({})), column(json!({"width": null})), "columns[1].width"),
        (fixed(json!({})), column(json!({"at": 2})), "columns[1].at"),
        (fixed(json!({})), column(json!({"at": 0})), "columns[1].at columns[1].at"),
    ];
    for (dialect, columns, want) in cases {
        let want: Vec<_> = want.split(' ').map(|field| format!("U0235 {field}")).collect();
        assert_eq!(mistakes(dialect.clone(), columns), want, "{dialect}");
    }
    assert_eq!(mistakes(fixed(json!({"terminator": "none", "line_width": 9})), plain()), Vec::<String>::new());
}

#[test]
fn trailers_that_cannot_be() {
    let columns = || json!([{"name": "n", "type": "int64"}, {"name": "t", "type": "string"}]);
    let cases = [
        (json!({"match": ""}), ".match"),
        (json!({"match": "T\n"}), ".match"),
        (json!({"match": "#T"}), ".match"),
        (json!({"match": "T", "rows": {}}), ".rows"),
        (json!({"match": "T", "rows": {"field": 2, "at": 3}}), ".rows"),
        (json!({"match": "T", "rows": {"field": 0}}), ".rows"),
        (json!({"match": "T", "rows": {"field": 2, "width": 3}}), ".rows"),
        (json!({"match": "T", "sums": [{"of": "x", "field": 2}]}), ".sums[0].of"),
        (json!({"match": "T", "sums": [{"of": "t", "field": 2}]}), ".sums[0].of"),
        (json!({"match": "T", "sums": [{"of": "n", "field": 2}, {"of": "n", "field": 3}]}), ".sums[1].of"),
        (json!({"match": "T", "sums": [{"of": "n"}]}), ".sums[0]"),
    ];
    for (trailer, want) in cases {
        let dialect = json!({"comment": "#", "trailer": trailer});
        assert_eq!(mistakes(dialect.clone(), columns()), [format!("U0234 dialect.trailer{want}")], "{dialect}");
    }
    let grows = Drops::new().with("on_growth", json!("continue")).with("dialect", json!({"trailer": {"match": "T"}}));
    assert_eq!(CsvDrops::validate(&grows.config())[0].path, "on_growth");
    for limit in ["field_lines_max", "columns_max"] {
        assert_eq!(CsvDrops::validate(&Drops::new().with(limit, json!(0)).config())[0].path, limit);
    }
}

#[test]
fn expectations_that_cannot_be() {
    let told = |expect: Value, splits: u32| {
        let drops = Drops::new().with("expect", expect.clone()).with("splits", json!(splits));
        let problems = CsvDrops::validate(&drops.config());
        assert!(problems.iter().all(|p| !p.help.is_empty() && !p.message.is_empty()), "{expect}: {problems:?}");
        problems.iter().map(|p| format!("{} {}", p.code, p.path)).collect::<Vec<_>>()
    };
    let cases = [
        (json!({"by": "6:00"}), "by"),
        (json!({"by": "24:00"}), "by"),
        (json!({"by": "soon"}), "by"),
        (json!({"by": "06:00", "zone": "Europe/Berlon"}), "zone"),
        (json!({"by": "06:00", "grace": "13h"}), "grace"),
        (json!({"by": "06:00", "files": 0}), "files"),
        (json!({"by": "06:00", "days": ["mon", "tue", "mon"]}), "days"),
    ];
    for (expect, want) in cases {
        assert_eq!(told(expect.clone(), 1), [format!("U0236 expect.{want}")], "{expect}");
    }
    assert_eq!(told(json!({"by": "06:00"}), 2), ["U0236 expect"]);
    let whole = json!({"by": "06:00", "zone": "Europe/Berlin", "grace": "12h", "days": ["mon", "fri"], "files": 3});
    assert_eq!(told(whole, 1), Vec::<String>::new());
}
