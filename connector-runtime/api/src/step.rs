//! Pure transforms between source and sink: no I/O, no clock, no randomness, so that a replay gives the same rows.

use crate::batch::Batch;
use crate::error::Result;
use crate::names::StreamName;
use crate::schema::StreamSchema;
use std::sync::Arc;

/// A step as configured; it is compiled once for each (stream, schema id).
pub trait Step: Send + Sync {
    /// The verb: `filter`, `rename`.
    fn name(&self) -> &str;
    /// Checks the step against the columns it will see. What cannot compile is Misconfigured, before its first row.
    fn compile(&self, stream: &StreamName, schema: &Arc<StreamSchema>) -> Result<Box<dyn CompiledStep>>;
}

/// A step bound to one schema.
pub trait CompiledStep: Send {
    /// The schema of what comes out.
    fn output(&self) -> &Arc<StreamSchema>;
    /// Transforms a batch. A row for which the step fails goes to `rejected` of the batch; an error is a Bug.
    fn apply(&mut self, batch: Batch) -> Result<Stepped>;
}

/// What a step made of a batch.
pub struct Stepped {
    pub batch: Batch,
    /// Rows that a filter left out.
    pub filtered: u64,
}
