//! Finds records and fields in bytes, as RFC 4180 has them: quoted fields may hold delimiters, line breaks and doubled
//! quotes; records end with LF, CRLF or CR, the last one also with the end of the file.
//!
//! It looks at 64 bytes at a time for the four bytes that mean anything and touches no other byte. What it finds are
//! offsets into the caller's buffer, many records at once, so that columns can be decoded one after the other.

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
    #[inline]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.start as usize + (self.len & LEN) as usize
    }
    /// Whether quotes stood around it; then it is never NULL.
    #[inline]
    pub fn is_quoted(self) -> bool {
        self.len & QUOTED != 0
    }
    /// Whether it holds doubled quotes that must become single ones.
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
    fn clear(&mut self) {
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
    /// There may be more records in the buffer: the scan stopped at `records_max`.
    pub full: bool,
}

/// Scans `data`, which begins at the start of a record on physical line `line`, into `block`.
pub fn scan(data: &[u8], line: u64, marks: Marks, wanted: Wanted, block: &mut Block) -> Scanned {
    block.clear();
    let mut run = Run::new(data, line, marks, wanted, block);
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
    /// Fields of `block.fields` before the present record.
    fields_before: usize,
    record_start: usize,
    record_line: u64,
    line: u64,
    first_line: u64,
}

impl<'a> Run<'a> {
    fn new(data: &'a [u8], line: u64, marks: Marks, wanted: Wanted, block: &'a mut Block) -> Self {
        Run {
            data,
            marks,
            wanted,
            block,
            skip_to: 0,
            in_quotes: false,
            closed_at: 0,
            field_start: 0,
            doubled: false,
            bad_quote: false,
            too_large: None,
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
            self.too_large = Some(self.block.fields.len() - self.fields_before);
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
            self.fields_before = self.block.fields.len();
        } else {
            self.set_aside(place, found, width);
        }
        self.begin_record(next);
    }

    #[cold]
    fn set_aside(&mut self, place: RecordPlace, found: usize, width: usize) {
        let fault = match self.too_large {
            _ if self.bad_quote => ShapeFault::BadQuote,
            Some(field) => ShapeFault::FieldTooLarge(field),
            None if found < width => ShapeFault::TooFewFields(found),
            None => ShapeFault::TooManyFields(found),
        };
        self.block.fields.truncate(self.fields_before);
        self.block.misshapen.push(Misshapen { place, good_before: self.block.records.len(), fault });
        self.bad_quote = false;
        self.too_large = None;
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
            full: self.block.len() >= self.wanted.records_max,
        }
    }
}

/// One bit for each byte of `chunk` that is one of the needles.
#[cfg(target_arch = "x86_64")]
#[inline]
fn find(chunk: &[u8; 64], needles: [u8; 4]) -> u64 {
    // SAFETY: SSE2, the only feature it asks for, is part of every x86_64.
    unsafe { find_sse2(chunk, needles) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn find(chunk: &[u8; 64], needles: [u8; 4]) -> u64 {
    find_in_words(chunk, needles)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
fn find_sse2(chunk: &[u8; 64], needles: [u8; 4]) -> u64 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8};
    let [a, b, c, d] = needles.map(|n| _mm_set1_epi8(n as i8));
    let mut mask = 0;
    let (quarters, _) = chunk.as_chunks::<16>();
    for (i, quarter) in quarters.iter().enumerate() {
        let halves = quarter.as_chunks::<8>().0;
        let bytes = _mm_set_epi64x(i64::from_le_bytes(halves[1]), i64::from_le_bytes(halves[0]));
        let ab = _mm_or_si128(_mm_cmpeq_epi8(bytes, a), _mm_cmpeq_epi8(bytes, b));
        let cd = _mm_or_si128(_mm_cmpeq_epi8(bytes, c), _mm_cmpeq_epi8(bytes, d));
        mask |= (_mm_movemask_epi8(_mm_or_si128(ab, cd)) as u32 as u64) << (16 * i);
    }
    mask
}

/// The same with plain 64-bit words, for machines of other kinds.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn find_in_words(chunk: &[u8; 64], needles: [u8; 4]) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const LOW: u64 = ONES * 0x7f;
    let splats = needles.map(|n| ONES * u64::from(n));
    let mut mask = 0;
    for (i, word) in chunk.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // the high bit of each byte that equals the needle; exact, no borrow runs into a neighbour
        let hits = splats.iter().fold(0, |hits, splat| {
            let x = word ^ splat;
            hits | !(((x & LOW) + LOW) | x | LOW)
        });
        mask |= ((hits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    mask
}

#[cfg(test)]
#[path = "scanner_tests.rs"]
mod tests;
