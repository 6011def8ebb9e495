//! Topic ids: what tells a topic from another of the same name that came after it.

use std::ffi::{CStr, CString};
use std::ptr;

use futures::executor::block_on;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, BrokerId, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest, FetchRequest, ResponseKind,
    TopicName,
};
use rdkafka::producer::Producer;
use rdkafka_sys as ffi;
use uuid::Uuid;

use crate::broker::{Probe, options};
use crate::clients::until;
use crate::wire::{Wire, named, text};

fn id_of(probe: &Probe, topic: &str) -> Uuid {
    let answer = Wire::of(probe).metadata(&[named(topic)]);
    answer.topics[0].topic_id
}

fn by_id(id: Uuid) -> MetadataRequestTopic {
    MetadataRequestTopic::default().with_name(None).with_topic_id(id)
}

/// The error and the values' bytes of a fetch by topic id.
fn fetch(probe: &Probe, topic: &str, id: Uuid) -> (i16, usize) {
    let partition = FetchPartition::default().with_fetch_offset(0).with_partition_max_bytes(1_000_000);
    let wanted = FetchTopic::default().with_topic_id(id).with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(100)
        .with_max_bytes(1_000_000)
        .with_session_epoch(-1)
        .with_topics(vec![wanted]);
    match Wire::to_leader(probe, topic).ask(ApiKey::Fetch, 13, request.into()) {
        Some(ResponseKind::Fetch(answer)) => {
            let data = &answer.responses[0].partitions[0];
            let bytes = data.records.as_ref().map_or(0, |r| r.len());
            (data.error_code, bytes)
        }
        other => panic!("fetch: {other:?}"),
    }
}

fn delete(probe: &Probe, id: Uuid) -> i16 {
    let request = DeleteTopicsRequest::default()
        .with_topics(vec![DeleteTopicState::default().with_name(None).with_topic_id(id)])
        .with_timeout_ms(10_000);
    match Wire::of(probe).ask(ApiKey::DeleteTopics, 6, request.into()) {
        Some(ResponseKind::DeleteTopics(answer)) => answer.responses[0].error_code,
        other => panic!("delete topics: {other:?}"),
    }
}

#[test]
fn topic_id_in_the_answer_to_its_creation() {
    let probe = Probe::new();
    let name = probe.name("created");
    let topic =
        CreatableTopic::default().with_name(TopicName(text(&name))).with_num_partitions(2).with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let answer = Wire::of(&probe).ask(ApiKey::CreateTopics, 7, request.into());
    let Some(ResponseKind::CreateTopics(answer)) = answer else {
        panic!("create topics: {answer:?}");
    };
    let created = &answer.topics[0];
    assert_eq!((created.error_code, created.num_partitions), (0, 2));
    assert!(!created.topic_id.is_nil());
    let configs = created.configs.as_ref().expect("configs");
    assert!(configs.iter().any(|c| c.name.as_str() == "cleanup.policy"));
    until("the topic in the metadata", || probe.partitions(&name).is_ok());
    assert_eq!(id_of(&probe, &name), created.topic_id);
}

#[test]
fn topic_found_by_id() {
    let probe = Probe::new();
    let topic = probe.topic("found", 3, &[]);
    let id = id_of(&probe, &topic);
    let unknown = Uuid::from_u128(0x1234_5678_9abc_4def_8123_4567_89ab_cdef);
    let answer = Wire::of(&probe).metadata(&[by_id(id), by_id(unknown)]);
    let find = |id| answer.topics.iter().find(|t| t.topic_id == id).expect("the topic");
    let found = find(id);
    let name = found.name.as_ref().map(|n| n.to_string());
    assert_eq!((found.error_code, name), (0, Some(topic)));
    assert_eq!(found.partitions.len(), 3);
    assert_eq!(find(unknown).error_code, ResponseError::UnknownTopicId.code());
}

