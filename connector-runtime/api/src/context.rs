//! What the engine gives a connector when it opens it.

use crate::checkpoint::Checkpoint;
use crate::config::Resolver;
use crate::names::{DeploymentName, SplitId};
use serde::Serialize;
use std::any::{Any, TypeId};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
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

/// Parked inputs whose names are kept; beyond, they are only counted.
const PARKED_NAMES_MAX: usize = 10_000;

/// What a connector tells about itself, for status and metrics: numbers by name and a bounded list of notices. Never a cell
/// value. Numbers that end in `_total` only rise; the others are gauges.
#[derive(Clone, Default)]
pub struct Reports {
    book: Arc<Mutex<ReportBook>>,
    /// What was said [with the commit](Reports::with_commit) of rows that are not committed yet.
    open: Arc<Mutex<ReportBook>>,
}

/// What was said with the rows of one epoch.
#[derive(Default)]
pub struct EpochReport(ReportBook);

#[derive(Default)]
struct ReportBook {
    numbers: BTreeMap<String, i64>,
    notices: VecDeque<Notice>,
    parked: BTreeSet<String>,
    parked_unnamed: u64,
    /// Inputs that are parked no more, said before any that is in `parked`.
    unparked: BTreeSet<String>,
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
        self.book().notice(Notice { code: code.into(), subject: subject.into(), message: message.into() });
    }
    /// An input was set aside as a whole; a `run --once` then exits 1.
    pub fn parked(&self, subject: &str, message: &str) {
        self.notice("parked", subject, message);
        self.book().park(subject.to_owned());
    }
    /// An input that was parked, by this run or one before, was read after all or given up.
    pub fn unparked(&self, subject: &str) {
        let mut book = self.book();
        book.unpark(subject);
        if Arc::ptr_eq(&self.book, &self.open) {
            book.unparked.insert(subject.to_owned());
        }
    }
    /// Inputs that were parked and not read since.
    pub fn parked_count(&self) -> u64 {
        let book = self.book();
        book.parked.len() as u64 + book.parked_unnamed
    }
    pub fn numbers(&self) -> BTreeMap<String, i64> {
        self.book().numbers.clone()
    }
    pub fn notices(&self) -> Vec<Notice> {
        self.book().notices.iter().cloned().collect()
    }
    /// For what a source says of rows that it hands on: it counts with the commit of their epoch. Rows that are read again,
    /// since their epoch was never committed, are so counted once.
    pub fn with_commit(&self) -> Reports {
        Reports { book: self.open.clone(), open: self.open.clone() }
    }
    /// The engine's: what was said with the commit and belongs to the epoch that is sealed now, or to none any more.
    pub fn take_open(&self) -> EpochReport {
        EpochReport(std::mem::take(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner)))
    }
    /// The engine's: the epoch is committed.
    pub fn commit(&self, epoch: EpochReport) {
        let EpochReport(said) = epoch;
        let mut book = self.book();
        for (name, by) in said.numbers {
            *book.numbers.entry(name).or_default() += by;
        }
        said.unparked.iter().for_each(|subject| book.unpark(subject));
        said.notices.into_iter().for_each(|notice| book.notice(notice));
        said.parked.into_iter().for_each(|subject| book.park(subject));
        book.parked_unnamed += said.parked_unnamed;
    }
    fn book(&self) -> MutexGuard<'_, ReportBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReportBook {
    fn notice(&mut self, notice: Notice) {
        if self.notices.back() == Some(&notice) {
            return;
        }
        if self.notices.len() == NOTICES_MAX {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
    }
    fn park(&mut self, subject: String) {
        match self.parked.len() < PARKED_NAMES_MAX {
            true => _ = self.parked.insert(subject),
            false => self.parked_unnamed += u64::from(!self.parked.contains(&subject)),
        }
    }
    fn unpark(&mut self, subject: &str) {
        self.parked.remove(subject);
        self.notices.retain(|notice| notice.code != "parked" || notice.subject != subject);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_with_the_commit_counts_with_it_and_never_when_there_is_none() {
        let reports = Reports::default();
        let read = || {
            reports.with_commit().add("files_total", 1);
            reports.with_commit().parked("a.csv", "x");
        };
        read();
        assert_eq!((reports.numbers().len(), reports.notices().len(), reports.parked_count()), (0, 0, 0));
        drop(reports.take_open());
        read();
        let sealed = reports.take_open();
        // the next epoch is written meanwhile
        reports.with_commit().add("files_total", 1);
        reports.commit(sealed);
        assert_eq!((reports.numbers()["files_total"], reports.notices().len(), reports.parked_count()), (1, 1, 1));
        reports.commit(reports.take_open());
        assert_eq!(reports.numbers()["files_total"], 2);
    }

    #[test]
    fn an_input_that_was_read_after_all_is_parked_no_more() {
        let reports = Reports::default();
        reports.notice("parked", "old.csv", "was parked before this start");
        for name in ["a.csv", "b.csv", "a.csv"] {
            reports.parked(name, "x");
        }
        assert_eq!(reports.parked_count(), 2, "one input is counted once");
        for name in ["old.csv", "a.csv"] {
            reports.with_commit().unparked(name);
        }
        assert_eq!((reports.parked_count(), reports.notices().len()), (2, 4));
        reports.commit(reports.take_open());
        let told: Vec<String> = reports.notices().into_iter().map(|notice| notice.subject).collect();
        assert_eq!((reports.parked_count(), told), (1, vec!["b.csv".to_owned()]));
        // read, and another one under its name parked, in one epoch
        reports.with_commit().unparked("b.csv");
        reports.with_commit().parked("b.csv", "y");
        reports.commit(reports.take_open());
        assert_eq!((reports.parked_count(), reports.notices()[0].message.as_str()), (1, "y"));
    }
}
