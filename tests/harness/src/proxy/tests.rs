//! The proxy between a client of plain sockets and a broker that writes down what it gets and answers with the
//! correlation id alone.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_protocol::messages::ApiKey;

use super::wire::{read_frame, write_frame};
use super::{Chaos, Fault, Proxy, Rule};
use crate::seed::Seed;
use crate::wait::wait_until;

const SOON: Duration = Duration::from_secs(10);

/// Correlation ids in the order they reached the broker.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Vec<i32>>>);

impl Ledger {
    fn ids(&self) -> Vec<i32> {
        self.0.lock().unwrap().clone()
    }
}

fn broker() -> (String, Ledger) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let ledger = Ledger::default();
    let kept = ledger.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let ledger = kept.clone();
            std::thread::spawn(move || {
                while let Ok(Some(frame)) = read_frame(&mut &stream) {
                    let id = i32::from_be_bytes(frame[4..8].try_into().unwrap());
                    ledger.0.lock().unwrap().push(id);
                    let _ = write_frame(&mut &stream, &id.to_be_bytes());
                }
            });
        }
    });
    (address, ledger)
}

struct Client(TcpStream);

impl Client {
    fn connect(proxy: &Proxy) -> Client {
        let stream = TcpStream::connect(proxy.bootstrap()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        Client(stream)
    }

    fn send(&mut self, api: ApiKey, id: i32, text: &str) {
        let mut frame = Vec::new();
        frame.extend((api as i16).to_be_bytes());
        frame.extend(1i16.to_be_bytes());
        frame.extend(id.to_be_bytes());
        frame.extend(text.as_bytes());
        let mut bytes = (frame.len() as u32).to_be_bytes().to_vec();
        bytes.extend(frame);
        // a cut connection may refuse it, which the reply will tell
        let _ = self.0.write_all(&bytes);
    }

    /// The correlation id of the next reply; `None` when the connection was cut.
    fn reply(&mut self) -> Option<i32> {
        match read_frame(&mut self.0) {
            Ok(frame) => frame.map(|f| i32::from_be_bytes(f[..4].try_into().unwrap())),
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(e) => panic!("neither a reply nor a cut: {e}"),
        }
    }

    fn ask(&mut self, api: ApiKey, id: i32) -> Option<i32> {
        self.send(api, id, "");
        self.reply()
    }

    /// Nothing has come, and the connection is open.
    fn hears_nothing(&mut self) -> bool {
        self.0.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
        let heard = self.0.read(&mut [0; 1]);
        self.0.set_read_timeout(Some(SOON)).unwrap();
        heard.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock)
    }
}

#[test]
fn without_faults_everything_passes_in_order() {
    let (address, ledger) = broker();
    let proxy = Proxy::start(&address);
    let mut client = Client::connect(&proxy);
    for id in 0..100 {
        client.send(ApiKey::Heartbeat, id, "");
    }
    let replies: Vec<_> = (0..100).map(|_| client.reply()).collect();
    assert_eq!(replies, (0..100).map(Some).collect::<Vec<_>>());
    assert_eq!(ledger.ids(), (0..100).collect::<Vec<_>>());
    assert_eq!(proxy.seen(ApiKey::Heartbeat), 100);
    assert!(proxy.strikes().is_empty());
}

#[test]
fn a_held_request_blocks_what_follows_until_it_is_delivered() {
    let (address, ledger) = broker();
    let proxy = Proxy::start(&address);
    let held = proxy.once(ApiKey::EndTxn, Fault::Hold);
    let mut client = Client::connect(&proxy);
    client.send(ApiKey::EndTxn, 1, "");
    client.send(ApiKey::Produce, 2, "");
    held.when_struck(SOON);
    assert!(client.hears_nothing());
    assert!(ledger.ids().is_empty());
    assert_eq!(held.deliver(SOON), 1);
    assert_eq!((client.reply(), client.reply()), (Some(1), Some(2)));
    assert_eq!(ledger.ids(), [1, 2]);
}

#[test]
fn a_held_request_can_arrive_after_its_repetition() {
    let (address, ledger) = broker();
    let proxy = Proxy::start(&address);
    let held = proxy.once(ApiKey::EndTxn, Fault::HoldAndCut);
    assert_eq!(Client::connect(&proxy).ask(ApiKey::EndTxn, 1), None, "cut");
    let mut again = Client::connect(&proxy);
    assert_eq!(again.ask(ApiKey::EndTxn, 2), Some(2), "strikes once");
    assert_eq!(held.deliver(SOON), 1);
    assert_eq!(ledger.ids(), [2, 1]);
}

#[test]
fn a_held_request_outlives_a_client_that_gives_up() {
    let (address, ledger) = broker();
    let proxy = Proxy::start(&address);
    let held = proxy.once(ApiKey::EndTxn, Fault::Hold);
    let mut client = Client::connect(&proxy);
    client.send(ApiKey::EndTxn, 1, "");
    held.when_struck(SOON);
    drop(client);
    assert_eq!(held.deliver(SOON), 1);
    assert_eq!(ledger.ids(), [1]);
    wait_until(SOON, "the connection to close", || proxy.connections() == 0);
}

#[test]
fn a_discarded_request_never_arrives() {
    let (address, ledger) = broker();
    let proxy = Proxy::start(&address);
    let held = proxy.once(ApiKey::EndTxn, Fault::HoldAndCut);
    assert_eq!(Client::connect(&proxy).ask(ApiKey::EndTxn, 1), None);
    held.discard();
    wait_until(SOON, "the connection to close", || proxy.connections() == 0);
    assert!(ledger.ids().is_empty());
}

