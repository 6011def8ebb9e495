//! Checks of sinks with more than one owner.

use super::ledger::{Owner, agree, fence, lawful, open, open_fenced};
use super::sink::{SinkFixture, SinkTarget, new_target};
use super::sink_commit::{POLLS_MAX, Sealed, poll_some, resolve, timed_commit};
use super::{Attempt, Broken, broken, ensure, within};
use crate::connector::SinkConnector;
use crate::error::{Kind, Result};
use crate::sink::Receipt;
use crate::testkit::context::admit_all;
use std::time::Duration;

pub(super) const FENCED: &str = "a fenced writer cannot commit";
pub(super) const IN_FLIGHT: &str = "a fence while an epoch is in flight leaves it whole or absent";
pub(super) const APART: &str = "splits are apart";

/// How long the older owner may take to notice that it is fenced.
const NOTICE_TIME_MAX: Duration = Duration::from_secs(30);

pub(super) async fn run<F: SinkFixture>(fixture: &F) -> Result<(), Broken> {
    within(FENCED, fences(&new_target(FENCED, fixture).await?)).await?;
    within(FENCED, fences_twice(&new_target(FENCED, fixture).await?)).await?;
    within(IN_FLIGHT, fences_in_flight(&new_target(IN_FLIGHT, fixture).await?)).await?;
    within(IN_FLIGHT, fences_beside(&new_target(IN_FLIGHT, fixture).await?)).await?;
    within(APART, keeps_splits_apart(&new_target(APART, fixture).await?)).await
}

/// The older owner has an open epoch, then seals it.
async fn fences<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    let mut old = open(FENCED, target, 0).await?;
    old.commit(FENCED, 6).await?;
    old.write(6).await.attempt(FENCED, "writing")?;
    let mut new = open(FENCED, target, 0).await?;
    ensure(FENCED, new.through() == 6, || format!("the newer owner stands at {} instead of 6", new.through()))?;
    let (_, sealed) = old.seal();
    match tokio::time::timeout(NOTICE_TIME_MAX, sealed).await {
        Ok(Err(e)) if e.kind() == Kind::Fenced => {}
        Ok(Err(e)) => return Err(broken(FENCED, format!("the older owner got {e:?}, not an error of kind fenced"))),
        Ok(Ok(_)) => return Err(broken(FENCED, "the older owner committed")),
        Err(_) => return Err(broken(FENCED, "the older owner noticed nothing")),
    }
    agree(FENCED, target, &[6]).await?;
    new.commit(FENCED, 9).await?;
    agree(FENCED, target, &[15]).await?;
    drop(old);
    lawful(FENCED, target, &open(FENCED, target, 0).await?.committed).await
}

/// Two have fenced before either opens: at most one of them commits.
async fn fences_twice<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    let op = target.profile().op;
    open(FENCED, target, 0).await?.commit(FENCED, 6).await?;
    let first = fence(FENCED, target, 0).await?;
    let second = fence(FENCED, target, 0).await?;
    let mut second = open_fenced(FENCED, second, op, 0, admit_all()).await?;
    second.write(6).await.attempt(FENCED, "writing")?;
    let first = open_fenced(FENCED, first, op, 0, admit_all()).await;
    let (advance, sealed) = second.seal();
    let committed = tokio::time::timeout(NOTICE_TIME_MAX, sealed).await.is_ok_and(|r| r.is_ok());
    ensure(FENCED, committed != first.is_ok(), || {
        let opened = if first.is_ok() { "did" } else { "did not" };
        format!("the earlier fence {opened} open after the later one; the later one's commit succeeded: {committed}")
    })?;
    if committed {
        second.done(FENCED, &advance)?;
    }
    lawful(FENCED, target, &open(FENCED, target, 0).await?.committed).await
}

