//! The memory ends as connectors, so that whole pipelines run from YAML without any system.

use super::feed::MemoryFeed;
use super::sink::{MemorySink, SinkOptions, SinkSabotage};
use super::source::{MemorySource, Share, SourceSabotage, parse};
use super::transaction::Generate;
use super::world::MemoryWorld;
use crate::batch::Batch;
use crate::checkpoint::Checkpoint;
use crate::config::Size;
use crate::connector::{Delivery, Finding, Jump, PartView, Problem, Severity, SinkConnector, SourceConnector};
use crate::context::{CheckContext, Resources, SinkContext, SourceContext};
use crate::error::{Error, Result};
use crate::facts::{Facts, Rewrite, Stored};
use crate::names::{SplitIndex, StreamName};
use crate::origin::{Origin, OriginColumns, RowOrigin};
use crate::quarantine::{Edit, QuarantineEntry, QuarantineReader, RawCell, RawRow};
use crate::schema::StreamSchema;
use crate::sink::{CommitPolicy, Fenced};
use crate::source::Source;
use crate::testkit::context::policy;
use crate::testkit::faults::{FaultyFenced, FaultySource, Place};
use crate::testkit::rows::table;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Says that a split has no facts yet that a usurper could take over.
const NOTHING_TO_TAKE: &str = "U0999";

/// Reads a [`MemoryFeed`]; for tests.
pub struct MemorySourceConnector;

/// Writes a [`super::MemoryStore`]; for tests.
pub struct MemorySinkConnector;

/// Reads a feed of the test's world.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct MemorySourceConfig {
    /// Name of the feed; also the name of the stream when rows are generated.
    pub feed: String,
    /// Number of splits; parts are divided among them.
    #[serde(default = "one_split")]
    pub splits: u32,
    /// At most so many rows in a batch, if the engine's limit is not lower.
    #[serde(default)]
    pub batch_rows: Option<usize>,
    /// Cut a transaction after so many rows, if the engine's limit is not lower.
    #[serde(default)]
    pub uncut_rows: Option<u64>,
    /// Makes the feed when it does not exist yet.
    #[serde(default)]
    pub generate: Option<Generate>,
    /// The promise to break.
    #[serde(default)]
    pub sabotage: Option<SourceSabotage>,
}

/// Writes to a store of the test's world.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct MemorySinkConfig {
    /// Name of the store.
    pub store: String,
    /// Rows that are longer as text go to quarantine.
    #[serde(default)]
    pub row_bytes_max: Option<Size>,
    /// Leave deletes out.
    #[serde(default)]
    pub ignore_deletes: bool,
    /// The promise to break.
    #[serde(default)]
    pub sabotage: Option<SinkSabotage>,
}

fn one_split() -> u32 {
    1
}

impl MemorySourceConfig {
    /// Reads the feed of this name, in one split.
    pub fn of(feed: &str) -> Self {
        Self { feed: feed.into(), splits: 1, batch_rows: None, uncut_rows: None, generate: None, sabotage: None }
    }
    fn open_feed(&self, world: &MemoryWorld) -> MemoryFeed {
        match &self.generate {
            Some(generate) => world.feed_or(&self.feed, || generate.feed(&self.feed)),
            None => world.feed(&self.feed),
        }
    }
}

impl MemorySinkConfig {
    /// Writes to the store of this name.
    pub fn of(store: &str) -> Self {
        Self { store: store.into(), row_bytes_max: None, ignore_deletes: false, sabotage: None }
    }
    fn options(&self) -> SinkOptions {
        SinkOptions {
            row_bytes_max: self.row_bytes_max.map(|size| size.0),
            ignore_deletes: self.ignore_deletes,
            sabotage: self.sabotage,
        }
    }
}

#[async_trait]
impl SourceConnector for MemorySourceConnector {
    const NAME: &'static str = "memory";
    type Config = MemorySourceConfig;
    const COUNTS_REJECTED: bool = false;

