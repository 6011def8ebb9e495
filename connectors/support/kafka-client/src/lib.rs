//! How unbatch talks to a Kafka cluster: one set of settings, clients built for a purpose, administration with topic ids,
//! and reading with a known end.
//!
//! Everything here blocks and belongs on a thread of its own or into `spawn_blocking`. Waiting is bounded by name in
//! [`limits`], and what librdkafka rides out by itself (a broker away, a leader elected) is waited for, not reported.

mod admin;
mod cluster;
mod codes;
mod context;
pub mod durability;
mod failure;
mod ffi;
pub mod internal;
pub mod limits;
mod properties;
mod reader;
mod row_producer;
mod settings;

pub use admin::{Admin, Brokers, Created, NewTopic, TopicFacts};
pub use cluster::{Cluster, Purpose};
pub use codes::CODES;
pub use context::{ClientLog, Trouble};
pub use failure::{Refusal, is_fenced, rides_out};
pub use ffi::{EndOf, TopicPartition, flush_briefly};
pub use internal::InternalTopics;
pub use properties::{ALLOWED, AllowedProperty};
pub use reader::{Record, Start, TopicReader};
pub use row_producer::{Row, RowProducer};
pub use settings::{Auth, KafkaSettings, Login, PropertyValue, Tls, Verify};
