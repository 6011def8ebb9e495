//! Reads one file from its beginning or from the middle into batches, and closes it in the ledger.

use super::expect::changed;
use super::feed::{Feed, Halt};
use super::told::Word;
use crate::config::OnBadFile;
use crate::digest::id_of;
use crate::ledger::{Entry, Outcome, ReadTo};
use crate::notes::{OpenNote, open_key};
use crate::parked::{ParkedFile, Settled};
use crate::position::{Place, part_of};
use crate::reader::{BadFile, FileReader, PARKED, Rows, Step};
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;
use unbatch_api::arrow::array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use unbatch_api::failpoint::{hit, sabotaged};
use unbatch_api::{
    Advance, Batch, Error, NoteKey, Ops, Origin, OriginColumns, Part, Position, QuarantineEntry, RawRow, RejectedRow,
    Result, RowOrigin, Span, Stage,
};
use unbatch_object_files::{ObjectStat, is_changed};

/// How much of the beginning makes a file's id.
const ID_BYTES: u64 = 64 * 1024;

/// Where to begin with a file that was chosen.
pub enum Start {
    /// At its beginning. `again`: number of the ledger's entry when the same content was read before.
    Whole { again: Option<u64> },
    /// After what was read when it was shorter or until it was parked; `read` says how far. `rejected` rows count for
    /// `stop_after`, `refused_before` do not.
    Behind { place: Place, read: ReadTo, rejected: u64, refused_before: u64, again: Option<u64> },
}

/// A file that is being read.
pub(super) struct Reading {
    pub id: String,
    pub part: Part,
    /// Relative to the folder, as origins have it.
    pub name: Arc<str>,
    pub stat: ObjectStat,
    pub reader: FileReader,
    /// Where the part stands in what was given so far.
    pub after: Option<Position>,
    /// Whether a note of it is in what was given so far.
    pub has_note: bool,
    pub began_at: Option<u64>,
    pub refused_before: u64,
    pub again: Option<u64>,
}

/// Rows with the note that goes with them.
pub(super) struct Held {
    rows: Rows,
    note: OpenNote,
}

impl Feed {
    /// Reads a file that is not open yet. One that changed since it settled is left for later.
    pub(super) fn read(&mut self, name: &str, stat: ObjectStat, start: Start) -> Result<(), Halt> {
        let (Some(id), Some(text)) = (self.id_of(name, &stat)?, self.shared.folder.text(name, &stat)?) else {
            self.has_changed = true;
            return Ok(());
        };
        let reader = FileReader::new(text, self.config.clone(), self.stop_after, self.portion);
        if reader.has_other_mark() {
            let message =
                "has a byte order mark that says another encoding than `dialect.encoding`; it is read by the mark";
            Word::Notice { code: "byte_order_mark", subject: name.to_owned(), message }.say(&self.reports);
        }
        let (part, name) = (part_of(&id), Arc::from(name));
        let (after, has_note, began_at, refused_before) = (None, false, None, 0);
        let mut reading =
            Reading { id, part, name, stat, reader, after, has_note, began_at, refused_before, again: None };
        if self.shared.dumps.is_some() {
            reading.again = start.again();
            return self.read_dump(reading);
        }
        match start {
            Start::Whole { again } => reading.again = again,
            Start::Behind { place, read, rejected, refused_before, again } => {
                (reading.refused_before, reading.again) = (refused_before, again);
                let behind = self.text_behind(&reading.name, &reading.stat, None, place.byte)?;
                let Some((rest, digest)) = behind.filter(|(_, digest)| digest.so_far() == read.prefix) else {
                    // it changed after it was examined
                    return Ok(());
                };
                reading.began_at = Some(place.byte);
                let mut bad = reading.reader.resume(place, rest, digest, rejected)?;
                if bad.is_none() && !reading.reader.take_totals(&read.totals) {
                    bad = Some(reading.reader.totals_unknown());
                }
                if let Some(bad) = bad {
                    self.expect(&reading);
                    return self.bad(reading, None, None, bad);
                }
            }
        }
        self.read_on(reading)
    }

    /// The epoch that has rows or the end of this file is vouched for by what the file is like then.
    pub(super) fn expect(&self, reading: &Reading) {
        self.shared.expectations.expect(reading.part.clone(), &reading.name, reading.stat.clone());
    }

