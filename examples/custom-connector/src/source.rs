//! Reads journals while they grow.
//!
//! Part `journal/<name>`, position `<lines read, 10 digits>.<bytes read, 15 digits>`. Two notes for each journal: `last/<name>`
//! with the digest and length of the last line read, so that a resume can prove that it is the same journal, and, when it is
//! closed, `done/<name>`. Once that is committed the journal is moved to the archive, and the note goes with a later advance.

use crate::config::{ARCHIVE, JOURNAL};
use crate::journal::{Line, Reason, Rows, parse, schema};
use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use unbatch_api::origin::OriginColumns;
use unbatch_api::{
    Advance, Batch, Bound, Checkpoint, Committed, Error, Limits, NoteKey, Ops, Origin, Part, Position, RawRow,
    RejectedRow, Reports, Result, RowOrigin, Source, SourceContext, Stage, StreamName,
};

/// Longest line; a longer one is not a till's.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Bytes read from a journal at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// The stream of all journals.
pub(crate) fn stream() -> StreamName {
    StreamName::new("receipts")
}

pub(crate) struct TillRollsSource {
    folder: PathBuf,
    poll: Duration,
    bound: Bound,
    /// In a bounded run: journals and their lengths at the opening.
    bounds: BTreeMap<String, u64>,
    limits: Limits,
    revision: u64,
    committed: Committed,
    reports: Reports,
    /// `unbatch preview` reads journals and archives none.
    looks_only: bool,
    journals: BTreeMap<String, Journal>,
    /// Closed, and their notes not yet removed.
    done: BTreeSet<String>,
    /// In the archive, so that their notes may go with the next advance.
    archived: BTreeSet<String>,
    /// The journal inside a receipt, which no other may interrupt.
    inside: Option<String>,
    uncut_rows: u64,
}

/// How far a journal was read.
#[derive(Clone, Debug, Default)]
struct Journal {
    lines: u64,
    bytes: u64,
    /// Handed on with an advance.
    through: Option<Position>,
    /// Fingerprint of the last line read.
    last: Option<Bytes>,
}

/// What was read of a journal in one go: whole lines only.
struct Chunk {
    name: String,
    start: Journal,
    lines: Vec<Bytes>,
    /// No whole line follows at the moment.
    is_all: bool,
}

impl TillRollsSource {
    pub async fn open(folder: PathBuf, poll: Duration, cx: SourceContext) -> Result<Self> {
        let mut source = Self {
            folder,
            poll,
            bound: cx.bound,
            bounds: BTreeMap::new(),
            limits: cx.limits,
            revision: cx.revision,
            committed: cx.committed,
            reports: cx.reports,
            looks_only: cx.looks_only,
            journals: BTreeMap::new(),
            done: BTreeSet::new(),
            archived: BTreeSet::new(),
            inside: None,
            uncut_rows: 0,
        };
        for (part, position) in &cx.resume.parts {
            let Some(name) = part.as_str().strip_prefix(PART) else { continue };
            let (lines, bytes) = parse_position(position)?;
            let last = cx.resume.note(&note(LAST, name)).cloned();
            let journal = Journal { lines, bytes, through: Some(position.clone()), last };
            prove_continuity(&source.folder, name, &journal).await?;
            source.journals.insert(name.into(), journal);
        }
        source.done = noted(&cx.resume, DONE);
        source.look().await?;
        if cx.bound == Bound::Once {
            for name in source.journals.keys() {
                source.bounds.insert(name.clone(), length(&source.folder.join(name)).await?);
            }
        }
        Ok(source)
    }

    /// Notices journals that are new. What is in the archive was read to its end; the same name again is not.
    async fn look(&mut self) -> Result<()> {
        for name in journals_in(&self.folder).await? {
            if self.journals.contains_key(&name) || self.done.contains(&name) {
                continue;
            }
            if exists(&self.folder.join(ARCHIVE).join(&name)).await? {
                self.reports.notice("duplicate", &name, "a journal of this name is in the archive; it is left alone");
                continue;
            }
            self.journals.insert(name, Journal::default());
        }
        Ok(())
    }

