//! One client's connection: requests come in and are answered in order, one at a time.

use std::io::{self, BufReader};
use std::net::TcpStream;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, CreateTopicsRequest, RequestHeader, RequestKind, ResponseHeader, ResponseKind};
use kafka_protocol::protocol::{Decodable, Encodable};

use crate::broker::Broker;
use crate::frame;
use crate::offered;

/// A request as it was read.
pub(crate) struct Request {
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) client_id: String,
    pub(crate) kind: RequestKind,
    /// The whole frame.
    pub(crate) raw: Bytes,
    correlation_id: i32,
}

impl Request {
    /// # Errors
    ///
    /// `InvalidData` when the frame is no request that is offered, or cannot be read as one.
    pub(crate) fn parse(raw: Bytes) -> io::Result<Request> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let start: [u8; 4] = raw
            .get(..4)
            .and_then(|s| s.try_into().ok())
            .ok_or_else(|| invalid("read a request of less than 4 bytes".into()))?;
        let number = i16::from_be_bytes([start[0], start[1]]);
        let version = i16::from_be_bytes([start[2], start[3]]);
        let key = ApiKey::try_from(number).map_err(|()| invalid(format!("read a request of unknown kind {number}")))?;
        // Any version of this one is answered, so that client and broker can agree.
        let negotiates = key == ApiKey::ApiVersions;
        if !negotiates && !offered::is_offered(key, version) {
            return Err(invalid(format!("read a {key:?} request of version {version}, which is not offered")));
        }
        let mut rest = raw.clone();
        let header = RequestHeader::decode(&mut rest, key.request_header_version(version))
            .map_err(|e| invalid(format!("read the header of a {key:?} request: {e:#}")))?;
        let kind = if negotiates {
            RequestKind::ApiVersions(Default::default())
        } else {
            RequestKind::decode(key, &mut rest, version)
                .map_err(|e| invalid(format!("read a {key:?} request: {e:#}")))?
        };
        Ok(Request {
            key,
            version,
            client_id: header.client_id.map_or_else(String::new, |c| c.to_string()),
            kind,
            raw,
            correlation_id: header.correlation_id,
        })
    }

    pub(crate) fn into_create_topics(self) -> Option<(CreateTopicsRequest, i16)> {
        match self.kind {
            RequestKind::CreateTopics(request) => Some((request, self.version)),
            _ => None,
        }
    }
}

/// What belongs in front of the answer to a request.
pub(crate) struct AnswerHead {
    key: ApiKey,
    correlation_id: i32,
}

impl AnswerHead {
    pub(crate) fn of(request: &Request) -> AnswerHead {
        AnswerHead { key: request.key, correlation_id: request.correlation_id }
    }

    /// The whole frame of an answer in this version.
    pub(crate) fn encode(&self, answer: &ResponseKind, version: i16) -> io::Result<Bytes> {
        let failed = |e| {
            io::Error::new(io::ErrorKind::InvalidData, format!("write the answer to a {:?} request: {e:#}", self.key))
        };
        let mut out = BytesMut::new();
        ResponseHeader::default()
            .with_correlation_id(self.correlation_id)
            .encode(&mut out, self.key.response_header_version(version))
            .map_err(failed)?;
        answer.encode(&mut out, version).map_err(failed)?;
        Ok(out.freeze())
    }
}

/// Answers until the client closes the connection, sends what cannot be answered, or the broker stops.
pub(crate) fn serve(broker: &Broker, stream: &TcpStream) -> io::Result<()> {
    // Answers are small and wanted at once.
    stream.set_nodelay(true)?;
    // How Kafka shows a member's host.
    let host = format!("/{}", stream.peer_addr()?.ip());
    let mut from = BufReader::with_capacity(1 << 16, stream);
    let mut to = stream;
    while let Some(raw) = frame::read(&mut from, broker.frame_bytes_max())? {
        let request = Request::parse(raw)?;
        if let Some(answer) = broker.answer(request, &host)? {
            frame::write(&mut to, &answer)?;
        }
    }
    Ok(())
}
