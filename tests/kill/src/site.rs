//! Where rounds take place: one broker and one deployment for many of them, since the internal topics of a deployment
//! have 128 partitions each, which Apache Kafka does not make in no time.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use unbatch_test_harness::{Broker, Brokers, unique_name};

use crate::server::{Bucket, Server};

/// A broker and the deployment that the rounds' pipelines belong to.
pub struct Site {
    broker: Mutex<Broker>,
    bootstrap: String,
    deployment: String,
    may_crash: bool,
    is_embedded: bool,
    /// Started by the first round that wants it.
    server: OnceLock<Option<Arc<Server>>>,
}

impl Site {
    /// A site of the kind that `UNBATCH_TEST_BROKERS` names. Embedded: a fresh one; Apache Kafka: one for all tests of this
    /// process. `None` means that `test` was noted as not run.
    ///
    /// # Panics
    ///
    /// When no broker can be had with `CI=true`.
    #[track_caller]
    pub fn from_env(test: &str) -> Option<Arc<Site>> {
        static KAFKA: OnceLock<Option<Arc<Site>>> = OnceLock::new();
        let site = || Broker::from_env(test).map(|broker| Arc::new(Site::at(broker, false)));
        match Brokers::from_env() {
            Brokers::Embedded => site(),
            Brokers::Kafka => KAFKA.get_or_init(site).clone(),
        }
    }

    /// A site whose broker is a process of its own, with its log on disk, so that it can be killed.
    ///
    /// # Panics
    ///
    /// As for [`Site::from_env`].
    #[track_caller]
    pub fn that_may_crash(test: &str) -> Option<Arc<Site>> {
        Broker::own_from_env(test).map(|broker| Arc::new(Site::at(broker, true)))
    }

    fn at(broker: Broker, may_crash: bool) -> Site {
        // 12 characters at most, and unlike that of any other run against the same broker
        let unique: String = unique_name("").chars().filter(char::is_ascii_alphanumeric).collect();
        let deployment = format!("k{}", &unique[..unique.len().min(11)]);
        let is_embedded = Brokers::from_env() == Brokers::Embedded;
        Site {
            bootstrap: broker.bootstrap().to_owned(),
            broker: Mutex::new(broker),
            deployment,
            may_crash,
            is_embedded,
            server: OnceLock::new(),
        }
    }

    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    pub(crate) fn deployment(&self) -> &str {
        &self.deployment
    }

    /// Whether [`Site::broker`] may be killed.
    pub fn may_crash(&self) -> bool {
        self.may_crash
    }

    /// Whether rounds from S3 can be played here; starts the server. When not, that was noted as not run.
    pub fn has_s3(&self) -> bool {
        self.bucket().is_some()
    }

    /// Whether the broker is our own, which comes back in no time.
    pub(crate) fn is_embedded(&self) -> bool {
        self.is_embedded
    }

    /// A place on the site's own S3 server, which may be killed. `None`: there is none here, which was noted as not run.
    pub(crate) fn bucket(&self) -> Option<Bucket> {
        let server = self.server.get_or_init(|| Server::start("kill rounds from S3").map(Arc::new));
        server.clone().map(Bucket::new)
    }

    pub(crate) fn broker(&self) -> MutexGuard<'_, Broker> {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
