//! Baselines in an object store, with a real S3 server: the same promises, and nothing left behind.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;

use harness::Drops;
use serde_json::json;
use std::process::Command;
use std::sync::Arc;
use unbatch_api::{Bound, Checkpoint, Kind};
use unbatch_object_files::{Location, Placed, Removed, Store, StoreOptions, list_all, open_store};
use unbatch_test_harness::{S3, unique_name};

const TEST: &str = "baselines_lie_in_an_object_store";
const URL: &str = "UNBATCH_TEST_BASELINE_URL";

/// Credentials are what the environment says, which a process has but once: so the test is a process of its own.
#[test]
fn baselines_lie_in_an_object_store() {
    if let Ok(url) = std::env::var(URL) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(nights(&url));
    }
    let Some(s3) = S3::from_env(TEST) else { return };
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([TEST, "--exact", "--nocapture"]).env("AWS_ENDPOINT_URL", s3.endpoint()).env("AWS_REGION", "us-east-1");
    child.env("AWS_ACCESS_KEY_ID", s3.access_key_id()).env("AWS_SECRET_ACCESS_KEY", s3.secret_access_key());
    child.env(URL, format!("s3://{}/{}/", s3.bucket(), unique_name("baselines")));
    let done = child.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn store(url: &str) -> Arc<dyn Store> {
    let location = Location::parse(url).unwrap();
    let runtime = tokio::runtime::Handle::current();
    open_store(&location, std::path::Path::new("/"), &StoreOptions::default(), &runtime).unwrap()
}

/// What lies there, looked at where it may block.
async fn names(url: &str) -> Vec<String> {
    let url = url.to_owned();
    let list = move || list_all(&*store(&url), &|_| true).unwrap().into_iter().map(|listed| listed.name).collect();
    tokio::task::spawn_blocking(list).await.unwrap()
}

/// Long keys make a baseline of more than one piece.
fn table(rows: std::ops::Range<u64>, price: u64) -> String {
    let long = "k".repeat(60);
    rows.fold(String::from("sku,price\n"), |text, n| text + &format!("{long}-{n:012},{price}\n"))
}

async fn nights(url: &str) {
    let drops = Drops::new()
        .with("mode", json!({"full_dump": {"key": ["sku"], "baseline": url}}))
        .with("columns", json!([{"name": "sku", "type": "string"}, {"name": "price", "type": "int64"}]));
    drops.deliver("1.csv", table(0..120_000, 1));
    let run = drops.once(&Checkpoint::default()).await;
    assert_eq!(run.rows.len(), 120_000);
    let first = names(url).await;
    assert_eq!(first.len(), 2, "two pieces: {first:?}");
    drops.deliver("2.csv", table(10..120_010, 1));
    let run = drops.once(&run.committed).await;
    assert_eq!((run.ops.iter().filter(|op| **op == "d").count(), run.ops.len()), (10, 20));
    let second = names(url).await;
    assert!(second.len() == 2 && second.iter().all(|name| !first.contains(name)), "{second:?}");
    // one piece is gone
    let (place, piece) = (url.to_owned(), second[1].clone());
    let remove = move || {
        let store = store(&place);
        let stat = store.head(&piece).unwrap().unwrap();
        let aside = store.copy_if_absent(&piece, &stat, &*store, "aside").unwrap();
        assert_eq!((aside, store.delete(&piece, &stat).unwrap()), (Placed::Done, Removed::Done));
    };
    tokio::task::spawn_blocking(remove).await.unwrap();
    let error = drops.open_at(run.committed, Bound::Once).await.err().unwrap();
    assert_eq!((error.kind(), error.code_text()), (Kind::Lost, Some("U0243")));
}