/// A newer owner opens after each number of polls of the older one's commit, and after parts of the time that it takes; then
/// the older one goes on.
async fn fences_in_flight<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    let mut old = open(IN_FLIGHT, target, 0).await?;
    let usual = timed_commit(IN_FLIGHT, &mut old).await?;
    for polls in 0..=POLLS_MAX {
        let (before, sealed) = write_and_seal(&mut old).await?;
        let sealed = poll_some(sealed, polls).await;
        old = overtake(target, before, sealed).await?;
    }
    for percent in [20, 40, 50, 60, 80] {
        let (before, mut sealed) = write_and_seal(&mut old).await?;
        let sealed = tokio::time::timeout(usual * percent / 100, &mut sealed).await.map_err(|_| sealed);
        old = overtake(target, before, sealed).await?;
    }
    Ok(())
}

async fn write_and_seal(owner: &mut Owner) -> Result<(u64, Sealed), Broken> {
    owner.write(6).await.attempt(IN_FLIGHT, "writing")?;
    Ok((owner.through(), owner.seal().1))
}

/// A newer owner opens in the middle of a commit, which then goes on; both must agree about it.
async fn overtake<C: SinkConnector>(
    target: &impl SinkTarget<C>,
    before: u64,
    sealed: Result<Result<Receipt>, Sealed>,
) -> Result<Owner, Broken> {
    let mut new = open(IN_FLIGHT, target, 0).await?;
    let there = new.through();
    ensure(IN_FLIGHT, there == before || there == before + 6, || {
        format!("an epoch of 6 rows after {before} left the checkpoint at {there}")
    })?;
    let late = tokio::time::timeout(NOTICE_TIME_MAX, resolve(sealed)).await;
    judge(before, there, late.is_ok_and(|r| r.is_ok()))?;
    lawful(IN_FLIGHT, target, &new.committed).await?;
    new.commit(IN_FLIGHT, 6).await?;
    lawful(IN_FLIGHT, target, &new.committed).await?;
    Ok(new)
}

/// A newer owner opens while the older one commits, both at once.
async fn fences_beside<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    let mut old = open(IN_FLIGHT, target, 0).await?;
    for _ in 0..4 {
        let before = old.through();
        old.write(6).await.attempt(IN_FLIGHT, "writing")?;
        let (_, sealed) = old.seal();
        let commit = tokio::time::timeout(NOTICE_TIME_MAX, sealed);
        let (late, new) = futures::future::join(commit, open(IN_FLIGHT, target, 0)).await;
        let mut new = new?;
        judge(before, new.through(), late.is_ok_and(|r| r.is_ok()))?;
        lawful(IN_FLIGHT, target, &new.committed).await?;
        new.commit(IN_FLIGHT, 6).await?;
        lawful(IN_FLIGHT, target, &new.committed).await?;
        old = new;
    }
    Ok(())
}

/// A commit that was reported done must be what the newer owner was opened with.
fn judge(before: u64, there: u64, reported: bool) -> Result<(), Broken> {
    ensure(IN_FLIGHT, !reported || there > before, || {
        format!("a commit was reported done, and an owner that was opened before it ended stands at {there}")
    })
}

async fn keeps_splits_apart<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    let mut zero = open(APART, target, 0).await?;
    zero.commit(APART, 6).await?;
    let mut one = open(APART, target, 1).await?;
    ensure(APART, one.committed.is_empty(), || format!("split 1 began at {:?}", one.committed))?;
    zero.write(5).await.attempt(APART, "writing")?;
    one.write(8).await.attempt(APART, "writing")?;
    let (advance, sealed) = one.seal();
    sealed.await.attempt(APART, "the commit of split 1 while split 0 has an open epoch")?;
    one.done(APART, &advance)?;
    agree(APART, target, &[6, 8]).await?;
    drop(one);
    let one = open(APART, target, 1).await?;
    ensure(APART, one.through() == 8, || format!("split 1 stands at {}", one.through()))?;
    let (advance, sealed) = zero.seal();
    sealed.await.attempt(APART, "the commit of split 0 after split 1 was opened again")?;
    zero.done(APART, &advance)?;
    agree(APART, target, &[11, 8]).await
}
