//! The rounds must find what is wrong when the product leaves a rule out: a check that never fails proves nothing.

use unbatch_kill_tests::{Failure, Mode, Order, Site, Source, run};
use unbatch_test_harness::{Seed, seed};

/// Some schedules miss the moment; by then one must have hit it.
const ROUNDS: u64 = 10;

/// What a round says of a process that is not there any more.
const GAVE_UP: &str = "ended although it should have gone on";

/// Runs rounds without the rules until one of them fails, and returns that failure.
fn found_by(mode: Mode, sabotage: &str) -> Option<Failure> {
    let site = Site::from_env(&format!("sabotage {sabotage}"))?;
    let first = seed();
    let order = |seed: Seed| Order { mode, source: Source::Folder, seed, sabotage: sabotage.to_owned(), keep: false };
    let found = (0..ROUNDS).find_map(|n| run(&site, &order(first.round(n))).err());
    let Some(failure) = found else { panic!("{ROUNDS} rounds of {} did not miss {sabotage}", mode.name()) };
    Some(failure)
}

/// Without K1 a late commit takes part of the next transaction with it; without K5 nobody notices, and its rows come again.
#[test]
fn k1_rows_are_doubled_when_a_late_commit_is_let_in() {
    let Some(found) = found_by(Mode::LateCommit, "K1,K5") else { return };
    assert!(found.to_string().contains("NOT equal"), "{found}");
    assert!(found.figures.doubled > 0, "{found}");
}

/// Without K1 an epoch is committed in part. K5 looks for that at the next open, within bounds: it stops the pipeline, or the
/// rows are doubled and the ledger says so. Seen both ways, so neither is promised; nor is, which run of a round it stops: one
/// that should go on gives up, one that should end in good order fails with its code.
#[test]
fn a_late_commit_tears_an_epoch_without_k1() {
    let Some(found) = found_by(Mode::LateCommit, "K1") else { return };
    let text = found.to_string();
    let stopped = text.contains(GAVE_UP) || (text.contains("good order") && text.contains("\"code\":\"U0292\""));
    assert!(found.figures.doubled > 0 || stopped, "{text}");
}

#[test]
fn k2_an_owner_gives_up_that_is_still_the_owner() {
    let Some(found) = found_by(Mode::HalfFence, "K2") else { return };
    assert!(found.to_string().contains(GAVE_UP), "{found}");
}

#[test]
fn a_file_that_comes_again_is_loaded_again() {
    let Some(found) = found_by(Mode::Kill, "file-duplicate") else { return };
    assert!(found.figures.doubled > 0, "{found}");
}
