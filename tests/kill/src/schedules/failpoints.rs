//! A fault at a random arrow of the protocol.

use rand::Rng;

use super::drop_some;
use crate::Outcome;
use crate::arrows;
use crate::moment::Moment;
use crate::owner::{END, wait};
use crate::round::{Round, Start};

/// What may happen at an arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Kill,
    Fail,
    Hang,
    Delay,
}

pub(super) fn play(round: &mut Round<'_>) -> Outcome<()> {
    for _ in 0..round.rng.random_range(1..=2) {
        let all = arrows::all();
        let arrow = &all[round.rng.random_range(0..all.len())];
        let action =
            [Action::Kill, Action::Kill, Action::Kill, Action::Fail, Action::Fail, Action::Hang, Action::Delay]
                [round.rng.random_range(0..7)];
        let hit = [1, 1, 1, 2, 2, 3, 4][round.rng.random_range(0..7)];
        let failpoints = match action {
            Action::Kill => format!("{arrow}=kill@{hit}"),
            Action::Fail => format!("{arrow}=fail@{hit}"),
            Action::Hang => format!("{arrow}=hang@{hit}"),
            Action::Delay => format!("{arrow}=delay:{}@{hit}", round.rng.random_range(50..400)),
        };
        one_run(round, action, failpoints)?;
    }
    Ok(())
}

fn one_run(round: &mut Round<'_>, action: Action, failpoints: String) -> Outcome<()> {
    let once = action != Action::Hang && round.rng.random_bool(0.5);
    let mut owner = round.start(Start { once, failpoints, ..Start::default() });
    drop_some(round, 0)?;
    if once {
        wait(END, || owner.has_ended().then_some(()));
    } else {
        // it ends here, or has nothing more to do, or stands still
        Moment::Quiet.wait(round, &mut owner);
    }
    match (action, owner.has_ended()) {
        // dead at the arrow; or it never came there and ended in good order
        (Action::Kill, true) => {
            let end = round.ended(owner)?;
            if end.was_killed() { Ok(()) } else { end.must_be_good(round.drops.any_parked()) }
        }
        (_, true) => round.ended(owner)?.must_be_good(round.drops.any_parked()),
        // a thread of it may hang, so it cannot be asked to end
        (Action::Hang, false) => hung(round, owner),
        (_, false) => round.stop(owner),
    }
}

/// A process that stands still at an arrow may be replaced while it is there.
fn hung(round: &mut Round<'_>, hung: crate::owner::Owner) -> Outcome<()> {
    if round.rng.random_bool(0.5) {
        let mut new = round.start(Start::default());
        round.opened(&mut new)?;
        drop_some(round, 0)?;
        Moment::draw(&mut round.rng, &new).wait(round, &mut new);
        round.stop(new)?;
    }
    round.kill(hung)
}
