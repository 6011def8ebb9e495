//! How a file begins: lines that are skipped, and the header or the first row, from which the layout follows.

use super::{BadFile, FileReader};
use crate::config::{Format, Header};
use crate::decode::{BadHeader, Layout};
use crate::scanner::{Field, RecordPlace, Scanned};
use bytes::Bytes;
use unbatch_api::Result;

impl FileReader {
    /// Lines in front of the header, whatever is in them.
    pub(super) fn skip_lines(&mut self) -> Result<Option<BadFile>> {
        for _ in 0..self.config.dialect.skip {
            loop {
                let data = &self.buffer[self.begin..self.end];
                if let Some((_, next)) = self.syntax.line_end().find(data, 0, self.at_end) {
                    self.use_up(&Scanned::of(next, 1));
                    break;
                }
                if let Some(bad) = self.more()? {
                    return Ok(Some(bad));
                }
            }
        }
        Ok(None)
    }

    pub(super) fn lay_out(&mut self) -> Result<Layout, BadHeader> {
        if self.config.dialect.header == Header::None {
            return Layout::by_position(&self.config, self.first_width());
        }
        if !self.block.misshapen.is_empty() {
            let message = "the header has something other than a delimiter after a closing quote".into();
            return Err(BadHeader { code: "header_bad_quote", message });
        }
        let data = &self.buffer[self.begin..self.end];
        let mut scratch = Vec::new();
        let mut names = Vec::with_capacity(self.block.fields.len());
        for field in &self.block.fields {
            let name = self.syntax.content(data, *field, &mut scratch);
            let name = std::str::from_utf8(name)
                .map_err(|_| BadHeader { code: "invalid_encoding", message: "the header is not UTF-8".into() })?;
            names.push(if self.config.dialect.trim_header { name.trim() } else { name }.to_owned());
        }
        let header = self.block.records.first().map(|r| &data[r.start as usize..r.end as usize]).unwrap_or_default();
        Layout::by_name(&self.config, &names, Bytes::copy_from_slice(header))
    }

    /// Fields of the first good row; without one, as many as there are declared columns.
    fn first_width(&self) -> usize {
        let declared = self.config.columns.len();
        if self.config.dialect.format == Format::Fixed {
            return declared;
        }
        let is_trailer = |place: &RecordPlace| {
            let record = &self.buffer[self.begin + place.start as usize..self.begin + place.end as usize];
            self.trailer.as_ref().is_some_and(|(rule, _)| rule.is_at(record))
        };
        let first = self.block.records.iter().find(|place| !is_trailer(place));
        let is_inside = |field: &&Field, place: &RecordPlace| {
            let start = field.range().start;
            (place.start as usize..=place.end as usize).contains(&start)
        };
        let found = first.map(|place| self.block.fields.iter().filter(|field| is_inside(field, place)).count());
        found.unwrap_or(declared.max(1))
    }
}
