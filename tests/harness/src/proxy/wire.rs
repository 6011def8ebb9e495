//! Frames of Kafka's protocol: a length of four bytes, then that many bytes.
//!
//! <https://kafka.apache.org/protocol#protocol_messages>

use std::io::{self, Read, Write};

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;

/// The largest frame that is forwarded; brokers take 100 MiB.
const FRAME_BYTES_MAX: usize = 128 * 1024 * 1024;

/// What the proxy reads of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestHead {
    /// `None` for a kind that this protocol version does not know
    pub(crate) api: Option<ApiKey>,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
}

/// Reads one frame without its length; `None` at the end of the stream.
pub(crate) fn read_frame(stream: &mut impl Read) -> io::Result<Option<Bytes>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let length = usize::try_from(i32::from_be_bytes(length))
        .ok()
        .filter(|&length| (4..=FRAME_BYTES_MAX).contains(&length))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a frame of Kafka's"))?;
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame)?;
    Ok(Some(frame.into()))
}

/// Writes a frame with its length, in one piece.
pub(crate) fn write_frame(stream: &mut impl Write, frame: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(frame.len() + 4);
    bytes.extend((frame.len() as u32).to_be_bytes());
    bytes.extend(frame);
    stream.write_all(&bytes)
}

impl RequestHead {
    /// The first eight bytes are the same in every version of the request header.
    pub(crate) fn parse(frame: &[u8]) -> io::Result<RequestHead> {
        match *frame {
            [k0, k1, v0, v1, c0, c1, c2, c3, ..] => Ok(RequestHead {
                api: ApiKey::try_from(i16::from_be_bytes([k0, k1])).ok(),
                version: i16::from_be_bytes([v0, v1]),
                correlation_id: i32::from_be_bytes([c0, c1, c2, c3]),
            }),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a request without a header")),
        }
    }
}

/// Which request a reply answers.
pub(crate) fn correlation_id(reply: &[u8]) -> Option<i32> {
    reply.first_chunk().map(|bytes: &[u8; 4]| i32::from_be_bytes(*bytes))
}
