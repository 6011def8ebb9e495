use super::*;
use crate::batch::tests::batch;
use crate::fixture::{Producer, creation, send, send_plain};
use kafka_protocol::messages::{
    ApiKey, CreateTopicsRequest, DeleteTopicsRequest, EndTxnRequest, InitProducerIdRequest, ProducerId, RequestHeader,
    RequestKind, TopicName,
};
use kafka_protocol::protocol::Encodable;
use std::path::PathBuf;

fn log_path() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    (folder, path)
}

/// A request's frame, as a client sends it.
fn raw(key: ApiKey, version: i16, kind: RequestKind) -> bytes::Bytes {
    let mut frame = bytes::BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .encode(&mut frame, key.request_header_version(version))
        .unwrap();
    kind.encode(&mut frame, version).unwrap();
    frame.freeze()
}

fn create(state: &mut State, request: &CreateTopicsRequest) {
    let frame = raw(ApiKey::CreateTopics, 7, request.clone().into());
    topics::create(state, request, 7, &frame).unwrap();
}

/// Does what the broker does with a request that changes something: handles it and logs it.
fn logged(state: &mut State, key: ApiKey, version: i16, kind: RequestKind) {
    let frame = raw(key, version, kind);
    broker::replay_request(state, Request::parse(frame.clone()).unwrap()).unwrap();
    state.record(Kind::Request, &[&frame]).unwrap();
}

fn logged_init(state: &mut State, id: &str) -> Producer {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(crate::fixture::id(id)))
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    logged(state, ApiKey::InitProducerId, 4, request.into());
    let (producer_id, epoch) = state.engine.txn_producers[id];
    Producer { id: crate::fixture::id(id), producer_id, epoch, sequence: 0 }
}

fn logged_transaction(state: &mut State, producer: &mut Producer, value: &str, commit: Option<bool>) {
    use kafka_protocol::messages::AddPartitionsToTxnRequest;
    use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
    let topic =
        AddPartitionsToTxnTopic::default().with_name(TopicName(crate::fixture::text("t"))).with_partitions(vec![0]);
    let add = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(producer.id.clone())
        .with_v3_and_below_producer_id(ProducerId(producer.producer_id))
        .with_v3_and_below_producer_epoch(producer.epoch)
        .with_v3_and_below_topics(vec![topic]);
    logged(state, ApiKey::AddPartitionsToTxn, 3, add.into());
    let sent = producer.send(state, "t", &[("k", Some(value))]);
    assert_eq!(sent.error_code, 0);
    if let Some(committed) = commit {
        let end = EndTxnRequest::default()
            .with_transactional_id(producer.id.clone())
            .with_producer_id(ProducerId(producer.producer_id))
            .with_producer_epoch(producer.epoch)
            .with_committed(committed);
        logged(state, ApiKey::EndTxn, 3, end.into());
    }
}

/// Everything that is durable, in a form that can be compared.
fn durable(state: &State) -> String {
    let mut all = Vec::new();
    let mut names: Vec<_> = state.engine.topics.keys().collect();
    names.sort();
    for name in names {
        let topic = &state.engine.topics[name];
        let mut configs: Vec<_> = topic.configs.iter().collect();
        configs.sort();
        all.push(format!("{name} {} {configs:?}", state.topic_ids.id(name)));
        let mut partitions: Vec<_> = topic.partitions.values().collect();
        partitions.sort_by_key(|p| p.id);
        for p in partitions.iter().filter(|p| !topic.is_internal || p.high_watermark > 0) {
            let history = state.history(name, p.id).cloned().unwrap_or_default();
            let mut open: Vec<_> = p.active_txns.iter().collect();
            open.sort();
            all.push(format!(
                "{} {}..{} clean {} open {open:?} {:?} {:?} {:?} aborted {:?} producers {:?}",
                p.id,
                p.log_start_offset,
                p.high_watermark,
                p.clean_offset,
                p.segments,
                p.tombstone_horizons,
                p.record_batches,
                history.aborted,
                history.producers,
            ));
        }
    }
    let engine = &state.engine;
    let mut offsets: Vec<_> = engine.committed_offsets.iter().collect();
    offsets.sort();
    let mut epochs: Vec<_> = engine.producer_epochs.iter().collect();
    epochs.sort();
    let mut ids: Vec<_> = engine.txn_producers.iter().collect();
    ids.sort();
    let mut info: Vec<_> = engine.txn_info.iter().map(|i| format!("{i:?}")).collect();
    info.sort();
    let next = engine.next_producer_id;
    all.push(format!("{offsets:?} {epochs:?} {ids:?} {info:?} {next} {}", engine.cluster_id));
    all.join("\n")
}

