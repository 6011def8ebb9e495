//! The `kafka:` section of `unbatch.yaml`.

use crate::properties;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use unbatch_api::Problem;
use unbatch_api::config::{Sensitive, Text};

/// How to reach the Kafka cluster.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaSettings {
    /// One or more `host:port`, separated by commas; the client finds the other brokers by itself. Default:
    /// `127.0.0.1:9092`.
    #[serde(default = "local_broker")]
    pub brokers: Text,
    /// How to log in; without it the broker must accept anybody.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Encrypt the connection. Without it nothing is encrypted; `tls: {}` trusts the authorities that the system trusts.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Settings of librdkafka from a list of those that cannot break the promises of delivery. Default: none.
    #[serde(default)]
    pub properties: BTreeMap<String, PropertyValue>,
    /// Accept internal topics with one copy although the cluster has several brokers.
    #[serde(default)]
    pub allow_single_replica: bool,
    /// Topics, by name, that may have `unclean.leader.election.enable` or a `min.insync.replicas` of 1 on a cluster of three
    /// or more brokers: losing a broker can then lose rows that were committed.
    #[serde(default)]
    pub allow_unsafe_topics: Vec<String>,
    /// Where `brokers` comes from, for a person who has to mend it.
    #[serde(skip, default = "named_by_file")]
    pub named_by: &'static str,
}

/// One way to log in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Auth {
    /// SASL PLAIN: use it with `tls` only, the password goes over the wire.
    #[serde(rename = "sasl_plain")]
    SaslPlain(
        /// Who logs in.
        Login,
    ),
    /// SASL SCRAM-SHA-256.
    #[serde(rename = "sasl_scram_256")]
    SaslScram256(
        /// Who logs in.
        Login,
    ),
    /// SASL SCRAM-SHA-512.
    #[serde(rename = "sasl_scram_512")]
    SaslScram512(
        /// Who logs in.
        Login,
    ),
}

/// Who logs in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The name to log in with.
    pub username: Text,
    /// Its password, as a reference.
    pub password: Sensitive,
}

/// Encryption and certificates, all PEM.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// Certificates of the authorities to trust, `{file: …}` or `{secret: …}`; without it those of the system.
    pub ca: Option<Text>,
    /// Our own certificate, for brokers that ask for one (mutual TLS). Without it the client shows none.
    pub certificate: Option<Text>,
    /// Private key of `certificate`; without `certificate` there is none.
    pub key: Option<Sensitive>,
    /// Password of `key`. Optional: only when it has one.
    pub key_password: Option<Sensitive>,
    /// What of the broker's certificate is checked.
    pub verify: Verify,
}

/// How much of the broker's certificate is checked. It cannot be left unchecked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// Its authority and its host name.
    #[default]
    Full,
    /// Its authority only, for brokers that are reached under another name.
    CertificateOnly,
}

/// A property as YAML writes it: text, number or truth value.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PropertyValue {
    Bool(bool),
    Whole(i64),
    Fraction(f64),
    Text(String),
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            brokers: local_broker(),
            auth: None,
            tls: None,
            properties: BTreeMap::new(),
            allow_single_replica: false,
            allow_unsafe_topics: Vec::new(),
            named_by: named_by_file(),
        }
    }
}

impl KafkaSettings {
    /// A cluster without login and encryption.
    pub fn plain(brokers: &str) -> Self {
        Self { brokers: Text::Plain(brokers.to_owned()), ..Self::default() }
    }

    /// What can be seen to be wrong without asking the cluster; paths are relative to `kafka:`.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.properties.keys().filter_map(|key| properties::problem(key)).collect();
        if let Some(tls) = &self.tls
            && tls.certificate.is_some() != tls.key.is_some()
        {
            problems.push(Problem {
                path: "tls".into(),
                severity: unbatch_api::Severity::Error,
                code: "U0259",
                message: "`certificate` and `key` go together".into(),
                help: "give both for mutual TLS, or neither".into(),
            });
        }
        problems
    }
}

fn named_by_file() -> &'static str {
    "`kafka.brokers`"
}

fn local_broker() -> Text {
    Text::Plain("127.0.0.1:9092".into())
}

impl fmt::Display for PropertyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PropertyValue::Bool(value) => value.fmt(f),
            PropertyValue::Whole(value) => value.fmt(f),
            PropertyValue::Fraction(value) => value.fmt(f),
            PropertyValue::Text(value) => value.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<KafkaSettings, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn everything_is_optional_and_unknown_keys_are_errors() {
        assert_eq!(parse("{}").unwrap().brokers, local_broker());
        assert!(parse(r#"{"broker": "x:1"}"#).unwrap_err().to_string().contains("unknown field"));
    }

    #[test]
    fn a_password_is_a_reference_and_a_login_names_its_mechanism() {
        let good = r#"{"auth": {"sasl_scram_512": {"username": {"secret": "kafka/user"}, "password": {"secret": "kafka/password"}}}}"#;
        assert!(matches!(parse(good).unwrap().auth, Some(Auth::SaslScram512(_))));
        assert!(parse(r#"{"auth": {"sasl_plain": {"username": "u", "password": "p"}}}"#).is_err());
        assert!(parse(r#"{"auth": {"sasl_gssapi": {}}}"#).is_err());
    }

    #[test]
    fn what_would_break_delivery_is_refused_with_what_is_allowed() {
        let settings =
            parse(r#"{"properties": {"acks": 1, "linger.ms": 5, "nonsense": true}, "tls": {"key": {"file": "k"}}}"#);
        let problems = settings.unwrap().problems();
        let paths: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(paths, ["properties.acks", "properties.nonsense", "tls"]);
        assert!(problems[0].message.contains("exactly once"), "{}", problems[0].message);
        assert!(problems[1].help.contains("linger.ms"), "{}", problems[1].help);
    }
}
