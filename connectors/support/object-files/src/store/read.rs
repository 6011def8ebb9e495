//! Reads one object in blocks, the next one while the last one is used.

use super::calls::{Call, Calls};
use super::failure::{Answer, Doing, Now, changed};
use crate::raw::RawRead;
use crate::stat::ObjectStat;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore};
use std::ops::Range;
use unbatch_api::{Error, Result};

/// Largest block of an object that is asked for at once. Two are in memory at most: one that is used, and one that is on its way.
pub const BLOCK_BYTES: u64 = 8 << 20;
/// The first block; most files are smaller, and are one request.
const FIRST_BYTES: u64 = 1 << 20;
/// The first block after a seek, as for an archive's directory, which is not read ahead from.
const SEEK_BYTES: u64 = 256 << 10;

/// An object, as it was when it was seen.
pub(super) struct ObjectRead {
    calls: Calls,
    path: Path,
    name: String,
    stat: ObjectStat,
    /// Where the next byte stands.
    at: u64,
    /// What is there of the block that is used.
    block: Bytes,
    next_bytes: u64,
    reads_ahead: bool,
    ahead: Option<Ahead>,
}

struct Ahead {
    from: u64,
    call: Call<Bytes>,
}

impl ObjectRead {
    pub fn new(calls: Calls, path: Path, name: &str, stat: &ObjectStat) -> Self {
        Self {
            calls,
            path,
            name: name.to_owned(),
            stat: stat.clone(),
            at: 0,
            block: Bytes::new(),
            next_bytes: FIRST_BYTES,
            reads_ahead: true,
            ahead: None,
        }
    }

    /// A part that lies in the object, in one request.
    pub fn range(&self, range: Range<u64>) -> Result<Bytes> {
        let answer = self.calls.wait(self.start(range), Doing::Read, &self.name)?;
        answer.map_err(|e| self.failed(&e))
    }

    fn fill(&mut self) -> Result<()> {
        let ahead = self.ahead.take().filter(|ahead| ahead.from == self.at);
        let call = match ahead {
            Some(ahead) => ahead.call,
            None => self.start(self.block_at(self.at)),
        };
        let answer = self.calls.wait(call, Doing::Read, &self.name)?;
        self.block = answer.map_err(|e| self.failed(&e))?;
        let next = self.at + self.block.len() as u64;
        if self.block.is_empty() {
            return Err(Error::transient("reading a file from a store failed: an empty answer").code("U0312"));
        }
        self.next_bytes = (self.next_bytes * 4).min(BLOCK_BYTES);
        if self.reads_ahead && next < self.stat.size {
            self.ahead = Some(Ahead { from: next, call: self.start(self.block_at(next)) });
        }
        self.reads_ahead = true;
        Ok(())
    }

    fn block_at(&self, from: u64) -> Range<u64> {
        from..(from + self.next_bytes).min(self.stat.size)
    }

    /// Asks for a part of this very upload.
    fn start(&self, Range { start: from, end: to }: Range<u64>) -> Call<Bytes> {
        let options = GetOptions {
            if_match: self
                .stat
                .etag
                .as_ref()
                .filter(|etag| !etag.is_empty() && !etag.starts_with("W/"))
                .map(|etag| format!("\"{etag}\"")),
            range: Some(GetRange::Bounded(from..to)),
            ..GetOptions::default()
        };
        let (client, path) = (self.calls.client.clone(), self.path.clone());
        let stat = self.stat.clone();
        self.calls.start(async move {
            let got = client.get_opts(&path, options).await?;
            // a store that does not know conditions says what it answers with
            if !ObjectStat::of_object(&got.meta).is_same_file(&stat) || got.range != (from..to) {
                let source = "another object was answered with".into();
                return Err(object_store::Error::Precondition { path: path.to_string(), source });
            }
            let bytes = got.bytes().await?;
            if bytes.len() as u64 != to - from {
                let source = "fewer bytes came than were announced".into();
                return Err(object_store::Error::Generic { store: "store", source });
            }
            Ok(bytes)
        })
    }

    fn failed(&self, error: &object_store::Error) -> Error {
        let size = self.stat.size;
        match error {
            object_store::Error::Precondition { .. } | object_store::Error::NotModified { .. } => {
                changed(&self.path, size, Now::Another)
            }
            object_store::Error::NotFound { .. } if !Answer::of(error).is_no_bucket() => {
                changed(&self.path, size, Now::Gone)
            }
            other => self.calls.error(Doing::Read, &self.name, other),
        }
    }
}

impl RawRead for ObjectRead {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.at >= self.stat.size || buffer.is_empty() {
            return Ok(0);
        }
        if self.block.is_empty() {
            self.fill()?;
        }
        let part = self.block.split_to(buffer.len().min(self.block.len()));
        buffer[..part.len()].copy_from_slice(&part);
        self.at += part.len() as u64;
        Ok(part.len())
    }

    fn seek(&mut self, offset: u64) -> Result<()> {
        let ahead = offset.wrapping_sub(self.at);
        if offset >= self.at && ahead <= self.block.len() as u64 {
            drop(self.block.split_to(ahead as usize));
        } else {
            self.block = Bytes::new();
            self.ahead = None;
            (self.next_bytes, self.reads_ahead) = (SEEK_BYTES, false);
        }
        self.at = offset;
        Ok(())
    }

    fn size(&self) -> u64 {
        self.stat.size
    }

    fn is_near(&self) -> bool {
        false
    }
}
