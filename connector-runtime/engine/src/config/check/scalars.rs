//! Kinds, lists of words, formats and ranges of single values.

use super::{Checker, Diagnostic, Node, REPEATED_MAX, Tree, called, list, short};
use crate::config::mended::Meant;
use crate::config::scalar::{Meaning, Scalar};
use crate::config::suggest::{any_of, nearest};
use regex::Regex;
use serde_json::Value;
use unbatch_api::config::{FORMAT_DURATION, FORMAT_SIZE, Period, Size};

/// Whole numbers of a width, which JSON Schema knows only as a format.
const WIDTHS: [(&str, i128, i128); 10] = [
    ("int8", i8::MIN as i128, i8::MAX as i128),
    ("int16", i16::MIN as i128, i16::MAX as i128),
    ("int32", i32::MIN as i128, i32::MAX as i128),
    ("int64", i64::MIN as i128, i64::MAX as i128),
    ("int", i64::MIN as i128, i64::MAX as i128),
    ("uint8", 0, u8::MAX as i128),
    ("uint16", 0, u16::MAX as i128),
    ("uint32", 0, u32::MAX as i128),
    ("uint64", 0, u64::MAX as i128),
    ("uint", 0, u64::MAX as i128),
];

impl<'a> Checker<'a> {
    /// Checks `enum` and `const`; false when the value is not among them, which is reported.
    pub(super) fn listed(&mut self, node: &Node, schema: &'a Value) -> bool {
        let one = schema.get("const").map(std::slice::from_ref);
        let Some(allowed) = one.or_else(|| schema.get("enum").and_then(Value::as_array).map(Vec::as_slice)) else {
            return true;
        };
        let Tree::Scalar(scalar) = &node.value else {
            let words = words(allowed);
            self.not_listed(node, None, &words.iter().map(String::as_str).collect::<Vec<_>>());
            return false;
        };
        if allowed.iter().any(|value| is_value(scalar, value)) {
            return true;
        }
        let words = words(allowed);
        if let Some(word) = words.iter().find(|w| **w == scalar.text) {
            let is_text = allowed.iter().any(|v| v.as_str() == Some(word));
            let help =
                if is_text { format!("write \"{word}\" in quotes") } else { format!("write {word} without quotes") };
            self.wrong_kind(node, if is_text { "text" } else { "a number" }, &help);
            return false;
        }
        self.not_listed(node, Some(scalar), &words.iter().map(String::as_str).collect::<Vec<_>>());
        false
    }

    /// Reports a value that is not one of `words`.
    pub(super) fn not_listed(&mut self, node: &Node, scalar: Option<&Scalar>, words: &[&str]) {
        let found = match scalar {
            Some(scalar) if scalar.meaning() == Meaning::Nothing => "it is empty".to_owned(),
            Some(scalar) => format!("it is {}", self.shown(node, scalar)),
            None => format!("it is {}", kind_word(node)),
        };
        let message = format!("{} must be {}, but {found}", called(node), any_of(words));
        let span = if scalar.is_some() { node.span } else { node.head };
        let diagnostic = Diagnostic::error("U0105", message).at(self.source, span);
        let meant = scalar.and_then(|s| nearest(&s.text, words.iter().copied()));
        let diagnostic = diagnostic.meant(meant.map(|word| Meant::Text(word.to_owned())));
        self.found.push(match meant {
            Some(word) => {
                let question = format!("did you mean `{word}`?");
                diagnostic.label(question.clone()).help(question)
            }
            None => diagnostic.label("not one of them").help(format!("write {}", any_of(words))),
        });
    }

    /// Checks `type`; false when it does not fit, which is reported.
    pub(super) fn kind(&mut self, node: &Node, schema: &'a Value) -> bool {
        let kinds = kinds(schema);
        if kinds.is_empty() || kinds.iter().any(|kind| fits(node, kind, schema)) {
            return true;
        }
        let named: Vec<&str> = kinds.iter().filter(|k| **k != "null").map(|k| kind_name(k)).collect();
        let help = remedy(node, &kinds);
        self.wrong_kind(node, &named.join(" or "), &help);
        false
    }

