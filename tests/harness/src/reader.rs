//! Reading topics back, with nothing of the product in between.
//!
//! A plain consumer that is told its partitions and offsets: no group, no committed offsets, so what was read before
//! never decides what is read now.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::wait::{pause, wait_for};

/// How many records one call returns at most; a test that needs more should read piece by piece.
const RECORDS_MAX: usize = 5_000_000;

/// One request to the broker takes at most this long; it is repeated until the deadline of the whole call.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Whose records are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// What a reader that honours transactions sees.
    ReadCommitted,
    /// Also what was aborted or is still open.
    ReadUncommitted,
}

/// One record as the broker returned it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// milliseconds since 1970, when the record has a timestamp
    pub timestamp_ms: Option<i64>,
}

/// Why a topic could not be read to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadError {
    /// An open transaction keeps committed readers from `end`; they stand at `visible`.
    OpenTransaction { partition: i32, visible: i64, end: i64 },
    /// The deadline passed; how far it got.
    Late(String),
    /// More than a call returns.
    TooMany,
    /// The client gave up, or the topic is not there.
    Failed(String),
}

/// Reads topics of one broker.
#[derive(Clone)]
pub struct Reader {
    config: ClientConfig,
    isolation: Isolation,
}

/// Offsets by partition.
type Offsets = BTreeMap<i32, i64>;

impl Reader {
    /// Sees what committed readers see.
    pub fn committed(bootstrap: &str) -> Reader {
        Reader::new(bootstrap, Isolation::ReadCommitted)
    }

    /// Sees everything that was ever written.
    pub fn uncommitted(bootstrap: &str) -> Reader {
        Reader::new(bootstrap, Isolation::ReadUncommitted)
    }

    pub fn new(bootstrap: &str, isolation: Isolation) -> Reader {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            // librdkafka wants a name before it takes partitions; nothing is ever committed under it
            .set("group.id", "unbatch-test-reader")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", "50")
            .set("reconnect.backoff.max.ms", "500");
        Reader { config, isolation }
    }

    /// One more client property, such as the security settings of a listener.
    pub fn with(mut self, key: &str, value: &str) -> Reader {
        self.config.set(key, value);
        self
    }

    /// Everything in `topic` from offset 0 to its end as of now, in order of partition and offset.
    ///
    /// The end is the one of uncommitted readers. A committed reader waits until open transactions below it have
    /// ended, so nothing that is committed can be missed.
    ///
    /// # Errors
    ///
    /// [`ReadError::OpenTransaction`] when it waited for one in vain, otherwise [`ReadError::Late`] and the like.
    pub fn read(&self, topic: &str, deadline: Duration) -> Result<Vec<Record>, ReadError> {
        let until = Instant::now() + deadline;
        let uncommitted = Reader { isolation: Isolation::ReadUncommitted, ..self.clone() };
        let end = ends(&uncommitted.consumer()?, topic, until)?;
        let consumer = self.consumer()?;
        if self.isolation == Isolation::ReadCommitted {
            await_visible(&consumer, topic, &end, until)?;
        }
        read_to(&consumer, topic, &end, until)
    }

    /// What this reader would be shown at once: a committed one stops before the first open transaction of a
    /// partition.
    ///
    /// # Errors
    ///
    /// As for [`Reader::read`], but never [`ReadError::OpenTransaction`].
    pub fn read_visible(&self, topic: &str, deadline: Duration) -> Result<Vec<Record>, ReadError> {
        let until = Instant::now() + deadline;
        let consumer = self.consumer()?;
        let end = ends(&consumer, topic, until)?;
        read_to(&consumer, topic, &end, until)
    }

    /// Reads again and again until at least `count` records are visible, and returns them all.
    ///
    /// # Panics
    ///
    /// When there are fewer after `deadline`, with the number there were.
    #[track_caller]
    pub fn wait_for_records(&self, topic: &str, count: usize, deadline: Duration) -> Vec<Record> {
        let start = Instant::now();
        wait_for(deadline + Duration::from_secs(1), "records", || {
            let left = deadline.saturating_sub(start.elapsed());
            let found = self.read_visible(topic, left.max(Duration::from_millis(100)));
            match found {
                Ok(records) if records.len() >= count => Some(records),
                found => {
                    let found = found.map(|records| records.len());
                    assert!(start.elapsed() < deadline, "waited for {count} records of {topic}, found {found:?}");
                    None
                }
            }
        })
    }

    /// One past the last offset of each partition that this reader may see: for a committed one the last stable
    /// offset.
    ///
    /// # Errors
    ///
    /// When the topic is not there or the broker does not answer before the deadline.
    pub fn end_offsets(&self, topic: &str, deadline: Duration) -> Result<Offsets, ReadError> {
        ends(&self.consumer()?, topic, Instant::now() + deadline)
    }

    fn consumer(&self) -> Result<BaseConsumer, ReadError> {
        let isolation = match self.isolation {
            Isolation::ReadCommitted => "read_committed",
            Isolation::ReadUncommitted => "read_uncommitted",
        };
        let mut config = self.config.clone();
        config.set("isolation.level", isolation).create().map_err(|e| ReadError::Failed(format!("no consumer: {e}")))
    }
}

