//! What a split keeps in `<deployment>.state`: one record for the state, one for each note, in the partition of its lane.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;
use unbatch_api::names::LANES;
use unbatch_api::{Checkpoint, Error, Facts, NoteKey, Part, Position, Result, SplitId, Stored};
use unbatch_kafka_client::{Admin, Record};

/// The last offset written to each partition, by topic.
pub(crate) type LastOffsets = BTreeMap<String, BTreeMap<i32, i64>>;

/// Everything that is stored of a split.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    pub facts: Facts,
    pub checkpoint: Checkpoint,
    /// Data topics that rows went to, as they were when the split was opened.
    pub topics: BTreeMap<String, TopicIdentity>,
    /// Of the last epoch that wrote rows: what a topic that lost nothing must still hold.
    pub last: LastOffsets,
    /// Everything was forgotten on command; only the numbers that must keep rising are left.
    pub forgotten: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TopicIdentity {
    pub id: String,
    pub partitions: u32,
}

/// The value of a state record, version 1. The notes are records of their own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateV1 {
    v: u32,
    facts: Facts,
    parts: BTreeMap<Part, Position>,
    topics: BTreeMap<String, TopicIdentity>,
    last: LastOffsets,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    forgotten: bool,
}

/// Only the version, to tell a newer form from a broken one.
#[derive(Deserialize)]
struct Version {
    v: u32,
}

impl State {
    /// What is nobody's but the sink's stays behind.
    pub fn into_stored(self) -> Stored {
        Stored { facts: self.facts, checkpoint: self.checkpoint, forgotten: self.forgotten }
    }

    /// The value of the state record.
    pub fn to_json(&self) -> String {
        let value = StateV1 {
            v: 1,
            facts: self.facts.clone(),
            parts: self.checkpoint.parts.clone(),
            topics: self.topics.clone(),
            last: self.last.clone(),
            forgotten: self.forgotten,
        };
        serde_json::json!(value).to_string()
    }

    fn from_json(value: &[u8], notes: BTreeMap<NoteKey, Bytes>) -> Result<Self> {
        let failed = "reading the state of a split failed";
        let broken = |e: serde_json::Error| Error::lost(failed).code("U0281").caused_by(e);
        let Version { v } = serde_json::from_slice(value).map_err(broken)?;
        if v != 1 {
            return Err(Error::misconfigured(failed)
                .code("U0282")
                .with("version", v)
                .help("it was written by a newer unbatch; run that version or a later one"));
        }
        let state: StateV1 = serde_json::from_slice(value).map_err(broken)?;
        Ok(Self {
            facts: state.facts,
            checkpoint: Checkpoint { parts: state.parts, notes },
            topics: state.topics,
            last: state.last,
            forgotten: state.forgotten,
        })
    }
}

/// Where a split's records are.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub topic: String,
    pub lane: i32,
    pub state_key: String,
    note_prefix: String,
}

impl Place {
    pub fn of(topic: &str, split: &SplitId) -> Self {
        Self {
            topic: topic.to_owned(),
            lane: split.lane(LANES) as i32,
            state_key: split.to_string(),
            note_prefix: format!("{split}/note/"),
        }
    }

    pub fn note_key(&self, note: &NoteKey) -> String {
        format!("{}{note}", self.note_prefix)
    }

    /// The state after every transaction that had begun when this was called: waits for those that are open. Blocks.
    pub fn read_settled(&self, admin: &Admin, limit: Duration) -> Result<Option<State>> {
        let mut reading = Reading::default();
        admin.read_settled(&self.topic, self.lane, 0, limit, |record| reading.take(self, record))?;
        reading.finish()
    }

    /// The state, if it was written at or after offset `from`, and the partition's end, as committed readers see it. Blocks.
    pub fn read_since(&self, admin: &Admin, from: i64, limit: Duration) -> Result<(Option<State>, i64)> {
        let mut reading = Reading::default();
        let end = admin.read_visible(&self.topic, self.lane, from, limit, |record| reading.take(self, record))?;
        Ok((reading.finish()?, end))
    }

    /// The state as committed readers see it now. Blocks.
    pub fn read_visible(&self, admin: &Admin, limit: Duration) -> Result<Option<State>> {
        let mut reading = Reading::default();
        admin.read_visible(&self.topic, self.lane, 0, limit, |record| reading.take(self, record))?;
        reading.finish()
    }
}

