//! `examples/dc-stock-counts` and `examples/supplier-prices`, a round of the night at a time, with the real binary and a real broker. What is right stands in
//! the truth file that the generator wrote; topic and quarantine are read by a reader that is not the product's.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests stop at what they did not expect")]

use newlimits::truth::{Comparison, FailedFiles, Ledger, Order, Record, Rejection};
use newlimits::{DropFolder, SameName};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use unbatch_test_harness::{Broker, Finished, Launch, Reader, unique_name};

const DEADLINE: Duration = Duration::from_secs(120);

/// An example with files of [`newlimits`].
struct Example {
    folder: &'static str,
    topic: &'static str,
    /// Ending of the empty file that follows each file.
    marker: Option<&'static str>,
}

const STOCK_COUNTS: Example = Example { folder: "dc-stock-counts", topic: "stock.counts", marker: None };
const PRICES: Example = Example { folder: "supplier-prices", topic: "supplier.prices", marker: Some(".done") };

/// A copy of an example under a deployment and a topic of its own.
struct Night {
    example: Example,
    home: tempfile::TempDir,
    deployment: String,
    topic: String,
    bootstrap: String,
}

impl Night {
    fn new(example: Example, broker: &Broker) -> Night {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("pipelines")).unwrap();
        fs::create_dir_all(home.path().join("drops")).unwrap();
        let topic = unique_name(example.topic);
        let pipeline = format!("pipelines/{}.yaml", example.folder);
        let yaml = fs::read_to_string(example.path().join(&pipeline)).unwrap();
        let named = format!("name: {},", example.topic);
        assert!(yaml.contains(&named), "the example writes to the topic {}", example.topic);
        fs::write(home.path().join(pipeline), yaml.replace(&named, &format!("name: {topic},"))).unwrap();
        // tests share an Apache Kafka, so each has a deployment of its own; at most 12 characters
        static NIGHTS: AtomicU32 = AtomicU32::new(0);
        let (process, night) = (std::process::id() % 10_000_000, NIGHTS.fetch_add(1, Ordering::Relaxed));
        let deployment = format!("n{process}-{night}");
        fs::write(home.path().join("unbatch.yaml"), format!("deployment: {deployment}\n")).unwrap();
        Night { example, home, deployment, topic, bootstrap: broker.bootstrap().to_owned() }
    }

    fn unbatch(&self, arguments: &[&str]) -> Finished {
        let launch = Launch::unbatch().args(arguments).args(["--brokers", &self.bootstrap]);
        launch.current_dir(self.home.path()).run(DEADLINE)
    }

    fn ledger(&self) -> (Ledger, PathBuf) {
        let data = self.example.path().join("data");
        (Ledger::open(&data).unwrap(), data)
    }

    fn drops(&self) -> DropFolder {
        let marker = self.example.marker.map(str::to_owned);
        DropFolder::new(self.home.path().join("drops"), marker, SameName::Replace).unwrap()
    }
}

impl Example {
    fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(self.folder)
    }
}

#[test]
fn every_row_of_the_stock_counts_is_in_the_topic_or_in_quarantine_exactly_once() {
    every_row_once("every_row_of_the_stock_counts_is_in_the_topic_or_in_quarantine_exactly_once", STOCK_COUNTS);
}

#[test]
fn every_row_of_the_prices_is_in_the_topic_or_in_quarantine_exactly_once() {
    every_row_once("every_row_of_the_prices_is_in_the_topic_or_in_quarantine_exactly_once", PRICES);
}

