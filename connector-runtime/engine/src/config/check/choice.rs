//! Values that may have one of several forms: words, one key among several, or shapes told apart by what they hold.

use super::scalars::{fits, kind_name, kinds, remedy};
use super::{Checker, Diagnostic, Key, Node, REFERENCES_MAX, Tree, any_of, called, list};
use crate::config::scalar::Meaning;
use serde_json::Value;

/// Of `source:`, `sink:` and steps when the binary has none at all.
fn nothing_built_in(node: &Node) -> (String, String) {
    let role = node.path.split(['[', '.']).next().unwrap_or_default().trim_end_matches('s');
    let message = match node.only_entry() {
        Some((key, _)) => format!("there is no {role} `{}` in this binary", key.text),
        None => format!("{} cannot be set: this binary has no {role} built in", called(node)),
    };
    (message, format!("no {role} is built in; `unbatch connectors` lists what is"))
}

/// One form of a choice, as serde writes enums.
enum Form<'a> {
    Nothing,
    /// Words, such as unit variants.
    Words(Vec<&'a str>),
    /// A mapping with this one key: a variant with content.
    Keyed(&'a str, &'a Value),
    Other,
}

impl<'a> Checker<'a> {
    /// `keyword` tells what serde made: `oneOf` of enums whose forms differ by a word or key, `anyOf` of the rest.
    pub(super) fn choice(&mut self, node: &Node, keyword: &str, options: &'a [Value]) {
        let is_nothing = matches!(&node.value, Tree::Scalar(s) if s.meaning() == Meaning::Nothing);
        let mut forms = Vec::new();
        for option in options {
            match self.form(option, keyword) {
                Form::Nothing if is_nothing => return,
                Form::Nothing => {}
                form => forms.push((form, option)),
            }
        }
        if let [(_, only)] = forms.as_slice() {
            // A single keyed form is still a choice: `source:` with one connector built in.
            if !matches!(self.form(only, keyword), Form::Keyed(..)) {
                return self.check(node, only);
            }
        }
        if forms.iter().all(|(form, _)| matches!(form, Form::Words(_) | Form::Keyed(..))) {
            return self.one_of(node, &forms.into_iter().map(|(form, _)| form).collect::<Vec<_>>());
        }
        let shapes: Vec<&'a Value> = forms.into_iter().map(|(_, option)| option).collect();
        match self.tag(&shapes) {
            Some(tag) => self.tagged(node, tag, &shapes),
            None => self.untagged(node, &shapes),
        }
    }