    /// Moves what is committed to its end into the archive. A crash between any two steps is mended by doing it again.
    async fn release(&mut self, committed: &Checkpoint) -> Result<()> {
        if self.looks_only {
            return Ok(());
        }
        for name in noted(committed, DONE) {
            let (from, to) = (self.folder.join(&name), self.folder.join(ARCHIVE).join(&name));
            if exists(&to).await? {
                self.archived.insert(name);
                continue;
            }
            if !exists(&from).await? {
                continue;
            }
            let moving = |e| Error::transient("archiving a journal failed").with("journal", &name).caused_by(e);
            fs::create_dir_all(self.folder.join(ARCHIVE)).await.map_err(moving)?;
            fs::rename(&from, &to).await.map_err(moving)?;
            self.archived.insert(name);
        }
        Ok(())
    }

    /// The next lines of the first journal that has any. Changes nothing but what is known of the folder, so that the
    /// future can be dropped at any await.
    async fn read(&mut self) -> Result<Option<Chunk>> {
        if self.bound == Bound::Continuous {
            self.look().await?;
        }
        let names: Vec<String> = match &self.inside {
            Some(name) => vec![name.clone()],
            None => self.journals.keys().cloned().collect(),
        };
        for name in names {
            let chunk = self.read_journal(&name).await?;
            if !chunk.lines.is_empty() || self.inside.is_some() {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    async fn read_journal(&self, name: &str) -> Result<Chunk> {
        let start = self.journals.get(name).cloned().unwrap_or_default();
        let bytes = read_at(&self.folder.join(name), start.bytes, CHUNK_BYTES).await?;
        let bound = self.bounds.get(name).map_or(usize::MAX, |end| end.saturating_sub(start.bytes) as usize);
        let bytes = bytes.slice(..bytes.len().min(bound));
        let most = self.limits.batch_rows.max(1);
        let mut lines = Vec::new();
        let mut at = 0;
        while lines.len() < most
            && let Some(length) = bytes[at..].iter().position(|b| *b == b'\n')
        {
            lines.push(bytes.slice(at..at + length));
            at += length + 1;
        }
        let rest = bytes[at..].len();
        if lines.is_empty() && rest > LINE_BYTES_MAX {
            return Err(Error::lost("reading a journal failed, a line has no end")
                .with("journal", name)
                .with("line", start.lines + 1)
                .help("repair the journal or move it out of the folder, then start again"));
        }
        let is_all = lines.len() < most && bytes.len() < CHUNK_BYTES;
        Ok(Chunk { name: name.into(), start, lines, is_all })
    }

    /// Makes a batch of the chunk and moves on. Not async, so that it happens whole or not at all.
    fn take(&mut self, chunk: Chunk) -> Result<Batch> {
        let file: Arc<str> = chunk.name.as_str().into();
        let mut journal = chunk.start;
        let mut rows = Rows::new();
        let (mut line_numbers, mut byte_offsets, mut rejected) = (vec![], vec![], vec![]);
        let (mut ends_receipt, mut is_closed) = (true, false);
        journal.last = chunk.lines.last().map(|line| fingerprint(line).into()).or(journal.last);
        for line in chunk.lines {
            let (number, byte) = (journal.lines + 1, journal.bytes);
            let refuse = |reason: Reason| RejectedRow {
                code: reason.code.into(),
                message: reason.message.into(),
                stage: Stage::Source,
                stream: stream(),
                origin: RowOrigin::File { file: file.clone(), delivery: "".into(), line: number, byte },
                raw: RawRow::of(line.clone()),
            };
            match parse(&line) {
                Ok(Line::Sold(sold)) => {
                    rows.push(&chunk.name, &sold);
                    line_numbers.push(number);
                    byte_offsets.push(byte);
                    ends_receipt = sold.ends_receipt;
                }
                Ok(Line::Closed { lines }) => {
                    (ends_receipt, is_closed) = (true, true);
                    if lines != journal.lines {
                        let message = "the Z report counts other lines than there are";
                        rejected.push(refuse(Reason { code: "z_report_differs", message }));
                    }
                }
                Err(reason) => rejected.push(refuse(reason)),
            }
            journal.lines += 1;
            journal.bytes += line.len() as u64 + 1;
        }
        let (rows, sold_at) =
            rows.finish().map_err(|e| Error::bug("building rows of a journal failed").caused_by(e))?;
        let mut batch = Batch {
            stream: stream(),
            schema: schema(),
            marks: None,
            before: None,
            rows,
            before_marks: None,
            ops: Ops::Append,
            origin: Origin {
                // a till never begins a second journal under the same name
                rows: OriginColumns::File { file, delivery: "".into(), lines: line_numbers, bytes: byte_offsets },
                revision: self.revision,
            },
            source_time: Some(sold_at),
            rejected,
            replayed: vec![],
            advance: None,
        };
        self.uncut_rows += batch.rows_read();
        // a receipt is kept whole unless it is too large, or its till pauses in the middle of it
        if ends_receipt || chunk.is_all || self.uncut_rows > self.limits.uncut_rows {
            batch.advance = Some(self.advance(&chunk.name, &mut journal, is_closed));
        }
        self.inside = batch.advance.is_none().then(|| chunk.name.clone());
        if is_closed {
            self.journals.remove(&chunk.name);
            self.done.insert(chunk.name);
        } else {
            self.journals.insert(chunk.name, journal);
        }
        Ok(batch)
    }

    fn advance(&mut self, name: &str, journal: &mut Journal, is_closed: bool) -> Advance {
        self.uncut_rows = 0;
        let through = position(journal.lines, journal.bytes);
        let mut advance = Advance::of(part(name), journal.through.replace(through.clone()), through);
        if is_closed {
            advance = advance.close(part(name)).note(note(LAST, name), None);
            advance = advance.note(note(DONE, name), Some(Bytes::from_static(b"1")));
        } else {
            advance = advance.note(note(LAST, name), journal.last.clone());
        }
        for name in std::mem::take(&mut self.archived) {
            if self.done.remove(&name) {
                advance = advance.note(note(DONE, &name), None);
            }
        }
        advance
    }
}

#[async_trait]
impl Source for TillRollsSource {
    async fn next(&mut self) -> Result<Option<Batch>> {
        loop {
            let committed = self.committed.latest();
            self.release(&committed).await?;
            if let Some(chunk) = self.read().await? {
                return self.take(chunk).map(Some);
            }
            if self.bound == Bound::Once {
                return Ok(None);
            }
            tokio::time::sleep(self.poll).await;
        }
    }

    /// A journal only grows: one that is shorter than what was read of it is another one.
    async fn vouch(&mut self, advance: &Advance) -> Result<()> {
        for (part, span) in &advance.spans {
            let Some(name) = part.as_str().strip_prefix(PART) else { continue };
            let (_, bytes) = parse_position(&span.through)?;
            if length(&self.folder.join(name)).await? < bytes {
                return Err(is_another(name));
            }
        }
        Ok(())
    }

    async fn settle(&mut self, committed: &Checkpoint) -> Result<()> {
        self.release(committed).await
    }
}

/// The last line that was read must still stand where it stood.
async fn prove_continuity(folder: &Path, name: &str, journal: &Journal) -> Result<()> {
    // after `offsets set` there is none: whoever set the position vouched for it
    let Some(noted) = &journal.last else { return Ok(()) };
    let length = String::from_utf8_lossy(noted).split_once(' ').and_then(|(length, _)| length.parse::<u64>().ok());
    let Some(start) = length.and_then(|n| journal.bytes.checked_sub(n + 1)) else { return Err(is_another(name)) };
    let path = folder.join(name);
    if !exists(&path).await? {
        return Err(Error::lost("resuming a journal failed, it is gone")
            .with("journal", name)
            .help("put it back; or, if its rest does not matter, forget it with `unbatch offsets reset`"));
    }
    let line = read_at(&path, start, (journal.bytes - start) as usize).await?;
    match line.strip_suffix(b"\n") {
        Some(line) if fingerprint(line).as_bytes() == &noted[..] => Ok(()),
        _ => Err(is_another(name)),
    }
}

fn is_another(name: &str) -> Error {
    Error::lost("reading on in a journal failed, what was read of it has changed")
        .with("journal", name)
        .help("put the original back; or move the changed one away and let the till write under another name")
}

const PART: &str = "journal/";
const LAST: &str = "last/";
const DONE: &str = "done/";

pub(crate) fn part(name: &str) -> Part {
    Part::from(format!("{PART}{name}"))
}

fn note(kind: &str, name: &str) -> NoteKey {
    NoteKey::from(format!("{kind}{name}"))
}

/// Names of the journals that have a note of this kind.
fn noted(checkpoint: &Checkpoint, kind: &str) -> BTreeSet<String> {
    checkpoint.notes.keys().filter_map(|key| key.as_str().strip_prefix(kind)).map(str::to_owned).collect()
}

/// Length and digest of a line.
fn fingerprint(line: &[u8]) -> String {
    let digest: String = Sha256::digest(line)[..12].iter().map(|b| format!("{b:02x}")).collect();
    format!("{} {digest}", line.len())
}

pub(crate) fn position(lines: u64, bytes: u64) -> Position {
    Position::from(format!("{lines:010}.{bytes:015}"))
}

/// Lines and bytes read.
pub(crate) fn parse_position(position: &Position) -> Result<(u64, u64)> {
    let numbers = position.as_str().split_once('.').and_then(|(l, b)| Some((l.parse().ok()?, b.parse().ok()?)));
    numbers.ok_or_else(|| {
        Error::misconfigured("reading a position of a journal failed")
            .with("position", position)
            .help("a position is LINES.BYTES, such as 0000000012.000000000001450, as `offsets get` shows it")
    })
}

/// Names of all journals in the folder, in order.
async fn journals_in(folder: &Path) -> Result<BTreeSet<String>> {
    let looking = |e| Error::transient("looking into the folder failed").with("folder", folder.display()).caused_by(e);
    let mut entries = fs::read_dir(folder).await.map_err(looking)?;
    let mut names = BTreeSet::new();
    while let Some(entry) = entries.next_entry().await.map_err(looking)? {
        if let Ok(name) = entry.file_name().into_string()
            && name.ends_with(JOURNAL)
        {
            names.insert(name);
        }
    }
    Ok(names)
}

async fn read_at(path: &Path, start: u64, most: usize) -> Result<Bytes> {
    let reading = |e| Error::transient("reading a journal failed").with("file", path.display()).caused_by(e);
    let mut file = File::open(path).await.map_err(reading)?;
    file.seek(SeekFrom::Start(start)).await.map_err(reading)?;
    let mut bytes = Vec::new();
    file.take(most as u64).read_to_end(&mut bytes).await.map_err(reading)?;
    Ok(bytes.into())
}

async fn length(path: &Path) -> Result<u64> {
    match fs::metadata(path).await {
        Ok(metadata) => Ok(metadata.len()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(0),
        Err(e) => Err(Error::transient("looking at a journal failed").with("file", path.display()).caused_by(e)),
    }
}

async fn exists(path: &Path) -> Result<bool> {
    let looking = |e| Error::transient("looking for a journal failed").with("file", path.display()).caused_by(e);
    fs::try_exists(path).await.map_err(looking)
}