#[test]
fn topic_recreated_has_another_id() {
    let probe = Probe::new();
    let topic = probe.topic("recreated", 1, &[]);
    let producer = probe.producer(&[]);
    producer.send(&topic, 0, None, "old");
    producer.flush();
    let old = id_of(&probe, &topic);
    assert!(fetch(&probe, &topic, old).1 > 0);
    assert_eq!(delete(&probe, old), 0);
    until("the topic gone", || probe.partitions(&topic).is_err());
    assert_eq!(delete(&probe, old), ResponseError::UnknownTopicId.code());
    probe.create(&topic, 1, &[]).expect("create it again");
    let new = id_of(&probe, &topic);
    assert!(!new.is_nil() && new != old);
    // Offset 0 exists in both; only the id tells them apart.
    assert_eq!(fetch(&probe, &topic, old).0, ResponseError::UnknownTopicId.code());
    assert_eq!(fetch(&probe, &topic, new), (0, 0));
}

/// rust-rdkafka drops this error and shows an empty list of configs, so it is asked for directly.
#[test]
fn config_of_an_unknown_topic_is_an_error() {
    let probe = Probe::new();
    let resource = DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text(&probe.name("no-such-topic")))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    match Wire::of(&probe).ask(ApiKey::DescribeConfigs, 4, request.into()) {
        Some(ResponseKind::DescribeConfigs(answer)) => {
            assert_eq!(answer.results[0].error_code, ResponseError::UnknownTopicOrPartition.code())
        }
        other => panic!("describe configs: {other:?}"),
    }
}

/// librdkafka's own way to a topic id, which is what the product uses.
#[test]
fn topic_id_by_describe_topics() {
    let probe = Probe::new();
    let topic = probe.topic("described", 1, &[]);
    let first = describe_topic(&probe, &topic).expect("the topic's id");
    assert_eq!(first, id_of(&probe, &topic));
    assert_eq!(describe_topic(&probe, &topic), Ok(first));

    let results = block_on(probe.admin().delete_topics(&[&topic], &options()));
    results.expect("delete topics").remove(0).expect("delete the topic");
    until("the topic gone", || probe.partitions(&topic).is_err());
    let missing = describe_topic(&probe, &topic);
    assert_eq!(missing, Err(ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART));
    probe.create(&topic, 1, &[]).expect("create it again");
    assert_ne!(describe_topic(&probe, &topic), Ok(first));
}

fn describe_topic(probe: &Probe, topic: &str) -> Result<Uuid, ffi::rd_kafka_resp_err_t> {
    let producer = probe.producer(&[]);
    let client = producer.inner.client().native_ptr();
    let name = CString::new(topic).expect("a topic name");
    let mut names = [name.as_ptr()];
    // SAFETY: every pointer comes from librdkafka or from a local that outlives its use, what is made is destroyed, and
    // nothing of the event is used after the event is.
    unsafe {
        let queue = ffi::rd_kafka_queue_new(client);
        let topics = ffi::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1);
        ffi::rd_kafka_DescribeTopics(client, topics, ptr::null(), queue);
        let event = ffi::rd_kafka_queue_poll(queue, 20_000);
        assert!(!event.is_null(), "describe topics: no answer");
        let error = ffi::rd_kafka_event_error(event);
        assert_eq!(error, ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
        let result = ffi::rd_kafka_event_DescribeTopics_result(event);
        let mut count = 0;
        let described = ffi::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        assert_eq!(count, 1);
        let error = ffi::rd_kafka_TopicDescription_error(*described);
        let found = match ffi::rd_kafka_error_code(error) {
            ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => {
                let id = ffi::rd_kafka_TopicDescription_topic_id(*described);
                let high = ffi::rd_kafka_Uuid_most_significant_bits(id) as u64;
                let low = ffi::rd_kafka_Uuid_least_significant_bits(id) as u64;
                let name = CStr::from_ptr(ffi::rd_kafka_TopicDescription_name(*described));
                assert_eq!(name.to_str(), Ok(topic));
                Ok(Uuid::from_u64_pair(high, low))
            }
            error => Err(error),
        };
        ffi::rd_kafka_event_destroy(event);
        ffi::rd_kafka_TopicCollection_destroy(topics);
        ffi::rd_kafka_queue_destroy(queue);
        found
    }
}
