//! From the text of an expression to its tree, with the place of each word.

use super::Fault;
use sqlparser::ast::Expr;
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token};
use std::ops::Range;

/// Parts inside each other; more would not be read by a person either.
const DEPTH_MAX: usize = 64;
/// Bytes of an expression.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// The one expression in a text.
pub(crate) fn parse(text: &str) -> Result<Expr, Fault> {
    let whole = 0..text.len();
    if text.trim().is_empty() {
        return Err(syntax(whole, "there is no expression".into(), ""));
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(syntax(whole, format!("the expression has more than {TEXT_BYTES_MAX} bytes"), ""));
    }
    let places = Places(text);
    let mut parser = Parser::new(&GenericDialect {})
        .with_recursion_limit(DEPTH_MAX)
        .try_with_sql(text)
        .map_err(|error| reworded(&error, &places))?;
    let tree = parser.parse_expr().map_err(|error| reworded(&error, &places))?;
    let next = parser.peek_token();
    match next.token {
        Token::EOF => Ok(tree),
        token => {
            let message = format!("the expression is complete before `{token}`");
            Err(syntax(places.range(next.span), message, "not expected"))
        }
    }
}

/// Where a tree's words stand in the text.
#[derive(Clone, Copy)]
pub(crate) struct Places<'a>(pub &'a str);

impl Places<'_> {
    /// Bytes of a span; the whole text when the parser does not know it.
    pub(crate) fn range(&self, span: Span) -> Range<usize> {
        if span == Span::empty() {
            return 0..self.0.len();
        }
        let start = self.byte(span.start);
        start..self.byte(span.end).max(start)
    }

    /// Lines and columns count from 1, columns in characters.
    fn byte(&self, location: Location) -> usize {
        let line = usize::try_from(location.line).unwrap_or(1).max(1) - 1;
        let column = usize::try_from(location.column).unwrap_or(1).max(1) - 1;
        let begins = match line {
            0 => 0,
            _ => self.0.match_indices('\n').nth(line - 1).map_or(self.0.len(), |(at, _)| at + 1),
        };
        let rest = &self.0[begins..];
        begins + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
    }
}

pub(crate) fn syntax(within: Range<usize>, message: String, label: &str) -> Fault {
    Fault {
        within,
        code: "U0602",
        message,
        label: label.to_owned(),
        help: "text stands in single quotes ('DE'), names with other characters than letters, digits and _ in double quotes (\"unit price\")".into(),
    }
}

/// What the parser says, in words for people who do not know it: `Expected: X, found: Y at Line: 1, Column: 9`.
fn reworded(error: &ParserError, places: &Places<'_>) -> Fault {
    let whole = 0..places.0.len();
    let (ParserError::TokenizerError(said) | ParserError::ParserError(said)) = error else {
        return syntax(whole, format!("more than {DEPTH_MAX} parts stand inside each other"), "");
    };
    let (said, location) = match said.rsplit_once(" at Line: ") {
        Some((said, place)) => (said, location(place)),
        None => (said.as_str(), None),
    };
    let whole = if said.ends_with("found: EOF") { whole.end..whole.end } else { whole };
    let within = location.map_or(whole, |location| {
        let start = places.byte(location);
        start..start + word_length(&places.0[start..])
    });
    let found =
        said.rsplit_once(", found: ").map(|(expected, found)| (expected.trim_start_matches("Expected: "), found));
    let message = match found {
        Some((sign, "EOF")) if !sign.contains(char::is_alphabetic) => {
            format!("the expression ends where `{sign}` is expected")
        }
        Some((expected, "EOF")) => format!("the expression ends where {expected} is expected"),
        Some((expected, found)) => format!("`{found}` stands where {expected} is expected"),
        None if said.starts_with("Unterminated string") => "a text is not closed with `'`".to_owned(),
        None if said.starts_with("Expected close delimiter") => "a name is not closed with `\"`".to_owned(),
        None => "this is not an SQL expression".to_owned(),
    };
    syntax(within, message, "not expected")
}

fn location(text: &str) -> Option<Location> {
    let (line, column) = text.split_once(", Column: ")?;
    Some(Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
}

/// The word or sign at the beginning of a text.
fn word_length(text: &str) -> usize {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    match text.chars().next() {
        Some(first) if is_part(first) => text.find(|c| !is_part(c)).unwrap_or(text.len()),
        Some(first) => first.len_utf8(),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, message: &str, marked: &str) {
        let fault = parse(text).unwrap_err();
        assert_eq!((fault.message.as_str(), &text[fault.within.clone()]), (message, marked), "{text}");
    }

    #[test]
    fn mistakes_are_told_at_their_words() {
        check("price >", "the expression ends where an expression is expected", "");
        check("price > 1 2", "the expression is complete before `2`", "2");
        check("price +\n  * 2", "`*` stands where an expression is expected", "*");
        check("name = 'x", "a text is not closed with `'`", "'");
        check("", "there is no expression", "");
    }
}
