//! One task for each split: runs it, and does exactly one thing for each kind of error. A broken split never touches another.

use crate::run::FenceGate;
use crate::split::{RunEnd, Split, within};
use crate::status::SplitState;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use unbatch_api::failpoint::sabotaged;
use unbatch_api::{Bound, Error, Fenced, Kind, Result};

/// Longest that fencing may take; a broker that settles a predecessor's transaction needs seconds.
const FENCE_TIME_MAX: Duration = Duration::from_secs(90);
/// Looking whether there is a newer owner.
const LOOK_TIME_MAX: Duration = Duration::from_secs(15);
const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
/// Back-off doubles up to this and never ends.
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// A bounded run gives up after this long of Transient errors without a commit. What is away comes back, such as a broker that is
/// started anew.
const ONCE_PATIENCE: Duration = Duration::from_secs(60);
/// The same of a split that was never open: rather a wrong address than a system that is away for a moment, and somebody may
/// sit and wait. An attempt that began before is waited for.
pub const ONCE_FIRST_PATIENCE: Duration = Duration::from_secs(30);

/// What became of a split, for the exit code.
#[derive(Debug)]
pub(crate) enum SplitEnd {
    Finished,
    Stopped,
    Failed(Error),
}

/// Runs the split until it ends, is stopped, or needs a person.
pub(crate) async fn supervise(split: Arc<Split>, gate: Arc<FenceGate>, mut stop: watch::Receiver<bool>) -> SplitEnd {
    let mut first_fence = Some(gate.enter());
    let mut patience = Patience::new(split.plan.bound, split.plan.seed);
    // opening again would fence a newer owner in its turn, and the older of two runs would win. Asked after a run only: after a
    // failed open the split's own number may be stored although it was not told so.
    let mut may_be_overtaken = false;
    loop {
        let began = Instant::now();
        split.record.starting();
        let commits_before = split.record.totals().commits;
        let attempt = async {
            if std::mem::take(&mut may_be_overtaken) {
                let looked = look_for_newer_owner(&split).await;
                may_be_overtaken = looked.as_ref().is_err_and(|e| e.kind() != Kind::Fenced);
                looked?;
            }
            let fenced = fence(&split).await;
            if let Some(entered) = first_fence.take() {
                entered.fenced_and_all_others_too().await;
            }
            split.open(fenced?).await
        };
        // a stop while it opens needs no grace: nothing of ours is in flight yet that a successor does not settle
        let opened = tokio::select! {
            biased;
            _ = asked_to(&mut stop) => return end(&split, SplitState::Stopped, SplitEnd::Stopped),
            opened = attempt => opened,
        };
        // from when on nothing went forward
        let (ended, since) = match opened {
            Ok(mut flow) => {
                may_be_overtaken = true;
                patience.was_open = true;
                let ended = flow.run_and_settle(stop.clone()).await;
                (ended, Instant::now())
            }
            Err(error) => (Err(error), began),
        };
        let error = match ended {
            Ok(RunEnd::Finished) => return end(&split, SplitState::Finished, SplitEnd::Finished),
            Ok(RunEnd::Stopped) => return end(&split, SplitState::Stopped, SplitEnd::Stopped),
            // a successor may have released what this owner was about to read: not lost, only no longer ours
            Err(error) if error.kind() == Kind::Lost => match look_for_newer_owner(&split).await {
                Err(overtaken) if overtaken.kind() == Kind::Fenced => overtaken.caused_by(error),
                _ => error,
            },
            Err(error) => error,
        };
        if !may_open_again(&error) {
            return failed(&split, error);
        }
        let progressed = split.record.totals().commits > commits_before;
        let Some(wait) = patience.next(progressed, since) else {
            return failed(&split, error);
        };
        split.metrics.restarts.increment(1);
        tracing::warn!(split = %split.id, error = %error.one_line(), wait_ms = wait.as_millis() as u64, "split will open again");
        split.record.ended(SplitState::Retrying, Some(&error));
        tokio::select! {
            () = sleep(wait) => {}
            () = split.record.hinted() => {}
            _ = asked_to(&mut stop) => return end(&split, SplitState::Stopped, SplitEnd::Stopped),
        }
    }
}

/// With the ownership switched off, a test's owner believes that the split is its own whatever it is told.
fn may_open_again(error: &Error) -> bool {
    error.kind() == Kind::Transient || (error.kind() == Kind::Fenced && sabotaged("ownership"))
}

