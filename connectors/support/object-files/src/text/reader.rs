//! Reads the text of a file.

use super::ahead::{Ahead, Piece};
use super::content::Content;
use crate::fault::TextError;
use crate::layers::{Compression, Layers, TextEncoding};
use crate::raw::RawRead;
use std::io::Read;
use unbatch_api::Error;

/// What a file with layers is read into first; many are smaller and need no thread.
const FIRST_BYTES: usize = 64 << 10;
/// What is read at once to get to a place.
const SKIP_BYTES: usize = 256 << 10;

/// How a file turned out to be packed and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Never `Auto`.
    pub compression: Compression,
    pub encoding: TextEncoding,
    /// Name of the zip archive's entry.
    pub entry: Option<String>,
    /// What is to be told about it: that a byte order mark counts more than the configuration. Continues the file's name.
    pub notice: Option<String>,
    /// Offset of the first text: 3 behind the byte order mark of UTF-8, otherwise 0.
    pub start: u64,
}

impl Found {
    fn plain() -> Self {
        let (compression, encoding) = (Compression::None, TextEncoding::default());
        Self { compression, encoding, entry: None, notice: None, start: 0 }
    }
}

/// The UTF-8 text of one file, in order; malformed bytes stand in it as `layers/encoding.rs` says.
///
/// Offsets are in bytes of the text. For plain UTF-8 they are those of the raw file, byte order mark included, and the reader seeks.
/// Otherwise it can only come to a place by decoding all before it, which the same file always does alike: also the text that is
/// handed out before something wrong depends on nothing but the file.
///
/// Files in UTF-8 that lie near are read on the caller's thread. Others are decoded ahead by a thread, once they are larger than
/// 64 KiB. Memory: 256 KiB of raw bytes, 64 KiB to look at the beginning or to transcode from, two pieces of 1 MiB where a thread
/// decodes, and the decoder's own: gz 48 KiB, bz2 4 MiB, zst and xz up to `window_bytes_max` and 1 MiB. Reading of an object store
/// adds its blocks ([`crate::BLOCK_BYTES`]).
pub struct TextReader {
    found: Found,
    source: Source,
    /// `piece.bytes[used..piece.length]` was decoded and not handed out.
    piece: Piece,
    used: usize,
    offset: u64,
    raw_size: u64,
    is_over: bool,
}

enum Source {
    /// On the caller's thread, and the piece is not used.
    Here(Content),
    /// The first piece was decoded here; a thread goes on when more is asked for.
    NotYet(Content),
    Ahead(Ahead),
    /// All is in the piece.
    Over,
}

impl TextReader {
    /// Opens a file at its beginning. The layers are chosen by its name and first bytes.
    pub fn open(raw: Box<dyn RawRead>, name: &str, layers: &Layers) -> Result<Self, TextError> {
        let (content, found) = Content::open(raw, name, layers)?;
        let is_direct = content.is_near() && is_plain(&found);
        let raw_size = content.raw_size();
        let piece = Piece { bytes: Vec::new(), length: 0, raw_offset: 0, error: None, is_last: false };
        let offset = found.start;
        let source = if is_direct { Source::Here(content) } else { Source::NotYet(content) };
        let mut reader = Self { found, source, piece, used: 0, offset, raw_size, is_over: false };
        if !is_direct {
            reader.fill_first();
        }
        Ok(reader)
    }

    /// Text that is UTF-8 already and is taken as it is, whatever it begins with.
    pub fn of_text(text: Vec<u8>) -> Self {
        let (found, length) = (Found::plain(), text.len());
        let piece = Piece { bytes: text, length, raw_offset: length as u64, error: None, is_last: true };
        Self { found, source: Source::Over, piece, used: 0, offset: 0, raw_size: length as u64, is_over: false }
    }

    pub fn found(&self) -> &Found {
        &self.found
    }
    /// Where the next byte of text stands.
    pub fn offset(&self) -> u64 {
        self.offset
    }
    /// How much of the raw file was used for the text so far, or a little more; for showing progress.
    pub fn raw_offset(&self) -> u64 {
        match &self.source {
            Source::Here(content) => content.raw_offset(),
            _ => self.piece.raw_offset,
        }
    }
    /// Bytes of the raw file when it was opened.
    pub fn raw_size(&self) -> u64 {
        self.raw_size
    }
    /// Whether offsets are those of the raw file, so that a place is found without reading what is before it.
    pub fn is_plain(&self) -> bool {
        is_plain(&self.found)
    }

