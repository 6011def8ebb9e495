//! Puts files under names without ever replacing another's.

use crate::content::digest_of;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use unbatch_api::{Error, Result};
use unbatch_object_files::{Layers, local_error};

/// What a copy must hold: the digest of the content that was delivered under a name, read by these layers.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    pub name: &'a str,
    pub digest: &'a str,
    pub layers: &'a Layers,
}

/// Gives a file another name; false, and nothing done, when the name is taken.
pub fn rename_to_free(from: &Path, to: &Path) -> std::io::Result<bool> {
    match std::fs::hard_link(from, to) {
        Ok(()) => std::fs::remove_file(from).map(|()| true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) if is_no_link(&e) => match File::create_new(to) {
            // our own empty file holds the name; the rename replaces it and nothing else
            Ok(_) => std::fs::rename(from, to).map(|()| true),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e),
        },
        Err(e) => Err(e),
    }
}

/// Copies whole or not at all, checked by digest; false when the name is taken. `draft` is ours alone, and gone afterwards.
pub fn copy_into(from: &Path, target: &Path, draft: &Path, expected: Expected<'_>) -> Result<bool> {
    let copied = copy(from, target, draft, expected);
    // what a failure left would take the room that the next attempt needs
    let removed = remove(draft);
    copied.and_then(|is_placed| removed.map(|()| is_placed))
}

fn copy(from: &Path, target: &Path, draft: &Path, expected: Expected<'_>) -> Result<bool> {
    let failed = |e| local_error("copying a file into the archive failed", target, e);
    std::fs::copy(from, draft).map_err(failed)?;
    let file = File::options().write(true).open(draft).map_err(failed)?;
    if let Ok(modified) = std::fs::metadata(from).and_then(|m| m.modified()) {
        file.set_modified(modified).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    if digest_of(draft, expected.name, expected.layers)? != expected.digest {
        let error = Error::transient("copying a file into the archive failed: the copy is not the same").code("U0220");
        return Err(error.with("path", target.display()));
    }
    rename_to_free(draft, target).map_err(failed)
}

pub fn sync_folder(folder: &Path) -> Result<()> {
    let synced = File::open(folder).and_then(|f| f.sync_all());
    synced.map_err(|e| local_error("making the archive folder durable failed", folder, e))
}

pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(local_error("removing a file failed", path, e)),
        _ => Ok(()),
    }
}

/// Another file system, or one without hard links.
pub fn is_no_link(e: &std::io::Error) -> bool {
    matches!(e.kind(), ErrorKind::CrossesDevices | ErrorKind::PermissionDenied | ErrorKind::Unsupported)
        || matches!(e.raw_os_error(), Some(libc::EPERM | libc::EOPNOTSUPP | libc::ENOSYS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected<'a>(digest: &'a str, layers: &'a Layers) -> Expected<'a> {
        Expected { name: "from", digest, layers }
    }

    #[test]
    fn a_copy_is_the_same_or_does_not_exist_and_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let [from, target, draft] = ["from", "target", "draft"].map(|name| folder.path().join(name));
        std::fs::write(&from, "content").unwrap();
        let layers = Layers::default();
        let digest = digest_of(&from, "from", &layers).unwrap();
        assert!(copy_into(&from, &target, &draft, expected(&"0".repeat(64), &layers)).is_err());
        assert!(!target.exists());
        assert!(copy_into(&from, &target, &draft, expected(&digest, &layers)).unwrap());
        assert_eq!(digest_of(&target, "target", &layers).unwrap(), digest);
        let modified = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
        assert_eq!(modified(&target), modified(&from));
        std::fs::write(&target, "another").unwrap();
        assert!(!copy_into(&from, &target, &draft, expected(&digest, &layers)).unwrap());
        assert_eq!(std::fs::read(&target).unwrap(), b"another");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    /// A disk that fills up while it is copied; here the reading fails half way, which leaves the same draft.
    #[test]
    fn a_copy_that_fails_half_way_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let [target, draft] = ["target", "draft"].map(|name| folder.path().join(name));
        // its first page is never mapped, so that reading it fails after the draft was made
        assert!(copy_into(Path::new("/proc/self/mem"), &target, &draft, expected("", &Layers::default())).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
