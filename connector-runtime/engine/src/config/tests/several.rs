//! Several mistakes in one file: each is said in the first run, and none that is only a consequence of another.

use super::pipelines::{PRICES, load_one};
use super::*;

/// Makes all the replacements in `prices.yaml`, and compares what is wrong with it.
fn check(replacements: &[(&str, &str)], expected: &[&str]) {
    let mut text = PRICES.to_owned();
    for (from, to) in replacements {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let (spec, found) = load_one("prices.yaml", &text);
    assert_eq!(lines(&found), expected, "\n{text}\n{}", found.render(Style::default()));
    assert!(spec.is_none() && found.iter().all(|d| !d.help.is_empty()));
}

#[test]
fn a_misspelt_key_hides_nothing_beside_it_or_below() {
    check(
        &[("url: file:///drops/", "url: bad\n    delimeter: x"), ("key: [sku]", "key: [ean], partitons: 3")],
        &[
            "U0201 6:10 `bad` is no URL",
            "U0102 7:5 unknown field `delimeter` in `source.csv_drops`",
            "U0301 14:40 there is no column `ean`",
            "U0102 14:46 unknown field `partitons` in `sink.topic`",
        ],
    );
    // what stands below is looked into, under the name that was meant
    check(
        &[("columns:", "colums:"), ("type: string", "typ: string"), ("key: [sku]", "key: [ean]")],
        &[
            "U0102 7:5 unknown field `colums` in `source.csv_drops`",
            "U0102 8:21 unknown field `typ` in `source.csv_drops.colums[0]`",
            "U0301 13:40 there is no column `ean`",
        ],
    );
    check(
        &[("csv_drops:", "csv_drop:"), ("file:///drops/", "bad"), ("type: string", "type: text")],
        &[
            "U0102 5:3 unknown field `csv_drop` in `source`",
            "U0201 6:10 `bad` is no URL",
            "U0110 8:27 `text` is not allowed in `source.csv_drop.columns[0].type`",
        ],
    );
}

#[test]
fn a_wrong_value_hides_nothing_elsewhere_and_makes_up_nothing() {
    // a type that is none: the column is there all the same
    check(
        &[("type: string", "type: text"), ("key: [sku]", "key: [sku, ean]")],
        &[
            "U0110 8:27 `text` is not allowed in `source.csv_drops.columns[0].type`",
            "U0301 13:45 there is no column `ean`",
        ],
    );
    // a column whose name cannot be read may be the one of the key
    check(
        &[("name: sku", "name: [sku]"), ("file:///drops/", "bad")],
        &["U0201 6:10 `bad` is no URL", "U0104 8:10 `source.csv_drops.columns[0].name` must be text, but it is a list"],
    );
    check(&[("name: sku, ", "")], &["U0103 8:10 `source.csv_drops.columns[0]` needs `name`"]);
    check(
        &[("    url: file:///drops/\n", ""), ("key: [sku]", "key: [ean]")],
        &["U0103 5:3 `source.csv_drops` needs `url`", "U0301 12:40 there is no column `ean`"],
    );
    check(
        &[("name: supplier.prices, key: [sku]", "key: sku")],
        &["U0103 13:3 `sink.topic` needs `name`", "U0104 13:16 `sink.topic.key` must be a list, but `sku` is text"],
    );
}

#[test]
fn a_type_without_quotes_is_one_mistake() {
    check(
        &[("\"decimal(12,2)\"", "decimal(12,2)"), ("key: [sku]", "key: [ean]")],
        &[
            "U0110 9:29 `decimal(12` is not allowed in `source.csv_drops.columns[1].type`: the comma ends it",
            "U0301 13:40 there is no column `ean`",
        ],
    );
}

#[test]
fn a_key_given_twice_hides_nothing() {
    check(
        &[("url: file:///drops/", "url: bad\n    url: x"), ("key: [sku]", "key: [ean]")],
        &[
            "U0201 6:10 `bad` is no URL",
            "U0112 7:5 field `source.csv_drops.url` is given twice, on line 6 and on line 7",
            "U0301 14:40 there is no column `ean`",
        ],
    );
}

#[test]
fn what_is_checked_last_is_said_with_what_is_checked_first() {
    check(
        &[
            ("pipeline: prices", "pipeline: price"),
            ("every: 2s", "every: 10ms"),
            ("30s", "soon"),
            ("{drop: price}", "{drop: prize}"),
        ],
        &[
            "U0124 2:11 pipeline `price` stands in a file of another name, `prices`",
            "U0130 11:13 there is no column `prize`",
            "U0122 14:17 `commit.every` must be at least 50ms with sink `topic`",
            "U0108 16:18 `slo.freshness` must be a duration, but `soon` is not a duration like 250ms, 5s or 10m",
        ],
    );
    check(
        &[("version: 1\n", ""), ("key: [sku]", "key: [sku], plain: true")],
        &[
            "U0103 1:1 the file needs `version`",
            "U0120 11:1 sink `topic` gives at_least_once with these settings, exactly_once is asked for",
        ],
    );
}

#[test]
fn broken_yaml_hides_only_its_own_paragraph() {
    check(
        &[("type: string}", "type: string"), ("30s", "soon"), ("key: [sku]", "kye: [sku]")],
        &[
            "U0101 9:9 this is not valid YAML: a list or mapping in brackets is not complete",
            "U0102 13:34 unknown field `kye` in `sink.topic`",
            "U0108 16:18 `slo.freshness` must be a duration, but `soon` is not a duration like 250ms, 5s or 10m",
        ],
    );
    // two paragraphs, two mistakes; what may only be missing since it could not be read is not missed
    let found = load_one(
        "prices.yaml",
        &PRICES.replace("type: string}", "type: string").replace("bytes: 1MiB}", "bytes: 1MiB"),
    )
    .1;
    assert_eq!(
        found.iter().map(|d| d.code).collect::<Vec<_>>(),
        ["U0101", "U0101"],
        "{}",
        found.render(Style::default())
    );
    let found = load_one("prices.yaml", "version: 1\npipeline: [a\n").1;
    assert!(found.iter().all(|d| !d.message.contains("needs `pipeline`")), "{}", found.render(Style::default()));
}
