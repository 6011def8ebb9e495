//! The law that every sink check leans on: rows, rejected rows, notes and checkpoint say the same number.
//!
//! The suite writes numbered rows through one part. Committed through `n` means: readers see the numbers 1 to `n` once each,
//! except multiples of five, which are in the quarantine once each; the checkpoint stands at `n` and the note `through` holds
//! `n`. Whatever happened before, a sink that was opened again obeys it.

use super::sink::SinkTarget;
use super::{Attempt, Broken, ensure};
use crate::batch::{Batch, Op};
use crate::checkpoint::{Advance, Checkpoint, NoteKey, Part, Position};
use crate::connector::SinkConnector;
use crate::context::CheckContext;
use crate::error::Result;
use crate::facts::{Admit, Facts};
use crate::names::{SplitId, SplitIndex};
use crate::quarantine::{QuarantineEntry, QuarantineFilter};
use crate::sink::{Fenced, Opened, Receipt, Sink};
use crate::testkit::context::{admit_all, sink_context};
use crate::testkit::rows::{RowBatch, row_text};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub(super) const STREAM: &str = "suite";
const THROUGH: &str = "through";
/// Every so manieth row is rejected by the source.
const REJECTED_EVERY: u64 = 5;

/// The split of this number, on the target.
pub(super) fn place<C: SinkConnector>(target: &impl SinkTarget<C>, split: u32) -> CheckContext {
    let place = target.place();
    let split = SplitId { pipeline: place.split.pipeline.clone(), index: SplitIndex::Number(split) };
    CheckContext { split, ..place }
}

pub(super) async fn fence<C: SinkConnector>(
    check: &'static str,
    target: &impl SinkTarget<C>,
    split: u32,
) -> Result<Box<dyn Fenced>, Broken> {
    C::fence(target.config(), sink_context(place(target, split))).await.attempt(check, "fencing the split")
}

/// Fences and opens the split.
pub(super) async fn open<C: SinkConnector>(
    check: &'static str,
    target: &impl SinkTarget<C>,
    split: u32,
) -> Result<Owner, Broken> {
    open_fenced(check, fence(check, target, split).await?, target.profile().op, split, admit_all()).await
}

pub(super) async fn open_fenced(
    check: &'static str,
    fenced: Box<dyn Fenced>,
    op: Option<Op>,
    split: u32,
    admit: Admit,
) -> Result<Owner, Broken> {
    let Opened { sink, checkpoint, facts } = fenced.open(admit).await.attempt(check, "opening the split")?;
    Ok(Owner { written: through(&checkpoint), committed: checkpoint, sink, facts, op, split })
}

/// An open split, with what it committed and wrote.
pub(super) struct Owner {
    pub sink: Box<dyn Sink>,
    pub facts: Facts,
    pub committed: Checkpoint,
    /// Number of the last row given to `write`.
    pub written: u64,
    op: Option<Op>,
    split: u32,
}

impl Owner {
    /// Number of the last committed row, as the sink said at the opening and its commits since.
    pub fn through(&self) -> u64 {
        through(&self.committed)
    }
    /// Gives the next `rows` numbers to `write`.
    pub async fn write(&mut self, rows: u64) -> Result<()> {
        let batch = batch(self.split, self.written, self.written + rows, self.op);
        self.written += rows;
        self.sink.write(batch).await
    }
    /// Seals what was written since the last commit; the advance that goes with it comes back too.
    pub fn seal(&mut self) -> (Advance, BoxFuture<'static, Result<Receipt>>) {
        let advance = advance(&self.committed, self.written);
        let sealed = self.sink.seal(advance.clone());
        (advance, sealed)
    }
    /// Writes, seals and waits for the commit.
    pub async fn commit(&mut self, check: &'static str, rows: u64) -> Result<Receipt, Broken> {
        self.write(rows).await.attempt(check, "writing")?;
        let (advance, sealed) = self.seal();
        let receipt = sealed.await.attempt(check, "the commit")?;
        self.done(check, &advance)?;
        Ok(receipt)
    }
    pub fn done(&mut self, check: &'static str, advance: &Advance) -> Result<(), Broken> {
        self.committed.apply(advance).map_err(|e| super::broken(check, e.to_string()))
    }
}

/// The advance from where `committed` stands to `to`, with its note.
pub(super) fn advance(committed: &Checkpoint, to: u64) -> Advance {
    let note = Some(Bytes::from(to.to_string()));
    let after = committed.position(&Part::from(STREAM)).cloned();
    Advance::of(STREAM.into(), after, position(to)).note(THROUGH.into(), note)
}

pub(super) fn position(number: u64) -> Position {
    Position::from(format!("{number:012}"))
}

/// Number at which the checkpoint stands.
pub(super) fn through(checkpoint: &Checkpoint) -> u64 {
    let position = checkpoint.position(&Part::from(STREAM));
    position.and_then(|p| p.as_str().parse().ok()).unwrap_or_default()
}

