//! Which seeds a test runs.

use std::ops::Range;

/// Seeds when nothing else is asked for; what `make check` runs.
const SEEDS: u64 = 2_000;

/// The seeds of a test.
#[derive(Clone, Debug)]
pub struct Seeds(pub Range<u64>);

/// `UNBATCH_SEED` alone when it is set; else `UNBATCH_SEEDS` many, or 2,000, from a new place each time.
///
/// # Panics
///
/// When a variable is set and is not a number.
pub fn seeds() -> Seeds {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.trim().parse::<u64>().unwrap_or_else(|e| panic!("{name} must be a number, not {text:?}: {e}")))
    };
    match number("UNBATCH_SEED") {
        Some(seed) => Seeds(seed..seed.saturating_add(1)),
        None => {
            let first = u64::from(rand::random::<u32>());
            Seeds(first..first + number("UNBATCH_SEEDS").unwrap_or(SEEDS))
        }
    }
}
