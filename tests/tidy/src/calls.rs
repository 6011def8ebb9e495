//! Calls that are not wanted: fixed sleeps in tests, ignored tests, prints in libraries, unfinished code.

use std::ops::Range;

use crate::rust::{code_only, functions, line_of, test_parts};
use crate::tree::Tree;

/// The one file whose business it is to wait.
const WAIT_HELPER: &str = "tests/harness/src/wait.rs";

/// Forbidden calls in Rust sources, by file and line.
pub fn forbidden_calls(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, source) in tree.ending(".rs") {
        let code = code_only(source);
        let tests = test_parts(path, &code);
        let in_tests = |at: usize| tests.iter().any(|part: &Range<usize>| part.contains(&at));
        let mut report = |at: usize, what: &str| {
            broken.push(format!("{path}:{}: {what}", line_of(&code, at)));
        };
        for (at, _) in code.match_indices("#[ignore") {
            report(at, "an ignored test; make it run, or delete it");
        }
        for unfinished in ["todo!", "unimplemented!"] {
            for at in words(&code, unfinished) {
                report(at, "unfinished code");
            }
        }
        if is_library(path) {
            for print in ["println!", "print!"] {
                for at in words(&code, print).filter(|&at| !in_tests(at)) {
                    report(at, "a library prints; return it, or log it");
                }
            }
        }
        for at in fixed_sleeps(path, &code) {
            if in_tests(at) {
                report(at, "a test sleeps; wait for a condition with a deadline (unbatch_test_harness::wait_until)");
            }
        }
    }
    broken
}

/// Sources that end up in a library: not binaries, examples, tests or build scripts.
fn is_library(path: &str) -> bool {
    path.contains("/src/")
        && !path.contains("/src/bin/")
        && !path.ends_with("/src/main.rs")
        && !path.starts_with("tests/")
        && !path.starts_with("examples/")
}

/// Positions of `word` where it is not the end of a longer word.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(|&at| {
        at == 0 || {
            let before = code.as_bytes()[at - 1];
            !(before.is_ascii_alphanumeric() || before == b'_')
        }
    })
}

/// Sleeps that stand for a guess. Not those of a helper that looks again and again until a deadline (`wait_…`, and it
/// knows a deadline), nor those in a file whose clock is paused, where sleeping takes no time.
fn fixed_sleeps(path: &str, code: &str) -> Vec<usize> {
    if path == WAIT_HELPER || code.contains("start_paused") || code.contains("time::pause(") {
        return Vec::new();
    }
    let helpers: Vec<Range<usize>> = functions(code)
        .into_iter()
        .filter(|f| {
            let body = &code[f.span.clone()];
            f.name.starts_with("wait_") && (body.contains("deadline") || body.contains("Instant"))
        })
        .map(|f| f.span)
        .collect();
    ["thread::sleep(", "time::sleep(", "sleep_until(", "sleep(Duration"]
        .iter()
        .flat_map(|call| code.match_indices(call).map(|(at, _)| at))
        // `thread::sleep(Duration` is one call, not two, and a method of that name is something else
        .filter(|&at| !code[at..].starts_with("sleep(") || !code[..at].ends_with([':', '.']))
        .filter(|at| !helpers.iter().any(|helper| helper.contains(at)))
        .collect()
}
