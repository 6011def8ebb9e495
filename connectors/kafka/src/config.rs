//! The options of the sink `topic`.

use crate::naming::NameTemplate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use unbatch_api::{Problem, Severity, StreamName, StreamSchema};
use unbatch_kafka_client::PropertyValue;

/// Rows become records of a Kafka topic.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicConfig {
    /// Name of the topic. `{stream}`, `{schema}`, `{table}` and `{topic}` stand for parts of the stream's name, so that each
    /// stream gets a topic of its own: `shop.{schema}.{table}`.
    pub name: String,
    /// Key columns: a list for all streams, or a list for each stream. Without it the source's own key, of which CSV files
    /// have none; with an empty list records have no key.
    #[serde(default)]
    pub key: Option<Key>,
    /// Partitions of a topic that is made, by default 6; of one that exists, the number it must have. Giving the new
    /// number after somebody added partitions confirms that keys may move.
    #[serde(default)]
    pub partitions: Option<u32>,
    /// Copies of a topic that is made. Default: 3, or as many as there are brokers.
    #[serde(default)]
    pub replication: Option<u32>,
    /// Settings of a topic that is made, such as `retention.ms`. Default: the broker's.
    #[serde(default)]
    pub config: BTreeMap<String, PropertyValue>,
    /// How keys and values are written.
    #[serde(default)]
    pub format: Format,
    /// What a value holds.
    #[serde(default)]
    pub envelope: Envelope,
    /// Which headers records carry.
    #[serde(default)]
    pub headers: HeaderSet,
    /// How batches of records are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// Columns whose hash chooses the partition, instead of the key.
    #[serde(default)]
    pub partition_by: Vec<String>,
    /// What to do when the source empties a table: a topic cannot take that back.
    #[serde(default)]
    pub truncates: Truncates,
}

