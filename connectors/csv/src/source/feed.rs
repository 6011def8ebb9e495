//! The thread that looks into the folder, decides what each file is, and reads one after the other.

use super::Fed;
use super::expect::Expectations;
use super::punctuality::{Punctuality, now_ms};
use super::stop::Stop;
use super::told::{Given, Word};
use crate::config::CsvDropsConfig;
use crate::decode;
use crate::dump::{self, Dumps};
use crate::folder::{self, Folder, Listing, Names};
use crate::ledger::{Ledger, Outcome};
use crate::notes::{OpenFile, open_files};
use crate::owner::Owner;
use crate::parked::{Parked, Settled, reading_of};
use crate::reader::{PIECE_BYTES, Portion};
use crate::release::{RETURNED_UNSEEN, Releaser};
use crate::schedule::Schedule;
use crate::settling::{Settling, Told};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use unbatch_api::failpoint::{hit, sabotaged};
use unbatch_api::{
    Advance, Batch, Bound, Committed, Error, Reports, Result, RowOrigin, SourceContext, SplitId, StopAfter, StreamName,
    StreamSchema,
};
use unbatch_object_files::{ObjectStat, host_id, is_changed};

/// A file that is still not ready after this time is told about.
const WAITING_TOLD_AFTER: Duration = Duration::from_secs(30);

/// Looks of a bounded input at files that changed between two looks.
const LOOKS_MAX: u32 = 3;

/// Files that were parked before the start and are told by name, the newest; the others are only counted.
const PARKED_TOLD_MAX: usize = 20;

/// What the thread shares with the source, or is given by it.
pub struct Shared {
    pub folder: Folder,
    pub names: Names,
    pub ledger: Ledger,
    pub parked: Parked,
    /// `None`: files add rows.
    pub dumps: Option<Dumps>,
    /// `None`: somebody only looks, and does not mind others.
    pub owner: Option<Owner>,
    pub releaser: Option<Arc<Mutex<Releaser>>>,
    pub expectations: Arc<Expectations>,
    pub stop: Arc<Stop>,
    pub sender: mpsc::Sender<Fed>,
}

pub struct Feed {
    pub(super) config: Arc<CsvDropsConfig>,
    pub(super) shared: Shared,
    pub(super) stream: StreamName,
    /// Of the file read last; what batches without rows carry.
    pub(super) schema: Arc<StreamSchema>,
    pub(super) reports: Reports,
    pub(super) stop_after: StopAfter,
    /// Of the configuration; a file that was parked under another one is tried again.
    pub(super) reading: String,
    pub(super) way: Option<String>,
    /// How often a bounded input looks again because a file changed between two looks.
    looks_left: u32,
    /// A file changed between the listing and its opening.
    pub(super) has_changed: bool,
    pub(super) split: SplitId,
    pub(super) generation: u64,
    pub(super) portion: Portion,
    pub(super) revision: u64,
    pub(super) host: Option<String>,
    pub(super) settling: Settling,
    /// How often the folder is listed.
    pub(super) poll: Duration,
    pub(super) told: Told,
    pub(super) archive_name: Option<crate::archive::Mark>,
    /// `None`: nothing is expected.
    pub(super) punctuality: Option<Punctuality>,
    /// When the folder was last listed; milliseconds since 1970.
    looked_at: i64,
    committed: Committed,
    resumed: VecDeque<OpenFile>,
    /// The files of a bounded input; `None`: whatever comes.
    listed: Option<BTreeSet<String>>,
    began: Instant,
    bound: Bound,
    /// Batches handed on.
    pub(super) given: u64,
    /// Bytes of the files that were seen and come after the one that is read.
    pub(super) bytes_after: u64,
}

/// Why the thread ends before the input does.
pub enum Halt {
    /// The source was dropped or settled.
    Stopped,
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Failed(error)
    }
}

