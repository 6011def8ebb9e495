//! What a store says about a file, and which changes of it mean what.

use serde::{Deserialize, Serialize};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::UNIX_EPOCH;

/// A file as it was when it was looked at; times in nanoseconds since 1970. Written as JSON into notes: the first five fields are
/// those that were always there.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ObjectStat {
    /// Bytes.
    pub size: u64,
    /// Last change of the content; in object stores the time of the upload.
    pub mtime: i64,
    /// Last change of anything about it; a copy cannot set it back, as it can the modification time. 0 in object stores.
    pub ctime: i64,
    /// 0 in object stores.
    pub inode: u64,
    /// When the inode was made, where the file system says so; a number that is used again tells another time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<i64>,
    /// Of an object: changes with each upload of another content. `None`: a file of the file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Of an object in a bucket with versions, when the store told it; listings do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Whether nothing about the file changed. The time of birth says nothing more, and older entries do not have it.
impl PartialEq for ObjectStat {
    fn eq(&self, other: &ObjectStat) -> bool {
        self.is_same_content(other) && self.ctime == other.ctime
    }
}

impl ObjectStat {
    /// Of a file of the file system.
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
            etag: None,
            version: None,
        }
    }

    /// Of an object; a store that tells no ETag gets an empty one.
    pub(crate) fn of_object(meta: &object_store::ObjectMeta) -> Self {
        Self {
            size: meta.size,
            mtime: meta.last_modified.timestamp_nanos_opt().unwrap_or_default(),
            // some stores put quotes around it in one kind of answer and not in another
            etag: Some(meta.e_tag.as_deref().unwrap_or_default().trim_matches('"').to_owned()),
            version: meta.version.clone(),
            ..Self::default()
        }
    }

    /// Whether it is of a file system, where a file can change while it is read.
    pub fn is_local(&self) -> bool {
        self.etag.is_none()
    }

    /// The same file, whatever is in it by now; another one under the same name is another delivery. An object cannot change, so
    /// it is the same only with the same content, uploaded at the same time.
    pub fn is_same_file(&self, other: &ObjectStat) -> bool {
        match (self.is_local(), other.is_local()) {
            (true, true) => {
                let is_born_alike = self.born.zip(other.born).is_none_or(|(ours, theirs)| ours == theirs);
                self.inode == other.inode && is_born_alike
            }
            (false, false) => self.is_same_upload(other),
            _ => false,
        }
    }

    /// The same file with the same content as far as anybody can tell without reading: a change of rights or of the number of
    /// links does not count.
    pub fn is_same_content(&self, other: &ObjectStat) -> bool {
        let is_alike = !self.is_local() || (self.size, self.mtime) == (other.size, other.mtime);
        self.is_same_file(other) && is_alike
    }

    fn is_same_upload(&self, other: &ObjectStat) -> bool {
        // a listing tells fractions of seconds, and an answer about one object does not
        let is_same_second = self.mtime.abs_diff(other.mtime) < 1_000_000_000;
        let is_same_version =
            self.version.as_ref().zip(other.version.as_ref()).is_none_or(|(ours, theirs)| ours == theirs);
        (self.size, &self.etag) == (other.size, &other.etag) && is_same_second && is_same_version
    }
}

/// Names the running kernel, so that inode numbers and times of two looks can be compared; `None` where there is no such
/// name, and then nothing is taken on trust. An object's ETag needs no host.
pub fn host_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_before_object_stores_is_read_and_written_alike() {
        let old = r#"{"size":12,"mtime":1700000000000000001,"ctime":1700000000000000002,"inode":77,"born":1600000000000000000}"#;
        let stat: ObjectStat = serde_json::from_str(old).unwrap();
        assert_eq!(serde_json::to_string(&stat).unwrap(), old);
        let older = r#"{"size":12,"mtime":1700000000000000001,"ctime":1700000000000000002,"inode":77}"#;
        let without_birth: ObjectStat = serde_json::from_str(older).unwrap();
        assert_eq!(stat, without_birth);
        assert_eq!(serde_json::to_string(&without_birth).unwrap(), older);
    }

    #[test]
    fn files_keep_their_inode_and_objects_their_etag() {
        let local = ObjectStat { size: 1, mtime: 5, ctime: 6, inode: 7, born: Some(1), ..ObjectStat::default() };
        let touched = ObjectStat { ctime: 9, ..local.clone() };
        assert!(local.is_same_content(&touched) && local != touched);
        let grown = ObjectStat { size: 2, ..local.clone() };
        assert!(local.is_same_file(&grown) && !local.is_same_content(&grown));
        let reused = ObjectStat { born: Some(2), ..local.clone() };
        assert!(!local.is_same_file(&reused));

        let second = 1_000_000_000;
        let object = ObjectStat { size: 1, mtime: 5 * second + 3, etag: Some("a".into()), ..ObjectStat::default() };
        let looked_at = ObjectStat { mtime: 5 * second, version: Some("v".into()), ..object.clone() };
        assert!(object == looked_at && object.is_same_file(&looked_at));
        let again = ObjectStat { mtime: 7 * second, ..object.clone() };
        let other = ObjectStat { etag: Some("b".into()), ..object.clone() };
        let version = ObjectStat { version: Some("w".into()), ..looked_at.clone() };
        assert!(!object.is_same_file(&again) && !object.is_same_file(&other) && !looked_at.is_same_file(&version));
        assert!(!object.is_same_file(&local) && !local.is_same_content(&object));
    }
}
