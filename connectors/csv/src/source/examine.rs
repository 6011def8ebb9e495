//! What a file that is completely written is: new, known, delivered again, or grown.

use super::feed::{Feed, Halt};
use super::file::Start;
use super::told::Word;
use crate::config::{Identity, OnGrowth, Redelivered};
use crate::digest::ContentDigest;
use crate::file_stat::FileStat;
use crate::folder::{file_error, look};
use crate::ledger::{Entry, Outcome, ReadTo};
use crate::position::Place;
use bytes::Bytes;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use unbatch_api::failpoint::sabotaged;
use unbatch_api::{Advance, NoteKey, Result};

/// What to do with a file.
enum Verdict {
    Read(Start),
    /// The entry with this number describes it; only its stat is new.
    SameFile(u64),
    Duplicate(u64),
    MarkedDone(u64, String),
    GrownUnread(String),
    /// It changed or went away while it was looked at; it must settle again.
    NotNow,
}

/// Digests of a file as a whole and of its beginning.
struct Content {
    whole: String,
    /// For each length asked for.
    prefixes: Vec<String>,
}

impl Feed {
    /// Whether the ledger knows the file as it is now, without reading it.
    pub(super) fn is_known(&self, name: &str, stat: &FileStat) -> bool {
        let is_same = |e: &Entry| match self.config.identity {
            _ if e.outcome == Outcome::Marked || self.is_due_again(e) => false,
            // rights or links may have changed, or everything but size and time: only reading tells
            Identity::Content => e.stat == *stat,
            Identity::Delivery => (e.stat.size, e.stat.mtime) == (stat.size, stat.mtime),
        };
        let mut entries = self.shared.ledger.of(name);
        if sabotaged("file-other-content") {
            return entries.next().is_some();
        }
        entries.any(is_same)
    }

    /// Reads the file, or records why it is not read.
    pub(super) fn take(&mut self, name: &str, stat: FileStat) -> Result<(), Halt> {
        match self.examine(name, stat)? {
            Verdict::Read(start) => self.read(name, stat, start),
            Verdict::SameFile(seq) => self.record_stat(name, seq, stat, vec![]),
            Verdict::Duplicate(seq) => {
                let message = "was delivered again with the same content and is not read again";
                let subject = name.to_owned();
                let notice = Word::Notice { code: "duplicate", subject, message };
                self.record_stat(name, seq, stat, vec![Word::Count("files_duplicate_total", 1), notice])
            }
            Verdict::MarkedDone(seq, digest) => {
                let change = self.shared.ledger.change(name, seq, |e| {
                    (e.stat, e.digest, e.outcome) = (stat, digest, Outcome::Skipped);
                })?;
                let message = "is not read, or not to its end: `offsets set` marked it as done; it stays where it is";
                let notice = Word::Notice { code: "marked_done", subject: name.to_owned(), message };
                self.give_note(change, vec![notice])
            }
            Verdict::GrownUnread(digest) => self.record_growth(name, stat, digest),
            Verdict::NotNow => Ok(()),
        }
    }

