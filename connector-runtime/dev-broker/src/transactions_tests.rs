use super::*;
use crate::fixture::{Producer, id, send_plain, state_with};

fn aborted(state: &State) -> Vec<(i64, i64)> {
    state
        .history("t", 0)
        .map(|h| h.aborted.iter().map(|a| (a.first_offset, a.marker_offset)).collect())
        .unwrap_or_default()
}

fn init(state: &mut State, producer_id: i64, epoch: i16) -> InitProducerIdResponse {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(id("x")))
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(ProducerId(producer_id))
        .with_producer_epoch(epoch);
    init_producer_id(state, &request, 4)
}

#[test]
fn an_abort_is_remembered_with_its_marker() {
    let mut state = state_with("t", &[]);
    let mut producer = Producer::init(&mut state, "x");
    producer.transact(&mut state, "t", &[("a", Some("1"))], true);
    producer.transact(&mut state, "t", &[("b", Some("2")), ("c", Some("3"))], false);
    producer.transact(&mut state, "t", &[("d", Some("4"))], true);
    // 0 a, 1 commit, 2 b, 3 c, 4 abort, 5 d, 6 commit
    assert_eq!(aborted(&state), [(2, 4)]);
    let stored = state.partition("t", 0).unwrap();
    assert_eq!(stored.high_watermark, 7);
    assert!(stored.active_txns.is_empty());
}

#[test]
fn a_predecessor_can_do_nothing_more() {
    let mut state = state_with("t", &[]);
    let mut old = Producer::init(&mut state, "x");
    assert_eq!(old.add(&mut state, "t", 0), 0);
    assert_eq!(old.send(&mut state, "t", &[("a", Some("1"))]).error_code, 0);
    let mut new = Producer::init(&mut state, "x");
    assert_eq!((new.producer_id, new.epoch), (old.producer_id, old.epoch + 1));
    assert_eq!(aborted(&state), [(0, 1)], "what it left open is aborted");

    let fenced = ResponseError::ProducerFenced.code();
    assert_eq!(old.add(&mut state, "t", 0), fenced);
    assert_eq!(old.end(&mut state, true), fenced);
    assert_eq!(old.end(&mut state, false), fenced);
    let late = old.send(&mut state, "t", &[("b", Some("2"))]);
    assert_eq!(late.error_code, ResponseError::InvalidProducerEpoch.code());
    // nor take over again by asking for its next epoch
    let again = init(&mut state, old.producer_id, old.epoch);
    assert_eq!(again.error_code, fenced);

    new.transact(&mut state, "t", &[("c", Some("3"))], true);
    let next = init(&mut state, new.producer_id, new.epoch);
    assert_eq!((next.error_code, next.producer_epoch), (0, new.epoch + 1));
}

#[test]
fn an_unknown_owner_is_told_apart_from_a_fenced_one() {
    let mut state = state_with("t", &[]);
    let mut producer = Producer::init(&mut state, "x");
    producer.producer_id += 1;
    let unknown = ResponseError::InvalidProducerIdMapping.code();
    assert_eq!(producer.add(&mut state, "t", 0), unknown);
    assert_eq!(producer.end(&mut state, true), unknown);
}

#[test]
fn an_end_may_be_asked_for_again_but_not_changed() {
    let mut state = state_with("t", &[]);
    let mut producer = Producer::init(&mut state, "x");
    let invalid = ResponseError::InvalidTxnState.code();
    assert_eq!(producer.end(&mut state, true), invalid, "nothing was begun");
    producer.transact(&mut state, "t", &[("a", Some("1"))], true);
    assert_eq!(producer.end(&mut state, true), 0);
    assert_eq!(producer.end(&mut state, false), invalid);
    producer.transact(&mut state, "t", &[("b", Some("2"))], false);
    assert_eq!(producer.end(&mut state, false), 0);
    assert_eq!(producer.end(&mut state, true), invalid);
    assert_eq!(state.partition("t", 0).unwrap().high_watermark, 4);
}

