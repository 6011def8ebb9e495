//! Starting, limits, stopping: what a program that embeds the broker relies on.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::{
    ApiKey, CreateTopicsRequest, FetchRequest, GroupId, JoinGroupRequest, MetadataRequest, RequestHeader, RequestKind,
    ResponseHeader, ResponseKind, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use unbatch_dev_broker::{DevBroker, Settings};

const LIMIT: Duration = Duration::from_secs(20);

fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}

fn connect(broker: &DevBroker) -> TcpStream {
    let stream = TcpStream::connect(broker.addr()).expect("connect");
    stream.set_read_timeout(Some(LIMIT)).expect("set a time-out");
    stream
}

fn send(stream: &mut TcpStream, key: ApiKey, version: i16, request: RequestKind) -> io::Result<()> {
    let mut frame = BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .encode(&mut frame, key.request_header_version(version))
        .expect("encode a header");
    request.encode(&mut frame, version).expect("encode a request");
    let length = (frame.len() as u32).to_be_bytes();
    stream.write_all(&[&length, frame.as_ref()].concat())
}

fn receive(stream: &mut TcpStream, key: ApiKey, version: i16) -> io::Result<ResponseKind> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame)?;
    let mut frame = bytes::Bytes::from(frame);
    ResponseHeader::decode(&mut frame, key.response_header_version(version)).expect("a header");
    Ok(ResponseKind::decode(key, &mut frame, version).expect("an answer"))
}

/// The names of all topics that are not internal.
fn topics(stream: &mut TcpStream) -> io::Result<Vec<String>> {
    let request = MetadataRequest::default().with_topics(None);
    send(stream, ApiKey::Metadata, 12, request.into())?;
    let ResponseKind::Metadata(answer) = receive(stream, ApiKey::Metadata, 12)? else {
        panic!("another answer than that to a metadata request");
    };
    let own = answer.topics.iter().filter(|t| !t.is_internal);
    Ok(own.filter_map(|t| t.name.as_ref().map(|n| n.to_string())).collect())
}

fn create_topic(stream: &mut TcpStream, name: &str) {
    let topic =
        CreatableTopic::default().with_name(TopicName(text(name))).with_num_partitions(1).with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]);
    send(stream, ApiKey::CreateTopics, 7, request.into()).expect("ask");
    let answer = receive(stream, ApiKey::CreateTopics, 7).expect("an answer");
    let ResponseKind::CreateTopics(answer) = answer else {
        panic!("another answer than that to a topic's creation");
    };
    assert_eq!(answer.topics[0].error_code, 0);
}

fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(n) => n == 0,
        Err(e) => !matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
    }
}

fn start(settings: Settings) -> DevBroker {
    DevBroker::start(settings).expect("start a broker")
}

fn with_log(log: &Path) -> Settings {
    Settings { log: Some(log.to_owned()), ..Settings::default() }
}

#[test]
fn stop_closes_connections_ends_waits_and_frees_the_port() {
    let broker = start(Settings::default());
    let addr = broker.addr();
    let mut idle = connect(&broker);
    create_topic(&mut idle, "t");

    let mut fetching = connect(&broker);
    let topic = FetchTopic::default()
        .with_topic(TopicName(text("t")))
        .with_partitions(vec![FetchPartition::default().with_partition_max_bytes(1000)]);
    let request = FetchRequest::default().with_max_wait_ms(300_000).with_min_bytes(1).with_topics(vec![topic]);
    send(&mut fetching, ApiKey::Fetch, 12, request.into()).expect("ask");

    let mut joining = connect(&broker);
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
    let request = JoinGroupRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_session_timeout_ms(300_000)
        .with_rebalance_timeout_ms(300_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    send(&mut joining, ApiKey::JoinGroup, 3, request.into()).expect("ask");
    // Answered by the same broker after both have been read, most likely; stop must cope with either order.
    assert_eq!(topics(&mut idle).expect("topics"), ["t"]);

    let started = Instant::now();
    broker.stop();
    assert!(started.elapsed() < LIMIT, "it waited for its clients");
    assert!(is_closed(&mut idle));
    // Whether an answer still came or not, these connections end.
    let mut rest = Vec::new();
    let _ = fetching.read_to_end(&mut rest);
    let _ = joining.read_to_end(&mut rest);
    assert!(is_closed(&mut fetching) && is_closed(&mut joining));
    wait_until_free(addr);
    broker.stop();
}

#[test]
fn dropping_it_stops_it() {
    let broker = start(Settings::default());
    let addr = broker.addr();
    let mut client = connect(&broker);
    assert!(topics(&mut client).expect("topics").is_empty());
    drop(broker);
    assert!(is_closed(&mut client));
    wait_until_free(addr);
}

/// Another test may have been given the port meanwhile, for a while.
fn wait_until_free(addr: SocketAddr) {
    let deadline = Instant::now() + LIMIT;
    while let Err(taken) = TcpListener::bind(addr) {
        assert!(Instant::now() < deadline, "nobody gives up the port: {taken}");
        std::thread::yield_now();
    }
}

#[test]
fn a_stopped_broker_starts_again_with_what_it_had() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("log");
    for fsync in [false, true, false] {
        let broker = start(Settings { fsync, ..with_log(&log) });
        let mut client = connect(&broker);
        let mut names = topics(&mut client).expect("topics");
        create_topic(&mut client, &format!("t{}", names.len()));
        names.push(format!("t{}", names.len()));
        assert_eq!(topics(&mut client).expect("topics"), names);
        assert_eq!(broker.failure(), None);
        broker.stop();
    }
    let broker = start(with_log(&log));
    assert_eq!(topics(&mut connect(&broker)).expect("topics"), ["t0", "t1", "t2"]);
}

