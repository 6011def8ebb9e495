//! What readers find in the topics: keys, values, headers, tombstones, partitions, quarantine, schemas, state.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use fixture::World;
use std::sync::Arc;
use unbatch_api::arrow::array::{RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array};
use unbatch_api::names::murmur2;
use unbatch_api::quarantine::{QuarantineFilter, RawRow};
use unbatch_api::testkit::{RowBatch, row_batch, table};
use unbatch_api::{
    Advance, Batch, Checkpoint, Delivery, Kind, Mark, Marks, NoteKey, Op, Ops, Origin, OriginColumns, Part, Position,
    Severity, SinkConnector,
};
use unbatch_kafka::Topic;
use unbatch_test_harness::Record;

const COLUMNS: &str = "sku: string not null, price: decimal(12,2), day: date";

fn prices(rows: &[&[Option<&str>]], ops: &[Op]) -> Batch {
    let mut batch = table("prices", COLUMNS, &["sku"], rows);
    batch.ops = Ops::PerRow(ops.to_vec());
    let count = rows.len() as u64;
    batch.origin = Origin {
        rows: OriginColumns::File {
            file: "stock.csv".into(),
            delivery: "".into(),
            lines: (17..17 + count).collect(),
            bytes: (0..count).collect(),
        },
        revision: 3,
    };
    batch
}

