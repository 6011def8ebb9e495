//! Rows of an epoch as bytes: one buffer for all records of a batch, no allocation for a row.

use crate::config::HeaderSet;
use crate::destination::Destination;
use crate::headers::RowHeader;
use crate::record::{RowEncoder, RowText};
use std::sync::Arc;
use unbatch_api::names::murmur2;
use unbatch_api::quarantine::RAW_BYTES_MAX;
use unbatch_api::{Batch, Error, Op, Ops, RawRow, RejectedRow, Result, Stage, failpoint};

/// The records of one batch, in order, and what all of them have in common.
pub(crate) struct Chunk {
    pub destination: Arc<Destination>,
    pub bytes: Vec<u8>,
    pub spans: Vec<Span>,
    pub headers: HeaderSet,
    /// Header `u` of all of them.
    pub epoch: Arc<str>,
}

/// Where a record's pieces end in the buffer of its chunk; it begins where the one before ended.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    ends: [u32; PIECES],
    pub partition: i32,
    pub has_key: bool,
    pub tombstone: bool,
}

const PIECES: usize = 3;

/// A record's pieces. Where the row header is empty the record has none.
pub(crate) struct Pieces<'a> {
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub row_header: &'a [u8],
}

impl Chunk {
    /// The pieces of record `index`.
    pub fn pieces(&self, index: usize) -> Pieces<'_> {
        let start = index.checked_sub(1).map_or(0, |before| self.spans[before].ends[PIECES - 1]);
        let mut from = start as usize;
        let mut piece = |end: u32| {
            let bytes = &self.bytes[from..end as usize];
            from = end as usize;
            bytes
        };
        let ends = &self.spans[index].ends;
        Pieces { key: piece(ends[0]), value: piece(ends[1]), row_header: piece(ends[2]) }
    }

    /// Memory that it holds.
    pub fn memory(&self) -> usize {
        self.bytes.len() + self.spans.len() * size_of::<Span>()
    }
}

/// What a batch became.
pub(crate) struct Encoded {
    pub chunk: Chunk,
    pub rejected: Vec<RejectedRow>,
    /// Rows whose effect is in the chunk.
    pub written: u64,
}

/// Writes the rows of a batch. `turn` chooses the partition of records without a key.
pub(crate) fn encode(
    batch: &Batch,
    encoder: &RowEncoder,
    destination: &Arc<Destination>,
    (headers, epoch): (HeaderSet, Arc<str>),
    turn: u32,
) -> Result<Encoded> {
    let columns = RowEncoder::columns(&batch.rows)?;
    let old_columns = batch.before.as_ref().map(RowEncoder::columns).transpose()?;
    let old_text = match &old_columns {
        Some(columns) => Some((encoder.open(&batch.schema, columns, batch.before_marks.as_ref())?, columns)),
        None => None,
    };
    let rows = batch.rows.num_rows();
    let mut encoding = Encoding {
        text: encoder.open(&batch.schema, &columns, batch.marks.as_ref())?,
        encoder,
        batch,
        header: RowHeader::new(batch, headers)?,
        chunk: Chunk {
            destination: destination.clone(),
            bytes: Vec::with_capacity(rows * 256),
            spans: Vec::with_capacity(rows),
            headers,
            epoch,
        },
        rejected: Vec::new(),
        old_key: Vec::new(),
        unchanged: Vec::new(),
        turn,
    };
    let mut written = 0;
    for row in 0..rows {
        let before = (encoding.chunk.bytes.len(), encoding.chunk.spans.len());
        match encoding.row(row, old_text.as_ref().map(|(text, columns)| (text, columns.as_slice())))? {
            None => written += 1,
            Some(refused) => {
                encoding.reject(row, before.0, refused);
                encoding.chunk.bytes.truncate(before.0);
                encoding.chunk.spans.truncate(before.1);
            }
        }
    }
    Ok(Encoded { chunk: encoding.chunk, rejected: encoding.rejected, written })
}

/// Why a row cannot become a record.
enum Refused {
    TooLarge { bytes: usize },
    DeleteWithoutKey,
    KeyNotSent,
}

struct Encoding<'a> {
    text: RowText<'a>,
    encoder: &'a RowEncoder,
    batch: &'a Batch,
    header: RowHeader<'a>,
    chunk: Chunk,
    rejected: Vec<RejectedRow>,
    old_key: Vec<u8>,
    unchanged: Vec<usize>,
    turn: u32,
}

