//! `unbatch init` on every feed of the examples: what it writes is valid and runs as it is, and the values in the topic are
//! those that the csv crate, which is not the product's reader, finds in the files.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests stop at what they did not expect")]

use newlimits::{Faults, Feed, Request, World, generate};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use unbatch_test_harness::{Finished, Launch};

const DEADLINE: Duration = Duration::from_secs(120);
/// Most files that are sampled. One store of the example writes NULL as no other does, so a few would not tell all.
const SAMPLED: usize = 20;

fn unbatch(home: &Path, arguments: &[&str]) -> Finished {
    Launch::unbatch().args(arguments).current_dir(home).run(DEADLINE)
}

#[track_caller]
fn result(home: &Path, arguments: &[&str]) -> Value {
    let ended = unbatch(home, &[arguments, &["--json"]].concat());
    let envelope: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}\n{ended:?}"));
    assert!(ended.status.success() && envelope["ok"] == true, "{arguments:?}\n{ended:?}");
    envelope["result"].clone()
}

/// The CSV files below a folder, by path.
fn csv_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            found.extend(csv_files(&entry));
        } else if entry.extension().is_some_and(|e| e == "csv") {
            found.push(entry);
        }
    }
    found.sort();
    found
}

/// A column as `init --json` tells it.
struct Column {
    name: String,
    column_type: String,
    options: BTreeMap<String, String>,
}

impl Column {
    fn all(drafted: &Value) -> Vec<Column> {
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let option = |v: &Value| v.as_str().unwrap().split_once(": ").map(|(k, v)| (k.into(), v.into())).unwrap();
        let one = |c: &Value| Column {
            name: text(&c["name"]),
            column_type: text(&c["type"]),
            options: c["options"].as_array().into_iter().flatten().map(option).collect(),
        };
        drafted["columns"].as_array().unwrap().iter().map(one).collect()
    }

    /// What the cell must be in the topic. An empty text may be NULL or empty, which the csv crate cannot tell.
    fn expected(&self, cell: &str) -> String {
        let nulls: Vec<String> =
            self.options.get("nulls").map(|n| serde_json::from_str(n).unwrap()).unwrap_or_default();
        let format = self.options.get("format").map(|f| f.trim_matches('"').to_owned());
        match self.column_type.as_str() {
            _ if cell.is_empty() || (self.column_type != "string" && nulls.iter().any(|n| n == cell)) => String::new(),
            "string" => cell.to_owned(),
            "date" => match format {
                None => cell.to_owned(),
                Some(format) => chrono::NaiveDate::parse_from_str(cell, &format).unwrap().to_string(),
            },
            "timestamp" => moment(cell, format.as_deref()),
            "bool" => cell.to_lowercase(),
            kind if kind.starts_with("decimal") => plain_decimal(&cell.replace(',', ".")),
            _ => cell.to_owned(),
        }
    }

    /// The same of the value that is in the topic.
    fn found(&self, value: &Value) -> String {
        match (value, self.column_type.as_str()) {
            (Value::Null, _) => String::new(),
            (Value::String(text), "timestamp") => moment(text, None),
            (Value::String(text), kind) if kind.starts_with("decimal") => plain_decimal(text),
            (Value::String(text), _) => text.clone(),
            (other, _) => other.to_string(),
        }
    }
}

/// In UTC; a time without an offset counts as UTC, as the draft says.
fn moment(text: &str, format: Option<&str>) -> String {
    if let Ok(moment) = chrono::DateTime::parse_from_rfc3339(text) {
        return moment.to_utc().to_string();
    }
    let format = format.unwrap_or("%Y-%m-%d %H:%M:%S%.f");
    let local = chrono::NaiveDateTime::parse_from_str(text, format).unwrap_or_else(|e| panic!("{text} {format}: {e}"));
    local.and_utc().to_string()
}

/// Without zeros at the end of the fraction.
fn plain_decimal(text: &str) -> String {
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    text.strip_prefix("-0").filter(|rest| rest.is_empty()).map_or_else(|| text.to_owned(), |_| "0".to_owned())
}

