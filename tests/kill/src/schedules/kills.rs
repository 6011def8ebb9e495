//! SIGKILL at random moments.

use rand::Rng;

use super::{drop_some, slow_arrow};
use crate::Outcome;
use crate::moment::Moment;
use crate::round::{Round, Start};

pub(super) fn play(round: &mut Round<'_>) -> Outcome<()> {
    for _ in 0..round.rng.random_range(2..=3) {
        let proxied = round.rng.random_bool(0.6);
        let failpoints = slow_arrow(&mut round.rng);
        let mut owner = round.start(Start { proxied, failpoints, ..Start::default() });
        drop_some(round, 0)?;
        let moment = Moment::draw(&mut round.rng, &owner);
        let came = moment.wait(round, &mut owner);
        round.note(format!(
            "SIGKILL to {} at: {moment}, which {}",
            owner.name(),
            if came { "came" } else { "did not come" }
        ));
        round.kill(owner)?;
    }
    Ok(())
}