    /// Reads to the end from where the reader stands.
    pub(super) fn read_on(&mut self, mut reading: Reading) -> Result<(), Halt> {
        self.expect(&reading);
        self.reports.set("file_bytes", reading.stat.size as i64);
        // one block is held back, so that a small file is one batch with its rows and its end
        let mut held: Option<Held> = None;
        loop {
            self.go_on()?;
            let step = reading.reader.step()?;
            hit("csv.after_read")?;
            if let Some(layout) = reading.reader.layout() {
                self.schema = layout.schema.clone();
            }
            let read = reading.reader.raw_offset();
            self.reports.set("file_bytes_read", read as i64);
            self.reports.set("backlog_bytes", (self.bytes_after + reading.stat.size.saturating_sub(read)) as i64);
            match step {
                Step::Rows(rows) => {
                    let note = self.note_of(&reading);
                    if let Some(before) = held.replace(Held { rows, note }) {
                        self.give_rows(&mut reading, before)?;
                    }
                }
                Step::End => return self.close(reading, held.map(|h| h.rows), None),
                Step::Bad(rows, bad) => return self.bad(reading, held, rows, bad),
            }
        }
    }

    /// The file cannot be read on: what was read before is good.
    pub(super) fn bad(
        &mut self,
        mut reading: Reading,
        held: Option<Held>,
        rows: Option<Rows>,
        bad: BadFile,
    ) -> Result<(), Halt> {
        let is_stop = self.config.on_bad_file == OnBadFile::Stop;
        // the note belongs to the rows that end where the reader stands now
        let note = self.note_of(&reading);
        let rest = match (held, rows) {
            (Some(held), Some(rows)) => {
                self.give_rows(&mut reading, held)?;
                Some(Held { rows, note })
            }
            (held, rows) => held.or(rows.map(|rows| Held { rows, note })),
        };
        if !is_stop {
            return self.close(reading, rest.map(|held| held.rows), Some(bad));
        }
        if let Some(held) = rest {
            self.give_rows(&mut reading, held)?;
        }
        Err(Halt::Failed(
            Error::rejected(format!("reading a file failed: {}", bad.message))
                .code("U0224")
                .with("file", &reading.name)
                .with("reason", bad.code)
                .with("line", bad.at.line)
                .with("byte", bad.at.byte)
                .help("mend the file under the same name and resume, or set `on_bad_file: park`"),
        ))
    }

    fn give_rows(&mut self, reading: &mut Reading, held: Held) -> Result<(), Halt> {
        let through = held.rows.through.to_position();
        let advance = Advance::of(reading.part.clone(), reading.after.replace(through.clone()), through)
            .note(open_key(&reading.id), Some(held.note.encode()?));
        reading.has_note = true;
        let batch = self.batch(Some(reading), held.rows, advance);
        self.give(batch, vec![])
    }

    /// The last batch of a file: its last rows, and its entry in the ledger.
    fn close(&mut self, mut reading: Reading, rows: Option<Rows>, bad: Option<BadFile>) -> Result<(), Halt> {
        let place = reading.reader.place();
        let read_to = bad.as_ref().map(|_| ReadTo {
            byte: place.byte,
            prefix: reading.reader.digest().so_far(),
            totals: reading.reader.totals(),
        });
        let digest = reading.reader.read_out(reading.stat.size)?;
        self.check_unchanged(&reading)?;
        let settled = self.settle_parked(&reading, &digest, bad.is_some());
        let (key, page) = self.record(&reading, place, digest.clone(), bad.as_ref().zip(read_to))?;
        let after = reading.after.take();
        let through = place.to_position();
        let mut advance = Advance::default().note(key, Some(page)).close(reading.part.clone());
        for (key, _) in &settled {
            advance = advance.note(key.clone(), None);
        }
        let parked = bad.as_ref().map(|bad| self.parked_entry(&reading, bad));
        if let Some(entry) = &parked {
            let (key, note) = self.owe(&reading, digest, entry.clone())?;
            advance = advance.note(key, Some(note));
        }
        advance.spans.insert(reading.part.clone(), Span { after, through });
        if reading.has_note {
            advance = advance.note(open_key(&reading.id), None);
        }
        let mut batch = match rows {
            Some(rows) => self.batch(Some(&reading), rows, advance),
            None => self.empty_batch(advance),
        };
        batch.rejected.extend(parked);
        batch.replayed = settled.into_iter().map(|(_, entry)| entry).collect();
        let mut words = vec![];
        if !batch.replayed.is_empty() {
            words.push(Word::Unparked(reading.name.to_string()));
        }
        if let Some(bad) = bad {
            let message = format!("line {}: {} ({})", bad.at.line, bad.message, bad.code);
            words.push(Word::Count("files_failed_total", 1));
            words.push(Word::Parked { subject: reading.name.to_string(), message });
        } else {
            words.push(Word::Count("files_loaded_total", 1));
        }
        let before = reading.began_at.filter(|_| reading.reader.is_plain()).unwrap_or_default();
        let bytes = reading.stat.size.saturating_sub(before);
        words.push(Word::Count("bytes_read_total", bytes as i64));
        self.give(batch, words)
    }

