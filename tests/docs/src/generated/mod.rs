//! The parts of pages that come from the code.
//!
//! A page holds such a part between two comments, so that it can be read in the checkout as well as in the book:
//!
//! ```text
//! <!-- generated: errors csv_drops -->
//! …
//! <!-- end of generated -->
//! ```

mod codes;
mod commands;
mod options;

use std::collections::{BTreeMap, BTreeSet};
use unbatch::RuntimeConfig;
use unbatch::connectors::built_in;
use unbatch_engine::config::{pipeline_schema, schema_of};

const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end of generated -->";

/// Every part there is, by its name.
pub fn parts() -> BTreeMap<String, String> {
    let registry = built_in();
    let schema = pipeline_schema(&registry);
    let runtime = schema_of::<RuntimeConfig>();
    let mut parts = BTreeMap::from([
        ("commands".to_owned(), commands::reference(unbatch::command_line())),
        ("options pipeline".to_owned(), options::table(&schema, &schema)),
        ("options runtime".to_owned(), options::table(&runtime, &runtime)),
        ("errors all".to_owned(), codes::index(&unbatch::codes::all(&registry))),
        ("errors csv_drops".to_owned(), codes::table(&[unbatch_csv::CODES, unbatch_object_files::CODES])),
        ("errors topic".to_owned(), codes::table(&[unbatch_kafka::CODES, unbatch_kafka_client::CODES])),
    ]);
    parts.insert("functions".to_owned(), options::functions());
    for (name, description) in options::steps(&schema) {
        parts.insert(format!("description {name}"), description);
    }
    for (role, name, connector) in options::connectors(&schema) {
        parts.insert(format!("options {name}"), options::table(connector, &schema));
        parts.insert(format!("description {name}"), options::described(role, connector));
    }
    parts
}

/// The page with its generated parts as they have to be now, and the names of those parts.
///
/// # Errors
///
/// When a part is not known or not ended.
pub fn renewed(page: &str, parts: &BTreeMap<String, String>) -> Result<(String, BTreeSet<String>), String> {
    let (mut text, mut used) = (String::with_capacity(page.len()), BTreeSet::new());
    let mut rest = page;
    while let Some(begin) = rest.find(BEGIN) {
        let after = &rest[begin + BEGIN.len()..];
        let (name, inside) = after.split_once(" -->").ok_or("a generated part has no name")?;
        let part = parts.get(name).ok_or_else(|| format!("nothing generates `{name}`"))?;
        let end = inside.find(END).ok_or_else(|| format!("the generated part `{name}` has no end"))?;
        text.push_str(&rest[..begin]);
        text.push_str(&format!("{BEGIN}{name} -->\n\n{}\n\n{END}", part.trim()));
        used.insert(name.to_owned());
        rest = &inside[end + END.len()..];
    }
    text.push_str(rest);
    Ok((text, used))
}

/// Text inside a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// Text that is no Markdown code: what would be read as a tag of HTML is shown as it is.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate().map(|(n, part)| match n % 2 {
        0 => part.replace('<', "&lt;").replace('*', "\\*"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_renewed() {
        let parts = BTreeMap::from([("a".to_owned(), "new\n".to_owned())]);
        let (text, used) = renewed("x\n<!-- generated: a -->\nold\n<!-- end of generated -->\ny\n", &parts).unwrap();
        assert_eq!(text, "x\n<!-- generated: a -->\n\nnew\n\n<!-- end of generated -->\ny\n");
        assert!(used.contains("a"));
        assert!(renewed("<!-- generated: b -->\n<!-- end of generated -->", &parts).is_err());
        assert!(renewed("<!-- generated: a -->\n", &parts).is_err());
    }
}
