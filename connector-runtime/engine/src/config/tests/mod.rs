//! Tests of configuration through three helpers: `wrong` for one mistake or more in a connector-like type, `pipeline` for a
//! pipeline file with the connectors of [`fake`], and the drawn message where its look matters.

mod fake;
mod mistakes;
mod pipelines;
mod robustness;
mod several;

use super::*;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use unbatch_api::ColumnType;
use unbatch_api::config::{Period, Sensitive, Size, Text};

/// Everything that connectors write in their configuration types.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Shop {
    /// Where the shop is.
    url: Text,
    #[serde(default)]
    password: Option<Sensitive>,
    #[serde(default)]
    dsn: Option<Sensitive>,
    #[serde(default)]
    columns: Vec<Column>,
    #[serde(default)]
    tables: Vec<Table>,
    #[serde(default)]
    stable_for: Option<Period>,
    #[serde(default)]
    buffer: Option<Size>,
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    partitions: Option<i32>,
    #[serde(default)]
    rows: Option<u32>,
    #[serde(default)]
    ratio: Option<f64>,
    #[serde(default)]
    delimiter: Option<char>,
    #[serde(default)]
    header: bool,
    #[serde(default)]
    after: After,
    #[serde(default)]
    format: Option<Format>,
    #[serde(default)]
    mode: Option<Mode>,
    #[serde(default)]
    properties: BTreeMap<String, i64>,
    #[serde(default)]
    #[schemars(length(min = 1, max = 2))]
    names: Option<Vec<String>>,
    #[serde(default)]
    path: Option<PathBuf>,
    #[serde(default)]
    pair: Option<(String, u8)>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Column {
    name: String,
    r#type: ColumnType,
    #[serde(default)]
    required: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum Table {
    Name(String),
    WithKey(KeyedTable),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct KeyedTable {
    name: String,
    key: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code)]
enum After {
    /// Leave it.
    #[default]
    Keep,
    /// Remove it.
    Delete,
    /// Put it elsewhere.
    MoveTo(String),
    Pack {
        level: u8,
    },
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    Json,
    JsonSchema,
    Avro,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(dead_code)]
enum Mode {
    Append,
    Merge { key: Vec<String> },
}

fn parse(text: &str) -> (Arc<SourceText>, yaml::Parsed) {
    let source = Arc::new(SourceText::new("a.yaml", text));
    let parsed = yaml::parse(&source);
    (source, parsed)
}

fn read_text<T: DeserializeOwned + JsonSchema>(text: &str) -> Result<T, Diagnostics> {
    let (source, parsed) = parse(text);
    match parsed.node {
        Some(node) if parsed.found.is_empty() => read(&source, &node),
        Some(node) => {
            let mut found = Diagnostics::from(parsed.found);
            found.extend(read::<T>(&source, &node).err().unwrap_or_default());
            Err(found)
        }
        None => Err(parsed.found.into()),
    }
}

/// `CODE line:column message` of each.
fn lines(found: &Diagnostics) -> Vec<String> {
    let place = |d: &Diagnostic| d.span.map_or("-".to_owned(), |s| format!("{}:{}", s.line, s.column));
    found.iter().map(|d| format!("{} {} {}", d.code, place(d), d.message)).collect()
}

/// Reads `text` as a [`Shop`] and compares what is wrong with it; one expected line for each message, in order. Every
/// message must have a documented code, a place inside the text and a remedy.
fn wrong(text: &str, expected: &[&str]) -> Diagnostics {
    let found = match read_text::<Shop>(text) {
        Ok(shop) => panic!("accepted: {text}\n{shop:?}"),
        Err(found) => found,
    };
    assert_eq!(lines(&found), expected, "\n{text}\n{}", found.render(Style::default()));
    for d in found.iter() {
        assert!(explain(d.code).is_some(), "{} is not documented", d.code);
        assert!(!d.help.is_empty(), "{} has no remedy", d.message);
        assert!(d.span.is_some_and(|s| s.offset + s.length <= text.len()), "{d:?}");
        assert!(!d.message.ends_with('.') && !d.message.contains("hunter2"), "{}", d.message);
    }
    assert!(!found.render(Style::default()).contains("hunter2"), "{}", found.render(Style::default()));
    assert!(!serde_json::to_string(&found).unwrap().contains("hunter2"));
    assert!(!format!("{found} {found:?}").contains("hunter2"));
    found
}

/// `wrong`, with `url` given.
fn wrong_shop(line: &str, expected: &[&str]) -> Diagnostics {
    wrong(&format!("url: x\n{line}\n"), expected)
}
