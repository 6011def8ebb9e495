//! Reads one file from a place in it: pieces of text in, decoded blocks of rows out.

mod beginning;
mod ending;

use crate::config::{CsvDropsConfig, Header, Ragged};
use crate::content::{self, Opened};
use crate::decode::{Cells, Fault, Faults, Layout};
use crate::digest::ContentDigest;
use crate::position::Place;
use crate::rejects::{self, Refused};
use crate::scanner::{Block, Bounds, Scanned, Wanted};
use crate::syntax::Syntax;
use crate::trailer::{Totals, TrailerRule};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use unbatch_api::arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use unbatch_api::arrow::compute::filter;
use unbatch_api::quarantine::RAW_BYTES_MAX;
use unbatch_api::{Error, Result, StopAfter};
use unbatch_object_files::{Fault as BadText, TextError, TextReader};

/// A piece of a file: what is scanned at once, and so about the size of a batch.
pub const PIECE_BYTES: usize = 1 << 20;
/// What is read first: most files are smaller, and need no more.
const FIRST_BYTES: usize = 64 << 10;
/// Records that are looked at for the width of a file without a header.
const FIRST_RECORDS: usize = 64;
/// Fields that are kept of a record beyond those that it should have.
const SPARE_FIELDS: usize = 4096;
/// How much of an unfinished record goes into the entry of a parked file.
const HEAD_BYTES: usize = 1024;
/// How the message of a parked file's entry begins.
pub const PARKED: &str = "the file was parked: ";

/// Rows of one piece.
pub struct Rows {
    pub rows: RecordBatch,
    pub lines: Vec<u64>,
    pub bytes: Vec<u64>,
    pub refused: Vec<Refused>,
    /// Where the file stands after them.
    pub through: Place,
}

impl Rows {
    fn is_empty(&self) -> bool {
        self.rows.num_rows() == 0 && self.refused.is_empty()
    }
}

/// The file cannot be read on: why, and where.
#[derive(Clone, Debug)]
pub struct BadFile {
    pub code: &'static str,
    pub message: String,
    pub at: Place,
    /// The beginning of what could not be read.
    pub head: Bytes,
}

pub enum Step {
    Rows(Rows),
    /// The file was bad; rows read before it was found may come with it.
    Bad(Option<Rows>, BadFile),
    End,
}

/// How large the pieces are that a reader hands on.
#[derive(Clone, Copy, Debug)]
pub struct Portion {
    pub rows: usize,
    pub bytes: usize,
}

pub struct FileReader {
    /// `None`: the file cannot be read as text at all, for the reason in `unreadable`.
    text: Option<TextReader>,
    /// Why there is no more text, although the file is not at its end.
    unreadable: Option<BadText>,
    config: Arc<CsvDropsConfig>,
    stop_after: StopAfter,
    portion: Portion,
    /// How far ahead to look for the end of a record; more than a portion only for a record that is larger.
    look: usize,
    syntax: Syntax,
    /// How the last line is known and what the rows so far add up to.
    trailer: Option<(TrailerRule, Totals)>,
    /// `buffer[begin..end]` is read and not yet used; `begin` is at `place.byte`.
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    at_end: bool,
    place: Place,
    digest: ContentDigest,
    rejected: u64,
    layout: Option<Arc<Layout>>,
    block: Block,
}

impl FileReader {
    /// Reads a file that was just opened from its beginning.
    pub fn new(opened: Opened, config: Arc<CsvDropsConfig>, stop_after: StopAfter, portion: Portion) -> Self {
        let trailer = TrailerRule::of(&config).map(|rule| (rule.clone(), rule.zero()));
        let (text, unreadable) = match opened {
            Ok(text) => (Some(text), None),
            Err(fault) => (None, Some(fault)),
        };
        Self {
            syntax: Syntax::of(&config),
            trailer,
            text,
            unreadable,
            config,
            stop_after,
            look: portion.bytes.max(1),
            portion,
            buffer: Vec::new(),
            begin: 0,
            end: 0,
            at_end: false,
            place: Place::START,
            digest: ContentDigest::new(),
            rejected: 0,
            layout: None,
            block: Block::default(),
        }
    }

    /// Goes on at `place` with `rest`, which stands there, where the content so far has `digest` and `rejected` rows were refused. The
    /// header is read again before that.
    pub fn resume(
        &mut self,
        place: Place,
        rest: TextReader,
        digest: ContentDigest,
        rejected: u64,
    ) -> Result<Option<BadFile>> {
        if place == Place::START {
            return Ok(None);
        }
        if let Some(bad) = self.begin_file()? {
            return Ok(Some(bad));
        }
        (self.text, self.unreadable) = (Some(rest), None);
        (self.begin, self.end, self.at_end) = (0, 0, false);
        (self.place, self.digest, self.rejected) = (place, digest, rejected);
        Ok(None)
    }