/// The rows of a file by the csv crate, in the order of the drafted columns.
fn rows_of(file: &Path, delimiter: u8, columns: &[Column]) -> Vec<Vec<String>> {
    let bytes = fs::read(file).unwrap();
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text);
    let header = reader.headers().unwrap().clone();
    let at: Vec<usize> = columns.iter().map(|c| header.iter().position(|h| h == c.name).unwrap()).collect();
    let row = |record: csv::StringRecord| at.iter().zip(columns).map(|(i, c)| c.expected(&record[*i])).collect();
    reader.records().map(|r| row(r.unwrap())).collect()
}

/// Drafts from some of the files, runs over all of them, and holds the topic against the csv crate.
#[track_caller]
fn check(feed: &str, files: &[PathBuf]) {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::create_dir(home.join("drops")).unwrap();
    for file in files {
        fs::copy(file, home.join("drops").join(file.file_name().unwrap())).unwrap();
    }
    let dropped = csv_files(&home.join("drops"));
    let step = dropped.len().div_ceil(SAMPLED);
    let sampled: Vec<String> = dropped
        .iter()
        .step_by(step)
        .take(SAMPLED)
        .map(|f| format!("drops/{}", f.file_name().unwrap().display()))
        .collect();
    let words: Vec<&str> = ["init", "--from", "csv"].into_iter().chain(sampled.iter().map(String::as_str)).collect();
    let drafted = result(home, &words);
    let pipeline = drafted["pipeline"].as_str().unwrap();
    assert_eq!(result(home, &["validate"])["errors"], 0, "{feed}");
    let run = result(home, &["run", "--dev", "--once", "--no-http"]);

    let columns = Column::all(&drafted);
    let yaml = fs::read_to_string(home.join(drafted["file"].as_str().unwrap())).unwrap();
    let delimiter = yaml.split_once("delimiter: \"").unwrap().1.as_bytes()[0];
    let mut expected: Vec<Vec<String>> = dropped.iter().flat_map(|f| rows_of(f, delimiter, &columns)).collect();
    assert_eq!(run["pipelines"][0]["written"], expected.len(), "{feed}: {run}\n{yaml}");
    let topic = result(home, &["topics", "read", pipeline]);
    let cells = |record: &Value| columns.iter().map(|c| c.found(&record["value"][&c.name])).collect::<Vec<_>>();
    let mut found: Vec<Vec<String>> = topic["records"].as_array().unwrap().iter().map(cells).collect();
    expected.sort();
    found.sort();
    assert_eq!(found.len(), expected.len(), "{feed}");
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected, "{feed}\n{yaml}");
    }
}

#[test]
fn a_draft_from_files_of_each_feed_runs_over_all_and_gives_their_values() {
    let out = tempfile::tempdir().unwrap();
    let data = out.path().join("data");
    let world = World::new(20_261, 0.2).unwrap();
    let feeds = Feed::ALL.to_vec();
    generate(&world, &Request { feeds, nights: 2, faults: Faults::None }, &data).unwrap();
    for feed in Feed::ALL {
        let files = csv_files(&data.join(feed.name()));
        assert!(files.len() >= 4, "{}", feed.name());
        check(feed.name(), &files);
    }
}

/// Each file of the example alone, with its planted faults: a draft from any of them is valid.
#[test]
fn a_draft_from_each_file_of_the_example_is_valid() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/dc-stock-counts/data");
    let home = tempfile::tempdir().unwrap();
    let files = csv_files(&data);
    assert!(files.len() > 10);
    let mut refused = 0;
    for file in &files {
        let path = file.display().to_string();
        let ended = unbatch(home.path(), &["init", &path, "--output", "pipelines/stock.yaml", "--force", "--json"]);
        if !ended.status.success() {
            // a file that breaks off inside quotes at once, and nothing else, may be refused
            let envelope: Value = serde_json::from_str(&ended.stdout).unwrap();
            assert_eq!(envelope["error"]["code"], "U0232", "{path}: {envelope}");
            refused += 1;
            continue;
        }
        assert_eq!(result(home.path(), &["validate"])["errors"], 0, "{path}");
    }
    assert!(refused <= 1, "{refused} files");
}
