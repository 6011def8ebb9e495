//! A pipeline of prices in a folder of its own, run by the real binary against a real broker.
#![allow(dead_code, reason = "a part of each test, which uses what it needs")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use unbatch_test_harness::{Broker, Finished, Launch, Reader, Record, unique_name};

pub const DEADLINE: Duration = Duration::from_secs(120);
/// Three good rows and three with a letter O for a zero.
pub const MORNING: &str = "sku,price\nA,1.00\nB,2.O0\nC,3.00\nD,4.O0\nE,5.00\nF,6.O0\n";

pub struct Shop {
    pub home: tempfile::TempDir,
    pub deployment: String,
    pub topic: String,
    pub bootstrap: String,
}

impl Shop {
    /// With the morning's file taken.
    pub fn new(broker: &Broker) -> Shop {
        let shop = Shop::empty(broker, "");
        shop.drop_file("morning.csv", MORNING);
        shop.run_once();
        shop
    }

    /// With nothing taken; `more` goes into the pipeline file.
    pub fn empty(broker: &Broker, more: &str) -> Shop {
        let home = tempfile::tempdir().unwrap();
        let topic = unique_name("prices");
        fs::create_dir_all(home.path().join("pipelines")).unwrap();
        fs::create_dir_all(home.path().join("drops")).unwrap();
        let yaml = format!(
            "version: 1\npipeline: prices\nsource:\n  csv_drops:\n    url: file:../drops/\n    match: \"*.csv\"\n    \
             ready_when: {{stable_for: 1ms}}\n    columns:\n      - {{name: sku, type: string, required: true}}\n      \
             - {{name: price, type: \"decimal(12,2)\"}}\nsink:\n  topic: {{name: {topic}, key: [sku], partitions: 2}}\n{more}"
        );
        fs::write(home.path().join("pipelines/prices.yaml"), yaml).unwrap();
        static SHOPS: AtomicU32 = AtomicU32::new(0);
        let deployment = format!("r{}-{}", std::process::id() % 10_000_000, SHOPS.fetch_add(1, Ordering::Relaxed));
        fs::write(home.path().join("unbatch.yaml"), format!("deployment: {deployment}\n")).unwrap();
        Shop { home, deployment, topic, bootstrap: broker.bootstrap().to_owned() }
    }

    pub fn drop_file(&self, name: &str, content: &str) {
        fs::write(self.home.path().join("drops").join(name), content).unwrap();
    }

    pub fn launch(&self, arguments: &[&str]) -> Launch {
        let launch = Launch::unbatch().args(arguments).args(["--brokers", &self.bootstrap]);
        launch.current_dir(self.home.path())
    }

    pub fn run_once(&self) {
        let run = self.launch(&["run", "--once", "--no-http"]).run(DEADLINE);
        assert!(run.status.success(), "{}{}", run.stdout, run.stderr);
    }

    /// Changes the pipeline file.
    pub fn edit(&self, from: &str, to: &str) {
        let path = self.home.path().join("pipelines/prices.yaml");
        let yaml = fs::read_to_string(&path).unwrap();
        assert!(yaml.contains(from), "{yaml}");
        fs::write(path, yaml.replace(from, to)).unwrap();
    }

    pub fn list(&self, arguments: &[&str]) -> Finished {
        self.launch(&[&["quarantine", "list", "prices"], arguments].concat()).run(DEADLINE)
    }

    pub fn list_json(&self, arguments: &[&str]) -> Value {
        let list = self.list(&[arguments, &["--json"]].concat());
        serde_json::from_str(&list.stdout).unwrap_or_else(|_| panic!("{}{}", list.stdout, list.stderr))
    }

    pub fn replay(&self, arguments: &[&str]) -> Finished {
        self.launch(&[&["quarantine", "replay", "prices"], arguments].concat()).run(DEADLINE)
    }

    pub fn replay_json(&self, arguments: &[&str]) -> Value {
        let replay = self.replay(&[arguments, &["--json"]].concat());
        serde_json::from_str(&replay.stdout).unwrap_or_else(|_| panic!("{}{}", replay.stdout, replay.stderr))
    }

    /// Committed records, the last one of each key last.
    pub fn records(&self) -> Vec<Record> {
        // a broker may show a commit a moment after it answered
        Reader::committed(&self.bootstrap).read(&self.topic, DEADLINE).unwrap()
    }

    /// How often each key stands in the topic.
    pub fn rows(&self) -> BTreeMap<String, u32> {
        let mut rows = BTreeMap::new();
        for record in self.records() {
            *rows.entry(record.key_text().to_owned()).or_default() += 1;
        }
        rows
    }

    /// How often the split `prices/replay` stored its state: at each open and with each epoch.
    pub fn states_of_replay(&self) -> usize {
        let states = Reader::committed(&self.bootstrap).read(&format!("{}.state", self.deployment), DEADLINE);
        states.unwrap().iter().filter(|record| record.key_text().contains("prices/replay")).count()
    }

    pub fn quarantine(&self) -> String {
        format!("{}.prices.quarantine", self.deployment)
    }
}
