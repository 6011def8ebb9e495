//! All layers of one file on top of each other, on one thread.

use crate::fault::TextError;
use crate::layers::{
    Compression, Decompressor, Input, Layers, TextEncoding, Transcoder, chosen, decide, looks_packed, nested,
};
use crate::raw::RawRead;
use crate::text::Found;
use unbatch_api::Error;

/// Decompressed bytes that wait to be transcoded, or were read to look at the beginning.
const SCRATCH_BYTES: usize = 64 << 10;
/// Enough for every magic and mark.
const HEAD_BYTES: usize = 16;
/// A transcoder needs this much room to write anything.
const ROOM_MIN: usize = 16;

pub(super) struct Content {
    bytes: Decompressor,
    transcoder: Option<Transcoder>,
    /// `scratch[begin..end]` is decompressed and not used.
    scratch: Vec<u8>,
    begin: usize,
    end: usize,
    is_input_over: bool,
    is_over: bool,
    /// What opening found behind the first bytes; it is told after them.
    cut: Option<TextError>,
    failed: Option<TextError>,
}

impl Content {
    /// Looks at the beginning of the file and chooses the layers.
    pub fn open(raw: Box<dyn RawRead>, name: &str, layers: &Layers) -> Result<(Self, Found), TextError> {
        let mut input = Input::new(raw);
        let compression = decide(layers.compression, name, input.head(HEAD_BYTES)?).map_err(|fault| fault.at(0))?;
        let entry = layers.entry_matcher().map_err(|why| {
            Error::misconfigured(format!("choosing an entry of a zip archive failed: `entry` {why}")).code("U0311")
        })?;
        let bytes = Decompressor::open(input, compression, entry.as_ref(), layers.limits)?;
        let mut content = Self {
            bytes,
            transcoder: None,
            scratch: Vec::new(),
            begin: 0,
            end: 0,
            is_input_over: false,
            is_over: false,
            cut: None,
            failed: None,
        };
        let head = content.head()?;
        if compression != Compression::None && looks_packed(head) {
            return Err(nested().at(content.bytes.raw_offset()));
        }
        let (encoding, mark) = chosen(layers.encoding, head).map_err(|fault| fault.at(content.bytes.raw_offset()))?;
        content.begin += mark;
        content.transcoder = Transcoder::new(encoding);
        let found = Found {
            compression,
            encoding,
            entry: content.bytes.entry().map(str::to_owned),
            notice: notice(layers.encoding, encoding, mark),
            // what UTF-8 is read from can be found again by its offset, so its mark counts
            start: if encoding.is_utf8() { mark as u64 } else { 0 },
        };
        Ok((content, found))
    }

    /// Reads until `out` is full or the content ends; how many bytes that were, and what came after them instead of more.
    pub fn fill(&mut self, out: &mut [u8], go_on: &dyn Fn() -> bool) -> (usize, Option<TextError>) {
        let mut done = 0;
        while done < out.len() && !self.is_over && self.failed.is_none() && go_on() {
            match self.step(&mut out[done..]) {
                Ok(0) if self.transcoder.is_some() && out.len() - done < ROOM_MIN => break,
                Ok(n) => done += n,
                Err(error) => self.failed = Some(error),
            }
        }
        let error = if done == 0 { self.failed.take() } else { None };
        self.is_over |= error.is_some();
        (done, error)
    }

    /// Whether all was handed out and found good.
    pub fn is_over(&self) -> bool {
        self.is_over
    }
    /// Bytes of the raw file that were needed for what was handed out, or a little more.
    pub fn raw_offset(&self) -> u64 {
        self.bytes.raw_offset()
    }
    pub fn raw_size(&self) -> u64 {
        self.bytes.raw_size()
    }
    pub fn is_near(&self) -> bool {
        self.bytes.is_near()
    }

    /// Goes to an offset of the text; only where that is the offset in the raw file.
    pub fn seek(&mut self, offset: u64) -> Result<(), TextError> {
        self.bytes.seek(offset)?;
        (self.begin, self.end, self.is_input_over, self.is_over) = (0, 0, false, false);
        (self.cut, self.failed) = (None, None);
        Ok(())
    }

    /// One step of the layers; 0 when there was no output yet, or no room.
    fn step(&mut self, out: &mut [u8]) -> Result<usize, TextError> {
        if self.begin == self.end && !self.is_input_over {
            if let Some(cut) = self.cut.take() {
                return Err(cut);
            }
            if self.transcoder.is_none() {
                let n = self.bytes.read(out)?;
                self.is_input_over = n == 0;
                self.is_over = n == 0;
                return Ok(n);
            }
            self.refill()?;
        }
        let at_hand = &self.scratch[self.begin..self.end];
        let Some(transcoder) = &mut self.transcoder else {
            let n = at_hand.len().min(out.len());
            out[..n].copy_from_slice(&at_hand[..n]);
            self.begin += n;
            self.is_over = self.is_input_over && self.begin == self.end;
            return Ok(n);
        };
        if out.len() < ROOM_MIN {
            return Ok(0);
        }
        let done = transcoder.step(at_hand, out, self.is_input_over);
        self.begin += done.read;
        self.is_over = done.is_over;
        Ok(done.written)
    }

    /// The first decompressed bytes, which stay in the scratch.
    fn head(&mut self) -> Result<&[u8], TextError> {
        while self.end - self.begin < HEAD_BYTES && !self.is_input_over && self.cut.is_none() {
            match self.refill() {
                Err(error) if self.end > self.begin => self.cut = Some(error),
                done => done?,
            }
        }
        Ok(&self.scratch[self.begin..self.end])
    }

    fn refill(&mut self) -> Result<(), TextError> {
        self.scratch.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        self.scratch.resize(SCRATCH_BYTES, 0);
        let n = self.bytes.read(&mut self.scratch[self.end..])?;
        self.is_input_over = n == 0;
        self.end += n;
        Ok(())
    }
}

fn notice(configured: TextEncoding, encoding: TextEncoding, mark: usize) -> Option<String> {
    (mark > 0 && encoding != configured).then(|| {
        let (marked, configured) = (encoding.name(), configured.name());
        format!("has the byte order mark of {marked} and is read so, although {configured} is configured")
    })
}
