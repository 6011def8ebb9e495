//! How fast rows were committed of late: the rate of now, and slices of the last minutes for a plot.

/// A rate is the mean of so many whole seconds, so that a commit every second or two does not make it jump.
pub const RATE_SECONDS: u64 = 10;
/// Length of a slice.
pub const SLICE_SECONDS: u64 = 5;
/// Slices that are kept: five minutes.
pub const SLICES_MAX: u64 = 60;
/// Seconds that are kept.
const SECONDS: u64 = SLICE_SECONDS * SLICES_MAX;

/// Rows by seconds since the beginning, in a ring.
pub(crate) struct Pace {
    rows: Box<[u64; SECONDS as usize]>,
    /// The newest second that the ring stands for; older ones than the ring is long are forgotten.
    newest: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { rows: Box::new([0; SECONDS as usize]), newest: 0 }
    }
}

impl Pace {
    /// `rows` were committed in this second; seconds never go back.
    pub(crate) fn add(&mut self, second: u64, rows: u64) {
        let begins = (self.newest + 1).max(second.saturating_sub(SECONDS - 1));
        for passed in begins..=second {
            self.rows[(passed % SECONDS) as usize] = 0;
        }
        self.newest = self.newest.max(second);
        self.rows[(second % SECONDS) as usize] += rows;
    }

    /// Rows a second before `now`; 0 in the very first second.
    pub(crate) fn rate(&self, now: u64) -> f64 {
        let seconds = now.min(RATE_SECONDS);
        let rows: u64 = (now - seconds..now).map(|second| self.of(second, now)).sum();
        if seconds == 0 { 0.0 } else { rows as f64 / seconds as f64 }
    }

    /// Rows of each slice that is over, the oldest first.
    pub(crate) fn slices(&self, now: u64) -> Vec<u64> {
        let over = now / SLICE_SECONDS;
        // the slice under way takes a part of the ring
        let first = over.saturating_sub(SLICES_MAX - 1);
        let rows = |slice: u64| (slice * SLICE_SECONDS..(slice + 1) * SLICE_SECONDS).map(|s| self.of(s, now)).sum();
        (first..over).map(rows).collect()
    }

    fn of(&self, second: u64, now: u64) -> u64 {
        let is_kept = second <= self.newest && second + SECONDS > now.max(self.newest);
        if is_kept { self.rows[(second % SECONDS) as usize] } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_of_the_last_whole_seconds_and_falls_when_nothing_comes() {
        let mut pace = Pace::default();
        assert_eq!(pace.rate(0), 0.0);
        pace.add(0, 100);
        assert_eq!((pace.rate(0), pace.rate(1), pace.rate(4)), (0.0, 100.0, 25.0));
        (1..=20).for_each(|second| pace.add(second, 50));
        assert_eq!((pace.rate(21), pace.rate(26), pace.rate(31), pace.rate(5_000)), (50.0, 25.0, 0.0, 0.0));
    }

    #[test]
    fn slices_are_whole_and_old_ones_are_forgotten() {
        let mut pace = Pace::default();
        (0..12).for_each(|second| pace.add(second, 1));
        assert_eq!((pace.slices(4), pace.slices(12)), (vec![], vec![5, 5]));
        // nothing for longer than the ring is, then again
        pace.add(SECONDS * 3 + 2, 7);
        let slices = pace.slices(SECONDS * 3 + SLICE_SECONDS);
        assert_eq!((slices.len() as u64, slices.iter().sum::<u64>(), slices.last()), (SLICES_MAX - 1, 7, Some(&7)));
        assert_eq!(pace.slices(SECONDS * 9).iter().sum::<u64>(), 0);
    }
}
