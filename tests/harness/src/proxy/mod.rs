//! A wire proxy between Kafka clients and brokers: forwards requests and replies, and holds, delays, loses and cuts what
//! a test names.
//!
//! It understands request framing (length, api key, api version, correlation id) and rewrites the addresses in replies
//! that tell a client where brokers are, so that all traffic comes through it. No TLS.
//!
//! ```text
//! client ── requests ──▶ judge: pass | hold | delay | cut ──▶ broker
//! client ◀─ replies ─── rewrite addresses | lose | mute ◀──── broker
//! ```
//!
//! The worst faults of a transactional producer need it: a commit request that a network holds back, that the client
//! repeats on a new connection with success, and that arrives a second time inside the *next* transaction
//! ([`Fault::HoldAndCut`], then [`Armed::deliver`]).

mod board;
mod faults;
mod link;
mod rewrite;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use kafka_protocol::messages::ApiKey;

use board::Board;
pub use faults::{Armed, Chaos, Fault, Rule};

/// Brokers of one cluster that a proxy stands in front of, at most.
const BROKERS_MAX: usize = 16;

/// Open client connections at most; further ones are closed as they come.
const CONNECTIONS_MAX: usize = 512;

/// How long the threads of connections get to end when a proxy is dropped.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// A running proxy. Dropping it closes every connection; requests still held are thrown away.
pub struct Proxy {
    relay: Arc<Relay>,
    bootstrap: String,
}

/// What all listeners and connections share.
pub(crate) struct Relay {
    pub(crate) board: Board,
    listeners: Mutex<Listeners>,
}

#[derive(Default)]
struct Listeners {
    /// broker as the cluster names it, to our port in front of it
    ports: BTreeMap<(String, u16), u16>,
    threads: Vec<JoinHandle<()>>,
    ended: bool,
}

impl Proxy {
    /// A proxy in front of the brokers of `bootstrap` (`host:port`, several with commas) and of all others that their
    /// replies name.
    ///
    /// # Panics
    ///
    /// When an address cannot be read or no port can be had.
    #[track_caller]
    pub fn start(bootstrap: &str) -> Proxy {
        let relay = Arc::new(Relay { board: Board::default(), listeners: Mutex::default() });
        let ours: Vec<String> = bootstrap
            .split(',')
            .map(|broker| {
                let (host, port) = broker
                    .trim()
                    .rsplit_once(':')
                    .and_then(|(host, port)| Some((host, port.parse().ok()?)))
                    .unwrap_or_else(|| panic!("{broker:?} is not host:port"));
                let port = Relay::port_for(&relay, host, port)
                    .unwrap_or_else(|e| panic!("no proxy in front of {broker}: {e}"));
                format!("127.0.0.1:{port}")
            })
            .collect();
        Proxy { relay, bootstrap: ours.join(",") }
    }

    /// What clients take as `bootstrap.servers` to come through the proxy.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Arms a fault; it strikes from the next matching request on.
    ///
    /// # Panics
    ///
    /// When more than 64 rules are armed.
    pub fn arm(&self, rule: Rule) -> Armed {
        Armed::new(Arc::clone(&self.relay), self.relay.board.arm(rule))
    }

    /// Arms `fault` for the next request of this kind.
    pub fn once(&self, api: ApiKey, fault: Fault) -> Armed {
        self.arm(Rule::new(api, fault))
    }

    /// Strikes at random, as `chaos` says, until [`Proxy::calm`].
    pub fn chaos(&self, chaos: Chaos) {
        self.relay.board.set_chaos(Some(chaos));
    }

    /// Ends [`Proxy::chaos`] and delivers at once what it held back.
    pub fn calm(&self) {
        self.relay.board.set_chaos(None);
    }

    /// How many requests of this kind have come from clients so far, whatever became of them.
    pub fn seen(&self, api: ApiKey) -> u64 {
        self.relay.board.seen(api)
    }

