//! Where librdkafka's own messages go, and what they tell about a cluster that does not answer.

use crate::failure::Refusal;
use crate::limits;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Sends librdkafka's log lines to `tracing` and keeps the last telling failure. Cloned into each client.
#[derive(Clone, Default)]
pub struct ClientLog(Arc<Mutex<Option<Trouble>>>);

/// Why a client has no connection, as it said itself.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub code: Code,
    pub text: String,
    pub since: Instant,
}

impl ClientLog {
    pub fn trouble(&self) -> Option<Trouble> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A login or handshake that was refused for longer than a broker needs to get ready: waiting on makes no sense.
    pub fn refused_login(&self) -> Option<Refusal> {
        let trouble = self.trouble()?;
        let refused = matches!(trouble.code, Code::Authentication | Code::SaslAuthenticationFailed | Code::SSL);
        (refused && trouble.since.elapsed() >= limits::REFUSED_LOGIN)
            .then_some(Refusal { code: trouble.code, text: trouble.text })
    }

    /// The failure to report when nothing answered in time: what the client said itself, else `otherwise`.
    pub fn telling(&self, otherwise: Refusal) -> Refusal {
        match self.trouble() {
            Some(trouble) if otherwise.is_retriable() => Refusal { code: trouble.code, text: trouble.text },
            _ => otherwise,
        }
    }

    fn note(&self, code: Code, text: &str) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // "all brokers down" follows each single failure and tells less.
        if code == Code::AllBrokersDown && last.is_some() {
            return;
        }
        let code = if is_refused_certificate(text) { Code::SSL } else { code };
        let since = last.as_ref().filter(|t| t.code == code).map_or_else(Instant::now, |t| t.since);
        *last = Some(Trouble { code, text: text.to_owned(), since });
    }
}

/// Two such look like broken connections by their code: under TLS 1.3 a broker refuses our certificate after the handshake, and
/// when all of the broker's side has come at once, librdkafka refuses its certificate while it still connects.
fn is_refused_certificate(text: &str) -> bool {
    text.contains("SSL alert") || text.contains("certificate verify failed")
}

impl ClientContext for ClientLog {
    /// A level lower than librdkafka's: a broker that is away is its daily life, not a case for a person.
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(target: "librdkafka", "{fac} {message}");
            }
            RDKafkaLogLevel::Error => tracing::warn!(target: "librdkafka", "{fac} {message}"),
            RDKafkaLogLevel::Warning => tracing::info!(target: "librdkafka", "{fac} {message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::debug!(target: "librdkafka", "{fac} {message}"),
            RDKafkaLogLevel::Debug => tracing::trace!(target: "librdkafka", "{fac} {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", "{error}: {reason}");
        if let Some(code) = error.rdkafka_error_code() {
            self.note(code, reason);
        }
    }
}

impl ConsumerContext for ClientLog {}

impl rdkafka::producer::ProducerContext for ClientLog {
    type DeliveryOpaque = ();
    fn delivery(&self, _: &rdkafka::message::DeliveryResult<'_>, _: ()) {}
}