    /// Reads on, as much as is at hand. 0 is the end of a file whose layers were good to their last byte.
    pub fn read_text(&mut self, out: &mut [u8]) -> Result<usize, TextError> {
        if out.is_empty() || self.is_over {
            return Ok(0);
        }
        if let Source::Here(content) = &mut self.source {
            let (n, error) = content.fill(out, &|| true);
            self.offset += n as u64;
            self.is_over = n == 0;
            return error.map_or(Ok(n), Err);
        }
        while self.used == self.piece.length {
            if let Some(error) = self.piece.error.take() {
                self.is_over = true;
                return Err(error);
            }
            if self.piece.is_last {
                self.is_over = true;
                return Ok(0);
            }
            self.next_piece()?;
        }
        let at_hand = &self.piece.bytes[self.used..self.piece.length];
        let n = at_hand.len().min(out.len());
        out[..n].copy_from_slice(&at_hand[..n]);
        self.used += n;
        self.offset += n as u64;
        Ok(n)
    }

    /// Goes forward to an offset and hands all text before it to `seen`, for its digest. Returns where it came to: less only when the
    /// text ends before.
    pub fn read_through(&mut self, offset: u64, seen: &mut dyn FnMut(&[u8])) -> Result<u64, TextError> {
        let mut buffer = vec![0; SKIP_BYTES];
        while self.offset < offset {
            let most = (offset - self.offset).min(SKIP_BYTES as u64) as usize;
            let n = self.read_text(&mut buffer[..most])?;
            if n == 0 {
                break;
            }
            seen(&buffer[..n]);
        }
        Ok(self.offset)
    }

    /// Goes forward to an offset by the shortest way: a seek in plain UTF-8, else by decoding what is before it. Returns where it came
    /// to: less only when the text ends before.
    pub fn skip_to(&mut self, offset: u64) -> Result<u64, TextError> {
        if !self.is_plain() {
            return self.read_through(offset, &mut |_| {});
        }
        if offset <= self.offset {
            return Ok(self.offset);
        }
        let offset = offset.min(self.raw_size);
        let ahead = (self.piece.length - self.used) as u64;
        match &mut self.source {
            Source::Here(content) => content.seek(offset)?,
            Source::NotYet(content) if offset - self.offset > ahead => {
                content.seek(offset)?;
                (self.used, self.piece.length, self.piece.is_last) = (0, 0, false);
            }
            // a thread has read on already, or the first piece has the place
            _ => return self.read_through(offset, &mut |_| {}),
        }
        self.offset = offset;
        Ok(offset)
    }

    fn fill_first(&mut self) {
        let Source::NotYet(content) = &mut self.source else { return };
        let mut bytes = vec![0; FIRST_BYTES];
        let (length, error) = content.fill(&mut bytes, &|| true);
        let is_last = content.is_over();
        self.piece = Piece { bytes, length, raw_offset: content.raw_offset(), error, is_last };
        if is_last {
            self.source = Source::Over;
        }
    }

    fn next_piece(&mut self) -> Result<(), TextError> {
        let used = match std::mem::replace(&mut self.source, Source::Over) {
            Source::NotYet(content) => {
                self.source = Source::Ahead(Ahead::start(content)?);
                None
            }
            other => {
                self.source = other;
                Some(std::mem::take(&mut self.piece.bytes))
            }
        };
        let Source::Ahead(ahead) = &mut self.source else {
            return Err(Error::bug("reading a file failed: nothing is left to decode").code("U0901").into());
        };
        self.piece = ahead.next(used)?;
        self.used = 0;
        Ok(())
    }
}

fn is_plain(found: &Found) -> bool {
    found.compression == Compression::None && found.encoding.is_utf8()
}

/// Errors hold a [`TextError`]; [`TextError::from_io`] takes it out.
impl Read for TextReader {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.read_text(out).map_err(std::io::Error::other)
    }
}
