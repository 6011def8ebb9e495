//! Finds records and fields in bytes, as RFC 4180 has them: quoted fields may hold delimiters, line breaks and doubled
//! quotes; records end with LF, CRLF or CR, the last one also with the end of the file.
//!
//! It looks at 64 bytes at a time for the four bytes that mean anything and touches no other byte. What it finds are
//! offsets into the caller's buffer, many records at once, so that columns can be decoded one after the other. What RFC 4180
//! does not have (escapes, comments, other line ends, longer delimiters) is read by `syntax`, into the same [`Block`].

mod needles;

use needles::find;
use std::ops::Range;

/// The bytes that mean something.
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    pub delimiter: u8,
    pub quote: u8,
}

/// Where a field stands in the buffer, and how it was written. Without the quotes around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    start: u32,
    /// Length in the low 30 bits, [`QUOTED`] and [`DOUBLED`] above.
    len: u32,
}

const QUOTED: u32 = 1 << 31;
const DOUBLED: u32 = 1 << 30;
const LEN: u32 = DOUBLED - 1;

impl Field {
    /// `is_escaped`: its content is another than its bytes.
    #[inline]
    pub fn new(start: usize, len: usize, is_quoted: bool, is_escaped: bool) -> Self {
        let flags = if is_quoted { QUOTED } else { 0 } | if is_escaped { DOUBLED } else { 0 };
        Field { start: start as u32, len: len as u32 | flags }
    }
    #[inline]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.start as usize + (self.len & LEN) as usize
    }
    /// Whether quotes stood around it; then it is never NULL.
    #[inline]
    pub fn is_quoted(self) -> bool {
        self.len & QUOTED != 0
    }
    /// Whether it holds doubled quotes that must become single ones, or escapes.
    #[inline]
    pub fn has_doubled_quotes(self) -> bool {
        self.len & DOUBLED != 0
    }
    #[inline]
    pub fn len(self) -> usize {
        (self.len & LEN) as usize
    }
}

/// A record as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    /// First byte and the byte after its last, without the line break.
    pub start: u32,
    pub end: u32,
    /// Physical line on which it begins, from 1.
    pub line: u64,
}

/// A record whose shape is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misshapen {
    pub place: RecordPlace,
    /// How many good records of the block stand before it.
    pub good_before: usize,
    pub fault: ShapeFault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeFault {
    TooFewFields(usize),
    TooManyFields(usize),
    /// Something other than a delimiter or a line break follows a closing quote.
    BadQuote,
    /// A field is longer than allowed; its number, from 0.
    FieldTooLarge(usize),
    /// An escape character is the last one of the file.
    BadEscape,
    /// A line of fixed-width columns has fewer or more characters than it should; how many.
    LineTooShort(usize),
    LineTooLong(usize),
}

/// Records found in one piece of a file. Reused from piece to piece.
#[derive(Debug, Default)]
pub struct Block {
    /// Fields of the good records, `width` each, without gaps.
    pub fields: Vec<Field>,
    pub records: Vec<RecordPlace>,
    pub misshapen: Vec<Misshapen>,
}

impl Block {
    pub fn clear(&mut self) {
        self.fields.clear();
        self.records.clear();
        self.misshapen.clear();
    }
    /// Records found, good and misshapen.
    pub fn len(&self) -> usize {
        self.records.len() + self.misshapen.len()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first record of which `is_it` holds, good or misshapen.
    pub fn find(&self, is_it: impl Fn(RecordPlace) -> bool) -> Option<RecordPlace> {
        let good = self.records.iter().copied().find(|place| is_it(*place));
        let odd = self.misshapen.iter().map(|m| m.place).find(|place| is_it(*place));
        good.into_iter().chain(odd).min_by_key(|place| place.start)
    }

    /// Forgets the record at `start` and those behind it; the good ones have `width` fields.
    pub fn cut(&mut self, start: u32, width: usize) {
        self.records.truncate(self.records.partition_point(|place| place.start < start));
        self.misshapen.truncate(self.misshapen.partition_point(|m| m.place.start < start));
        self.fields.truncate(self.records.len() * width);
    }

    /// Takes a record that is not simply right: filled up, or set aside.
    #[cold]
    pub fn settle(&mut self, odd: Odd, width: usize, pads: bool) {
        let found = self.fields.len() - odd.fields_before + odd.lost;
        let wanted = odd.fields_before + width;
        let fault = odd.fault.or_else(|| {
            let is_nothing = |field: &Field| field.len() == 0 && !field.is_quoted();
            if found < width && pads {
                self.fields.resize(wanted, Field::new(odd.place.end as usize, 0, false, false));
            } else if found > width && pads && odd.lost == 0 && self.fields[wanted..].iter().all(is_nothing) {
                self.fields.truncate(wanted);
            } else if found != width {
                let fault = if found < width { ShapeFault::TooFewFields } else { ShapeFault::TooManyFields };
                return Some(fault(found));
            }
            None
        });
        let Some(fault) = fault else { return self.records.push(odd.place) };
        self.fields.truncate(odd.fields_before);
        self.misshapen.push(Misshapen { place: odd.place, good_before: self.records.len(), fault });
    }
}

/// A record that may be misshapen.
#[derive(Clone, Copy, Debug)]
pub struct Odd {
    pub place: RecordPlace,
    /// Fields of the block before it.
    pub fields_before: usize,
    /// Fields that were counted and not kept.
    pub lost: usize,
    /// `None`: only the number of fields may be wrong.
    pub fault: Option<ShapeFault>,
}

/// How far a single record may go.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Fields of one record that are kept; how many more there are is only counted.
    pub fields_max: usize,
    /// Line breaks inside one quoted field.
    pub field_lines_max: u64,
    /// Rows with too few fields are filled up.
    pub pads: bool,
}

