//! Checks a tree against the JSON Schema of a configuration type and reports everything that is wrong with it, each at its
//! place. It knows the schemas that schemars writes (draft 2020-12) and the formats of [`unbatch_api::config`].

mod choice;
mod home;
mod scalars;

use super::conceal;
use super::diagnostic::{Diagnostic, FOUND_MAX};
use super::mended::Meant;
use super::source_text::SourceText;
use super::suggest::{any_of, nearest};
use super::yaml::{Key, Node, Scalar, Value as Tree};
use regex::Regex;
use schemars::JsonSchema;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use unbatch_api::config::{FORMAT_SENSITIVE, Reference};

/// References followed without coming to a deeper value; a schema that needs more is circular.
const REFERENCES_MAX: usize = 64;
/// Characters of a value that a message repeats.
const REPEATED_MAX: usize = 60;

/// Everything that is wrong with `node`; empty when it fits.
pub(crate) fn check(source: &Arc<SourceText>, node: &Node, schema: &Value) -> Vec<Diagnostic> {
    let mut checker = Checker {
        source,
        root: schema,
        base: node.path.clone(),
        found: Vec::new(),
        patterns: HashMap::new(),
        references: 0,
    };
    checker.check(node, schema);
    checker.found
}

struct Checker<'a> {
    source: &'a Arc<SourceText>,
    root: &'a Value,
    /// Path of the node that `root` is the schema of.
    base: Arc<str>,
    found: Vec<Diagnostic>,
    patterns: HashMap<&'a str, Option<Regex>>,
    references: usize,
}

impl<'a> Checker<'a> {
    fn check(&mut self, node: &Node, schema: &'a Value) {
        if self.found.len() >= FOUND_MAX {
            return;
        }
        if let Some(target) = self.target(schema) {
            self.references += 1;
            if self.references <= REFERENCES_MAX {
                self.check(node, target);
            }
            self.references -= 1;
            if schema.get("$ref").and_then(Value::as_str).is_some_and(is_reference) {
                self.exactly_one_reference(node);
            }
        }
        if schema.get("format").and_then(Value::as_str) == Some(FORMAT_SENSITIVE) && !self.sensitive(node) {
            return;
        }
        for part in list(schema, "allOf") {
            self.check(node, part);
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(options) = schema.get(keyword).and_then(Value::as_array) {
                self.choice(node, keyword, options);
            }
        }
        if self.listed(node, schema) && self.kind(node, schema) {
            let outer = std::mem::take(&mut self.references);
            match &node.value {
                Tree::Scalar(scalar) => self.bounds(node, scalar, schema),
                Tree::Sequence(items) => self.items(node, items, schema),
                Tree::Mapping(entries) => self.entries(node, entries, schema),
            }
            self.references = outer;
        }
    }

    fn entries(&mut self, node: &Node, entries: &[(Key, Node)], schema: &'a Value) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let additional = schema.get("additionalProperties");
        let is_closed =
            additional == Some(&Value::Bool(false)) || schema.get("unevaluatedProperties") == Some(&Value::Bool(false));
        let mut known = Vec::new();
        self.names(schema, &mut known, 0);
        let mut meant: HashSet<&str> = HashSet::new();
        for (i, (key, value)) in entries.iter().enumerate() {
            if self.is_rest_of(i.checked_sub(1).map(|before| &entries[before].1), key) {
                continue;
            }
            if let Some(property) = properties.and_then(|p| p.get(&key.text)) {
                self.check(value, property);
            } else if self.found.len() < FOUND_MAX && is_closed && !known.contains(&key.text.as_str()) {
                let name = self.unknown(node, key, value, &known);
                meant.extend(name);
                self.as_meant(node, value, name.and_then(|name| properties?.get(name)), name);
            } else if let Some(additional) = additional.filter(|a| a.is_object()) {
                self.check(value, additional);
            }
        }
        for name in list(schema, "required").iter().filter_map(Value::as_str) {
            if !entries.iter().any(|(k, _)| k.text == name) && !meant.contains(name) {
                let property = properties.and_then(|p| p.get(name));
                self.missing(node, name, property);
            }
        }
    }

