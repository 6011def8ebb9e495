//! Consume, transform, produce, with crashes at every stage: each input comes out exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::producer::Producer;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::broker::{LIMIT, Probe};
use crate::clients::{Record, TestConsumer, until};

const INPUTS: i64 = 1500;

struct CopyLoop {
    probe: Probe,
    source: String,
    target: String,
    group: String,
    id: String,
    batches: i32,
    crashes: i32,
}

#[test]
fn eos_loop() {
    let probe = Probe::new();
    let mut copy = CopyLoop {
        source: probe.topic("source", 3, &[]),
        target: probe.topic("target", 3, &[]),
        group: probe.name("copy"),
        id: probe.name("copy"),
        probe,
        batches: 0,
        crashes: 0,
    };
    let producer = copy.probe.producer(&[("enable.idempotence", "true")]);
    for i in 0..INPUTS {
        producer.send(&copy.source, (i % 3) as i32, None, &i.to_string());
    }
    producer.flush();
    let started = Instant::now();
    while !copy.live() {
        assert!(started.elapsed() < Duration::from_secs(120), "{} batches", copy.batches);
    }
    assert!(copy.crashes > 2, "{} crashes", copy.crashes);
    let values = copy.probe.values(&copy.target, "read_committed");
    let distinct: BTreeSet<_> = values.iter().collect();
    assert_eq!((values.len(), distinct.len()), (INPUTS as usize, INPUTS as usize));
}

impl CopyLoop {
    /// One process' life. Returns whether everything has been copied.
    fn live(&mut self) -> bool {
        let producer = self.probe.transactional(&self.id);
        let settings = [("isolation.level", "read_committed")];
        let consumer = self.probe.consumer(&self.group, &settings);
        consumer.subscribe(&self.source);
        let mut next: BTreeMap<i32, i64> = BTreeMap::new();
        loop {
            let Some(batch) = self.batch(&consumer) else {
                return true;
            };
            self.batches += 1;
            producer.begin();
            for record in &batch {
                let value = record.value.as_deref().unwrap_or_default();
                producer.send(&self.target, record.partition, None, value);
                next.insert(record.partition, record.offset + 1);
            }
            if self.batches % 5 == 2 {
                producer.flush();
                self.crashes += 1;
                return false; // with its records sent and the transaction open
            }
            let mut offsets = TopicPartitionList::new();
            for (partition, offset) in &next {
                let offset = Offset::Offset(*offset);
                offsets.add_partition_offset(&self.source, *partition, offset).expect("an offset");
            }
            let member = consumer.inner.group_metadata().expect("group metadata");
            producer.inner.send_offsets_to_transaction(&offsets, &member, LIMIT).expect("send offsets");
            if self.batches % 5 == 4 {
                producer.flush();
                self.crashes += 1;
                return false; // with its offsets sent as well
            }
            producer.commit();
        }
    }

    /// Up to 100 records, or `None` when all have been copied.
    fn batch(&self, consumer: &TestConsumer) -> Option<Vec<Record>> {
        let mut batch = Vec::new();
        let mut done = false;
        until("records to copy", || {
            let started = Instant::now();
            while batch.len() < 100 && started.elapsed() < Duration::from_millis(300) {
                batch.extend(consumer.next(50));
            }
            done = batch.is_empty() && self.copied() == INPUTS;
            done || !batch.is_empty()
        });
        (!done).then_some(batch)
    }

    fn copied(&self) -> i64 {
        (0..3)
            .map(|p| match self.probe.committed(&self.group, &self.source, p) {
                Offset::Offset(offset) => offset,
                _ => 0,
            })
            .sum()
    }
}
