//! Logins and certificates against Apache Kafka: what is right works, what is wrong is Misconfigured with its remedy, soon.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use unbatch_api::config::{Reference, Resolver, Secret};
use unbatch_api::{Error, Kind, Result};
use unbatch_kafka_client::{Cluster, KafkaSettings};
use unbatch_test_harness::{Brokers, Cluster as Kafka, not_run};

/// Reads `{file: …}` and `{secret: …}`, whose names here are the secrets themselves.
struct Files;

impl Resolver for Files {
    fn resolve(&self, reference: &Reference) -> Result<Secret> {
        match (&reference.file, &reference.secret) {
            (Some(path), _) => std::fs::read_to_string(path)
                .map(Secret::new)
                .map_err(|e| Error::misconfigured("reading a file failed").caused_by(e)),
            (_, Some(secret)) => Ok(Secret::new(secret.clone())),
            _ => Err(Error::misconfigured("resolving a reference failed")),
        }
    }
}

struct Secure {
    kafka: Kafka,
    addresses: BTreeMap<String, String>,
}

impl Secure {
    fn start() -> Result<Secure, String> {
        let kafka = Kafka::start_with(1, &["--secure"])?;
        let text = std::fs::read_to_string(kafka.dir().join("secure.env")).map_err(|e| e.to_string())?;
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Ok(Secure { addresses: pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(), kafka })
    }

    /// Connects to one of the listeners; `more` is the rest of the `kafka:` section, `TLS/` stands for the folder.
    fn connect(&self, listener: &str, more: &str) -> Result<()> {
        let folder = self.kafka.dir().join("tls");
        let text =
            format!(r#"{{"brokers": "{}", {}}}"#, self.addresses[listener], more.replace("TLS", path_text(&folder)));
        let settings: KafkaSettings = serde_json::from_str(&text).unwrap();
        let admin = Arc::new(Cluster::resolve(&settings, &Files)?).admin()?;
        admin.brokers().map(|_| ())
    }

    /// Must be refused with this code before the address would be given up as unreachable.
    #[track_caller]
    fn refused(&self, listener: &str, more: &str, code: &str) {
        let start = Instant::now();
        let error = self.connect(listener, more).expect_err("it was accepted");
        assert_eq!(
            (error.kind(), error.code_text()),
            (Kind::Misconfigured, Some(code)),
            "{listener} {more}: {error:?}"
        );
        assert!(error.remedy().is_some_and(|remedy| remedy.contains("kafka.")), "{error:?}");
        assert!(!error.one_line().contains("secret"), "{error:?}");
        assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());
    }
}

fn path_text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn login(mechanism: &str, user: &str, password: &str) -> String {
    format!(r#""auth": {{"{mechanism}": {{"username": "{user}", "password": {{"secret": "{password}"}}}}}}"#)
}

#[test]
fn logins_and_certificates_work_or_say_what_is_wrong() {
    // the embedded broker has no security; the pass with Apache Kafka asks
    if Brokers::from_env() == Brokers::Embedded {
        return;
    }
    let secure = match Secure::start() {
        Ok(secure) => secure,
        Err(reason) => return not_run("logins_and_certificates_work_or_say_what_is_wrong", &reason),
    };
    let ca = r#""tls": {"ca": {"file": "TLS/ca.pem"}}"#;
    for mechanism in ["sasl_plain", "sasl_scram_256", "sasl_scram_512"] {
        let right = login(mechanism, "alice", "alice-secret");
        secure.connect("KAFKA_SASL", &right).unwrap();
        secure.connect("KAFKA_SASL_TLS", &format!("{right}, {ca}")).unwrap();
        secure.refused("KAFKA_SASL", &login(mechanism, "alice", "bob-secret"), "U0251");
    }
    secure.connect("KAFKA_TLS", ca).unwrap();
    secure.refused("KAFKA_TLS", r#""tls": {"ca": {"file": "TLS/stranger-ca.pem"}}"#, "U0252");
    let mutual = |name: &str| {
        format!(
            r#""tls": {{"ca": {{"file": "TLS/ca.pem"}}, "certificate": {{"file": "TLS/{name}.pem"}}, "key": {{"file": "TLS/{name}.key"}}}}"#
        )
    };
    secure.connect("KAFKA_MTLS", &mutual("client")).unwrap();
    secure.refused("KAFKA_MTLS", ca, "U0252");
    secure.refused("KAFKA_MTLS", &mutual("stranger"), "U0252");
    let unreadable = secure.connect("KAFKA_TLS", r#""tls": {"ca": {"file": "TLS/client.key"}}"#).unwrap_err();
    assert_eq!(unreadable.kind(), Kind::Misconfigured, "{unreadable:?}");
}
