//! `examples/product-master`, a night at a time, with the real binary and a real broker. What is right stands in the change log that the
//! nights were made from; the topic is read by a reader that is not the product's.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests stop at what they did not expect")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use unbatch_test_harness::{Broker, Finished, Launch, Reader, unique_name};

const DEADLINE: Duration = Duration::from_secs(120);
const ROUNDS: [(&str, i32); 4] =
    [("2026-03-02T0200", 0), ("2026-03-03T0200", 0), ("2026-03-04T0200", 1), ("2026-03-04T0430", 0)];

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/product-master")
}

/// Operation and row of each change of a product, in order.
type Log = BTreeMap<String, Vec<(String, Value)>>;

fn truth() -> Log {
    let text = fs::read_to_string(example().join("data/changes.ndjson")).unwrap();
    let mut log = Log::new();
    for line in text.lines() {
        let change: Value = serde_json::from_str(line).unwrap();
        let [op, sku] = ["op", "sku"].map(|name| change[name].as_str().unwrap().to_owned());
        log.entry(sku).or_default().push((op, change["row"].clone()));
    }
    log
}

#[test]
fn the_topic_of_the_product_master_has_each_change_once_and_nothing_else() {
    let test = "the_topic_of_the_product_master_has_each_change_once_and_nothing_else";
    let Some(broker) = Broker::from_env(test) else { return };
    let home = tempfile::tempdir().unwrap();
    ["pipelines", "drops"].iter().for_each(|folder| fs::create_dir_all(home.path().join(folder)).unwrap());
    let topic = unique_name("product.master");
    let yaml = fs::read_to_string(example().join("pipelines/product-master.yaml")).unwrap();
    let named = "name: product.master,";
    assert!(yaml.contains(named));
    fs::write(home.path().join("pipelines/product-master.yaml"), yaml.replace(named, &format!("name: {topic},")))
        .unwrap();
    let deployment = format!("p{}", std::process::id() % 10_000_000);
    fs::write(home.path().join("unbatch.yaml"), format!("deployment: {deployment}\n")).unwrap();
    let unbatch = |arguments: &[&str]| -> Finished {
        let launch = Launch::unbatch().args(arguments).args(["--brokers", broker.bootstrap()]);
        launch.current_dir(home.path()).run(DEADLINE)
    };
    for (round, status) in ROUNDS {
        for file in fs::read_dir(example().join("data").join(round)).unwrap() {
            let file = file.unwrap();
            let draft = home.path().join("draft");
            fs::copy(file.path(), &draft).unwrap();
            fs::rename(draft, home.path().join("drops").join(file.file_name())).unwrap();
        }
        let run = unbatch(&["run", "--once", "--no-http", "--json"]);
        assert_eq!(run.status.code(), Some(status), "round {round}\n{}\n{}", run.stdout, run.stderr);
    }
    let mut seen = Log::new();
    for record in Reader::committed(broker.bootstrap()).read(&topic, DEADLINE).unwrap() {
        let key: Value = serde_json::from_slice(record.key.as_deref().unwrap()).unwrap();
        let row = record.value.as_deref().map_or(Value::Null, |value| serde_json::from_slice(value).unwrap());
        let meta: Value = serde_json::from_slice(record.header("meta").unwrap()).unwrap();
        let (op, sku) = (meta["op"].as_str().unwrap().to_owned(), key["sku"].as_str().unwrap().to_owned());
        seen.entry(sku).or_default().push((op, row));
    }
    assert_eq!(seen, truth());
    let list = unbatch(&["quarantine", "list", "product-master", "--json"]);
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    let codes: Vec<&str> =
        list["result"]["entries"].as_array().unwrap().iter().map(|e| e["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["bad_decimal"], "the entry of the parked file is settled: {list}");
    let left = |folder: &str| fs::read_dir(home.path().join(folder)).unwrap().flatten();
    let is_shown = |name: &str| !name.starts_with('.');
    assert_eq!(left("drops").filter(|f| is_shown(&f.file_name().to_string_lossy())).count(), 0);
    assert_eq!(left("baselines").count(), 1);
}
