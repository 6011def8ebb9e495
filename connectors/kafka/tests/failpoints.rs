//! The sink fails on its way into a split: the next one finds everything as it was. (Those of an epoch are in `suite.rs`.)

#![cfg(feature = "failpoints")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use fixture::World;
use unbatch_api::{Kind, failpoint};

/// In order. After `topic.after_write_owner` the owner was raised already, so the next one is two higher.
const PLACES: [(&str, u64); 4] =
    [("topic.before_init", 1), ("topic.after_init", 1), ("topic.after_read_state", 1), ("topic.after_write_owner", 2)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_that_fails_midway_leaves_the_split_as_it_was() {
    let Some(world) = World::start("an_open_that_fails_midway_leaves_the_split_as_it_was") else { return };
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
