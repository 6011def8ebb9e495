//! How a file ends: as it should, with a trailer that agrees or not, or inside something that has no end.

use super::{BadFile, FileReader, Step};
use crate::scanner::{RecordPlace, Scanned};
use unbatch_api::Result;

impl FileReader {
    /// The file ended without a trailer.
    pub(super) fn ended(&self) -> Step {
        match self.trailer {
            None => Step::End,
            Some(_) => {
                let message = "the file ends without its trailer; as a rule it was not delivered whole".into();
                Step::Bad(None, self.bad("trailer_missing", message))
            }
        }
    }

    /// Takes the trailer and what is behind it out of the block; `scanned` then ends in front of it.
    pub(super) fn cut_at_trailer(&mut self, scanned: &mut Scanned, width: usize) -> Option<RecordPlace> {
        let (rule, _) = self.trailer.as_ref()?;
        let data = &self.buffer[self.begin..self.end];
        let found = self.block.find(|place| rule.is_at(&data[place.start as usize..place.end as usize]))?;
        self.block.cut(found.start, width);
        *scanned = Scanned::of(found.start as usize, found.line - self.place.line);
        Some(found)
    }

    /// The trailer stands where the buffer begins: it must say what was read, and nothing may follow it.
    pub(super) fn end_with(&mut self, trailer: RecordPlace) -> Result<Step> {
        let length = (trailer.end - trailer.start) as usize;
        let line = &self.buffer[self.begin..self.begin + length];
        if let Some((rule, totals)) = &self.trailer
            && let Err(message) = rule.check(line, &self.syntax, self.place.row, self.rejected, totals)
        {
            return Ok(Step::Bad(None, self.bad("trailer_disagrees", message)));
        }
        self.use_up(&Scanned::of(length, 0));
        loop {
            let rest = &self.buffer[self.begin..self.end];
            let line_end = self.syntax.line_end().text();
            // an old end-of-file mark is nothing either
            let is_nothing = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x1a || line_end.contains(byte);
            if !rest.iter().all(is_nothing) {
                let message = "something follows the trailer; no row may begin as `trailer.match` says".into();
                return Ok(Step::Bad(None, self.bad("trailer_disagrees", message)));
            }
            self.use_rest();
            if self.at_end {
                return Ok(Step::End);
            }
            if let Some(bad) = self.cut_off() {
                return Ok(Step::Bad(None, bad));
            }
            self.fill()?;
        }
    }

    /// The text stops here although the file does not end: it is damaged, or not what its name says.
    pub(super) fn cut_off(&self) -> Option<BadFile> {
        self.unreadable.as_ref().map(|fault| self.bad(fault.code, fault.to_string()))
    }

    /// The record in sight has no end that could be trusted.
    pub(super) fn endless(&self, scanned: &Scanned) -> Option<BadFile> {
        if scanned.swallows {
            let most = self.config.field_lines_max;
            let message = format!("a quoted field has more than {most} line breaks; as a rule a quote is missing");
            return Some(self.bad("field_too_many_lines", message));
        }
        let is_open = scanned.open_quote && !unbatch_api::failpoint::sabotaged("file-truncated");
        is_open.then(|| self.bad("truncated_in_quotes", "the file ends inside a quoted field".into()))
    }
}
