//! Raw bytes through a buffer, counted.

use crate::raw::RawRead;
use unbatch_api::Result;

/// Many files are smaller and need no more.
const FIRST_BYTES: usize = 64 << 10;
const BUFFER_BYTES: usize = 256 << 10;

/// A raw file that is read on and on.
pub(crate) struct Input {
    raw: Box<dyn RawRead>,
    buffer: Vec<u8>,
    /// `buffer[begin..end]` is read and not used.
    begin: usize,
    end: usize,
    is_at_end: bool,
    /// How many bytes from the beginning of the file are used.
    offset: u64,
    /// How many more may be used, where only a part of the file is read.
    left: Option<u64>,
}

impl Input {
    pub fn new(raw: Box<dyn RawRead>) -> Self {
        Self { raw, buffer: Vec::new(), begin: 0, end: 0, is_at_end: false, offset: 0, left: None }
    }

    pub fn size(&self) -> u64 {
        self.raw.size()
    }
    pub fn is_near(&self) -> bool {
        self.raw.is_near()
    }
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes that are at hand; none only at the end.
    pub fn available(&mut self) -> Result<&[u8]> {
        self.head(1)
    }

    /// At least `n` bytes, fewer only when the end is nearer. `n` is small.
    pub fn head(&mut self, n: usize) -> Result<&[u8]> {
        while self.end - self.begin < n && !self.is_at_end && self.left.is_none_or(|left| left > 0) {
            self.fill()?;
        }
        let most = self.left.unwrap_or(u64::MAX).min((self.end - self.begin) as u64) as usize;
        Ok(&self.buffer[self.begin..self.begin + most])
    }

    pub fn consume(&mut self, n: usize) {
        self.begin += n;
        self.offset += n as u64;
        if let Some(left) = &mut self.left {
            *left -= n as u64;
        }
    }

    /// Fills `buffer` as far as the file goes; how many bytes that were.
    pub fn read_full(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            let at_hand = self.available()?;
            if at_hand.is_empty() {
                break;
            }
            let n = at_hand.len().min(buffer.len() - done);
            buffer[done..done + n].copy_from_slice(&at_hand[..n]);
            self.consume(n);
            done += n;
        }
        Ok(done)
    }

    /// Reads past the buffer when nothing is in it.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        if self.begin == self.end && self.left.is_none() && !self.is_at_end && !out.is_empty() {
            let n = self.raw.read(out)?;
            self.is_at_end = n == 0;
            self.offset += n as u64;
            return Ok(n);
        }
        let at_hand = self.available()?;
        let n = at_hand.len().min(out.len());
        out[..n].copy_from_slice(&at_hand[..n]);
        self.consume(n);
        Ok(n)
    }

    /// Goes to an offset, and lets only `left` bytes be used from there.
    pub fn seek(&mut self, offset: u64, left: Option<u64>) -> Result<()> {
        self.raw.seek(offset)?;
        (self.begin, self.end, self.is_at_end, self.offset, self.left) = (0, 0, false, offset, left);
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        self.buffer.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        let size = if self.buffer.is_empty() { FIRST_BYTES } else { BUFFER_BYTES };
        self.buffer.resize(size, 0);
        // always to the full, however few bytes the store gives at once: what a decoder hands out before it finds something wrong then
        // depends on the file alone, and who comes again finds the same text
        while self.end < self.buffer.len() && !self.is_at_end {
            let n = self.raw.read(&mut self.buffer[self.end..])?;
            self.is_at_end = n == 0;
            self.end += n;
        }
        Ok(())
    }
}
