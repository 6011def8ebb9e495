//! What happens to a file once its rows are committed (delivery F2): it stays, it is deleted, or it goes into an archive.
//!
//! When that is tried, and by whom, is the same for folders and object stores and stands here; how it is done without ever taking
//! another file than the one that was read does not ([`folder`], [`objects`]).

mod folder;
mod objects;

use crate::archive::Mark;
use crate::config::{After, CsvDropsConfig};
use crate::folder::{Folder, Listing, Names};
use crate::ledger::{CommittedLedger, Entry, Outcome};
use crate::source::Stop;
use crate::turns::{Retries, turn_of};
use folder::InFolder;
use objects::InStore;
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use unbatch_api::config::Resolver;
use unbatch_api::failpoint::sabotaged;
use unbatch_api::{Checkpoint, Error, Ownership, Result, SourceContext, SplitId};
use unbatch_object_files::{Location, Store, open_store};

/// What is told of a file that went back under a name that nobody reads.
pub const RETURNED_UNSEEN: &str = "went back under this name, since a newer file had its own, and `match` does not take this one: \
                                   it is not read. Give it a name that `match` takes once the newer file is done";

/// How long files are released before reading goes on, and at the end of a run, which waits for 30 s at most.
const ROUND_MAX: Duration = Duration::from_secs(5);
const LAST_ROUND_MAX: Duration = Duration::from_secs(20);

/// Moves or deletes files that are committed.
pub struct Releaser {
    way: Way,
    mark: Mark,
    archive: Option<Arc<dyn Store>>,
    turn: Arc<Mutex<()>>,
    tries: Tries,
    names: Names,
    stop: Arc<Stop>,
}

enum Way {
    Folder(InFolder),
    Store(InStore),
}

/// Whether a file is tried now, and what came of it.
struct Tries {
    split: SplitId,
    ownership: Arc<dyn Ownership>,
    retries: Retries,
}

/// One look at all that is due. The first error is kept; one file does not keep the others.
struct Round {
    now: Instant,
    /// The last chance of this run: nobody waits for another one.
    is_last: bool,
    error: Option<Error>,
    is_over: bool,
}

impl Releaser {
    /// `None` when files are kept.
    pub fn new(
        config: &CsvDropsConfig,
        folder: &Folder,
        names: &Names,
        cx: &SourceContext,
        stop: Arc<Stop>,
        runtime: &Handle,
    ) -> Result<Option<Self>> {
        if config.after == After::Keep {
            return Ok(None);
        }
        let archive = archive_of(config, folder, &cx.place.base, &*cx.place.secrets, runtime)?;
        let mark = Mark::new(cx, names.marker_of("").as_deref());
        let way = match folder.as_local() {
            Some(local) => {
                let archive = archive.as_deref().and_then(|archive| archive.location().as_folder());
                Way::Folder(InFolder::new(local, archive, folder.layers(), names, &mark, &cx.reports))
            }
            None => Way::Store(InStore::new(folder, archive.clone(), names, &mark, &cx.reports)),
        };
        let turn = turn_of(&folder.store().location().to_string(), mark.who());
        let tries =
            Tries { split: cx.place.split.clone(), ownership: cx.ownership.clone(), retries: Retries::default() };
        Ok(Some(Self { way, mark, archive, turn, tries, names: names.clone(), stop }))
    }

    pub fn archives(&self) -> bool {
        self.archive.is_some()
    }
    pub fn mark(&self) -> &Mark {
        &self.mark
    }
    /// Whether something could not be released, and is tried again.
    pub fn is_failing(&self) -> bool {
        self.tries.retries.is_any()
    }

    /// Delivery F3: nothing is in the archive that the ledger does not know.
    pub fn check_archive(&self, known: &HashSet<&str>) -> Result<()> {
        self.archive.as_ref().map_or(Ok(()), |archive| self.mark.check_archive(&**archive, known))
    }

