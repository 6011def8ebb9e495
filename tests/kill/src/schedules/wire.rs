//! A network that does what networks do: it cuts, delays, loses replies, and is away for a while.

use std::time::Duration;

use rand::Rng;
use unbatch_test_harness::{ApiKey, Armed, Chaos, Fault, Proxy, Rule, Seed};

use super::drop_some;
use crate::Outcome;
use crate::moment::Moment;
use crate::owner::Owner;
use crate::round::{Round, Start};

/// What a transactional producer asks of brokers.
pub(super) const ASKED: [ApiKey; 5] =
    [ApiKey::InitProducerId, ApiKey::AddPartitionsToTxn, ApiKey::Produce, ApiKey::EndTxn, ApiKey::FindCoordinator];

pub(super) fn play(round: &mut Round<'_>) -> Outcome<()> {
    match round.rng.random_range(0..5) {
        0..3 => single_faults(round),
        3 => chaos(round),
        _ => outage(round),
    }
}

/// One kind of fault for one kind of request, once or a few times.
fn single_faults(round: &mut Round<'_>) -> Outcome<()> {
    let owner = round.start(Start { proxied: true, ..Start::default() });
    let mut armed: Vec<Armed> = Vec::new();
    for _ in 0..round.rng.random_range(1..=3) {
        let api = ASKED[round.rng.random_range(0..ASKED.len())];
        let delay = Duration::from_millis(round.rng.random_range(50..600));
        let fault = [Fault::LoseReply, Fault::LoseReply, Fault::Cut, Fault::Delay(delay)][round.rng.random_range(0..4)];
        // a producer asks for its id and its coordinator once, unless it has to again
        let asked_often = !matches!(api, ApiKey::InitProducerId | ApiKey::FindCoordinator);
        let skipped = if asked_often { round.rng.random_range(0..4) } else { 0 };
        let times = round.rng.random_range(1..=3);
        armed.push(proxy(&owner)?.arm(Rule::new(api, fault).after(skipped).times(times)));
    }
    drop_some(round, 0)?;
    if round.rng.random_bool(0.3) {
        let mut owner = owner;
        Moment::draw(&mut round.rng, &owner).wait(round, &mut owner);
        return round.kill(owner);
    }
    goes_on(round, owner)
}

fn chaos(round: &mut Round<'_>) -> Outcome<()> {
    let mut owner = round.start(Start { proxied: true, ..Start::default() });
    let chaos = Chaos {
        per_mille: round.rng.random_range(20..150),
        held_max: Duration::from_millis(700),
        strikes_max: 12,
        ..Chaos::transactions(Seed(round.rng.random()))
    };
    proxy(&owner)?.chaos(chaos);
    drop_some(round, 0)?;
    Moment::Quiet.wait(round, &mut owner);
    proxy(&owner)?.calm();
    goes_on(round, owner)
}

/// The broker cannot be reached for a while, or swallows everything.
fn outage(round: &mut Round<'_>) -> Outcome<()> {
    let mut owner = round.start(Start { proxied: true, ..Start::default() });
    drop_some(round, 0)?;
    Moment::draw(&mut round.rng, &owner).wait(round, &mut owner);
    let is_severed = round.rng.random_bool(0.5);
    if is_severed {
        proxy(&owner)?.sever()
    } else {
        proxy(&owner)?.freeze()
    }
    drop_some(round, 0)?;
    // until whatever was on its way at the broker's end has come to rest
    Moment::Quiet.wait(round, &mut owner);
    if is_severed {
        proxy(&owner)?.mend()
    } else {
        proxy(&owner)?.thaw()
    }
    round.note(if is_severed { "out of reach for a while" } else { "frozen for a while" });
    goes_on(round, owner)
}

/// Nobody else wants the split, so no fault of the network is a reason to end.
pub(super) fn goes_on(round: &mut Round<'_>, mut owner: Owner) -> Outcome<()> {
    round.drops.drop_files(usize::MAX)?;
    round.recovered(&mut owner)?;
    round.stop(owner)
}

pub(super) fn proxy(owner: &Owner) -> Outcome<&Proxy> {
    owner.proxy.as_ref().ok_or_else(|| format!("{} has no proxy", owner.name()))
}
