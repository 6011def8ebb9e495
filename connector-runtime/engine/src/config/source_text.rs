//! The text of a configuration file, where its lines begin, and which parts of it must never be shown.

use super::conceal;
use serde::Serialize;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A byte order mark; some Windows editors begin a file with it.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// A place in a file, as editors count: lines and columns from 1, columns in characters. `offset` and `length` are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    pub line: usize,
    pub column: usize,
    pub offset: usize,
    pub length: usize,
}

impl Span {
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.length
    }
}

/// One file: its path as messages show it, and its text as it was read.
pub struct SourceText {
    path: PathBuf,
    text: String,
    line_starts: Vec<usize>,
    /// Byte ranges that hold secrets. More are found while the file is checked, all before anything is shown.
    concealed: Mutex<Vec<Range<usize>>>,
}

impl SourceText {
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let text = text.into();
        let line_starts = line_starts(&text);
        let concealed = Mutex::new(conceal::in_text(&text));
        Self { path: path.into(), text, line_starts, concealed }
    }
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// The text as it was read, secrets included; not for messages.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// What `range` is in lines and columns. A range past the end is cut to it.
    pub fn span(&self, range: Range<usize>) -> Span {
        let start = self.boundary(range.start);
        let end = self.boundary(range.end).max(start);
        let line = self.line_starts.partition_point(|&s| s <= start).max(1);
        let before = &self.text[self.line_starts[line - 1]..start];
        let column = before.chars().filter(|c| *c != BYTE_ORDER_MARK).count() + 1;
        Span { line, column, offset: start, length: end - start }
    }
    /// Bytes of a line (from 1) without its line break and byte order mark.
    pub(crate) fn line_range(&self, line: usize) -> Range<usize> {
        let Some(&start) = line.checked_sub(1).and_then(|i| self.line_starts.get(i)) else {
            return self.text.len()..self.text.len();
        };
        let end = self.line_starts.get(line).copied().unwrap_or(self.text.len());
        let line = &self.text[start..end];
        let skipped = line.len() - line.trim_start_matches(BYTE_ORDER_MARK).len();
        start + skipped..start + line.trim_end_matches(['\n', '\r']).len()
    }
    /// From now on `range` shows as `***`.
    pub(crate) fn conceal(&self, range: Range<usize>) {
        let mut list = self.concealed.lock().unwrap_or_else(PoisonError::into_inner);
        if !range.is_empty() && !list.contains(&range) {
            list.push(range);
        }
    }
    /// Whether any of `range` is secret.
    pub(crate) fn is_concealed(&self, range: &Range<usize>) -> bool {
        self.concealed_ranges().iter().any(|c| c.start < range.end && range.start < c.end)
    }
    pub(crate) fn concealed_ranges(&self) -> Vec<Range<usize>> {
        self.concealed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The next character boundary at or after `offset`.
    fn boundary(&self, offset: usize) -> usize {
        (offset..self.text.len()).find(|&i| self.text.is_char_boundary(i)).unwrap_or(self.text.len())
    }
}

/// The path alone: the text may hold secrets.
impl fmt::Debug for SourceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceText").field("path", &self.path).finish_non_exhaustive()
    }
}

/// YAML breaks lines at LF, CR LF and a lone CR.
fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let is_end = |i: usize| bytes[i] == b'\n' || (bytes[i] == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
    std::iter::once(0).chain((0..bytes.len()).filter(|&i| is_end(i)).map(|i| i + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_counted_as_editors_count_them() {
        let text = SourceText::new("a.yaml", "\u{feff}é: 1\r\nzwei: ü x\rdrei: 3\n");
        let at = |needle: &str| {
            let start = text.text().find(needle).unwrap();
            let span = text.span(start..start + needle.len());
            (span.line, span.column, span.length)
        };
        assert_eq!(at("é"), (1, 1, 2));
        assert_eq!(at("1"), (1, 4, 1));
        assert_eq!(at("x"), (2, 9, 1));
        assert_eq!(at("drei"), (3, 1, 4));
        assert_eq!(&text.text()[text.line_range(1)], "é: 1");
        assert_eq!(&text.text()[text.line_range(2)], "zwei: ü x");
        assert!(text.line_range(9).is_empty());
        assert_eq!(text.span(500..600).length, 0);
    }
}
