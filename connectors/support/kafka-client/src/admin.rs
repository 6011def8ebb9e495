//! Looking at a cluster and changing its topics. Every call blocks for at most [`limits::ADMIN`] or a little more, rides out brokers that are
//! away, and gives up early when the login is refused.

use crate::cluster::{Cluster, Purpose};
use crate::context::ClientLog;
use crate::failure::{Refusal, UNKNOWN_HOST};
use crate::ffi::{self, Answers, Asked, EndOf, Handle, Resource, TopicPartition, TopicSpec};
use crate::limits;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::producer::{BaseProducer, Producer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use unbatch_api::{Error, Result};

/// A connection for administration.
pub struct Admin {
    cluster: Arc<Cluster>,
    // librdkafka has no client of its own for administration; its documentation proposes a producer.
    client: BaseProducer<ClientLog>,
    log: ClientLog,
}

/// The brokers that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brokers {
    pub ids: Vec<i32>,
}

/// What identifies a topic and how it is spread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    /// The id that Kafka gave it; another one after it was recreated. Base64, as Kafka's tools print it.
    pub id: String,
    pub partitions: u32,
    /// Copies of the partition that has the fewest.
    pub replicas: usize,
    /// Whether each partition has a leader.
    pub led: bool,
}

/// A topic to be made.
#[derive(Clone, Debug)]
pub struct NewTopic {
    pub name: String,
    pub partitions: u32,
    pub replication: u32,
    pub config: BTreeMap<String, String>,
}

/// What came of making a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    Now,
    /// Somebody made it before; it is as it is.
    Before,
}

impl NewTopic {
    /// The command that makes it, for those who keep the right to themselves.
    pub fn command(&self, brokers: &str) -> String {
        let config: String = self.config.iter().map(|(key, value)| format!(" --config {key}={value}")).collect();
        format!(
            "kafka-topics.sh --bootstrap-server {brokers} --create --topic {} --partitions {} --replication-factor {}{config}",
            self.name, self.partitions, self.replication
        )
    }
}

impl Admin {
    pub(crate) fn connect(cluster: Arc<Cluster>, log: ClientLog) -> Result<Self> {
        let client = cluster.client(&cluster.config(Purpose::Admin), log.clone())?;
        let admin = Self { cluster, client, log };
        admin
            .patiently_for(
                limits::CONNECT,
                limits::CONNECT_ATTEMPT,
                "connecting to the Kafka cluster failed",
                |attempt| Ok(admin.client.client().fetch_metadata(None, attempt).map(|_| ())?),
            )
            .map_err(|error| match error.code_text() {
                Some(UNKNOWN_HOST) => {
                    error.help(format!("check the host names in {}", admin.cluster.settings().named_by))
                }
                _ => error,
            })?;
        Ok(admin)
    }

    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    pub fn brokers(&self) -> Result<Brokers> {
        self.patiently("asking the Kafka cluster for its brokers failed", |attempt| {
            let metadata = self.client.client().fetch_metadata(None, attempt)?;
            Ok(Brokers { ids: metadata.brokers().iter().map(|b| b.id()).collect() })
        })
    }

    /// Names of all topics that this user may see.
    pub fn topic_names(&self) -> Result<Vec<String>> {
        self.patiently("listing the topics failed", |attempt| {
            let metadata = self.client.client().fetch_metadata(None, attempt)?;
            Ok(metadata.topics().iter().map(|t| t.name().to_owned()).collect())
        })
    }