/// Rows `after + 1` to `to` of a split; rejected ones stand beside.
fn batch(split: u32, after: u64, to: u64, op: Option<Op>) -> Batch {
    let base = base(split);
    let numbers: Vec<u64> = (after + 1..=to).collect();
    let mut whole = RowBatch::new(STREAM, base + after + 1..base + to + 1);
    if let Some(op) = op {
        whole = whole.op(op);
    }
    for n in numbers.iter().filter(|n| is_rejected(**n)) {
        whole = whole.rejected(base + n);
    }
    let mut whole = whole.build();
    let keep: Vec<bool> = numbers.iter().map(|n| !is_rejected(*n)).collect();
    // the mask is made for exactly these rows
    let _ = whole.retain(&keep.into());
    whole
}

fn base(split: u32) -> u64 {
    u64::from(split) * 1_000_000
}

pub(super) fn is_rejected(number: u64) -> bool {
    number.is_multiple_of(REJECTED_EVERY)
}

/// How many of the rows after `after` up to `to` are good.
pub(super) fn good(after: u64, to: u64) -> u64 {
    (after + 1..=to).filter(|n| !is_rejected(*n)).count() as u64
}

/// The rows that readers must see when the splits are committed through these numbers, as text.
pub(super) fn rows_through(through: &[u64]) -> Vec<String> {
    let splits = through.iter().enumerate().flat_map(|(split, to)| {
        let rows = batch(split as u32, 0, *to, None).rows;
        (0..rows.num_rows()).map(move |i| row_text(&rows, i)).collect::<Vec<_>>()
    });
    splits.collect()
}

/// How long readers may see less than what was committed: a broker may answer a commit before it has told all partitions.
const SEEN_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Fails unless readers see what the splits committed, or will in a moment; never do they see anything else.
pub(super) async fn agree<C: SinkConnector>(
    check: &'static str,
    target: &impl SinkTarget<C>,
    splits: &[u64],
) -> Result<(), Broken> {
    let mut should = rows_through(splits);
    let rejected = |(split, to): (usize, &u64)| {
        (1..=*to).filter(|n| is_rejected(*n)).map(move |n| base(split as u32) + n).collect::<Vec<_>>()
    };
    let should_be_kept: Vec<u64> = splits.iter().enumerate().flat_map(rejected).collect();
    let deadline = Instant::now() + SEEN_WITHIN;
    let (mut seen, entries) = loop {
        let seen = target.visible().await.attempt(check, "reading what is visible")?;
        let entries = quarantined(check, target).await?;
        let is_all = seen.len() >= should.len() && entries.len() >= should_be_kept.len();
        if is_all || Instant::now() >= deadline {
            break (seen, entries);
        }
        sleep(LOOK_AGAIN).await;
    };
    if !(target.profile().ordered && splits.len() == 1) {
        seen.sort_unstable();
        should.sort_unstable();
    }
    let at = (0..seen.len().max(should.len())).find(|i| seen.get(*i) != should.get(*i));
    ensure(check, at.is_none(), || {
        let at = at.unwrap_or_default();
        format!(
            "committed through {splits:?}, so readers should see {} rows; they see {}, the first other one is {:?} instead of {:?}",
            should.len(),
            seen.len(),
            seen.get(at),
            should.get(at)
        )
    })?;
    let mut kept: Vec<u64> = entries.iter().map(|entry| number_of(entry).unwrap_or_default()).collect();
    kept.sort_unstable();
    ensure(check, kept == should_be_kept, || {
        format!("committed through {splits:?}, the quarantine holds rows {kept:?} instead of {should_be_kept:?}")
    })
}

/// Fails unless the sink that was opened at this checkpoint, with its readers, obeys the law.
pub(super) async fn lawful<C: SinkConnector>(
    check: &'static str,
    target: &impl SinkTarget<C>,
    checkpoint: &Checkpoint,
) -> Result<(), Broken> {
    let n = through(checkpoint);
    let note = checkpoint.note(&NoteKey::from(THROUGH)).map(|b| String::from_utf8_lossy(b).into_owned());
    let agrees = note == (n > 0).then(|| n.to_string());
    ensure(check, agrees, || format!("the checkpoint stands at {n}, its note says {note:?}"))?;
    agree(check, target, &[n]).await
}

/// All committed entries, read page by page.
pub(super) async fn quarantined<C: SinkConnector>(
    check: &'static str,
    target: &impl SinkTarget<C>,
) -> Result<Vec<QuarantineEntry>, Broken> {
    let opened = C::quarantine(target.config(), place(target, 0)).await;
    let mut reader = opened.attempt(check, "opening the quarantine")?;
    let (mut entries, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = reader.list(&QuarantineFilter::default(), after.as_deref(), 7).await;
        let page = page.attempt(check, "reading the quarantine")?;
        ensure(check, page.entries.len() <= 7, || format!("a page of 7 has {} entries", page.entries.len()))?;
        entries.extend(page.entries);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(entries),
        }
    }
}

pub(super) fn number_of(entry: &QuarantineEntry) -> Option<u64> {
    match entry.origin {
        crate::origin::RowOrigin::Sequence { number, .. } => Some(number),
        _ => None,
    }
}
