//! From the start of `unbatch run` to the first committed record: topics exist, the last run stopped cleanly, the file lies
//! there with its marker.

use crate::Scale;
use crate::drop_folder::{DropFolder, Shape};
use crate::figures::Table;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};
use unbatch_test_harness::{Broker, Signal};

const DEADLINE: Duration = Duration::from_secs(60);
/// A round takes a second, so there are so many for each repetition of a longer measurement.
const ROUNDS: usize = 3;

pub fn measure(broker: &Broker, scale: Scale, table: &mut Table) {
    let folder = DropFolder::new(&Shape::default());
    let mut seconds = Vec::new();
    for round in 0..=scale.repetitions * ROUNDS {
        let reader = tailing(broker, &folder.topic, round > 0);
        folder.drop_rows(&format!("round_{round}.csv"), round * 10, 10);
        let started = Instant::now();
        let mut run = folder.run(broker.bootstrap()).start();
        let first = match reader {
            Some(reader) => wait_for_record(&reader),
            // the first round makes the topics
            None => wait_for_record(&from_start(broker, &folder.topic)),
        };
        if round > 0 {
            seconds.push(first.duration_since(started).as_secs_f64());
        }
        run.signal(Signal::Terminate);
        assert!(run.wait(DEADLINE).success(), "a clean stop: {}", run.tails());
    }
    table.add("`unbatch run` to the first committed record", &seconds, "s", "at most 0.5 s");
}

/// A reader that stands at the end of the topic.
fn tailing(broker: &Broker, topic: &str, exists: bool) -> Option<BaseConsumer> {
    exists.then(|| assigned(broker, topic, Offset::End))
}

fn from_start(broker: &Broker, topic: &str) -> BaseConsumer {
    let started = Instant::now();
    loop {
        let consumer: BaseConsumer = consumer(broker);
        let known = consumer.fetch_metadata(Some(topic), Duration::from_secs(5));
        if known.is_ok_and(|m| m.topics().first().is_some_and(|t| !t.partitions().is_empty())) {
            return assigned(broker, topic, Offset::Beginning);
        }
        assert!(started.elapsed() < DEADLINE, "the run made no topic");
    }
}

fn consumer(broker: &Broker) -> BaseConsumer {
    let mut config = broker.client();
    config.set("group.id", "benchmark").set("isolation.level", "read_committed").set("enable.auto.commit", "false");
    config.set("fetch.wait.max.ms", "10").set("allow.auto.create.topics", "false");
    config.create().expect("a consumer")
}

fn assigned(broker: &Broker, topic: &str, at: Offset) -> BaseConsumer {
    let consumer = consumer(broker);
    let metadata = consumer.fetch_metadata(Some(topic), DEADLINE).expect("the topic's metadata");
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        let (start, end) = consumer.fetch_watermarks(topic, partition.id(), DEADLINE).expect("its end");
        let offset = if at == Offset::End { end } else { start };
        list.add_partition_offset(topic, partition.id(), Offset::Offset(offset)).expect("a partition");
    }
    consumer.assign(&list).expect("an assignment");
    consumer.poll(Duration::from_millis(50));
    consumer
}

fn wait_for_record(consumer: &BaseConsumer) -> Instant {
    let started = Instant::now();
    loop {
        match consumer.poll(Duration::from_millis(5)) {
            Some(Ok(_)) => return Instant::now(),
            Some(Err(_)) | None => assert!(started.elapsed() < DEADLINE, "no record arrived"),
        }
    }
}
