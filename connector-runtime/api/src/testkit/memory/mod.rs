//! A source and a sink in memory that keep every promise of the contract, and can be told to break one.
//!
//! [`MemoryFeed`] is the upstream system: parts with transactions of rows, which forgets what is released. [`MemorySource`]
//! reads it. [`MemoryStore`] is the downstream system: rows, quarantine and progress of all splits under one lock.
//! [`MemorySink`] writes it. [`MemorySourceConnector`] and [`MemorySinkConnector`] make both usable from YAML under the name
//! `memory`; they find feeds, stores and planned faults by name in a [`MemoryWorld`].

mod connectors;
mod feed;
mod sink;
mod source;
mod store;
mod transaction;
mod world;

pub use connectors::{MemorySinkConfig, MemorySinkConnector, MemorySourceConfig, MemorySourceConnector};
pub use feed::{MemoryFeed, Release};
pub use sink::{MemoryFenced, MemorySink, SinkOptions, SinkSabotage};
pub use source::{MemorySource, Share, SourceSabotage};
pub use store::{MemoryStore, StoredEpoch, StoredRow};
pub use transaction::{Generate, Transaction};
pub use world::MemoryWorld;
