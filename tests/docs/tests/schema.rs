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

/// Options and errors of a connector stand in one place, the page that is made of its types; its README leads there.
#[test]
fn the_readme_of_a_connector_leads_to_its_page_and_repeats_nothing_of_it() {
    let pages = [("csv", "csv_drops", "CsvDropsConfig"), ("kafka", "topic", "TopicConfig")];
    let schema = pipeline_schema(&unbatch::connectors::built_in());
    for (folder, name, definition) in pages {
        let read = |path: &str| std::fs::read_to_string(unbatch_docs_tests::root().join(path)).unwrap();
        let readme = read(&format!("connectors/{folder}/README.md"));
        let link = format!("(../../docs/src/connectors/{name}.md#options)");
        assert!(readme.contains(&link), "connectors/{folder}/README.md does not lead to {link}");
        assert!(readme.contains(&format!("  {name}:\n")), "connectors/{folder}/README.md has no example");
        let tables: Vec<&str> = readme.lines().filter(|line| line.starts_with('|')).collect();
        assert!(tables.is_empty(), "connectors/{folder}/README.md keeps a table of its own: {tables:?}");
        let page = read(&format!("docs/src/connectors/{name}.md"));
        let options = schema["$defs"][definition]["properties"].as_object().unwrap();
        assert!(options.len() > 8);
        for option in options.keys() {
            assert!(page.contains(&format!("\n| `{option}`")), "docs/src/connectors/{name}.md lacks `{option}`");
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
