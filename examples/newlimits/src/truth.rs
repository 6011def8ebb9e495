//! The truth about a set of generated files: `truth.json`, and beside it `ledger.ndjson` with a line per row.
//!
//! # `truth.json`, schema `newlimits.truth/1`
//!
//! ```json
//! {
//!   "schema": "newlimits.truth/1",
//!   "seed": 7, "scale": 0.1, "nights": 3, "faults": "few",
//!   "ledger": "ledger.ndjson",
//!   "feeds": {"stock-counts": {"id": "count_id", "key": ["dc", "sku"], "source": {"match": …, "dialect": …, "columns": …}}},
//!   "totals": {"files": 26, "good": 240, "bad": 3, "loaded": 20, "duplicate": 3, "failed": 3},
//!   "files": [
//!     {"seq": 0, "feed": "stock-counts", "round": "2026-03-03T0200", "name": "stock_BER_2026-03-02_1.csv",
//!      "path": "stock-counts/2026-03-03T0200/stock_BER_2026-03-02_1.csv", "bytes": 1830, "sha256": "…",
//!      "outcome": "loaded", "good": 14, "bad": 0}
//!   ]
//! }
//! ```
//!
//! `feeds.*.source` is the `csv_drops` source of a pipeline file without its `url`. `files` is in the order of delivery; one
//! round is what a job drops in one go, so a reader should be given the time to finish a round before the next one: two
//! rounds may bring the same name. Per file:
//!
//! | field | meaning |
//! |---|---|
//! | `outcome` | `loaded`: every good row once, every bad row in quarantine. `duplicate`: nothing at all. `failed`: the file is parked |
//! | `reason` | why a file is parked: `truncated_in_quotes` |
//! | `good`, `bad` | rows of each kind; in a failed file those that are whole, in a duplicate 0 |
//! | `same_as` | `seq` of the delivery with this name and content |
//! | `replaces` | `seq` of the earlier delivery with this name and other content |
//! | `late` | the file came a round after those of its day |
//!
//! # `ledger.ndjson`
//!
//! One line per physical row of each file that is not a duplicate, rows of a file in order:
//!
//! ```json
//! {"file":0,"row":3,"line":5,"byte":412,"id":"BER-00001-000004","key":{"dc":"BER","sku":"NL-1004-GRN-42"},"value":{"count_id":…}}
//! {"file":2,"row":7,"line":9,"byte":811,"id":"BER-00002-000008","code":"bad_decimal","column":"unit_cost"}
//! {"file":4,"row":6,"line":8,"byte":702,"id":"HAM-00001-000007","code":"truncated_in_quotes","column":"remark"}
//! ```
//!
//! `file` is `seq`; `row` counts from 0; `line` is the physical line on which the row begins, from 1, the header being
//! line 1, each `\n` ending one, those inside quotes too; `byte` is the offset of its first byte in the file. `value` is
//! the record without steps: whole numbers as numbers, decimals as strings with their full scale, dates ISO 8601,
//! timestamps RFC 3339 in UTC, NULL as null. `id` is unique over all files and deliveries.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::comparison::{Comparison, FailedFiles, Order, Record, Rejection};
use crate::error::{Error, Result};
use crate::fault::Code;
use crate::feed::Feed;
use crate::report::Report;

/// Written into every truth file; a reader refuses any other.
pub const SCHEMA: &str = "newlimits.truth/1";

pub const TRUTH_FILE: &str = "truth.json";
pub const LEDGER_FILE: &str = "ledger.ndjson";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    pub schema: String,
    pub seed: u64,
    pub scale: f64,
    pub nights: u32,
    pub faults: String,
    pub ledger: String,
    pub feeds: BTreeMap<Feed, FeedTruth>,
    pub totals: Totals,
    pub files: Vec<FileTruth>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeedTruth {
    pub id: String,
    pub key: Vec<String>,
    pub source: Value,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub files: u64,
    pub loaded: u64,
    pub duplicate: u64,
    pub failed: u64,
    /// Good rows of loaded files.
    pub good: u64,
    /// Bad rows of loaded files.
    pub bad: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileTruth {
    pub seq: u32,
    pub feed: Feed,
    pub round: String,
    pub name: String,
    /// Relative to the folder of the truth file, with `/`.
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Code>,
    pub good: u64,
    pub bad: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<u32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Loaded,
    Duplicate,
    Failed,
}

/// One line of `ledger.ndjson`: a good row when it has a `value`, else a bad one with its `code`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerLine {
    pub file: u32,
    pub row: u64,
    pub line: u64,
    pub byte: u64,
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

/// A truth and its ledger on disk. Lines are read when needed, so a ledger of millions of rows costs no memory.
#[derive(Clone, Debug)]
pub struct Ledger {
    truth: Truth,
    folder: PathBuf,
}

impl Ledger {
    /// Opens a `truth.json`, or the folder that holds one.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let mut path = path.as_ref().to_path_buf();
        if path.is_dir() {
            path.push(TRUTH_FILE);
        }
        let text = std::fs::read(&path).map_err(|error| Error::at("reading", &path, error))?;
        let truth: Truth = serde_json::from_slice(&text).map_err(|error| Error::at("parsing", &path, error))?;
        if truth.schema != SCHEMA {
            return Err(Error::new(format!(
                "{} has schema {}, this program reads {SCHEMA}",
                path.display(),
                truth.schema
            )));
        }
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Ok(Self { truth, folder })
    }

    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// The folder below which the files' paths hold.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every line of the ledger in its order.
    pub fn lines(&self) -> Result<impl Iterator<Item = Result<LedgerLine>>> {
        let path = self.folder.join(&self.truth.ledger);
        let file = File::open(&path).map_err(|error| Error::at("opening", &path, error))?;
        Ok(BufReader::new(file).lines().map(move |line| {
            let line = line.map_err(|error| Error::at("reading", &path, error))?;
            serde_json::from_str(&line).map_err(|error| Error::at("parsing a line of", &path, error))
        }))
    }

    /// Judges what a reader made of the files: `records` in the order in which it saw them, per partition.
    ///
    /// Takes about 250 bytes of memory per row of the ledger. Errors only when the ledger cannot be read or an item of
    /// `records` or `rejections` is an error; differences are in the report.
    pub fn compare(
        &self,
        how: &Comparison,
        records: impl IntoIterator<Item = Result<Record>>,
        rejections: impl IntoIterator<Item = Result<Rejection>>,
    ) -> Result<Report> {
        crate::compare::compare(self, how, records, rejections)
    }
}
