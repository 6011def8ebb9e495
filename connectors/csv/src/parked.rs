//! What is owed for parked files: the quarantine entry of each, kept as a note until its file was read to its end after all,
//! and the configuration under which it could not be read, since another one is worth another attempt.

use crate::config::CsvDropsConfig;
use crate::digest::id_of;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use unbatch_api::{Checkpoint, Error, NoteKey, QuarantineEntry, Result, StopAfter};

const PREFIX: &str = "parked/";
/// A message is cut there, so that an entry stays far below the limit of a note; a header may have names without end.
const MESSAGE_CHARS_MAX: usize = 4_000;

/// One parked file.
#[derive(Clone, Debug, PartialEq)]
pub struct ParkedFile {
    /// Relative to the folder.
    pub path: String,
    /// Of the configuration that could not read it; see [`reading_of`].
    pub reading: String,
    /// Of its content; see `digest`.
    pub digest: String,
    /// Its entry in quarantine.
    pub entry: QuarantineEntry,
}

/// How a parked file was done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was read to its end.
    Read,
    /// Another file under its name was.
    Replaced,
    /// It was parked once more, with an entry of its own.
    ParkedAgain,
    GivenUp,
}

impl Settled {
    fn words(self) -> &'static str {
        match self {
            Settled::Read => "it was read to its end later",
            Settled::Replaced => "another file came under its name and was read to its end",
            Settled::ParkedAgain => "it was tried again and parked again, which is an entry of its own",
            Settled::GivenUp => "`offsets set` gave it up",
        }
    }
}

/// The note, version 1.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoteV1 {
    v: u32,
    path: String,
    reading: String,
    digest: String,
    entry: serde_json::Value,
}

/// All parked files of a split that are not done with, by the ids of their deliveries.
#[derive(Debug, Default)]
pub struct Parked(BTreeMap<String, ParkedFile>);

impl Parked {
    pub fn read(checkpoint: &Checkpoint) -> Result<Self> {
        let mut parked = BTreeMap::new();
        for (key, bytes) in &checkpoint.notes {
            if let Some(id) = key.as_str().strip_prefix(PREFIX) {
                parked.insert(id.to_owned(), decode(key, bytes)?);
            }
        }
        Ok(Self(parked))
    }

    /// Keeps what is owed for a file; gives the note.
    pub fn add(&mut self, id: &str, mut file: ParkedFile) -> Result<(NoteKey, Bytes)> {
        if let Some((cut, _)) = file.entry.message.char_indices().nth(MESSAGE_CHARS_MAX) {
            file.entry.message.truncate(cut);
        }
        let (path, reading, digest) = (file.path.clone(), file.reading.clone(), file.digest.clone());
        let text = serde_json::to_vec(&NoteV1 { v: 1, path, reading, digest, entry: file.entry.to_json() });
        let bytes = text.map_err(|e| Error::bug("encoding the note of a parked file failed").caused_by(e))?;
        self.0.insert(id.to_owned(), file);
        Ok((key_of(id), bytes.into()))
    }

    /// The file was looked at under this configuration too, and stays as it is; gives the note.
    pub fn looked_at(&mut self, id: &str, reading: &str) -> Result<Option<(NoteKey, Bytes)>> {
        let Some(file) = self.0.get(id).cloned() else { return Ok(None) };
        self.add(id, ParkedFile { reading: reading.to_owned(), ..file }).map(Some)
    }

    /// Whether the file of this delivery could not be read under another configuration than `reading`. Of one that was parked
    /// before this was kept nobody knows.
    pub fn is_of_another_reading(&self, id: &str, reading: &str) -> bool {
        self.0.get(id).is_some_and(|file| file.reading != reading)
    }

    /// The deliveries that were parked under a name: id and digest of each.
    pub fn under(&self, path: &str) -> Vec<(String, String)> {
        let those = self.0.iter().filter(|(_, file)| file.path == path);
        those.map(|(id, file)| (id.clone(), file.digest.clone())).collect()
    }

    pub fn all(&self) -> impl Iterator<Item = (&str, &ParkedFile)> {
        self.0.iter().map(|(id, file)| (id.as_str(), file))
    }

    /// The file is done with: the note to take away, and the entry as it is to be written again under this revision.
    pub fn settle(&mut self, id: &str, how: Settled, revision: u64) -> Option<(NoteKey, QuarantineEntry)> {
        let mut entry = self.0.remove(id)?.entry;
        entry.message = format!("{}; settled: {}", entry.message, how.words());
        entry.replayed = Some(revision);
        Some((key_of(id), entry))
    }
}

