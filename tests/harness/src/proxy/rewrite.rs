//! Replies that tell a client where brokers are get our addresses in place of theirs.
//!
//! Metadata, FindCoordinator and DescribeCluster always; Produce and Fetch when they name a partition's new leader
//! (KIP-951).

use std::io;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, DescribeClusterResponse, FetchResponse, FindCoordinatorResponse, MetadataResponse, ProduceResponse,
    ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

/// The first versions whose replies name new leaders.
const PRODUCE_NAMES_LEADERS: i16 = 10;
const FETCH_NAMES_LEADERS: i16 = 16;

/// Rewrites the addresses in one reply; `ours` gives host and port in front of a broker. Other replies pass unchanged.
///
/// # Errors
///
/// When the reply cannot be decoded, or `ours` fails: forwarding it would let clients past the proxy.
pub(super) fn addresses(
    api: ApiKey,
    version: i16,
    reply: Bytes,
    ours: impl Fn(&str, u16) -> io::Result<(&'static str, u16)>,
) -> io::Result<Bytes> {
    let swap = |host: &mut StrBytes, port: &mut i32| -> io::Result<()> {
        // a coordinator that is not known is an empty host and port -1
        if let Ok(theirs) = u16::try_from(*port)
            && theirs > 0
            && !host.is_empty()
        {
            let (our_host, our_port) = ours(host, theirs)?;
            *host = StrBytes::from_static_str(our_host);
            *port = i32::from(our_port);
        }
        Ok(())
    };
    match api {
        ApiKey::Metadata => edit(api, version, reply, |body: &mut MetadataResponse| {
            let mut brokers = body.brokers.iter_mut();
            brokers.try_for_each(|broker| swap(&mut broker.host, &mut broker.port))?;
            Ok(true)
        }),
        ApiKey::FindCoordinator => edit(api, version, reply, |body: &mut FindCoordinatorResponse| {
            swap(&mut body.host, &mut body.port)?;
            let mut found = body.coordinators.iter_mut();
            found.try_for_each(|broker| swap(&mut broker.host, &mut broker.port))?;
            Ok(true)
        }),
        ApiKey::DescribeCluster => edit(api, version, reply, |body: &mut DescribeClusterResponse| {
            let mut brokers = body.brokers.iter_mut();
            brokers.try_for_each(|broker| swap(&mut broker.host, &mut broker.port))?;
            Ok(true)
        }),
        ApiKey::Produce if version >= PRODUCE_NAMES_LEADERS => {
            edit(api, version, reply, |body: &mut ProduceResponse| {
                let mut leaders = body.node_endpoints.iter_mut();
                leaders.try_for_each(|broker| swap(&mut broker.host, &mut broker.port))?;
                Ok(!body.node_endpoints.is_empty())
            })
        }
        ApiKey::Fetch if version >= FETCH_NAMES_LEADERS => edit(api, version, reply, |body: &mut FetchResponse| {
            let mut leaders = body.node_endpoints.iter_mut();
            leaders.try_for_each(|broker| swap(&mut broker.host, &mut broker.port))?;
            Ok(!body.node_endpoints.is_empty())
        }),
        _ => Ok(reply),
    }
}

/// Decodes a reply, changes it, and encodes it again when `change` says that it did.
fn edit<R: Decodable + Encodable>(
    api: ApiKey,
    version: i16,
    reply: Bytes,
    change: impl FnOnce(&mut R) -> io::Result<bool>,
) -> io::Result<Bytes> {
    let unreadable = |doing: &str, e: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidData, format!("cannot {doing} a reply to {api:?} v{version}: {e}"))
    };
    let header_version = api.response_header_version(version);
    let mut rest = reply.clone();
    let header = ResponseHeader::decode(&mut rest, header_version).map_err(|e| unreadable("decode", &e))?;
    let mut body = R::decode(&mut rest, version).map_err(|e| unreadable("decode", &e))?;
    if !change(&mut body)? {
        return Ok(reply);
    }
    let mut encoded = BytesMut::new();
    header.encode(&mut encoded, header_version).map_err(|e| unreadable("encode", &e))?;
    body.encode(&mut encoded, version).map_err(|e| unreadable("encode", &e))?;
    Ok(encoded.freeze())
}
