//! Checks of sinks whose commit is overlapped, dropped, watched or made to fail.

use super::ledger::{Owner, agree, lawful, open, rows_through};
use super::sink::{SinkFixture, SinkTarget, new_target};
use super::{Attempt, Broken, ensure, within};
use crate::connector::SinkConnector;
use crate::error::Result;
use crate::sink::Receipt;
use futures::future::{BoxFuture, Either, select};
use std::time::Duration;

pub(super) const PIPELINED: &str = "the next epoch may be written while one is in flight";
pub(super) const ALL_OR_NOTHING: &str = "a commit that is dropped is whole or absent, and the checkpoint agrees";
pub(super) const WATCHED: &str = "a reader sees whole epochs only";
pub(super) const FAULTS: &str = "a commit that fails, loses its reply or comes late is whole or absent";

/// A commit is dropped after each of this many polls.
pub(super) const POLLS_MAX: usize = 6;

pub(super) async fn run<F: SinkFixture>(fixture: &F) -> Result<(), Broken> {
    within(PIPELINED, pipelines(&new_target(PIPELINED, fixture).await?)).await?;
    within(ALL_OR_NOTHING, survives_dropped_commits(&new_target(ALL_OR_NOTHING, fixture).await?)).await?;
    within(WATCHED, is_watched(&new_target(WATCHED, fixture).await?)).await
}

pub(super) async fn run_faults<F: SinkFixture>(fixture: &F) -> Result<(), Broken> {
    within(FAULTS, survives_faults(&new_target(FAULTS, fixture).await?)).await
}

async fn pipelines<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    let mut owner = open(PIPELINED, target, 0).await?;
    owner.write(6).await.attempt(PIPELINED, "writing")?;
    for _ in 0..4 {
        let (advance, sealed) = owner.seal();
        let sealed = poll_some(sealed, 1).await;
        owner.write(6).await.attempt(PIPELINED, "writing while an epoch is in flight")?;
        resolve(sealed).await.attempt(PIPELINED, "the commit")?;
        owner.done(PIPELINED, &advance)?;
        agree(PIPELINED, target, &[owner.through()]).await?;
    }
    // what was written after the last seal goes with the sink
    let committed = owner.through();
    drop(owner);
    let mut owner = open(PIPELINED, target, 0).await?;
    ensure(PIPELINED, owner.through() == committed, || {
        format!("rows that were never sealed moved the checkpoint from {committed} to {}", owner.through())
    })?;
    owner.commit(PIPELINED, 6).await?;
    lawful(PIPELINED, target, &owner.committed).await
}

async fn survives_dropped_commits<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    let mut owner = open(ALL_OR_NOTHING, target, 0).await?;
    let usual = timed_commit(ALL_OR_NOTHING, &mut owner).await?;
    for polls in 0..=POLLS_MAX {
        owner.write(6).await.attempt(ALL_OR_NOTHING, "writing")?;
        let before = owner.through();
        let (_, sealed) = owner.seal();
        drop(poll_some(sealed, polls).await);
        owner = reopen(ALL_OR_NOTHING, target, owner, before, 6).await?;
    }
    for percent in [25, 50, 75, 90, 100] {
        owner.write(6).await.attempt(ALL_OR_NOTHING, "writing")?;
        let before = owner.through();
        let (_, sealed) = owner.seal();
        // its outcome is not looked at: the reply is lost
        let _ = tokio::time::timeout(usual * percent / 100, sealed).await;
        owner = reopen(ALL_OR_NOTHING, target, owner, before, 6).await?;
    }
    // what was written beside a lost commit is gone too
    owner.write(6).await.attempt(ALL_OR_NOTHING, "writing")?;
    let before = owner.through();
    let (_, sealed) = owner.seal();
    owner.write(8).await.attempt(ALL_OR_NOTHING, "writing while an epoch is in flight")?;
    drop(sealed);
    let mut owner = reopen(ALL_OR_NOTHING, target, owner, before, 6).await?;
    owner.commit(ALL_OR_NOTHING, 6).await?;
    lawful(ALL_OR_NOTHING, target, &owner.committed).await
}

