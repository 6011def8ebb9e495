//! The connector for Kafka: the sink `topic`.
//!
//! Rows become records of one or more topics; records, rejected rows, notes and checkpoint are one Kafka transaction, so a
//! reader that asks for `read_committed` sees each row exactly once. README.md shows options, record format and guarantees;
//! the rules K1 to K8 that the code names close the schedules that would break the promise.

mod check;
mod codes;
mod config;
mod destination;
mod epoch;
mod fence;
mod headers;
mod naming;
mod overtaken;
mod quarantine;
mod record;
mod sink;
mod state;
mod topic;
mod transactions;
mod writer;

pub use codes::CODES;
pub use config::{Compression, Envelope, Format, HeaderSet, Key, TopicConfig, Truncates};
pub use topic::Topic;
