//! Hands on what a full dump changes: refused rows in the order of the file, then changes in the order of their keys.
//!
//! Nothing is handed on before the whole file was read, compared and judged. The position of its part counts what was handed on
//! since, so a run that ends in the middle is gone on with: the file is read and compared anew, which comes to the same as long as
//! file, baseline and configuration are the same, and what was handed on is passed over.

use super::expect::changed;
use super::feed::{Feed, Halt};
use super::file::{Reading, Start};
use super::told::Word;
use crate::dump::{BaselineFile, Dumps, Gathering, HandedOn, Judged, Told, judge, out_of_order};
use crate::folder::Folder;
use crate::notes::{OpenFile, OpenNote, open_key};
use crate::position::{Place, part_of};
use crate::reader::{BadFile, FileReader, Rows, Step};
use crate::rejects::Refused;
use std::io::Read;
use std::sync::Arc;
use unbatch_api::arrow::array::RecordBatch;
use unbatch_api::failpoint::{hit, sabotaged};
use unbatch_api::{Advance, Batch, Error, Op, Ops, Result, Span};
use unbatch_full_dump::{Changes, Deletes, Plan};
use unbatch_object_files::ObjectStat;

/// Bytes of refused rows in one batch.
const REFUSED_BYTES_MAX: usize = 1 << 20;

/// A part of what a dump comes to.
struct Piece {
    rows: Rows,
    ops: Vec<Op>,
    /// How much was handed on once it is.
    through: u64,
}

/// What there is to hand on, behind what was handed on before.
struct HandingOn {
    /// The file once more, as long as there are refused rows in it to hand on.
    refused: Option<Refusals>,
    changes: Changes<Box<dyn Read + Send>>,
    judged: Judged,
    rows_max: usize,
    given: u64,
}

/// Reads the file again for the sake of its refused rows, of which there may be more than memory holds.
struct Refusals {
    reader: FileReader,
    waiting: std::collections::VecDeque<Refused>,
    /// Those that were handed on before.
    skip: u64,
}

impl Start {
    /// Number of the ledger's entry that the file has already. A dump is always read whole.
    pub(super) fn again(&self) -> Option<u64> {
        match self {
            Start::Whole { again } | Start::Behind { again, .. } => *again,
        }
    }
}

impl Feed {
    /// Reads a full dump that is not open yet.
    pub(super) fn read_dump(&mut self, mut reading: Reading) -> Result<(), Halt> {
        self.expect(&reading);
        let Some(dumps) = &self.shared.dumps else { return Ok(()) };
        let (setting, last) = (dumps.setting.clone(), dumps.told.as_ref().and_then(|told| told.path.clone()));
        if let Some(bad) = out_of_order(&reading.name, last.as_deref()) {
            return self.bad(reading, None, None, bad);
        }
        let judged = match self.compare(&mut reading)? {
            Ok(judged) => judged,
            Err(bad) => return self.bad(reading, None, None, bad),
        };
        if let Some(bad) = judge(&judged.plan, setting.deletes_max).filter(|_| !sabotaged("dump-guards")) {
            return self.bad(reading, None, None, bad);
        }
        let digest = reading.reader.read_out(reading.stat.size)?;
        self.hand_on(reading, digest, judged, 0)
    }

