//! The file that survives a restart: a header, then one entry after another, in the order in which the broker did what
//! they say.
//!
//! ```text
//! header  magic (8)  version (4)  cluster id (16)  crc32c of those (4)
//! entry   length of the body (4)  the same, inverted (4)  crc32c of the body (4)
//!         body: kind (1)  wall clock in ms (8)  payload
//! ```
//!
//! All numbers are big-endian. A crash can cut the last entry short; it was never acknowledged, so it is cut off when
//! the file is opened again. Damage anywhere else is an error: silently dropping what follows would lose what was
//! acknowledged. The file is locked while it is open.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use uuid::Uuid;

use crate::attempt::attempt;
use crate::state::lock;

const MAGIC: &[u8; 8] = b"UNBATCHB";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 32;
const PREFIX_BYTES: usize = 12;
const BODY_START_BYTES: usize = 9;

/// What an entry says. The numbers are on disk: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A request as it came, header included; it was accepted at least in part.
    Request = 1,
    /// The ids of the topics that the `CreateTopics` request behind them made, in its order; zero for a failed one.
    CreateTopics = 2,
    /// A batch at the end of a partition.
    Append = 3,
    /// A transactional id whose transaction was aborted by its time-out.
    TransactionTimedOut = 4,
    /// Retention and compaction ran.
    Cleaned = 5,
    /// From here to the end of the snapshot: the whole state, in place of the entries that led to it.
    Snapshot = 16,
    SnapshotBatch = 17,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        use Kind::*;
        [Request, CreateTopics, Append, TransactionTimedOut, Cleaned, Snapshot, SnapshotBatch]
            .into_iter()
            .find(|k| *k as u8 == byte)
    }
}

/// One entry as it is read back.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) time_ms: i64,
    pub(crate) payload: Bytes,
}

/// The open, locked log, positioned at its end.
pub(crate) struct RequestLog {
    path: PathBuf,
    file: File,
    bytes: u64,
    cluster_id: Uuid,
    sync: Arc<Sync>,
    /// Files this one has replaced. Their locks are kept, since a process that opened such a file before it was
    /// replaced could otherwise still lock it.
    replaced: Vec<File>,
}

/// Brings entries to the disk; several that wait at once share one sync.
pub(crate) struct Sync {
    wanted: bool,
    /// How many entries were ever appended, this process' own count.
    written: AtomicU64,
    synced: Mutex<(File, u64)>,
}

impl Sync {
    /// Waits until everything appended so far is on the disk, when that was asked for.
    pub(crate) fn wait(&self) -> io::Result<()> {
        if !self.wanted {
            return Ok(());
        }
        let mine = self.written.load(Ordering::Acquire);
        let mut synced = lock(&self.synced);
        if synced.1 < mine {
            let upto = self.written.load(Ordering::Acquire);
            synced.0.sync_data()?;
            synced.1 = upto;
        }
        Ok(())
    }
}

