//! What a connector says about the real thing, so that `unbatch init` can write a pipeline file from it.
//!
//! A drafter looks at what it is given (files, a database), bounded in what it reads, and never guesses in silence: what can be
//! read in more than one way is a [`Choice`], which stands in the file as a comment and in the command's answer.

use crate::error::Result;
use async_trait::async_trait;
use serde::Serialize;
use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

/// Looks at the real thing for one source connector. Registered beside the connector, by its word.
#[async_trait]
pub trait Drafter: Send + Sync + 'static {
    /// What stands behind `--from`: `csv`.
    fn word(&self) -> &'static str;
    /// What is looked at, as the help shows it: `FILE…`.
    fn operands(&self) -> &'static str;
    /// Looks at it. Changes nothing there. Misconfigured, with place and remedy, when no source can be drafted from it.
    async fn draft(&self, request: DraftRequest) -> Result<Draft>;
}

/// What is to be drafted.
#[derive(Clone, Debug)]
pub struct DraftRequest {
    /// As given on the command line; relative paths start at the current folder.
    pub operands: Vec<String>,
    /// Absolute folder that the pipeline file will lie in: relative paths in the draft start there. `None`: it is not known, so
    /// the draft has absolute ones.
    pub base: Option<PathBuf>,
}

/// A source as it can be written into a pipeline file.
#[derive(Clone, Debug)]
pub struct Draft {
    /// A name for the pipeline, in the terms of the real thing; it is made fit for a pipeline's name.
    pub name: String,
    /// The connector's key under `source:`.
    pub connector: &'static str,
    /// What stands under that key, as YAML.
    pub settings: Vec<Line>,
    pub columns: Vec<DraftColumn>,
    /// Columns that may be the key of the records; empty when there are none. Always a choice for a person.
    pub key: Vec<String>,
    /// Why these, or why none: `unique and never empty in the sample`.
    pub key_reason: String,
    /// What the draft was judged by: `1,204 rows of 3 files`.
    pub judged_by: String,
    /// What a person should know besides: files that were left out, rows that fit nothing.
    pub remarks: Vec<String>,
}

/// One line of YAML with what is to be said about it. `text` has its own indentation, in front of which the writer of the file
/// puts that of the place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub text: String,
    /// Stands behind the text.
    pub remark: Option<String>,
    /// Stand above it.
    pub choices: Vec<Choice>,
}

/// Something that the real thing leaves open. Never holds a cell value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// What it is about: a column's name, a setting.
    pub about: String,
    /// Why it is open.
    pub why: String,
    /// What the file has, which is always safe.
    pub chosen: String,
    /// What else it could be, as it would be written.
    pub instead: Vec<String>,
}

/// A column as it was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DraftColumn {
    pub name: String,
    #[serde(rename = "type")]
    pub column_type: String,
    pub required: bool,
    /// The other options, as in the file: `format: "%d.%m.%Y"`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Line {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
    pub fn remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = Some(remark.into());
        self
    }
    pub fn choices(mut self, choices: impl IntoIterator<Item = Choice>) -> Self {
        self.choices.extend(choices);
        self
    }
}

impl Draft {
    /// Everything that was left open in the settings, in their order.
    pub fn choices(&self) -> impl Iterator<Item = &Choice> {
        self.settings.iter().flat_map(|line| &line.choices)
    }
}

impl Choice {
    /// As the comment says it, without the mark.
    pub fn sentence(&self) -> String {
        let mut text = format!("{}: {}. Written: {}.", self.about, self.why, self.chosen);
        if !self.instead.is_empty() {
            let _ = write!(text, " Instead: {}", self.instead.join(", or "));
        }
        text
    }
}

/// The path from the root, without `.` and `..`, as it is written: links are not followed.
pub fn absolute(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let mut tidied = PathBuf::new();
    for component in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match component {
            Component::ParentDir => _ = tidied.pop(),
            other => tidied.push(other),
        }
    }
    tidied
}

/// How to go from a folder to another place; both are [`absolute`].
pub fn way(from: &Path, to: &Path) -> PathBuf {
    let (from, to): (Vec<_>, Vec<_>) = (from.components().collect(), to.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(Component::ParentDir, from.len() - shared);
    let way: PathBuf = up.chain(to[shared..].iter().copied()).collect();
    if way.as_os_str().is_empty() { PathBuf::from(".") } else { way }
}

/// A text as a YAML scalar: plain where that means the same, else in double quotes.
pub fn scalar(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/'))
        && text.chars().all(is_word)
        && !is_other_than_text(text);
    if plain { text.to_owned() } else { quoted(text) }
}

/// A text in double quotes, with escapes that YAML 1.2 and JSON share.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // a line separator would end a line for some readers; the mark of byte order and what is not printed is not seen
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Words that YAML reads as a truth, a number or nothing.
fn is_other_than_text(text: &str) -> bool {
    let words = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"];
    words.iter().any(|w| text.eq_ignore_ascii_case(w))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_quoted_where_yaml_would_read_something_else() {
        for (text, written) in [
            ("sku", "sku"),
            ("unit_cost", "unit_cost"),
            ("/drops/prices", "/drops/prices"),
            ("", r#""""#),
            ("1", r#""1""#),
            ("no", r#""no""#),
            ("Null", r#""Null""#),
            ("a: b", r#""a: b""#),
            ("# x", r##""# x""##),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("two\nlines\u{1b}\u{2028}", r#""two\nlines\u001b\u2028""#),
            ("größe", "\"größe\""),
            ("-x", r#""-x""#),
            ("../drops", r#""../drops""#),
        ] {
            assert_eq!(scalar(text), written, "{text}");
        }
    }

    #[test]
    fn one_place_is_found_from_another() {
        let check = |from: &str, to: &str, expected: &str| {
            let found = way(&absolute(Path::new(from)), &absolute(Path::new(to)));
            assert_eq!(found, Path::new(expected), "{from} {to}");
        };
        check("/a/b", "/a/c/d", "../c/d");
        check("/a/b/../c/.", "/a/c", ".");
        check("/", "/a", "a");
        // an empty path is the current folder
        check("", ".unbatch/schema", ".unbatch/schema");
        check("pipelines", "drops/../data", "../data");
    }

    #[test]
    fn a_choice_says_why_what_and_what_else() {
        let choice = Choice {
            about: "valid_from".into(),
            why: "day and month cannot be told apart".into(),
            chosen: "type: string".into(),
            instead: vec!["a".into(), "b".into()],
        };
        assert_eq!(
            choice.sentence(),
            "valid_from: day and month cannot be told apart. Written: type: string. Instead: a, or b"
        );
    }
}
