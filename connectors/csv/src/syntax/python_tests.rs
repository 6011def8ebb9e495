//! Python's `csv` as a second opinion, over random texts in dialects that both know. `UNBATCH_SEED` repeats a run.

use super::*;
use crate::scanner::{Block, Wanted};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// Reads cases from its input and writes the rows of each, or null where it refuses.
const PROGRAM: &str = r#"
import csv, io, json, sys
csv.field_size_limit(1 << 30)
for line in sys.stdin:
    case = json.loads(line)
    try:
        rows = [row for row in csv.reader(io.StringIO(case["text"], newline=""), strict=True, **case["options"]) if row]
    except csv.Error:
        rows = None
    print(json.dumps(rows))
"#;

/// Ours, Python's, and what texts are made of.
const DIALECTS: [(&str, &str, &[&str]); 5] = [
    ("{}", "{}", &["\"", ",", "\n", "\r", "\r\n", "a", "bc", " ", "é", "\"\"", "\",\"", "\"\n"]),
    (
        r#"{"delimiter": ";", "quote": "'"}"#,
        r#"{"delimiter": ";", "quotechar": "'"}"#,
        &["'", ";", "\n", "a", "''", "';'", "\""],
    ),
    (
        r#"{"delimiter": "tab", "quote": "none"}"#,
        r#"{"delimiter": "\t", "quoting": 3}"#,
        &["\"", "\t", "\n", "\r\n", "a", "'"],
    ),
    (
        r#"{"escape": "\\", "escapes": "literal"}"#,
        r#"{"escapechar": "\\"}"#,
        &["\"", ",", "\n", "a", "\\,", "\\\"", "\\\\", "\\n", "\\\n", "\",\"", "\"\n"],
    ),
    (
        r#"{"escape": "^", "escapes": "literal", "quote": "none", "delimiter": "|"}"#,
        r#"{"escapechar": "^", "quoting": 3, "delimiter": "|"}"#,
        &["|", "\n", "a", "^|", "^^", "^\n", "\""],
    ),
];
const CASES: usize = 3_000;

#[test]
fn python_agrees() {
    let seed = std::env::var("UNBATCH_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random::<u64>);
    println!("UNBATCH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let cases: Vec<(usize, String)> = (0..CASES)
        .map(|_| {
            let which = random.random_range(0..DIALECTS.len());
            let parts = DIALECTS[which].2;
            let mut text: String =
                (0..random.random_range(1..25)).map(|_| parts[random.random_range(0..parts.len())]).collect();
            if DIALECTS[which].1.contains("escapechar") {
                // Python refuses an escaped line break as the last thing of a file; to us it is one as any other
                text.push_str("a\n");
            }
            (which, text)
        })
        .collect();
    let (mut agreed, mut refused) = (0, 0);
    for ((which, text), theirs) in cases.iter().zip(python(&cases)) {
        let ours = ours(DIALECTS[*which].0, text);
        match (&ours, &theirs) {
            (Some(_), Some(_)) => agreed += 1,
            _ => refused += 1,
        }
        assert_eq!(ours, theirs, "{text:?} as {}", DIALECTS[*which].0);
    }
    println!("{agreed} texts read alike, {refused} refused by both");
    assert!(agreed > CASES / 4 && refused > CASES / 20, "{agreed} and {refused}: too one-sided to prove anything");
}

fn python(cases: &[(usize, String)]) -> Vec<Option<Vec<Vec<String>>>> {
    let child = Command::new("python3").args(["-c", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("python3, which scripts/install-packages.sh installs for the tests");
    let mut stdin = child.stdin.take().unwrap();
    let input: String = cases
        .iter()
        .map(|(which, text)| {
            let options: Value = serde_json::from_str(DIALECTS[*which].1).unwrap();
            json!({"text": text, "options": options}).to_string() + "\n"
        })
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<_> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), cases.len());
    rows
}

/// `None`: a record is misshapen, or the text ends in quotes.
fn ours(dialect: &str, text: &str) -> Option<Vec<Vec<String>>> {
    let config: CsvDropsConfig =
        serde_json::from_str(&format!(r#"{{"url": "x", "match": "*", "dialect": {dialect}}}"#)).unwrap();
    let (syntax, mut block, mut scratch) = (Syntax::of(&config), Block::default(), Vec::new());
    let (mut rows, mut rest) = (Vec::new(), text.as_bytes());
    loop {
        let wanted = Wanted { width: None, records_max: 1, field_max: usize::MAX, at_end: true };
        let scanned = syntax.scan(rest, 1, wanted, Bounds::NONE, &mut block);
        if scanned.open_quote || !block.misshapen.is_empty() {
            return None;
        }
        if block.records.is_empty() {
            return Some(rows);
        }
        let cell = |field: &Field| String::from_utf8(syntax.content(rest, *field, &mut scratch).to_vec()).unwrap();
        rows.push(block.fields.iter().map(cell).collect());
        rest = &rest[scanned.used..];
    }
}
