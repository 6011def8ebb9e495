//! Finds the one entry of a zip archive that is data, by the archive's directory (PKWARE APPNOTE 6.3.10).
//!
//! The directory is read as a stream, so an archive of a million entries needs no more memory than one of two, which the crate that
//! reads zip archives for everybody does not do: it keeps the whole directory, and believes the sizes in it. What entries claim is held
//! against their local headers here, and against their content while it is read.

use crate::fault::{Fault, TextError, bad};
use crate::layers::codec::{self, Codec};
use crate::layers::sniff::{self, Compression};
use crate::layers::{Input, Limits};
use globset::GlobMatcher;

const END: [u8; 4] = *b"PK\x05\x06";
const END_BYTES: usize = 22;
const END64_LOCATOR: [u8; 4] = *b"PK\x06\x07";
const END64_LOCATOR_BYTES: usize = 20;
const END64: [u8; 4] = *b"PK\x06\x06";
const END64_BYTES: usize = 56;
const ENTRY: [u8; 4] = *b"PK\x01\x02";
const ENTRY_BYTES: usize = 46;
const LOCAL: [u8; 4] = *b"PK\x03\x04";
const LOCAL_BYTES: usize = 30;
const COMMENT_BYTES_MAX: usize = 0xffff;
/// Most bytes of a directory that are read to find an entry.
const DIRECTORY_BYTES_MAX: u64 = 64 << 20;
/// How many names a message shows.
const NAMES_SHOWN: usize = 4;
/// Bits of the flags that say that the content or the directory is encrypted: traditional, strong, masked header.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;

/// The entry that is read; the input stands at its first byte and ends with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub name: String,
    raw_name: Vec<u8>,
    method: u16,
    flags: u16,
    crc: u32,
    pub size_packed: u64,
    pub size: u64,
    offset: u64,
}

/// Where the directory lies.
struct Directory {
    offset: u64,
    bytes: u64,
    entries: u64,
}

impl Entry {
    /// Whether `size` bytes with this checksum are the whole entry.
    pub fn is(&self, size: u64, crc: u32) -> bool {
        (self.size, self.crc) == (size, crc)
    }

    /// What unpacks it; `None` when it is only stored.
    pub fn codec(&self, limits: &Limits) -> Option<Box<dyn Codec>> {
        match self.method {
            8 => Some(codec::deflate()),
            12 => codec::of_file(Compression::Bz2, limits),
            93 => codec::of_file(Compression::Zst, limits),
            95 => codec::of_file(Compression::Xz, limits),
            _ => None,
        }
    }
}

/// Finds the only data entry, or the only one that `wanted` takes, and goes to its content.
pub(crate) fn open_entry(input: &mut Input, wanted: Option<&GlobMatcher>) -> Result<Entry, TextError> {
    let directory = find_directory(input)?;
    let entry = find_entry(input, &directory, wanted)?;
    check_entry(&entry).map_err(|fault| fault.at(directory.offset))?;
    go_to(input, &entry, &directory)?;
    Ok(entry)
}

fn damaged(why: &str) -> Fault {
    bad("damaged_content", format!("the zip archive is damaged: {why}"))
}

