//! What happens to a file once its rows are committed (delivery F2).
//!
//! A file is taken by renaming it to a hidden name in its own folder, which is one atomic step for whatever stands under
//! the name at that moment. Only then is it looked at: if it is not the file that was read, it goes back without replacing
//! anything. A crash at any point leaves either the file under its name or the hidden one, and both are found again.

use crate::archive::{self, Mark};
use crate::config::{After, CsvDropsConfig, ReadyWhen};
use crate::digest::ContentDigest;
use crate::file_stat::FileStat;
use crate::folder::{Listing, file_error, look, marker_of};
use crate::ledger::{CommittedLedger, Entry, Outcome};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use unbatch_api::failpoint::{hit, sabotaged};
use unbatch_api::{Checkpoint, Error, Ownership, Reports, Result, SourceContext, SplitId};

/// How long and how many archived files are looked at again, in case somebody still writes into them.
const WATCH_FOR: Duration = Duration::from_secs(3600);
const WATCHED_MAX: usize = 1_000;
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Moves or deletes files that are committed.
pub struct Releaser {
    folder: PathBuf,
    /// `None`: files are deleted.
    archive: Option<PathBuf>,
    marker: Option<String>,
    mark: Mark,
    split: SplitId,
    ownership: Arc<dyn Ownership>,
    reports: Reports,
    watched: VecDeque<Watched>,
    looked_at: Instant,
}

struct Watched {
    path: PathBuf,
    name: String,
    size: u64,
    until: Instant,
}

impl Releaser {
    /// `None` when files are kept.
    pub fn new(config: &CsvDropsConfig, folder: &Path, cx: &SourceContext) -> Result<Option<Self>> {
        let archive = match &config.after {
            After::Keep => return Ok(None),
            After::Delete => None,
            After::MoveTo(url) => Some(archive_folder(url, folder, &cx.place.base)?),
        };
        let marker = match &config.ready_when {
            ReadyWhen::Marker(ending) => Some(ending.clone()),
            ReadyWhen::StableFor(_) => None,
        };
        Ok(Some(Self {
            folder: folder.to_owned(),
            archive,
            marker,
            mark: Mark::new(cx),
            split: cx.place.split.clone(),
            ownership: cx.ownership.clone(),
            reports: cx.reports.clone(),
            watched: VecDeque::new(),
            looked_at: Instant::now(),
        }))
    }

    pub fn archive(&self) -> Option<&Path> {
        self.archive.as_deref()
    }
    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Takes away every file of the listing that `committed` says is done, and finishes what a crash left half done.
    pub fn release_due(&mut self, listing: &Listing, committed: &Checkpoint) -> Result<()> {
        let ledger = CommittedLedger::new(committed);
        self.finish_hidden(listing, &ledger)?;
        for (name, stat) in &listing.files {
            let entries = ledger.of(name)?;
            let done = |e: &&Entry| (e.stat == *stat || sabotaged("F2")) && is_releasable(e.outcome);
            if let Some(entry) = entries.iter().rev().find(done) {
                self.release(entry)?;
            }
        }
        Ok(())
    }

    /// Looks again at files that were archived a while ago; one that has grown was still being written.
    pub fn watch_archived(&mut self, now: Instant) {
        if now - self.looked_at < WATCH_EVERY || sabotaged("file-grown") {
            return;
        }
        self.looked_at = now;
        self.watched.retain(|file| file.until > now);
        for file in &mut self.watched {
            if let Ok(Some(stat)) = look(&file.path, false)
                && stat.size != file.size
            {
                file.size = stat.size;
                self.reports.add("files_grown_total", 1);
                self.reports.notice("grown", &file.name, "was written to after it was read and archived");
            }
        }
    }