#[test]
fn only_one_broker_has_a_log() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("log");
    let first = start(with_log(&log));
    let refused = DevBroker::start(with_log(&log)).err().expect("a refusal");
    assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    assert!(refused.to_string().contains("another broker"), "{refused}");
    let out = Command::new(env!("CARGO_BIN_EXE_unbatch-dev-broker"))
        .arg("127.0.0.1:0")
        .arg(&log)
        .output()
        .expect("run the binary");
    assert!(!out.status.success());
    assert!(String::from_utf8_lossy(&out.stderr).contains("another broker"));
    assert!(topics(&mut connect(&first)).is_ok(), "the first one goes on");
    first.stop();
    start(with_log(&log)).stop();
}

#[test]
fn a_log_that_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("no-such-folder").join("log");
    let refused = DevBroker::start(with_log(&log)).err().expect("a refusal");
    assert_eq!(refused.kind(), io::ErrorKind::NotFound);
    assert!(refused.to_string().contains("no-such-folder"), "{refused}");
}

#[test]
fn other_addresses_than_loopback_are_refused() {
    for addr in ["0.0.0.0:0", "[::]:0", "10.0.0.1:9092"] {
        let settings = Settings { addr: addr.to_owned(), ..Settings::default() };
        let refused = DevBroker::start(settings).err().expect("a refusal");
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        assert!(refused.to_string().contains("loopback only"), "{refused}");
    }
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let first = start(Settings::default());
    let addr = first.addr().to_string();
    let refused = DevBroker::start(Settings { addr: addr.clone(), ..Settings::default() });
    let refused = refused.err().expect("a refusal");
    assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    assert!(refused.to_string().contains(&addr), "{refused}");
}

#[test]
fn what_cannot_be_a_request_closes_its_own_connection_only() {
    let broker = start(Settings { frame_bytes_max: 10_000, ..Settings::default() });
    let mut good = connect(&broker);
    let too_long = 10_001u32.to_be_bytes().to_vec();
    let http = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec();
    let unknown_api = [&8u32.to_be_bytes()[..], &[0x7f, 0xff, 0, 0, 0, 0, 0, 1]].concat();
    let too_new = [&8u32.to_be_bytes()[..], &[0, 3, 0x7f, 0, 0, 0, 0, 1]].concat();
    let empty = 0u32.to_be_bytes().to_vec();
    for bytes in [too_long, http, unknown_api, too_new, empty] {
        let mut bad = connect(&broker);
        bad.write_all(&bytes).expect("write");
        assert!(is_closed(&mut bad), "{bytes:?}");
    }
    assert!(topics(&mut good).is_ok());
}

#[test]
fn connections_above_the_limit_are_closed_until_there_is_room() {
    let broker = start(Settings { connections_max: 3, ..Settings::default() });
    let mut open: Vec<_> = (0..3).map(|_| connect(&broker)).collect();
    for client in &mut open {
        assert!(topics(client).is_ok());
    }
    let mut refused = connect(&broker);
    assert!(topics(&mut refused).is_err());
    assert!(topics(&mut open[0]).is_ok());
    open.pop();
    let started = Instant::now();
    while topics(&mut connect(&broker)).is_err() {
        assert!(started.elapsed() < LIMIT, "no room after one has gone");
    }
}

#[test]
fn the_binary_says_where_it_is_and_ends_on_a_signal() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_unbatch-dev-broker"))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the binary");
        let mut out = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        out.read_line(&mut line).expect("its first line");
        let addr = line.trim().strip_prefix("READY ").expect("READY").to_owned();
        let mut client = TcpStream::connect(&addr).expect("connect");
        assert!(topics(&mut client).expect("topics").is_empty());
        // SAFETY: it is our child and has not been waited for.
        let sent = unsafe { libc::kill(child.id() as libc::pid_t, signal) };
        assert_eq!(sent, 0);
        assert!(ended(&mut child), "signal {signal}");
        TcpListener::bind(&addr).expect("the port is free");
    }
}

fn ended(child: &mut Child) -> bool {
    child.wait().expect("wait for its end").success()
}
