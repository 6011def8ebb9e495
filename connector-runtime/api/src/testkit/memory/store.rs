//! The downstream system of the memory sink: everything of all splits under one lock, so that a commit is one step.

use crate::batch::{Batch, Op};
use crate::checkpoint::{Advance, Checkpoint};
use crate::context::CheckContext;
use crate::error::{Error, Result};
use crate::facts::{Admit, Counters, Facts, Rewrite, Stored};
use crate::names::{DeploymentName, PipelineName, SplitId, StreamName};
use crate::origin::RowOrigin;
use crate::quarantine::{QuarantineEntry, QuarantineFilter, QuarantinePage, QuarantineReader};
use crate::sink::Receipt;
use crate::testkit::rows::row_texts;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Committed rows, quarantine and progress. A clone is the same store.
#[derive(Clone)]
pub struct MemoryStore {
    book: Arc<Mutex<Book>>,
    held: Arc<watch::Sender<bool>>,
}

/// A row that readers see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    pub split: SplitId,
    pub stream: StreamName,
    pub op: Op,
    pub origin: RowOrigin,
    /// The cells as [`crate::testkit::row_text`] shows them.
    pub cells: String,
    pub owner: u64,
    pub seq: u64,
}

/// An epoch as it was committed.
#[derive(Clone, Debug)]
pub struct StoredEpoch {
    pub split: SplitId,
    pub owner: u64,
    pub seq: u64,
    pub batches: Vec<Batch>,
    pub rejected: Vec<QuarantineEntry>,
    pub advance: Advance,
    pub receipt: Receipt,
}

#[derive(Default)]
struct Book {
    splits: BTreeMap<Key, Progress>,
    epochs: Vec<StoredEpoch>,
    quarantine: BTreeMap<(DeploymentName, PipelineName), Vec<QuarantineEntry>>,
    commit_time: Duration,
}

/// What names a split in the store.
pub(super) type Key = (DeploymentName, SplitId);

#[derive(Clone, Default)]
struct Progress {
    /// Rises with each fence; a writer that holds an older one cannot commit. Like a Kafka producer's epoch it tells nothing
    /// about who the new owner is.
    token: u64,
    /// `None`: never opened, or forgotten by a rewrite.
    facts: Option<Facts>,
    /// Kept over a rewrite that forgets the rest, so that neither number is ever used twice.
    owner: u64,
    generation: u64,
    checkpoint: Checkpoint,
}

impl Progress {
    fn stored(&self) -> Option<Stored> {
        let (forgotten, checkpoint) = (self.facts.is_none(), self.checkpoint.clone());
        let numbers = || Facts { owner: self.owner, generation: self.generation, ..Facts::default() };
        // a split that was only fenced has never been opened
        let facts = self.facts.clone().or_else(|| (self.owner > 0).then(numbers))?;
        Some(Stored { facts, checkpoint, forgotten })
    }
}

/// Who commits: the token of the fence and the owner number of the open.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pub key: Key,
    pub token: u64,
    pub owner: u64,
}

/// An epoch on its way into the store.
#[derive(Clone, Debug)]
pub(super) struct SealedEpoch {
    pub seq: u64,
    pub batches: Vec<Batch>,
    pub rejected: Vec<QuarantineEntry>,
    pub advance: Advance,
    pub receipt: Receipt,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { book: Arc::default(), held: Arc::new(watch::Sender::new(false)) }
    }
}

impl MemoryStore {
    /// How long a commit takes; half of it before the rows are visible, half after. Zero at first.
    pub fn set_commit_time(&self, time: Duration) {
        self.book().commit_time = time;
    }
    /// Holds every commit just before it is done, until [`MemoryStore::let_go`].
    pub fn hold(&self) {
        self.held.send_replace(true);
    }
    pub fn let_go(&self) {
        self.held.send_replace(false);
    }
    /// All visible rows, in the order in which they were committed.
    pub fn rows(&self) -> Vec<StoredRow> {
        self.book().epochs.iter().flat_map(rows_of).collect()
    }
    /// The visible rows of one split.
    pub fn rows_of_split(&self, split: &SplitId) -> Vec<StoredRow> {
        self.book().epochs.iter().filter(|e| e.split == *split).flat_map(rows_of).collect()
    }
    /// Committed epochs, oldest first.
    pub fn epochs(&self) -> Vec<StoredEpoch> {
        self.book().epochs.clone()
    }
    /// Committed rejected rows of the pipeline, oldest first.
    pub fn quarantine(&self, deployment: &DeploymentName, pipeline: &PipelineName) -> Vec<QuarantineEntry> {
        self.book().quarantine.get(&(deployment.clone(), pipeline.clone())).cloned().unwrap_or_default()
    }
    /// What is stored of the split.
    pub fn stored(&self, deployment: &DeploymentName, split: &SplitId) -> Option<Stored> {
        let book = self.book();
        book.splits.get(&(deployment.clone(), split.clone()))?.stored()
    }

