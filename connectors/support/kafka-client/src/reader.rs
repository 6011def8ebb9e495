//! Reading topics with a known end, in no group, from given positions.

use crate::admin::Admin;
use crate::cluster::{Cluster, Purpose};
use crate::context::ClientLog;
use crate::failure::{Refusal, rides_out};
use crate::ffi::EndOf;
use crate::limits;
use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use unbatch_api::{Error, Result};

/// One record, copied out of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Bytes>,
    /// `None`: a tombstone.
    pub value: Option<Bytes>,
    pub headers: Vec<(String, Option<Bytes>)>,
    /// Milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
}

impl Record {
    /// The value of the first header of that name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(key, _)| key == name)?.1.as_deref()
    }
}

/// Where to start in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Earliest,
    Latest,
    Offset(i64),
}

/// Reads some partitions on and on. Only committed records unless told otherwise.
pub struct TopicReader {
    consumer: BaseConsumer<ClientLog>,
    log: ClientLog,
    brokers: String,
}

impl TopicReader {
    /// Starts reading `partitions`. Offsets that are gone are an error of the first `next`, never skipped.
    pub fn open(cluster: &Arc<Cluster>, partitions: &[(&str, i32, Start)], committed_only: bool) -> Result<Self> {
        Self::open_with(cluster, partitions, committed_only, None)
    }

    fn open_with(
        cluster: &Arc<Cluster>,
        partitions: &[(&str, i32, Start)],
        committed_only: bool,
        fetch_wait: Option<Duration>,
    ) -> Result<Self> {
        let log = ClientLog::default();
        let mut config = cluster.config(Purpose::Reader);
        config
            // librdkafka takes partitions only with a group's name; nothing is ever committed under it.
            .set("group.id", "unbatch-reader")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("isolation.level", if committed_only { "read_committed" } else { "read_uncommitted" });
        if let Some(wait) = fetch_wait {
            config.set("fetch.wait.max.ms", wait.as_millis().to_string());
        }
        let consumer: BaseConsumer<ClientLog> = cluster.client(&config, log.clone())?;
        let mut list = TopicPartitionList::new();
        let attempted = "starting to read a topic failed";
        for (topic, partition, start) in partitions {
            let offset = match start {
                Start::Earliest => Offset::Beginning,
                Start::Latest => Offset::End,
                Start::Offset(n) => Offset::Offset(*n),
            };
            list.add_partition_offset(topic, *partition, offset)
                .map_err(|e| Refusal::from(e).into_error(attempted).with("topic", topic))?;
        }
        consumer.assign(&list).map_err(|e| Refusal::from(e).into_error(attempted))?;
        Ok(Self { consumer, log, brokers: cluster.brokers().to_owned() })
    }

    /// The next record, or `None` when none came within `wait`.
    pub fn next(&mut self, wait: Duration) -> Result<Option<Record>> {
        let deadline = Instant::now() + wait;
        loop {
            match self.step(deadline.saturating_duration_since(Instant::now()))? {
                Step::Record(record) => return Ok(Some(record)),
                Step::End(_) | Step::Nothing if Instant::now() >= deadline => return Ok(None),
                Step::End(_) | Step::Nothing => {}
            }
        }
    }

    fn step(&self, wait: Duration) -> Result<Step> {
        match self.consumer.poll(wait) {
            None => match self.log.refused_login() {
                Some(refused) => Err(self.failed(refused)),
                None => Ok(Step::Nothing),
            },
            Some(Ok(message)) => Ok(Step::Record(Record::from(&message))),
            Some(Err(KafkaError::PartitionEOF(partition))) => Ok(Step::End(partition)),
            // The group is only a name here, so a missing right to it does not matter.
            Some(Err(e)) if rides_out(&e) || e.rdkafka_error_code() == Some(Code::GroupAuthorizationFailed) => {
                Ok(Step::Nothing)
            }
            Some(Err(e)) => Err(self.failed(Refusal::from(e))),
        }
    }

