//! What a file that is completely written is: new, known, delivered again, or grown.

use super::feed::{Feed, Halt};
use super::file::Start;
use super::told::Word;
use crate::config::{Identity, OnGrowth, Redelivered};
use crate::content::{self, Content};
use crate::ledger::{Entry, Outcome, ReadTo};
use crate::position::Place;
use crate::schedule::arrival;
use bytes::Bytes;
use unbatch_api::failpoint::sabotaged;
use unbatch_api::{Advance, NoteKey, Result};
use unbatch_object_files::{ObjectStat, is_changed};

/// What to do with a file.
enum Verdict {
    Read(Start),
    /// The entry with this number describes it; only its stat is new.
    /// The length of its text comes with it where that was looked at.
    SameFile(u64, Option<u64>),
    Duplicate(u64, Option<u64>),
    MarkedDone(u64, Content),
    /// It was parked after rows that cannot be found again under today's configuration; the delivery's id.
    StaysParked(String),
    GrownUnread(String),
    /// It changed or went away while it was looked at; it must settle again.
    NotNow,
}

impl Feed {
    /// Whether the ledger knows the file as it is now, without reading it.
    pub(super) fn is_known(&self, name: &str, stat: &ObjectStat) -> bool {
        let is_same = |e: &Entry| match self.config.identity {
            _ if e.outcome == Outcome::Marked || self.is_due_again(e) => false,
            // rights or links may have changed, or everything but size and time: only reading tells
            Identity::Content => e.stat == *stat,
            Identity::Delivery => is_of_one_time(&e.stat, stat),
        };
        let mut entries = self.shared.ledger.of(name);
        if sabotaged("file-other-content") {
            return entries.next().is_some();
        }
        entries.any(is_same)
    }

    /// Reads the file, or records why it is not read.
    pub(super) fn take(&mut self, name: &str, stat: ObjectStat) -> Result<(), Halt> {
        match self.examine(name, &stat)? {
            Verdict::Read(start) => self.read(name, stat, start),
            Verdict::SameFile(seq, length) => self.record_stat(name, seq, (stat, length), None, vec![]),
            Verdict::Duplicate(seq, length) => {
                let message = "was delivered again with the same content and is not read again";
                let subject = name.to_owned();
                let notice = Word::Notice { code: "duplicate", subject, message };
                let came = self.came(name, &stat);
                self.record_stat(name, seq, (stat, length), came, vec![Word::Count("files_duplicate_total", 1), notice])
            }
            Verdict::MarkedDone(seq, content) => {
                let change = self.shared.ledger.change(name, seq, |e| {
                    e.text_bytes = (content.length != stat.size).then_some(content.length);
                    (e.stat, e.digest, e.outcome) = (stat, content.whole, Outcome::Skipped);
                })?;
                let message = "is not read, or not to its end: `offsets set` marked it as done; it stays where it is";
                let notice = Word::Notice { code: "marked_done", subject: name.to_owned(), message };
                self.give_note(change, vec![notice])
            }
            Verdict::GrownUnread(digest) => self.record_growth(name, stat, digest),
            Verdict::StaysParked(id) => {
                let note = self.shared.parked.looked_at(&id, &self.reading)?;
                let message = "stays parked: read as the configuration says now, it does not begin with the rows that were taken of it; \
                               `offsets set` FILE=again reads all of it";
                self.give_note(note, vec![Word::Notice { code: "stays_parked", subject: name.to_owned(), message }])
            }
            Verdict::NotNow => {
                self.has_changed = true;
                Ok(())
            }
        }
    }

    fn examine(&self, name: &str, stat: &ObjectStat) -> Result<Verdict> {
        let entries: Vec<&Entry> = self.shared.ledger.of(name).collect();
        if entries.is_empty() {
            return Ok(Verdict::Read(Start::Whole { again: None }));
        }
        if let Some(same) = entries.iter().rev().find(|e| self.is_read_otherwise(e, stat)) {
            return Ok(Verdict::SameFile(same.seq, None));
        }
        let marked = entries.iter().find(|e| e.marks(stat));
        let grown_from = self.grown_from(&entries, stat).filter(|_| marked.is_none());
        let due = entries.iter().rev().find(|e| self.is_due_again(e) && self.is_same_delivery(e, stat));
        let is_known = marked.is_some() || grown_from.is_some() || due.is_some();
        if self.config.identity == Identity::Delivery && !is_known {
            // each delivery counts
            return Ok(Verdict::Read(Start::Whole { again: None }));
        }
        // of a dump that is parked nothing was taken
        let is_taken = |due: &Entry| due.rows > 0 && self.shared.dumps.is_none();
        let due_end = due.and_then(|due| due.end().filter(|_| is_taken(due)));
        let mut lengths: Vec<u64> =
            grown_from.iter().map(|(_, end)| end.byte).chain(due_end.iter().map(|e| e.byte)).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let Some(content) = self.content_of(name, stat, &lengths)? else { return Ok(Verdict::NotNow) };
        if let Some(marked) = marked {
            return Ok(Verdict::MarkedDone(marked.seq, content));
        }
        let begins = |end: &ReadTo| {
            let at = lengths.iter().position(|length| *length == end.byte);
            at.and_then(|at| content.beginnings.get(at)?.as_ref()).filter(|beginning| beginning.digest == end.prefix)
        };
        if let Some(due) = due {
            match &due_end {
                // more or less of it can be decoded than before, but it begins alike
                Some(end) if begins(end).is_some() => return Ok(Verdict::Read(self.once_more(due))),
                None if !is_taken(due) => return Ok(Verdict::Read(Start::Whole { again: Some(due.seq) })),
                _ if due.way != self.way => return Ok(Verdict::StaysParked(due.id.clone())),
                _ => {}
            }
        }
        if self.config.identity == Identity::Content
            && let Some(same) = entries.iter().rev().find(|e| e.digest == content.whole)
        {
            return Ok(self.same_content(same, stat, content.length));
        }
        if let Some(from) = grown_from
            && let Some(beginning) = begins(&from.1)
            && !sabotaged("file-grown")
        {
            // without more text there is nothing to read on, and nothing that was not read
            let last = beginning.last.filter(|_| content.length > from.1.byte);
            return Ok(self.grown(from, last, content.whole));
        }
        Ok(Verdict::Read(Start::Whole { again: None }))
    }

