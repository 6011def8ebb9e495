//! The quarantine in the place of a pipeline's source.

use super::{PassedOver, Place, Purpose, Reading, StillWrong, TOLD_MAX, Today, Verdict};
use crate::config::PipelineSpec;
use crate::registry::BoundSource;
use async_trait::async_trait;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use unbatch_api::config::Resolver;
use unbatch_api::quarantine::{
    Edit, QuarantineFilter, QuarantinePage, QuarantineReader, RawCell, Settlement, UnreadableEntry,
};
use unbatch_api::{
    Advance, Batch, CheckContext, Checkpoint, Finding, Jump, NoteKey, PartView, Problem, QuarantineEntry, Result,
    Source, SourceContext, StreamName, StreamSchema,
};

/// Entries that are read at once; each keeps at most 256 KiB of its row.
pub(super) const PAGE: usize = 64;
/// Id of the entry that was marked last: an epoch of nothing but marks has to have something to commit.
pub(super) const LAST: &str = "replay/last";

/// What was found while reading, for the person who asked.
#[derive(Default)]
pub(super) struct Found {
    /// Ids, since an attempt that failed reads the same entries again.
    pub filtered: BTreeSet<String>,
    pub outdated: u64,
    pub passed_over: Vec<PassedOver>,
    pub unreadable: Vec<UnreadableEntry>,
    pub still_wrong: u64,
    pub told: Vec<StillWrong>,
    /// Which mark each settled entry got, from 0, by ids: an attempt that failed reads its last ones again.
    pub settled: HashMap<String, usize>,
    pub settled_told: Vec<Place>,
}

pub(super) fn lock(found: &Mutex<Found>) -> MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pipeline's quarantine in the place of its source.
pub(super) struct Quarantined {
    pub spec: PipelineSpec,
    pub purpose: Arc<Purpose>,
    pub today: Today,
    pub found: Arc<Mutex<Found>>,
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
        self.spec.source.streams()
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
        let secrets = cx.place.secrets.clone();
        let mut reader = self.spec.sink.quarantine(cx.place).await?;
        if !unbatch_api::failpoint::sabotaged("replay-catches-up") {
            reader.catch_up().await?;
        }
        let mut found = lock(&self.found);
        let before = std::mem::take(&mut *found);
        let Found { filtered, settled, settled_told, .. } = before;
        *found = Found { filtered, settled, settled_told, ..Found::default() };
        drop(found);
        Ok(Box::new(QuarantineSource {
            reader,
            filter: self.purpose.filter(),
            handling: Handling::of(self, secrets),
            revision: self.today.revision,
            after: None,
            page: VecDeque::new(),
            is_last: false,
            found: self.found.clone(),
        }))
    }
    fn parse_raw(&self, entry: &QuarantineEntry, edits: &[Edit]) -> Result<Batch> {
        self.spec.source.parse_raw(entry, edits)
    }
    fn raw_cells(&self, entry: &QuarantineEntry) -> Result<Vec<RawCell>> {
        self.spec.source.raw_cells(entry)
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
    handling: Handling,
    revision: u64,
    after: Option<String>,
    page: VecDeque<QuarantineEntry>,
    is_last: bool,
    found: Arc<Mutex<Found>>,
}

/// What becomes of the entries.
enum Handling {
    Replay { reading: Box<Reading>, left: BTreeSet<String> },
    Settle(Settlement),
}

impl Handling {
    fn of(quarantined: &Quarantined, secrets: Arc<dyn Resolver>) -> Self {
        match &*quarantined.purpose {
            Purpose::Settle { how, .. } => Handling::Settle(how.clone()),
            Purpose::Replay { choice, left } => {
                let reading = Reading::new(&quarantined.spec, choice, quarantined.today.clone(), secrets);
                Handling::Replay { reading: Box::new(reading), left: left.clone() }
            }
        }
    }
}

impl QuarantineSource {
    /// What goes to the sink because of an entry, if anything does.
    fn batch_of(&mut self, entry: QuarantineEntry) -> Result<Option<Batch>> {
        let (id, mut mark) = (entry.id.clone(), QuarantineEntry { replayed: Some(self.revision), ..entry.clone() });
        let batch = match &mut self.handling {
            Handling::Settle(how) => {
                mark.settled = Some(how.clone());
                let mut found = lock(&self.found);
                let next = found.settled.len();
                if *found.settled.entry(id.clone()).or_insert(next) == next && next < TOLD_MAX {
                    found.settled_told.push(Place { id: entry.id, place: entry.origin });
                }
                Some(Batch::of_marks(entry.stream, vec![mark], self.revision))
            }
            Handling::Replay { left, .. } if left.contains(&id) => None,
            Handling::Replay { reading, .. } => {
                let verdict = reading.read(&entry)?;
                self.row_of(entry, verdict).map(|batch| Batch { replayed: vec![mark], ..batch })
            }
        };
        // an epoch of nothing but marks has to be an epoch too
        let advance = Advance::default().note(NoteKey::from(LAST), Some(id.into_bytes().into()));
        Ok(batch.map(|batch| Batch { advance: Some(advance), ..batch }))
    }

    fn row_of(&self, entry: QuarantineEntry, verdict: Verdict) -> Option<Batch> {
        match verdict {
            Verdict::Goes { row, .. } => Some(row),
            Verdict::Filtered(batch) => {
                lock(&self.found).filtered.insert(entry.id);
                Some(batch)
            }
            Verdict::Outdated { generation, now: generation_now } => {
                let mut found = lock(&self.found);
                found.outdated += 1;
                if found.passed_over.len() < TOLD_MAX {
                    let (id, place, code) = (entry.id, entry.origin, entry.code);
                    found.passed_over.push(PassedOver { id, place, code, generation, generation_now });
                }
                None
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
                None
            }
        }
    }
}

#[async_trait]
impl Source for QuarantineSource {
    async fn next(&mut self) -> Result<Option<Batch>> {
        loop {
            while let Some(entry) = self.page.pop_front() {
                if let Some(batch) = self.batch_of(entry)? {
                    return Ok(Some(batch));
                }
            }
            if self.is_last {
                return Ok(None);
            }
            let page = self.reader.list(&self.filter, self.after.as_deref(), PAGE).await?;
            let QuarantinePage { entries, unreadable, next } = page;
            let room = TOLD_MAX.saturating_sub(lock(&self.found).unreadable.len());
            lock(&self.found).unreadable.extend(unreadable.into_iter().take(room));
            self.is_last = next.is_none();
            self.after = next;
            self.page = entries.into();
        }
    }
    async fn vouch(&mut self, _: &Advance) -> Result<()> {
        Ok(())
    }
    async fn settle(&mut self, _: &Checkpoint) -> Result<()> {
        Ok(())
    }
}
