//! The sink's async side: turns batches into bytes and hands them to the writer's thread, in order.

use crate::config::{TopicConfig, Truncates};
use crate::destination::Destination;
use crate::epoch::{Chunk, encode, is_truncate};
use crate::fence::{blocking, queued_bytes};
use crate::naming::{NameTemplate, check_purpose};
use crate::quarantine;
use crate::record::RowEncoder;
use crate::state::State;
use crate::writer::{Command, Ended, Extra, Rows, Seal, Writer};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, mpsc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use unbatch_api::{
    Advance, Batch, BoxFuture, Error, QuarantineEntry, Receipt, RejectedRow, Result, SchemaId, Sink, SinkContext,
    StreamName, async_trait,
};
use unbatch_kafka_client::{Cluster, InternalTopics};

/// What one permit of the memory semaphore stands for.
const PERMIT_BYTES: usize = 1024;
/// Streams (with their schemas) that are kept ready; a pipeline with more changes schemas so often that something is wrong.
const STREAMS_MAX: usize = 10_000;

/// What an opened split is made of.
pub(crate) struct Parts {
    pub config: Arc<TopicConfig>,
    pub cx: SinkContext,
    pub internal: InternalTopics,
    pub quarantine: String,
    pub quarantine_bytes_max: usize,
    pub constant: Option<Arc<Destination>>,
    pub state: State,
}

pub(crate) struct TopicSink {
    config: Arc<TopicConfig>,
    cx: SinkContext,
    template: NameTemplate,
    schemas: Arc<str>,
    quarantine: Arc<str>,
    quarantine_bytes_max: usize,
    batch_bytes: usize,
    /// As of the last seal; what becomes of `last` only the thread knows.
    state: State,
    receipt: Receipt,
    streams: HashMap<(StreamName, SchemaId), Arc<StreamPlan>>,
    destinations: Vec<Arc<Destination>>,
    stream_of: HashMap<String, StreamName>,
    announced: HashSet<SchemaId>,
    turn: u32,
    memory: Arc<Semaphore>,
    permits: u32,
    commands: mpsc::Sender<Command>,
    ended: Ended,
}

/// How the rows of a stream are written while they have one schema.
struct StreamPlan {
    encoder: RowEncoder,
    destination: Arc<Destination>,
}

impl TopicSink {
    /// Starts the thread.
    pub fn start(parts: Parts, writer: Writer) -> Result<Self> {
        let template = parts.config.template().map_err(|e| Error::misconfigured(e).code("U0272"))?;
        let permits = (queued_bytes(&parts.cx.limits) / PERMIT_BYTES) as u32;
        let (commands, receiver) = mpsc::channel();
        let ended = Ended::default();
        let (split, batch_bytes) = (writer.split.clone(), writer.plan.batch_bytes);
        let reason = ended.clone();
        std::thread::Builder::new()
            .name(format!("topic {split}"))
            .spawn(move || writer.run(receiver, &reason))
            .map_err(|e| Error::transient("starting the thread of a sink failed").code("U0295").caused_by(e))?;
        let sink = Self {
            config: parts.config,
            cx: parts.cx,
            template,
            schemas: parts.internal.schemas.into(),
            quarantine: parts.quarantine.into(),
            quarantine_bytes_max: parts.quarantine_bytes_max,
            batch_bytes,
            state: parts.state,
            receipt: Receipt::default(),
            streams: HashMap::new(),
            destinations: parts.constant.into_iter().collect(),
            stream_of: HashMap::new(),
            announced: HashSet::new(),
            turn: 0,
            memory: Arc::new(Semaphore::new(permits as usize)),
            permits,
            commands,
            ended,
        };
        sink.destinations.iter().try_for_each(|destination| sink.check_batch_bytes(destination))?;
        Ok(sink)
    }

