//! The reading end over a memory feed.

use super::feed::MemoryFeed;
use super::transaction::{Entry, Transaction, hollow};
use crate::batch::{Batch, Ops};
use crate::checkpoint::{Advance, Checkpoint, NoteKey, Part, Position};
use crate::context::{Bound, Committed, Limits, SourceContext};
use crate::error::{Error, Result};
use crate::names::murmur2;
use crate::origin::{Origin, OriginColumns, RowOrigin};
use crate::quarantine::{RejectedRow, Stage};
use crate::source::Source;
use arrow::compute::concat_batches;
use async_trait::async_trait;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which parts of the feed are the split's: those whose number at the end of the name (`part-7`), or else whose hash, is
/// `index` modulo `of`.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    pub index: u32,
    pub of: u32,
}

impl Share {
    pub const ALL: Share = Share { index: 0, of: 1 };

    pub fn has(self, part: &Part) -> bool {
        let name = part.as_str();
        let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let number = name[name.len() - digits..].parse().unwrap_or_else(|_| murmur2(name.as_bytes()));
        number % self.of.max(1) == self.index
    }
}

/// Ways to break a promise, so that a suite can be shown to catch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceSabotage {
    /// Releases upstream what was read, not what is committed.
    ReleaseWhenRead,
    /// Cuts inside a transaction with a position that names the transaction only.
    PositionWithoutOrdinal,
    /// Calls every batch a safe place to stop, though the position cannot say where inside the transaction it is.
    CommitMidTransaction,
    /// Forgets a batch when the future is dropped after it was taken.
    LosesDroppedBatch,
    /// Goes on after the bound.
    EndsOnlyOnce,
    /// Claims the feed though it was opened only to look.
    ClaimsWhileLooking,
    /// Releases what a run left to be released though it was opened only to look.
    ReleasesWhileLooking,
}

/// Reads the feed's parts in turn, a whole transaction at a time, with `advance: None` inside one. Position:
/// `<transaction, 10 digits>.<ordinal in it, 6 digits>`. Notes: `incarnation` of the feed, `rows/<part>` handed on so far,
/// `closed/<part>`.
pub struct MemorySource {
    feed: MemoryFeed,
    share: Share,
    committed: Committed,
    limits: Limits,
    revision: u64,
    sabotage: Option<SourceSabotage>,
    incarnation: u64,
    incarnation_noted: bool,
    cursors: BTreeMap<Part, Cursor>,
    /// Transactions of each part at the opening; `None`: continuous.
    bound: Option<BTreeMap<Part, usize>>,
    /// The part that is inside a transaction, or was read last.
    turn: Option<Part>,
    uncut_rows: u64,
    uncut_bytes: usize,
    engine_is_there: bool,
    looks_only: bool,
}

#[derive(Clone, Debug, Default)]
struct Cursor {
    /// Index of the transaction to read, and how many of its rows were handed on.
    transaction: usize,
    ordinal: usize,
    /// Handed on with an advance, so that the next span starts after it.
    through: Option<Position>,
    closed: bool,
}

impl MemorySource {
    /// `Lost` when the feed no longer has what follows `cx.resume`.
    pub fn open(
        feed: MemoryFeed,
        share: Share,
        cx: SourceContext,
        sabotage: Option<SourceSabotage>,
    ) -> Result<MemorySource> {
        let incarnation = feed.incarnation();
        let noted = cx.resume.note(&INCARNATION.into());
        if noted.is_some_and(|n| n.as_ref() != incarnation.to_string().as_bytes()) {
            return Err(Error::lost("opening the feed failed: it was recreated since it was read"));
        }
        if !cx.looks_only || sabotage == Some(SourceSabotage::ClaimsWhileLooking) {
            feed.claim(&cx.place.split.to_string());
        }
        let mut source = MemorySource {
            looks_only: cx.looks_only,
            incarnation_noted: noted.is_some(),
            incarnation,
            share,
            committed: cx.committed,
            limits: cx.limits,
            revision: cx.revision,
            sabotage,
            cursors: BTreeMap::new(),
            bound: None,
            turn: None,
            uncut_rows: 0,
            uncut_bytes: 0,
            engine_is_there: true,
            feed,
        };
        for part in source.feed.parts() {
            if share.has(&part) {
                source.cursors.insert(part.clone(), source.cursor_at(&part, &cx.resume)?);
            }
        }
        if cx.bound == Bound::Once {
            let bound = source.cursors.keys().map(|p| (p.clone(), source.feed.transactions(p)));
            source.bound = Some(bound.collect());
        }
        Ok(source)
    }