    /// Takes up what the rows before the place to go on at add up to, as [`FileReader::totals`] gave it.
    pub fn with_totals(mut self, totals: &BTreeMap<String, String>) -> Result<Self> {
        if self.take_totals(totals) {
            return Ok(self);
        }
        let help = "`trailer.sums` changed while the file was partly read; change it back, or set the file to `again` or `done`";
        let what = "going on with a file failed: other totals were counted in it so far";
        Err(Error::misconfigured(what).code("U0224").help(help))
    }

    /// The same; false when other totals were counted.
    pub fn take_totals(&mut self, totals: &BTreeMap<String, String>) -> bool {
        let Some((rule, sums)) = &mut self.trailer else { return true };
        let Some(known) = rule.of_note(totals) else { return false };
        *sums = known;
        true
    }

    /// The file cannot be gone on with, since its trailer could not be compared with rows that are not read again.
    pub fn totals_unknown(&self) -> BadFile {
        let message =
            "its first rows were taken when nobody counted what the trailer tells now; deliver it anew".into();
        self.bad("trailer_disagrees", message)
    }

    /// What the rows so far add up to, by the columns of `trailer.sums`.
    pub fn totals(&self) -> BTreeMap<String, String> {
        self.trailer.as_ref().map(|(rule, totals)| rule.to_note(totals)).unwrap_or_default()
    }

    pub fn place(&self) -> Place {
        self.place
    }
    pub fn digest(&self) -> &ContentDigest {
        &self.digest
    }
    /// Whether places in the text are those in the file as it lies there, so that its size is known from the start.
    pub fn is_plain(&self) -> bool {
        self.unreadable.is_none() && self.text.as_ref().is_some_and(TextReader::is_plain)
    }
    /// How much of the file as it lies there was used, or a little more; for showing progress.
    pub fn raw_offset(&self) -> u64 {
        if self.is_plain() { self.place.byte } else { self.text.as_ref().map_or(0, TextReader::raw_offset) }
    }
    /// Whether the file says itself that it is written otherwise than configured.
    pub fn has_other_mark(&self) -> bool {
        self.text.as_ref().is_some_and(|text| text.found().notice.is_some())
    }
    pub fn rejected(&self) -> u64 {
        self.rejected
    }
    /// Known once the first step was made.
    pub fn layout(&self) -> Option<&Arc<Layout>> {
        self.layout.as_ref()
    }

    /// Decodes the next piece.
    pub fn step(&mut self) -> Result<Step> {
        if self.layout.is_none()
            && let Some(bad) = self.begin_file()?
        {
            return Ok(Step::Bad(None, bad));
        }
        let Some(layout) = self.layout.clone() else { return Ok(self.ended()) };
        loop {
            let window = self.look.min(self.end - self.begin);
            let all = self.at_end && self.begin + window == self.end;
            let mut scanned = self.scan(window, Some(layout.width));
            let trailer = self.cut_at_trailer(&mut scanned, layout.width);
            if !self.block.is_empty() {
                self.look = self.portion.bytes.max(1);
                return self.rows(&layout, window, scanned);
            }
            self.use_up(&scanned);
            if let Some(trailer) = trailer {
                return self.end_with(trailer);
            }
            if let Some(bad) = self.endless(&scanned) {
                return Ok(Step::Bad(None, bad));
            }
            if all {
                self.use_rest();
                return Ok(self.ended());
            }
            if let Some(bad) = self.more()? {
                return Ok(Step::Bad(None, bad));
            }
        }
    }

    /// Takes the digest of what is left without decoding it, so that a parked file of `raw_size` bytes has its identity too.
    pub fn read_out(&mut self, raw_size: u64) -> Result<String> {
        self.use_rest();
        while !self.at_end && self.unreadable.is_none() {
            self.fill()?;
            self.use_rest();
        }
        Ok(content::identity(&self.digest, self.unreadable.as_ref(), raw_size))
    }

