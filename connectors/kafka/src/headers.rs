//! What a record says about its row besides key and value, in two headers: `u`, which epoch it belongs to (rule K5), and `meta`,
//! one JSON object with all the rest.
//!
//! One object and not a header for each word: librdkafka allocates, copies and frames every header of every record on its own,
//! and six of them cost as much CPU as the record (decision record 7).

use crate::config::HeaderSet;
use crate::record::{RowText, write_text, write_timestamp_utc};
use std::ffi::CStr;
use std::fmt::Write;
use unbatch_api::arrow::array::{Array, AsArray, PrimitiveArray};
use unbatch_api::arrow::datatypes::TimestampMicrosecondType;
use unbatch_api::{Batch, Error, Op, OriginColumns, Result};

/// Mark of the epoch: `generation.split.seq`.
pub(crate) const EPOCH: &CStr = c"u";
/// The same, for readers.
pub(crate) const EPOCH_NAME: &str = "u";

impl HeaderSet {
    /// The header beside `u`; a record has it when there is something to say.
    pub(crate) fn row_header(self) -> &'static CStr {
        match self {
            Self::Full => c"meta",
            Self::Minimal => c"unchanged",
        }
    }
}

/// Writes the row header for the rows of one batch.
pub(crate) struct RowHeader<'a> {
    set: HeaderSet,
    origin: &'a OriginColumns,
    source_time: Option<&'a PrimitiveArray<TimestampMicrosecondType>>,
    /// `stock.csv:`, escaped, where rows come from a file: it is the same for all of them.
    file: Vec<u8>,
    /// ` r3","schema":"…"`
    rest: Vec<u8>,
    scratch: String,
}

impl<'a> RowHeader<'a> {
    pub fn new(batch: &'a Batch, set: HeaderSet) -> Result<Self> {
        let mut file = Vec::new();
        if let OriginColumns::File { file: name, .. } = &batch.origin.rows {
            write_text(name, &mut file);
            // without the quote at its end: the line follows
            file.pop();
            file.push(b':');
        }
        let mut rest = format!(" r{}\",\"schema\":", batch.origin.revision).into_bytes();
        write_text(batch.schema.id().as_str(), &mut rest);
        Ok(Self {
            set,
            origin: &batch.origin.rows,
            source_time: source_time(batch)?,
            file,
            rest,
            scratch: String::new(),
        })
    }

    /// Writes the header of a row, nothing when there is none. `unchanged` are the columns that the source did not send.
    pub fn write(&mut self, row: usize, op: Op, text: &RowText<'_>, unchanged: &[usize], out: &mut Vec<u8>) {
        if self.set == HeaderSet::Minimal {
            if !unchanged.is_empty() {
                text.names(unchanged, out);
            }
            return;
        }
        out.extend_from_slice(b"{\"op\":\"");
        out.extend_from_slice(op.letter().as_bytes());
        out.extend_from_slice(b"\",\"origin\":");
        self.write_origin(row, out);
        if let Some(times) = self.source_time
            && times.is_valid(row)
        {
            out.extend_from_slice(b",\"src_ts\":\"");
            write_timestamp_utc(times.value(row), out);
            out.push(b'"');
        }
        if let OriginColumns::Log { xid, ordinal, .. } = self.origin {
            self.scratch.clear();
            let _ = write!(self.scratch, ",\"tx\":\"{}:{}\"", xid[row], ordinal[row]);
            out.extend_from_slice(self.scratch.as_bytes());
        }
        if !unchanged.is_empty() {
            out.extend_from_slice(b",\"unchanged\":");
            text.names(unchanged, out);
        }
        out.push(b'}');
    }

    /// `"stock.csv:17 r3","schema":"…"`: where the row came from, with the configuration's revision, and its shape.
    fn write_origin(&mut self, row: usize, out: &mut Vec<u8>) {
        if let OriginColumns::File { lines, .. } = self.origin {
            out.extend_from_slice(&self.file);
            out.extend_from_slice(itoa::Buffer::new().format(lines[row]).as_bytes());
        } else {
            self.scratch.clear();
            let _ = write!(self.scratch, "{}", self.origin.row(row));
            write_text(&self.scratch, out);
            out.pop();
        }
        out.extend_from_slice(&self.rest);
    }
}

/// Commit times at the source.
fn source_time(batch: &Batch) -> Result<Option<&PrimitiveArray<TimestampMicrosecondType>>> {
    let Some(times) = &batch.source_time else { return Ok(None) };
    match times.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(times) => Ok(Some(times)),
        None => Err(Error::bug("reading the source times of a batch failed")
            .code("U0278")
            .with("type", times.data_type())
            .with("stream", &batch.stream)),
    }
}
