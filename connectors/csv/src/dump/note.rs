//! What is committed of full dumps: the baseline that the next one is compared with, and how far an open one was handed on.

use crate::config::CsvDropsConfig;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use unbatch_api::{Checkpoint, Error, NoteKey, Result};
use unbatch_full_dump::Written;

const KEY: &str = "dump/baseline";
/// Dumps that were given up half way and are still to be reckoned with.
const GIVEN_UP_MAX: usize = 8;

/// What downstream was told by the dumps so far. Version 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    pub v: u32,
    /// Columns of the key.
    pub key: Vec<String>,
    /// Dumps so far; also those that were given up.
    pub number: u64,
    /// The file that was taken last; a dump whose name is smaller is an older one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `None`: no dump was ever taken to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineFile>,
    /// Those of dumps that were given up half way: of their changes nobody knows which were handed on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_up: Vec<BaselineFile>,
}

/// A baseline as it lies in its folder; never changed once it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineFile {
    /// Without the number of the piece.
    pub name: String,
    pub generation: u64,
    pub number: u64,
    /// Files that it is cut into.
    pub pieces: u32,
    pub rows: u64,
    /// SHA-256 of all its bytes.
    pub digest: String,
}

/// Of a dump that is handed on: what it comes to. Another configuration may see another content in the same file, and then the
/// count of what was handed on means nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandedOn {
    /// The baseline that holds when all is handed on.
    pub next: BaselineFile,
    /// Refused rows and changes, all of them.
    pub through: u64,
}

impl Told {
    pub fn read(checkpoint: &Checkpoint) -> Result<Option<Self>> {
        let Some(bytes) = checkpoint.note(&key()) else { return Ok(None) };
        let lost = |what: &str| Error::lost(what).code("U0225").with("note", KEY);
        let told: Told = serde_json::from_slice(bytes)
            .map_err(|e| lost("reading the note of the last full dump failed").caused_by(e))?;
        match told.v {
            1 => Ok(Some(told)),
            _ => Err(lost("reading the note of the last full dump failed: its version is unknown")),
        }
    }

    pub fn note(&self) -> Result<(NoteKey, Bytes)> {
        let text = serde_json::to_vec(self);
        let text = text.map_err(|e| Error::bug("encoding the note of a full dump failed").caused_by(e))?;
        Ok((key(), text.into()))
    }

    /// All baselines that the next dump needs.
    pub fn files(&self) -> impl Iterator<Item = &BaselineFile> {
        self.baseline.iter().chain(&self.given_up)
    }
}

impl BaselineFile {
    pub fn written(&self) -> Written {
        Written { rows: self.rows, digest: self.digest.clone() }
    }
    /// Rises with each dump, and with each reset.
    pub fn age(&self) -> (u64, u64) {
        (self.generation, self.number)
    }
}

/// The note after an open dump was given up half way: the next one is compared with what holds before it and with what would hold
/// after it, since which of its changes were handed on is not kept row by row.
pub fn give_up(checkpoint: &Checkpoint, config: &CsvDropsConfig, handed: &HandedOn) -> Result<(NoteKey, Bytes)> {
    let refused = |what: &str| Error::misconfigured(format!("giving up a full dump failed: {what}")).code("U0245");
    let mut told = match (Told::read(checkpoint)?, config.full_dump()) {
        (Some(told), _) => told,
        (None, Some(dump)) => Told { v: 1, key: dump.key.clone(), ..Told::default() },
        (None, None) => {
            return Err(refused("`mode` is not `full_dump` any more")
                .help("change `mode` back for as long as this takes, or begin anew with `unbatch offsets reset`"));
        }
    };
    if told.given_up.len() >= GIVEN_UP_MAX {
        let help = "let a dump be handed on to its end first, or begin anew with `unbatch offsets reset`";
        return Err(refused(&format!("{GIVEN_UP_MAX} were given up since one came to its end")).help(help));
    }
    told.number = told.number.max(handed.next.number);
    if !told.files().any(|file| file.name == handed.next.name) {
        told.given_up.push(handed.next.clone());
    }
    told.note()
}

fn key() -> NoteKey {
    NoteKey::from(KEY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_comes_back_and_an_unknown_one_is_lost() {
        let file = |number| BaselineFile {
            name: format!("test.products.0.000001-{number:06}.00ff"),
            generation: 1,
            number,
            pieces: 2,
            rows: 7,
            digest: "00".repeat(32),
        };
        let told = Told {
            v: 1,
            key: vec!["sku".into()],
            number: 4,
            path: Some("p.csv".into()),
            baseline: Some(file(3)),
            given_up: vec![file(4)],
        };
        let mut checkpoint = Checkpoint::default();
        assert_eq!(Told::read(&checkpoint).unwrap(), None);
        let (key, bytes) = told.note().unwrap();
        checkpoint.notes.insert(key.clone(), bytes);
        assert_eq!(Told::read(&checkpoint).unwrap(), Some(told));
        for bad in ["{}", r#"{"v":2,"key":[],"number":0}"#] {
            checkpoint.notes.insert(key.clone(), bad.into());
            assert_eq!(Told::read(&checkpoint).unwrap_err().code_text(), Some("U0225"));
        }
    }
}
