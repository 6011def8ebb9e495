//! Reads all partitions of a topic side by side, in no group: up to the end as it was at the start, or on and on.

use chrono::{DateTime, NaiveDate, NaiveTime};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use unbatch_api::{Error, Result};
use unbatch_kafka_client::{Admin, ClientLog, Cluster, EndOf, Purpose, Record, Refusal, TopicFacts, rides_out};

/// Finding offsets by time takes at most this long.
const TIME_LOOKUP_MAX: Duration = Duration::from_secs(10);
/// How long the broker may hold back an empty answer; a person is waiting for the next record.
const FETCH_WAIT_MS: &str = "50";

/// Where to begin, in each partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Start,
    End,
    Offset(i64),
    /// Milliseconds since 1970: the first record that is not older.
    Time(i64),
}

/// How far a topic was read, for whoever goes on at another connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reached {
    /// Another one after the topic was made anew.
    topic_id: String,
    /// The next offset of each partition.
    next: BTreeMap<i32, i64>,
}

impl Reached {
    /// The next offset of each partition.
    pub(crate) fn next(&self) -> &BTreeMap<i32, i64> {
        &self.next
    }
}

/// A topic under way.
pub(crate) struct Scan {
    consumer: BaseConsumer<ClientLog>,
    log: ClientLog,
    reached: Reached,
    /// Partitions whose end was not reached yet, with that end.
    open: BTreeMap<i32, i64>,
}

impl From {
    /// `start`, `end`, a number, or a time.
    pub(crate) fn parse(text: &str) -> Result<From> {
        let midnight = |date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
        match text {
            "start" => return Ok(From::Start),
            "end" => return Ok(From::End),
            _ => {}
        }
        if let Ok(offset) = text.parse::<i64>()
            && offset >= 0
        {
            return Ok(From::Offset(offset));
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(From::Time(time.timestamp_millis()));
        }
        if let Ok(date) = text.parse::<NaiveDate>() {
            return Ok(From::Time(midnight(date)));
        }
        Err(Error::misconfigured("reading --from failed").code("U0750").with("from", text).help(
            "write start, end, an offset, a date like 2026-11-23 (UTC), or a time like 2026-11-23T04:00:00+01:00",
        ))
    }
}

impl Scan {
    /// Starts reading; what is there now is the end that [`Scan::is_done`] means.
    pub(crate) fn open(admin: &Admin, topic: &str, from: From, committed_only: bool) -> Result<Scan> {
        let Some(facts) = admin.topic(topic)? else {
            return Err(no_such_topic(admin, topic));
        };
        Self::open_at(admin, topic, &facts, from, &Reached::default(), committed_only)
    }

    /// Goes on behind `reached`. What it does not know, such as all of a topic that was made anew, is read from the start.
    pub(crate) fn resume(
        admin: &Admin,
        topic: &str,
        facts: &TopicFacts,
        reached: &Reached,
        committed_only: bool,
    ) -> Result<Scan> {
        let known = if reached.topic_id == facts.id { reached.clone() } else { Reached::default() };
        Self::open_at(admin, topic, facts, From::Start, &known, committed_only)
    }

    fn open_at(
        admin: &Admin,
        topic: &str,
        facts: &TopicFacts,
        from: From,
        known: &Reached,
        committed_only: bool,
    ) -> Result<Scan> {
        let partitions: Vec<(String, i32)> = (0..facts.partitions as i32).map(|p| (topic.to_owned(), p)).collect();
        let end = if committed_only { EndOf::Committed } else { EndOf::Uncommitted };
        let firsts = admin.offsets(&partitions, EndOf::Start)?;
        let ends = admin.offsets(&partitions, end)?;
        let (consumer, log) = consumer(admin.cluster(), committed_only)?;
        let by_time = match from {
            From::Time(ms) => offsets_at(&consumer, &partitions, ms)?,
            _ => BTreeMap::new(),
        };
        let mut list = TopicPartitionList::new();
        let mut open = BTreeMap::new();
        let mut reached = Reached { topic_id: facts.id.clone(), next: BTreeMap::new() };
        for partition in &partitions {
            let first = firsts.get(partition).copied().unwrap_or(0);
            let end = ends.get(partition).copied().unwrap_or(first);
            let start = match from {
                _ if known.next.contains_key(&partition.1) => known.next[&partition.1].clamp(first, end.max(first)),
                From::Start => first,
                From::End => end,
                From::Offset(offset) => offset.clamp(first, end.max(first)),
                From::Time(_) => by_time.get(&partition.1).copied().unwrap_or(end),
            };
            list.add_partition_offset(topic, partition.1, Offset::Offset(start)).map_err(failed)?;
            reached.next.insert(partition.1, start);
            if start < end {
                open.insert(partition.1, end);
            }
        }
        consumer.assign(&list).map_err(failed)?;
        Ok(Scan { consumer, log, reached, open })
    }

