//! A folder of the file system.

use super::failure::{Now, changed, local_error};
use super::{Guarantees, Listed, Listing, Look, Page, Placed, Removed, Store, check_range};
use crate::location::Location;
use crate::raw::{RawFile, RawRead};
use crate::stat::ObjectStat;
use bytes::Bytes;
use std::any::Any;
use std::fs::{File, ReadDir};
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use unbatch_api::{Error, Result};

/// Names in one page.
const PAGE_NAMES_MAX: usize = 1_000;
/// How hidden names of our own begin that last only for a moment.
pub(crate) const PRIVATE_PREFIX: &str = ".unbatch-private-";

/// Files directly in a folder.
#[derive(Debug)]
pub struct LocalFolder {
    location: Location,
    folder: PathBuf,
    follow_links: bool,
}

impl LocalFolder {
    /// `follow_links`: symbolic links to files are read like files; do not when files are moved or deleted.
    pub fn new(folder: impl Into<PathBuf>, follow_links: bool) -> Self {
        let folder = folder.into();
        Self { location: Location::Folder(folder.clone()), folder, follow_links }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn look(&self, path: &Path) -> Result<Option<ObjectStat>> {
        let metadata = if self.follow_links { std::fs::metadata(path) } else { std::fs::symlink_metadata(path) };
        match metadata {
            Ok(metadata) => Ok(metadata.is_file().then(|| ObjectStat::of(&metadata))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(local_error("looking at a file failed", path, e)),
        }
    }

    /// Where a name is, if it is the name of a file in this folder and of nothing elsewhere.
    fn path(&self, name: &str) -> Result<PathBuf> {
        if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) {
            return Err(Error::misconfigured("naming a file in a folder failed: such a name cannot be")
                .code("U0317")
                .with("folder", self.folder.display())
                .with("name", name.escape_debug()));
        }
        Ok(self.folder.join(name))
    }

    /// A hidden name that nobody else uses, also none of a process that hangs and goes on later.
    fn private(&self) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
        self.folder.join(format!("{PRIVATE_PREFIX}{}.{now:x}.{n}~", std::process::id()))
    }

    /// Takes whatever has the name now under a private one; `None` when there is nothing, or it is another file, which is back under
    /// its name then.
    fn take(&self, name: &str, stat: &ObjectStat) -> Result<Result<PathBuf, Removed>> {
        let path = self.path(name)?;
        match self.look(&path)? {
            None => return Ok(Err(Removed::Gone)),
            Some(now) if !now.is_same_content(stat) => return Ok(Err(Removed::Changed)),
            Some(_) => {}
        }
        let private = self.private();
        match std::fs::rename(&path, &private) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Err(Removed::Gone)),
            renamed => renamed.map_err(|e| local_error("taking a file failed", &path, e))?,
        }
        if self.look(&private)?.is_some_and(|now| now.is_same_content(stat)) {
            return Ok(Ok(private));
        }
        let put_back =
            rename_to_free(&private, &path).map_err(|e| local_error("putting a file back failed", &path, e))?;
        if !put_back {
            let error = Error::transient("putting a file back failed: a newer one has its name by now").code("U0220");
            return Err(error.with("path", path.display()).with("kept_as", private.display()));
        }
        Ok(Err(Removed::Changed))
    }
}

impl Store for LocalFolder {
    fn location(&self) -> &Location {
        &self.location
    }

    fn guarantees(&self) -> Guarantees {
        Guarantees { renames: true, checks_what_it_removes: true, lists_in_order: false, files_stand_still: false }
    }

