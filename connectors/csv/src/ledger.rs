//! Which files are done: identities in notes, in buckets by a hash of the path, written in the same commit as the rows.
//!
//! A bucket has pages of at most [`PAGE_BYTES`], so that finishing a file rewrites a small note. Nothing is forgotten: a
//! forgotten file that is still in the folder would be loaded twice.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use unbatch_api::names::murmur2;
use unbatch_api::{Checkpoint, Error, NoteKey, Result};
use unbatch_object_files::ObjectStat;

const PREFIX: &str = "ledger/";
/// Pages end here; the limit of a note leaves room for entries that grow a little in place.
const PAGE_BYTES: usize = 48 * 1024;

/// How a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Read to its end.
    Loaded,
    /// Parked; `code` says why.
    Failed,
    /// Marked as done by hand, and not read, or not to its end.
    Skipped,
    /// It grew after it was loaded, and what was appended is not read.
    Grown,
    /// Marked by hand and not seen since: the file of the entry's stat is done; without one, the first file of this name.
    Marked,
}

/// One file that is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Relative to the folder.
    pub path: String,
    pub id: String,
    /// Rises with each finished file of the split.
    pub seq: u64,
    #[serde(flatten)]
    pub stat: ObjectStat,
    /// Of the content; see `content`.
    pub digest: String,
    /// Bytes of its text, where that is not what lies in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_bytes: Option<u64>,
    /// The way to its text where that was not the usual one; see `CsvDropsConfig::way_to_text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<String>,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub rows: u64,
    pub rejected: u64,
    /// Physical line after the last one.
    pub line: u64,
    /// Its name in the archive, whether or not it is there yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
    /// When it came, in milliseconds since 1970; only with `expect`, see `schedule::arrival`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub came: Option<i64>,
    /// When it was last delivered again and not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub came_again: Option<i64>,
    /// Of a parked file: how far its `rows` go, so that what is appended can be read from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_to: Option<ReadTo>,
}

/// A place behind which a parked file was not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadTo {
    pub byte: u64,
    /// Digest of the bytes before it.
    pub prefix: String,
    /// What the rows before it add up to, as a trailer will have it; see `trailer`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub totals: BTreeMap<String, String>,
}

impl ReadTo {
    pub fn new(byte: u64, prefix: String) -> Self {
        Self { byte, prefix, totals: BTreeMap::new() }
    }
}

impl Entry {
    /// How far the file was read or given up, when that is known.
    pub fn end(&self) -> Option<ReadTo> {
        match self.outcome {
            // what was given up was parked there, as a rule, and the digest of the whole may not be one of text alone
            Outcome::Skipped if self.read_to.is_some() => self.read_to.clone(),
            Outcome::Loaded | Outcome::Skipped => {
                Some(ReadTo::new(self.text_bytes.unwrap_or(self.stat.size), self.digest.clone()))
            }
            Outcome::Failed => self.read_to.clone(),
            _ => None,
        }
    }
    /// Whether its rows end at `byte`.
    pub fn ends_at(&self, byte: u64) -> bool {
        self.outcome != Outcome::Skipped && self.end().is_some_and(|end| end.byte == byte)
    }
}

#[derive(Serialize, Deserialize)]
struct PageV1 {
    v: u32,
    files: Vec<Entry>,
}

/// Bucket and number of a page.
type PageId = (u8, u32);

/// All finished files of a split.
#[derive(Debug, Default)]
pub struct Ledger {
    pages: BTreeMap<PageId, Page>,
    /// Page and place in it, for each path, oldest first.
    by_path: HashMap<String, Vec<(PageId, usize)>>,
    seq: u64,
}

#[derive(Debug, Default)]
struct Page {
    files: Vec<Entry>,
    bytes: usize,
}

impl Ledger {
    pub fn read(checkpoint: &Checkpoint) -> Result<Self> {
        let mut ledger = Ledger::default();
        for (key, bytes) in &checkpoint.notes {
            let Some(id) = page_id(key) else { continue };
            for entry in decode(key, bytes)? {
                ledger.put(id, entry);
            }
        }
        Ok(ledger)
    }