    /// Finds the layout; what it takes from the file is the header, if there is one.
    fn begin_file(&mut self) -> Result<Option<BadFile>> {
        if let Some(text) = &self.text {
            (self.digest, self.place.byte) = (content::begun(text), text.found().start);
        }
        self.fill()?;
        if let Some(bad) = self.skip_lines()? {
            return Ok(Some(bad));
        }
        loop {
            let window = self.end - self.begin;
            let scanned = self.scan_first(window);
            if self.block.is_empty() {
                if let Some(bad) = self.endless(&scanned) {
                    return Ok(Some(bad));
                }
                if self.at_end {
                    // nothing but blank lines: no header, no rows
                    self.use_rest();
                    return Ok(None);
                }
                if let Some(bad) = self.more()? {
                    return Ok(Some(bad));
                }
                continue;
            }
            return Ok(match self.lay_out() {
                Ok(layout) => {
                    self.layout = Some(Arc::new(layout));
                    if self.config.dialect.header == Header::Present {
                        self.use_up(&scanned);
                    }
                    None
                }
                Err(bad) => Some(self.bad(bad.code, bad.message)),
            });
        }
    }

    /// Scans the first `window` bytes that are not used yet.
    fn scan(&mut self, window: usize, width: Option<usize>) -> Scanned {
        let wanted = Wanted {
            width,
            records_max: self.portion.rows.max(1),
            field_max: self.config.field_max.0 as usize,
            at_end: self.at_end && self.begin + window == self.end,
        };
        let data = &self.buffer[self.begin..self.begin + window];
        let bounds = self.bounds(width.unwrap_or_default().saturating_add(SPARE_FIELDS));
        self.syntax.scan(data, self.place.line, wanted, bounds, &mut self.block)
    }

    fn bounds(&self, fields_max: usize) -> Bounds {
        let pads = self.config.dialect.ragged == Ragged::Pad;
        Bounds { fields_max, field_lines_max: u64::from(self.config.field_lines_max), pads }
    }

    fn scan_first(&mut self, window: usize) -> Scanned {
        // without a header the first good row tells the width, and it need not be the first one
        let records_max = if self.config.dialect.header == Header::None { FIRST_RECORDS } else { 1 };
        let wanted = Wanted { width: None, records_max, field_max: usize::MAX, at_end: self.at_end };
        let data = &self.buffer[self.begin..self.begin + window];
        let bounds = self.bounds(self.config.columns_max as usize + 1);
        self.syntax.scan(data, self.place.line, wanted, bounds, &mut self.block)
    }

    /// No whole record is in sight: looks further, or reads more. Bad when the record is too large.
    fn more(&mut self) -> Result<Option<BadFile>> {
        if self.look < self.end - self.begin {
            self.look *= 2;
            return Ok(None);
        }
        if let Some(bad) = self.cut_off() {
            return Ok(Some(bad));
        }
        let record_max = (self.config.record_max.0 as usize).max(PIECE_BYTES);
        if self.end - self.begin >= record_max {
            let message = format!("a record has no end within {record_max} bytes; as a rule a quote is missing");
            return Ok(Some(self.bad("record_too_large", message)));
        }
        self.fill()?;
        Ok(None)
    }

    /// Reads on into the buffer, which grows up to the longest record.
    fn fill(&mut self) -> Result<()> {
        self.buffer.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        let size = match self.buffer.len() {
            0 => FIRST_BYTES,
            len if len < PIECE_BYTES => PIECE_BYTES,
            len if self.end == len => 2 * len,
            len => len,
        };
        self.buffer.resize(size, 0);
        while self.end < self.buffer.len() && !self.at_end && self.unreadable.is_none() {
            let Some(text) = &mut self.text else { break };
            match text.read_text(&mut self.buffer[self.end..]) {
                Ok(0) => self.at_end = true,
                Ok(n) => self.end += n,
                Err(TextError::Bad(fault)) => self.unreadable = Some(fault),
                Err(TextError::Failed(error)) => return Err(error),
            }
        }
        Ok(())
    }

    fn use_up(&mut self, scanned: &Scanned) {
        self.digest.update(&self.buffer[self.begin..self.begin + scanned.used]);
        self.begin += scanned.used;
        self.place.byte += scanned.used as u64;
        self.place.line += scanned.lines;
    }

    fn use_rest(&mut self) {
        self.digest.update(&self.buffer[self.begin..self.end]);
        self.place.byte += (self.end - self.begin) as u64;
        self.begin = self.end;
    }