impl RequestLog {
    /// Opens or creates the file, locks it, and hands each entry to `replay` in order.
    pub(crate) fn open(
        path: &Path,
        fsync: bool,
        mut replay: impl FnMut(Entry) -> io::Result<()>,
    ) -> io::Result<RequestLog> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(attempt(format!("open the broker's log {}", path.display())))?;
        lock_exclusively(&file, path)?;
        let cluster_id = match read_header(&mut file, path)? {
            Some(id) => id,
            None => {
                let id = Uuid::from_u128(rand::random());
                file.set_len(0)?;
                file.write_all(&header(id))?;
                id
            }
        };
        let bytes = read_entries(&file, path, &mut replay)?;
        file.set_len(bytes)?;
        let sync = Sync { wanted: fsync, written: AtomicU64::new(0), synced: Mutex::new((file.try_clone()?, 0)) };
        Ok(RequestLog { path: path.to_owned(), file, bytes, cluster_id, sync: Arc::new(sync), replaced: Vec::new() })
    }

    /// Made with the log and kept for as long as it lives.
    pub(crate) fn cluster_id(&self) -> Uuid {
        self.cluster_id
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn sync(&self) -> Arc<Sync> {
        Arc::clone(&self.sync)
    }

    /// Adds an entry whose payload is these parts, one after another. It reaches the operating system before this
    /// returns, and the disk when [`Sync::wait`] does.
    pub(crate) fn append(&mut self, kind: Kind, time_ms: i64, payload: &[&[u8]]) -> io::Result<()> {
        let entry = encode(kind, time_ms, payload)?;
        self.file.write_all(&entry)?;
        self.bytes += entry.len() as u64;
        self.sync.written.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Replaces all entries by those that `write` makes. The new file takes the old one's place in one step, so that a
    /// crash leaves one or the other.
    pub(crate) fn replace(&mut self, write: impl FnOnce(&mut EntryWriter) -> io::Result<()>) -> io::Result<()> {
        let mut next = self.path.as_os_str().to_owned();
        next.push(".next");
        let next = PathBuf::from(next);
        let file = OpenOptions::new().read(true).append(true).create(true).open(&next)?;
        lock_exclusively(&file, &next)?;
        file.set_len(0)?;
        let mut out =
            EntryWriter { out: BufWriter::with_capacity(1 << 20, file.try_clone()?), bytes: HEADER_BYTES as u64 };
        out.out.write_all(&header(self.cluster_id))?;
        write(&mut out)?;
        out.out.flush()?;
        let bytes = out.bytes;
        drop(out);
        file.sync_all()?;
        std::fs::rename(&next, &self.path)?;
        if let Some(folder) = self.path.parent().filter(|f| !f.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        {
            let mut synced = lock(&self.sync.synced);
            *synced = (file.try_clone()?, self.sync.written.load(Ordering::Acquire));
        }
        self.replaced.push(std::mem::replace(&mut self.file, file));
        self.bytes = bytes;
        Ok(())
    }

    /// Every later append fails, as on a full disk.
    #[cfg(test)]
    pub(crate) fn break_writes(&mut self) {
        self.file = File::open(&self.path).expect("open the log for reading only");
    }

    /// Brings everything to the disk, whatever the settings say.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        // The lock lives as long as any handle of the file, and `Sync` has one.
        for file in self.replaced.iter().chain([&self.file]) {
            let _ = file.unlock();
        }
    }
}

/// Writes the entries of a replacement.
pub(crate) struct EntryWriter {
    out: BufWriter<File>,
    bytes: u64,
}

impl EntryWriter {
    pub(crate) fn append(&mut self, kind: Kind, time_ms: i64, payload: &[&[u8]]) -> io::Result<()> {
        let entry = encode(kind, time_ms, payload)?;
        self.bytes += entry.len() as u64;
        self.out.write_all(&entry)
    }
}

fn lock_exclusively(file: &File, path: &Path) -> io::Result<()> {
    file.try_lock().map_err(|e| match e {
        TryLockError::WouldBlock => io::Error::new(
            io::ErrorKind::WouldBlock,
            format!("open the broker's log {}: another broker has it open", path.display()),
        ),
        TryLockError::Error(e) => e,
    })
}

fn header(cluster_id: Uuid) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_be_bytes());
    header[12..28].copy_from_slice(cluster_id.as_bytes());
    let sum = crc32c::crc32c(&header[..28]);
    header[28..].copy_from_slice(&sum.to_be_bytes());
    header
}

