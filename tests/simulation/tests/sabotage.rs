//! The simulation must be able to fail: each broken promise is found within a few seeds.

use unbatch_simulation_tests::{Plan, Sabotage, simulate};

/// A sabotage that is not found within this many seeds would not be found in time.
const SEEDS_MAX: u64 = 100;

fn must_be_caught(sabotage: Sabotage) {
    let caught = (1..=SEEDS_MAX).find_map(|seed| simulate(&Plan::of(seed), sabotage).err());
    let Some(violation) = caught else { panic!("{sabotage:?} was not caught within {SEEDS_MAX} seeds") };
    eprintln!("{sabotage:?}: seed {}: {}", violation.seed, violation.seen[0]);
}

#[test]
fn releasing_before_the_commit() {
    must_be_caught(Sabotage::Source("release_when_read"));
}

#[test]
fn positions_without_an_ordinal() {
    must_be_caught(Sabotage::Source("position_without_ordinal"));
}

#[test]
fn committing_in_the_middle_of_a_transaction() {
    must_be_caught(Sabotage::Source("commit_mid_transaction"));
}

#[test]
fn losing_a_batch_with_its_future() {
    must_be_caught(Sabotage::Source("loses_dropped_batch"));
}

#[test]
fn rows_that_are_visible_before_the_commit() {
    must_be_caught(Sabotage::Sink("visible_when_written"));
}

#[test]
fn rejected_rows_apart_from_the_epoch() {
    must_be_caught(Sabotage::Sink("rejected_apart"));
}

#[test]
fn progress_apart_from_rows() {
    must_be_caught(Sabotage::Sink("progress_apart"));
}

#[test]
fn no_ownership_check() {
    must_be_caught(Sabotage::Sink("no_ownership_check"));
}

#[test]
fn a_plain_read_as_the_progress_check() {
    must_be_caught(Sabotage::Sink("plain_read_as_check"));
}
