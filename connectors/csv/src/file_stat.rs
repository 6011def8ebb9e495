//! What the file system says about a file, and which changes of it mean what.

use serde::{Deserialize, Serialize};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::UNIX_EPOCH;

/// Size and times of a file as they were when it was looked at; times in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct FileStat {
    pub size: u64,
    pub mtime: i64,
    /// Last change of anything about it; a copy cannot set it back, as it can the modification time.
    pub ctime: i64,
    pub inode: u64,
    /// When the inode was made, where the file system says so; a number that is used again tells another time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<i64>,
}

/// Whether nothing about the file changed. The time of birth says nothing more, and older entries do not have it.
impl PartialEq for FileStat {
    fn eq(&self, other: &FileStat) -> bool {
        self.is_same_content(other) && self.ctime == other.ctime
    }
}

impl FileStat {
    pub fn of(metadata: &Metadata) -> Self {
        let nanos = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            size: metadata.size(),
            mtime: nanos(metadata.mtime(), metadata.mtime_nsec()),
            ctime: nanos(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            born: metadata.created().ok().and_then(|at| {
                let since = at.duration_since(UNIX_EPOCH).ok()?;
                i64::try_from(since.as_nanos()).ok()
            }),
        }
    }

    /// The same file, whatever is in it by now; another one under the same name is another delivery.
    pub fn is_same_file(&self, other: &FileStat) -> bool {
        let is_born_alike = self.born.zip(other.born).is_none_or(|(ours, theirs)| ours == theirs);
        self.inode == other.inode && is_born_alike
    }

    /// The same file with the same content as far as anybody can tell without reading: a change of rights or of the number of
    /// links does not count.
    pub fn is_same_content(&self, other: &FileStat) -> bool {
        self.is_same_file(other) && (self.size, self.mtime) == (other.size, other.mtime)
    }
}

/// Names the running kernel, so that inode numbers and times of two looks can be compared; `None` where there is no such
/// name, and then nothing is taken on trust.
pub fn host_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
