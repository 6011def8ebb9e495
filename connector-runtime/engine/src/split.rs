//! One run of one split: open the sink, open the source where the sink says, and move epochs until the input ends, somebody
//! says stop, or an error drops both ends.

use crate::admission::judge;
use crate::epoch::{OpenEpoch, SealClock, Tally};
use crate::run::Plan;
use crate::status::{SplitRecord, Totals};
use crate::steps::{Chained, Steps};
use crate::telemetry::SplitMetrics;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use unbatch_api::context::{CommittedSender, EpochReport};
use unbatch_api::failpoint::{hit, sabotaged};
use unbatch_api::{
    Advance, Batch, Checkpoint, Committed, Error, Facts, Fenced, Limits, Receipt, Result, Sink, Source, SplitId, Stage,
};

/// Longest that opening an end may take; resuming inside a large file verifies its beginning first.
const OPEN_TIME_MAX: Duration = Duration::from_secs(600);
/// Longest that a sink may take to account for a batch, and longest that a commit may be in flight. A sink has shorter limits
/// of its own (a transaction's time-out); these are for a sink that hangs.
const WRITE_TIME_MAX: Duration = Duration::from_secs(600);
const COMMIT_TIME_MAX: Duration = Duration::from_secs(600);
/// Longest that a source may take to vouch for an epoch.
const VOUCH_TIME_MAX: Duration = Duration::from_secs(60);
/// Longest that the releases after the last commit may take; what is left the next run does.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(30);
/// Longest that a drain waits for the sealed epoch; dropping it is safe, it only costs the reader of the sink time.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(30);

/// How a run ended when nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunEnd {
    /// The bounded input ended and all of it is committed.
    Finished,
    /// Stop was asked for.
    Stopped,
}

/// What stays the same over the runs of a split.
pub(crate) struct Split {
    pub(crate) id: SplitId,
    pub(crate) plan: Arc<Plan>,
    pub(crate) record: Arc<SplitRecord>,
    pub(crate) metrics: SplitMetrics,
}

impl Split {
    /// Opens both ends, from a fence that was just made. May be dropped at any point: the next open settles what it left.
    pub(crate) async fn open(&self, fenced: Box<dyn Fenced>) -> Result<Flow<'_>> {
        let (intent, pipeline) = (self.plan.intent.clone(), self.id.pipeline.clone());
        let open = fenced.open(Box::new(move |stored| judge(&pipeline, stored, &intent)));
        let opened = within(OPEN_TIME_MAX, "opening the sink", open).await?;
        hit("engine.sink_opened")?;
        let checkpoint = Arc::new(opened.checkpoint);
        let (sender, committed) = Committed::channel((*checkpoint).clone());
        let cx = self.plan.source_context(self, (*checkpoint).clone(), committed, &opened.facts);
        let secrets = cx.place.secrets.clone();
        // of rows that an earlier attempt read and did not commit: they are read again
        drop(self.record.reports.take_open());
        let source = within(OPEN_TIME_MAX, "opening the source", self.plan.spec.source.open(cx)).await?;
        hit("engine.source_opened")?;
        self.record.opened(&opened.facts, checkpoint.clone());
        tracing::info!(split = %self.id, generation = opened.facts.generation, owner = opened.facts.owner,
            revision = opened.facts.revision, "split is open");
        let rejects = RejectWindow::stored(&checkpoint);
        Ok(Flow {
            split: self,
            limits: self.plan.limits,
            source,
            sink: opened.sink,
            steps: Steps::new(self.plan.spec.steps.clone(), secrets),
            committed: sender,
            checkpoint,
            facts: opened.facts,
            open: OpenEpoch::default(),
            sealed: None,
            clock: SealClock::new(self.plan.spec.policy, &self.plan.limits),
            rejects,
            pending_since: None,
        })
    }
}

/// An epoch whose commit is in flight.
struct SealedEpoch {
    commit: BoxFuture<'static, Result<Receipt>>,
    advance: Advance,
    tally: Tally,
    /// What the source said with its rows.
    report: EpochReport,
    newest_source_time: Option<i64>,
    sealed_at: Instant,
}