/// Drops the owner and opens the split again: it stands where it was, or one epoch of `rows` further, and all agrees.
pub(super) async fn reopen<C: SinkConnector>(
    check: &'static str,
    target: &impl SinkTarget<C>,
    owner: Owner,
    before: u64,
    rows: u64,
) -> Result<Owner, Broken> {
    drop(owner);
    let owner = open(check, target, 0).await?;
    let now = owner.through();
    ensure(check, now == before || now == before + rows, || {
        format!("an epoch of {rows} rows after {before} left the checkpoint at {now}")
    })?;
    lawful(check, target, &owner.committed).await?;
    Ok(owner)
}

/// Reads again and again while commits go on.
async fn is_watched<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    let mut owner = open(WATCHED, target, 0).await?;
    for _ in 0..3 {
        let before = owner.through();
        owner.write(13).await.attempt(WATCHED, "writing")?;
        let (advance, sealed) = owner.seal();
        let sizes = [rows_through(&[before]).len(), rows_through(&[before + 13]).len()];
        match select(sealed, Box::pin(watch(target, sizes))).await {
            Either::Left((receipt, _)) => receipt.attempt(WATCHED, "the commit").map(drop)?,
            Either::Right((seen, _)) => return seen,
        }
        owner.done(WATCHED, &advance)?;
        agree(WATCHED, target, &[owner.through()]).await?;
    }
    Ok(())
}

/// Reads until something else than these numbers of rows is seen.
async fn watch<C: SinkConnector>(target: &impl SinkTarget<C>, sizes: [usize; 2]) -> Result<(), Broken> {
    loop {
        let seen = target.visible().await.attempt(WATCHED, "reading what is visible")?.len();
        ensure(WATCHED, sizes.contains(&seen), || {
            format!("a reader saw {seen} rows, an epoch goes from {} to {}", sizes[0], sizes[1])
        })?;
        pause().await;
    }
}

/// Lets time pass where the clock is paused and costs almost nothing where it is not.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

async fn survives_faults<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    for fault in target.profile().faults {
        let mut owner = open(FAULTS, target, 0).await?;
        owner.commit(FAULTS, 6).await?;
        let before = owner.through();
        target.arm(fault).await.attempt(FAULTS, "arming a fault")?;
        // a fault may strike the write already; what counts is what the next open finds
        if owner.write(6).await.is_ok() {
            let (_, sealed) = owner.seal();
            let _ = tokio::time::timeout(Duration::from_secs(20), sealed).await;
        }
        target.disarm().await.attempt(FAULTS, "disarming a fault")?;
        let reopened = reopen(FAULTS, target, owner, before, 6).await;
        let mut owner = reopened.map_err(|e| super::broken(FAULTS, format!("under fault `{fault}`: {}", e.seen)))?;
        // a late commit has its chance to double rows
        owner.commit(FAULTS, 6).await?;
        pause().await;
        let lawful = lawful(FAULTS, target, &owner.committed).await;
        lawful.map_err(|e| super::broken(FAULTS, format!("after fault `{fault}`: {}", e.seen)))?;
    }
    Ok(())
}

/// How long a commit takes that nothing disturbs.
pub(super) async fn timed_commit(check: &'static str, owner: &mut Owner) -> Result<Duration, Broken> {
    let start = tokio::time::Instant::now();
    owner.commit(check, 6).await?;
    Ok(start.elapsed())
}

pub(super) type Sealed = BoxFuture<'static, Result<Receipt>>;

/// Polls a commit so many times, with a turn for everything else between; what came of it, or the rest.
pub(super) async fn poll_some(mut sealed: Sealed, polls: usize) -> Result<Result<Receipt>, Sealed> {
    for _ in 0..polls {
        if let Some(receipt) = futures::future::poll_immediate(&mut sealed).await {
            return Ok(receipt);
        }
        tokio::task::yield_now().await;
    }
    Err(sealed)
}

pub(super) async fn resolve(sealed: Result<Result<Receipt>, Sealed>) -> Result<Receipt> {
    match sealed {
        Ok(receipt) => receipt,
        Err(sealed) => sealed.await,
    }
}