    /// What is known of a path, oldest first.
    pub fn of<'a>(&'a self, path: &str) -> impl DoubleEndedIterator<Item = &'a Entry> {
        let places = self.by_path.get(path).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|(page, at)| self.pages.get(page)?.files.get(*at))
    }

    pub fn files(&self) -> impl Iterator<Item = &Entry> {
        self.pages.values().flat_map(|page| &page.files)
    }

    pub fn next_seq(&self) -> u64 {
        self.seq + 1
    }

    /// Adds a finished file; gives the note that changed.
    pub fn add(&mut self, entry: Entry) -> Result<(NoteKey, Bytes)> {
        let page = self.put_last(entry);
        self.note(page)
    }

    /// Changes the entry with this `seq`; gives the note that changed. `None`: there is no such entry.
    pub fn change(&mut self, path: &str, seq: u64, to: impl FnOnce(&mut Entry)) -> Result<Option<(NoteKey, Bytes)>> {
        for (id, at) in self.by_path.get(path).into_iter().flatten() {
            let entry = self.pages.get_mut(id).and_then(|page| page.files.get_mut(*at));
            if let Some(entry) = entry.filter(|e| e.seq == seq) {
                to(entry);
                self.seq = self.seq.max(entry.seq);
                let id = *id;
                return self.note(id).map(Some);
            }
        }
        Ok(None)
    }

    /// All notes of a ledger of these files, for a checkpoint that is rewritten as a whole.
    pub fn notes_of(files: impl IntoIterator<Item = Entry>) -> Result<Vec<(NoteKey, Bytes)>> {
        let mut ledger = Ledger::default();
        for entry in files {
            ledger.put_last(entry);
        }
        ledger.pages.keys().map(|id| ledger.note(*id)).collect()
    }

    /// Puts a new entry on the last page of its bucket, or on a new one.
    fn put_last(&mut self, entry: Entry) -> PageId {
        let bucket = bucket(&entry.path);
        let last = self.pages.range((bucket, 0)..=(bucket, u32::MAX)).next_back();
        let number = match last {
            Some((id, page)) if page.bytes + entry_bytes(&entry) > PAGE_BYTES => id.1 + 1,
            Some((id, _)) => id.1,
            None => 0,
        };
        self.put((bucket, number), entry);
        (bucket, number)
    }

    fn put(&mut self, id: PageId, entry: Entry) {
        self.seq = self.seq.max(entry.seq);
        let page = self.pages.entry(id).or_default();
        page.bytes += entry_bytes(&entry);
        self.by_path.entry(entry.path.clone()).or_default().push((id, page.files.len()));
        page.files.push(entry);
    }

    fn note(&self, id: PageId) -> Result<(NoteKey, Bytes)> {
        #[derive(Serialize)]
        struct PageRef<'a> {
            v: u32,
            files: &'a [Entry],
        }
        let files = self.pages.get(&id).map(|page| page.files.as_slice()).unwrap_or_default();
        let text = serde_json::to_vec(&PageRef { v: 1, files });
        let bytes = text.map_err(|e| Error::bug("encoding a page of the ledger failed").caused_by(e))?;
        Ok((page_key(id), bytes.into()))
    }
}

/// The committed ledger, read page by page as it is asked for.
pub struct CommittedLedger<'a> {
    checkpoint: &'a Checkpoint,
}

impl<'a> CommittedLedger<'a> {
    pub fn new(checkpoint: &'a Checkpoint) -> Self {
        Self { checkpoint }
    }

    /// What is committed of a path, oldest first.
    pub fn of(&self, path: &str) -> Result<Vec<Entry>> {
        let mut found = Vec::new();
        let written = serde_json::to_vec(path).map_err(|e| Error::bug("encoding a path failed").caused_by(e))?;
        for number in 0.. {
            let key = page_key((bucket(path), number));
            let Some(bytes) = self.checkpoint.note(&key) else { break };
            // a page that does not hold the path at all need not be parsed
            if memchr::memmem::find(bytes, &written).is_some() {
                found.extend(decode(&key, bytes)?.into_iter().filter(|e| e.path == path));
            }
        }
        Ok(found)
    }
}

impl CommittedLedger<'_> {
    /// All that is committed; reads every page.
    pub fn files(&self) -> Result<Vec<Entry>> {
        let mut found = Vec::new();
        for (key, bytes) in self.checkpoint.notes.iter().filter(|(key, _)| is_ledger_key(key)) {
            found.extend(decode(key, bytes)?);
        }
        Ok(found)
    }
}

pub fn is_ledger_key(key: &NoteKey) -> bool {
    key.as_str().starts_with(PREFIX)
}

fn decode(key: &NoteKey, bytes: &[u8]) -> Result<Vec<Entry>> {
    let lost = |what: &str| Error::lost(what).code("U0225").with("note", key);
    let page: PageV1 =
        serde_json::from_slice(bytes).map_err(|e| lost("reading a page of the ledger failed").caused_by(e))?;
    if page.v != 1 {
        return Err(lost("reading a page of the ledger failed: its version is unknown"));
    }
    Ok(page.files)
}

