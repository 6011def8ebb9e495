//! Rows that are refused: in file order, with their place and their bytes, and the point where they are too many.

use crate::decode::{Faults, Layout};
use crate::position::Place;
use crate::scanner::{Block, RecordPlace, ShapeFault};
use bytes::{BufMut, Bytes, BytesMut};
use std::borrow::Cow;
use std::sync::Arc;
use unbatch_api::arrow::array::BooleanArray;
use unbatch_api::quarantine::RAW_BYTES_MAX;
use unbatch_api::{RawRow, RejectedRow, RowOrigin, Stage, StopAfter, StreamName};

/// A refused row before it has the names of its stream and file.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Number of the row in its file, from 1.
    pub row: u64,
    pub line: u64,
    pub byte: u64,
    pub code: &'static str,
    pub message: String,
    /// The header, when there is one, and the row; each ended as lines of the file are.
    pub raw: Bytes,
}

impl Refused {
    pub fn into_rejected(self, stream: &StreamName, file: &Arc<str>, delivery: &Arc<str>) -> RejectedRow {
        let (file, delivery) = (file.clone(), delivery.clone());
        RejectedRow {
            code: Cow::Borrowed(self.code),
            message: self.message,
            stage: Stage::Source,
            stream: stream.clone(),
            origin: RowOrigin::File { file, delivery, line: self.line, byte: self.byte },
            raw: RawRow::of(self.raw),
        }
    }
}

/// All refused rows of a block in file order: misshapen records and rows with a fault in a column. `data` begins at `start`.
pub fn in_order(block: &Block, data: &[u8], layout: &Layout, start: Place, faults: &Faults) -> Vec<Refused> {
    if block.misshapen.is_empty() && faults.0.is_empty() {
        return Vec::new();
    }
    let refuse = |row: u64, place: RecordPlace, code, message| Refused {
        row: start.row + row,
        line: place.line,
        byte: start.byte + u64::from(place.start),
        code,
        message,
        raw: raw(layout, &data[place.start as usize..place.end as usize]),
    };
    let mut refused = Vec::with_capacity(block.misshapen.len() + faults.0.len());
    let mut misshapen = block.misshapen.iter().enumerate().peekable();
    for (good, fault) in &faults.0 {
        while let Some((i, m)) = misshapen.next_if(|(_, m)| m.good_before <= *good) {
            let (code, message) = shape_text(m.fault, layout);
            refused.push(refuse((m.good_before + i + 1) as u64, m.place, code, message));
        }
        let before = block.misshapen.partition_point(|m| m.good_before <= *good);
        refused.push(refuse((good + before + 1) as u64, block.records[*good], fault.code, fault.message.clone()));
    }
    for (i, m) in misshapen {
        let (code, message) = shape_text(m.fault, layout);
        refused.push(refuse((m.good_before + i + 1) as u64, m.place, code, message));
    }
    refused
}

/// The row of the file at which rejected rows became too many, judged row by row so that it does not depend on the size of
/// blocks. `before` rows were read and `rejected_before` refused ahead of this block of `rows` rows.
pub fn first_passed(
    stop_after: &StopAfter,
    refused: &[Refused],
    before: u64,
    rows: u64,
    rejected_before: u64,
) -> Option<u64> {
    // it was too much before this block: the file was parked or stopped here, and nobody changed `stop_after` since
    if stop_after.is_passed(rejected_before, before) {
        return Some(before);
    }
    let at_refused = refused.iter().zip(rejected_before + 1..).map(|(r, rejected)| (r.row, rejected));
    // the percentage begins to count at this row, which may itself be good
    let threshold = StopAfter::PERCENT_ROWS_MIN;
    let up_to = refused.partition_point(|r| r.row <= threshold) as u64 + rejected_before;
    let at_threshold = (before < threshold && threshold <= before + rows).then_some((threshold, up_to));
    at_refused
        .chain(at_threshold)
        .filter(|(row, rejected)| stop_after.is_passed(*rejected, *row))
        .map(|(row, _)| row)
        .min()
}

/// The first refused row that is too large to be kept whole in quarantine. Its file is parked in front of it: with a part of its
/// bytes nobody could mend what may have been thousands of good rows behind a stray quote.
pub fn first_too_large(refused: &[Refused]) -> Option<&Refused> {
    refused.iter().find(|r| r.raw.len() > RAW_BYTES_MAX)
}