    pub(super) fn wrong_kind(&mut self, node: &Node, wanted: &str, help: &str) {
        let (span, found) = match &node.value {
            Tree::Scalar(s) if s.meaning() == Meaning::Nothing && s.text.is_empty() => {
                (node.span, "it is empty".into())
            }
            Tree::Scalar(s) if s.meaning() == Meaning::Nothing => {
                (node.span, format!("{} means an empty value", self.shown(node, s)))
            }
            Tree::Scalar(s) if matches!(s.meaning(), Meaning::Float(_)) && wanted == "a whole number" => {
                (node.span, format!("{} is none", self.shown(node, s)))
            }
            Tree::Scalar(s) => (node.span, format!("{} is {}", self.shown(node, s), s.meaning().word())),
            _ => (node.head, format!("it is {}", kind_word(node))),
        };
        let message = format!("{} must be {wanted}, but {found}", called(node));
        let quoted = match &node.value {
            Tree::Scalar(s) if wanted.starts_with("text") && s.meaning() != Meaning::Nothing => Some(s.text.clone()),
            _ => None,
        };
        self.found.push(
            Diagnostic::error("U0104", message)
                .at(self.source, span)
                .meant(quoted.map(Meant::Text))
                .label(format!("{wanted} is wanted here"))
                .help(help.to_owned()),
        );
    }