    fn is_there(&self) -> Result<bool> {
        match std::fs::metadata(&self.folder) {
            Ok(found) if found.is_dir() => Ok(true),
            Ok(_) => Err(self.folder_error(ErrorKind::NotADirectory.into())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(self.folder_error(e)),
        }
    }

    fn make(&self) -> Result<()> {
        std::fs::create_dir_all(&self.folder).map_err(|e| local_error("making a folder failed", &self.folder, e))
    }

    fn list<'a>(&'a self, after: Option<&str>, wanted: &'a dyn Fn(&str) -> bool) -> Result<Box<dyn Listing + 'a>> {
        let entries = std::fs::read_dir(&self.folder).map_err(|e| self.folder_error(e))?;
        Ok(Box::new(Entries { store: self, entries, after: after.map(str::to_owned), wanted }))
    }

    fn head(&self, name: &str) -> Result<Option<ObjectStat>> {
        self.look(&self.path(name)?)
    }

    fn open_read(&self, name: &str, stat: &ObjectStat) -> Result<Box<dyn RawRead>> {
        let path = self.path(name)?;
        Ok(Box::new(RawFile::new(open_as(&path, stat)?, &path)?))
    }

    fn read_range(&self, name: &str, stat: &ObjectStat, range: Range<u64>) -> Result<Bytes> {
        check_range(stat, &range)?;
        let path = self.path(name)?;
        let file = open_as(&path, stat)?;
        let mut content = vec![0; (range.end - range.start) as usize];
        match file.read_exact_at(&mut content, range.start) {
            Ok(()) => Ok(content.into()),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => Err(changed(&path.display(), stat.size, Now::Another)),
            Err(e) => Err(local_error("reading a file failed", &path, e)),
        }
    }

    fn put_if_absent(&self, name: &str, content: Bytes) -> Result<Placed> {
        let path = self.path(name)?;
        let placed = self.put_by(&path, &content, rename_to_free)?;
        Ok(if placed { Placed::Done } else { Placed::Taken })
    }

    fn put(&self, name: &str, content: Bytes) -> Result<()> {
        let path = self.path(name)?;
        self.put_by(&path, &content, |draft, path| std::fs::rename(draft, path).map(|()| true)).map(|_| ())
    }

    fn copy_if_absent(&self, name: &str, stat: &ObjectStat, to: &dyn Store, to_name: &str) -> Result<Placed> {
        let (from, to) = (self.path(name)?, folder_of(to)?);
        let (target, draft) = (to.path(to_name)?, to.private());
        if !self.look(&from)?.is_some_and(|now| now.is_same_content(stat)) {
            return Ok(Placed::Changed);
        }
        let failed = |e| local_error("copying a file failed", &target, e);
        let copied = copy_with_time(&from, &draft);
        let placed = match (copied, self.look(&from)?) {
            (Err(e), _) => Err(e),
            (Ok(()), Some(now)) if now.is_same_content(stat) => {
                rename_to_free(&draft, &target).map(|placed| if placed { Placed::Done } else { Placed::Taken })
            }
            (Ok(()), _) => Ok(Placed::Changed),
        };
        if !matches!(placed, Ok(Placed::Done)) {
            let _ = std::fs::remove_file(&draft);
        }
        let placed = placed.map_err(failed)?;
        sync_folder(&to.folder)?;
        Ok(placed)
    }

    fn rename_if_absent(&self, name: &str, stat: &ObjectStat, to: &dyn Store, to_name: &str) -> Result<Placed> {
        let to = folder_of(to)?;
        let (path, target) = (self.path(name)?, to.path(to_name)?);
        if self.look(&target)?.is_some() {
            return Ok(Placed::Taken);
        }
        let private = match self.take(name, stat)? {
            Ok(private) => private,
            Err(Removed::Gone | Removed::Changed | Removed::Done) => return Ok(Placed::Changed),
        };
        let placed = rename_to_free(&private, &target);
        if !matches!(placed, Ok(true)) {
            rename_to_free(&private, &path).map_err(|e| local_error("putting a file back failed", &path, e))?;
        }
        let placed = placed.map_err(|e| local_error("renaming a file failed", &target, e))?;
        sync_folder(&to.folder)?;
        Ok(if placed { Placed::Done } else { Placed::Taken })
    }

    fn delete(&self, name: &str, stat: &ObjectStat) -> Result<Removed> {
        match self.take(name, stat)? {
            Ok(private) => {
                std::fs::remove_file(&private).map_err(|e| local_error("deleting a file failed", &private, e))?;
                Ok(Removed::Done)
            }
            Err(removed) => Ok(removed),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl LocalFolder {
    /// Writes a draft and gives it its name; whether it got it.
    fn put_by(
        &self,
        path: &Path,
        content: &[u8],
        place: impl Fn(&Path, &Path) -> std::io::Result<bool>,
    ) -> Result<bool> {
        let draft = self.private();
        let written = File::create_new(&draft).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
        let placed = written.and_then(|()| place(&draft, path));
        if !matches!(placed, Ok(true)) {
            // what a failure left must not stay
            let _ = std::fs::remove_file(&draft);
        }
        let placed = placed.map_err(|e| local_error("writing a file failed", path, e))?;
        sync_folder(&self.folder)?;
        Ok(placed)
    }

    fn folder_error(&self, cause: std::io::Error) -> Error {
        match cause.kind() {
            ErrorKind::NotFound => Error::transient("looking for the folder failed: it is not there")
                .code("U0217")
                .help("make the folder, or mend its URL; a relative one starts at the folder of the pipeline file"),
            ErrorKind::NotADirectory => Error::misconfigured("looking into the folder failed: it is a file")
                .code("U0217")
                .help("the URL names the folder that files are in"),
            _ => return local_error("listing the folder failed", &self.folder, cause),
        }
        .with("folder", self.folder.display())
        .caused_by(cause)
    }
}

struct Entries<'a> {
    store: &'a LocalFolder,
    entries: ReadDir,
    after: Option<String>,
    wanted: &'a dyn Fn(&str) -> bool,
}

impl Listing for Entries<'_> {
    fn next_page(&mut self) -> Result<Option<Page>> {
        let mut page = Page::default();
        while page.files.len() < PAGE_NAMES_MAX {
            let Some(entry) = self.entries.next() else {
                let is_any = !page.files.is_empty() || page.unreadable_names > 0;
                return Ok(is_any.then_some(page));
            };
            let entry = entry.map_err(|e| self.store.folder_error(e))?;
            let Ok(name) = entry.file_name().into_string() else {
                page.unreadable_names += 1;
                continue;
            };
            if self.after.as_ref().is_some_and(|after| name <= *after) {
                continue;
            }
            let look = match (self.wanted)(&name) {
                false => Look::No,
                true => match self.store.look(&entry.path()) {
                    Ok(Some(stat)) => Look::File(stat),
                    Ok(None) => Look::NoFile,
                    Err(error) => Look::Failed(error),
                },
            };
            page.files.push(Listed { name, look });
        }
        Ok(Some(page))
    }
}

fn folder_of(store: &dyn Store) -> Result<&LocalFolder> {
    store.as_any().downcast_ref().ok_or_else(|| {
        Error::misconfigured("moving a file failed: it would go from a folder into an object store")
            .code("U0311")
            .with("to", store.location())
            .help("name a folder of the file system; files are moved inside one store only")
    })
}

/// Opens the file of `stat`, and no other that has its name by now.
fn open_as(path: &Path, stat: &ObjectStat) -> Result<File> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Err(changed(&path.display(), stat.size, Now::Gone)),
        Err(e) => return Err(local_error("opening a file failed", path, e)),
    };
    let metadata = file.metadata().map_err(|e| local_error("looking at an open file failed", path, e))?;
    let now = ObjectStat::of(&metadata);
    if now.is_same_content(stat) { Ok(file) } else { Err(changed(&path.display(), stat.size, Now::Bytes(now.size))) }
}

