//! A cluster whose settings are resolved, and the clients that are made for it.

use crate::admin::Admin;
use crate::context::ClientLog;
use crate::failure::Refusal;
use crate::properties;
use crate::settings::{Auth, KafkaSettings, Tls, Verify};
use rdkafka::ClientConfig;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use std::sync::Arc;
use unbatch_api::config::Resolver;
use unbatch_api::{CheckContext, Error, Result};

/// What a client is for; decides which properties it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Admin,
    Producer,
    /// Reads given partitions from given positions, in no group.
    Reader,
    /// A member of a consumer group.
    Member,
}

/// A cluster and how to log in to it. Holds secrets: it has no `Debug`, and nothing prints its configuration.
#[derive(Clone)]
pub struct Cluster {
    brokers: String,
    base: ClientConfig,
    settings: KafkaSettings,
}

impl Cluster {
    /// The cluster of the running deployment, from the settings that the worker put into the resources.
    pub fn of(place: &CheckContext) -> Result<Arc<Cluster>> {
        let settings = place.resources.get::<KafkaSettings>().ok_or_else(|| {
            Error::bug("finding the settings of the Kafka cluster failed")
                .code("U0249")
                .help("this is a fault of unbatch")
        })?;
        Self::resolve(&settings, place.secrets.as_ref()).map(Arc::new)
    }

    /// Reads what the settings refer to. Asks no broker.
    pub fn resolve(settings: &KafkaSettings, secrets: &dyn Resolver) -> Result<Cluster> {
        if let Some(problem) = settings.problems().into_iter().next() {
            return Err(Error::misconfigured(problem.message).code(problem.code).help(problem.help));
        }
        let brokers = settings.brokers.resolve(secrets)?;
        check_addresses(&brokers)?;
        let mut base = ClientConfig::new();
        base.set_log_level(RDKafkaLogLevel::Notice);
        base.set("bootstrap.servers", &brokers);
        base.set("security.protocol", protocol(settings));
        if let Some(auth) = &settings.auth {
            log_in(&mut base, auth, secrets)?;
        }
        if let Some(tls) = &settings.tls {
            encrypt(&mut base, tls, secrets)?;
        }
        Ok(Cluster { brokers, base, settings: settings.clone() })
    }

    /// `host:port,…` as configured, for messages.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    pub fn settings(&self) -> &KafkaSettings {
        &self.settings
    }

    /// Connection, login and the user's properties for such a client; add what the purpose needs. Never print it.
    pub fn config(&self, purpose: Purpose) -> ClientConfig {
        let mut config = self.base.clone();
        config.set("client.id", "unbatch");
        // A client that meets a topic for the first time waits this long before it asks who leads it; by default 100 ms.
        config.set("topic.metadata.refresh.fast.interval.ms", "10");
        for (name, value) in &self.settings.properties {
            if properties::allowed(name).is_some_and(|p| p.clients.contains(&purpose)) {
                config.set(name, value.to_string());
                if name == "debug" {
                    config.set_log_level(RDKafkaLogLevel::Debug);
                }
            }
        }
        config
    }

    /// A property that the user gave for such clients.
    pub fn property(&self, name: &str) -> Option<String> {
        self.settings.properties.get(name).map(ToString::to_string)
    }

    /// Makes a client. Wrong values of properties and unreadable certificates are seen here.
    pub fn client<T, C>(&self, config: &ClientConfig, context: C) -> Result<T>
    where
        T: FromClientConfigAndContext<C>,
        C: rdkafka::ClientContext,
    {
        T::from_config_and_context(config, context)
            .map_err(|e| Refusal::from(e).into_error("making a Kafka client failed").with("brokers", &self.brokers))
    }

    /// A client for administration; asks the cluster who it is, so that a wrong address or login is seen here. Blocks.
    pub fn admin(self: &Arc<Self>) -> Result<Admin> {
        Admin::connect(self.clone(), ClientLog::default())
    }
}

fn protocol(settings: &KafkaSettings) -> &'static str {
    match (&settings.auth, &settings.tls) {
        (None, None) => "plaintext",
        (None, Some(_)) => "ssl",
        (Some(_), None) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    }
}

fn log_in(config: &mut ClientConfig, auth: &Auth, secrets: &dyn Resolver) -> Result<()> {
    let (mechanism, login) = match auth {
        Auth::SaslPlain(login) => ("PLAIN", login),
        Auth::SaslScram256(login) => ("SCRAM-SHA-256", login),
        Auth::SaslScram512(login) => ("SCRAM-SHA-512", login),
    };
    config.set("sasl.mechanism", mechanism);
    config.set("sasl.username", login.username.resolve(secrets)?);
    config.set("sasl.password", login.password.resolve(secrets)?.expose());
    Ok(())
}

fn encrypt(config: &mut ClientConfig, tls: &Tls, secrets: &dyn Resolver) -> Result<()> {
    if let Some(ca) = &tls.ca {
        config.set("ssl.ca.pem", ca.resolve(secrets)?);
    }
    if let Some(certificate) = &tls.certificate {
        config.set("ssl.certificate.pem", certificate.resolve(secrets)?);
    }
    if let Some(key) = &tls.key {
        config.set("ssl.key.pem", key.resolve(secrets)?.expose());
    }
    if let Some(password) = &tls.key_password {
        config.set("ssl.key.password", password.resolve(secrets)?.expose());
    }
    let identification = match tls.verify {
        Verify::Full => "https",
        Verify::CertificateOnly => "none",
    };
    config.set("ssl.endpoint.identification.algorithm", identification);
    Ok(())
}
/// `host`, `host:port` or `[v6]:port`, joined by commas: librdkafka takes any other port for 0 and tries that.
fn check_addresses(brokers: &str) -> Result<()> {
    for address in brokers.split(',').map(str::trim) {
        let host_end = address.rfind(']').unwrap_or(0);
        let (host, port) = match address[host_end..].rfind(':') {
            Some(colon) => (&address[..host_end + colon], Some(&address[host_end + colon + 1..])),
            None => (address, None),
        };
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
        if host.is_empty() || host.contains("://") || !port.is_none_or(is_port) {
            return Err(Error::misconfigured("reading the addresses of the brokers failed")
                .code("U0247")
                .with("address", address)
                .help("write HOST:PORT, several joined by commas, such as kafka-1:9092,kafka-2:9092; a listener's PLAINTEXT:// is left out"));
        }
    }
    Ok(())
}
