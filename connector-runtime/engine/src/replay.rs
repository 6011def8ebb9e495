//! Replay of quarantined rows: a split of its own, whose source is the quarantine. A row and the mark that it went through are
//! one epoch, and whoever replays fences whoever did before, so that a row goes through once however often it is asked for.

mod settle;
mod source;

use crate::adoption::moved;
use crate::config::PipelineSpec;
use crate::registry::BoundSource;
use crate::run::{FenceGate, Scene, check_context, plan};
use crate::status::{SplitRecord, StatusBoard};
use crate::steps::Steps;
use crate::supervisor::{SplitEnd, supervise};
use serde::Serialize;
pub use settle::{Settled, settle};
use source::{Found, PAGE, Quarantined, lock};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use unbatch_api::config::Resolver;
use unbatch_api::figures::bytes;
use unbatch_api::quarantine::{Edit, Mend, QuarantineFilter, RawRow, Settlement, UnreadableEntry};
use unbatch_api::{
    Batch, Bound, CheckContext, Error, Kind, QuarantineEntry, RejectedRow, Result, RowOrigin, SplitId, SplitIndex,
    Stage,
};

/// Entries that are told one by one; all are counted.
const TOLD_MAX: usize = 1_000;
/// Rows that are held against newer ones with the same key, and their bytes; of more nothing is said.
pub const COMPARED_MAX: usize = 10_000;
pub const COMPARED_BYTES_MAX: usize = 64 << 20;

/// Which entries, and what is changed in their rows before they are read again.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    pub filter: QuarantineFilter,
    pub edits: Vec<Edit>,
    /// More of them, computed from each row.
    pub mend: Option<Arc<dyn Mend>>,
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
    /// Entries that wait on, since the positions were reset or moved after they were refused: their rows may have come again.
    pub outdated: u64,
    /// The first of them.
    pub passed_over: Vec<PassedOver>,
    /// What stands in the quarantine and is no entry. Whatever it was before, it is not replayed.
    pub unreadable: Vec<UnreadableEntry>,
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

/// An entry that is left waiting since its row may have come again by itself.
#[derive(Clone, Debug, Serialize)]
pub struct PassedOver {
    pub id: String,
    pub place: RowOrigin,
    /// Why it was refused.
    pub code: String,
    /// Generation of the positions when it was refused, and the one of today; each reset or move by hand raises it.
    pub generation: u64,
    pub generation_now: u64,
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
    /// Refused before the positions were reset or moved by hand: the row may have come again, so only who names it by its id gets it.
    Outdated {
        generation: u64,
        now: u64,
    },
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
        Ok((overtaking, today(spec, scene).await?))
    };
    let (overtaking, today) = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => return (Replayed::default(), None),
        looked = looked => match looked {
            Ok(looked) => looked,
            Err(error) => return (Replayed::default(), Some(error)),
        },
    };
    let left =
        if choice.keep_newer { overtaking.iter().map(|place| place.id.clone()).collect() } else { BTreeSet::new() };
    let found = Arc::new(Mutex::new(Found::default()));
    let purpose = Purpose::Replay { choice, left };
    let (ended, record) = run(spec, scene, purpose, today, &found, stop).await;
    let totals = record.map(|record| record.totals()).unwrap_or_default();
    let found = std::mem::take(&mut *lock(&found));
    let replayed = Replayed {
        rows: totals.written + totals.ignored,
        refused: totals.quarantined,
        filtered: found.filtered.len() as u64,
        outdated: found.outdated,
        passed_over: found.passed_over,
        unreadable: found.unreadable,
        still_wrong: found.still_wrong,
        told: found.told,
        overtaking,
    };
    match ended {
        Some(SplitEnd::Failed(error)) => (replayed, Some(error)),
        _ => (replayed, None),
    }
}

/// What is done with the entries that are read.
enum Purpose {
    Replay {
        choice: Choice,
        /// Ids of entries that are passed over.
        left: BTreeSet<String>,
    },
    Settle {
        filter: QuarantineFilter,
        how: Settlement,
    },
}

impl Purpose {
    fn filter(&self) -> QuarantineFilter {
        let filter = match self {
            Purpose::Replay { choice, .. } => &choice.filter,
            Purpose::Settle { filter, .. } => filter,
        };
        QuarantineFilter { with_replayed: false, ..filter.clone() }
    }
}

