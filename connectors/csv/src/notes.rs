//! What is kept beside the position of an open file, in the same commit.

use crate::dump::HandedOn;
use crate::position::{Place, id_in};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use unbatch_api::{Checkpoint, Error, NoteKey, Result};
use unbatch_object_files::ObjectStat;

const OPEN_PREFIX: &str = "open/";

/// A file that is partly read. Version 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenNote {
    pub v: u32,
    /// Relative to the folder.
    pub path: String,
    pub stat: ObjectStat,
    /// Kernel that saw the stat; on another one it proves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Digest of all bytes up to the position.
    pub prefix: String,
    /// Full chunks in it and their chain (see `digest`).
    pub chunks: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// Rows of this file rejected so far; `stop_after` counts them.
    pub rejected: u64,
    /// Rows rejected before that under another configuration, which nobody counts against this one.
    #[serde(default, skip_serializing_if = "is_none")]
    pub refused_before: u64,
    /// Where reading began, when it was not the beginning: the file had grown, or was parked there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<u64>,
    /// Places in it are those of its text, and its size says nothing of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_packed: bool,
    /// The way to its text where that is not the usual one; see `CsvDropsConfig::way_to_text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<String>,
    /// What its rows so far add up to, in smallest units, by the columns of `trailer.sums`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub totals: BTreeMap<String, String>,
    /// Of a full dump; the position then counts what of it was handed on, and `prefix` is the digest of the whole file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dump: Option<HandedOn>,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// An open file as a checkpoint has it.
#[derive(Clone, Debug)]
pub struct OpenFile {
    pub id: String,
    pub place: Place,
    pub note: OpenNote,
}

pub fn open_key(id: &str) -> NoteKey {
    NoteKey::from(format!("{OPEN_PREFIX}{id}"))
}

impl OpenNote {
    pub fn encode(&self) -> Result<Bytes> {
        let text = serde_json::to_vec(self);
        text.map(Bytes::from).map_err(|e| Error::bug("encoding the note of an open file failed").caused_by(e))
    }
}

/// The open files of a checkpoint, by path. Lost when a part has no note: the two are always written together.
pub fn open_files(checkpoint: &Checkpoint) -> Result<Vec<OpenFile>> {
    let mut files = Vec::new();
    for (part, position) in &checkpoint.parts {
        let lost = |what: &str| {
            let help = "this checkpoint was not written by csv_drops as a whole; see `unbatch offsets get`";
            Error::lost(what).code("U0225").with("part", part).help(help)
        };
        let id = id_in(part).ok_or_else(|| lost("reading the checkpoint failed: a part is no file"))?;
        let note = checkpoint.note(&open_key(id));
        let bytes = note.ok_or_else(|| lost("reading the checkpoint failed: an open file has no note"))?;
        let note: OpenNote =
            serde_json::from_slice(bytes).map_err(|e| lost("reading the note of an open file failed").caused_by(e))?;
        if note.v != 1 {
            return Err(lost("reading the note of an open file failed: its version is unknown"));
        }
        files.push(OpenFile { id: id.to_owned(), place: Place::parse(position)?, note });
    }
    files.sort_by(|a, b| a.note.path.cmp(&b.note.path));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_from_before_there_were_totals_is_read_and_written_as_it_was() {
        let old = r#"{"v":1,"path":"a.csv","stat":{"size":9,"mtime":1,"ctime":1,"inode":7},"prefix":"00","chunks":0,"rejected":2}"#;
        let note: OpenNote = serde_json::from_str(old).unwrap();
        assert_eq!((note.totals.len(), note.rejected), (0, 2));
        assert_eq!(std::str::from_utf8(&note.encode().unwrap()).unwrap(), old);
    }
}
