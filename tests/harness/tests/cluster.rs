//! Clusters of Apache Kafka as `scripts/kafka.sh` makes them. The embedded broker has neither several nodes nor
//! security, so with `UNBATCH_TEST_BROKERS=embedded` there is nothing to ask here.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use unbatch_test_harness::{ApiKey, Broker, Brokers, Cluster, Proxy, Reader, not_run, unique_name, wait_until};

const SOON: Duration = Duration::from_secs(120);

fn cluster(test: &str, brokers: usize, options: &[&str]) -> Option<Cluster> {
    if Brokers::from_env() == Brokers::Embedded {
        return None;
    }
    Cluster::start_with(brokers, options).inspect_err(|reason| not_run(test, reason)).ok()
}

/// Sends one record to each of these partitions and waits until all are acknowledged.
fn put(config: &ClientConfig, topic: &str, partitions: i32, value: &str) {
    let producer: BaseProducer = config.create().unwrap();
    for partition in 0..partitions {
        let record: BaseRecord<'_, str, str> = BaseRecord::to(topic).partition(partition).payload(value);
        producer.send(record).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(SOON).unwrap();
}

#[test]
fn every_secured_listener_lets_in_whom_it_knows() {
    let Some(cluster) = cluster("secured listeners", 1, &["--secure"]) else {
        return;
    };
    let addresses: BTreeMap<String, String> = fs::read_to_string(cluster.dir().join("secure.env"))
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let tls = |file: &str| cluster.dir().join("tls").join(file).display().to_string();
    let topic = unique_name("secured");
    Broker::at(cluster.bootstrap()).create_topic(&topic, 1, &[]);
    put(ClientConfig::new().set("bootstrap.servers", cluster.bootstrap()), &topic, 1, "seen");

    let read = |listener: &str, properties: &[(&str, &str)], deadline: Duration| {
        let reader = Reader::committed(&addresses[listener]).with("ssl.ca.location", &tls("ca.pem"));
        let reader = properties.iter().fold(reader, |reader, (key, value)| reader.with(key, value));
        reader.read(&topic, deadline).map(|records| records.len())
    };
    let sasl = |protocol: &'static str, mechanism: &'static str, password: &'static str| {
        [
            ("security.protocol", protocol),
            ("sasl.mechanism", mechanism),
            ("sasl.username", "alice"),
            ("sasl.password", password),
        ]
    };
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        for (listener, protocol) in [("KAFKA_SASL", "SASL_PLAINTEXT"), ("KAFKA_SASL_TLS", "SASL_SSL")] {
            let known = read(listener, &sasl(protocol, mechanism, "alice-secret"), SOON);
            assert_eq!(known, Ok(1), "{mechanism} on {listener}");
        }
        let wrong = sasl("SASL_PLAINTEXT", mechanism, "wrong");
        assert!(read("KAFKA_SASL", &wrong, Duration::from_secs(1)).is_err());
    }
    assert_eq!(read("KAFKA_TLS", &[("security.protocol", "ssl")], SOON), Ok(1));
    for (name, welcome) in [("client", true), ("stranger", false)] {
        let (certificate, key) = (tls(&format!("{name}.pem")), tls(&format!("{name}.key")));
        let own = [
            ("security.protocol", "ssl"),
            ("ssl.certificate.location", certificate.as_str()),
            ("ssl.key.location", key.as_str()),
        ];
        let deadline = if welcome { SOON } else { Duration::from_secs(1) };
        assert_eq!(read("KAFKA_MTLS", &own, deadline).is_ok(), welcome, "{name}");
    }
}

#[test]
fn three_brokers_are_reached_through_one_proxy_and_survive_a_kill() {
    let Some(cluster) = cluster("three brokers", 3, &[]) else {
        return;
    };
    let proxy = Proxy::start(cluster.bootstrap());
    let through = Broker::at(proxy.bootstrap());
    let topic = unique_name("three");
    through.create_replicated_topic(&topic, 6, 3, &[]);
    let config = through.client();
    put(&config, &topic, 6, "before");
    let sent = proxy.seen(ApiKey::Produce);
    assert!(sent >= 3, "leaders are on three brokers, {sent} requests came through");

    cluster.kill(1);
    put(&config, &topic, 6, "without one");
    assert!(proxy.seen(ApiKey::Produce) > sent);
    cluster.up(1);
    let reader = Reader::committed(proxy.bootstrap());
    wait_until(SOON, "all records of both rounds", || {
        reader.read(&topic, SOON).is_ok_and(|records| records.len() == 12)
    });
}