    /// The file must be what it was when it was opened, and all of it was read.
    pub(super) fn check_unchanged(&self, reading: &Reading) -> Result<()> {
        let is_whole = !reading.reader.is_plain() || reading.reader.place().byte == reading.stat.size;
        let folder = &self.shared.folder;
        if is_whole && folder.files_stand_still() {
            return Ok(());
        }
        let now = folder.look(&reading.name)?;
        let is_same = now.as_ref().is_some_and(|now| now.is_same_content(&reading.stat));
        if is_same && is_whole || sabotaged("file-rewritten") {
            return Ok(());
        }
        Err(changed(&folder.at(&reading.name), &reading.stat, now.as_ref()))
    }

    pub(super) fn record(
        &mut self,
        reading: &Reading,
        place: Place,
        digest: String,
        parked: Option<(&BadFile, ReadTo)>,
    ) -> Result<(NoteKey, Bytes)> {
        let name = &*reading.name;
        let archive_name = self.archive_name.as_ref();
        let came = self.came(name, &reading.stat);
        let ledger = &mut self.shared.ledger;
        let mut entry = Entry {
            path: name.into(),
            id: reading.id.clone(),
            seq: ledger.next_seq(),
            stat: reading.stat.clone(),
            text_bytes: (!reading.reader.is_plain()).then(|| reading.reader.place().byte),
            way: self.way.clone(),
            archive: archive_name.filter(|_| parked.is_none()).map(|mark| mark.archive_name(name, &digest)),
            digest,
            outcome: if parked.is_some() { Outcome::Failed } else { Outcome::Loaded },
            code: parked.as_ref().map(|(bad, _)| bad.code.to_owned()),
            came,
            came_again: None,
            rows: place.row,
            rejected: reading.refused_before + reading.reader.rejected(),
            line: place.line,
            read_to: parked.map(|(_, read_to)| read_to),
        };
        let is_before =
            |e: &&Entry, byte| reading.again.map_or_else(|| e.ends_at(byte), |seq| e.seq == seq && e.ends_at(byte));
        let before = reading.began_at.and_then(|byte| ledger.of(name).rev().find(|e| is_before(e, byte)));
        if let (Some(before), Some(to)) = (before, before.and_then(Entry::end))
            && place.byte < to.byte
        {
            // parked for its header: what was read when it was shorter stays read
            (entry.rows, entry.rejected, entry.line) = (before.rows, before.rejected, before.line);
            entry.read_to = Some(to);
        }
        // the same content again, or the same file longer, keeps its one entry; but what may be in the archive stays known
        let is_archived = |e: &&Entry| e.outcome == Outcome::Loaded && (archive_name.is_some() || e.archive.is_some());
        let old = before.filter(|e| !is_archived(e)).map(|e| e.seq).or(reading.again);
        if let Some(seq) = old
            && let Some(changed) = ledger.change(name, seq, |e| *e = entry.clone())?
        {
            return Ok(changed);
        }
        ledger.add(entry)
    }

    fn parked_entry(&self, reading: &Reading, bad: &BadFile) -> RejectedRow {
        let (file, delivery) = (reading.name.clone(), reading.id.as_str().into());
        RejectedRow {
            code: Cow::Borrowed(bad.code),
            message: format!("{PARKED}{}", bad.message),
            stage: Stage::Source,
            stream: self.stream.clone(),
            origin: RowOrigin::File { file, delivery, line: bad.at.line, byte: bad.at.byte },
            raw: RawRow::of(bad.head.clone()),
        }
    }