    async fn plan_of(&mut self, batch: &Batch) -> Result<Arc<StreamPlan>> {
        let id = (batch.stream.clone(), batch.schema.id().clone());
        if let Some(plan) = self.streams.get(&id) {
            return Ok(plan.clone());
        }
        let schema = &batch.schema;
        let key = self.config.key_of(&batch.stream, schema);
        let encoder = RowEncoder::compile(&batch.stream, schema, key, &self.config.partition_by)?;
        let destination = self.destination_of(&batch.stream).await?;
        let plan = Arc::new(StreamPlan { encoder, destination });
        if self.streams.len() >= STREAMS_MAX {
            self.streams.clear();
        }
        self.streams.insert(id, plan.clone());
        Ok(plan)
    }

    async fn destination_of(&mut self, stream: &StreamName) -> Result<Arc<Destination>> {
        let named = |message| Error::misconfigured("naming the topic of a stream failed").code("U0272").help(message);
        let name = self.template.fill(stream).map_err(named)?;
        if let Some(other) = self.stream_of.get(&name).filter(|other| *other != stream) {
            return Err(Error::misconfigured("giving each stream a topic of its own failed")
                .code("U0273")
                .with("topic", &name)
                .with("stream", stream)
                .with("other stream", other)
                .help("put `{stream}` (or `{schema}` and `{table}`) into the sink's `name`"));
        }
        let destination = match self.destinations.iter().find(|d| d.name == name) {
            Some(destination) => destination.clone(),
            None => {
                check_purpose(&self.cx.place, &name)?;
                self.prepare(&name).await?
            }
        };
        self.stream_of.insert(name, stream.clone());
        Ok(destination)
    }

    /// A topic that was not known at the opening.
    async fn prepare(&mut self, name: &str) -> Result<Arc<Destination>> {
        let cluster = Cluster::of(&self.cx.place)?;
        let (config, stored, index) =
            (self.config.clone(), self.state.topics.get(name).cloned(), self.destinations.len());
        let topic = name.to_owned();
        let destination = blocking(move || {
            Destination::prepare(&cluster.admin()?, &config, &topic, stored.as_ref(), index).map(Arc::new)
        })
        .await?;
        self.check_batch_bytes(&destination)?;
        self.state.topics.insert(destination.name.clone(), destination.identity());
        self.destinations.push(destination.clone());
        Ok(destination)
    }

    /// Rule K8 for batches: a batch must not be larger than what the topic takes either.
    fn check_batch_bytes(&self, destination: &Destination) -> Result<()> {
        if destination.record_bytes_max >= self.batch_bytes {
            return Ok(());
        }
        let most = destination.record_bytes_max;
        Err(Error::misconfigured("fitting batches into a topic failed")
            .code("U0296")
            .with("topic", &destination.name)
            .with("max.message.bytes", most)
            .with("batch.size", self.batch_bytes)
            .help(format!(
                "set `kafka: {{properties: {{batch.size: {most}}}}}`, or raise the topic's max.message.bytes"
            )))
    }

    fn truncated(&self, stream: &StreamName) -> Result<()> {
        match self.config.truncates {
            Truncates::Ignore => {
                self.cx.reports.notice("truncated", stream.as_str(), "the source emptied it; its topic was left as it is");
                Ok(())
            }
            Truncates::Stop => Err(Error::misconfigured("carrying over a TRUNCATE failed")
                .code("U0297")
                .with("stream", stream)
                .help("a topic cannot take back its rows; set `truncates: ignore` in the sink to leave them, or load it anew")),
        }
    }

    fn schema_record(&mut self, batch: &Batch) -> Option<Extra> {
        self.announced.insert(batch.schema.id().clone()).then(|| Extra {
            topic: self.schemas.clone(),
            key: batch.schema.id().to_string(),
            value: batch.schema.to_json().to_string().into_bytes(),
        })
    }

