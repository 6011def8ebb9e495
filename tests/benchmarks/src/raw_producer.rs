//! The limit: librdkafka alone, producing the same records.

use crate::figures::own_cpu;
use crate::runs::Run;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::{Duration, Instant};
use unbatch_test_harness::{Broker, Record, unique_name};

const LIMIT: Duration = Duration::from_secs(60);
/// How often a transaction is committed that is to last for a time.
const EVERY: Duration = Duration::from_secs(1);

/// When what was produced is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commits {
    /// In transactions of so many records.
    Of(usize),
    /// In transactions of a second.
    EverySecond,
    /// Without transactions: each record once as long as the producer lives.
    Never,
}

/// What of the records is produced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// All that the product writes.
    All,
    KeyAndValue,
}

/// Produces `records` `times` over.
pub fn produce(broker: &Broker, records: &[Record], parts: Parts, times: usize, commits: Commits) -> Run {
    let topic = unique_name("raw");
    broker.create_topic(&topic, 4, &[]);
    let mut config = broker.client();
    config.set("enable.idempotence", "true").set("compression.type", "lz4").set("linger.ms", "5");
    config.set("batch.size", "900000").set("batch.num.messages", "100000");
    let has_transactions = commits != Commits::Never;
    if has_transactions {
        config.set("transactional.id", &topic);
    }
    let producer: BaseProducer = config.create().expect("a producer");
    // the connections are there before the clock runs
    producer.client().fetch_metadata(Some(&topic), LIMIT).expect("the topic's metadata");
    if has_transactions {
        producer.init_transactions(LIMIT).expect("a transactional id");
        producer.begin_transaction().expect("a transaction");
    }
    let (started, cpu) = (Instant::now(), own_cpu());
    let (mut open, mut since) = (0, Instant::now());
    for record in (0..times).flat_map(|_| records) {
        send(&producer, &topic, record, parts);
        open += 1;
        let is_due = match commits {
            Commits::Of(n) => open >= n,
            // the clock is not asked for each record
            Commits::EverySecond => open % 1_000 == 0 && since.elapsed() >= EVERY,
            Commits::Never => false,
        };
        if is_due {
            flush(&producer);
            producer.commit_transaction(LIMIT).expect("a commit");
            producer.begin_transaction().expect("a transaction");
            (open, since) = (0, Instant::now());
        }
    }
    flush(&producer);
    if has_transactions {
        producer.commit_transaction(LIMIT).expect("a commit");
    }
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), (own_cpu() - cpu).as_secs_f64());
    drop(producer);
    broker.delete_topic(&topic);
    // memory is that of the whole program, with the records
    Run { rows: records.len() * times, seconds, cpu, peak: f64::NAN }
}

fn flush(producer: &BaseProducer) {
    while producer.in_flight_count() > 0 {
        producer.poll(Duration::from_millis(1));
    }
}

fn send(producer: &BaseProducer, topic: &str, record: &Record, parts: Parts) {
    let (key, value) = (record.key.as_deref().unwrap_or_default(), record.value.as_deref().unwrap_or_default());
    let mut message = BaseRecord::to(topic).partition(record.partition).key(key).payload(value);
    if parts == Parts::All {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: value.as_deref() });
        }
        message = message.headers(headers);
    }
    loop {
        match producer.send(message) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                message = back;
                producer.poll(Duration::from_millis(2));
            }
            Err((error, _)) => panic!("producing failed: {error}"),
        }
    }
}
