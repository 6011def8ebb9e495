//! A producer with a split's transactional id. Every method blocks; the writer's thread is the only one that calls them.

use crate::config::Compression;
use crate::epoch::Chunk;
use crate::headers;
use crate::state::LastOffsets;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use unbatch_api::{Error, Result};
use unbatch_kafka_client::{ClientLog, Cluster, Purpose, Refusal, Row, RowProducer, flush_briefly, rides_out};

/// First pause of librdkafka before it sends a request again; it waits at least 0.8 of it (its jitter is 20 %).
pub(crate) const RETRY_BACKOFF: Duration = Duration::from_millis(250);
/// A commit that took this long may have been sent twice, and the first request may still be under way (rule K1).
pub(crate) const LATE_COMMIT: Duration = Duration::from_millis(RETRY_BACKOFF.as_millis() as u64 * 7 / 10);
/// Making the predecessor unable to commit and settling what it left.
const INIT: Duration = Duration::from_secs(60);
/// One attempt of that, after which the client's own messages are looked at.
const INIT_ATTEMPT: Duration = Duration::from_secs(2);
/// At the latest after so many looks at what is under way the client is told to hurry again.
const FLUSH_EVERY: u32 = 20;
/// So few records (a small epoch, the state) are never held up by a batch before them.
const FEW_RECORDS: i32 = 1000;
/// Pause between two looks at what is under way.
const DRAIN_PAUSE: Duration = Duration::from_micros(500);
/// Batches are sent when they are full or when the epoch ends, hardly ever by the clock.
const LINGER: Duration = Duration::from_millis(100);
/// Ending the transaction of a sink that was dropped: for what is on its way, and for the request.
const GIVE_UP: Duration = Duration::from_secs(5);
/// Looking at the end of a partition while there is nothing else to do.
const LOOK_TIME_MAX: Duration = Duration::from_secs(1);
/// What a record costs the client at least, in bytes, however small it is: measured, rows of 250 bytes with two headers take 700.
const RECORD_BYTES_LEAST: usize = 640;
/// Records handed over between two looks at the delivery reports.
const POLL_EVERY: usize = 1024;

/// How to make the producer, as often as it takes.
#[derive(Clone)]
pub(crate) struct Plan {
    pub cluster: Arc<Cluster>,
    pub transactional_id: String,
    pub transaction_timeout: Duration,
    pub batch_bytes: usize,
    pub queue_bytes: usize,
    pub compression: Compression,
}

/// An initialised producer: every earlier one with its transactional id is fenced.
pub(crate) struct Transactions {
    producer: RowProducer<Deliveries>,
    deliveries: Deliveries,
    timeout: Duration,
}

impl Plan {
    /// Makes the producer and fences its predecessors.
    pub fn connect(&self) -> Result<Transactions> {
        let timeout_ms = self.transaction_timeout.as_millis().to_string();
        let mut config = self.cluster.config(Purpose::Producer);
        config
            .set("transactional.id", &self.transactional_id)
            .set("transaction.timeout.ms", &timeout_ms)
            .set("message.timeout.ms", &timeout_ms)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("retry.backoff.ms", RETRY_BACKOFF.as_millis().to_string())
            .set("retry.backoff.max.ms", (RETRY_BACKOFF * 4).as_millis().to_string())
            // Our own limit is the topic's (rule K8); the client's must not be lower.
            .set("message.max.bytes", "1000000000")
            .set("queue.buffering.max.messages", (self.queue_bytes / RECORD_BYTES_LEAST).to_string())
            .set("queue.buffering.max.kbytes", (self.queue_bytes / 1024).max(1024).to_string())
            .set("compression.type", self.compression.as_str());
        let asked: Option<usize> = self.cluster.property("batch.size").and_then(|size| size.parse().ok());
        config.set("batch.size", asked.unwrap_or(usize::MAX).min(self.batch_bytes).to_string());
        if self.cluster.property("linger.ms").is_none() {
            config.set("linger.ms", LINGER.as_millis().to_string());
        }
        if self.cluster.property("socket.timeout.ms").is_none() {
            // librdkafka wants at most transaction.timeout.ms + 100.
            config.set(
                "socket.timeout.ms",
                self.transaction_timeout.min(Duration::from_secs(30)).as_millis().to_string(),
            );
        }
        let deliveries = Deliveries::default();
        let producer: BaseProducer<Deliveries> = self.cluster.client(&config, deliveries.clone())?;
        let transactions = Transactions { producer: producer.into(), deliveries, timeout: self.transaction_timeout };
        transactions.init(self)?;
        Ok(transactions)
    }
}

