//! What each split is doing, for `status`, the HTTP API and the closing table of a run. Counts, times and codes; no cell
//! values, no secrets.

pub mod pace;

use crate::config::PipelineSpec;
use crate::registry::BoundSource;
use pace::Pace;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;
use unbatch_api::context::Notice;
use unbatch_api::{Checkpoint, Error, Facts, Kind, PartView, PipelineName, Reports, SplitId};

/// Where a split stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitState {
    /// Fencing, opening.
    Starting,
    Running,
    /// A Transient error; waits and opens again.
    Retrying,
    /// Its bounded input ended and everything is committed.
    Finished,
    /// Stopped on request, everything committed that could be.
    Stopped,
    /// A newer owner took it.
    Fenced,
    /// Needs a person.
    Failed,
}

/// An error as status shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Trouble {
    pub kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl From<&Error> for Trouble {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            code: error.code_text(),
            message: error.one_line(),
            help: error.remedy().map(str::to_owned),
        }
    }
}

/// The last error of a split, also when it has gone on since.
#[derive(Clone, Debug, Serialize)]
pub struct PastTrouble {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    #[serde(flatten)]
    pub trouble: Trouble,
}

/// Totals of this process's run of the split, in rows unless said.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Totals {
    pub read: u64,
    pub written: u64,
    pub quarantined: u64,
    pub filtered: u64,
    pub ignored: u64,
    pub bytes: u64,
    pub commits: u64,
}

/// One split, as of now.
#[derive(Clone, Debug, Serialize)]
pub struct SplitStatus {
    pub split: String,
    pub state: SplitState,
    pub attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// The last that there was in this process, over or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_trouble: Option<PastTrouble>,
    pub totals: Totals,
    /// Rows read and committed a second, over the last [`pace::RATE_SECONDS`] whole seconds.
    pub rows_per_second: f64,
    /// Rows read and committed in each of the last slices of [`pace::SLICE_SECONDS`], the newest last; as many as the
    /// process is old, at most [`pace::SLICES_MAX`].
    pub recent_rows: Vec<u64>,
    /// Totals since the generation began, over all runs.
    pub written_ever: u64,
    pub quarantined_ever: u64,
    pub generation: u64,
    pub owner: u64,
    pub epoch: u64,
    pub revision: u64,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_commit_ms: Option<u64>,
    /// Age of the newest committed row by the source's own commit time, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freshness_ms: Option<u64>,
    pub position: Vec<PartView>,
    pub numbers: BTreeMap<String, i64>,
    pub notices: Vec<Notice>,
    pub parked: u64,
}

/// One pipeline with its splits.
#[derive(Clone, Debug, Serialize)]
pub struct PipelineStatus {
    pub pipeline: String,
    pub source: String,
    pub sink: String,
    /// The state of its worst split.
    pub state: SplitState,
    /// `slo.freshness`, for whoever watches `freshness_ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freshness_goal_ms: Option<u64>,
    pub splits: Vec<SplitStatus>,
}

/// The live state of one split; its run writes, anybody reads.
pub(crate) struct SplitRecord {
    name: String,
    /// Puts the checkpoint into words, and only when somebody asks.
    source: Arc<dyn BoundSource>,
    pub(crate) reports: Reports,
    /// Seconds of its pace count from here.
    began: Instant,
    /// Somebody knows that it is worth trying again now.
    hint: Notify,
    inner: Mutex<Inner>,
}

struct Inner {
    state: SplitState,
    attempt: u32,
    trouble: Option<Trouble>,
    last_trouble: Option<PastTrouble>,
    totals: Totals,
    pace: Pace,
    facts: Facts,
    last_commit: Option<SystemTime>,
    newest_source_time: Option<i64>,
    checkpoint: Arc<Checkpoint>,
}

