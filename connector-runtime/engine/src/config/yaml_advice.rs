//! What a syntax error most likely means, for somebody who does not know YAML's grammar by heart.

use std::ops::Range;

/// An error in a person's words, the place to show, and the way out.
pub(crate) struct Advice {
    pub message: String,
    pub range: Range<usize>,
    pub help: String,
}

/// `info` is the parser's own text, `offset` the byte where it gave up.
pub(crate) fn about(text: &str, offset: usize, info: &str) -> Advice {
    let offset = (offset..=text.len()).find(|&i| text.is_char_boundary(i)).unwrap_or(text.len());
    let (start, line) = line_around(text, offset);
    let make = |message: &str, range: Range<usize>, help: &str| Advice {
        message: message.to_owned(),
        range,
        help: help.to_owned(),
    };
    let indent = line.len() - line.trim_start().len();
    if let Some(tab) = line[..indent].find('\t') {
        return make("a tab is used to indent", start + tab..start + tab + 1, "indent with spaces");
    }
    if info.contains("unknown anchor") {
        let help = "`*` begins an alias: put the value in quotes, like \"*.csv\"";
        return make("there is no anchor of this name", word_at(text, offset), help);
    }
    if info.contains("unexpected end of stream") || info.contains("indentation in quoted scalar") {
        return make(
            "a quote is opened and never closed",
            word_at(text, offset),
            "close it with the same quote character",
        );
    }
    if info.contains("mapping values are not allowed") {
        let help = "put a value that contains `: ` in quotes; if this is a key, check its indentation";
        return make("a `:` is not expected here", char_at(text, offset), help);
    }
    if info.contains("simple key") {
        let help = "write a space after the `:` of `key: value`, and indent it like its neighbours";
        return make("a `key: value` is expected here", word_at(text, offset), help);
    }
    if let Some(value) = unquoted_brace(line) {
        let help = "a value that begins with `{` or `[` and is text needs quotes, like \"{schema}.{table}\"";
        return make("text follows a closing bracket", start + value.start..start + value.end, help);
    }
    if info.contains("unexpected character") || info.contains("alphabetic or numeric") {
        let help = "put a value that begins with `@`, `` ` ``, `%`, `&`, `*` or `!` in quotes";
        return make("a value cannot begin with this character", char_at(text, offset), help);
    }
    if info.contains("flow") || info.contains("illegal placement") {
        let help = "close every `[` with `]` and every `{` with `}`, and put commas between the values";
        return make("a list or mapping in brackets is not complete", word_at(text, offset), help);
    }
    if info.contains("escape") || info.contains("hexadecimal") {
        let help = "in double quotes `\\` begins an escape: double it, or use single quotes";
        return make("this escape is not known", char_at(text, offset), help);
    }
    if info.contains("did not find expected key") || info.contains("indent") || info.contains("'-' indicator") {
        let help = "indent all keys of a mapping, and all `-` of a list, by the same number of spaces";
        return make("the indentation does not fit the lines above", word_at(text, offset), help);
    }
    let help = "check quotes, brackets and indentation of this line and the one above";
    make(info, word_at(text, offset), help)
}

/// Where the line around `offset` starts, and the line.
fn line_around(text: &str, offset: usize) -> (usize, &str) {
    let start = text[..offset].rfind(['\n', '\r']).map_or(0, |i| i + 1);
    let end = text[offset..].find(['\n', '\r']).map_or(text.len(), |i| offset + i);
    (start, &text[start..end])
}

fn char_at(text: &str, offset: usize) -> Range<usize> {
    let length = text[offset..].chars().next().filter(|c| !matches!(c, '\n' | '\r')).map_or(0, char::len_utf8);
    offset..offset + length
}

fn word_at(text: &str, offset: usize) -> Range<usize> {
    let length = text[offset..].find(char::is_whitespace).unwrap_or(text.len() - offset);
    offset..offset + length
}

/// `name: {schema}.{table}`: a flow mapping was not meant. The range of the value in the line.
fn unquoted_brace(line: &str) -> Option<Range<usize>> {
    let value = line.find(": {").or_else(|| line.find(": [")).map(|i| i + 2)?;
    let closing = if line[value..].starts_with('{') { '}' } else { ']' };
    let after = value + line[value..].find(closing)? + 1;
    let follows = line[after..].chars().next()?;
    if follows.is_whitespace() || matches!(follows, ',' | '}' | ']') {
        return None;
    }
    Some(value..line.trim_end().len())
}
