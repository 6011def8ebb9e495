//! The suite of sinks: its fixture, and the checks of one owner that nothing disturbs.

use super::ledger::{
    Owner, STREAM, advance, agree, fence, good, lawful, number_of, open, open_fenced, place, quarantined,
};
use super::{Attempt, Broken, Passed, broken, ensure, sink_commit, sink_fence, within};
use crate::batch::{Batch, Op};
use crate::checkpoint::{Advance, Checkpoint, NOTE_BYTES_MAX, NoteKey};
use crate::connector::{Severity, SinkConnector};
use crate::context::CheckContext;
use crate::error::{Error, Kind, Result};
use crate::facts::{Facts, Rewrite, Stored};
use crate::names::StreamName;
use crate::quarantine::{QuarantineEntry, QuarantineFilter, Settlement, Stage};
use crate::testkit::context::{first_facts, sink_context};
use crate::testkit::rows::RowBatch;
use async_trait::async_trait;
use bytes::Bytes;
use futures::try_join;
use std::sync::{Arc, Mutex, PoisonError};

const DESCRIBES: &str = "the connector describes itself";
const FIRST: &str = "a first open finds nothing";
const HIDDEN: &str = "nothing is visible before the commit";
const WHOLE: &str = "a commit shows rows, rejected rows, notes and checkpoint together";
const RECEIPT: &str = "the receipt counts every row given";
const FACTS: &str = "facts are kept; owner rises with each open, seq with each seal";
const NOTES: &str = "notes are set, changed, removed, and kept up to their limit";
const EMPTY: &str = "an epoch may hold an advance only";
const REFUSED: &str = "what admit refuses writes nothing";
const LOOKS: &str = "inspect and the quarantine reader fence nobody";
const PAGES: &str = "the quarantine gives pages and filters";
const MARKS: &str = "a mark that an entry was replayed goes with its epoch";
const TOO_LARGE: &str = "a row that is too large goes to quarantine";
const REWRITE: &str = "rewrite replaces the checkpoint, raises the generation and fences";
const REFUSED_REWRITE: &str = "a rewrite that is refused writes nothing, and the split goes on";

/// Every check of [`sink_suite`], in its order.
pub const SINK_CHECKS: [&str; 22] = [
    DESCRIBES,
    FIRST,
    HIDDEN,
    WHOLE,
    RECEIPT,
    FACTS,
    NOTES,
    EMPTY,
    REFUSED,
    LOOKS,
    PAGES,
    MARKS,
    TOO_LARGE,
    sink_commit::PIPELINED,
    sink_commit::ALL_OR_NOTHING,
    sink_commit::WATCHED,
    sink_commit::FAULTS,
    sink_fence::FENCED,
    sink_fence::IN_FLIGHT,
    sink_fence::APART,
    REWRITE,
    REFUSED_REWRITE,
];

/// What a sink's test gives: empty targets.
#[async_trait]
pub trait SinkFixture: Send + Sync {
    type Connector: SinkConnector;
    type Target: SinkTarget<Self::Connector>;

    /// A new, empty target: another topic, table or folder, or else another pipeline name. Dropping it may clean up.
    async fn target(&self) -> Result<Self::Target>;
}

/// One target, how to open a sink onto it, and what its readers see. The suite writes the stream `suite` with the columns
/// `id` (int64, the key, not null) and `text` (string), to splits 0 and 1.
#[async_trait]
pub trait SinkTarget<C: SinkConnector>: Send + Sync {
    fn config(&self) -> Arc<C::Config>;

    /// Deployment, split 0 of a pipeline, folder and resources that the connector is opened with.
    fn place(&self) -> CheckContext;

    fn profile(&self) -> SinkProfile;

    /// What a reader sees now who follows the documented way, each row as `id|text`, in the reader's order.
    async fn visible(&self) -> Result<Vec<String>>;