    /// Goes on with a dump of which a part was handed on.
    pub(super) fn resume_dump(&mut self, open: OpenFile) -> Result<(), Halt> {
        let (Some(handed), Some(_)) = (&open.note.dump, &self.shared.dumps) else {
            return Err(other_reading(&open, "`mode` changed").into());
        };
        if open.note.way != self.way {
            let why = "`compression`, `entry` or `dialect.encoding` changed";
            return Err(other_reading(&open, why).into());
        }
        let (stat, _) = self.stat_to_go_on(&open)?;
        let name: Arc<str> = Arc::from(open.note.path.as_str());
        let reader = reader_of(self, &name, &stat)?;
        let mut reading = Reading {
            part: part_of(&open.id),
            id: open.id.clone(),
            name,
            stat,
            reader,
            after: Some(open.place.to_position()),
            has_note: true,
            began_at: None,
            refused_before: 0,
            again: None,
        };
        self.expect(&reading);
        let judged = self.compare(&mut reading)?;
        let digest = reading.reader.read_out(reading.stat.size)?;
        if digest != open.note.prefix {
            let at = self.shared.folder.at(&reading.name);
            return Err(changed(&at, &open.note.stat, Some(&reading.stat)).into());
        }
        let judged = judged.map_err(|bad| other_reading(&open, &bad.message))?;
        let is_same = judged.written == handed.next.written() && judged.through() == handed.through;
        if !is_same && !sabotaged("dump-changed") {
            return Err(other_reading(&open, "it comes to other changes than before").into());
        }
        let skip = if sabotaged("dump-resume") { 0 } else { open.place.row };
        self.hand_on(reading, digest, judged, skip)
    }

    /// Reads the file to its end and compares it; or says why it cannot be read.
    fn compare(&mut self, reading: &mut Reading) -> Result<Result<Judged, BadFile>, Halt> {
        let Some(Dumps { setting, told, .. }) = &self.shared.dumps else { return Err(no_dumps().into()) };
        let (setting, told) = (setting.clone(), told.clone());
        self.reports.set("file_bytes", reading.stat.size as i64);
        let mut gathering = None;
        loop {
            self.go_on()?;
            let step = reading.reader.step()?;
            hit("csv.after_read")?;
            let read = reading.reader.raw_offset();
            self.reports.set("file_bytes_read", read as i64);
            self.reports.set("backlog_bytes", (self.bytes_after + reading.stat.size.saturating_sub(read)) as i64);
            if gathering.is_none() {
                let fields = reading.reader.layout().map_or_else(
                    || crate::decode::declared_schema(&self.config).fields().clone(),
                    |layout| layout.schema.fields().clone(),
                );
                gathering = Some(Gathering::new(&setting, &self.config, &fields)?);
            }
            match step {
                Step::Rows(rows) => gathering.as_mut().map_or(Ok(()), |gathering| gathering.add(&rows))?,
                Step::Bad(_, bad) => return Ok(Err(bad)),
                Step::End => break,
            }
        }
        let gathered = gathering.ok_or_else(no_dumps)?.finish()?;
        hit("csv.before_compare")?;
        Ok(Ok(gathered.judge(told.as_ref())?))
    }

    /// Puts the next baseline where it belongs and hands on what is behind the first `skip`.
    fn hand_on(&mut self, mut reading: Reading, digest: String, judged: Judged, skip: u64) -> Result<(), Halt> {
        let next = self.keep_baseline(&judged)?;
        let (plan, deletes, through) = (judged.plan.clone(), judged.gathered.deletes, judged.through());
        self.schema = judged.schema();
        let note = OpenNote { dump: Some(HandedOn { next: next.clone(), through }), ..self.note_of(&reading) };
        let note = OpenNote { prefix: digest.clone(), chunks: 0, chain: None, ..note };
        let mut rest = HandingOn::new(self, &reading, judged, skip)?;
        // one piece is held back, so that a small dump is one batch with its rows and its end
        let mut held: Option<Piece> = None;
        loop {
            self.go_on()?;
            let Some(piece) = rest.next_piece()? else { break };
            if let Some(before) = held.replace(piece) {
                self.give_piece(&mut reading, before, &note)?;
            }
        }
        rest.check_file(&self.shared.folder, &reading, &digest)?;
        self.close_dump(reading, digest, held, through, next, (plan, deletes))
    }

    /// The baseline lies there before the first change is handed on: should the dump be given up half way, it says what
    /// downstream may have been told.
    fn keep_baseline(&mut self, judged: &Judged) -> Result<BaselineFile> {
        let Some(Dumps { setting, told, .. }) = &self.shared.dumps else { return Err(no_dumps()) };
        let number = told.as_ref().map_or(0, |told| told.number) + 1;
        let size = judged.draft.metadata().map(|m| m.len());
        let size = size.map_err(|e| Error::transient("measuring a baseline failed").code("U0241").caused_by(e))?;
        let next = setting.shelf.name(setting.generation, number, size, &judged.written);
        setting.shelf.put(&judged.draft, &next)?;
        hit("csv.after_baseline")?;
        Ok(next)
    }

