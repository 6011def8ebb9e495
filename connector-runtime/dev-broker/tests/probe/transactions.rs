//! Transactions: what is visible when.

use std::time::{Duration, Instant};

use rdkafka::topic_partition_list::Offset;

use crate::broker::Probe;
use crate::clients::TestProducer;

/// Sends `count` values `<round>-<i>` in one transaction, a batch each, and ends it.
fn round(producer: &TestProducer, topic: &str, round: i32, count: i32, commit: bool) {
    producer.begin();
    for i in 0..count {
        producer.send(topic, 0, None, &format!("{round}-{i}"));
        producer.flush();
    }
    if commit {
        producer.commit();
    } else {
        producer.abort();
    }
}

#[test]
fn txn_commit() {
    let probe = Probe::new();
    let topic = probe.topic("commit", 3, &[]);
    let producer = probe.transactional(&probe.name("commit"));
    for round in 0..3 {
        producer.begin();
        for i in 0..30 {
            producer.send(&topic, i % 3, None, &format!("{round}-{i}"));
        }
        producer.commit();
    }
    assert_eq!(probe.values(&topic, "read_committed").len(), 90);
    // Markers take offsets.
    assert_eq!(probe.watermarks(&topic, 0, "read_committed"), (0, 33));
}

#[test]
fn txn_empty() {
    let probe = Probe::new();
    let producer = probe.transactional(&probe.name("empty"));
    for commit in [true, false, true] {
        producer.begin();
        if commit {
            producer.commit();
        } else {
            producer.abort();
        }
    }
    assert_eq!(producer.fatal(), None);
}

#[test]
fn txn_abort_hidden() {
    let probe = Probe::new();
    let topic = probe.topic("abort", 2, &[]);
    let producer = probe.transactional(&probe.name("abort"));
    for (round, commit) in [(0, true), (1, false), (2, true), (3, false)] {
        producer.begin();
        for i in 0..20 {
            producer.send(&topic, i % 2, None, &format!("{round}-{i}"));
        }
        producer.flush();
        if commit {
            producer.commit();
        } else {
            producer.abort();
        }
    }
    let committed = probe.values(&topic, "read_committed");
    let aborted = |v: &&String| v.starts_with("1-") || v.starts_with("3-");
    assert_eq!(committed.iter().find(aborted), None);
    assert_eq!(committed.len(), 40);
    assert_eq!(probe.values(&topic, "read_uncommitted").len(), 80);
}

#[test]
fn txn_open_invisible() {
    let probe = Probe::new();
    let topic = probe.topic("open", 1, &[]);
    let producer = probe.transactional(&probe.name("open"));
    let plain = probe.producer(&[]);
    plain.send(&topic, 0, None, "before");
    plain.flush();
    producer.begin();
    for i in 0..5 {
        producer.send(&topic, 0, None, &format!("t{i}"));
    }
    producer.flush();
    plain.send(&topic, 0, None, "after");
    plain.flush();
    assert_eq!(
        probe.values(&topic, "read_committed"),
        ["before"],
        "a plain record after an open transaction is held back too"
    );
    assert_eq!(probe.values(&topic, "read_uncommitted").len(), 7);
    producer.commit();
    assert_eq!(probe.values(&topic, "read_committed").len(), 7);
}

#[test]
fn txn_interleaved() {
    let probe = Probe::new();
    let topic = probe.topic("interleaved", 1, &[]);
    let [a, b, c] = ["a", "b", "c"].map(|n| probe.transactional(&probe.name(n)));
    for producer in [&a, &b, &c] {
        producer.begin();
    }
    for i in 0..30 {
        for (producer, name) in [(&a, "a"), (&b, "b"), (&c, "c")] {
            producer.send(&topic, 0, None, &format!("{name}{i}"));
            producer.flush();
        }
    }
    b.abort();
    assert!(probe.values(&topic, "read_committed").is_empty(), "a and c are open");
    a.commit();
    c.commit();
    let values = probe.values(&topic, "read_committed");
    assert_eq!(values.len(), 60);
    assert!(!values.iter().any(|v| v.starts_with('b')));
}

