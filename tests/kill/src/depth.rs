//! Whether a process was killed deep in a file: by what of it was committed then.

use std::collections::HashMap;

use newlimits::Feed;
use newlimits::truth::{Ledger, Outcome as Expected};
use serde_json::Value;
use unbatch_test_harness::Record;

use crate::Outcome;

/// Behind so many bytes of the text a decoder has begun with its second piece, and a store was asked for a second block.
const DEEP: u64 = 1 << 20;

/// Where the good rows of files stand that are larger than [`DEEP`] and are read to their end.
pub(crate) struct Depths {
    id: String,
    /// Number of the delivery and offset in its text, by the row's id.
    places: HashMap<String, (u32, u64)>,
    /// Offset of the last good row of each delivery.
    last: HashMap<u32, u64>,
}

impl Depths {
    /// `None`: no file is that large.
    pub(crate) fn of(ledger: &Ledger, feed: Feed) -> Outcome<Option<Depths>> {
        let truth = ledger.truth();
        let is_large = |seq: u32| {
            truth.files.get(seq as usize).is_some_and(|file| file.outcome == Expected::Loaded && file.bytes > DEEP)
        };
        if !truth.files.iter().any(|file| is_large(file.seq)) {
            return Ok(None);
        }
        let (mut places, mut last) = (HashMap::new(), HashMap::new());
        for line in ledger.lines().map_err(|e| e.to_string())? {
            let line = line.map_err(|e| e.to_string())?;
            if line.value.is_some() && is_large(line.file) {
                last.insert(line.file, line.byte);
                places.insert(line.id, (line.file, line.byte));
            }
        }
        Ok(Some(Depths { id: truth.feeds[&feed].id.clone(), places, last }))
    }

    /// Whether a file was left behind its first [`DEEP`] bytes and in front of its end.
    pub(crate) fn is_in_the_middle(&self, records: &[Record]) -> bool {
        let mut reached: HashMap<u32, u64> = HashMap::new();
        for record in records {
            let value: Value = serde_json::from_slice(record.value.as_deref().unwrap_or_default()).unwrap_or_default();
            let id = value[&self.id].as_str().map_or_else(|| value[&self.id].to_string(), str::to_owned);
            if let Some((file, byte)) = self.places.get(&id) {
                let so_far = reached.entry(*file).or_default();
                *so_far = (*so_far).max(*byte);
            }
        }
        reached.iter().any(|(file, byte)| *byte > DEEP && self.last.get(file).is_some_and(|last| byte < last))
    }
}
