//! Rules K1 to K8 of exactly-once delivery into Kafka, one schedule each that breaks the promise without the rule. With the
//! feature `failpoints` and `UNBATCH_SABOTAGE=K<n>` the rule is off, and its test must fail.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use fixture::{DEADLINE, Owner, World, id};
use std::sync::Arc;
use std::time::{Duration, Instant};
use unbatch_api::testkit::RowBatch;
use unbatch_api::testkit::context::{admit_all, limits};
use unbatch_api::{Error, Facts, Kind, Result, SinkConnector, SinkContext, Stored};
use unbatch_kafka::Topic;
use unbatch_test_harness::{ApiKey, Fault, Rule, wait_until_async};

/// A commit request that a network held back arrives inside the next transaction, after the client had repeated it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k1_a_late_commit_request_commits_nothing_of_the_next_epoch() {
    let Some(world) = World::start("k1_a_late_commit_request_commits_nothing_of_the_next_epoch") else { return };
    let cx = world.context();
    let reports = cx.reports.clone();
    let mut owner = world.open_with(world.config(""), cx).await.unwrap();
    let held = world.proxy.once(ApiKey::EndTxn, Fault::HoldAndCut);
    owner.commit(3).await.unwrap();
    assert_eq!(held.struck(), 1, "the commit request was not held");

    // The next epoch's rows are in the topic; what follows them is kept back, so that its transaction stays open.
    let open = world.proxy.arm(Rule::new(ApiKey::Produce, Fault::Hold).naming(&world.state_topic()));
    owner.write(3).await.unwrap();
    let seal = tokio::spawn(owner.seal());
    tokio::task::block_in_place(|| {
        open.when_struck(DEADLINE);
        held.deliver(DEADLINE);
        assert_eq!(world.ids(), [0, 1, 2], "a late commit request committed rows of an open epoch");
        open.deliver(DEADLINE);
    });
    seal.await.unwrap().unwrap();
    assert_eq!(world.ids(), [0, 1, 2, 3, 4, 5]);
    assert!(reports.numbers()["late_commits_total"] >= 1);
    drop(owner);
    assert_eq!(world.open().await.unwrap().at(), 6);
}

