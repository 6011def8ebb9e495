//! Digests of content.
//!
//! A file of at most 64 MiB has the plain SHA-256 that `sha256sum` prints. Beyond that the digest is a chain over 64 MiB
//! chunks: `d1 = sha256(chunk1)`, `dn = sha256(d(n-1) || sha256(chunk n))`. So the digest of a prefix is known at any byte,
//! and a reader that resumes reads at most one chunk again.

use sha2::{Digest, Sha256};

pub const CHUNK_BYTES: u64 = 64 << 20;

/// A digest under way.
#[derive(Clone)]
pub struct ContentDigest {
    /// The chain over the full chunks so far.
    chain: Option<[u8; 32]>,
    chunks: u64,
    chunk: Sha256,
    in_chunk: u64,
}

impl ContentDigest {
    pub fn new() -> Self {
        Self { chain: None, chunks: 0, chunk: Sha256::new(), in_chunk: 0 }
    }

    /// Goes on after `chunks` full chunks whose chain is `chain`; `None` when the two do not belong together.
    pub fn after_chunks(chunks: u64, chain: Option<&str>) -> Option<Self> {
        let chain = match chain {
            Some(text) => Some(unhex(text)?),
            None => None,
        };
        (chain.is_some() == (chunks > 0)).then(|| Self { chain, chunks, ..Self::new() })
    }

    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = (CHUNK_BYTES - self.in_chunk) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.chunk.update(now);
            self.in_chunk += now.len() as u64;
            if self.in_chunk == CHUNK_BYTES {
                self.close_chunk();
            }
            bytes = later;
        }
    }

    /// The digest of all bytes so far, as if the file ended here.
    pub fn so_far(&self) -> String {
        match (self.chain, self.in_chunk) {
            (Some(chain), 0) => hex(&chain),
            (chain, _) => hex(&linked(chain, self.chunk.clone())),
        }
    }

    /// Full chunks so far and their chain; what [`ContentDigest::after_chunks`] takes.
    pub fn full_chunks(&self) -> (u64, Option<String>) {
        (self.chunks, self.chain.map(|c| hex(&c)))
    }

    fn close_chunk(&mut self) {
        self.chain = Some(linked(self.chain, std::mem::take(&mut self.chunk)));
        self.chunks += 1;
        self.in_chunk = 0;
    }
}

/// First `n` hex digits of the SHA-256 of the parts, each ended by a zero byte.
pub fn id_of(parts: &[&[u8]], n: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    let mut text = hex(&hash.finalize());
    text.truncate(n);
    text
}

fn linked(chain: Option<[u8; 32]>, chunk: Sha256) -> [u8; 32] {
    let digest = chunk.finalize();
    match chain {
        None => digest.into(),
        Some(chain) => Sha256::new().chain_update(chain).chain_update(digest).finalize().into(),
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]);
    digits.map(char::from).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_has_its_plain_sha256() {
        let mut digest = ContentDigest::new();
        digest.update(b"ab");
        digest.update(b"c");
        assert_eq!(digest.so_far(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest.full_chunks(), (0, None));
    }

    #[test]
    fn a_large_file_goes_on_from_its_last_full_chunk() {
        let piece = vec![7u8; (CHUNK_BYTES / 2) as usize];
        let (mut whole, mut resumed) = (ContentDigest::new(), None);
        for i in 0..5 {
            whole.update(&piece);
            if i == 3 {
                let (chunks, chain) = whole.full_chunks();
                assert_eq!(chunks, 2);
                resumed = ContentDigest::after_chunks(chunks, chain.as_deref());
            }
        }
        let mut resumed = resumed.unwrap();
        resumed.update(&piece);
        assert_eq!(resumed.so_far(), whole.so_far());
        assert!(ContentDigest::after_chunks(1, None).is_none());
        assert!(ContentDigest::after_chunks(0, Some("00")).is_none());
    }
}