#[test]
fn a_lost_reply_leaves_the_request_done() {
    let (address, ledger) = broker();
    let proxy = Proxy::start(&address);
    let _lost = proxy.once(ApiKey::EndTxn, Fault::LoseReply);
    assert_eq!(Client::connect(&proxy).ask(ApiKey::EndTxn, 1), None);
    assert_eq!(ledger.ids(), [1]);
}

#[test]
fn a_muted_connection_stays_open_and_silent() {
    let (address, ledger) = broker();
    let proxy = Proxy::start(&address);
    let _muted = proxy.once(ApiKey::EndTxn, Fault::Mute);
    let mut client = Client::connect(&proxy);
    client.send(ApiKey::EndTxn, 1, "");
    client.send(ApiKey::Heartbeat, 2, "");
    wait_until(SOON, "both requests", || ledger.ids() == [1, 2]);
    assert!(client.hears_nothing());
    assert_eq!(Client::connect(&proxy).ask(ApiKey::Heartbeat, 3), Some(3), "another connection is not muted");
}

#[test]
fn a_cut_request_never_arrives() {
    let (address, ledger) = broker();
    let proxy = Proxy::start(&address);
    let _cut = proxy.once(ApiKey::EndTxn, Fault::Cut);
    assert_eq!(Client::connect(&proxy).ask(ApiKey::EndTxn, 1), None);
    assert!(ledger.ids().is_empty());
}

#[test]
fn a_delayed_request_arrives_later() {
    let (address, _) = broker();
    let proxy = Proxy::start(&address);
    let delay = Duration::from_millis(60);
    let _delayed = proxy.once(ApiKey::EndTxn, Fault::Delay(delay));
    let start = Instant::now();
    assert_eq!(Client::connect(&proxy).ask(ApiKey::EndTxn, 1), Some(1));
    assert!(start.elapsed() >= delay);
}

#[test]
fn a_rule_strikes_only_what_it_names_and_as_often_as_it_says() {
    let (address, ledger) = broker();
    let proxy = Proxy::start(&address);
    let rule = Rule::new(ApiKey::EndTxn, Fault::Cut).naming("shop.prices");
    let armed = proxy.arm(rule.after(1).times(2));
    let mut outcomes = Vec::new();
    for (id, text) in (0..).zip(["shop.orders", "shop.prices.0", "shop.prices.0", "shop.prices.1", "shop.prices.0"]) {
        let mut client = Client::connect(&proxy);
        client.send(ApiKey::EndTxn, id, text);
        outcomes.push(client.reply());
    }
    assert_eq!(outcomes, [Some(0), Some(1), None, None, Some(4)]);
    assert_eq!(ledger.ids(), [0, 1, 4]);
    assert_eq!(armed.struck(), 2);
}

#[test]
fn a_frozen_proxy_swallows_nothing() {
    let (address, ledger) = broker();
    let proxy = Proxy::start(&address);
    let mut client = Client::connect(&proxy);
    assert_eq!(client.ask(ApiKey::Heartbeat, 1), Some(1));
    proxy.freeze();
    client.send(ApiKey::Heartbeat, 2, "");
    proxy.when_seen(ApiKey::Heartbeat, 2, SOON);
    assert!(client.hears_nothing());
    assert_eq!(ledger.ids(), [1]);
    proxy.thaw();
    assert_eq!(client.reply(), Some(2));
}

#[test]
fn a_severed_proxy_takes_no_connection_until_mended() {
    let (address, _) = broker();
    let proxy = Proxy::start(&address);
    let mut client = Client::connect(&proxy);
    assert_eq!(client.ask(ApiKey::Heartbeat, 1), Some(1));
    proxy.sever();
    assert_eq!(client.ask(ApiKey::Heartbeat, 2), None);
    assert_eq!(Client::connect(&proxy).ask(ApiKey::Heartbeat, 3), None);
    proxy.mend();
    assert_eq!(Client::connect(&proxy).ask(ApiKey::Heartbeat, 4), Some(4));
}

#[test]
fn chance_depends_on_the_seed_alone() {
    let draw = |seed| {
        let chaos = Chaos::transactions(Seed(seed));
        (0..2000).map(|nth| chaos.draw(ApiKey::EndTxn, nth)).collect::<Vec<_>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    let struck = draw(1).iter().flatten().count();
    assert!((50..200).contains(&struck), "one in twenty, got {struck}");
    assert_eq!(Chaos::transactions(Seed(1)).draw(ApiKey::Metadata, 1), None, "not one of its kinds");
}

#[test]
fn what_chance_holds_is_delivered_by_itself() {
    let (address, ledger) = broker();
    let proxy = Proxy::start(&address);
    proxy.chaos(Chaos {
        per_mille: 1000,
        faults: vec![Fault::HoldAndCut],
        held_max: Duration::from_millis(50),
        strikes_max: 3,
        ..Chaos::transactions(Seed(5))
    });
    for id in 0..3 {
        assert_eq!(Client::connect(&proxy).ask(ApiKey::EndTxn, id), None);
    }
    assert_eq!(Client::connect(&proxy).ask(ApiKey::EndTxn, 3), Some(3));
    wait_until(SOON, "all that was held", || ledger.ids().len() == 4);
}

#[test]
fn ends_at_once_with_requests_held() {
    let (address, ledger) = broker();
    let proxy = Proxy::start(&address);
    let held = proxy.once(ApiKey::EndTxn, Fault::Hold);
    let mut client = Client::connect(&proxy);
    client.send(ApiKey::EndTxn, 1, "");
    held.when_struck(SOON);
    let start = Instant::now();
    drop(proxy);
    assert!(start.elapsed() < super::END_DEADLINE);
    assert_eq!(client.reply(), None);
    assert!(ledger.ids().is_empty());
}
