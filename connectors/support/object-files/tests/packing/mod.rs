//! Makes packed files, and reads them back.

#![allow(dead_code, reason = "each test target uses a part")]

use rand::Rng;
use std::io::Write;
use unbatch_object_files::{Layers, RawBytes, RawRead, TextError, TextReader};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packed {
    Plain,
    Gz,
    Zst,
    Bz2,
    Xz,
    Zip,
}

pub const KINDS: [Packed; 6] = [Packed::Plain, Packed::Gz, Packed::Zst, Packed::Bz2, Packed::Xz, Packed::Zip];

impl Packed {
    pub fn name(self) -> &'static str {
        match self {
            Packed::Plain => "a.csv",
            Packed::Gz => "a.csv.gz",
            Packed::Zst => "a.csv.zst",
            Packed::Bz2 => "a.csv.bz2",
            Packed::Xz => "a.csv.xz",
            Packed::Zip => "a.zip",
        }
    }
}

pub fn pack(kind: Packed, content: &[u8]) -> Vec<u8> {
    match kind {
        Packed::Plain => content.to_vec(),
        Packed::Gz => {
            let mut encoder = flate2::GzBuilder::new().filename("a.csv").write(Vec::new(), flate2::Compression::fast());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Packed::Zst => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Packed::Bz2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Packed::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Packed::Zip => zip(&[ZipEntry::deflated("a.csv", content)]),
    }
}

/// An entry of an archive, as it is written: a test may lie.
#[derive(Clone, Debug)]
pub struct ZipEntry {
    pub name: String,
    pub method: u16,
    pub flags: u16,
    pub crc: u32,
    pub size: u32,
    pub packed: Vec<u8>,
}

impl ZipEntry {
    pub fn stored(name: &str, content: &[u8]) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let (size, packed) = (content.len() as u32, content.to_vec());
        Self { name: name.into(), method: 0, flags: 0, crc: crc.sum(), size, packed }
    }
    pub fn deflated(name: &str, content: &[u8]) -> Self {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        Self { method: 8, packed: encoder.finish().unwrap(), ..Self::stored(name, content) }
    }
    pub fn packed(name: &str, kind: Packed, content: &[u8]) -> Self {
        let method = match kind {
            Packed::Bz2 => 12,
            Packed::Zst => 93,
            Packed::Xz => 95,
            other => panic!("no zip method for {other:?}"),
        };
        Self { method, packed: pack(kind, content), ..Self::stored(name, content) }
    }
}

/// An archive with these entries.
pub fn zip(entries: &[ZipEntry]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let offset = archive.len() as u32;
        let mut fields = Vec::new();
        for number in [20, entry.flags, entry.method, 0, 0] {
            fields.extend(number.to_le_bytes());
        }
        for number in [entry.crc, entry.packed.len() as u32, entry.size] {
            fields.extend(number.to_le_bytes());
        }
        fields.extend((entry.name.len() as u16).to_le_bytes());
        archive.extend([b"PK\x03\x04".as_slice(), &fields, &[0, 0], entry.name.as_bytes(), &entry.packed].concat());
        directory.extend([b"PK\x01\x02".as_slice(), &[20, 0], &fields, &[0; 12], &offset.to_le_bytes()].concat());
        directory.extend(entry.name.as_bytes());
    }
    let offset = archive.len() as u32;
    let count = (entries.len() as u16).to_le_bytes();
    archive.extend(&directory);
    archive.extend([b"PK\x05\x06".as_slice(), &[0; 4], &count, &count].concat());
    archive.extend([(directory.len() as u32).to_le_bytes(), offset.to_le_bytes()].concat());
    archive.extend([0, 0]);
    archive
}

/// Lines of random words, that compress like a table.
pub fn lines(rng: &mut impl Rng, size: usize) -> Vec<u8> {
    let mut content = Vec::with_capacity(size + 64);
    while content.len() < size {
        let (item, price, stock) = (rng.random_range(0..5000), rng.random_range(0..100_000), rng.random_range(0..300));
        content.extend(format!("SKU-{item:05};{}.{:02};{stock}\n", price / 100, price % 100).into_bytes());
    }
    content.truncate(size);
    content
}

/// The text, or what came before an error and the error.
pub fn read_all(kind: Packed, packed: &[u8]) -> Result<Vec<u8>, (Vec<u8>, TextError)> {
    let raw = Box::new(RawBytes::new(packed.to_vec()));
    let reader = TextReader::open(raw, kind.name(), &Layers::default()).map_err(|e| (vec![], e))?;
    read_in_pieces(reader, 1 << 16)
}

pub fn text_of(kind: Packed, packed: &[u8]) -> Vec<u8> {
    read_all(kind, packed).unwrap_or_else(|(_, e)| panic!("{kind:?}: {e}"))
}

pub fn read_in_pieces(mut reader: TextReader, bytes: usize) -> Result<Vec<u8>, (Vec<u8>, TextError)> {
    let (mut text, mut piece) = (Vec::new(), vec![0; bytes]);
    loop {
        let before = reader.offset();
        match reader.read_text(&mut piece) {
            Ok(0) => {
                assert_eq!(reader.read_text(&mut piece).unwrap(), 0, "the end stays the end");
                return Ok(text);
            }
            Ok(n) => {
                assert_eq!(reader.offset() - before, n as u64);
                text.extend_from_slice(&piece[..n]);
            }
            Err(error) => return Err((text, error)),
        }
    }
}

/// Bytes that come a few at a time, as from a slow store.
pub struct Dribble {
    bytes: RawBytes,
    most: usize,
}

impl Dribble {
    pub fn new(bytes: Vec<u8>, most: usize) -> Self {
        Self { bytes: RawBytes::new(bytes), most }
    }
}

impl RawRead for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> unbatch_api::Result<usize> {
        let most = self.most.min(buffer.len());
        self.bytes.read(&mut buffer[..most])
    }
    fn seek(&mut self, offset: u64) -> unbatch_api::Result<()> {
        self.bytes.seek(offset)
    }
    fn size(&self) -> u64 {
        self.bytes.size()
    }
    fn is_near(&self) -> bool {
        false
    }
}