    /// Makes the next commit suffer one of [`SinkProfile::faults`].
    async fn arm(&self, fault: &'static str) -> Result<()>;

    /// No more faults.
    async fn disarm(&self) -> Result<()>;
}

/// What the suite must know about a sink.
#[derive(Clone, Debug, Default)]
pub struct SinkProfile {
    /// Readers see rows in the order in which they were written (one partition, one file).
    pub ordered: bool,
    /// The operation of the rows; `None`: they are appended.
    pub op: Option<Op>,
    /// Rows of more than this many bytes are refused by the sink, when the target is configured so.
    pub row_bytes_max: Option<usize>,
    /// Names of the faults that the target can [`SinkTarget::arm`], such as its failpoints: each place of a commit where
    /// it can fail, lose its reply or come late.
    pub faults: Vec<&'static str>,
}

/// Checks every promise of [`crate::Sink`]; the first one that is broken ends it. What the target's profile makes impossible to
/// check is not among the checks that passed.
pub async fn sink_suite<F: SinkFixture>(fixture: &F) -> Result<Passed, Broken> {
    // Each check has a target of its own, and most of its time is spent waiting; faults may be armed for a whole process.
    try_join!(undisturbed(fixture), sink_commit::run(fixture), sink_fence::run(fixture))?;
    sink_commit::run_faults(fixture).await?;
    let target = new_target(REFUSED_REWRITE, fixture).await?;
    within(REFUSED_REWRITE, rewrites_nothing_when_refused(&target)).await?;
    let profile = new_target(DESCRIBES, fixture).await?.profile();
    let ran = |check: &&str| match *check {
        TOO_LARGE => profile.row_bytes_max.is_some(),
        sink_commit::FAULTS => !profile.faults.is_empty(),
        _ => true,
    };
    Ok(Passed { checks: SINK_CHECKS.into_iter().filter(ran).collect() })
}

/// What one owner does that nothing disturbs.
async fn undisturbed<F: SinkFixture>(fixture: &F) -> Result<(), Broken> {
    within(DESCRIBES, describes(&new_target(DESCRIBES, fixture).await?)).await?;
    within(WHOLE, commits(&new_target(WHOLE, fixture).await?)).await?;
    within(FACTS, keeps_facts(&new_target(FACTS, fixture).await?)).await?;
    within(NOTES, keeps_notes(&new_target(NOTES, fixture).await?)).await?;
    within(REFUSED, refuses(&new_target(REFUSED, fixture).await?)).await?;
    within(LOOKS, looks(&new_target(LOOKS, fixture).await?)).await?;
    within(MARKS, marks_replayed(&new_target(MARKS, fixture).await?)).await?;
    within(TOO_LARGE, sets_large_rows_aside(&new_target(TOO_LARGE, fixture).await?)).await?;
    within(REWRITE, rewrites(&new_target(REWRITE, fixture).await?)).await
}

pub(super) async fn new_target<F: SinkFixture>(check: &'static str, fixture: &F) -> Result<F::Target, Broken> {
    fixture.target().await.attempt(check, "making a target")
}

async fn describes<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    let config = target.config();
    let streams = [(crate::names::StreamName::new(STREAM), RowBatch::schema())];
    let problems = C::validate(&config, &streams);
    let wrong = problems.iter().find(|p| p.severity == Severity::Error);
    ensure(DESCRIBES, wrong.is_none(), || format!("validate says {wrong:?}"))?;
    let findings = C::check(config.clone(), place(target, 0)).await.attempt(DESCRIBES, "check")?;
    let wrong = findings.iter().find(|f| f.severity == Severity::Error);
    ensure(DESCRIBES, wrong.is_none(), || format!("check says {wrong:?}"))?;
    let policy = C::commit_policy(&config);
    ensure(DESCRIBES, policy.rows > 0 && policy.bytes > 0 && !policy.every.is_zero(), || {
        format!("the commit policy never lets an epoch grow: {policy:?}")
    })
}

