//! `unbatch.yaml`: what is the same for all pipelines of a deployment. Every key has a default; without a file all of them hold.

use crate::arguments::Globals;
use crate::http::{self, LISTEN_DEFAULT};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unbatch_api::config::{Resolver, Size};
use unbatch_api::{DeploymentName, Problem, Severity};
use unbatch_engine::config::{Diagnostics, FileResolver, RUNTIME_FILE, read_document};
use unbatch_kafka_client::KafkaSettings;

/// Below this not even one pipeline can hold a batch at each stage.
const MEMORY_MIN: Size = Size(32 << 20);
const MEMORY_DEFAULT: Size = Size(512 << 20);

/// The runtime file, one for each deployment. Every key is optional.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuntimeConfig {
    /// Prefix of transactional ids and internal topics, so that staging and production never meet: at most 12 lowercase
    /// letters, digits and single dashes.
    #[serde(default = "deployment_default")]
    pub deployment: String,
    /// How to reach the Kafka cluster. Default: the broker of this machine, without login and encryption.
    #[serde(default)]
    pub kafka: KafkaSettings,
    /// The HTTP API of a worker: status, metrics, probes. Without it the API listens on 127.0.0.1:8083 when that is free.
    #[serde(default)]
    pub http: Option<Http>,
    /// How much memory the pipelines may use together. Default: 512MiB.
    #[serde(default)]
    pub memory: Memory,
    /// Where `{secret: name/key}` is looked up. Without it there are no secrets.
    #[serde(default)]
    pub secrets: Secrets,
}

/// The HTTP API of a worker.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// `host:port`; only loopback addresses, since the API has no login yet. Port 0 takes a free one.
    #[serde(default = "listen_default")]
    pub listen: String,
}

/// The memory of the pipelines.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Shared out evenly; every queue and buffer of a pipeline counts against its share.
    #[serde(default = "memory_default")]
    pub limit: Size,
}

/// Secrets as Kubernetes mounts them: one folder for each name, one file for each key.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// The folder; a relative path starts at the folder of this file. Without it there are no secrets.
    #[serde(default)]
    pub directory: Option<PathBuf>,
}

/// The runtime file as it was read, checked and resolved.
pub(crate) struct Setup {
    pub(crate) config: RuntimeConfig,
    pub(crate) deployment: DeploymentName,
    /// The file, when there is one.
    pub(crate) file: Option<PathBuf>,
    /// `kafka.brokers` stands in the file.
    pub(crate) names_brokers: bool,
    pub(crate) resolver: Arc<dyn Resolver>,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            deployment: deployment_default(),
            kafka: KafkaSettings::default(),
            http: None,
            memory: Memory::default(),
            secrets: Secrets::default(),
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self { limit: MEMORY_DEFAULT }
    }
}

impl RuntimeConfig {
    /// Where the API listens, and whether somebody asked for that.
    pub(crate) fn listen(&self) -> (&str, bool) {
        match &self.http {
            Some(http) => (&http.listen, true),
            None => (LISTEN_DEFAULT, false),
        }
    }

    /// What the schema cannot say. Paths are relative to the file.
    fn problems(&self) -> Vec<Problem> {
        let problem = |path: &str, code, message: String, help: &str| Problem {
            path: path.to_owned(),
            severity: Severity::Error,
            code,
            message,
            help: help.to_owned(),
        };
        let mut found = Vec::new();
        if let Err(why) = DeploymentName::parse(&self.deployment) {
            let help = "it stands in the name of everything durable, so it is short: `shop`, `shop-staging`";
            found.push(problem("deployment", "U0712", format!("`deployment` {why}"), help));
        }
        if let Some(http) = &self.http
            && let Err(error) = http::loopback(&http.listen)
        {
            let help = error.remedy().unwrap_or_default().to_owned();
            found.push(problem("http.listen", "U0710", error.message().to_owned(), &help));
        }
        if self.memory.limit < MEMORY_MIN {
            let message = format!("`memory.limit` is less than {MEMORY_MIN}, too little for one pipeline");
            found.push(problem("memory.limit", "U0713", message, "give it 64MiB or more for each pipeline"));
        }
        found.extend(self.kafka.problems().into_iter().map(|p| Problem { path: format!("kafka.{}", p.path), ..p }));
        found
    }
}

