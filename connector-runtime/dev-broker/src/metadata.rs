//! What a client asks first: which requests there are, which topics, which broker.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use noida::kafka::engine::TopicState;
use noida::kafka::log::validate_topic_name;
use uuid::Uuid;

use crate::state::State;

/// Topics by name, by id (from version 12 on), or all of them. Topics are never created by asking for them, as on a
/// Kafka broker with `auto.create.topics.enable=false`.
pub(crate) fn metadata(state: &State, request: &MetadataRequest, version: i16) -> MetadataResponse {
    let engine = &state.engine;
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(engine.broker_id))
        .with_host(StrBytes::from_string(engine.host.clone()))
        .with_port(engine.port);
    let topics = match &request.topics {
        // An empty list asked for everything in the first version, and for nothing since.
        Some(wanted) if version > 0 || !wanted.is_empty() => wanted
            .iter()
            .map(|t| match &t.name {
                Some(name) => by_name(state, name),
                None => by_id(state, t.topic_id),
            })
            .collect(),
        _ => {
            let mut names: Vec<&String> = engine.topics.keys().collect();
            names.sort();
            names.into_iter().map(|n| by_name(state, n)).collect()
        }
    };
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(StrBytes::from_string(engine.cluster_id.clone())))
        .with_controller_id(BrokerId(engine.broker_id))
        .with_topics(topics)
}

fn by_id(state: &State, id: Uuid) -> MetadataResponseTopic {
    match state.topic_ids.name(id) {
        Some(name) => by_name(state, name),
        None => {
            MetadataResponseTopic::default().with_error_code(ResponseError::UnknownTopicId.code()).with_topic_id(id)
        }
    }
}

fn by_name(state: &State, name: &str) -> MetadataResponseTopic {
    let answer = MetadataResponseTopic::default().with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))));
    match state.engine.topics.get(name) {
        Some(topic) => answer
            .with_topic_id(state.topic_ids.id(name))
            .with_is_internal(topic.is_internal)
            .with_partitions(partitions(topic)),
        None if validate_topic_name(name).is_err() => {
            answer.with_error_code(ResponseError::InvalidTopicException.code())
        }
        None => answer.with_error_code(ResponseError::UnknownTopicOrPartition.code()),
    }
}

fn partitions(topic: &TopicState) -> Vec<MetadataResponsePartition> {
    let mut all: Vec<_> = topic.partitions.values().collect();
    all.sort_by_key(|p| p.id);
    all.into_iter()
        .map(|p| {
            let leader = BrokerId(p.leader);
            MetadataResponsePartition::default()
                .with_partition_index(p.id)
                .with_leader_id(leader)
                .with_leader_epoch(0)
                .with_replica_nodes(vec![leader])
                .with_isr_nodes(vec![leader])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::metadata_request::MetadataRequestTopic;

    fn errors(request: &MetadataRequest, version: i16) -> Vec<i16> {
        let answer = metadata(&State::new(), request, version);
        assert_eq!(answer.brokers.len(), 1);
        answer.topics.iter().map(|t| t.error_code).collect()
    }

    #[test]
    fn unknown_names_and_ids_get_kafkas_errors() {
        let named = |name: &str| {
            let name = TopicName(StrBytes::from_string(name.to_owned()));
            MetadataRequestTopic::default().with_name(Some(name))
        };
        let by_id = MetadataRequestTopic::default().with_name(None).with_topic_id(Uuid::from_u128(99_999));
        let request = MetadataRequest::default().with_topics(Some(vec![named("no-such"), named("no such"), by_id]));
        assert_eq!(
            errors(&request, 12),
            [
                ResponseError::UnknownTopicOrPartition.code(),
                ResponseError::InvalidTopicException.code(),
                ResponseError::UnknownTopicId.code()
            ]
        );
    }

    #[test]
    fn an_empty_list_asks_for_no_topics_and_none_for_all() {
        let none = MetadataRequest::default().with_topics(Some(Vec::new()));
        assert!(errors(&none, 9).is_empty());
        assert_eq!(errors(&none, 0).len(), 2, "the internal ones");
        let all = MetadataRequest::default().with_topics(None);
        assert_eq!(errors(&all, 9).len(), 2);
    }
}
