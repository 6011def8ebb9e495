//! What may go wrong on the way, and when.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::ApiKey;

use super::Relay;
use crate::seed::{Seed, mix};

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is kept back until [`Armed::deliver`], and what follows it on the same connection waits behind it. A client
    /// that gives up and connects again does not take it back: it can still be delivered.
    Hold,
    /// It is kept back, and the client's connection is cut at once; the broker's side stays open, so that the request
    /// can be delivered late, after the client has repeated it.
    HoldAndCut,
    /// The broker gets it and does it; its reply is thrown away and the connection cut.
    LoseReply,
    /// The broker gets it and does it; neither its reply nor any later one on this connection reaches the client, and
    /// nothing is cut.
    Mute,
    /// The broker never gets it; the connection is cut.
    Cut,
    /// The broker gets it that much later.
    Delay(Duration),
}

/// Which requests a fault strikes.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(crate) api: ApiKey,
    pub(crate) fault: Fault,
    pub(crate) skip: u32,
    pub(crate) times: u32,
    pub(crate) naming: Option<Vec<u8>>,
}

impl Rule {
    /// Strikes the next request of this kind, once.
    pub fn new(api: ApiKey, fault: Fault) -> Rule {
        Rule { api, fault, skip: 0, times: 1, naming: None }
    }

    /// Lets that many matching requests pass first.
    pub fn after(mut self, requests: u32) -> Rule {
        self.skip = requests;
        self
    }

    /// Strikes that many requests instead of one.
    pub fn times(mut self, times: u32) -> Rule {
        self.times = times;
        self
    }

    /// Only requests that hold this text, such as a transactional id, a topic or a client id.
    pub fn naming(mut self, text: &str) -> Rule {
        self.naming = Some(text.as_bytes().to_vec());
        self
    }

    pub(crate) fn matches(&self, api: ApiKey, request: &[u8]) -> bool {
        self.api == api
            && self
                .naming
                .as_ref()
                .is_none_or(|text| text.is_empty() || request.windows(text.len()).any(|part| part == text))
    }
}

/// A rule in force, and the requests it has held back.
///
/// Dropping it changes nothing: the rule stays armed, and what it holds stays held.
#[must_use = "through it the test learns that the fault struck, and delivers what was held"]
pub struct Armed {
    relay: Arc<Relay>,
    rule: usize,
}

impl Armed {
    pub(crate) fn new(relay: Arc<Relay>, rule: usize) -> Armed {
        Armed { relay, rule }
    }

    /// How many requests it has struck.
    pub fn struck(&self) -> u32 {
        self.relay.board.read(|state| state.struck(self.rule))
    }

    /// Waits until it has struck for the first time.
    ///
    /// # Panics
    ///
    /// When it has not within `deadline`.
    #[track_caller]
    pub fn when_struck(&self, deadline: Duration) {
        self.when_struck_times(1, deadline);
    }

    /// Waits until it has struck `times` times.
    ///
    /// # Panics
    ///
    /// When it has not within `deadline`.
    #[track_caller]
    pub fn when_struck_times(&self, times: u32, deadline: Duration) {
        let met = self.relay.board.wait(deadline, |state| (state.struck(self.rule) >= times).then_some(()));
        assert!(
            met.is_some(),
            "waited {deadline:?} for a fault to strike {times} times, it struck {}: {}",
            self.struck(),
            self.relay.board.read(|state| state.describe(self.rule))
        );
    }

    /// Sends what is held to the broker, waits for its replies, and returns how many requests the broker answered. It
    /// has done then whatever it is going to do about them.
    ///
    /// # Panics
    ///
    /// When nothing is held, or replies are missing after `deadline`.
    #[track_caller]
    pub fn deliver(&self, deadline: Duration) -> usize {
        let held = self.relay.board.release(self.rule);
        assert!(!held.is_empty(), "nothing is held back");
        let answered = self.relay.board.wait(deadline, |state| {
            let answered = held.iter().map(|&id| state.settled(id));
            answered.collect::<Option<Vec<bool>>>()
        });
        match answered {
            Some(answered) => answered.into_iter().filter(|&answered| answered).count(),
            None => panic!("a held request got no reply within {deadline:?}"),
        }
    }

    /// Throws away what is held: the broker never gets it.
    pub fn discard(&self) {
        self.relay.board.discard(self.rule);
    }

    /// The rule strikes no more. What it holds stays held.
    pub fn disarm(&self) {
        self.relay.board.disarm(self.rule);
    }
}

/// Faults at random. Whether the nth request of a kind is struck follows from the seed alone, not from how threads
/// happen to run.
#[derive(Clone, Debug)]
pub struct Chaos {
    pub seed: Seed,
    /// of a thousand matching requests, how many are struck
    pub per_mille: u32,
    /// the kinds of request that may be struck
    pub apis: Vec<ApiKey>,
    /// what may happen; requests held are delivered by themselves after `held_max`, or sooner
    pub faults: Vec<Fault>,
    pub held_max: Duration,
    /// no more strikes than this
    pub strikes_max: u32,
}

impl Chaos {
    /// Every fault for everything that a transactional producer asks a broker, one request in twenty, held for up to
    /// 2 s, a thousand strikes.
    pub fn transactions(seed: Seed) -> Chaos {
        Chaos {
            seed,
            per_mille: 50,
            apis: vec![
                ApiKey::InitProducerId,
                ApiKey::AddPartitionsToTxn,
                ApiKey::AddOffsetsToTxn,
                ApiKey::TxnOffsetCommit,
                ApiKey::Produce,
                ApiKey::EndTxn,
            ],
            faults: vec![Fault::HoldAndCut, Fault::LoseReply, Fault::Cut, Fault::Delay(Duration::from_millis(300))],
            held_max: Duration::from_secs(2),
            strikes_max: 1000,
        }
    }

    /// The fault for the `nth` request of this kind, and for how long it is held if the fault holds.
    pub(crate) fn draw(&self, api: ApiKey, nth: u64) -> Option<(Fault, Duration)> {
        if self.faults.is_empty() || !self.apis.contains(&api) {
            return None;
        }
        let first = mix(self.seed.0 ^ mix(nth ^ ((api as u64) << 48)));
        if first % 1000 >= u64::from(self.per_mille) {
            return None;
        }
        let second = mix(first);
        let fault = self.faults[(second % self.faults.len() as u64) as usize];
        let held = self.held_max.as_micros() as u64;
        Some((fault, Duration::from_micros(mix(second) % held.max(1))))
    }
}
