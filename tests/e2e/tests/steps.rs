//! Steps with the real binary and a real broker: a nightly file is filtered, cast, computed, renamed, masked and routed on its way, and
//! the row for which that fails waits in quarantine until it is mended.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests stop at what they did not expect")]

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;
use unbatch_test_harness::{Broker, Finished, Launch, Reader, unique_name};

const DEADLINE: Duration = Duration::from_secs(120);
const SALT: &str = "pepper";
/// HMAC-SHA-256 of the contact under the salt: `printf ADDRESS | openssl dgst -sha256 -hmac pepper`.
const ADA: &str = "eddcbc0c0fa8cbf6d4cfd93ecdb9462505368148b51d85cd49b960068295db40";
const BOB: &str = "0b3cd4b75861136be48d143fb1ca75d6bd067b1b4c8b8bb46a2e221013f7f612";
const EVE: &str = "d6dd56398dc861e314e0692500ac9e42ff98a0e82fb7f2df290a506d0b24e179";
/// The fourth is cheap, the third has no price, in the second the price is no number.
const NIGHT: &str = "sku,price,country,contact,since\n\
     A,12.50,DE,ada@example.org,2024-01-31\n\
     B,1O.00,DE,bob@example.org,2024-02-01\n\
     C,,FR,cy@example.org,2024-02-02\n\
     D,0.10,FR,dee@example.org,2024-02-03\n\
     E,99.99,FR,eve@example.org,2024-02-29\n";
const STEPS: &str = r#"steps:
  - {cast: {price: "decimal(12,2)", since: date}}
  - {filter: "price >= 1 and since > '2024-01-01'"}
  - derive:
      gross: "round(price * 1.19, 2)"
      line: "meta.line"
  - {rename: {since: starts_on}}
  - {mask: {contact: {hash: {salt: {secret: masking/salt}}}}}
  - {route: {to: {expr: "lower(country)"}}}
  - {drop: [price, country]}
"#;

fn pipeline(home: &Path, prefix: &str) {
    for folder in ["drops", "pipelines", "secrets/masking"] {
        fs::create_dir_all(home.join(folder)).unwrap();
    }
    let yaml = format!(
        "version: 1\npipeline: prices\nsource:\n  csv_drops:\n    url: file:../drops/\n    match: \"*.csv\"\n    ready_when: \
         {{stable_for: 1ms}}\n    columns:\n      - {{name: sku, type: string, required: true}}\n      - {{name: price, type: \
         string}}\n      - {{name: country, type: string}}\n      - {{name: contact, type: string}}\n      - {{name: since, type: \
         string}}\n{STEPS}sink:\n  topic: {{name: \"{prefix}.{{stream}}\", key: [sku], partitions: 1}}\n"
    );
    fs::write(home.join("pipelines/prices.yaml"), yaml).unwrap();
    fs::write(home.join("secrets/masking/salt"), SALT).unwrap();
    let deployment = format!("s{}", std::process::id() % 10_000_000);
    fs::write(home.join("unbatch.yaml"), format!("deployment: {deployment}\nsecrets: {{directory: secrets}}\n"))
        .unwrap();
    fs::write(home.join("drops/night.csv"), NIGHT).unwrap();
}

#[test]
fn a_nightly_file_is_changed_on_its_way_and_a_row_that_fails_is_mended() {
    let Some(broker) = Broker::from_env("a_nightly_file_is_changed_on_its_way_and_a_row_that_fails_is_mended") else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let prefix = unique_name("prices");
    pipeline(home.path(), &prefix);
    let launch = |arguments: &[&str]| -> Finished {
        let launch = Launch::unbatch().args(arguments).args(["--brokers", broker.bootstrap()]);
        launch.current_dir(home.path()).run(DEADLINE)
    };
    let json = |done: &Finished| -> Value {
        serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}{}", done.stdout, done.stderr))
    };

    let seen = json(&launch(&["preview", "prices", "--json"]));
    let (rows, refused) = (&seen["result"]["rows"], &seen["result"]["rejected"]);
    assert_eq!(rows[0]["cells"]["gross"], "14.88", "{seen}");
    assert_eq!((rows[0]["stream"].as_str(), rows.as_array().unwrap().len()), (Some("de"), 2), "{seen}");
    assert_eq!((refused[0]["code"].as_str(), refused.as_array().unwrap().len()), (Some("bad_cast"), 1), "{seen}");

    let ran = launch(&["run", "--once", "--no-http", "--json"]);
    let summary = json(&ran);
    let counted = &summary["result"]["pipelines"][0];
    for (what, count) in [("read", 5), ("written", 2), ("filtered", 2), ("quarantined", 1)] {
        assert_eq!(counted[what], count, "{what}: {summary}");
    }
    let read = |stream: &str| {
        let records = Reader::committed(broker.bootstrap()).read(&format!("{prefix}.{stream}"), DEADLINE).unwrap();
        records.iter().map(|record| format!("{} {}", record.key_text(), record.value_text())).collect::<Vec<_>>()
    };
    let row = |sku, contact, starts_on, gross, line| {
        format!(
            r#"{{"sku":"{sku}"}} {{"sku":"{sku}","contact":"{contact}","starts_on":"{starts_on}","gross":"{gross}","line":{line}}}"#
        )
    };
    assert_eq!(read("de"), [row("A", ADA, "2024-01-31", "14.88", 2)]);
    assert_eq!(read("fr"), [row("E", EVE, "2024-02-29", "118.99", 6)]);

    let list = json(&launch(&["quarantine", "list", "prices", "--json"]));
    let entry = &list["result"]["entries"][0];
    assert_eq!((entry["stage"].as_str(), entry["code"].as_str()), (Some("step"), Some("bad_cast")), "{list}");
    let message = entry["message"].as_str().unwrap();
    assert!(message.starts_with("`cast` of `price`") && !message.contains("1O"), "{message}");

    // read again from the source's row, through all steps
    let patch = |expression: &str, more: &[&str]| {
        let chosen = ["quarantine", "replay", "prices", "--code", "bad_cast", "--patch", expression];
        launch(&[&chosen[..], more].concat())
    };
    let refused = patch("price = price + 1", &[]);
    assert!(!refused.status.success() && refused.stdout.contains("U0619"), "{}{}", refused.stdout, refused.stderr);
    let shown = json(&patch("price = replace(price, 'O', '0')", &["--dry-run", "--json"]));
    assert_eq!(shown["result"]["entries"][0]["row"]["gross"], "11.90", "{shown}");
    assert_eq!(read("de").len(), 1, "a rehearsal writes nothing");
    let mended = patch("price = replace(price, 'O', '0')", &[]);
    assert!(mended.status.success(), "{}{}", mended.stdout, mended.stderr);
    assert_eq!(read("de")[1], row("B", BOB, "2024-02-01", "11.90", 3));
}