impl Feed {
    pub fn new(config: Arc<CsvDropsConfig>, cx: &SourceContext, shared: Shared) -> Result<Self> {
        let releaser = shared.releaser.as_ref().map(|r| r.lock().unwrap_or_else(PoisonError::into_inner));
        let archive_name = releaser.as_ref().filter(|r| r.archives()).map(|r| r.mark().clone());
        drop(releaser);
        let portion =
            Portion { rows: cx.limits.batch_rows.max(1), bytes: cx.limits.batch_bytes.clamp(1 << 12, PIECE_BYTES) };
        Ok(Self {
            stream: decode::stream_name(&config),
            schema: dump::declared_schema(&config)?.unwrap_or_else(|| decode::declared_schema(&config)),
            reports: cx.reports.clone(),
            stop_after: cx.stop_after,
            reading: reading_of(&config, &cx.stop_after),
            way: config.way_to_text(),
            looks_left: LOOKS_MAX,
            has_changed: false,
            split: cx.place.split.clone(),
            generation: cx.generation,
            portion,
            revision: cx.revision,
            host: host_id(),
            settling: Settling::new(&config, &shared.names, shared.folder.files_stand_still()),
            poll: config.poll(shared.folder.as_local().is_some()),
            told: Told::default(),
            archive_name,
            // what cannot be does not get past `validate`; who only looks has no ledger to judge by
            punctuality: config
                .expect
                .as_ref()
                .filter(|_| !cx.looks_only)
                .and_then(|e| Schedule::new(e).ok())
                .map(Punctuality::new),
            looked_at: 0,
            committed: cx.committed.clone(),
            resumed: open_files(&cx.resume)?.into(),
            listed: None,
            began: Instant::now(),
            bound: cx.bound,
            given: 0,
            bytes_after: 0,
            config,
            shared,
        })
    }

    /// Reads until the input ends, the source is gone, or something fails; the source is told which.
    pub fn run(mut self) {
        let last = match self.feed() {
            Ok(()) => Ok(None),
            Err(Halt::Failed(error)) => Err(error),
            Err(Halt::Stopped) => return,
        };
        // nobody listens any more when this fails, and then nobody needs it
        let _ = self.shared.sender.blocking_send(last);
    }

    fn feed(&mut self) -> Result<(), Halt> {
        self.tell_misplaced_marks();
        self.settle_given_up()?;
        let mut is_first_look = true;
        while let Some(open) = self.resumed.pop_front() {
            self.resume(open)?;
        }
        loop {
            self.go_on()?;
            let began = Instant::now();
            self.looked_at = now_ms();
            let listing = self.shared.folder.list(&self.shared.names)?;
            hit("csv.after_list")?;
            if let Some(owner) = &self.shared.owner {
                owner.check_others(self.shared.folder.store(), &listing)?;
            }
            if listing.unreadable_names > 0 {
                self.told.once(
                    &self.reports,
                    "unreadable",
                    "",
                    "there are file names that are not UTF-8; they are not read",
                );
            }
            for name in &listing.returned {
                self.told.once(&self.reports, "returned_unseen", name, RETURNED_UNSEEN);
            }
            let listed_in = began.elapsed();
            self.tell_parked(&listing, std::mem::take(&mut is_first_look));
            let round = self.take_in(&listing, listed_in)?;
            self.release(&listing);
            match round {
                Round::Over => return Ok(()),
                Round::Again => {}
                // a folder that takes long to list is listed less often
                Round::Idle(pause) => {
                    self.shared.stop.wait(pause.max(10 * listed_in));
                }
            }
        }
    }

    /// A mark of a file that another split reads does nothing here.
    fn tell_misplaced_marks(&self) {
        let marks = self.shared.ledger.files().filter(|e| e.outcome == Outcome::Marked);
        for mark in marks.filter(|e| !self.shared.names.is_ours(&e.path)) {
            let split = folder::split_of(&mark.path, self.config.splits);
            let message = format!(
                "is marked as done in a split that does not read it, if any does: it is a file of split {split}"
            );
            self.reports.notice("marked_done", &mark.path, &message);
        }
    }

