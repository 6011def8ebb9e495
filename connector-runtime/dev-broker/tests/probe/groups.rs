//! Consumer groups: committed offsets, static members, lists.

use std::time::Duration;

use futures::executor::block_on;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::broker::{LIMIT, Probe, at, options};
use crate::clients::{TestConsumer, until};

fn commit(consumer: &TestConsumer, offsets: &TopicPartitionList) {
    consumer.inner.commit(offsets, CommitMode::Sync).expect("commit");
}

#[test]
fn group_commit_resume() {
    let probe = Probe::new();
    let topic = probe.topic("resume", 1, &[]);
    let group = probe.name("resume");
    let producer = probe.producer(&[]);
    for i in 0..100 {
        producer.send(&topic, 0, None, &i.to_string());
    }
    producer.flush();
    {
        let consumer = probe.consumer(&group, &[]);
        consumer.subscribe(&topic);
        let mut next = 0;
        until("40 records", || {
            if let Some(record) = consumer.next(100) {
                assert_eq!(record.offset, next);
                next += 1;
            }
            next == 40
        });
        commit(&consumer, &at(&topic, 0, 40));
    }
    assert_eq!(probe.committed(&group, &topic, 0), Offset::Offset(40));
    let consumer = probe.consumer(&group, &[]);
    consumer.subscribe(&topic);
    let mut first = None;
    until("a record after the resume", || {
        first = consumer.next(100);
        first.is_some()
    });
    assert_eq!(first.map(|r| r.offset), Some(40));
}

#[test]
fn commit_metadata() {
    let probe = Probe::new();
    let topic = probe.topic("metadata", 1, &[]);
    let group = probe.name("metadata");
    {
        let consumer = probe.consumer(&group, &[]);
        let list = at(&topic, 0, 7);
        list.find_partition(&topic, 0).expect("the partition").set_metadata("lsn=0/16B3748");
        consumer.inner.assign(&list).expect("assign");
        commit(&consumer, &list);
    }
    let mut list = TopicPartitionList::new();
    list.add_partition(&topic, 0);
    let consumer = probe.consumer(&group, &[]);
    let found = consumer.inner.committed_offsets(list, LIMIT).expect("committed");
    let element = &found.elements()[0];
    assert_eq!((element.offset(), element.metadata()), (Offset::Offset(7), "lsn=0/16B3748"));
}

/// A commit for a partition that does not exist is an error, not an offset nobody will ever find.
#[test]
fn commit_to_an_unknown_partition() {
    let probe = Probe::new();
    let topic = probe.topic("commit-unknown", 1, &[]);
    let consumer = probe.consumer(&probe.name("commit-unknown"), &[]);
    let refused = consumer.inner.commit(&at(&topic, 9, 1), CommitMode::Sync);
    assert_eq!(refused, Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::UnknownTopicOrPartition)));
}

#[test]
fn group_static() {
    let probe = Probe::new();
    let topic = probe.topic("static", 4, &[]);
    let group = probe.name("static");
    let settings = [("group.instance.id", "i-1")];
    let older = probe.consumer(&group, &settings);
    older.subscribe(&topic);
    older.until_assigned(4);
    let newer = probe.consumer(&group, &settings);
    newer.subscribe(&topic);
    let mut fenced = None;
    until("the older instance fenced, the newer assigned", || {
        older.poll(Duration::from_millis(20));
        newer.poll(Duration::from_millis(20));
        fenced = older.inner.client().fatal_error().map(|(code, _)| code);
        fenced.is_some() && newer.assigned() == 4
    });
    // A fenced static member must not hang the run when it is dropped.
    std::mem::forget(older);
    assert_eq!(fenced, Some(RDKafkaErrorCode::FencedInstanceId));
}

#[test]
fn group_list_delete() {
    let probe = Probe::new();
    let topic = probe.topic("list", 1, &[]);
    let group = probe.name("list");
    let consumer = probe.consumer(&group, &[]);
    consumer.subscribe(&topic);
    consumer.until_assigned(1);
    commit(&consumer, &at(&topic, 0, 3));
    let list = consumer.inner.fetch_group_list(Some(&group), LIMIT).expect("list");
    let found = list.groups().first().expect("the group");
    assert_eq!((found.name(), found.state(), found.members().len()), (group.as_str(), "Stable", 1));
    let delete = || {
        let results = block_on(probe.admin().delete_groups(&[&group], &options()));
        results.expect("delete groups").remove(0).map_err(|(_, e)| e)
    };
    assert_eq!(delete(), Err(RDKafkaErrorCode::NonEmptyGroup));
    drop(consumer);
    assert_eq!(delete(), Ok(group.clone()));
    assert_eq!(probe.committed(&group, &topic, 0), Offset::Invalid);
}