/// Runs the split `<pipeline>/replay` to its end: whoever runs it later fences whoever did before.
async fn run(
    spec: &PipelineSpec,
    scene: &Scene,
    purpose: Purpose,
    today: Today,
    found: &Arc<Mutex<Found>>,
    stop: watch::Receiver<bool>,
) -> (Option<SplitEnd>, Option<Arc<SplitRecord>>) {
    let source = Quarantined { spec: spec.clone(), purpose: Arc::new(purpose), today, found: found.clone() };
    // the steps run where the entries are read, so that a row which they refuse stays the entry that it was
    let spec = PipelineSpec { source: Arc::new(source), steps: Vec::new(), formerly: None, ..spec.clone() };
    let scene = Scene { bound: Bound::Once, ..scene.clone() };
    let id = SplitId { pipeline: spec.name.clone(), index: SplitIndex::Replay };
    let (mut ended, mut record) = (None, None);
    for split in plan(spec, vec![id], 1, &scene, &StatusBoard::default()) {
        record = Some(split.record.clone());
        ended = Some(supervise(Arc::new(split), Arc::new(FenceGate::new(1)), stop.clone()).await);
    }
    (ended, record)
}

/// An entry that was looked at; without what was kept of its row.
#[derive(Debug)]
pub struct Rehearsed {
    pub id: String,
    pub place: RowOrigin,
    pub verdict: Verdict,
    refused_at: Option<i64>,
}

/// What a replay would do.
#[derive(Debug, Default)]
pub struct Rehearsal {
    pub seen: Vec<Rehearsed>,
    pub unreadable: Vec<UnreadableEntry>,
}

/// What a replay would do with each chosen entry, up to `limit` or [`COMPARED_BYTES_MAX`]; changes nothing.
pub async fn rehearse(spec: &PipelineSpec, scene: &Scene, choice: &Choice, limit: usize) -> Result<Rehearsal> {
    let mut reading = Reading::new(spec, choice, today(spec, scene).await?, scene.secrets.clone());
    let mut reader = spec.sink.quarantine(place(spec, scene)).await?;
    let (mut seen, mut unreadable, mut after, mut bytes) = (Vec::new(), Vec::new(), None, 0);
    loop {
        let page = reader.list(&choice.filter, after.as_deref(), PAGE.min(limit - seen.len())).await?;
        unreadable.extend(page.unreadable);
        for entry in page.entries {
            let verdict = reading.read(&entry)?;
            if let Verdict::Goes { row, .. } = &verdict {
                bytes += row.bytes();
            }
            seen.push(Rehearsed { id: entry.id, place: entry.origin, verdict, refused_at: entry.refused_at });
        }
        after = page.next;
        if after.is_none() || seen.len() >= limit || bytes >= COMPARED_BYTES_MAX {
            break;
        }
    }
    compare(spec, scene, &mut seen).await?;
    Ok(Rehearsal { seen, unreadable })
}

/// Finds out which rows would come on top of newer ones.
async fn compare(spec: &PipelineSpec, scene: &Scene, seen: &mut [Rehearsed]) -> Result<()> {
    let mut asked = Vec::new();
    let mut answers = Vec::new();
    for one in seen {
        if let (Verdict::Goes { row, overtakes }, Some(refused_at)) = (&mut one.verdict, one.refused_at) {
            asked.push((row.clone(), refused_at));
            answers.push(overtakes);
        }
    }
    if asked.is_empty() {
        return Ok(());
    }
    let found = spec.sink.overtaken(place(spec, scene), asked).await?;
    for (overtakes, found) in answers.into_iter().zip(found.into_iter().flatten()) {
        *overtakes = found;
    }
    Ok(())
}

async fn overtaking(spec: &PipelineSpec, scene: &Scene, choice: &Choice) -> Result<Vec<Place>> {
    let seen = rehearse(spec, scene, choice, COMPARED_MAX).await?;
    let overtaking = seen.seen.into_iter().filter(|one| matches!(one.verdict, Verdict::Goes { overtakes: true, .. }));
    Ok(overtaking.map(|one| Place { id: one.id, place: one.place }).collect())
}

fn place(spec: &PipelineSpec, scene: &Scene) -> CheckContext {
    check_context(spec, scene, SplitId::new(spec.name.clone(), 0))
}

/// How things stand when a replay begins.
#[derive(Clone)]
struct Today {
    /// The number of today's configuration, as the pipeline itself has it or will have it with its next start.
    revision: u64,
    /// Generation of each split's state by its name.
    generations: HashMap<String, u64>,
}

async fn today(spec: &PipelineSpec, scene: &Scene) -> Result<Today> {
    let mut today = Today { revision: 1, generations: HashMap::new() };
    let mut splits = 1;
    let mut index = 0;
    while index < splits {
        let split = SplitId::new(spec.name.clone(), index);
        let Some(stored) = spec.sink.inspect(check_context(spec, scene, split.clone())).await? else { break };
        let facts = stored.facts;
        if let Some(to) = &facts.moved_to {
            return Err(moved(&spec.name, to));
        }
        if index == 0 {
            let known = facts.revisions.iter().find(|(hash, _)| *hash == spec.hash).map(|(_, number)| *number);
            let highest = facts.revisions.iter().map(|(_, number)| *number).max().unwrap_or(0).max(facts.revision);
            today.revision = known.unwrap_or(highest + 1);
            splits = facts.splits.max(1);
        }
        today.generations.insert(split.to_string(), facts.generation);
        index += 1;
    }
    let replay = SplitId { pipeline: spec.name.clone(), index: SplitIndex::Replay };
    if let Some(stored) = spec.sink.inspect(check_context(spec, scene, replay.clone())).await? {
        // one that was reset begins its next generation when it opens
        today.generations.insert(replay.to_string(), stored.facts.generation);
    }
    Ok(today)
}