/// Two epochs and a bare advance, looked at before and after each commit.
async fn commits<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    let found = C::inspect(target.config(), place(target, 0)).await.attempt(FIRST, "inspect")?;
    ensure(FIRST, found.is_none(), || format!("inspect found {found:?}"))?;
    let seen = Arc::new(Mutex::new(None));
    let note = seen.clone();
    let admit = Box::new(move |stored: Option<&Stored>| -> Result<Facts> {
        *note.lock().unwrap_or_else(PoisonError::into_inner) = Some(stored.cloned());
        Ok(first_facts())
    });
    let mut owner = open_fenced(FIRST, fence(FIRST, target, 0).await?, target.profile().op, 0, admit).await?;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ensure(FIRST, seen == Some(None), || format!("admit was given {seen:?} instead of nothing"))?;
    ensure(FIRST, owner.committed.is_empty(), || format!("the checkpoint is {:?}", owner.committed))?;

    for _ in 0..2 {
        let before = owner.through();
        owner.write(4).await.attempt(HIDDEN, "writing")?;
        owner.write(7).await.attempt(HIDDEN, "writing")?;
        agree(HIDDEN, target, &[before]).await?;
        let (advance, sealed) = owner.seal();
        let receipt = sealed.await.attempt(WHOLE, "the commit")?;
        owner.done(WHOLE, &advance)?;
        agree(WHOLE, target, &[before + 11]).await?;
        let counted = (receipt.written, receipt.rejected, receipt.ignored);
        let good = good(before, before + 11);
        ensure(RECEIPT, counted == (good, 11 - good, 0), || {
            format!("{good} good and {} rejected rows were written: {receipt:?}", 11 - good)
        })?;
        ensure(RECEIPT, receipt.bytes > 0, || "the rows took no bytes".into())?;
    }
    let committed = owner.committed.clone();
    drop(owner);
    let again = open(WHOLE, target, 0).await?;
    same(WHOLE, &again.committed, &committed)?;
    lawful(WHOLE, target, &again.committed).await
}

async fn keeps_facts<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    let (mut owner_before, mut seq, mut written) = (0, 0, 0);
    let op = target.profile().op;
    for round in 1..=3u64 {
        let admitted = Facts {
            revision: round,
            config_hash: format!("hash-{round}"),
            fingerprint: "the suite's source, and a longer word about it".into(),
            splits: 2,
            revisions: (1..=round).map(|r| (format!("hash-{r}"), r)).collect(),
            ..first_facts()
        };
        let given = Arc::new(Mutex::new(None));
        let (note, answer) = (given.clone(), admitted.clone());
        let admit = Box::new(move |stored: Option<&Stored>| -> Result<Facts> {
            *note.lock().unwrap_or_else(PoisonError::into_inner) = stored.cloned();
            Ok(answer)
        });
        let mut owner = open_fenced(FACTS, fence(FACTS, target, 0).await?, op, 0, admit).await?;
        let stored = given.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let last = stored.as_ref().map(|s| (s.facts.revision, s.facts.seq, s.facts.counters.written));
        let should = (round > 1).then_some((round - 1, seq, written));
        ensure(FACTS, last == should, || {
            format!("admit was given (revision, seq, rows written) {last:?} instead of {should:?}")
        })?;
        same(FACTS, &stored.map(|s| s.checkpoint).unwrap_or_default(), &owner.committed)?;
        let facts = &owner.facts;
        ensure(FACTS, facts.owner > owner_before, || format!("owner {} came after owner {owner_before}", facts.owner))?;
        let kept = (facts.revision, &facts.config_hash, &facts.fingerprint, facts.splits, &facts.revisions);
        let should =
            (admitted.revision, &admitted.config_hash, &admitted.fingerprint, admitted.splits, &admitted.revisions);
        ensure(FACTS, kept == should, || format!("{admitted:?} were admitted, {facts:?} are kept"))?;
        owner_before = facts.owner;
        for _ in 0..round {
            written += owner.commit(FACTS, 6).await?.written;
            seq += 1;
        }
    }
    let stored = C::inspect(target.config(), place(target, 0)).await.attempt(FACTS, "inspect")?;
    let counted = stored.map(|s| (s.facts.seq, s.facts.counters.written));
    ensure(FACTS, counted == Some((seq, written)), || {
        format!("after {seq} commits of {written} rows the facts count {counted:?}")
    })
}

