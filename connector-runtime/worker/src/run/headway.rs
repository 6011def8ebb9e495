//! How far a source has come with what it says is there, and how long the rest will take.

/// Weight of the newest speed in the one that counts.
const SPEED_WEIGHT: f64 = 0.3;

/// Of one pipeline; in bytes. What comes in meanwhile makes the whole larger.
#[derive(Debug, Default)]
pub(crate) struct Headway {
    remaining: u64,
    done: u64,
    /// Bytes a second.
    speed: f64,
}

impl Headway {
    /// So much is left, `seconds` after the last look.
    pub(crate) fn look(&mut self, remaining: u64, seconds: f64) {
        let done = self.remaining.saturating_sub(remaining);
        self.remaining = remaining;
        if remaining == 0 {
            // what comes next is another delivery
            *self = Self::default();
            return;
        }
        let is_first = self.done == 0;
        self.done += done;
        if seconds > 0.0 {
            let newest = done as f64 / seconds;
            self.speed = if is_first { newest } else { self.speed * (1.0 - SPEED_WEIGHT) + newest * SPEED_WEIGHT };
        }
    }

    /// Bytes done and bytes there are, while there is something left.
    pub(crate) fn share(&self) -> Option<(u64, u64)> {
        (self.remaining > 0 && self.done > 0).then_some((self.done, self.done + self.remaining))
    }

    /// Milliseconds until all is done at this speed.
    pub(crate) fn rest_ms(&self) -> Option<u64> {
        let is_known = self.share().is_some() && self.speed >= 1.0;
        is_known.then(|| (self.remaining as f64 / self.speed * 1000.0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_the_speed_says() {
        let mut headway = Headway::default();
        headway.look(1_000, 1.0);
        assert_eq!((headway.share(), headway.rest_ms()), (None, None), "nothing was done yet");
        headway.look(900, 1.0);
        assert_eq!((headway.share(), headway.rest_ms()), (Some((100, 1_000)), Some(9_000)));
        // another file comes: the whole is larger, and nothing was undone
        headway.look(1_800, 1.0);
        assert_eq!(headway.share(), Some((100, 1_900)));
        headway.look(0, 1.0);
        headway.look(500, 1.0);
        assert_eq!((headway.share(), headway.rest_ms()), (None, None), "another delivery begins anew");
    }
}