/// One past the last offset of each partition that the consumer may see.
fn ends(consumer: &BaseConsumer, topic: &str, until: Instant) -> Result<Offsets, ReadError> {
    let metadata = retried(until, || {
        let metadata = consumer.fetch_metadata(Some(topic), request_timeout(until))?;
        match metadata.topics().iter().find(|t| t.name() == topic) {
            Some(found) if found.error().is_none() => Ok(found.partitions().iter().map(|p| p.id()).collect()),
            // asked again until the deadline: a topic that was just made is not known at once
            _ => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)),
        }
    });
    let partitions: Vec<i32> = metadata?;
    let mut ends = Offsets::new();
    for partition in partitions {
        let (_, end) = retried(until, || consumer.fetch_watermarks(topic, partition, request_timeout(until)))?;
        ends.insert(partition, end);
    }
    Ok(ends)
}

/// Waits until a committed reader may go up to `end` in each partition.
fn await_visible(consumer: &BaseConsumer, topic: &str, end: &Offsets, until: Instant) -> Result<(), ReadError> {
    for (&partition, &end) in end {
        loop {
            let (_, visible) = retried(until, || consumer.fetch_watermarks(topic, partition, request_timeout(until)))?;
            if visible >= end {
                break;
            }
            if Instant::now() >= until {
                return Err(ReadError::OpenTransaction { partition, visible, end });
            }
            // the consumer has nothing to read, so this is only a pause
            let _ = consumer.poll(Duration::from_millis(20));
        }
    }
    Ok(())
}

fn read_to(consumer: &BaseConsumer, topic: &str, end: &Offsets, until: Instant) -> Result<Vec<Record>, ReadError> {
    let mut open: Offsets = end.clone();
    open.retain(|_, end| *end > 0);
    let mut records = Vec::new();
    if open.is_empty() {
        return Ok(records);
    }
    let mut assignment = TopicPartitionList::new();
    for &partition in open.keys() {
        assignment
            // a number is fetched from at once; for `Beginning` the client asks first, and waits half a second before that
            .add_partition_offset(topic, partition, Offset::Offset(0))
            .map_err(|e| ReadError::Failed(e.to_string()))?;
    }
    consumer.assign(&assignment).map_err(|e| ReadError::Failed(format!("cannot take partitions: {e}")))?;
    while !open.is_empty() {
        if Instant::now() >= until {
            let got = records.len();
            return Err(ReadError::Late(format!("{got} records so far, not at the end of {open:?}")));
        }
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            // At or past `end`: a committed consumer says this at its last stable offset, and that had reached
            // `end` before the consumer was made.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(e)) if rides_out(&e) => {}
            Some(Err(e)) => return Err(ReadError::Failed(e.to_string())),
            Some(Ok(message)) => take(&message, end, &mut open, &mut records)?,
        }
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    Ok(records)
}

/// Keeps a record below the end and closes its partition when it was the last one.
fn take(
    message: &BorrowedMessage<'_>,
    end: &Offsets,
    open: &mut Offsets,
    records: &mut Vec<Record>,
) -> Result<(), ReadError> {
    let (partition, offset) = (message.partition(), message.offset());
    let end = end.get(&partition).copied().unwrap_or(0);
    if offset < end {
        if records.len() == RECORDS_MAX {
            return Err(ReadError::TooMany);
        }
        records.push(Record::from(message));
    }
    if offset + 1 >= end {
        open.remove(&partition);
    }
    Ok(())
}

/// Repeats a request until it is answered or the deadline has passed.
fn retried<T>(until: Instant, mut ask: impl FnMut() -> Result<T, KafkaError>) -> Result<T, ReadError> {
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(e) if Instant::now() >= until => {
                return Err(ReadError::Failed(format!("no answer: {e}")));
            }
            // brokers are killed under this reader
            Err(_) => pause(),
        }
    }
}

fn request_timeout(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(100), REQUEST_TIMEOUT)
}

/// Whether the client goes on by itself after this error, as it does when a broker is away for a while.
fn rides_out(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
        )
    )
}

impl From<&BorrowedMessage<'_>> for Record {
    fn from(message: &BorrowedMessage<'_>) -> Record {
        Record {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: message
                .headers()
                .into_iter()
                .flat_map(|headers| headers.iter())
                .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
            timestamp_ms: message.timestamp().to_millis(),
        }
    }
}

impl Record {
    /// The key as text; empty when there is none.
    ///
    /// # Panics
    ///
    /// When it is not UTF-8.
    #[track_caller]
    pub fn key_text(&self) -> &str {
        text(self.key.as_deref())
    }

    /// The value as text; empty for a tombstone.
    ///
    /// # Panics
    ///
    /// When it is not UTF-8.
    #[track_caller]
    pub fn value_text(&self) -> &str {
        text(self.value.as_deref())
    }

    /// The value of the first header of that name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let header = self.headers.iter().find(|(key, _)| key == name)?;
        header.1.as_deref()
    }
}

#[track_caller]
fn text(bytes: Option<&[u8]>) -> &str {
    std::str::from_utf8(bytes.unwrap_or_default())
        .unwrap_or_else(|e| panic!("a record that should be text is not: {e}"))
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::OpenTransaction { partition, visible, end } => {
                write!(f, "an open transaction holds partition {partition} at offset {visible} of {end}")
            }
            ReadError::Late(how_far) => write!(f, "not read within the deadline: {how_far}"),
            ReadError::TooMany => write!(f, "more than {RECORDS_MAX} records"),
            ReadError::Failed(why) => write!(f, "cannot read: {why}"),
        }
    }
}

impl std::error::Error for ReadError {}
