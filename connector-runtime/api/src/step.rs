//! Pure transforms between source and sink: no I/O, no clock, no randomness, so that a replay gives the same rows.

use crate::batch::Batch;
use crate::config::Resolver;
use crate::error::Result;
use crate::names::StreamName;
use crate::schema::StreamSchema;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::sync::Arc;

/// A kind of step: its verb, and what can be set about it. Configuration is typed for the author and erased once, in the
/// engine's registry.
pub trait StepVerb: Send + Sync + 'static {
    /// A verb: `filter`. The key of an entry under `steps:` in the pipeline file.
    const NAME: &'static str;
    type Config: DeserializeOwned + JsonSchema;

    /// The step, or all that is wrong with it and can be seen without knowing any column.
    fn step(config: Self::Config) -> Result<Arc<dyn Step>, Vec<StepProblem>>;
}

/// A step as configured; it is compiled once for each (stream, schema id).
pub trait Step: Send + Sync {
    /// The verb: `filter`, `rename`.
    fn name(&self) -> &str;
    /// Checks the step against the columns it will see and finds everything that is wrong. What cannot compile is
    /// Misconfigured, before its first row.
    fn compile(&self, seen: &Seen<'_>) -> Result<Box<dyn CompiledStep>, Vec<StepProblem>>;
}

/// What a step will see.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    pub stream: &'a StreamName,
    pub schema: &'a Arc<StreamSchema>,
    /// Finds secrets that the step refers to. `None` while a configuration is only checked: no secret is looked for then, and what
    /// was compiled is not applied to rows.
    pub secrets: Option<&'a dyn Resolver>,
}

/// A step bound to one schema.
pub trait CompiledStep: Send {
    /// The schema of what comes out.
    fn output(&self) -> &Arc<StreamSchema>;
    /// The streams that are known to come out; the one that came in, unless the step sends rows elsewhere.
    fn streams(&self) -> Vec<StreamName>;
    /// Transforms a batch. A row for which the step fails goes to `rejected` of a batch; an error is a Bug, or Misconfigured when only
    /// the rows show what is wrong.
    fn apply(&mut self, batch: Batch) -> Result<Stepped>;
}

/// What a step made of a batch.
pub struct Stepped {
    /// At least one; only the last has the advance, so that there is no safe place to stop between them.
    pub batches: Vec<Batch>,
    /// Rows that a filter left out.
    pub filtered: u64,
}

impl Stepped {
    /// One batch, all of whose rows go on.
    pub fn one(batch: Batch) -> Self {
        Self { batches: vec![batch], filtered: 0 }
    }
}

/// Something wrong with a step, at its place. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepProblem {
    /// Where in the step's own node: `price_eur`, `[0].when`; empty: the node itself.
    pub path: String,
    /// Bytes of the text that stands there, when only a part of it is meant, such as a word of an expression.
    pub within: Option<Range<usize>>,
    pub code: &'static str,
    /// Lowercase, no full stop.
    pub message: String,
    /// A few words that stand under the marked place; empty: none.
    pub label: String,
    /// The remedy.
    pub help: String,
}
