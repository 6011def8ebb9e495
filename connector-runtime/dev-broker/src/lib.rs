//! A Kafka broker inside the process, for `unbatch run --dev`, for demos and for tests.
//!
//! It speaks Kafka's own protocol on a loopback port, so every Kafka client works with it, librdkafka and the Java
//! clients included. Partition logs, topic configurations and most request handlers come from the crate noida-db (MIT);
//! around them stands our own front, which adds what an exactly-once pipeline needs: fetches that wait and respect
//! their size limits, topic ids, session and transaction time-outs, fencing, stable offsets, retention and compaction
//! of transactional topics, and a log file that survives `kill -9`.
//!
//! ```no_run
//! use unbatch_dev_broker::{DevBroker, Settings};
//!
//! let broker = DevBroker::start(Settings::default())?;
//! let bootstrap_servers = broker.addr().to_string();
//! # drop(bootstrap_servers);
//! broker.stop();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! It is one node, without TLS, authentication or replication, and it holds all records in memory. Use Apache Kafka
//! in production; only `bootstrap.servers` changes. README.md says what it does as Kafka does and what it leaves out.

mod attempt;
mod batch;
mod broker;
mod cleaner;
mod compaction;
mod configs;
mod connection;
mod fetch;
#[cfg(test)]
mod fixture;
mod frame;
mod groups;
mod listener;
mod metadata;
mod offered;
mod offsets;
mod produce;
mod replay;
mod request_log;
mod snapshot;
mod state;
mod timeouts;
mod topics;
mod transactions;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use broker::Broker;
use listener::Listener;

/// How a [`DevBroker`] is set up. `Settings::default()` listens on a free loopback port and keeps everything in memory.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `host:port`; the host must be a loopback address, port 0 picks a free one.
    pub addr: String,
    /// The file that brings everything back after a restart or a crash. `None` keeps everything in memory.
    pub log: Option<PathBuf>,
    /// Whether an answer waits until its entry is on the disk. Without it the log survives a crash of the process, but
    /// not of the machine.
    pub fsync: bool,
    /// The largest request that is read, in bytes; a client that announces more is disconnected.
    pub frame_bytes_max: usize,
    /// How many connections may be open at once; each costs a thread. Further ones are closed as they come.
    pub connections_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            addr: "127.0.0.1:0".to_owned(),
            log: None,
            fsync: false,
            frame_bytes_max: 100 * 1024 * 1024,
            connections_max: 4096,
        }
    }
}

/// A running broker. Dropping it stops it.
pub struct DevBroker {
    broker: Arc<Broker>,
    listener: Arc<Listener>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl DevBroker {
    /// Brings back what `settings.log` holds, binds the address and serves it on threads of its own.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: the address cannot be read or is not a loopback address.
    /// - `WouldBlock`: another process has the log open.
    /// - `InvalidData`: the log is not one of ours, is of another version, or is damaged before its last entry.
    /// - whatever binding the port or reading and writing the log reports.
    pub fn start(settings: Settings) -> io::Result<DevBroker> {
        let addr = listener::loopback_addr(&settings.addr)?;
        // The log first: who cannot have it must not take the port from the one who has it.
        let state = replay::open(settings.log.as_deref(), settings.fsync)?;
        let (listener, socket) = Listener::bind(addr, settings.connections_max)?;
        let listener = Arc::new(listener);
        let broker = Arc::new(Broker::new(state, listener.addr(), settings.frame_bytes_max));
        // Whole from here on, so that an error below stops what has been started.
        let running = DevBroker { broker, listener, threads: Mutex::default() };
        let clock = timeouts::spawn(Arc::clone(&running.broker))?;
        state::lock(&running.threads).push(clock);
        let accepting = listener::spawn(Arc::clone(&running.listener), socket, Arc::clone(&running.broker))?;
        state::lock(&running.threads).push(accepting);
        Ok(running)
    }

    /// Where it listens; as a string this is what `bootstrap.servers` wants.
    pub fn addr(&self) -> SocketAddr {
        self.listener.addr()
    }

    /// Why it no longer answers, when writing its log failed (a full disk, say). It then closes every connection
    /// rather than acknowledge what a restart would not bring back.
    pub fn failure(&self) -> Option<String> {
        self.broker.failure()
    }

    /// Closes the port and every connection, ends all threads, and writes the log out to the disk. Everything that was
    /// acknowledged is in the log already, so this loses nothing; calling it twice does nothing more.
    pub fn stop(&self) {
        self.broker.stop();
        self.listener.stop();
        for thread in state::lock(&self.threads).drain(..) {
            // A thread that panicked has nothing left to end.
            let _ = thread.join();
        }
        self.broker.close_log();
    }
}

impl Drop for DevBroker {
    fn drop(&mut self) {
        self.stop();
    }
}
