//! Replay of quarantined rows: a split of its own, whose source is the quarantine. A row and the mark that it went through are
//! one epoch, and whoever replays fences whoever did before, so that a row goes through once however often it is asked for.

use crate::adoption::moved;
use crate::config::PipelineSpec;
use crate::registry::{BoundSink, BoundSource};
use crate::run::{FenceGate, Scene, check_context, plan};
use crate::status::StatusBoard;
use crate::steps::Steps;
use crate::supervisor::{SplitEnd, supervise};
use async_trait::async_trait;
use serde::Serialize;
use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use unbatch_api::quarantine::{Edit, QuarantineFilter, QuarantineReader};
use unbatch_api::{
    Advance, Batch, Bound, CheckContext, Checkpoint, Error, Finding, Jump, NoteKey, PartView, Problem, QuarantineEntry,
    RejectedRow, Result, RowOrigin, Source, SourceContext, SplitId, SplitIndex, StreamName, StreamSchema,
};

/// Entries that are read at once; each keeps at most 256 KiB of its row.
const PAGE: usize = 64;
/// Entries that are told one by one; all are counted.
const TOLD_MAX: usize = 1_000;
/// Rows that are held against newer ones with the same key; of more nothing is said.
pub const COMPARED_MAX: usize = 10_000;

/// Which entries, and what is changed in their rows before they are read again.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    pub filter: QuarantineFilter,
    pub edits: Vec<Edit>,
    /// Leave a row waiting when readers see a newer one with its key.
    pub keep_newer: bool,
}

/// What a replay did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Replayed {
    /// Rows that are in the sink now.
    pub rows: u64,
    /// Entries whose row the steps leave out; they are done with too.
    pub filtered: u64,
    /// Rows that the sink refused now, for which there are new entries.
    pub refused: u64,
    /// Entries that wait on, since their rows cannot be taken as they are.
    pub still_wrong: u64,
    /// The first of them.
    pub told: Vec<StillWrong>,
    /// Rows, of the first [`COMPARED_MAX`], for whose key readers saw a newer row. They stand in its place now, or wait on with
    /// [`Choice::keep_newer`].
    pub overtaking: Vec<Place>,
}

/// An entry and where its row came from.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    pub id: String,
    pub place: RowOrigin,
}

/// Why a row cannot be taken yet; without its content.
#[derive(Clone, Debug, Serialize)]
pub struct StillWrong {
    pub id: String,
    pub place: RowOrigin,
    pub code: String,
    pub message: String,
}

/// What becomes of one entry's row.
#[derive(Debug)]
pub enum Verdict {
    /// As it will be written, after the steps.
    Goes {
        row: Batch,
        /// Readers see a newer row with the same key, and would see this one in its place.
        overtakes: bool,
    },
    /// The steps leave it out.
    Filtered(Batch),
    StillWrong(RejectedRow),
}

/// Writes the chosen rows to the sink. What was committed before an error or a stop is counted in the result all the same.
pub async fn replay(
    spec: &PipelineSpec,
    scene: &Scene,
    choice: Choice,
    mut stop: watch::Receiver<bool>,
) -> (Replayed, Option<Error>) {
    let looked = async {
        let overtaking = overtaking(spec, scene, &choice).await?;
        Ok((overtaking, revision(spec, scene).await?))
    };
    let (overtaking, revision) = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => return (Replayed::default(), None),
        looked = looked => match looked {
            Ok(looked) => looked,
            Err(error) => return (Replayed::default(), Some(error)),
        },
    };
    let left =
        if choice.keep_newer { overtaking.iter().map(|place| place.id.clone()).collect() } else { BTreeSet::new() };
    let found = Arc::new(Mutex::new(Found::default()));
    let source = Quarantined {
        source: spec.source.clone(),
        sink: spec.sink.clone(),
        steps: spec.steps.clone(),
        choice,
        left,
        revision,
        found: found.clone(),
    };
    // the steps run where the entries are read, so that a row which they refuse stays the entry that it was
    let spec = PipelineSpec { source: Arc::new(source), steps: Vec::new(), formerly: None, ..spec.clone() };
    let scene = Scene { bound: Bound::Once, ..scene.clone() };
    let id = SplitId { pipeline: spec.name.clone(), index: SplitIndex::Replay };
    let mut ended = None;
    let mut totals = crate::status::Totals::default();
    for split in plan(spec, vec![id], 1, &scene, &StatusBoard::default()) {
        let record = split.record.clone();
        ended = Some(supervise(Arc::new(split), Arc::new(FenceGate::new(1)), stop.clone()).await);
        totals = record.totals();
    }
    let found = std::mem::take(&mut *lock(&found));
    let replayed = Replayed {
        rows: totals.written + totals.ignored,
        refused: totals.quarantined,
        filtered: found.filtered.len() as u64,
        still_wrong: found.still_wrong,
        told: found.told,
        overtaking,
    };
    match ended {
        Some(SplitEnd::Failed(error)) => (replayed, Some(error)),
        _ => (replayed, None),
    }
}

