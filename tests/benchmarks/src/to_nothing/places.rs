//! A bucket of a real S3 server, with the measured file in it.

use bytes::Bytes;
use std::path::Path;
use tokio::runtime::Runtime;
use unbatch_api::config::Secret;
use unbatch_object_files::{Credentials, Location, StoreOptions, open_store};
use unbatch_test_harness::{S3, unique_name};

pub struct Bucket {
    s3: S3,
    url: String,
}

impl Bucket {
    /// `None` when there is no S3 server to be had.
    pub fn with(file: &Path) -> Option<Self> {
        let s3 = S3::from_env("CSV from S3")?;
        let url = format!("s3://{}/{}/", s3.bucket(), unique_name("bench"));
        let credentials = Credentials::S3 {
            access_key_id: s3.access_key_id().into(),
            secret_access_key: Secret::new(s3.secret_access_key().to_owned()),
            session_token: None,
        };
        let options = StoreOptions { endpoint: Some(s3.endpoint().to_owned()), credentials, ..StoreOptions::default() };
        let runtime = Runtime::new().expect("a runtime");
        let location = Location::parse(&url).expect("a place in a bucket");
        let store = open_store(&location, Path::new("/"), &options, runtime.handle()).expect("a store");
        let content = Bytes::from(std::fs::read(file).expect("the file to upload"));
        store.put("lines.csv", content).expect("an upload");
        Some(Self { s3, url })
    }

    pub fn config(&self, columns: &str) -> String {
        let (url, endpoint) = (&self.url, self.s3.endpoint());
        let store = format!(r#"{{"endpoint": "{endpoint}", "credentials": "ambient"}}"#);
        format!(r#"{{"url": "{url}", "match": "lines.csv", "store": {store}, "columns": {columns}}}"#)
    }

    pub fn key(&self) -> &str {
        self.s3.access_key_id()
    }
    pub fn secret(&self) -> &str {
        self.s3.secret_access_key()
    }
}
