//! From the encoding that a file is written in to UTF-8, strictly.
//!
//! Bytes that are malformed in their encoding never become U+FFFD, which a reader could not tell from text. In their place stands
//! a sequence that no UTF-8 has: the byte 0xFF, then those of the malformed bytes that are 0x80 or more. So the reader above
//! refuses just the row that holds them, and its delimiters and line ends stay where they are. UTF-8 itself passes as it is.

use crate::fault::{Fault, bad};
use encoding_rs::{Decoder, DecoderResult, Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE};
use std::fmt;

/// Stands in front of malformed bytes.
const MALFORMED: u8 = 0xff;
/// Most bytes that a malformed sequence and what was looked at behind it have: 6, by encoding_rs' documentation.
const RECENT_BYTES: usize = 8;
pub(crate) const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";

/// An encoding of text by one of its labels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TextEncoding(&'static Encoding);

impl TextEncoding {
    /// Takes every label of the [Encoding Standard](https://encoding.spec.whatwg.org/#names-and-labels), in any case: `utf-8`,
    /// `utf-16le`, `windows-1252` (also named `latin1` and `iso-8859-1`, as the standard has it), `iso-8859-15`, `shift_jis`, …
    pub fn parse(label: &str) -> Result<Self, String> {
        match Encoding::for_label(label.as_bytes()) {
            Some(encoding) if encoding == REPLACEMENT => {
                Err(format!("`{label}` is an encoding that cannot be read safely"))
            }
            Some(encoding) => Ok(Self(encoding)),
            None => Err(format!(
                "`{label}` is no encoding; write utf-8, utf-16le, windows-1252, iso-8859-15 or another label of the Encoding Standard"
            )),
        }
    }

    /// Its name in the standard.
    pub fn name(self) -> &'static str {
        self.0.name()
    }
    pub fn is_utf8(self) -> bool {
        self.0 == UTF_8
    }
}

impl Default for TextEncoding {
    fn default() -> Self {
        Self(UTF_8)
    }
}

impl fmt::Debug for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a file that begins with `head` is written in, and how long its byte order mark is. A mark counts more than the
/// configuration.
pub(crate) fn chosen(configured: TextEncoding, head: &[u8]) -> Result<(TextEncoding, usize), Fault> {
    let (marked, length) = match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
            return Err(bad("unsupported_encoding", "the byte order mark says UTF-32, which is not read"));
        }
        [0xef, 0xbb, 0xbf, ..] => (UTF_8, UTF8_BOM.len()),
        [0xff, 0xfe, ..] => (UTF_16LE, 2),
        [0xfe, 0xff, ..] => (UTF_16BE, 2),
        _ => return Ok((configured, 0)),
    };
    Ok((TextEncoding(marked), length))
}

/// Makes UTF-8 out of another encoding, piece by piece.
pub(crate) struct Transcoder {
    decoder: Decoder,
    /// The last bytes that were consumed; malformed ones may be among them.
    recent: Vec<u8>,
    /// Stands for malformed bytes and is not handed out yet.
    pending: Vec<u8>,
}

/// What one step did.
#[derive(Debug)]
pub(crate) struct Transcoded {
    pub read: usize,
    pub written: usize,
    /// Only after the last input: there is nothing more, and the transcoder must not be used again.
    pub is_over: bool,
}

impl Transcoder {
    /// `None` for UTF-8, which is handed on as it is.
    pub fn new(encoding: TextEncoding) -> Option<Self> {
        (!encoding.is_utf8()).then(|| Self {
            decoder: encoding.0.new_decoder_without_bom_handling(),
            recent: Vec::with_capacity(2 * RECENT_BYTES),
            pending: Vec::new(),
        })
    }

