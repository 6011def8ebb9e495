//! Kafka's protocol without a client in between, for what a client does not show.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, MetadataRequest, MetadataResponse, RequestHeader, RequestKind, ResponseHeader,
    ResponseKind, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use crate::broker::{LIMIT, Probe};

pub struct Wire(TcpStream);

pub fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}

impl Wire {
    pub fn to(address: &str) -> Wire {
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_read_timeout(Some(LIMIT)).expect("set a time-out");
        stream.set_nodelay(true).expect("set no delay");
        Wire(stream)
    }

    /// To any broker.
    pub fn of(probe: &Probe) -> Wire {
        let first = probe.bootstrap.split(',').next().expect("an address");
        Wire::to(first)
    }

    /// To the leader of a topic's first partition.
    pub fn to_leader(probe: &Probe, topic: &str) -> Wire {
        let metadata = Wire::of(probe).metadata(&[named(topic)]);
        let leader = metadata.topics[0].partitions[0].leader_id;
        let broker = metadata.brokers.iter().find(|b| b.node_id == leader);
        let broker = broker.expect("the leader");
        Wire::to(&format!("{}:{}", broker.host.as_str(), broker.port))
    }

    /// `None` when the broker closes the connection instead of answering.
    pub fn ask(&mut self, key: ApiKey, version: i16, request: RequestKind) -> Option<ResponseKind> {
        let mut frame = BytesMut::new();
        RequestHeader::default()
            .with_request_api_key(key as i16)
            .with_request_api_version(version)
            .with_correlation_id(5)
            .with_client_id(Some(text("wire")))
            .encode(&mut frame, key.request_header_version(version))
            .expect("encode a header");
        request.encode(&mut frame, version).expect("encode a request");
        let length = (frame.len() as u32).to_be_bytes();
        self.0.write_all(&[&length, frame.as_ref()].concat()).ok()?;
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut frame).ok()?;
        let mut frame = Bytes::from(frame);
        let header = ResponseHeader::decode(&mut frame, key.response_header_version(version));
        assert_eq!(header.expect("decode a header").correlation_id, 5);
        Some(ResponseKind::decode(key, &mut frame, version).expect("decode an answer"))
    }

    pub fn metadata(&mut self, topics: &[MetadataRequestTopic]) -> MetadataResponse {
        let request =
            MetadataRequest::default().with_topics(Some(topics.to_vec())).with_allow_auto_topic_creation(false);
        match self.ask(ApiKey::Metadata, 12, request.into()) {
            Some(ResponseKind::Metadata(answer)) => answer,
            other => panic!("metadata: {other:?}"),
        }
    }

    /// The highest version of a request that the broker offers.
    pub fn offers(&mut self, key: ApiKey) -> Option<i16> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(text("wire"))
            .with_client_software_version(text("1"));
        match self.ask(ApiKey::ApiVersions, 3, request.into()) {
            Some(ResponseKind::ApiVersions(answer)) => {
                let found = answer.api_keys.iter().find(|a| a.api_key == key as i16);
                found.map(|a| a.max_version)
            }
            other => panic!("api versions: {other:?}"),
        }
    }
}

pub fn named(topic: &str) -> MetadataRequestTopic {
    MetadataRequestTopic::default().with_name(Some(TopicName(text(topic))))
}
