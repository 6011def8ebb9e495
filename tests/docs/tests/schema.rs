//! Editors show what the schema says: each field has a description, and what holds when it is left out; each word to choose
//! from has a description too.
#![allow(clippy::unwrap_used, reason = "tests stop at what they did not expect")]

use serde_json::{Value, json};
use unbatch_engine::config::{pipeline_schema, schema_of};

/// Words by which a description says what holds without the field.
const WITHOUT: [&str; 3] = ["default", "without", "optional"];

#[test]
fn every_field_says_what_it_is_and_what_holds_without_it() {
    let runtime = schema_of::<unbatch::RuntimeConfig>();
    let pipeline = pipeline_schema(&unbatch::connectors::built_in());
    let (mut fields, mut broken) = (0, Vec::new());
    for (name, schema) in [("pipeline", &pipeline), ("runtime", &runtime)] {
        look(schema, name, &mut fields, &mut broken);
    }
    eprintln!("{fields} fields are described");
    assert!(broken.is_empty(), "doc comments of the configuration types lack something:\n  {}", broken.join("\n  "));
    assert!(fields > 60, "only {fields} fields were found");
}

/// The table of options in a connector's README is written by hand, for a glance; none may be missing there.
#[test]
fn the_page_of_a_connector_in_the_tree_names_every_option() {
    let schema = pipeline_schema(&unbatch::connectors::built_in());
    for (definition, page) in [("CsvDropsConfig", "connectors/csv"), ("TopicConfig", "connectors/kafka")] {
        let page = std::fs::read_to_string(unbatch_docs_tests::root().join(page).join("README.md")).unwrap();
        let (_, table) = page.split_once("## Options").unwrap();
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
        let options = schema["$defs"][definition]["properties"].as_object().unwrap();
        assert!(options.len() > 8);
        for option in options.keys() {
            let named = |row: &&str| row.split('|').nth(1).is_some_and(|cell| cell.contains(&format!("`{option}")));
            assert!(rows.iter().any(named), "{definition}: no line for `{option}`");
        }
    }
}

#[test]
fn a_field_that_says_nothing_is_found() {
    let schema = json!({"properties": {"a": {"type": "string"}, "b": {"description": "A b."}}, "required": ["a"]});
    let (mut fields, mut broken) = (0, Vec::new());
    look(&schema, "x", &mut fields, &mut broken);
    assert_eq!(broken, ["x/a has no description", "x/b does not say what holds without it"]);
}

/// Goes through a schema, whatever it is made of.
fn look(schema: &Value, path: &str, fields: &mut usize, broken: &mut Vec<String>) {
    let required = |name: &str| schema["required"].as_array().is_some_and(|list| list.iter().any(|r| r == name));
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        *fields += 1;
        let description = field["description"].as_str().unwrap_or_default();
        let says = |words: &[&str]| words.iter().any(|word| description.to_lowercase().contains(word));
        if description.replace("\n\n", "").contains('\n') {
            broken.push(format!("{path}/{name}: its description breaks where a line of the source ends"));
        }
        if description.is_empty() {
            broken.push(format!("{path}/{name} has no description"));
        } else if !required(name) && field["default"].is_null() && !says(&WITHOUT) {
            broken.push(format!("{path}/{name} does not say what holds without it"));
        }
        look(field, &format!("{path}/{name}"), fields, broken);
    }
    for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
        look(definition, &format!("{path}/{name}"), fields, broken);
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        for one in schema[several].as_array().into_iter().flatten() {
            if several == "oneOf" && one["const"].is_string() && one["description"].is_null() {
                broken.push(format!("{path}: `{}` has no description", one["const"].as_str().unwrap()));
            }
            look(one, path, fields, broken);
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        broken.push(format!("{path}: {words:?} have no descriptions"));
    }
    if schema["items"].is_object() {
        look(&schema["items"], path, fields, broken);
    }
}