/// What of a block goes on: everything but the refused rows, up to the row where it was cut.
pub struct Kept {
    /// How many of the good records of the block count, refused ones among them.
    pub good: usize,
    /// `None`: all good records.
    pub mask: Option<BooleanArray>,
    pub lines: Vec<u64>,
    pub bytes: Vec<u64>,
    pub refused: Vec<Refused>,
    /// After the last row that counts, and where the next one begins; only meant when there was a cut.
    pub end: Place,
    pub next: Place,
}

impl Kept {
    /// `start` and `whole` are where the block begins and ends.
    pub fn new(
        block: &Block,
        faults: Faults,
        mut refused: Vec<Refused>,
        (start, whole): (Place, Place),
        cut: Option<u64>,
    ) -> Self {
        let good = match cut {
            None => block.records.len(),
            Some(row) => {
                refused.retain(|r| r.row <= row);
                // the records up to the cut, less the misshapen ones among them
                let rows = (row - start.row) as usize;
                let shaped = |m: usize| block.misshapen[m].good_before + m < rows;
                rows - (0..block.misshapen.len()).take_while(|m| shaped(*m)).count()
            }
        };
        let is_kept = |row: &usize| *row < good && !faults.0.contains_key(row);
        let mask = (good < block.records.len() || !faults.0.is_empty())
            .then(|| BooleanArray::from_iter((0..block.records.len()).map(|row| Some(is_kept(&row)))));
        let kept: Box<dyn Iterator<Item = &RecordPlace>> = match mask {
            None => Box::new(block.records.iter()),
            Some(_) => {
                Box::new(block.records.iter().enumerate().filter(|(row, _)| is_kept(row)).map(|(_, place)| place))
            }
        };
        let (lines, bytes) = kept.map(|p| (p.line, start.byte + u64::from(p.start))).unzip();
        let (end, next) = ends_of(block, start, whole, cut);
        Self { good, mask, lines, bytes, end, next, refused }
    }
}

/// Where the record of the cut ends, and where the one after it begins.
fn ends_of(block: &Block, start: Place, whole: Place, cut: Option<u64>) -> (Place, Place) {
    let Some(row) = cut else { return (start, start) };
    let places = block.records.iter().chain(block.misshapen.iter().map(|m| &m.place));
    let mut places: Vec<&RecordPlace> = places.collect();
    places.sort_by_key(|p| p.start);
    let at = |place: &RecordPlace, byte: u32| Place { row, line: place.line, byte: start.byte + u64::from(byte) };
    let kept = (row - start.row) as usize;
    let end = kept.checked_sub(1).and_then(|i| places.get(i)).map_or(start, |place| at(place, place.end));
    let next = places.get(kept).map_or(Place { row, ..whole }, |place| at(place, place.start));
    (end, next)
}

/// Header and row as a file of their own.
fn raw(layout: &Layout, record: &[u8]) -> Bytes {
    if layout.header.is_empty() {
        return Bytes::copy_from_slice(record);
    }
    let end = layout.line_end.text();
    let mut bytes = BytesMut::with_capacity(layout.header.len() + record.len() + 2 * end.len());
    for part in [&layout.header, end, record, end] {
        bytes.put_slice(part);
    }
    bytes.freeze()
}

fn shape_text(fault: ShapeFault, layout: &Layout) -> (&'static str, String) {
    let width = layout.width;
    let wanted = if layout.header.is_empty() { "the file has" } else { "the header has" };
    match fault {
        ShapeFault::TooFewFields(n) => ("too_few_fields", format!("{n} fields where {wanted} {width}")),
        ShapeFault::TooManyFields(n) => ("too_many_fields", format!("{n} fields where {wanted} {width}")),
        ShapeFault::BadQuote => {
            ("bad_quote", "something other than a delimiter or a line break follows a closing quote".into())
        }
        ShapeFault::BadEscape => ("bad_escape", "nothing follows the escape character at the end of the file".into()),
        ShapeFault::LineTooShort(n) => ("line_too_short", format!("{n} characters, fewer than a line has")),
        ShapeFault::LineTooLong(n) => ("line_too_long", format!("{n} characters, more than a line has")),
        ShapeFault::FieldTooLarge(field) => {
            let declared = layout.columns.iter().take(layout.declared).find(|c| c.field == field);
            let column = declared.map_or_else(|| format!("{}", field + 1), |c| format!("`{}`", c.name));
            ("field_too_large", format!("column {column}: longer than field_max"))
        }
    }
}