impl Encoding<'_> {
    /// Writes the records of a row: one, or two when its key changed.
    fn row(
        &mut self,
        row: usize,
        old: Option<(&RowText<'_>, &[unbatch_api::arrow::array::ArrayRef])>,
    ) -> Result<Option<Refused>> {
        let op = self.batch.ops.at(row);
        if op == Op::Delete && !self.encoder.has_key() {
            return Ok(Some(Refused::DeleteWithoutKey));
        }
        if let Some((old_text, old_columns)) = old
            && op == Op::Update
            && self.encoder.has_key()
            && !old_text.has_no_key(row, old_columns)
        {
            self.old_key.clear();
            if old_text.key(row, &mut self.old_key).is_err() {
                return Ok(Some(Refused::KeyNotSent));
            }
            if let Some(refused) = self.forget_old_key(row)? {
                return Ok(Some(refused));
            }
        }
        self.record(row, op)
    }

    /// The record with the new key does not replace the one with the old key: that one needs a tombstone of its own.
    fn forget_old_key(&mut self, row: usize) -> Result<Option<Refused>> {
        let start = self.chunk.bytes.len();
        if self.text.key(row, &mut self.chunk.bytes).is_err() {
            return Ok(Some(Refused::KeyNotSent));
        }
        let moved = self.chunk.bytes[start..] != self.old_key[..];
        self.chunk.bytes.truncate(start);
        if !moved {
            return Ok(None);
        }
        self.chunk.bytes.extend_from_slice(&self.old_key);
        let key_end = self.chunk.bytes.len();
        let partition = self.partition(row, start, key_end);
        Ok(self.finish(row, Op::Delete, start, [key_end, key_end], partition))
    }

    fn record(&mut self, row: usize, op: Op) -> Result<Option<Refused>> {
        let start = self.chunk.bytes.len();
        if self.encoder.has_key() && self.text.key(row, &mut self.chunk.bytes).is_err() {
            return Ok(Some(Refused::KeyNotSent));
        }
        let key_end = self.chunk.bytes.len();
        let partition = self.partition(row, start, key_end);
        self.unchanged.clear();
        if op != Op::Delete {
            self.text.value(row, &mut self.chunk.bytes, &mut self.unchanged);
        }
        let value_end = self.chunk.bytes.len();
        if value_end > u32::MAX as usize / 2 {
            return Err(Error::bug("encoding a batch failed").code("U0278").with("bytes", value_end));
        }
        Ok(self.finish(row, op, start, [key_end, value_end], partition))
    }

    /// As Java's default partitioner: `(murmur2(key) & 0x7fffffff) % partitions`; without a key all of a batch together.
    fn partition(&mut self, row: usize, key_start: usize, key_end: usize) -> i32 {
        let partitions = self.chunk.destination.partitions;
        let bytes = &mut self.chunk.bytes;
        let hash = if self.encoder.has_partition_columns() {
            let from = bytes.len();
            // A column that was not sent leaves the name behind: the same for all, as good as any.
            let _ = self.text.partition_columns(row, bytes);
            let hash = murmur2(&bytes[from..]);
            bytes.truncate(from);
            hash
        } else if key_end > key_start {
            murmur2(&bytes[key_start..key_end])
        } else {
            self.turn
        };
        ((hash & 0x7fff_ffff) % partitions) as i32
    }

    /// Adds the headers and closes the record, or says that it is too large (rule K8).
    fn finish(&mut self, row: usize, op: Op, start: usize, ends: [usize; 2], partition: i32) -> Option<Refused> {
        let out = &mut self.chunk.bytes;
        let unchanged = if op == Op::Delete { &[] } else { self.unchanged.as_slice() };
        self.header.write(row, op, &self.text, unchanged, out);
        self.chunk.spans.push(Span {
            ends: [ends[0] as u32, ends[1] as u32, out.len() as u32],
            partition,
            has_key: self.encoder.has_key(),
            tombstone: op == Op::Delete,
        });
        let bytes = out.len() - start + self.chunk.epoch.len();
        let too_large = bytes + RECORD_OVERHEAD > self.chunk.destination.record_bytes_max;
        (too_large && !failpoint::sabotaged("K8")).then_some(Refused::TooLarge { bytes })
    }

    fn reject(&mut self, row: usize, start: usize, refused: Refused) {
        let (code, message) = match refused {
            Refused::TooLarge { bytes } => {
                let most = self.chunk.destination.record_bytes_max;
                let topic = &self.chunk.destination.name;
                ("too_large", format!("the record has {bytes} bytes, topic {topic} takes {most}"))
            }
            Refused::DeleteWithoutKey => {
                ("delete_without_key", "a row without key columns was deleted; a tombstone needs a key".to_owned())
            }
            Refused::KeyNotSent => ("key_not_sent", "the source did not send a key column of this change".to_owned()),
        };
        // The row as it stood: encoded again without its headers, since a refused row may not have come that far.
        self.chunk.bytes.truncate(start);
        self.unchanged.clear();
        self.text.value(row, &mut self.chunk.bytes, &mut self.unchanged);
        self.rejected.push(RejectedRow {
            code: code.into(),
            message,
            stage: Stage::Sink,
            stream: self.batch.stream.clone(),
            origin: self.batch.origin.rows.row(row),
            raw: row_as_it_stood(&self.chunk.bytes[start..]),
        });
    }
}

/// The row as JSON, or the beginning of it when it is too large to keep.
fn row_as_it_stood(json: &[u8]) -> RawRow {
    // looked at first: parsing a row of a hundred thousand columns takes longer than all else together
    let whole = (json.len() <= RAW_BYTES_MAX).then(|| serde_json::from_slice(json).ok()).flatten();
    whole.map_or_else(|| RawRow::of(json.to_vec()), RawRow::Row)
}

/// More than Kafka adds to a record that is alone in its batch: 61 bytes of batch header, lengths and offsets of the record,
/// lengths and names of its headers (message format v2).
const RECORD_OVERHEAD: usize = 61 + 40 + 2 * 20;

/// Whether the batch empties its stream.
pub(crate) fn is_truncate(batch: &Batch) -> bool {
    matches!(batch.ops, Ops::Truncate)
}