/// Key columns.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Key {
    /// The same for all streams.
    All(Vec<String>),
    /// By stream; a stream that is not named has the source's own key.
    ByStream(BTreeMap<String, Vec<String>>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JSON: a row is one object.
    #[default]
    Json,
    /// JSON with its schema, as Connect's JsonConverter writes it. Not built in yet.
    JsonSchema,
    /// Avro with a schema registry. Not built in yet.
    Avro,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    /// The row as one object; a delete is a tombstone.
    #[default]
    Row,
    /// `before`, `after`, `op`, `source`, `ts_ms`. Not built in yet.
    Debezium,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeaderSet {
    /// `u`, and `meta`: a JSON object with `op`, `origin`, `schema`, and where they apply `src_ts`, `tx`, `unchanged`.
    #[default]
    Full,
    /// `u`, and `unchanged` where cells were not sent.
    Minimal,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip: small, slow to write.
    Gzip,
    /// Snappy: fast, less small.
    Snappy,
    /// LZ4: fast, less small.
    #[default]
    Lz4,
    /// Zstandard: small, fairly fast.
    Zstd,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Truncates {
    /// Stop the pipeline and say so.
    #[default]
    Stop,
    /// Leave the topic as it is.
    Ignore,
}

/// Partitions of a topic that is made when `partitions` is not given.
pub(crate) const PARTITIONS_DEFAULT: u32 = 6;

impl TopicConfig {
    pub(crate) fn template(&self) -> Result<NameTemplate, String> {
        NameTemplate::parse(&self.name)
    }

    /// Key columns of a stream.
    pub(crate) fn key_of<'a>(&'a self, stream: &StreamName, schema: &'a StreamSchema) -> &'a [String] {
        match &self.key {
            Some(Key::All(columns)) => columns,
            Some(Key::ByStream(by_stream)) => by_stream.get(stream.as_str()).map_or(schema.key(), Vec::as_slice),
            None => schema.key(),
        }
    }

    /// Everything that is wrong, with the columns of streams where they are known.
    pub(crate) fn problems(&self, streams: &[(StreamName, Arc<StreamSchema>)]) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut error = |path: &str, code, message: String, help: &str| {
            problems.push(Problem { path: path.into(), severity: Severity::Error, code, message, help: help.into() });
        };
        if self.format != Format::Json {
            error("format", "U0270", "this format is not built in yet".into(), "write `format: json`, the default");
        }
        if self.envelope != Envelope::Row {
            error(
                "envelope",
                "U0270",
                "this envelope is not built in yet".into(),
                "write `envelope: row`, the default",
            );
        }
        for (path, number) in [("partitions", self.partitions), ("replication", self.replication)] {
            if number == Some(0) {
                error(path, "U0271", format!("`{path}` is at least 1"), "leave it out for the default");
            }
        }
        match self.template() {
            Err(message) => error("name", "U0272", message, "such as `shop.orders` or `shop.{schema}.{table}`"),
            Ok(template) => {
                if template.is_constant() && streams.len() > 1 {
                    let help = "put `{stream}` (or `{schema}` and `{table}`) into the name, so that each stream has a topic of its own";
                    error("name", "U0273", format!("{} streams would go into one topic", streams.len()), help);
                }
                for (stream, _) in streams {
                    if let Err(message) = template.fill(stream) {
                        error("name", "U0272", message, "rename the stream, or give the topic a name of its own");
                    }
                }
            }
        }
        self.column_problems(streams, &mut error);
        problems
    }

    fn column_problems(
        &self,
        streams: &[(StreamName, Arc<StreamSchema>)],
        error: &mut impl FnMut(&str, &'static str, String, &str),
    ) {
        for (stream, schema) in streams {
            let known: Vec<&str> = schema.fields().fields().iter().map(|f| f.name().as_str()).collect();
            let help = format!("`{stream}` has {}", known.join(", "));
            let keys = self.key_of(stream, schema).iter().map(|c| ("key", c));
            for (path, column) in keys.chain(self.partition_by.iter().map(|c| ("partition_by", c))) {
                if !known.contains(&column.as_str()) {
                    error(path, "U0274", format!("`{stream}` has no column `{column}`"), &help);
                }
            }
        }
        if let Some(Key::ByStream(by_stream)) = &self.key
            && !streams.is_empty()
        {
            for name in by_stream.keys().filter(|name| !streams.iter().any(|(s, _)| s.as_str() == name.as_str())) {
                error(
                    "key",
                    "U0275",
                    format!("there is no stream `{name}`"),
                    "a key is given by stream name, or as one list",
                );
            }
        }
    }
}

impl Compression {
    /// As librdkafka calls it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_api::ColumnType;
    use unbatch_api::arrow::datatypes::Schema;

    fn parse(json: &str) -> TopicConfig {
        serde_json::from_str(json).unwrap()
    }

    fn stream(name: &str, key: &[&str]) -> (StreamName, Arc<StreamSchema>) {
        let fields = Schema::new(vec![ColumnType::String.field("sku", false), ColumnType::Int64.field("n", true)]);
        let key = key.iter().map(|k| (*k).to_owned()).collect();
        (StreamName::new(name), Arc::new(StreamSchema::new(Arc::new(fields), key)))
    }

    #[test]
    fn problems_are_found_together_with_their_places() {
        let config = parse(
            r#"{"name": "a.{tabel}", "key": ["sku", "price"], "partitions": 0, "format": "avro", "partition_by": ["x"]}"#,
        );
        let problems = config.problems(&[stream("s", &[])]);
        let paths: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(paths, ["format", "partitions", "name", "key", "partition_by"]);
    }

    #[test]
    fn several_streams_need_a_name_with_a_place_for_them() {
        let streams = [stream("public.a", &[]), stream("public.b", &[])];
        let one = parse(r#"{"name": "shop"}"#).problems(&streams);
        assert_eq!(one.iter().map(|p| p.code).collect::<Vec<_>>(), ["U0273"]);
        assert!(parse(r#"{"name": "shop.{table}"}"#).problems(&streams).is_empty());
    }

    #[test]
    fn the_key_is_the_sources_own_unless_one_is_given() {
        let (name, schema) = stream("s", &["sku"]);
        let key = |json: &str| parse(json).key_of(&name, &schema).to_vec();
        assert_eq!(key(r#"{"name": "t"}"#), ["sku"]);
        assert_eq!(key(r#"{"name": "t", "key": ["n"]}"#), ["n"]);
        assert_eq!(key(r#"{"name": "t", "key": {"s": ["n"]}}"#), ["n"]);
        assert_eq!(key(r#"{"name": "t", "key": {"other": ["n"]}}"#), ["sku"]);
        assert!(key(r#"{"name": "t", "key": []}"#).is_empty());
    }
}
