//! How fast a broker is from here: `cargo run --release -p unbatch-dev-broker --example speed [RECORDS] [BOOTSTRAP]`.
//!
//! Without an address it measures the embedded broker, in this process and without a log. Records have 200 bytes and
//! go to 4 partitions, idempotent, `acks=all`. The numbers depend on the machine; they are for comparing brokers on it.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use unbatch_dev_broker::{DevBroker, Settings};

const LIMIT: Duration = Duration::from_secs(60);

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let records: usize = args.next().map_or(Ok(200_000), |n| n.parse())?;
    let (bootstrap, embedded) = match args.next() {
        Some(bootstrap) => (bootstrap, None),
        None => {
            let broker = DevBroker::start(Settings::default())?;
            (broker.addr().to_string(), Some(broker))
        }
    };
    let speed = Speed { bootstrap, run: std::process::id() };
    speed.produce_and_consume(records)?;
    for per_transaction in [1, 100, 1000, 10_000] {
        speed.transactions(per_transaction)?;
    }
    speed.latency()?;
    drop(embedded);
    Ok(())
}

struct Speed {
    bootstrap: String,
    run: u32,
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// Middle and 99th percentile, in milliseconds.
fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e3;
    format!("p50 {:.1} ms, p99 {:.1} ms", at(50), at(99))
}

impl Speed {
    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    fn topic(&self, of: &str, partitions: i32) -> Outcome<String> {
        let name = format!("speed-{}-{of}", self.run);
        let admin: AdminClient<_> = self.config().create()?;
        let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        let made = futures::executor::block_on(admin.create_topics([&topic], &AdminOptions::new()))?;
        for result in made {
            result.map_err(|(name, error)| format!("create {name}: {error}"))?;
        }
        Ok(name)
    }

    fn producer(&self, settings: &[(&str, &str)]) -> Outcome<BaseProducer> {
        let mut config = self.config();
        config.set("enable.idempotence", "true").set("queue.buffering.max.messages", "200000");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        Ok(config.create()?)
    }

    fn consumer(&self, topic: &str, partitions: i32) -> Outcome<BaseConsumer> {
        let mut config = self.config();
        config
            .set("group.id", format!("speed-{}", self.run))
            .set("enable.auto.commit", "false")
            .set("queued.min.messages", "500000")
            .set("fetch.message.max.bytes", "4000000")
            .set("isolation.level", "read_committed");
        let consumer: BaseConsumer = config.create()?;
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        Ok(consumer)
    }

    fn produce_and_consume(&self, records: usize) -> Outcome<()> {
        let topic = self.topic("bulk", 4)?;
        let producer = self.producer(&[("linger.ms", "20"), ("batch.size", "1000000")])?;
        let value = "x".repeat(200);
        let started = Instant::now();
        for i in 0..records {
            send(&producer, &topic, (i % 4) as i32, &value)?;
        }
        drain(&producer)?;
        let rate = records as f64 / started.elapsed().as_secs_f64();
        say(&format!("produced {rate:.0} records/s"))?;

        let consumer = self.consumer(&topic, 4)?;
        let started = Instant::now();
        let mut seen = 0;
        while seen < records {
            if let Some(message) = consumer.poll(LIMIT) {
                message?;
                seen += 1;
            }
        }
        let rate = records as f64 / started.elapsed().as_secs_f64();
        say(&format!("consumed {rate:.0} records/s"))?;
        Ok(())
    }

    fn transactions(&self, records: usize) -> Outcome<()> {
        let topic = self.topic(&format!("transactions-{records}"), 4)?;
        let id = format!("{topic}-id");
        let producer = self.producer(&[("transactional.id", &id), ("linger.ms", "0")])?;
        producer.init_transactions(LIMIT)?;
        let value = "x".repeat(200);
        let mut commits = Vec::new();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(2) {
            producer.begin_transaction()?;
            for i in 0..records {
                send(&producer, &topic, (i % 4) as i32, &value)?;
            }
            drain(&producer)?;
            let delivered = Instant::now();
            producer.commit_transaction(LIMIT)?;
            commits.push(delivered.elapsed());
        }
        let rate = commits.len() as f64 / started.elapsed().as_secs_f64();
        say(&format!("transactions of {records}: {rate:.0} a second, commit alone {}", percentiles(commits)))?;
        Ok(())
    }

    /// One record at a time, from sending it to seeing it.
    fn latency(&self) -> Outcome<()> {
        let topic = self.topic("latency", 1)?;
        let producer = self.producer(&[("linger.ms", "0")])?;
        let consumer = self.consumer(&topic, 1)?;
        let mut times = Vec::new();
        for _ in 0..300 {
            let started = Instant::now();
            send(&producer, &topic, 0, "x")?;
            while consumer.poll(Duration::from_millis(1)).transpose()?.is_none() {
                producer.poll(Duration::ZERO);
            }
            times.push(started.elapsed());
        }
        say(&format!("one record, sent to seen: {}", percentiles(times)))?;
        Ok(())
    }
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, value: &str) -> Outcome<()> {
    let mut record: BaseRecord<'_, (), str> = BaseRecord::to(topic).partition(partition).payload(value);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                record = again;
                producer.poll(Duration::from_millis(10));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

fn drain(producer: &BaseProducer) -> Outcome<()> {
    let started = Instant::now();
    while producer.in_flight_count() > 0 {
        // It always takes the time it is given.
        producer.poll(Duration::from_millis(1));
        if started.elapsed() > LIMIT {
            return Err("records are still in flight after a minute".into());
        }
    }
    Ok(())
}
