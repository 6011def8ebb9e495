//! How the files of a configuration are written: which of the scanners reads them, and what a field means.

mod fixed;
mod line_end;
mod wider;

pub use fixed::places;
pub use line_end::LineEnd;

use crate::config::{CsvDropsConfig, Escapes, Format, Trim, one_byte};
use crate::scanner::{self, Block, Bounds, Field, Marks, Scanned, Wanted};
use fixed::Fixed;
use wider::Wider;

/// One of the ways to find records and fields.
#[derive(Clone, Debug)]
pub enum Syntax {
    /// RFC 4180 with any delimiter of one byte, and with or without quotes: the fast scanner.
    Plain {
        marks: Marks,
        line_end: LineEnd,
    },
    Wider(Box<Wider>),
    Fixed {
        fixed: Fixed,
        line_end: LineEnd,
    },
}

impl Syntax {
    /// Only for a configuration that was validated.
    pub fn of(config: &CsvDropsConfig) -> Self {
        let dialect = &config.dialect;
        let line_end = LineEnd::of(dialect);
        if dialect.format == Format::Fixed {
            let ends = (dialect.terminator != "none").then(|| line_end.clone());
            return Syntax::Fixed { fixed: Fixed::of(config, ends), line_end };
        }
        let quote = dialect.quote_byte();
        let is_plain = dialect.escape.is_none()
            && dialect.comment.is_none()
            && dialect.trim == Trim::None
            && line_end == LineEnd::Any;
        if let (true, Some(delimiter)) = (is_plain, one_byte(&dialect.delimiter)) {
            // a quote that is the delimiter is never met as one
            return Syntax::Plain { marks: Marks { delimiter, quote: quote.unwrap_or(delimiter) }, line_end };
        }
        let escape = dialect.escape_byte().map(|byte| (byte, dialect.escapes));
        let mut wider = Wider::new(dialect.delimiter_bytes(), quote, escape, line_end);
        wider.comment = dialect.comment.clone().unwrap_or_default().into_bytes();
        wider.trims = dialect.trim != Trim::None;
        Syntax::Wider(Box::new(wider))
    }

    /// Scans `data`, which begins at the start of a record on physical line `line`, into `block`.
    pub fn scan(&self, data: &[u8], line: u64, wanted: Wanted, bounds: Bounds, block: &mut Block) -> Scanned {
        match self {
            Syntax::Plain { marks, .. } => scanner::scan_within(data, line, *marks, wanted, bounds, block),
            Syntax::Wider(wider) => wider.scan(data, line, wanted, bounds, block),
            Syntax::Fixed { fixed, .. } => fixed.scan(data, line, wanted, bounds, block),
        }
    }

    /// The first record of `text`, whatever its width; where it ends with its line break.
    pub fn first_record(&self, text: &[u8], block: &mut Block) -> usize {
        let wanted = Wanted { width: None, records_max: 1, field_max: usize::MAX, at_end: true };
        self.scan(text, 1, wanted, Bounds::NONE, block).used
    }

    /// What a field means: its bytes, doubled quotes made single and escapes replaced in `scratch` when it has any.
    #[inline]
    pub fn content<'a>(&self, data: &'a [u8], field: Field, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        if !field.has_doubled_quotes() {
            return &data[field.range()];
        }
        match self {
            Syntax::Plain { marks, .. } => scanner::content(data, field, marks.quote, scratch),
            _ => self.unescaped(&data[field.range()], field.is_quoted(), scratch),
        }
    }

    /// The same for the bytes of a field that has quotes or escapes inside.
    pub fn unescaped<'a>(&self, raw: &[u8], is_quoted: bool, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        match self {
            Syntax::Plain { marks, .. } => {
                // an escaped field is always made in `scratch`
                scanner::content(raw, Field::new(0, raw.len(), is_quoted, true), marks.quote, scratch);
            }
            Syntax::Wider(wider) => wider.unescape(raw, is_quoted, scratch),
            Syntax::Fixed { .. } => {
                scratch.clear();
                scratch.extend_from_slice(raw);
            }
        }
        scratch
    }

    /// What means NULL when a field holds nothing else and has no quotes: `\N`.
    pub fn null_code(&self) -> Option<[u8; 2]> {
        match self {
            Syntax::Wider(wider) => {
                wider.escape.filter(|(_, style)| *style == Escapes::Codes).map(|(byte, _)| [byte, b'N'])
            }
            _ => None,
        }
    }

    pub fn line_end(&self) -> &LineEnd {
        match self {
            Syntax::Plain { line_end, .. } | Syntax::Fixed { line_end, .. } => line_end,
            Syntax::Wider(wider) => &wider.line_end,
        }
    }
}

#[cfg(test)]
#[path = "syntax_tests.rs"]
mod tests;

#[cfg(test)]
mod python_tests;
