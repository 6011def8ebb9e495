//! The suite of sources.

use super::looking::{LOOKS, looks_without_a_trace};
use super::reading::{BATCHES, CHAIN, NOTES, ORIGINS, Patience, Reading, Stop, UNCUT, difference, narrow};
use super::{Attempt, Broken, Passed, broken, ensure, within};
use crate::checkpoint::{Advance, Checkpoint};
use crate::connector::{Severity, SourceConnector};
use crate::context::{Bound, CheckContext, Committed, CommittedSender, Limits};
use crate::error::{Kind, Result};
use crate::origin::RowOrigin;
use crate::source::Source;
use crate::testkit::context::{limits, source_context, split};
use async_trait::async_trait;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

const DESCRIBES: &str = "the connector describes itself";
const ALL_ROWS: &str = "every row arrives while Committed stands still";
const NOT_EARLY: &str = "nothing is released upstream before Committed covers it";
const ENDED: &str = "a bounded input ends and stays ended";
const RESUMES: &str = "opened at any checkpoint it yields exactly what follows, in the same order";
const DROPPED: &str = "dropping the future of next loses nothing";
const VOUCHES: &str = "vouch accepts what was given";
const SETTLES: &str = "settle makes the releases that are due, as often as it is called";
const CONTINUES: &str = "a continuous input gives the same rows and does not end";
const READS_RAW: &str = "a rejected row can be read again, or the connector says why not";

/// Every check of [`source_suite`], in its order.
pub const SOURCE_CHECKS: [&str; 16] = [
    DESCRIBES, ALL_ROWS, BATCHES, CHAIN, NOTES, UNCUT, ORIGINS, NOT_EARLY, ENDED, READS_RAW, RESUMES, VOUCHES, SETTLES,
    DROPPED, CONTINUES, LOOKS,
];

/// What a source's test gives: upstreams with known rows. Keep them small (tens of rows, in several parts and with a
/// transaction of more than five rows, if the source knows such): the suite reads from every checkpoint to the end.
#[async_trait]
pub trait SourceFixture: Send + Sync {
    type Connector: SourceConnector;
    type Upstream: SourceUpstream<Self::Connector>;

    /// A new upstream with the expected rows and nothing released: another folder, topic or database. Dropping it may clean
    /// up. Rows may have other origins than in another upstream, but the same cells.
    async fn upstream(&self) -> Result<Self::Upstream>;

    /// What split 0 of an upstream gives.
    fn expected(&self) -> Expected;
}

/// One upstream, and how to open a source over it.
#[async_trait]
pub trait SourceUpstream<C: SourceConnector>: Send + Sync {
    fn config(&self) -> Arc<C::Config>;

    /// Deployment, split 0 of a pipeline, folder and resources that the connector is opened with.
    fn place(&self) -> CheckContext;

    /// For each of these rows, whether upstream has been told that it may forget it: its file is archived or deleted, its
    /// position is confirmed. Always false for an upstream that forgets by itself.
    async fn released(&self, rows: &[RowOrigin]) -> Result<Vec<bool>>;

    /// Everything that others can see of it, a line for each thing, in any order: names, contents and times of its files and of
    /// what lies beside them; slots, groups, positions, locks. While nobody changes it, the lines are the same.
    async fn snapshot(&self) -> Result<Vec<String>>;
}

/// The rows of an upstream.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The cells of each good row as [`crate::testkit::row_text`] shows them, in any order.
    pub rows: Vec<String>,
    /// How many rows the source rejects.
    pub rejected: u64,
    /// Whether everything is released after the last commit and `settle`.
    pub releases_all: bool,
}

/// Checks every promise of [`Source`]; the first one that is broken ends it.
pub async fn source_suite<F: SourceFixture>(fixture: &F) -> Result<Passed, Broken> {
    within(DESCRIBES, describes(fixture)).await?;
    within(ALL_ROWS, reads_everything(fixture)).await?;
    within(RESUMES, resumes_anywhere(fixture)).await?;
    within(SETTLES, releases_what_is_committed(fixture)).await?;
    within(DROPPED, survives_dropped_futures(fixture)).await?;
    within(CONTINUES, continues(fixture)).await?;
    within(LOOKS, looks_without_a_trace(fixture)).await?;
    Ok(Passed { checks: SOURCE_CHECKS.to_vec() })
}

/// A source, and the engine's end of its `Committed`.
struct Opened {
    source: Box<dyn Source>,
    committed: CommittedSender,
}