    /// Facts of those topics that exist.
    pub fn topics(&self, names: &[&str]) -> Result<BTreeMap<String, TopicFacts>> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let attempted = "describing topics failed";
        self.patiently(attempted, |attempt| {
            let mut found = BTreeMap::new();
            for (name, answer) in ffi::describe_topics(self.handle(), names, attempt)? {
                match answer {
                    Ok(topic) => {
                        let facts = TopicFacts {
                            partitions: topic.replicas.len() as u32,
                            replicas: topic.replicas.iter().copied().min().unwrap_or(0),
                            id: topic.id,
                            led: topic.led,
                        };
                        found.insert(name, facts);
                    }
                    Err(refusal) if is_missing(refusal.code) => {}
                    Err(refusal) => return Err(named(refusal, &name)),
                }
            }
            Ok(found)
        })
    }

    /// Facts of topics that must be there, with leaders: a broker that has not heard of a new topic yet is asked again.
    pub fn present_topics(&self, names: &[&str]) -> Result<BTreeMap<String, TopicFacts>> {
        let found = self.until_complete(names, || {
            let mut found = self.topics(names)?;
            found.retain(|_, facts| facts.led);
            Ok(found)
        })?;
        Ok(found)
    }

    /// The configuration in force of topics that must be there.
    pub fn present_topic_configs(&self, names: &[&str]) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
        self.until_complete(names, || self.topic_configs(names))
    }

    pub fn topic(&self, name: &str) -> Result<Option<TopicFacts>> {
        Ok(self.topics(&[name])?.remove(name))
    }

    /// The configuration in force of those topics that exist, defaults included.
    pub fn topic_configs(&self, names: &[&str]) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let resources: Vec<_> = names.iter().map(|name| Resource::Topic(name)).collect();
        self.patiently("reading the configuration of topics failed", |attempt| {
            let answers = ffi::describe_configs(self.handle(), &resources, attempt)?;
            let mut found = BTreeMap::new();
            for (name, answer) in answers {
                match answer {
                    Ok(config) => {
                        found.insert(name, config);
                    }
                    Err(refusal) if is_missing(refusal.code) => {}
                    Err(refusal) => return Err(named(refusal, &name)),
                }
            }
            Ok(found)
        })
    }

    /// The configuration in force of one broker.
    pub fn broker_config(&self, id: i32) -> Result<BTreeMap<String, String>> {
        self.patiently("reading the configuration of a broker failed", |attempt| {
            let mut answers = ffi::describe_configs(self.handle(), &[Resource::Broker(id)], attempt)?;
            answers.pop_first().map_or_else(|| Err(Refusal::of(Code::UnknownBroker)), |(_, answer)| answer)
        })
    }

    /// Makes a topic and waits until each partition has a leader. Without the right to do so the error holds the command.
    pub fn create(&self, topic: &NewTopic) -> Result<Created> {
        let created = self.patiently("creating a topic failed", |attempt| self.create_once(topic, false, attempt));
        let created = created.map_err(|e| self.with_command(e, topic))?;
        self.present_topics(&[&topic.name])?;
        Ok(created)
    }

    /// Asks whether the topic could be made; changes nothing.
    pub fn could_create(&self, topic: &NewTopic) -> Result<()> {
        let asked = self
            .patiently("asking whether a topic could be made failed", |attempt| self.create_once(topic, true, attempt));
        asked.map(|_| ()).map_err(|e| self.with_command(e, topic))
    }

    pub fn delete(&self, names: &[&str]) -> Result<()> {
        self.patiently("deleting topics failed", |attempt| {
            for (name, answer) in ffi::delete_topics(self.handle(), names, attempt)? {
                match answer {
                    Err(refusal) if !is_missing(refusal.code) => return Err(named(refusal, &name)),
                    _ => {}
                }
            }
            Ok(())
        })
    }

    /// Raises the number of partitions to `total`.
    pub fn add_partitions(&self, name: &str, total: u32) -> Result<()> {
        self.patiently("adding partitions failed", |attempt| {
            each(ffi::add_partitions(self.handle(), name, total as usize, attempt)?)
        })
    }

    pub fn alter_topic_config(&self, name: &str, changes: &[(&str, &str)]) -> Result<()> {
        self.patiently("changing the configuration of a topic failed", |attempt| {
            each(ffi::alter_topic_config(self.handle(), name, changes, attempt)?)
        })
    }

    /// One end of each partition of topics that are there; one that a broker has not heard of yet is asked for again.
    pub fn offsets(&self, partitions: &[TopicPartition], end: EndOf) -> Result<BTreeMap<TopicPartition, i64>> {
        self.list_offsets(partitions, Asked::End(end))
    }

    fn list_offsets(&self, partitions: &[TopicPartition], asked: Asked) -> Result<BTreeMap<TopicPartition, i64>> {
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.patiently("asking for offsets failed", |attempt| {
            let answers = ffi::list_offsets(self.handle(), partitions, asked, attempt)?;
            answers
                .into_iter()
                .map(|(at, answer)| {
                    answer.map(|offset| (at.clone(), offset)).map_err(|r| named(not_yet_known(r), &at.0))
                })
                .collect()
        })
    }

    pub fn offset(&self, topic: &str, partition: i32, end: EndOf) -> Result<i64> {
        let at = (topic.to_owned(), partition);
        let found = self.offsets(std::slice::from_ref(&at), end)?;
        found.get(&at).copied().ok_or_else(|| Error::transient("asking for an offset failed").with("topic", topic))
    }

    /// The first record of the partition that was written at that time or later, milliseconds since 1970; `None`: none was.
    pub fn offset_since(&self, topic: &str, partition: i32, ms: i64) -> Result<Option<i64>> {
        let at = (topic.to_owned(), partition);
        let ask =
            || Ok(self.list_offsets(std::slice::from_ref(&at), Asked::Since(ms))?.get(&at).copied().unwrap_or(-1));
        // a connection that broke looks like no record; one that has just answered about an end is no such
        let first = match ask()? {
            -1 => self.offset(topic, partition, EndOf::Committed).and_then(|_| ask())?,
            offset => offset,
        };
        Ok(Some(first).filter(|offset| *offset >= 0))
    }

    /// What the client itself says about its connections.
    pub fn log(&self) -> &ClientLog {
        self.client.poll(Duration::ZERO);
        &self.log
    }

    fn handle(&self) -> Handle {
        Handle(self.client.client().native_ptr())
    }

    fn create_once(&self, topic: &NewTopic, validate_only: bool, attempt: Duration) -> Result<Created, Refusal> {
        let spec = TopicSpec {
            name: &topic.name,
            partitions: topic.partitions as i32,
            replication: topic.replication as i32,
            config: &topic.config,
        };
        let answer = ffi::create_topics(self.handle(), &[spec], validate_only, attempt)?.pop_first();
        match answer {
            Some((_, Ok(()))) => Ok(Created::Now),
            Some((_, Err(refusal))) if refusal.code == Code::TopicAlreadyExists => Ok(Created::Before),
            Some((name, Err(refusal))) => Err(named(refusal, &name)),
            None => Err(Refusal::of(Code::Fail)),
        }
    }

    fn with_command(&self, error: Error, topic: &NewTopic) -> Error {
        let command = topic.command(self.cluster.brokers());
        match error.kind() {
            unbatch_api::Kind::Misconfigured => error.help(format!("create it by hand: {command}")),
            _ => error,
        }
    }

    fn until_complete<T>(
        &self,
        names: &[&str],
        mut ask: impl FnMut() -> Result<BTreeMap<String, T>>,
    ) -> Result<BTreeMap<String, T>> {
        let deadline = Instant::now() + limits::CREATE_TOPICS;
        loop {
            let found = ask()?;
            let Some(missing) = names.iter().find(|name| !found.contains_key(**name)) else { return Ok(found) };
            if Instant::now() >= deadline {
                return Err(Error::transient("waiting for a topic and its leaders failed")
                    .code("U0248")
                    .with("topic", missing));
            }
            std::thread::sleep(limits::PAUSE);
        }
    }

    /// Asks until there is an answer, a refusal that stays, or the time is over.
    fn patiently<T>(&self, attempted: &str, ask: impl FnMut(Duration) -> Result<T, Refusal>) -> Result<T> {
        self.patiently_for(limits::ADMIN, limits::ATTEMPT, attempted, ask)
    }

    fn patiently_for<T>(
        &self,
        limit: Duration,
        attempt: Duration,
        attempted: &str,
        mut ask: impl FnMut(Duration) -> Result<T, Refusal>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            let refusal = match ask(attempt) {
                Ok(answer) => return Ok(answer),
                Err(refusal) => refusal,
            };
            self.serve_log();
            let failed = |refusal: Refusal| refusal.into_error(attempted).with("brokers", self.cluster.brokers());
            if !refusal.is_retriable() {
                return Err(failed(refusal));
            }
            if let Some(refused) = self.log.refused_login() {
                return Err(failed(refused));
            }
            if Instant::now() >= deadline {
                return Err(failed(self.log.telling(refusal)));
            }
            std::thread::sleep(limits::PAUSE);
        }
    }

    /// Takes what librdkafka has to say, one event a call, as often as it may have said something.
    fn serve_log(&self) {
        for _ in 0..100 {
            self.client.poll(Duration::ZERO);
        }
    }
}

fn each<T>(answers: Answers<T>) -> Result<(), Refusal> {
    answers.into_iter().try_for_each(|(name, answer)| answer.map(|_| ()).map_err(|r| named(r, &name)))
}

fn is_missing(code: Code) -> bool {
    matches!(code, Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition)
}

/// A new topic reaches the brokers one after the other; as with any change of leaders, asking again helps.
fn not_yet_known(refusal: Refusal) -> Refusal {
    let code = if is_missing(refusal.code) { Code::LeaderNotAvailable } else { refusal.code };
    Refusal { code, ..refusal }
}

fn named(refusal: Refusal, topic: &str) -> Refusal {
    Refusal { text: format!("topic {topic}: {}", refusal.text), ..refusal }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.into_error("talking to the Kafka cluster failed")
    }
}
