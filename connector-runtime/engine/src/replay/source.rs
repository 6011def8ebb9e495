//! The quarantine in the place of a pipeline's source.

use super::{Choice, PassedOver, Reading, StillWrong, TOLD_MAX, Today, Verdict};
use crate::config::PipelineSpec;
use crate::registry::BoundSource;
use async_trait::async_trait;
use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use unbatch_api::quarantine::{Edit, QuarantineFilter, QuarantinePage, QuarantineReader, RawCell, UnreadableEntry};
use unbatch_api::{
    Advance, Batch, CheckContext, Checkpoint, Finding, Jump, NoteKey, PartView, Problem, QuarantineEntry, Result,
    Source, SourceContext, StreamName, StreamSchema,
};

/// Entries that are read at once; each keeps at most 256 KiB of its row.
pub(super) const PAGE: usize = 64;

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
}

pub(super) fn lock(found: &Mutex<Found>) -> MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pipeline's quarantine in the place of its source.
pub(super) struct Quarantined {
    pub spec: PipelineSpec,
    pub choice: Choice,
    /// Ids of entries that are passed over.
    pub left: BTreeSet<String>,
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
        let filtered = std::mem::take(&mut found.filtered);
        *found = Found { filtered, ..Found::default() };
        drop(found);
        Ok(Box::new(QuarantineSource {
            reader,
            filter: QuarantineFilter { with_replayed: false, ..self.choice.filter.clone() },
            reading: Reading::new(&self.spec, &self.choice, self.today.clone(), secrets),
            after: None,
            page: VecDeque::new(),
            left: self.left.clone(),
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
            Verdict::Outdated { generation, now: generation_now } => {
                let mut found = lock(&self.found);
                found.outdated += 1;
                if found.passed_over.len() < TOLD_MAX {
                    let (id, place, code) = (entry.id, entry.origin, entry.code);
                    found.passed_over.push(PassedOver { id, place, code, generation, generation_now });
                }
                return Ok(None);
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
        batch.replayed = vec![QuarantineEntry { replayed: Some(self.reading.today.revision), ..entry }];
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
