//! One interface over the decoders: a member (gzip), frame (zstd) or stream (bzip2, xz) at a time, so that what stands between
//! and behind them is judged in one place.

use crate::fault::{Fault, bad};
use crate::layers::Limits;
use crate::layers::sniff::{self, Compression};
use flate2::{Decompress, FlushDecompress};
use liblzma::stream::{Action, Stream, TELL_UNSUPPORTED_CHECK};
use zstd::stream::raw::{DParameter, Decoder, Operation};

/// What one step of a decoder did.
#[derive(Debug, Default)]
pub(crate) struct Step {
    pub consumed: usize,
    pub produced: usize,
    /// The member is over, and its checksum was right.
    pub is_over: bool,
}

/// A decoder of members.
pub(crate) trait Codec: Send {
    /// Whether a member may begin with `head`, which is shorter than a magic only at the end of the file. `is_first`: nothing was
    /// read before.
    fn begins(&self, head: &[u8], is_first: bool) -> bool;
    /// Gets ready for a member.
    fn begin(&mut self) -> Result<(), Fault>;
    /// Decodes as far as `input` and `output` go. Without input it still hands out what it holds.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault>;
    /// Whether members may be followed by groups of four zero bytes.
    fn may_pad(&self) -> bool {
        false
    }
}

/// A decoder for the compression of a whole file.
pub(crate) fn of_file(compression: Compression, limits: &Limits) -> Option<Box<dyn Codec>> {
    match compression {
        Compression::Auto | Compression::None | Compression::Zip => None,
        Compression::Gz => Some(Box::new(Flate { decoder: None, is_gzip: true })),
        Compression::Zst => Some(Box::new(Zstd { decoder: None, window_bytes_max: limits.window_bytes_max })),
        Compression::Bz2 => Some(Box::new(Bzip2 { decoder: None })),
        Compression::Xz => Some(Box::new(Xz { decoder: None, window_bytes_max: limits.window_bytes_max })),
    }
}

/// A decoder for raw deflate, as zip archives have it.
pub(crate) fn deflate() -> Box<dyn Codec> {
    Box::new(Flate { decoder: None, is_gzip: false })
}

fn damaged(what: &str, why: impl std::fmt::Display) -> Fault {
    bad("damaged_content", format!("the {what} content is damaged: {why}"))
}

fn not_begun() -> Fault {
    bad("damaged_content", "a member was read that did not begin")
}

struct Flate {
    decoder: Option<Decompress>,
    is_gzip: bool,
}

impl Codec for Flate {
    fn begins(&self, head: &[u8], is_first: bool) -> bool {
        // deflate has no magic, and no second member
        if self.is_gzip { sniff::found(head) == Compression::Gz } else { is_first }
    }
    fn begin(&mut self) -> Result<(), Fault> {
        // in its gzip form zlib checks the header, the CRC-32 and the length
        self.decoder = Some(if self.is_gzip { Decompress::new_gzip(15) } else { Decompress::new(false) });
        Ok(())
    }
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        let decoder = self.decoder.as_mut().ok_or_else(not_begun)?;
        let (read, written) = (decoder.total_in(), decoder.total_out());
        let status = decoder.decompress(input, output, FlushDecompress::None);
        let name = if self.is_gzip { "gz" } else { "deflated" };
        let status = status.map_err(|e| damaged(name, e.message().unwrap_or("wrong bytes")))?;
        Ok(Step {
            consumed: (decoder.total_in() - read) as usize,
            produced: (decoder.total_out() - written) as usize,
            is_over: status == flate2::Status::StreamEnd,
        })
    }
}

struct Zstd {
    decoder: Option<Decoder<'static>>,
    window_bytes_max: u64,
}

impl Codec for Zstd {
    fn begins(&self, head: &[u8], _: bool) -> bool {
        sniff::found(head) == Compression::Zst
    }
    fn begin(&mut self) -> Result<(), Fault> {
        let failed = |e: std::io::Error| bad("damaged_content", format!("the zst decoder cannot start: {e}"));
        match &mut self.decoder {
            Some(decoder) => decoder.reinit().map_err(failed),
            None => {
                let mut decoder = Decoder::new().map_err(failed)?;
                let window_log = self.window_bytes_max.max(1 << 10).ilog2().min(31);
                decoder.set_parameter(DParameter::WindowLogMax(window_log)).map_err(failed)?;
                self.decoder = Some(decoder);
                Ok(())
            }
        }
    }
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        let decoder = self.decoder.as_mut().ok_or_else(not_begun)?;
        let done = decoder.run_on_buffers(input, output).map_err(|e| {
            // the library has words for its errors and no kinds
            let why = e.to_string();
            if why.contains("too much memory") {
                window_too_large("zst", self.window_bytes_max)
            } else {
                damaged("zst", why)
            }
        })?;
        Ok(Step { consumed: done.bytes_read, produced: done.bytes_written, is_over: done.remaining == 0 })
    }
}

struct Bzip2 {
    decoder: Option<bzip2::Decompress>,
}

impl Codec for Bzip2 {
    fn begins(&self, head: &[u8], _: bool) -> bool {
        matches!(head, [b'B', b'Z', b'h', b'1'..=b'9', ..])
    }
    fn begin(&mut self) -> Result<(), Fault> {
        self.decoder = Some(bzip2::Decompress::new(false));
        Ok(())
    }
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        let decoder = self.decoder.as_mut().ok_or_else(not_begun)?;
        let (read, written) = (decoder.total_in(), decoder.total_out());
        let status = decoder.decompress(input, output).map_err(|e| damaged("bz2", e))?;
        Ok(Step {
            consumed: (decoder.total_in() - read) as usize,
            produced: (decoder.total_out() - written) as usize,
            is_over: status == bzip2::Status::StreamEnd,
        })
    }
}

struct Xz {
    decoder: Option<Stream>,
    window_bytes_max: u64,
}

impl Codec for Xz {
    fn begins(&self, head: &[u8], _: bool) -> bool {
        sniff::found(head) == Compression::Xz
    }
    fn begin(&mut self) -> Result<(), Fault> {
        // a check that this build cannot verify is an error and not a pass
        let decoder = Stream::new_stream_decoder(self.window_bytes_max, TELL_UNSUPPORTED_CHECK);
        self.decoder = Some(decoder.map_err(|e| damaged("xz", e))?);
        Ok(())
    }
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Fault> {
        let decoder = self.decoder.as_mut().ok_or_else(not_begun)?;
        let (read, written) = (decoder.total_in(), decoder.total_out());
        let status = decoder.process(input, output, Action::Run).map_err(|e| match e {
            liblzma::stream::Error::MemLimit | liblzma::stream::Error::Mem => {
                window_too_large("xz", self.window_bytes_max)
            }
            other => damaged("xz", other),
        })?;
        Ok(Step {
            consumed: (decoder.total_in() - read) as usize,
            produced: (decoder.total_out() - written) as usize,
            is_over: status == liblzma::stream::Status::StreamEnd,
        })
    }
    fn may_pad(&self) -> bool {
        true
    }
}

fn window_too_large(what: &str, most: u64) -> Fault {
    let message = format!("the {what} content needs more memory to decompress than the {most} bytes that it may have");
    bad("window_too_large", message)
}