    fn give_piece(&mut self, reading: &mut Reading, piece: Piece, note: &OpenNote) -> Result<(), Halt> {
        let through = position(piece.through);
        let advance = Advance::of(reading.part.clone(), reading.after.replace(through.clone()), through)
            .note(open_key(&reading.id), Some(note.encode()?));
        reading.has_note = true;
        let batch = self.batch_of(reading, Some(piece), advance);
        self.give(batch, vec![])
    }

    /// The last batch of a dump: its last changes, its entry in the ledger, and the baseline that holds from now on.
    fn close_dump(
        &mut self,
        mut reading: Reading,
        digest: String,
        piece: Option<Piece>,
        through: u64,
        next: BaselineFile,
        (plan, deletes): (Plan, Deletes),
    ) -> Result<(), Halt> {
        self.check_unchanged(&reading)?;
        let settled = self.settle_parked(&reading, &digest, false);
        let (key, page) = self.record(&reading, reading.reader.place(), digest, None)?;
        let mut advance = Advance::default().note(key, Some(page)).close(reading.part.clone());
        for (key, _) in &settled {
            advance = advance.note(key.clone(), None);
        }
        if reading.has_note {
            advance = advance.note(open_key(&reading.id), None);
        }
        let after = reading.after.take();
        advance.spans.insert(reading.part.clone(), Span { after, through: position(through) });
        if let Some(Dumps { setting, told, .. }) = &mut self.shared.dumps {
            let path = Some(reading.name.to_string());
            let (key, number) = (setting.key.clone(), next.number);
            let now = Told { v: 1, key, number, path, baseline: Some(next), given_up: vec![] };
            let (key, note) = now.note()?;
            advance = advance.note(key, Some(note));
            *told = Some(now);
        }
        let mut batch = self.batch_of(&reading, piece, advance);
        batch.replayed = settled.into_iter().map(|(_, entry)| entry).collect();
        self.give(batch, words(&reading, &plan, deletes))
    }

    fn batch_of(&self, reading: &Reading, piece: Option<Piece>, advance: Advance) -> Batch {
        let Some(piece) = piece else { return self.empty_batch(advance) };
        let ops = Ops::PerRow(piece.ops);
        Batch { ops, ..self.batch(Some(reading), piece.rows, advance) }
    }
}

impl HandingOn {
    fn new(feed: &Feed, reading: &Reading, judged: Judged, skip: u64) -> Result<Self> {
        let refused = judged.gathered.refused;
        let rows_max = feed.portion.rows;
        let refusals = if skip < refused {
            let reader = reader_of(feed, &reading.name, &reading.stat)?;
            Some(Refusals { reader, waiting: Default::default(), skip })
        } else {
            None
        };
        let changes = judged.changes(skip.saturating_sub(refused), rows_max)?;
        Ok(Self { refused: refusals, changes, judged, rows_max, given: skip })
    }

    fn next_piece(&mut self) -> Result<Option<Piece>> {
        let all = self.judged.gathered.refused;
        if self.given < all
            && let Some(refusals) = &mut self.refused
        {
            let refused = refusals.next(self.rows_max)?;
            self.given += refused.len() as u64;
            if !refused.is_empty() {
                let rows = RecordBatch::new_empty(self.judged.gathered.shape.fields().clone());
                let (lines, bytes, through) = (vec![], vec![], Place::START);
                let rows = Rows { rows, lines, bytes, refused, through };
                return Ok(Some(Piece { rows, ops: vec![], through: self.given }));
            }
        }
        let Some(batch) = self.changes.next_batch()? else { return Ok(None) };
        // a row that is gone stands nowhere in the file: line 0, and a number that no other one has
        let first = batch.through - batch.ops.len() as u64;
        let numbered = batch.bytes.iter().zip(&batch.ops).zip(first + 1..);
        let bytes = numbered.map(|((byte, op), n)| if *op == Op::Delete { n } else { *byte }).collect();
        self.given = all + batch.through;
        let rows = Rows { rows: batch.rows, lines: batch.lines, bytes, refused: vec![], through: Place::START };
        Ok(Some(Piece { rows, ops: batch.ops, through: self.given }))
    }