    pub(super) fn fence(&self, key: &Key) -> u64 {
        let mut book = self.book();
        let progress = book.splits.entry(key.clone()).or_default();
        progress.token += 1;
        progress.token
    }

    /// Raises the owner, if `admit` allows it and nobody fenced in between.
    pub(super) fn open(&self, key: &Key, token: u64, admit: Admit) -> Result<Stored> {
        let mut book = self.book();
        let progress = book.splits.entry(key.clone()).or_default();
        if progress.token != token {
            return Err(fenced_between());
        }
        let admitted = admit(progress.stored().filter(|stored| !stored.forgotten).as_ref())?;
        let (seq, counters) = progress.facts.as_ref().map_or_else(Default::default, |f| (f.seq, f.counters));
        progress.owner += 1;
        progress.generation = progress.generation.max(admitted.generation);
        let (owner, generation) = (progress.owner, progress.generation);
        let facts = Facts { owner, generation, seq, counters, ..admitted };
        progress.facts = Some(facts.clone());
        Ok(Stored { facts, checkpoint: progress.checkpoint.clone(), forgotten: false })
    }

    /// Whether the writer may still commit; only under the same lock as the commit does this mean anything.
    pub(super) fn check_ownership(&self, writer: &Writer) -> Result<()> {
        self.book().check_ownership(writer)
    }

    /// The commit: all of the epoch, or nothing of it.
    pub(super) fn commit(&self, writer: &Writer, epoch: SealedEpoch) -> Result<()> {
        let mut book = self.book();
        book.check_ownership(writer)?;
        let progress = book.splits.entry(writer.key.clone()).or_default();
        let facts = progress.facts.as_mut().ok_or_else(|| Error::lost("committing failed: the split was forgotten"))?;
        if facts.seq + 1 != epoch.seq {
            return Err(Error::bug("committing failed: an epoch is missing or repeated")
                .with("stored", facts.seq)
                .with("sealed", epoch.seq));
        }
        progress.checkpoint.apply(&epoch.advance)?;
        facts.seq = epoch.seq;
        count(&mut facts.counters, epoch.receipt);
        book.add(writer, epoch);
        Ok(())
    }

    /// Only for sabotage: rows without looking at who writes or what is committed.
    pub(super) fn add_rows_unchecked(&self, writer: &Writer, epoch: SealedEpoch) {
        self.book().add(writer, epoch);
    }

    /// Only for sabotage: progress without looking at who writes or where it stood.
    pub(super) fn set_progress_unchecked(&self, writer: &Writer, epoch: &SealedEpoch) {
        let mut book = self.book();
        let progress = book.splits.entry(writer.key.clone()).or_default();
        for (part, span) in &epoch.advance.spans {
            progress.checkpoint.parts.insert(part.clone(), span.through.clone());
        }
        let rest = Advance { spans: BTreeMap::new(), closed: Default::default(), notes: epoch.advance.notes.clone() };
        // notes alone conflict only by their size, which the honest path has checked already
        let _ = progress.checkpoint.apply(&rest);
        for part in &epoch.advance.closed {
            progress.checkpoint.parts.remove(part);
        }
        if let Some(facts) = &mut progress.facts {
            facts.seq = epoch.seq;
            count(&mut facts.counters, epoch.receipt);
        }
    }

