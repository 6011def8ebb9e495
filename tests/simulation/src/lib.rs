//! Whole pipelines, simulated: the real engine between memory connectors, under faults drawn from a seed, on a clock that does
//! not wait.
//!
//! A seed decides everything ([`Plan`]): pipelines, splits, parts, transactions and rejected rows; commit policies; what goes
//! wrong at each read, write, commit and open; how many processes run the same pipelines, when each is killed or stopped.
//! Then everything heals, one bounded run goes to the end, and the [`Ledger`], which was written by the plan and not read
//! back from the product, is compared with what readers see. What must hold at every moment is asserted while it runs.
//!
//! `UNBATCH_SEED=n` replays one seed, `UNBATCH_SEEDS=n` says how many there are.

mod isolation;
mod ledger;
mod pipelines;
mod plan;
mod seeds;
mod sieve;
mod simulation;

pub use isolation::isolate;
pub use ledger::Ledger;
pub use plan::{Faulty, Life, PartPlan, PipelinePlan, Plan, RowPlan};
pub use seeds::{Seeds, seeds};
pub use simulation::{Sabotage, Summary, Violation, simulate};
