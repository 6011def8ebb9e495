//! Random faults on the wire, from a seed: whatever is cut, lost, held and delivered late, each row appears once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use fixture::World;
use std::time::{Duration, Instant};
use unbatch_api::Kind;
use unbatch_test_harness::{Chaos, seed};

const EPOCHS: u64 = 60;
const ROWS: u64 = 20;
const TIME: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_row_appears_once_under_random_faults_of_the_network() {
    let test = "each_row_appears_once_under_random_faults_of_the_network";
    let Some(world) = World::start(test) else { return };
    let start = Instant::now();
    world.open().await.unwrap();
    world.proxy.chaos(Chaos::transactions(seed()));
    let (mut committed, mut opens, mut failures) = (0, 0, 0);
    while committed < EPOCHS * ROWS {
        assert!(start.elapsed() < TIME, "{committed} rows committed, {opens} opens, {failures} failures");
        let mut owner = match world.open().await {
            Ok(owner) => owner,
            Err(e) => {
                assert_eq!(e.kind(), Kind::Transient, "{e:?}");
                failures += 1;
                continue;
            }
        };
        opens += 1;
        assert!(owner.at() >= committed, "the checkpoint went back from {committed} to {}", owner.at());
        while owner.at() < EPOCHS * ROWS {
            match owner.commit(ROWS).await {
                Ok(receipt) => {
                    assert_eq!(receipt.written, ROWS);
                    committed = owner.at();
                }
                Err(e) => {
                    assert_eq!(e.kind(), Kind::Transient, "{e:?}");
                    failures += 1;
                    break;
                }
            }
        }
    }
    world.proxy.calm();
    let ids = tokio::task::block_in_place(|| world.settled(&world.topic).iter().map(fixture::id).collect::<Vec<_>>());
    let expected: Vec<u64> = (0..EPOCHS * ROWS).collect();
    assert_eq!(ids, expected, "after {opens} opens and {failures} failures");
    assert!(!world.proxy.strikes().is_empty(), "no fault struck");
}