    pub(crate) fn reached(&self) -> &Reached {
        &self.reached
    }

    /// Everything that was there at the start has been read.
    pub(crate) fn is_done(&self) -> bool {
        self.open.is_empty()
    }

    /// The next record, or `None` when none came within `wait` or the end was reached meanwhile.
    pub(crate) fn next(&mut self, wait: Duration) -> Result<Option<Record>> {
        let deadline = Instant::now() + wait;
        loop {
            match self.consumer.poll(deadline.saturating_duration_since(Instant::now())) {
                Some(Ok(message)) => {
                    let record = Record::from(&message);
                    self.reached.next.insert(record.partition, record.offset + 1);
                    if self.open.get(&record.partition).is_some_and(|end| record.offset + 1 >= *end) {
                        self.open.remove(&record.partition);
                    }
                    return Ok(Some(record));
                }
                // at or past the end of the start: what is visible only grows
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if self.open.remove(&partition).is_some() && self.open.is_empty() {
                        return Ok(None);
                    }
                }
                Some(Err(error)) if !rides_out(&error) => return Err(failed(error)),
                Some(Err(_)) => {}
                None => {
                    if let Some(refused) = self.log.refused_login() {
                        return Err(refused.into_error(ATTEMPTED));
                    }
                }
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
        }
    }
}

const ATTEMPTED: &str = "reading the topic failed";

fn consumer(cluster: &Arc<Cluster>, committed_only: bool) -> Result<(BaseConsumer<ClientLog>, ClientLog)> {
    let log = ClientLog::default();
    let mut config = cluster.config(Purpose::Reader);
    config
        // librdkafka takes partitions only with a group's name; nothing is ever committed under it
        .set("group.id", "unbatch-reader")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("fetch.wait.max.ms", FETCH_WAIT_MS)
        .set("isolation.level", if committed_only { "read_committed" } else { "read_uncommitted" });
    Ok((cluster.client(&config, log.clone())?, log))
}

fn offsets_at(
    consumer: &BaseConsumer<ClientLog>,
    partitions: &[(String, i32)],
    ms_since_1970: i64,
) -> Result<BTreeMap<i32, i64>> {
    let mut times = TopicPartitionList::new();
    for (topic, partition) in partitions {
        times.add_partition_offset(topic, *partition, Offset::Offset(ms_since_1970)).map_err(failed)?;
    }
    let found = consumer.offsets_for_times(times, TIME_LOOKUP_MAX).map_err(failed)?;
    // a partition without a record that young has no offset here and is read from its end
    Ok(found
        .elements()
        .iter()
        .filter_map(|e| Some((e.partition(), e.offset().to_raw().filter(|o| *o >= 0)?)))
        .collect())
}

fn no_such_topic(admin: &Admin, topic: &str) -> Error {
    let names = admin.topic_names().unwrap_or_default();
    let known: Vec<&str> = names.iter().map(String::as_str).filter(|n| !n.starts_with("__")).take(20).collect();
    Error::misconfigured("reading the topic failed, there is no such topic")
        .code("U0751")
        .with("topic", topic)
        .with("brokers", admin.cluster().brokers())
        .with("there are", known.join(", "))
        .help("`unbatch topics list --all` shows every topic that this user may see")
}

fn failed(error: KafkaError) -> Error {
    Refusal::from(error).into_error(ATTEMPTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_word_an_offset_or_a_time() {
        let cases = [
            ("start", From::Start),
            ("end", From::End),
            ("0", From::Offset(0)),
            ("9000000000", From::Offset(9_000_000_000)),
            ("1970-01-02", From::Time(86_400_000)),
            ("1970-01-01T00:00:01.5Z", From::Time(1500)),
            ("1970-01-01T01:00:00+01:00", From::Time(0)),
        ];
        for (text, expected) in cases {
            assert_eq!(From::parse(text).unwrap(), expected, "{text}");
        }
        for text in ["", "-1", "yesterday", "2026-13-01"] {
            assert_eq!(From::parse(text).unwrap_err().code_text(), Some("U0750"), "{text}");
        }
    }
}