async fn open<F: SourceFixture>(
    check: &'static str,
    upstream: &F::Upstream,
    resume: &Checkpoint,
    bound: Bound,
    limits: Limits,
) -> Result<Opened, Broken> {
    let (sender, committed) = Committed::channel(resume.clone());
    let mut cx = source_context(upstream.place(), resume.clone(), committed, bound);
    cx.limits = limits;
    let opened = F::Connector::open(upstream.config(), cx).await;
    Ok(Opened { source: opened.attempt(check, "opening the source")?, committed: sender })
}

async fn upstream<F: SourceFixture>(check: &'static str, fixture: &F) -> Result<F::Upstream, Broken> {
    fixture.upstream().await.attempt(check, "making an upstream")
}

async fn describes<F: SourceFixture>(fixture: &F) -> Result<(), Broken> {
    let upstream = upstream(DESCRIBES, fixture).await?;
    let config = upstream.config();
    let problems = F::Connector::validate(&config);
    let wrong = problems.iter().find(|p| p.severity == Severity::Error);
    ensure(DESCRIBES, wrong.is_none(), || format!("validate says {wrong:?}"))?;
    let findings = F::Connector::check(config.clone(), upstream.place()).await.attempt(DESCRIBES, "check")?;
    let wrong = findings.iter().find(|f| f.severity == Severity::Error);
    ensure(DESCRIBES, wrong.is_none(), || format!("check says {wrong:?}"))?;
    let splits = F::Connector::splits(config.clone(), upstream.place()).await.attempt(DESCRIBES, "splits")?;
    ensure(DESCRIBES, splits >= 1, || "there are no splits".into())?;
    let base = upstream.place().base;
    let fingerprint = |config| F::Connector::fingerprint(config, &base);
    let fingerprints = (fingerprint(&config), fingerprint(&upstream.config()));
    ensure(DESCRIBES, fingerprints.0 == fingerprints.1 && !fingerprints.0.is_empty(), || {
        format!("the fingerprint is not always the same text: {fingerprints:?}")
    })
}

/// One read with wide limits, `Committed` empty all the time.
async fn reads_everything<F: SourceFixture>(fixture: &F) -> Result<(), Broken> {
    let upstream = upstream(ALL_ROWS, fixture).await?;
    let mut opened = open::<F>(ALL_ROWS, &upstream, &Checkpoint::default(), Bound::Once, limits()).await?;
    let reading = read_all(opened.source.as_mut(), limits(), Patience::Waits).await?;
    expect_rows(ALL_ROWS, &reading, &fixture.expected())?;
    not_released(&upstream, &reading, 0).await?;
    for _ in 0..2 {
        let again = tokio::time::timeout(Duration::from_secs(30), opened.source.next()).await;
        let is_ended = matches!(again, Ok(Ok(None)));
        ensure(ENDED, is_ended, || "after its end next gave something else than None at once".into())?;
    }
    describes_checkpoints::<F>(&upstream.config(), &reading)?;
    reads_raw::<F>(&upstream.config(), &reading)
}

fn describes_checkpoints<F: SourceFixture>(
    config: &<F::Connector as SourceConnector>::Config,
    reading: &Reading,
) -> Result<(), Broken> {
    for Stop { checkpoint, .. } in &reading.stops {
        let lines = F::Connector::describe(config, checkpoint).len();
        ensure(DESCRIBES, lines >= checkpoint.parts.len(), || {
            format!("describe gives {lines} lines for {} open parts", checkpoint.parts.len())
        })?;
        let stays = F::Connector::jump(config, checkpoint, &[]).attempt(DESCRIBES, "a jump to nowhere")?;
        ensure(DESCRIBES, stays == *checkpoint, || "a jump to nowhere changed the checkpoint".into())?;
    }
    Ok(())
}

fn reads_raw<F: SourceFixture>(
    config: &<F::Connector as SourceConnector>::Config,
    reading: &Reading,
) -> Result<(), Broken> {
    for row in &reading.rejected {
        match F::Connector::parse_raw(config, &row.clone().into_entry(&split("raw", 0), 1), &[]) {
            Ok(batch) => batch.check().attempt(READS_RAW, "checking what was read again")?,
            Err(e) if e.kind() == Kind::Misconfigured => {}
            Err(e) => return Err(broken(READS_RAW, format!("reading {} again gave {e:?}", row.origin))),
        }
    }
    Ok(())
}

