//! Which compression a file has: by configuration, or by its name and its first bytes, which must agree.

use crate::fault::{Fault, bad};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most bytes that [`found`] looks at.
pub(crate) const MAGIC_BYTES_MAX: usize = 10;

/// How files are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// By the ending of the name (`.gz`, `.zst`, `.bz2`, `.xz`, `.zip`); the first bytes must agree.
    #[default]
    Auto,
    /// Not at all, whatever the name says.
    None,
    /// gzip; all members of a file that was put together of several.
    Gz,
    /// Zstandard; all frames.
    Zst,
    /// bzip2; all streams.
    Bz2,
    /// xz; all streams.
    Xz,
    /// A zip archive with one data entry.
    Zip,
}

impl Compression {
    pub fn as_str(self) -> &'static str {
        match self {
            Compression::Auto => "auto",
            Compression::None => "none",
            Compression::Gz => "gz",
            Compression::Zst => "zst",
            Compression::Bz2 => "bz2",
            Compression::Xz => "xz",
            Compression::Zip => "zip",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The compression of a file of this name that begins with `head`; never `Auto`.
pub(crate) fn decide(configured: Compression, name: &str, head: &[u8]) -> Result<Compression, Fault> {
    if configured != Compression::Auto {
        return Ok(configured);
    }
    let (named, found) = (named(name)?, found(head));
    if named == found {
        return Ok(named);
    }
    let message = match (named, found) {
        (Compression::None, found) => format!(
            "the content is {found}, but the name does not end like that; name the file so, or set `compression: {found}`"
        ),
        (named, Compression::None) => {
            format!(
                "the name says {named}, but the content does not begin like that; set `compression: none` if it is plain"
            )
        }
        (named, found) => format!("the name says {named}, but the content is {found}"),
    };
    Err(bad("compression_mismatch", message))
}

/// What the first bytes of a file say.
pub(crate) fn found(head: &[u8]) -> Compression {
    match head {
        [0x1f, 0x8b, ..] => Compression::Gz,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zst,
        // a skippable frame, as some tools write first
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zst,
        // the magic alone could be text, so the first block's or the end's is asked for too
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..]
        | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => Compression::Bz2,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Compression::Zip,
        _ => Compression::None,
    }
}

fn named(name: &str) -> Result<Compression, Fault> {
    let name = name.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends(&[".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".7z", ".rar"]) {
        let message = "the name says an archive of a kind that is not read; gz, zst, bz2, xz and zip are";
        return Err(bad("compression_unsupported", message));
    }
    let endings: [(Compression, &[&str]); 5] = [
        (Compression::Gz, &[".gz", ".gzip"]),
        (Compression::Zst, &[".zst", ".zstd"]),
        (Compression::Bz2, &[".bz2"]),
        (Compression::Xz, &[".xz"]),
        (Compression::Zip, &[".zip"]),
    ];
    Ok(endings.into_iter().find(|(_, of_it)| ends(of_it)).map_or(Compression::None, |(compression, _)| compression))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_content_must_agree() {
        let gz = [0x1f, 0x8b, 8, 0];
        let check = |name: &str, head: &[u8], want: Result<Compression, &str>| {
            let got = decide(Compression::Auto, name, head).map_err(|fault| fault.code);
            assert_eq!(got, want, "{name}");
        };
        check("a.csv", b"a,b\n", Ok(Compression::None));
        check("a.csv", b"", Ok(Compression::None));
        check("a.csv.GZ", &gz, Ok(Compression::Gz));
        check("a.zst", &[0x28, 0xb5, 0x2f, 0xfd], Ok(Compression::Zst));
        check("a.csv", b"BZh9 is a heading", Ok(Compression::None));
        check("a.csv", &gz, Err("compression_mismatch"));
        check("a.gz", b"a,b\n", Err("compression_mismatch"));
        check("a.gz", b"", Err("compression_mismatch"));
        check("a.zip", &gz, Err("compression_mismatch"));
        check("a.tar.gz", &gz, Err("compression_unsupported"));
        assert_eq!(decide(Compression::None, "a.gz", &gz), Ok(Compression::None));
    }
}
