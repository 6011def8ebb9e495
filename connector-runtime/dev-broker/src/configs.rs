//! Configurations as `DescribeConfigs` shows them.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopicConfig;
use kafka_protocol::messages::create_topics_response::CreatableTopicConfigs;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::StrBytes;
use noida::kafka::log::topic_config_defaults;

use crate::state::State;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Where a value comes from (`ConfigEntry.ConfigSource`).
const SET_ON_TOPIC: i8 = 1;
const SET_ON_BROKER: i8 = 4;
const DEFAULT: i8 = 5;

/// Kafka's broker settings that clients look at, with what holds here.
const BROKER_CONFIGS: &[(&str, &str)] = &[
    ("auto.create.topics.enable", "false"),
    ("compression.type", "producer"),
    ("default.replication.factor", "1"),
    ("delete.topic.enable", "true"),
    ("fetch.max.bytes", "57671680"),
    ("group.initial.rebalance.delay.ms", "300"),
    ("group.max.session.timeout.ms", "1800000"),
    ("group.min.session.timeout.ms", "6000"),
    ("log.cleanup.policy", "delete"),
    ("log.cleaner.delete.retention.ms", "86400000"),
    ("log.message.timestamp.type", "CreateTime"),
    ("log.retention.bytes", "-1"),
    ("log.retention.ms", "604800000"),
    ("log.segment.bytes", "1073741824"),
    ("message.max.bytes", "1048588"),
    ("min.insync.replicas", "1"),
    ("num.partitions", "1"),
    ("offsets.topic.num.partitions", "50"),
    ("offsets.topic.replication.factor", "1"),
    ("producer.id.expiration.ms", "86400000"),
    ("transaction.max.timeout.ms", "900000"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "50"),
    ("transaction.state.log.replication.factor", "1"),
    ("unclean.leader.election.enable", "false"),
];

pub(crate) fn describe(state: &State, request: &DescribeConfigsRequest) -> DescribeConfigsResponse {
    let results = request
        .resources
        .iter()
        .map(|resource| {
            let result = DescribeConfigsResult::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone())
                .with_error_message(None);
            match entries(state, resource) {
                Ok(entries) => result.with_configs(entries),
                Err((error, message)) => {
                    result.with_error_code(error.code()).with_error_message(Some(StrBytes::from_string(message)))
                }
            }
        })
        .collect();
    DescribeConfigsResponse::default().with_results(results)
}

fn entries(
    state: &State,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, (ResponseError, String)> {
    let name = resource.resource_name.as_str();
    let asked_for = |key: &str| match &resource.configuration_keys {
        Some(keys) if !keys.is_empty() => keys.iter().any(|k| k.as_str() == key),
        _ => true,
    };
    match resource.resource_type {
        TOPIC => {
            let topic = state.engine.topics.get(name).ok_or_else(|| {
                let message = "This server does not host this topic-partition.".to_owned();
                (ResponseError::UnknownTopicOrPartition, message)
            })?;
            Ok(topic_config_defaults()
                .filter(|(key, _)| asked_for(key))
                .map(|(key, default)| match topic.configs.get(key) {
                    Some(set) => entry(key, set, SET_ON_TOPIC),
                    None => entry(key, default, DEFAULT),
                })
                .collect())
        }
        BROKER if name.is_empty() || name == state.engine.broker_id.to_string() => Ok(BROKER_CONFIGS
            .iter()
            .filter(|(key, _)| asked_for(key))
            .map(|(key, value)| match state.engine.broker_configs.get(*key) {
                Some(set) => entry(key, set, SET_ON_BROKER),
                None => entry(key, value, DEFAULT),
            })
            .collect()),
        BROKER => Err((
            ResponseError::InvalidRequest,
            format!("Unexpected broker id, expected {} or empty string, but received {name}", state.engine.broker_id),
        )),
        other => Err((ResponseError::InvalidRequest, format!("Unsupported resource type: {other}"))),
    }
}

fn entry(key: &str, value: &str, source: i8) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_string(key.to_owned()))
        .with_value(Some(StrBytes::from_string(value.to_owned())))
        .with_config_source(source)
}

/// What the answer to `CreateTopics` shows of a topic that was just made.
pub(crate) fn of_created(set: &[CreatableTopicConfig]) -> Vec<CreatableTopicConfigs> {
    topic_config_defaults()
        .map(|(key, default)| {
            let own = set.iter().rfind(|c| c.name.as_str() == key);
            let value = own.and_then(|c| c.value.clone()).unwrap_or_else(|| StrBytes::from_string(default.to_owned()));
            CreatableTopicConfigs::default()
                .with_name(StrBytes::from_string(key.to_owned()))
                .with_value(Some(value))
                .with_config_source(if own.is_some() { SET_ON_TOPIC } else { DEFAULT })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(answer: &DescribeConfigsResult, key: &str) -> Option<String> {
        let found = answer.configs.iter().find(|c| c.name.as_str() == key)?;
        found.value.as_ref().map(ToString::to_string)
    }

    fn described(resource_type: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResult {
        let keys = keys.map(|k| k.iter().map(|k| StrBytes::from_string((*k).to_owned())).collect());
        let resource = DescribeConfigsResource::default()
            .with_resource_type(resource_type)
            .with_resource_name(StrBytes::from_string(name.to_owned()))
            .with_configuration_keys(keys);
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        describe(&State::new(), &request).results.remove(0)
    }

    #[test]
    fn the_broker_shows_its_limits() {
        let all = described(BROKER, "1", None);
        assert_eq!(value(&all, "message.max.bytes").as_deref(), Some("1048588"));
        assert_eq!(value(&all, "transaction.max.timeout.ms").as_deref(), Some("900000"));
        let one = described(BROKER, "1", Some(&["min.insync.replicas"]));
        assert_eq!(one.configs.len(), 1);
    }

    #[test]
    fn another_broker_and_an_unknown_topic_are_errors() {
        let other = described(BROKER, "5", None);
        assert_eq!(other.error_code, ResponseError::InvalidRequest.code());
        let topic = described(TOPIC, "no-such", None);
        assert_eq!(topic.error_code, ResponseError::UnknownTopicOrPartition.code());
    }
}
