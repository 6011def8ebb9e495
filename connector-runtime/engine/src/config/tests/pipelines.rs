//! Whole pipeline files.

use super::*;
use crate::registry::Registry;
use std::path::Path;
use std::time::Duration;
use unbatch_api::{Delivery, Severity};

pub(super) const PRICES: &str = "\
version: 1
pipeline: prices
replaces: {job: load_prices, schedule: \"30 3 * * *\"}
source:
  csv_drops:
    url: file:///drops/
    columns:
      - {name: sku, type: string}
      - {name: price, type: \"decimal(12,2)\"}
steps:
  - {drop: price}
sink:
  topic: {name: supplier.prices, key: [sku]}
commit: {every: 2s, rows: 500, bytes: 1MiB}
on_error: {quarantine: {name: bad-prices, stop_after: {count: 100, percent: 1.0}}}
slo: {freshness: 30s}
formerly: old-prices
";

pub(super) fn load_one(name: &str, text: &str) -> (Option<PipelineSpec>, Diagnostics) {
    load_text(Path::new(name), text, &fake::registry())
}

/// Loads `prices.yaml` after replacing `from` by `to`, and compares what is wrong with it.
fn pipeline(from: &str, to: &str, expected: &[&str]) -> Diagnostics {
    assert!(PRICES.contains(from), "{from}");
    let text = PRICES.replacen(from, to, 1);
    let (spec, found) = load_one("prices.yaml", &text);
    assert_eq!(lines(&found), expected, "\n{text}\n{}", found.render(Style::default()));
    assert_eq!(spec.is_none(), found.has_errors());
    assert!(found.iter().all(|d| !d.help.is_empty()));
    found
}

#[test]
fn a_pipeline_file_becomes_a_pipeline() {
    let (spec, found) = load_one("folder/prices.yaml", PRICES);
    let spec = spec.unwrap_or_else(|| panic!("{}", found.render(Style::default())));
    assert!(found.is_empty());
    assert_eq!((spec.name.as_str(), spec.source.name(), spec.sink.name()), ("prices", "csv_drops", "topic"));
    assert!(spec.base.is_absolute() && spec.base.ends_with("folder"), "{:?}", spec.base);
    assert_eq!((spec.policy.every, spec.policy.rows, spec.policy.bytes), (Duration::from_secs(2), 500, 1 << 20));
    assert_eq!(spec.policy.at_most_every, Duration::from_millis(50));
    assert_eq!(spec.on_error.quarantine_name.as_deref(), Some("bad-prices"));
    assert_eq!((spec.on_error.stop_after.count, spec.on_error.stop_after.percent), (Some(100), Some(1.0)));
    assert_eq!(spec.delivery, Delivery::ExactlyOnce);
    assert_eq!(spec.freshness, Some(Duration::from_secs(30)));
    assert_eq!(spec.replaces.as_ref().map(|r| r.job.as_str()), Some("load_prices"));
    assert_eq!(spec.formerly.as_ref().map(|n| n.as_str()), Some("old-prices"));
    assert_eq!((spec.steps.len(), spec.columns_known), (1, true));
    let least = "version: 1\npipeline: a\nsource: {csv_drops: {url: x}}\nsink: {topic: {name: t}}\n";
    let (spec, _) = load_one("a.yaml", least);
    let spec = spec.unwrap();
    assert_eq!((spec.policy.rows, spec.columns_known, spec.steps.len()), (10_000, false, 0));
    assert_eq!(spec.on_error.stop_after.count, None);
}

#[test]
fn what_is_wrong_in_a_pipeline_file_is_said_at_its_place() {
    pipeline("version: 1", "version: 2", &["U0105 1:10 `version` must be `1`, but it is `2`"]);
    pipeline("version: 1", "version: \"1\"", &["U0104 1:10 `version` must be a number, but `1` is text"]);
    pipeline("version: 1\n", "", &["U0103 1:1 the file needs `version`"]);
    pipeline("pipeline: prices", "pipeline: Prices", &["U0110 2:11 `Prices` is not allowed in `pipeline`"]);
    pipeline(
        "pipeline: prices",
        "pipeline: price",
        &["U0124 2:11 pipeline `price` stands in a file of another name, `prices`"],
    );
    pipeline("  csv_drops:", "  csv_drop:", &["U0102 5:3 unknown field `csv_drop` in `source`"]);
    pipeline(
        "source:\n",
        "source:\n  postgres_cdc: {dsn: {env: X}, tables: [a]}\n",
        &["U0106 6:3 `source` has both `postgres_cdc` and `csv_drops`; it takes one"],
    );
    pipeline("    url: file:///drops/\n", "", &["U0103 5:3 `source.csv_drops` needs `url`"]);
    pipeline(
        "sink:\n  topic: {name: supplier.prices, key: [sku]}\n",
        "sink: topic\n",
        &["U0106 12:7 `sink` is only a name; `topic` needs settings"],
    );
    pipeline("{drop: price}", "{dropp: price}", &["U0102 11:6 unknown field `dropp` in `steps[0]`"]);
    pipeline("{drop: price}", "{drop: [price]}", &["U0104 11:6 `steps[0].drop` must be text, but it is a list"]);
    pipeline("every: 2s", "evry: 2s", &["U0102 14:10 unknown field `evry` in `commit`"]);
    pipeline("rows: 500", "rows: 0", &["U0111 14:27 `commit.rows` must be at least 1"]);
    pipeline(
        "percent: 1.0",
        "percent: 101",
        &["U0111 15:77 `on_error.quarantine.stop_after.percent` must be between 0 and 100"],
    );
    pipeline("slo: {freshness: 30s}", "slo: {}", &["U0103 16:1 `slo` needs `freshness`"]);
    pipeline(
        "slo:",
        "delivery: exactly-once\nslo:",
        &["U0105 16:11 `delivery` must be `exactly_once` or `at_least_once`, but it is `exactly-once`"],
    );
}

#[test]
fn a_field_in_the_wrong_mapping_is_sent_home() {
    let moved =
        pipeline("slo:", "freshness: 30s\nslo:", &["U0102 16:1 unknown field `freshness` at the top of the file"]);
    assert!(moved.iter().any(|d| d.label.as_deref() == Some("belongs in `slo`")), "{moved:?}");
    let deep = pipeline("every: 2s", "percent: 2", &["U0102 14:10 unknown field `percent` in `commit`"]);
    let label = "belongs in `on_error.quarantine.stop_after`";
    assert!(deep.iter().any(|d| d.label.as_deref() == Some(label)), "{deep:?}");
}

#[test]
fn what_no_schema_can_say_is_checked_too() {
    pipeline(
        "key: [sku]",
        "key: [sku], plain: true",
        &["U0120 12:1 sink `topic` gives at_least_once with these settings, exactly_once is asked for"],
    );
    pipeline("commit:", "delivery: at_least_once\ncommit:", &[]);
    pipeline(
        "topic: {name: supplier.prices, key: [sku]}",
        "parquet: {url: s3://lake/}",
        &["U0121 14:1 `commit:` does not apply to sink `parquet`"],
    );
    pipeline("every: 2s", "every: 10ms", &["U0122 14:17 `commit.every` must be at least 50ms with sink `topic`"]);
    pipeline("bytes: 1MiB", "bytes: 0B", &["U0122 14:39 `commit.bytes` must be at least 1B"]);
    pipeline("file:///drops/", "bad", &["U0201 6:10 `bad` is no URL"]);
    let warned = pipeline("file:///drops/", "odd", &["U0201 6:10 `odd` is an odd URL"]);
    assert!(warned.iter().all(|d| d.severity == Severity::Warning) && !warned.has_errors());
    pipeline("{drop: price}", "{drop: prize}", &["U0130 11:13 there is no column `prize`"]);
    // The sink sees the columns after the steps.
    pipeline("key: [sku]", "key: [sku, price]", &["U0301 13:45 there is no column `price`"]);
}

#[test]
fn parts_are_checked_although_others_are_wrong() {
    let text = PRICES.replace("file:///drops/", "bad").replace("30s", "soon").replace("supplier.prices", "\"\"");
    let (spec, found) = load_one("x.yaml", &text);
    assert!(spec.is_none());
    assert_eq!(
        lines(&found),
        [
            "U0124 2:11 pipeline `prices` stands in a file of another name, `x`",
            "U0201 6:10 `bad` is no URL",
            "U0302 13:17 a topic needs a name",
            "U0108 16:18 `slo.freshness` must be a duration, but `soon` is not a duration like 250ms, 5s or 10m",
        ]
    );
}

#[test]
fn a_password_in_a_connector_is_refused_and_hidden() {
    let empty = "version: 1\npipeline: a\nsource: {postgres_cdc: {dsn: , tables: [x]}}\nsink: {topic: {name: t}}\n";
    assert_eq!(
        lines(&load_one("a.yaml", empty).1),
        ["U0104 3:25 `source.postgres_cdc.dsn` must be a reference to a secret, but it is empty"]
    );
    let text = "version: 1\npipeline: a\nsource:\n  postgres_cdc: {dsn: \"postgres://u:hunter2@h\", tabels: [x]}\nsink: {topic: {name: t}}\n";
    let (_, found) = load_one("a.yaml", text);
    assert_eq!(
        lines(&found),
        [
            "U0107 4:23 `source.postgres_cdc.dsn` must not stand in the file",
            "U0102 4:49 unknown field `tabels` in `source.postgres_cdc`",
        ]
    );
    let drawn = found.render(Style::default());
    assert!(!drawn.contains("hunter2") && drawn.contains("dsn: ***, tabels"), "{drawn}");
}

#[test]
fn all_files_are_loaded_and_all_errors_reported() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    let least = |name: &str| {
        format!("version: 1\npipeline: {name}\nsource: {{csv_drops: {{url: x}}}}\nsink: {{topic: {{name: t}}}}\n")
    };
    write("one/a.yaml", &least("a"));
    write("one/b.yaml", &least("b").replace("url", "ulr"));
    write("one/c.yaml", "version: [\n");
    write("one/d.yml", &least("d"));
    write("one/unbatch.yaml", "deployment: shop\n");
    write("one/.hidden.yaml", "x");
    write("one/notes.txt", "x");
    let again = write("two/a.yaml", &least("a"));
    let folder_of = |name: &str| folder.path().join(name);
    std::fs::create_dir(folder_of("empty")).unwrap();
    let paths = [folder_of("one"), folder_of("one/a.yaml"), again, folder_of("empty"), folder_of("nowhere.yaml")];
    let (specs, found) = load(&paths, &fake::registry());
    assert_eq!(specs.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["a"]);
    let codes: Vec<(String, &str)> =
        found.iter().map(|d| (d.file.strip_prefix(folder.path()).unwrap().display().to_string(), d.code)).collect();
    let expected = [
        ("empty", "U0100"),
        ("nowhere.yaml", "U0100"),
        ("one/b.yaml", "U0102"),
        ("one/c.yaml", "U0101"),
        ("one/d.yml", "U0126"),
        ("two/a.yaml", "U0125"),
    ];
    assert_eq!(codes, expected.map(|(f, c)| (f.to_owned(), c)), "{}", found.render(Style::default()));
    let twice = found.iter().find(|d| d.code == "U0125").unwrap();
    for place in ["one/a.yaml:2:11", "two/a.yaml:2:11"] {
        assert!(twice.message.contains(&folder_of(place).display().to_string()), "{}", twice.message);
    }
    assert_eq!((found.errors(), found.warnings()), (5, 1));
}

#[test]
fn the_hash_follows_the_content_and_nothing_else() {
    let hash = |text: &str| load_one("prices.yaml", text).0.unwrap().hash;
    let original = hash(PRICES);
    // Golden: a change of this value gives every running pipeline a new revision.
    assert_eq!(original, "e28388162e0e076c");
    let same = [
        PRICES.replace("version: 1\n", "# a comment\nversion:   1 # another\n\n"),
        PRICES.replace(
            "slo: {freshness: 30s}\nformerly: old-prices\n",
            "formerly: \"old-prices\"\nslo:\n  freshness: '30s'\n",
        ),
        PRICES.replace("{name: supplier.prices, key: [sku]}", "{key: [ sku ], name: supplier.prices}"),
        PRICES.replace('\n', "\r\n"),
        PRICES.replace("rows: 500", "rows: 0x1F4"),
    ];
    for text in same {
        assert_eq!(hash(&text), original, "{text}");
    }
    let different = [
        PRICES.replace("rows: 500", "rows: 501"),
        PRICES.replace("drop: price", "drop: sku").replace("key: [sku]", "key: [price]"),
        PRICES.replace("slo: {freshness: 30s}\n", ""),
        PRICES.replace("{name: sku, type: string}", "{name: sku, type: string}\n      - {name: z, type: string}"),
    ];
    for text in different {
        assert_ne!(hash(&text), original, "{text}");
    }
}

#[test]
fn the_schema_for_editors_has_every_connector() {
    let schema = pipeline_schema(&fake::registry());
    let text = schema.to_string();
    for word in
        ["csv_drops", "postgres_cdc", "topic", "parquet", "drop", "freshness", "Folder that files are dropped into."]
    {
        assert!(text.contains(word), "{word}");
    }
    assert_eq!(schema["properties"]["source"]["oneOf"].as_array().map(Vec::len), Some(2));
    assert_eq!(schema["additionalProperties"], serde_json::json!(false));
    // Every reference inside leads somewhere.
    for target in text.split("\"$ref\":\"#").skip(1) {
        let target = target.split('"').next().unwrap_or_default();
        assert!(schema.pointer(target).is_some(), "{target}");
    }
    let (spec, found) = load_text(Path::new("prices.yaml"), PRICES, &Registry::default());
    assert!(spec.is_none());
    assert_eq!(
        lines(&found),
        [
            "U0102 5:3 there is no source `csv_drops` in this binary",
            "U0102 11:6 there is no step `drop` in this binary",
            "U0102 13:3 there is no sink `topic` in this binary",
        ]
    );
}

#[test]
fn every_code_in_the_sources_is_documented_once() {
    let sources = [
        include_str!("../check.rs"),
        include_str!("../check/choice.rs"),
        include_str!("../check/scalars.rs"),
        include_str!("../load.rs"),
        include_str!("../read.rs"),
        include_str!("../secrets.rs"),
        include_str!("../yaml.rs"),
    ];
    let mut used: Vec<&str> = sources
        .iter()
        .flat_map(|text| text.split("\"U0").skip(1).filter_map(|rest| rest.split('"').next()))
        .filter(|digits| digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit()))
        .collect();
    used.sort_unstable();
    used.dedup();
    assert!(used.len() >= 20, "{used:?}");
    let known: Vec<&str> = CODES.iter().map(|(code, ..)| &code[2..]).collect();
    assert_eq!(used, known, "the table is sorted, complete and holds nothing else");
    for (code, title, meaning, remedy) in CODES {
        assert!(!title.is_empty() && meaning.ends_with('.') && remedy.ends_with('.'), "{code}");
    }
    assert_eq!(explain("u0102").map(|(code, ..)| *code), Some("U0102"));
    assert_eq!(explain("U9999"), None);
}
