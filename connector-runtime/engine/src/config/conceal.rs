//! Finds secrets in configuration text, so that no snippet shows one: not when the file is broken, not when the key is
//! misspelt, not when somebody writes the password where the name of the secret belongs.

use super::yaml::{Key, Node, Value};
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// What stands in a snippet instead of a secret.
pub(crate) const MASK: &str = "***";

/// Keys whose values are hidden whatever the schema says.
static SECRET_KEY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)(passw|passphrase|pwd|secret|token|credential|api_?key|private_?key|access_?key|dsn)").ok()
});
/// A key and the value after it on one line, block or flow, up to where a flow value could end.
static KEY_AND_REST: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"([A-Za-z_][A-Za-z0-9_.-]*)["']?[ \t]*[:=](?:[ \t]+|$|["'])"#).ok());
/// Passwords inside URLs and connection strings.
static EMBEDDED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)://[^\s:@/"']*:([^\s"']+)@|(?:password|passwd|pwd)[ ]*=[ ]*('[^']*'|[^\s'"&;]+)"#).ok()
});
/// The documented form of a reference to a secret; it names a place and is no secret itself.
static NAME_AND_KEY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[a-z0-9][a-z0-9._-]*/[A-Za-z0-9._-]+$").ok());

/// Whether a key's name says that its value is secret. `secrets` is where the runtime file says in which folder they are.
pub(crate) fn is_secret_key(key: &str) -> bool {
    key != "secrets" && matches(&SECRET_KEY, key)
}

/// Byte ranges of secrets that can be told from the text alone: passwords in URLs and connection strings.
pub(crate) fn in_text(text: &str) -> Vec<Range<usize>> {
    let Some(pattern) = &*EMBEDDED else { return Vec::new() };
    let group = |c: regex::Captures<'_>| c.iter().skip(1).flatten().next().map(|m| m.range());
    pattern.captures_iter(text).filter_map(group).collect()
}

/// Byte ranges of secrets in a text that is not YAML, judged line by line and rather too many than too few: all that
/// follows a secret key on its line, and the lines below that are indented deeper.
pub(crate) fn in_broken_text(text: &str) -> Vec<Range<usize>> {
    let Some(pattern) = &*KEY_AND_REST else { return Vec::new() };
    let mut found = Vec::new();
    let mut inside: Option<usize> = None;
    let mut start = 0;
    for line in text.split_inclusive(['\n', '\r']) {
        let content = line.trim_end_matches(['\n', '\r']);
        let indent = content.len() - content.trim_start().len();
        let value_start = pattern
            .captures_iter(content)
            .find(|c| c.get(1).is_some_and(|key| is_secret_key(key.as_str())))
            .and_then(|c| c.get(0).map(|m| m.end()));
        match (inside, value_start) {
            (Some(depth), _) if content.trim().is_empty() || indent > depth => found.push(start..start + content.len()),
            (_, Some(from)) => {
                inside = Some(indent);
                found.push(start + from..start + content.len());
            }
            _ => inside = None,
        }
        start += line.len();
    }
    found.retain(|range| !range.is_empty());
    found
}

/// Byte ranges of secrets in a text that `root` was read from: values under secret keys, and what looks like one in comments
/// and inside texts. `dropped` are entries that the text has and the tree has not.
pub(crate) fn in_tree(text: &str, root: &Node, dropped: &[(Key, Node)]) -> Vec<Range<usize>> {
    let mut search = Search { text, found: Vec::new(), written: Vec::new() };
    search.tree(root);
    search.entries(dropped);
    search.written.sort_by_key(|r| r.start);
    search.comments();
    search.found
}

struct Search<'a> {
    text: &'a str,
    found: Vec<Range<usize>>,
    /// Where keys and values stand; elsewhere a `#` begins a comment.
    written: Vec<Range<usize>>,
}

