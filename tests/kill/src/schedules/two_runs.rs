//! Two plain runs of one pipeline.

use rand::Rng;

use super::{drop_some, must_be_fenced, slow_arrow};
use crate::Outcome;
use crate::moment::Moment;
use crate::round::{Round, Start};

pub(super) fn play(round: &mut Round<'_>) -> Outcome<()> {
    let proxied = round.rng.random_bool(0.5);
    let failpoints = slow_arrow(&mut round.rng);
    let mut older = round.start(Start { proxied, failpoints, ..Start::default() });
    round.opened(&mut older)?;
    drop_some(round, 1)?;
    Moment::draw(&mut round.rng, &older).wait(round, &mut older);
    // the older may be fenced, look who owns, and come back, all before the newer has stored that it does
    let failpoints = match round.rng.random_range(0..3) {
        0 => format!("topic.after_read_state=delay:{}", round.rng.random_range(50..250)),
        _ => String::new(),
    };
    let mut newer = round.start(Start { failpoints, ..Start::default() });
    round.opened(&mut newer)?;
    must_be_fenced(round, older)?;
    round.drops.drop_files(usize::MAX)?;
    round.recovered(&mut newer)?;
    round.stop(newer)
}