async fn keeps_notes<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    let mut owner = open(NOTES, target, 0).await?;
    let large = Bytes::from(vec![b'n'; NOTE_BYTES_MAX]);
    let set = |key: &str, value: &[u8]| (NoteKey::from(key), Some(Bytes::copy_from_slice(value)));
    let steps = [
        vec![set("ledger/00", b"one"), set("ledger/01", b""), (NoteKey::from("large"), Some(large))],
        vec![set("ledger/00", b"two \xff\x00 bytes")],
        vec![(NoteKey::from("ledger/01"), None), (NoteKey::from("large"), None)],
        vec![set("ledger/01", b"again"), (NoteKey::from("never-was"), None)],
    ];
    for notes in steps {
        owner.write(3).await.attempt(NOTES, "writing")?;
        let mut step = advance(&owner.committed, owner.written);
        step.notes.extend(notes);
        commit_step(NOTES, &mut owner, step).await?;
        let committed = owner.committed.clone();
        drop(owner);
        owner = open(NOTES, target, 0).await?;
        same(NOTES, &owner.committed, &committed)?;
    }
    let step = Advance::default().note("bare".into(), Some(Bytes::from_static(b"advance")));
    commit_step(EMPTY, &mut owner, step).await?;
    let mut step = advance(&owner.committed, owner.written + 9);
    step.closed.insert(STREAM.into());
    commit_step(EMPTY, &mut owner, step).await?;
    let committed = owner.committed.clone();
    ensure(EMPTY, committed.parts.is_empty(), || format!("the part is still open at {:?}", committed.parts))?;
    let again = open(EMPTY, target, 0).await?;
    same(EMPTY, &again.committed, &committed)
}

async fn commit_step(check: &'static str, owner: &mut Owner, step: Advance) -> Result<(), Broken> {
    owner.sink.seal(step.clone()).await.attempt(check, "the commit")?;
    owner.done(check, &step)
}

async fn refuses<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    open(REFUSED, target, 0).await?.commit(REFUSED, 6).await?;
    let before = C::inspect(target.config(), place(target, 0)).await.attempt(REFUSED, "inspect")?;
    let refusal = || -> Result<Facts> { Err(Error::misconfigured("admitting the suite's owner failed").code("U0999")) };
    let opened = fence(REFUSED, target, 0).await?.open(Box::new(move |_| refusal())).await;
    match opened {
        Ok(_) => return Err(broken(REFUSED, "the split was opened")),
        Err(e) if e.kind() == Kind::Misconfigured && e.code_text() == Some("U0999") => {}
        Err(e) => return Err(broken(REFUSED, format!("admit's error came back as {e:?}"))),
    }
    let after = C::inspect(target.config(), place(target, 0)).await.attempt(REFUSED, "inspect")?;
    let facts = |stored: &Option<crate::Stored>| stored.as_ref().map(|s| (s.facts.clone(), s.checkpoint.clone()));
    ensure(REFUSED, facts(&before) == facts(&after), || format!("{before:?} became {after:?}"))?;
    agree(REFUSED, target, &[6]).await
}

async fn looks<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    let mut owner = open(LOOKS, target, 0).await?;
    owner.commit(LOOKS, 21).await?;
    owner.write(4).await.attempt(LOOKS, "writing")?;
    let stored = C::inspect(target.config(), place(target, 0)).await.attempt(LOOKS, "inspect")?;
    let Some(stored) = stored else { return Err(broken(LOOKS, "inspect found nothing of a split with an owner")) };
    same(LOOKS, &stored.checkpoint, &owner.committed)?;
    ensure(LOOKS, stored.facts.owner == owner.facts.owner, || {
        format!("inspect found owner {}, the owner is {}", stored.facts.owner, owner.facts.owner)
    })?;
    let entries = quarantined(LOOKS, target).await?;
    let (advance, sealed) = owner.seal();
    sealed.await.attempt(LOOKS, "the commit after a look")?;
    owner.done(LOOKS, &advance)?;
    agree(LOOKS, target, &[25]).await?;

    let mut reader = C::quarantine(target.config(), place(target, 0)).await.attempt(PAGES, "opening the quarantine")?;
    let numbers: Vec<_> = entries.iter().filter_map(number_of).collect();
    ensure(PAGES, numbers == [5, 10, 15, 20], || format!("rows {numbers:?} came instead of 5, 10, 15, 20 in order"))?;
    let whole = entries.iter().all(|e| e.code == "bad_row" && e.stage == Stage::Source && e.stream.as_str() == STREAM);
    ensure(PAGES, whole, || format!("code, stage or stream is not that of the row: {entries:?}"))?;
    let known = entries.iter().all(|e| e.generation == owner.facts.generation);
    ensure(PAGES, known, || format!("not of generation {}: {entries:?}", owner.facts.generation))?;
    let nothing = QuarantineFilter { code: Some("another".into()), ..QuarantineFilter::default() };
    let page = reader.list(&nothing, None, 10).await.attempt(PAGES, "reading another code")?;
    ensure(PAGES, page.entries.is_empty(), || "entries of another code came".into())?;
    let one = QuarantineFilter { ids: Some(vec![entries[2].id.clone()]), ..QuarantineFilter::default() };
    let page = reader.list(&one, None, 10).await.attempt(PAGES, "reading by id")?;
    ensure(PAGES, page.entries == entries[2..3], || format!("by id came {:?}", page.entries))
}