/// Reads with narrow limits, then from each checkpoint of that to the end. In rising order, since what is committed may
/// be released.
async fn resumes_anywhere<F: SourceFixture>(fixture: &F) -> Result<(), Broken> {
    let upstream = upstream(RESUMES, fixture).await?;
    let narrow = narrow(limits());
    let start = Checkpoint::default();
    let mut first = open::<F>(RESUMES, &upstream, &start, Bound::Once, narrow).await?;
    let whole = read_all(first.source.as_mut(), narrow, Patience::Waits).await?;
    drop(first);
    expect_rows(RESUMES, &whole, &fixture.expected())?;
    let beginning = Stop { arrivals: 0, checkpoint: start, advance: Advance::default() };
    for stop in std::iter::once(&beginning).chain(&whole.stops) {
        let mut opened = open::<F>(RESUMES, &upstream, &stop.checkpoint, Bound::Once, narrow).await?;
        let mut rest = Reading::from(stop.checkpoint.clone(), narrow);
        rest.read_to_end(opened.source.as_mut(), Patience::Waits).await?;
        if let Some(seen) = difference(&rest.arrivals, &whole.arrivals[stop.arrivals..]) {
            return Err(broken(RESUMES, format!("opened at {:?}: {seen}", stop.checkpoint.parts)));
        }
        ensure(RESUMES, rest.checkpoint().parts == whole.checkpoint().parts, || {
            let ends = (&rest.checkpoint().parts, &whole.checkpoint().parts);
            format!("opened at {:?} it ends at {:?}, not at {:?}", stop.checkpoint.parts, ends.0, ends.1)
        })?;
    }
    Ok(())
}

/// Commits one stop behind what is read, as an engine with an epoch in flight, and looks upstream each time.
async fn releases_what_is_committed<F: SourceFixture>(fixture: &F) -> Result<(), Broken> {
    let upstream = upstream(NOT_EARLY, fixture).await?;
    let narrow = narrow(limits());
    let start = Checkpoint::default();
    // the rows that are still to come must not be released either
    let mut preview = open::<F>(NOT_EARLY, &upstream, &start, Bound::Once, narrow).await?;
    let whole = read_all(preview.source.as_mut(), narrow, Patience::Waits).await?;
    drop(preview);
    let mut opened = open::<F>(NOT_EARLY, &upstream, &start, Bound::Once, narrow).await?;
    let mut reading = Reading::from(start, narrow);
    let mut committed = 0;
    while reading.one(opened.source.as_mut(), Patience::Waits).await? {
        while committed + 1 < reading.stops.len() {
            commit(&mut opened, &reading.stops[committed]).await?;
            committed += 1;
        }
        let covered = committed.checked_sub(1).map_or(0, |last| reading.stops[last].arrivals);
        not_released_but(&upstream, &reading, &whole, covered).await?;
    }
    for stop in &reading.stops[committed..] {
        commit(&mut opened, stop).await?;
    }
    settles::<F>(fixture, &upstream, opened, &reading).await
}

async fn commit(opened: &mut Opened, stop: &Stop) -> Result<(), Broken> {
    opened.source.vouch(&stop.advance).await.attempt(VOUCHES, "vouching for an advance")?;
    opened.committed.publish(stop.checkpoint.clone());
    Ok(())
}

async fn settles<F: SourceFixture>(
    fixture: &F,
    upstream: &F::Upstream,
    mut opened: Opened,
    reading: &Reading,
) -> Result<(), Broken> {
    let end = reading.checkpoint().clone();
    for _ in 0..2 {
        opened.source.settle(&end).await.attempt(SETTLES, "settling")?;
    }
    if fixture.expected().releases_all {
        let rows: Vec<RowOrigin> = reading.arrivals.iter().map(|a| a.origin.clone()).collect();
        let released = upstream.released(&rows).await.attempt(SETTLES, "looking upstream")?;
        let kept = rows.iter().zip(&released).find(|(_, released)| !**released).map(|(origin, _)| origin);
        ensure(SETTLES, kept.is_none(), || format!("{kept:?} is committed and settled, and not released"))?;
    }
    drop(opened);
    let mut again = open::<F>(SETTLES, upstream, &end, Bound::Once, limits()).await?;
    let mut nothing = Reading::from(end, limits());
    nothing.read_to_end(again.source.as_mut(), Patience::Waits).await?;
    ensure(SETTLES, nothing.arrivals.is_empty(), || {
        format!("opened at the end it gave {} rows again", nothing.arrivals.len())
    })?;
    again.source.settle(nothing.checkpoint()).await.attempt(SETTLES, "settling after a reopen")
}