/// What the broker does to an epoch that is open too long looks like a newer owner, and is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k2_an_epoch_that_is_open_too_long_is_dropped_and_is_not_fenced() {
    let Some(world) = World::start("k2_an_epoch_that_is_open_too_long_is_dropped_and_is_not_fenced") else { return };
    let world = world.property("transaction.timeout.ms", "4000");
    let mut owner = world.open_with(world.config(""), small_memory(&world)).await.unwrap();
    owner.commit(3).await.unwrap();
    // More than half of the sink's memory, so that the transaction begins before its seal.
    let begun = world.proxy.seen(ApiKey::AddPartitionsToTxn);
    let large = RowBatch::new("rows", 3..6).text(&"x".repeat(900_000)).build();
    owner.write_batch(large, 3).await.unwrap();
    tokio::task::block_in_place(|| world.proxy.when_seen(ApiKey::AddPartitionsToTxn, begun + 1, DEADLINE));
    let error = wait_until_refused(&mut owner).await;
    assert_eq!((error.kind(), error.code_text()), (Kind::Transient, Some("U0284")), "{error:?}");
    drop(owner);
    let owner = world.open().await.unwrap();
    assert_eq!((owner.at(), world.ids()), (3, vec![0, 1, 2]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k2_a_newer_owner_fences() {
    let Some(world) = World::start("k2_a_newer_owner_fences") else { return };
    let mut old = world.open().await.unwrap();
    old.commit(3).await.unwrap();
    old.write(3).await.unwrap();
    let mut new = world.open().await.unwrap();
    assert_eq!(new.facts.owner, old.facts.owner + 1);
    let error = old.seal().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Fenced, "{error:?}");
    new.commit(2).await.unwrap();
    assert_eq!(world.ids(), [0, 1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k2_an_owner_with_nothing_to_commit_learns_that_it_was_replaced() {
    let Some(world) = World::start("k2_an_owner_with_nothing_to_commit_learns_that_it_was_replaced") else { return };
    let mut old = world.open().await.unwrap();
    old.commit(3).await.unwrap();
    let alone = tokio::time::timeout(Duration::from_secs(7), old.sink.ended()).await;
    assert!(alone.is_err(), "it ended without a successor: {alone:?}");
    let _new = world.open().await.unwrap();
    let error = tokio::time::timeout(DEADLINE, old.sink.ended()).await.unwrap();
    assert_eq!((error.kind(), error.code_text()), (Kind::Fenced, Some("U0287")), "{error:?}");
}

/// Splits 0 and 128 share a partition of the state topic. Both owners die with an open transaction in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k3_fencing_every_split_before_reading_any_state_waits_for_no_time_out() {
    let Some(world) = World::start("k3_fencing_every_split_before_reading_any_state_waits_for_no_time_out") else {
        return;
    };
    let world = world.property("transaction.timeout.ms", "40000");
    let context = |split| SinkContext { place: world.place(split), ..world.context() };
    let mut dying = Vec::new();
    for split in [0, 128] {
        dying.push(world.open_with(world.config(""), context(split)).await.unwrap());
    }
    let held = world.proxy.arm(Rule::new(ApiKey::EndTxn, Fault::Hold).times(2));
    let mut seals = Vec::new();
    for owner in &mut dying {
        owner.write(2).await.unwrap();
        seals.push(tokio::spawn(owner.seal()));
    }
    tokio::task::block_in_place(|| held.when_struck_times(2, DEADLINE));

    let start = Instant::now();
    let fences = [0, 128].map(|split| tokio::spawn(Topic::fence(world.config(""), context(split))));
    let mut fenced = Vec::new();
    for fence in fences {
        fenced.push(fence.await.unwrap().unwrap());
    }
    for fenced in fenced {
        assert_eq!(Owner::of(fenced.open(admit_all()).await.unwrap()).at(), 0);
    }
    // The transactions would end by themselves after 40 s.
    assert!(start.elapsed() < Duration::from_secs(20), "taking two splits over took {:?}", start.elapsed());
    held.discard();
    assert!(world.ids().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k4_a_state_topic_that_was_made_anew_is_lost() {
    let Some(world) = World::start("k4_a_state_topic_that_was_made_anew_is_lost") else { return };
    world.open().await.unwrap().commit(3).await.unwrap();
    let state = world.state_topic();
    tokio::task::block_in_place(|| {
        let admin = world.admin();
        admin.delete(&[&state]).unwrap();
        wait_gone(&admin, &state);
    });
    is_lost(&world, "U0264").await;
    tokio::task::block_in_place(|| world.broker.create_topic(&state, 128, &[("cleanup.policy", "compact")]));
    is_lost(&world, "U0264").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k4_a_state_topic_that_may_forget_is_refused() {
    let Some(world) = World::start("k4_a_state_topic_that_may_forget_is_refused") else { return };
    world.open().await.unwrap().commit(3).await.unwrap();
    let state = world.state_topic();
    let policy = |policy: &'static str| {
        tokio::task::block_in_place(|| {
            let admin = world.admin();
            admin.alter_topic_config(&state, &[("cleanup.policy", policy)]).unwrap();
            // a broker takes a change over a moment after it has confirmed it
            let is_known = || admin.topic_configs(&[&state]).unwrap()[&state]["cleanup.policy"] == policy;
            unbatch_test_harness::wait_until(DEADLINE, "the new cleanup.policy", is_known);
        });
    };
    policy("compact,delete");
    let error = opening(&world).await;
    assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0265")), "{error:?}");
    assert!(error.remedy().unwrap().contains("kafka-configs.sh"), "{error:?}");
    policy("compact");
    assert_eq!(world.open().await.unwrap().at(), 3);
    tokio::task::block_in_place(|| {
        let admin = world.admin();
        admin.add_partitions(&state, 129).unwrap();
        let is_known = || admin.topic(&state).unwrap().is_some_and(|facts| facts.partitions == 129);
        unbatch_test_harness::wait_until(DEADLINE, "the new partition", is_known);
    });
    is_lost(&world, "U0264").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k5_a_data_topic_that_was_made_anew_is_lost() {
    let Some(world) = World::start("k5_a_data_topic_that_was_made_anew_is_lost") else { return };
    world.open().await.unwrap().commit(3).await.unwrap();
    tokio::task::block_in_place(|| {
        let admin = world.admin();
        admin.delete(&[&world.topic]).unwrap();
        wait_gone(&admin, &world.topic);
    });
    is_lost(&world, "U0291").await;
    tokio::task::block_in_place(|| world.broker.create_topic(&world.topic, 1, &[]));
    is_lost(&world, "U0291").await;
    // Whoever jumps has looked at the topics.
    let facts = Topic::rewrite(world.config(""), world.context(), Box::new(|_| Ok(None))).await.unwrap();
    let mut owner = world.open().await.unwrap();
    assert_eq!((owner.at(), owner.facts.generation), (0, facts.generation));
    owner.commit(2).await.unwrap();
    assert_eq!(world.ids(), [0, 1]);
}

/// A sink with a new name has no say over the topic that it wrote to before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k5_the_topic_of_an_earlier_name_may_go_once_it_was_proven() {
    let Some(world) = World::start("k5_the_topic_of_an_earlier_name_may_go_once_it_was_proven") else { return };
    let renamed = || {
        let text = format!(r#"{{"name": "{}.renamed", "partitions": 1}}"#, world.deployment());
        std::sync::Arc::new(serde_json::from_str(&text).unwrap())
    };
    world.open().await.unwrap().commit(3).await.unwrap();
    let remove = |topic: &str| {
        tokio::task::block_in_place(|| {
            let admin = world.admin();
            admin.delete(&[topic]).unwrap();
            wait_gone(&admin, topic);
        });
    };
    let mut owner = world.open_with(renamed(), world.context()).await.unwrap();
    owner.commit(2).await.unwrap();
    drop(owner);
    remove(&world.topic);
    let mut owner = world.open_with(renamed(), world.context()).await.unwrap();
    owner.commit(2).await.unwrap();
    assert_eq!(owner.at(), 7);
    drop(owner);
    remove(&format!("{}.renamed", world.deployment()));
    let error = world.open_with(renamed(), world.context()).await.err().expect("a topic that was deleted was opened");
    assert_eq!((error.kind(), error.code_text()), (Kind::Lost, Some("U0291")), "{error:?}");
    // a rename does not hide a loss
    is_lost(&world, "U0291").await;
}

/// An old copy of the state topic: its last record is older than rows that are in the data topic.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k5_a_state_that_was_set_back_is_lost() {
    let Some(world) = World::start("k5_a_state_that_was_set_back_is_lost") else { return };
    let mut owner = world.open().await.unwrap();
    owner.commit(3).await.unwrap();
    let old = last_state(&world);
    owner.commit(3).await.unwrap();
    drop(owner);
    let value = old.value.clone().unwrap();
    tokio::task::block_in_place(|| write_record(&world, &old, &value));
    is_lost(&world, "U0292").await;
}

/// An unclean election: the topic ends before the offset that was committed last.
/// A kill test found it: the state was read, another owner opened and committed, and then the topic was ahead of what was read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k5_an_owner_that_commits_between_the_two_reads_is_no_loss() {
    let Some(world) = World::start("k5_an_owner_that_commits_between_the_two_reads_is_no_loss") else { return };
    world.open().await.unwrap().commit(3).await.unwrap();
    let world = Arc::new(world);
    let (other_world, runtime) = (world.clone(), tokio::runtime::Handle::current());
    let fenced = Topic::fence(world.config(""), world.context()).await.unwrap();
    let admit = move |stored: Option<&Stored>| {
        runtime.block_on(async { other_world.open().await?.commit(2).await })?;
        admit_all()(stored)
    };
    let error = fenced.open(Box::new(admit)).await.err().expect("it was opened over a newer owner");
    assert_eq!((error.kind(), error.code_text()), (Kind::Transient, Some("U0287")), "{error:?}");
    assert_eq!(world.open().await.unwrap().at(), 5);
    assert_eq!(world.ids(), [0, 1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k5_a_topic_that_lost_its_end_is_lost() {
    let Some(world) = World::start("k5_a_topic_that_lost_its_end_is_lost") else { return };
    world.open().await.unwrap().commit(3).await.unwrap();
    let old = last_state(&world);
    let value = old.value_text().replace(
        &format!(r#""last":{{"{}":{{"0":2}}}}"#, world.topic),
        &format!(r#""last":{{"{}":{{"0":200}}}}"#, world.topic),
    );
    assert_ne!(value, old.value_text());
    tokio::task::block_in_place(|| write_record(&world, &old, value.as_bytes()));
    is_lost(&world, "U0291").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k6_added_partitions_get_no_rows_until_they_are_confirmed() {
    let Some(world) = World::start("k6_added_partitions_get_no_rows_until_they_are_confirmed") else { return };
    let config = |partitions: &str| {
        std::sync::Arc::new(serde_json::from_str(&format!(r#"{{"name": "{}"{partitions}}}"#, world.topic)).unwrap())
    };
    tokio::task::block_in_place(|| world.broker.create_topic(&world.topic, 2, &[]));
    let mut owner = world.open_with(config(""), world.context()).await.unwrap();
    owner.commit(20).await.unwrap();
    tokio::task::block_in_place(|| {
        let admin = world.admin();
        admin.add_partitions(&world.topic, 4).unwrap();
        let is_known = || admin.topic(&world.topic).unwrap().is_some_and(|facts| facts.partitions == 4);
        unbatch_test_harness::wait_until(DEADLINE, "the new partition", is_known);
    });
    // A sink that is open goes on as it began.
    owner.commit(20).await.unwrap();
    assert!(world.visible(&world.topic).iter().all(|record| record.partition < 2));
    drop(owner);
    let error = world.open_with(config(""), world.context()).await.err().expect("a changed partition count was taken");
    assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0280")), "{error:?}");
    let mut owner = world.open_with(config(r#", "partitions": 4"#), world.context()).await.unwrap();
    owner.commit(40).await.unwrap();
    assert!(world.visible(&world.topic).iter().any(|record| record.partition >= 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k7_what_admit_refuses_is_not_opened_and_not_written() {
    let Some(world) = World::start("k7_what_admit_refuses_is_not_opened_and_not_written") else { return };
    let owner = world.open().await.unwrap();
    let revision_2 = Topic::fence(world.config(""), world.context()).await.unwrap();
    let admit = |stored: Option<&Stored>| Ok(Facts { revision: 2, ..stored.cloned().unwrap().facts });
    let newer = revision_2.open(Box::new(admit)).await.unwrap();
    let before = world.settled(&world.state_topic()).len();
    let revision_1 = Topic::fence(world.config(""), world.context()).await.unwrap();
    let refused = revision_1
        .open(Box::new(|stored: Option<&Stored>| -> Result<Facts> {
            assert_eq!(stored.map(|stored| stored.facts.revision), Some(2));
            Err(Error::misconfigured("a lower revision was asked to open"))
        }))
        .await;
    assert_eq!(refused.err().map(|e| e.kind()), Some(Kind::Misconfigured));
    assert_eq!(world.settled(&world.state_topic()).len(), before, "a refused open wrote");
    drop((owner, newer));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k8_a_row_that_is_too_large_is_set_aside_and_the_others_go_on() {
    let Some(world) = World::start("k8_a_row_that_is_too_large_is_set_aside_and_the_others_go_on") else { return };
    let mut owner =
        world.open_with(world.config(r#""config": {"max.message.bytes": 20000}"#), world.context()).await.unwrap();
    owner.write(2).await.unwrap();
    // Random text, so that compression cannot make it fit.
    let mut seed = 1_u64;
    let mut letter = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + (seed >> 33) as u8 % 90)
    };
    let text: String = (0..40_000).map(|_| letter()).collect();
    owner.write_batch(RowBatch::new("rows", 2..3).text(&text).build(), 1).await.unwrap();
    owner.write(1).await.unwrap();
    let receipt = owner.seal().await.unwrap();
    assert_eq!((receipt.written, receipt.rejected), (3, 1));
    assert_eq!(world.ids(), [0, 1, 3]);
    let mut quarantine = Topic::quarantine(world.config(""), world.place(0)).await.unwrap();
    let page = quarantine.list(&Default::default(), None, 10).await.unwrap();
    let entry = &page.entries[0];
    assert_eq!((entry.code.as_str(), entry.origin.to_string().as_str()), ("too_large", "rows#2"));
    let unbatch_api::RawRow::Row(row) = &entry.raw else { panic!("not the row: {:?}", entry.code) };
    assert_eq!(row["text"].as_str(), Some(text.as_str()));
}

fn small_memory(world: &World) -> SinkContext {
    let mut cx = world.context();
    cx.limits = unbatch_api::Limits { memory_bytes: 8 << 20, ..limits() };
    cx
}

/// The error of an open that must not succeed.
async fn opening(world: &World) -> Error {
    world.open().await.err().expect("the split was opened")
}

async fn is_lost(world: &World, code: &str) {
    let error = opening(world).await;
    assert_eq!((error.kind(), error.code_text()), (Kind::Lost, Some(code)), "{error:?}");
}

fn wait_gone(admin: &unbatch_kafka_client::Admin, topic: &str) {
    unbatch_test_harness::wait_until(DEADLINE, "the topic to go", || admin.topic(topic).unwrap().is_none());
}

fn last_state(world: &World) -> unbatch_test_harness::Record {
    let records = world.settled(&world.state_topic());
    records.into_iter().rfind(|record| record.key_text() == "rows/0").expect("no state record")
}

/// Writes past the product, as a restored copy would.
fn write_record(world: &World, at: &unbatch_test_harness::Record, value: &[u8]) {
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    let producer: BaseProducer = world.broker.client().create().unwrap();
    let record = BaseRecord::to(&at.topic).partition(at.partition).key(at.key_text()).payload(value);
    producer.send(record).map_err(|(e, _)| e).unwrap();
    producer.flush(DEADLINE).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_dropped_before_its_seal_is_gone_at_once() {
    let Some(world) = World::start("what_was_dropped_before_its_seal_is_gone_at_once") else { return };
    let mut owner = world.open_with(world.config(""), small_memory(&world)).await.unwrap();
    let begun = world.proxy.seen(ApiKey::AddPartitionsToTxn);
    owner.write_batch(RowBatch::new("rows", 0..3).text(&"x".repeat(900_000)).build(), 3).await.unwrap();
    tokio::task::block_in_place(|| world.proxy.when_seen(ApiKey::AddPartitionsToTxn, begun + 1, DEADLINE));
    drop(owner);
    // Readers need not wait for the time-out of 60 s: the thread ends its transaction before it goes.
    let seen = || tokio::task::block_in_place(|| world.settled(&world.topic).iter().map(id).collect::<Vec<_>>());
    wait_until_async(DEADLINE, "the end of the dropped transaction", || seen().is_empty()).await;
}

/// Writes a row every now and then until the sink takes no more.
async fn wait_until_refused(owner: &mut fixture::Owner) -> unbatch_api::Error {
    let begin = Instant::now();
    loop {
        if let Err(error) = owner.write(1).await {
            return error;
        }
        assert!(begin.elapsed() < DEADLINE, "the epoch was never dropped");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