    /// Files that were parked, whenever that was, and lie there as they did; after a start also which and why.
    fn tell_parked(&self, listing: &Listing, is_first_look: bool) {
        let newest = listing.files.iter().filter_map(|(name, _)| self.shared.ledger.of(name).next_back());
        let mut parked: Vec<_> = newest.filter(|entry| entry.outcome == Outcome::Failed).collect();
        if is_first_look {
            parked.sort_by_key(|entry| entry.seq);
            for entry in parked.iter().skip(parked.len().saturating_sub(PARKED_TOLD_MAX)) {
                let why = entry.code.as_deref().unwrap_or("no reason is kept");
                self.reports.notice("parked", &entry.path, &format!("was parked before this start ({why})"));
            }
        }
        // behind the words, so that who reads the number finds what it counts
        self.reports.set("files_parked", parked.len() as i64);
    }

    /// Parked files that a person gave up meanwhile are done with.
    fn settle_given_up(&mut self) -> Result<(), Halt> {
        let is_given_up =
            |id: &str, path: &str| self.shared.ledger.of(path).any(|e| e.id == id && e.outcome == Outcome::Skipped);
        let all = self.shared.parked.all();
        let ids: Vec<String> =
            all.filter(|(id, file)| is_given_up(id, &file.path)).map(|(id, _)| id.to_owned()).collect();
        for id in ids {
            let Some((key, entry)) = self.shared.parked.settle(&id, Settled::GivenUp, self.revision) else { continue };
            let mut batch = self.empty_batch(Advance::default().note(key, None));
            let words = match &entry.origin {
                RowOrigin::File { file, .. } => vec![Word::Unparked(file.to_string())],
                _ => vec![],
            };
            batch.replayed.push(entry);
            self.give(batch, words)?;
        }
        Ok(())
    }

    /// Reads what is ready.
    fn take_in(&mut self, listing: &Listing, listed_in: Duration) -> Result<Round, Halt> {
        let now = Instant::now();
        let patience = self.settling.patience();
        if self.bound == Bound::Once && self.listed.is_none() {
            self.began = now;
            let names =
                listing.files.iter().map(|(name, _)| name).chain(listing.unreadable.iter().map(|(name, _)| name));
            self.listed = Some(names.cloned().collect());
        }
        // what a bounded input waits for is over once every file had the time to stand still
        let is_last_call = self.bound == Bound::Once && now - self.began >= patience;
        let candidates: Vec<_> =
            listing.files.iter().filter(|(name, stat)| self.is_candidate(name, stat)).cloned().collect();
        self.bytes_after = candidates.iter().map(|(_, stat)| stat.size).sum();
        let judged = self.settling.judge(listing, candidates, now, !is_last_call);
        self.reports.set("files_waiting", judged.waiting.len() as i64);
        self.tell_backlog(judged.ready.len() + judged.waiting.len());
        let (all, given) = (judged.ready.len(), self.given);
        let mut left = self.unreadable(listing);
        for (i, (name, stat)) in judged.ready.into_iter().enumerate() {
            self.go_on()?;
            self.bytes_after = self.bytes_after.saturating_sub(stat.size);
            self.take_or_leave(name, stat, &mut left)?;
            self.tell_backlog(all - i - 1 + judged.waiting.len());
            // files may have come meanwhile that belong before the next one
            let is_old = now.elapsed() > self.poll.max(10 * listed_in);
            if is_old && i + 1 < all {
                return Ok(Round::Again);
            }
        }
        for (name, waited) in &judged.waiting {
            if *waited >= WAITING_TOLD_AFTER || (is_last_call && self.given == given) {
                self.told.once(&self.reports, "waiting", name, self.settling.why_waiting());
            }
        }
        if std::mem::take(&mut self.has_changed) && is_last_call && self.looks_left > 0 {
            self.looks_left -= 1;
            return Ok(Round::Again);
        }
        let is_over = self.bound == Bound::Once && (judged.waiting.is_empty() || is_last_call);
        let is_waiting = all > 0 || !judged.waiting.is_empty();
        // a run that ends by itself is judged by all that it took
        if self.bound == Bound::Continuous || (is_over && self.given == given) {
            self.judge_day(self.looked_at, listing, &judged.waiting, is_over);
        }
        Ok(match self.given == given {
            false => Round::Again,
            true if is_over => {
                // who asked for all that is there did not get it
                left.iter().for_each(|(name, why)| self.reports.parked(name, why));
                Round::Over
            }
            // a file that stood still for a moment is looked at soon; what waits for its marker is not asked for all the time
            true if is_waiting && !patience.is_zero() => Round::Idle(self.poll.min(patience)),
            true => Round::Idle(self.poll),
        })
    }