async fn survives_dropped_futures<F: SourceFixture>(fixture: &F) -> Result<(), Broken> {
    let upstream = upstream(DROPPED, fixture).await?;
    let narrow = narrow(limits());
    let start = Checkpoint::default();
    let mut calm = open::<F>(DROPPED, &upstream, &start, Bound::Once, narrow).await?;
    let whole = read_all(calm.source.as_mut(), narrow, Patience::Waits).await?;
    drop(calm);
    let mut opened = open::<F>(DROPPED, &upstream, &start, Bound::Once, narrow).await?;
    let mut reading = Reading::from(start, narrow);
    let read = reading.read_to_end(opened.source.as_mut(), Patience::Drops).await;
    read.map_err(|e| broken(DROPPED, e.to_string()))?;
    match difference(&reading.arrivals, &whole.arrivals) {
        Some(seen) => Err(broken(DROPPED, seen)),
        None => Ok(()),
    }
}

async fn continues<F: SourceFixture>(fixture: &F) -> Result<(), Broken> {
    let upstream = upstream(CONTINUES, fixture).await?;
    let start = Checkpoint::default();
    let mut opened = open::<F>(CONTINUES, &upstream, &start, Bound::Continuous, limits()).await?;
    let mut reading = Reading::from(start, limits());
    let expected = fixture.expected();
    let all = expected.rows.len() + expected.rejected as usize;
    while reading.arrivals.len() < all {
        let goes_on = reading.one(opened.source.as_mut(), Patience::Waits).await?;
        ensure(CONTINUES, goes_on, || "the input ended".into())?;
    }
    expect_rows(CONTINUES, &reading, &expected)?;
    // long enough for a wrong end or a doubled row to show, short enough for every run
    let quiet = Duration::from_millis(100);
    let more = tokio::time::timeout(quiet, reading.one(opened.source.as_mut(), Patience::Waits)).await;
    ensure(CONTINUES, !matches!(more, Ok(Ok(false))), || "the input ended".into())?;
    if let Ok(Err(e)) = more {
        return Err(e);
    }
    expect_rows(CONTINUES, &reading, &expected)
}

async fn read_all(source: &mut dyn Source, limits: Limits, patience: Patience) -> Result<Reading, Broken> {
    let mut reading = Reading::from(Checkpoint::default(), limits);
    reading.read_to_end(source, patience).await?;
    Ok(reading)
}

pub(super) fn expect_rows(check: &'static str, reading: &Reading, expected: &Expected) -> Result<(), Broken> {
    let mut came: Vec<&str> = reading.arrivals.iter().filter(|a| !a.is_rejected).map(|a| a.cells.as_str()).collect();
    let mut should: Vec<&str> = expected.rows.iter().map(String::as_str).collect();
    came.sort_unstable();
    should.sort_unstable();
    let at = (0..came.len().max(should.len())).find(|i| came.get(*i) != should.get(*i));
    ensure(check, at.is_none(), || {
        let at = at.unwrap_or_default();
        let (came, should) = ((came.len(), came.get(at)), (should.len(), should.get(at)));
        format!(
            "{} rows came instead of {}; sorted, the first other one is {:?} instead of {:?}",
            came.0, should.0, came.1, should.1
        )
    })?;
    let rejected = reading.rejected.len() as u64;
    ensure(check, rejected == expected.rejected, || {
        format!("{rejected} rows were rejected instead of {}", expected.rejected)
    })
}

async fn not_released<C: SourceConnector>(
    upstream: &impl SourceUpstream<C>,
    reading: &Reading,
    covered: usize,
) -> Result<(), Broken> {
    not_released_but(upstream, reading, reading, covered).await
}

/// Of all rows of `whole`, only the first `covered` ones of `reading` may be released.
async fn not_released_but<C: SourceConnector>(
    upstream: &impl SourceUpstream<C>,
    reading: &Reading,
    whole: &Reading,
    covered: usize,
) -> Result<(), Broken> {
    let may: HashSet<&RowOrigin> = reading.arrivals[..covered].iter().map(|a| &a.origin).collect();
    let rows: Vec<RowOrigin> =
        whole.arrivals.iter().map(|a| &a.origin).filter(|origin| !may.contains(origin)).cloned().collect();
    let released = upstream.released(&rows).await.attempt(NOT_EARLY, "looking upstream")?;
    let early = rows.iter().zip(&released).find(|(_, released)| **released).map(|(origin, _)| origin);
    ensure(NOT_EARLY, early.is_none(), || {
        format!("{early:?} is released while {covered} of {} rows are committed", whole.arrivals.len())
    })
}
