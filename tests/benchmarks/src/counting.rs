//! Counts what a topic holds, without keeping it.

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};
use std::time::{Duration, Instant};
use unbatch_test_harness::Broker;

const DEADLINE: Duration = Duration::from_secs(600);

/// A figure counts only when every id from 0 to `rows` is there once, as a reader of committed records sees it. Two sums tell that
/// apart from anything that goes wrong by itself.
pub fn must_hold(broker: &Broker, topic: &str, rows: usize) {
    let (mut records, mut sum, mut squares) = (0_usize, 0_u128, 0_u128);
    read(broker, topic, |key| {
        let id = key.iter().filter(|b| b.is_ascii_digit()).fold(0, |n, b| n * 10 + u128::from(b - b'0'));
        (records, sum, squares) = (records + 1, sum + id, squares + id * id);
    });
    let n = rows as u128;
    let expected = (rows, n * n.saturating_sub(1) / 2, (0..n).map(|id| id * id).sum::<u128>());
    assert_eq!((records, sum, squares), expected, "records in {topic}, sum of their keys and of the squares of them");
}

/// How many committed records are in `topic`.
pub fn records(broker: &Broker, topic: &str) -> usize {
    let mut records = 0;
    read(broker, topic, |_| records += 1);
    records
}

/// How far a topic goes, asked again and again.
pub struct Ends {
    consumer: BaseConsumer,
    topic: String,
    partitions: i32,
}

impl Ends {
    pub fn of(broker: &Broker, topic: &str) -> Self {
        let consumer: BaseConsumer = broker.client().set("group.id", "benchmark").create().expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(topic), DEADLINE).expect("the topic's metadata");
        let partitions = metadata.topics()[0].partitions().len() as i32;
        Self { consumer, topic: topic.to_owned(), partitions }
    }

    /// How many offsets are in it, over all its partitions.
    pub fn sum(&self) -> usize {
        let end =
            |partition| self.consumer.fetch_watermarks(&self.topic, partition, DEADLINE).map_or(0, |(_, end)| end);
        (0..self.partitions).map(|partition| end(partition).max(0) as usize).sum()
    }
}

/// Shows the key of each committed record in `topic`.
fn read(broker: &Broker, topic: &str, mut seen: impl FnMut(&[u8])) {
    let mut config = broker.client();
    config.set("group.id", "benchmark").set("isolation.level", "read_committed").set("enable.auto.commit", "false");
    config.set("enable.partition.eof", "true").set("queued.max.messages.kbytes", "65536");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), DEADLINE).expect("the topic's metadata");
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        list.add_partition_offset(topic, partition.id(), Offset::Beginning).expect("a partition");
    }
    consumer.assign(&list).expect("an assignment");
    let (started, mut open) = (Instant::now(), list.count());
    while open > 0 {
        assert!(started.elapsed() < DEADLINE, "{topic} cannot be read to its end");
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(record)) => seen(record.key().unwrap_or_default()),
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(e)) => panic!("reading {topic} back failed: {e}"),
            None => {}
        }
    }
}
