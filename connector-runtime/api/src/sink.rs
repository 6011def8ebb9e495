//! The writing end of a split. Opening it is recovery; sealing an epoch is the commit.

use crate::batch::Batch;
use crate::checkpoint::{Advance, Checkpoint};
use crate::error::{Error, Result};
use crate::facts::{Admit, Facts};
use async_trait::async_trait;
use futures::future::BoxFuture;
use std::ops::AddAssign;
use std::time::Duration;

/// Takes rows into the open epoch and makes whole epochs visible.
#[async_trait]
pub trait Sink: Send {
    /// Takes the batch into the open epoch and returns when its bytes are accounted for; nothing becomes visible. A row that
    /// the system cannot take (too large) goes to quarantine, it does not fail the epoch. After an error, or when the
    /// future is dropped, the sink is only good for being dropped.
    async fn write(&mut self, batch: Batch) -> Result<()>;

    /// Ends the open epoch. The returned future is the commit: rows, rejected rows, notes and checkpoint, all or nothing,
    /// durable when it resolves, and visible then or, where the system tells its readers by itself, a moment later (Kafka's markers
    /// follow its answer). While it runs the next epoch may be written; at most one sealed epoch is in
    /// flight. When it fails, or is dropped, everything after the last committed epoch is gone with the sink, and whether
    /// this epoch was committed only the next open can tell.
    fn seal(&mut self, advance: Advance) -> BoxFuture<'static, Result<Receipt>>;

    /// Resolves when the sink is of no more use although nothing was asked of it, with the reason: as a rule Fenced, because a
    /// newer owner has the split. An owner that has nothing to commit learns it in no other way. Dropping the future loses
    /// nothing.
    async fn ended(&mut self) -> Error {
        std::future::pending().await
    }
}

/// A split whose earlier owners can no longer commit, before its state is read. Fencing and opening are two steps so that a
/// worker can fence all its splits side by side before it reads any state.
#[async_trait]
pub trait Fenced: Send {
    /// Settles what the predecessor left, reads what is stored, asks `admit` about it, and writes the facts back with
    /// `owner + 1`. When `admit` refuses, nothing is written and its error is returned.
    async fn open(self: Box<Self>, admit: Admit) -> Result<Opened>;
}

/// A sink that owns its split, and what is committed there.
pub struct Opened {
    pub sink: Box<dyn Sink>,
    pub checkpoint: Checkpoint,
    pub facts: Facts,
}

/// What an epoch did. `rows written by the engine = written + rejected by the sink + ignored` is asserted for each epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Input rows whose effect is in the epoch; not the number of records that it took.
    pub written: u64,
    /// Rows in the epoch's quarantine, whoever rejected them.
    pub rejected: u64,
    /// Rows that the sink leaves out by its configuration (`deletes: ignore`).
    pub ignored: u64,
    /// Bytes as the sink encoded them.
    pub bytes: u64,
}

impl AddAssign for Receipt {
    fn add_assign(&mut self, other: Self) {
        self.written += other.written;
        self.rejected += other.rejected;
        self.ignored += other.ignored;
        self.bytes += other.bytes;
    }
}

/// When epochs are sealed. Declared by the sink, changed by `commit:` in the pipeline file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitPolicy {
    /// Longest time that rows wait for their commit.
    pub every: Duration,
    pub rows: u64,
    /// Encoded or Arrow bytes, whichever the sink counts; the engine counts Arrow bytes.
    pub bytes: u64,
    /// Seal when the source stayed pending this long; `None`: never on idle.
    pub idle: Option<Duration>,
    /// Never more often than this.
    pub at_most_every: Duration,
    /// Whether the pipeline's `commit:` may change this policy; a sink that rolls files has words of its own.
    pub configurable: bool,
}
