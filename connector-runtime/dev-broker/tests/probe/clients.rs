//! librdkafka's producer and consumer, with what every item does with them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::broker::LIMIT;

/// Asks again and again until the answer is yes; fails after [`LIMIT`].
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    loop {
        if is_so() {
            return started.elapsed();
        }
        assert!(started.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        // Every question goes to the broker or polls a client; this only keeps a fast one from being flooded.
        std::thread::yield_now();
    }
}

fn show(level: RDKafkaLogLevel, facility: &str, message: &str) {
    if std::env::var_os("PROBE_LOG").is_some() {
        eprintln!("[{level:?}] {facility} {message}");
    }
}

/// What became of each record that was sent.
#[derive(Clone, Default)]
pub struct Deliveries {
    acknowledged: Arc<Mutex<Vec<(i32, i64)>>>,
    failed: Arc<Mutex<Vec<KafkaError>>>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        show(level, facility, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        show(RDKafkaLogLevel::Error, &error.to_string(), reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        match result {
            Ok(m) => self.acknowledged.lock().expect("a lock").push((m.partition(), m.offset())),
            Err((error, _)) => self.failed.lock().expect("a lock").push(error.clone()),
        }
    }
}

pub struct TestProducer {
    pub inner: BaseProducer<Deliveries>,
    deliveries: Deliveries,
}

impl TestProducer {
    pub fn new(mut config: ClientConfig, settings: &[(&str, &str)]) -> TestProducer {
        for (key, value) in settings {
            config.set(*key, *value);
        }
        let deliveries = Deliveries::default();
        TestProducer { inner: config.create_with_context(deliveries.clone()).expect("make a producer"), deliveries }
    }

    pub fn init(&self) {
        self.inner.init_transactions(LIMIT).expect("init_transactions");
    }

    pub fn begin(&self) {
        self.inner.begin_transaction().expect("begin_transaction");
    }

    pub fn send(&self, topic: &str, partition: i32, key: Option<&str>, value: &str) {
        let mut record = BaseRecord::to(topic).partition(partition).payload(value);
        if let Some(key) = key {
            record = record.key(key);
        }
        self.send_record(record).expect("send a record");
    }

    pub fn send_record(&self, mut record: BaseRecord<'_, str, str, ()>) -> KafkaResult<()> {
        loop {
            match self.inner.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    self.inner.poll(Duration::from_millis(20));
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// Waits until nothing is in flight, and returns whether that came about. Not by the client's own flush: called
    /// again and again it wakes all of the client's threads each time, and once it waits in steps of 100 ms.
    pub fn drain(&self) -> bool {
        let started = Instant::now();
        while self.inner.in_flight_count() > 0 {
            self.inner.poll(Duration::from_millis(1));
            if started.elapsed() > LIMIT {
                return false;
            }
        }
        true
    }

    /// Waits likewise, and insists that everything was delivered.
    pub fn flush(&self) {
        assert!(self.drain(), "still in flight after {LIMIT:?}");
        let failed = self.failed();
        assert!(failed.is_empty(), "{} not delivered: {:?}", failed.len(), failed[0]);
    }

    pub fn acknowledged(&self) -> Vec<(i32, i64)> {
        self.deliveries.acknowledged.lock().expect("a lock").clone()
    }

    pub fn failed(&self) -> Vec<KafkaError> {
        self.deliveries.failed.lock().expect("a lock").clone()
    }

    pub fn commit(&self) {
        self.flush();
        self.inner.commit_transaction(LIMIT).expect("commit_transaction");
    }

    pub fn abort(&self) {
        self.inner.abort_transaction(LIMIT).expect("abort_transaction");
    }

    pub fn fatal(&self) -> Option<RDKafkaErrorCode> {
        self.inner.client().fatal_error().map(|(code, _)| code)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<String>,
    pub value: Option<String>,
    pub timestamp_ms: Option<i64>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    fn of(message: &impl Message) -> Record {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Record {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(text),
            value: message.payload().map(text),
            timestamp_ms: message.timestamp().to_millis(),
            headers: message
                .headers()
                .into_iter()
                .flat_map(|h| h.iter())
                .map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }
}

/// Counts the requests that the client has sent.
#[derive(Default)]
pub struct Watched {
    requests: Mutex<i64>,
}

impl ClientContext for Watched {
    fn stats(&self, statistics: rdkafka::statistics::Statistics) {
        *self.requests.lock().expect("a lock") = statistics.tx;
    }
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        show(level, facility, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        show(RDKafkaLogLevel::Error, &error.to_string(), reason);
    }
}
impl ConsumerContext for Watched {}

pub struct TestConsumer {
    pub inner: BaseConsumer<Watched>,
}

impl TestConsumer {
    pub fn new(mut config: ClientConfig, settings: &[(&str, &str)]) -> TestConsumer {
        for (key, value) in settings {
            config.set(*key, *value);
        }
        TestConsumer { inner: config.create_with_context(Watched::default()).expect("make a consumer") }
    }

    pub fn assign_from(&self, topic: &str, partitions: &[i32], from: Offset) {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition_offset(topic, *partition, from).expect("an offset");
        }
        self.inner.assign(&list).expect("assign");
    }

    pub fn subscribe(&self, topic: &str) {
        self.inner.subscribe(&[topic]).expect("subscribe");
    }

    /// The next record or error within this time; a connection that broke is not one, the client goes on by itself.
    pub fn poll(&self, time: Duration) -> Option<KafkaResult<Record>> {
        match self.inner.poll(time)? {
            Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown,
            )) => None,
            other => Some(other.map(|m| Record::of(&m))),
        }
    }

    /// As [`poll`](Self::poll), where an error fails the item.
    pub fn next(&self, ms: u64) -> Option<Record> {
        self.poll(Duration::from_millis(ms)).map(|r| r.expect("consume"))
    }

    pub fn read_to_end(&self, partitions: usize) -> Vec<Record> {
        let mut at_end = BTreeSet::new();
        let mut records = Vec::new();
        until("the end of all partitions", || {
            match self.poll(Duration::from_millis(200)) {
                None => {}
                Some(Ok(record)) => {
                    at_end.remove(&record.partition);
                    records.push(record);
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    at_end.insert(partition);
                }
                Some(Err(error)) => panic!("consume: {error}"),
            }
            at_end.len() == partitions
        });
        records
    }

    pub fn assigned(&self) -> usize {
        self.inner.assignment().map_or(0, |a| a.count())
    }

    /// Polls until it has been given this many partitions.
    pub fn until_assigned(&self, partitions: usize) -> Duration {
        until(&format!("{partitions} partitions assigned"), || {
            self.poll(Duration::from_millis(50));
            self.assigned() == partitions
        })
    }

    pub fn requests(&self) -> i64 {
        *self.inner.context().requests.lock().expect("a lock")
    }
}
