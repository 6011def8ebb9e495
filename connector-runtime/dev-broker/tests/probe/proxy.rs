//! A proxy in front of each broker of the cluster, which can lose answers or be cut.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use rdkafka::consumer::Consumer;

use crate::broker::{LIMIT, Probe};

/// Metadata, FindCoordinator and DescribeCluster name the brokers' addresses.
const WITH_ADDRESSES: [i16; 3] = [3, 10, 60];

pub struct Proxy {
    bootstrap: String,
    faults: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    /// Of this kind of request
    api: i16,
    /// the answers to so many more are lost, each with its connection, after the broker has done the work.
    left: AtomicI64,
    cut: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
    /// What an answer says of a broker's address, and what it is to say.
    addresses: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Proxy {
    pub fn start(probe: &Probe) -> Proxy {
        Proxy::losing(probe, -1, 0)
    }

    /// Loses the answers to the next `count` requests of kind `api`.
    pub fn losing(probe: &Probe, api: i16, count: i64) -> Proxy {
        let consumer = probe.consumer(&probe.name("proxy"), &[]);
        let metadata = consumer.inner.fetch_metadata(None, LIMIT).expect("metadata");
        let (mut addresses, mut listeners, mut bootstrap) = (Vec::new(), Vec::new(), Vec::new());
        for broker in metadata.brokers() {
            let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
            let port = listener.local_addr().expect("address").port();
            let address = |port: i32| [broker.host().as_bytes(), &port.to_be_bytes()].concat();
            addresses.push((address(broker.port()), address(i32::from(port))));
            bootstrap.push(format!("127.0.0.1:{port}"));
            listeners.push((listener, format!("{}:{}", broker.host(), broker.port())));
        }
        let faults = Arc::new(Faults { api, left: AtomicI64::new(count), addresses, ..Faults::default() });
        for (listener, broker) in listeners {
            let faults = Arc::clone(&faults);
            std::thread::spawn(move || accept(&listener, &broker, &faults));
        }
        Proxy { bootstrap: bootstrap.join(","), faults }
    }

    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    pub fn all_lost(&self) -> bool {
        self.faults.left.load(Ordering::SeqCst) == 0
    }

    /// From now on nothing gets through, in either direction.
    pub fn cut(&self) {
        self.faults.cut.store(true, Ordering::SeqCst);
        for stream in self.faults.streams.lock().expect("a lock").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, broker: &str, faults: &Arc<Faults>) {
    for client in listener.incoming().flatten() {
        let Ok(server) = TcpStream::connect(broker) else {
            continue;
        };
        if faults.cut.load(Ordering::SeqCst) {
            return;
        }
        let copy = |s: &TcpStream| {
            let _ = s.set_nodelay(true);
            s.try_clone().expect("clone a stream")
        };
        faults.streams.lock().expect("a lock").extend([copy(&client), copy(&server)]);
        let kinds = Arc::new(Mutex::new(HashMap::new()));
        let (from, to, known) = (copy(&client), copy(&server), Arc::clone(&kinds));
        std::thread::spawn(move || requests(from, to, &known));
        let faults = Arc::clone(faults);
        std::thread::spawn(move || answers(server, client, &kinds, &faults));
    }
}

fn requests(mut from: TcpStream, mut to: TcpStream, kinds: &Mutex<HashMap<i32, i16>>) {
    while let Some(frame) = frame(&mut from) {
        let kind = i16::from_be_bytes([frame[4], frame[5]]);
        let id = i32::from_be_bytes([frame[8], frame[9], frame[10], frame[11]]);
        kinds.lock().expect("a lock").insert(id, kind);
        if to.write_all(&frame).is_err() {
            break;
        }
    }
    let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
}

fn answers(mut from: TcpStream, mut to: TcpStream, kinds: &Mutex<HashMap<i32, i16>>, faults: &Faults) {
    while let Some(mut frame) = frame(&mut from) {
        let id = i32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]);
        let kind = kinds.lock().expect("a lock").remove(&id).unwrap_or(-1);
        let one_less = |left: i64| (left > 0).then_some(left - 1);
        let lost = || {
            let update = faults.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
            update.is_ok()
        };
        if kind == faults.api && lost() {
            break;
        }
        if WITH_ADDRESSES.contains(&kind) {
            for (old, new) in &faults.addresses {
                replace(&mut frame[8..], old, new);
            }
        }
        if to.write_all(&frame).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    for start in 0..(bytes.len() + 1).saturating_sub(old.len()) {
        let found = &mut bytes[start..start + old.len()];
        if found == old {
            found.copy_from_slice(new);
        }
    }
}

fn frame(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0u8; 4];
    from.read_exact(&mut length).ok()?;
    let mut frame = vec![0u8; u32::from_be_bytes(length) as usize + 4];
    frame[..4].copy_from_slice(&length);
    from.read_exact(&mut frame[4..]).ok()?;
    (frame.len() >= 8).then_some(frame)
}
