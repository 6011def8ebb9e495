//! Crashes and failures at random and at named places: every row once, every file released once.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;

use harness::{Drops, numbered};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};
use unbatch_api::failpoint::arm;
use unbatch_api::{Bound, Checkpoint};

/// Failpoints belong to the process: tests that arm one take turns.
async fn turn() -> MutexGuard<'static, ()> {
    static ARMED: Mutex<()> = Mutex::const_new(());
    ARMED.lock().await
}

#[tokio::test]
async fn a_crash_at_any_place_of_a_release_loses_and_doubles_nothing() {
    let _turn = turn().await;
    for place in ["before_release_rename", "after_release_rename", "before_archive", "after_archive", "after_release"] {
        let drops = Drops::new().with("after", json!({"move_to": "archive"}));
        drops.deliver("a.csv", numbered(0..2));
        let mut run = drops.open(Bound::Once).await;
        run.read_all().await.unwrap();
        run.seal().await.unwrap();
        arm(&format!("csv.{place}=fail@1"));
        assert!(run.source.settle(&run.committed).await.is_err(), "{place}");
        let committed = run.committed.clone();
        drop(run);
        arm("");
        let mut run = drops.open_at(committed, Bound::Once).await.unwrap();
        run.finish().await.unwrap();
        assert!(run.rows.is_empty(), "{place}: {:?}", run.rows);
        assert_eq!(drops.names_in("drops"), [".unbatch-owner-test.stock-counts"], "{place}");
        assert_eq!(drops.names_in("archive").len(), 1, "{place}");
    }
}

/// Reads in an engine that commits when it likes and dies when it likes, until a bounded run comes to its end.
#[tokio::test]
async fn whatever_fails_every_row_arrives_once() {
    let _turn = turn().await;
    let start: u64 =
        std::env::var("UNBATCH_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| rand::rng().random());
    for seed in start..start.saturating_add(25) {
        println!("UNBATCH_SEED={seed}");
        round(&mut StdRng::seed_from_u64(seed)).await;
    }
    arm("");
}

async fn round(random: &mut StdRng) {
    let after = [json!("keep"), json!("delete"), json!({"move_to": "archive"})];
    let drops = Drops::new()
        .with("after", after[random.random_range(0..3)].clone())
        .with("ready_when", json!({"stable_for": "1ms"}))
        .with("poll", json!("1ms"));
    let files: u64 = random.random_range(1..6);
    let mut want = Vec::new();
    for file in 0..files {
        let (from, rows) = (file * 1000, random.random_range(0..40));
        drops.deliver(&format!("{file}.csv"), numbered(from..from + rows));
        want.extend((from..from + rows).map(|n| format!("{file}.csv:{} {n}|row-{n}", n - from + 2)));
    }
    let (mut committed, mut rows) = (Checkpoint::default(), Vec::new());
    loop {
        arm(&faults(random));
        let lived = live(&drops, &mut committed, &mut rows, random).await;
        if lived {
            break;
        }
    }
    assert_eq!(rows, want);
    arm("");
    let mut last = drops.open_at(committed, Bound::Once).await.unwrap();
    last.finish().await.unwrap();
    assert!(last.rows.is_empty(), "{:?}", last.rows);
    let left = drops.names_in("drops").iter().filter(|n| n.ends_with(".csv")).count() as u64;
    let archived = drops.names_in("archive").len() as u64;
    let expected = match drops.config["after"].as_str() {
        Some("keep") => (files, 0),
        Some(_) => (0, 0),
        None => (0, files),
    };
    assert_eq!((left, archived), expected, "{:?}", drops.names_in("drops"));
}

fn faults(random: &mut StdRng) -> String {
    let places = [
        "after_list",
        "after_read",
        "before_release_rename",
        "after_release_rename",
        "before_archive",
        "after_archive",
    ];
    let place = places[random.random_range(0..places.len())];
    format!("csv.{place}=fail@{}", random.random_range(1..12))
}

/// One life of a source; true when it came to its end and all is committed.
async fn live(drops: &Drops, committed: &mut Checkpoint, rows: &mut Vec<String>, random: &mut StdRng) -> bool {
    let portion = random.random_range(1..9);
    let Ok(mut run) = drops.open_with(committed.clone(), Bound::Once, |s| s.rows(portion)).await else { return false };
    let mut sealed = 0;
    let ended = loop {
        match run.next().await {
            Ok(true) if random.random_bool(0.05) => break false,
            Ok(true) if random.random_bool(0.4) => {
                run.commit().await.unwrap();
                sealed = run.rows.len();
            }
            Ok(true) => {}
            Ok(false) => {
                run.commit().await.unwrap();
                sealed = run.rows.len();
                break true;
            }
            Err(_) => break false,
        }
    };
    rows.extend_from_slice(&run.rows[..sealed]);
    *committed = run.committed.clone();
    ended && run.source.settle(committed).await.is_ok()
}