    fn failed(&self, refusal: Refusal) -> Error {
        let attempted = "reading a topic failed";
        let error = match refusal.code {
            Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation => {
                Error::lost(attempted).code("U0260").caused_by(refusal)
            }
            _ => refusal.into_error(attempted),
        };
        error.with("brokers", &self.brokers)
    }
}

enum Step {
    Record(Record),
    End(#[expect(dead_code, reason = "one partition at a time so far")] i32),
    Nothing,
}

/// One partition as it is read.
trait Steps {
    fn step(&mut self, wait: Duration) -> Result<Step>;
    /// One past what was read, markers of transactions included; `None`: nothing yet.
    fn position(&self) -> Option<i64>;
}

impl Steps for TopicReader {
    fn step(&mut self, wait: Duration) -> Result<Step> {
        TopicReader::step(self, wait)
    }
    fn position(&self) -> Option<i64> {
        match self.consumer.position().ok()?.elements().first()?.offset() {
            Offset::Offset(position) => Some(position),
            _ => None,
        }
    }
}

/// How far reading came.
#[derive(Debug, PartialEq, Eq)]
enum Reached {
    /// All below the end, or as much as was wanted.
    All,
    /// The broker had nothing more from this offset on.
    EndAt(i64),
}

fn read_up_to(
    reader: &mut impl Steps,
    (start, end): (i64, i64),
    deadline: Instant,
    mut each: impl FnMut(Record) -> ControlFlow<()>,
) -> Result<Reached> {
    loop {
        match reader.step(Duration::from_millis(100))? {
            Step::End(_) => {
                let position = reader.position().unwrap_or(start).max(start);
                return Ok(if position >= end { Reached::All } else { Reached::EndAt(position) });
            }
            Step::Nothing if Instant::now() >= deadline => return Err(too_long()),
            Step::Nothing => {}
            Step::Record(record) => {
                let offset = record.offset;
                if offset >= end || each(record).is_break() || offset + 1 >= end {
                    return Ok(Reached::All);
                }
            }
        }
    }
}

fn too_long() -> Error {
    Error::transient("reading a topic to its end took too long").code("U0262")
}

impl Admin {
    /// Hands each committed record of a partition from offset `from` to `each`, up to the end as uncommitted readers see it
    /// now; returns that end. A transaction that is open below the end is waited for, so that nothing committed can be
    /// missed; Transient after `limit`.
    pub fn read_settled(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        limit: Duration,
        each: impl FnMut(Record) -> ControlFlow<()>,
    ) -> Result<i64> {
        let deadline = Instant::now() + limit;
        let end = self.settle_by(topic, partition, deadline)?;
        self.read_range(topic, partition, from, end, deadline, each)?;
        Ok(end)
    }

    /// Waits until no transaction is open below the end as uncommitted readers see it now; returns that end. Transient after
    /// `limit`.
    pub fn wait_settled(&self, topic: &str, partition: i32, limit: Duration) -> Result<i64> {
        self.settle_by(topic, partition, Instant::now() + limit)
    }

    fn settle_by(&self, topic: &str, partition: i32, deadline: Instant) -> Result<i64> {
        let end = self.offset(topic, partition, EndOf::Uncommitted)?;
        loop {
            let visible = self.offset(topic, partition, EndOf::Committed)?;
            if visible >= end {
                return Ok(end);
            }
            if Instant::now() >= deadline {
                return Err(Error::transient("waiting for an open transaction failed")
                    .code("U0261")
                    .with("topic", topic)
                    .with("partition", partition)
                    .help(
                        "another producer left a transaction open; the broker ends it after that producer's time-out",
                    ));
            }
            std::thread::sleep(limits::PAUSE);
        }
    }

    /// As [`Admin::read_settled`], up to the end as committed readers see it now, waiting for nobody.
    pub fn read_visible(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        limit: Duration,
        each: impl FnMut(Record) -> ControlFlow<()>,
    ) -> Result<i64> {
        let deadline = Instant::now() + limit;
        let end = self.offset(topic, partition, EndOf::Committed)?;
        self.read_range(topic, partition, from, end, deadline, each)?;
        Ok(end)
    }