impl Bounds {
    pub const NONE: Bounds = Bounds { fields_max: usize::MAX, field_lines_max: u64::MAX, pads: false };
}

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Fields that each record must have; `None` takes what comes, for headers.
    pub width: Option<usize>,
    /// Most records.
    pub records_max: usize,
    /// Longest field.
    pub field_max: usize,
    /// The buffer ends where the file ends.
    pub at_end: bool,
}

/// How far a scan came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Bytes that whole records and blank lines took; the rest must be there again in the next call.
    pub used: usize,
    /// Physical lines in them.
    pub lines: u64,
    /// The file ended inside a quoted field. The unfinished record begins at `used`.
    pub open_quote: bool,
    /// A quoted field has more line breaks than it may. The record begins at `used`.
    pub swallows: bool,
    /// There may be more records in the buffer: the scan stopped at `records_max`.
    pub full: bool,
}

impl Scanned {
    /// So much was taken, and nothing is to be said of it.
    pub fn of(used: usize, lines: u64) -> Self {
        Scanned { used, lines, open_quote: false, swallows: false, full: false }
    }
}

/// Scans `data`, which begins at the start of a record on physical line `line`, into `block`.
pub fn scan(data: &[u8], line: u64, marks: Marks, wanted: Wanted, block: &mut Block) -> Scanned {
    scan_within(data, line, marks, wanted, Bounds::NONE, block)
}

/// The same, within bounds. Where quotes are ordinary characters, `marks` has the delimiter for both.
pub fn scan_within(data: &[u8], line: u64, marks: Marks, wanted: Wanted, bounds: Bounds, block: &mut Block) -> Scanned {
    block.clear();
    let mut run = Run::new(data, line, marks, wanted, bounds, block);
    let needles = [marks.delimiter, marks.quote, b'\n', b'\r'];
    let (chunks, tail) = data.as_chunks::<64>();
    let mut last = [0; 64];
    last[..tail.len()].copy_from_slice(tail);
    for (i, chunk) in chunks.iter().chain(std::iter::once(&last)).enumerate() {
        let mut mask = find(chunk, needles);
        if i == chunks.len() {
            // zeros after the end are nobody's delimiter, but a mask is cheap to trim
            mask &= (1u64 << tail.len()) - 1;
        }
        while mask != 0 {
            let at = i * 64 + mask.trailing_zeros() as usize;
            mask &= mask - 1;
            match run.meet(at) {
                Next::Go => {}
                Next::Stop => return run.scanned(false),
            }
        }
        if run.block.fields.len() - run.fields_before > bounds.fields_max {
            run.lose_fields();
        }
    }
    run.finish()
}

/// The content of `field`, its doubled quotes made single in `scratch` when it has any.
#[inline]
pub fn content<'a>(data: &'a [u8], field: Field, quote: u8, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    let raw = &data[field.range()];
    if !field.has_doubled_quotes() {
        return raw;
    }
    scratch.clear();
    let mut rest = raw;
    while let Some(at) = memchr::memchr(quote, rest) {
        scratch.extend_from_slice(&rest[..=at]);
        rest = &rest[(at + 2).min(rest.len())..];
    }
    scratch.extend_from_slice(rest);
    scratch
}

enum Next {
    Go,
    Stop,
}

/// The state of one scan.
struct Run<'a> {
    data: &'a [u8],
    marks: Marks,
    wanted: Wanted,
    bounds: Bounds,
    block: &'a mut Block,
    /// Bytes before this one were consumed as the second half of a pair (CRLF, doubled quote).
    skip_to: usize,
    in_quotes: bool,
    /// Position after the closing quote of the present field; 0: none yet.
    closed_at: usize,
    field_start: usize,
    doubled: bool,
    bad_quote: bool,
    too_large: Option<usize>,
    /// Fields of the present record that were counted and not kept.
    lost: usize,
    /// Physical line of the quote that is open.
    quote_line: u64,
    swallows: bool,
    /// Fields of `block.fields` before the present record.
    fields_before: usize,
    record_start: usize,
    record_line: u64,
    line: u64,
    first_line: u64,
}

impl<'a> Run<'a> {
    fn new(data: &'a [u8], line: u64, marks: Marks, wanted: Wanted, bounds: Bounds, block: &'a mut Block) -> Self {
        Run {
            data,
            marks,
            wanted,
            bounds,
            block,
            skip_to: 0,
            in_quotes: false,
            closed_at: 0,
            field_start: 0,
            doubled: false,
            bad_quote: false,
            too_large: None,
            lost: 0,
            quote_line: line,
            swallows: false,
            fields_before: 0,
            record_start: 0,
            record_line: line,
            line,
            first_line: line,
        }
    }

