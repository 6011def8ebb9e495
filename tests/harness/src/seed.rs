//! Seeds: every random choice of a test comes from a number that is printed and can be given again.

use std::fmt;

use rand::SeedableRng;
use rand::rngs::StdRng;

/// The number that a test's random choices come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

/// `UNBATCH_SEED` when it is set, otherwise a new one. Printed, so that the output of a failed test holds it.
///
/// # Panics
///
/// When `UNBATCH_SEED` is set and is not a number.
#[track_caller]
pub fn seed() -> Seed {
    let seed = match std::env::var("UNBATCH_SEED") {
        Ok(text) => Seed(
            text.trim()
                .parse()
                .unwrap_or_else(|e| panic!("UNBATCH_SEED must be a number from 0 to 2^64 - 1, not {text:?}: {e}")),
        ),
        Err(_) => Seed(rand::random()),
    };
    eprintln!("run again with UNBATCH_SEED={seed}");
    seed
}

impl Seed {
    /// A generator that always gives the same numbers for the same seed.
    pub fn rng(self) -> StdRng {
        StdRng::seed_from_u64(self.0)
    }

    /// The seed of the `n`th round of a test, unlike that of its neighbours.
    pub fn round(self, n: u64) -> Seed {
        Seed(mix(self.0 ^ mix(n)))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// SplitMix64's output function (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_rounds_differ() {
        let draw = |seed: Seed| -> Vec<u32> {
            let mut rng = seed.rng();
            (0..8).map(|_| rng.random()).collect()
        };
        assert_eq!(draw(Seed(7)), draw(Seed(7)));
        assert_ne!(draw(Seed(7).round(0)), draw(Seed(7).round(1)));
        assert_eq!(Seed(7).round(3), Seed(7).round(3));
    }
}