/// Both ends while they are open, and what is between them.
pub(crate) struct Flow<'a> {
    split: &'a Split,
    limits: Limits,
    source: Box<dyn Source>,
    sink: Box<dyn Sink>,
    steps: Steps,
    committed: CommittedSender,
    checkpoint: Arc<Checkpoint>,
    facts: Facts,
    open: OpenEpoch,
    sealed: Option<SealedEpoch>,
    clock: SealClock,
    rejects: RejectWindow,
    /// Since when the source has had nothing to give.
    pending_since: Option<Instant>,
}

enum Happened {
    Committed(Result<Receipt>),
    Read(Result<Option<Box<Batch>>>),
    StopAsked,
    TimeToSeal,
    SinkEnded(Error),
}

impl Flow<'_> {
    /// Moves epochs until the input ends or somebody says stop, then makes the releases that are still due.
    pub(crate) async fn run_and_settle(&mut self, stop: watch::Receiver<bool>) -> Result<RunEnd> {
        let end = self.run(stop).await?;
        let settled = self.source.settle(&self.checkpoint);
        within(SETTLE_TIME_MAX, "releasing what is committed", settled).await?;
        Ok(end)
    }

    async fn run(&mut self, mut stop: watch::Receiver<bool>) -> Result<RunEnd> {
        let mut ended = false;
        let mut stopping = *stop.borrow();
        loop {
            if stopping || ended {
                return self.finish(if stopping { RunEnd::Stopped } else { RunEnd::Finished }).await;
            }
            // at the limit the pipeline slows alone: nothing is read until the epoch in flight is through
            let may_read = !(self.clock.is_full(&self.open) && self.open.is_cut());
            if may_read {
                self.pending_since.get_or_insert_with(Instant::now);
            }
            let due = self.clock.due_at(&self.open, self.pending_since).filter(|_| self.sealed.is_none());
            if due.is_some_and(|at| at <= Instant::now()) {
                self.seal().await?;
                continue;
            }
            match self.wait(may_read, due, &mut stop).await {
                Happened::Committed(receipt) => self.committed(receipt?)?,
                Happened::Read(Ok(Some(batch))) => {
                    self.pending_since = None;
                    self.take(*batch).await?;
                }
                Happened::Read(Ok(None)) => ended = true,
                Happened::Read(Err(error)) => return Err(error),
                Happened::StopAsked => stopping = true,
                Happened::TimeToSeal => {}
                Happened::SinkEnded(error) => return Err(error),
            }
        }
    }

    /// Whatever comes first. Dropping the source's `next` loses nothing, by contract.
    async fn wait(&mut self, may_read: bool, due: Option<Instant>, stop: &mut watch::Receiver<bool>) -> Happened {
        let Flow { source, sink, sealed, .. } = self;
        let nothing_in_flight = sealed.is_none();
        tokio::select! {
            biased;
            receipt = commit_of(sealed) => Happened::Committed(receipt),
            // a commit in flight says better why it failed
            error = sink.ended(), if nothing_in_flight => Happened::SinkEnded(error),
            _ = stop.wait_for(|stop| *stop) => Happened::StopAsked,
            batch = source.next(), if may_read => Happened::Read(batch.map(|batch| batch.map(Box::new))),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Happened::TimeToSeal,
        }
    }

    /// Brings a batch through the steps into the sink.
    async fn take(&mut self, batch: Batch) -> Result<()> {
        batch.check()?;
        if let Some(advance) = &batch.advance
            && advance.notes.keys().any(|k| k.as_str().starts_with(unbatch_api::checkpoint::ENGINE_NOTES))
        {
            return Err(Error::bug("taking a batch failed, the source wrote a note of the engine's").code("U0905"));
        }
        let read = batch.rows_read();
        let by_source = batch.rejected.iter().filter(|r| r.stage == Stage::Source).count() as u64;
        let Chained { batches, filtered } = self.steps.apply(batch)?;
        let rejected = batches.iter().map(|batch| batch.rejected.len() as u64).sum();
        let mut tally = Tally { read, rejected_before_sink: rejected, rejected_by_source: by_source, filtered };
        for batch in batches {
            let newest = batch.source_time.as_ref().and_then(newest_microseconds);
            // all of the tally with the first: nothing is sealed before the last
            self.open.count(&batch, std::mem::take(&mut tally), &self.limits)?;
            self.open.newest_source_time = self.open.newest_source_time.max(newest);
            self.split.metrics.open_epoch_bytes.set(self.open.bytes as f64);
            self.write(batch).await?;
        }
        Ok(())
    }

    async fn write(&mut self, batch: Batch) -> Result<()> {
        hit("engine.before_write")?;
        // a commit that gets through meanwhile is kept and looked at afterwards, so that neither waits for the other
        let mut receipt = None;
        let written = {
            let Flow { sink, sealed, .. } = self;
            let mut write = std::pin::pin!(within(WRITE_TIME_MAX, "writing to the sink", sink.write(batch)));
            loop {
                tokio::select! {
                    biased;
                    r = commit_of(sealed), if receipt.is_none() => receipt = Some(r),
                    written = &mut write => break written,
                }
            }
        };
        // when both fail the commit says why; the write only says that the sink is of no more use
        let receipt = receipt.transpose()?;
        written?;
        match receipt {
            Some(receipt) => self.committed(receipt),
            None => Ok(()),
        }
    }

    /// Ends the open epoch and puts its commit in flight.
    async fn seal(&mut self) -> Result<()> {
        let open = std::mem::take(&mut self.open);
        within(VOUCH_TIME_MAX, "asking the source to vouch for the epoch", self.source.vouch(&open.advance)).await?;
        hit("engine.before_seal")?;
        let mut advance = open.advance;
        if open.tally.rejected_before_sink > 0 {
            let counts_itself = self.split.plan.spec.source.counts_rejected();
            let own = if counts_itself { open.tally.rejected_by_source } else { 0 };
            self.rejects.count(open.tally.read, open.tally.rejected_before_sink - own);
            advance = advance.note(RejectWindow::note_key(), Some(self.rejects.to_note()));
        }
        self.clock.sealed_now();
        self.sealed = Some(SealedEpoch {
            commit: self.sink.seal(advance.clone()),
            advance,
            tally: open.tally,
            report: self.split.record.reports.take_open(),
            newest_source_time: open.newest_source_time,
            sealed_at: Instant::now(),
        });
        if sabotaged("release-before-commit") {
            let mut ahead = (*self.checkpoint).clone();
            if let Some(sealed) = &self.sealed {
                ahead.apply(&sealed.advance)?;
            }
            self.committed.publish(ahead);
        }
        Ok(())
    }

    /// The epoch is durable and visible: only now may the source release what it covers (invariant 1).
    fn committed(&mut self, receipt: Receipt) -> Result<()> {
        let Some(sealed) = self.sealed.take() else {
            return Err(Error::bug("taking a receipt failed, no epoch was sealed").code("U0906"));
        };
        sealed.tally.agree(&receipt)?;
        let mut checkpoint = (*self.checkpoint).clone();
        checkpoint.apply(&sealed.advance)?;
        self.checkpoint = Arc::new(checkpoint);
        self.committed.publish(self.checkpoint.clone());
        self.facts.seq += 1;
        self.facts.counters.written += receipt.written;
        self.facts.counters.rejected += receipt.rejected;
        self.facts.counters.ignored += receipt.ignored;
        let totals = Totals {
            read: sealed.tally.read,
            written: receipt.written,
            quarantined: receipt.rejected,
            filtered: sealed.tally.filtered,
            ignored: receipt.ignored,
            bytes: receipt.bytes,
            commits: 1,
        };
        self.split.record.committed(&self.facts, totals, sealed.newest_source_time, self.checkpoint.clone());
        self.split.record.reports.commit(sealed.report);
        let metrics = &self.split.metrics;
        // what is read again after a failure was not counted the first time
        metrics.rows_read.increment(totals.read);
        metrics.rows_filtered.increment(totals.filtered);
        metrics.rows_written.increment(receipt.written);
        metrics.rows_quarantined.increment(receipt.rejected);
        metrics.bytes_written.increment(receipt.bytes);
        metrics.commits.increment(1);
        metrics.commit_seconds.record(sealed.sealed_at.elapsed().as_secs_f64());
        hit("engine.after_commit")?;
        self.rejects.judge(&self.split.plan.spec.on_error.stop_after)
    }

    /// Commits what can be committed, in order, and drops an open epoch that has no safe end.
    async fn finish(&mut self, end: RunEnd) -> Result<RunEnd> {
        if end == RunEnd::Finished && !self.open.is_cut() {
            return Err(Error::bug("ending the input failed, its last batch has no position").code("U0907"));
        }
        let limit = DRAIN_TIME_MAX + self.clock.every();
        for _ in 0..2 {
            if self.sealed.is_some() {
                let receipt = within(limit, "waiting for the last commit", commit_of(&mut self.sealed)).await?;
                self.committed(receipt)?;
            }
            if !self.open.is_empty() && self.open.is_cut() {
                self.seal().await?;
            }
        }
        if self.sealed.is_some() {
            let receipt = within(limit, "waiting for the last commit", commit_of(&mut self.sealed)).await?;
            self.committed(receipt)?;
        }
        Ok(end)
    }
}

