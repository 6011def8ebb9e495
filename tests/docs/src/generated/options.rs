//! Options of connectors and files, from the JSON Schema that comes from their configuration types.

use super::{cell, prose};
use serde_json::Value;

/// Deeper options are left to the schema.
const DEPTH_MAX: usize = 4;

/// Role, name and schema of each connector in the schema of pipeline files.
pub(super) fn connectors(schema: &Value) -> Vec<(&'static str, String, &Value)> {
    let mut found = Vec::new();
    for role in ["source", "sink"] {
        for one in schema["properties"][role]["oneOf"].as_array().into_iter().flatten() {
            for (name, connector) in one["properties"].as_object().into_iter().flatten() {
                found.push((role, name.clone(), resolved(connector, schema)));
            }
        }
    }
    found
}

/// Name and description of each step in the schema of pipeline files.
pub(super) fn steps(schema: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for one in schema["properties"]["steps"]["items"]["oneOf"].as_array().into_iter().flatten() {
        for (name, step) in one["properties"].as_object().into_iter().flatten() {
            found.push((name.clone(), prose(step["description"].as_str().unwrap_or_default())));
        }
    }
    found
}

/// The functions that expressions may call, by group.
pub(super) fn functions() -> String {
    let mut text = String::new();
    for (group, functions) in unbatch_steps::function_list() {
        text.push_str(&format!("**{group}**\n\n| | |\n|---|---|\n"));
        for (syntax, gives) in functions {
            text.push_str(&format!("| `{}` | {} |\n", cell(syntax), cell(&prose(gives))));
        }
        text.push('\n');
    }
    text
}

/// What a connector is, in its own words.
pub(super) fn described(role: &str, connector: &Value) -> String {
    format!("A {role}. {}", prose(connector["description"].as_str().unwrap_or_default()))
}

/// A table of options, those inside an option below it.
pub(super) fn table(schema: &Value, root: &Value) -> String {
    let mut text = "| option | kind | default | |\n|---|---|---|---|\n".to_owned();
    rows(schema, root, "", 0, &mut text);
    text
}

fn rows(schema: &Value, root: &Value, path: &str, depth: usize, text: &mut String) {
    let required = |name: &str| schema["required"].as_array().is_some_and(|list| list.iter().any(|r| r == name));
    for (name, option) in schema["properties"].as_object().into_iter().flatten() {
        let target = resolved(option, root);
        let default = match &option["default"] {
            _ if required(name) => "required".to_owned(),
            Value::Null => String::new(),
            default => format!("`{}`", yaml(default)),
        };
        let about = [option, target].into_iter().find_map(|s| s["description"].as_str()).unwrap_or_default();
        let about = cell(&format!("{} {}", prose(about), choices(target, root)));
        text.push_str(&format!("| `{path}{name}` | {} | {default} | {about} |\n", cell(&kind(option, root))));
        // which connectors there are, and their options, stands on pages of their own
        if depth < DEPTH_MAX && !matches!(name.as_str(), "source" | "sink" | "steps") {
            let list = target["items"].is_object();
            let inner = if list { resolved(&target["items"], root) } else { target };
            let dots = if list { "[]." } else { "." };
            rows(inner, root, &format!("{path}{name}{dots}"), depth + 1, text);
        }
    }
}

/// `keep`: it stays; and so on, for an option that takes one of several words.
fn choices(schema: &Value, root: &Value) -> String {
    let mut told = Vec::new();
    for one in schema["oneOf"].as_array().into_iter().flatten() {
        let one = resolved(one, root);
        let Some(about) = one["description"].as_str() else { continue };
        let word = match (&one["const"], one["properties"].as_object()) {
            (Value::String(word), _) => word.clone(),
            (_, Some(properties)) => {
                let keys = properties.iter().map(|(key, value)| format!("{key}: {}", kind(value, root)));
                format!("{{{}}}", keys.collect::<Vec<_>>().join(", "))
            }
            _ => continue,
        };
        told.push(format!("<br>`{word}`: {}", prose(about)));
    }
    told.join(" ")
}

/// The kind of value in a word or two.
fn kind(schema: &Value, root: &Value) -> String {
    match named(schema) {
        Some("Duration") => return "duration".to_owned(),
        Some("Size") => return "size".to_owned(),
        Some("Text") => return "text or reference".to_owned(),
        Some("Sensitive") => return "reference".to_owned(),
        Some("ColumnType") => return "column type".to_owned(),
        _ => {}
    }
    let schema = resolved(schema, root);
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(plain).collect::<Vec<_>>().join(", ");
    }
    if let Some(word) = schema.get("const") {
        return plain(word);
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(list) = schema[several].as_array() {
            let mut kinds: Vec<String> = list.iter().filter(|s| s["type"] != "null").map(|s| kind(s, root)).collect();
            kinds.dedup();
            return kinds.join(" or ");
        }
    }
    match &schema["type"] {
        Value::String(word) if word == "array" && schema["items"].is_null() => "list".to_owned(),
        Value::String(word) if word == "array" => format!("list of {}", kind(&schema["items"], root)),
        Value::String(word) if word == "object" => match schema["properties"].as_object() {
            Some(_) => "block".to_owned(),
            None => "map".to_owned(),
        },
        Value::String(word) => english(word).to_owned(),
        Value::Array(words) => {
            let words = words.iter().filter_map(Value::as_str).filter(|w| *w != "null");
            words.map(english).collect::<Vec<_>>().join(" or ")
        }
        _ => "connector".to_owned(),
    }
}

fn english(word: &str) -> &str {
    match word {
        "string" => "text",
        "integer" => "whole number",
        "boolean" => "true or false",
        other => other,
    }
}

/// The definition that a schema refers to, also behind an optional's `anyOf`.
fn named(schema: &Value) -> Option<&str> {
    let name = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next());
    name.or_else(|| match schema["anyOf"].as_array().map(Vec::as_slice) {
        Some([one, null] | [null, one]) if null["type"] == "null" => named(one),
        _ => None,
    })
}

fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    match named(schema) {
        Some(name) => &root["$defs"][name],
        None => schema,
    }
}

/// A default as one would write it in YAML.
fn yaml(value: &Value) -> String {
    match value {
        Value::String(text)
            if text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c)) && !text.is_empty() =>
        {
            text.clone()
        }
        Value::Object(map) => {
            let pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}: {}", yaml(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(yaml).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn plain(value: &Value) -> String {
    format!("`{}`", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}