    /// What was read a second time was the same.
    fn check_file(&mut self, folder: &Folder, reading: &Reading, digest: &str) -> Result<()> {
        let Some(refusals) = &mut self.refused else { return Ok(()) };
        if self.given == self.judged.through() && refusals.reader.read_out(reading.stat.size)? == digest {
            return Ok(());
        }
        Err(changed(&folder.at(&reading.name), &reading.stat, folder.look(&reading.name)?.as_ref()))
    }
}

impl Refusals {
    /// The next ones, as many as one batch has; none at the end.
    fn next(&mut self, most: usize) -> Result<Vec<Refused>> {
        let (mut refused, mut bytes) = (Vec::new(), 0);
        while refused.len() < most && bytes < REFUSED_BYTES_MAX {
            if let Some(next) = self.waiting.pop_front() {
                bytes += next.raw.len();
                refused.push(next);
                continue;
            }
            let Step::Rows(rows) = self.reader.step()? else { break };
            let passed = self.skip.min(rows.refused.len() as u64);
            self.skip -= passed;
            self.waiting.extend(rows.refused.into_iter().skip(passed as usize));
        }
        Ok(refused)
    }
}

/// Reads the file from its beginning; an error when it is not the one of `stat` any more.
fn reader_of(feed: &Feed, name: &str, stat: &ObjectStat) -> Result<FileReader> {
    let folder = &feed.shared.folder;
    let Some(text) = folder.text(name, stat)? else {
        return Err(changed(&folder.at(name), stat, folder.look(name)?.as_ref()));
    };
    Ok(FileReader::new(text, feed.config.clone(), feed.stop_after, feed.portion))
}

fn words(reading: &Reading, plan: &Plan, deletes: Deletes) -> Vec<Word> {
    let mut words = vec![
        Word::Count("files_loaded_total", 1),
        Word::Count("bytes_read_total", reading.stat.size as i64),
        Word::Count("rows_created_total", plan.creates as i64),
        Word::Count("rows_updated_total", plan.updates as i64),
        Word::Count("rows_deleted_total", plan.deletes as i64),
        Word::Count("rows_unchanged_total", plan.unchanged as i64),
    ];
    let subject = || reading.name.to_string();
    if plan.has_other_columns && plan.reads > 0 {
        let message = "has other columns than the dump before it, so all of its rows were handed on";
        words.push(Word::Notice { code: "rebaselined", subject: subject(), message });
    }
    if deletes == Deletes::Withheld {
        let message =
            "has refused rows whose key cannot be read, so no row that is missing in it was taken for deleted";
        words.push(Word::Notice { code: "deletes_withheld", subject: subject(), message });
    }
    if plan.repeated > 0 {
        let message = "has rows that stand in it more than once as they are; each counts once";
        words.push(Word::Notice { code: "rows_repeated", subject: subject(), message });
    }
    words
}

fn position(handed_on: u64) -> unbatch_api::Position {
    Place { row: handed_on, ..Place::START }.to_position()
}

fn other_reading(open: &OpenFile, why: &str) -> Error {
    Error::misconfigured(format!("going on with a full dump failed: {why}"))
        .code("U0245")
        .with("file", &open.note.path)
        .with("handed_on", open.place.row)
        .help("change the configuration back until it is handed on; or give it up with `unbatch offsets set FILE=again` or `FILE=done`")
}

fn no_dumps() -> Error {
    Error::bug("reading a full dump failed: files add rows here").code("U0901")
}