    /// Formats, patterns, lengths and ranges of a value whose kind is right.
    pub(super) fn bounds(&mut self, node: &Node, scalar: &Scalar, schema: &'a Value) {
        let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
        match scalar.meaning() {
            Meaning::Integer(number) => self.integer_range(node, number, format, schema),
            Meaning::Float(number) if !is_measure(format) => self.float_range(node, number, schema),
            _ => {}
        }
        if !kinds(schema).contains(&"string") || scalar.meaning() == Meaning::Nothing {
            return;
        }
        if is_measure(format) {
            self.measure(node, scalar, format);
            return;
        }
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
            self.pattern(node, scalar, pattern, schema);
        }
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
        let length = scalar.text.chars().count() as u64;
        if bound("minLength").is_some_and(|least| least == 1 && length == 0) {
            self.out_of_range(node, "must not be empty");
        } else if let Some(least) = bound("minLength").filter(|least| length < *least) {
            self.out_of_range(node, &format!("must have at least {least} characters"));
        }
        if let Some(most) = bound("maxLength").filter(|most| length > *most) {
            let must = if most == 1 {
                "must be a single character".into()
            } else {
                format!("must have at most {most} characters")
            };
            self.out_of_range(node, &must);
        }
    }

    fn measure(&mut self, node: &Node, scalar: &Scalar, format: &str) {
        let duration = format == FORMAT_DURATION;
        let (code, parsed, help) = match duration {
            true => ("U0108", scalar.text.parse::<Period>().err(), "write a number and a unit: 250ms, 5s, 10m or 1h"),
            false => {
                ("U0109", scalar.text.parse::<Size>().err(), "write a whole number and a unit: 64KiB, 16MiB or 1GB")
            }
        };
        let Some(problem) = parsed else { return };
        let (wanted, is_secret) =
            (if duration { "a duration" } else { "a size" }, self.source.is_concealed(&node.span.range()));
        let problem = if is_secret { "the value is none".to_owned() } else { problem };
        let problem = problem.split(';').next().unwrap_or_default();
        let message = format!("{} must be {wanted}, but {problem}", called(node));
        self.found.push(Diagnostic::error(code, message).at(self.source, node.span).label("not understood").help(help));
    }

    fn pattern(&mut self, node: &Node, scalar: &Scalar, pattern: &'a str, schema: &'a Value) {
        let compiled = self.patterns.entry(pattern).or_insert_with(|| Regex::new(pattern).ok());
        if compiled.as_ref().is_none_or(|p| p.is_match(&scalar.text)) {
            return;
        }
        if let Some(whole) = self.cut_at_comma(node) {
            let message = format!("`{}` is not allowed in {}: the comma ends it", short(&scalar.text), called(node));
            self.found.push(
                Diagnostic::error("U0110", message)
                    .at(self.source, node.span)
                    .label(format!("did you mean \"{whole}\"?"))
                    .help(format!("put it in quotes: \"{whole}\""))
                    .meant(Some(Meant::Text(whole.to_owned()))),
            );
            return;
        }
        let shown = self.shown(node, scalar);
        let diagnostic = Diagnostic::error("U0110", format!("{shown} is not allowed in {}", called(node)));
        let meaning = self.description(schema);
        let words = meaning.unwrap_or_default().split([' ', ',']).filter(|w| w.len() > 2);
        let diagnostic = diagnostic.meant(self.likely(&scalar.text, schema).map(Meant::Text));
        self.found.push(
            match (nearest(&scalar.text, words), meaning) {
                (Some(word), Some(meaning)) => {
                    diagnostic.label(format!("did you mean `{word}`?")).help(format!("write {meaning}"))
                }
                (_, Some(meaning)) => diagnostic.label("not allowed").help(format!("write {meaning}")),
                _ => diagnostic.label("not allowed").help(format!("write what matches {pattern}")),
            }
            .at(self.source, node.span),
        );
    }

    /// `decimal(12,2)` without quotes between `{` and `}`, where the comma begins the next entry.
    pub(super) fn cut_at_comma(&self, node: &Node) -> Option<&str> {
        let Tree::Scalar(scalar) = &node.value else { return None };
        let rest = self.source.text().get(node.span.offset..)?;
        let is_open = scalar.is_plain && scalar.text.contains('(') && !scalar.text.contains(')');
        let whole = rest.get(..=rest.find([')', '\n'])?)?;
        let is_cut = is_open && whole.ends_with(')') && whole.strip_prefix(&scalar.text)?.starts_with(',');
        (is_cut && !self.source.is_concealed(&node.span.range())).then_some(whole)
    }

    /// A word of a schema's description that its pattern allows, the one nearest to `text` if any is near.
    fn likely(&self, text: &str, schema: &'a Value) -> Option<String> {
        let pattern = Regex::new(schema.get("pattern")?.as_str()?).ok()?;
        let words: Vec<&str> =
            self.description(schema)?.split([' ', ',']).filter(|word| pattern.is_match(word)).collect();
        nearest(text, words.iter().copied()).or(words.first().copied()).map(str::to_owned)
    }

    /// Some text that would do, for whoever looks at what stands beside it.
    pub(super) fn any_text(&self, schema: &'a Value) -> Option<String> {
        let schema = self.resolved(schema);
        let has = |key: &str| schema.get(key).is_some();
        if let Some(word) = list(schema, "enum").first().and_then(Value::as_str) {
            return Some(word.to_owned());
        }
        if kinds(schema).contains(&"string") {
            return if has("pattern") { self.likely("", schema) } else { (!has("format")).then(|| "x".to_owned()) };
        }
        let options = ["oneOf", "anyOf"].into_iter().flat_map(|key| list(schema, key));
        options.into_iter().find_map(|option| self.any_text(option))
    }

    fn integer_range(&mut self, node: &Node, number: i128, format: &str, schema: &'a Value) {
        let width = WIDTHS.iter().find(|(name, ..)| *name == format);
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        let exclusive = bound("exclusiveMinimum").map(|b| b as i128 + 1);
        let least = [width.map(|w| w.1), bound("minimum").map(|b| b as i128), exclusive].into_iter().flatten().max();
        let exclusive = bound("exclusiveMaximum").map(|b| b as i128 - 1);
        let most = [width.map(|w| w.2), bound("maximum").map(|b| b as i128), exclusive].into_iter().flatten().min();
        let is_within = least.is_none_or(|l| number >= l) && most.is_none_or(|m| number <= m);
        if !is_within {
            self.out_of_range(node, &range_words(least, most.filter(|m| *m < i128::from(u32::MAX) || number > *m)));
        }
    }

    fn float_range(&mut self, node: &Node, number: f64, schema: &'a Value) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        let (least, most) = (bound("minimum"), bound("maximum"));
        let above = bound("exclusiveMinimum").filter(|b| number <= *b || number.is_nan());
        let below = bound("exclusiveMaximum").filter(|b| number >= *b || number.is_nan());
        // A comparison with NaN is false, so that NaN is within no range.
        let is_within = least.is_none_or(|l| number >= l) && most.is_none_or(|m| number <= m);
        match (above, below) {
            _ if !is_within => self.out_of_range(node, &range_words(least, most)),
            (Some(bound), _) => self.out_of_range(node, &format!("must be more than {bound}")),
            (_, Some(bound)) => self.out_of_range(node, &format!("must be less than {bound}")),
            _ => {}
        }
    }
}

fn range_words<N: std::fmt::Display>(least: Option<N>, most: Option<N>) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!("must be between {least} and {most}"),
        (Some(least), None) => format!("must be at least {least}"),
        (None, Some(most)) => format!("must be at most {most}"),
        (None, None) => "is out of range".to_owned(),
    }
}

