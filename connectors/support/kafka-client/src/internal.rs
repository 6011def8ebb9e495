//! The topics that a deployment keeps for itself: made once, recognised by id ever after (rule K4).
//!
//! `<deployment>.config` holds, under the key `internal-topics`, the ids and partition counts of the others. A state topic
//! that was deleted and made again, or given more partitions, would silently be an empty one; with the record it is Lost.

use crate::admin::{Admin, NewTopic, TopicFacts};
use crate::cluster::Purpose;
use crate::context::ClientLog;
use crate::durability;
use crate::failure::Refusal;
use crate::ffi::EndOf;
use crate::limits;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use unbatch_api::names::LANES;
use unbatch_api::{DeploymentName, Error, Result};

/// Between two looks for an acknowledgement, which a broker near by gives within two milliseconds.
const ACKNOWLEDGED_PAUSE: Duration = Duration::from_millis(1);
const RECORD_KEY: &str = "internal-topics";

/// Names of a deployment's internal topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalTopics {
    /// Empty; its partitions are what Kafka assigns to workers.
    pub lanes: String,
    /// State of splits, one partition for each lane, compacted.
    pub state: String,
    /// Schemas by id, compacted.
    pub schemas: String,
    /// Desired state and what this module records, compacted.
    pub config: String,
    /// Who runs what, compacted.
    pub status: String,
}

/// The record, version 1.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RecordV1 {
    v: u32,
    topics: BTreeMap<String, Identity>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    id: String,
    partitions: u32,
}

impl InternalTopics {
    pub fn of(deployment: &DeploymentName) -> Self {
        let name = |topic: &str| format!("{deployment}.{topic}");
        Self {
            lanes: name("lanes"),
            state: name("state"),
            schemas: name("schemas"),
            config: name("config"),
            status: name("status"),
        }
    }

    pub fn all(&self) -> [&str; 5] {
        [&self.lanes, &self.state, &self.schemas, &self.config, &self.status]
    }

    /// Makes what is missing and checks what is there. Called at the start of a worker and at each open of a split. Blocks.
    pub fn ensure(admin: &Admin, deployment: &DeploymentName) -> Result<Self> {
        let topics = Self::of(deployment);
        let brokers = admin.brokers()?.ids.len();
        let mut found = admin.topics(&topics.all())?;
        if !found.contains_key(&topics.config) {
            let config = topics.new_topic(&topics.config, brokers);
            admin.create(&config)?;
        }
        let recorded = read_record(admin, &topics.config)?;
        if let Some(recorded) = &recorded {
            topics.compare(recorded, &found, deployment)?;
        }
        let missing: Vec<&str> = topics.all().into_iter().filter(|t| !found.contains_key(*t)).collect();
        if !missing.is_empty() {
            for name in missing {
                admin.create(&topics.new_topic(name, brokers))?;
            }
            found = admin.present_topics(&topics.all())?;
        }
        if recorded.is_none() {
            write_record(admin, &topics.config, &found)?;
        }
        topics.check(admin, brokers, &found)?;
        Ok(topics)
    }

    /// How such a topic is made.
    pub fn new_topic(&self, name: &str, brokers: usize) -> NewTopic {
        let of_lanes = name == self.lanes || name == self.state;
        let mut config = BTreeMap::new();
        if name != self.lanes {
            config.insert("cleanup.policy".into(), "compact".into());
        }
        if name == self.state {
            // A split writes a few hundred bytes with each commit: small segments keep what an open has to read small.
            config.insert("segment.bytes".into(), (16 << 20).to_string());
            config.insert("min.cleanable.dirty.ratio".into(), "0.1".into());
        }
        if brokers > 1 {
            config.insert("min.insync.replicas".into(), "2".into());
        }
        NewTopic {
            name: name.to_owned(),
            partitions: if of_lanes { LANES } else { 1 },
            replication: brokers.clamp(1, 3) as u32,
            config,
        }
    }

    /// Rule K4, first half: the topics are the recorded ones.
    fn compare(
        &self,
        recorded: &RecordV1,
        found: &BTreeMap<String, TopicFacts>,
        deployment: &DeploymentName,
    ) -> Result<()> {
        for (name, identity) in &recorded.topics {
            let wrong = match found.get(name) {
                None => "it was deleted".to_owned(),
                Some(facts) if facts.id != identity.id => {
                    format!("it was made anew: id {}, was {}", facts.id, identity.id)
                }
                Some(facts) if facts.partitions != identity.partitions => {
                    format!("it has {} partitions, had {}", facts.partitions, identity.partitions)
                }
                Some(_) => continue,
            };
            if unbatch_api::failpoint::sabotaged("K4") {
                continue;
            }
            return Err(Error::lost("recognising an internal topic failed")
                .code("U0264")
                .with("topic", name)
                .with("wrong", wrong)
                .help(format!(
                    "the progress of the pipelines of `{deployment}` was in these topics; restore them from a copy, or start \
                     anew under another `deployment:` name after making sure that rows written so far are not doubled"
                )));
        }
        Ok(())
    }