    fn examine(&self, name: &str, stat: FileStat) -> Result<Verdict> {
        let entries: Vec<&Entry> = self.shared.ledger.of(name).collect();
        if entries.is_empty() {
            return Ok(Verdict::Read(Start::Whole { again: None }));
        }
        let path = self.shared.folder.join(name);
        let marked = entries.iter().find(|e| e.marks(&stat));
        let grown_from = self.grown_from(&entries, &stat).filter(|_| marked.is_none());
        let due = entries.iter().rev().find(|e| self.is_due_again(e) && self.is_same_delivery(e, &stat));
        let is_known = marked.is_some() || grown_from.is_some() || due.is_some();
        if self.config.identity == Identity::Delivery && !is_known {
            // each delivery counts
            return Ok(Verdict::Read(Start::Whole { again: None }));
        }
        let lengths: Vec<u64> = grown_from.iter().map(|(_, end)| end.byte).collect();
        let Some(content) = content_of(&path, &stat, &lengths)? else { return Ok(Verdict::NotNow) };
        if let Some(marked) = marked {
            return Ok(Verdict::MarkedDone(marked.seq, content.whole));
        }
        if let Some(due) = due.filter(|e| e.digest == content.whole) {
            return Ok(Verdict::Read(self.once_more(due)));
        }
        if self.config.identity == Identity::Content
            && let Some(same) = entries.iter().rev().find(|e| e.digest == content.whole)
        {
            return Ok(self.same_content(same, &stat));
        }
        if let Some(from) = grown_from
            && content.prefixes.first().is_some_and(|prefix| *prefix == from.1.prefix)
            && !sabotaged("file-grown")
        {
            return self.grown(from, &path, content.whole);
        }
        Ok(Verdict::Read(Start::Whole { again: None }))
    }

    /// Whether the file was parked under another configuration than today's, which may read it.
    fn is_due_again(&self, entry: &Entry) -> bool {
        entry.outcome == Outcome::Failed && self.shared.parked.is_of_another_reading(&entry.id, &self.reading)
    }

    fn is_same_delivery(&self, entry: &Entry, stat: &FileStat) -> bool {
        match self.config.identity {
            Identity::Content => entry.stat.is_same_content(stat),
            Identity::Delivery => (entry.stat.size, entry.stat.mtime) == (stat.size, stat.mtime),
        }
    }

    /// A parked file goes on behind the rows that were taken of it: they are in the sink or in quarantine already.
    fn once_more(&self, entry: &Entry) -> Start {
        let again = Some(entry.seq);
        let Some(end) = entry.end().filter(|_| entry.rows > 0) else { return Start::Whole { again } };
        let place = Place { row: entry.rows, line: entry.line, byte: end.byte };
        // rows that were too many under another configuration say nothing about this one
        let (rejected, refused_before) =
            if self.is_due_again(entry) { (0, entry.rejected) } else { (entry.rejected, 0) };
        Start::Behind { place, read: end, rejected, refused_before, again }
    }

