//! Reader and proxy with a real client and a real broker, of the kind that `UNBATCH_TEST_BROKERS` chooses.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use rdkafka::config::FromClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use unbatch_test_harness::{ApiKey, Broker, Chaos, Fault, Proxy, ReadError, Reader, Rule, seed, unique_name, wait_for};

const SOON: Duration = Duration::from_secs(30);

fn producer(bootstrap: &str, transactional_id: &str) -> BaseProducer {
    let mut config = rdkafka::ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("transactional.id", transactional_id)
        .set("retry.backoff.ms", "100")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "100")
        .set("linger.ms", "0");
    let producer = BaseProducer::from_config(&config).unwrap();
    producer.init_transactions(SOON).unwrap();
    producer
}

/// Produces to partition 0 and waits until the broker has it.
fn put(producer: &BaseProducer, topic: &str, value: &str) {
    let record: BaseRecord<'_, str, str> = BaseRecord::to(topic).partition(0).payload(value);
    producer.send(record).map_err(|(e, _)| e).unwrap();
    producer.flush(SOON).unwrap();
}

fn values(reader: &Reader, topic: &str) -> Vec<String> {
    let records = reader.read(topic, SOON).unwrap();
    records.iter().map(|r| r.value_text().to_owned()).collect()
}

#[test]
fn a_reader_sees_records_whole_and_transactions_as_they_ended() {
    let Some(broker) = Broker::from_env("reader") else {
        return;
    };
    let topic = unique_name("reader");
    broker.create_topic(&topic, 3, &[]);
    let committed = Reader::committed(broker.bootstrap());
    let uncommitted = Reader::uncommitted(broker.bootstrap());
    assert_eq!(committed.read(&topic, SOON).unwrap(), []);

    let p = producer(broker.bootstrap(), &topic);
    p.begin_transaction().unwrap();
    let headers = OwnedHeaders::new().insert(Header { key: "u", value: Some("1.2.3") });
    let record =
        BaseRecord::to(&topic).partition(2).key("k").payload("kept").headers(headers).timestamp(1_700_000_000_123);
    p.send(record).map_err(|(e, _)| e).unwrap();
    p.send(BaseRecord::<str, str>::to(&topic).partition(1).key("gone")).map_err(|(e, _)| e).unwrap();
    p.commit_transaction(SOON).unwrap();
    p.begin_transaction().unwrap();
    put(&p, &topic, "dropped");
    p.abort_transaction(SOON).unwrap();

    let seen = committed.read(&topic, SOON).unwrap();
    assert_eq!(seen.len(), 2, "{seen:?}");
    let (tombstone, kept) = (&seen[0], &seen[1]);
    assert_eq!((tombstone.partition, tombstone.value.as_deref()), (1, None));
    assert_eq!((kept.partition, kept.offset), (2, 0));
    assert_eq!((kept.key_text(), kept.value_text()), ("k", "kept"));
    assert_eq!(kept.header("u"), Some(&b"1.2.3"[..]));
    assert_eq!(kept.timestamp_ms, Some(1_700_000_000_123));
    assert_eq!(values(&uncommitted, &topic), ["dropped", "", "kept"]);
    assert_eq!(committed.wait_for_records(&topic, 2, SOON), seen);
}

#[test]
fn a_committed_reader_is_never_short_of_what_stands_behind_an_open_transaction() {
    let Some(broker) = Broker::from_env("open transaction") else {
        return;
    };
    let topic = unique_name("open");
    broker.create_topic(&topic, 1, &[]);
    let (stalled, live) = (
        producer(broker.bootstrap(), &format!("{topic}-stalled")),
        producer(broker.bootstrap(), &format!("{topic}-live")),
    );
    stalled.begin_transaction().unwrap();
    put(&stalled, &topic, "open");
    live.begin_transaction().unwrap();
    put(&live, &topic, "done");
    live.commit_transaction(SOON).unwrap();

    let reader = Reader::committed(broker.bootstrap());
    // a limit this short may also end before a busy broker has said where the topic ends
    let told =
        wait_for(SOON, "the open transaction to be told", || match reader.read(&topic, Duration::from_millis(300)) {
            Err(ReadError::Failed(_)) => None,
            told => Some(told),
        });
    assert_eq!(told, Err(ReadError::OpenTransaction { partition: 0, visible: 0, end: 3 }));
    assert_eq!(reader.read_visible(&topic, SOON), Ok(vec![]));
    stalled.abort_transaction(SOON).unwrap();
    assert_eq!(values(&reader, &topic), ["done"]);
}

