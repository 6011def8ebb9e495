//! The layers between the bytes of a file and its text: compression or archive, then encoding.

mod codec;
mod decompressor;
mod encoding;
mod input;
mod sniff;
mod zip;

pub use encoding::TextEncoding;
pub use sniff::Compression;

pub(crate) use decompressor::Decompressor;
pub(crate) use encoding::{Transcoder, chosen};
pub(crate) use input::Input;
pub(crate) use sniff::decide;
pub(crate) use zip::{looks_packed, nested};

use globset::{GlobBuilder, GlobMatcher};

/// How the files are packed and written.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Layers {
    pub compression: Compression,
    /// Which entry of a zip archive, as a glob over its whole name, where `*` also takes slashes; `None`: the only data entry.
    pub entry: Option<String>,
    /// What a file without a byte order mark is written in.
    pub encoding: TextEncoding,
    pub limits: Limits,
}

/// What a file may grow to. The memory of a [`crate::TextReader`] is bounded without them; they keep a small file from filling a
/// topic, and from keeping a CPU busy for days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most decompressed bytes of one file. Plain files are not limited.
    pub decoded_bytes_max: u64,
    /// Most decompressed bytes for each raw byte, once there are more than `ratio_floor` of them. Real tables stay below 100; gzip
    /// cannot go beyond 1,032; a file of one row repeated for ever reaches 10,000 and more with zstd, xz and bzip2.
    pub ratio_max: u64,
    /// Below this nobody is hurt, and small test files of equal rows pass.
    pub ratio_floor: u64,
    /// Most memory for the window of zstd or xz, in bytes. 128 MiB opens all that `zstd --ultra -22` and `xz -9` write.
    pub window_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { decoded_bytes_max: 1 << 40, ratio_max: 1000, ratio_floor: 256 << 20, window_bytes_max: 128 << 20 }
    }
}

impl Layers {
    /// The pattern of `entry`, compiled; the message says what is wrong with it.
    pub fn entry_matcher(&self) -> Result<Option<GlobMatcher>, String> {
        let Some(pattern) = &self.entry else { return Ok(None) };
        let glob = GlobBuilder::new(pattern).backslash_escape(true).build();
        glob.map(|glob| Some(glob.compile_matcher())).map_err(|e| format!("is not a pattern: {}", e.kind()))
    }
}