#[track_caller]
fn every_row_once(test: &str, example: Example) {
    let Some(broker) = Broker::from_env(test) else { return };
    let night = Night::new(example, &broker);
    let (ledger, data) = night.ledger();
    let folder = night.drops();
    let mut rounds: Vec<&str> = ledger.truth().files.iter().map(|f| f.round.as_str()).collect();
    rounds.dedup();
    for round in rounds {
        for file in ledger.truth().files.iter().filter(|f| f.round == round) {
            folder.drop_file(&data, file).unwrap();
        }
        let run = night.unbatch(&["run", "--once", "--no-http", "--json"]);
        let parked = ledger.truth().files.iter().any(|f| f.round == round && f.reason.is_some());
        assert_eq!(run.status.code(), Some(i32::from(parked)), "round {round}\n{}\n{}", run.stdout, run.stderr);
        let answer: Value = serde_json::from_str(&run.stdout).expect("one JSON document on stdout");
        assert_eq!(answer["command"], "run", "{answer}");
    }
    let reader = Reader::committed(broker.bootstrap());
    let records = reader.read(&night.topic, DEADLINE).unwrap();
    let quarantine = format!("{}.{}.quarantine", night.deployment, night.example.folder);
    let rejected = reader.read(&quarantine, DEADLINE).unwrap();
    let parse = |bytes: &Option<Vec<u8>>| bytes.as_deref().and_then(|b| serde_json::from_slice(b).ok());
    let rows = records.iter().map(|r| {
        Ok(Record { key: parse(&r.key), value: parse(&r.value).unwrap_or(Value::Null), partition: Some(r.partition) })
    });
    let entries: Vec<Value> = rejected.iter().map(|r| parse(&r.value).unwrap_or(Value::Null)).collect();
    // each parked file came again, whole, and its entry was written once more with the mark that it is done with
    let is_mark = |entry: &Value| !entry["replayed"].is_null();
    let parked = ledger.truth().files.iter().filter(|f| f.reason.is_some()).count();
    assert_eq!(entries.iter().filter(|entry| is_mark(entry)).count(), parked);
    let list = night.unbatch(&["quarantine", "list", night.example.folder, "--json"]);
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    let waiting = entries.len() - 2 * parked;
    assert_eq!(list["result"]["entries"].as_array().unwrap().len(), waiting, "{list}");
    let entries = entries.iter().filter(|entry| !is_mark(entry)).map(|entry| {
        let origin = &entry["origin"];
        Ok(Rejection {
            file: origin["file"].as_str().unwrap_or_default().to_owned(),
            line: origin["line"].as_u64(),
            byte: origin["byte"].as_u64(),
            code: entry["code"].as_str().unwrap_or_default().to_owned(),
        })
    });
    let how = Comparison { failed_files: FailedFiles::Prefix, order: Order::InFile, ..Comparison::default() };
    let report = ledger.compare(&how, rows, entries).unwrap();
    assert!(report.is_equal(), "{report}");
    assert!(!records.is_empty() && !rejected.is_empty());
}

#[test]
fn the_commands_show_what_was_done_and_no_command_shows_more_than_it_should() {
    let Some(broker) = Broker::from_env("the_commands_show_what_was_done_and_no_command_shows_more_than_it_should")
    else {
        return;
    };
    let night = Night::new(STOCK_COUNTS, &broker);
    let (ledger, data) = night.ledger();
    let folder = night.drops();
    let first_round = ledger.truth().files[0].round.clone();
    for file in ledger.truth().files.iter().filter(|f| f.round == first_round) {
        folder.drop_file(&data, file).unwrap();
    }
    let run = night.unbatch(&["run", "--once", "--no-http"]);
    let bad = ledger.lines().unwrap().map(Result::unwrap).find(|l| l.code.is_some() && l.file == 0);
    let read = night.unbatch(&["topics", "read", &night.topic, "--limit", "5", "--json"]);
    assert!(read.status.success(), "{}", read.stderr);
    assert!(read.stdout.contains("count_id"), "{}", read.stdout);
    let list = night.unbatch(&["quarantine", "list", "dc-stock-counts"]);
    assert!(list.stdout.contains("truncated_in_quotes"), "{}{}", list.stdout, list.stderr);
    let offsets = night.unbatch(&["offsets", "get", "dc-stock-counts"]);
    assert!(offsets.stdout.contains("stock_"), "{}{}", offsets.stdout, offsets.stderr);
    // values are shown only by commands whose purpose it is
    let cell = first_cell(&data, &ledger);
    assert!(read.stdout.contains(&cell) || bad.is_some(), "the reading command shows values");
    for (name, output) in [("run", &run), ("offsets get", &offsets)] {
        for text in [&output.stdout, &output.stderr] {
            assert!(!text.contains(&cell), "{name} shows the cell `{cell}`:\n{text}");
        }
    }
}

/// The id of the first row, which stands in no name.
fn first_cell(data: &Path, ledger: &Ledger) -> String {
    let file = &ledger.truth().files[0];
    let text = fs::read_to_string(data.join(&file.path)).unwrap();
    text.lines().nth(1).unwrap().split(';').next().unwrap().trim_matches('"').to_owned()
}
