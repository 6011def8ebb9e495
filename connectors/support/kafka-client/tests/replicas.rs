//! On a cluster of three brokers: copies where they are due, and refusals of what could lose committed rows.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use unbatch_api::config::NoSecrets;
use unbatch_api::{DeploymentName, Kind};
use unbatch_kafka_client::{Cluster, InternalTopics, KafkaSettings, NewTopic, durability};
use unbatch_test_harness::{Brokers, Cluster as Kafka, not_run, wait_for};

#[test]
fn internal_topics_have_three_copies_and_unsafe_topics_are_refused_by_name() {
    // the embedded broker has neither several nodes nor copies; the pass with Apache Kafka asks
    if Brokers::from_env() == Brokers::Embedded {
        return;
    }
    let kafka = match Kafka::start(3) {
        Ok(kafka) => kafka,
        Err(reason) => {
            return not_run("internal_topics_have_three_copies_and_unsafe_topics_are_refused_by_name", &reason);
        }
    };
    let cluster = |allowed: &[&str]| {
        let mut settings = KafkaSettings::plain(kafka.bootstrap());
        settings.allow_unsafe_topics = allowed.iter().map(|name| (*name).to_owned()).collect();
        Arc::new(Cluster::resolve(&settings, &NoSecrets).unwrap()).admin().unwrap()
    };
    let admin = cluster(&[]);
    let deployment = DeploymentName::parse("shop").unwrap();
    let topics = InternalTopics::ensure(&admin, &deployment).unwrap();
    let facts = admin.topics(&topics.all()).unwrap();
    assert!(facts.values().all(|facts| facts.replicas == 3), "{facts:?}");
    assert_eq!(admin.topic_configs(&[&topics.state]).unwrap()[&topics.state]["min.insync.replicas"], "2");

    let config = BTreeMap::from([("min.insync.replicas".to_owned(), "1".to_owned())]);
    let weak = NewTopic { name: "weak".into(), partitions: 1, replication: 3, config };
    admin.create(&weak).unwrap();
    let error = durability::check(&admin, 3, &["weak"]).unwrap_err();
    assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0263")), "{error:?}");
    assert!(error.remedy().unwrap().contains("--add-config min.insync.replicas=2"), "{error:?}");
    durability::check(&cluster(&["weak"]), 3, &["weak"]).unwrap();

    admin.alter_topic_config(&topics.state, &[("unclean.leader.election.enable", "true")]).unwrap();
    // Brokers hear of it one after the other.
    let error = wait_for(Duration::from_secs(30), "a refusal", || InternalTopics::ensure(&admin, &deployment).err());
    assert_eq!(error.code_text(), Some("U0263"), "{error:?}");

    let single = |name: &str| NewTopic { name: name.into(), partitions: 128, replication: 1, config: BTreeMap::new() };
    let other = InternalTopics::of(&DeploymentName::parse("thin").unwrap());
    let mut state = single(&other.state);
    state.config.insert("cleanup.policy".into(), "compact".into());
    admin.create(&state).unwrap();
    let error = InternalTopics::ensure(&admin, &DeploymentName::parse("thin").unwrap()).unwrap_err();
    assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0266")), "{error:?}");
}
