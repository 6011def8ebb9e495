//! What a connector crate implements: a type for its configuration and the doors to its system.
//!
//! Configuration is typed for the author and erased once, in the engine's registry. Nothing here has a default, so that
//! nothing can be forgotten; a door that makes no sense for a system says so in one line.

use crate::batch::Batch;
use crate::checkpoint::{Checkpoint, Part, Position};
use crate::context::{CheckContext, SinkContext, SourceContext};
use crate::error::Result;
use crate::facts::{Facts, Rewrite, Stored};
use crate::names::StreamName;
use crate::quarantine::{Edit, QuarantineEntry, QuarantineReader, RawCell};
use crate::schema::StreamSchema;
use crate::sink::{CommitPolicy, Fenced};
use crate::source::Source;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::sync::Arc;

/// A system that rows come from.
#[async_trait]
pub trait SourceConnector: Send + Sync + 'static {
    /// A noun for the system: `csv_drops`. The key under `source:` in the pipeline file.
    const NAME: &'static str;
    type Config: DeserializeOwned + JsonSchema + Send + Sync + 'static;
    /// True when the source applies `cx.stop_after` itself, for each of its inputs (files); otherwise the engine does, by the
    /// hour. Rows that steps or the sink reject are always the engine's to count.
    const COUNTS_REJECTED: bool;

    /// Problems that can be seen without asking any system, all of them. Paths are relative to the connector's own node.
    fn validate(config: &Self::Config) -> Vec<Problem>;

    /// The streams whose columns are known without asking any system; empty when they are not.
    fn streams(config: &Self::Config) -> Vec<(StreamName, Arc<StreamSchema>)>;

    /// What "the same source" means: a change of this text refuses to start until it is confirmed. Relative paths begin at
    /// `base`, the absolute folder of the pipeline file, so that the same words in another folder are another source.
    fn fingerprint(config: &Self::Config, base: &Path) -> String;

    /// Asks the system whether a run could start; changes nothing.
    async fn check(config: Arc<Self::Config>, cx: CheckContext) -> Result<Vec<Finding>>;

    /// How many splits a first start makes.
    async fn splits(config: Arc<Self::Config>, cx: CheckContext) -> Result<u32>;

    /// Opens the split at `cx.resume`. `Lost` when continuity from there cannot be proven.
    async fn open(config: Arc<Self::Config>, cx: SourceContext) -> Result<Box<dyn Source>>;

    /// Reads one quarantined row again, under today's configuration and with these cells changed; what is still wrong is in
    /// `rejected` again. Misconfigured with the columns there are when an edit names another one.
    fn parse_raw(config: &Self::Config, entry: &QuarantineEntry, edits: &[Edit]) -> Result<Batch>;

    /// The cells of a quarantined row as they stand in it, in order and without giving them their types. Misconfigured when they cannot
    /// be told apart.
    fn raw_cells(config: &Self::Config, entry: &QuarantineEntry) -> Result<Vec<RawCell>>;

    /// The checkpoint as a person reads it, a line for each open part and for each finished input worth showing.
    fn describe(config: &Self::Config, checkpoint: &Checkpoint) -> Vec<PartView>;

    /// The checkpoint after the jumps that `offsets set` asks for; Misconfigured with the words it knows otherwise.
    fn jump(config: &Self::Config, checkpoint: &Checkpoint, jumps: &[Jump]) -> Result<Checkpoint>;
}

/// A system that rows go to.
#[async_trait]
pub trait SinkConnector: Send + Sync + 'static {
    const NAME: &'static str;
    type Config: DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// Problems that can be seen without asking any system. `streams` are those of the source after the steps, where known.
    fn validate(config: &Self::Config, streams: &[(StreamName, Arc<StreamSchema>)]) -> Vec<Problem>;

    /// What this sink can promise under this configuration; a pipeline that asks for more is refused.
    fn delivery(config: &Self::Config) -> Delivery;

    /// When it wants its epochs sealed.
    fn commit_policy(config: &Self::Config) -> CommitPolicy;

    /// Asks the system whether a run could start; changes nothing.
    async fn check(config: Arc<Self::Config>, cx: CheckContext) -> Result<Vec<Finding>>;

    /// Makes every earlier owner of the split unable to commit.
    async fn fence(config: Arc<Self::Config>, cx: SinkContext) -> Result<Box<dyn Fenced>>;

    /// What is stored of the split, without fencing anybody; `None`: nothing yet. What was forgotten is still told, as such.
    async fn inspect(config: Arc<Self::Config>, cx: CheckContext) -> Result<Option<Stored>>;

    /// On a stopped pipeline: fences, asks `to` about what is stored then, replaces the checkpoint and raises the generation;
    /// with `None` everything is forgotten and the next start is a first start. Spans cannot express such a jump. When `to`
    /// refuses, nothing is written and its error is returned; a run that was fenced by it opens again by itself.
    async fn rewrite(config: Arc<Self::Config>, cx: SinkContext, to: Rewrite) -> Result<Facts>;

    /// For each of these batches of one row, whether readers see a row with the same key that was written after the time beside it
    /// (milliseconds since 1970): to replay the older row would put it on top. `None`: rows have no key here, or none replaces
    /// another.
    async fn overtaken(
        config: Arc<Self::Config>,
        cx: CheckContext,
        rows: Vec<(Batch, i64)>,
    ) -> Result<Option<Vec<bool>>>;

    /// Opens the pipeline's quarantine for reading.
    async fn quarantine(config: Arc<Self::Config>, cx: CheckContext) -> Result<Box<dyn QuarantineReader>>;
}

/// What a sink promises to a reader that follows its documented way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    ExactlyOnce,
    AtLeastOnce,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Error,
    Warning,
}

/// Something wrong in a configuration, found without asking a system.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Where in the connector's node: `columns[2].format`; empty: the node itself.
    pub path: String,
    pub severity: Severity,
    /// Documented code: `U0200` and above for connectors of this tree, `U0800` to `U0899` for those built elsewhere.
    pub code: &'static str,
    pub message: String,
    /// The remedy.
    pub help: String,
}

/// Something found by asking a system.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub severity: Severity,
    pub code: &'static str,
    pub message: String,
    /// The exact command or setting that mends it.
    pub remedy: String,
}

/// One line of `offsets get`.
#[derive(Clone, Debug, Serialize)]
pub struct PartView {
    pub part: String,
    pub position: String,
    /// In human terms: `stock_HAM.csv, 1,200 rows read, 48 KiB of 1 MiB`.
    pub meaning: String,
}

/// One `PART=POSITION` of `offsets set`, in the words of [`SourceConnector::describe`] or the connector's own.
#[derive(Clone, Debug)]
pub struct Jump {
    pub part: Part,
    pub position: Position,
}