async fn marks_replayed<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    let mut owner = open(MARKS, target, 0).await?;
    owner.commit(MARKS, 21).await?;
    let mut reader = C::quarantine(target.config(), place(target, 0)).await.attempt(MARKS, "opening the quarantine")?;
    reader.catch_up().await.attempt(MARKS, "catching up")?;
    let entries = quarantined(MARKS, target).await?;
    let settled = Some(Settlement { reason: Some("delivered anew".to_owned()) });
    let mark = QuarantineEntry { replayed: Some(7), settled: settled.clone(), ..entries[1].clone() };
    let batch = Batch::of_marks(StreamName::new(STREAM), vec![mark], 7);
    owner.sink.write(batch).await.attempt(MARKS, "writing a mark")?;
    let waiting = quarantined(MARKS, target).await?;
    ensure(MARKS, waiting == entries, || "the mark is visible before its commit".into())?;
    let step = Advance::default().note("replayed".into(), Some(Bytes::from_static(b"one")));
    let receipt = owner.sink.seal(step).await.attempt(MARKS, "the commit")?;
    ensure(MARKS, receipt.written + receipt.rejected == 0, || format!("the receipt counts a mark: {receipt:?}"))?;

    reader.catch_up().await.attempt(MARKS, "catching up")?;
    let page = reader.list(&QuarantineFilter::default(), None, 10).await.attempt(MARKS, "reading what waits")?;
    let others: Vec<&QuarantineEntry> = entries.iter().filter(|e| e.id != entries[1].id).collect();
    ensure(MARKS, page.entries.iter().eq(others), || format!("what waits is {:?}", page.entries))?;
    let all = QuarantineFilter { with_replayed: true, ..QuarantineFilter::default() };
    let page = reader.list(&all, None, 10).await.attempt(MARKS, "reading all")?;
    let marks = page.entries.iter().filter_map(|e| e.replayed.map(|by| (&e.id, &e.raw, by, &e.settled)));
    let marked: Vec<_> = marks.collect();
    ensure(MARKS, marked == [(&entries[1].id, &entries[1].raw, 7, &settled)], || format!("marked are {marked:?}"))?;
    ensure(MARKS, page.entries.len() == entries.len(), || format!("all are {:?}", page.entries))
}

async fn sets_large_rows_aside<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    let Some(most) = target.profile().row_bytes_max else { return Ok(()) };
    let mut owner = open(TOO_LARGE, target, 0).await?;
    let mut batch = RowBatch::new(STREAM, 1..2).text(&"x".repeat(most + 1));
    if let Some(op) = target.profile().op {
        batch = batch.op(op);
    }
    owner.sink.write(batch.build()).await.attempt(TOO_LARGE, "writing a row that is too large")?;
    let receipt = owner.sink.seal(advance(&owner.committed, 1)).await.attempt(TOO_LARGE, "the commit")?;
    ensure(TOO_LARGE, (receipt.written, receipt.rejected) == (0, 1), || format!("the receipt is {receipt:?}"))?;
    let visible = target.visible().await.attempt(TOO_LARGE, "reading what is visible")?;
    ensure(TOO_LARGE, visible.is_empty(), || "the row is visible".into())?;
    let entries = quarantined(TOO_LARGE, target).await?;
    let stages: Vec<Stage> = entries.iter().map(|e| e.stage).collect();
    ensure(TOO_LARGE, stages == [Stage::Sink], || format!("the quarantine holds entries of stages {stages:?}"))
}

