//! Every connector has the same files, and is in the worker's list.

use std::collections::BTreeSet;

use toml::Table;

use crate::tree::Tree;

const LIST: &str = "connector-runtime/worker/src/connectors.rs";

/// Files that connectors lack, and connectors that the worker does not list.
pub fn connector_files(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    let folders: BTreeSet<&str> = tree
        .ending("/Cargo.toml")
        .filter_map(|(path, _)| path.strip_suffix("/Cargo.toml"))
        .filter(|folder| folder.starts_with("connectors/") && folder.matches('/').count() == 1)
        .collect();
    let list = tree.text(LIST).unwrap_or_default();
    for folder in folders {
        let has = |file: &str| tree.has(&format!("{folder}/{file}"));
        for file in ["src/lib.rs", "src/config.rs", "tests/suite.rs", "README.md"] {
            if !has(file) {
                broken.push(format!("{folder} has no {file}"));
            }
        }
        let ends = ["src/source.rs", "src/source", "src/sink.rs", "src/sink"];
        if !ends.into_iter().any(has) {
            broken.push(format!("{folder} has neither src/source.rs nor src/sink.rs"));
        }
        let name = crate_name(tree.text(&format!("{folder}/Cargo.toml")).unwrap_or_default());
        if !list.contains(&name) {
            broken.push(format!("{folder}: {name} is not in the list of {LIST}"));
        }
    }
    broken
}

/// What Rust calls the crate of a manifest.
fn crate_name(manifest: &str) -> String {
    manifest
        .parse::<Table>()
        .ok()
        .and_then(|table| Some(table.get("package")?.get("name")?.as_str()?.replace('-', "_")))
        .unwrap_or_default()
}
