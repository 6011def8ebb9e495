use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::cell::Cell;
use crate::error::{Error, Result};
use crate::feed::FeedSpec;

/// How the program at the other end happens to write CSV; the same for all nights of one sender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileStyle {
    pub byte_order_mark: bool,
    pub crlf: bool,
    /// Every field that is not NULL stands in quotes.
    pub quote_all: bool,
    /// The last row ends without a line end.
    pub open_end: bool,
    /// Which of the words for NULL the sender uses; past the last one, the empty field.
    pub null_word: usize,
}

/// Where a row begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Physical line, from 1.
    pub line: u64,
    pub byte: u64,
}

/// A CSV file under way; counts its bytes and lines as it writes them.
pub(crate) struct DropFile<'a> {
    out: BufWriter<File>,
    path: &'a Path,
    spec: &'a FeedSpec,
    style: FileStyle,
    digest: Sha256,
    bytes: u64,
    line_ends: u64,
    /// The end of the row before is written with the row after it, since the last one may go without.
    owes_line_end: bool,
    row: Vec<u8>,
}

impl<'a> DropFile<'a> {
    pub fn create(path: &'a Path, spec: &'a FeedSpec, style: FileStyle) -> Result<Self> {
        let file = File::create(path).map_err(|error| Error::at("creating", path, error))?;
        let mut this = Self {
            out: BufWriter::with_capacity(1 << 16, file),
            path,
            spec,
            style,
            digest: Sha256::new(),
            bytes: 0,
            line_ends: 0,
            owes_line_end: false,
            row: Vec::with_capacity(256),
        };
        if style.byte_order_mark {
            this.put(b"\xEF\xBB\xBF")?;
        }
        let header: Vec<Cell> = spec.columns.iter().map(|column| Cell::string(column.name)).collect();
        this.row(&header)?;
        Ok(this)
    }

    /// Writes one row; gives the place where it begins.
    pub fn row(&mut self, cells: &[Cell]) -> Result<Place> {
        let place = self.begin_row()?;
        self.row.clear();
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                push_char(&mut self.row, self.spec.delimiter);
            }
            self.push_cell(cell);
        }
        self.put_row()?;
        self.owes_line_end = true;
        Ok(place)
    }

    /// Writes the beginning of a row, up to the middle of the quoted text of column `at`; nothing may follow.
    pub fn cut_row(&mut self, cells: &[Cell], at: usize, beginning_of_text: &str) -> Result<Place> {
        let place = self.begin_row()?;
        self.row.clear();
        for cell in &cells[..at] {
            self.push_cell(cell);
            push_char(&mut self.row, self.spec.delimiter);
        }
        self.row.push(b'"');
        self.row.extend_from_slice(beginning_of_text.as_bytes());
        self.put_row()?;
        self.owes_line_end = false;
        Ok(place)
    }

    /// Gives the file's size and SHA-256.
    pub fn finish(mut self) -> Result<(u64, String)> {
        if self.owes_line_end && !self.style.open_end {
            self.end_line()?;
        }
        self.out.flush().map_err(|error| Error::at("writing", self.path, error))?;
        let digest = self.digest.finalize();
        let hex = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((self.bytes, hex))
    }

    fn begin_row(&mut self) -> Result<Place> {
        if self.owes_line_end {
            self.end_line()?;
        }
        Ok(Place { line: self.line_ends + 1, byte: self.bytes })
    }

    fn end_line(&mut self) -> Result<()> {
        self.put(if self.style.crlf { b"\r\n" } else { b"\n" })
    }

    fn push_cell(&mut self, cell: &Cell) {
        if cell.value.is_null() && cell.text.is_empty() {
            let word = self.spec.nulls.get(self.style.null_word).unwrap_or(&"");
            self.row.extend_from_slice(word.as_bytes());
        } else if cell.quoted || self.style.quote_all || self.needs_quotes(&cell.text) {
            self.row.push(b'"');
            for &byte in &cell.text {
                if byte == b'"' {
                    self.row.push(b'"');
                }
                self.row.push(byte);
            }
            self.row.push(b'"');
        } else {
            self.row.extend_from_slice(&cell.text);
        }
    }

    /// Delimiter, quote and line ends must be quoted; an empty text too, or it would be NULL.
    fn needs_quotes(&self, text: &[u8]) -> bool {
        let delimiter = self.spec.delimiter as u32;
        text.is_empty() || text.iter().any(|&byte| u32::from(byte) == delimiter || matches!(byte, b'"' | b'\n' | b'\r'))
    }

    fn put_row(&mut self) -> Result<()> {
        let row = std::mem::take(&mut self.row);
        let put = self.put(&row);
        self.row = row;
        put
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|error| Error::at("writing", self.path, error))?;
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        self.line_ends += bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        Ok(())
    }
}

fn push_char(row: &mut Vec<u8>, delimiter: char) {
    row.extend_from_slice(delimiter.encode_utf8(&mut [0; 4]).as_bytes());
}