fn is_measure(format: &str) -> bool {
    format == FORMAT_DURATION || format == FORMAT_SIZE
}

fn words(allowed: &[Value]) -> Vec<String> {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    allowed.iter().filter(|v| !v.is_null()).map(plain).collect()
}

fn is_value(scalar: &Scalar, value: &Value) -> bool {
    match scalar.meaning() {
        Meaning::Nothing => value.is_null(),
        Meaning::Boolean(b) => value.as_bool() == Some(b),
        Meaning::Integer(n) => value.as_i64().map(i128::from) == Some(n) || value.as_u64().map(i128::from) == Some(n),
        Meaning::Float(n) => value.as_f64() == Some(n),
        Meaning::Text(text) => value.as_str() == Some(text),
    }
}

/// The names in `type`.
pub(super) fn kinds(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(_)) => list(schema, "type").iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether a node is of a JSON Schema type.
pub(super) fn fits(node: &Node, kind: &str, schema: &Value) -> bool {
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
    match (&node.value, kind) {
        (Tree::Mapping(_), "object") | (Tree::Sequence(_), "array") => true,
        (Tree::Scalar(scalar), kind) => match scalar.meaning() {
            Meaning::Nothing => kind == "null",
            Meaning::Boolean(_) => kind == "boolean",
            // `5` where a duration is wanted is a duration without a unit, not a number instead of text.
            Meaning::Integer(_) => matches!(kind, "integer" | "number") || (kind == "string" && is_measure(format)),
            Meaning::Float(_) => kind == "number" || (kind == "string" && is_measure(format)),
            Meaning::Text(_) => kind == "string",
        },
        _ => false,
    }
}

/// What messages call a JSON Schema type.
pub(super) fn kind_name(kind: &str) -> &str {
    match kind {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        "null" => "empty",
        other => other,
    }
}

pub(super) fn kind_word(node: &Node) -> &'static str {
    match &node.value {
        Tree::Scalar(scalar) => scalar.meaning().word(),
        Tree::Sequence(_) => "a list",
        Tree::Mapping(_) => "a mapping",
    }
}

/// What to write instead, for a node that is of none of `kinds`.
pub(super) fn remedy(node: &Node, kinds: &[&str]) -> String {
    let wants = |kind: &str| kinds.contains(&kind);
    let Tree::Scalar(scalar) = &node.value else {
        let scalar_wanted = kinds.iter().any(|k| matches!(*k, "string" | "integer" | "number" | "boolean"));
        return match (&node.value, scalar_wanted) {
            (_, true) => "write a single value".into(),
            (Tree::Mapping(_), _) => "begin each entry of the list with `- `".into(),
            _ => "write `key: value` lines, without `- `".into(),
        };
    };
    let text = scalar.text.as_str();
    let unquoted = Scalar { text: text.to_owned(), is_plain: true };
    let is_number = matches!(unquoted.meaning(), Meaning::Integer(_) | Meaning::Float(_));
    match scalar.meaning() {
        Meaning::Nothing if text.is_empty() => "write a value, or remove the line".into(),
        Meaning::Text(_) if wants("boolean") && matches!(text.to_lowercase().as_str(), "yes" | "on" | "y") => {
            "write true".into()
        }
        Meaning::Text(_) if wants("boolean") && matches!(text.to_lowercase().as_str(), "no" | "off" | "n") => {
            "write false".into()
        }
        Meaning::Text(_) if (wants("integer") || wants("number")) && is_number => {
            "write the number without quotes".into()
        }
        Meaning::Text(_) if wants("boolean") => "write true or false, without quotes".into(),
        Meaning::Text(_) if wants("integer") => "write digits only, like 10000".into(),
        _ if wants("string") && text.len() <= REPEATED_MAX => format!("put it in quotes: \"{text}\""),
        _ if wants("string") => "put it in quotes".into(),
        _ if wants("array") && text.len() <= REPEATED_MAX => {
            "write a list: `[…]`, or one entry a line beginning with `- `".into()
        }
        _ if wants("object") => "write `key: value` lines below, indented".into(),
        _ => format!(
            "write {}",
            kinds.iter().filter(|k| **k != "null").map(|k| kind_name(k)).collect::<Vec<_>>().join(" or ")
        ),
    }
}