    pub(super) fn rewrite(&self, key: &Key, to: Rewrite) -> Result<Facts> {
        let mut book = self.book();
        let progress = book.splits.entry(key.clone()).or_default();
        progress.token += 1;
        let to = to(progress.stored().as_ref())?;
        progress.owner += 1;
        progress.generation += 1;
        let (owner, generation) = (progress.owner, progress.generation);
        let stored = progress.facts.take().unwrap_or_default();
        let facts = Facts { owner, generation, counters: Counters::default(), moved_to: None, ..stored };
        progress.facts = to.is_some().then(|| facts.clone());
        progress.checkpoint = to.unwrap_or_default();
        Ok(facts)
    }

    pub(super) fn commit_time(&self) -> Duration {
        self.book().commit_time
    }
    /// Waits while commits are held.
    pub(super) async fn pass(&self) {
        let mut held = self.held.subscribe();
        // an error means that the store is gone, which it is not: we have it
        let _ = held.wait_for(|held| !held).await;
    }
    pub(super) fn reader(&self, place: &CheckContext) -> Box<dyn QuarantineReader> {
        let key = (place.deployment.clone(), place.split.pipeline.clone());
        Box::new(MemoryQuarantine { store: self.clone(), key })
    }
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn check_ownership(&self, writer: &Writer) -> Result<()> {
        let progress = self.splits.get(&writer.key);
        let (token, owner) = progress.map_or((0, 0), |p| (p.token, p.owner));
        if owner != writer.owner {
            return Err(Error::fenced("committing failed: the split has a newer owner")
                .with("split", &writer.key.1)
                .with("owner", writer.owner)
                .with("newer", owner));
        }
        if token != writer.token { Err(fenced_between()) } else { Ok(()) }
    }
    fn add(&mut self, writer: &Writer, epoch: SealedEpoch) {
        let (deployment, split) = writer.key.clone();
        let quarantine = self.quarantine.entry((deployment, split.pipeline.clone())).or_default();
        for replayed in epoch.batches.iter().flat_map(|batch| &batch.replayed) {
            for entry in quarantine.iter_mut().filter(|entry| entry.id == replayed.id) {
                entry.replayed = replayed.replayed;
                entry.settled.clone_from(&replayed.settled);
            }
        }
        quarantine.extend(epoch.rejected.iter().cloned());
        self.epochs.push(StoredEpoch {
            split,
            owner: writer.owner,
            seq: epoch.seq,
            batches: epoch.batches,
            rejected: epoch.rejected,
            advance: epoch.advance,
            receipt: epoch.receipt,
        });
    }
}

/// Somebody fenced and has not opened yet: the stored owner is still ours, so this is no proof of a newer one.
fn fenced_between() -> Error {
    Error::transient("writing the split's state failed: it was fenced in between")
}

fn count(counters: &mut Counters, receipt: Receipt) {
    counters.written += receipt.written;
    counters.rejected += receipt.rejected;
    counters.ignored += receipt.ignored;
}

fn rows_of(epoch: &StoredEpoch) -> Vec<StoredRow> {
    let rows = epoch.batches.iter().flat_map(|batch| {
        row_texts(&batch.rows).into_iter().enumerate().map(|(i, cells)| StoredRow {
            split: epoch.split.clone(),
            stream: batch.stream.clone(),
            op: batch.ops.at(i),
            origin: batch.origin.rows.row(i),
            cells,
            owner: epoch.owner,
            seq: epoch.seq,
        })
    });
    rows.collect()
}

struct MemoryQuarantine {
    store: MemoryStore,
    key: (DeploymentName, PipelineName),
}

#[async_trait]
impl QuarantineReader for MemoryQuarantine {
    /// What is committed here is listed at once.
    async fn catch_up(&mut self) -> Result<()> {
        Ok(())
    }
    /// The cursor is the number of entries that were looked at.
    async fn list(&mut self, filter: &QuarantineFilter, after: Option<&str>, limit: usize) -> Result<QuarantinePage> {
        let unknown = |e| Error::misconfigured("reading a cursor of the quarantine failed").caused_by(e);
        let start = after.map(str::parse::<usize>).transpose().map_err(unknown)?.unwrap_or_default();
        let all = self.store.quarantine(&self.key.0, &self.key.1);
        let mut page = QuarantinePage::default();
        for (i, entry) in all.into_iter().enumerate().skip(start) {
            if page.entries.len() == limit {
                page.next = Some(i.to_string());
                break;
            }
            if filter.matches(&entry) {
                page.entries.push(entry);
            }
        }
        Ok(page)
    }
}