impl Transactions {
    fn init(&self, plan: &Plan) -> Result<()> {
        let deadline = Instant::now() + INIT;
        loop {
            let refusal = match self.producer.init_transactions(INIT_ATTEMPT) {
                Ok(()) => return Ok(()),
                Err(e) => Refusal::from(e),
            };
            self.serve();
            let failed = |refusal: Refusal| {
                refusal
                    .into_error("initialising the transactional producer failed")
                    .with("transactional id", &plan.transactional_id)
                    .with("brokers", plan.cluster.brokers())
            };
            if let Some(refused) = self.deliveries.log().refused_login() {
                return Err(failed(refused));
            }
            if !refusal.is_retriable() || Instant::now() >= deadline {
                return Err(failed(self.deliveries.log().telling(refusal)));
            }
        }
    }

    pub fn begin(&self) -> Result<(), Refusal> {
        self.deliveries.book().clear();
        Ok(self.producer.begin_transaction()?)
    }

    /// Hands the records of a chunk to the client, and calls `midway` once half of them are through.
    pub fn produce(&self, chunk: &Chunk, midway: impl Fn() -> Result<()>) -> Result<(), WriteError> {
        for index in 0..chunk.spans.len() {
            self.produce_record(chunk, index)?;
            if index % POLL_EVERY == 0 {
                self.producer.poll(Duration::ZERO);
            }
            if index == chunk.spans.len() / 2 {
                midway()?;
            }
        }
        Ok(())
    }

    fn produce_record(&self, chunk: &Chunk, index: usize) -> Result<(), Refusal> {
        let (span, pieces, destination) = (&chunk.spans[index], chunk.pieces(index), &chunk.destination);
        let row = Row {
            topic: &destination.name,
            topic_index: destination.index,
            partition: span.partition,
            key: span.has_key.then_some(pieces.key),
            value: (!span.tombstone).then_some(pieces.value),
            headers: [(headers::EPOCH, chunk.epoch.as_bytes()), (chunk.headers.row_header(), pieces.row_header)],
            opaque: destination.index + 1,
        };
        self.hand_over(|| self.producer.send_row(&row).map_err(KafkaError::MessageProduction))
    }

    /// Hands over one record that is not a row: state, note, schema, quarantine entry.
    pub fn produce_one(&self, topic: &str, partition: i32, key: &str, value: Option<&[u8]>) -> Result<(), Refusal> {
        self.hand_over(|| {
            let mut record: BaseRecord<'_, str, [u8], usize> =
                BaseRecord::with_opaque_to(topic, 0).partition(partition).key(key);
            if let Some(value) = value {
                record = record.payload(value);
            }
            self.producer.send(record).map_err(|(error, _)| error)
        })
    }

    /// Tries until the client takes it, which has bounds for what it holds.
    fn hand_over(&self, attempt: impl Fn() -> Result<(), KafkaError>) -> Result<(), Refusal> {
        let mut deadline = None;
        loop {
            match attempt() {
                Ok(()) => return Ok(()),
                Err(KafkaError::MessageProduction(Code::QueueFull))
                    if Instant::now() < *deadline.get_or_insert_with(|| Instant::now() + self.timeout) =>
                {
                    flush_briefly(&self.producer, Duration::from_millis(2));
                    self.serve_deliveries();
                }
                Err(e) => return Err(self.fatal().unwrap_or_else(|| Refusal::from(e))),
            }
            if let Some(refusal) = self.deliveries.failed() {
                return Err(self.fatal().unwrap_or(refusal));
            }
        }
    }

    /// Waits until every record is acknowledged. Committing with records under way would cost 100 ms: rdkafka's own flush
    /// polls in steps of that.
    pub fn drain(&self) -> Result<(), Refusal> {
        let deadline = Instant::now() + self.timeout;
        let (mut told, mut rounds) = (i32::MAX, 0_u32);
        loop {
            let waiting = self.serve_deliveries();
            if let Some(refusal) = self.deliveries.failed() {
                return Err(self.fatal().unwrap_or(refusal));
            }
            if waiting == 0 {
                return Ok(());
            }
            if let Some(fatal) = self.fatal() {
                return Err(fatal);
            }
            if Instant::now() >= deadline {
                return Err(Refusal {
                    code: Code::OperationTimedOut,
                    text: format!("{waiting} records not acknowledged"),
                });
            }
            // An idempotent librdkafka has one batch of a partition under way; what follows can go once that is acknowledged.
            // It must be told so then, and not much more often: while it is told to hurry and cannot, its thread spins.
            if waiting < told || waiting <= FEW_RECORDS || rounds.is_multiple_of(FLUSH_EVERY) {
                told = waiting;
                flush_briefly(&self.producer, Duration::from_millis(1));
            } else {
                // Not a poll with a time-out: rdkafka rounds what is left of a millisecond down to nothing, and spins.
                std::thread::sleep(DRAIN_PAUSE);
            }
            rounds += 1;
        }
    }