/// Reads entries as rows again.
struct Reading {
    source: Arc<dyn BoundSource>,
    steps: Steps,
    edits: Vec<Edit>,
    mend: Option<Arc<dyn Mend>>,
    today: Today,
    /// Entries are chosen one by one.
    by_id: bool,
}

impl Reading {
    fn new(spec: &PipelineSpec, choice: &Choice, today: Today, secrets: Arc<dyn Resolver>) -> Self {
        let (source, edits, mend) = (spec.source.clone(), choice.edits.clone(), choice.mend.clone());
        let steps = Steps::new(spec.steps.clone(), secrets);
        Self { source, steps, edits, mend, today, by_id: choice.filter.ids.is_some() }
    }

    /// The cells that are changed, those that are computed from the row among them.
    fn edits_of(&self, entry: &QuarantineEntry) -> Result<Vec<Edit>> {
        let mut edits = self.edits.clone();
        if let Some(mend) = &self.mend {
            edits.extend(mend.edits(&self.source.raw_cells(entry)?)?);
        }
        Ok(edits)
    }

    fn read(&mut self, entry: &QuarantineEntry) -> Result<Verdict> {
        let generation = self.today.generations.get(&entry.split).copied().unwrap_or(0);
        if !self.by_id && entry.generation > 0 && entry.generation < generation {
            return Ok(Verdict::Outdated { generation: entry.generation, now: generation });
        }
        if let RawRow::Cut { head, length, .. } = &entry.raw {
            return Ok(Verdict::StillWrong(not_whole(entry, head.len() as u64, *length)));
        }
        if entry.stage == Stage::Sink && !self.steps.is_empty() {
            return Ok(Verdict::StillWrong(unreadable(entry, &stepped_already())));
        }
        let mut batch = match self.edits_of(entry).and_then(|edits| self.source.parse_raw(entry, &edits)) {
            Ok(batch) => batch,
            // one row that cannot be read so does not keep the others from going
            Err(error) if error.kind() == Kind::Misconfigured => {
                return Ok(Verdict::StillWrong(unreadable(entry, &error)));
            }
            Err(error) => return Err(error.with("id", &entry.id).with("place", &entry.origin)),
        };
        batch.check()?;
        batch.origin.revision = self.today.revision;
        if let Some(rejected) = batch.rejected.pop() {
            return Ok(Verdict::StillWrong(rejected));
        }
        let Some(mut batch) = self.steps.apply(batch)?.only_row() else {
            return Err(Error::bug("reading a refused row failed, the steps gave nothing back").code("U0911"));
        };
        Ok(match batch.rejected.pop() {
            Some(rejected) => Verdict::StillWrong(rejected),
            None if batch.rows.num_rows() == 0 => Verdict::Filtered(batch),
            None => Verdict::Goes { row: batch, overtakes: false },
        })
    }
}

/// What the sink refused is kept as the steps left it; through them again a price would be converted twice.
fn stepped_already() -> Error {
    Error::misconfigured("the sink refused the row after the steps, and it cannot go through them again")
        .code("U0412")
        .help(
            "mend it at the source and have it delivered again, then `unbatch quarantine settle` takes it off the list",
        )
}

fn unreadable(entry: &QuarantineEntry, error: &Error) -> RejectedRow {
    let remedy = error.remedy().map(|remedy| format!("; {remedy}")).unwrap_or_default();
    let code = error.code_text().map_or_else(|| entry.code.clone().into(), Into::into);
    RejectedRow { code, message: format!("{}{remedy}", error.message()), ..again(entry) }
}

fn again(entry: &QuarantineEntry) -> RejectedRow {
    RejectedRow {
        code: entry.code.clone().into(),
        message: entry.message.clone(),
        stage: entry.stage,
        stream: entry.stream.clone(),
        origin: entry.origin.clone(),
        raw: entry.raw.clone(),
    }
}

/// Half a row would be another row.
fn not_whole(entry: &QuarantineEntry, kept: u64, length: u64) -> RejectedRow {
    let (kept, length) = (bytes(kept), bytes(length));
    let message = format!(
        "{kept} of its {length} were kept, so it cannot be read again; correct it in {} and deliver that again",
        entry.origin
    );
    RejectedRow { code: "U0767".into(), message, ..again(entry) }
}