impl SplitRecord {
    pub(crate) fn new(name: String, source: Arc<dyn BoundSource>) -> Self {
        let inner = Inner {
            state: SplitState::Starting,
            attempt: 0,
            trouble: None,
            last_trouble: None,
            totals: Totals::default(),
            pace: Pace::default(),
            facts: Facts::default(),
            last_commit: None,
            newest_source_time: None,
            checkpoint: Arc::default(),
        };
        Self {
            name,
            source,
            reports: Reports::default(),
            began: Instant::now(),
            hint: Notify::new(),
            inner: Mutex::new(inner),
        }
    }
    pub(crate) fn starting(&self) {
        let mut inner = self.inner();
        inner.attempt += 1;
        if inner.trouble.is_none() {
            inner.state = SplitState::Starting;
        }
    }
    pub(crate) fn opened(&self, facts: &Facts, checkpoint: Arc<Checkpoint>) {
        let mut inner = self.inner();
        inner.state = SplitState::Running;
        inner.trouble = None;
        inner.facts = facts.clone();
        inner.checkpoint = checkpoint;
    }
    pub(crate) fn ended(&self, state: SplitState, error: Option<&Error>) {
        let mut inner = self.inner();
        inner.state = state;
        inner.trouble = error.map(Trouble::from);
        if let Some(trouble) = inner.trouble.clone() {
            inner.last_trouble = Some(PastTrouble { at_ms: ms_since_1970(SystemTime::now()), trouble });
        }
    }
    pub(crate) fn committed(&self, facts: &Facts, epoch: Totals, source_time: Option<i64>, at: Arc<Checkpoint>) {
        let mut inner = self.inner();
        let totals = &mut inner.totals;
        totals.read += epoch.read;
        totals.written += epoch.written;
        totals.quarantined += epoch.quarantined;
        totals.filtered += epoch.filtered;
        totals.ignored += epoch.ignored;
        totals.bytes += epoch.bytes;
        totals.commits += 1;
        inner.pace.add(self.began.elapsed().as_secs(), epoch.read);
        inner.facts = facts.clone();
        inner.last_commit = Some(SystemTime::now());
        inner.newest_source_time = source_time.or(inner.newest_source_time);
        inner.checkpoint = at;
    }
    /// The owner number of the last open in this process; 0 before the first.
    pub(crate) fn owner(&self) -> u64 {
        self.inner().facts.owner
    }
    /// Waits until it is worth trying again before the back-off is over.
    pub(crate) async fn hinted(&self) {
        self.hint.notified().await;
    }
    pub(crate) fn totals(&self) -> Totals {
        self.inner().totals
    }
    /// What is committed, as far as this process knows.
    pub(crate) fn checkpoint(&self) -> Arc<Checkpoint> {
        self.inner().checkpoint.clone()
    }
    pub(crate) fn snapshot(&self) -> SplitStatus {
        let inner = self.inner();
        let second = self.began.elapsed().as_secs();
        let now_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
        SplitStatus {
            split: self.name.clone(),
            state: inner.state,
            attempt: inner.attempt,
            trouble: inner.trouble.clone(),
            last_trouble: inner.last_trouble.clone(),
            totals: inner.totals,
            rows_per_second: inner.pace.rate(second),
            recent_rows: inner.pace.slices(second),
            written_ever: inner.facts.counters.written,
            quarantined_ever: inner.facts.counters.rejected,
            generation: inner.facts.generation,
            owner: inner.facts.owner,
            epoch: inner.facts.seq,
            revision: inner.facts.revision,
            last_commit_ms: inner.last_commit.map(ms_since_1970),
            freshness_ms: inner.newest_source_time.map(|t| (now_us.saturating_sub(t).max(0) / 1000) as u64),
            position: self.source.describe(&inner.checkpoint),
            numbers: self.reports.numbers(),
            notices: self.reports.notices(),
            parked: self.reports.parked_count(),
        }
    }
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All pipelines of this process.
#[derive(Clone, Default)]
pub struct StatusBoard(Arc<Mutex<Vec<Entry>>>);

struct Entry {
    spec: PipelineSpec,
    splits: Vec<Arc<SplitRecord>>,
}

impl StatusBoard {
    pub(crate) fn add(&self, spec: &PipelineSpec, split: Arc<SplitRecord>) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match entries.iter_mut().find(|e| e.spec.name == spec.name) {
            Some(entry) => {
                entry.spec = spec.clone();
                entry.splits.retain(|s| s.name != split.name);
                entry.splits.push(split);
            }
            None => entries.push(Entry { spec: spec.clone(), splits: vec![split] }),
        }
    }
    /// Marks a split whose task is over as failed when it does not say so itself, and says how many inputs it set aside.
    pub(crate) fn split_ended(&self, split: &SplitId, error: Option<&Error>) -> u64 {
        let name = split.to_string();
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = entries.iter().flat_map(|e| &e.splits).find(|s| s.name == name) else {
            return 0;
        };
        if let Some(error) = error
            && record.snapshot().trouble.is_none()
        {
            record.ended(SplitState::Failed, Some(error));
        }
        record.reports.parked_count()
    }
    /// Splits that wait to try again do so now: a system that was away is back.
    pub fn try_now(&self) {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().flat_map(|e| &e.splits).for_each(|split| split.hint.notify_waiters());
    }
    /// Forgets a pipeline whose file is gone.
    pub fn remove(&self, pipeline: &PipelineName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|e| e.spec.name != *pipeline);
    }
    pub fn snapshot(&self) -> Vec<PipelineStatus> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .iter()
            .map(|e| {
                let splits: Vec<SplitStatus> = e.splits.iter().map(|s| s.snapshot()).collect();
                let state = splits.iter().map(|s| s.state).max_by_key(|s| severity(*s)).unwrap_or(SplitState::Starting);
                PipelineStatus {
                    pipeline: e.spec.name.to_string(),
                    source: e.spec.source.name().to_owned(),
                    sink: e.spec.sink.name().to_owned(),
                    state,
                    freshness_goal_ms: e.spec.freshness.map(|f| f.as_millis() as u64),
                    splits,
                }
            })
            .collect()
    }
}

fn ms_since_1970(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

fn severity(state: SplitState) -> u8 {
    match state {
        SplitState::Finished => 0,
        SplitState::Stopped => 1,
        SplitState::Running => 2,
        SplitState::Starting => 3,
        SplitState::Retrying => 4,
        SplitState::Fenced => 5,
        SplitState::Failed => 6,
    }
}
