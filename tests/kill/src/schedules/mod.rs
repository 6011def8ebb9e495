//! The modes: each is a schedule of faults for one wave of files. What they share is that afterwards nothing is missing or
//! doubled; what a mode demands besides of its processes it checks itself.

mod broker_crash;
mod failpoints;
mod fight;
mod half_fence;
mod kills;
mod late_requests;
mod stopped_owner;
mod two_owners;
mod two_runs;
mod wire;

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use crate::Outcome;
use crate::owner::{Owner, wait};
use crate::round::Round;

/// How long an owner that was replaced may take to find out and exit.
const FENCED_WITHIN: Duration = Duration::from_secs(30);

/// What goes wrong in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// A failpoint at a random arrow ends the process, fails, hangs or waits.
    Failpoint,
    /// SIGKILL at random moments, several times.
    Kill,
    /// SIGSTOP of the owner while a new one takes over; the old one goes on, is fenced and exits 1 (K1).
    StoppedOwner,
    /// A successor dies after it fenced and before it owned: the old owner must see that it is still the owner (K2).
    HalfFence,
    /// A commit request is held, repeated with success, and delivered in the middle of a later transaction (K1).
    LateCommit,
    /// Requests of an owner arrive after it died and another took over.
    LateRequest,
    /// A network that cuts, delays, loses replies and is away for a while (K1, K2).
    Wire,
    /// Two plain runs: the newer wins, the older exits 1.
    TwoRuns,
    /// Two places that both believe to own the split and start again whenever they are fenced, for a while.
    Fight,
    /// Two processes that both believe to own the split, whatever they are told, until all files are loaded.
    TwoOwners,
    /// SIGKILL of the broker, which comes back with its log.
    BrokerCrash,
}

impl Mode {
    pub const ALL: [Mode; 11] = [
        Mode::Failpoint,
        Mode::Kill,
        Mode::StoppedOwner,
        Mode::HalfFence,
        Mode::LateCommit,
        Mode::LateRequest,
        Mode::Wire,
        Mode::TwoRuns,
        Mode::Fight,
        Mode::TwoOwners,
        Mode::BrokerCrash,
    ];

    /// As it is printed, and given in `UNBATCH_KILL_MODE`.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Failpoint => "failpoint",
            Mode::Kill => "kill",
            Mode::StoppedOwner => "stopped-owner",
            Mode::HalfFence => "half-fence",
            Mode::LateCommit => "late-commit",
            Mode::LateRequest => "late-request",
            Mode::Wire => "wire",
            Mode::TwoRuns => "two-runs",
            Mode::Fight => "fight",
            Mode::TwoOwners => "two-owners",
            Mode::BrokerCrash => "broker-crash",
        }
    }

    pub fn by_name(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// The mode of a mixed round. A crash of the broker is rare: it stops everything that goes on.
    pub fn draw(rng: &mut StdRng, broker_may_crash: bool) -> Mode {
        match rng.random_range(0..40) {
            0..8 => Mode::Failpoint,
            8..14 => Mode::Kill,
            14..18 => Mode::StoppedOwner,
            18..20 => Mode::HalfFence,
            20..23 => Mode::LateCommit,
            23..25 => Mode::LateRequest,
            25..29 => Mode::Wire,
            29..33 => Mode::TwoRuns,
            33..35 => Mode::Fight,
            35..38 => Mode::TwoOwners,
            _ if broker_may_crash => Mode::BrokerCrash,
            _ => Mode::Kill,
        }
    }

    /// Time-out of transactions, in seconds, when it is to be a long one.
    pub(crate) fn longest_transaction(self) -> u64 {
        match self {
            // a successor that died with its transaction open is waited for as long as that
            Mode::HalfFence => 10,
            _ => 60,
        }
    }

    pub(crate) fn play(self, round: &mut Round<'_>) -> Outcome<()> {
        match self {
            Mode::Failpoint => failpoints::play(round),
            Mode::Kill => kills::play(round),
            Mode::StoppedOwner => stopped_owner::play(round),
            Mode::HalfFence => half_fence::play(round),
            Mode::LateCommit => late_requests::late_commit(round),
            Mode::LateRequest => late_requests::late_from_the_dead(round),
            Mode::Wire => wire::play(round),
            Mode::TwoRuns => two_runs::play(round),
            Mode::Fight => fight::play(round),
            Mode::TwoOwners => two_owners::play(round),
            Mode::BrokerCrash => broker_crash::play(round),
        }
    }
}

/// Some of the files that are to come, while a schedule runs; `kept_back` files with rows stay for later.
fn drop_some(round: &mut Round<'_>, kept_back: usize) -> Outcome<()> {
    round.trouble_the_store();
    let most = round.drops.coming().saturating_sub(kept_back);
    let count = round.rng.random_range(0..=most.div_ceil(2));
    for _ in 0..count {
        if round.drops.coming_with_rows() > kept_back {
            round.drops.drop_files(1)?;
        }
    }
    Ok(())
}

/// A delay at one arrow, so that a process is slow enough to be hit in the middle; often none.
fn slow_arrow(rng: &mut StdRng) -> String {
    const ARROWS: [&str; 4] = ["topic.mid_produce", "topic.before_state", "topic.before_commit", "engine.before_seal"];
    match rng.random_range(0..2 * ARROWS.len()) {
        at if at < ARROWS.len() => format!("{}=delay:{}", ARROWS[at], rng.random_range(5..60)),
        _ => String::new(),
    }
}

/// Waits until an owner that was replaced has found out: by its next commit, or while it is idle by looking. A file with rows is
/// dropped for it; its successor may take that away before it sees it, when files are moved or deleted.
fn must_be_fenced(round: &mut Round<'_>, mut old: Owner) -> Outcome<()> {
    round.drops.drop_one_with_rows()?;
    match wait(FENCED_WITHIN, || old.has_ended().then_some(())) {
        Some(()) => round.ended(old)?.must_be_fenced(),
        None => Err(format!("{} was replaced and did not exit within {FENCED_WITHIN:?}", old.name())),
    }
}