    /// Smaller batches, and cuts inside a transaction after fewer rows, than the limits ask for.
    pub fn narrowed(mut self, batch_rows: Option<usize>, uncut_rows: Option<u64>) -> Self {
        self.limits.batch_rows = batch_rows.unwrap_or(usize::MAX).min(self.limits.batch_rows);
        self.limits.uncut_rows = uncut_rows.unwrap_or(u64::MAX).min(self.limits.uncut_rows);
        self
    }

    fn cursor_at(&self, part: &Part, resume: &Checkpoint) -> Result<Cursor> {
        if resume.note(&closed_note(part)).is_some() {
            return Ok(Cursor { closed: true, ..Cursor::default() });
        }
        let Some(position) = resume.position(part) else {
            return Ok(Cursor::default());
        };
        let (transaction, ordinal) = parse(position)?;
        let length = self
            .feed
            .length(part, transaction)
            .ok_or_else(|| Error::lost("opening the feed failed: it ends before the position").with("part", part))?;
        let through = Some(position.clone());
        let is_over = ordinal.is_none_or(|o| o >= length);
        Ok(match ordinal {
            Some(ordinal) if !is_over => Cursor { transaction, ordinal, through, closed: false },
            _ => Cursor { transaction: transaction + 1, ordinal: 0, through, closed: false },
        })
    }

    fn release(&self, committed: &Checkpoint) {
        if self.looks_only && self.sabotage != Some(SourceSabotage::ReleasesWhileLooking) {
            return;
        }
        for (part, position) in &committed.parts {
            let Ok((transaction, ordinal)) = parse(position) else { continue };
            let whole = self.feed.length(part, transaction).is_some_and(|n| ordinal.is_none_or(|o| o >= n));
            self.feed.release(part, transaction + usize::from(whole));
        }
        for part in self.cursors.keys() {
            if committed.note(&closed_note(part)).is_some() {
                self.feed.release(part, self.feed.transactions(part));
            }
        }
    }

    /// The next batch, or `None` when there is nothing to read now.
    fn take(&mut self) -> Result<Option<Batch>> {
        for part in self.feed.parts() {
            if self.bound.is_none() && self.share.has(&part) {
                self.cursors.entry(part).or_default();
            }
        }
        let Some(part) = self.next_part() else { return Ok(None) };
        self.turn = Some(part.clone());
        let mut cursor = self.cursors.get(&part).cloned().unwrap_or_default();
        if cursor.transaction >= self.readable(&part) {
            return Ok(Some(self.closing(&part, cursor)));
        }
        let pieces = self.pieces(&part, &mut cursor)?;
        let mut batch = self.assemble(&part, &pieces)?;
        batch.advance = self.advance(&part, &mut cursor, &batch)?;
        if self.sabotage == Some(SourceSabotage::ReleaseWhenRead) {
            self.feed.release(&part, cursor.transaction);
        }
        self.cursors.insert(part, cursor);
        Ok(Some(batch))
    }

    /// The part that is inside a transaction, since others must wait for its end; else the next one with something to read.
    fn next_part(&self) -> Option<Part> {
        let has_more = |part: &Part, cursor: &Cursor| {
            !cursor.closed && (cursor.transaction < self.readable(part) || self.must_close(part))
        };
        if let Some(part) = &self.turn
            && self.cursors.get(part).is_some_and(|c| c.ordinal > 0 && has_more(part, c))
        {
            return Some(part.clone());
        }
        let after = self.cursors.iter().filter(|(p, _)| self.turn.as_ref().is_none_or(|turn| *p > turn));
        after.chain(self.cursors.iter()).find(|(p, c)| has_more(p, c)).map(|(p, _)| p.clone())
    }
    fn readable(&self, part: &Part) -> usize {
        match &self.bound {
            Some(bound) => bound.get(part).copied().unwrap_or_default(),
            None => self.feed.transactions(part),
        }
    }
    /// Closed upstream with everything within the bound.
    fn must_close(&self, part: &Part) -> bool {
        self.feed.is_closed(part) && self.readable(part) == self.feed.transactions(part)
    }

