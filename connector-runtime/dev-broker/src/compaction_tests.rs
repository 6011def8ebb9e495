use super::*;
use crate::batch;
use crate::cleaner;
use crate::fixture::{Producer, send_plain, state_with};
use crate::state::State;

/// Compacts what is in closed segments; every batch gets a segment of its own.
const CONFIGS: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("segment.bytes", "14"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("delete.retention.ms", "1000"),
];

fn topic() -> State {
    state_with("t", CONFIGS)
}

/// Offset, key and value of each record that is left; markers have no key here.
fn left(state: &State) -> Vec<(i64, String, Option<String>)> {
    let stored = state.partition("t", 0).unwrap();
    let text = |b: &Bytes| String::from_utf8_lossy(b).into_owned();
    stored
        .record_batches
        .iter()
        .flat_map(|(base, batch)| {
            let records = decode(batch).unwrap();
            assert_eq!(records[0].offset, *base, "a batch stands under its first offset");
            assert!(Header::of_sent(batch).is_some(), "and has a right checksum");
            records
        })
        .filter(|r| !r.control)
        .map(|r| (r.offset, text(&r.key.unwrap()), r.value.as_ref().map(text)))
        .collect()
}

fn row(offset: i64, key: &str, value: &str) -> (i64, String, Option<String>) {
    (offset, key.to_owned(), Some(value.to_owned()))
}

fn end_with_two(state: &mut State) {
    // The last segment, and the last batch before it, stay as they are.
    send_plain(state, "t", &[("end-1", Some("e"))]);
    send_plain(state, "t", &[("end-2", Some("e"))]);
}

#[test]
fn the_newest_of_each_key_stays_at_its_offset() {
    let mut state = topic();
    send_plain(&mut state, "t", &[("a", Some("1")), ("b", Some("1"))]);
    send_plain(&mut state, "t", &[("a", Some("2")), ("c", Some("1"))]);
    send_plain(&mut state, "t", &[("c", Some("2"))]);
    end_with_two(&mut state);
    assert!(cleaner::clean(&mut state));
    let stored = state.partition("t", 0).unwrap();
    assert_eq!((stored.log_start_offset, stored.high_watermark), (0, 7));
    assert_eq!(
        left(&state),
        [row(1, "b", "1"), row(2, "a", "2"), row(4, "c", "2"), row(5, "end-1", "e"), row(6, "end-2", "e")]
    );
    assert!(!cleaner::clean(&mut state), "nothing new to clean");
}

#[test]
fn aborted_records_go_and_never_hide_committed_ones() {
    let mut state = topic();
    let mut producer = Producer::init(&mut state, "x");
    producer.transact(&mut state, "t", &[("a", Some("1"))], true); // 0, marker 1
    producer.transact(&mut state, "t", &[("a", Some("no")), ("b", Some("no"))], false); // 2 3, marker 4
    producer.transact(&mut state, "t", &[("b", Some("1"))], true); // 5, marker 6
    producer.transact(&mut state, "t", &[("b", Some("2"))], true); // 7, marker 8
    end_with_two(&mut state);
    assert!(cleaner::clean(&mut state));
    assert_eq!(left(&state), [row(0, "a", "1"), row(7, "b", "2"), row(9, "end-1", "e"), row(10, "end-2", "e")]);
    let history = state.history("t", 0).unwrap();
    assert!(history.aborted.is_empty(), "there is nothing left to hide");
}

#[test]
fn nothing_above_the_first_open_transaction_is_touched() {
    let mut state = topic();
    let mut open = Producer::init(&mut state, "open");
    send_plain(&mut state, "t", &[("a", Some("1"))]); // 0
    send_plain(&mut state, "t", &[("a", Some("2"))]); // 1
    send_plain(&mut state, "t", &[("z", Some("1"))]); // 2
    assert_eq!(open.add(&mut state, "t", 0), 0);
    open.send(&mut state, "t", &[("a", Some("open"))]); // 3
    send_plain(&mut state, "t", &[("z", Some("2"))]); // 4
    end_with_two(&mut state); // 5 6
    assert!(cleaner::clean(&mut state));
    let offsets: Vec<i64> = left(&state).iter().map(|r| r.0).collect();
    assert_eq!(offsets, [1, 2, 3, 4, 5, 6]);
    let stored = state.partition("t", 0).unwrap();
    let before_open = stored.record_batches.iter().rfind(|(b, _)| *b < 3).unwrap();
    assert_eq!(
        batch::last_offset(before_open.0, &before_open.1) + 1,
        last_stable_offset(stored),
        "a reader gets right up to the last stable offset"
    );

    assert_eq!(open.end(&mut state, true), 0); // 7
    end_with_two(&mut state); // 8 9
    assert!(cleaner::clean(&mut state));
    assert_eq!(left(&state)[0], row(3, "a", "open"));
}

