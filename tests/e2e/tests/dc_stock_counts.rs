//! `examples/dc-stock-counts`, a round of the night at a time, with the real binary and a real broker. What is right stands in
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

/// A copy of the example under a deployment and a topic of its own.
struct Night {
    home: tempfile::TempDir,
    deployment: String,
    topic: String,
    bootstrap: String,
}

impl Night {
    fn new(broker: &Broker) -> Night {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/dc-stock-counts");
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("pipelines")).unwrap();
        fs::create_dir_all(home.path().join("drops")).unwrap();
        let topic = unique_name("stock.counts");
        let yaml = fs::read_to_string(example.join("pipelines/dc-stock-counts.yaml")).unwrap();
        assert!(yaml.contains("name: stock.counts,"), "the example writes to the topic stock.counts");
        let yaml = yaml.replace("name: stock.counts,", &format!("name: {topic},"));
        fs::write(home.path().join("pipelines/dc-stock-counts.yaml"), yaml).unwrap();
        // tests share an Apache Kafka, so each has a deployment of its own; at most 12 characters
        static NIGHTS: AtomicU32 = AtomicU32::new(0);
        let (process, night) = (std::process::id() % 10_000_000, NIGHTS.fetch_add(1, Ordering::Relaxed));
        let deployment = format!("n{process}-{night}");
        fs::write(home.path().join("unbatch.yaml"), format!("deployment: {deployment}\n")).unwrap();
        Night { home, deployment, topic, bootstrap: broker.bootstrap().to_owned() }
    }

    fn unbatch(&self, arguments: &[&str]) -> Finished {
        let launch = Launch::unbatch().args(arguments).args(["--brokers", &self.bootstrap]);
        launch.current_dir(self.home.path()).run(DEADLINE)
    }

    fn ledger(&self) -> (Ledger, PathBuf) {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/dc-stock-counts/data");
        (Ledger::open(&data).unwrap(), data)
    }
}

#[test]
fn every_row_of_the_nights_is_in_the_topic_or_in_quarantine_exactly_once() {
    let Some(broker) = Broker::from_env("every_row_of_the_nights_is_in_the_topic_or_in_quarantine_exactly_once") else {
        return;
    };
    let night = Night::new(&broker);
    let (ledger, data) = night.ledger();
    let folder = DropFolder::new(night.home.path().join("drops"), None, SameName::Replace).unwrap();
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
    let quarantine = format!("{}.dc-stock-counts.quarantine", night.deployment);
    let rejected = reader.read(&quarantine, DEADLINE).unwrap();
    let parse = |bytes: &Option<Vec<u8>>| bytes.as_deref().and_then(|b| serde_json::from_slice(b).ok());
    let rows = records.iter().map(|r| {
        Ok(Record { key: parse(&r.key), value: parse(&r.value).unwrap_or(Value::Null), partition: Some(r.partition) })
    });
    let entries = rejected.iter().map(|r| {
        let entry: Value = parse(&r.value).unwrap_or(Value::Null);
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
    let night = Night::new(&broker);
    let (ledger, data) = night.ledger();
    let folder = DropFolder::new(night.home.path().join("drops"), None, SameName::Replace).unwrap();
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
