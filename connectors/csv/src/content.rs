//! What a file holds, as far as it tells files apart: the digest of its text.
//!
//! The text is what is in the file once it is decompressed and decoded, so a plain file in UTF-8 has the digest of its bytes. Where
//! a file cannot be decoded to its end, the reason and the file's size count in place of what is missing.

use crate::digest::ContentDigest;
use std::fs::File;
use std::path::Path;
use unbatch_api::Result;
use unbatch_object_files::{Fault, Layers, RawFile, TextError, TextReader, local_error};

/// What stands in front of text in UTF-8 sometimes. It is a part of what the file holds and not of its rows.
pub const BOM: &[u8] = b"\xef\xbb\xbf";

/// The text of a file, or why there is none.
pub type Opened = Result<TextReader, Fault>;

/// Digests of a file as a whole and of its beginnings.
#[derive(Debug)]
pub struct Content {
    pub whole: String,
    /// For each length asked for; `None` where the text is shorter.
    pub beginnings: Vec<Option<Beginning>>,
    /// Bytes of its text.
    pub length: u64,
}

#[derive(Debug)]
pub struct Beginning {
    pub digest: String,
    pub last: Option<u8>,
}

/// The digest of what stands before the text that a reader gives first.
pub fn begun(text: &TextReader) -> ContentDigest {
    let mut digest = ContentDigest::new();
    if text.found().start > 0 {
        digest.update(BOM);
    }
    digest
}

/// The digest of a file whose text has `digest`, and perhaps ends with a fault.
pub fn identity(digest: &ContentDigest, fault: Option<&Fault>, raw_size: u64) -> String {
    let Some(fault) = fault else { return digest.so_far() };
    let mut digest = digest.clone();
    digest.update(fault.code.as_bytes());
    digest.update(&raw_size.to_le_bytes());
    digest.so_far()
}

/// Reads a file of `raw_size` bytes to its end. `lengths` rise.
pub fn read(opened: Opened, raw_size: u64, lengths: &[u64]) -> Result<Content> {
    let mut beginnings = Vec::with_capacity(lengths.len());
    let mut text = match opened {
        Ok(text) => text,
        Err(fault) => {
            let whole = identity(&ContentDigest::new(), Some(&fault), raw_size);
            return Ok(Content { whole, beginnings: lengths.iter().map(|_| None).collect(), length: 0 });
        }
    };
    let (mut digest, mut last, mut fault) = (begun(&text), None, None);
    for cut in lengths.iter().copied().chain([u64::MAX]) {
        let mut seen = |bytes: &[u8]| {
            digest.update(bytes);
            last = bytes.last().copied().or(last);
        };
        let reached = match text.read_through(cut, &mut seen) {
            Ok(reached) => reached,
            Err(TextError::Failed(error)) => return Err(error),
            Err(TextError::Bad(bad)) => {
                fault = Some(bad);
                0
            }
        };
        if cut < u64::MAX {
            beginnings.push((reached == cut).then(|| Beginning { digest: digest.so_far(), last }));
        }
    }
    Ok(Content { whole: identity(&digest, fault.as_ref(), raw_size), beginnings, length: text.offset() })
}

/// The digest of a file of the file system that was delivered under `name`.
pub fn digest_of(path: &Path, name: &str, layers: &Layers) -> Result<String> {
    let failed = |e| local_error("reading a file for its digest failed", path, e);
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let opened = opened(TextReader::open(Box::new(RawFile::new(file, path)?), name, layers))?;
    Ok(read(opened, size, &[])?.whole)
}

/// Parts what is wrong with the file from what failed.
pub fn opened(text: Result<TextReader, TextError>) -> Result<Opened> {
    match text {
        Ok(text) => Ok(Ok(text)),
        Err(TextError::Bad(fault)) => Ok(Err(fault)),
        Err(TextError::Failed(error)) => Err(error),
    }
}

/// A file that is in memory.
#[cfg(any(test, feature = "fuzz"))]
pub fn in_memory(bytes: &[u8], layers: &Layers) -> Opened {
    let raw = unbatch_object_files::RawBytes::new(bytes.to_vec());
    match opened(TextReader::open(Box::new(raw), "x", layers)) {
        Ok(opened) => opened,
        Err(error) => panic!("reading from memory failed: {error}"),
    }
}

/// The same from a place on that it has.
#[cfg(any(test, feature = "fuzz"))]
pub fn in_memory_behind(bytes: &[u8], layers: &Layers, byte: u64) -> TextReader {
    let Ok(mut text) = in_memory(bytes, layers) else { panic!("it was read before") };
    assert!(matches!(text.skip_to(byte), Ok(reached) if reached == byte), "the place is gone");
    text
}
