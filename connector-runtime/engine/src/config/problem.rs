//! Problems that connectors find in their own configuration, placed in the file.

use super::diagnostic::Diagnostic;
use super::source_text::{SourceText, Span};
use super::yaml::{Node, Value};
use std::sync::Arc;
use unbatch_api::Problem;

/// Where `path` (`columns[2].format`, relative to `node`) stands. What is not in the file, such as a default, is shown at the
/// nearest node around it that is.
pub fn place(node: &Node, path: &str) -> Span {
    let (found, is_whole) = descend(node, path);
    match &found.value {
        Value::Scalar(_) if is_whole => found.span,
        _ => found.head,
    }
}

/// A problem at its place.
pub fn to_diagnostic(problem: &Problem, source: &Arc<SourceText>, node: &Node) -> Diagnostic {
    Diagnostic::new(problem.severity, problem.code, problem.message.clone())
        .at(source, place(node, &problem.path))
        .help(problem.help.clone())
}

/// The deepest node on the way, and whether the way was gone to its end.
fn descend<'n>(node: &'n Node, path: &str) -> (&'n Node, bool) {
    let rest = path.strip_prefix('.').unwrap_or(path);
    if rest.is_empty() {
        return (node, true);
    }
    let next = match &node.value {
        Value::Scalar(_) => None,
        Value::Sequence(items) => rest.strip_prefix('[').and_then(|r| r.split_once(']')).and_then(|(index, rest)| {
            let item = items.get(index.parse::<usize>().ok()?)?;
            Some((item, rest))
        }),
        // A key may hold dots (`linger.ms`): the longest that fits is meant.
        Value::Mapping(entries) => entries
            .iter()
            .filter_map(|(key, value)| {
                let rest = rest.strip_prefix(key.text.as_str())?;
                (rest.is_empty() || rest.starts_with(['.', '['])).then_some((value, rest))
            })
            .min_by_key(|(_, rest)| rest.len()),
    };
    match next {
        Some((child, rest)) => descend(child, rest),
        None => (node, false),
    }
}
