//! What a person sees who writes a pipeline in an editor: the real YAML language server, with our schema and the line by which
//! a pipeline file names it.
#![allow(clippy::unwrap_used, reason = "tests stop at what they did not expect")]

mod language_server;

use language_server::LanguageServer;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use unbatch_docs_tests::root;
use unbatch_test_harness::{Launch, not_run};

const DEADLINE: Duration = Duration::from_secs(60);

const PIPELINE: &str = "\
# yaml-language-server: $schema=pipeline.schema.json
version: 1
pipeline: stock-counts
source:
  csv_drops:
    url: file:drops/
    match: \"*.csv\"
    ready_when: {stable_for: 5s}
    dilect: {delimiter: \";\"}
    \nsink:
  topic: {name: stock.counts}
";

/// A folder with a pipeline file and the schema as `unbatch schema` prints it, and a server that looks at them.
fn editor(test: &str) -> Option<(tempfile::TempDir, LanguageServer, String)> {
    let program = match fetched() {
        Ok(program) => program,
        Err(why) => {
            not_run(test, &why);
            return None;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let schema = Launch::unbatch().arg("schema").run(DEADLINE);
    assert!(schema.status.success(), "{}", schema.stderr);
    std::fs::write(folder.path().join("pipeline.schema.json"), schema.stdout).unwrap();
    let file = folder.path().join("stock-counts.yaml");
    std::fs::write(&file, PIPELINE).unwrap();
    let mut server = LanguageServer::start(&program, folder.path());
    let uri = format!("file://{}", file.display());
    let document = json!({"uri": uri, "languageId": "yaml", "version": 1, "text": PIPELINE});
    server.notify("textDocument/didOpen", &json!({"textDocument": document}));
    Some((folder, server, uri))
}

fn fetched() -> Result<PathBuf, String> {
    let script = root().join("scripts/yaml-language-server.sh");
    let done = Command::new(script).output().map_err(|e| format!("the script that fetches it cannot run: {e}"))?;
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).trim().into()),
        false => Err(String::from_utf8_lossy(&done.stderr).trim().lines().last().unwrap_or_default().to_owned()),
    }
}

/// The line and column, counted from 0, where `text` begins.
fn place(text: &str) -> Value {
    let line = PIPELINE.lines().position(|l| l.contains(text)).unwrap();
    json!({"line": line, "character": PIPELINE.lines().nth(line).unwrap().find(text).unwrap()})
}

#[test]
fn a_misspelt_key_is_marked() {
    let Some((_folder, mut server, uri)) = editor("a_misspelt_key_is_marked") else { return };
    let marked = server.wait_for("textDocument/publishDiagnostics", DEADLINE, |said| {
        said["uri"] == json!(uri) && said["diagnostics"].as_array().is_some_and(|d| !d.is_empty())
    });
    let found = marked["diagnostics"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{marked:#}");
    assert!(found[0]["message"].as_str().unwrap().contains("dilect"), "{marked:#}");
    assert_eq!(found[0]["range"]["start"], place("dilect"), "{marked:#}");
    server.close(DEADLINE);
}

#[test]
fn keys_of_a_source_are_offered_with_their_description() {
    let Some((_folder, mut server, uri)) = editor("keys_of_a_source_are_offered_with_their_description") else {
        return;
    };
    // the empty line inside of `csv_drops`
    let line = PIPELINE.lines().position(|l| l.contains("dilect")).unwrap() + 1;
    let at = json!({"textDocument": {"uri": uri}, "position": {"line": line, "character": 4}});
    let offered = server.ask("textDocument/completion", &at, DEADLINE);
    let items = offered["items"].as_array().unwrap();
    let item = |label: &str| items.iter().find(|i| i["label"] == label);
    for key in ["dialect", "after", "columns", "on_bad_file"] {
        let item = item(key).unwrap_or_else(|| panic!("`{key}` is not offered: {offered:#}"));
        assert!(item["documentation"].to_string().len() > 20, "{item:#}");
    }
    assert!(item("url").is_none(), "what is there already is not offered again");
    assert!(item("partitions").is_none(), "what belongs elsewhere is not offered");
    server.close(DEADLINE);
}

#[test]
fn a_key_says_what_it_does() {
    let Some((_folder, mut server, uri)) = editor("a_key_says_what_it_does") else { return };
    for (key, words) in [
        ("url", "Folders inside it are not looked into"),
        // of an option that takes one of several forms, the form that is there
        ("ready_when", "did not change for this long"),
        ("stable_for", "A guess about the writer"),
        ("csv_drops", "each row of each file exactly once"),
        ("pipeline:", "equal to the name of its file"),
        ("topic", "records of a Kafka topic"),
    ] {
        let said =
            server.ask("textDocument/hover", &json!({"textDocument": {"uri": uri}, "position": place(key)}), DEADLINE);
        assert!(said["contents"].to_string().contains(words), "{key}: {said:#}");
    }
    server.close(DEADLINE);
}