    /// Files and bytes that were seen and are still to be read; of the file that is read, what is left of it.
    fn tell_backlog(&self, files: usize) {
        self.reports.set("backlog_files", files as i64);
        self.reports.set("backlog_bytes", self.bytes_after as i64);
    }

    /// Reads a file. One that may not be read, and of which nothing was handed on, is told and left for another round: it must
    /// not keep the others.
    fn take_or_leave(&mut self, name: String, stat: ObjectStat, left: &mut Vec<(String, String)>) -> Result<(), Halt> {
        let given = self.given;
        match self.take(&name, stat) {
            // replaced before anything of it was handed on: the next listing has the new one
            Err(Halt::Failed(error))
                if given == self.given && self.shared.folder.files_stand_still() && is_changed(&error) =>
            {
                self.has_changed = true;
                Ok(())
            }
            Err(Halt::Failed(error))
                if given == self.given && matches!(error.code_text(), Some("U0221" | "U0314" | "U0318")) =>
            {
                let why = error.one_line();
                self.told.once(&self.reports, "unreadable", &name, &why);
                left.push((name, why));
                Ok(())
            }
            done => done,
        }
    }

    /// Tells of files that cannot even be looked at.
    fn unreadable(&mut self, listing: &Listing) -> Vec<(String, String)> {
        let is_wanted = |name: &str| self.listed.as_ref().is_none_or(|listed| listed.contains(name));
        let left = listing.unreadable.iter().filter(|(name, _)| is_wanted(name));
        let left: Vec<_> = left.map(|(name, error)| (name.clone(), error.one_line())).collect();
        for (name, why) in &left {
            self.told.once(&self.reports, "unreadable", name, why);
        }
        left
    }

    /// Whether the ledger leaves open what to do with the file.
    fn is_candidate(&self, name: &str, stat: &ObjectStat) -> bool {
        if self.listed.as_ref().is_some_and(|listed| !listed.contains(name)) {
            return false;
        }
        if sabotaged("file-late") && self.shared.ledger.files().any(|e| e.path.as_str() > name) {
            return false;
        }
        !self.is_known(name, stat)
    }

    /// Releases what is committed. A release that fails is told and tried again; rows need not wait for it.
    fn release(&mut self, listing: &Listing) {
        if let Some(sweeper) = self.shared.dumps.as_ref().and_then(|dumps| dumps.sweeper.as_ref())
            && let Err(error) = sweeper.sweep(&self.committed.latest())
        {
            self.reports.notice("release", "", &error.one_line());
        }
        let Some(releaser) = &self.shared.releaser else { return };
        let mut releaser = releaser.lock().unwrap_or_else(PoisonError::into_inner);
        releaser.watch_archived(Instant::now());
        let done = releaser.release_due(listing, &self.committed.latest());
        self.reports.set("release_failing", i64::from(done.is_err() || releaser.is_failing()));
        if let Err(error) = done {
            self.reports.notice("release", "", &error.one_line());
        }
    }

    /// Hands on a batch and what is to be said with it; waits while the sink is behind.
    pub(super) fn give(&mut self, batch: Batch, words: Vec<Word>) -> Result<(), Halt> {
        self.given += 1;
        self.shared.sender.blocking_send(Ok(Some(Given { batch, words }))).map_err(|_| Halt::Stopped)
    }

    pub(super) fn go_on(&self) -> Result<(), Halt> {
        if self.shared.stop.is_set() { Err(Halt::Stopped) } else { Ok(()) }
    }
}

/// What a look into the folder came to.
enum Round {
    /// Something was read: look again at once.
    Again,
    /// Nothing to do for so long.
    Idle(Duration),
    /// A bounded input is at its end.
    Over,
}
