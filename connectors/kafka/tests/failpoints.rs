//! The sink fails on its way into a split: the next one finds everything as it was. It stands still after a commit: its
//! successor is left alone. (The places of an epoch where it fails are in `suite.rs`.)

#![cfg(feature = "failpoints")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use fixture::{DEADLINE, World};
use unbatch_api::{Kind, failpoint};
use unbatch_test_harness::{ApiKey, Fault, wait_until_async};

/// What is armed is armed for the whole process.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// In order. After `topic.after_write_owner` the owner was raised already, so the next one is two higher.
const PLACES: [(&str, u64); 4] =
    [("topic.before_init", 1), ("topic.after_init", 1), ("topic.after_read_state", 1), ("topic.after_write_owner", 2)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_that_fails_midway_leaves_the_split_as_it_was() {
    let Some(world) = World::start("an_open_that_fails_midway_leaves_the_split_as_it_was") else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut owner = world.open().await.unwrap();
    owner.commit(3).await.unwrap();
    let (mut rows, mut number) = (3, owner.facts.owner);
    drop(owner);
    for (place, raised) in PLACES {
        failpoint::arm(&format!("{place}=fail"));
        let failed = world.open().await.err().map(|e| e.kind());
        failpoint::arm("");
        assert_eq!(failed, Some(Kind::Transient), "{place}");
        let mut owner = world.open().await.unwrap();
        assert_eq!((owner.at(), owner.facts.owner), (rows, number + raised), "{place}");
        owner.commit(2).await.unwrap();
        (rows, number) = (rows + 2, owner.facts.owner);
        assert_eq!(world.ids(), (0..rows).collect::<Vec<_>>(), "{place}");
    }
}

/// An owner that stood still behind a late commit, for longer than its successor needed to take over: the new producer that
/// rule K1 wants must not fence the one that is at work now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k1_an_owner_that_was_replaced_behind_a_late_commit_leaves_its_successor_alone() {
    let test = "k1_an_owner_that_was_replaced_behind_a_late_commit_leaves_its_successor_alone";
    let Some(world) = World::start(test) else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut old = world.open().await.unwrap();
    let held = world.proxy.once(ApiKey::EndTxn, Fault::HoldAndCut);
    old.write(3).await.unwrap();
    failpoint::arm("topic.after_commit=delay:8000@1");
    let seal = tokio::spawn(old.seal());
    let committed = || tokio::task::block_in_place(|| world.ids().len() == 3);
    wait_until_async(DEADLINE, "the late commit", committed).await;
    assert_eq!(held.struck(), 1, "the commit was not late");
    let mut new = world.open().await.unwrap();
    new.commit(2).await.unwrap();
    assert!(!seal.is_finished(), "the older owner did not stand still for long enough");
    let error = seal.await.unwrap().unwrap_err();
    failpoint::arm("");
    assert_eq!((error.kind(), error.code_text()), (Kind::Fenced, Some("U0287")), "{error:?}");
    new.commit(2).await.expect("the successor was fenced by the owner before it");
    assert_eq!(world.ids(), (0..7).collect::<Vec<_>>());
}
