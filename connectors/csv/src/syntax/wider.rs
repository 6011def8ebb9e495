//! The second scanner: for separated files that have what RFC 4180 does not know. Byte by byte over a table of the bytes that may
//! mean something; slower than `scanner` and made for being right.

use super::line_end::{LineEnd, Stands, stands};
use crate::config::Escapes;
use crate::scanner::{Block, Bounds, Field, Odd, RecordPlace, Scanned, ShapeFault, Wanted};

/// What means something in such a file.
#[derive(Clone, Debug)]
pub struct Wider {
    pub delimiter: Vec<u8>,
    pub quote: Option<u8>,
    pub escape: Option<(u8, Escapes)>,
    /// Empty: there are no comments.
    pub comment: Vec<u8>,
    pub line_end: LineEnd,
    /// Blanks may stand around quotes.
    pub trims: bool,
    stops: [bool; 256],
}

impl Wider {
    pub fn new(delimiter: &[u8], quote: Option<u8>, escape: Option<(u8, Escapes)>, line_end: LineEnd) -> Self {
        let mut stops = [false; 256];
        let escape_byte = escape.map(|(byte, _)| byte);
        let firsts = delimiter.first().into_iter().chain(&quote).chain(&escape_byte).chain(line_end.first_bytes());
        firsts.for_each(|byte| stops[usize::from(*byte)] = true);
        Wider { delimiter: delimiter.to_vec(), quote, escape, comment: Vec::new(), line_end, trims: false, stops }
    }

    /// As `scanner::scan_within`.
    pub fn scan(&self, data: &[u8], line: u64, wanted: Wanted, bounds: Bounds, block: &mut Block) -> Scanned {
        block.clear();
        let mut run = Run { rules: self, data, wanted, bounds, block, line, fields_before: 0, lost: 0, fault: None };
        let mut scanned = Scanned::of(0, 0);
        while scanned.used < data.len() && run.block.len() < wanted.records_max {
            match run.line(scanned.used) {
                End::Next(next) => (scanned.used, scanned.lines) = (next, run.line - line),
                End::OutOfSight => break,
                End::OpenQuote => {
                    scanned.open_quote = true;
                    break;
                }
                End::Swallows => {
                    scanned.swallows = true;
                    break;
                }
            }
        }
        // fields of a record that is not complete are found again in the next call
        run.block.fields.truncate(run.fields_before);
        scanned.full = block.len() >= wanted.records_max;
        scanned
    }

    /// What `raw` means: doubled quotes made single, escapes replaced.
    pub fn unescape(&self, raw: &[u8], is_quoted: bool, scratch: &mut Vec<u8>) {
        scratch.clear();
        let quote = self.quote.filter(|_| is_quoted);
        let mut at = 0;
        while at < raw.len() {
            let (byte, next) = (raw[at], raw.get(at + 1).copied());
            let meant = match (self.escape, next) {
                (Some((escape, style)), Some(next)) if byte == escape => match style {
                    Escapes::Codes => Some(code(next)),
                    Escapes::Literal => Some(next),
                    Escapes::Quotes => quote.filter(|q| next == *q || next == escape).map(|_| next),
                },
                (_, Some(next)) if quote == Some(byte) && next == byte => Some(byte),
                _ => None,
            };
            scratch.push(meant.unwrap_or(byte));
            at += if meant.is_some() { 2 } else { 1 };
        }
    }

    fn is_blank(&self, byte: u8) -> bool {
        matches!(byte, b' ' | b'\t') && self.delimiter.first() != Some(&byte)
    }

    /// The first place from `at` on where no blank stands.
    fn behind_blanks(&self, data: &[u8], at: usize) -> usize {
        if !self.trims {
            return at;
        }
        data[at..].iter().position(|byte| !self.is_blank(*byte)).map_or(data.len(), |n| at + n)
    }
}

/// What MySQL and its kin mean by the letter behind a backslash.
fn code(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'0' => 0,
        b'Z' => 0x1a,
        other => other,
    }
}

