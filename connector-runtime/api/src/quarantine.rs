//! Rows that were refused: why, where they came from, and the row itself, kept in the same atomic step as everything else.

use crate::error::Result;
use crate::names::{PipelineName, SplitId, StreamName};
use crate::origin::RowOrigin;
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// More raw bytes than this are cut, with the length and digest of the whole.
pub const RAW_BYTES_MAX: usize = 256 * 1024;

/// Who refused the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Source,
    Step,
    Sink,
}

/// A row on its way to quarantine. `message` says what was expected, never the value itself.
#[derive(Clone, Debug)]
pub struct RejectedRow {
    /// Stable word to group by: `bad_decimal`, `too_few_fields`.
    pub code: Cow<'static, str>,
    pub message: String,
    pub stage: Stage,
    pub stream: StreamName,
    pub origin: RowOrigin,
    pub raw: RawRow,
}

/// The row as it arrived, or as it stood when it was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawRow {
    /// All its bytes.
    Bytes(Bytes),
    /// The first bytes of a row that is too large to keep.
    Cut { head: Bytes, length: u64, sha256: String },
    /// A row that never was bytes or no longer is: a JSON object of its columns.
    Row(serde_json::Value),
}

impl RawRow {
    /// Keeps `bytes`, cut at [`RAW_BYTES_MAX`].
    pub fn of(bytes: impl Into<Bytes>) -> Self {
        let bytes: Bytes = bytes.into();
        if bytes.len() <= RAW_BYTES_MAX {
            return RawRow::Bytes(bytes);
        }
        let sha256 = hex(&Sha256::digest(&bytes));
        RawRow::Cut { head: Bytes::copy_from_slice(&bytes[..RAW_BYTES_MAX]), length: bytes.len() as u64, sha256 }
    }
}

impl RejectedRow {
    /// Memory that it holds, in bytes.
    pub fn bytes(&self) -> usize {
        let raw = match &self.raw {
            RawRow::Bytes(b) | RawRow::Cut { head: b, .. } => b.len(),
            // an estimate: the text of the row as JSON
            RawRow::Row(value) => value.to_string().len(),
        };
        raw + self.message.len() + 128
    }
    /// The entry that the sink stores: of which split, and under which revision of its configuration it was refused.
    pub fn into_entry(self, split: &SplitId, revision: u64) -> QuarantineEntry {
        QuarantineEntry {
            id: entry_id(split, &self.origin, self.stage),
            split: split.to_string(),
            code: self.code.into_owned(),
            message: self.message,
            stage: self.stage,
            stream: self.stream,
            origin: self.origin,
            revision,
            raw: self.raw,
            generation: 0,
            refused_at: None,
            replayed: None,
            settled: None,
        }
    }
}

/// A stored rejected row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineEntry {
    /// Hash of split, origin and stage: the same row refused again at the same place is the same entry, and a row of another
    /// delivery or of another pipeline is another one.
    pub id: String,
    /// `<pipeline>/<index>`.
    pub split: String,
    pub code: String,
    pub message: String,
    pub stage: Stage,
    pub stream: StreamName,
    pub origin: RowOrigin,
    pub revision: u64,
    pub raw: RawRow,
    /// Generation of the split's state when the row was refused, which the sink fills in; 0: not known. Positions that were reset or
    /// moved by hand raise it, and the row may have come again since.
    pub generation: u64,
    /// When the row was refused, milliseconds since 1970; `None` until a sink has stored the entry, and where it keeps no time.
    pub refused_at: Option<i64>,
    /// Revision of the configuration under which the row went through later, or the input that was set aside was done with;
    /// `None`: it still waits. A row that is refused again at the same place waits again.
    pub replayed: Option<u64>,
    /// With `replayed`: a person was done with the entry, and no row of it was written.
    pub settled: Option<Settlement>,
}

/// How an entry was done with by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// What the person said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

