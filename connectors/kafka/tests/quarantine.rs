//! The quarantine topic: whose entries it holds, and which topics cannot be one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use fixture::World;
use std::sync::Arc;
use unbatch_api::quarantine::{QuarantineFilter, QuarantineReader};
use unbatch_api::testkit::row_batch;
use unbatch_api::{
    CheckContext, Error, Kind, PipelineName, RawRow, RejectedRow, RowOrigin, SinkConnector, SinkContext, SplitId,
    Stage, StreamName,
};
use unbatch_kafka::{Topic, TopicConfig};

fn refused(delivery: &str) -> RejectedRow {
    RejectedRow {
        code: "bad_int32".into(),
        message: "column `counted`: not an int32".into(),
        stage: Stage::Source,
        stream: StreamName::new("rows"),
        origin: RowOrigin::File { file: "stock.csv".into(), delivery: delivery.into(), line: 2, byte: 20 },
        raw: RawRow::of(delivery.to_owned()),
    }
}

async fn commit(world: &World, cx: SinkContext, deliveries: &[&str]) {
    let mut owner = world.open_with(world.config(""), cx).await.unwrap();
    let mut batch = row_batch("rows", owner.written..owner.written + 1);
    batch.rejected = deliveries.iter().map(|delivery| refused(delivery)).collect();
    owner.write_batch(batch, 1).await.unwrap();
    owner.seal().await.unwrap();
}

async fn kept(world: &World, place: CheckContext) -> Vec<RawRow> {
    let mut reader = Topic::quarantine(world.config(""), place).await.unwrap();
    let page = reader.list(&Default::default(), None, 100).await.unwrap();
    page.entries.into_iter().map(|entry| entry.raw).collect()
}

/// Each is told once, by the page that goes over it, and takes no place of an entry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_entry_is_told_once_whatever_the_pages() {
    let Some(world) = World::start("what_is_no_entry_is_told_once_whatever_the_pages") else { return };
    commit(&world, world.context(), &["one", "two"]).await;
    let topic = format!("{}.rows.quarantine", world.deployment());
    let first = Topic::quarantine(world.config(""), world.place(0)).await.unwrap();
    let entries = listed(first, 100, &Default::default()).await.0;
    write(&world, &topic, "f00d", "no JSON");
    // an entry that is overwritten so is none any more, and neither waits nor is done with
    write(&world, &topic, &entries[0], "{}");
    commit(&world, world.context(), &["three"]).await;
    write(&world, &topic, "beef", "[]");
    for limit in [1, 2, 3, 100] {
        let reader = Topic::quarantine(world.config(""), world.place(0)).await.unwrap();
        let (found, unreadable) = listed(reader, limit, &Default::default()).await;
        assert_eq!((found.len(), &found[0]), (2, &entries[1]), "pages of {limit}");
        assert_eq!(unreadable, ["f00d", entries[0].as_str(), "beef"], "pages of {limit}");
    }
    let filter = QuarantineFilter { ids: Some(vec!["be".into()]), ..QuarantineFilter::default() };
    let reader = Topic::quarantine(world.config(""), world.place(0)).await.unwrap();
    assert_eq!(listed(reader, 10, &filter).await, (vec![], vec!["beef".to_owned()]));
}

/// Ids of all entries, page by page, and of what is none.
async fn listed(
    mut reader: Box<dyn QuarantineReader>,
    limit: usize,
    filter: &QuarantineFilter,
) -> (Vec<String>, Vec<String>) {
    let (mut entries, mut unreadable, mut after) = (vec![], vec![], None);
    loop {
        let page = reader.list(filter, after.as_deref(), limit).await.unwrap();
        entries.extend(page.entries.into_iter().map(|entry| entry.id));
        unreadable.extend(page.unreadable.into_iter().map(|one| one.id));
        match page.next {
            Some(next) => after = Some(next),
            None => return (entries, unreadable),
        }
    }
}

fn write(world: &World, topic: &str, key: &str, value: &str) {
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    let producer: BaseProducer = world.broker.client().create().unwrap();
    producer.send(BaseRecord::to(topic).partition(0).key(key).payload(value)).map_err(|(e, _)| e).unwrap();
    tokio::task::block_in_place(|| producer.flush(std::time::Duration::from_secs(60))).unwrap();
}

fn rows(deliveries: &[&str]) -> Vec<RawRow> {
    deliveries.iter().map(|delivery| RawRow::of((*delivery).to_owned())).collect()
}