/// How the reading of a line ended.
enum End {
    /// The next one begins here.
    Next(usize),
    /// The buffer ends before the line does.
    OutOfSight,
    OpenQuote,
    Swallows,
}

/// How the reading of a field ended.
enum FieldEnd {
    Delimiter(usize),
    Line { end: usize, next: usize },
    Not(End),
}

struct Run<'a> {
    rules: &'a Wider,
    data: &'a [u8],
    wanted: Wanted,
    bounds: Bounds,
    block: &'a mut Block,
    line: u64,
    fields_before: usize,
    lost: usize,
    fault: Option<ShapeFault>,
}

impl Run<'_> {
    /// Reads what begins at `start`: a record, a blank line or a comment.
    fn line(&mut self, start: usize) -> End {
        let rules = self.rules;
        if !rules.comment.is_empty() {
            match stands(&rules.comment, self.data, start, self.wanted.at_end) {
                Stands::Unsure => return End::OutOfSight,
                Stands::No => {}
                Stands::Yes(_) => {
                    let found = rules.line_end.find(self.data, start, self.wanted.at_end);
                    self.line += 1;
                    return found.map_or(End::OutOfSight, |(_, next)| End::Next(next));
                }
            }
        }
        self.fields_before = self.block.fields.len();
        (self.lost, self.fault) = (0, None);
        let (line, mut at) = (self.line, start);
        loop {
            match self.field(at) {
                FieldEnd::Delimiter(next) => at = next,
                FieldEnd::Not(end) => return end,
                FieldEnd::Line { end, next } => {
                    self.line += 1;
                    self.end_record(RecordPlace { start: start as u32, end: end as u32, line });
                    return End::Next(next);
                }
            }
        }
    }

    fn end_record(&mut self, place: RecordPlace) {
        let (start, end) = (place.start as usize, place.end as usize);
        if self.rules.behind_blanks(&self.data[..end], start) == end && self.wanted.width != Some(1) {
            self.block.fields.truncate(self.fields_before);
            return;
        }
        let found = self.block.fields.len() - self.fields_before;
        let odd = Odd { place, fields_before: self.fields_before, lost: self.lost, fault: self.fault };
        self.block.settle(odd, self.wanted.width.unwrap_or(found + self.lost), self.bounds.pads);
        self.fields_before = self.block.fields.len();
    }

    fn field(&mut self, start: usize) -> FieldEnd {
        let open = self.rules.behind_blanks(self.data, start);
        match self.rules.quote {
            Some(quote) if self.data.get(open) == Some(&quote) => self.quoted(start, open),
            _ => self.unquoted(start, start),
        }
    }

    /// Reads on at `from` to the end of the field that begins at `start`.
    fn unquoted(&mut self, start: usize, from: usize) -> FieldEnd {
        let (rules, data, at_end) = (self.rules, self.data, self.wanted.at_end);
        let escape = rules.escape.filter(|(_, style)| *style != Escapes::Quotes).map(|(byte, _)| byte);
        let (mut at, mut is_escaped) = (from, false);
        loop {
            at = self.next_stop(at);
            if at == data.len() && !at_end {
                return FieldEnd::Not(End::OutOfSight);
            }
            if at < data.len() && Some(data[at]) == escape {
                match self.behind_escape(at) {
                    Some(next) => (at, is_escaped) = (next, true),
                    None if !at_end => return FieldEnd::Not(End::OutOfSight),
                    None => {
                        self.fault = self.fault.or(Some(ShapeFault::BadEscape));
                        at = data.len();
                    }
                }
                continue;
            }
            match self.end_of_field(at) {
                Some(FieldEnd::Not(end)) => return FieldEnd::Not(end),
                Some(end) => {
                    self.push(Field::new(start, at - start, false, is_escaped));
                    return end;
                }
                None => at += 1,
            }
        }
    }

    /// Reads the field at `start` whose opening quote stands at `open`.
    fn quoted(&mut self, start: usize, open: usize) -> FieldEnd {
        let (rules, data, at_end) = (self.rules, self.data, self.wanted.at_end);
        let (mut at, mut is_escaped, first_line) = (open + 1, false, self.line);
        loop {
            at = self.next_stop(at);
            if self.line - first_line > self.bounds.field_lines_max {
                return FieldEnd::Not(End::Swallows);
            }
            let next = data.get(at + 1).copied();
            let out_of_sight = || FieldEnd::Not(if at_end { End::OpenQuote } else { End::OutOfSight });
            match data.get(at).copied() {
                None => return out_of_sight(),
                Some(byte) if rules.escape.is_some_and(|(escape, _)| escape == byte) => match next {
                    None => return out_of_sight(),
                    Some(next) if self.is_ordinary_escape(byte, next) => at += 1,
                    Some(_) => match self.behind_escape(at) {
                        None => return out_of_sight(),
                        Some(next) => (at, is_escaped) = (next, true),
                    },
                },
                Some(byte) if rules.quote == Some(byte) => match next {
                    Some(next) if next == byte => (at, is_escaped) = (at + 2, true),
                    None if !at_end => return out_of_sight(),
                    _ => break,
                },
                Some(_) => match rules.line_end.stands(data, at, at_end) {
                    Stands::Unsure => return out_of_sight(),
                    Stands::No => at += 1,
                    Stands::Yes(len) => {
                        self.line += 1;
                        at += len;
                    }
                },
            }
        }
        let behind = rules.behind_blanks(data, at + 1);
        match self.end_of_field(behind) {
            Some(FieldEnd::Not(end)) => FieldEnd::Not(end),
            Some(end) => {
                self.push(Field::new(open + 1, at - open - 1, true, is_escaped));
                end
            }
            None => {
                self.fault = Some(ShapeFault::BadQuote);
                self.unquoted(start, behind)
            }
        }
    }

    /// Whether a field ends at `at`, with its line or without; `Not` when that cannot be seen yet.
    fn end_of_field(&self, at: usize) -> Option<FieldEnd> {
        let (rules, data, at_end) = (self.rules, self.data, self.wanted.at_end);
        if at == data.len() {
            return Some(if at_end { FieldEnd::Line { end: at, next: at } } else { FieldEnd::Not(End::OutOfSight) });
        }
        match rules.line_end.stands(data, at, at_end) {
            Stands::Yes(len) => return Some(FieldEnd::Line { end: at, next: at + len }),
            Stands::Unsure => return Some(FieldEnd::Not(End::OutOfSight)),
            Stands::No => {}
        }
        match stands(&rules.delimiter, data, at, at_end) {
            Stands::Yes(len) => Some(FieldEnd::Delimiter(at + len)),
            Stands::Unsure => Some(FieldEnd::Not(End::OutOfSight)),
            Stands::No => None,
        }
    }

    fn is_ordinary_escape(&self, escape: u8, next: u8) -> bool {
        self.rules.escape.is_some_and(|(_, style)| style == Escapes::Quotes)
            && next != escape
            && Some(next) != self.rules.quote
    }

    /// The place behind an escape at `at` and what it escapes; a line break counts as one character. `None`: not in sight.
    fn behind_escape(&mut self, at: usize) -> Option<usize> {
        self.data.get(at + 1)?;
        match self.rules.line_end.stands(self.data, at + 1, self.wanted.at_end) {
            Stands::Unsure => None,
            Stands::No => Some(at + 2),
            Stands::Yes(len) => {
                self.line += 1;
                Some(at + 1 + len)
            }
        }
    }

    fn next_stop(&self, at: usize) -> usize {
        let rest = self.data.get(at..).unwrap_or_default();
        rest.iter().position(|byte| self.rules.stops[usize::from(*byte)]).map_or(self.data.len(), |n| at + n)
    }

    fn push(&mut self, field: Field) {
        let kept = self.block.fields.len() - self.fields_before;
        if field.len() > self.wanted.field_max {
            self.fault = self.fault.or(Some(ShapeFault::FieldTooLarge(kept + self.lost)));
        }
        if kept < self.bounds.fields_max {
            self.block.fields.push(field);
        } else {
            self.lost += 1;
        }
    }
}