    /// Rows of consecutive transactions that fit into one batch, at most `batch_rows`.
    fn pieces(&self, part: &Part, cursor: &mut Cursor) -> Result<Vec<Piece>> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut room = self.limits.batch_rows.max(1);
        while room > 0 && cursor.transaction < self.readable(part) {
            let transaction = self.feed.read(part, cursor.transaction)?;
            if pieces.last().is_some_and(|last| !last.transaction.fits(&transaction)) {
                break;
            }
            let from = cursor.ordinal;
            let to = transaction.len().min(from + room);
            room -= to - from;
            let is_over = to == transaction.len();
            let number = self.feed.rows_until(part, cursor.transaction) + from as u64 + 1;
            pieces.push(Piece { transaction, from, to, number });
            cursor.ordinal = to;
            if !is_over {
                break;
            }
            cursor.transaction += 1;
            cursor.ordinal = 0;
        }
        Ok(pieces)
    }

    fn assemble(&self, part: &Part, pieces: &[Piece]) -> Result<Batch> {
        let Some(first) = pieces.first() else {
            return Err(Error::bug("assembling a batch of a feed failed: there is nothing to read"));
        };
        let mut batch = hollow(&first.transaction, &first.transaction.batch.stream);
        let name: Arc<str> = part.as_str().into();
        let mut numbers = Vec::new();
        let (mut rows, mut before, mut times, mut ops) = (vec![], vec![], vec![], vec![]);
        for piece in pieces {
            let whole = &piece.transaction.batch;
            let start = piece.transaction.good_before(piece.from);
            let count = piece.transaction.good_before(piece.to) - start;
            rows.push(whole.rows.slice(start, count));
            before.extend(whole.before.as_ref().map(|b| b.slice(start, count)));
            times.extend(whole.source_time.as_ref().map(|t| t.slice(start, count)));
            if let Ops::PerRow(all) = &whole.ops {
                ops.extend_from_slice(&all[start..start + count]);
            }
            for (i, entry) in piece.transaction.entries[piece.from..piece.to].iter().enumerate() {
                let number = piece.number + i as u64;
                match entry {
                    Entry::Good => numbers.push(number),
                    Entry::Bad(bad) => batch.rejected.push(RejectedRow {
                        code: bad.code.clone(),
                        message: "the feed says that this row is bad".into(),
                        stage: Stage::Source,
                        stream: whole.stream.clone(),
                        origin: RowOrigin::Sequence { name: name.clone(), number },
                        raw: bad.raw.clone(),
                    }),
                }
            }
        }
        let joined = |e| Error::bug("assembling a batch of a feed failed").caused_by(e);
        batch.rows = concat_batches(batch.schema.fields(), &rows).map_err(joined)?;
        if batch.before.is_some() {
            batch.before = Some(concat_batches(batch.schema.fields(), &before).map_err(joined)?);
        }
        if batch.source_time.is_some() {
            let times: Vec<_> = times.iter().map(|t| t.as_ref()).collect();
            batch.source_time = Some(arrow::compute::concat(&times).map_err(joined)?);
        }
        if matches!(batch.ops, Ops::PerRow(_)) {
            batch.ops = Ops::PerRow(ops);
        }
        batch.origin = Origin { rows: OriginColumns::Sequence { name, numbers }, revision: self.revision };
        Ok(batch)
    }

    /// `None` inside a transaction that is small enough to wait for its end.
    fn advance(&mut self, part: &Part, cursor: &mut Cursor, batch: &Batch) -> Result<Option<Advance>> {
        let ends_inside = cursor.ordinal > 0;
        let uncut = (self.uncut_rows + batch.rows_read(), self.uncut_bytes + batch.bytes());
        let may_wait = uncut.0 <= self.limits.uncut_rows && uncut.1 <= self.limits.uncut_bytes;
        if ends_inside && may_wait && self.sabotage != Some(SourceSabotage::CommitMidTransaction) {
            (self.uncut_rows, self.uncut_bytes) = uncut;
            return Ok(None);
        }
        (self.uncut_rows, self.uncut_bytes) = (0, 0);
        let through = match (ends_inside, self.sabotage) {
            (true, Some(SourceSabotage::PositionWithoutOrdinal)) => format!("{:010}", cursor.transaction + 1),
            (true, Some(SourceSabotage::CommitMidTransaction)) => {
                let length = self.feed.length(part, cursor.transaction).unwrap_or_default();
                position(cursor.transaction, length)
            }
            (true, _) => position(cursor.transaction, cursor.ordinal),
            (false, _) => {
                let last = cursor.transaction - 1;
                position(last, self.feed.length(part, last).unwrap_or_default())
            }
        };
        let through = Position::from(through);
        let rows = self.feed.rows_until(part, cursor.transaction) + cursor.ordinal as u64;
        let mut advance = Advance::of(part.clone(), cursor.through.replace(through.clone()), through);
        advance.notes.insert(rows_note(part), Some(text(rows)));
        if !self.incarnation_noted {
            self.incarnation_noted = true;
            advance.notes.insert(INCARNATION.into(), Some(text(self.incarnation)));
        }
        if !ends_inside && cursor.transaction >= self.readable(part) && self.must_close(part) {
            cursor.closed = true;
            advance = close(advance, part);
        }
        Ok(Some(advance))
    }

    /// A batch without rows that closes a part, since its end was only seen after its last row was handed on.
    fn closing(&mut self, part: &Part, mut cursor: Cursor) -> Batch {
        cursor.closed = true;
        let mut advance = Advance::default();
        match cursor.through.take() {
            Some(_) => advance = close(advance, part),
            // never begun, so there is nothing to close but it must not be looked at again
            None => advance = advance.note(closed_note(part), Some(Bytes::from_static(b"1"))),
        }
        self.cursors.insert(part.clone(), cursor);
        let mut batch = crate::testkit::rows::row_batch(part.as_str(), 0..0);
        batch.origin.revision = self.revision;
        batch.advance = Some(advance);
        batch
    }
}

