//! The promises of file drops over a real object store.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod harness;

use bytes::Bytes;
use harness::{Drops, numbered, rows_of};
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Handle;
use unbatch_api::config::Secret;
use unbatch_api::testkit::context::place;
use unbatch_api::{Bound, Checkpoint, Kind, Severity, SourceConnector};
use unbatch_csv::CsvDrops;
use unbatch_object_files::{Credentials, Location, Store, StoreOptions, list_all, open_store};
use unbatch_test_harness::{S3, unique_name};

/// A place in a bucket that nobody else uses.
struct Bucket {
    s3: S3,
    place: String,
}

impl Bucket {
    fn new(test: &str) -> Option<Self> {
        let s3 = S3::from_env(test)?;
        let place = format!("s3://{}/{}", s3.bucket(), unique_name("drops"));
        Some(Self { s3, place })
    }

    fn drops(&self) -> Drops {
        let store = json!({
            "endpoint": self.s3.endpoint(),
            "credentials": {"s3": {"access_key_id": self.s3.access_key_id(), "secret_access_key": {"env": "KEY"}}},
        });
        let url = json!(format!("{}/in/", self.place));
        Drops::new().with("url", url).with("poll", json!("20ms")).with("store", store).with("match", json!("*.csv*"))
    }

    /// Calls of a store block.
    async fn on<T: Send + 'static>(&self, folder: &str, work: impl FnOnce(&dyn Store) -> T + Send + 'static) -> T {
        let credentials = Credentials::S3 {
            access_key_id: self.s3.access_key_id().into(),
            secret_access_key: Secret::new(self.s3.secret_access_key().to_owned()),
            session_token: None,
        };
        let endpoint = Some(self.s3.endpoint().to_owned());
        let options = StoreOptions { endpoint, credentials, ..StoreOptions::default() };
        let location = Location::parse(&format!("{}/{folder}/", self.place)).unwrap();
        let store = open_store(&location, Path::new("/"), &options, &Handle::current()).unwrap();
        tokio::task::spawn_blocking(move || work(&*store)).await.unwrap()
    }

    async fn deliver(&self, name: &str, content: impl Into<Vec<u8>>) {
        let (name, content) = (name.to_owned(), Bytes::from(content.into()));
        self.on("in", move |store| store.put(&name, content).unwrap()).await;
    }

    /// Names that are not hidden.
    async fn names_in(&self, folder: &str) -> Vec<String> {
        let listed = self.on(folder, |store| list_all(store, &|_| false).unwrap()).await;
        listed.into_iter().map(|file| file.name).filter(|name| !name.starts_with('.')).collect()
    }
}

