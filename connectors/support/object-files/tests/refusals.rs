//! What a store refuses is told so that a person can mend it, and without a secret.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod servers;

use bytes::Bytes;
use servers::{check_error, open, options, runtime};
use std::path::Path;
use std::process::Command;
use unbatch_api::Kind;
use unbatch_api::config::Secret;
use unbatch_object_files::{Credentials, Location, Placed, StoreOptions, open_store, read_small};
use unbatch_test_harness::{S3, unique_name};

#[test]
fn what_is_wrong_is_named() {
    let Some(s3) = S3::from_env("what_is_wrong_is_named") else { return };
    let (runtime, right) = (runtime(), options(&s3));
    let list =
        |url: &str, options: &StoreOptions| open(url, options, &runtime).list(None, &|_| true).unwrap().next_page();
    let url = format!("s3://{}/x/", s3.bucket());
    list(&url, &right).unwrap();
    check_error(list("s3://no-such-bucket-here/x/", &right), Kind::Misconfigured, "U0315", "no-such-bucket-here");
    let key = |id: &str, secret: &str| StoreOptions {
        credentials: Credentials::S3 {
            access_key_id: id.into(),
            secret_access_key: Secret::new(secret.into()),
            session_token: None,
        },
        ..right.clone()
    };
    let wrong_secret = key(s3.access_key_id(), "wrong-secret");
    check_error(list(&url, &wrong_secret), Kind::Misconfigured, "U0313", "SignatureDoesNotMatch");
    check_error(list(&url, &key("nobody", "wrong-secret")), Kind::Misconfigured, "U0313", "credentials");
    let anonymous = StoreOptions { credentials: Credentials::Anonymous, ..right.clone() };
    check_error(list(&url, &anonymous), Kind::Misconfigured, "U0314", "s3:ListBucket");
    let nowhere = StoreOptions { endpoint: Some("http://127.0.0.1:9".into()), ..right.clone() };
    check_error(list(&url, &nowhere), Kind::Transient, "U0312", "no connection");
    assert!(!format!("{:?} {:?}", right, open(&url, &right, &runtime)).contains("testsecret"));
    for (url, options) in [
        (url.as_str(), StoreOptions { endpoint: Some("127.0.0.1:9".into()), ..right.clone() }),
        (url.as_str(), StoreOptions { endpoint: Some("http://me:testsecret@host".into()), ..right.clone() }),
        ("gs://bucket/", right.clone()),
    ] {
        let opened = open_store(&Location::parse(url).unwrap(), Path::new("/"), &options, runtime.handle());
        check_error(opened, Kind::Misconfigured, "U0311", "settings");
    }
    let store = open(&url, &right, &runtime);
    for name in ["", "a/b", "..", "new\nline"] {
        check_error(store.head(name), Kind::Misconfigured, "U0317", "key");
    }
}

#[test]
fn a_certificate_counts_when_its_authority_does() {
    let Some(s3) = S3::own_with_tls("a_certificate_counts_when_its_authority_does") else { return };
    assert!(s3.endpoint().starts_with("https://"));
    let (runtime, stranger) = (runtime(), options(&s3));
    let url = format!("s3://{}/", s3.bucket());
    check_error(open(&url, &stranger, &runtime).is_there(), Kind::Misconfigured, "U0311", "install the authority");
    let trusted = StoreOptions { ca: Some(s3.ca()), ..stranger.clone() };
    let store = open(&url, &trusted, &runtime);
    store.put("a.csv", Bytes::from("over TLS")).unwrap();
    assert_eq!(read_small(&*store, "a.csv", 100).unwrap().unwrap(), "over TLS");
    let other_name = s3.endpoint().replace("localhost", "127.0.0.1");
    let other_name = StoreOptions { endpoint: Some(other_name), ..trusted.clone() };
    check_error(open(&url, &other_name, &runtime).is_there(), Kind::Misconfigured, "U0311", "its right name");
    let no_ca = StoreOptions { ca: Some("no certificate".into()), ..stranger };
    let opened = open_store(&Location::parse(&url).unwrap(), Path::new("/"), &no_ca, runtime.handle());
    check_error(opened, Kind::Misconfigured, "U0311", "`ca`");
}

/// With nothing configured, keys and address are those of the environment; a process of its own has one to itself.
#[test]
fn without_credentials_those_of_the_environment_count() {
    const URL: &str = "UNBATCH_TEST_STORE_URL";
    let name = "without_credentials_those_of_the_environment_count";
    if let Ok(url) = std::env::var(URL) {
        let runtime = runtime();
        let store = open(&url, &StoreOptions::default(), &runtime);
        assert_eq!(store.put_if_absent("a.csv", Bytes::from("by the environment")).unwrap(), Placed::Done);
        return;
    }
    let Some(s3) = S3::from_env(name) else { return };
    let url = format!("s3://{}/{}/", s3.bucket(), unique_name("ambient"));
    let child = |secret: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([name, "--exact", "--nocapture"]).env(URL, &url).env("AWS_ENDPOINT_URL", s3.endpoint());
        command.env("AWS_ACCESS_KEY_ID", s3.access_key_id()).env("AWS_SECRET_ACCESS_KEY", secret);
        command.env("AWS_REGION", "us-east-1").output().unwrap()
    };
    let refused = child("wrong-secret");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("SignatureDoesNotMatch") && !said.contains("wrong-secret"),
        "{said}"
    );
    let done = child(s3.secret_access_key());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let runtime = runtime();
    let written = read_small(&*open(&url, &options(&s3), &runtime), "a.csv", 100).unwrap();
    assert_eq!(written.unwrap(), "by the environment");
}
