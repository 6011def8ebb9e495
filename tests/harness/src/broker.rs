//! The broker a test runs against.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use unbatch_dev_broker::{DevBroker, Settings};

use crate::cluster::Cluster;
use crate::not_run::not_run;
use crate::ports::free_port;
use crate::process::{Launch, Process, built_binary};
use crate::wait::wait_until;

/// How long a topic may take until every partition has a leader.
const TOPIC_DEADLINE: Duration = Duration::from_secs(30);

/// Which kind of broker a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brokers {
    /// The broker that is built into `unbatch`.
    Embedded,
    /// Apache Kafka.
    Kafka,
}

/// A broker that answers on loopback. Dropping it stops it, unless it is shared.
pub struct Broker {
    bootstrap: String,
    running: Running,
}

enum Running {
    InProcess(#[expect(dead_code, reason = "dropping it stops it")] DevBroker),
    /// The embedded broker as a process of its own, so that it can be killed; `None` while it is down.
    Process {
        process: Option<Process>,
        home: tempfile::TempDir,
    },
    Own(Cluster),
    Shared,
}

impl Brokers {
    /// What `UNBATCH_TEST_BROKERS` says: `embedded` (also when it is not set) or `kafka`.
    ///
    /// # Panics
    ///
    /// On any other word.
    pub fn from_env() -> Brokers {
        match std::env::var("UNBATCH_TEST_BROKERS").as_deref() {
            Err(_) | Ok("embedded") => Brokers::Embedded,
            Ok("kafka") => Brokers::Kafka,
            Ok(other) => panic!("UNBATCH_TEST_BROKERS is embedded or kafka, not {other:?}"),
        }
    }
}

impl Broker {
    /// A fresh embedded broker inside this process, in memory.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub fn embedded() -> Broker {
        let broker =
            DevBroker::start(Settings::default()).unwrap_or_else(|e| panic!("the embedded broker does not start: {e}"));
        Broker { bootstrap: broker.addr().to_string(), running: Running::InProcess(broker) }
    }

    /// A broker that runs already, such as one behind a [`Proxy`](crate::Proxy). Dropping this does not stop it.
    pub fn at(bootstrap: &str) -> Broker {
        Broker { bootstrap: bootstrap.to_owned(), running: Running::Shared }
    }

    /// A broker of the kind the run is about: a fresh embedded one, or the Apache Kafka at `UNBATCH_TEST_KAFKA`, or,
    /// without that variable, one that all tests of this process share. Topics must have names of their own
    /// ([`unique_name`]).
    ///
    /// `None` means that it cannot be had here: `test` has been noted as not run, and returns.
    ///
    /// # Panics
    ///
    /// When it cannot be had with `CI=true`.
    #[track_caller]
    pub fn from_env(test: &str) -> Option<Broker> {
        if Brokers::from_env() == Brokers::Embedded {
            return Some(Broker::embedded());
        }
        match shared_kafka() {
            Ok(bootstrap) => Some(Broker { bootstrap, running: Running::Shared }),
            Err(reason) => {
                not_run(test, &reason);
                None
            }
        }
    }

    /// A broker of the kind the run is about that belongs to this test alone, so that it may [`Broker::crash`] it.
    /// `None` as for [`Broker::from_env`].
    ///
    /// # Panics
    ///
    /// When it cannot be had with `CI=true`, or the binary `unbatch-dev-broker` is not built.
    #[track_caller]
    pub fn own_from_env(test: &str) -> Option<Broker> {
        match Brokers::from_env() {
            Brokers::Embedded => Some(Broker::embedded_process()),
            Brokers::Kafka => match Cluster::start(1) {
                Ok(cluster) => {
                    Some(Broker { bootstrap: cluster.bootstrap().to_owned(), running: Running::Own(cluster) })
                }
                Err(reason) => {
                    not_run(test, &reason);
                    None
                }
            },
        }
    }

    /// The embedded broker as a process of its own, with its log on disk.
    ///
    /// # Panics
    ///
    /// When the binary `unbatch-dev-broker` is not built or does not start.
    #[track_caller]
    pub fn embedded_process() -> Broker {
        let home = tempfile::tempdir().unwrap_or_else(|e| panic!("no temporary folder: {e}"));
        let bootstrap = format!("127.0.0.1:{}", free_port());
        let mut broker = Broker { bootstrap, running: Running::Process { process: None, home } };
        broker.revive();
        broker
    }

    /// What `bootstrap.servers` takes.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// SIGKILL to the broker. What it acknowledged must be there after [`Broker::revive`].
    ///
    /// # Panics
    ///
    /// When it is shared, in this process, or down.
    #[track_caller]
    pub fn crash(&mut self) {
        match &mut self.running {
            Running::Process { process, .. } => match process.take() {
                Some(mut process) => process.kill(),
                None => panic!("the broker is down already"),
            },
            Running::Own(cluster) => cluster.kill(1),
            Running::InProcess(_) | Running::Shared => {
                panic!("only a broker of Broker::own_from_env may be crashed")
            }
        }
    }