/// Rows `from..to` of a transaction, the first of which has this number in its part.
struct Piece {
    transaction: Arc<Transaction>,
    from: usize,
    to: usize,
    number: u64,
}

#[async_trait]
impl Source for MemorySource {
    async fn next(&mut self) -> Result<Option<Batch>> {
        let changes = self.feed.changes();
        loop {
            // waiting begins before looking, so that nothing is missed between
            let mut changed = std::pin::pin!(changes.notified());
            changed.as_mut().enable();
            self.release(&self.committed.latest());
            if let Some(batch) = self.take()? {
                if self.sabotage == Some(SourceSabotage::LosesDroppedBatch) {
                    tokio::task::yield_now().await;
                }
                return Ok(Some(batch));
            }
            if self.bound.is_some() {
                if self.sabotage == Some(SourceSabotage::EndsOnlyOnce) {
                    self.bound = None;
                }
                return Ok(None);
            }
            tokio::select! {
                // the same order each time, so that a seed replays
                biased;
                () = changed => {}
                is_there = self.committed.changed(), if self.engine_is_there => self.engine_is_there = is_there,
            }
        }
    }

    async fn vouch(&mut self, advance: &Advance) -> Result<()> {
        self.feed.note_vouched(advance);
        if self.feed.incarnation() != self.incarnation {
            return Err(Error::lost("vouching for an epoch failed: the feed was recreated while it was read"));
        }
        Ok(())
    }

    async fn settle(&mut self, committed: &Checkpoint) -> Result<()> {
        self.feed.note_settled(committed);
        self.release(committed);
        Ok(())
    }
}

const INCARNATION: &str = "incarnation";

fn rows_note(part: &Part) -> NoteKey {
    NoteKey::from(format!("rows/{part}"))
}

fn closed_note(part: &Part) -> NoteKey {
    NoteKey::from(format!("closed/{part}"))
}

fn close(mut advance: Advance, part: &Part) -> Advance {
    advance.notes.insert(rows_note(part), None);
    advance.notes.insert(closed_note(part), Some(Bytes::from_static(b"1")));
    advance.close(part.clone())
}

fn text(number: u64) -> Bytes {
    Bytes::from(number.to_string())
}

/// Transaction by index from 0, shown from 1.
fn position(transaction: usize, ordinal: usize) -> String {
    format!("{:010}.{ordinal:06}", transaction + 1)
}

/// Index of the transaction, and how many of its rows are covered; `None`: all.
pub(super) fn parse(position: &Position) -> Result<(usize, Option<usize>)> {
    let text = position.as_str();
    let (transaction, ordinal) = match text.split_once('.') {
        Some((transaction, ordinal)) => (transaction, Some(ordinal)),
        None => (text, None),
    };
    let number = |digits: &str| {
        let wrong = |e| Error::misconfigured("reading a position of a feed failed").with("position", text).caused_by(e);
        digits.parse::<usize>().map_err(wrong)
    };
    let ordinal = ordinal.map(number).transpose()?;
    let transaction = number(transaction)?.checked_sub(1).ok_or_else(|| {
        Error::misconfigured("reading a position of a feed failed: transactions count from 1").with("position", text)
    })?;
    Ok((transaction, ordinal))
}
