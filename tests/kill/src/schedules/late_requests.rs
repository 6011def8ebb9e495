//! Requests that a network holds back and delivers late, after their sender has repeated them or is dead.

use std::time::Duration;

use rand::Rng;
use unbatch_test_harness::{ApiKey, Armed, Fault, Rule, Signal};

use super::drop_some;
use super::wire::{ASKED, goes_on, proxy};
use crate::Outcome;
use crate::moment::Moment;
use crate::owner::{Owner, wait};
use crate::round::{Round, Start};

/// How long is waited for a fault to strike, and for what comes after it.
const STRIKE: Duration = Duration::from_secs(5);

/// How long an open owner may take to send what a file gives it.
const ONE_FILE: Duration = Duration::from_millis(500);

/// How long a broker may take to answer a request that comes late.
const LATE_ANSWER: Duration = Duration::from_secs(20);

/// Rule K1: a commit request is held, the client repeats it with success on a new connection, and the first one arrives in
/// the middle of a later transaction, which it must not commit in part.
pub(super) fn late_commit(round: &mut Round<'_>) -> Outcome<()> {
    let failpoints = format!("topic.mid_produce=delay:{}", round.rng.random_range(50..200));
    let mut owner = round.start(Start { proxied: true, failpoints, ..Start::default() });
    let skipped = round.rng.random_range(0..4);
    let held = proxy(&owner)?.arm(Rule::new(ApiKey::EndTxn, Fault::HoldAndCut).after(skipped));
    if strikes(round, &mut owner, &held, 2)? {
        let seen = proxy(&owner)?.seen(ApiKey::Produce);
        let more = round.rng.random_range(1..=2);
        round.drops.drop_one_with_rows()?;
        wait(STRIKE, || (owner.proxy.as_ref()?.seen(ApiKey::Produce) >= seen + more).then_some(()));
        let answered = held.deliver(LATE_ANSWER);
        round.note(format!("a held commit was delivered after {more} more requests with rows, {answered} answered"));
    }
    held.disarm();
    goes_on(round, owner)
}

/// Requests of a dead owner arrive when its successor has begun.
pub(super) fn late_from_the_dead(round: &mut Round<'_>) -> Outcome<()> {
    let mut dead = round.start(Start { proxied: true, ..Start::default() });
    let api = ASKED[round.rng.random_range(0..4)];
    let skipped = if api == ApiKey::InitProducerId { 0 } else { round.rng.random_range(0..4) };
    let fault = [Fault::Hold, Fault::HoldAndCut][round.rng.random_range(0..2)];
    let held = proxy(&dead)?.arm(Rule::new(api, fault).after(skipped));
    let struck = strikes(round, &mut dead, &held, 1)?;
    if dead.has_ended() {
        return round.ended_by_itself(dead);
    }
    dead.signal(Signal::Kill);
    let mut owner = round.start(Start::default());
    if round.rng.random_bool(0.7) {
        round.opened(&mut owner)?;
        drop_some(round, 1)?;
        Moment::draw(&mut round.rng, &owner).wait(round, &mut owner);
    }
    if struck {
        let answered = held.deliver(LATE_ANSWER);
        round.note(format!("{api:?} of the dead {} was delivered, {answered} answered", dead.name()));
    }
    round.ended(dead)?;
    goes_on(round, owner)
}

/// Waits until the rule has struck; files are dropped one by one, so that the owner has something to send. `kept_back`
/// files with rows stay for later.
fn strikes(round: &mut Round<'_>, owner: &mut Owner, held: &Armed, kept_back: usize) -> Outcome<bool> {
    let mut limit = STRIKE;
    loop {
        let seen = wait(limit, || match (held.struck() > 0, owner.is_open()) {
            (true, _) => Some(true),
            (false, true) if limit == STRIKE => Some(false),
            (false, _) => None,
        });
        if seen == Some(true) {
            return Ok(true);
        }
        if round.drops.coming_with_rows() <= kept_back || owner.has_ended() {
            round.note("the fault did not strike");
            return Ok(false);
        }
        round.drops.drop_one_with_rows()?;
        limit = ONE_FILE;
    }
}
