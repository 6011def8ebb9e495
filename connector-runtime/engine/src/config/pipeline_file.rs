//! The pipeline file: one source, steps, one sink, and how they are run. Its JSON Schema is what editors complete from and
//! what the checker checks against, so that the two cannot differ.

use super::read::{generator, one_line};
use crate::registry::Registry;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use unbatch_api::config::{Period, Size};
use unbatch_api::{Delivery, PipelineName};

/// The only version of the file's format.
pub(crate) const VERSION: u64 = 1;

/// A pipeline: rows from one source through steps into one sink.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PipelineFile {
    /// Version of this format: 1.
    #[serde(rename = "version")]
    _version: Version,
    /// Name of the pipeline, equal to the name of its file.
    pub pipeline: Name,
    /// Earlier name of this pipeline, whose state it goes on with. Without it the pipeline goes on with its own.
    #[serde(default)]
    pub formerly: Option<Name>,
    /// The batch job that this pipeline takes the place of. Optional, for people: it changes nothing.
    #[serde(default)]
    pub replaces: Option<Replaces>,
    /// Where rows come from: one connector.
    #[serde(rename = "source")]
    _source: Part,
    /// What is done to each row on the way, in this order. Default: nothing.
    #[serde(default, rename = "steps")]
    _steps: Vec<Part>,
    /// Where rows go to: one connector.
    #[serde(rename = "sink")]
    _sink: Part,
    /// When rows become visible at the sink; whichever comes first. Default: as the sink wants it.
    #[serde(default, rename = "commit")]
    _commit: Option<Commit>,
    /// What happens to rows that cannot be taken. Default: each goes to quarantine, and none is too many.
    #[serde(default)]
    pub on_error: Option<OnErrorPart>,
    /// What is asked of the sink; a pipeline that asks for more than the sink can promise is refused.
    #[serde(default)]
    pub delivery: DeliveryAsked,
    /// What the pipeline is measured against. Default: nothing.
    #[serde(default)]
    pub slo: Option<Slo>,
}

/// The batch job that a pipeline takes the place of; for reports only.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replaces {
    /// Name of the job.
    pub job: String,
    /// When it ran, as in its crontab. Optional.
    #[serde(default)]
    pub schedule: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Commit {
    /// Longest time that rows wait for their commit. The default is the sink's: 1s for `topic`.
    #[serde(default)]
    pub every: Option<Period>,
    /// Most rows in one commit. The default is the sink's: 10000 for `topic`.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub rows: Option<u64>,
    /// Most bytes in one commit. The default is the sink's: 16MiB for `topic`.
    #[serde(default)]
    pub bytes: Option<Size>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OnErrorPart {
    /// Where rejected rows are kept, with reason and origin. By default under a name that follows from the pipeline's.
    #[serde(default)]
    pub quarantine: Option<QuarantinePart>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuarantinePart {
    /// Name of the topic or table; the default is `<deployment>.<pipeline>.quarantine`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub name: Option<String>,
    /// How many rejected rows are too many, for each file or each hour. Without it no number is.
    #[serde(default)]
    pub stop_after: Option<StopAfterPart>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopAfterPart {
    /// More rejected rows than this stop the file or the pipeline. Without it any number may be rejected.
    #[serde(default)]
    pub count: Option<u64>,
    /// A larger share than this, in percent of the rows read, stops the file or the pipeline; judged after 1,000 rows. Without
    /// it any share may be rejected.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub percent: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeliveryAsked {
    /// No row is lost and none is visible twice.
    #[default]
    ExactlyOnce,
    /// No row is lost; after a failure some may be there twice.
    AtLeastOnce,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slo {
    /// Now minus the source's commit time of the newest row visible at the sink.
    pub freshness: Period,
}

impl From<DeliveryAsked> for Delivery {
    fn from(asked: DeliveryAsked) -> Self {
        match asked {
            DeliveryAsked::ExactlyOnce => Delivery::ExactlyOnce,
            DeliveryAsked::AtLeastOnce => Delivery::AtLeastOnce,
        }
    }
}

/// A connector or step with its settings, which its factory reads.
#[derive(Debug)]
pub(crate) struct Part;

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(d).map(|_| Part)
    }
}
impl JsonSchema for Part {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Part".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

/// The version, which the schema checks.
#[derive(Debug)]
pub(crate) struct Version;

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(d).map(|_| Version)
    }
}
impl JsonSchema for Version {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "const": VERSION})
    }
}

/// A pipeline's name.
#[derive(Debug)]
pub(crate) struct Name(pub PipelineName);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        PipelineName::parse(&text).map(Name).map_err(serde::de::Error::custom)
    }
}
impl JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "PipelineName".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$",
            "maxLength": PipelineName::LENGTH_MAX,
            "description": "lowercase letters and digits in words joined by single dashes, like stock-counts",
        })
    }
}

/// JSON Schema of pipeline files with the connectors of this binary, for editors.
pub fn pipeline_schema(registry: &Registry) -> Value {
    let mut schema = schema_to_check(registry);
    // a choice of nothing says to the checker what is missing, but is no valid schema: editors would refuse all of it
    if registry.step_names().is_empty()
        && let Some(steps) = schema["properties"]["steps"].as_object_mut()
    {
        steps.remove("items");
        steps.insert("maxItems".to_owned(), json!(0));
    }
    schema
}

/// The same, as the checker reads it.
pub(crate) fn schema_to_check(registry: &Registry) -> Value {
    let mut generator = generator();
    let mut root = generator.root_schema_for::<PipelineFile>().to_value();
    let sources = registry.source_names().into_iter().filter_map(|name| registry.source_factory(name));
    let sources: Vec<Value> = sources.map(|f| connector(f.name(), |g| f.schema(g), &mut generator)).collect();
    let sinks = registry.sink_names().into_iter().filter_map(|name| registry.sink_factory(name));
    let sinks: Vec<Value> = sinks.map(|f| connector(f.name(), |g| f.schema(g), &mut generator)).collect();
    let steps = registry.step_names().into_iter().filter_map(|name| registry.step_factory(name));
    let steps: Vec<Value> = steps.map(|f| connector(f.name(), |g| f.schema(g), &mut generator)).collect();
    if let Some(properties) = root.get_mut("properties").and_then(Value::as_object_mut) {
        replace(properties, "source", "oneOf", json!(sources));
        replace(properties, "sink", "oneOf", json!(sinks));
        replace(properties, "steps", "items", json!({"oneOf": steps}));
    }
    root["title"] = json!("unbatch pipeline");
    root["$defs"] = Value::Object(generator.take_definitions(true));
    root
}

/// The connector under its name. Its own words stand beside the reference too, where editors look for them.
fn connector(name: &str, schema: impl Fn(&mut SchemaGenerator) -> Schema, generator: &mut SchemaGenerator) -> Value {
    let mut content = schema(generator).to_value();
    let definition = content["$ref"].as_str().and_then(|r| generator.definitions().get(r.rsplit('/').next()?));
    if let Some(description) = definition.and_then(|d| d.get("description")?.as_str()) {
        content["description"] = json!(one_line(description));
    }
    json!({"type": "object", "properties": {name: content}, "required": [name], "additionalProperties": false})
}

/// Sets one keyword of a property and keeps what it says about itself.
fn replace(properties: &mut Map<String, Value>, property: &str, keyword: &str, value: Value) {
    if let Some(Value::Object(schema)) = properties.get_mut(property) {
        schema.insert(keyword.to_owned(), value);
    }
}
