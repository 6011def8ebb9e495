//! The topics that rows go to: made when they are missing, checked when they are there.

use crate::config::{PARTITIONS_DEFAULT, TopicConfig};
use crate::state::TopicIdentity;
use std::collections::BTreeMap;
use unbatch_api::{Error, Result, failpoint};
use unbatch_kafka_client::durability::{self, BROKERS_MIN};
use unbatch_kafka_client::{Admin, NewTopic, TopicFacts};

/// What Kafka takes in one record when nobody set it (`message.max.bytes` of a broker).
pub(crate) const RECORD_BYTES_DEFAULT: usize = 1_048_588;

/// A topic that is ready to be written to.
#[derive(Debug)]
pub(crate) struct Destination {
    /// Place in the epoch's book of delivered offsets.
    pub index: usize,
    pub name: String,
    pub id: String,
    /// Counted when the split was opened; a partition added later gets no rows (rule K6).
    pub partitions: u32,
    /// `max.message.bytes` of the topic (rule K8).
    pub record_bytes_max: usize,
}

impl Destination {
    pub fn identity(&self) -> TopicIdentity {
        TopicIdentity { id: self.id.clone(), partitions: self.partitions }
    }

    /// Makes the topic when it is missing, checks it when it is there. `stored` is what the state knows of it. Blocks.
    pub fn prepare(
        admin: &Admin,
        config: &TopicConfig,
        name: &str,
        stored: Option<&TopicIdentity>,
        index: usize,
    ) -> Result<Self> {
        let brokers = admin.brokers()?.ids.len();
        let facts = match admin.topic(name)? {
            Some(facts) => facts,
            None => {
                admin.create(&new_topic(config, name, brokers))?;
                let found = admin.present_topics(&[name])?.remove(name);
                found.ok_or_else(|| Error::bug("finding a new topic failed").code("U0289").with("topic", name))?
            }
        };
        check_partitions(config, name, &facts, stored)?;
        durability::check(admin, brokers, &[name])?;
        let record_bytes_max = record_bytes_max(admin, name)?;
        Ok(Self { index, name: name.to_owned(), id: facts.id, partitions: facts.partitions, record_bytes_max })
    }
}

/// How such a topic is made.
pub(crate) fn new_topic(config: &TopicConfig, name: &str, brokers: usize) -> NewTopic {
    let mut settings: BTreeMap<String, String> =
        config.config.iter().map(|(k, v)| (k.clone(), v.to_string())).collect();
    if brokers >= BROKERS_MIN {
        settings.entry("min.insync.replicas".into()).or_insert_with(|| "2".into());
    }
    NewTopic {
        name: name.to_owned(),
        partitions: config.partitions.unwrap_or(PARTITIONS_DEFAULT),
        replication: config.replication.unwrap_or(brokers.clamp(1, 3) as u32),
        config: settings,
    }
}

/// The largest record that an existing topic takes.
pub(crate) fn record_bytes_max(admin: &Admin, name: &str) -> Result<usize> {
    let configs = admin.present_topic_configs(&[name])?;
    let limit = configs.get(name).and_then(|config| config.get("max.message.bytes")?.parse().ok());
    Ok(limit.unwrap_or(RECORD_BYTES_DEFAULT))
}

/// Rule K6: with another number of partitions a key's rows would go to another partition, out of order with those before.
/// `partitions` in the configuration, when it names the new number, is the confirmation.
pub(crate) fn check_partitions(
    config: &TopicConfig,
    name: &str,
    facts: &TopicFacts,
    stored: Option<&TopicIdentity>,
) -> Result<()> {
    let differs = |wanted: u32| {
        Error::misconfigured("checking the partitions of a topic failed")
            .with("topic", name)
            .with("wanted", wanted)
            .with("has", facts.partitions)
    };
    if let Some(wanted) = config.partitions {
        if wanted != facts.partitions {
            return Err(differs(wanted).code("U0279").help(format!(
                "set `partitions: {}`, or add partitions with kafka-topics.sh --alter --topic {name} --partitions {wanted}; \
                 either way rows of a key may go to another partition than before",
                facts.partitions
            )));
        }
        return Ok(());
    }
    match stored {
        Some(stored) if stored.partitions != facts.partitions && !failpoint::sabotaged("K6") => {
            Err(differs(stored.partitions).code("U0280").help(format!(
                "somebody changed the number of partitions; rows of a key may now go to another partition than before. \
                 Readers that need the order of a key should read to the end first; then set `partitions: {}` to confirm",
                facts.partitions
            )))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k6_a_changed_partition_count_stops_until_it_is_confirmed() {
        let config = |json: &str| serde_json::from_str::<TopicConfig>(json).unwrap();
        let facts = TopicFacts { id: "A".into(), partitions: 8, replicas: 1, led: true };
        let stored = TopicIdentity { id: "A".into(), partitions: 6 };
        let check = |json: &str, stored| check_partitions(&config(json), "t", &facts, stored);
        let unset = check(r#"{"name": "t"}"#, Some(&stored)).unwrap_err();
        assert_eq!(unset.kind(), unbatch_api::Kind::Misconfigured);
        assert!(unset.to_string().contains("wanted 6, has 8"), "{unset}");
        assert!(unset.remedy().unwrap().contains("partitions: 8"));
        assert!(check(r#"{"name": "t", "partitions": 6}"#, Some(&stored)).is_err());
        assert!(check(r#"{"name": "t", "partitions": 8}"#, Some(&stored)).is_ok());
        assert!(check(r#"{"name": "t"}"#, None).is_ok());
    }

    #[test]
    fn a_new_topic_has_copies_and_two_in_sync_where_there_are_brokers() {
        let config: TopicConfig =
            serde_json::from_str(r#"{"name": "t", "partitions": 4, "config": {"retention.ms": 86400000}}"#).unwrap();
        let large = new_topic(&config, "t", 5);
        assert_eq!((large.partitions, large.replication), (4, 3));
        assert_eq!(large.config["retention.ms"], "86400000");
        assert_eq!(large.config["min.insync.replicas"], "2");
        let small = new_topic(&config, "t", 1);
        assert_eq!((small.replication, small.config.len()), (1, 1));
    }
}