    /// Words and keys: an enum as serde writes it by default.
    fn one_of(&mut self, node: &Node, forms: &[Form<'a>]) {
        let mut words: Vec<&str> = Vec::new();
        let mut keys: Vec<(&str, &'a Value)> = Vec::new();
        for form in forms {
            match form {
                Form::Words(more) => words.extend(more),
                Form::Keyed(key, content) => keys.push((key, content)),
                _ => {}
            }
        }
        let names: Vec<&str> = keys.iter().map(|(k, _)| *k).collect();
        if words.is_empty() && names.is_empty() {
            let (message, help) = nothing_built_in(node);
            let place = node.only_entry().map_or(node.head, |(key, _)| key.span);
            self.found
                .push(Diagnostic::error("U0102", message).at(self.source, place).label("not built in").help(help));
            return;
        }
        match &node.value {
            Tree::Scalar(scalar) if words.contains(&scalar.text.as_str()) => {}
            Tree::Scalar(scalar) if names.contains(&scalar.text.as_str()) => {
                let key = &scalar.text;
                let help = format!("write `{key}:` with its settings below, or {{{key}: …}}");
                let message = format!("{} is only a name; `{key}` needs settings", called(node));
                self.found.push(
                    Diagnostic::error("U0106", message)
                        .at(self.source, node.span)
                        .label("settings are missing")
                        .help(help),
                );
            }
            Tree::Scalar(scalar) => {
                let forms: Vec<String> =
                    words.iter().map(|w| (*w).to_owned()).chain(names.iter().map(|k| format!("{k}: …"))).collect();
                let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
                self.not_listed(node, Some(scalar), &forms);
            }
            Tree::Sequence(_) if names.is_empty() => self.not_listed(node, None, &words),
            Tree::Sequence(_) => {
                let help = format!("write {} as a key, without `- `", any_of(&names));
                self.wrong_kind(node, "a mapping with one key", &help);
            }
            Tree::Mapping(_) if names.is_empty() => self.not_listed(node, None, &words),
            Tree::Mapping(entries) => self.one_key(node, entries, &words, &keys),
        }
    }

    fn one_key(&mut self, node: &Node, entries: &[(Key, Node)], words: &[&'a str], keys: &[(&'a str, &'a Value)]) {
        let names: Vec<&'a str> = keys.iter().map(|(k, _)| *k).collect();
        let mut first: Option<&Key> = None;
        for (key, value) in entries {
            match keys.iter().find(|(k, _)| *k == key.text) {
                Some((_, content)) => {
                    if let Some(first) = first {
                        let message =
                            format!("{} has both `{}` and `{}`; it takes one", called(node), first.text, key.text);
                        self.found.push(
                            Diagnostic::error("U0106", message)
                                .at(self.source, key.span)
                                .label(format!("`{}` stands on line {}", first.text, first.span.line))
                                .help("keep one of them"),
                        );
                    }
                    first = first.or(Some(key));
                    self.check(value, content);
                }
                None if words.contains(&key.text.as_str()) => {
                    let message = format!("`{}` takes no settings", value.path);
                    let help = format!("write only `{}`, as the value", key.text);
                    self.found.push(
                        Diagnostic::error("U0106", message)
                            .at(self.source, key.span)
                            .label("a word, not a key")
                            .help(help),
                    );
                }
                None => {
                    let name = self.unknown(node, key, value, &names);
                    let content =
                        name.and_then(|name| keys.iter().find(|(k, _)| *k == name)).map(|(_, content)| *content);
                    self.as_meant(node, value, content, name);
                }
            }
        }
        if entries.is_empty() {
            let message = format!("{} is empty; it needs one of {}", called(node), any_of(&names));
            let help = format!("write {}", any_of(&names));
            self.found.push(
                Diagnostic::error("U0106", message).at(self.source, node.head).label("nothing is chosen").help(help),
            );
        }
    }

    /// Shapes that have a word under the same key, each its own: `{mode: a, …}` or `{mode: b, …}`.
    fn tag(&self, shapes: &[&'a Value]) -> Option<&'a str> {
        let (first, rest) = shapes.split_first()?;
        let resolved = self.resolved(first);
        let names = list(resolved, "required").iter().filter_map(Value::as_str);
        names.into_iter().find(|name| !rest.is_empty() && shapes.iter().all(|s| self.tag_word(s, name).is_some()))
    }

    fn tag_word(&self, shape: &'a Value, tag: &str) -> Option<&'a str> {
        self.resolved(shape).get("properties")?.get(tag)?.get("const")?.as_str()
    }

    fn tagged(&mut self, node: &Node, tag: &'a str, shapes: &[&'a Value]) {
        let words: Vec<&str> = shapes.iter().filter_map(|s| self.tag_word(s, tag)).collect();
        let Some(value) = node.get(tag) else {
            match node.value {
                Tree::Mapping(_) => self.missing(node, tag, None),
                _ => self.wrong_kind(node, "a mapping", &format!("write `{tag}:` with {}", any_of(&words))),
            }
            return;
        };
        let chosen = shapes.iter().find(|s| self.tag_word(s, tag) == value.as_text());
        match (chosen, &value.value) {
            (Some(shape), _) => self.check(node, shape),
            (None, Tree::Scalar(scalar)) => self.not_listed(value, Some(scalar), &words),
            (None, _) => self.not_listed(value, None, &words),
        }
    }

    /// Shapes told apart only by trying. What is reported is about the shape that comes nearest.
    fn untagged(&mut self, node: &Node, shapes: &[&'a Value]) {
        let fitting: Vec<&'a Value> = shapes.iter().copied().filter(|s| self.may_fit(node, s)).collect();
        match fitting.as_slice() {
            [] => {
                let all: Vec<&str> = shapes.iter().flat_map(|s| kinds(self.resolved(s))).collect();
                let mut named: Vec<&str> = all.iter().map(|k| kind_name(k)).collect();
                named.dedup();
                let help = remedy(node, &all);
                self.wrong_kind(node, &named.join(" or "), &help);
            }
            [only] => self.check(node, only),
            several => {
                let mut best: Option<Vec<Diagnostic>> = None;
                for shape in several {
                    let before = self.found.len();
                    self.check(node, shape);
                    let tried = self.found.split_off(before);
                    if tried.is_empty() {
                        return;
                    }
                    if best.as_ref().is_none_or(|b| tried.len() < b.len()) {
                        best = Some(tried);
                    }
                }
                self.found.extend(best.unwrap_or_default());
            }
        }
    }

    /// Whether a node is of a kind that a shape could take.
    fn may_fit(&self, node: &Node, shape: &'a Value) -> bool {
        let shape = self.resolved(shape);
        let kinds = kinds(shape);
        kinds.is_empty() || kinds.iter().any(|kind| fits(node, kind, shape))
    }

    fn form(&self, option: &'a Value, keyword: &str) -> Form<'a> {
        let schema = self.resolved(option);
        if schema.get("type").and_then(Value::as_str) == Some("null") {
            return Form::Nothing;
        }
        if let Some(word) = schema.get("const").and_then(Value::as_str) {
            return Form::Words(vec![word]);
        }
        let words = list(schema, "enum");
        if !words.is_empty() && words.iter().all(Value::is_string) {
            return Form::Words(words.iter().filter_map(Value::as_str).collect());
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        match (list(schema, "required"), properties) {
            ([Value::String(name)], Some(properties)) if keyword == "oneOf" && properties.len() == 1 => {
                match properties.get(name) {
                    Some(content) if content.get("const").is_none() => Form::Keyed(name, content),
                    _ => Form::Other,
                }
            }
            _ => Form::Other,
        }
    }

    /// A schema after its references; for looking at its shape only.
    pub(super) fn resolved(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..REFERENCES_MAX {
            match self.target(schema) {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }
}
