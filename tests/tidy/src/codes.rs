//! Every code that a person can be shown has a text for `unbatch explain`, and no text stands for nothing.
//!
//! Codes of errors are literals like `U0102`. Reasons of refused rows are words like `bad_decimal`; connectors write them as
//! `code: "…"`, as `bad("…", …)`, as a pair with their message (a single word as `Some(("…", …))`), or in `let code = match …`. Texts stand in tables, the files
//! `src/codes.rs` (`src/config/codes.rs`).

use std::collections::BTreeMap;

use crate::rust::{body_end, code_only, line_of, strings, test_parts};
use crate::tree::Tree;

/// Doubles of connectors, in the contract for the tests of others.
const DOUBLES: &str = "connector-runtime/api/src/testkit/";

/// A literal in a source file.
struct Place<'a> {
    path: &'a str,
    line: usize,
    code: &'a str,
}

/// Codes without a text, texts without a use, codes that are described twice, and those of a connector that another crate uses.
pub fn error_codes(tree: &Tree) -> Vec<String> {
    let (mut entries, mut uses) = (Vec::new(), Vec::new());
    for (path, source) in tree.ending(".rs").filter(|(path, _)| is_product(path)) {
        let code = code_only(source);
        let tests = test_parts(path, &code);
        let is_table = path.ends_with("/codes.rs");
        let mut words = Words::of(path, &code);
        for (span, text) in strings(source) {
            if tests.iter().any(|part| part.contains(&span.start)) {
                continue;
            }
            let place = Place { path, line: line_of(source, span.start), code: text };
            match is_table {
                true if code[..span.start].trim_end().ends_with('(') => entries.push(place),
                false if is_number(text) || words.has(source, &span, text) => uses.push(place),
                _ => {}
            }
        }
    }
    let mut broken = compare(&entries, &uses);
    broken.extend(disorder(&entries));
    broken
}

fn compare(entries: &[Place], uses: &[Place]) -> Vec<String> {
    let mut broken = Vec::new();
    let mut by_code: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
    for entry in entries {
        by_code.entry(entry.code).or_default().push(entry);
    }
    for used in uses {
        let Place { path, line, code } = used;
        let found = by_code.get(code).map(Vec::as_slice).unwrap_or_default();
        if found.iter().any(|entry| may_use(used, entry)) {
            continue;
        }
        broken.push(match found {
            [] => format!("{path}:{line}: {code} has no entry in any codes.rs"),
            [entry, ..] => format!("{path}:{line}: {code} is a code of {}", folder(entry.path)),
        });
    }
    for (code, found) in &by_code {
        if let [first, second, ..] = found.as_slice()
            && (is_number(code) || folder(first.path) == folder(second.path))
        {
            broken.push(format!("{}:{}: {code} is also in {}:{}", second.path, second.line, first.path, first.line));
        }
        for entry in found.iter().filter(|entry| !uses.iter().any(|used| used.code == *code && may_use(used, entry))) {
            broken.push(format!("{}:{}: {code} is used nowhere", entry.path, entry.line));
        }
    }
    broken
}

fn disorder(entries: &[Place]) -> Vec<String> {
    let pairs = entries.windows(2).filter(|pair| pair[0].path == pair[1].path && pair[0].code > pair[1].code);
    pairs.map(|pair| format!("{}:{}: {} is not in order", pair[1].path, pair[1].line, pair[1].code)).collect()
}

/// Codes of the runtime and of what connectors share are everybody's; a connector's are its own, and so is every word.
fn may_use(used: &Place, entry: &Place) -> bool {
    let whose = folder(entry.path);
    let is_shared = whose.starts_with("connector-runtime/") || whose.starts_with("connectors/support/");
    folder(used.path) == whose || (is_shared && is_number(used.code))
}

fn is_product(path: &str) -> bool {
    ["connector-runtime/", "connectors/", "examples/"].iter().any(|root| path.starts_with(root))
        && path.contains("/src/")
        && !path.starts_with(DOUBLES)
}

fn folder(path: &str) -> &str {
    path.split_once("/src/").map_or(path, |(folder, _)| folder)
}

/// `U` and four digits.
fn is_number(text: &str) -> bool {
    text.len() == 5 && text.starts_with('U') && text[1..].bytes().all(|b| b.is_ascii_digit())
}

/// Finds the words of a connector, or of what connectors share, that are reasons of refused rows.
struct Words<'a> {
    code: &'a str,
    is_connector: bool,
    /// `let code = match … { … }`
    choices: Vec<std::ops::Range<usize>>,
}

impl<'a> Words<'a> {
    fn of(path: &str, code: &'a str) -> Self {
        let is_connector = matches!(
            folder(path).split('/').collect::<Vec<_>>()[..],
            ["connectors" | "examples", _] | ["connectors", "support", _] | ["connector-runtime", "steps"]
        );
        let choices = code.match_indices("let code = match ").filter_map(|(at, _)| Some(at..body_end(code, at)?));
        Self { code, is_connector, choices: choices.collect() }
    }

    fn has(&mut self, source: &str, span: &std::ops::Range<usize>, text: &str) -> bool {
        let is_word = !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if !self.is_connector || !is_word {
            return false;
        }
        let (before, after) = (self.code[..span.start].trim_end(), source[span.end..].trim_start());
        let is_chosen = before.ends_with("=>") && self.choices.iter().any(|choice| choice.contains(&span.start));
        let message = after.strip_prefix(',').map(str::trim_start);
        let is_pair = message.is_some_and(|m| m.starts_with('"') || m.starts_with("format!("))
            && before
                .strip_suffix('(')
                .is_some_and(|b| b.ends_with('(') || (text.contains('_') && b.ends_with([' ', '\n'])));
        is_chosen || is_pair || before.ends_with(" code:") || before.ends_with("bad(")
    }
}
