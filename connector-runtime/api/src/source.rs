//! The reading end of a split.

use crate::batch::Batch;
use crate::checkpoint::{Advance, Checkpoint};
use crate::error::Result;
use async_trait::async_trait;

/// A pure continuation: opened at a checkpoint, it yields exactly what follows, the same rows in the same order per part,
/// every time. It acknowledges nothing; it reads [`crate::Committed`] when convenient and releases upstream (confirms a
/// position, archives a file) only what that covers.
#[async_trait]
pub trait Source: Send {
    /// Waits for more rows. `None`: a bounded input ended, and stays ended.
    ///
    /// Dropping the future loses nothing: the next call goes on where this one was. Batches with `advance: None` may follow
    /// each other only until `limits.uncut_rows` or `limits.uncut_bytes`; past that it is a Bug of the source.
    async fn next(&mut self) -> Result<Option<Batch>>;

    /// Called just before each seal with what the epoch covers: is what was given still true (same file, same topic)?
    /// `Lost` when it is not; the epoch is then dropped.
    async fn vouch(&mut self, advance: &Advance) -> Result<()>;

    /// Called once after the last commit of a run: makes the releases that are still due (delete, archive, confirm). May be
    /// cut short by the end of the process; what was not released is released by the next run.
    async fn settle(&mut self, committed: &Checkpoint) -> Result<()>;
}