fn of_pipeline(world: &World, pipeline: &str, quarantine: &str) -> CheckContext {
    let split = SplitId::new(PipelineName::parse(pipeline).unwrap(), 0);
    CheckContext { split, quarantine_name: Some(quarantine.to_owned()), ..world.place(0) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_line_of_tomorrows_file_replaces_nothing_and_a_row_that_is_read_again_replaces_itself() {
    let test = "the_same_line_of_tomorrows_file_replaces_nothing_and_a_row_that_is_read_again_replaces_itself";
    let Some(world) = World::start(test) else { return };
    commit(&world, world.context(), &["monday"]).await;
    commit(&world, world.context(), &["tuesday", "tuesday"]).await;
    assert_eq!(kept(&world, world.place(0)).await, rows(&["monday", "tuesday"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelines_that_share_a_topic_keep_their_entries_apart() {
    let Some(world) = World::start("pipelines_that_share_a_topic_keep_their_entries_apart") else { return };
    let shared = format!("{}.refused", world.deployment());
    for (pipeline, deliveries) in [("rows", ["one", "same"]), ("others", ["two", "same"])] {
        let cx = SinkContext { place: of_pipeline(&world, pipeline, &shared), ..world.context() };
        commit(&world, cx, &deliveries).await;
    }
    assert_eq!(kept(&world, of_pipeline(&world, "rows", &shared)).await, rows(&["one", "same"]));
    assert_eq!(kept(&world, of_pipeline(&world, "others", &shared)).await, rows(&["two", "same"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_forgets_or_takes_next_to_nothing_is_no_quarantine() {
    let Some(world) = World::start("a_topic_that_forgets_or_takes_next_to_nothing_is_no_quarantine") else { return };
    let unfit: [(&str, &[(&str, &str)]); 3] = [
        ("forgets", &[("cleanup.policy", "delete")]),
        ("half", &[("cleanup.policy", "compact,delete")]),
        ("tiny", &[("cleanup.policy", "compact"), ("max.message.bytes", "700")]),
    ];
    for (name, settings) in unfit {
        let topic = format!("{}.{name}", world.deployment());
        tokio::task::block_in_place(|| world.broker.create_topic(&topic, 1, settings));
        let place = of_pipeline(&world, "rows", &topic);
        let error = opening(&world, world.config(""), place.clone()).await;
        assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0300")), "{name}: {error:?}");
        assert!(error.remedy().unwrap().contains("kafka-configs.sh"), "{name}: {error:?}");
        let findings = Topic::check(world.config(""), place).await.unwrap();
        assert!(findings.iter().any(|finding| finding.code == "U0300"), "{name}: {findings:?}");
    }
    let topic = format!("{}.forgets", world.deployment());
    let mut settings = world.settings.clone();
    settings.allow_unsafe_topics.push(topic.clone());
    let mut place = of_pipeline(&world, "rows", &topic);
    place.resources.insert(settings);
    let cx = SinkContext { place, ..world.context() };
    world.open_with(world.config(""), cx).await.expect("it was allowed by name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_topic_has_two_purposes() {
    let Some(world) = World::start("no_topic_has_two_purposes") else { return };
    let deployment = world.deployment().to_string();
    let named =
        |name: &str| Arc::new(serde_json::from_str::<TopicConfig>(&format!(r#"{{"name": "{name}"}}"#)).unwrap());
    let cases = [
        (format!("{deployment}.rows.quarantine"), None),
        (format!("{deployment}.refused"), Some(format!("{deployment}.refused"))),
        (format!("{deployment}.state"), None),
        ("__consumer_offsets".to_owned(), None),
        (world.topic.clone(), Some(format!("{deployment}.config"))),
    ];
    for (topic, quarantine) in cases {
        let place = CheckContext { quarantine_name: quarantine, ..world.place(0) };
        let error = opening(&world, named(&topic), place.clone()).await;
        assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0299")), "{topic}: {error:?}");
        let findings = Topic::check(named(&topic), place).await.unwrap();
        assert!(findings.iter().any(|finding| finding.code == "U0299"), "{topic}: {findings:?}");
    }
    // of a name with places it shows only when the stream is known
    let mut owner = world.open_with(named("{stream}"), world.context()).await.unwrap();
    let batch = row_batch(&format!("{deployment}.schemas"), 0..1);
    let error = owner.write_batch(batch, 1).await.unwrap_err();
    assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0299")), "{error:?}");
}

/// The error of an open that must not succeed.
async fn opening(world: &World, config: Arc<TopicConfig>, place: CheckContext) -> Error {
    let cx = SinkContext { place, ..world.context() };
    world.open_with(config, cx).await.err().expect("the split was opened")
}
