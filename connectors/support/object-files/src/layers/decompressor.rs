//! From raw bytes to decompressed ones: members one after the other, limits, and what may stand behind the last one.

use crate::fault::{Fault, TextError, bad};
use crate::layers::codec::{self, Codec};
use crate::layers::sniff::{Compression, MAGIC_BYTES_MAX};
use crate::layers::{Input, Limits, zip};
use globset::GlobMatcher;

/// The decompressed bytes of a file, in order.
pub(crate) struct Decompressor {
    input: Input,
    shape: Shape,
    limits: Limits,
    decoded: u64,
    /// Raw bytes that are not content: what was read before an archive's entry.
    raw_before: u64,
}

enum Shape {
    Plain,
    Members(Members),
    Entry(zip::Entry, Option<Members>, flate2::Crc),
}

struct Members {
    codec: Box<dyn Codec>,
    compression: &'static str,
    is_within: bool,
    is_first: bool,
}

impl Decompressor {
    /// Opens a file of a known compression; for an archive it reads its directory and goes to the entry.
    pub fn open(
        mut input: Input,
        compression: Compression,
        entry: Option<&GlobMatcher>,
        limits: Limits,
    ) -> Result<Self, TextError> {
        let shape = match codec::of_file(compression, &limits) {
            Some(codec) => Shape::Members(Members::new(codec, compression.as_str())),
            None if compression == Compression::Zip => {
                let entry = zip::open_entry(&mut input, entry)?;
                let members = entry.codec(&limits).map(|codec| Members::new(codec, "zip"));
                Shape::Entry(entry, members, flate2::Crc::new())
            }
            None => Shape::Plain,
        };
        let raw_before = if matches!(shape, Shape::Entry(..)) { input.offset() } else { 0 };
        Ok(Self { input, shape, limits, decoded: 0, raw_before })
    }

    /// How many bytes of the raw file are used.
    pub fn raw_offset(&self) -> u64 {
        self.input.offset()
    }
    pub fn raw_size(&self) -> u64 {
        self.input.size()
    }
    pub fn is_near(&self) -> bool {
        self.input.is_near()
    }
    /// Name of the archive's entry.
    pub fn entry(&self) -> Option<&str> {
        match &self.shape {
            Shape::Entry(entry, ..) => Some(&entry.name),
            _ => None,
        }
    }

    /// Goes to an offset of the content; only for plain content.
    pub fn seek(&mut self, offset: u64) -> Result<(), TextError> {
        Ok(self.input.seek(offset, None)?)
    }

    /// Reads on; 0 is the end, and then everything was checked.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, TextError> {
        if out.is_empty() {
            return Ok(0);
        }
        let n = match &mut self.shape {
            Shape::Plain => return Ok(self.input.read(out)?),
            Shape::Members(members) => members.read(&mut self.input, out)?,
            Shape::Entry(entry, members, crc) => {
                let n = match members {
                    Some(members) if entry.size_packed > 0 => members.read(&mut self.input, out)?,
                    _ => self.input.read(out)?,
                };
                crc.update(&out[..n]);
                let decoded = self.decoded + n as u64;
                let is_good = if n == 0 { entry.is(decoded, crc.sum()) } else { decoded <= entry.size };
                if !is_good {
                    let message = "the archive's entry is not what its directory says, by length or checksum";
                    return Err(bad("damaged_content", message).at(self.input.offset()));
                }
                n
            }
        };
        self.decoded += n as u64;
        self.check_limits().map_err(|fault| fault.at(self.input.offset()))?;
        Ok(n)
    }

    fn check_limits(&self) -> Result<(), Fault> {
        let Limits { decoded_bytes_max, ratio_max, ratio_floor, .. } = self.limits;
        if self.decoded > decoded_bytes_max {
            let message = format!("the content is larger than {decoded_bytes_max} bytes when it is decompressed");
            return Err(bad("content_too_large", message));
        }
        let raw = (self.input.offset() - self.raw_before).max(1);
        if self.decoded > ratio_floor && self.decoded / raw > ratio_max {
            let message = format!(
                "the content became {} bytes out of {raw}, more than {ratio_max} to one, as only bombs do",
                self.decoded
            );
            return Err(bad("ratio_too_large", message));
        }
        Ok(())
    }
}

impl Members {
    fn new(codec: Box<dyn Codec>, compression: &'static str) -> Self {
        Self { codec, compression, is_within: false, is_first: true }
    }

    fn read(&mut self, input: &mut Input, out: &mut [u8]) -> Result<usize, TextError> {
        loop {
            if !self.is_within && !self.begin(input)? {
                return Ok(0);
            }
            let at_hand = input.available()?;
            let is_at_end = at_hand.is_empty();
            let stepped = self.codec.step(at_hand, out);
            let step = stepped.map_err(|fault| fault.at(input.offset()))?;
            input.consume(step.consumed);
            if step.is_over {
                self.is_within = false;
            } else if step.consumed == 0 && step.produced == 0 {
                let what = self.compression;
                let fault = match is_at_end {
                    true => bad("truncated_content", format!("the {what} content ends in the middle")),
                    false => bad("damaged_content", format!("the {what} content is damaged: it leads nowhere")),
                };
                return Err(fault.at(input.offset()));
            }
            if step.produced > 0 {
                return Ok(step.produced);
            }
        }
    }

    /// Begins the next member; false at the proper end of the file.
    fn begin(&mut self, input: &mut Input) -> Result<bool, TextError> {
        loop {
            let head = input.head(MAGIC_BYTES_MAX)?;
            if head.is_empty() && !self.is_first {
                return Ok(false);
            }
            if self.codec.begins(head, self.is_first) {
                break;
            }
            if !self.is_first && self.codec.may_pad() && head.starts_with(&[0; 4]) {
                input.consume(4);
                continue;
            }
            let what = self.compression;
            let fault = match (self.is_first, head.is_empty()) {
                (true, true) => bad("truncated_content", format!("there is no {what} content")),
                (true, false) => bad("damaged_content", format!("the content does not begin like {what}")),
                (false, _) => bad("trailing_bytes", format!("something that is not {what} follows the {what} content")),
            };
            return Err(fault.at(input.offset()));
        }
        self.codec.begin().map_err(|fault| fault.at(input.offset()))?;
        (self.is_within, self.is_first) = (true, false);
        Ok(true)
    }
}
