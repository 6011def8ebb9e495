//! Problems that connectors find in their own configuration, placed in the file.

use super::diagnostic::Diagnostic;
use super::source_text::{SourceText, Span};
use super::yaml::{Node, Value};
use std::ops::Range;
use std::sync::Arc;
use unbatch_api::{Problem, StepProblem};

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

/// A problem of a step at its place, which may be a word within a text.
pub fn step_diagnostic(problem: &StepProblem, source: &Arc<SourceText>, node: &Node) -> Diagnostic {
    let whole = place(node, &problem.path);
    let (found, is_whole) = descend(node, &problem.path);
    let span = match (&found.value, &problem.within) {
        (Value::Scalar(scalar), Some(range)) if is_whole => source.span(written(source, whole, &scalar.text, range)),
        _ => whole,
    };
    let diagnostic =
        Diagnostic::error(problem.code, problem.message.clone()).at(source, span).help(problem.help.clone());
    if problem.label.is_empty() { diagnostic } else { diagnostic.label(problem.label.clone()) }
}

/// The bytes of the file that stand for `range` of a scalar's text: quotes, escapes, and line breaks that were folded are passed
/// over. Where text and file cannot be brought together, all of the scalar.
fn written(source: &SourceText, whole: Span, text: &str, range: &Range<usize>) -> Range<usize> {
    let raw = &source.text()[whole.range()];
    let starts = character_starts(raw, text);
    let at = |byte: usize| {
        let character = text.get(..byte)?.chars().count();
        starts.get(character).copied()
    };
    let found = at(range.start).zip(at(range.end.max(range.start))).filter(|(start, end)| start <= end);
    let Some((start, end)) = found else { return whole.range() };
    // a place at the very end is shown under its last character
    let start =
        if start == end && start > 0 { raw[..start].char_indices().next_back().map_or(0, |(i, _)| i) } else { start };
    whole.offset + start..whole.offset + end
}

/// Where each character of `text`, and its end, begins in the scalar as it is written; shorter when they part.
fn character_starts(raw: &str, text: &str) -> Vec<usize> {
    let header = if raw.starts_with(['|', '>']) { raw.find('\n').map_or(raw.len(), |end| end + 1) } else { 0 };
    let quote = raw.chars().next().filter(|c| matches!(c, '"' | '\''));
    let mut rest = header + quote.map_or(0, char::len_utf8);
    let mut starts = Vec::with_capacity(text.len() + 1);
    for wanted in text.chars() {
        loop {
            let Some(found) = raw[rest..].chars().next() else { return starts };
            let is_escape = quote == Some('"') && found == '\\';
            if is_escape {
                starts.push(rest);
                rest += escape_length(&raw[rest..]);
                break;
            }
            if found == wanted || (wanted.is_whitespace() && found.is_whitespace()) {
                starts.push(rest);
                rest += found.len_utf8();
                break;
            }
            // indentation, the second of two single quotes
            if !found.is_whitespace() && Some(found) != quote {
                return starts;
            }
            rest += found.len_utf8();
        }
    }
    starts.push(rest);
    starts
}

/// Bytes of an escape in double quotes (YAML 1.2.2, section 5.7).
fn escape_length(raw: &str) -> usize {
    let code = raw[1..].chars().next();
    let length = match code {
        Some('x') => 4,
        Some('u') => 6,
        Some('U') => 10,
        Some(other) => 1 + other.len_utf8(),
        None => 1,
    };
    length.min(raw.len())
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
