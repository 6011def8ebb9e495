//! Files and functions of a size that can be read.

use crate::rust::{code_only, functions};
use crate::tree::Tree;

/// Lines of a file, with its comments and tests.
const FILE_LINES_MAX: usize = 500;

/// Lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// A place that may be larger than the rule says. A list of these is a ratchet: it gets shorter, and numbers in it get
/// smaller, so an entry that allows more than there is, is reported too.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// the path of a file, or `path::function`
    pub place: &'static str,
    pub lines: usize,
    pub reason: &'static str,
}

/// Rust files and functions that are too long.
pub fn sizes(tree: &Tree, allowed: &[Allowed]) -> Vec<String> {
    let mut broken = Vec::new();
    let mut used = vec![false; allowed.len()];
    let mut measure = |place: String, shown: String, lines: usize, limit: usize| {
        let exception = allowed.iter().position(|a| a.place == place);
        if let Some(index) = exception {
            used[index] = lines > limit;
        }
        let limit = exception.map_or(limit, |index| allowed[index].lines);
        if lines > limit {
            broken.push(format!("{shown} has {lines} lines, {limit} are allowed"));
        }
    };
    for (path, source) in tree.ending(".rs") {
        measure(path.to_owned(), path.to_owned(), source.lines().count(), FILE_LINES_MAX);
        for function in functions(&code_only(source)) {
            measure(
                format!("{path}::{}", function.name),
                format!("{path}:{}: fn {}", function.line, function.name),
                function.lines,
                FUNCTION_LINES_MAX,
            );
        }
    }
    for (allowed, used) in allowed.iter().zip(used) {
        if !used {
            broken.push(format!("the exception for {} is not needed any more; remove it", allowed.place));
        }
    }
    broken
}
