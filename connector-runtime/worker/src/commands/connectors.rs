//! `unbatch connectors`: what this binary is built with; the options of one connector come from its configuration type.

use super::Context;
use crate::answer::Answer;
use crate::arguments::Connectors;
use crate::failure::Outcome;
use crate::tables::{Align, table};
use crate::terminal::Output;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};
use std::fmt::Write;
use unbatch_api::Error;
use unbatch_engine::Registry;

/// Nested options deeper than this are left to the schema.
const DEPTH_MAX: usize = 3;

pub(crate) fn connectors(args: &Connectors, cx: &Context) -> Outcome<Answer> {
    let found = built_in(&cx.registry);
    let Some(name) = &args.name else {
        let rows = found.iter().map(|c| vec![c.role.to_owned(), c.name.to_owned(), first_sentence(&c.schema)]);
        let columns = [("role", Align::Left), ("name", Align::Left), ("", Align::Left)];
        let list: Vec<Value> = found
            .iter()
            .map(|c| json!({"role": c.role, "name": c.name, "description": c.schema["description"]}))
            .collect();
        return Ok(Answer::new(table(&columns, rows, &cx.terminal), json!({"connectors": list})));
    };
    let mine: Vec<&BuiltIn> = found.iter().filter(|c| c.name == name).collect();
    if mine.is_empty() {
        let known: Vec<&str> = found.iter().map(|c| c.name).collect();
        return Err(Error::misconfigured("finding the connector failed, this binary has none of that name")
            .code("U0743")
            .with("connector", name)
            .with("there are", known.join(", "))
            .help("take one of these, or build a binary that has it")
            .into());
    }
    let mut text = String::new();
    for connector in &mine {
        text.push_str(&described(connector));
    }
    let list: Vec<Value> = mine.iter().map(|c| json!({"role": c.role, "name": c.name, "schema": c.schema})).collect();
    Ok(Answer::new(cx.terminal.fit(Output::Result, &text), json!({"connectors": list})))
}

struct BuiltIn {
    role: &'static str,
    name: &'static str,
    /// With the definitions that it refers to.
    schema: Value,
}

fn built_in(registry: &Registry) -> Vec<BuiltIn> {
    let mut all = Vec::new();
    let generator = || SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let mut add = |role, name, schema: &dyn Fn(&mut schemars::SchemaGenerator) -> schemars::Schema| {
        let mut generator = generator();
        let root = schema(&mut generator).to_value();
        let definitions = Value::Object(generator.take_definitions(true));
        let mut schema = resolved(&root, &definitions).clone();
        schema["$defs"] = definitions;
        all.push(BuiltIn { role, name, schema });
    };
    for name in registry.source_names() {
        if let Some(factory) = registry.source_factory(name) {
            add("source", name, &|g| factory.schema(g));
        }
    }
    for name in registry.sink_names() {
        if let Some(factory) = registry.sink_factory(name) {
            add("sink", name, &|g| factory.schema(g));
        }
    }
    for name in registry.step_names() {
        if let Some(factory) = registry.step_factory(name) {
            add("step", name, &|g| factory.schema(g));
        }
    }
    all
}

fn described(connector: &BuiltIn) -> String {
    let mut text =
        format!("{} {}\n  {}\n\n", connector.role, connector.name, one_line(&connector.schema["description"]));
    let definitions = &connector.schema["$defs"];
    options(&connector.schema, definitions, "", 0, &mut text);
    if connector.schema["properties"].is_null() {
        let _ = writeln!(text, "  takes: {}", kind(resolved(&connector.schema, definitions), definitions));
        forms(&connector.schema["additionalProperties"], definitions, &mut text);
    }
    for example in connector.schema["examples"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "  for example: - {}: {example}", connector.name);
    }
    text.push('\n');
    text
}

/// What each of several forms means, such as the methods of a mask.
fn forms(schema: &Value, definitions: &Value, text: &mut String) {
    for form in resolved(schema, definitions)["oneOf"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "  {}\n      {}", kind(form, definitions), one_line(&form["description"]));
    }
}