fn header(record: &Record, name: &str) -> Option<String> {
    record.header(name).map(|value| String::from_utf8(value.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_is_a_record_with_key_value_and_headers_and_a_delete_is_a_tombstone() {
    let Some(world) = World::start("a_row_is_a_record_with_key_value_and_headers_and_a_delete_is_a_tombstone") else {
        return;
    };
    let mut owner = world.open().await.unwrap();
    let rows: &[&[Option<&str>]] =
        &[&[Some("NL-1"), Some("2.50"), Some("2026-01-31")], &[Some("NL-2"), None, None], &[Some("NL-1"), None, None]];
    let mut batch = prices(rows, &[Op::Create, Op::Update, Op::Delete]);
    let mut marks = Marks::default();
    marks.set(1, 1, Mark::Unchanged);
    batch.marks = Some(marks);
    let times = TimestampMicrosecondArray::from(vec![Some(1_500_000), None, Some(2_000_001)]).with_timezone("UTC");
    batch.source_time = Some(Arc::new(times));
    let schema = batch.schema.id().to_string();
    owner.write_batch(batch, 3).await.unwrap();
    owner.seal().await.unwrap();

    let records = world.visible(&world.topic);
    let texts: Vec<(&str, Option<&[u8]>)> = records.iter().map(|r| (r.key_text(), r.value.as_deref())).collect();
    assert_eq!(
        texts,
        [
            (r#"{"sku":"NL-1"}"#, Some(br#"{"sku":"NL-1","price":"2.50","day":"2026-01-31"}"#.as_slice())),
            (r#"{"sku":"NL-2"}"#, Some(br#"{"sku":"NL-2","day":null}"#.as_slice())),
            (r#"{"sku":"NL-1"}"#, None),
        ]
    );
    assert!(records.iter().all(|record| header(record, "u").as_deref() == Some("1.rows/0.1")));
    let meta = |record: &Record| header(record, "meta").expect("a header for the row");
    assert_eq!(
        records.iter().map(meta).collect::<Vec<_>>(),
        [
            format!(
                r#"{{"op":"c","origin":"stock.csv:17 r3","schema":"{schema}","src_ts":"1970-01-01T00:00:01.500000Z"}}"#
            ),
            format!(r#"{{"op":"u","origin":"stock.csv:18 r3","schema":"{schema}","unchanged":["price"]}}"#),
            format!(
                r#"{{"op":"d","origin":"stock.csv:19 r3","schema":"{schema}","src_ts":"1970-01-01T00:00:02.000001Z"}}"#
            ),
        ]
    );
    let schemas = world.visible(&format!("{}.schemas", world.deployment()));
    assert_eq!(schemas.iter().map(Record::key_text).collect::<Vec<_>>(), [schema]);
    assert!(schemas[0].value_text().contains(r#""type":"decimal(12,2)""#), "{}", schemas[0].value_text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn minimal_headers_are_the_epoch_and_what_was_not_sent() {
    let Some(world) = World::start("minimal_headers_are_the_epoch_and_what_was_not_sent") else { return };
    let mut owner = world.open_with(world.config(r#""headers": "minimal""#), world.context()).await.unwrap();
    let mut batch = prices(&[&[Some("NL-1"), None, None], &[Some("NL-2"), None, None]], &[Op::Create, Op::Update]);
    let mut marks = Marks::default();
    marks.set(1, 1, Mark::Unchanged);
    batch.marks = Some(marks);
    owner.write_batch(batch, 2).await.unwrap();
    owner.seal().await.unwrap();
    let names = |record: &Record| record.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let records = world.visible(&world.topic);
    assert_eq!(records.iter().map(names).collect::<Vec<_>>(), [vec!["u"], vec!["u", "unchanged"]]);
    assert_eq!(header(&records[1], "unchanged").as_deref(), Some(r#"["price"]"#));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_key_leaves_a_tombstone_behind() {
    let Some(world) = World::start("a_changed_key_leaves_a_tombstone_behind") else { return };
    let mut owner = world.open().await.unwrap();
    let mut batch = prices(
        &[&[Some("new"), None, None], &[Some("same"), None, None], &[Some("x"), None, None]],
        &[Op::Update, Op::Update, Op::Update],
    );
    let columns = batch.rows.columns();
    let old = StringArray::from(vec![Some("old"), Some("same"), None]);
    let fields =
        batch.rows.schema().fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>();
    let nulls = |i: usize| new_null_array(columns[i].data_type(), 3);
    let schema = Arc::new(unbatch_api::arrow::datatypes::Schema::new(fields));
    batch.before = Some(RecordBatch::try_new(schema, vec![Arc::new(old), nulls(1), nulls(2)]).unwrap());
    owner.write_batch(batch, 3).await.unwrap();
    let receipt = owner.seal().await.unwrap();
    assert_eq!(receipt.written, 3, "a receipt counts rows, not records");
    let records = world.visible(&world.topic);
    let seen: Vec<(&str, bool)> = records.iter().map(|r| (r.key_text(), r.value.is_none())).collect();
    assert_eq!(
        seen,
        [
            (r#"{"sku":"old"}"#, true),
            (r#"{"sku":"new"}"#, false),
            (r#"{"sku":"same"}"#, false),
            (r#"{"sku":"x"}"#, false),
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_those_of_javas_partitioner() {
    let Some(world) = World::start("partitions_are_those_of_javas_partitioner") else { return };
    let config = |more: &str| {
        Arc::new(serde_json::from_str(&format!(r#"{{"name": "{}", "partitions": 5{more}}}"#, world.topic)).unwrap())
    };
    let mut owner = world.open_with(config(""), world.context()).await.unwrap();
    owner.commit(50).await.unwrap();
    let partition_of = |text: &str| ((murmur2(text.as_bytes()) & 0x7fff_ffff) % 5) as i32;
    for record in world.visible(&world.topic) {
        assert_eq!(record.partition, partition_of(record.key_text()), "{}", record.key_text());
    }
    let mut owner = world.open_with(config(r#", "partition_by": ["text"]"#), world.context()).await.unwrap();
    owner.write_batch(RowBatch::new("rows", 50..60).text("one").build(), 10).await.unwrap();
    owner.seal().await.unwrap();
    let records = world.visible(&world.topic);
    let late: Vec<&Record> = records.iter().filter(|r| fixture::id(r) >= 50).collect();
    assert_eq!(late.len(), 10);
    assert!(late.iter().all(|r| r.partition == partition_of(r#"{"text":"one"}"#)));
    let mut owner = world.open_with(config(r#", "key": []"#), world.context()).await.unwrap();
    owner.commit(3).await.unwrap();
    assert_eq!(world.visible(&world.topic).iter().filter(|r| r.key.is_none()).count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_stream_has_a_topic_of_its_own_or_the_pipeline_stops() {
    let Some(world) = World::start("each_stream_has_a_topic_of_its_own_or_the_pipeline_stops") else { return };
    let config = Arc::new(
        serde_json::from_str(&format!(r#"{{"name": "{}.{{table}}", "partitions": 2}}"#, world.deployment())).unwrap(),
    );
    let mut owner = world.open_with(config, world.context()).await.unwrap();
    owner.sink.write(row_batch("public.a", 0..2)).await.unwrap();
    owner.sink.write(row_batch("public.b", 2..5)).await.unwrap();
    owner.seal().await.unwrap();
    let count = |table: &str| world.visible(&format!("{}.{table}", world.deployment())).len();
    assert_eq!((count("a"), count("b")), (2, 3));
    let error = owner.sink.write(row_batch("sales.a", 5..6)).await.unwrap_err();
    assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0273")), "{error:?}");

    let mut one = world.open().await.unwrap();
    one.write(1).await.unwrap();
    let error = one.sink.write(row_batch("other", 1..2)).await.unwrap_err();
    assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0273")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_cannot_be_records_go_to_quarantine_and_count() {
    let Some(world) = World::start("rows_that_cannot_be_records_go_to_quarantine_and_count") else { return };
    let mut owner = world.open_with(world.config(r#""key": []"#), world.context()).await.unwrap();
    owner.sink.write(prices(&[&[Some("a"), None, None]], &[Op::Delete])).await.unwrap();
    owner.sink.write(RowBatch::new("prices", 7..7).rejected(9).build()).await.unwrap();
    owner.written = 2;
    let receipt = owner.seal().await.unwrap();
    assert_eq!((receipt.written, receipt.rejected), (0, 2));
    assert!(world.visible(&world.topic).is_empty());
    let mut quarantine = Topic::quarantine(world.config(""), world.place(0)).await.unwrap();
    let page = quarantine.list(&QuarantineFilter::default(), None, 10).await.unwrap();
    let codes: Vec<&str> = page.entries.iter().map(|e| e.code.as_str()).collect();
    assert_eq!(codes, ["delete_without_key", "bad_row"]);
    assert_eq!(page.entries[1].raw, RawRow::of("raw-9"));
    // The same row, read again, replaces its entry.
    owner.sink.write(RowBatch::new("prices", 7..7).rejected(9).build()).await.unwrap();
    owner.written = 3;
    owner.seal().await.unwrap();
    let page = quarantine.list(&QuarantineFilter::default(), None, 1).await.unwrap();
    let next = quarantine.list(&QuarantineFilter::default(), page.next.as_deref(), 10).await.unwrap();
    assert_eq!((page.entries.len(), next.entries.len(), next.next), (1, 1, None));
    let filter = QuarantineFilter { code: Some("bad_row".into()), ..QuarantineFilter::default() };
    assert_eq!(quarantine.list(&filter, None, 10).await.unwrap().entries.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncate_stops_unless_it_is_ignored() {
    let Some(world) = World::start("a_truncate_stops_unless_it_is_ignored") else { return };
    let truncate = || Batch { ops: Ops::Truncate, ..row_batch("rows", 0..0) };
    let mut owner = world.open().await.unwrap();
    let error = owner.sink.write(truncate()).await.unwrap_err();
    assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0297")));
    let mut owner = world.open_with(world.config(r#""truncates": "ignore""#), world.context()).await.unwrap();
    owner.sink.write(truncate()).await.unwrap();
    owner.commit(1).await.unwrap();
    assert_eq!(world.ids(), [0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rewrite_replaces_notes_and_forgetting_keeps_the_numbers_rising() {
    let Some(world) = World::start("a_rewrite_replaces_notes_and_forgetting_keeps_the_numbers_rising") else { return };
    let mut owner = world.open().await.unwrap();
    owner.write(2).await.unwrap();
    let advance = owner.advance().note("a".into(), Some("1".into())).note("b".into(), Some("2".into()));
    owner.sink.seal(advance).await.unwrap();
    drop(owner);
    let to = Checkpoint {
        parts: [(Part::from("other"), Position::from("5"))].into(),
        notes: [(NoteKey::from("b"), "3".into())].into(),
    };
    let wanted = to.clone();
    let facts = Topic::rewrite(world.config(""), world.context(), Box::new(|_| Ok(Some(wanted)))).await.unwrap();
    assert_eq!((facts.generation, facts.seq), (2, 1));
    let stored = Topic::inspect(world.config(""), world.place(0)).await.unwrap().unwrap();
    assert_eq!((stored.checkpoint, stored.facts), (to, facts));
    Topic::rewrite(world.config(""), world.context(), Box::new(|_| Ok(None))).await.unwrap();
    assert!(Topic::inspect(world.config(""), world.place(0)).await.unwrap().unwrap().forgotten);
    let mut owner = world.open().await.unwrap();
    assert!(owner.opened.is_empty(), "{:?}", owner.opened);
    assert_eq!(owner.facts.generation, 3);
    owner.commit(1).await.unwrap();
    assert_eq!(header(world.visible(&world.topic).last().unwrap(), "u").as_deref(), Some("3.rows/0.2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_finds_what_is_wrong_before_a_run_and_changes_nothing() {
    let Some(world) = World::start("check_finds_what_is_wrong_before_a_run_and_changes_nothing") else { return };
    let errors = async |more: &str| {
        let config = Arc::new(serde_json::from_str(&format!(r#"{{"name": "{}"{more}}}"#, world.topic)).unwrap());
        let findings = Topic::check(config, world.place(0)).await.unwrap();
        findings.into_iter().filter(|f| f.severity == Severity::Error).collect::<Vec<_>>()
    };
    assert!(errors("").await.is_empty());
    let names = tokio::task::block_in_place(|| world.admin().topic_names().unwrap());
    let ours = |name: &&String| name.starts_with(world.deployment().as_str());
    assert_eq!(names.iter().find(ours), None, "check made a topic");
    tokio::task::block_in_place(|| world.broker.create_topic(&world.topic, 3, &[]));
    let found = errors(r#", "partitions": 6"#).await;
    assert_eq!(found.iter().map(|f| f.code).collect::<Vec<_>>(), ["U0279"]);
    assert!(found[0].message.contains("wanted 6, has 3"), "{}", found[0].message);
    assert_eq!(Topic::delivery(&serde_json::from_str(r#"{"name": "t"}"#).unwrap()), Delivery::ExactlyOnce);
}

/// A seal without rows moves the checkpoint and the notes, and shows nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_survives_what_an_advance_does_to_it() {
    let Some(world) = World::start("the_state_survives_what_an_advance_does_to_it") else { return };
    let mut owner = world.open().await.unwrap();
    let (a, b) = (Part::from("file/a"), Part::from("file/b"));
    let step = Advance::of(a.clone(), None, Position::from("1")).note("n".into(), Some("x".into()));
    owner.sink.seal(step).await.unwrap();
    let mut step = Advance::of(a.clone(), Some("1".into()), "2".into()).close(a).note("n".into(), None);
    step.then(Advance::of(b.clone(), None, "7".into())).unwrap();
    owner.sink.seal(step).await.unwrap();
    let conflict = Advance::of(b.clone(), None, "9".into());
    assert_eq!(owner.sink.seal(conflict).await.unwrap_err().kind(), Kind::Bug);
    drop(owner);
    let owner = world.open().await.unwrap();
    assert_eq!(owner.opened, Checkpoint { parts: [(b, Position::from("7"))].into(), notes: [].into() });
    assert_eq!(owner.facts.seq, 2);
    assert!(world.visible(&world.topic).is_empty());
}
