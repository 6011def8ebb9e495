//! Takes files of a folder away.
//!
//! A file is taken by renaming it to a hidden name in its own folder, which is one atomic step for whatever stands under
//! the name at that moment. Only then is it looked at: if it is not the file that was read, it goes back without replacing
//! anything. Its marker is taken just before it, to a hidden name beside that one. A crash at any point leaves either the file
//! under its name or the hidden one, and both are found again.

use super::{RETURNED_UNSEEN, Round, Tries, is_releasable};
use crate::archive::{Mark, Parsed};
use crate::content::digest_of;
use crate::folder::{Listing, Names, RETURNED};
use crate::ledger::{CommittedLedger, Entry};
use crate::placing::{Expected, copy_into, is_no_link, remove, rename_to_free, sync_folder};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use unbatch_api::failpoint::{hit, sabotaged};
use unbatch_api::{Error, Reports, Result};
use unbatch_object_files::{Layers, ObjectStat, local_error};

/// How long and how many archived files are looked at again, in case somebody still writes into them.
const WATCH_FOR: Duration = Duration::from_secs(3600);
const WATCHED_MAX: usize = 1_000;
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// Names that are tried for a file that goes back while another has its name.
const RETURNED_MAX: u32 = 100;

/// Moves or deletes files of a folder.
pub(super) struct InFolder {
    folder: PathBuf,
    /// `None`: files are deleted.
    archive: Option<PathBuf>,
    layers: Layers,
    names: Names,
    mark: Mark,
    reports: Reports,
    watched: VecDeque<Watched>,
    looked_at: Instant,
    /// Drafts that a crash left in the archive are removed once.
    is_swept: bool,
}

struct Watched {
    path: PathBuf,
    name: String,
    size: u64,
    until: Instant,
}

impl InFolder {
    pub fn new(
        folder: &Path,
        archive: Option<&Path>,
        layers: &Layers,
        names: &Names,
        mark: &Mark,
        reports: &Reports,
    ) -> Self {
        Self {
            folder: folder.to_owned(),
            archive: archive.map(Path::to_owned),
            layers: layers.clone(),
            names: names.clone(),
            mark: mark.clone(),
            reports: reports.clone(),
            watched: VecDeque::new(),
            looked_at: Instant::now(),
            is_swept: false,
        }
    }

    /// Looks again at files that were archived a while ago; one that has grown was still being written.
    pub fn watch_archived(&mut self, now: Instant) {
        if now - self.looked_at < WATCH_EVERY || sabotaged("file-grown") {
            return;
        }
        self.looked_at = now;
        self.watched.retain(|file| file.until > now);
        for file in &mut self.watched {
            if let Ok(Some(stat)) = look(&file.path)
                && stat.size != file.size
            {
                file.size = stat.size;
                self.reports.add("files_grown_total", 1);
                self.reports.notice("grown", &file.name, "was written to after it was read and archived");
            }
        }
    }