    /// Takes away every file of the listing that `committed` says is done, and finishes what a crash left half done. What failed
    /// a moment ago is left for later, and all of it while another releaser of this split is at work.
    pub fn release_due(&mut self, listing: &Listing, committed: &Checkpoint) -> Result<()> {
        let turn = self.turn.clone();
        let _held = match turn.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(held)) => held.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        self.round(listing, committed, false)
    }

    /// The same for the last time in a run: waits for its turn, and tries everything.
    pub fn release_all(&mut self, listing: &Listing, committed: &Checkpoint) -> Result<()> {
        let turn = self.turn.clone();
        let _held = turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.round(listing, committed, true)
    }

    /// Looks again at files that were archived a while ago; one that has grown was still being written.
    pub fn watch_archived(&mut self, now: Instant) {
        // an object cannot grow
        if let Way::Folder(folder) = &mut self.way {
            folder.watch_archived(now);
        }
    }

    fn round(&mut self, listing: &Listing, committed: &Checkpoint, is_last: bool) -> Result<()> {
        let mut round = Round { now: Instant::now(), is_last, error: None, is_over: false };
        if !is_last && self.tries.retries.is_full(round.now) {
            return Ok(());
        }
        let ledger = CommittedLedger::new(committed);
        if let Way::Folder(folder) = &mut self.way {
            folder.finish_hidden(listing, &ledger, &mut self.tries, &mut round)?;
        }
        for (name, stat) in &listing.files {
            // what is left the next round does, or the next run
            let is_stopped = !is_last && self.stop.is_set();
            if is_stopped || round.now.elapsed() > if is_last { LAST_ROUND_MAX } else { ROUND_MAX } {
                break;
            }
            let entries = ledger.of(name)?;
            let done = |e: &&Entry| (e.stat == *stat || sabotaged("F2")) && is_releasable(e.outcome);
            let Some(entry) = entries.iter().rev().find(done) else { continue };
            self.tries.attempt(name, &mut round, || match &mut self.way {
                Way::Folder(folder) => folder.release(entry),
                Way::Store(store) => {
                    let marker = self.names.marker_of(name).and_then(|marker| listing.markers.get(&marker));
                    store.release(entry, marker)
                }
            });
        }
        self.tries.retries.end_round(round.now);
        round.error.map_or(Ok(()), Err)
    }
}

impl Tries {
    fn attempt(&mut self, name: &str, round: &mut Round, work: impl FnOnce() -> Result<()>) {
        let is_ours = || self.ownership.is_ours(&self.split) || sabotaged("F2");
        if round.is_over || !(round.is_last || self.retries.may(name, round.now)) || !is_ours() {
            return;
        }
        match work() {
            Ok(()) => self.retries.succeeded(name),
            Err(error) => {
                round.is_over = self.retries.failed(name, &error, round.now);
                round.error.get_or_insert(error);
            }
        }
    }
}

/// The place that `after: {move_to: …}` names, if it does; it must not be the one that is read, and in the same store.
pub fn archive_of(
    config: &CsvDropsConfig,
    folder: &Folder,
    base: &Path,
    secrets: &dyn Resolver,
    runtime: &Handle,
) -> Result<Option<Arc<dyn Store>>> {
    let After::MoveTo(url) = &config.after else { return Ok(None) };
    let location = Location::parse(url)
        .map_err(|message| Error::misconfigured(format!("reading `after.move_to` failed: {message}")).code("U0210"))?;
    let archive = open_store(&location, base, &config.store.resolve(secrets)?, runtime)?;
    let is_same = match (archive.location().as_folder(), folder.as_local()) {
        (Some(to), Some(from)) => match (to.canonicalize(), from.canonicalize()) {
            (Ok(to), Ok(from)) => to == from,
            _ => to == from,
        },
        (None, None) => archive.location() == folder.store().location(),
        _ => {
            return Err(Error::misconfigured("using `after.move_to` failed: it is in another store than `url`")
                .code("U0215")
                .help("files are moved inside one store only: a folder for a folder, the same bucket for a bucket"));
        }
    };
    if is_same {
        return Err(Error::misconfigured("using `after.move_to` failed: it is the folder that is read")
            .code("U0215")
            .help("name another folder, or one inside it; archived files would be read again"));
    }
    Ok(Some(archive))
}

/// A file that was read to its end may go; one that failed, grew or was only marked is for a person to see.
fn is_releasable(outcome: Outcome) -> bool {
    outcome == Outcome::Loaded
}