    /// What the file may be a continuation of: what was read of this very file when it was shorter. Another file under the name
    /// is another delivery, also when it begins alike.
    fn grown_from<'a>(&self, entries: &[&'a Entry], stat: &FileStat) -> Option<(&'a Entry, ReadTo)> {
        if self.shared.dumps.is_some() {
            // a dump is read whole, and comes to no more than what is new in it
            return None;
        }
        let is_done = |e: &&&Entry| matches!(e.outcome, Outcome::Loaded | Outcome::Failed | Outcome::Skipped);
        let entry = entries.iter().rev().find(is_done)?;
        if entry.outcome == Outcome::Failed && self.config.on_growth == OnGrowth::Alarm {
            return None;
        }
        // without a row that could be doubled a file that grew is a new one
        let is_beginning = entry.rows > 0 && entry.stat.is_same_file(stat);
        let end = entry.end().filter(|end| is_beginning && end.byte < stat.size)?;
        Some((entry, end))
    }

    fn same_content(&self, entry: &Entry, stat: &FileStat) -> Verdict {
        if entry.stat.is_same_content(stat) {
            return Verdict::SameFile(entry.seq);
        }
        match self.config.redelivered {
            // what was appended was never read, and is not by a new date; sent as another file it is another delivery
            _ if entry.outcome == Outcome::Grown && entry.stat.is_same_file(stat) => Verdict::SameFile(entry.seq),
            _ if entry.outcome == Outcome::Grown => Verdict::Read(Start::Whole { again: None }),
            // what could not be read is no duplicate: it is sent again because of that
            Redelivered::Skip if entry.outcome == Outcome::Failed => Verdict::Read(self.once_more(entry)),
            Redelivered::Skip if !sabotaged("file-duplicate") => Verdict::Duplicate(entry.seq),
            _ => Verdict::Read(Start::Whole { again: Some(entry.seq) }),
        }
    }

    fn grown(&self, (entry, end): (&Entry, ReadTo), path: &Path, digest: String) -> Result<Verdict> {
        let mut last = [0];
        let read = File::open(path).and_then(|f| f.read_exact_at(&mut last, end.byte - 1));
        read.map_err(|e| file_error("reading the end of the old content failed", path, e))?;
        let ended_a_line = matches!(last, [b'\n' | b'\r']);
        // what was given up by hand is not taken up again because somebody still writes
        let is_given_up = entry.outcome == Outcome::Skipped;
        if self.config.on_growth == OnGrowth::Alarm || is_given_up || !ended_a_line {
            return Ok(Verdict::GrownUnread(digest));
        }
        let place = Place { row: entry.rows, line: entry.line, byte: end.byte };
        Ok(Verdict::Read(Start::Behind { place, read: end, rejected: entry.rejected, refused_before: 0, again: None }))
    }

    fn record_stat(&mut self, name: &str, seq: u64, stat: FileStat, words: Vec<Word>) -> Result<(), Halt> {
        let change = self.shared.ledger.change(name, seq, |e| e.stat = stat)?;
        self.give_note(change, words)
    }

    /// One entry for each path says that it grew, however often it does.
    fn record_growth(&mut self, name: &str, stat: FileStat, digest: String) -> Result<(), Halt> {
        let known = self.shared.ledger.of(name).find(|e| e.outcome == Outcome::Grown).map(|e| e.seq);
        let change = match known {
            Some(seq) => self.shared.ledger.change(name, seq, |e| (e.stat, e.digest) = (stat, digest))?,
            None => {
                let entry = Entry {
                    path: name.into(),
                    id: String::new(),
                    seq: self.shared.ledger.next_seq(),
                    stat,
                    digest,
                    outcome: Outcome::Grown,
                    code: None,
                    rows: 0,
                    rejected: 0,
                    line: 0,
                    archive: None,
                    read_to: None,
                };
                Some(self.shared.ledger.add(entry)?)
            }
        };
        let message = "grew after it was read; what was appended is not read (on_growth: continue reads it)";
        let notice = Word::Notice { code: "grown", subject: name.to_owned(), message };
        self.give_note(change, vec![Word::Count("files_grown_total", 1), notice])
    }

    /// A batch without rows that carries a change of the ledger.
    fn give_note(&mut self, change: Option<(NoteKey, Bytes)>, words: Vec<Word>) -> Result<(), Halt> {
        let Some((key, bytes)) = change else { return Ok(()) };
        let batch = self.empty_batch(Advance::default().note(key, Some(bytes)));
        self.give(batch, words)
    }
}

/// Reads a file for its digests; `None` when it is not the file of `stat`, before or after.
fn content_of(path: &Path, stat: &FileStat, lengths: &[u64]) -> Result<Option<Content>> {
    let failed = |e| file_error("reading a file for its digest failed", path, e);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let (mut digest, mut prefixes, mut seen) = (ContentDigest::new(), Vec::new(), 0u64);
    let mut buffer = vec![0; 1 << 18];
    let mut cuts = lengths.iter().copied().chain([stat.size]).peekable();
    while let Some(cut) = cuts.next() {
        while seen < cut {
            let most = (cut - seen).min(buffer.len() as u64) as usize;
            match file.read(&mut buffer[..most]) {
                Ok(0) => return Ok(None),
                Ok(n) => {
                    digest.update(&buffer[..n]);
                    seen += n as u64;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(failed(e)),
            }
        }
        if cuts.peek().is_some() {
            prefixes.push(digest.so_far());
        }
    }
    let is_still = look(path, true)?.is_some_and(|now| now.is_same_content(stat));
    Ok(is_still.then(|| Content { whole: digest.so_far(), prefixes }))
}