impl Search<'_> {
    fn tree(&mut self, node: &Node) {
        match &node.value {
            Value::Scalar(_) => self.scalar(node.span.range()),
            Value::Sequence(items) => items.iter().for_each(|item| self.tree(item)),
            Value::Mapping(entries) => self.entries(entries),
        }
    }

    fn entries(&mut self, entries: &[(Key, Node)]) {
        for (key, value) in entries {
            self.scalar(key.span.range());
            self.tree(value);
            let names_a_place =
                key.text == "secret" && value.as_text().is_some_and(|text| matches(&NAME_AND_KEY, text));
            if is_secret_key(&key.text) && !names_a_place {
                in_secret_value(value, &mut self.found);
            }
        }
    }

    /// A text may hold a line of another file: `"password: x"`.
    fn scalar(&mut self, range: Range<usize>) {
        let written = self.text.get(range.clone()).unwrap_or_default();
        if written.contains([':', '=']) {
            let secrets = in_broken_text(written).into_iter();
            self.found.extend(secrets.map(|r| range.start + r.start..range.start + r.end));
        }
        self.written.push(range);
    }

    fn comments(&mut self) {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        while let Some(hash) = self.text[at..].find('#').map(|i| at + i) {
            at = hash + 1;
            let begins_word = hash == 0 || bytes[hash - 1].is_ascii_whitespace();
            let before = self.written.partition_point(|r| r.start <= hash);
            let is_written = before > 0 && self.written[before - 1].end > hash;
            if begins_word && !is_written {
                let end = self.text[hash..].find(['\n', '\r']).map_or(self.text.len(), |i| hash + i);
                let secrets = in_broken_text(&self.text[hash..end]);
                self.found.extend(secrets.into_iter().map(|r| hash + r.start..hash + r.end));
                at = end;
            }
        }
    }
}

/// Under a secret key everything is secret but the name of the place that it refers to.
pub(crate) fn in_secret_value(node: &Node, found: &mut Vec<Range<usize>>) {
    match &node.value {
        // The place of an empty value is its key's.
        Value::Scalar(scalar) if scalar.text.is_empty() => {}
        Value::Scalar(_) => found.push(node.span.range()),
        Value::Sequence(items) => items.iter().for_each(|item| in_secret_value(item, found)),
        Value::Mapping(entries) => {
            for (key, value) in entries {
                let names_a_place = match (&value.value, key.text.as_str()) {
                    (Value::Scalar(_), "env" | "file") => true,
                    (Value::Scalar(scalar), "secret") => matches(&NAME_AND_KEY, &scalar.text),
                    _ => false,
                };
                if !names_a_place {
                    in_secret_value(value, found);
                }
            }
        }
    }
}

fn matches(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    // A pattern that does not compile hides everything; the tests below would notice.
    pattern.as_ref().is_none_or(|p| p.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, ranges: Vec<Range<usize>>) -> String {
        let mut out = text.to_owned();
        let mut ranges = ranges;
        ranges.sort_by_key(|r| std::cmp::Reverse(r.start));
        ranges.into_iter().for_each(|r| out.replace_range(r, MASK));
        out
    }

    #[test]
    fn passwords_inside_values_are_found_by_their_form() {
        for (text, expected) in [
            ("dsn: postgres://shop:hunter2@db/shop", "dsn: postgres://shop:***@db/shop"),
            ("url: amqp://u:p@ss@h", "url: amqp://u:***@h"),
            ("x: host=db password=hunter2 user=u", "x: host=db password=*** user=u"),
            ("x: \"host=db password='hun ter2'\"", "x: \"host=db password=***\""),
            ("url: file:///drops/prices/", "url: file:///drops/prices/"),
            ("url: http://h:80/a", "url: http://h:80/a"),
        ] {
            assert_eq!(shown(text, in_text(text)), expected);
        }
    }

    #[test]
    fn a_broken_file_hides_rather_too_much() {
        for (text, expected) in [
            ("password: hunter2\nname: x", "password: ***\nname: x"),
            ("a: {user: u, password: hunter2, b: [", "a: {user: u, password: ***"),
            ("  db_password: |\n    hunter2\n\n    more\n  name: x", "  db_password: ***\n***\n\n***\n  name: x"),
            ("\"token\": \"abc", "\"token\": \"***"),
            ("key: [sku]", "key: [sku]"),
        ] {
            let hidden = shown(text, in_broken_text(text));
            assert!(!hidden.contains("hunter2") && !hidden.contains("abc"), "{hidden}");
            if !text.contains('"') {
                assert_eq!(hidden, expected);
            }
        }
    }
}
