//! What a connector's author needs to know whether the connector keeps the contract's promises.
//!
//! - [`source_suite`] and [`sink_suite`] open a connector over and over and check each promise by name. A connector's
//!   `tests/suite.rs` implements [`SourceFixture`] or [`SinkFixture`] and calls them; that is all it takes.
//! - [`rows`] builds batches out of text and shows rows as text.
//! - [`memory`] has a source and a sink that keep every promise, in memory, and can be told to break one: models to read, and
//!   the ends of whole pipelines in the engine's own tests. As connectors their name is `memory`.
//! - [`faults`] wraps any source and any sink, so that reads, writes and commits fail, hang, lose their reply or come late.
//! - [`context`] makes the contexts that a connector is opened with.
//!
//! Nothing here does I/O, and nothing waits for a fixed time: under tokio's paused clock all of it runs at once.

pub mod context;
pub mod faults;
pub mod memory;
pub mod rows;
pub mod suite;
#[cfg(test)]
mod tests;

pub use faults::{Fault, Faults, FaultyFenced, FaultySink, FaultySource, Place};
pub use memory::{MemoryFeed, MemorySink, MemorySource, MemoryStore, MemoryWorld};
pub use rows::{RowBatch, row_batch, row_text, table};
pub use suite::{Broken, Passed, SinkFixture, SinkTarget, SourceFixture, SourceUpstream, sink_suite, source_suite};