#[derive(Default)]
struct Reading {
    state: Option<Bytes>,
    notes: BTreeMap<NoteKey, Bytes>,
}

impl Reading {
    fn take(&mut self, place: &Place, record: Record) -> ControlFlow<()> {
        let Some(key) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) else {
            return ControlFlow::Continue(());
        };
        if key == place.state_key {
            self.state = record.value;
        } else if let Some(note) = key.strip_prefix(&place.note_prefix) {
            match record.value {
                Some(value) => self.notes.insert(NoteKey::from(note), value),
                None => self.notes.remove(&NoteKey::from(note)),
            };
        }
        ControlFlow::Continue(())
    }

    fn finish(self) -> Result<Option<State>> {
        self.state.map(|value| State::from_json(&value, self.notes)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_api::{Counters, PipelineName};

    fn example() -> State {
        State {
            facts: Facts {
                generation: 2,
                owner: 7,
                seq: 42,
                revision: 3,
                config_hash: "c0ffee".into(),
                fingerprint: "orders".into(),
                splits: 1,
                counters: Counters { written: 10, rejected: 1, ignored: 0 },
                revisions: vec![("c0ffee".into(), 3)],
                moved_to: None,
            },
            checkpoint: Checkpoint {
                parts: BTreeMap::from([(Part::from("file/9"), Position::from("0012"))]),
                notes: BTreeMap::new(),
            },
            topics: BTreeMap::from([("shop.orders".into(), TopicIdentity { id: "AbC".into(), partitions: 6 })]),
            last: BTreeMap::from([("shop.orders".into(), BTreeMap::from([(0, 17), (5, 4)]))]),
            forgotten: false,
        }
    }

    /// What is stored today must be readable by every later version: change this text only together with `v`.
    #[test]
    fn the_state_record_has_a_stable_form() {
        let golden = concat!(
            r#"{"v":1,"facts":{"generation":2,"owner":7,"seq":42,"revision":3,"config_hash":"c0ffee","fingerprint":"orders","#,
            r#""splits":1,"counters":{"written":10,"rejected":1,"ignored":0},"revisions":[["c0ffee",3]]},"#,
            r#""parts":{"file/9":"0012"},"topics":{"shop.orders":{"id":"AbC","partitions":6}},"#,
            r#""last":{"shop.orders":{"0":17,"5":4}}}"#
        );
        assert_eq!(example().to_json(), golden);
        assert_eq!(State::from_json(golden.as_bytes(), BTreeMap::new()).unwrap(), example());
    }

    #[test]
    fn a_newer_form_is_named_and_a_broken_one_is_lost() {
        let read = |text: &str| State::from_json(text.as_bytes(), BTreeMap::new()).unwrap_err().kind();
        assert_eq!(read(r#"{"v":2,"all":"new"}"#), unbatch_api::Kind::Misconfigured);
        assert_eq!(read("{"), unbatch_api::Kind::Lost);
    }

    #[test]
    fn a_split_reads_its_own_records_only_and_the_last_of_each() {
        let split = SplitId::new(PipelineName::parse("shop-cdc").unwrap(), 1);
        let place = Place::of("d.state", &split);
        assert_eq!(place.note_key(&"ledger/00".into()), "shop-cdc/1/note/ledger/00");
        let record = |key: &str, value: Option<&str>| Record {
            topic: "d.state".into(),
            partition: place.lane,
            offset: 0,
            key: Some(Bytes::copy_from_slice(key.as_bytes())),
            value: value.map(|v| Bytes::copy_from_slice(v.as_bytes())),
            headers: vec![],
            timestamp_ms: None,
        };
        let mut reading = Reading::default();
        for (key, value) in [
            ("shop-cdc/1/note/a", Some("1")),
            ("shop-cdc/1/note/b", Some("2")),
            ("shop-cdc/10", Some("other split")),
            ("shop-cdc/10/note/c", Some("other split")),
            ("shop-cdc/1/note/a", None),
            ("shop-cdc/1", Some(&example().to_json())),
        ] {
            assert!(reading.take(&place, record(key, value)).is_continue());
        }
        let state = reading.finish().unwrap().unwrap();
        assert_eq!(state.facts, example().facts);
        assert_eq!(state.checkpoint.notes, BTreeMap::from([("b".into(), Bytes::from_static(b"2"))]));
    }
}
