//! Two sources, three sinks and two steps that do nothing but be configured.

use super::*;
use crate::registry::Registry;
use async_trait::async_trait;
use std::time::Duration;
use unbatch_api::arrow::datatypes::Schema as ArrowSchema;
use unbatch_api::quarantine::{Edit, QuarantineReader, RawCell};
use unbatch_api::{
    Batch, CheckContext, Checkpoint, CommitPolicy, CompiledStep, Delivery, Error, Facts, Fenced, Finding, Jump,
    PartView, Problem, QuarantineEntry, Result, Rewrite, Seen, Severity, SinkConnector, SinkContext, Source,
    SourceConnector, SourceContext, Step, StepProblem, StepVerb, Stepped, Stored, StreamName, StreamSchema,
};

pub(super) fn registry() -> Registry {
    Registry::default().source::<Files>().source::<Changes>().sink::<Topic>().sink::<Lake>().step::<DropVerb>()
}

fn never<T>() -> Result<T> {
    Err(Error::bug("a fake connector was run"))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FilesConfig {
    /// Folder that files are dropped into.
    url: String,
    #[serde(default)]
    columns: Vec<Column>,
}

pub(super) struct Files;

#[async_trait]
impl SourceConnector for Files {
    const NAME: &'static str = "csv_drops";
    type Config = FilesConfig;
    const COUNTS_REJECTED: bool = true;
    fn validate(config: &FilesConfig) -> Vec<Problem> {
        let problem = |path: &str, severity, message: &str| Problem {
            path: path.into(),
            severity,
            code: "U0201",
            message: message.into(),
            help: "write file:///…".into(),
        };
        match config.url.as_str() {
            "bad" => vec![problem("url", Severity::Error, "`bad` is no URL")],
            "odd" => vec![problem("url", Severity::Warning, "`odd` is an odd URL")],
            _ => Vec::new(),
        }
    }
    fn streams(config: &FilesConfig) -> Vec<(StreamName, Arc<StreamSchema>)> {
        if config.columns.is_empty() {
            return Vec::new();
        }
        let fields: Vec<_> = config.columns.iter().map(|c| c.r#type.field(&c.name, true)).collect();
        let schema = StreamSchema::new(Arc::new(ArrowSchema::new(fields)), Vec::new());
        vec![(StreamName::new("prices"), Arc::new(schema))]
    }
    fn fingerprint(config: &FilesConfig, _: &std::path::Path) -> String {
        config.url.clone()
    }
    async fn check(_: Arc<FilesConfig>, _: CheckContext) -> Result<Vec<Finding>> {
        never()
    }
    async fn splits(_: Arc<FilesConfig>, _: CheckContext) -> Result<u32> {
        never()
    }
    async fn open(_: Arc<FilesConfig>, _: SourceContext) -> Result<Box<dyn Source>> {
        never()
    }
    fn raw_cells(_: &FilesConfig, _: &QuarantineEntry) -> Result<Vec<RawCell>> {
        never()
    }
    fn parse_raw(_: &FilesConfig, _: &QuarantineEntry, _: &[Edit]) -> Result<Batch> {
        never()
    }
    fn describe(_: &FilesConfig, _: &Checkpoint) -> Vec<PartView> {
        Vec::new()
    }
    fn jump(_: &FilesConfig, _: &Checkpoint, _: &[Jump]) -> Result<Checkpoint> {
        never()
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub(super) struct ChangesConfig {
    dsn: Sensitive,
    tables: Vec<Table>,
}

pub(super) struct Changes;

#[async_trait]
impl SourceConnector for Changes {
    const NAME: &'static str = "postgres_cdc";
    type Config = ChangesConfig;
    const COUNTS_REJECTED: bool = false;
    fn validate(_: &ChangesConfig) -> Vec<Problem> {
        Vec::new()
    }
    fn streams(_: &ChangesConfig) -> Vec<(StreamName, Arc<StreamSchema>)> {
        Vec::new()
    }
    fn fingerprint(_: &ChangesConfig, _: &std::path::Path) -> String {
        String::new()
    }
    async fn check(_: Arc<ChangesConfig>, _: CheckContext) -> Result<Vec<Finding>> {
        never()
    }
    async fn splits(_: Arc<ChangesConfig>, _: CheckContext) -> Result<u32> {
        never()
    }
    async fn open(_: Arc<ChangesConfig>, _: SourceContext) -> Result<Box<dyn Source>> {
        never()
    }
    fn raw_cells(_: &ChangesConfig, _: &QuarantineEntry) -> Result<Vec<RawCell>> {
        never()
    }
    fn parse_raw(_: &ChangesConfig, _: &QuarantineEntry, _: &[Edit]) -> Result<Batch> {
        never()
    }
    fn describe(_: &ChangesConfig, _: &Checkpoint) -> Vec<PartView> {
        Vec::new()
    }
    fn jump(_: &ChangesConfig, _: &Checkpoint, _: &[Jump]) -> Result<Checkpoint> {
        never()
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TopicConfig {
    name: String,
    #[serde(default)]
    key: Vec<String>,
    #[serde(default)]
    plain: bool,
}

pub(super) struct Topic;

#[async_trait]
impl SinkConnector for Topic {
    const NAME: &'static str = "topic";
    type Config = TopicConfig;
    fn validate(config: &TopicConfig, streams: &[(StreamName, Arc<StreamSchema>)]) -> Vec<Problem> {
        let has = |name: &str| streams.iter().all(|(_, schema)| schema.fields().field_with_name(name).is_ok());
        let unknown = config.key.iter().enumerate().filter(|(_, name)| !has(name));
        let mut problems: Vec<Problem> = unknown
            .map(|(i, name)| Problem {
                path: format!("key[{i}]"),
                severity: Severity::Error,
                code: "U0301",
                message: format!("there is no column `{name}`"),
                help: "name a declared column".into(),
            })
            .collect();
        if config.name.is_empty() {
            problems.push(Problem {
                path: "name".into(),
                severity: Severity::Error,
                code: "U0302",
                message: "a topic needs a name".into(),
                help: "write one".into(),
            });
        }
        problems
    }
    fn delivery(config: &TopicConfig) -> Delivery {
        if config.plain { Delivery::AtLeastOnce } else { Delivery::ExactlyOnce }
    }
    fn commit_policy(_: &TopicConfig) -> CommitPolicy {
        policy(true)
    }
    async fn check(_: Arc<TopicConfig>, _: CheckContext) -> Result<Vec<Finding>> {
        never()
    }
    async fn fence(_: Arc<TopicConfig>, _: SinkContext) -> Result<Box<dyn Fenced>> {
        never()
    }
    async fn inspect(_: Arc<TopicConfig>, _: CheckContext) -> Result<Option<Stored>> {
        never()
    }
    async fn rewrite(_: Arc<TopicConfig>, _: SinkContext, _: Rewrite) -> Result<Facts> {
        never()
    }
    async fn overtaken(_: Arc<TopicConfig>, _: CheckContext, _: Vec<(Batch, i64)>) -> Result<Option<Vec<bool>>> {
        Ok(None)
    }
    async fn quarantine(_: Arc<TopicConfig>, _: CheckContext) -> Result<Box<dyn QuarantineReader>> {
        never()
    }
}

fn policy(configurable: bool) -> CommitPolicy {
    CommitPolicy {
        every: Duration::from_secs(1),
        rows: 10_000,
        bytes: 16 << 20,
        idle: Some(Duration::from_millis(5)),
        at_most_every: Duration::from_millis(50),
        configurable,
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub(super) struct LakeConfig {
    url: String,
}

pub(super) struct Lake;

#[async_trait]
impl SinkConnector for Lake {
    const NAME: &'static str = "parquet";
    type Config = LakeConfig;
    fn validate(_: &LakeConfig, _: &[(StreamName, Arc<StreamSchema>)]) -> Vec<Problem> {
        Vec::new()
    }
    fn delivery(_: &LakeConfig) -> Delivery {
        Delivery::ExactlyOnce
    }
    fn commit_policy(_: &LakeConfig) -> CommitPolicy {
        policy(false)
    }
    async fn check(_: Arc<LakeConfig>, _: CheckContext) -> Result<Vec<Finding>> {
        never()
    }
    async fn fence(_: Arc<LakeConfig>, _: SinkContext) -> Result<Box<dyn Fenced>> {
        never()
    }
    async fn inspect(_: Arc<LakeConfig>, _: CheckContext) -> Result<Option<Stored>> {
        never()
    }
    async fn rewrite(_: Arc<LakeConfig>, _: SinkContext, _: Rewrite) -> Result<Facts> {
        never()
    }
    async fn overtaken(_: Arc<LakeConfig>, _: CheckContext, _: Vec<(Batch, i64)>) -> Result<Option<Vec<bool>>> {
        Ok(None)
    }
    async fn quarantine(_: Arc<LakeConfig>, _: CheckContext) -> Result<Box<dyn QuarantineReader>> {
        never()
    }
}

/// `{drop: column}`: leaves a column out.
struct DropVerb;

struct DropColumn(String);

struct Dropped(StreamName, Arc<StreamSchema>);

impl StepVerb for DropVerb {
    const NAME: &'static str = "drop";
    type Config = String;
    fn step(column: String) -> Result<Arc<dyn Step>, Vec<StepProblem>> {
        Ok(Arc::new(DropColumn(column)))
    }
}

impl Step for DropColumn {
    fn name(&self) -> &str {
        "drop"
    }
    fn compile(&self, seen: &Seen<'_>) -> Result<Box<dyn CompiledStep>, Vec<StepProblem>> {
        let fields = seen.schema.fields();
        if fields.field_with_name(&self.0).is_err() {
            return Err(vec![StepProblem {
                path: String::new(),
                within: Some(1..self.0.len()),
                code: "U0130",
                message: format!("there is no column `{}`", self.0),
                label: String::new(),
                help: "name another".to_owned(),
            }]);
        }
        let kept: Vec<_> = fields.fields().iter().filter(|f| *f.name() != self.0).cloned().collect();
        Ok(Box::new(Dropped(
            seen.stream.clone(),
            Arc::new(StreamSchema::new(Arc::new(ArrowSchema::new(kept)), Vec::new())),
        )))
    }
}

impl CompiledStep for Dropped {
    fn output(&self) -> &Arc<StreamSchema> {
        &self.1
    }
    fn streams(&self) -> Vec<StreamName> {
        vec![self.0.clone()]
    }
    fn apply(&mut self, _: Batch) -> Result<Stepped> {
        never()
    }
}