    /// Takes all delivery reports that are there; returns how many records are still under way.
    fn serve_deliveries(&self) -> i32 {
        let mut waiting = self.producer.in_flight_count();
        loop {
            self.producer.poll(Duration::ZERO);
            let left = self.producer.in_flight_count();
            if left == 0 || left >= waiting {
                return left;
            }
            waiting = left;
        }
    }

    /// Commits what was drained; returns how long that took. Whether it took place is unknown after an error.
    pub fn commit(&self) -> Result<Duration, Refusal> {
        let start = Instant::now();
        self.producer.commit_transaction(self.timeout)?;
        Ok(start.elapsed())
    }

    /// Ends an open transaction so that readers need not wait for its time-out. The producer is of no use afterwards.
    pub fn give_up(self) {
        // Aborting waits for delivery reports, and nobody would take them while it does.
        let deadline = Instant::now() + GIVE_UP;
        while self.serve_deliveries() > 0 && Instant::now() < deadline {
            flush_briefly(&self.producer, Duration::from_millis(1));
        }
        if let Err(e) = self.producer.abort_transaction(GIVE_UP) {
            tracing::debug!(error = %e, "aborting a transaction failed, the broker ends it");
        }
    }

    /// The last offset of each partition that rows of this transaction went to; `names` in order of the destinations' index.
    pub fn last_offsets(&self, names: &[String]) -> LastOffsets {
        let book = self.deliveries.book();
        let of = |offsets: &Vec<i64>| {
            let written = offsets.iter().enumerate().filter(|(_, offset)| **offset >= 0);
            written.map(|(partition, offset)| (partition as i32, *offset)).collect()
        };
        let named = names.iter().zip(&book.last).map(|(name, offsets)| (name.clone(), of(offsets)));
        named.filter(|(_, offsets): &(_, std::collections::BTreeMap<_, _>)| !offsets.is_empty()).collect()
    }

    /// One past the last committed record of a partition.
    pub fn end_of(&self, topic: &str, partition: i32) -> Result<i64, Refusal> {
        // a producer's client asks as committed readers do: that is librdkafka's default
        Ok(self.producer.client().fetch_watermarks(topic, partition, LOOK_TIME_MAX)?.1)
    }

    /// Lets the client speak; called now and then while there is nothing to do.
    pub fn serve(&self) {
        for _ in 0..100 {
            self.producer.poll(Duration::ZERO);
        }
    }

    fn fatal(&self) -> Option<Refusal> {
        let (code, text) = self.producer.client().fatal_error()?;
        Some(Refusal { code, text })
    }
}

/// Counts what is delivered. The opaque of a record is the place of its topic, counted from 1; 0 is not counted.
#[derive(Clone, Default)]
struct Deliveries(Arc<DeliveriesInner>);

#[derive(Default)]
struct DeliveriesInner {
    log: ClientLog,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    /// Offset by topic, then partition; -1 where there is none.
    last: Vec<Vec<i64>>,
    failed: Option<Refusal>,
}

impl Deliveries {
    fn log(&self) -> &ClientLog {
        &self.0.log
    }
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn failed(&self) -> Option<Refusal> {
        self.book().failed.clone()
    }
}

impl Book {
    fn clear(&mut self) {
        self.last.iter_mut().for_each(|offsets| offsets.fill(-1));
        self.failed = None;
    }

    fn delivered(&mut self, topic: usize, partition: i32, offset: i64) {
        let (topic, partition) = (topic - 1, partition as usize);
        if self.last.len() <= topic {
            self.last.resize(topic + 1, Vec::new());
        }
        let offsets = &mut self.last[topic];
        if offsets.len() <= partition {
            offsets.resize(partition + 1, -1);
        }
        offsets[partition] = offsets[partition].max(offset);
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        self.0.log.log(level, fac, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        self.0.log.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, topic: usize) {
        let mut book = self.book();
        match result {
            Ok(message) if topic > 0 => book.delivered(topic, message.partition(), message.offset()),
            Ok(_) => {}
            // Purged when the producer was dropped: nobody asks any more.
            Err((e, _)) if e.rdkafka_error_code() == Some(Code::PurgeQueue) => {}
            Err((e, message)) if book.failed.is_none() && !rides_out(e) => {
                let refusal = Refusal::from(e.clone());
                book.failed = Some(Refusal { text: format!("topic {}: {}", message.topic(), refusal.text), ..refusal });
            }
            Err((e, _)) if book.failed.is_none() => book.failed = Some(Refusal::from(e.clone())),
            Err(_) => {}
        }
    }
}

impl From<Refusal> for WriteError {
    fn from(refusal: Refusal) -> Self {
        WriteError::Refused(refusal)
    }
}

impl From<Error> for WriteError {
    fn from(error: Error) -> Self {
        WriteError::Known(error)
    }
}

/// Why an epoch failed: an error that is judged already, or the client's words, which the stored owner must explain (K2).
pub(crate) enum WriteError {
    Known(Error),
    Refused(Refusal),
}
