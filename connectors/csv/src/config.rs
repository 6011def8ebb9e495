//! What stands under `source: {csv_drops: …}` in a pipeline file. The reference and the JSON Schema come from here; the types
//! can be written too, since that is how the schema shows their defaults.

mod column;
mod dialect;
mod expect;
mod mode;

pub use column::{Ambiguous, Column, DecimalMark, Empty, Negative, Thousands};
pub use dialect::{Counted, Dialect, Escapes, Format, Header, Ragged, Sum, Trailer, Trim, one_byte};
pub use expect::{Expect, Weekday};
pub use mode::{FullDump, Mode, Share};

use crate::digest::id_of;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use unbatch_api::config::{Period, Size};
use unbatch_object_files::{Compression, Layers, Limits, StoreConfig, TextEncoding};

/// Files with separated values that are dropped into a folder or an object store; each row of each file exactly once.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvDropsConfig {
    /// The folder: a path, a `file:` URL, `s3://bucket/folder/`, `gs://bucket/folder/` or `az://container/folder/`. A relative one
    /// starts at the folder of the pipeline file. Folders inside it are not looked into.
    pub url: String,
    /// How to reach the object store of `url`, and of baselines that lie in one. Default: by what the environment says; a folder needs
    /// nothing of it.
    #[serde(default, skip_serializing)]
    pub store: StoreConfig,
    /// Which files, as a glob over the whole file name: `prices_*.csv`. Names that begin with a dot are never read.
    #[serde(rename = "match")]
    pub pattern: String,
    /// When a file counts as completely written.
    #[serde(default)]
    pub ready_when: ReadyWhen,
    /// What happens to a file once its rows are committed: `keep`, `delete` or `{move_to: URL}`. A parked file always stays
    /// where it is.
    #[serde(default)]
    pub after: After,
    /// How the files are packed: `auto` goes by the ending of the name (`.gz`, `.zst`, `.bz2`, `.xz`, `.zip`), and the first bytes must
    /// agree.
    #[serde(default)]
    pub compression: Compression,
    /// Which file of a zip archive, as a glob over its whole name, where `*` also takes slashes. Default: the only one that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// How the files are written.
    #[serde(default)]
    pub dialect: Dialect,
    /// Types of columns. What is not declared here is text, never guessed. Every declared column must be in the file.
    #[serde(default)]
    pub columns: Vec<Column>,
    /// Whether a file adds rows (`append`) or is the whole table as it stands (`full_dump`).
    #[serde(default)]
    pub mode: Mode,
    /// What a file that cannot be read to its end does: `park` sets it aside as failed and goes on with the next one;
    /// `stop` stops the pipeline.
    #[serde(default)]
    pub on_bad_file: OnBadFile,
    /// What happens to a file that is delivered again under the same name with the same content.
    #[serde(default)]
    pub redelivered: Redelivered,
    /// What makes two deliveries under one name the same: their `content`, or nothing (`delivery`: a new modification time is
    /// a new file, whatever is in it).
    #[serde(default)]
    pub identity: Identity,
    /// What happens when a file grows after it was read to its end: an `alarm` in status, or `continue` with what was
    /// appended, when the old content is a prefix of the new and ended with a line break.
    #[serde(default)]
    pub on_growth: OnGrowth,
    /// By when files must have come each day; late, missing, empty and duplicate ones are told in status and metrics, and nothing waits for
    /// them. Default: nothing is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// In which order files that are ready are read: by `name`, or `none` (as the file system lists them). One file at a time
    /// is read in a split either way.
    #[serde(default)]
    pub order: FileOrder,
    /// Into how many splits the files are shared, by a hash of their names. Fixed at the first start.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 128))]
    pub splits: u32,
    /// How often the folder is listed. Default: `250ms`, and `10s` in an object store, where each listing is a request that is paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Period>,
    /// Longest record, in bytes. A file with a longer one is parked: as a rule a quote is missing.
    #[serde(default = "record_default")]
    pub record_max: Size,
    /// Longest field, in bytes. A row with a longer one is rejected.
    #[serde(default = "record_default")]
    pub field_max: Size,
    /// Most line breaks in a quoted field. A file with a longer one is parked: as a rule a quote is missing, and good rows are
    /// inside.
    #[serde(default = "lines_default")]
    #[schemars(range(min = 1))]
    pub field_lines_max: u32,
    /// Most columns. A file with more is parked: as a rule it is another kind of file. A column costs about 0.5 KB in each of
    /// the four batches that may be in memory.
    #[serde(default = "columns_default")]
    #[schemars(range(min = 1))]
    pub columns_max: u32,
    /// Most bytes that a compressed file may become, so that a small one cannot fill a topic. A file with more is parked.
    #[serde(default = "decompressed_default")]
    pub decompressed_max: Size,
}