fn gz(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_are_read_once_and_known_by_their_content() {
    let Some(bucket) = Bucket::new("uploads_are_read_once_and_known_by_their_content") else { return };
    let drops = bucket.drops();
    bucket.deliver("b.csv.gz", gz(&numbered(3..6))).await;
    bucket.deliver("a.csv", numbered(0..3)).await;
    bucket.deliver("other.txt", "x").await;
    let run = drops.once(&Checkpoint::default()).await;
    assert_eq!(run.rows, [rows_of("a.csv", 0..3), rows_of("b.csv.gz", 3..6)].concat());
    let again = drops.once(&run.committed).await;
    assert!(again.rows.is_empty() && again.notices().is_empty(), "{:?}", again.notices());
    // the same once more is another upload with the same content, and other content another file
    bucket.deliver("a.csv", numbered(0..3)).await;
    bucket.deliver("b.csv.gz", gz(&numbered(6..8))).await;
    let next = drops.once(&again.committed).await;
    assert_eq!(next.rows, rows_of("b.csv.gz", 6..8));
    // the listing tells times by the second, so the very same may not even be seen as another upload
    assert!(next.committed.notes.len() >= run.committed.notes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_gone_on_with_in_the_middle() {
    let Some(bucket) = Bucket::new("a_file_is_gone_on_with_in_the_middle") else { return };
    for (name, content) in [("a.csv", numbered(0..900).into_bytes()), ("b.csv.gz", gz(&numbered(0..900)))] {
        let drops = bucket.drops().with("match", json!(name));
        bucket.deliver(name, content).await;
        let (mut at, mut rows) = (Checkpoint::default(), Vec::new());
        loop {
            let mut run = drops.open_with(at, Bound::Once, |s| s.rows(200)).await.unwrap();
            let is_more = run.next().await.unwrap();
            run.commit().await.unwrap();
            rows.append(&mut run.rows);
            at = run.committed.clone();
            if !is_more {
                break;
            }
        }
        assert_eq!(rows, rows_of(name, 0..900));
    }
}

/// A listing may tell times more finely than a look at one object does.
#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_file_is_known_by_its_delivery_too() {
    let Some(bucket) = Bucket::new("a_resumed_file_is_known_by_its_delivery_too") else { return };
    let drops = bucket.drops().with("identity", json!("delivery"));
    bucket.deliver("a.csv", numbered(0..900)).await;
    let mut run = drops.open_with(Checkpoint::default(), Bound::Once, |s| s.rows(200)).await.unwrap();
    run.next().await.unwrap();
    run.commit().await.unwrap();
    let (committed, first) = (run.committed.clone(), run.rows.len());
    drop(run);
    let rest = drops.once(&committed).await;
    assert_eq!(rest.rows, rows_of("a.csv", 0..900)[first..]);
    assert!(drops.once(&rest.committed).await.rows.is_empty(), "it is the same delivery");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_replaces_a_half_read_file_is_never_mixed_with_it() {
    let Some(bucket) = Bucket::new("an_upload_that_replaces_a_half_read_file_is_never_mixed_with_it") else { return };
    let drops = bucket.drops();
    bucket.deliver("a.csv", numbered(0..900)).await;
    let mut run = drops.open_with(Checkpoint::default(), Bound::Once, |s| s.rows(200)).await.unwrap();
    run.next().await.unwrap();
    run.commit().await.unwrap();
    let committed = run.committed.clone();
    drop(run);
    bucket.deliver("a.csv", numbered(1_000..1_900)).await;
    let mut run = drops.open_at(committed, Bound::Once).await.unwrap();
    let error = run.read_all().await.unwrap_err();
    assert_eq!((error.kind(), error.code_text()), (Kind::Lost, Some("U0222")), "{error}");
    assert!(error.remedy().is_some_and(|help| help.contains("offsets")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn done_files_go_into_the_archive_or_away() {
    let Some(bucket) = Bucket::new("done_files_go_into_the_archive_or_away") else { return };
    let archive = format!("{}/done/", bucket.place);
    let drops = bucket.drops().with("after", json!({"move_to": archive}));
    bucket.deliver("a.csv.gz", gz(&numbered(0..3))).await;
    let run = drops.once(&Checkpoint::default()).await;
    assert_eq!((run.rows.len(), run.number("files_released_total")), (3, 1));
    assert!(bucket.names_in("in").await.is_empty());
    let moved = bucket.names_in("done").await;
    assert!(moved.len() == 1 && moved[0].ends_with(".csv.gz"), "{moved:?}");

    // a crash between the copy and the deletion: the copy is found and the file goes
    bucket.deliver("b.csv", numbered(3..5)).await;
    let kept = bucket.drops();
    let read = kept.once(&run.committed).await;
    assert_eq!(read.rows, rows_of("b.csv", 3..5));
    let again = drops.once(&read.committed).await;
    let copy = bucket.names_in("done").await.into_iter().find(|name| name.starts_with("b~")).unwrap();
    bucket
        .on("done", |store| {
            let copy = list_all(store, &|_| true).unwrap();
            assert_eq!(copy.len(), 2);
        })
        .await;
    bucket.deliver("b.csv", numbered(3..5)).await;
    let once_more = drops.once(&again.committed).await;
    assert!(once_more.rows.is_empty() && bucket.names_in("in").await.is_empty(), "{:?}", once_more.notices());
    assert!(bucket.names_in("done").await.contains(&copy));

    // what is in the archive and not in the ledger says that commits were lost
    let error = drops.open_at(Checkpoint::default(), Bound::Once).await.err().unwrap();
    assert_eq!((error.kind(), error.code_text()), (Kind::Lost, Some("U0223")));

    let deleted = bucket.drops().with("after", json!("delete")).with("ready_when", json!({"marker": ".done"}));
    bucket.deliver("c.csv", numbered(5..7)).await;
    let waiting = deleted.once(&once_more.committed).await;
    assert!(waiting.rows.is_empty() && waiting.has_notice("waiting", "c.csv"), "{:?}", waiting.notices());
    bucket.deliver("c.csv.done", "").await;
    let run = deleted.once(&waiting.committed).await;
    assert_eq!(run.rows, rows_of("c.csv", 5..7));
    assert!(bucket.names_in("in").await.is_empty(), "the marker went too");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_dumps_come_from_a_store_and_keep_their_baseline_there() {
    let Some(bucket) = Bucket::new("full_dumps_come_from_a_store_and_keep_their_baseline_there") else { return };
    let baseline = format!("{}/baselines/", bucket.place);
    let drops = bucket.drops().with("mode", json!({"full_dump": {"key": ["id"], "baseline": baseline}}));
    bucket.deliver("1.csv.gz", gz(&format!("{}x,bad\n", numbered(0..900)))).await;
    let mut place = place("stock-counts");
    place.secrets = Arc::new(harness::SameSecret);
    assert!(CsvDrops::check(drops.config(), place).await.unwrap().is_empty());
    assert!(bucket.names_in("baselines").await.is_empty(), "nothing is left behind");

    let mut first = drops.open_with(Checkpoint::default(), Bound::Once, |s| s.rows(200)).await.unwrap();
    first.read_rows(300).await.unwrap();
    first.commit().await.unwrap();
    let second = drops.once(&first.committed).await;
    assert_eq!([first.rows, second.rows].concat(), rows_of("1.csv.gz", 0..900));
    assert_eq!((first.rejected.len() + second.rejected.len(), bucket.names_in("baselines").await.len()), (1, 1));

    // replaced while it is half handed on: never mixed
    bucket.deliver("2.csv", numbered(0..1_000)).await;
    let mut half = drops.open_with(second.committed, Bound::Once, |s| s.rows(20)).await.unwrap();
    half.read_rows(40).await.unwrap();
    half.commit().await.unwrap();
    let committed = half.committed.clone();
    drop(half);
    bucket.deliver("2.csv", numbered(0..999)).await;
    let mut run = drops.open_at(committed, Bound::Once).await.unwrap();
    let error = run.read_all().await.unwrap_err();
    assert_eq!((error.kind(), error.code_text()), (Kind::Lost, Some("U0222")), "{error}");
    assert!(run.rows.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pipelines_that_take_the_same_objects_away_are_refused() {
    let Some(bucket) = Bucket::new("two_pipelines_that_take_the_same_objects_away_are_refused") else { return };
    let first = bucket.drops().with("after", json!("delete"));
    let _run = first.open(Bound::Continuous).await;
    let error = first.beside("other").open_at(Checkpoint::default(), Bound::Continuous).await.err().unwrap();
    assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0216")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_come_later_are_read_without_waiting_for_them_to_settle() {
    let Some(bucket) = Bucket::new("files_that_come_later_are_read_without_waiting_for_them_to_settle") else { return };
    // an hour of standing still is for files that somebody writes, and not for uploads
    let drops = bucket.drops().with("ready_when", json!({"stable_for": "1h"}));
    let mut run = drops.open(Bound::Continuous).await;
    bucket.deliver("a.csv", numbered(0..3)).await;
    run.until("the first file", |run| run.rows.len() == 3).await.unwrap();
    bucket.deliver("b.csv", numbered(3..5)).await;
    run.until("the second file", |run| run.rows.len() == 5).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn check_finds_what_is_missing_in_a_store() {
    let Some(bucket) = Bucket::new("check_finds_what_is_missing_in_a_store") else { return };
    let mut place = place("stock-counts");
    place.secrets = Arc::new(harness::SameSecret);
    let drops = bucket.drops().with("after", json!("delete"));
    let findings = CsvDrops::check(drops.config(), place.clone()).await.unwrap();
    assert_eq!(findings.iter().map(|f| (f.severity, f.code)).collect::<Vec<_>>(), [(Severity::Warning, "U0217")]);
    bucket.deliver("a.csv", numbered(0..3)).await;
    assert!(CsvDrops::check(drops.config(), place.clone()).await.unwrap().is_empty());
    assert_eq!(bucket.names_in("in").await, ["a.csv"], "nothing is left behind");
    let nowhere = drops.with("url", json!("s3://no-such-bucket-here/in/"));
    let error = CsvDrops::check(nowhere.config(), place).await.unwrap_err();
    assert_eq!((error.kind(), error.code_text()), (Kind::Misconfigured, Some("U0315")), "{error}");
}
