//! Requests for topics that do not exist: each has its own way to say so.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{
    ApiKey, BrokerId, CreatePartitionsRequest, DeleteTopicsRequest, FetchRequest, ListOffsetsRequest, ResponseKind,
    TopicName,
};

use crate::broker::Probe;
use crate::wire::{Wire, named, text};

fn missing(probe: &Probe) -> TopicName {
    TopicName(text(&probe.name("no-such-topic")))
}

const UNKNOWN: ResponseError = ResponseError::UnknownTopicOrPartition;

#[test]
fn unknown_topic_in_metadata() {
    let probe = Probe::new();
    let mut wire = Wire::of(&probe);
    let answer = wire.metadata(&[named(&missing(&probe)), named("no such/topic")]);
    let errors: Vec<_> = answer.topics.iter().map(|t| t.error_code).collect();
    assert!(errors.contains(&UNKNOWN.code()), "{errors:?}");
    assert!(errors.contains(&ResponseError::InvalidTopicException.code()), "{errors:?}");
    assert!(wire.metadata(&[]).topics.is_empty(), "an empty list asks for nothing");
}

#[test]
fn leader_epoch_in_metadata() {
    let probe = Probe::new();
    let topic = probe.topic("epoch", 1, &[]);
    let answer = Wire::of(&probe).metadata(&[named(&topic)]);
    assert!(answer.topics[0].partitions[0].leader_epoch >= 0);
    assert!(!answer.cluster_id.expect("a cluster id").is_empty());
    assert!(answer.controller_id.0 >= 0);
}

#[test]
fn unknown_topic_in_fetch() {
    let probe = Probe::new();
    let partition = FetchPartition::default().with_partition_max_bytes(1000);
    let topic = FetchTopic::default().with_topic(missing(&probe)).with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_bytes(1000)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    match Wire::of(&probe).ask(ApiKey::Fetch, 12, request.into()) {
        Some(ResponseKind::Fetch(answer)) => {
            assert_eq!(answer.responses[0].partitions[0].error_code, UNKNOWN.code());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn unknown_topic_in_list_offsets() {
    let probe = Probe::new();
    let partition = ListOffsetsPartition::default().with_timestamp(-1);
    let topic = ListOffsetsTopic::default().with_name(missing(&probe)).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
    match Wire::of(&probe).ask(ApiKey::ListOffsets, 7, request.into()) {
        Some(ResponseKind::ListOffsets(answer)) => {
            let found = &answer.topics[0].partitions[0];
            assert_eq!((found.error_code, found.offset), (UNKNOWN.code(), -1));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn unknown_topic_deleted_or_grown() {
    let probe = Probe::new();
    let request = DeleteTopicsRequest::default().with_topic_names(vec![missing(&probe)]).with_timeout_ms(10_000);
    match Wire::of(&probe).ask(ApiKey::DeleteTopics, 5, request.into()) {
        Some(ResponseKind::DeleteTopics(answer)) => {
            assert_eq!(answer.responses[0].error_code, UNKNOWN.code());
        }
        other => panic!("{other:?}"),
    }
    let topic = CreatePartitionsTopic::default().with_name(missing(&probe)).with_count(4).with_assignments(None);
    let request = CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    match Wire::of(&probe).ask(ApiKey::CreatePartitions, 3, request.into()) {
        Some(ResponseKind::CreatePartitions(answer)) => {
            assert_eq!(answer.results[0].error_code, UNKNOWN.code());
        }
        other => panic!("{other:?}"),
    }
}
