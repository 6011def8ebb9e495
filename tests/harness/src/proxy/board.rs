//! The state that tests set and connections obey: rules, held requests, open connections. One lock, one condition
//! variable, so that everything can be waited for.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use kafka_protocol::messages::ApiKey;

use super::faults::{Chaos, Fault, Rule};
use super::wire::RequestHead;

/// Rules armed in the life of a proxy, at most.
const RULES_MAX: usize = 64;

/// Requests held back at once, at most; further ones pass.
const HELD_MAX: usize = 64;

/// Strikes remembered for messages, at most.
const STRIKES_KEPT: usize = 1000;

#[derive(Default)]
pub(crate) struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub(crate) struct State {
    ended: bool,
    severed: bool,
    frozen: bool,
    seen: BTreeMap<i16, u64>,
    rules: Vec<Armament>,
    chaos: Option<Chaos>,
    chaos_strikes: u32,
    held: BTreeMap<u64, Held>,
    next_id: u64,
    connections: BTreeMap<u64, TcpStream>,
    strikes: VecDeque<String>,
}

struct Armament {
    rule: Rule,
    passed: u32,
    struck: u32,
    disarmed: bool,
}

struct Held {
    /// `None`: held by chaos
    rule: Option<usize>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Released,
    Discarded,
    /// over; whether the broker replied
    Settled(bool),
}

/// What a connection does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Hold { id: u64, cut: bool, at_most: Option<Duration> },
    LoseReply,
    Mute,
    Cut,
    Delay(Duration),
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.notify_all();
        changed
    }

    /// Looks at the state at each change until there is something; `None` at the deadline.
    pub(crate) fn wait<T>(&self, deadline: Duration, mut look: impl FnMut(&State) -> Option<T>) -> Option<T> {
        let until = Instant::now() + deadline;
        let mut state = self.lock();
        loop {
            if let Some(found) = look(&state) {
                return Some(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(|e| e.into_inner());
        }
    }

    pub(crate) fn wait_for_end(&self, deadline: Duration, done: impl Fn(&State) -> bool) {
        if self.wait(deadline, |state| done(state).then_some(())).is_none() {
            eprintln!("a proxy ended with connections still open");
        }
    }

    // --- for tests ---

    pub(crate) fn arm(&self, rule: Rule) -> usize {
        self.change(|state| {
            assert!(state.rules.len() < RULES_MAX, "{RULES_MAX} rules were armed already");
            state.rules.push(Armament { rule, passed: 0, struck: 0, disarmed: false });
            state.rules.len() - 1
        })
    }

    pub(crate) fn disarm(&self, rule: usize) {
        self.change(|state| state.rules[rule].disarmed = true);
    }

    /// Lets go what a rule holds, and returns the ids.
    pub(crate) fn release(&self, rule: usize) -> Vec<u64> {
        self.change(|state| state.move_on(Some(rule), Stage::Released))
    }

    pub(crate) fn discard(&self, rule: usize) {
        self.change(|state| state.move_on(Some(rule), Stage::Discarded));
    }

    pub(crate) fn set_chaos(&self, chaos: Option<Chaos>) {
        self.change(|state| {
            if chaos.is_none() {
                state.move_on(None, Stage::Released);
            }
            state.chaos = chaos;
            state.chaos_strikes = 0;
        });
    }

    pub(crate) fn set_severed(&self, severed: bool) {
        self.change(|state| state.severed = severed);
    }

    pub(crate) fn set_frozen(&self, frozen: bool) {
        self.change(|state| state.frozen = frozen);
    }

    pub(crate) fn end(&self) {
        self.change(|state| state.ended = true);
    }

    pub(crate) fn cut_all(&self) {
        self.change(|state| {
            for client in state.connections.values() {
                let _ = client.shutdown(Shutdown::Both);
            }
        });
    }

    pub(crate) fn seen(&self, api: ApiKey) -> u64 {
        self.read(|state| state.seen(api))
    }

    pub(crate) fn connections(&self) -> usize {
        self.read(State::connections)
    }

    pub(crate) fn strikes(&self) -> Vec<String> {
        self.read(|state| state.strikes.iter().cloned().collect())
    }

    pub(crate) fn ended(&self) -> bool {
        self.read(|state| state.ended)
    }

    pub(crate) fn severed(&self) -> bool {
        self.read(|state| state.severed)
    }

    // --- for connections ---

    pub(crate) fn note(&self, strike: String) {
        self.change(|state| state.note(strike));
    }

    pub(crate) fn opened(&self, client: TcpStream) -> u64 {
        self.change(|state| {
            let id = state.new_id();
            state.connections.insert(id, client);
            id
        })
    }

    pub(crate) fn closed(&self, connection: u64) {
        self.change(|state| state.connections.remove(&connection));
    }

    /// Counts a request and says what becomes of it.
    pub(crate) fn judge(&self, head: RequestHead, request: &[u8]) -> Verdict {
        let Some(api) = head.api else {
            return Verdict::Pass;
        };
        self.change(|state| state.judge(api, head, request))
    }

    /// Waits while everything is frozen; false when the proxy has ended.
    pub(crate) fn pass_gate(&self) -> bool {
        self.wait(Duration::MAX / 4, |state| (state.ended || !state.frozen).then_some(!state.ended)).unwrap_or(false)
    }

    /// Waits that long, or until the proxy ends; false when it has.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        self.wait(pause, |state| state.ended.then_some(())).is_none()
    }

    /// Waits until a held request is let go; false when it is not to be delivered.
    pub(crate) fn await_release(&self, id: u64, at_most: Option<Duration>) -> bool {
        self.wait(at_most.unwrap_or(Duration::MAX / 4), |state| match state.held.get(&id).map(|held| held.stage) {
            _ if state.ended => Some(false),
            Some(Stage::Waiting) => None,
            stage => Some(stage == Some(Stage::Released)),
        })
        // nobody asked for it until its time was over, so it goes by itself
        .unwrap_or(true)
    }

    /// A held request is over, with the broker's reply or without.
    pub(crate) fn settle(&self, id: u64, replied: bool) {
        self.change(|state| {
            if let Some(held) = state.held.get_mut(&id)
                && !matches!(held.stage, Stage::Settled(_))
            {
                held.stage = Stage::Settled(replied);
            }
        });
    }

    /// Waits for the reply to a held request that was delivered.
    pub(crate) fn await_reply(&self, id: u64, deadline: Duration) -> bool {
        self.wait(deadline, |state| state.ended.then_some(false).or(state.settled(id))).unwrap_or(false)
    }
}

