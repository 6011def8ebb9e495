//! Moments at which something happens to a process: things that can be seen from outside, so that no test sleeps.

use std::fmt;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use unbatch_test_harness::ApiKey;

use crate::owner::{Owner, wait};
use crate::round::Round;

/// A moment that does not come is not waited for longer than this.
const PATIENCE: Duration = Duration::from_secs(8);

/// An open owner that shows nothing new for this long has nothing more to do.
const QUIET: Duration = Duration::from_millis(300);

/// Both where files are large: there is more to wait for, and a busy machine may take a while for one transaction.
const PATIENCE_LARGE: Duration = Duration::from_secs(20);
const QUIET_LARGE: Duration = Duration::from_millis(1500);

/// Requests that mark the steps of a transaction, in order.
const STEPS: [ApiKey; 6] = [
    ApiKey::Metadata,
    ApiKey::InitProducerId,
    ApiKey::AddPartitionsToTxn,
    ApiKey::Produce,
    ApiKey::EndTxn,
    ApiKey::Fetch,
];

/// Something about an owner that can be waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// Its split is open.
    Opened,
    /// So many more records, or ends of transactions, are visible to committed readers.
    Visible(i64),
    /// The proxy has seen so many requests of this kind.
    Requests(ApiKey, u64),
    /// Everything it can do is done.
    Quiet,
}

impl Moment {
    /// Any moment in the life of `owner`; those on the wire only when it goes through a proxy.
    pub(crate) fn draw(rng: &mut StdRng, owner: &Owner) -> Moment {
        if owner.reads_large_files() && rng.random_bool(0.5) {
            // deep in a file, where going on means to find a place far behind its beginning
            return Moment::Visible(rng.random_range(owner.reach / 2..owner.reach));
        }
        match rng.random_range(0..10) {
            0 => Moment::Opened,
            1..=6 if owner.proxy.is_some() => {
                let api = STEPS[rng.random_range(0..STEPS.len())];
                Moment::Requests(api, rng.random_range(1..12))
            }
            9 => Moment::Quiet,
            _ => Moment::Visible(rng.random_range(1..owner.reach)),
        }
    }

    /// Waits for it. False when it does not come: the process has ended, or has nothing more to do.
    pub(crate) fn wait(self, round: &Round<'_>, owner: &mut Owner) -> bool {
        let begun = Instant::now();
        let visible_at_first = round.visible();
        let mut last_change = (visible_at_first, begun);
        let (patience, quiet) =
            if owner.reads_large_files() { (PATIENCE_LARGE, QUIET_LARGE) } else { (PATIENCE, QUIET) };
        wait(patience, || {
            if owner.has_ended() {
                return Some(false);
            }
            let reached = match self {
                Moment::Opened => owner.is_open(),
                Moment::Requests(api, count) => owner.proxy.as_ref().is_some_and(|proxy| proxy.seen(api) >= count),
                Moment::Visible(_) | Moment::Quiet => false,
            };
            if reached {
                return Some(true);
            }
            let (visible, is_open) = (round.visible(), owner.is_open());
            // until it is open nothing of it can be seen
            if visible != last_change.0 || !is_open {
                last_change = (visible, Instant::now());
            }
            let is_quiet = is_open && last_change.1.elapsed() >= quiet;
            match self {
                Moment::Visible(more) if visible >= visible_at_first + more => Some(true),
                Moment::Quiet if is_quiet => Some(true),
                _ if is_quiet => Some(false),
                _ => None,
            }
        })
        .unwrap_or(false)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::Opened => f.write_str("opened"),
            Moment::Visible(records) => write!(f, "{records} more visible"),
            Moment::Requests(api, count) => write!(f, "{api:?} number {count}"),
            Moment::Quiet => f.write_str("quiet"),
        }
    }
}
