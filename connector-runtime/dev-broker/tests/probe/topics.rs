//! Topics, partitions, configurations.

use futures::executor::block_on;
use rdkafka::admin::{AlterConfig, ConfigResource, NewPartitions, ResourceSpecifier};
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;

use crate::broker::{LIMIT, Probe, at, options};
use crate::clients::until;

fn described(probe: &Probe, resource: ResourceSpecifier) -> ConfigResource {
    let all = block_on(probe.admin().describe_configs(&[resource], &options()));
    all.expect("describe configs").remove(0).expect("its configs")
}

fn value(of: &ConfigResource, key: &str) -> Option<String> {
    of.get(key).and_then(|e| e.value.clone())
}

fn delete(probe: &Probe, topic: &str) {
    let results = block_on(probe.admin().delete_topics(&[topic], &options()));
    results.expect("delete topics").remove(0).expect("delete the topic");
    until("the topic gone from the metadata", || probe.partitions(topic).is_err());
}

#[test]
fn metadata() {
    let probe = Probe::new();
    let consumer = probe.consumer(&probe.name("metadata"), &[]);
    let metadata = consumer.inner.fetch_metadata(None, LIMIT).expect("metadata");
    let replicas = std::env::var("PROBE_RF").unwrap_or("1".into());
    assert!(metadata.brokers().len().to_string() >= replicas);
    assert!(metadata.brokers().iter().all(|b| b.port() > 0));
}

#[test]
fn create_topic() {
    let probe = Probe::new();
    let topic = probe.topic("create", 6, &[]);
    assert_eq!(probe.partitions(&topic).expect("partitions").len(), 6);
}

#[test]
fn create_duplicate() {
    let probe = Probe::new();
    let topic = probe.topic("duplicate", 1, &[]);
    let again = probe.create(&topic, 1, &[]);
    assert_eq!(again, Err(RDKafkaErrorCode::TopicAlreadyExists));
}

#[test]
fn create_with_many_partitions_and_configs() {
    let probe = Probe::new();
    let configs = [("cleanup.policy", "compact"), ("min.insync.replicas", "1"), ("retention.ms", "3600000")];
    let topic = probe.topic("many", 128, &configs);
    assert_eq!(probe.partitions(&topic).expect("partitions").len(), 128);
}

#[test]
fn create_with_a_wrong_config_is_refused() {
    let probe = Probe::new();
    for (key, wrong) in [("cleanup.policy", "burn"), ("retention.ms", "soon"), ("no.such", "1")] {
        let refused = probe.create(&probe.name("wrong"), 1, &[(key, wrong)]);
        assert_eq!(refused, Err(RDKafkaErrorCode::InvalidConfig), "{key}={wrong}");
    }
}

#[test]
fn unknown_topic() {
    let probe = Probe::new();
    let missing = probe.partitions(&probe.name("no-such-topic"));
    assert!(
        matches!(missing, Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)),
        "{missing:?}"
    );
}

#[test]
fn create_partitions() {
    let probe = Probe::new();
    let topic = probe.topic("grow", 2, &[]);
    let more = [NewPartitions::new(&topic, 5)];
    let results = block_on(probe.admin().create_partitions(&more, &options()));
    results.expect("create partitions").remove(0).expect("grow the topic");
    until("5 partitions in the metadata", || probe.partitions(&topic).is_ok_and(|p| p.len() == 5));
}

#[test]
fn delete_topic() {
    let probe = Probe::new();
    let topic = probe.topic("delete", 2, &[]);
    let producer = probe.producer(&[]);
    for i in 0..20 {
        producer.send(&topic, i % 2, None, &i.to_string());
    }
    producer.flush();
    delete(&probe, &topic);
    probe.create(&topic, 3, &[]).expect("create it again");
    let left = probe.values(&topic, "read_uncommitted");
    assert!(left.is_empty(), "the recreated topic holds {left:?}");
}

#[test]
fn config_create_describe() {
    let probe = Probe::new();
    let set = [
        ("cleanup.policy", "compact"),
        ("retention.ms", "1234567"),
        ("max.message.bytes", "2000000"),
        ("min.insync.replicas", "1"),
        ("unclean.leader.election.enable", "true"),
    ];
    let topic = probe.topic("config", 1, &set);
    let found = described(&probe, ResourceSpecifier::Topic(&topic));
    for (key, wanted) in set {
        assert_eq!(value(&found, key).as_deref(), Some(wanted), "{key}");
    }
    let defaults = described(&probe, ResourceSpecifier::Topic(&probe.topic("defaults", 1, &[])));
    for (key, wanted) in [
        ("cleanup.policy", "delete"),
        ("max.message.bytes", "1048588"),
        ("min.insync.replicas", "1"),
        ("retention.ms", "604800000"),
        ("unclean.leader.election.enable", "false"),
    ] {
        assert_eq!(value(&defaults, key).as_deref(), Some(wanted), "{key}");
    }
}

#[test]
fn config_of_the_broker() {
    let probe = Probe::new();
    let consumer = probe.consumer(&probe.name("metadata"), &[]);
    let metadata = consumer.inner.fetch_metadata(None, LIMIT).expect("metadata");
    let id = metadata.brokers()[0].id();
    let found = described(&probe, ResourceSpecifier::Broker(id));
    for (key, wanted) in [
        ("message.max.bytes", "1048588"),
        ("min.insync.replicas", "1"),
        ("transaction.max.timeout.ms", "900000"),
        ("unclean.leader.election.enable", "false"),
        ("auto.create.topics.enable", "false"),
        ("group.min.session.timeout.ms", "6000"),
    ] {
        assert_eq!(value(&found, key).as_deref(), Some(wanted), "{key}");
    }
}

#[test]
fn config_alter() {
    let probe = Probe::new();
    let topic = probe.topic("alter", 1, &[]);
    let change = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("retention.ms", "7654321");
    let results = block_on(probe.admin().alter_configs(&[change], &options()));
    results.expect("alter configs").remove(0).expect("alter the topic");
    let mut found = None;
    until("the altered config", || {
        found = value(&described(&probe, ResourceSpecifier::Topic(&topic)), "retention.ms");
        found.as_deref() == Some("7654321")
    });
}

#[test]
fn delete_records() {
    let probe = Probe::new();
    let topic = probe.topic("delete-records", 1, &[]);
    let producer = probe.producer(&[]);
    for i in 0..100 {
        producer.send(&topic, 0, None, &i.to_string());
    }
    producer.flush();
    let upto = at(&topic, 0, 40);
    let results = block_on(probe.admin().delete_records(&upto, &options()));
    for partition in results.expect("delete records").elements() {
        partition.error().expect("delete records of the partition");
    }
    assert_eq!(probe.watermarks(&topic, 0, "read_uncommitted"), (40, 100));
    let left = probe.values(&topic, "read_uncommitted");
    assert_eq!((left.len(), left[0].as_str()), (60, "40"));
}
