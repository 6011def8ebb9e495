//! Consumer groups whose members come, go and die.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ApiKey, ConsumerGroupHeartbeatRequest, GroupId, ResponseKind, TopicName};

use crate::broker::{Probe, is_embedded};
use crate::clients::{TestConsumer, until};
use crate::proxy::Proxy;
use crate::wire::{Wire, text};

fn rebalance(of: &str, strategy: &str) {
    let probe = Probe::new();
    let topic = probe.topic(of, 6, &[]);
    let group = probe.name(of);
    let producer = probe.producer(&[]);
    for i in 0..600 {
        producer.send(&topic, i % 6, None, &i.to_string());
    }
    producer.flush();
    let settings = [("partition.assignment.strategy", strategy)];
    let mut seen = BTreeSet::new();
    let mut take = |consumer: &TestConsumer| {
        if let Some(record) = consumer.next(30) {
            seen.insert((record.partition, record.offset));
        }
        seen.len()
    };
    let first = probe.consumer(&group, &settings);
    first.subscribe(&topic);
    until("6 for the first member", || {
        take(&first);
        first.assigned() == 6
    });
    let second = probe.consumer(&group, &settings);
    second.subscribe(&topic);
    until("3 for each of two members", || {
        take(&first);
        take(&second);
        (first.assigned(), second.assigned()) == (3, 3)
    });
    drop(second);
    until("6 after the second has left", || {
        take(&first);
        first.assigned() == 6
    });
    until("all records, each at least once", || take(&first) == 600);
}

#[test]
fn group_rebalance() {
    rebalance("eager", "range,roundrobin");
}

#[test]
fn group_cooperative() {
    rebalance("cooperative", "cooperative-sticky");
}

/// Five members that start at the same moment share ten partitions, two each.
#[test]
fn group_started_together() {
    let probe = Probe::new();
    let topic = probe.topic("together", 10, &[]);
    let group = probe.name("together");
    let settings = [("partition.assignment.strategy", "cooperative-sticky")];
    let members: Vec<_> = (0..5).map(|_| probe.consumer(&group, &settings)).collect();
    for member in &members {
        member.subscribe(&topic);
    }
    until("two partitions for each", || {
        for member in &members {
            member.poll(Duration::from_millis(10));
        }
        members.iter().all(|m| m.assigned() == 2)
    });
    let all: BTreeSet<_> = members
        .iter()
        .flat_map(|m| {
            use rdkafka::consumer::Consumer;
            let assignment = m.inner.assignment().expect("assignment");
            let parts = assignment.elements();
            parts.iter().map(|e| e.partition()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(all.len(), 10);
}

/// KIP-848 is Kafka 4's. A broker without it must say so, and a client that speaks it all the same must not hang.
#[test]
fn group_kip848() {
    let probe = Probe::new();
    let group = probe.name("kip848");
    if !offers_kip848(&probe, &group) {
        return;
    }
    assert!(!is_embedded(), "the embedded broker does not offer KIP-848");
    let topic = probe.topic("kip848", 6, &[]);
    let member = || {
        let mut config = probe.config();
        // This protocol takes session and heartbeat times from the broker.
        config
            .set("group.id", &group)
            .set("group.protocol", "consumer")
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false");
        let consumer = TestConsumer::new(config, &[]);
        consumer.subscribe(&topic);
        consumer
    };
    let first = member();
    first.until_assigned(6);
    let second = member();
    until("3 for each of two members", || {
        first.poll(Duration::from_millis(20));
        second.poll(Duration::from_millis(20));
        (first.assigned(), second.assigned()) == (3, 3)
    });
}

/// Where it is not listed, the request is answered by closing the connection; Kafka 3.9 may list it and refuse it.
fn offers_kip848(probe: &Probe, group: &str) -> bool {
    let key = ApiKey::ConsumerGroupHeartbeat;
    let listed = Wire::of(probe).offers(key);
    let request = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_member_id(text("asks-only"))
        .with_member_epoch(0)
        .with_rebalance_timeout_ms(10_000)
        .with_subscribed_topic_names(Some(vec![TopicName(text("none"))]))
        .with_topic_partitions(Some(Vec::new()));
    let answer = Wire::of(probe).ask(key, 0, request.into());
    let Some(listed) = listed else {
        assert!(answer.is_none(), "not listed, but answered: {answer:?}");
        return false;
    };
    match answer {
        Some(ResponseKind::ConsumerGroupHeartbeat(a)) => a.error_code != ResponseError::UnsupportedVersion.code(),
        other => panic!("listed up to version {listed}: {other:?}"),
    }
}

/// A member that is cut off, as by a crash of its machine, loses its partitions after its session time-out of 6 s.
#[test]
fn group_session_timeout() {
    let probe = Probe::new();
    let topic = probe.topic("session", 4, &[]);
    let group = probe.name("session");
    let cable = Proxy::start(&probe);
    let cut_off = probe.through(cable.bootstrap()).consumer(&group, &[]);
    cut_off.subscribe(&topic);
    let survivor = probe.consumer(&group, &[]);
    survivor.subscribe(&topic);
    until("2 for each of two members", || {
        cut_off.poll(Duration::from_millis(20));
        survivor.poll(Duration::from_millis(20));
        (cut_off.assigned(), survivor.assigned()) == (2, 2)
    });
    cable.cut();
    let took = survivor.until_assigned(4);
    assert!(took > Duration::from_secs(3), "evicted after {took:?} already");
    // It would wait for an answer to its leave request.
    std::mem::forget(cut_off);
}
