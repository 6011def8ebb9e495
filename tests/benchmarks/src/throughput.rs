//! CSV to topic: one big file, `run --once`, against librdkafka alone with the same records.

use crate::Scale;
use crate::drop_folder::DropFolder;
use crate::figures::{Table, children_cpu};
use crate::memory::kib;
use crate::raw_producer::produce;
use std::time::{Duration, Instant};
use unbatch_test_harness::{Broker, Reader, Record, wait_until};

const DEADLINE: Duration = Duration::from_secs(600);

pub fn measure(broker: &Broker, scale: Scale, table: &mut Table) {
    let rows = scale.rows as f64;
    let (mut wall, mut cpu, mut peak, mut raw, mut raw_cpu) = (vec![], vec![], vec![], vec![], vec![]);
    let mut header_cost = vec![];
    for repetition in 0..scale.repetitions.min(3) {
        let full = load(broker, "full", repetition, scale);
        let minimal = load(broker, "minimal", repetition, scale);
        wall.push(rows / full.seconds);
        cpu.push(full.cpu / rows * 1e6);
        peak.push(full.peak);
        header_cost.push((full.cpu / minimal.cpu - 1.0) * 100.0);
        let (seconds, seconds_of_cpu) = produce(broker, &full.records);
        raw.push(rows / seconds);
        raw_cpu.push(seconds_of_cpu / rows * 1e6);
    }
    let ours = table.add("CSV to topic, exactly once, one file", &wall, "rows/s", "");
    let limit = table.add("librdkafka alone, same records, transactions", &raw, "rows/s", "");
    table.add("… ratio to librdkafka alone", &[ours / limit], "", "0.7 of the limit");
    let ours = table.add("CPU of CSV to topic", &cpu, "s per million rows", "SpoolDir: 16.9");
    let limit = table.add("CPU of librdkafka alone", &raw_cpu, "s per million rows", "");
    table.add("… ratio to librdkafka alone", &[ours / limit], "", "");
    table.add("CPU of header `meta`", &header_cost, "% more than `headers: minimal`", "10");
    table.add("peak memory", &peak, "MiB", "");
}

/// What one run over one file took.
struct Load {
    seconds: f64,
    /// Seconds of CPU.
    cpu: f64,
    /// Most memory that the process held, MiB.
    peak: f64,
    records: Vec<Record>,
}

fn load(broker: &Broker, headers: &str, repetition: usize, scale: Scale) -> Load {
    let folder = DropFolder::new(headers);
    folder.drop_rows("big.csv", repetition * scale.rows, scale.rows);
    let (started, cpu_before) = (Instant::now(), children_cpu());
    let mut run = folder.run(broker.bootstrap()).arg("--once").start();
    let mut most = 0;
    wait_until(DEADLINE, "the run to end", || {
        most = most.max(kib(run.id(), "VmHWM:"));
        run.exited().is_some()
    });
    assert!(run.wait(DEADLINE).success(), "the run: {}", run.tails());
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), (children_cpu() - cpu_before).as_secs_f64());
    Load { seconds, cpu, peak: most as f64 / 1024.0, records: parity(broker, &folder.topic, scale.rows) }
}

/// What the topic holds; a figure counts only when every row is there once.
fn parity(broker: &Broker, topic: &str, rows: usize) -> Vec<Record> {
    let records = Reader::committed(broker.bootstrap()).read(topic, DEADLINE).expect("reading the topic back");
    let mut keys: Vec<&str> = records.iter().map(Record::key_text).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!((records.len(), keys.len()), (rows, rows), "rows in the topic and distinct keys among them");
    records
}