    /// Transcodes as far as input and output go. `out` has 16 bytes or more.
    pub fn step(&mut self, input: &[u8], out: &mut [u8], is_last: bool) -> Transcoded {
        if !self.pending.is_empty() {
            let n = self.pending.len().min(out.len());
            out[..n].copy_from_slice(&self.pending[..n]);
            self.pending.drain(..n);
            return Transcoded { read: 0, written: n, is_over: false };
        }
        let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(input, out, is_last);
        self.remember(&input[..read]);
        if let DecoderResult::Malformed(length, behind) = result {
            let end = self.recent.len().saturating_sub(behind.into());
            let begin = end.saturating_sub(length.into());
            self.pending.push(MALFORMED);
            self.pending.extend(self.recent[begin..end].iter().filter(|byte| **byte >= 0x80));
        }
        Transcoded { read, written, is_over: is_last && result == DecoderResult::InputEmpty }
    }

    fn remember(&mut self, used: &[u8]) {
        self.recent.extend_from_slice(&used[used.len().saturating_sub(RECENT_BYTES)..]);
        let old = self.recent.len().saturating_sub(RECENT_BYTES);
        self.recent.drain(..old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In pieces of `input_bytes` and `out_bytes`.
    fn transcode(label: &str, input: &[u8], input_bytes: usize, out_bytes: usize) -> Vec<u8> {
        let mut transcoder = Transcoder::new(TextEncoding::parse(label).unwrap()).unwrap();
        let (mut out, mut piece, mut at) = (Vec::new(), vec![0; out_bytes], 0);
        loop {
            let end = (at + input_bytes).min(input.len());
            let done = transcoder.step(&input[at..end], &mut piece, end == input.len());
            out.extend_from_slice(&piece[..done.written]);
            at += done.read;
            if done.is_over {
                return out;
            }
        }
    }

    #[test]
    fn malformed_bytes_are_no_text_and_spare_the_rest() {
        let check = |label: &str, input: &[u8], want: &[u8]| {
            for input_bytes in 1..=input.len() {
                for out_bytes in [16, 17, 64] {
                    assert_eq!(
                        transcode(label, input, input_bytes, out_bytes),
                        want,
                        "{label} {input_bytes} {out_bytes}"
                    );
                }
            }
        };
        check("windows-1252", b"caf\xe9;\x80\n", "café;€\n".as_bytes());
        check("iso-8859-15", b"\xa4\n", "€\n".as_bytes());
        // a truncated pair: the line break after it stays one
        check("shift_jis", b"a,\x81\nb\n", b"a,\xff\x81\nb\n");
        check(
            "euc-jp",
            b"\xa4\xa2,\xa4\n",
            "あ,".as_bytes().iter().chain(b"\xff\xa4\n").copied().collect::<Vec<_>>().as_slice(),
        );
        // a lone surrogate, in both byte orders, and half a unit at the end
        check("utf-16le", b"a\0\x00\xd8\n\0", b"a\xff\xd8\n");
        check("utf-16be", b"\0a\xd8\x00\0\n", b"a\xff\xd8\n");
        check("utf-16le", b"a\0\n", b"a\xff");
        check("utf-16le", b"\x3d\xd8\x00\xde", "😀".as_bytes());
        check("gb18030", b"\x81\x30\x81,x", b"\xff\x810\xff\x81,x");
    }

    #[test]
    fn labels_and_marks() {
        for (label, name) in
            [("UTF-8", "UTF-8"), (" latin1 ", "windows-1252"), ("utf-16", "UTF-16LE"), ("cp1251", "windows-1251")]
        {
            assert_eq!(TextEncoding::parse(label).unwrap().name(), name);
        }
        for bad in ["utf8mb4", "", "iso-2022-kr", "hz-gb-2312"] {
            assert!(TextEncoding::parse(bad).is_err(), "{bad}");
        }
        let latin = TextEncoding::parse("latin1").unwrap();
        let marked =
            |head: &[u8]| chosen(latin, head).map(|(encoding, length)| (encoding.name(), length)).map_err(|f| f.code);
        assert_eq!(marked(b"a"), Ok(("windows-1252", 0)));
        assert_eq!(marked(b"\xef\xbb\xbfa"), Ok(("UTF-8", 3)));
        assert_eq!(marked(b"\xff\xfea\0"), Ok(("UTF-16LE", 2)));
        assert_eq!(marked(b"\xfe\xff\0a"), Ok(("UTF-16BE", 2)));
        assert_eq!(marked(b"\xff\xfe\0\0a"), Err("unsupported_encoding"));
    }
}
