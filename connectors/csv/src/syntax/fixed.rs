//! Lines in which every column has its place, counted in characters.

use super::line_end::LineEnd;
use crate::config::CsvDropsConfig;
use crate::scanner::{Block, Bounds, Field, Misshapen, RecordPlace, Scanned, ShapeFault, Wanted};
use std::ops::Range;

/// Where the columns stand.
#[derive(Clone, Debug)]
pub struct Fixed {
    /// Characters of each column, from 0.
    places: Vec<Range<usize>>,
    /// Characters of a line.
    width: usize,
    /// `None`: lines have no end but their width.
    line_end: Option<LineEnd>,
}

/// The places of the columns, in characters from 0. Only for a configuration that was validated.
pub fn places(config: &CsvDropsConfig) -> Vec<Range<usize>> {
    let mut end = 0;
    let mut one = |column: &crate::config::Column| {
        let start = column.at.map_or(end, |at| at.saturating_sub(1) as usize);
        end = start + column.width.unwrap_or(1) as usize;
        start..end
    };
    config.columns.iter().map(&mut one).collect()
}

impl Fixed {
    pub fn of(config: &CsvDropsConfig, line_end: Option<LineEnd>) -> Self {
        let places = places(config);
        let end = places.iter().map(|place| place.end).max().unwrap_or_default();
        let width = config.dialect.line_width.map_or(end, |width| width as usize);
        Fixed { places, width: width.max(1), line_end }
    }

    /// As `scanner::scan_within`.
    pub fn scan(&self, data: &[u8], line: u64, wanted: Wanted, bounds: Bounds, block: &mut Block) -> Scanned {
        block.clear();
        let mut scanned = Scanned::of(0, 0);
        while scanned.used < data.len() && block.len() < wanted.records_max {
            let start = scanned.used;
            let Some((end, next)) = self.line_of(data, start, wanted.at_end) else { break };
            let place = RecordPlace { start: start as u32, end: end as u32, line: line + scanned.lines };
            if start < end {
                self.take(&data[start..end], place, bounds, block);
            }
            (scanned.used, scanned.lines) = (next, scanned.lines + 1);
        }
        scanned.full = block.len() >= wanted.records_max;
        scanned
    }

    /// Where the line of `from` ends and where the next one begins; `None` when that is not in sight.
    fn line_of(&self, data: &[u8], from: usize, at_end: bool) -> Option<(usize, usize)> {
        if let Some(line_end) = &self.line_end {
            return line_end.find(data, from, at_end);
        }
        let rest = &data[from..];
        if let Some(len) = bytes_of(rest, self.width) {
            return Some((from + len, from + len));
        }
        if !at_end {
            return None;
        }
        // what an editor or a transfer leaves behind the last record is none
        let is_rest = rest.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0x1a));
        Some((if is_rest { from } else { data.len() }, data.len()))
    }

    fn take(&self, text: &[u8], place: RecordPlace, bounds: Bounds, block: &mut Block) {
        let line = Line::of(text);
        let chars = line.chars();
        let is_blank = |from: usize| line.bytes(from..chars).iter().all(|byte| *byte == b' ');
        let fault = if chars < self.width && !bounds.pads {
            Some(ShapeFault::LineTooShort(chars))
        } else if chars > self.width && !(bounds.pads && is_blank(self.width)) {
            Some(ShapeFault::LineTooLong(chars))
        } else {
            None
        };
        if let Some(fault) = fault {
            return block.misshapen.push(Misshapen { place, good_before: block.records.len(), fault });
        }
        block.fields.extend(self.places.iter().map(|column| {
            let bytes = line.range(column.start.min(chars)..column.end.min(chars));
            Field::new(place.start as usize + bytes.start, bytes.len(), false, false)
        }));
        block.records.push(place);
    }

    /// The line with the text of one column replaced, filled up or cut off to its width.
    pub fn with_cell(&self, text: &[u8], column: usize, cell: &str) -> Vec<u8> {
        let Some(place) = self.places.get(column) else { return text.to_vec() };
        let mut chars: Vec<char> = String::from_utf8_lossy(text).chars().collect();
        chars.resize(chars.len().max(place.end), ' ');
        let filled = cell.chars().chain(std::iter::repeat(' ')).take(place.len());
        chars.splice(place.clone(), filled);
        chars.into_iter().collect::<String>().into_bytes()
    }

    /// Characters of one column.
    pub fn cell_width(&self, column: usize) -> Option<usize> {
        self.places.get(column).map(Range::len)
    }
}

/// A line whose characters can be counted. Where it is no UTF-8 a byte counts as one: the row is refused for that.
struct Line<'a> {
    text: &'a [u8],
    /// Where each character begins; `None`: one byte each.
    starts: Option<Vec<usize>>,
}

impl<'a> Line<'a> {
    fn of(text: &'a [u8]) -> Self {
        let wide = if text.is_ascii() { None } else { std::str::from_utf8(text).ok() };
        Line { text, starts: wide.map(|text| text.char_indices().map(|(at, _)| at).collect()) }
    }
    fn chars(&self) -> usize {
        self.starts.as_ref().map_or(self.text.len(), Vec::len)
    }
    fn range(&self, chars: Range<usize>) -> Range<usize> {
        match &self.starts {
            None => chars,
            Some(starts) => {
                let at = |n: usize| starts.get(n).copied().unwrap_or(self.text.len());
                at(chars.start)..at(chars.end)
            }
        }
    }
    fn bytes(&self, chars: Range<usize>) -> &'a [u8] {
        &self.text[self.range(chars)]
    }
}

/// How many bytes the first `chars` characters have; `None` when there are fewer. A byte that begins no character counts as one.
fn bytes_of(text: &[u8], chars: usize) -> Option<usize> {
    if text.get(..chars)?.is_ascii() {
        return Some(chars);
    }
    let mut at = 0;
    for _ in 0..chars {
        at += match text.get(at)? {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
    }
    (at <= text.len()).then_some(at)
}