    /// Everything below `end` is visible already. All the same a new leader may report an end before it for a moment, until it
    /// has learnt how far its followers are: such an end is not believed before the leader knows of `end` again. Told once
    /// more then, it means that there is nothing left up to `end`, such as after a compaction.
    fn read_range(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        end: i64,
        deadline: Instant,
        mut each: impl FnMut(Record) -> ControlFlow<()>,
    ) -> Result<()> {
        let start = self.offset(topic, partition, EndOf::Start)?.max(from);
        if start >= end {
            return Ok(());
        }
        let (mut start, mut doubted) = (start, None);
        loop {
            // The end is told only by an empty answer, which the broker would hold back for half a second.
            let from = [(topic, partition, Start::Offset(start))];
            let mut reader = TopicReader::open_with(self.cluster(), &from, true, Some(Duration::from_millis(5)))?;
            let reached = read_up_to(&mut reader, (start, end), deadline, &mut each);
            match reached.map_err(|e| e.with("topic", topic).with("partition", partition))? {
                Reached::All => return Ok(()),
                Reached::EndAt(position) if doubted == Some(position) => return Ok(()),
                Reached::EndAt(position) => (start, doubted) = (position, Some(position)),
            }
            while self.offset(topic, partition, EndOf::Committed)? < end {
                if Instant::now() >= deadline {
                    return Err(too_long().with("topic", topic).with("partition", partition));
                }
                std::thread::sleep(limits::PAUSE);
            }
        }
    }
}

impl From<&BorrowedMessage<'_>> for Record {
    fn from(message: &BorrowedMessage<'_>) -> Record {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        Record {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(Bytes::copy_from_slice),
            value: message.payload().map(Bytes::copy_from_slice),
            headers: headers.map(|h| (h.key.to_owned(), h.value.map(Bytes::copy_from_slice))).collect(),
            timestamp_ms: message.timestamp().to_millis(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records at these offsets, with an end told after each group.
    struct Scripted(Vec<Step>, Option<i64>);

    impl Steps for Scripted {
        fn step(&mut self, _: Duration) -> Result<Step> {
            let step = if self.0.is_empty() { Step::Nothing } else { self.0.remove(0) };
            if let Step::Record(record) = &step {
                self.1 = Some(record.offset + 1);
            }
            Ok(step)
        }
        fn position(&self) -> Option<i64> {
            self.1
        }
    }

    fn at(offset: i64) -> Step {
        let (topic, headers) = ("t".to_owned(), vec![]);
        Step::Record(Record { topic, partition: 0, offset, key: None, value: None, headers, timestamp_ms: None })
    }

    fn read(steps: Vec<Step>, range: (i64, i64)) -> (Result<Reached>, Vec<i64>) {
        let mut seen = Vec::new();
        let deadline = Instant::now() + Duration::from_millis(1);
        let reached = read_up_to(&mut Scripted(steps, None), range, deadline, |record| {
            seen.push(record.offset);
            ControlFlow::Continue(())
        });
        (reached, seen)
    }

    /// A leader that was just elected does not know yet how far its followers are, and tells an end before the one that the
    /// leader before it told: taken for the end, an older state was read for the newest.
    #[test]
    fn an_end_before_the_one_that_was_asked_for_is_not_the_end() {
        let (reached, seen) = read(vec![at(0), Step::End(0)], (0, 3));
        assert_eq!((reached.unwrap(), seen), (Reached::EndAt(1), vec![0]));
        let (reached, seen) = read(vec![Step::End(0)], (5, 6));
        assert_eq!((reached.unwrap(), seen), (Reached::EndAt(5), vec![]));
        let (reached, seen) = read(vec![at(0), at(2), Step::End(0)], (0, 3));
        assert_eq!((reached.unwrap(), seen), (Reached::All, vec![0, 2]));
        let error = read(vec![at(0)], (0, 3)).0.unwrap_err();
        assert_eq!((error.kind(), error.code_text()), (unbatch_api::Kind::Transient, Some("U0262")));
    }
}