    fn validate(config: &Self::Config) -> Vec<Problem> {
        let no_splits = Problem {
            path: "splits".into(),
            severity: Severity::Error,
            code: "U0290",
            message: "a pipeline needs at least one split".into(),
            help: "leave `splits` out, or give a number from 1".into(),
        };
        if config.splits == 0 { vec![no_splits] } else { vec![] }
    }
    fn streams(config: &Self::Config) -> Vec<(StreamName, Arc<StreamSchema>)> {
        match config.generate {
            Some(_) => vec![(StreamName::new(config.feed.as_str()), Generate::schema())],
            None => vec![],
        }
    }
    fn fingerprint(config: &Self::Config, _: &std::path::Path) -> String {
        format!("memory feed {}", config.feed)
    }
    async fn check(config: Arc<Self::Config>, cx: CheckContext) -> Result<Vec<Finding>> {
        if config.generate.is_some() || MemoryWorld::of(&cx.resources).has_feed(&config.feed) {
            return Ok(vec![]);
        }
        Ok(vec![Finding {
            severity: Severity::Warning,
            code: "U0291",
            message: format!("there is no feed `{}` yet", config.feed),
            remedy: "push a transaction to it, or add `generate`".into(),
        }])
    }
    async fn splits(config: Arc<Self::Config>, _: CheckContext) -> Result<u32> {
        Ok(config.splits)
    }
    async fn open(config: Arc<Self::Config>, cx: SourceContext) -> Result<Box<dyn Source>> {
        let world = MemoryWorld::of(&cx.place.resources);
        let faults = world.faults(&cx.place.split.pipeline).of(&cx.place.split);
        let index = match cx.place.split.index {
            SplitIndex::Number(index) => index,
            SplitIndex::Replay => {
                return Err(Error::bug("opening a feed for a replay failed: it reads the quarantine"));
            }
        };
        let share = Share { index, of: config.splits };
        let feed = config.open_feed(&world);
        let (batch_rows, uncut_rows) = (config.batch_rows, config.uncut_rows);
        let open = async {
            let source = MemorySource::open(feed, share, cx, config.sabotage)?;
            Ok(Box::new(source.narrowed(batch_rows, uncut_rows)))
        };
        let source = faults.pass(Place::OpenSource, open).await?;
        Ok(Box::new(FaultySource::new(source, faults)))
    }
    fn raw_cells(_: &Self::Config, entry: &QuarantineEntry) -> Result<Vec<RawCell>> {
        let RawRow::Bytes(bytes) = &entry.raw else { return Ok(Vec::new()) };
        let text = String::from_utf8_lossy(bytes);
        let named = ["id", "part", "price"].into_iter().zip(text.split('|'));
        Ok(named.map(|(column, text)| RawCell { column: column.into(), text: Some(text.into()) }).collect())
    }
    /// A generated row is read as `id|part|price`, where a price that is no number is still wrong; only that can be changed.
    fn parse_raw(_: &Self::Config, entry: &QuarantineEntry, edits: &[Edit]) -> Result<Batch> {
        let text = match &entry.raw {
            RawRow::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            RawRow::Cut { .. } | RawRow::Row(_) => String::new(),
        };
        let mut cells: Vec<Option<&str>> = text.split('|').map(Some).collect();
        for edit in edits {
            match cells.get_mut(2) {
                Some(price) if edit.column == "price" => *price = Some(&edit.text),
                _ => {
                    return Err(Error::misconfigured("changing a cell failed, only `price` can be")
                        .with("column", &edit.column));
                }
            }
        }
        let is_good = matches!(cells[..], [Some(id), Some(_), Some(price)]
            if id.parse::<i64>().is_ok() && price.parse::<f64>().is_ok());
        let rows: &[&[Option<&str>]] = if is_good { &[&cells] } else { &[] };
        let mut batch = table(entry.stream.as_str(), Generate::COLUMNS, &["id"], rows);
        let (name, number) = match &entry.origin {
            RowOrigin::Sequence { name, number } => (name.clone(), *number),
            other => (other.to_string().into(), 0),
        };
        let numbers = vec![number; rows.len()];
        batch.origin = Origin { rows: OriginColumns::Sequence { name, numbers }, revision: entry.revision };
        if !is_good {
            let (code, origin) = (entry.code.clone().into(), entry.origin.clone());
            let (message, stream, raw) = (entry.message.clone(), entry.stream.clone(), entry.raw.clone());
            let stage = crate::quarantine::Stage::Source;
            batch.rejected.push(crate::quarantine::RejectedRow { code, message, stage, stream, origin, raw });
        }
        Ok(batch)
    }
    fn describe(_: &Self::Config, checkpoint: &Checkpoint) -> Vec<PartView> {
        let view = |(part, position): (&crate::checkpoint::Part, &crate::checkpoint::Position)| PartView {
            part: part.to_string(),
            position: position.to_string(),
            meaning: match parse(position) {
                Ok((transaction, Some(ordinal))) => format!("transaction {}, row {ordinal}", transaction + 1),
                Ok((transaction, None)) => format!("transaction {}", transaction + 1),
                Err(_) => "not a position of a feed".into(),
            },
        };
        checkpoint.parts.iter().map(view).collect()
    }
    fn jump(_: &Self::Config, checkpoint: &Checkpoint, jumps: &[Jump]) -> Result<Checkpoint> {
        let mut after = checkpoint.clone();
        for jump in jumps {
            parse(&jump.position).map_err(|e| e.help("a position is TRANSACTION.ROW, such as 0000000007.000002"))?;
            after.parts.insert(jump.part.clone(), jump.position.clone());
        }
        Ok(after)
    }
}