    fn release(&mut self, entry: &Entry) -> Result<()> {
        if !self.is_ours() {
            return Ok(());
        }
        let path = self.folder.join(&entry.path);
        let hidden = self.folder.join(self.mark.private_name(&entry.path, &entry.digest));
        if look(&hidden, false)?.is_some() {
            // a crash left it; it is dealt with before another takes the name
            return Ok(());
        }
        hit("csv.before_release_rename")?;
        match std::fs::rename(&path, &hidden) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(file_error("taking a file that is done failed", &path, e)),
        }
        hit("csv.after_release_rename")?;
        self.finish(entry, &hidden, Some(entry.stat))
    }

    /// Files with a hidden name of ours: each is done or goes back.
    fn finish_hidden(&mut self, listing: &Listing, ledger: &CommittedLedger<'_>) -> Result<()> {
        for name in &listing.hidden {
            let Some(parsed) = name.strip_prefix('.').and_then(|n| self.mark.parse(n)) else { continue };
            if !self.is_ours() {
                return Ok(());
            }
            let entries = ledger.of(&parsed.name)?;
            let done = |e: &&Entry| archive::digits(&e.digest) == parsed.digest && is_releasable(e.outcome);
            let hidden = self.folder.join(name);
            match entries.iter().rev().find(done) {
                Some(entry) => self.finish(entry, &hidden, None)?,
                None => self.put_back(&hidden, &parsed.name)?,
            }
        }
        Ok(())
    }

    /// Moves on a file that has its hidden name: to the archive, away, or back.
    fn finish(&mut self, entry: &Entry, hidden: &Path, expected: Option<FileStat>) -> Result<()> {
        let Some(stat) = look(hidden, false)? else { return Ok(()) };
        let is_same = match expected {
            Some(expected) => stat.is_same_content(&expected),
            None => stat.size == entry.stat.size && digest_of(hidden)? == entry.digest,
        };
        if !is_same && !sabotaged("F2") {
            return self.put_back(hidden, &entry.path);
        }
        // an old marker must not vouch for the next delivery
        if let Some(ending) = &self.marker {
            let marker = marker_of(&self.folder.join(&entry.path), ending);
            remove(&marker)?;
        }
        match self.archive.clone() {
            None => remove(hidden)?,
            Some(archive) => self.move_to(&archive, entry, hidden, stat)?,
        }
        hit("csv.after_release")?;
        self.reports.add("files_released_total", 1);
        Ok(())
    }

    fn move_to(&mut self, archive: &Path, entry: &Entry, hidden: &Path, stat: FileStat) -> Result<()> {
        std::fs::create_dir_all(archive).map_err(|e| file_error("making the archive folder failed", archive, e))?;
        let target = archive.join(self.mark.archive_name(&entry.path, &entry.digest));
        hit("csv.before_archive")?;
        let is_placed = match std::fs::hard_link(hidden, &target) {
            Ok(()) => true,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => false,
            Err(e) if is_no_link(&e) => copy_into(hidden, &target, &entry.digest)?,
            Err(e) => return Err(file_error("moving a file into the archive failed", &target, e)),
        };
        // the name was taken: by the same content (an earlier copy, or we were here before a crash), or by somebody else's
        let is_there = is_placed
            || look(&target, false)?.is_some_and(|there| there.size == stat.size)
                && digest_of(&target)? == entry.digest;
        if !is_there && look(&target, false)?.is_some_and(|there| there.size == 0) {
            // the placeholder of a crash (see `copy_into`): an empty file cannot be what has this digest in its name
            remove(&target)?;
            return self.put_back(hidden, &entry.path);
        }
        if !is_there {
            self.reports.notice("archive", &entry.path, "another file has its name in the archive; it stays");
            return self.put_back(hidden, &entry.path);
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

    /// Gives a file its old name again, or one beside it when there is a newer file under that name.
    fn put_back(&self, hidden: &Path, name: &str) -> Result<()> {
        let (stem, extension) = name.split_at(name.find('.').unwrap_or(name.len()));
        for attempt in 0..100 {
            let path = match attempt {
                0 => self.folder.join(name),
                n => self.folder.join(format!("{stem}~returned-{n}{extension}")),
            };
            match std::fs::hard_link(hidden, &path) {
                Ok(()) => return remove(hidden),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) if is_no_link(&e) => match File::create_new(&path) {
                    // our own empty file holds the name, so that the rename replaces nobody's
                    Ok(_) => {
                        return std::fs::rename(hidden, &path)
                            .map_err(|e| file_error("putting a file back failed", &path, e));
                    }
                    Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                    Err(e) => return Err(file_error("putting a file back failed", &path, e)),
                },
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
                Err(e) => return Err(file_error("putting a file back failed", &path, e)),
            }
        }
        let error = Error::transient("putting a file back failed: all names beside it are taken").code("U0220");
        Err(error.with("path", hidden.display()))
    }

    fn is_ours(&self) -> bool {
        self.ownership.is_ours(&self.split) || sabotaged("F2")
    }
}

