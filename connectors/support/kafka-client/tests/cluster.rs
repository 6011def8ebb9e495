//! Administration and reading, against the broker of the run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use unbatch_api::config::NoSecrets;
use unbatch_api::{DeploymentName, Kind};
use unbatch_kafka_client::{
    Admin, Cluster, Created, EndOf, InternalTopics, KafkaSettings, NewTopic, PropertyValue, Start, TopicReader,
};
use unbatch_test_harness::{ApiKey, Broker, Fault, Proxy, free_port, unique_name, wait_until};

const DEADLINE: Duration = Duration::from_secs(30);

fn cluster(brokers: &str) -> Arc<Cluster> {
    Arc::new(Cluster::resolve(&KafkaSettings::plain(brokers), &NoSecrets).unwrap())
}

fn admin(brokers: &str) -> Admin {
    cluster(brokers).admin().unwrap()
}

fn topic(name: &str, partitions: u32, config: &[(&str, &str)]) -> NewTopic {
    let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    NewTopic { name: name.to_owned(), partitions, replication: 1, config }
}

fn texts(admin: &Admin, topic: &str, from: i64) -> Vec<String> {
    let mut seen = Vec::new();
    let take = |record: unbatch_kafka_client::Record| {
        seen.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
        ControlFlow::Continue(())
    };
    admin.read_settled(topic, 0, from, DEADLINE, take).unwrap();
    seen
}

