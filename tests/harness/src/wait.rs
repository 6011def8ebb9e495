//! Waiting for a condition with a deadline; no test sleeps anywhere else.

use std::time::{Duration, Instant};

/// First and longest pause between two looks at the condition.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Looks at `condition` until it holds.
///
/// # Panics
///
/// When it does not hold within `deadline`; the message names `what`.
#[track_caller]
pub fn wait_until(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(deadline, what, || condition().then_some(()));
}

/// Looks until there is something, and returns it.
///
/// # Panics
///
/// When there is nothing within `deadline`; the message names `what`.
#[track_caller]
pub fn wait_for<T>(deadline: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    let mut pause = PAUSE_MIN;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < deadline, "waited {:.1} s in vain: {what}", start.elapsed().as_secs_f64());
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// As [`wait_until`], for tests inside an async runtime.
///
/// # Panics
///
/// When the condition does not hold within `deadline`; the message names `what`.
pub async fn wait_until_async(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    let mut pause = PAUSE_MIN;
    while !condition() {
        assert!(start.elapsed() < deadline, "waited {:.1} s in vain: {what}", start.elapsed().as_secs_f64());
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// A pause before the same is asked of a system again, so that a caller with a deadline of its own does not spin.
pub(crate) fn pause() {
    std::thread::sleep(PAUSE_MAX);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_what_was_found_as_soon_as_it_is_there() {
        let mut looks = 0;
        let found = wait_for(Duration::from_secs(5), "the third look", || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, 3);
    }

    #[test]
    #[should_panic(expected = "in vain: the moon to fall")]
    fn fails_with_what_it_waited_for() {
        wait_until(Duration::from_millis(5), "the moon to fall", || false);
    }
}