    /// Marks first: a row that went through and is refused again by this very sink waits again.
    fn entries(
        &mut self,
        replayed: Vec<QuarantineEntry>,
        rejected: Vec<RejectedRow>,
        revision: u64,
    ) -> Result<Vec<Extra>> {
        self.receipt.rejected += rejected.len() as u64;
        let split = &self.cx.place.split;
        let generation = self.state.facts.generation;
        let rejected =
            rejected.into_iter().map(|row| QuarantineEntry { generation, ..row.into_entry(split, revision) });
        let record = |entry: QuarantineEntry| {
            let (topic, key) = (self.quarantine.clone(), entry.id.clone());
            let value = quarantine::entry_value(entry, self.quarantine_bytes_max)
                .map_err(|e| e.with("topic", &*self.quarantine))?;
            Ok(Extra { topic, key, value })
        };
        replayed.into_iter().chain(rejected).map(record).collect()
    }

    async fn account_for(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        // A batch that is larger than the whole share goes through alone.
        let permits = (bytes.div_ceil(PERMIT_BYTES) as u32).clamp(1, self.permits);
        if let Ok(memory) = self.memory.clone().try_acquire_many_owned(permits) {
            return Ok(memory);
        }
        // What is held until the seal would hold its memory as long: the seal may wait for this very batch.
        self.send(Command::Begin)?;
        self.memory.clone().acquire_many_owned(permits).await.map_err(|_| self.ended.take())
    }

    fn send(&self, command: Command) -> Result<()> {
        self.commands.send(command).map_err(|_| self.ended.take())
    }

    /// Moves the state on by an epoch.
    fn next_state(&mut self, advance: &Advance) -> Result<Receipt> {
        self.state.checkpoint.apply(advance)?;
        let receipt = std::mem::take(&mut self.receipt);
        let facts = &mut self.state.facts;
        facts.seq += 1;
        facts.counters.written += receipt.written;
        facts.counters.rejected += receipt.rejected;
        facts.counters.ignored += receipt.ignored;
        Ok(receipt)
    }
}

#[async_trait]
impl Sink for TopicSink {
    async fn write(&mut self, mut batch: Batch) -> Result<()> {
        if is_truncate(&batch) {
            self.truncated(&batch.stream)?;
        }
        let mut rejected = std::mem::take(&mut batch.rejected);
        let replayed = std::mem::take(&mut batch.replayed);
        let (mut chunk, mut schema) = (None, None);
        if batch.rows.num_rows() > 0 {
            let plan = self.plan_of(&batch).await?;
            schema = self.schema_record(&batch);
            let facts = &self.state.facts;
            let epoch = format!("{}.{}.{}", facts.generation, self.cx.place.split, facts.seq + 1);
            let headers = (self.config.headers, epoch.into());
            self.turn = self.turn.wrapping_add(1);
            let encoded = encode(&batch, &plan.encoder, &plan.destination, headers, self.turn)?;
            self.receipt.written += encoded.written;
            self.receipt.bytes += encoded.chunk.bytes.len() as u64;
            rejected.extend(encoded.rejected);
            chunk = Some(encoded.chunk);
        }
        if chunk.is_none() && rejected.is_empty() && replayed.is_empty() {
            return Ok(());
        }
        let entries = self.entries(replayed, rejected, batch.origin.revision)?;
        let bytes = chunk.as_ref().map_or(0, Chunk::memory) + entries.iter().map(|r| r.value.len()).sum::<usize>();
        let memory = self.account_for(bytes).await?;
        self.send(Command::Rows(Rows { chunk, schema, entries, memory, bytes }))
    }

    fn seal(&mut self, advance: Advance) -> BoxFuture<'static, Result<Receipt>> {
        let receipt = match self.next_state(&advance) {
            Ok(receipt) => receipt,
            Err(e) => return Box::pin(std::future::ready(Err(e))),
        };
        let (reply, answer) = oneshot::channel();
        let seal = Seal {
            state: self.state.clone(),
            notes: advance.notes,
            receipt,
            topics: self.destinations.iter().map(|d| d.name.clone()).collect(),
            reply,
        };
        let sent = self.send(Command::Seal(Box::new(seal)));
        let ended = self.ended.clone();
        Box::pin(async move {
            sent?;
            answer.await.unwrap_or_else(|_| Err(ended.take()))
        })
    }

    async fn ended(&mut self) -> Error {
        self.ended.wait().await
    }
}
