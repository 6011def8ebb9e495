//! Sending records.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use crate::broker::{Probe, now_ms};
use crate::clients::until;

#[test]
fn produce_consume() {
    let probe = Probe::new();
    let topic = probe.topic("basic", 3, &[]);
    let producer = probe.producer(&[("acks", "all")]);
    for i in 0..3000 {
        producer.send(&topic, i % 3, Some(&format!("k{i}")), &i.to_string());
    }
    producer.flush();
    let mut acknowledged: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for (partition, offset) in producer.acknowledged() {
        acknowledged.entry(partition).or_default().push(offset);
    }
    for offsets in acknowledged.values_mut() {
        offsets.sort_unstable();
        assert!(offsets.iter().copied().eq(0..1000), "offsets are not dense");
    }
    let records = probe.read(&topic, "read_uncommitted");
    assert_eq!(records.len(), 3000);
    for partition in 0..3i32 {
        let own = records.iter().filter(|r| r.partition == partition);
        for (i, record) in own.enumerate() {
            let wanted = (i * 3 + partition as usize).to_string();
            assert_eq!((record.offset, record.value.as_ref()), (i as i64, Some(&wanted)));
        }
    }
}

#[test]
fn acks_one_zero() {
    let probe = Probe::new();
    let topic = probe.topic("acks", 1, &[]);
    for acks in ["1", "0"] {
        let producer = probe.producer(&[("acks", acks)]);
        for i in 0..50 {
            producer.send(&topic, 0, None, &format!("{acks}-{i}"));
        }
        producer.flush();
    }
    until("100 records", || probe.values(&topic, "read_uncommitted").len() == 100);
}

#[test]
fn produce_idempotent() {
    let probe = Probe::new();
    let topic = probe.topic("idempotent", 2, &[]);
    let producer = probe.producer(&[("enable.idempotence", "true")]);
    for i in 0..5000 {
        producer.send(&topic, i % 2, None, &i.to_string());
    }
    producer.flush();
    let values = probe.values(&topic, "read_uncommitted");
    let distinct: BTreeSet<_> = values.iter().collect();
    assert_eq!((values.len(), distinct.len()), (5000, 5000));
}

#[test]
fn parallel_producers() {
    let probe = Probe::new();
    let topic = probe.topic("parallel", 4, &[]);
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let (probe, topic) = (&probe, &topic);
            scope.spawn(move || {
                let producer = probe.producer(&[("enable.idempotence", "true")]);
                for i in 0..500 {
                    producer.send(topic, i % 4, None, &format!("{writer}-{i}"));
                    if i % 50 == 0 {
                        producer.flush();
                    }
                }
                producer.flush();
            });
        }
    });
    let values = probe.values(&topic, "read_uncommitted");
    let distinct: BTreeSet<_> = values.iter().collect();
    assert_eq!((values.len(), distinct.len()), (4000, 4000));
}

#[test]
fn headers() {
    let probe = Probe::new();
    let topic = probe.topic("headers", 1, &[]);
    let producer = probe.producer(&[]);
    let wanted: [(&str, Option<&[u8]>); 5] =
        [("a", Some(b"1")), ("a", Some(b"2")), ("bin", Some(&[0, 255, 7])), ("null", None), ("empty", Some(b""))];
    let mut headers = OwnedHeaders::new();
    for (key, value) in wanted {
        headers = headers.insert(Header { key, value });
    }
    let record = BaseRecord::to(&topic).payload("v").key("k").headers(headers);
    producer.send_record(record).expect("send");
    producer.flush();
    let records = probe.read(&topic, "read_uncommitted");
    let wanted: Vec<_> = wanted.map(|(k, v)| (k.to_owned(), v.map(<[u8]>::to_vec))).to_vec();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].headers, wanted);
}

#[test]
fn tombstone() {
    let probe = Probe::new();
    let topic = probe.topic("tombstone", 1, &[]);
    let producer = probe.producer(&[]);
    producer.send_record(BaseRecord::to(&topic).key("gone")).expect("send");
    producer.send_record(BaseRecord::to(&topic).payload("")).expect("send");
    producer.flush();
    let records = probe.read(&topic, "read_uncommitted");
    let found: Vec<_> = records.iter().map(|r| (r.key.as_deref(), r.value.as_deref())).collect();
    assert_eq!(found, [(Some("gone"), None), (None, Some(""))]);
}