fn entry_bytes(entry: &Entry) -> usize {
    // its JSON, a little high: names and numbers of the fields, and text whose quotes may need escapes
    let read_to = entry
        .read_to
        .as_ref()
        .map_or(0, |r| r.prefix.len() + 50 + r.totals.iter().map(|(k, v)| 2 * k.len() + v.len() + 6).sum::<usize>());
    let upload = [&entry.stat.etag, &entry.stat.version].map(|tag| tag.as_ref().map_or(0, |tag| 2 * tag.len() + 14));
    let text = entry.text_bytes.map_or(0, |_| 35) + entry.way.as_ref().map_or(0, |_| 17);
    let archive = entry.archive.as_ref().map_or(0, String::len);
    let came = [entry.came, entry.came_again].iter().flatten().count() * 36;
    2 * entry.path.len() + entry.digest.len() + archive + read_to + upload[0] + upload[1] + text + came + 340
}

fn bucket(path: &str) -> u8 {
    (murmur2(path.as_bytes()) & 0xff) as u8
}

/// `ledger/3f`, then `ledger/3f.1` and so on.
fn page_key((bucket, number): PageId) -> NoteKey {
    match number {
        0 => NoteKey::from(format!("{PREFIX}{bucket:02x}")),
        n => NoteKey::from(format!("{PREFIX}{bucket:02x}.{n}")),
    }
}

fn page_id(key: &NoteKey) -> Option<PageId> {
    let text = key.as_str().strip_prefix(PREFIX)?;
    let (bucket, number) = text.split_once('.').unwrap_or((text, "0"));
    Some((u8::from_str_radix(bucket, 16).ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_api::checkpoint::NOTE_BYTES_MAX;

    fn entry(path: &str, seq: u64) -> Entry {
        Entry {
            path: path.into(),
            id: "0123456789abcdef".into(),
            seq,
            stat: ObjectStat {
                size: u64::MAX,
                mtime: i64::MAX,
                ctime: i64::MIN,
                inode: u64::MAX,
                born: Some(i64::MAX),
                etag: Some("e".repeat(40)),
                version: Some("v".repeat(32)),
            },
            digest: "f".repeat(64),
            text_bytes: Some(u64::MAX),
            way: Some("f".repeat(8)),
            outcome: Outcome::Loaded,
            code: None,
            rows: 1,
            rejected: 0,
            line: 2,
            archive: Some("x".repeat(200)),
            came: Some(i64::MIN),
            came_again: Some(i64::MIN),
            read_to: None,
        }
    }

    #[test]
    fn pages_stay_under_the_limit_of_a_note_and_come_back() {
        let mut ledger = Ledger::default();
        let mut checkpoint = Checkpoint::default();
        // one bucket, many deliveries of one name; the worst name is all quotes
        for name in ["stock.csv", &"\"".repeat(250), "tab\there.csv"] {
            for i in 0..300 {
                let (key, bytes) = ledger.add(entry(name, i)).unwrap();
                assert!(bytes.len() <= NOTE_BYTES_MAX, "{key} has {}", bytes.len());
                checkpoint.notes.insert(key, bytes);
            }
        }
        assert!(checkpoint.notes.len() > 2);
        let again = Ledger::read(&checkpoint).unwrap();
        assert_eq!((again.files().count(), again.of("stock.csv").count()), (900, 300));
        assert_eq!(again.of("stock.csv").last(), ledger.of("stock.csv").last());
        let committed = CommittedLedger::new(&checkpoint);
        assert_eq!(committed.of(&"\"".repeat(250)).unwrap().len(), 300);
        assert_eq!(committed.of("tab\there.csv").unwrap().len(), 300);
        assert!(committed.of("other.csv").unwrap().is_empty());
        let notes = Ledger::notes_of(again.files().cloned()).unwrap();
        assert_eq!(notes.into_iter().collect::<BTreeMap<_, _>>(), checkpoint.notes);
    }

    #[test]
    fn an_entry_is_changed_in_place() {
        let mut ledger = Ledger::default();
        ledger.add(entry("a", 1)).unwrap();
        ledger.add(entry("a", 2)).unwrap();
        let (key, bytes) = ledger.change("a", 2, |e| e.rows = 77).unwrap().unwrap();
        assert_eq!(decode(&key, &bytes).unwrap()[1].rows, 77);
        assert!(ledger.change("a", 3, |_| ()).unwrap().is_none());
        assert_eq!(ledger.next_seq(), 3);
    }
}
