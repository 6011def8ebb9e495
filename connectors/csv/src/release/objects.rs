//! Takes objects of a store away. There is no rename and no hidden name: an object is copied into the archive under a name that
//! nobody else gives, or not at all, and deleted by the tag of the upload that was read. A crash between the two leaves both, and
//! the next round finds that the copy is there.

use crate::archive::Mark;
use crate::content;
use crate::folder::{Folder, Names};
use crate::ledger::Entry;
use std::collections::HashSet;
use std::sync::Arc;
use unbatch_api::failpoint::{hit, sabotaged};
use unbatch_api::{Reports, Result};
use unbatch_object_files::{ObjectStat, Placed, Removed, Store, TextReader, is_changed};

/// Files that are known to stay; when there are more, all are tried again.
const STAYS_MAX: usize = 10_000;

pub(super) struct InStore {
    folder: Folder,
    /// `None`: files are deleted.
    archive: Option<Arc<dyn Store>>,
    names: Names,
    mark: Mark,
    reports: Reports,
    /// Names in the archive that somebody else has.
    stays: HashSet<String>,
}

impl InStore {
    pub fn new(
        folder: &Folder,
        archive: Option<Arc<dyn Store>>,
        names: &Names,
        mark: &Mark,
        reports: &Reports,
    ) -> Self {
        let (folder, names, mark, reports) = (folder.clone(), names.clone(), mark.clone(), reports.clone());
        Self { folder, archive, names, mark, reports, stays: HashSet::new() }
    }

    /// `marker`: what the listing says of the file's marker.
    pub fn release(&mut self, entry: &Entry, marker: Option<&ObjectStat>) -> Result<()> {
        let target = self.mark.archive_name(&entry.path, &entry.digest);
        if self.stays.contains(&target) {
            return Ok(());
        }
        hit("csv.before_release_rename")?;
        // the file may be the next delivery by now, and then the marker is its marker
        let Some(now) = self.folder.look(&entry.path)? else { return Ok(()) };
        if now != entry.stat && !sabotaged("F2") {
            return Ok(());
        }
        let is_gone = match self.archive.clone() {
            None => self.folder.store().delete(&entry.path, &now)? != Removed::Changed,
            Some(archive) => self.move_to(&*archive, entry, &now, target)?,
        };
        if is_gone {
            hit("csv.after_release_rename")?;
            // only now, and only the one that was there with the file: an orphan is older than the next delivery and vouches for nothing
            if let (Some(name), Some(stat)) = (self.names.marker_of(&entry.path), marker) {
                self.folder.store().delete(&name, stat)?;
            }
            hit("csv.after_release")?;
            self.reports.add("files_released_total", 1);
        }
        Ok(())
    }

    /// Whether the file is in the archive and nowhere else.
    fn move_to(&mut self, archive: &dyn Store, entry: &Entry, now: &ObjectStat, target: String) -> Result<bool> {
        hit("csv.before_archive")?;
        let store = self.folder.store();
        match store.rename_if_absent(&entry.path, now, archive, &target)? {
            Placed::Done => Ok(true),
            Placed::Changed => Ok(false),
            // by the same content (an earlier copy, or we were here before a crash), or by somebody else's
            Placed::Taken if self.is_of(archive, entry, &target)? => {
                Ok(store.delete(&entry.path, now)? != Removed::Changed)
            }
            Placed::Taken => {
                self.reports.notice("archive", &entry.path, "another file has its name in the archive; it stays");
                if self.stays.len() >= STAYS_MAX {
                    self.stays.clear();
                }
                self.stays.insert(target);
                Ok(false)
            }
        }
    }

    /// Whether what has this name in the archive holds what the entry says.
    fn is_of(&self, archive: &dyn Store, entry: &Entry, target: &str) -> Result<bool> {
        let Some(there) = archive.head(target)? else { return Ok(false) };
        let read = || {
            let raw = archive.open_read(target, &there)?;
            let text = content::opened(TextReader::open(raw, &entry.path, self.folder.layers()))?;
            Ok(content::read(text, there.size, &[])?.whole == entry.digest)
        };
        match read() {
            Err(error) if is_changed(&error) => Ok(false),
            is_same => is_same,
        }
    }
}