/// The receipt of the epoch in flight; waits for ever when there is none.
async fn commit_of(sealed: &mut Option<SealedEpoch>) -> Result<Receipt> {
    match sealed {
        Some(epoch) => {
            let left = COMMIT_TIME_MAX.saturating_sub(epoch.sealed_at.elapsed());
            within(left, "committing an epoch", &mut epoch.commit).await
        }
        None => std::future::pending().await,
    }
}

/// Every attempt has a named time limit; passing it is Transient.
pub(crate) async fn within<T>(limit: Duration, what: &str, attempt: impl Future<Output = Result<T>>) -> Result<T> {
    match timeout(limit, attempt).await {
        Ok(result) => result,
        Err(_) => {
            let limit = humantime::format_duration(limit);
            Err(Error::transient(format!("{what} took too long")).code("U0501").with("limit", limit))
        }
    }
}

fn newest_microseconds(times: &unbatch_api::arrow::array::ArrayRef) -> Option<i64> {
    use unbatch_api::arrow::array::AsArray;
    use unbatch_api::arrow::datatypes::TimestampMicrosecondType;
    unbatch_api::arrow::compute::max(times.as_primitive_opt::<TimestampMicrosecondType>()?)
}

use rejects::RejectWindow;

mod rejects {
    use bytes::Bytes;
    use serde::{Deserialize, Serialize};
    use std::time::{SystemTime, UNIX_EPOCH};
    use unbatch_api::context::StopAfter;
    use unbatch_api::{Checkpoint, Error, NoteKey, Result};

