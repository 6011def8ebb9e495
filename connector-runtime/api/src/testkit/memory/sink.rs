//! The writing end over a memory store.

use super::store::{Key, MemoryStore, SealedEpoch, Writer};
use crate::batch::{Batch, Op};
use crate::checkpoint::Advance;
use crate::context::SinkContext;
use crate::error::{Error, Result};
use crate::facts::Admit;
use crate::quarantine::{QuarantineEntry, RawRow, RejectedRow, Stage};
use crate::sink::{Fenced, Opened, Receipt, Sink};
use crate::testkit::rows::row_texts;
use arrow::array::BooleanArray;
use async_trait::async_trait;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ways to break a promise, so that a suite can be shown to catch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SinkSabotage {
    /// Rows become visible with `write`.
    VisibleWhenWritten,
    /// Rows first, then progress, in two steps.
    ProgressApart,
    /// Commits whoever is the owner and wherever the checkpoint stands.
    NoOwnershipCheck,
    /// Looks who the owner is, then commits without looking again: a plain read as the progress check.
    PlainReadAsCheck,
    /// Rejected rows become visible with `write`, not with the epoch.
    RejectedApart,
    /// Writes the new owner before it asks whether it is admitted.
    OwnerBeforeAdmit,
    /// Entries are marked as replayed with `write`, not with the epoch.
    MarksApart,
}

/// What the sink does beside taking rows.
#[derive(Clone, Debug, Default)]
pub struct SinkOptions {
    /// Rows whose cells are longer than this as text go to quarantine, code `too_large`.
    pub row_bytes_max: Option<u64>,
    /// Deletes are ignored, and counted as such.
    pub ignore_deletes: bool,
    pub sabotage: Option<SinkSabotage>,
}

/// The split's fence is taken, its state not yet read.
pub struct MemoryFenced {
    store: MemoryStore,
    options: SinkOptions,
    key: Key,
    token: u64,
}

/// One epoch open, one sealed in flight. Bytes are the rows' cells as text.
pub struct MemorySink {
    store: MemoryStore,
    options: SinkOptions,
    writer: Writer,
    seq: u64,
    generation: u64,
    open: OpenEpoch,
    /// Set by `seal`, cleared by a commit that succeeded: a failed or dropped one leaves the sink unusable.
    in_flight: Arc<AtomicBool>,
}

#[derive(Default)]
struct OpenEpoch {
    batches: Vec<Batch>,
    rejected: Vec<QuarantineEntry>,
    receipt: Receipt,
}

impl MemorySink {
    /// Fences the split in the store.
    pub fn fence(store: MemoryStore, options: SinkOptions, cx: SinkContext) -> Result<Box<dyn Fenced>> {
        if !cx.ownership.is_ours(&cx.place.split) {
            return Err(Error::transient("fencing the split failed: it is not assigned to us"));
        }
        let key = (cx.place.deployment, cx.place.split);
        let token = store.fence(&key);
        Ok(Box::new(MemoryFenced { store, options, key, token }))
    }
}

#[async_trait]
impl Fenced for MemoryFenced {
    async fn open(self: Box<Self>, admit: Admit) -> Result<Opened> {
        let Self { store, options, key, token } = *self;
        if options.sabotage == Some(SinkSabotage::OwnerBeforeAdmit) {
            store.open(&key, token, crate::testkit::context::admit_all())?;
        }
        let stored = store.open(&key, token, admit)?;
        let sink = MemorySink {
            store,
            options,
            writer: Writer { key, token, owner: stored.facts.owner },
            seq: stored.facts.seq,
            generation: stored.facts.generation,
            open: OpenEpoch::default(),
            in_flight: Arc::default(),
        };
        Ok(Opened { sink: Box::new(sink), checkpoint: stored.checkpoint, facts: stored.facts })
    }
}

#[async_trait]
impl Sink for MemorySink {
    async fn write(&mut self, mut batch: Batch) -> Result<()> {
        batch.check()?;
        let (revision, rejected) = (batch.origin.revision, std::mem::take(&mut batch.rejected));
        let rejected = rejected.into_iter().chain(self.refuse(&mut batch)?);
        let (split, generation) = (&self.writer.key.1, self.generation);
        let entry = |row: RejectedRow| QuarantineEntry { generation, ..row.into_entry(split, revision) };
        let rejected: Vec<QuarantineEntry> = rejected.map(entry).collect();
        let ignored = self.ignore(&mut batch)?;
        self.open.receipt += Receipt {
            written: batch.rows.num_rows() as u64,
            rejected: rejected.len() as u64,
            ignored,
            bytes: row_texts(&batch.rows).iter().map(|text| text.len() as u64).sum(),
        };
        if self.options.sabotage == Some(SinkSabotage::MarksApart) {
            let mut marks = batch.clone();
            marks.retain(&BooleanArray::from(vec![false; batch.rows.num_rows()]))?;
            self.show(vec![marks], vec![]);
        }
        match self.options.sabotage {
            Some(SinkSabotage::VisibleWhenWritten) => self.show(vec![batch], rejected),
            Some(SinkSabotage::RejectedApart) => {
                self.show(vec![], rejected);
                self.open.batches.push(batch);
            }
            _ => {
                self.open.rejected.extend(rejected);
                self.open.batches.push(batch);
            }
        }
        Ok(())
    }

