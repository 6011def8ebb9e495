//! The limit: librdkafka alone, producing the same keys and values in transactions of the same size.

use crate::figures::own_cpu;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::{Duration, Instant};
use unbatch_test_harness::{Broker, Record, unique_name};

/// Records of a transaction, as many as the product's largest epoch without a memory limit.
const TRANSACTION: usize = 50_000;
const LIMIT: Duration = Duration::from_secs(60);

/// Wall and CPU seconds for producing `records`, without their headers.
pub fn produce(broker: &Broker, records: &[Record]) -> (f64, f64) {
    let topic = unique_name("raw");
    broker.create_topic(&topic, 4, &[]);
    let mut config = broker.client();
    config.set("transactional.id", &topic).set("compression.type", "lz4").set("linger.ms", "5");
    config.set("batch.size", "900000").set("batch.num.messages", "100000");
    let producer: BaseProducer = config.create().expect("a producer");
    producer.init_transactions(LIMIT).expect("a transactional id");
    let (started, cpu) = (Instant::now(), own_cpu());
    for epoch in records.chunks(TRANSACTION) {
        producer.begin_transaction().expect("a transaction");
        for record in epoch {
            send(&producer, &topic, record);
        }
        while producer.in_flight_count() > 0 {
            producer.poll(Duration::from_millis(1));
        }
        producer.commit_transaction(LIMIT).expect("a commit");
    }
    (started.elapsed().as_secs_f64(), (own_cpu() - cpu).as_secs_f64())
}

fn send(producer: &BaseProducer, topic: &str, record: &Record) {
    let (key, value) = (record.key.as_deref().unwrap_or_default(), record.value.as_deref().unwrap_or_default());
    let mut message = BaseRecord::to(topic).partition(record.partition).key(key).payload(value);
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
