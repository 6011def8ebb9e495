//! Public test suites: every file value for value as its authors say, or refused with a code. What is read otherwise is on a
//! list, with the reason. What came of each case is a page of the documentation; `UNBATCH_BLESS=1` renews it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;
mod pollution;

use harness::Drops;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use unbatch_api::arrow::array::{Array, AsArray};
use unbatch_api::{Bound, SourceConnector};
use unbatch_csv::CsvDrops;

type Rows = Vec<Vec<String>>;

/// One file of a suite.
pub struct Case {
    pub name: String,
    pub input: Vec<u8>,
    pub dialect: Value,
    pub truth: Rows,
    /// Its authors refuse it, or a part of it.
    pub is_refused: bool,
}

const BARE_QUOTE: &str = "a quote inside an unquoted field is an ordinary character";
const LAST_CR: &str = "where CRLF is declared a lone CR is an ordinary character, as the last one of the file too";

/// Where we read what the authors refuse, or read it otherwise, and why.
const OTHERWISE: [(&str, &str); 13] = [
    ("location_coordinates.csv", "the truth in the package has another telephone number than its file"),
    ("BadDoubleQuotes", BARE_QUOTE),
    ("BadBareQuote", BARE_QUOTE),
    ("BadTrailingQuote", BARE_QUOTE),
    ("BadFieldCount1", "its reader was told that there are two fields; here the first row says how many there are"),
    ("CRLFInQuotedField", "what stands in quotes is kept byte for byte, CRLF too"),
    ("TrailingCR", LAST_CR),
    ("FieldCR", LAST_CR),
    ("FieldCRCR", LAST_CR),
    ("FieldCRCRLFCR", LAST_CR),
    ("FieldCRCRLFCRCR", LAST_CR),
    ("One column input with empty fields", "a line break at the end of the file begins no row"),
    (
        "Mixed slash n and slash r should choose first as precident",
        "with `terminator: any` each line may end in its own way",
    ),
];

struct Read {
    rows: Rows,
    /// Code and line of what was refused.
    refused: Vec<String>,
}

async fn read(case: &Case) -> Read {
    let drops = Drops::new()
        .with("columns", json!([]))
        .with("dialect", case.dialect.clone())
        .with("ready_when", json!({"stable_for": "1ms"}));
    let problems = CsvDrops::validate(&drops.config());
    if !problems.is_empty() {
        return Read { rows: vec![], refused: problems.iter().map(|p| p.code.to_owned()).collect() };
    }
    drops.deliver("a.csv", &case.input);
    let mut run = drops.open(Bound::Once).await;
    let mut read = Read { rows: vec![], refused: vec![] };
    while let Some(batch) = run.source.next().await.unwrap() {
        batch.check().unwrap();
        for row in 0..batch.rows.num_rows() {
            let cell = |column: &dyn Array| column.as_string::<i32>().value(row).to_owned();
            read.rows.push(batch.rows.columns().iter().map(|column| cell(column)).collect());
        }
        let told = |r: &unbatch_api::RejectedRow| format!("{} in line {}", r.code, line_of(&r.origin.to_string()));
        read.refused.extend(batch.rejected.iter().map(told));
    }
    read
}

fn line_of(origin: &str) -> &str {
    origin.rsplit(':').next().unwrap()
}

/// In a word what came of a case, or why it is wrong.
fn judged(case: &Case, read: &Read) -> Result<String, String> {
    // a blank line is no row, and authors who show one as a row of one empty field mean the same
    let is_wide = read.rows.first().is_none_or(|row| row.len() > 1);
    let blank = |row: &Vec<String>| row.len() <= 1 && row.iter().all(String::is_empty) && is_wide;
    let truth: Vec<&Vec<String>> = case.truth.iter().filter(|row| !blank(row)).collect();
    let is_equal = read.refused.is_empty() && truth.iter().copied().eq(read.rows.iter());
    if is_equal && !case.is_refused {
        return Ok("equal".into());
    }
    if let Some((_, why)) = OTHERWISE.iter().find(|(name, _)| *name == case.name) {
        return Ok(format!("read otherwise: {why}"));
    }
    // what is refused takes no other row with it, and changes none
    let mut rest = truth.iter();
    let is_part = read.rows.iter().all(|row| rest.any(|true_row| *true_row == row)) || case.is_refused;
    if !read.refused.is_empty() && is_part {
        return Ok(format!("refused: {}", read.refused.join(", ")));
    }
    Err(format!(
        "{}: {:?} as {}\n  read {:?} refused {:?}\n  want {:?}",
        case.name,
        String::from_utf8_lossy(&case.input),
        case.dialect,
        read.rows,
        read.refused,
        case.truth
    ))
}

