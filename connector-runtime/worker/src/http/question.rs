//! Asks a worker's HTTP API: one GET, one answer, then the connection is closed (RFC 9112 with `Connection: close`). Only our
//! own server is asked, on loopback, so nothing of HTTP beyond that is needed.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest that an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// An answer larger than this is not one of ours.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Status code and body of `GET page`.
///
/// # Errors
///
/// As connecting and reading report; `InvalidData` when what answers does not speak HTTP.
pub(crate) async fn get(address: &str, page: &str) -> io::Result<(u16, String)> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
    let bytes = timeout(ANSWER_TIME_MAX, exchange(address, page)).await.map_err(|_| late())??;
    let text = String::from_utf8(bytes).map_err(|_| not_http())?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(not_http)?;
    let code = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
    Ok((code.ok_or_else(not_http)?, body.to_owned()))
}

async fn exchange(address: &str, page: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {page} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn not_http() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what answers is not the HTTP API of a worker")
}
