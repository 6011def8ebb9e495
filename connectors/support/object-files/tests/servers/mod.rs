//! Stores to test on: a folder, and servers where they can be had.

#![allow(dead_code, reason = "each test target uses a part")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use unbatch_api::Kind;
use unbatch_api::config::Secret;
use unbatch_object_files::{CallLimits, Credentials, Location, Store, StoreOptions, open_store};
use unbatch_test_harness::{S3, unique_name};

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub fn options(s3: &S3) -> StoreOptions {
    let secret_access_key = Secret::new(s3.secret_access_key().into());
    StoreOptions {
        endpoint: Some(s3.endpoint().into()),
        region: Some("us-east-1".into()),
        credentials: Credentials::S3 {
            access_key_id: s3.access_key_id().into(),
            secret_access_key,
            session_token: None,
        },
        limits: CallLimits {
            call: Duration::from_secs(60),
            attempt: Duration::from_secs(20),
            retries_max: 1,
            ..CallLimits::default()
        },
        ..StoreOptions::default()
    }
}

pub fn open(url: &str, options: &StoreOptions, runtime: &Runtime) -> Arc<dyn Store> {
    open_store(&Location::parse(url).unwrap(), Path::new("/"), options, runtime.handle()).unwrap()
}

/// A store to try things in, with another folder of it. What is behind them lives as long as this does.
pub struct Place {
    pub store: Arc<dyn Store>,
    pub archive: Arc<dyn Store>,
    _runtime: Runtime,
    _folder: Option<tempfile::TempDir>,
}

/// A folder, an S3 server where it can be had, and other stores that `UNBATCH_TEST_AZURE` and `UNBATCH_TEST_GCS` name.
pub fn places(test: &str) -> Vec<Place> {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let (local, nothing) = (runtime(), StoreOptions::default());
    let [store, archive] = [at("drops"), at("archive")].map(|path| open(&path, &nothing, &local));
    let mut places = vec![Place { store, archive, _runtime: local, _folder: Some(folder) }];
    if let Some(s3) = S3::from_env(test) {
        let (remote, name) = (runtime(), unique_name("drops"));
        let url = format!("s3://{}/{name}/", s3.bucket());
        let store = open(&url, &options(&s3), &remote);
        let archive = open(&format!("{url}archive/"), &options(&s3), &remote);
        places.push(Place { store, archive, _runtime: remote, _folder: None });
    }
    for (url, options) in other_stores() {
        let remote = runtime();
        let url = format!("{url}/{}/", unique_name("drops"));
        let [store, archive] = [url.clone(), format!("{url}archive/")].map(|url| open(&url, &options, &remote));
        places.push(Place { store, archive, _runtime: remote, _folder: None });
    }
    places
}

/// `UNBATCH_TEST_AZURE` has endpoint, account, container and key, `UNBATCH_TEST_GCS` endpoint and bucket, with spaces between them.
fn other_stores() -> Vec<(String, StoreOptions)> {
    let given =
        |name: &str| std::env::var(name).ok().map(|text| text.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let mut stores = Vec::new();
    if let Some([endpoint, account, container, key]) = given("UNBATCH_TEST_AZURE").as_deref() {
        let credentials = Credentials::AzureKey { key: Secret::new(key.clone()) };
        let (endpoint, account) = (Some(endpoint.clone()), Some(account.clone()));
        stores.push((
            format!("az://{container}"),
            StoreOptions { endpoint, account, credentials, ..StoreOptions::default() },
        ));
    }
    if let Some([endpoint, bucket]) = given("UNBATCH_TEST_GCS").as_deref() {
        let (endpoint, credentials) = (Some(endpoint.clone()), Credentials::Anonymous);
        stores.push((format!("gs://{bucket}"), StoreOptions { endpoint, credentials, ..StoreOptions::default() }));
    }
    stores
}

/// An error that a person sees: of this kind and code, with these words, and with no secret.
#[track_caller]
pub fn check_error<T>(done: unbatch_api::Result<T>, kind: Kind, code: &str, words: &str) {
    let Err(error) = done else { panic!("no {code}") };
    let shown = format!("{error:?}");
    assert!(error.kind() == kind && error.code_text() == Some(code) && shown.contains(words), "{shown}");
    for secret in ["testsecret", "wrong-secret", "Signature=", "StringToSign", "X-Amz"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
