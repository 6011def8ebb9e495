//! Reading records.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::BaseRecord;
use rdkafka::topic_partition_list::Offset;

use crate::broker::{LIMIT, Probe, at, now_ms};
use crate::clients::until;

#[test]
fn offsets_for_times() {
    let probe = Probe::new();
    let topic = probe.topic("times", 1, &[]);
    let start = now_ms() - 3_600_000;
    let producer = probe.producer(&[("linger.ms", "0")]);
    for i in 0..100i64 {
        let record = BaseRecord::to(&topic).key("k").payload("v").partition(0);
        producer.send_record(record.timestamp(start + i * 1000)).expect("send");
        if i % 10 == 9 {
            producer.flush();
        }
    }
    producer.flush();
    let consumer = probe.consumer(&probe.name("times"), &[]);
    let offset_at = |time_ms: i64| {
        let found = consumer.inner.offsets_for_times(at(&topic, 0, time_ms), LIMIT);
        found.expect("offsets for times").elements()[0].offset()
    };
    assert_eq!(offset_at(start + 55_500), Offset::Offset(56), "inside a batch");
    assert_eq!(offset_at(now_ms() + 1_000_000), Offset::End);
}

#[test]
fn assign_seek() {
    let probe = Probe::new();
    let topic = probe.topic("seek", 1, &[]);
    let producer = probe.producer(&[("linger.ms", "50")]);
    for i in 0..100 {
        producer.send(&topic, 0, None, &i.to_string());
    }
    producer.flush();
    let middle = probe.read_from(&topic, &[0], Offset::Offset(57), "read_uncommitted");
    assert_eq!((middle.len(), middle[0].offset), (43, 57), "inside a batch");
    let tail = probe.read_from(&topic, &[0], Offset::OffsetTail(5), "read_uncommitted");
    assert_eq!(tail.len(), 5);
    assert_eq!(probe.watermarks(&topic, 0, "read_uncommitted"), (0, 100));
}

#[test]
fn offset_out_of_range() {
    let probe = Probe::new();
    let topic = probe.topic("range", 1, &[]);
    let producer = probe.producer(&[]);
    for i in 0..10 {
        producer.send(&topic, 0, None, &i.to_string());
    }
    producer.flush();
    let settings = [("auto.offset.reset", "error")];
    let consumer = probe.consumer(&probe.name("range"), &settings);
    consumer.assign_from(&topic, &[0], Offset::Offset(5000));
    let mut told = None;
    until("an error for offset 5000 of 10", || {
        told = consumer.poll(Duration::from_millis(200));
        told.is_some()
    });
    assert_eq!(told, Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))));
}

/// An idle consumer is woken by a new record long before `fetch.wait.max.ms` has passed.
#[test]
fn long_poll() {
    let probe = Probe::new();
    let topic = probe.topic("long-poll", 1, &[]);
    let consumer = probe.assigned(&topic, &[("fetch.wait.max.ms", "10000")]);
    let producer = probe.producer(&[("linger.ms", "0")]);
    producer.send(&topic, 0, None, "first");
    producer.flush();
    until("the first record", || consumer.next(100).is_some());
    // What is waiting now was sent after the first record.
    let waited = Instant::now();
    while waited.elapsed() < Duration::from_millis(500) {
        assert!(consumer.next(50).is_none());
    }
    producer.send(&topic, 0, None, "wake");
    producer.flush();
    let took = until("the record", || consumer.next(10).is_some());
    assert!(took < Duration::from_secs(4), "seen {took:?} after its acknowledgement");
}

/// And it is not answered at once over and over.
#[test]
fn no_spin() {
    let probe = Probe::new();
    let topic = probe.topic("spin", 1, &[]);
    let settings = [("fetch.wait.max.ms", "500"), ("statistics.interval.ms", "500")];
    let consumer = probe.assigned(&topic, &settings);
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(5500) {
        assert!(consumer.next(100).is_none());
    }
    let requests = consumer.requests();
    assert!((1..60).contains(&requests), "{requests} requests in 5 s");
}

/// A consumer with a small limit gets through records that are each larger than it.
#[test]
fn small_fetch_limits() {
    let probe = Probe::new();
    let topic = probe.topic("small-fetch", 2, &[]);
    let producer = probe.producer(&[("linger.ms", "0"), ("batch.num.messages", "1")]);
    let body = "z".repeat(5_000);
    for i in 0..40 {
        producer.send(&topic, i % 2, None, &body);
    }
    producer.flush();
    let settings = [
        ("fetch.message.max.bytes", "1000"),
        ("fetch.max.bytes", "1000"),
        ("message.max.bytes", "1000"),
        ("enable.partition.eof", "true"),
    ];
    let consumer = probe.consumer(&probe.name("small-fetch"), &settings);
    consumer.assign_from(&topic, &[0, 1], Offset::Beginning);
    assert_eq!(consumer.read_to_end(2).len(), 40);
}
