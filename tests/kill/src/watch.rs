//! Looks at how far committed readers may read, often and cheaply: one client for a whole round.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::Outcome;

/// One request takes at most this long; a topic that is not there yet, or a broker that is away, shows nothing.
const REQUEST: Duration = Duration::from_millis(40);

/// The ends of a topic's partitions.
pub(crate) struct Watch {
    committed: BaseConsumer,
    uncommitted: BaseConsumer,
    topic: String,
    partitions: i32,
}

impl Watch {
    pub(crate) fn new(bootstrap: &str, topic: &str, partitions: i32) -> Outcome<Watch> {
        let client = |isolation: &str| -> Outcome<BaseConsumer> {
            ClientConfig::new()
                .set("bootstrap.servers", bootstrap)
                .set("group.id", "unbatch-kill-watch")
                .set("isolation.level", isolation)
                .set("reconnect.backoff.ms", "20")
                .set("reconnect.backoff.max.ms", "100")
                .set("topic.metadata.refresh.fast.interval.ms", "20")
                .create()
                .map_err(|e| format!("making a client to watch the topic: {e}"))
        };
        let (committed, uncommitted) = (client("read_committed")?, client("read_uncommitted")?);
        Ok(Watch { committed, uncommitted, topic: topic.to_owned(), partitions })
    }

    /// Records and transaction ends that committed readers may see, all partitions together.
    pub(crate) fn visible(&self) -> i64 {
        self.ends(&self.committed).unwrap_or(0)
    }

    /// Whether no transaction is open; `None` when that cannot be told now.
    pub(crate) fn is_settled(&self) -> Option<bool> {
        Some(self.ends(&self.committed)? == self.ends(&self.uncommitted)?)
    }

    fn ends(&self, consumer: &BaseConsumer) -> Option<i64> {
        let end = |partition| consumer.fetch_watermarks(&self.topic, partition, REQUEST).ok().map(|(_, end)| end);
        (0..self.partitions).map(end).sum()
    }
}
