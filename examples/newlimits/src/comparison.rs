use serde_json::Value;

use crate::feed::Feed;

/// What is compared and how strictly.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Only files of this feed; none means all.
    pub feed: Option<Feed>,
    /// Only the first so many deliveries, by `seq`, when the others have not been dropped; none means all.
    pub deliveries: Option<u32>,
    pub failed_files: FailedFiles,
    pub order: Order,
    /// Let records have columns that the file has not, as from a `derive` step.
    pub extra_columns: bool,
}

/// What must be there of a file that is parked because it breaks off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FailedFiles {
    /// Its whole rows from the first one on, up to any of them; none at all is right too.
    #[default]
    Prefix,
    /// All of its whole rows.
    All,
    /// None of its rows.
    None,
}

/// Which order is checked, in each partition; by topic key when records do not name a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    /// Rows of one file stand in the order of the file.
    #[default]
    InFile,
    /// And files in the order of their delivery.
    Deliveries,
    /// None.
    Any,
}

/// One record that a reader saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    pub key: Option<Value>,
    /// The record's object; anything else counts as unexpected.
    pub value: Value,
    pub partition: Option<i32>,
}

/// One entry of a quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// File name; folders before it are ignored.
    pub file: String,
    /// Physical line on which the row begins; none for a whole file.
    pub line: Option<u64>,
    /// Checked when given.
    pub byte: Option<u64>,
    pub code: String,
}