/// A digest of all that decides whether and how a file can be read: one that could not be may be readable under another.
pub fn reading_of(config: &CsvDropsConfig, stop_after: &StopAfter) -> String {
    let limits = (config.record_max, config.field_max, config.field_lines_max, config.columns_max);
    let packing = (config.compression, &config.entry, config.decompressed_max);
    let parts = (&config.dialect, &config.columns, limits, packing);
    // plain data, which always has a text; if it had none, no change would be seen and nothing tried again
    let mut text = serde_json::to_string(&parts).unwrap_or_default();
    if let Some(dump) = config.full_dump() {
        text.push_str(&serde_json::to_string(&(&dump.key, dump.deletes_max)).unwrap_or_default());
    }
    id_of(&[text.as_bytes(), format!("{:?} {:?}", stop_after.count, stop_after.percent).as_bytes()], 16)
}

fn key_of(id: &str) -> NoteKey {
    NoteKey::from(format!("{PREFIX}{id}"))
}

fn decode(key: &NoteKey, bytes: &[u8]) -> Result<ParkedFile> {
    let lost = |what: &str| Error::lost(what).code("U0225").with("note", key);
    let note: NoteV1 =
        serde_json::from_slice(bytes).map_err(|e| lost("reading the note of a parked file failed").caused_by(e))?;
    if note.v != 1 {
        return Err(lost("reading the note of a parked file failed: its version is unknown"));
    }
    let entry = QuarantineEntry::from_json(note.entry.to_string().as_bytes());
    let entry = entry.map_err(|e| lost("reading the entry of a parked file failed").caused_by(e))?;
    Ok(ParkedFile { path: note.path, reading: note.reading, digest: note.digest, entry })
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_api::checkpoint::NOTE_BYTES_MAX;
    use unbatch_api::{PipelineName, RawRow, RejectedRow, RowOrigin, SplitId, Stage, StreamName};

    fn parked(message: String, raw: Vec<u8>) -> ParkedFile {
        let row = RejectedRow {
            code: "header_missing_column".into(),
            message,
            stage: Stage::Source,
            stream: StreamName::new("prices"),
            origin: RowOrigin::File { file: "a.csv".into(), delivery: "4f1c".into(), line: 1, byte: 0 },
            raw: RawRow::of(raw),
        };
        let entry = row.into_entry(&SplitId::new(PipelineName::parse("prices").unwrap(), 0), 3);
        ParkedFile { path: "a.csv".into(), reading: "aa".into(), digest: "00".into(), entry }
    }

    #[test]
    fn a_note_comes_back_and_stays_under_its_limit() {
        let mut kept = Parked::default();
        // the worst: every character is escaped
        let (key, bytes) = kept.add("4f1c", parked("\u{1}".repeat(100_000), vec![1; 1024])).unwrap();
        assert!(bytes.len() < NOTE_BYTES_MAX, "{}", bytes.len());
        let mut checkpoint = Checkpoint::default();
        checkpoint.notes.insert(key.clone(), bytes);
        let mut again = Parked::read(&checkpoint).unwrap();
        assert_eq!(again.all().collect::<Vec<_>>(), kept.all().collect::<Vec<_>>());
        assert!(again.is_of_another_reading("4f1c", "bb") && !again.is_of_another_reading("4f1c", "aa"));
        assert!(!again.is_of_another_reading("other", "bb"), "of which nothing is known");
        let (taken, entry) = again.settle("4f1c", Settled::Read, 7).unwrap();
        assert_eq!((taken, entry.replayed, &entry.id), (key.clone(), Some(7), &kept.all().next().unwrap().1.entry.id));
        assert!(again.under("a.csv").is_empty() && again.settle("4f1c", Settled::Read, 7).is_none());
        checkpoint.notes.insert(key, "{}".into());
        assert_eq!(Parked::read(&checkpoint).unwrap_err().code_text(), Some("U0225"));
    }

    #[test]
    fn only_what_decides_how_files_are_read_makes_another_reading() {
        let of = |change: &str, count| {
            let text = format!(r#"{{"url": "drops/", "match": "*.csv"{change}}}"#);
            let config: CsvDropsConfig = serde_json::from_str(&text).unwrap();
            reading_of(&config, &StopAfter { count, percent: None })
        };
        let plain = of("", None);
        assert_eq!(plain, of(r#", "poll": "9s", "after": "delete""#, None));
        for (change, count) in [
            (r#", "dialect": {"delimiter": ";"}"#, None),
            (r#", "columns": [{"name": "a", "type": "int32"}]"#, None),
            (r#", "record_max": "1MiB""#, None),
            ("", Some(3)),
        ] {
            assert_ne!(plain, of(change, count), "{change}");
        }
    }
}