/// An entry for each option, with those inside it below.
fn options(schema: &Value, definitions: &Value, path: &str, depth: usize, text: &mut String) {
    let required = |name: &str| schema["required"].as_array().is_some_and(|list| list.iter().any(|r| r == name));
    for (name, option) in schema["properties"].as_object().into_iter().flatten() {
        let target = resolved(option, definitions);
        let about = match &option["default"] {
            Value::Null if required(name) => "required".to_owned(),
            Value::Null => "optional".to_owned(),
            default => format!("default {default}"),
        };
        let description = match one_line(&option["description"]) {
            text if text.is_empty() => one_line(&target["description"]),
            text => text,
        };
        let _ = writeln!(text, "  {path}{name}: {} ({about})", kind(target, definitions));
        if !description.is_empty() {
            let _ = writeln!(text, "      {description}");
        }
        if depth < DEPTH_MAX {
            let inner = if target["items"].is_object() { resolved(&target["items"], definitions) } else { target };
            let dots = if target["items"].is_object() { "[]." } else { "." };
            options(inner, definitions, &format!("{path}{name}{dots}"), depth + 1, text);
        }
    }
}

/// The kind of value in a word or two.
fn kind(schema: &Value, definitions: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(plain).collect::<Vec<_>>().join(" | ");
    }
    if let Some(word) = schema.get("const") {
        return plain(word);
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(list) = schema[several].as_array() {
            let mut kinds: Vec<String> = list
                .iter()
                .map(|one| resolved(one, definitions))
                .filter(|s| s["type"] != "null")
                .map(|s| kind(s, definitions))
                .collect();
            kinds.dedup();
            return kinds.join(" | ");
        }
    }
    match &schema["type"] {
        Value::String(word) if word == "array" => {
            format!("list of {}", kind(resolved(&schema["items"], definitions), definitions))
        }
        Value::String(word) if word == "object" => match schema["properties"].as_object() {
            Some(properties) => format!("{{{}}}", properties.keys().cloned().collect::<Vec<_>>().join(", ")),
            None => match &schema["additionalProperties"] {
                values @ Value::Object(_) => format!("map of {}", kind(resolved(values, definitions), definitions)),
                _ => "map".to_owned(),
            },
        },
        Value::String(word) => word.clone(),
        Value::Array(words) => {
            let words: Vec<String> = words.iter().filter(|w| *w != "null").map(plain).collect();
            words.join(" | ")
        }
        _ => "value".to_owned(),
    }
}

/// The definition that `{"$ref": …}` names, also behind an optional's `anyOf`.
fn resolved<'a>(schema: &'a Value, definitions: &'a Value) -> &'a Value {
    if let Some(name) = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
        return &definitions[name];
    }
    match schema["anyOf"].as_array().map(Vec::as_slice) {
        Some([one, null]) | Some([null, one]) if null["type"] == "null" => resolved(one, definitions),
        _ => schema,
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn one_line(description: &Value) -> String {
    description.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn first_sentence(schema: &Value) -> String {
    let text = one_line(&schema["description"]);
    match text.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_listed_with_kind_default_and_meaning() {
        let schema = json!({
            "description": "Files.", "required": ["url"],
            "properties": {
                "url": {"type": "string", "description": "The folder.\nA path."},
                "after": {"$ref": "#/$defs/After", "default": "keep"},
                "columns": {"type": "array", "items": {"$ref": "#/$defs/Column"}, "default": []},
                "tls": {"anyOf": [{"$ref": "#/$defs/Tls"}, {"type": "null"}]},
            },
            "$defs": {
                "After": {"oneOf": [{"const": "keep"}, {"type": "object", "properties": {"move_to": {"type": "string"}}}]},
                "Column": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
                "Tls": {"type": "object", "description": "Encryption.", "properties": {"verify": {"enum": ["full", "none"]}}},
            },
        });
        let text = described(&BuiltIn { role: "source", name: "files", schema });
        for line in [
            "  url: string (required)\n      The folder. A path.\n",
            "  after: keep | {move_to} (default \"keep\")\n",
            "  columns: list of {name} (default [])\n  columns[].name: string (required)\n",
            "  tls: {verify} (optional)\n      Encryption.\n  tls.verify: full | none (optional)\n",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
    }
}