/// A consumer that starts after an aborted transaction sees what the same producer commits later.
#[test]
fn txn_resume_after_abort() {
    let probe = Probe::new();
    let topic = probe.topic("resume", 1, &[]);
    let producer = probe.transactional(&probe.name("resume"));
    for (n, commit) in [(0, true), (1, false), (2, true)] {
        round(&producer, &topic, n, 5, commit);
    }
    let all = probe.read(&topic, "read_committed");
    assert_eq!(all.len(), 10);
    let third = all.iter().find(|r| r.value.as_deref() == Some("2-0"));
    let third = third.expect("the third round").offset;
    for from in [third, 8] {
        let later = probe.read_from(&topic, &[0], Offset::Offset(from), "read_committed");
        assert_eq!(later.len(), 5, "from offset {from}");
    }
}

/// A consumer at the end of the log follows one producer that commits and aborts in turn.
#[test]
fn txn_tail() {
    let probe = Probe::new();
    let topic = probe.topic("tail", 1, &[]);
    let consumer = probe.assigned(&topic, &[("isolation.level", "read_committed")]);
    let producer = probe.transactional(&probe.name("tail"));
    let (mut wanted, mut found) = (Vec::new(), Vec::new());
    for n in 0..20 {
        let commit = n % 3 != 1;
        round(&producer, &topic, n, 3, commit);
        if commit {
            wanted.extend((0..3).map(|i| format!("{n}-{i}")));
        }
        crate::clients::until("what was committed", || {
            found.extend(consumer.next(20).and_then(|r| r.value));
            found.len() >= wanted.len()
        });
        assert_eq!(found, wanted, "after transaction {n}");
    }
}

#[test]
fn txn_many_partitions() {
    let probe = Probe::new();
    let topics = ["many-1", "many-2"].map(|n| probe.topic(n, 24, &[]));
    let producer = probe.transactional(&probe.name("many"));
    for round in 0..5 {
        producer.begin();
        for topic in &topics {
            for partition in 0..24 {
                producer.send(topic, partition, None, &round.to_string());
            }
        }
        producer.flush();
        if round % 2 == 0 {
            producer.commit();
        } else {
            producer.abort();
        }
    }
    for topic in &topics {
        let values = probe.values(topic, "read_committed");
        assert_eq!(values.len(), 72);
        assert!(!values.iter().any(|v| v == "1" || v == "3"));
    }
}

/// The end that a `read_committed` reader is told is the last stable offset.
#[test]
fn list_offsets_lso() {
    let probe = Probe::new();
    let topic = probe.topic("lso", 1, &[]);
    let plain = probe.producer(&[]);
    plain.send(&topic, 0, None, "before");
    plain.flush();
    let producer = probe.transactional(&probe.name("lso"));
    producer.begin();
    for i in 0..5 {
        producer.send(&topic, 0, None, &i.to_string());
    }
    producer.flush();
    assert_eq!(probe.watermarks(&topic, 0, "read_committed"), (0, 1));
    assert_eq!(probe.watermarks(&topic, 0, "read_uncommitted"), (0, 6));
    producer.commit();
    assert_eq!(probe.watermarks(&topic, 0, "read_committed"), (0, 7));
}

/// A compacted topic that is written by transactions only, as our state is: old values go, every offset stays what it
/// was, and so does the log start.
#[test]
fn txn_compaction() {
    let probe = Probe::new();
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("delete.retention.ms", "100"),
    ];
    let topic = probe.topic("compaction", 1, &configs);
    let producer = probe.transactional(&probe.name("compaction"));
    // Kafka's cleaner looks every 15 s.
    let limit = Duration::from_secs(120);
    let started = Instant::now();
    let mut committed = 0;
    loop {
        producer.begin();
        producer.send(&topic, 0, Some("state"), &committed.to_string());
        producer.commit();
        committed += 1;
        producer.begin();
        producer.send(&topic, 0, Some("state"), "aborted");
        producer.flush();
        producer.abort();
        let records = probe.read(&topic, "read_committed");
        let last = records.last().expect("the newest record");
        assert_eq!(last.value, Some((committed - 1).to_string()));
        // Each round takes four offsets: a record, its marker, an aborted one, its marker.
        assert_eq!(last.offset, (committed - 1) * 4);
        assert_eq!(probe.watermarks(&topic, 0, "read_committed"), (0, committed * 4));
        for record in &records {
            assert_eq!(record.value, Some((record.offset / 4).to_string()));
        }
        if (records.len() as i64) < committed {
            return;
        }
        assert!(started.elapsed() < limit, "nothing compacted in {limit:?}");
    }
}