#[test]
fn a_late_batch_opens_no_transaction() {
    let mut state = state_with("t", &[]);
    let mut producer = Producer::init(&mut state, "x");
    producer.transact(&mut state, "t", &[("a", Some("1"))], true);
    let late = producer.send(&mut state, "t", &[("b", Some("2"))]);
    assert_eq!(late.error_code, ResponseError::InvalidTxnState.code());
    assert!(state.partition("t", 0).unwrap().active_txns.is_empty());
}

/// The engine's own completion would stop half way here and leave the second partition's transaction open for ever.
#[test]
fn a_commit_after_an_abort_reaches_every_partition() {
    let mut state = state_with("t", &[]);
    let other = crate::fixture::creation("u", &[]);
    crate::topics::create(&mut state, &other, 7, b"").unwrap();
    let mut producer = Producer::init(&mut state, "x");
    producer.transact(&mut state, "t", &[("a", Some("1"))], false);
    for _ in 0..8 {
        // added, but nothing sent to it
        assert_eq!(producer.add(&mut state, "t", 0), 0);
        producer.sequence = state.partition("u", 0).unwrap().record_batches.len() as i32 / 2;
        producer.transact(&mut state, "u", &[("b", Some("2"))], true);
        assert!(state.partition("u", 0).unwrap().active_txns.is_empty());
    }
}

#[test]
fn a_partition_that_does_not_exist_is_not_added() {
    let mut state = state_with("t", &[]);
    let producer = Producer::init(&mut state, "x");
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(producer.add(&mut state, "t", 9), unknown);
    assert_eq!(producer.add(&mut state, "no-such", 0), unknown);
    assert!(!is_open(&state, &id("x")));
}

#[test]
fn a_transaction_is_aborted_by_its_time_out_and_its_producer_fenced() {
    let mut state = state_with("t", &[]);
    let mut producer = Producer::init(&mut state, "x");
    assert_eq!(producer.add(&mut state, "t", 0), 0);
    producer.send(&mut state, "t", &[("a", Some("1"))]);
    send_plain(&mut state, "t", &[("p", Some("plain"))]);
    let start_ms = state.clock.now_ms();

    state.clock.set(start_ms + 59_999);
    abort_timed_out(&mut state).unwrap();
    assert!(is_open(&state, &id("x")), "not yet");

    state.clock.set(start_ms + 60_000);
    abort_timed_out(&mut state).unwrap();
    assert!(!is_open(&state, &id("x")));
    assert_eq!(aborted(&state), [(0, 2)]);
    assert_eq!(producer.end(&mut state, true), ResponseError::ProducerFenced.code());

    state.clock.set(start_ms + 600_000);
    abort_timed_out(&mut state).unwrap();
    assert_eq!(aborted(&state).len(), 1, "once");
}

#[test]
fn a_time_out_above_the_limit_is_refused() {
    let mut state = State::new();
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(id("x")))
        .with_transaction_timeout_ms(900_001)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    let answer = init_producer_id(&mut state, &request, 4);
    assert_eq!(answer.error_code, ResponseError::InvalidTransactionTimeout.code());
}

#[test]
fn when_epochs_run_out_the_id_gets_a_new_producer_id() {
    let mut state = state_with("t", &[]);
    let mut last = Producer::init(&mut state, "x");
    state.engine.txn_producers.insert("x".into(), (last.producer_id, EPOCH_MAX));
    state.engine.producer_epochs.insert(last.producer_id, EPOCH_MAX);
    last.epoch = EPOCH_MAX;
    assert_eq!(last.add(&mut state, "t", 0), 0);
    assert_eq!(last.send(&mut state, "t", &[("a", Some("1"))]).error_code, 0);
    let next = Producer::init(&mut state, "x");
    assert_ne!(next.producer_id, last.producer_id);
    assert_eq!(next.epoch, 0);
    assert_eq!(aborted(&state), [(0, 1)]);
    let late = last.send(&mut state, "t", &[("b", Some("2"))]);
    assert_eq!(late.error_code, ResponseError::InvalidProducerEpoch.code());
}
