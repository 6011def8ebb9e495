//! One client connection and its connection to the broker: a thread for each direction.
//!
//! Only the thread of requests closes the broker's side, so that a request it holds can still be delivered after the
//! client has gone. Only the end of the broker's side ends the thread of replies.

use std::collections::VecDeque;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_protocol::messages::ApiKey;

use super::board::Verdict;
use super::wire::{RequestHead, correlation_id, read_frame, write_frame};
use super::{Relay, rewrite};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request that was held and delivered waits for its reply before its connection closes.
const LATE_REPLY_DEADLINE: Duration = Duration::from_secs(30);

/// Requests without a reply yet that are remembered, at most; a client pipelines a handful.
const UNANSWERED_MAX: usize = 10_000;

/// Stack of a connection's thread: frames live on the heap.
const STACK_BYTES: usize = 256 * 1024;

/// A request on its way, in the order the broker will answer.
struct Unanswered {
    correlation_id: i32,
    api: Option<ApiKey>,
    version: i16,
    then: Then,
}

/// What happens to the reply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Forward,
    Lose,
    Mute,
    /// forwarded, and the delivery of a held request has succeeded
    Settle(u64),
}

struct Link {
    relay: Arc<Relay>,
    connection: u64,
    client: TcpStream,
    broker: TcpStream,
    unanswered: Mutex<VecDeque<Unanswered>>,
}

/// Connects to the broker and forwards until either side closes. A broker that cannot be reached closes the client.
pub(super) fn open(relay: &Arc<Relay>, client: TcpStream, broker: SocketAddr) {
    let opened = || -> io::Result<()> {
        let kept = client.try_clone()?;
        let broker = TcpStream::connect_timeout(&broker, CONNECT_TIMEOUT)?;
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        let link = Arc::new(Link {
            relay: Arc::clone(relay),
            connection: relay.board.opened(kept),
            client,
            broker,
            unanswered: Mutex::default(),
        });
        let replies = Arc::clone(&link);
        let requests = Arc::clone(&link);
        spawn("proxy replies", move || replies.forward_replies())
            .and_then(|()| spawn("proxy requests", move || requests.forward_requests()))
            .inspect_err(|_| link.close())
    };
    if let Err(e) = opened() {
        relay.board.note(format!("no connection to a broker: {e}"));
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(work).map(drop)
}

impl Link {
    fn close(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.broker.shutdown(Shutdown::Both);
        self.relay.board.closed(self.connection);
    }

    fn forward_requests(&self) {
        if let Err(e) = self.requests_to_the_end() {
            // a cut connection is the daily bread of this proxy; the note is for a test that failed
            self.relay.board.note(format!("requests ended: {e}"));
        }
        self.close();
    }

    fn requests_to_the_end(&self) -> io::Result<()> {
        while let Some(request) = read_frame(&mut &self.client)? {
            let head = RequestHead::parse(&request)?;
            let mut then = Then::Forward;
            match self.relay.board.judge(head, &request) {
                Verdict::Pass => {}
                Verdict::Cut => return Ok(()),
                Verdict::LoseReply => then = Then::Lose,
                Verdict::Mute => then = Then::Mute,
                Verdict::Delay(delay) => {
                    if !self.relay.board.pause(delay) {
                        return Ok(());
                    }
                }
                Verdict::Hold { id, cut, at_most } => {
                    self.deliver_late(id, cut, at_most, head, &request)?;
                    if cut {
                        return Ok(());
                    }
                    continue;
                }
            }
            if !self.relay.board.pass_gate() {
                return Ok(());
            }
            self.send(head, &request, then)?;
        }
        Ok(())
    }

    fn send(&self, head: RequestHead, request: &[u8], then: Then) -> io::Result<()> {
        {
            let mut unanswered = self.unanswered.lock().unwrap_or_else(|e| e.into_inner());
            // a produce request that wants no acknowledgement stays here until a later reply passes it by
            if unanswered.len() == UNANSWERED_MAX {
                unanswered.pop_front();
            }
            unanswered.push_back(Unanswered {
                correlation_id: head.correlation_id,
                api: head.api,
                version: head.version,
                then,
            });
        }
        write_frame(&mut &self.broker, request)
    }

    /// Keeps a request until it is let go, then sends it and waits for its reply, so that the broker has dealt with it
    /// before this connection closes.
    fn deliver_late(
        &self,
        id: u64,
        cut: bool,
        at_most: Option<Duration>,
        head: RequestHead,
        request: &[u8],
    ) -> io::Result<()> {
        if cut {
            let _ = self.client.shutdown(Shutdown::Both);
        }
        let board = &self.relay.board;
        if !board.await_release(id, at_most) {
            board.settle(id, false);
            return Ok(());
        }
        let sent = self.send(head, request, Then::Settle(id));
        let replied = sent.is_ok() && board.await_reply(id, LATE_REPLY_DEADLINE);
        board.settle(id, replied);
        board.note(format!("held {:?} delivered, {}", head.api, if replied { "answered" } else { "not answered" }));
        sent
    }

    fn forward_replies(&self) {
        if let Err(e) = self.replies_to_the_end() {
            self.relay.board.note(format!("replies ended: {e}"));
        }
        // the broker closed, or cannot be understood; ends the thread of requests, unless that holds one
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.broker.shutdown(Shutdown::Both);
        self.settle_all();
    }

    fn replies_to_the_end(&self) -> io::Result<()> {
        let mut muted = false;
        while let Some(reply) = read_frame(&mut &self.broker)? {
            let Some(unanswered) = correlation_id(&reply).and_then(|id| self.take(id)) else {
                return Err(io::Error::other("a reply to no request"));
            };
            if !self.relay.board.pass_gate() {
                return Ok(());
            }
            match unanswered.then {
                Then::Forward => {}
                Then::Mute => muted = true,
                Then::Lose => {
                    let _ = self.client.shutdown(Shutdown::Both);
                    continue;
                }
                Then::Settle(id) => self.relay.board.settle(id, true),
            }
            if muted {
                continue;
            }
            let reply = match unanswered.api {
                Some(api) => rewrite::addresses(api, unanswered.version, reply, |host, port| {
                    Relay::port_for(&self.relay, host, port).map(|port| ("127.0.0.1", port))
                })?,
                None => reply,
            };
            // a client that has gone is no reason to stop: a held request may still be answered
            let _ = write_frame(&mut &self.client, &reply);
        }
        Ok(())
    }

    /// The request that a reply answers. Brokers answer in order, so whatever stands before it gets no reply.
    fn take(&self, correlation_id: i32) -> Option<Unanswered> {
        let mut unanswered = self.unanswered.lock().unwrap_or_else(|e| e.into_inner());
        while let Some(next) = unanswered.pop_front() {
            if next.correlation_id == correlation_id {
                return Some(next);
            }
        }
        None
    }

    /// The broker's side is over: nobody need wait for a reply any longer.
    fn settle_all(&self) {
        let mut unanswered = self.unanswered.lock().unwrap_or_else(|e| e.into_inner());
        for gone in unanswered.drain(..) {
            if let Then::Settle(id) = gone.then {
                self.relay.board.settle(id, false);
            }
        }
    }
}