/// When a file counts as completely written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadyWhen {
    /// Size and modification time did not change for this long, by our own clock. A guess: a writer may pause for longer.
    /// Prefer writers that rename complete files into the folder, or a marker. In an object store a file is whole as soon as it is
    /// there, and nothing is waited for.
    StableFor(
        /// How long size and modification time must not have changed: `5s`. A guess about the writer.
        Period,
    ),
    /// A second file named like the first plus this ending is there and is not older: `prices.csv` with `prices.csv.done`.
    Marker(
        /// What the marker's name has more than the file's: `.done`.
        String,
    ),
}

impl Default for ReadyWhen {
    fn default() -> Self {
        ReadyWhen::StableFor(Period(Duration::from_secs(1)))
    }
}

/// What happens to a file once its rows are committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// It stays. Nothing is ever written into the folder.
    #[default]
    Keep,
    /// It is deleted.
    Delete,
    /// It is moved into this folder, under a name that carries pipeline and digest; nothing there is ever overwritten.
    MoveTo(
        /// The folder: a path or a URL, a relative one from the folder of the pipeline file. Not the folder of `url`, and of the
        /// same kind: a folder for a folder, the same bucket for a bucket.
        String,
    ),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBadFile {
    /// Set it aside as failed with the reason; the next files go on.
    #[default]
    Park,
    /// Stop the pipeline.
    Stop,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Redelivered {
    /// It is not read again; status shows a duplicate.
    #[default]
    Skip,
    /// It is read again, whole.
    Load,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// Name and content.
    #[default]
    Content,
    /// Name, size and modification time.
    Delivery,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnGrowth {
    /// Say so in status; the appended rows are not read.
    #[default]
    Alarm,
    /// Read what was appended.
    Continue,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileOrder {
    /// By name; a file that is ready waits a bounded while for one with a smaller name that is still being written.
    #[default]
    Name,
    /// As the file system lists them.
    None,
}

impl CsvDropsConfig {
    /// How often the folder is listed; `is_local`: it is one of the file system.
    pub fn poll(&self, is_local: bool) -> Duration {
        let default = if is_local { Duration::from_millis(250) } else { Duration::from_secs(10) };
        self.poll.map_or(default, |period| period.0)
    }

    /// How files are packed and written.
    pub fn layers(&self) -> Layers {
        let limits = Limits { decoded_bytes_max: self.decompressed_max.0, ..Limits::default() };
        // what is no encoding does not get past `validate`
        let encoding = TextEncoding::parse(&self.dialect.encoding).unwrap_or_default();
        Layers { compression: self.compression, entry: self.entry.clone(), encoding, limits }
    }

    /// Names the way from files to text where it is not that of plain UTF-8, so that texts of two ways are not compared.
    pub fn way_to_text(&self) -> Option<String> {
        let encoding = self.layers().encoding;
        let is_usual = encoding.is_utf8() && self.entry.is_none() && self.compression == Compression::Auto;
        let entry = self.entry.as_deref().unwrap_or_default();
        (!is_usual)
            .then(|| id_of(&[encoding.name().as_bytes(), self.compression.as_str().as_bytes(), entry.as_bytes()], 8))
    }

    /// Symbolic links are read only where files are kept: moving one would move the link and not the file.
    pub fn follows_links(&self) -> bool {
        self.after == After::Keep
    }

    /// The same for the text of one row that was refused, its header in front: nothing else of its file is there.
    pub fn of_one_row(&self) -> Self {
        let mut one = self.clone();
        (one.dialect.skip, one.dialect.trailer, one.dialect.comment) = (0, None, None);
        one
    }

    /// The same for rows that are written as steps and sinks have them: separated by commas, each value in its plain notation.
    pub fn in_plain_notation(&self) -> Self {
        let mut plain = self.clone();
        plain.dialect = Dialect { header: self.dialect.header, ..Dialect::default() };
        plain.columns.iter_mut().for_each(Column::make_plain);
        plain
    }
}

fn one() -> u32 {
    1
}
fn record_default() -> Size {
    Size(16 << 20)
}
fn lines_default() -> u32 {
    1_000
}
fn decompressed_default() -> Size {
    Size(1 << 40)
}
fn columns_default() -> u32 {
    16_384
}