/// A transactional producer that wrote `values` in one transaction and has not ended it.
fn open_transaction(broker: &Broker, topic: &str, values: &[&str]) -> BaseProducer {
    let producer: BaseProducer = broker.client().set("transactional.id", unique_name("tx")).create().unwrap();
    producer.init_transactions(DEADLINE).unwrap();
    producer.begin_transaction().unwrap();
    for value in values {
        producer.send(BaseRecord::<(), str>::to(topic).partition(0).payload(value)).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
    producer
}

#[test]
fn topics_are_made_described_changed_and_recognised_by_id() {
    let Some(broker) = Broker::from_env("topics_are_made_described_changed_and_recognised_by_id") else { return };
    let admin = admin(broker.bootstrap());
    let name = unique_name("made");
    assert_eq!(admin.topic(&name).unwrap(), None);
    let new = topic(&name, 3, &[("cleanup.policy", "compact"), ("max.message.bytes", "70000")]);
    admin.could_create(&new).unwrap();
    assert_eq!(admin.topic(&name).unwrap(), None, "asking made it");
    assert_eq!(admin.create(&new).unwrap(), Created::Now);
    assert_eq!(admin.create(&new).unwrap(), Created::Before);
    let facts = admin.topic(&name).unwrap().unwrap();
    assert_eq!((facts.partitions, facts.replicas, facts.led), (3, 1, true));
    let configs = admin.topic_configs(&[&name, "there-is-no-such-topic"]).unwrap();
    assert_eq!(configs.keys().collect::<Vec<_>>(), [&name]);
    assert_eq!(configs[&name]["max.message.bytes"], "70000");
    admin.alter_topic_config(&name, &[("retention.ms", "12345")]).unwrap();
    // a broker takes a change over a moment after it has confirmed it
    let config = || admin.topic_configs(&[&name]).unwrap().remove(&name).unwrap();
    wait_until(DEADLINE, "the new retention", || config()["retention.ms"] == "12345");
    assert_eq!(config()["cleanup.policy"], "compact");
    admin.add_partitions(&name, 5).unwrap();
    wait_until(DEADLINE, "five partitions", || admin.topic(&name).unwrap().unwrap().partitions == 5);
    assert_eq!(admin.topic(&name).unwrap().unwrap().id, facts.id);
    assert!(admin.topic_names().unwrap().contains(&name));
    admin.delete(&[&name]).unwrap();
    wait_until(DEADLINE, "the topic to go", || admin.topic(&name).unwrap().is_none());
    admin.create(&topic(&name, 3, &[])).unwrap();
    assert_ne!(admin.topic(&name).unwrap().unwrap().id, facts.id);
    let id = admin.brokers().unwrap().ids[0];
    assert!(admin.broker_config(id).unwrap()["message.max.bytes"].parse::<u64>().unwrap() > 1000);
}

#[test]
fn a_settled_read_waits_for_open_transactions_and_a_visible_one_does_not() {
    let Some(broker) = Broker::from_env("a_settled_read_waits_for_open_transactions_and_a_visible_one_does_not") else {
        return;
    };
    let admin = admin(broker.bootstrap());
    let name = unique_name("read");
    admin.create(&topic(&name, 1, &[])).unwrap();
    assert!(texts(&admin, &name, 0).is_empty());
    open_transaction(&broker, &name, &["a", "b"]).commit_transaction(DEADLINE).unwrap();
    open_transaction(&broker, &name, &["aborted"]).abort_transaction(DEADLINE).unwrap();
    assert_eq!(texts(&admin, &name, 0), ["a", "b"]);
    assert_eq!(texts(&admin, &name, 1), ["b"]);
    let open = open_transaction(&broker, &name, &["c"]);
    open_transaction(&broker, &name, &["d"]).commit_transaction(DEADLINE).unwrap();

    let ends = |end| admin.offset(&name, 0, end).unwrap();
    assert!(ends(EndOf::Committed) < ends(EndOf::Uncommitted));
    assert_eq!(ends(EndOf::Start), 0);
    let mut seen = 0;
    let count = |_| {
        seen += 1;
        ControlFlow::Continue(())
    };
    admin.read_visible(&name, 0, 0, DEADLINE, count).unwrap();
    assert_eq!(seen, 2);
    let error = admin.read_settled(&name, 0, 0, Duration::from_millis(300), |_| ControlFlow::Continue(())).unwrap_err();
    assert_eq!((error.kind(), error.code_text()), (Kind::Transient, Some("U0261")), "{error:?}");
    let ending = std::thread::spawn(move || open.commit_transaction(DEADLINE).unwrap());
    assert_eq!(texts(&admin, &name, 0), ["a", "b", "c", "d"]);
    ending.join().unwrap();
}

#[test]
fn a_reader_follows_and_says_when_its_offset_is_gone() {
    let Some(broker) = Broker::from_env("a_reader_follows_and_says_when_its_offset_is_gone") else { return };
    let cluster = cluster(broker.bootstrap());
    let admin = cluster.admin().unwrap();
    let name = unique_name("follow");
    admin.create(&topic(&name, 2, &[])).unwrap();
    let both = [(name.as_str(), 0, Start::Earliest), (name.as_str(), 1, Start::Earliest)];
    let mut reader = TopicReader::open(&cluster, &both, true).unwrap();
    assert_eq!(reader.next(Duration::from_millis(10)).unwrap(), None);
    let producer: BaseProducer = broker.client().create().unwrap();
    for partition in 0..2 {
        producer.send(BaseRecord::to(&name).partition(partition).key("k").payload("v")).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
    let mut partitions: Vec<i32> = (0..2).map(|_| reader.next(DEADLINE).unwrap().unwrap().partition).collect();
    partitions.sort_unstable();
    assert_eq!(partitions, [0, 1]);

    let mut late = TopicReader::open(&cluster, &[(&name, 0, Start::Offset(100))], true).unwrap();
    let start = Instant::now();
    let error = loop {
        match late.next(Duration::from_millis(100)) {
            Err(error) => break error,
            Ok(record) => assert_eq!(record, None),
        }
        assert!(start.elapsed() < DEADLINE, "an offset past the end was taken");
    };
    assert_eq!(error.kind(), Kind::Lost, "{error:?}");
}

#[test]
fn internal_topics_are_made_once_by_whoever_comes_first() {
    let Some(broker) = Broker::from_env("internal_topics_are_made_once_by_whoever_comes_first") else { return };
    let deployment = DeploymentName::parse(&format!("i{:x}", std::process::id() % 0xfff_ffff)).unwrap();
    let ensure = || {
        let (brokers, deployment) = (broker.bootstrap().to_owned(), deployment.clone());
        std::thread::spawn(move || InternalTopics::ensure(&admin(&brokers), &deployment).unwrap())
    };
    let made: Vec<InternalTopics> = [ensure(), ensure(), ensure()].into_iter().map(|t| t.join().unwrap()).collect();
    assert!(made.iter().all(|topics| *topics == made[0]));
    let admin = admin(broker.bootstrap());
    let facts = admin.topics(&made[0].all()).unwrap();
    let counts: BTreeMap<&str, u32> =
        facts.iter().map(|(name, f)| (name.rsplit_once('.').unwrap().1, f.partitions)).collect();
    assert_eq!(counts, BTreeMap::from([("config", 1), ("lanes", 128), ("schemas", 1), ("state", 128), ("status", 1)]));
    admin.delete(&[&made[0].schemas]).unwrap();
    wait_until(DEADLINE, "the topic to go", || admin.topic(&made[0].schemas).unwrap().is_none());
    let error = InternalTopics::ensure(&admin, &deployment).unwrap_err();
    assert_eq!((error.kind(), error.code_text()), (Kind::Lost, Some("U0264")), "{error:?}");
}

#[test]
fn an_address_where_nobody_answers_is_transient_and_seen_soon() {
    let address = format!("127.0.0.1:{}", free_port());
    let start = Instant::now();
    let error = cluster(&address).admin().err().expect("somebody answered");
    assert_eq!(error.kind(), Kind::Transient, "{error:?}");
    assert!(error.one_line().contains(&address), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(25), "took {:?}", start.elapsed());
}

#[test]
fn the_first_record_since_a_time_is_found_or_there_is_none() {
    let Some(broker) = Broker::from_env("the_first_record_since_a_time_is_found_or_there_is_none") else { return };
    let admin = admin(broker.bootstrap());
    let name = unique_name("since");
    admin.create(&topic(&name, 1, &[])).unwrap();
    assert_eq!(admin.offset_since(&name, 0, 0).unwrap(), None, "an empty topic");
    open_transaction(&broker, &name, &["a", "b"]).commit_transaction(DEADLINE).unwrap();
    // a commit is answered before its marker is written, and until then readers of what is committed see nothing
    wait_until(DEADLINE, "the commit to be seen", || admin.offset_since(&name, 0, 0).unwrap().is_some());
    assert_eq!(admin.offset_since(&name, 0, 0).unwrap(), Some(0));
    let tomorrow =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap() + Duration::from_secs(86_400);
    assert_eq!(admin.offset_since(&name, 0, tomorrow.as_millis() as i64).unwrap(), None);
}

#[test]
fn requests_that_are_cut_are_asked_again() {
    let Some(broker) = Broker::from_env("requests_that_are_cut_are_asked_again") else { return };
    let proxy = Proxy::start(broker.bootstrap());
    let admin = admin(proxy.bootstrap());
    let name = unique_name("cut");
    let cuts = [ApiKey::CreateTopics, ApiKey::Metadata, ApiKey::ListOffsets].map(|api| proxy.once(api, Fault::Cut));
    admin.create(&topic(&name, 1, &[])).unwrap();
    assert_eq!(admin.offset(&name, 0, EndOf::Uncommitted).unwrap(), 0);
    assert!(cuts.iter().all(|cut| cut.struck() == 1), "{:?}", proxy.strikes());
}

#[test]
fn properties_that_would_break_delivery_and_wrong_values_are_refused_before_any_broker_is_asked() {
    let resolve = |name: &str, value: PropertyValue| {
        let mut settings = KafkaSettings::plain("127.0.0.1:1");
        settings.properties.insert(name.into(), value);
        Cluster::resolve(&settings, &NoSecrets).map(Arc::new).and_then(|cluster| cluster.admin().map(|_| ()))
    };
    let error = resolve("acks", PropertyValue::Whole(1)).unwrap_err();
    assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0258")), "{error:?}");
    let error = resolve("socket.timeout.ms", PropertyValue::Text("soon".into())).unwrap_err();
    assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0255")), "{error:?}");
    assert!(error.one_line().contains("socket.timeout.ms") && !error.one_line().contains("soon"), "{error:?}");
}
