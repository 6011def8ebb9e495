//! Two processes that both believe to own the split, whatever they are told: each opens it again when it was fenced, so that
//! they fence each other in the middle of everything until one of them is taken off the field.

use rand::Rng;

use super::{drop_some, slow_arrow};
use crate::Outcome;
use crate::moment::Moment;
use crate::round::{Round, Start};

/// How often more files come while they fight.
const BOUTS: u32 = 3;

pub(super) fn play(round: &mut Round<'_>) -> Outcome<()> {
    let mut owners = Vec::new();
    for _ in 0..2 {
        let proxied = round.rng.random_bool(0.5);
        let failpoints = slow_arrow(&mut round.rng);
        let mut owner = round.start(Start { proxied, failpoints, believes: true, ..Start::default() });
        round.opened(&mut owner)?;
        owners.push(owner);
    }
    for _ in 0..BOUTS {
        drop_some(round, 0)?;
        let at = round.rng.random_range(0..2);
        Moment::draw(&mut round.rng, &owners[at]).wait(round, &mut owners[at]);
    }
    round.drops.drop_files(usize::MAX)?;
    Moment::draw(&mut round.rng, &owners[0]).wait(round, &mut owners[0]);
    if let Some(ended) = owners.iter_mut().position(|owner| owner.has_ended()) {
        return round.ended_by_itself(owners.remove(ended));
    }
    let loser = round.rng.random_range(0..2);
    round.kill(owners.remove(loser))?;
    for mut winner in owners {
        round.recovered(&mut winner)?;
        round.stop(winner)?;
    }
    Ok(())
}