/// What a replay would do with each chosen entry, up to `limit`; changes nothing.
pub async fn rehearse(
    spec: &PipelineSpec,
    scene: &Scene,
    choice: &Choice,
    limit: usize,
) -> Result<Vec<(QuarantineEntry, Verdict)>> {
    let revision = revision(spec, scene).await?;
    let mut reader = spec.sink.quarantine(place(spec, scene)).await?;
    let mut reading = Reading::new(spec.source.clone(), spec.steps.clone(), choice.edits.clone(), revision);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = reader.list(&choice.filter, after.as_deref(), PAGE.min(limit - seen.len())).await?;
        for entry in page.entries {
            let verdict = reading.read(&entry)?;
            seen.push((entry, verdict));
        }
        after = page.next;
        if after.is_none() || seen.len() >= limit {
            break;
        }
    }
    compare(spec, scene, &mut seen).await?;
    Ok(seen)
}

/// Finds out which rows would come on top of newer ones.
async fn compare(spec: &PipelineSpec, scene: &Scene, seen: &mut [(QuarantineEntry, Verdict)]) -> Result<()> {
    let mut asked = Vec::new();
    let mut answers = Vec::new();
    for (entry, verdict) in seen {
        if let (Verdict::Goes { row, overtakes }, Some(refused_at)) = (verdict, entry.refused_at) {
            asked.push((row.clone(), refused_at));
            answers.push(overtakes);
        }
    }
    if asked.is_empty() {
        return Ok(());
    }
    for (overtakes, found) in
        answers.into_iter().zip(spec.sink.overtaken(place(spec, scene), asked).await?.into_iter().flatten())
    {
        *overtakes = found;
    }
    Ok(())
}

async fn overtaking(spec: &PipelineSpec, scene: &Scene, choice: &Choice) -> Result<Vec<Place>> {
    let seen = rehearse(spec, scene, choice, COMPARED_MAX).await?;
    let overtaking = seen.into_iter().filter(|(_, verdict)| matches!(verdict, Verdict::Goes { overtakes: true, .. }));
    Ok(overtaking.map(|(entry, _)| Place { id: entry.id, place: entry.origin }).collect())
}

fn place(spec: &PipelineSpec, scene: &Scene) -> CheckContext {
    check_context(spec, scene, SplitId::new(spec.name.clone(), 0))
}

/// The number of today's configuration, as the pipeline itself has it or will have it with its next start.
async fn revision(spec: &PipelineSpec, scene: &Scene) -> Result<u64> {
    let Some(stored) = spec.sink.inspect(place(spec, scene)).await? else { return Ok(1) };
    let facts = stored.facts;
    if let Some(to) = &facts.moved_to {
        return Err(moved(&spec.name, to));
    }
    let known = facts.revisions.iter().find(|(hash, _)| *hash == spec.hash).map(|(_, number)| *number);
    let highest = facts.revisions.iter().map(|(_, number)| *number).max().unwrap_or(0).max(facts.revision);
    Ok(known.unwrap_or(highest + 1))
}

/// Reads entries as rows again.
struct Reading {
    source: Arc<dyn BoundSource>,
    steps: Steps,
    edits: Vec<Edit>,
    revision: u64,
}

impl Reading {
    fn new(
        source: Arc<dyn BoundSource>,
        steps: Vec<Arc<dyn unbatch_api::Step>>,
        edits: Vec<Edit>,
        revision: u64,
    ) -> Self {
        Self { source, steps: Steps::new(steps), edits, revision }
    }

    fn read(&mut self, entry: &QuarantineEntry) -> Result<Verdict> {
        let named = |error: Error| error.with("id", &entry.id).with("place", &entry.origin);
        let mut batch = self.source.parse_raw(entry, &self.edits).map_err(named)?;
        batch.check()?;
        batch.origin.revision = self.revision;
        if let Some(rejected) = batch.rejected.pop() {
            return Ok(Verdict::StillWrong(rejected));
        }
        let (mut batch, _) = self.steps.apply(batch)?;
        Ok(match batch.rejected.pop() {
            Some(rejected) => Verdict::StillWrong(rejected),
            None if batch.rows.num_rows() == 0 => Verdict::Filtered(batch),
            None => Verdict::Goes { row: batch, overtakes: false },
        })
    }
}

/// What was found while reading, for the person who asked.
#[derive(Default)]
struct Found {
    /// Ids, since an attempt that failed reads the same entries again.
    filtered: BTreeSet<String>,
    still_wrong: u64,
    told: Vec<StillWrong>,
}