    fn seal(&mut self, advance: Advance) -> BoxFuture<'static, Result<Receipt>> {
        if self.in_flight.swap(true, Ordering::SeqCst) {
            let wrong = "sealing failed: another epoch is in flight, or failed before";
            return Box::pin(async move { Err(Error::bug(wrong)) });
        }
        self.seq += 1;
        let OpenEpoch { batches, rejected, receipt } = std::mem::take(&mut self.open);
        let epoch = SealedEpoch { seq: self.seq, batches, rejected, advance, receipt };
        let (store, writer, in_flight) = (self.store.clone(), self.writer.clone(), self.in_flight.clone());
        let sabotage = self.options.sabotage;
        Box::pin(async move {
            store.pass().await;
            let time = store.commit_time() / 2;
            if !time.is_zero() {
                tokio::time::sleep(time).await;
            }
            commit(&store, &writer, epoch, sabotage).await?;
            if !time.is_zero() {
                tokio::time::sleep(time).await;
            }
            in_flight.store(false, Ordering::SeqCst);
            Ok(receipt)
        })
    }
}

async fn commit(
    store: &MemoryStore,
    writer: &Writer,
    epoch: SealedEpoch,
    sabotage: Option<SinkSabotage>,
) -> Result<()> {
    match sabotage {
        None
        | Some(
            SinkSabotage::VisibleWhenWritten
            | SinkSabotage::RejectedApart
            | SinkSabotage::OwnerBeforeAdmit
            | SinkSabotage::MarksApart,
        ) => {
            return store.commit(writer, epoch);
        }
        Some(SinkSabotage::PlainReadAsCheck) => store.check_ownership(writer)?,
        Some(SinkSabotage::ProgressApart | SinkSabotage::NoOwnershipCheck) => {}
    }
    if sabotage == Some(SinkSabotage::PlainReadAsCheck) {
        tokio::time::sleep(store.commit_time() / 4).await;
        tokio::task::yield_now().await;
    }
    store.add_rows_unchecked(writer, epoch.clone());
    if sabotage == Some(SinkSabotage::ProgressApart) {
        tokio::task::yield_now().await;
        store.check_ownership(writer)?;
    }
    store.set_progress_unchecked(writer, &epoch);
    Ok(())
}

impl MemorySink {
    /// Takes the rows that are too large out of the batch.
    fn refuse(&self, batch: &mut Batch) -> Result<Vec<RejectedRow>> {
        let Some(most) = self.options.row_bytes_max else { return Ok(vec![]) };
        let texts = row_texts(&batch.rows);
        let fits: Vec<bool> = texts.iter().map(|text| text.len() as u64 <= most).collect();
        let refused = texts.iter().enumerate().filter(|(i, _)| !fits[*i]).map(|(i, text)| RejectedRow {
            code: "too_large".into(),
            message: format!("the row has {} bytes, at most {most} are allowed", text.len()),
            stage: Stage::Sink,
            stream: batch.stream.clone(),
            origin: batch.origin.rows.row(i),
            raw: RawRow::Row(serde_json::json!({ "row": text })),
        });
        let refused: Vec<RejectedRow> = refused.collect();
        if !refused.is_empty() {
            batch.retain(&BooleanArray::from(fits))?;
        }
        Ok(refused)
    }

    fn ignore(&self, batch: &mut Batch) -> Result<u64> {
        let rows = batch.rows.num_rows();
        let keep: Vec<bool> = (0..rows).map(|i| batch.ops.at(i) != Op::Delete).collect();
        let ignored = keep.iter().filter(|k| !**k).count() as u64;
        if !self.options.ignore_deletes || ignored == 0 {
            return Ok(0);
        }
        batch.retain(&BooleanArray::from(keep))?;
        Ok(ignored)
    }

    fn show(&self, batches: Vec<Batch>, rejected: Vec<QuarantineEntry>) {
        let (seq, receipt, advance) = (self.seq + 1, Receipt::default(), Advance::default());
        self.store.add_rows_unchecked(&self.writer, SealedEpoch { seq, batches, rejected, advance, receipt });
    }
}