    /// Whether the file was parked under another configuration than today's, which may read it.
    fn is_due_again(&self, entry: &Entry) -> bool {
        entry.outcome == Outcome::Failed && self.shared.parked.is_of_another_reading(&entry.id, &self.reading)
    }

    fn is_same_delivery(&self, entry: &Entry, stat: &ObjectStat) -> bool {
        match self.config.identity {
            Identity::Content => entry.stat.is_same_content(stat),
            Identity::Delivery => is_of_one_time(&entry.stat, stat),
        }
    }

    /// Whether it was read to its end under a configuration whose text of it cannot be compared with today's. Nothing but its stat
    /// tells then that it is the same.
    fn is_read_otherwise(&self, entry: &Entry, stat: &ObjectStat) -> bool {
        let is_read = matches!(entry.outcome, Outcome::Loaded | Outcome::Skipped);
        is_read
            && entry.way != self.way
            && self.config.identity == Identity::Content
            && entry.stat.is_same_content(stat)
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
    fn grown_from<'a>(&self, entries: &[&'a Entry], stat: &ObjectStat) -> Option<(&'a Entry, ReadTo)> {
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
        // the size of what is packed says nothing of its text
        let end = entry.end().filter(|end| is_beginning && (entry.text_bytes.is_some() || end.byte < stat.size))?;
        Some((entry, end))
    }

    fn same_content(&self, entry: &Entry, stat: &ObjectStat, length: u64) -> Verdict {
        let length = Some(length);
        if entry.stat.is_same_content(stat) {
            return Verdict::SameFile(entry.seq, length);
        }
        match self.config.redelivered {
            // what was appended was never read, and is not by a new date; sent as another file it is another delivery
            _ if entry.outcome == Outcome::Grown && entry.stat.is_same_file(stat) => {
                Verdict::SameFile(entry.seq, length)
            }
            _ if entry.outcome == Outcome::Grown => Verdict::Read(Start::Whole { again: None }),
            // what could not be read is no duplicate: it is sent again because of that
            Redelivered::Skip if entry.outcome == Outcome::Failed => Verdict::Read(self.once_more(entry)),
            Redelivered::Skip if !sabotaged("file-duplicate") => Verdict::Duplicate(entry.seq, length),
            _ => Verdict::Read(Start::Whole { again: Some(entry.seq) }),
        }
    }

    /// `last`: the last byte of the old content.
    fn grown(&self, (entry, end): (&Entry, ReadTo), last: Option<u8>, digest: String) -> Verdict {
        let ended_a_line = matches!(last, Some(b'\n' | b'\r'));
        // what was given up by hand is not taken up again because somebody still writes
        let is_given_up = entry.outcome == Outcome::Skipped;
        if self.config.on_growth == OnGrowth::Alarm || is_given_up || !ended_a_line {
            return Verdict::GrownUnread(digest);
        }
        let place = Place { row: entry.rows, line: entry.line, byte: end.byte };
        Verdict::Read(Start::Behind { place, read: end, rejected: entry.rejected, refused_before: 0, again: None })
    }

    /// `again`: when it came again, where that is asked for.
    fn record_stat(
        &mut self,
        name: &str,
        seq: u64,
        (stat, length): (ObjectStat, Option<u64>),
        again: Option<i64>,
        words: Vec<Word>,
    ) -> Result<(), Halt> {
        let is_asked = self.punctuality.is_some();
        let change = self.shared.ledger.change(name, seq, |e| {
            // it came when it did, whatever is done to it now
            e.came = e.came.or_else(|| is_asked.then(|| arrival(&e.stat)));
            if let Some(length) = length {
                e.text_bytes = (length != stat.size).then_some(length);
            }
            (e.came_again, e.stat) = (again.or(e.came_again), stat);
        })?;
        self.give_note(change, words)
    }

    /// One entry for each path says that it grew, however often it does.
    fn record_growth(&mut self, name: &str, stat: ObjectStat, digest: String) -> Result<(), Halt> {
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
                    text_bytes: None,
                    way: self.way.clone(),
                    outcome: Outcome::Grown,
                    code: None,
                    rows: 0,
                    rejected: 0,
                    line: 0,
                    archive: None,
                    came: None,
                    came_again: None,
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

    /// Reads a file for its digests; `None` when it is not the file of `stat`, before or after.
    fn content_of(&self, name: &str, stat: &ObjectStat, lengths: &[u64]) -> Result<Option<Content>> {
        let folder = &self.shared.folder;
        let Some(text) = folder.text(name, stat)? else { return Ok(None) };
        let content = match content::read(text, stat.size, lengths) {
            Err(error) if is_changed(&error) => return Ok(None),
            content => content?,
        };
        let is_still = folder.files_stand_still() || folder.look(name)?.is_some_and(|now| now.is_same_content(stat));
        Ok(is_still.then_some(content))
    }
}

/// The same delivery as far as size and time tell; a look at an object tells its time by the second.
fn is_of_one_time(one: &ObjectStat, other: &ObjectStat) -> bool {
    match one.is_local() {
        true => (one.size, one.mtime) == (other.size, other.mtime),
        false => one.is_same_content(other),
    }
}