fn entry_id(split: &SplitId, origin: &RowOrigin, stage: Stage) -> String {
    let text = serde_json::json!([split.to_string(), origin, stage]).to_string();
    hex(&Sha256::digest(text.as_bytes())[..12])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The serialised form, version 1: raw bytes as text where they are UTF-8, else base16 under `raw_hex`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryV1 {
    v: u32,
    id: String,
    split: String,
    code: String,
    message: String,
    stage: Stage,
    stream: StreamName,
    origin: RowOrigin,
    revision: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw_hex: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut: Option<CutV1>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    row: Option<serde_json::Value>,
    #[serde(default)]
    generation: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replayed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settled: Option<Settlement>,
}

#[derive(Serialize, Deserialize)]
struct CutV1 {
    length: u64,
    sha256: String,
}

impl QuarantineEntry {
    /// Pipelines may share the place where their entries are kept.
    pub fn is_of(&self, pipeline: &PipelineName) -> bool {
        self.split.rsplit_once('/').is_some_and(|(name, _)| name == pipeline.as_str())
    }

    pub fn to_json(&self) -> serde_json::Value {
        let (mut raw, mut raw_hex, mut cut, mut row) = (None, None, None, None);
        let mut keep = |bytes: &Bytes| match std::str::from_utf8(bytes) {
            Ok(text) => raw = Some(text.to_owned()),
            Err(_) => raw_hex = Some(hex(bytes)),
        };
        match &self.raw {
            RawRow::Bytes(bytes) => keep(bytes),
            RawRow::Cut { head, length, sha256 } => {
                keep(head);
                cut = Some(CutV1 { length: *length, sha256: sha256.clone() });
            }
            RawRow::Row(value) => row = Some(value.clone()),
        }
        let entry = EntryV1 {
            v: 1,
            id: self.id.clone(),
            split: self.split.clone(),
            code: self.code.clone(),
            message: self.message.clone(),
            stage: self.stage,
            stream: self.stream.clone(),
            origin: self.origin.clone(),
            revision: self.revision,
            raw,
            raw_hex,
            cut,
            row,
            generation: self.generation,
            refused_at: self.refused_at,
            replayed: self.replayed,
            settled: self.settled.clone(),
        };
        serde_json::json!(entry)
    }

    pub fn from_json(text: &[u8]) -> Result<Self, String> {
        // serde's own words would quote what stands there
        let wrong = |e: serde_json::Error| match e.is_data() {
            true => format!("not the fields of an entry, at character {}", e.column()),
            false => format!("not JSON from character {} on", e.column()),
        };
        let e: EntryV1 = serde_json::from_slice(text).map_err(wrong)?;
        if e.v != 1 {
            return Err(format!("entry of version {}, this build reads version 1", e.v));
        }
        let bytes = match (e.raw, e.raw_hex) {
            (Some(text), _) => Some(Bytes::from(text)),
            (None, Some(hex)) => Some(unhex(&hex).ok_or("raw_hex is not base16")?),
            (None, None) => None,
        };
        let raw = match (bytes, e.cut, e.row) {
            (Some(head), Some(cut), _) => RawRow::Cut { head, length: cut.length, sha256: cut.sha256 },
            (Some(bytes), None, _) => RawRow::Bytes(bytes),
            (None, _, Some(row)) => RawRow::Row(row),
            (None, _, None) => return Err("entry has neither raw bytes nor a row".into()),
        };
        Ok(Self {
            id: e.id,
            split: e.split,
            code: e.code,
            message: e.message,
            stage: e.stage,
            stream: e.stream,
            origin: e.origin,
            revision: e.revision,
            raw,
            generation: e.generation,
            refused_at: e.refused_at,
            replayed: e.replayed,
            settled: e.settled,
        })
    }
}

fn unhex(text: &str) -> Option<Bytes> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok())
        .collect::<Option<Vec<u8>>>()
        .map(Bytes::from)
}

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct QuarantineFilter {
    pub code: Option<String>,
    /// Ids, or their beginnings.
    pub ids: Option<Vec<String>>,
    /// Also entries whose rows went through later, or that were settled.
    pub with_replayed: bool,
}

/// A cell of a refused row that is to be read as something else: `--set price=12.00`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub column: String,
    /// As it would stand in the source; empty is what the source takes an empty field for.
    pub text: String,
}

/// A cell of a refused row as it stands in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawCell {
    pub column: String,
    /// `None`: the field is empty, as the source writes null.
    pub text: Option<String>,
}

/// Makes new cells out of those of a refused row: `--patch "price = replace(price, 'O', '0')"`.
pub trait Mend: std::fmt::Debug + Send + Sync {
    /// Misconfigured when it does not fit the row, which then stays as it is.
    fn edits(&self, row: &[RawCell]) -> Result<Vec<Edit>>;
}

impl QuarantineFilter {
    pub fn matches(&self, entry: &QuarantineEntry) -> bool {
        (self.with_replayed || entry.replayed.is_none())
            && self.code.as_ref().is_none_or(|c| *c == entry.code)
            && self.has_id(&entry.id)
    }

