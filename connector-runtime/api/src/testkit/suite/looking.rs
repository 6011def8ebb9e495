//! The check of sources that are opened only to look, as `unbatch preview` does.

use super::reading::{Patience, Reading};
use super::source::{SourceFixture, SourceUpstream, expect_rows};
use super::{Attempt, Broken, ensure};
use crate::checkpoint::Checkpoint;
use crate::connector::SourceConnector;
use crate::context::{Bound, Committed};
use crate::testkit::context::{limits, source_context};

pub(super) const LOOKS: &str = "somebody who only looks changes nothing upstream";

/// Looks at an upstream that nobody has read, and at one where a run left everything to be released.
pub(super) async fn looks_without_a_trace<F: SourceFixture>(fixture: &F) -> Result<(), Broken> {
    let upstream = fixture.upstream().await.attempt(LOOKS, "making an upstream")?;
    let fresh = look::<F>(&upstream, &Checkpoint::default(), "an upstream that was never read").await?;
    expect_rows(LOOKS, &fresh, &fixture.expected())?;
    let end = left_by_a_run::<F>(&upstream).await?;
    let rest = look::<F>(&upstream, &end, "an upstream with releases that are due").await?;
    ensure(LOOKS, rest.arrivals.is_empty(), || format!("opened at the end it gave {} rows again", rest.arrivals.len()))
}

/// Reads to the end, and compares upstream before and after each thing that is done.
async fn look<F: SourceFixture>(upstream: &F::Upstream, resume: &Checkpoint, what: &str) -> Result<Reading, Broken> {
    let before = upstream.snapshot().await.attempt(LOOKS, "looking upstream")?;
    let (sender, committed) = Committed::channel(resume.clone());
    let mut cx = source_context(upstream.place(), resume.clone(), committed, Bound::Once);
    cx.looks_only = true;
    let mut source = F::Connector::open(upstream.config(), cx).await.attempt(LOOKS, "opening the source to look")?;
    unchanged(upstream, &before, what, "was opened").await?;
    let mut reading = Reading::from(resume.clone(), limits());
    reading.read_to_end(source.as_mut(), Patience::Waits).await?;
    unchanged(upstream, &before, what, "was read to its end").await?;
    drop((source, sender));
    unchanged(upstream, &before, what, "was dropped").await?;
    Ok(reading)
}

/// Where a run got that read everything and died before it released anything.
async fn left_by_a_run<F: SourceFixture>(upstream: &F::Upstream) -> Result<Checkpoint, Broken> {
    let start = Checkpoint::default();
    let (_sender, committed) = Committed::channel(start.clone());
    let cx = source_context(upstream.place(), start.clone(), committed, Bound::Once);
    let mut source = F::Connector::open(upstream.config(), cx).await.attempt(LOOKS, "opening the source")?;
    let mut reading = Reading::from(start, limits());
    reading.read_to_end(source.as_mut(), Patience::Waits).await?;
    Ok(reading.checkpoint().clone())
}

async fn unchanged<C: SourceConnector>(
    upstream: &impl SourceUpstream<C>,
    before: &[String],
    what: &str,
    when: &str,
) -> Result<(), Broken> {
    let now = upstream.snapshot().await.attempt(LOOKS, "looking upstream")?;
    let gone = before.iter().find(|line| !now.contains(line));
    let new = now.iter().find(|line| !before.contains(line));
    ensure(LOOKS, gone.is_none() && new.is_none(), || {
        format!("{what} is another after it {when} to look: gone is {gone:?}, new is {new:?}")
    })
}
