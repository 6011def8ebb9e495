//! A seed replays: the same plan gives the same run, or its number would be worth nothing.

use unbatch_simulation_tests::{Plan, Sabotage, simulate};

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1..=20 {
        let run = || simulate(&Plan::of(seed), Sabotage::None).map(|summary| format!("{summary:?}"));
        assert_eq!(run().unwrap(), run().unwrap(), "seed {seed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_violation() {
    let sabotage = Sabotage::Sink("progress_apart");
    let run = |seed| simulate(&Plan::of(seed), sabotage).err().map(|violation| violation.seen);
    let first: Vec<_> = (1..=10).map(run).collect();
    assert!(first.iter().any(Option::is_some));
    assert_eq!(first, (1..=10).map(run).collect::<Vec<_>>());
}