/// The folder that `after: {move_to: …}` names; it must not be the one that is read.
pub fn archive_folder(url: &str, folder: &Path, base: &Path) -> Result<PathBuf> {
    let location = crate::location::Location::parse(url)
        .map_err(|message| Error::misconfigured(format!("reading `after.move_to` failed: {message}")).code("U0210"))?;
    let archive = location.resolve(base);
    let same = match (archive.canonicalize(), folder.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => archive == folder,
    };
    if same {
        return Err(Error::misconfigured("using `after.move_to` failed: it is the folder that is read")
            .code("U0215")
            .help("name another folder, or one inside it; archived files would be read again"));
    }
    Ok(archive)
}

/// The digest of a whole file.
pub fn digest_of(path: &Path) -> Result<String> {
    let failed = |e| file_error("reading a file for its digest failed", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let mut digest = ContentDigest::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(digest.so_far()),
            Ok(n) => digest.update(&buffer[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(e)),
        }
    }
}

/// A file that was read to its end or skipped may go; one that failed or grew is for a person to see.
fn is_releasable(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Loaded | Outcome::Skipped)
}

/// Another file system, or one without hard links.
fn is_no_link(e: &std::io::Error) -> bool {
    matches!(e.kind(), ErrorKind::CrossesDevices | ErrorKind::PermissionDenied | ErrorKind::Unsupported)
        || matches!(e.raw_os_error(), Some(libc::EPERM | libc::EOPNOTSUPP | libc::ENOSYS))
}

/// Copies whole or not at all, checked by digest, without replacing anything; false when the name is taken.
fn copy_into(from: &Path, target: &Path, digest: &str) -> Result<bool> {
    let failed = |e| file_error("copying a file into the archive failed", target, e);
    let mut draft = target.as_os_str().to_owned();
    draft.push(".part");
    let draft = PathBuf::from(draft);
    std::fs::copy(from, &draft).map_err(failed)?;
    let file = File::options().write(true).open(&draft).map_err(failed)?;
    if let Ok(modified) = std::fs::metadata(from).and_then(|m| m.modified()) {
        file.set_modified(modified).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    if digest_of(&draft)? != digest {
        remove(&draft)?;
        let error = Error::transient("copying a file into the archive failed: the copy is not the same").code("U0220");
        return Err(error.with("path", target.display()));
    }
    let is_placed = match std::fs::hard_link(&draft, target) {
        Ok(()) => true,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => false,
        Err(e) if is_no_link(&e) => match File::create_new(target) {
            // our own empty file holds the name; the rename replaces it and nothing else
            Ok(_) => return std::fs::rename(&draft, target).map(|()| true).map_err(failed),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => false,
            Err(e) => return Err(failed(e)),
        },
        Err(e) => return Err(failed(e)),
    };
    remove(&draft)?;
    Ok(is_placed)
}

fn sync_folder(folder: &Path) -> Result<()> {
    let synced = File::open(folder).and_then(|f| f.sync_all());
    synced.map_err(|e| file_error("making the archive folder durable failed", folder, e))
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(file_error("removing a file failed", path, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_the_same_or_does_not_exist_and_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (from, target) = (folder.path().join("from"), folder.path().join("target"));
        std::fs::write(&from, "content").unwrap();
        let digest = digest_of(&from).unwrap();
        assert!(copy_into(&from, &target, &"0".repeat(64)).is_err());
        assert!(!target.exists());
        assert!(copy_into(&from, &target, &digest).unwrap());
        assert_eq!(digest_of(&target).unwrap(), digest);
        let modified = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
        assert_eq!(modified(&target), modified(&from));
        std::fs::write(&target, "another").unwrap();
        assert!(!copy_into(&from, &target, &digest).unwrap());
        assert_eq!(std::fs::read(&target).unwrap(), b"another");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