/// Fenced when a higher owner is stored than this split last held.
async fn look_for_newer_owner(split: &Split) -> Result<()> {
    let owner = split.record.owner();
    let stored = split.plan.spec.sink.inspect(split.plan.check_context(split));
    match within(LOOK_TIME_MAX, "looking for a newer owner", stored).await? {
        Some(stored) if owner > 0 && stored.facts.owner > owner && !sabotaged("ownership") => {
            Err(Error::fenced("going on failed, a newer owner has taken this split").code("U0411").with("owner", owner))
        }
        _ => Ok(()),
    }
}

/// Resolves when somebody says stop; never when nobody is left who could.
async fn asked_to(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn fence(split: &Split) -> Result<Box<dyn Fenced>> {
    let fence = split.plan.spec.sink.fence(split.plan.sink_context(split));
    within(FENCE_TIME_MAX, "fencing earlier owners", fence).await
}

fn end(split: &Split, state: SplitState, end: SplitEnd) -> SplitEnd {
    tracing::info!(split = %split.id, state = ?state, "split ended");
    split.record.ended(state, None);
    end
}

fn failed(split: &Split, error: Error) -> SplitEnd {
    let state = if error.kind() == Kind::Fenced { SplitState::Fenced } else { SplitState::Failed };
    tracing::error!(split = %split.id, kind = %error.kind(), code = error.code_text(), error = %error.one_line(),
        help = error.remedy(), "split stopped");
    split.record.ended(state, Some(&error));
    SplitEnd::Failed(error)
}

/// How long to wait before the next attempt.
struct Patience {
    back_off: Duration,
    bound: Bound,
    /// The split was open once in this process.
    was_open: bool,
    trouble_since: Option<Instant>,
    random: SmallRng,
}

impl Patience {
    fn new(bound: Bound, seed: u64) -> Self {
        let random = SmallRng::seed_from_u64(seed);
        Self { back_off: BACK_OFF_FIRST, bound, was_open: false, trouble_since: None, random }
    }
    /// `since`: when the attempt began that failed, or when a split that was open failed. `None`: a bounded run has waited long
    /// enough.
    fn next(&mut self, progressed: bool, since: Instant) -> Option<Duration> {
        if progressed {
            self.back_off = BACK_OFF_FIRST;
            self.trouble_since = None;
        }
        let since = *self.trouble_since.get_or_insert(since);
        let limit = if self.was_open { ONCE_PATIENCE } else { ONCE_FIRST_PATIENCE };
        if self.bound == Bound::Once && since.elapsed() >= limit {
            return None;
        }
        let wait = self.back_off.mul_f64(self.random.random_range(0.5..1.0));
        self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
        match self.bound {
            Bound::Once => Some(wait.min(limit.saturating_sub(since.elapsed()))),
            Bound::Continuous => Some(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn back_off_is_capped_without_end_and_starts_over_after_progress() {
        let mut patience = Patience::new(Bound::Continuous, 7);
        for _ in 0..30 {
            assert!(patience.next(false, Instant::now()).unwrap() <= BACK_OFF_MAX);
        }
        assert!(patience.next(false, Instant::now()).unwrap() >= BACK_OFF_MAX / 2);
        assert!(patience.next(true, Instant::now()).unwrap() <= BACK_OFF_FIRST);
    }

    /// How long a bounded run goes on trying when each attempt takes ten seconds, as that to reach a broker does.
    async fn tries_for(mut patience: Patience) -> Duration {
        let (start, attempt) = (Instant::now(), Duration::from_secs(10));
        loop {
            let began = Instant::now();
            sleep(attempt).await;
            match patience.next(false, began) {
                Some(wait) => sleep(wait).await,
                None => return start.elapsed(),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bounded_run_gives_up_after_its_patience_and_sooner_what_was_never_open() {
        let never_open = tries_for(Patience::new(Bound::Once, 7)).await;
        assert!(never_open >= ONCE_FIRST_PATIENCE && never_open <= Duration::from_secs(40), "{never_open:?}");
        let was_open = tries_for(Patience { was_open: true, ..Patience::new(Bound::Once, 7) }).await;
        assert!(was_open >= ONCE_PATIENCE && was_open <= Duration::from_secs(70), "{was_open:?}");
    }
}