impl State {
    pub(crate) fn seen(&self, api: ApiKey) -> u64 {
        self.seen.get(&(api as i16)).copied().unwrap_or(0)
    }

    pub(crate) fn struck(&self, rule: usize) -> u32 {
        self.rules[rule].struck
    }

    pub(crate) fn describe(&self, rule: usize) -> String {
        format!("{:?}", self.rules[rule].rule)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Whether the broker replied to a held request; `None` while that is open.
    pub(crate) fn settled(&self, id: u64) -> Option<bool> {
        match self.held.get(&id).map(|held| held.stage) {
            Some(Stage::Settled(replied)) => Some(replied),
            Some(_) => None,
            None => Some(false),
        }
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn note(&mut self, strike: String) {
        if self.strikes.len() == STRIKES_KEPT {
            self.strikes.pop_front();
        }
        self.strikes.push_back(strike);
    }

    fn move_on(&mut self, rule: Option<usize>, stage: Stage) -> Vec<u64> {
        let mut moved = Vec::new();
        for (&id, held) in &mut self.held {
            if held.rule == rule && held.stage == Stage::Waiting {
                held.stage = stage;
                moved.push(id);
            }
        }
        moved
    }

    fn judge(&mut self, api: ApiKey, head: RequestHead, request: &[u8]) -> Verdict {
        let seen = self.seen.entry(api as i16).or_default();
        *seen += 1;
        let nth = *seen;
        let Some((rule, fault, at_most)) = self.fault_for(api, nth, request) else {
            return Verdict::Pass;
        };
        self.note(format!(
            "{fault:?} struck {api:?} v{} number {nth}{}",
            head.version,
            if rule.is_none() { " by chance" } else { "" }
        ));
        match fault {
            Fault::Hold | Fault::HoldAndCut => self.hold(rule, fault == Fault::HoldAndCut, at_most),
            Fault::LoseReply => Verdict::LoseReply,
            Fault::Mute => Verdict::Mute,
            Fault::Cut => Verdict::Cut,
            Fault::Delay(delay) => Verdict::Delay(delay),
        }
    }

    /// The first rule in force that matches, then chaos.
    fn fault_for(&mut self, api: ApiKey, nth: u64, request: &[u8]) -> Option<(Option<usize>, Fault, Option<Duration>)> {
        for (index, armed) in self.rules.iter_mut().enumerate() {
            if armed.disarmed || armed.struck == armed.rule.times || !armed.rule.matches(api, request) {
                continue;
            }
            if armed.passed < armed.rule.skip {
                armed.passed += 1;
                continue;
            }
            armed.struck += 1;
            return Some((Some(index), armed.rule.fault, None));
        }
        let chaos = self.chaos.as_ref()?;
        if self.chaos_strikes == chaos.strikes_max {
            return None;
        }
        let (fault, held) = chaos.draw(api, nth)?;
        self.chaos_strikes += 1;
        Some((None, fault, Some(held)))
    }

    fn hold(&mut self, rule: Option<usize>, cut: bool, at_most: Option<Duration>) -> Verdict {
        self.held.retain(|_, held| !matches!(held.stage, Stage::Settled(_)) || held.rule.is_some());
        if self.held.len() >= HELD_MAX {
            self.note("passed after all: too many requests are held".to_owned());
            return Verdict::Pass;
        }
        let id = self.new_id();
        let stage = Stage::Waiting;
        self.held.insert(id, Held { rule, stage });
        Verdict::Hold { id, cut, at_most }
    }
}