    /// Starts a crashed broker again, with the same data at the same address, and waits until it serves.
    ///
    /// # Panics
    ///
    /// When it does not come up, or was not this test's own.
    #[track_caller]
    pub fn revive(&mut self) {
        match &mut self.running {
            Running::Process { process, home } => {
                let mut started =
                    Launch::program(built_binary("unbatch-dev-broker")).arg(&self.bootstrap).arg(log_in(home)).start();
                started.wait_for_line("READY", Duration::from_secs(30));
                *process = Some(started);
            }
            Running::Own(cluster) => cluster.up(1),
            Running::InProcess(_) | Running::Shared => {
                panic!("only a broker of Broker::own_from_env may be revived")
            }
        }
    }

    /// Settings of an rdkafka client of this broker, to add to.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    /// Creates a topic and waits until each partition has a leader. `config` is for instance
    /// `[("cleanup.policy", "compact")]`.
    ///
    /// # Panics
    ///
    /// When the broker refuses or does not answer.
    #[track_caller]
    pub fn create_topic(&self, name: &str, partitions: i32, config: &[(&str, &str)]) {
        self.create_replicated_topic(name, partitions, 1, config);
    }

    /// As [`Broker::create_topic`], on a cluster of several brokers.
    ///
    /// # Panics
    ///
    /// When the broker refuses or does not answer.
    #[track_caller]
    pub fn create_replicated_topic(&self, name: &str, partitions: i32, replicas: i32, config: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> =
            self.client().create().unwrap_or_else(|e| panic!("no admin client: {e}"));
        let topic = config
            .iter()
            .fold(NewTopic::new(name, partitions, TopicReplication::Fixed(replicas)), |topic, (key, value)| {
                topic.set(key, value)
            });
        let options = AdminOptions::new().operation_timeout(Some(TOPIC_DEADLINE));
        let created = block_on(admin.create_topics([&topic], &options))
            .unwrap_or_else(|e| panic!("cannot ask for topic {name}: {e}"));
        if let Some(Err((_, e))) = created.into_iter().next() {
            panic!("the broker refused topic {name}: {e}");
        }
        wait_until(TOPIC_DEADLINE, "a leader for each partition", || {
            admin.inner().fetch_metadata(Some(name), Duration::from_secs(5)).is_ok_and(|metadata| {
                metadata.topics().iter().any(|topic| {
                    topic.partitions().len() == partitions as usize
                        && topic.partitions().iter().all(|p| p.leader() >= 0)
                })
            })
        });
    }

    /// Deletes a topic.
    ///
    /// # Panics
    ///
    /// When the broker refuses or does not answer.
    #[track_caller]
    pub fn delete_topic(&self, name: &str) {
        let admin: AdminClient<DefaultClientContext> =
            self.client().create().unwrap_or_else(|e| panic!("no admin client: {e}"));
        let options = AdminOptions::new().operation_timeout(Some(TOPIC_DEADLINE));
        let deleted = block_on(admin.delete_topics(&[name], &options))
            .unwrap_or_else(|e| panic!("cannot ask to delete topic {name}: {e}"));
        if let Some(Err((_, e))) = deleted.into_iter().next() {
            panic!("the broker refused to delete topic {name}: {e}");
        }
    }
}

/// A name that no other test and no other run uses, `[a-z0-9-]` as topics and deployments want it.
pub fn unique_name(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!(
        "{prefix}-{:x}-{:x}-{}",
        since.as_millis() & 0xffff_ffff,
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// The address of an Apache Kafka that tests share, started once a process when nobody gave one.
fn shared_kafka() -> Result<String, String> {
    static STARTED: OnceLock<Result<Cluster, String>> = OnceLock::new();
    if let Ok(bootstrap) = std::env::var("UNBATCH_TEST_KAFKA") {
        return Ok(bootstrap);
    }
    // a static is never dropped; the script's --stop-with cleans up when this process has ended
    match STARTED.get_or_init(|| Cluster::start(1)) {
        Ok(cluster) => Ok(cluster.bootstrap().to_owned()),
        Err(reason) => Err(reason.clone()),
    }
}

fn log_in(home: &tempfile::TempDir) -> PathBuf {
    home.path().join("broker.log")
}

/// Runs a future of rdkafka's admin client, which wants no particular runtime.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap_or_else(|e| panic!("no async runtime: {e}"))
        .block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_can_be_made_and_deleted() {
        let broker = Broker::embedded();
        let topic = unique_name("made");
        broker.create_topic(&topic, 3, &[("cleanup.policy", "compact")]);
        broker.delete_topic(&topic);
        broker.create_topic(&topic, 1, &[]);
    }

    #[test]
    fn names_are_unique_and_fit_kafka() {
        let (a, b) = (unique_name("x"), unique_name("x"));
        assert_ne!(a, b);
        assert!(a.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
    }
}