    /// What is owed for a file that is parked.
    fn owe(&mut self, reading: &Reading, digest: String, entry: RejectedRow) -> Result<(NoteKey, Bytes)> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let entry = QuarantineEntry {
            generation: self.generation,
            refused_at: Some(now.as_millis() as i64),
            ..entry.into_entry(&self.split, self.revision)
        };
        let file = ParkedFile { path: reading.name.to_string(), reading: self.reading.clone(), digest, entry };
        self.shared.parked.add(&reading.id, file)
    }

    /// Entries of parked files that are done with, now that this one was read out: its own; and when it was read to its end also
    /// those of other files that came under its name before.
    pub(super) fn settle_parked(
        &mut self,
        reading: &Reading,
        digest: &str,
        is_bad: bool,
    ) -> Vec<(NoteKey, QuarantineEntry)> {
        let mut due = Vec::new();
        for (id, parked) in self.shared.parked.under(&reading.name) {
            // the same file, or what it grew to
            let is_longer = |e: &Entry| e.id == id && reading.began_at.is_some_and(|byte| e.ends_at(byte));
            let is_same = parked == digest || self.shared.ledger.of(&reading.name).any(is_longer);
            match (is_same, is_bad) {
                (true, true) => due.push((id, Settled::ParkedAgain)),
                (true, false) => due.push((id, Settled::Read)),
                (false, true) => {}
                (false, false) => due.push((id, Settled::Replaced)),
            }
        }
        let (parked, revision) = (&mut self.shared.parked, self.revision);
        due.into_iter().filter_map(|(id, how)| parked.settle(&id, how, revision)).collect()
    }

    /// The file's mtime, in nanoseconds, is what the rows' time at the source is: freshness counts from the writing of the file.
    pub(super) fn batch(&self, of: Option<&Reading>, rows: Rows, advance: Advance) -> Batch {
        let file = of.map_or_else(|| Arc::from(""), |reading| reading.name.clone());
        // another file under this name has another id, and so have its refused rows
        let delivery: Arc<str> = of.map_or("", |reading| &reading.id).into();
        let refused = rows.refused.into_iter().map(|r| r.into_rejected(&self.stream, &file, &delivery)).collect();
        let source_time = of.map(|reading| reading.stat.mtime).map(|nanos| {
            let times = TimestampMicrosecondArray::from_value(nanos.div_euclid(1_000), rows.rows.num_rows());
            Arc::new(times.with_timezone("UTC")) as ArrayRef
        });
        let origin = OriginColumns::File { file, delivery, lines: rows.lines, bytes: rows.bytes };
        Batch {
            stream: self.stream.clone(),
            schema: self.schema.clone(),
            rows: rows.rows,
            marks: None,
            before: None,
            before_marks: None,
            ops: Ops::Append,
            origin: Origin { rows: origin, revision: self.revision },
            source_time,
            rejected: refused,
            replayed: vec![],
            advance: Some(advance),
        }
    }

    /// A batch that has only an advance.
    pub(super) fn empty_batch(&self, advance: Advance) -> Batch {
        let rows = RecordBatch::new_empty(self.schema.fields().clone());
        let rows = Rows { rows, lines: vec![], bytes: vec![], refused: vec![], through: Place::START };
        self.batch(None, rows, advance)
    }

    pub(super) fn note_of(&self, reading: &Reading) -> OpenNote {
        let digest = reading.reader.digest();
        let (chunks, chain) = digest.full_chunks();
        OpenNote {
            v: 1,
            path: reading.name.to_string(),
            stat: reading.stat.clone(),
            host: self.host.clone().filter(|_| reading.stat.is_local()),
            prefix: digest.so_far(),
            chunks,
            chain,
            rejected: reading.reader.rejected(),
            refused_before: reading.refused_before,
            began_at: reading.began_at,
            is_packed: !reading.reader.is_plain(),
            way: self.way.clone(),
            totals: reading.reader.totals(),
            dump: None,
        }
    }

    /// Hash of path, size, modification time and first bytes, and of how often the path was done before, so that a
    /// delivery that equals an earlier one in all that is a part of its own. An upload has its tag in place of its first bytes.
    /// `None`: it is not the file of `stat` any more.
    fn id_of(&self, name: &str, stat: &ObjectStat) -> Result<Option<String>> {
        let head = match &stat.etag {
            Some(tag) => Bytes::copy_from_slice(tag.as_bytes()),
            None => match self.shared.folder.store().read_range(name, stat, 0..stat.size.min(ID_BYTES)) {
                Err(error) if is_changed(&error) => return Ok(None),
                head => head?,
            },
        };
        let times = self.shared.ledger.of(name).map(|e| e.seq).max().unwrap_or_default();
        let numbers = format!("{} {} {times}", stat.size, stat.mtime);
        Ok(Some(id_of(&[name.as_bytes(), numbers.as_bytes(), &head], 16)))
    }
}
