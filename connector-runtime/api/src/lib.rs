//! The narrow waist of unbatch: what a source, a step, a sink and the engine promise each other.
//!
//! A **pipeline** moves rows from one [`Source`] through pure [`Step`]s into one [`Sink`]. The sink commits rows, rejected
//! rows and the source's [`Checkpoint`] in one atomic step, so that *opening the sink is recovery*: the engine opens the
//! sink, learns from it what is committed, and opens the source there. Any error drops both ends and opens them again.
//!
//! A connector is one crate that depends on this one and implements [`SourceConnector`] or [`SinkConnector`]; the suites
//! in `testkit` (a feature) say whether it keeps the promises. This crate does no I/O and knows no system.

pub mod batch;
pub mod checkpoint;
pub mod config;
pub mod connector;
pub mod context;
pub mod draft;
pub mod error;
pub mod facts;
pub mod failpoint;
pub mod figures;
pub mod names;
pub mod origin;
pub mod quarantine;
pub mod schema;
pub mod sink;
pub mod source;
pub mod step;
#[cfg(feature = "testkit")]
pub mod testkit;

/// The one Arrow of the workspace: connectors take it from here, so that all speak the same major.
pub use arrow;
pub use async_trait::async_trait;
pub use futures::future::BoxFuture;

pub use batch::{Batch, Mark, Marks, Op, Ops};
pub use checkpoint::{Advance, Checkpoint, Conflict, NoteKey, Part, Position, Span};
pub use connector::{Delivery, Finding, Jump, PartView, Problem, Severity, SinkConnector, SourceConnector};
pub use context::{
    Bound, CheckContext, Committed, Limits, Ownership, Reports, Resources, SinkContext, SourceContext, StopAfter,
};
pub use draft::{Choice, Draft, DraftColumn, DraftRequest, Drafter};
pub use error::{Error, Kind, Result};
pub use facts::{Admit, Counters, Facts, Rewrite, Stored};
pub use names::{DeploymentName, PipelineName, SplitId, SplitIndex, StreamName};
pub use origin::{Origin, OriginColumns, RowOrigin};
pub use quarantine::{QuarantineEntry, RawRow, RejectedRow, Stage};
pub use schema::{ColumnType, SchemaId, StreamSchema};
pub use sink::{CommitPolicy, Fenced, Opened, Receipt, Sink};
pub use source::Source;
pub use step::{CompiledStep, Seen, Step, StepProblem, StepVerb, Stepped};
