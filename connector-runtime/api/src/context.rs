//! What the engine gives a connector when it opens it.

use crate::checkpoint::Checkpoint;
use crate::config::Resolver;
use crate::names::{DeploymentName, SplitId};
use serde::Serialize;
use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What a connector needs to look at its system without owning anything: `check`, `splits`, `inspect`, quarantine.
#[derive(Clone)]
pub struct CheckContext {
    pub deployment: DeploymentName,
    pub split: SplitId,
    /// Folder of the pipeline's file; relative paths and `file:` URLs start here.
    pub base: PathBuf,
    pub resources: Resources,
    pub secrets: Arc<dyn Resolver>,
    /// Quarantine's name from `on_error`, when the pipeline gives one.
    pub quarantine_name: Option<String>,
}

/// Given to `SourceConnector::open`.
#[derive(Clone)]
pub struct SourceContext {
    pub place: CheckContext,
    /// Go on exactly here.
    pub resume: Checkpoint,
    pub committed: Committed,
    pub bound: Bound,
    pub limits: Limits,
    pub ownership: Arc<dyn Ownership>,
    pub reports: Reports,
    /// `on_error.quarantine.stop_after`, for sources that count rejected rows for each input of theirs.
    pub stop_after: StopAfter,
    /// Revision of the configuration, for each batch's origin.
    pub revision: u64,
    /// Raised by each reset; goes into whatever the source marks upstream.
    pub generation: u64,
    /// Somebody only wants to see rows: nothing upstream may be made, claimed, marked or released, not even what an earlier run
    /// left to be done.
    pub looks_only: bool,
}

/// Given to `SinkConnector::fence`.
#[derive(Clone)]
pub struct SinkContext {
    pub place: CheckContext,
    /// The pipeline's own commit policy, after `commit:`; a sink bounds its epochs' open time by it.
    pub policy: crate::sink::CommitPolicy,
    pub limits: Limits,
    pub ownership: Arc<dyn Ownership>,
    pub reports: Reports,
    /// False only for `delivery: at_least_once`, the visible opt-out.
    pub exactly_once: bool,
}

/// How many rejected rows are too many. Counted for each file by file sources, for each hour by the engine otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StopAfter {
    pub count: Option<u64>,
    /// Percent of the rows read; judged only after 1,000 rows.
    pub percent: Option<f64>,
}

impl StopAfter {
    /// Rows that must have been read before a percentage means anything.
    pub const PERCENT_ROWS_MIN: u64 = 1_000;

    /// Whether `rejected` of `read` rows are too many.
    pub fn is_passed(&self, rejected: u64, read: u64) -> bool {
        let by_count = self.count.is_some_and(|most| rejected > most);
        let share = rejected as f64 * 100.0 / read.max(1) as f64;
        by_count || (read >= Self::PERCENT_ROWS_MIN && self.percent.is_some_and(|most| share > most))
    }
}

/// Whether a run ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Until it is told to stop.
    Continuous,
    /// What is there at the opening; then `next` gives `None`.
    Once,
}

/// The split's share; bounds are in Arrow bytes unless said.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A source aims at batches of this size and never goes far above.
    pub batch_rows: usize,
    pub batch_bytes: usize,
    /// Most that may be handed on with `advance: None` in a row.
    pub uncut_rows: u64,
    pub uncut_bytes: usize,
    /// Memory share of the split: queues and buffers of source and sink together.
    pub memory_bytes: usize,
}

/// Are we still assigned this split? Being assigned is not enough to write (opening the sink fences), but not being
/// assigned is enough to stop.
pub trait Ownership: Send + Sync {
    fn is_ours(&self, split: &SplitId) -> bool;
}

/// Owns every split: a standalone run.
pub struct OwnsAll;

impl Ownership for OwnsAll {
    fn is_ours(&self, _: &SplitId) -> bool {
        true
    }
}

/// What is committed, latest value wins. Sources look when convenient and never wait for it to make progress.
#[derive(Clone)]
pub struct Committed(watch::Receiver<Arc<Checkpoint>>);

/// The engine's end of [`Committed`].
pub struct CommittedSender(watch::Sender<Arc<Checkpoint>>);

impl Committed {
    /// Made new at each reopen, holding what the sink said when it was opened.
    pub fn channel(start: Checkpoint) -> (CommittedSender, Committed) {
        let (sender, receiver) = watch::channel(Arc::new(start));
        (CommittedSender(sender), Committed(receiver))
    }
    pub fn latest(&self) -> Arc<Checkpoint> {
        self.0.borrow().clone()
    }
    /// Waits until there is a value not seen by this handle; false when the run is over.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

impl CommittedSender {
    pub fn publish(&self, checkpoint: impl Into<Arc<Checkpoint>>) {
        self.0.send_replace(checkpoint.into());
    }
}

/// Shared things that a binary hands to its connectors by type, such as the settings of the Kafka cluster.
#[derive(Clone, Default)]
pub struct Resources(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl Resources {
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Arc::new(value));
    }
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.get(&TypeId::of::<T>())?.clone().downcast().ok()
    }
}

/// Notices kept for status; older ones are dropped.
pub const NOTICES_MAX: usize = 50;

/// What a connector tells about itself, for status and metrics: numbers by name and a bounded list of notices. Never a cell
/// value. Numbers that end in `_total` only rise; the others are gauges.
#[derive(Clone, Default)]
pub struct Reports(Arc<Mutex<ReportBook>>);

#[derive(Default)]
struct ReportBook {
    numbers: BTreeMap<String, i64>,
    notices: VecDeque<Notice>,
    parked: u64,
}

/// Something a person should know: a parked file, a duplicate that was skipped, a growing file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// A stable word: `duplicate`, `failed`, `waiting`.
    pub code: String,
    /// What it is about: a file's name.
    pub subject: String,
    pub message: String,
}

impl Reports {
    pub fn set(&self, name: &str, value: i64) {
        self.book().numbers.insert(name.to_owned(), value);
    }
    pub fn add(&self, name: &str, by: i64) {
        *self.book().numbers.entry(name.to_owned()).or_default() += by;
    }
    pub fn notice(&self, code: &str, subject: &str, message: &str) {
        let mut book = self.book();
        if book.notices.len() == NOTICES_MAX {
            book.notices.pop_front();
        }
        let notice = Notice { code: code.into(), subject: subject.into(), message: message.into() };
        if book.notices.back() != Some(&notice) {
            book.notices.push_back(notice);
        }
    }
    /// An input was set aside as a whole; a `run --once` then exits 1.
    pub fn parked(&self, subject: &str, message: &str) {
        self.notice("parked", subject, message);
        self.book().parked += 1;
    }
    pub fn parked_count(&self) -> u64 {
        self.book().parked
    }
    pub fn numbers(&self) -> BTreeMap<String, i64> {
        self.book().numbers.clone()
    }
    pub fn notices(&self) -> Vec<Notice> {
        self.book().notices.iter().cloned().collect()
    }
    fn book(&self) -> MutexGuard<'_, ReportBook> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
