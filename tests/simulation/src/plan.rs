//! What a seed decides.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::time::Duration;

/// A whole simulation.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub pipelines: Vec<PipelinePlan>,
    /// Processes, one life after the other; then one more life without faults.
    pub lives: Vec<Life>,
}

#[derive(Clone, Debug)]
pub struct PipelinePlan {
    pub name: String,
    pub splits: u32,
    pub parts: Vec<PartPlan>,
    pub batch_rows: usize,
    pub uncut_rows: u64,
    pub commit_every: Duration,
    pub commit_rows: u64,
    /// How long the store takes for a commit.
    pub commit_time: Duration,
    /// A step between the ends that filters and rejects.
    pub sieved: bool,
    /// `None`: nothing goes wrong at its ends.
    pub faulty: Option<Faulty>,
}

/// What goes wrong at both ends of a pipeline.
#[derive(Clone, Debug)]
pub struct Faulty {
    pub seed: u64,
    pub one_in: u32,
    pub longest: Duration,
    pub usurped: bool,
}

#[derive(Clone, Debug)]
pub struct PartPlan {
    pub name: String,
    pub transactions: Vec<Vec<RowPlan>>,
    /// Transactions that are there from the beginning; the others come while pipelines run.
    pub early: usize,
    pub closes: bool,
}

/// What will become of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowPlan {
    Good,
    /// The source rejects it.
    Bad,
    /// The sink rejects it.
    TooLarge,
}

/// One process, or two that run the same pipelines.
#[derive(Clone, Debug)]
pub struct Life {
    pub lasts: Duration,
    /// Killed: everything is dropped where it stands. Otherwise it is asked to stop.
    pub is_killed: bool,
    pub is_bounded: bool,
    /// A second process starts after this long and runs as long as the first would.
    pub second_after: Option<Duration>,
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let pipelines = (0..random.random_range(1..=3)).map(|i| PipelinePlan::draw(i, &mut random)).collect();
        let lives = (0..random.random_range(1..=4)).map(|_| Life::draw(&mut random)).collect();
        Plan { seed, pipelines, lives }
    }
}

impl PipelinePlan {
    fn draw(index: usize, random: &mut SmallRng) -> Self {
        let splits = random.random_range(1..=2);
        let parts = (0..random.random_range(1..=3)).map(|i| PartPlan::draw(i, random)).collect();
        let faulty = random.random_bool(0.8).then(|| Faulty {
            seed: random.random(),
            one_in: random.random_range(3..40),
            longest: milliseconds(random, 1..3_000),
            usurped: random.random_bool(0.2),
        });
        PipelinePlan {
            name: format!("p{index}"),
            splits,
            parts,
            batch_rows: random.random_range(1..12),
            uncut_rows: random.random_range(1..12),
            commit_every: milliseconds(random, 50..1_500),
            commit_rows: random.random_range(1..40),
            commit_time: if random.random_bool(0.3) { Duration::ZERO } else { milliseconds(random, 1..400) },
            sieved: random.random_bool(0.5),
            faulty,
        }
    }
}

impl PartPlan {
    fn draw(index: usize, random: &mut SmallRng) -> Self {
        let longest = if random.random_bool(0.5) { 1 } else { 16 };
        let transactions: Vec<Vec<RowPlan>> = (0..random.random_range(1..10))
            .map(|_| (0..random.random_range(0..=longest)).map(|_| RowPlan::draw(random)).collect())
            .collect();
        PartPlan {
            name: format!("part-{index}"),
            early: random.random_range(0..=transactions.len()),
            transactions,
            closes: random.random_bool(0.3),
        }
    }
}

impl RowPlan {
    fn draw(random: &mut SmallRng) -> Self {
        match random.random_range(0..20) {
            0 => RowPlan::Bad,
            1 => RowPlan::TooLarge,
            _ => RowPlan::Good,
        }
    }
}

impl Life {
    fn draw(random: &mut SmallRng) -> Self {
        Life {
            lasts: milliseconds(random, 1..8_000),
            is_killed: random.random_bool(0.6),
            is_bounded: random.random_bool(0.2),
            second_after: random.random_bool(0.3).then(|| {
                let longest = random.random_range(1..4_000);
                milliseconds(random, 0..longest)
            }),
        }
    }
}

fn milliseconds(random: &mut SmallRng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.random_range(range))
}
