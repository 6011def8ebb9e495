//! A few rounds of each mode, with the kind of broker that `UNBATCH_TEST_BROKERS` names. `make kill ROUNDS=200` runs more.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use unbatch_kill_tests::{Mode, Order, Site, Source, run};
use unbatch_test_harness::seed;

/// Rounds of one mode. The first has the printed seed itself, so that it can be given again.
fn rounds(mode: Mode, rounds: u64) {
    rounds_from(Source::Folder, mode, rounds);
}

fn rounds_from(source: Source, mode: Mode, rounds: u64) {
    let site = match mode {
        Mode::BrokerCrash => Site::that_may_crash(mode.name()),
        _ => Site::from_env(mode.name()),
    };
    let Some(site) = site else { return };
    if source == Source::S3 && !site.has_s3() {
        return;
    }
    let first = seed();
    for n in 0..rounds {
        let seed = if n == 0 { first } else { first.round(n) };
        let figures = run(&site, &Order { mode, source, seed, sabotage: String::new(), keep: true })
            .unwrap_or_else(|failure| panic!("{failure}"));
        eprintln!("{} from {} seed {seed}: {figures}", mode.name(), source.name());
        assert_eq!((figures.missing, figures.doubled, figures.wrong), (0, 0, 0));
        assert!(figures.in_topic > 0 && figures.rows_in == figures.in_topic + figures.in_quarantine);
    }
}

#[test]
fn a_failpoint_at_any_arrow_loses_and_doubles_nothing() {
    rounds(Mode::Failpoint, 3);
}

#[test]
fn sigkill_at_any_moment_loses_and_doubles_nothing() {
    rounds(Mode::Kill, 2);
}

#[test]
fn k1_a_stopped_owner_that_goes_on_is_fenced_and_doubles_nothing() {
    rounds(Mode::StoppedOwner, 2);
}

#[test]
fn k2_an_owner_that_was_only_half_fenced_goes_on() {
    rounds(Mode::HalfFence, 2);
}

#[test]
fn k1_a_commit_that_comes_late_commits_no_part_of_the_next_transaction() {
    rounds(Mode::LateCommit, 2);
}

#[test]
fn what_a_dead_owner_had_sent_and_comes_late_doubles_nothing() {
    rounds(Mode::LateRequest, 2);
}

#[test]
fn a_network_that_cuts_delays_and_loses_replies_loses_and_doubles_nothing() {
    rounds(Mode::Wire, 3);
}

#[test]
fn of_two_runs_the_newer_wins_and_the_older_exits_1() {
    rounds(Mode::TwoRuns, 2);
}

#[test]
fn two_that_are_started_again_and_again_double_nothing() {
    rounds(Mode::Fight, 2);
}

#[test]
fn two_that_both_believe_to_own_a_split_double_nothing() {
    rounds(Mode::TwoOwners, 2);
}

#[test]
fn a_broker_that_is_killed_and_comes_back_loses_and_doubles_nothing() {
    rounds(Mode::BrokerCrash, 1);
}

#[test]
fn a_failpoint_and_sigkill_lose_and_double_nothing_of_packed_files() {
    rounds_from(Source::Packed, Mode::Failpoint, 1);
    rounds_from(Source::Packed, Mode::Kill, 1);
}

#[test]
fn a_failpoint_and_sigkill_lose_and_double_nothing_of_files_on_s3() {
    rounds_from(Source::S3, Mode::Failpoint, 1);
    rounds_from(Source::S3, Mode::Kill, 1);
}

#[test]
fn a_failpoint_and_sigkill_lose_and_double_no_change_of_full_dumps() {
    rounds_from(Source::Dump, Mode::Failpoint, 2);
    rounds_from(Source::Dump, Mode::Kill, 1);
}