/// Topics that were deleted, recreated and compacted, transactions of every outcome, a time-out, an old zombie.
fn busy(path: &Path) -> State {
    let mut state = open(Some(path), false).unwrap();
    let configs = [("cleanup.policy", "compact"), ("segment.bytes", "14"), ("min.cleanable.dirty.ratio", "0.01")];
    create(&mut state, &creation("gone", &[]));
    send_plain(&mut state, "gone", &[("k", Some("v"))]);
    let delete = DeleteTopicsRequest::default().with_topic_names(vec![TopicName(crate::fixture::text("gone"))]);
    logged(&mut state, ApiKey::DeleteTopics, 5, delete.into());
    create(&mut state, &creation("gone", &[("retention.ms", "5000")]));
    create(&mut state, &creation("t", &configs));
    logged_init(&mut state, "x");
    let mut producer = logged_init(&mut state, "x");
    logged_transaction(&mut state, &mut producer, "committed", Some(true));
    logged_transaction(&mut state, &mut producer, "aborted", Some(false));
    for value in ["1", "2", "3"] {
        send_plain(&mut state, "t", &[("plain", Some(value))]);
    }
    state.clock.set(state.clock.now_ms() + 10);
    cleaner::clean_and_record(&mut state).unwrap();
    let mut late = logged_init(&mut state, "late");
    logged_transaction(&mut state, &mut late, "late", None);
    state.clock.set(state.clock.now_ms() + 60_000);
    transactions::abort_timed_out(&mut state).unwrap();
    logged_transaction(&mut state, &mut producer, "left open", None);
    let idempotent = batch((77, 0, 0), false, &[("i", Some("1"))]);
    assert_eq!(send(&mut state, "t", idempotent, None).error_code, 0);
    state
}

#[test]
fn a_replay_leads_to_the_same_state() {
    let (_folder, path) = log_path();
    let state = busy(&path);
    let wanted = durable(&state);
    drop(state);
    assert_eq!(durable(&open(Some(&path), false).unwrap()), wanted);
    assert_eq!(durable(&open(Some(&path), true).unwrap()), wanted, "and again");
}

#[test]
fn a_snapshot_leads_to_the_same_state_and_goes_on_from_there() {
    let (_folder, path) = log_path();
    let mut state = busy(&path);
    let wanted = durable(&state);
    snapshot::rewrite_log(&mut state).unwrap();
    drop(state);
    let mut state = open(Some(&path), false).unwrap();
    assert_eq!(durable(&state), wanted);
    // A producer's last batch is known as a duplicate, and the open transaction can be ended.
    let again = batch((77, 0, 0), false, &[("i", Some("1"))]);
    let before = state.partition("t", 0).unwrap().high_watermark;
    assert_eq!(send(&mut state, "t", again, None).base_offset, before - 1);
    let next = logged_init(&mut state, "x");
    assert!(next.epoch > 0);
    assert!(state.partition("t", 0).unwrap().active_txns.is_empty());
    let wanted = durable(&state);
    drop(state);
    assert_eq!(durable(&open(Some(&path), false).unwrap()), wanted);
}

#[test]
fn a_log_that_is_mostly_about_deleted_topics_is_rewritten_at_the_start() {
    let (_folder, path) = log_path();
    let mut state = open(Some(&path), false).unwrap();
    create(&mut state, &creation("kept", &[]));
    send_plain(&mut state, "kept", &[("k", Some("v"))]);
    create(&mut state, &creation("gone", &[]));
    let megabyte = "x".repeat(1_000_000);
    for _ in 0..6 {
        send_plain(&mut state, "gone", &[("k", Some(&megabyte))]);
    }
    let delete = DeleteTopicsRequest::default().with_topic_names(vec![TopicName(crate::fixture::text("gone"))]);
    logged(&mut state, ApiKey::DeleteTopics, 5, delete.into());
    let wanted = durable(&state);
    drop(state);
    assert!(std::fs::metadata(&path).unwrap().len() > 6_000_000);
    assert_eq!(durable(&open(Some(&path), false).unwrap()), wanted);
    assert!(std::fs::metadata(&path).unwrap().len() < 10_000);
    assert_eq!(durable(&open(Some(&path), false).unwrap()), wanted);
}

#[test]
fn a_live_log_is_not_rewritten() {
    let (_folder, path) = log_path();
    let mut state = open(Some(&path), false).unwrap();
    create(&mut state, &creation("kept", &[("max.message.bytes", "10000000")]));
    let large = "x".repeat(5_000_000);
    send_plain(&mut state, "kept", &[("k", Some(&large))]);
    drop(state);
    let before = std::fs::read(&path).unwrap();
    drop(open(Some(&path), false).unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), before);
}