    #[inline]
    fn meet(&mut self, at: usize) -> Next {
        if at < self.skip_to {
            return Next::Go;
        }
        let byte = self.data[at];
        if self.in_quotes {
            return self.meet_quoted(at, byte);
        }
        if byte == self.marks.delimiter {
            self.end_field(at);
            self.field_start = at + 1;
            return Next::Go;
        }
        if byte == self.marks.quote {
            // a quote that is not the first byte of a field is an ordinary character (5" pipe)
            self.in_quotes = at == self.field_start;
            self.quote_line = self.line;
            return Next::Go;
        }
        let mut next = at + 1;
        if byte == b'\r' {
            match self.data.get(next) {
                Some(b'\n') => next += 1,
                Some(_) => {}
                // the LF that belongs to it may come with the next piece
                None if self.wanted.at_end => {}
                None => return Next::Stop,
            }
        }
        self.skip_to = next;
        self.line += 1;
        self.end_record(at, next);
        if self.block.len() >= self.wanted.records_max { Next::Stop } else { Next::Go }
    }

    fn meet_quoted(&mut self, at: usize, byte: u8) -> Next {
        let after = self.data.get(at + 1).copied();
        if byte == self.marks.quote {
            match after {
                Some(b) if b == self.marks.quote => {
                    self.doubled = true;
                    self.skip_to = at + 2;
                }
                None if !self.wanted.at_end => return Next::Stop,
                _ => {
                    self.in_quotes = false;
                    self.closed_at = at + 1;
                }
            }
        } else if byte == b'\n' || (byte == b'\r' && after != Some(b'\n')) {
            self.line += 1;
            if self.line - self.quote_line > self.bounds.field_lines_max {
                self.swallows = true;
                return Next::Stop;
            }
        }
        Next::Go
    }

    #[inline]
    fn end_field(&mut self, at: usize) {
        let (mut start, mut len, mut flags) = (self.field_start, at - self.field_start, 0);
        if self.closed_at != 0 {
            self.bad_quote |= self.closed_at != at;
            start += 1;
            len = len.saturating_sub(2);
            flags = if self.doubled { QUOTED | DOUBLED } else { QUOTED };
            self.closed_at = 0;
            self.doubled = false;
        }
        if len > self.wanted.field_max && self.too_large.is_none() {
            self.too_large = Some(self.block.fields.len() - self.fields_before + self.lost);
        }
        self.block.fields.push(Field { start: start as u32, len: len as u32 | flags });
    }

    /// Ends the record whose last byte stands before `at`; the next one begins at `next`.
    #[inline]
    fn end_record(&mut self, at: usize, next: usize) {
        let blank = at == self.record_start;
        if blank && self.wanted.width != Some(1) {
            self.begin_record(next);
            return;
        }
        self.end_field(at);
        let place = RecordPlace { start: self.record_start as u32, end: at as u32, line: self.record_line };
        let found = self.block.fields.len() - self.fields_before;
        let width = self.wanted.width.unwrap_or(found);
        if found == width && !self.bad_quote && self.too_large.is_none() {
            self.block.records.push(place);
        } else {
            self.set_aside(place, width);
        }
        self.fields_before = self.block.fields.len();
        self.begin_record(next);
    }

    #[cold]
    fn set_aside(&mut self, place: RecordPlace, width: usize) {
        let fault = match self.too_large {
            _ if self.bad_quote => Some(ShapeFault::BadQuote),
            large => large.map(ShapeFault::FieldTooLarge),
        };
        let odd = Odd { place, fields_before: self.fields_before, lost: self.lost, fault };
        self.block.settle(odd, width, self.bounds.pads);
        self.bad_quote = false;
        self.too_large = None;
        self.lost = 0;
    }

    /// What is more than a record may have is only counted: a line of nothing but delimiters must not fill the memory.
    #[cold]
    fn lose_fields(&mut self) {
        let kept = self.fields_before + self.bounds.fields_max;
        self.lost += self.block.fields.len() - kept;
        self.block.fields.truncate(kept);
    }

    #[inline]
    fn begin_record(&mut self, at: usize) {
        self.field_start = at;
        self.record_start = at;
        self.record_line = self.line;
    }

    fn finish(mut self) -> Scanned {
        if self.wanted.at_end && self.in_quotes {
            return self.scanned(true);
        }
        let end = self.data.len();
        if self.wanted.at_end && self.record_start < end {
            self.end_record(end, end);
        }
        self.scanned(false)
    }

    fn scanned(self, open_quote: bool) -> Scanned {
        // fields of a record that is not complete are found again in the next call
        self.block.fields.truncate(self.fields_before);
        Scanned {
            used: self.record_start,
            lines: self.record_line - self.first_line,
            open_quote,
            swallows: self.swallows,
            full: self.block.len() >= self.wanted.records_max,
        }
    }
}

#[cfg(test)]
#[path = "scanner_tests.rs"]
mod tests;
