//! Two places that both believe to own the split, as two machines do whose supervisors start the same pipeline again and
//! again. Bounded: after so many starts the last one is left alone.

use std::time::Duration;

use rand::Rng;

use super::drop_some;
use crate::Outcome;
use crate::moment::Moment;
use crate::owner::{Owner, wait};
use crate::round::{Round, Start};

/// Starts in one fight, both places together.
const STARTS: usize = 4;

/// How long a fight may go on without anybody being fenced.
const STALEMATE: Duration = Duration::from_millis(1500);

pub(super) fn play(round: &mut Round<'_>) -> Outcome<()> {
    let mut places: Vec<Owner> = Vec::new();
    for start in 0..STARTS {
        let proxied = round.rng.random_bool(0.3);
        let mut new = round.start(Start { proxied, ..Start::default() });
        // one for each meeting that is still to come
        drop_some(round, STARTS - start)?;
        let moment = if round.rng.random_bool(0.5) { Moment::Opened } else { Moment::draw(&mut round.rng, &new) };
        moment.wait(round, &mut new);
        places.push(new);
        if places.len() == 2 {
            // who has nothing to commit cannot know that it was replaced
            let limit = if start + 1 == STARTS { Duration::ZERO } else { STALEMATE };
            leave_the_fenced(round, &mut places, limit)?;
        }
        if places.len() == 2 {
            // both still stand: one is taken off the field
            let at = round.rng.random_range(0..2);
            let loser = places.remove(at);
            round.kill(loser)?;
        }
    }
    for place in places {
        round.kill(place)?;
    }
    Ok(())
}

/// Waits until one of them has ended, which must be because it was fenced.
fn leave_the_fenced(round: &mut Round<'_>, places: &mut Vec<Owner>, limit: Duration) -> Outcome<()> {
    round.drops.drop_one_with_rows()?;
    wait(limit, || places.iter_mut().any(Owner::has_ended).then_some(()));
    while let Some(at) = places.iter_mut().position(Owner::has_ended) {
        let end = round.ended(places.remove(at))?;
        // or the other took away a file that it was reading
        if !end.lost_its_file() {
            end.must_be_fenced()?;
        }
    }
    Ok(())
}