fn lock(found: &Mutex<Found>) -> MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pipeline's quarantine in the place of its source.
struct Quarantined {
    source: Arc<dyn BoundSource>,
    sink: Arc<dyn BoundSink>,
    steps: Vec<Arc<dyn unbatch_api::Step>>,
    choice: Choice,
    /// Ids of entries that are passed over.
    left: BTreeSet<String>,
    revision: u64,
    found: Arc<Mutex<Found>>,
}

#[async_trait]
impl BoundSource for Quarantined {
    fn name(&self) -> &'static str {
        "quarantine"
    }
    fn counts_rejected(&self) -> bool {
        true
    }
    fn validate(&self) -> Vec<Problem> {
        Vec::new()
    }
    fn streams(&self) -> Vec<(StreamName, Arc<StreamSchema>)> {
        self.source.streams()
    }
    /// It has no positions in the source, so another source is nothing to it.
    fn fingerprint(&self, _: &Path) -> String {
        self.name().to_owned()
    }
    async fn check(&self, _: CheckContext) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
    async fn splits(&self, _: CheckContext) -> Result<u32> {
        Ok(1)
    }
    /// The sink is open by now: whoever replayed before can commit no more, and its marks have to be seen.
    async fn open(&self, cx: SourceContext) -> Result<Box<dyn Source>> {
        let mut reader = self.sink.quarantine(cx.place).await?;
        if !unbatch_api::failpoint::sabotaged("replay-catches-up") {
            reader.catch_up().await?;
        }
        let mut found = lock(&self.found);
        (found.still_wrong, found.told) = (0, Vec::new());
        let (source, steps) = (self.source.clone(), self.steps.clone());
        Ok(Box::new(QuarantineSource {
            reader,
            filter: QuarantineFilter { with_replayed: false, ..self.choice.filter.clone() },
            reading: Reading::new(source, steps, self.choice.edits.clone(), self.revision),
            after: None,
            page: VecDeque::new(),
            left: self.left.clone(),
            is_last: false,
            found: self.found.clone(),
        }))
    }
    fn parse_raw(&self, entry: &QuarantineEntry, edits: &[Edit]) -> Result<Batch> {
        self.source.parse_raw(entry, edits)
    }
    fn describe(&self, _: &Checkpoint) -> Vec<PartView> {
        Vec::new()
    }
    fn jump(&self, checkpoint: &Checkpoint, _: &[Jump]) -> Result<Checkpoint> {
        Ok(checkpoint.clone())
    }
}

/// Entries that wait, oldest first. What went through is marked and not listed again, so there is no position to keep.
struct QuarantineSource {
    reader: Box<dyn QuarantineReader>,
    filter: QuarantineFilter,
    reading: Reading,
    after: Option<String>,
    page: VecDeque<QuarantineEntry>,
    left: BTreeSet<String>,
    is_last: bool,
    found: Arc<Mutex<Found>>,
}

impl QuarantineSource {
    fn batch_of(&mut self, entry: QuarantineEntry) -> Result<Option<Batch>> {
        let mut batch = match self.reading.read(&entry)? {
            Verdict::Goes { row, .. } => row,
            Verdict::Filtered(batch) => {
                lock(&self.found).filtered.insert(entry.id.clone());
                batch
            }
            Verdict::StillWrong(rejected) => {
                let mut found = lock(&self.found);
                found.still_wrong += 1;
                if found.told.len() < TOLD_MAX {
                    found.told.push(StillWrong {
                        id: entry.id,
                        place: entry.origin,
                        code: rejected.code.into_owned(),
                        message: rejected.message,
                    });
                }
                return Ok(None);
            }
        };
        // an epoch of nothing but marks has to be an epoch too
        let last = entry.id.clone().into_bytes().into();
        batch.advance = Some(Advance::default().note(NoteKey::from("replay/last"), Some(last)));
        batch.replayed = vec![QuarantineEntry { replayed: Some(self.reading.revision), ..entry }];
        Ok(Some(batch))
    }
}

#[async_trait]
impl Source for QuarantineSource {
    async fn next(&mut self) -> Result<Option<Batch>> {
        loop {
            while let Some(entry) = self.page.pop_front() {
                if self.left.contains(&entry.id) {
                    continue;
                }
                if let Some(batch) = self.batch_of(entry)? {
                    return Ok(Some(batch));
                }
            }
            if self.is_last {
                return Ok(None);
            }
            let page = self.reader.list(&self.filter, self.after.as_deref(), PAGE).await?;
            self.is_last = page.next.is_none();
            self.after = page.next;
            self.page = page.entries.into();
        }
    }
    async fn vouch(&mut self, _: &Advance) -> Result<()> {
        Ok(())
    }
    async fn settle(&mut self, _: &Checkpoint) -> Result<()> {
        Ok(())
    }
}
