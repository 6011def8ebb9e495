use super::*;
use crate::request_log::RequestLog;
use kafka_protocol::messages::{ApiKey, InitProducerIdRequest, MetadataRequest, ProducerId, RequestHeader};
use kafka_protocol::protocol::Encodable;

fn request(key: ApiKey, version: i16, kind: RequestKind) -> Request {
    let mut frame = bytes::BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .encode(&mut frame, key.request_header_version(version))
        .unwrap();
    kind.encode(&mut frame, version).unwrap();
    Request::parse(frame.freeze()).unwrap()
}

fn change_request() -> Request {
    let kind = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    request(ApiKey::InitProducerId, 4, kind.into())
}

fn read_request() -> Request {
    request(ApiKey::Metadata, 12, MetadataRequest::default().into())
}

fn broker(state: State) -> Broker {
    Broker::new(state, SocketAddr::from(([127, 0, 0, 1], 9092)), 1000)
}

#[test]
fn what_could_not_be_logged_is_not_acknowledged_and_nothing_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut state = State::new();
    let mut log = RequestLog::open(&path, false, |_| Ok(())).unwrap();
    log.break_writes();
    state.log = Some(log);
    let broker = broker(state);
    assert!(broker.answer(read_request(), "/h").is_ok());
    assert!(broker.answer(change_request(), "/h").is_err());
    let failure = broker.failure().expect("a failure");
    assert!(failure.contains("write the broker's log"), "{failure}");
    assert!(broker.answer(read_request(), "/h").is_err());
}

#[test]
fn after_a_panic_half_way_nothing_is_answered() {
    let broker = broker(State::new());
    assert!(broker.answer(change_request(), "/h").is_ok());
    let broken = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let _state = broker.usable_state().unwrap();
            panic!("half way");
        });
        thread.join()
    });
    assert!(broken.is_err());
    assert!(broker.answer(read_request(), "/h").is_err());
    assert!(broker.failure().is_some());
}

#[test]
fn a_stopping_broker_answers_nothing() {
    let broker = broker(State::new());
    broker.stop();
    assert!(broker.answer(read_request(), "/h").is_err());
    assert!(!broker.sleep(Duration::from_secs(60)));
}