#[test]
fn all_traffic_of_a_client_goes_through_the_proxy() {
    let Some(broker) = Broker::from_env("proxy") else {
        return;
    };
    let topic = unique_name("through");
    broker.create_topic(&topic, 1, &[]);
    let proxy = Proxy::start(broker.bootstrap());
    let p = producer(proxy.bootstrap(), &topic);
    p.begin_transaction().unwrap();
    put(&p, &topic, "row");
    p.commit_transaction(SOON).unwrap();
    assert_eq!([ApiKey::Produce, ApiKey::EndTxn].map(|api| proxy.seen(api)), [1, 1]);
    assert_eq!(values(&Reader::committed(proxy.bootstrap()), &topic), ["row"]);
    assert!(proxy.seen(ApiKey::Fetch) > 0);
}

/// delivery.md K1: librdkafka repeats a commit inside `commit_transaction`, which returns OK; the first request then
/// arrives inside the next transaction and commits the part of it that is there.
#[test]
fn a_late_commit_commits_part_of_the_next_transaction() {
    let Some(broker) = Broker::from_env("late commit") else {
        return;
    };
    let topic = unique_name("late");
    broker.create_topic(&topic, 1, &[]);
    let proxy = Proxy::start(broker.bootstrap());
    let p = producer(proxy.bootstrap(), &topic);
    let held = proxy.arm(Rule::new(ApiKey::EndTxn, Fault::HoldAndCut).naming(&topic));

    p.begin_transaction().unwrap();
    put(&p, &topic, "first");
    p.commit_transaction(SOON).unwrap();
    assert_eq!(held.struck(), 1);
    assert!(proxy.seen(ApiKey::EndTxn) >= 2, "the client repeated it");

    p.begin_transaction().unwrap();
    put(&p, &topic, "second");
    assert_eq!(held.deliver(SOON), 1);
    let reader = Reader::committed(broker.bootstrap());
    let seen = wait_for(SOON, "the row that nobody committed", || {
        let seen = reader.read_visible(&topic, SOON).unwrap();
        (seen.len() == 2).then_some(seen)
    });
    assert_eq!(seen[1].value_text(), "second");
}

#[test]
fn a_commit_whose_reply_is_lost_is_repeated_and_counts_once() {
    let Some(broker) = Broker::from_env("lost reply") else {
        return;
    };
    let topic = unique_name("lost");
    broker.create_topic(&topic, 1, &[]);
    let proxy = Proxy::start(broker.bootstrap());
    let p = producer(proxy.bootstrap(), &topic);
    let produce = proxy.once(ApiKey::Produce, Fault::LoseReply);
    let commit = proxy.once(ApiKey::EndTxn, Fault::LoseReply);
    p.begin_transaction().unwrap();
    put(&p, &topic, "row");
    p.commit_transaction(SOON).unwrap();
    assert_eq!((produce.struck(), commit.struck()), (1, 1));
    assert_eq!(values(&Reader::committed(broker.bootstrap()), &topic), ["row"]);
}

#[test]
fn random_faults_leave_whole_transactions() {
    let Some(broker) = Broker::from_env("random faults") else {
        return;
    };
    let seed = seed();
    let topic = unique_name("chaos");
    broker.create_topic(&topic, 1, &[]);
    let proxy = Proxy::start(broker.bootstrap());
    // without held requests: those break this plain producer by design (see the late commit above)
    proxy.chaos(Chaos {
        per_mille: 200,
        faults: vec![Fault::LoseReply, Fault::Cut, Fault::Delay(Duration::from_millis(20))],
        ..Chaos::transactions(seed)
    });
    let p = producer(proxy.bootstrap(), &topic);
    let mut expected = Vec::new();
    for n in 0..10 {
        p.begin_transaction().unwrap();
        for row in ["a", "b"] {
            put(&p, &topic, &format!("{n}{row}"));
            expected.push(format!("{n}{row}"));
        }
        p.commit_transaction(SOON).unwrap();
    }
    proxy.calm();
    assert!(!proxy.strikes().is_empty(), "a fifth of some forty requests");
    assert_eq!(values(&Reader::committed(broker.bootstrap()), &topic), expected);
}

#[test]
fn a_crashed_broker_comes_back_with_what_it_acknowledged() {
    let Some(mut broker) = Broker::own_from_env("crash") else {
        return;
    };
    let topic = unique_name("crash");
    broker.create_topic(&topic, 1, &[]);
    let p = producer(broker.bootstrap(), &topic);
    p.begin_transaction().unwrap();
    put(&p, &topic, "before");
    p.commit_transaction(SOON).unwrap();
    broker.crash();
    broker.revive();
    p.begin_transaction().unwrap();
    put(&p, &topic, "after");
    p.commit_transaction(SOON).unwrap();
    assert_eq!(values(&Reader::committed(broker.bootstrap()), &topic), ["before", "after"]);
}
