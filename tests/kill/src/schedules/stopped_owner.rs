//! An owner that stands still while the world goes on, as by a long pause of its machine.

use std::time::Duration;

use rand::Rng;
use unbatch_test_harness::Signal;

use super::{drop_some, must_be_fenced, slow_arrow};
use crate::Outcome;
use crate::moment::Moment;
use crate::owner::Owner;
use crate::round::{Round, Start};

/// Transactions that end later than this are not waited for.
const TIMEOUT_WAITED: Duration = Duration::from_secs(5);

pub(super) fn play(round: &mut Round<'_>) -> Outcome<()> {
    let proxied = round.rng.random_bool(0.5);
    let failpoints = slow_arrow(&mut round.rng);
    let mut old = round.start(Start { proxied, failpoints, ..Start::default() });
    drop_some(round, 1)?;
    let moment = Moment::draw(&mut round.rng, &old);
    let came = moment.wait(round, &mut old);
    if old.has_ended() {
        return round.ended_by_itself(old);
    }
    let was_open = old.is_open();
    old.signal(Signal::Stop);
    round.note(format!("SIGSTOP to {} at: {moment}, which {}", old.name(), if came { "came" } else { "did not come" }));
    if was_open && round.transaction_timeout() <= TIMEOUT_WAITED && round.rng.random_bool(0.4) {
        return outlives_its_transaction(round, old);
    }
    let mut new = round.start(Start::default());
    round.opened(&mut new)?;
    drop_some(round, 1)?;
    let moment = Moment::draw(&mut round.rng, &new);
    moment.wait(round, &mut new);
    if !was_open {
        old.signal(Signal::Continue);
        round.note(format!("SIGCONT to {}, which had not opened when the other did", old.name()));
        return either_wins(round, old, new);
    }
    let ends_first = round.rng.random_bool(0.3);
    if ends_first {
        round.stop(new)?;
        old.signal(Signal::Continue);
        round.note(format!("SIGCONT to {} after its successor ended", old.name()));
        // whatever is dropped now is seen by the old one alone
        return must_be_fenced(round, old);
    }
    old.signal(Signal::Continue);
    round.note(format!("SIGCONT to {}", old.name()));
    must_be_fenced(round, old)?;
    round.drops.drop_files(usize::MAX)?;
    round.recovered(&mut new)?;
    round.stop(new)
}

/// Who was stopped in the middle of its opening may open after the other, and is the newer one then.
fn either_wins(round: &mut Round<'_>, old: Owner, mut new: Owner) -> Outcome<()> {
    drop_some(round, 0)?;
    Moment::Quiet.wait(round, &mut new);
    for mut owner in [old, new] {
        match owner.has_ended() {
            true => round.ended(owner)?.must_be_fenced()?,
            false => round.kill(owner)?,
        }
    }
    Ok(())
}

/// Rule K2: the broker ended its transaction and nobody took over. What it is told then is what a fenced owner is told, but
/// it is still the owner and must go on.
fn outlives_its_transaction(round: &mut Round<'_>, mut old: Owner) -> Outcome<()> {
    round.transactions_over()?;
    old.signal(Signal::Continue);
    round.note(format!("SIGCONT to {} after its transaction's time-out", old.name()));
    round.drops.drop_files(usize::MAX)?;
    round.recovered(&mut old)?;
    round.stop(old)
}
