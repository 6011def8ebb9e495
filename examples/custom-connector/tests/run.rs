//! The binary with the connector in its list: journals become a topic, each item once, over as many runs as it takes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write;
use std::path::Path;
use std::time::Duration;
use unbatch_test_harness::{Broker, Launch, Reader, unique_name};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn journals_become_a_topic_over_two_runs() {
    let Some(broker) = Broker::from_env("journals_become_a_topic_over_two_runs") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (topic, pipeline) = (unique_name("receipts"), "till-receipts");
    let file = folder.path().join(format!("{pipeline}.yaml"));
    let text = include_str!("../till-receipts.yaml").replace("name: receipts", &format!("name: {topic}"));
    assert!(text.contains(&topic));
    std::fs::write(&file, text).unwrap();
    std::fs::write(folder.path().join("unbatch.yaml"), format!("deployment: t{}\n", std::process::id())).unwrap();
    let journal = folder.path().join("rolls/till-01_2024-05-06.jsonl");
    std::fs::create_dir(folder.path().join("rolls")).unwrap();

    append(&journal, &[&item(1, 1), &item(1, 2), "not a line of a till"]);
    run(folder.path(), &broker, &file);
    assert_eq!(items(&broker, &topic), ["1.1", "1.2"]);
    assert!(journal.exists(), "the journal is not over yet");

    append(&journal, &[&item(2, 1), r#"{"z_report":{"lines":4}}"#]);
    run(folder.path(), &broker, &file);
    assert_eq!(items(&broker, &topic), ["1.1", "1.2", "2.1"]);
    assert!(!journal.exists(), "a journal that is over and committed goes to the archive");
    assert!(folder.path().join("rolls/archive/till-01_2024-05-06.jsonl").exists());

    run(folder.path(), &broker, &file);
    assert_eq!(items(&broker, &topic).len(), 3);
}

fn item(receipt: u32, item: u32) -> String {
    let time = "2024-05-06T09:13:22Z";
    format!(
        r#"{{"receipt":{receipt},"item":{item},"sold_at":"{time}","sku":"A-1","quantity":1,"price":"1.50","last":{}}}"#,
        receipt != 1 || item == 2
    )
}

fn append(journal: &Path, lines: &[&str]) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(journal).unwrap();
    for line in lines {
        writeln!(file, "{line}").unwrap();
    }
}

#[track_caller]
fn run(folder: &Path, broker: &Broker, file: &Path) {
    let launch = Launch::program(env!("CARGO_BIN_EXE_newlimits-unbatch")).current_dir(folder);
    let launch = launch.args(["run", "--once", "--no-http", "--brokers", broker.bootstrap()]).arg(file);
    let finished = launch.run(PATIENCE);
    assert!(finished.status.success(), "{}\n{}", finished.stdout, finished.stderr);
}

/// Receipt and item of every visible record, in order.
fn items(broker: &Broker, topic: &str) -> Vec<String> {
    let records = Reader::committed(broker.bootstrap()).read_visible(topic, PATIENCE).unwrap();
    let mut items: Vec<String> = records
        .iter()
        .map(|record| {
            let value: serde_json::Value = serde_json::from_str(record.value_text()).unwrap();
            format!("{}.{}", value["receipt"], value["item"])
        })
        .collect();
    // the topic may have more partitions than one
    items.sort();
    items
}