#[tokio::test]
async fn every_case_is_read_as_its_authors_say_or_refused() {
    let mut page = String::new();
    let mut wrong = Vec::new();
    for (suite, about, cases) in suites() {
        let mut lines = Vec::new();
        for case in &cases {
            let read = read(case).await;
            match judged(case, &read) {
                Ok(outcome) => lines.push((case, outcome)),
                Err(why) => wrong.push(format!("{suite}: {why}")),
            }
        }
        assert!(cases.len() >= 12, "{suite} has only {} cases", cases.len());
        let count = |word: &str| lines.iter().filter(|(_, outcome)| outcome.starts_with(word)).count();
        page.push_str(&format!(
            "### {suite}\n\n{about} {} cases: {} equal, {} refused, {} read otherwise.\n\n| case | dialect | outcome |\n|---|---|---|\n",
            cases.len(), count("equal"), count("refused"), count("read otherwise"),
        ));
        for (case, outcome) in lines {
            page.push_str(&format!("| {} | {} | {outcome} |\n", cell(&case.name), dialect_text(&case.dialect)));
        }
        page.push('\n');
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let idle: Vec<_> = OTHERWISE.iter().filter(|(_, why)| !page.contains(why)).collect();
    assert!(idle.is_empty(), "these are read as their authors say: {idle:?}");
    compare(&page);
}

/// The page in the tree is what came out now.
fn compare(page: &str) {
    let path = folder().join("RESULTS.md");
    let text = format!("{}\n", page.trim_end());
    if std::env::var_os("UNBATCH_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let now = fs::read_to_string(&path).unwrap_or_default();
    assert!(now == text, "{} is not what comes out now; UNBATCH_BLESS=1 takes it over", path.display());
}

fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;").replace('_', "\\_").replace('*', "\\*")
}

/// What of the dialect is not the default, as YAML.
fn dialect_text(dialect: &Value) -> String {
    let set = dialect.as_object().unwrap().iter().filter(|(key, value)| !(*key == "header" && *value == "none"));
    let parts: Vec<String> = set.map(|(key, value)| format!("{key}: {value}")).collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!("`{}`", parts.join(", ").replace('|', "\\|")),
    }
}

fn suites() -> Vec<(&'static str, &'static str, Vec<Case>)> {
    vec![
        ("csv-spectrum", "The files of the npm package csv-spectrum.", spectrum()),
        ("encoding/csv of Go", "The table of its tests.", listed("go-encoding-csv.json")),
        ("Papa Parse", "The tests of its parser.", listed("papaparse.json")),
        ("Pollution", "One clean table, spoilt in the ways in which files are.", pollution::cases()),
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suites")
}

/// Files beside their truth.
fn spectrum() -> Vec<Case> {
    let mut found = Vec::new();
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder().join("csv-spectrum")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for path in files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "csv")) {
        let bytes = fs::read(path.with_extension("json")).unwrap();
        // one truth is written in Latin-1 although its file is UTF-8
        let text = String::from_utf8(bytes).unwrap_or_else(|e| e.as_bytes().iter().map(|b| char::from(*b)).collect());
        let truth: Value = serde_json::from_str(&text).unwrap();
        let objects = truth.as_array().cloned().unwrap_or_else(|| vec![truth]);
        let row =
            |object: &Value| object.as_object().unwrap().values().map(|v| v.as_str().unwrap().to_owned()).collect();
        found.push(Case {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            input: fs::read(&path).unwrap(),
            dialect: json!({}),
            truth: objects.iter().map(row).collect(),
            is_refused: false,
        });
    }
    found
}

/// A list of cases in one file.
fn listed(name: &str) -> Vec<Case> {
    let list: Vec<Value> = serde_json::from_slice(&fs::read(folder().join(name)).unwrap()).unwrap();
    let case = |case: &Value| Case {
        name: case["name"].as_str().unwrap().to_owned(),
        input: case["input"].as_str().unwrap().as_bytes().to_vec(),
        dialect: case["dialect"].clone(),
        truth: serde_json::from_value(case["truth"].clone()).unwrap(),
        is_refused: case.get("refuses").is_some(),
    };
    list.iter().map(case).collect()
}
