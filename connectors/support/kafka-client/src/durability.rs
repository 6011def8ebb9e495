//! What makes a topic forget what was committed, and the command that mends it.

use crate::admin::Admin;
use std::collections::BTreeMap;
use unbatch_api::{Error, Result};

/// With fewer brokers there is nothing to choose.
pub const BROKERS_MIN: usize = 3;

/// Where Kafka keeps the outcome of transactions.
pub const TRANSACTION_TOPIC: &str = "__transaction_state";

/// What is wrong with a topic's configuration, as the settings that mend it; `None` when nothing is.
pub fn unsafe_settings(config: &BTreeMap<String, String>) -> Option<String> {
    let is = |key: &str, value: &str| config.get(key).is_some_and(|v| v == value);
    let mut mend = Vec::new();
    if is("unclean.leader.election.enable", "true") {
        mend.push("unclean.leader.election.enable=false");
    }
    if is("min.insync.replicas", "1") {
        mend.push("min.insync.replicas=2");
    }
    (!mend.is_empty()).then(|| mend.join(","))
}

/// Refuses existing topics of a cluster of three or more brokers on which the loss of one can lose committed rows, unless the
/// settings allow them by name.
pub fn check(admin: &Admin, brokers: usize, topics: &[&str]) -> Result<()> {
    let allowed = &admin.cluster().settings().allow_unsafe_topics;
    if brokers < BROKERS_MIN {
        return Ok(());
    }
    for (topic, config) in admin.present_topic_configs(topics)? {
        if allowed.contains(&topic) {
            continue;
        }
        if let Some(mend) = unsafe_settings(&config) {
            return Err(Error::misconfigured("checking that a topic keeps what is committed failed")
                .code("U0263")
                .with("topic", &topic)
                .with("wanted", &mend)
                .help(format!(
                    "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {topic} --add-config \
                     {mend}, or allow it by name in `kafka.allow_unsafe_topics`",
                    admin.cluster().brokers()
                )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mending_names_what_is_wrong_and_only_that() {
        let config = |unclean: &str, isr: &str| {
            BTreeMap::from([
                ("unclean.leader.election.enable".to_owned(), unclean.to_owned()),
                ("min.insync.replicas".to_owned(), isr.to_owned()),
            ])
        };
        assert_eq!(unsafe_settings(&config("false", "2")), None);
        assert_eq!(unsafe_settings(&config("false", "1")).as_deref(), Some("min.insync.replicas=2"));
        assert_eq!(
            unsafe_settings(&config("true", "1")).as_deref(),
            Some("unclean.leader.election.enable=false,min.insync.replicas=2")
        );
    }
}
