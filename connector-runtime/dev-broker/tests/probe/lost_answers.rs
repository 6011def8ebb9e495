//! The broker does the work and its answer is lost: what the client then does must not double or lose anything.

use std::collections::BTreeSet;

use rdkafka::producer::Producer;

use crate::broker::{LIMIT, Probe};
use crate::proxy::Proxy;

const PRODUCE: i16 = 0;
const END_TXN: i16 = 26;

#[test]
fn lost_produce_ack() {
    let probe = Probe::new();
    let topic = probe.topic("lost-produce", 1, &[]);
    let proxy = Proxy::losing(&probe, PRODUCE, 3);
    let settings = [("enable.idempotence", "true"), ("retry.backoff.ms", "50")];
    let producer = probe.through(proxy.bootstrap()).producer(&settings);
    for i in 0..200 {
        producer.send(&topic, 0, None, &i.to_string());
        if i % 20 == 19 {
            producer.flush();
        }
    }
    producer.flush();
    assert!(proxy.all_lost());
    let wanted: Vec<_> = (0..200).map(|i| i.to_string()).collect();
    assert_eq!(probe.values(&topic, "read_uncommitted"), wanted);
    // A repeated batch is told the offset that it has, not that of a later one.
    let offsets: BTreeSet<_> = producer.acknowledged().into_iter().collect();
    assert_eq!(offsets, (0..200).map(|o| (0, o)).collect());
}

/// Several batches in flight when the connection breaks: all of them come again.
#[test]
fn lost_produce_ack_pipelined() {
    let probe = Probe::new();
    let topic = probe.topic("lost-pipelined", 1, &[]);
    let proxy = Proxy::losing(&probe, PRODUCE, 4);
    let settings =
        [("enable.idempotence", "true"), ("retry.backoff.ms", "50"), ("linger.ms", "0"), ("batch.num.messages", "5")];
    let producer = probe.through(proxy.bootstrap()).producer(&settings);
    for i in 0..2000 {
        producer.send(&topic, 0, None, &i.to_string());
    }
    producer.flush();
    assert!(proxy.all_lost());
    let wanted: Vec<_> = (0..2000).map(|i| i.to_string()).collect();
    assert_eq!(probe.values(&topic, "read_uncommitted"), wanted);
    let offsets: BTreeSet<_> = producer.acknowledged().into_iter().collect();
    assert_eq!(offsets, (0..2000).map(|o| (0, o)).collect());
}

#[test]
fn lost_commit_ack() {
    let probe = Probe::new();
    let topic = probe.topic("lost-commit", 1, &[]);
    let proxy = Proxy::losing(&probe, END_TXN, 2);
    let id = probe.name("lost-commit");
    let producer = probe.through(proxy.bootstrap()).transactional(&id);
    for round in 0..4 {
        producer.begin();
        for i in 0..10 {
            producer.send(&topic, 0, None, &format!("{round}-{i}"));
        }
        producer.commit();
    }
    assert!(proxy.all_lost());
    let values = probe.values(&topic, "read_committed");
    let distinct: BTreeSet<_> = values.iter().collect();
    assert_eq!((values.len(), distinct.len()), (40, 40));
}

#[test]
fn lost_txn_produce_ack() {
    let probe = Probe::new();
    let topic = probe.topic("lost-in-transaction", 2, &[]);
    let proxy = Proxy::losing(&probe, PRODUCE, 2);
    let id = probe.name("lost-in-transaction");
    let producer = probe.through(proxy.bootstrap()).transactional(&id);
    let mut committed = Vec::new();
    for round in 0..6 {
        producer.begin();
        let values: Vec<_> = (0..10).map(|i| format!("{round}-{i}")).collect();
        for (i, value) in (0..).zip(&values) {
            producer.send(&topic, i % 2, None, value);
        }
        assert!(producer.drain());
        match producer.inner.commit_transaction(LIMIT) {
            Ok(()) => committed.extend(values),
            Err(_) => producer.abort(),
        }
    }
    assert!(proxy.all_lost());
    let mut visible = probe.values(&topic, "read_committed");
    visible.sort();
    committed.sort();
    assert_eq!(visible, committed);
}