    /// Whether an entry of this id is asked for, as far as the id tells.
    pub fn has_id(&self, id: &str) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.iter().any(|beginning| id.starts_with(beginning.as_str())))
    }
}

/// A page of entries; `next` goes into the following call and is `None` at the end.
#[derive(Debug, Default)]
pub struct QuarantinePage {
    pub entries: Vec<QuarantineEntry>,
    /// What stands where entries are kept, between this page's cursor and its end, and is none. It keeps nobody from the others:
    /// what it may have been an entry of counts as neither waiting nor replayed.
    pub unreadable: Vec<UnreadableEntry>,
    pub next: Option<String>,
}

/// Something in the quarantine that cannot be read as an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnreadableEntry {
    /// The id under which it stands.
    pub id: String,
    /// Where it stands, so that a person can look at it: `acme.prices.quarantine-0@17`.
    pub place: String,
    /// What `unbatch explain` says more about.
    pub code: &'static str,
    /// Why it cannot be read; never its content.
    pub reason: String,
}

/// Reads a pipeline's quarantine, wherever the sink keeps it; only committed entries, oldest first.
#[async_trait]
pub trait QuarantineReader: Send {
    /// Waits until all that was written before this call can be listed or is known never to come: a list that is to be acted
    /// upon must not miss a mark that stands behind somebody's open transaction. Transient when that takes too long.
    async fn catch_up(&mut self) -> Result<()>;

    /// Up to `limit` entries that match, after the cursor of an earlier page.
    async fn list(&mut self, filter: &QuarantineFilter, after: Option<&str>, limit: usize) -> Result<QuarantinePage>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rejected(raw: RawRow) -> RejectedRow {
        RejectedRow {
            code: "bad_decimal".into(),
            message: "column `price`: not a decimal(12,2)".into(),
            stage: Stage::Source,
            stream: StreamName::new("prices"),
            origin: RowOrigin::File { file: "a.csv".into(), delivery: "4f1c".into(), line: 7, byte: 311 },
            raw,
        }
    }

    fn split(pipeline: &str, index: u32) -> SplitId {
        SplitId::new(PipelineName::parse(pipeline).unwrap(), index)
    }

    proptest! {
        #[test]
        fn entries_round_trip_whatever_the_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let settled = bytes.len().is_multiple_of(2).then(|| Settlement { reason: Some("delivered anew".into()) });
            let entry = QuarantineEntry { settled, ..rejected(RawRow::of(bytes)).into_entry(&split("prices", 0), 3) };
            let text = entry.to_json().to_string();
            prop_assert_eq!(QuarantineEntry::from_json(text.as_bytes()).unwrap(), entry);
        }
    }

    #[test]
    fn a_large_row_is_cut_with_length_and_digest() {
        let RawRow::Cut { head, length, sha256 } = RawRow::of(vec![b'x'; RAW_BYTES_MAX + 5]) else {
            panic!("not cut");
        };
        assert_eq!((head.len(), length, sha256.len()), (RAW_BYTES_MAX, RAW_BYTES_MAX as u64 + 5, 64));
    }

    #[test]
    fn the_id_follows_split_origin_and_stage_only() {
        let place = split("prices", 0);
        let a = rejected(RawRow::of("x")).into_entry(&place, 1);
        let b = rejected(RawRow::of("y")).into_entry(&place, 2);
        assert_eq!(a.id, b.id);
        let mut other = rejected(RawRow::of("x"));
        other.stage = Stage::Sink;
        assert_ne!(a.id, other.into_entry(&place, 1).id);
        for elsewhere in [split("prices", 1), split("stock", 0)] {
            assert_ne!(a.id, rejected(RawRow::of("x")).into_entry(&elsewhere, 1).id, "{elsewhere}");
        }
        assert!(a.is_of(&place.pipeline) && !a.is_of(&split("price", 0).pipeline));
    }

    /// Tomorrow's file has the same name, and its rows stand on the same lines.
    #[test]
    fn the_same_line_of_another_delivery_is_another_entry() {
        let place = split("prices", 0);
        let mut tomorrow = rejected(RawRow::of("x"));
        tomorrow.origin = RowOrigin::File { file: "a.csv".into(), delivery: "9d20".into(), line: 7, byte: 311 };
        assert_eq!(tomorrow.origin.to_string(), rejected(RawRow::of("x")).origin.to_string());
        assert_ne!(tomorrow.into_entry(&place, 1).id, rejected(RawRow::of("x")).into_entry(&place, 1).id);
    }
}