fn find_directory(input: &mut Input) -> Result<Directory, TextError> {
    let size = input.size();
    let tail_bytes = size.min((END64_LOCATOR_BYTES + END_BYTES + COMMENT_BYTES_MAX) as u64);
    let mut tail = vec![0; tail_bytes as usize];
    input.seek(size - tail_bytes, None)?;
    if input.read_full(&mut tail)? < tail.len() {
        return Err(damaged("it is shorter than it was").at(input.offset()));
    }
    // the end record's comment reaches to the end of the file, or something is cut off or appended
    let is_end = |at: &usize| {
        let record = &tail[*at..];
        record.starts_with(&END) && usize::from(u16_at(record, 20)) == record.len() - END_BYTES
    };
    let at = (0..=tail.len().saturating_sub(END_BYTES)).rev().filter(|_| tail.len() >= END_BYTES).find(is_end);
    let Some(at) = at else {
        return Err(
            bad("truncated_content", "the zip archive has no end: it is cut off, or something follows it").at(size)
        );
    };
    let end = &tail[at..];
    let end_offset = size - tail_bytes + at as u64;
    let mut directory =
        Directory { offset: u32_at(end, 16).into(), bytes: u32_at(end, 12).into(), entries: u16_at(end, 10).into() };
    let mut is_one_disk = u16_at(end, 4) == 0 && u16_at(end, 6) == 0 && u16_at(end, 8) == u16_at(end, 10);
    let mut directory_end = end_offset;
    let locator =
        at.checked_sub(END64_LOCATOR_BYTES).map(|from| &tail[from..at]).filter(|l| l.starts_with(&END64_LOCATOR));
    if let Some(locator) = locator {
        let offset = u64_at(locator, 8);
        let mut end64 = [0; END64_BYTES];
        input.seek(offset.min(size), None)?;
        let is_there = input.read_full(&mut end64)? == END64_BYTES && end64.starts_with(&END64);
        if !is_there {
            return Err(damaged("its zip64 record is not where it should be").at(offset));
        }
        directory = Directory { offset: u64_at(&end64, 48), bytes: u64_at(&end64, 40), entries: u64_at(&end64, 32) };
        is_one_disk = u32_at(&end64, 16) == 0 && u32_at(&end64, 20) == 0 && u32_at(locator, 16) <= 1;
        directory_end = offset;
    }
    let is_placed = directory.offset.checked_add(directory.bytes) == Some(directory_end);
    match (is_one_disk, is_placed) {
        (true, true) => Ok(directory),
        (false, _) => Err(damaged("it is one part of several").at(end_offset)),
        (_, false) => Err(damaged("its directory is not where its end says").at(end_offset)),
    }
}

fn find_entry(input: &mut Input, directory: &Directory, wanted: Option<&GlobMatcher>) -> Result<Entry, TextError> {
    input.seek(directory.offset, Some(directory.bytes.min(DIRECTORY_BYTES_MAX)))?;
    let (mut found, mut count, mut names) = (None, 0u64, Vec::new());
    for _ in 0..directory.entries {
        let Some(entry) = read_entry(input)? else {
            let fault = match directory.bytes > DIRECTORY_BYTES_MAX {
                true => bad("archive_entries", "the zip archive has too many entries to look through"),
                false => damaged("its directory ends too early"),
            };
            return Err(fault.at(input.offset()));
        };
        if !is_data(&entry.name) || wanted.is_some_and(|wanted| !wanted.is_match(&entry.name)) {
            continue;
        }
        count += 1;
        if names.len() < NAMES_SHOWN {
            names.push(entry.name.clone());
        }
        found = Some(entry);
    }
    let whose = if wanted.is_some() { "that `entry` takes" } else { "of data" };
    match (found, count) {
        (Some(entry), 1) => Ok(entry),
        (None, _) => Err(bad("archive_entries", format!("the zip archive has no entry {whose}")).at(directory.offset)),
        (Some(_), _) => {
            let more = if count > names.len() as u64 { ", …" } else { "" };
            let message = format!(
                "the zip archive has {count} entries {whose} ({}{more}); `entry` chooses one",
                names.join(", ")
            );
            Err(bad("archive_entries", message).at(directory.offset))
        }
    }
}

/// Directories and what macOS adds are no data.
fn is_data(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    !last.is_empty() && !last.starts_with('.') && !name.starts_with("__MACOSX/")
}

/// The next entry of the directory; `None` where it ends.
fn read_entry(input: &mut Input) -> Result<Option<Entry>, TextError> {
    let mut head = [0; ENTRY_BYTES];
    if input.read_full(&mut head)? < ENTRY_BYTES {
        return Ok(None);
    }
    if !head.starts_with(&ENTRY) {
        return Err(damaged("its directory holds something else").at(input.offset()));
    }
    let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(&head, at)));
    let mut rest = vec![0; name + extra + comment];
    if input.read_full(&mut rest)? < rest.len() {
        return Ok(None);
    }
    let (raw_name, rest) = rest.split_at(name);
    let mut entry = Entry {
        name: String::from_utf8_lossy(raw_name).into_owned(),
        raw_name: raw_name.to_owned(),
        method: u16_at(&head, 10),
        flags: u16_at(&head, 8),
        crc: u32_at(&head, 16),
        size_packed: u32_at(&head, 20).into(),
        size: u32_at(&head, 24).into(),
        offset: u32_at(&head, 42).into(),
    };
    if !widen(&mut entry, &rest[..extra]) {
        return Err(damaged("an entry's zip64 field is too short").at(input.offset()));
    }
    Ok(Some(entry))
}

