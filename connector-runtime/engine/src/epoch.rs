//! The open epoch: what was written since the last seal, and whether it is time for the next.

use std::time::Duration;
use tokio::time::Instant;
use unbatch_api::{Advance, Batch, CommitPolicy, Error, Limits, Receipt, Result};

/// Rows by what became of them. Invariant 2: for each epoch, read = written + rejected + filtered + ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) read: u64,
    /// Refused by the source or a step; the sink may refuse more.
    pub(crate) rejected_before_sink: u64,
    /// Of those, the ones that the source counts against `stop_after` by itself.
    pub(crate) rejected_by_source: u64,
    pub(crate) filtered: u64,
}

impl Tally {
    /// Holds the receipt of a sealed epoch against what went into it.
    pub(crate) fn agree(&self, receipt: &Receipt) -> Result<()> {
        if self.read == receipt.written + receipt.rejected + receipt.ignored + self.filtered {
            return Ok(());
        }
        Err(Error::bug("counting the rows of an epoch failed")
            .code("U0903")
            .with("read", self.read)
            .with("written", receipt.written)
            .with("rejected", receipt.rejected)
            .with("ignored", receipt.ignored)
            .with("filtered", self.filtered))
    }
}

/// Rows written to the sink since its last seal.
#[derive(Default)]
pub(crate) struct OpenEpoch {
    pub(crate) advance: Advance,
    pub(crate) tally: Tally,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// When its first batch came.
    pub(crate) since: Option<Instant>,
    /// Newest commit time at the source, microseconds since 1970.
    pub(crate) newest_source_time: Option<i64>,
    uncut_batches: u64,
    uncut_rows: u64,
    uncut_bytes: usize,
}

impl OpenEpoch {
    /// Nothing to commit.
    pub(crate) fn is_empty(&self) -> bool {
        self.advance.is_empty() && self.tally.read == 0
    }
    /// The last batch was a safe place to stop. Timers never commit anywhere else.
    pub(crate) fn is_cut(&self) -> bool {
        self.uncut_batches == 0
    }

    /// Takes the batch into account before it goes to the sink; `advance` is the batch's own, as the source gave it.
    pub(crate) fn count(&mut self, batch: &Batch, read: Tally, limits: &Limits) -> Result<()> {
        self.since.get_or_insert_with(Instant::now);
        self.tally.read += read.read;
        self.tally.rejected_before_sink += read.rejected_before_sink;
        self.tally.rejected_by_source += read.rejected_by_source;
        self.tally.filtered += read.filtered;
        self.rows += batch.rows_read();
        self.bytes += batch.bytes() as u64;
        if let Some(advance) = &batch.advance {
            self.advance.then(advance.clone())?;
            (self.uncut_batches, self.uncut_rows, self.uncut_bytes) = (0, 0, 0);
            return Ok(());
        }
        self.uncut_batches += 1;
        self.uncut_rows += read.read;
        self.uncut_bytes += batch.bytes();
        // one batch beyond the limit is the source noticing; more is a broken promise
        let far = self.uncut_rows > limits.uncut_rows + limits.batch_rows as u64
            && self.uncut_bytes > limits.uncut_bytes + limits.batch_bytes;
        match far {
            true => Err(Error::bug("waiting for a safe place to stop failed, the source gives none")
                .code("U0904")
                .with("rows", self.uncut_rows)
                .with("bytes", self.uncut_bytes)),
            false => Ok(()),
        }
    }
}

/// Decides when the open epoch is sealed.
#[derive(Clone, Copy)]
pub(crate) struct SealClock {
    policy: CommitPolicy,
    /// Bytes at which the pipeline seals early or stops reading: its memory share is used up.
    bytes_max: u64,
    last_seal: Option<Instant>,
}

impl SealClock {
    pub(crate) fn new(policy: CommitPolicy, limits: &Limits) -> Self {
        Self { policy, bytes_max: (limits.memory_bytes as u64 / 4).max(1), last_seal: None }
    }
    pub(crate) fn sealed_now(&mut self) {
        self.last_seal = Some(Instant::now());
    }
    /// No more may be read into the epoch before it is sealed.
    pub(crate) fn is_full(&self, epoch: &OpenEpoch) -> bool {
        epoch.bytes >= self.bytes_max
    }
    /// When the epoch has to be sealed, if nothing more comes; `pending_since`: since when the source has nothing.
    pub(crate) fn due_at(&self, epoch: &OpenEpoch, pending_since: Option<Instant>) -> Option<Instant> {
        let since = epoch.since?;
        if epoch.is_empty() || !epoch.is_cut() {
            return None;
        }
        if self.is_full(epoch) {
            return Some(since);
        }
        let mut due = since + self.policy.every;
        if epoch.rows >= self.policy.rows || epoch.bytes >= self.policy.bytes {
            due = since;
        }
        if let (Some(idle), Some(pending)) = (self.policy.idle, pending_since) {
            due = due.min(pending + idle);
        }
        let earliest = self.last_seal.map_or(due, |last| last + self.policy.at_most_every);
        Some(due.max(earliest))
    }
    /// Longest that rows may wait; also how long a drain may take at least.
    pub(crate) fn every(&self) -> Duration {
        self.policy.every
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> SealClock {
        let policy = CommitPolicy {
            every: Duration::from_secs(1),
            rows: 100,
            bytes: 1000,
            idle: Some(Duration::from_millis(5)),
            at_most_every: Duration::from_millis(50),
            configurable: true,
        };
        let limits =
            Limits { batch_rows: 10, batch_bytes: 100, uncut_rows: 100, uncut_bytes: 1000, memory_bytes: 40_000 };
        SealClock::new(policy, &limits)
    }
    fn epoch(rows: u64, bytes: u64) -> OpenEpoch {
        let tally = Tally { read: rows, ..Tally::default() };
        OpenEpoch { rows, bytes, tally, since: Some(Instant::now()), ..OpenEpoch::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn seals_at_time_rows_idle_and_not_too_often() {
        let start = Instant::now();
        let mut clock = clock();
        assert_eq!(clock.due_at(&epoch(1, 10), None), Some(start + Duration::from_secs(1)));
        assert_eq!(clock.due_at(&epoch(1, 10), Some(start)), Some(start + Duration::from_millis(5)));
        assert_eq!(clock.due_at(&epoch(100, 10), None), Some(start));
        assert_eq!(clock.due_at(&epoch(0, 0), None), None);
        clock.sealed_now();
        assert_eq!(clock.due_at(&epoch(100, 10), None), Some(start + Duration::from_millis(50)));
        assert!(!clock.is_full(&epoch(1, 9_999)));
        assert!(clock.is_full(&epoch(1, 10_000)));
        assert_eq!(clock.due_at(&epoch(1, 10_000), None), Some(start));
    }

    #[tokio::test(start_paused = true)]
    async fn an_uncut_epoch_is_never_due() {
        let mut uncut = epoch(1000, 20_000);
        uncut.uncut_batches = 1;
        assert_eq!(clock().due_at(&uncut, Some(Instant::now())), None);
    }

    #[test]
    fn a_receipt_must_account_for_every_row() {
        let tally = Tally { read: 10, filtered: 2, ..Tally::default() };
        let receipt = |written| Receipt { written, rejected: 1, ignored: 1, bytes: 0 };
        assert!(tally.agree(&receipt(6)).is_ok());
        assert!(tally.agree(&receipt(5)).is_err());
    }
}
