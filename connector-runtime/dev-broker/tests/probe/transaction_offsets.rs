//! Consumer offsets that move with a transaction.

use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::Producer;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::broker::{LIMIT, Probe, at};
use crate::clients::{TestConsumer, TestProducer};

fn group_metadata(consumer: &TestConsumer) -> ConsumerGroupMetadata {
    consumer.inner.group_metadata().expect("group metadata")
}

fn send_offset(producer: &TestProducer, topic: &str, offset: i64, group: &ConsumerGroupMetadata) -> KafkaResult<()> {
    producer.inner.send_offsets_to_transaction(&at(topic, 0, offset), group, LIMIT)
}

fn committed_within(consumer: &TestConsumer, topic: &str, limit: Duration) -> KafkaResult<Offset> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, 0);
    let found = consumer.inner.committed_offsets(list, limit)?;
    let elements = found.elements();
    elements[0].error()?;
    Ok(elements[0].offset())
}

#[test]
fn txn_send_offsets() {
    let probe = Probe::new();
    let source = probe.topic("source", 1, &[]);
    let target = probe.topic("target", 1, &[]);
    let group = probe.name("send-offsets");
    let consumer = probe.consumer(&group, &[]);
    consumer.subscribe(&source);
    consumer.until_assigned(1);
    let member = group_metadata(&consumer);
    let producer = probe.transactional(&probe.name("send-offsets"));
    for (offset, commit, then) in [(11, true, 11), (22, false, 11), (33, true, 33)] {
        producer.begin();
        producer.send(&target, 0, None, &offset.to_string());
        send_offset(&producer, &source, offset, &member).expect("send offsets");
        producer.flush();
        if commit {
            producer.commit();
        } else {
            producer.abort();
        }
        let found = probe.committed(&group, &source, 0);
        assert_eq!(found, Offset::Offset(then), "after {offset}, commit {commit}");
    }
}

/// Offsets of an open transaction cannot be read.
#[test]
fn txn_offsets_pending() {
    let probe = Probe::new();
    let source = probe.topic("pending", 1, &[]);
    let group = probe.name("pending");
    let member = group_metadata(&probe.consumer(&group, &[]));
    let producer = probe.transactional(&probe.name("pending"));
    producer.begin();
    send_offset(&producer, &source, 5, &member).expect("send offsets");
    let reader = probe.consumer(&group, &[("isolation.level", "read_uncommitted")]);
    let open = committed_within(&reader, &source, Duration::from_secs(3));
    assert_ne!(open, Ok(Offset::Offset(5)));
    producer.commit();
    assert_eq!(probe.committed(&group, &source, 0), Offset::Offset(5));
}

/// A `read_committed` reader waits for an open transaction's offsets; it is not handed those before.
#[test]
fn txn_offsets_stable() {
    let probe = Probe::new();
    let source = probe.topic("stable", 1, &[]);
    let group = probe.name("stable");
    let consumer = probe.consumer(&group, &[]);
    let member = group_metadata(&consumer);
    let producer = probe.transactional(&probe.name("stable"));
    consumer.inner.commit(&at(&source, 0, 3), CommitMode::Sync).expect("commit");
    producer.begin();
    send_offset(&producer, &source, 5, &member).expect("send offsets");
    let reader = probe.consumer(&group, &[("isolation.level", "read_committed")]);
    let open = committed_within(&reader, &source, Duration::from_secs(2));
    assert!(open.is_err(), "while open it was told {open:?}");
    producer.commit();
    assert_eq!(committed_within(&reader, &source, LIMIT), Ok(Offset::Offset(5)));
}

/// KIP-447: a member that has left cannot commit offsets in a transaction.
#[test]
fn txn_stale_generation() {
    let probe = Probe::new();
    let source = probe.topic("stale", 1, &[]);
    let group = probe.name("stale");
    let departed = probe.consumer(&group, &[]);
    departed.subscribe(&source);
    departed.until_assigned(1);
    let member = group_metadata(&departed);
    drop(departed);
    let next = probe.consumer(&group, &[]);
    next.subscribe(&source);
    next.until_assigned(1);
    let producer = probe.transactional(&probe.name("stale"));
    producer.begin();
    let refused = send_offset(&producer, &source, 9, &member);
    match refused {
        Err(KafkaError::Transaction(e)) => {
            assert!(matches!(e.code(), RDKafkaErrorCode::UnknownMemberId | RDKafkaErrorCode::IllegalGeneration), "{e}")
        }
        other => panic!("offsets of a departed member: {other:?}"),
    }
    producer.abort();
    assert_eq!(probe.committed(&group, &source, 0), Offset::Invalid);
}
