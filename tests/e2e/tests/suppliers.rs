//! The three suppliers of `examples/supplier-prices` whose lists have a dialect of their own, with the real binary and a real broker: every row
//! is in the topic or in quarantine, and those in quarantine go through once their one cell is mended. What is right is written here by hand; topics
//! are read by a reader that is not the product's.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests stop at what they did not expect")]

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use unbatch_test_harness::{Broker, Finished, Launch, Reader, unique_name};

const DEADLINE: Duration = Duration::from_secs(120);

/// A supplier's list, and what must come of it.
struct Supplier {
    name: &'static str,
    file: &'static str,
    line: u64,
    code: &'static str,
    mend: [&'static str; 2],
    good: Vec<Value>,
    mended: Value,
}

fn suppliers() -> [Supplier; 3] {
    let garda = |sku: &str, article: &str, price: &str, retail: Option<&str>, from: &str| json!({"sku": sku, "article": article, "price": price, "retail_price": retail, "valid_from": from, "currency": "EUR"});
    let harbour = |sku: &str, article: &str, price: &str, from: &str, to: Option<&str>| json!({"sku": sku, "article": article, "price": price, "valid_from": from, "valid_to": to, "currency": "USD"});
    let isar = |sku: &str, article: &str, price: &str, currency: &str, from: &str| json!({"sku": sku, "article": article, "price": price, "currency": currency, "valid_from": from});
    [
        Supplier {
            name: "garda",
            file: "garda_2026-03-02.csv.gz",
            line: 5,
            code: "bad_decimal",
            mend: ["--patch", "prezzo = replace(prezzo, 'O', '0')"],
            good: vec![
                garda("GA-1001", "Mocassino da città", "89.90", Some("149.00"), "2026-03-03"),
                garda("GA-1002", "Décolleté «Verità»", "119.00", Some("199.00"), "2026-03-03"),
                garda("GA-1030", "Stivale più alto, suola in gomma", "1149.50", Some("1899.00"), "2026-03-03"),
                garda("GA-1044", "Scarponcino \"Baldo\"", "134.90", None, "2026-03-15"),
                garda("GA-1050", "Pantofola", "24.50", Some("39.90"), "2026-03-03"),
            ],
            mended: garda("GA-1031", "Sandalo", "104.90", Some("169.00"), "2026-03-03"),
        },
        Supplier {
            name: "harbour",
            file: "harbour_2026-03-02.tsv",
            line: 5,
            code: "bad_date",
            mend: ["--set", "valid_from=02/28/2026"],
            good: vec![
                harbour("HB-12", "Deck shoe, 9\" last", "64.00", "2026-03-03", None),
                harbour("HB-13", "Deck shoe, navy", "64.00", "2026-03-03", Some("2026-06-30")),
                harbour("HB-20", "Rubber boot", "38.25", "2026-03-03", None),
                harbour("HB-78", "Sailing boot, wide", "115.50", "2026-03-03", None),
                harbour("HB-90", "Laces \"Classic\"", "3.10", "2026-03-03", Some("2026-12-31")),
            ],
            mended: harbour("HB-77", "Sailing boot", "112.00", "2026-02-28", None),
        },
        Supplier {
            name: "isar",
            file: "isar_2026-03-02.txt",
            line: 3,
            code: "not_in_values",
            mend: ["--set", "currency=EUR"],
            good: vec![
                isar("IS00000405", "LEISTEN BUCHE", "12.90", "EUR", "2026-03-03"),
                isar("IS00000408", "SENKEL 120CM GEWACHST", "3.49", "EUR", "2026-03-03"),
                isar("IS00000413", "EINLEGESOHLE LEDER", "15.95", "CHF", "2026-04-01"),
                isar("IS00000420", "SCHUHSPANNER ZEDER", "1234.50", "EUR", "2026-03-03"),
            ],
            mended: isar("IS00000412", "EINLEGESOHLE FILZ", "7.95", "EUR", "2026-03-03"),
        },
    ]
}

/// A copy of the example under a deployment and topics of its own.
struct Night {
    home: tempfile::TempDir,
    bootstrap: String,
    topics: Vec<String>,
}

impl Night {
    fn new(suppliers: &[Supplier], broker: &Broker) -> Night {
        let home = tempfile::tempdir().unwrap();
        for folder in ["pipelines", "drops"] {
            fs::create_dir(home.path().join(folder)).unwrap();
        }
        // tests share an Apache Kafka; a deployment has at most 12 characters
        let deployment = format!("d{}", std::process::id() % 10_000_000);
        fs::write(home.path().join("unbatch.yaml"), format!("deployment: {deployment}\n")).unwrap();
        let mut topics = Vec::new();
        for supplier in suppliers {
            let pipeline = format!("pipelines/prices-{}.yaml", supplier.name);
            let yaml = fs::read_to_string(example().join(&pipeline)).unwrap();
            let named = format!("name: prices.{},", supplier.name);
            assert!(yaml.contains(&named), "{pipeline} has {named}");
            let topic = unique_name(supplier.name);
            fs::write(home.path().join(pipeline), yaml.replace(&named, &format!("name: {topic},"))).unwrap();
            let list = example().join("lists").join(supplier.file);
            fs::copy(list, home.path().join("drops").join(supplier.file)).unwrap();
            topics.push(topic);
        }
        Night { home, bootstrap: broker.bootstrap().to_owned(), topics }
    }