#[async_trait]
impl SinkConnector for MemorySinkConnector {
    const NAME: &'static str = "memory";
    type Config = MemorySinkConfig;

    fn validate(_: &Self::Config, _: &[(StreamName, Arc<StreamSchema>)]) -> Vec<Problem> {
        vec![]
    }
    fn delivery(_: &Self::Config) -> Delivery {
        Delivery::ExactlyOnce
    }
    fn commit_policy(_: &Self::Config) -> CommitPolicy {
        policy()
    }
    async fn check(_: Arc<Self::Config>, _: CheckContext) -> Result<Vec<Finding>> {
        Ok(vec![])
    }
    async fn fence(config: Arc<Self::Config>, cx: SinkContext) -> Result<Box<dyn Fenced>> {
        let world = MemoryWorld::of(&cx.place.resources);
        let faults = world.faults(&cx.place.split.pipeline).of(&cx.place.split);
        let (store, options) = (world.store(&config.store), config.options());
        // without the resources, which hold the world, which holds the faults: a circle would never be freed
        let mut usurping = cx.clone();
        usurping.place.resources = Resources::default();
        let usurper = (store.clone(), options.clone(), usurping);
        faults.usurp_with(move || {
            let (store, options, cx) = usurper.clone();
            // a stand-in has no configuration of its own: it may take over facts, it must not make the first ones up
            let admit = Box::new(|stored: Option<&Stored>| stored.map(|s| s.facts.clone()).ok_or_else(nothing_to_take));
            Box::pin(async move {
                let opened = MemorySink::fence(store, options, cx)?.open(admit).await;
                opened
                    .map(drop)
                    .or_else(|error| if error.code_text() == Some(NOTHING_TO_TAKE) { Ok(()) } else { Err(error) })
            })
        });
        let fence = async { MemorySink::fence(store, options, cx) };
        let fenced = faults.pass(Place::Fence, fence).await?;
        Ok(Box::new(FaultyFenced::new(fenced, faults)))
    }
    async fn inspect(config: Arc<Self::Config>, cx: CheckContext) -> Result<Option<Stored>> {
        let world = MemoryWorld::of(&cx.resources);
        let faults = world.faults(&cx.split.pipeline).of(&cx.split);
        let stored = async { Ok(world.store(&config.store).stored(&cx.deployment, &cx.split)) };
        faults.pass(Place::Inspect, stored).await
    }
    async fn rewrite(config: Arc<Self::Config>, cx: SinkContext, to: Rewrite) -> Result<Facts> {
        let store = MemoryWorld::of(&cx.place.resources).store(&config.store);
        store.rewrite(&(cx.place.deployment, cx.place.split), to)
    }
    /// A store keeps every row.
    async fn overtaken(_: Arc<Self::Config>, _: CheckContext, _: Vec<(Batch, i64)>) -> Result<Option<Vec<bool>>> {
        Ok(None)
    }
    async fn quarantine(config: Arc<Self::Config>, cx: CheckContext) -> Result<Box<dyn QuarantineReader>> {
        Ok(MemoryWorld::of(&cx.resources).store(&config.store).reader(&cx))
    }
}

fn nothing_to_take() -> Error {
    Error::transient("taking over a split failed, it never started").code(NOTHING_TO_TAKE)
}