/// Reads the runtime file that the options name, or the one of the current folder, or none.
pub(crate) fn setup(globals: &Globals) -> Result<Setup, Diagnostics> {
    let usual = Path::new(RUNTIME_FILE);
    let file = globals.config.clone().or_else(|| usual.exists().then(|| usual.to_owned()));
    let (config, names_brokers) = match &file {
        Some(path) => parse(path)?,
        None => (RuntimeConfig::default(), false),
    };
    let deployment = DeploymentName::parse(&config.deployment);
    // `parse` has found every wrong name, and the default is a legal one
    let deployment = deployment.unwrap_or_else(|why| unreachable!("deployment name was checked: {why}"));
    let base = file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
    let directory = config.secrets.directory.as_ref().map(|d| base.join(d));
    Ok(Setup { config, deployment, file, names_brokers, resolver: Arc::new(FileResolver { directory, base }) })
}

fn parse(path: &Path) -> Result<(RuntimeConfig, bool), Diagnostics> {
    // a file of comments is a template that nobody filled in yet; every key is optional
    let is_blank = |text: String| text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#'));
    if std::fs::read_to_string(path).is_ok_and(is_blank) {
        return Ok((RuntimeConfig::default(), false));
    }
    let (config, node) = read_document(path, RuntimeConfig::problems)?;
    Ok((config, node.get("kafka").is_some_and(|kafka| kafka.get("brokers").is_some())))
}

fn deployment_default() -> String {
    "unbatch".to_owned()
}
fn listen_default() -> String {
    LISTEN_DEFAULT.to_owned()
}
fn memory_default() -> Size {
    MEMORY_DEFAULT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Setup, Diagnostics> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("runtime.yaml");
        std::fs::write(&file, text).unwrap();
        setup(&Globals { config: Some(file), ..Globals::default() })
    }
    fn codes(text: &str) -> Vec<&'static str> {
        read_text(text).err().map(|found| found.iter().map(|d| d.code).collect()).unwrap_or_default()
    }

    #[test]
    fn every_key_is_optional() {
        for text in ["", "# nothing yet\n", "deployment: unbatch\n", "kafka: {}\n", "http: {}\n"] {
            let setup = read_text(text).unwrap_or_else(|found| panic!("{text}: {found}"));
            assert_eq!(setup.deployment.as_str(), "unbatch");
            assert_eq!(setup.config.memory.limit, Size(512 << 20));
            assert!(!setup.names_brokers);
            assert_eq!(setup.config.listen(), ("127.0.0.1:8083", text.starts_with("http")));
        }
    }

    #[test]
    fn a_file_with_all_keys_is_read() {
        let setup = read_text(
            "deployment: shop\nkafka:\n  brokers: {env: UNBATCH_KAFKA_BROKERS, default: \"127.0.0.1:9092\"}\n  \
             properties: {linger.ms: 10}\nhttp: {listen: \"127.0.0.1:0\"}\nmemory: {limit: 64MiB}\n\
             secrets: {directory: secrets}\n",
        );
        let setup = setup.unwrap_or_else(|found| panic!("{found}"));
        assert_eq!((setup.deployment.as_str(), setup.names_brokers), ("shop", true));
        assert_eq!(setup.config.listen(), ("127.0.0.1:0", true));
    }

    #[test]
    fn everything_wrong_is_found_at_once_with_its_place() {
        assert_eq!(
            codes("deployment: Shop\nmemory: {limit: 1MiB}\nhttp: {listen: \"0.0.0.0:80\"}\n"),
            ["U0712", "U0713", "U0710"]
        );
        // also beside what the schema, and even the form of the text, finds
        assert_eq!(
            codes(
                "deployment: Shop\nmemory: {limt: 64MiB}\nhttp: {listen: \"0.0.0.0:80\"}\nhttp: {}\nkafka: {brokers: [\n"
            ),
            ["U0712", "U0102", "U0710", "U0112", "U0101"]
        );
        let found = read_text("deployment: shop\nmemry: {limit: 64MiB}\n").err().unwrap();
        let first = found.iter().next().unwrap();
        assert_eq!(first.span.map(|s| (s.line, s.column)), Some((2, 1)));
    }
}