    /// Decodes the block that was just scanned.
    fn rows(&mut self, layout: &Arc<Layout>, window: usize, scanned: Scanned) -> Result<Step> {
        let data = &self.buffer[self.begin..self.begin + window];
        let used = &data[..scanned.used];
        let cells = Cells {
            data,
            text: std::str::from_utf8(used).ok(),
            block: &self.block,
            width: layout.width,
            syntax: &self.syntax,
        };
        let mut faults = Faults::default();
        note_bytes_that_are_no_text(&cells, used, &mut faults);
        let columns: Vec<ArrayRef> = layout.columns.iter().map(|c| c.decode(&cells, &mut faults)).collect();
        let refused = rejects::in_order(&self.block, data, layout, self.place, &faults);
        let seen = self.block.len() as u64;
        let passed = rejects::first_passed(&self.stop_after, &refused, self.place.row, seen, self.rejected);
        let too_large = rejects::first_too_large(&refused).filter(|r| passed.is_none_or(|row| r.row <= row)).cloned();
        let cut = too_large.as_ref().map(|r| r.row - 1).or(passed);
        let whole = Place {
            row: self.place.row + seen,
            line: self.place.line + scanned.lines,
            byte: self.place.byte + scanned.used as u64,
        };
        let kept = rejects::Kept::new(&self.block, faults, refused, (self.place, whole), cut);
        if let Some((rule, totals)) = &mut self.trailer {
            rule.add(totals, &columns, kept.good);
        }
        let rows = assemble(layout, columns, kept.mask.as_ref())?;
        self.rejected += kept.refused.len() as u64;
        let bad = match too_large {
            Some(row) => Some(self.too_large(&row, kept.next)),
            None => passed.map(|row| {
                let message = format!("{} of {row} rows were rejected, more than stop_after allows", self.rejected);
                BadFile { code: "too_many_rejected", message, at: kept.end, head: Bytes::new() }
            }),
        };
        match &bad {
            None => {
                self.place.row += seen;
                self.use_up(&scanned);
            }
            Some(_) => {
                let used = (kept.next.byte - self.place.byte) as usize;
                self.digest.update(&self.buffer[self.begin..self.begin + used]);
                self.begin += used;
                self.place = kept.next;
            }
        }
        let rows = Rows { rows, lines: kept.lines, bytes: kept.bytes, refused: kept.refused, through: self.place };
        Ok(match bad {
            None => Step::Rows(rows),
            Some(bad) if rows.is_empty() => Step::Bad(None, bad),
            Some(bad) => Step::Bad(Some(rows), bad),
        })
    }

    /// A refused record of which only a part could be kept.
    fn too_large(&self, row: &Refused, at: Place) -> BadFile {
        let (bytes, most) = (row.raw.len(), RAW_BYTES_MAX);
        let message = format!(
            "a record of {bytes} bytes was refused ({}), more than the {most} that quarantine keeps; as a rule a quote is \
             missing or one too many, and good rows are inside",
            row.code
        );
        let head = row.raw.slice(..bytes.min(HEAD_BYTES));
        BadFile { code: "rejected_too_large", message, at, head }
    }

    fn bad(&self, code: &'static str, message: String) -> BadFile {
        let rest = &self.buffer[self.begin..self.end];
        let head = Bytes::copy_from_slice(&rest[..rest.len().min(HEAD_BYTES)]);
        BadFile { code, message, at: self.place, head }
    }
}

/// Rows that are not UTF-8 or hold a zero byte, found by record so that the row is refused whatever its columns are.
fn note_bytes_that_are_no_text(cells: &Cells<'_>, used: &[u8], faults: &mut Faults) {
    let has_zero = memchr::memchr(0, used).is_some();
    if cells.text.is_some() && !has_zero {
        return;
    }
    for (row, place) in cells.block.records.iter().enumerate() {
        let record = &cells.data[place.start as usize..place.end as usize];
        if std::str::from_utf8(record).is_err() {
            faults.note(row, || Fault { code: "invalid_encoding", message: "the row is not UTF-8".into() });
        } else if memchr::memchr(0, record).is_some() {
            faults.note(row, || Fault { code: "zero_byte", message: "the row holds a zero byte".into() });
        }
    }
}

/// The batch of the columns, without the rows that `mask` leaves out.
fn assemble(layout: &Layout, columns: Vec<ArrayRef>, mask: Option<&BooleanArray>) -> Result<RecordBatch> {
    let wrong = |e| Error::bug("assembling a batch of rows failed").code("U0902").caused_by(e);
    let columns = match mask {
        None => columns,
        Some(mask) => columns.iter().map(|c| filter(c, mask)).collect::<Result<_, _>>().map_err(wrong)?,
    };
    let rows = columns.first().map(|c| c.len());
    let options = RecordBatchOptions::new().with_row_count(rows);
    RecordBatch::try_new_with_options(layout.schema.fields().clone(), columns, &options).map_err(wrong)
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