#[test]
fn timestamps() {
    let probe = Probe::new();
    let topic = probe.topic("timestamps", 1, &[]);
    let producer = probe.producer(&[]);
    let start = now_ms() - 3_600_000;
    for i in 0..100i64 {
        let record = BaseRecord::to(&topic).key("k").payload("v").partition(0);
        producer.send_record(record.timestamp(start + i * 1000)).expect("send");
    }
    producer.flush();
    let records = probe.read(&topic, "read_uncommitted");
    assert_eq!(records.len(), 100);
    for (i, record) in (0i64..).zip(records) {
        assert_eq!(record.timestamp_ms, Some(start + i * 1000));
    }
}

#[test]
fn timestamps_of_the_broker() {
    let probe = Probe::new();
    let configs = [("message.timestamp.type", "LogAppendTime")];
    let topic = probe.topic("append-time", 1, &configs);
    let before = now_ms();
    let producer = probe.producer(&[]);
    for _ in 0..10 {
        let record = BaseRecord::to(&topic).key("k").payload("v").partition(0);
        producer.send_record(record.timestamp(1000)).expect("send");
    }
    producer.flush();
    let records = probe.read(&topic, "read_uncommitted");
    assert_eq!(records.len(), 10);
    for record in records {
        let found = record.timestamp_ms.expect("a timestamp");
        assert!((before - 5_000..=now_ms() + 5_000).contains(&found), "{found}");
    }
}

#[test]
fn compression() {
    let probe = Probe::new();
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let topic = probe.topic(codec, 1, &[]);
        let producer = probe.producer(&[("compression.type", codec), ("linger.ms", "50")]);
        let body = "abcdefgh".repeat(40);
        for i in 0..500 {
            producer.send(&topic, 0, None, &format!("{i}-{body}"));
        }
        producer.flush();
        let values = probe.values(&topic, "read_uncommitted");
        assert_eq!(values.len(), 500, "{codec}");
        assert_eq!(values[499], format!("499-{body}"), "{codec}");
    }
}

#[test]
fn large_message() {
    let probe = Probe::new();
    let topic = probe.topic("large", 1, &[("max.message.bytes", "10485760")]);
    let producer = probe.producer(&[("message.max.bytes", "10000000")]);
    let sizes = [900 * 1024usize, 5000 * 1024, 9000 * 1024];
    for size in sizes {
        producer.send(&topic, 0, None, &"x".repeat(size));
        producer.flush();
    }
    let records = probe.read(&topic, "read_uncommitted");
    let found: Vec<_> = records.iter().map(|r| r.value.as_ref().map_or(0, String::len)).collect();
    assert_eq!(found, sizes);
}

#[test]
fn oversize_refused() {
    let probe = Probe::new();
    let topic = probe.topic("oversize", 1, &[("max.message.bytes", "5000")]);
    let producer = probe.producer(&[]);
    producer.send(&topic, 0, None, &"x".repeat(20_000));
    assert!(producer.drain());
    assert_eq!(producer.failed(), [KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge)]);
}

/// Kafka counts no more in-sync replicas than a partition has.
#[test]
fn more_in_sync_wanted_than_there_are() {
    let probe = Probe::new();
    let topic = probe.topic("insync", 1, &[("min.insync.replicas", "2")]);
    let producer = probe.producer(&[("acks", "all")]);
    producer.send(&topic, 0, None, "v");
    producer.flush();
    assert_eq!(producer.acknowledged(), [(0, 0)]);
}

#[test]
fn keyless_refused_when_compacted() {
    let probe = Probe::new();
    let topic = probe.topic("keyless", 1, &[("cleanup.policy", "compact")]);
    let producer = probe.producer(&[]);
    producer.send(&topic, 0, None, "v");
    assert!(producer.drain());
    assert_eq!(producer.failed(), [KafkaError::MessageProduction(RDKafkaErrorCode::InvalidRecord)]);
}

#[test]
fn large_batches() {
    let probe = Probe::new();
    let topic = probe.topic("batches", 1, &[]);
    let producer = probe.producer(&[
        ("linger.ms", "100"),
        ("batch.size", "1000000"),
        ("batch.num.messages", "100000"),
        ("enable.idempotence", "true"),
    ]);
    let body = "y".repeat(1000);
    for i in 0..20_000 {
        producer.send(&topic, 0, None, &format!("{i:06}{body}"));
    }
    producer.flush();
    let records = probe.read(&topic, "read_uncommitted");
    assert_eq!(records.len(), 20_000);
    for (i, record) in (0i64..).zip(records) {
        let value = record.value.expect("a value");
        assert_eq!((record.offset, &value[..6]), (i, format!("{i:06}").as_str()));
    }
}