/// Numbers that do not fit into 32 bits stand in an extra field, in this order.
fn widen(entry: &mut Entry, mut extra: &[u8]) -> bool {
    let numbers = [&mut entry.size, &mut entry.size_packed, &mut entry.offset];
    let mut narrow = numbers.into_iter().filter(|number| **number == u64::from(u32::MAX)).peekable();
    if narrow.peek().is_none() {
        return true;
    }
    while extra.len() >= 4 {
        let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let Some(field) = extra.get(4..4 + length) else { return false };
        if id == 1 {
            let mut wide = field.chunks_exact(8);
            return narrow.all(|number| {
                wide.next().is_some_and(|bytes| {
                    *number = u64_at(bytes, 0);
                    true
                })
            });
        }
        extra = &extra[4 + length..];
    }
    // a number may be just this large
    true
}

fn check_entry(entry: &Entry) -> Result<(), Fault> {
    if entry.flags & ENCRYPTED != 0 {
        return Err(bad("archive_encrypted", "the zip archive's entry is encrypted"));
    }
    if !matches!(entry.method, 0 | 8 | 12 | 93 | 95) {
        let message = format!("the zip archive's entry is packed by method {}, which is not read", entry.method);
        return Err(bad("compression_unsupported", message));
    }
    if entry.method == 0 && entry.size != entry.size_packed {
        return Err(damaged("a stored entry has two sizes"));
    }
    let is_packed = [".zip", ".gz", ".zst", ".bz2", ".xz"].iter().any(|ending| entry.name.ends_with(ending));
    if is_packed {
        return Err(nested());
    }
    Ok(())
}

/// Something compressed inside something compressed.
pub(crate) fn nested() -> Fault {
    bad("nested_compression", "the content is compressed once more inside; only one layer is read")
}

fn go_to(input: &mut Input, entry: &Entry, directory: &Directory) -> Result<(), TextError> {
    let at = entry.offset;
    let mut head = [0; LOCAL_BYTES];
    input.seek(at, None)?;
    if input.read_full(&mut head)? < LOCAL_BYTES || !head.starts_with(&LOCAL) {
        return Err(damaged("the entry is not where the directory says").at(at));
    }
    let mut name = vec![0; usize::from(u16_at(&head, 26))];
    let is_same = input.read_full(&mut name)? == name.len()
        && name == entry.raw_name
        && u16_at(&head, 8) == entry.method
        && u16_at(&head, 6) & ENCRYPTED == 0
        && is_same_size(&head, entry);
    if !is_same {
        return Err(damaged("the entry and the directory disagree").at(at));
    }
    let begin = input.offset() + u64::from(u16_at(&head, 28));
    if begin.checked_add(entry.size_packed).is_none_or(|end| end > directory.offset) {
        return Err(damaged("the entry reaches into the directory").at(at));
    }
    Ok(input.seek(begin, Some(entry.size_packed))?)
}

/// Whether checksum and sizes in front of the content are the directory's; a writer that did not know them yet set a flag, and large
/// ones stand elsewhere.
fn is_same_size(head: &[u8], entry: &Entry) -> bool {
    let is_later = u16_at(head, 6) & 1 << 3 != 0;
    let is_same = |at: usize, number: u64| {
        let here = u32_at(head, at);
        here == u32::MAX || u64::from(here) == number
    };
    is_later || (u32_at(head, 14) == entry.crc && is_same(18, entry.size_packed) && is_same(22, entry.size))
}

/// Whether decompressed content begins like something compressed.
pub(crate) fn looks_packed(head: &[u8]) -> bool {
    sniff::found(head) != Compression::None
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