    fn unbatch(&self, arguments: &[&str]) -> Finished {
        let launch = Launch::unbatch().args(arguments).args(["--brokers", &self.bootstrap]);
        launch.current_dir(self.home.path()).run(DEADLINE)
    }

    /// What waits in the quarantine of a pipeline: file, line and code.
    fn waiting(&self, pipeline: &str) -> Vec<(String, u64, String)> {
        let list = self.unbatch(&["quarantine", "list", pipeline, "--json"]);
        let answer: Value = serde_json::from_str(&list.stdout).expect("one JSON document on stdout");
        let entries = answer["result"]["entries"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let of = |e: &Value| {
            (text(&e["origin"]["file"]), e["origin"]["line"].as_u64().unwrap_or_default(), text(&e["code"]))
        };
        entries.iter().map(of).collect()
    }

    fn values(&self, of: usize) -> Vec<Value> {
        let records = Reader::committed(&self.bootstrap).read(&self.topics[of], DEADLINE).unwrap();
        records.iter().map(|r| serde_json::from_slice(r.value.as_deref().unwrap()).unwrap()).collect()
    }
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/supplier-prices")
}

#[test]
fn every_row_of_three_dialects_is_in_the_topic_or_in_quarantine_and_the_bad_ones_are_mended_there() {
    let test = "every_row_of_three_dialects_is_in_the_topic_or_in_quarantine_and_the_bad_ones_are_mended_there";
    let Some(broker) = Broker::from_env(test) else { return };
    let suppliers = suppliers();
    let night = Night::new(&suppliers, &broker);
    let run = night.unbatch(&["run", "--once", "--no-http"]);
    assert_eq!(run.status.code(), Some(0), "{}\n{}", run.stdout, run.stderr);
    for (n, supplier) in suppliers.iter().enumerate() {
        let pipeline = format!("prices-{}", supplier.name);
        assert_eq!(night.values(n), supplier.good, "{pipeline}");
        let bad = (supplier.file.to_owned(), supplier.line, supplier.code.to_owned());
        assert_eq!(night.waiting(&pipeline), [bad], "{pipeline}");
        let [how, what] = supplier.mend;
        let replay = night.unbatch(&["quarantine", "replay", &pipeline, "--code", supplier.code, how, what]);
        assert_eq!(replay.status.code(), Some(0), "{pipeline}\n{}\n{}", replay.stdout, replay.stderr);
        let all: Vec<Value> = supplier.good.iter().chain([&supplier.mended]).cloned().collect();
        assert_eq!(night.values(n), all, "{pipeline}");
        assert_eq!(night.waiting(&pipeline), [], "{pipeline}");
    }
    // all was taken once
    let run = night.unbatch(&["run", "--once", "--no-http"]);
    assert_eq!(run.status.code(), Some(0), "{}\n{}", run.stdout, run.stderr);
    let counts: Vec<usize> = (0..suppliers.len()).map(|n| night.values(n).len()).collect();
    assert_eq!(counts, [6, 6, 5]);
}
