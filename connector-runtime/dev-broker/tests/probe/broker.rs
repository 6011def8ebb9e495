//! Which broker is probed, and names that no two items share.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use unbatch_dev_broker::{DevBroker, Settings};

use crate::clients::{Record, TestConsumer, TestProducer, until};

/// For anything that a broker on a busy machine may take its time over.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The broker that all items of this run share.
pub fn bootstrap() -> &'static str {
    static BROKER: OnceLock<(String, Option<DevBroker>)> = OnceLock::new();
    let (bootstrap, _) = BROKER.get_or_init(|| {
        if let Ok(bootstrap) = std::env::var("UNBATCH_TEST_BOOTSTRAP") {
            return (bootstrap, None);
        }
        let wanted = std::env::var("UNBATCH_TEST_BROKERS").unwrap_or("embedded".into());
        assert_eq!(wanted, "embedded", "UNBATCH_TEST_BROKERS has no such broker here");
        let broker = DevBroker::start(Settings::default()).expect("start the embedded broker");
        (broker.addr().to_string(), Some(broker))
    });
    bootstrap
}

pub fn is_embedded() -> bool {
    std::env::var_os("UNBATCH_TEST_BOOTSTRAP").is_none()
}

pub fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("clock");
    now.as_millis() as i64
}

/// One item's view of the broker.
#[derive(Clone)]
pub struct Probe {
    pub bootstrap: String,
    run: String,
}

impl Probe {
    pub fn new() -> Probe {
        Probe::at(bootstrap())
    }

    pub fn at(bootstrap: &str) -> Probe {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        Probe { bootstrap: bootstrap.to_owned(), run: format!("{:x}-{}-{n}", now_ms(), std::process::id()) }
    }

    /// The same names by way of another address.
    pub fn through(&self, bootstrap: &str) -> Probe {
        Probe { bootstrap: bootstrap.to_owned(), ..self.clone() }
    }

    pub fn name(&self, of: &str) -> String {
        format!("probe-{}-{of}", self.run)
    }

    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("broker.address.family", "v4")
            .set("socket.timeout.ms", "15000")
            .set("reconnect.backoff.max.ms", "1000");
        if let Ok(debug) = std::env::var("PROBE_DEBUG") {
            config.set("debug", debug);
        }
        config
    }

    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().expect("make an admin client")
    }

    pub fn producer(&self, settings: &[(&str, &str)]) -> TestProducer {
        let mut config = self.config();
        config.set("message.timeout.ms", "20000").set("linger.ms", "5");
        TestProducer::new(config, settings)
    }

    /// A transactional producer that has been initialised.
    pub fn transactional(&self, id: &str) -> TestProducer {
        let producer = self.uninitialised(id, "60000");
        producer.init();
        producer
    }

    pub fn uninitialised(&self, id: &str, timeout_ms: &str) -> TestProducer {
        let short = timeout_ms.len() < 5;
        let network = if short { timeout_ms } else { "15000" };
        self.producer(&[
            ("transactional.id", id),
            ("transaction.timeout.ms", timeout_ms),
            ("message.timeout.ms", network),
            ("socket.timeout.ms", network),
        ])
    }

    pub fn consumer(&self, group: &str, settings: &[(&str, &str)]) -> TestConsumer {
        let mut config = self.config();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "500")
            .set("max.poll.interval.ms", "60000")
            .set("fetch.wait.max.ms", "100");
        TestConsumer::new(config, settings)
    }

    /// A consumer that is assigned this partition from its beginning, and in no group.
    pub fn assigned(&self, topic: &str, settings: &[(&str, &str)]) -> TestConsumer {
        let consumer = self.consumer(&self.name("alone"), settings);
        consumer.assign_from(topic, &[0], Offset::Beginning);
        consumer
    }

    pub fn create(&self, topic: &str, partitions: i32, configs: &[(&str, &str)]) -> Result<(), RDKafkaErrorCode> {
        let replicas = std::env::var("PROBE_RF").map_or(1, |n| n.parse().expect("PROBE_RF"));
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(replicas));
        for (key, value) in configs {
            new = new.set(key, value);
        }
        let results = block_on(self.admin().create_topics([&new], &options()));
        match results.expect("create topics").remove(0) {
            Ok(_) => {}
            Err((_, error)) => return Err(error),
        }
        // A real broker's metadata may lag a moment behind.
        until("the created topic in the metadata", || {
            self.partitions(topic).is_ok_and(|p| p.len() as i32 == partitions)
        });
        Ok(())
    }

    /// A topic of the item's own.
    pub fn topic(&self, of: &str, partitions: i32, configs: &[(&str, &str)]) -> String {
        let name = self.name(of);
        self.create(&name, partitions, configs).expect("create a topic");
        name
    }

    pub fn partitions(&self, topic: &str) -> Result<Vec<i32>, RDKafkaErrorCode> {
        let consumer = self.consumer(&self.name("metadata"), &[]);
        let metadata = consumer
            .inner
            .fetch_metadata(Some(topic), LIMIT)
            .map_err(|e| e.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown))?;
        let topic = metadata.topics().first().expect("the topic in its metadata");
        match topic.error() {
            Some(error) => Err(RDKafkaErrorCode::from(error)),
            None => Ok(topic.partitions().iter().map(|p| p.id()).collect()),
        }
    }

    /// Everything in a topic, up to the end of each partition.
    pub fn read(&self, topic: &str, isolation: &str) -> Vec<Record> {
        let partitions = self.partitions(topic).expect("partitions of the topic");
        self.read_from(topic, &partitions, Offset::Beginning, isolation)
    }

    pub fn read_from(&self, topic: &str, partitions: &[i32], from: Offset, isolation: &str) -> Vec<Record> {
        let consumer = self.consumer(
            &self.name("reader"),
            &[
                ("isolation.level", isolation),
                ("enable.partition.eof", "true"),
                ("fetch.message.max.bytes", "20000000"),
                ("receive.message.max.bytes", "200000000"),
                ("check.crcs", "true"),
            ],
        );
        consumer.assign_from(topic, partitions, from);
        consumer.read_to_end(partitions.len())
    }

    pub fn values(&self, topic: &str, isolation: &str) -> Vec<String> {
        let records = self.read(topic, isolation);
        records.into_iter().map(|r| r.value.unwrap_or_default()).collect()
    }

    pub fn watermarks(&self, topic: &str, partition: i32, isolation: &str) -> (i64, i64) {
        let settings = [("isolation.level", isolation)];
        self.consumer(&self.name("watermarks"), &settings)
            .inner
            .fetch_watermarks(topic, partition, LIMIT)
            .expect("watermarks")
    }

    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Offset {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let consumer = self.consumer(group, &[]);
        let found = consumer.inner.committed_offsets(list, LIMIT).expect("committed offsets");
        let element = &found.elements()[0];
        element.error().expect("committed offset of the partition");
        element.offset()
    }
}

pub fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(LIMIT)).operation_timeout(Some(LIMIT))
}

/// A list of one partition at this offset.
pub fn at(topic: &str, partition: i32, offset: i64) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).expect("an offset");
    list
}