    /// Waits until `count` requests of this kind have come.
    ///
    /// # Panics
    ///
    /// When fewer have come after `deadline`.
    #[track_caller]
    pub fn when_seen(&self, api: ApiKey, count: u64, deadline: Duration) {
        let met = self.relay.board.wait(deadline, |state| (state.seen(api) >= count).then_some(()));
        assert!(met.is_some(), "waited {deadline:?} for {count} requests {api:?}, {} came", self.seen(api));
    }

    /// Cuts every connection that is open now; clients may connect again.
    pub fn cut_all(&self) {
        self.relay.board.cut_all();
    }

    /// Cuts every connection and closes new ones at once until [`Proxy::mend`]: the brokers are out of reach.
    pub fn sever(&self) {
        self.relay.board.set_severed(true);
        self.relay.board.cut_all();
    }

    /// Ends [`Proxy::sever`].
    pub fn mend(&self) {
        self.relay.board.set_severed(false);
    }

    /// Lets nothing through in either direction, and closes nothing, until [`Proxy::thaw`]: a network that swallows
    /// packets, or a broker that stands still.
    pub fn freeze(&self) {
        self.relay.board.set_frozen(true);
    }

    /// Ends [`Proxy::freeze`]; what was on its way arrives.
    pub fn thaw(&self) {
        self.relay.board.set_frozen(false);
    }

    /// Open client connections.
    pub fn connections(&self) -> usize {
        self.relay.board.connections()
    }

    /// The last 1,000 faults that struck, oldest first, one line each: for the message of a failed test.
    pub fn strikes(&self) -> Vec<String> {
        self.relay.board.strikes()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.relay.board.end();
        let (ports, threads) = self.relay.end_listeners();
        for port in ports {
            // wakes the accepting thread, which then sees that it is over
            let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        }
        for thread in threads {
            let _ = thread.join();
        }
        self.relay.board.cut_all();
        self.relay.board.wait_for_end(END_DEADLINE, |state| state.connections() == 0);
        if std::thread::panicking() {
            eprintln!("faults that struck: {:#?}", self.strikes());
        }
    }
}

impl Relay {
    /// Our port in front of a broker; the first time a listener is made for it.
    pub(crate) fn port_for(relay: &Arc<Relay>, host: &str, port: u16) -> io::Result<u16> {
        let mut listeners = relay.listeners.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(&ours) = listeners.ports.get(&(host.to_owned(), port)) {
            return Ok(ours);
        }
        if listeners.ports.len() == BROKERS_MAX || listeners.ended {
            return Err(io::Error::other(format!("{BROKERS_MAX} brokers have a proxy already, or it has ended")));
        }
        let broker =
            (host, port).to_socket_addrs()?.next().ok_or_else(|| io::Error::other(format!("{host} has no address")))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let ours = listener.local_addr()?.port();
        let accepting = Arc::clone(relay);
        let thread = std::thread::Builder::new()
            .name(format!("proxy of {port}"))
            .spawn(move || accept(&accepting, &listener, broker))?;
        listeners.ports.insert((host.to_owned(), port), ours);
        listeners.threads.push(thread);
        Ok(ours)
    }

    fn end_listeners(&self) -> (Vec<u16>, Vec<JoinHandle<()>>) {
        let mut listeners = self.listeners.lock().unwrap_or_else(|e| e.into_inner());
        listeners.ended = true;
        (listeners.ports.values().copied().collect(), std::mem::take(&mut listeners.threads))
    }
}

fn accept(relay: &Arc<Relay>, listener: &TcpListener, broker: SocketAddr) {
    while !relay.board.ended() {
        let Ok((client, _)) = listener.accept() else {
            continue;
        };
        if relay.board.ended() || relay.board.severed() {
            continue;
        }
        if relay.board.connections() >= CONNECTIONS_MAX {
            relay.board.note("a connection too many was closed".to_owned());
            continue;
        }
        link::open(relay, client, broker);
    }
}

#[cfg(test)]
mod tests;
