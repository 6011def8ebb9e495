//! A successor that fences and then dies, before it has stored that it is the owner.

use rand::Rng;

use super::drop_some;
use crate::Outcome;
use crate::moment::Moment;
use crate::round::{Round, Start};

/// Arrows between the fence and the owner's number in the state.
const BETWEEN: [&str; 4] = ["topic.after_init", "topic.after_read_state", "topic.before_state", "topic.before_commit"];

pub(super) fn play(round: &mut Round<'_>) -> Outcome<()> {
    let proxied = round.rng.random_bool(0.3);
    let mut owner = round.start(Start { proxied, ..Start::default() });
    round.opened(&mut owner)?;
    for _ in 0..round.rng.random_range(1..=2) {
        drop_some(round, 1)?;
        Moment::draw(&mut round.rng, &owner).wait(round, &mut owner);
        let arrow = BETWEEN[round.rng.random_range(0..BETWEEN.len())];
        let successor = round.start(Start { failpoints: format!("{arrow}=kill@1"), ..Start::default() });
        drop_some(round, 1)?;
        let end = round.ended(successor)?;
        // the owner fences it back when it notices, and may be the faster one
        if !end.was_killed() && !end.is_fenced() {
            return Err(format!("{} should have died at {arrow}, but: {}", end.name, end.describe()));
        }
    }
    round.drops.drop_files(usize::MAX)?;
    round.recovered(&mut owner)?;
    round.stop(owner)
}
