//! A fault at a random arrow of the protocol.

use rand::Rng;
use unbatch_test_harness::Signal;

use super::drop_some;
use crate::Outcome;
use crate::arrows;
use crate::drops::{After, Drops, Truth};
use crate::moment::Moment;
use crate::owner::{END, wait};
use crate::round::{Round, Start};

/// Arrows of the opening, which a run passes once unless something else goes wrong.
const ONCE: [&str; 6] = [
    "topic.before_init",
    "topic.after_init",
    "topic.after_read_state",
    "topic.after_write_owner",
    "engine.sink_opened",
    "engine.source_opened",
];

/// What may happen at an arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Kill,
    Fail,
    Hang,
    Delay,
}

pub(super) fn play(round: &mut Round<'_>) -> Outcome<()> {
    let arrows: Vec<&String> = arrows::all().iter().filter(|arrow| is_passed(arrow, &round.drops)).collect();
    for _ in 0..round.rng.random_range(1..=2) {
        let arrow = arrows[round.rng.random_range(0..arrows.len())];
        let action =
            [Action::Kill, Action::Kill, Action::Kill, Action::Fail, Action::Fail, Action::Hang, Action::Delay]
                [round.rng.random_range(0..7)];
        let hit = if ONCE.contains(&arrow.as_str()) { 1 } else { [1, 1, 1, 2, 2, 3, 4][round.rng.random_range(0..7)] };
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

/// Whether a run passes the arrow at all: files that are kept are not released, only those that are moved are archived, and only full
/// dumps have baselines.
fn is_passed(arrow: &str, drops: &Drops) -> bool {
    let is_of_dumps = arrow.contains("baseline") || arrow.contains("compare");
    let is_released = match drops.after {
        After::Keep => !arrow.contains("release") && !arrow.contains("archive"),
        After::Delete => !arrow.contains("archive"),
        After::MoveTo => true,
    };
    is_released && (!is_of_dumps || matches!(drops.truth, Truth::Nights(_)))
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
    if action == Action::Hang && !owner.has_ended() {
        // a thread of it may hang, so it cannot be asked to end
        return hung(round, owner);
    }
    if !owner.has_ended() {
        owner.signal(Signal::Terminate);
    }
    let end = round.ended(owner)?;
    // dead at the arrow; or it never came there and ended in good order
    if action == Action::Kill && end.was_killed() { Ok(()) } else { end.must_be_good(round.drops.any_parked()) }
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
