//! Where a row came from, kept as columns so that a batch pays for it once.

use arrow::array::{Array, BooleanArray};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The origin of each row of a batch, and the configuration that read it.
#[derive(Clone, Debug)]
pub struct Origin {
    pub rows: OriginColumns,
    /// Revision of the pipeline's configuration.
    pub revision: u64,
}

/// One entry a row, in the order of the rows; a batch comes from one file, one topic partition, or one log.
#[derive(Clone, Debug)]
pub enum OriginColumns {
    /// `line`: physical line on which the row begins, from 1. `byte`: offset of its first byte. `delivery`: tells this file
    /// from others that came under the same name, and is the same whenever it is read again; empty where a name comes once.
    File {
        file: Arc<str>,
        delivery: Arc<str>,
        lines: Vec<u64>,
        bytes: Vec<u64>,
    },
    /// A database log: position of the commit, transaction id, ordinal of the change in its transaction.
    Log {
        lsn: Vec<u64>,
        xid: Vec<u64>,
        ordinal: Vec<u64>,
    },
    Topic {
        topic: Arc<str>,
        partition: i32,
        offsets: Vec<i64>,
    },
    /// Any numbered sequence, for sources that have nothing better.
    Sequence {
        name: Arc<str>,
        numbers: Vec<u64>,
    },
}

/// The origin of one row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RowOrigin {
    File { file: Arc<str>, delivery: Arc<str>, line: u64, byte: u64 },
    Log { lsn: u64, xid: u64, ordinal: u64 },
    Topic { topic: Arc<str>, partition: i32, offset: i64 },
    Sequence { name: Arc<str>, number: u64 },
}

impl OriginColumns {
    pub fn len(&self) -> usize {
        match self {
            OriginColumns::File { lines, .. } => lines.len(),
            OriginColumns::Log { lsn, .. } => lsn.len(),
            OriginColumns::Topic { offsets, .. } => offsets.len(),
            OriginColumns::Sequence { numbers, .. } => numbers.len(),
        }
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The origin of row `i`; panics when there is no such row, as indexing does.
    pub fn row(&self, i: usize) -> RowOrigin {
        match self {
            OriginColumns::File { file, delivery, lines, bytes } => {
                RowOrigin::File { file: file.clone(), delivery: delivery.clone(), line: lines[i], byte: bytes[i] }
            }
            OriginColumns::Log { lsn, xid, ordinal } => {
                RowOrigin::Log { lsn: lsn[i], xid: xid[i], ordinal: ordinal[i] }
            }
            OriginColumns::Topic { topic, partition, offsets } => {
                RowOrigin::Topic { topic: topic.clone(), partition: *partition, offset: offsets[i] }
            }
            OriginColumns::Sequence { name, numbers } => RowOrigin::Sequence { name: name.clone(), number: numbers[i] },
        }
    }
    /// Keeps the rows for which `keep` is true.
    pub fn retain(&mut self, keep: &BooleanArray) {
        fn only<T>(column: &mut Vec<T>, keep: &BooleanArray) {
            let mut row = 0;
            column.retain(|_| {
                row += 1;
                keep.is_valid(row - 1) && keep.value(row - 1)
            });
        }
        match self {
            OriginColumns::File { lines, bytes, .. } => {
                only(lines, keep);
                only(bytes, keep);
            }
            OriginColumns::Log { lsn, xid, ordinal } => {
                only(lsn, keep);
                only(xid, keep);
                only(ordinal, keep);
            }
            OriginColumns::Topic { offsets, .. } => only(offsets, keep),
            OriginColumns::Sequence { numbers, .. } => only(numbers, keep),
        }
    }
}

/// As the record header `origin` and as messages show it: `stock.csv:17` or `orders-7@42`.
impl fmt::Display for RowOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowOrigin::File { file, line, .. } => write!(f, "{file}:{line}"),
            RowOrigin::Log { lsn, xid, ordinal } => {
                write!(f, "{:X}/{:X} xid {xid} ordinal {ordinal}", lsn >> 32, lsn & 0xffff_ffff)
            }
            RowOrigin::Topic { topic, partition, offset } => write!(f, "{topic}-{partition}@{offset}"),
            RowOrigin::Sequence { name, number } => write!(f, "{name}#{number}"),
        }
    }
}