    pub fn release(&mut self, entry: &Entry) -> Result<()> {
        let path = self.folder.join(&entry.path);
        let hidden = self.folder.join(self.mark.private_name(&entry.path, &entry.digest));
        if look(&hidden)?.is_some() {
            // a crash left it; it is dealt with before another takes the name
            return Ok(());
        }
        hit("csv.before_release_rename")?;
        // the file may be the next delivery by now, and then the marker is its marker
        if look(&path)?.is_none_or(|now| now != entry.stat) && !sabotaged("F2") {
            return Ok(());
        }
        self.take_marker(&path, &hidden)?;
        hit("csv.after_marker_rename")?;
        match std::fs::rename(&path, &hidden) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(local_error("taking a file that is done failed", &path, e)),
        }
        hit("csv.after_release_rename")?;
        self.finish(entry, &hidden, Some(&entry.stat))
    }

    /// An old marker must not vouch for the next delivery, and the marker of the next one must not go with this file.
    fn take_marker(&self, path: &Path, hidden: &Path) -> Result<()> {
        let Some(ending) = &self.ending() else { return Ok(()) };
        let marker = marker_of(path, ending);
        match std::fs::rename(&marker, marker_of(hidden, ending)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(local_error("taking a marker failed", &marker, e)),
            _ => Ok(()),
        }
    }

    /// Files with a hidden name of ours: each is done or goes back.
    pub fn finish_hidden(
        &mut self,
        listing: &Listing,
        ledger: &CommittedLedger<'_>,
        tries: &mut Tries,
        round: &mut Round,
    ) -> Result<()> {
        self.sweep_drafts()?;
        for name in &listing.hidden {
            let marked = self.ending().and_then(|ending| name.strip_suffix(ending.as_str()));
            let given = marked.unwrap_or(name);
            let Some(parsed) = given.strip_prefix('.').and_then(|n| self.mark.parse(n)) else { continue };
            let entry = self.entry_of(ledger, given, &parsed)?.filter(|e| is_releasable(e.outcome));
            let hidden = self.folder.join(given);
            tries.attempt(&parsed.name, round, || match (entry, marked) {
                (Some(entry), None) => self.finish(&entry, &hidden, None),
                (None, None) => self.put_back(&hidden, &parsed.name, parsed.is_shortened()),
                (entry, Some(_)) => self.finish_marker(entry.as_ref(), &hidden, &parsed.name),
            });
        }
        Ok(())
    }

    /// A hidden marker goes with the hidden file. Alone it was taken just before a crash; the file may still be under its name.
    fn finish_marker(&self, entry: Option<&Entry>, hidden: &Path, name: &str) -> Result<()> {
        let Some(ending) = &self.ending() else { return Ok(()) };
        if look(hidden)?.is_some() {
            return Ok(());
        }
        let (marker, back) = (marker_of(hidden, ending), marker_of(&self.folder.join(name), ending));
        if entry.is_none() && look(&marker)?.is_some() {
            let failed = |e| local_error("putting a marker back failed", &back, e);
            // where there is a newer one, this one is of no more use
            rename_to_free(&marker, &back).map_err(failed)?;
        }
        remove(&marker)
    }

    /// The newest committed entry of the file that has a hidden name.
    fn entry_of(&self, ledger: &CommittedLedger<'_>, given: &str, parsed: &Parsed) -> Result<Option<Entry>> {
        let given = given.trim_start_matches('.');
        let is_it = |e: &Entry| self.mark.is_of(given, parsed, &e.path, &e.digest);
        let mut entries = ledger.of(&parsed.name)?;
        if parsed.is_shortened() && !entries.iter().any(is_it) {
            entries = ledger.files()?;
        }
        Ok(entries.into_iter().rev().find(is_it))
    }

    /// Moves on a file that has its hidden name: to the archive, away, or back.
    fn finish(&mut self, entry: &Entry, hidden: &Path, expected: Option<&ObjectStat>) -> Result<()> {
        let Some(stat) = look(hidden)? else { return Ok(()) };
        let is_same = match expected {
            Some(expected) => stat.is_same_content(expected),
            None => digest_of(hidden, &entry.path, &self.layers)? == entry.digest,
        };
        if !is_same && !sabotaged("F2") {
            return self.put_back(hidden, &entry.path, false);
        }
        if let Some(ending) = &self.ending() {
            remove(&marker_of(hidden, ending))?;
        }
        match self.archive.clone() {
            None => remove(hidden)?,
            Some(archive) => self.move_to(&archive, entry, hidden, &stat)?,
        }
        hit("csv.after_release")?;
        self.reports.add("files_released_total", 1);
        Ok(())
    }

    fn move_to(&mut self, archive: &Path, entry: &Entry, hidden: &Path, stat: &ObjectStat) -> Result<()> {
        std::fs::create_dir_all(archive).map_err(|e| local_error("making the archive folder failed", archive, e))?;
        let target = archive.join(self.mark.archive_name(&entry.path, &entry.digest));
        hit("csv.before_archive")?;
        let is_placed = match std::fs::hard_link(hidden, &target) {
            Ok(()) => true,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => false,
            Err(e) if is_no_link(&e) => {
                let expected = Expected { name: &entry.path, digest: &entry.digest, layers: &self.layers };
                copy_into(hidden, &target, &self.draft_in(archive), expected)?
            }
            Err(e) => return Err(local_error("moving a file into the archive failed", &target, e)),
        };
        // the name was taken: by the same content (an earlier copy, or we were here before a crash), or by somebody else's
        let is_there =
            is_placed || look(&target)?.is_some() && digest_of(&target, &entry.path, &self.layers)? == entry.digest;
        if !is_there && look(&target)?.is_some_and(|there| there.size == 0) {
            // the placeholder of a crash (see `rename_to_free`): an empty file cannot be what has this digest in its name
            remove(&target)?;
            return self.put_back(hidden, &entry.path, false);
        }
        if !is_there {
            self.reports.notice("archive", &entry.path, "another file has its name in the archive; it stays");
            return self.put_back(hidden, &entry.path, false);
        }
        hit("csv.after_archive")?;
        sync_folder(archive)?;
        remove(hidden)?;
        if self.watched.len() == WATCHED_MAX {
            self.watched.pop_front();
        }
        let until = Instant::now() + WATCH_FOR;
        self.watched.push_back(Watched { path: target, name: entry.path.clone(), size: stat.size, until });
        Ok(())
    }

    /// Gives a file its old name again, or one beside it when there is a newer file under that name. `is_part`: the old name is
    /// only known in part.
    fn put_back(&self, hidden: &Path, name: &str, is_part: bool) -> Result<()> {
        let (stem, extension) = name.split_at(name.find('.').unwrap_or(name.len()));
        for attempt in 0..=RETURNED_MAX {
            let name = match attempt {
                0 => name.to_owned(),
                n => self.mark.fitted(stem, &format!("{RETURNED}{n}{extension}")),
            };
            let path = self.folder.join(&name);
            match rename_to_free(hidden, &path) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
                Err(e) => return Err(local_error("putting a file back failed", &path, e)),
            }
            let is_vouched = self.put_marker_back(hidden, &path)?;
            if attempt > 0 || is_part {
                self.tell_returned(&name, is_vouched);
            }
            return Ok(());
        }
        let error = Error::transient("putting a file back failed: all names beside it are taken").code("U0220");
        Err(error.with("path", hidden.display()))
    }

    /// Whether the file has a marker then, or needs none.
    fn put_marker_back(&self, hidden: &Path, path: &Path) -> Result<bool> {
        let Some(ending) = &self.ending() else { return Ok(true) };
        let (from, to) = (marker_of(hidden, ending), marker_of(path, ending));
        match rename_to_free(&from, &to) {
            // a newer marker is there; an old one must not stay behind
            Ok(false) => remove(&from).map(|()| true),
            Ok(true) => Ok(true),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(look(&to)?.is_some()),
            Err(e) => Err(local_error("putting a marker back failed", &to, e)),
        }
    }

    fn tell_returned(&self, name: &str, is_vouched: bool) {
        let code = match self.names.is_data(name) {
            true => "returned",
            false => "returned_unseen",
        };
        let message = match (self.names.is_data(name), is_vouched) {
            (true, true) => "went back under this name, since a newer file has its own; it is read under this one",
            (true, false) => {
                "went back under this name, since a newer file has its own; it has no marker and waits for one"
            }
            (false, _) => RETURNED_UNSEEN,
        };
        self.reports.notice(code, name, message);
    }

    /// What marker files have more in their names, where there are markers.
    fn ending(&self) -> Option<String> {
        self.names.marker_of("")
    }

    /// Drafts of copies that a crash cut short; whoever else had this split can no longer place them.
    fn sweep_drafts(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.is_swept, true) {
            return Ok(());
        }
        let Some(Ok(entries)) = self.archive.as_ref().map(std::fs::read_dir) else { return Ok(()) };
        let prefix = self.mark.draft_prefix();
        for entry in entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with(&prefix)) {
            remove(&entry.path())?;
        }
        Ok(())
    }

    /// A name that no other copy has, also none of a process that was fenced and does not know it yet.
    fn draft_in(&self, archive: &Path) -> PathBuf {
        static DRAFTS: AtomicU64 = AtomicU64::new(0);
        let n = DRAFTS.fetch_add(1, Ordering::Relaxed);
        archive.join(format!("{}{}.{n}", self.mark.draft_prefix(), std::process::id()))
    }
}

/// What is there now, if it is a file and no link.
fn look(path: &Path) -> Result<Option<ObjectStat>> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => Ok(metadata.is_file().then(|| ObjectStat::of(&metadata))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(local_error("looking at a file failed", path, e)),
    }
}

/// `prices.csv` and `.done` make `prices.csv.done`.
fn marker_of(path: &Path, ending: &str) -> PathBuf {
    let mut marker = path.as_os_str().to_owned();
    marker.push(ending);
    PathBuf::from(marker)
}