async fn rewrites<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    let mut old = open(REWRITE, target, 0).await?;
    old.commit(REWRITE, 12).await?;
    old.write(3).await.attempt(REWRITE, "writing")?;
    let mut to = Checkpoint::default();
    to.parts.insert("elsewhere".into(), super::ledger::position(7));
    to.notes.insert("jumped".into(), Bytes::from_static(b"yes"));
    let cx = || sink_context(place(target, 0));
    let facts = C::rewrite(target.config(), cx(), jump_to(Some(to.clone()))).await.attempt(REWRITE, "rewrite")?;
    ensure(REWRITE, facts.generation > old.facts.generation, || {
        format!("generation {} came after {}", facts.generation, old.facts.generation)
    })?;
    let (_, sealed) = old.seal();
    let late = sealed.await;
    ensure(REWRITE, late.is_err(), || "the owner from before the rewrite committed after it".into())?;
    let new = open(REWRITE, target, 0).await?;
    same(REWRITE, &new.committed, &to)?;
    ensure(REWRITE, new.facts.generation == facts.generation && new.facts.owner > old.facts.owner, || {
        format!("{facts:?} were rewritten, {:?} came back", new.facts)
    })?;
    agree(REWRITE, target, &[12]).await?;
    drop(new);
    let facts = C::rewrite(target.config(), cx(), jump_to(None)).await.attempt(REWRITE, "rewrite to nothing")?;
    ensure(REWRITE, facts.generation > old.facts.generation, || "forgetting did not raise the generation".into())?;
    // a sink may keep the numbers of a forgotten split, so that they go on rising
    let stored = C::inspect(target.config(), place(target, 0)).await.attempt(REWRITE, "inspect")?;
    let is_forgotten = |s: &Stored| s.forgotten && s.checkpoint.is_empty() && s.facts.fingerprint.is_empty();
    ensure(REWRITE, stored.as_ref().is_some_and(is_forgotten), || format!("after forgetting, inspect found {stored:?}"))
}

fn jump_to(to: Option<Checkpoint>) -> Rewrite {
    Box::new(move |_| Ok(to))
}

/// A rewrite that was planned on something else than what is stored once everybody is fenced.
async fn rewrites_nothing_when_refused<C: SinkConnector>(target: &impl SinkTarget<C>) -> Result<(), Broken> {
    let mut old = open(REFUSED_REWRITE, target, 0).await?;
    old.commit(REFUSED_REWRITE, 12).await?;
    let before = C::inspect(target.config(), place(target, 0)).await.attempt(REFUSED_REWRITE, "inspect")?;
    let seen = before.clone();
    let refuse: Rewrite = Box::new(move |stored| {
        if stored != seen.as_ref() {
            return Err(Error::bug("what is stored was not shown to the rewrite"));
        }
        Err(Error::misconfigured("the plan was made on something else"))
    });
    let refused = C::rewrite(target.config(), sink_context(place(target, 0)), refuse).await;
    let kind = refused.as_ref().err().map(Error::kind);
    ensure(REFUSED_REWRITE, kind == Some(Kind::Misconfigured), || format!("the rewrite gave {refused:?}"))?;
    let after = C::inspect(target.config(), place(target, 0)).await.attempt(REFUSED_REWRITE, "inspect")?;
    ensure(REFUSED_REWRITE, before == after, || format!("{before:?} became {after:?}"))?;
    old.write(3).await.attempt(REFUSED_REWRITE, "writing")?;
    let (_, sealed) = old.seal();
    let late = sealed.await.err().map(|e| e.kind());
    ensure(REFUSED_REWRITE, matches!(late, None | Some(Kind::Transient)), || {
        format!("nobody took the split over, but its owner ended by {late:?}")
    })?;
    drop(old);
    open(REFUSED_REWRITE, target, 0).await.map(drop)
}

fn same(check: &'static str, came: &Checkpoint, should: &Checkpoint) -> Result<(), Broken> {
    let shape = |c: &Checkpoint| {
        let notes: Vec<_> = c.notes.iter().map(|(k, v)| (k.clone(), v.len())).collect();
        (c.parts.clone(), notes)
    };
    ensure(check, came == should, || {
        format!("the checkpoint is {:?} instead of {:?} (parts, lengths of notes)", shape(came), shape(should))
    })
}
