//! The engine: reads pipeline files, opens sinks and sources, moves batches, commits epochs, and decides what to do about
//! errors. It knows connectors only through the contract and never sees a broker or a socket.
//!
//! ```text
//! YAML -> config -> open sink (fence, settle, checkpoint) -> open source at it
//! source.next -> steps (pure) -> sink.write … sink.seal(advance)   (the next epoch is written while one seal is in flight)
//! ```

pub mod admission;
mod adoption;
pub mod cells;
pub mod codes;
pub mod config;
mod epoch;
pub mod offsets;
pub mod preview;
pub mod registry;
pub mod replay;
pub mod run;
mod split;
pub mod status;
mod steps;
mod supervisor;
mod telemetry;

pub use admission::{Intent, Rollback};
pub use registry::{BoundSink, BoundSource, Registry, SinkFactory, SourceFactory, StepFactory};
pub use run::{Ended, Running, Scene, start};
pub use status::{PipelineStatus, SplitState, SplitStatus, StatusBoard};
pub use supervisor::ONCE_FIRST_PATIENCE;
