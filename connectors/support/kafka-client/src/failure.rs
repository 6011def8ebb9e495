//! What an error of the client means: ride it out, wait, or stop and say how to mend it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use std::fmt;
use unbatch_api::Error;

/// A host name that nobody knows.
pub(crate) const UNKNOWN_HOST: &str = "U0253";

/// A request that failed, with the broker's or the client's own words. The words name topics and hosts, never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub text: String,
}

impl Refusal {
    pub fn of(code: Code) -> Self {
        Self { code, text: code.to_string() }
    }

    /// Whether asking again may succeed without anybody doing anything.
    pub fn is_retriable(&self) -> bool {
        rides_out_code(self.code)
            || matches!(
                self.code,
                Code::LeaderNotAvailable
                    | Code::NotLeaderForPartition
                    | Code::RequestTimedOut
                    | Code::BrokerNotAvailable
                    | Code::ReplicaNotAvailable
                    | Code::NetworkException
                    | Code::CoordinatorLoadInProgress
                    | Code::CoordinatorNotAvailable
                    | Code::NotCoordinator
                    | Code::NotController
                    | Code::NotEnoughReplicas
                    | Code::ConcurrentTransactions
                    | Code::OffsetNotAvailable
                    | Code::FencedLeaderEpoch
                    | Code::UnknownLeaderEpoch
                    | Code::KafkaStorageError
                    | Code::ThrottlingQuotaExceeded
                    | Code::OperationTimedOut
                    | Code::TimedOutQueue
                    | Code::WaitingForCoordinator
                    | Code::WaitCache
                    // a broker that has just started and names no broker and no topic yet
                    | Code::Partial
            )
    }

    /// The error of the contract: Misconfigured with a remedy where a person is needed, else Transient.
    pub fn into_error(self, attempted: impl Into<String>) -> Error {
        let attempted = attempted.into();
        let stopped = |code, help: &str| Error::misconfigured(attempted.clone()).code(code).help(help);
        let error = match self.code {
            Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism => stopped(
                "U0251",
                "check `kafka.auth`: the mechanism must be one the broker offers, and user name and password must be right",
            ),
            Code::SSL => stopped(
                "U0252",
                "check `kafka.tls`: `ca` must have signed the broker's certificate, the host name must be in it, and a broker \
                 that asks for a client certificate needs `certificate` and `key`",
            ),
            Code::Resolve => {
                Error::transient(attempted.clone()).code(UNKNOWN_HOST).help("check the host names of the brokers")
            }
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed => stopped(
                "U0254",
                "give this user the rights listed in the connector's README (kafka-acls.sh --add --allow-principal User:NAME …)",
            ),
            Code::PolicyViolation
            | Code::InvalidConfig
            | Code::InvalidReplicationFactor
            | Code::InvalidPartitions
            | Code::InvalidTopic => stopped(
                "U0255",
                "the broker does not accept these settings of the topic; change them, or create it by hand",
            ),
            Code::InvalidTransactionTimeout => stopped(
                "U0256",
                "lower `transaction.timeout.ms` in `kafka.properties` (or `commit.every`) below the broker's transaction.max.timeout.ms",
            ),
            Code::UnsupportedVersion | Code::UnsupportedFeature => {
                stopped("U0257", "the broker is too old; Kafka 2.5 or newer is needed")
            }
            _ => Error::transient(attempted.clone()).code("U0250"),
        };
        error.caused_by(self)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

impl From<KafkaError> for Refusal {
    fn from(error: KafkaError) -> Self {
        match error {
            // The value may be a password: name the key only.
            KafkaError::ClientConfig(_, why, key, _) => {
                Self { code: Code::InvalidConfig, text: format!("property {key}: {why}") }
            }
            KafkaError::ClientCreation(why) if why.contains("ssl.") => Self { code: Code::SSL, text: why },
            KafkaError::ClientCreation(text) => Self { code: Code::InvalidConfig, text },
            KafkaError::Transaction(e) => Self { code: e.code(), text: e.string() },
            KafkaError::AdminOp(code) => Self::of(code),
            e => match e.rdkafka_error_code() {
                Some(code) => Self::of(code),
                None => Self { code: Code::Fail, text: e.to_string() },
            },
        }
    }
}

/// Whether librdkafka goes on by itself after this error, so that it is no failure yet.
pub fn rides_out(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(rides_out_code)
}

fn rides_out_code(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::DestroyBroker
    )
}

/// Whether the broker refused the producer because a newer one has its transactional id, or because its transaction was
/// ended by the time-out; only the stored owner tells which (rule K2).
pub fn is_fenced(code: Code) -> bool {
    matches!(
        code,
        Code::Fenced
            | Code::ProducerFenced
            | Code::InvalidProducerEpoch
            | Code::InvalidProducerIdMapping
            | Code::UnknownProducerId
    )
}