/// Copies content and time of change, durably.
fn copy_with_time(from: &Path, draft: &Path) -> std::io::Result<()> {
    std::fs::copy(from, draft)?;
    let file = File::options().write(true).open(draft)?;
    if let Ok(modified) = std::fs::metadata(from).and_then(|m| m.modified()) {
        file.set_modified(modified)?;
    }
    file.sync_all()
}

/// Gives a file another name; false, and nothing done, when the name is taken.
pub(crate) fn rename_to_free(from: &Path, to: &Path) -> std::io::Result<bool> {
    match std::fs::hard_link(from, to) {
        Ok(()) => std::fs::remove_file(from).map(|()| true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) if is_no_link(&e) => match File::create_new(to) {
            // our own empty file holds the name; the rename replaces it and nothing else
            Ok(_) => std::fs::rename(from, to).map(|()| true).inspect_err(|_| drop(std::fs::remove_file(to))),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e),
        },
        Err(e) => Err(e),
    }
}

/// A file system without hard links. Another file system is an error of the rename too.
fn is_no_link(e: &std::io::Error) -> bool {
    matches!(e.kind(), ErrorKind::CrossesDevices | ErrorKind::PermissionDenied | ErrorKind::Unsupported)
        || matches!(e.raw_os_error(), Some(libc::EPERM | libc::EOPNOTSUPP | libc::ENOSYS))
}

fn sync_folder(folder: &Path) -> Result<()> {
    let synced = File::open(folder).and_then(|f| f.sync_all());
    synced.map_err(|e| local_error("making a folder durable failed", folder, e))
}