/// `None`: the file is new, or its making was cut short.
fn read_header(file: &mut File, path: &Path) -> io::Result<Option<Uuid>> {
    let mut found = Vec::with_capacity(HEADER_BYTES);
    file.seek(SeekFrom::Start(0))?;
    Read::take(&mut *file, HEADER_BYTES as u64).read_to_end(&mut found)?;
    let common = found.len().min(MAGIC.len());
    if found[..common] != MAGIC[..common] {
        return Err(damaged(path, "is not a log of the embedded broker"));
    }
    if found.len() < HEADER_BYTES {
        return Ok(None);
    }
    let version = be_u32(&found[8..]);
    if version != VERSION {
        return Err(damaged(path, &format!("has version {version}, this broker reads version {VERSION}")));
    }
    if be_u32(&found[28..]) != crc32c::crc32c(&found[..28]) {
        return Err(damaged(path, "has a damaged header"));
    }
    let mut id = [0; 16];
    id.copy_from_slice(&found[12..28]);
    Ok(Some(Uuid::from_bytes(id)))
}

/// Returns where the last whole entry ends.
fn read_entries(file: &File, path: &Path, replay: &mut impl FnMut(Entry) -> io::Result<()>) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut from = BufReader::with_capacity(1 << 20, file);
    let mut at = from.seek(SeekFrom::Start(HEADER_BYTES as u64))?;
    while length - at >= PREFIX_BYTES as u64 {
        let mut prefix = [0u8; PREFIX_BYTES];
        from.read_exact(&mut prefix)?;
        let body_bytes = be_u32(&prefix);
        if be_u32(&prefix[4..]) != !body_bytes || (body_bytes as usize) < BODY_START_BYTES {
            // What a machine's crash leaves of a file whose length reached the disk before its content.
            if prefix == [0; PREFIX_BYTES] && rest_is_zero(&mut from)? {
                return Ok(at);
            }
            return Err(damaged(path, &format!("is damaged at byte {at}")));
        }
        let end = at + (PREFIX_BYTES as u64) + u64::from(body_bytes);
        if end > length {
            return Ok(at);
        }
        let mut body = vec![0; body_bytes as usize];
        from.read_exact(&mut body)?;
        if be_u32(&prefix[8..]) != crc32c::crc32c(&body) {
            if end == length {
                return Ok(at);
            }
            return Err(damaged(path, &format!("is damaged at byte {at}")));
        }
        replay(decode(body, path, at)?)?;
        at = end;
    }
    Ok(at)
}

fn rest_is_zero(from: &mut impl Read) -> io::Result<bool> {
    let mut part = [0u8; 4096];
    loop {
        match from.read(&mut part)? {
            0 => return Ok(true),
            n if part[..n].iter().any(|b| *b != 0) => return Ok(false),
            _ => {}
        }
    }
}

fn decode(body: Vec<u8>, path: &Path, at: u64) -> io::Result<Entry> {
    let kind = Kind::from_byte(body[0])
        .ok_or_else(|| damaged(path, &format!("has an entry of unknown kind {} at byte {at}", body[0])))?;
    let mut time = [0; 8];
    time.copy_from_slice(&body[1..BODY_START_BYTES]);
    Ok(Entry { kind, time_ms: i64::from_be_bytes(time), payload: Bytes::from(body).slice(BODY_START_BYTES..) })
}

fn encode(kind: Kind, time_ms: i64, payload: &[&[u8]]) -> io::Result<Vec<u8>> {
    let body_bytes = BODY_START_BYTES + payload.iter().map(|p| p.len()).sum::<usize>();
    let length = u32::try_from(body_bytes).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("log an entry of {body_bytes} bytes, more than 4 GiB"))
    })?;
    let mut entry = Vec::with_capacity(PREFIX_BYTES + body_bytes);
    entry.extend(length.to_be_bytes());
    entry.extend((!length).to_be_bytes());
    entry.extend([0; 4]);
    entry.push(kind as u8);
    entry.extend(time_ms.to_be_bytes());
    for part in payload {
        entry.extend_from_slice(part);
    }
    let sum = crc32c::crc32c(&entry[PREFIX_BYTES..]);
    entry[8..12].copy_from_slice(&sum.to_be_bytes());
    Ok(entry)
}

fn damaged(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("read the broker's log: {} {what}", path.display()))
}

fn be_u32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
#[path = "request_log_tests.rs"]
mod tests;