    /// Rule K4, second half: nothing may remove a state record but a newer one of the same split.
    fn check(&self, admin: &Admin, brokers: usize, found: &BTreeMap<String, TopicFacts>) -> Result<()> {
        let configs = admin.present_topic_configs(&[&self.state])?;
        let policy = configs.get(&self.state).and_then(|c| c.get("cleanup.policy")).map_or("", String::as_str);
        if policy != "compact" && !unbatch_api::failpoint::sabotaged("K4") {
            return Err(Error::misconfigured("checking the state topic failed")
                .code("U0265")
                .with("topic", &self.state)
                .with("cleanup.policy", policy)
                .help(format!(
                    "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {} --add-config \
                     cleanup.policy=compact",
                    admin.cluster().brokers(),
                    self.state
                )));
        }
        if brokers > 1 && !admin.cluster().settings().allow_single_replica {
            let single = [&self.state, &self.schemas, &self.config, &self.status]
                .into_iter()
                .find(|name| found.get(*name).is_some_and(|facts| facts.replicas < 2));
            if let Some(name) = single {
                return Err(Error::misconfigured("checking the copies of an internal topic failed")
                    .code("U0266")
                    .with("topic", name)
                    .help(
                        "it has one copy on a cluster of several brokers: raise its replication with \
                         kafka-reassign-partitions.sh, or set `kafka: {allow_single_replica: true}`",
                    ));
            }
        }
        durability::check(admin, brokers, &[&self.state])
    }

    /// Rule K4, third half: compaction keeps the log start at 0, so another start means that records were removed.
    pub fn check_log_start(&self, admin: &Admin, lane: i32) -> Result<()> {
        let start = admin.offset(&self.state, lane, EndOf::Start)?;
        if start == 0 || unbatch_api::failpoint::sabotaged("K4") {
            return Ok(());
        }
        Err(Error::lost("checking the beginning of the state topic failed")
            .code("U0267")
            .with("topic", &self.state)
            .with("partition", lane)
            .with("log start", start)
            .help("records were removed from the state topic; set cleanup.policy=compact and restore the progress with `offsets set`"))
    }
}

fn read_record(admin: &Admin, topic: &str) -> Result<Option<RecordV1>> {
    let mut last = None;
    admin.read_visible(topic, 0, 0, limits::ADMIN, |record| {
        if record.key.as_deref() == Some(RECORD_KEY.as_bytes()) {
            last = record.value;
        }
        ControlFlow::Continue(())
    })?;
    let Some(value) = last else { return Ok(None) };
    let failed = "reading the record of the internal topics failed";
    let record: RecordV1 = serde_json::from_slice(&value)
        .map_err(|e| Error::lost(failed).code("U0268").with("topic", topic).caused_by(e))?;
    if record.v != 1 {
        let help = "it was written by a newer unbatch; run that version or a later one";
        return Err(Error::misconfigured(failed).code("U0269").with("version", record.v).help(help));
    }
    Ok(Some(record))
}

fn write_record(admin: &Admin, topic: &str, found: &BTreeMap<String, TopicFacts>) -> Result<()> {
    let identity = |facts: &TopicFacts| Identity { id: facts.id.clone(), partitions: facts.partitions };
    let topics = found.iter().map(|(name, facts)| (name.clone(), identity(facts))).collect();
    let value = serde_json::json!(RecordV1 { v: 1, topics }).to_string();
    produce_one(admin, topic, RECORD_KEY, &value)
}

/// Writes one record outside of any transaction and waits for it.
fn produce_one(admin: &Admin, topic: &str, key: &str, value: &str) -> Result<()> {
    let attempted = "writing to an internal topic failed";
    let mut config = admin.cluster().config(Purpose::Producer);
    config.set("enable.idempotence", "true").set("acks", "all");
    let context = Delivery::default();
    let producer: BaseProducer<Delivery> = admin.cluster().client(&config, context.clone())?;
    let record = BaseRecord::to(topic).partition(0).key(key).payload(value);
    producer.send(record).map_err(|(e, _)| Refusal::from(e).into_error(attempted).with("topic", topic))?;
    let deadline = Instant::now() + limits::ADMIN;
    while producer.in_flight_count() > 0 && Instant::now() < deadline {
        producer.poll(Duration::ZERO);
        std::thread::sleep(ACKNOWLEDGED_PAUSE);
    }
    let outcome = context.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    match outcome {
        Some(Ok(())) => Ok(()),
        Some(Err(refusal)) => Err(refusal.into_error(attempted).with("topic", topic)),
        None => Err(Error::transient(attempted).with("topic", topic)),
    }
}

#[derive(Clone, Default)]
struct Delivery(Arc<Mutex<Option<Result<(), Refusal>>>>);

impl rdkafka::ClientContext for Delivery {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, fac: &str, message: &str) {
        ClientLog::default().log(level, fac, message);
    }
    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        ClientLog::default().error(error, reason);
    }
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let outcome = result.as_ref().map(|_| ()).map_err(|(e, _)| Refusal::from(e.clone()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_has_a_stable_form() {
        let identity = Identity { id: "AAAA".into(), partitions: 128 };
        let record = RecordV1 { v: 1, topics: BTreeMap::from([("shop.state".into(), identity)]) };
        let text = r#"{"v":1,"topics":{"shop.state":{"id":"AAAA","partitions":128}}}"#;
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
        assert_eq!(serde_json::from_str::<RecordV1>(text).unwrap(), record);
    }

    #[test]
    fn internal_topics_are_compacted_and_have_copies_where_there_are_brokers() {
        let topics = InternalTopics::of(&DeploymentName::parse("shop").unwrap());
        let state = topics.new_topic(&topics.state, 5);
        assert_eq!((state.partitions, state.replication), (LANES, 3));
        assert_eq!(state.config["cleanup.policy"], "compact");
        assert_eq!(state.config["min.insync.replicas"], "2");
        let lanes = topics.new_topic(&topics.lanes, 1);
        assert_eq!((lanes.partitions, lanes.replication, lanes.config.len()), (LANES, 1, 0));
        let command = topics.new_topic(&topics.config, 1).command("k:9092");
        let expected = "kafka-topics.sh --bootstrap-server k:9092 --create --topic shop.config --partitions 1 \
                        --replication-factor 1 --config cleanup.policy=compact";
        assert_eq!(command, expected);
    }
}
