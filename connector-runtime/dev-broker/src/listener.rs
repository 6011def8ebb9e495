//! The port: who is let in, how many, and how all of them are sent away again.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::attempt::attempt;
use crate::broker::Broker;
use crate::connection;
use crate::state::lock;

/// Requests are read onto the heap; a connection's own frames are small.
const THREAD_STACK_BYTES: usize = 1024 * 1024;
/// After an accept that failed (no file handles left, say), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Reads `host:port` and insists on a loopback address: there is no authentication.
pub(crate) fn loopback_addr(addr: &str) -> io::Result<SocketAddr> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
    let found: Vec<SocketAddr> = addr
        .to_socket_addrs()
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))
        .map_err(attempt(format!("read the broker's address {addr:?}")))?
        .collect();
    if found.is_empty() || found.iter().any(|a| !a.ip().is_loopback()) {
        return Err(invalid(format!(
            "listen on {addr:?}: the embedded broker has no authentication and listens on loopback only, such as 127.0.0.1:0"
        )));
    }
    // A name such as localhost has both; clients without IPv6 reach the older one.
    let preferred = found.iter().find(|a| a.is_ipv4()).or(found.first());
    preferred.copied().ok_or_else(|| invalid(format!("read the broker's address {addr:?}")))
}

pub(crate) struct Listener {
    addr: SocketAddr,
    connections_max: usize,
    connections: Mutex<Connections>,
    stopping: AtomicBool,
}

#[derive(Default)]
struct Connections {
    next: u64,
    open: HashMap<u64, Connection>,
}

struct Connection {
    stream: TcpStream,
    thread: JoinHandle<()>,
}

impl Listener {
    /// The socket is for [`spawn`], whose thread closes it when it ends.
    pub(crate) fn bind(addr: SocketAddr, connections_max: usize) -> io::Result<(Listener, TcpListener)> {
        let socket = TcpListener::bind(addr).map_err(attempt(format!("listen on {addr} for the embedded broker")))?;
        let listener = Listener {
            addr: socket.local_addr()?,
            connections_max,
            connections: Mutex::default(),
            stopping: AtomicBool::new(false),
        };
        Ok((listener, socket))
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Lets nobody in any more, closes what is open and waits for its threads. The broker must be stopping already, or
    /// a request that waits would hold this up.
    pub(crate) fn stop(&self) {
        if self.stopping.swap(true, Ordering::AcqRel) {
            return;
        }
        // The accept that is waiting returns once more.
        let _ = TcpStream::connect_timeout(&self.addr, Duration::from_secs(1));
        let open: Vec<Connection> = {
            let mut connections = lock(&self.connections);
            connections.open.drain().map(|(_, c)| c).collect()
        };
        for connection in &open {
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
        for thread in open.into_iter().map(|c| c.thread) {
            let _ = thread.join();
        }
    }

    fn open(self: &Arc<Self>, stream: TcpStream, broker: &Arc<Broker>) -> io::Result<()> {
        let mut connections = lock(&self.connections);
        if connections.open.len() >= self.connections_max || self.stopping.load(Ordering::Acquire) {
            return Ok(());
        }
        let number = connections.next;
        connections.next += 1;
        let kept = stream.try_clone()?;
        let (listener, broker) = (Arc::clone(self), Arc::clone(broker));
        let thread = thread::Builder::new().name("dev-broker-client".into()).stack_size(THREAD_STACK_BYTES).spawn(
            move || {
                let _closed = CloseAtEnd { listener, number };
                // What a client did wrong is its own to see: the connection closes.
                let _ = connection::serve(&broker, &stream);
            },
        )?;
        // The lock is held, so that the thread cannot have ended and been forgotten before it is known.
        connections.open.insert(number, Connection { stream: kept, thread });
        Ok(())
    }
}

/// Forgets a connection when its thread ends, also by a panic.
struct CloseAtEnd {
    listener: Arc<Listener>,
    number: u64,
}

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        let closed = lock(&self.listener.connections).open.remove(&self.number);
        if let Some(connection) = closed {
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }
}

/// Accepts connections until the listener stops.
pub(crate) fn spawn(listener: Arc<Listener>, socket: TcpListener, broker: Arc<Broker>) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("dev-broker-accept".into()).stack_size(THREAD_STACK_BYTES).spawn(move || {
        while !listener.stopping.load(Ordering::Acquire) {
            let opened = match socket.accept() {
                Ok((stream, _)) => listener.open(stream, &broker),
                Err(e) => Err(e),
            };
            if opened.is_err() {
                thread::sleep(ACCEPT_PAUSE);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_listened_on() {
        for addr in ["0.0.0.0:0", "192.168.1.5:9092", "[::]:0", "8.8.8.8:1"] {
            let error = loopback_addr(addr).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{addr}");
            assert!(error.to_string().contains("loopback only"), "{error}");
        }
        for addr in ["127.0.0.1:0", "127.9.9.9:1", "localhost:9092"] {
            assert!(loopback_addr(addr).unwrap().ip().is_loopback(), "{addr}");
        }
        let unreadable = loopback_addr("no port").unwrap_err();
        assert_eq!(unreadable.kind(), io::ErrorKind::InvalidInput);
    }
}