#[test]
fn an_abort_that_ends_above_still_hides_what_is_below() {
    let mut state = topic();
    let mut producer = Producer::init(&mut state, "x");
    assert_eq!(producer.add(&mut state, "t", 0), 0);
    producer.send(&mut state, "t", &[("a", Some("no"))]); // 0
    send_plain(&mut state, "t", &[("b", Some("1"))]); // 1
    assert_eq!(producer.end(&mut state, false), 0); // 2
    send_plain(&mut state, "t", &[("b", Some("2"))]); // 3
    end_with_two(&mut state); // 4 5
    assert!(cleaner::clean(&mut state));
    assert_eq!(left(&state), [row(3, "b", "2"), row(4, "end-1", "e"), row(5, "end-2", "e")]);
}

#[test]
fn a_tombstone_outlives_its_first_cleaning() {
    let mut state = topic();
    send_plain(&mut state, "t", &[("a", Some("1"))]); // 0
    send_plain(&mut state, "t", &[("a", None)]); // 1
    end_with_two(&mut state); // 2 3
    assert!(cleaner::clean(&mut state));
    assert_eq!(left(&state)[0], (1, "a".to_owned(), None));

    let later = state.clock.now_ms() + 1_001;
    state.clock.set(later);
    assert!(!cleaner::clean(&mut state), "only new records bring it about");
    send_plain(&mut state, "t", &[("c", Some("1"))]); // 4
    end_with_two(&mut state); // 5 6
    assert!(cleaner::clean(&mut state));
    assert!(left(&state).iter().all(|r| r.1 != "a"));
}

#[test]
fn young_records_wait_and_a_deleting_topic_is_not_compacted() {
    let lagging = [CONFIGS, &[("min.compaction.lag.ms", "5000")]].concat();
    let mut state = state_with("t", &lagging);
    // The fixture's records are from 1970, so "now" is within the lag of them.
    state.clock.set(2_000);
    send_plain(&mut state, "t", &[("a", Some("1"))]);
    send_plain(&mut state, "t", &[("a", Some("2"))]);
    end_with_two(&mut state);
    assert!(!cleaner::clean(&mut state));
    state.clock.set(100_000);
    assert!(cleaner::clean(&mut state));

    let mut state = state_with("t", &[("segment.bytes", "14"), ("retention.ms", "-1")]);
    send_plain(&mut state, "t", &[("a", Some("1"))]);
    send_plain(&mut state, "t", &[("a", Some("2"))]);
    end_with_two(&mut state);
    assert!(!cleaner::clean(&mut state));
    assert_eq!(left(&state).len(), 4);
}

#[test]
fn retention_moves_the_log_start_and_forgets_what_was_aborted_there() {
    let mut state = state_with("t", &[("segment.bytes", "14"), ("retention.ms", "1000")]);
    let mut producer = Producer::init(&mut state, "x");
    producer.transact(&mut state, "t", &[("a", Some("no"))], false);
    send_plain(&mut state, "t", &[("b", Some("1"))]);
    state.clock.set(10_000_000);
    assert!(cleaner::clean(&mut state));
    let stored = state.partition("t", 0).unwrap();
    assert_eq!((stored.log_start_offset, stored.high_watermark), (3, 3));
    assert!(state.history("t", 0).unwrap().aborted.is_empty());
    assert_eq!(send_plain(&mut state, "t", &[("c", Some("1"))]), 3);
}

#[test]
fn a_producer_that_was_idle_for_a_day_is_forgotten_unless_its_transaction_is_open() {
    let mut state = state_with("t", &[("retention.ms", "-1")]);
    let mut done = Producer::init(&mut state, "done");
    let mut open = Producer::init(&mut state, "open");
    done.transact(&mut state, "t", &[("a", Some("1"))], true);
    assert_eq!(open.add(&mut state, "t", 0), 0);
    open.send(&mut state, "t", &[("b", Some("1"))]);
    assert_eq!(state.history("t", 0).unwrap().producers.len(), 2);
    state.clock.set(state.clock.now_ms() + 86_400_000);
    assert!(cleaner::clean(&mut state));
    let known: Vec<i64> = state.history("t", 0).unwrap().producers.keys().copied().collect();
    assert_eq!(known, [open.producer_id]);
}

/// Kafka would keep up to a gibibyte until it closes a segment; this one holds everything in memory.
#[test]
fn a_state_topic_with_default_settings_stays_small() {
    let mut state = state_with("t", &[("cleanup.policy", "compact")]);
    let mut producer = Producer::init(&mut state, "x");
    let value = "v".repeat(500_000);
    for round in 0..100 {
        let value = format!("{round}{value}");
        producer.transact(&mut state, "t", &[("state", Some(&value))], true);
        cleaner::clean(&mut state);
    }
    let stored = state.partition("t", 0).unwrap();
    assert!(stored.size_bytes() < 20_000_000, "{} bytes", stored.size_bytes());
    assert_eq!((stored.log_start_offset, stored.high_watermark), (0, 200));
    let last = left(&state).pop().unwrap();
    assert_eq!(last.0, 198);
    assert!(last.2.unwrap().starts_with("99v"));
}