    /// Whether a key is only what a comma cut off the value before it, which is reported there.
    fn is_rest_of(&self, before: Option<&Node>, key: &Key) -> bool {
        let Some(before) = before else { return false };
        let is_reported = || self.found.last().is_some_and(|d| d.span == Some(before.span));
        self.cut_at_comma(before).is_some_and(|whole| whole.ends_with(&*key.text) && key.text.ends_with(')'))
            && is_reported()
    }

    /// Reports a key that the schema does not have; gives the key that was meant, when that can be told.
    fn unknown(&mut self, node: &Node, key: &Key, value: &Node, known: &[&'a str]) -> Option<&'a str> {
        // A misspelt key of a password has a password after it.
        if known.iter().any(|name| conceal::is_secret_key(name)) {
            let mut secrets = Vec::new();
            conceal::in_secret_value(value, &mut secrets);
            secrets.into_iter().for_each(|range| self.source.conceal(range));
        }
        let unused = known.iter().copied().filter(|name| node.get(name).is_none());
        let meant = nearest(&key.text, unused).or_else(|| nearest(&key.text, known.iter().copied()));
        let place = match &*node.path {
            "" => "at the top of the file".to_owned(),
            path => format!("in `{path}`"),
        };
        let name = if self.source.is_concealed(&key.span.range()) { conceal::MASK.into() } else { short(&key.text) };
        let diagnostic = Diagnostic::error("U0102", format!("unknown field `{name}` {place}"));
        let home = if meant.is_none() { self.home_of(&key.text) } else { None };
        let diagnostic = match (meant, home) {
            (Some(name), _) => {
                let question = format!("did you mean `{name}`?");
                diagnostic.label(question.clone()).help(question)
            }
            (None, Some(home)) => {
                diagnostic.label(format!("belongs in `{home}`")).help("move it there; check the indentation")
            }
            _ if known.is_empty() => diagnostic.label("unknown").help("remove it; nothing can be set here"),
            _ => diagnostic.label("unknown").help(format!("known here: {}", any_of(known))),
        };
        let free = meant.filter(|name| node.get(name).is_none()).map(|name| Meant::Key(name.to_owned()));
        self.found.push(diagnostic.at(self.source, key.span).meant(free));
        meant
    }

    /// Looks into what stands below a misspelt key. A single value says too little about whether the guess is right.
    fn as_meant(&mut self, node: &Node, value: &Node, schema: Option<&'a Value>, name: Option<&str>) {
        if let (Some(schema), Some(name)) = (schema, name)
            && node.get(name).is_none()
            && !matches!(value.value, Tree::Scalar(_))
        {
            self.check(value, schema);
        }
    }

    fn missing(&mut self, node: &Node, name: &str, property: Option<&'a Value>) {
        let place = match &*node.path {
            "" => "the file".to_owned(),
            path => format!("`{path}`"),
        };
        let meaning = property.and_then(|p| self.description(p));
        let help = match meaning {
            Some(text) => format!("add `{name}:` — {text}"),
            None => format!("add `{name}:`"),
        };
        self.found.push(
            Diagnostic::error("U0103", format!("{place} needs `{name}`"))
                .at(self.source, node.head)
                .label(format!("`{name}` is missing"))
                .help(help)
                .meant(Some(Meant::Entry(name.to_owned(), property.and_then(|p| self.any_text(p))))),
        );
    }

    fn items(&mut self, node: &Node, items: &[Node], schema: &'a Value) {
        let fixed = list(schema, "prefixItems");
        for (i, item) in items.iter().enumerate() {
            if let Some(schema) = fixed.get(i).or(schema.get("items")) {
                self.check(item, schema);
            }
        }
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
        let length = items.len() as u64;
        if let Some(least) = bound("minItems").filter(|least| length < *least) {
            self.out_of_range(node, &format!("must have at least {least} {}", entries_word(least)));
        }
        if let Some(most) = bound("maxItems").filter(|most| length > *most) {
            self.out_of_range(node, &format!("must have at most {most} {}", entries_word(most)));
        }
    }

    /// False when the value stands in the file, which is reported.
    fn sensitive(&mut self, node: &Node) -> bool {
        let mut secrets = Vec::new();
        conceal::in_secret_value(node, &mut secrets);
        secrets.into_iter().for_each(|range| self.source.conceal(range));
        let Tree::Scalar(scalar) = &node.value else { return true };
        if scalar.meaning() == super::scalar::Meaning::Nothing {
            self.wrong_kind(node, "a reference to a secret", "write {secret: name/key}, {env: NAME} or {file: path}");
            return false;
        }
        self.found.push(
            Diagnostic::error("U0107", format!("`{}` must not stand in the file", node.path))
                .at(self.source, node.span)
                .meant(Some(Meant::Reference))
                .label("a secret in plain text")
                .help(
                    "refer to it: {secret: name/key}, {env: NAME} or {file: path}; and change it, it has been on disk",
                ),
        );
        false
    }

    /// JSON Schema of [`Reference`] cannot say "exactly one of".
    fn exactly_one_reference(&mut self, node: &Node) {
        let Tree::Mapping(entries) = &node.value else { return };
        if entries.iter().any(|(_, value)| !matches!(value.value, Tree::Scalar(_))) {
            return;
        }
        let text = |key: &str| node.get(key).and_then(Node::as_text).map(str::to_owned);
        let reference = Reference {
            env: text("env"),
            secret: text("secret"),
            file: text("file").map(Into::into),
            default: text("default"),
        };
        if let Err(problem) = reference.check() {
            self.found.push(
                Diagnostic::error("U0106", format!("`{}` {problem}", node.path))
                    .at(self.source, node.head)
                    .label("which one?")
                    .help("write {secret: name/key}, {env: NAME} or {file: path}"),
            );
        }
    }

    /// The schema that `$ref` names.
    fn target(&self, schema: &'a Value) -> Option<&'a Value> {
        let name = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
        if name.is_empty() { Some(self.root) } else { self.root.pointer(name) }
    }

    /// All keys that a mapping may have, those of its parts and of all its forms included.
    fn names(&self, schema: &'a Value, names: &mut Vec<&'a str>, depth: usize) {
        if depth > REFERENCES_MAX {
            return;
        }
        names.extend(
            schema.get("properties").and_then(Value::as_object).into_iter().flat_map(|p| p.keys().map(String::as_str)),
        );
        let parts = ["allOf", "oneOf", "anyOf"].into_iter().flat_map(|k| list(schema, k));
        for part in parts.chain(self.target(schema)) {
            self.names(part, names, depth + 1);
        }
    }

    /// First sentence of what a schema says about itself.
    fn description(&self, schema: &'a Value) -> Option<&'a str> {
        let own = schema.get("description").and_then(Value::as_str);
        let text = own.or_else(|| self.target(schema)?.get("description")?.as_str())?;
        let end = text.find(['\n', ':', ';']).or_else(|| text.find(". ")).unwrap_or(text.len());
        Some(text[..end].trim_end_matches('.'))
    }

    /// A value as a message may repeat it.
    fn shown(&self, node: &Node, scalar: &Scalar) -> String {
        if self.source.is_concealed(&node.span.range()) {
            return "the value".to_owned();
        }
        format!("`{}`", short(&scalar.text))
    }

    fn out_of_range(&mut self, node: &Node, must: &str) {
        let span = if matches!(node.value, Tree::Scalar(_)) { node.span } else { node.head };
        let message = format!("{} {must}", called(node));
        self.found.push(
            Diagnostic::error("U0111", message).at(self.source, span).label(must.to_owned()).help(must.to_owned()),
        );
    }
}

/// What messages call a node.
fn called(node: &Node) -> String {
    match &*node.path {
        "" => "the file".to_owned(),
        path => format!("`{path}`"),
    }
}

fn entries_word(count: u64) -> &'static str {
    if count == 1 { "entry" } else { "entries" }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(REPEATED_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn list<'v>(schema: &'v Value, key: &str) -> &'v [Value] {
    schema.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn is_reference(target: &str) -> bool {
    target.rsplit('/').next() == Some(&*Reference::schema_name())
}