    /// Rows read and rejected in the current hour; kept as a note, so that it survives restarts.
    #[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
    pub(super) struct RejectWindow {
        hour: u64,
        read: u64,
        rejected: u64,
        #[serde(skip)]
        counted: bool,
    }

    impl RejectWindow {
        pub(super) fn note_key() -> NoteKey {
            NoteKey::from("engine/rejected")
        }
        pub(super) fn stored(checkpoint: &Checkpoint) -> Self {
            let note = checkpoint.note(&Self::note_key());
            note.and_then(|n| serde_json::from_slice(n).ok()).unwrap_or_default()
        }
        pub(super) fn count(&mut self, read: u64, rejected: u64) {
            let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let hour = since_1970.as_secs() / 3600;
            if self.hour != hour {
                *self = Self { hour, ..Self::default() };
            }
            self.read += read;
            self.rejected += rejected;
            self.counted |= rejected > 0;
        }
        pub(super) fn to_note(self) -> Bytes {
            serde_json::json!(self).to_string().into()
        }
        /// Judged only when something new was rejected and after it is safely in quarantine, so that a person can look at it.
        pub(super) fn judge(&mut self, stop_after: &StopAfter) -> Result<()> {
            if !std::mem::take(&mut self.counted) || !stop_after.is_passed(self.rejected, self.read) {
                return Ok(());
            }
            Err(Error::rejected("going on after so many rejected rows is not allowed by `stop_after`")
                .code("U0410")
                .with("rejected", self.rejected)
                .with("read", self.read)
                .with("within", "this hour")
                .help("look at them with `unbatch quarantine list`, mend the source, or raise `on_error.quarantine.stop_after`"))
        }
    }
}
