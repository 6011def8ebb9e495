//! Where the bytes of a file come from.

use crate::store::local_error;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use unbatch_api::Result;

/// The bytes of one file as they lie in the store. Blocking.
pub trait RawRead: Send {
    /// Reads on from where it stands, as many bytes as are at hand; 0 is the end. A file that was replaced or changed since it was
    /// opened is an error where the store can tell ([`crate::is_changed`]).
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;
    /// Goes to an offset from the beginning, in bytes; behind the end there is nothing to read.
    fn seek(&mut self, offset: u64) -> Result<()>;
    /// Bytes, when it was opened.
    fn size(&self) -> u64;
    /// Whether a read is as fast as memory as a rule, so that reading ahead gains nothing.
    fn is_near(&self) -> bool;
}

/// A file of the file system.
#[derive(Debug)]
pub struct RawFile {
    file: File,
    path: PathBuf,
    size: u64,
}

impl RawFile {
    /// Takes an open file from its beginning on; `path` is for messages.
    pub fn new(file: File, path: &Path) -> Result<Self> {
        let metadata = file.metadata().map_err(|e| local_error("looking at an open file failed", path, e))?;
        Ok(Self { file, path: path.to_owned(), size: metadata.len() })
    }

    /// The open file, for looking at it.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl RawRead for RawFile {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match self.file.read(buffer) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                read => return read.map_err(|e| local_error("reading a file failed", &self.path, e)),
            }
        }
    }
    fn seek(&mut self, offset: u64) -> Result<()> {
        let moved = self.file.seek(SeekFrom::Start(offset));
        moved.map(|_| ()).map_err(|e| local_error("seeking in a file failed", &self.path, e))
    }
    fn size(&self) -> u64 {
        self.size
    }
    fn is_near(&self) -> bool {
        true
    }
}

/// Bytes in memory.
#[derive(Clone, Debug)]
pub struct RawBytes {
    bytes: bytes::Bytes,
    at: u64,
}

impl RawBytes {
    pub fn new(bytes: impl Into<bytes::Bytes>) -> Self {
        Self { bytes: bytes.into(), at: 0 }
    }
}

impl RawRead for RawBytes {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let begin = self.at.min(self.bytes.len() as u64) as usize;
        let n = buffer.len().min(self.bytes.len() - begin);
        buffer[..n].copy_from_slice(&self.bytes[begin..begin + n]);
        self.at += n as u64;
        Ok(n)
    }
    fn seek(&mut self, offset: u64) -> Result<()> {
        self.at = offset;
        Ok(())
    }
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
    fn is_near(&self) -> bool {
        true
    }
}
