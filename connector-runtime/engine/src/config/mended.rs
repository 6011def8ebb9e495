//! What can still be looked into where something is wrong: the part with each wrong place put right as far as that can be
//! guessed, or left out. Nothing of it is ever run; it serves to find at once what else is wrong. What is said about the
//! surroundings of a guess would be a guess too, so those are remembered.

use super::diagnostic::Diagnostic;
use super::source_text::Span;
use super::yaml::{Key, Node, Scalar, Value, join};
use unbatch_api::{Problem, Severity};

/// Rounds of reading and leaving out; each takes away what the one before made incomplete.
pub(super) const ROUNDS_MAX: usize = 16;

/// What was meant at the place of a diagnostic, as far as that is known.
#[derive(Clone, Debug)]
pub(super) enum Meant {
    /// This key.
    Key(String),
    /// This text, or one like it.
    Text(String),
    /// A reference to a secret, where the secret itself stands.
    Reference,
    /// An entry with this key is to be added, and this text where a text may stand there.
    Entry(String, Option<String>),
}

/// A part of the file, mended.
pub(super) struct Mended {
    pub(super) node: Node,
    /// Paths below the part about which nothing more can be said.
    guessed: Vec<String>,
    /// False when entries of a list are missing or guessed, so that a name may be missing that the file has.
    pub(super) has_all_entries: bool,
}

impl Mended {
    pub(super) fn of(node: &Node) -> Self {
        Self { node: node.clone(), guessed: Vec::new(), has_all_entries: true }
    }

    /// Nothing was guessed or left out.
    pub(super) fn is_as_written(&self) -> bool {
        self.guessed.is_empty() && self.has_all_entries
    }

    /// Mends or leaves out each wrong place; false when nothing would be left.
    pub(super) fn without<'d>(&mut self, wrong: impl IntoIterator<Item = &'d Diagnostic>) -> bool {
        let errors = wrong.into_iter().filter(|d| d.severity == Severity::Error);
        for (diagnostic, span) in errors.filter_map(|d| Some((d, d.span?))) {
            let mut cut = Cut { diagnostic, span, root: self.node.path.to_string(), mended: self, in_list: false };
            let mut node = std::mem::replace(&mut cut.mended.node, empty(span));
            let is_left = cut.below(&mut node);
            self.node = node;
            if !is_left {
                return false;
            }
        }
        true
    }

    /// Whether a problem is one of the file, and not one of what was guessed.
    pub(super) fn can_tell(&self, problem: &Problem) -> bool {
        !self.guessed.iter().any(|guessed| is_within(&problem.path, guessed))
    }

    /// The same of an error that was found while reading the part.
    pub(super) fn can_tell_at(&self, diagnostic: &Diagnostic) -> bool {
        let Some(span) = diagnostic.span else { return false };
        let path = deepest(&self.node, span).strip_prefix(&*self.node.path).unwrap_or_default();
        !self.guessed.iter().any(|guessed| is_within(path.trim_start_matches('.'), guessed))
    }
}

/// One place on its way to be mended.
struct Cut<'a, 'd> {
    diagnostic: &'d Diagnostic,
    span: Span,
    /// Path of the part.
    root: String,
    mended: &'a mut Mended,
    in_list: bool,
}

impl Cut<'_, '_> {
    /// Mends what is wrong in a node; false when the node itself has to go.
    fn below(&mut self, node: &mut Node) -> bool {
        // what a mapping lacks is reported at its head, which is where its first key stands when it is an entry of a list
        if self.diagnostic.code == "U0103" && node.head == self.span && matches!(node.value, Value::Mapping(_)) {
            return self.complete(node);
        }
        let path = node.path.to_string();
        match &mut node.value {
            Value::Scalar(_) if matches!(self.diagnostic.meant, Some(Meant::Reference)) => {
                node.value = Value::Mapping(vec![text_entry(&path, "env", "X", node.span)]);
                true
            }
            Value::Scalar(scalar) => match &self.diagnostic.meant {
                Some(Meant::Text(text)) if scalar.is_plain || scalar.text != *text => {
                    *scalar = Scalar { text: text.clone(), is_plain: false };
                    true
                }
                _ => false,
            },
            Value::Sequence(items) => {
                let Some(at) = items.iter().position(|item| self.is_in(&item.span)) else { return false };
                self.in_list = true;
                if !self.below(&mut items[at]) {
                    items.remove(at);
                    self.mended.has_all_entries = false;
                    self.guess(&path);
                }
                true
            }
            Value::Mapping(entries) => {
                let is_here = |(key, value): &(Key, Node)| self.is_in(&key.span) || self.is_in(&value.span);
                // nothing of a key that is given twice is in the tree
                let Some(at) = entries.iter().position(is_here) else { return true };
                let (key, value) = &mut entries[at];
                let is_key = self.is_in(&key.span);
                if let (true, Some(Meant::Key(meant))) = (is_key, &self.diagnostic.meant)
                    && key.text != *meant
                {
                    key.text.clone_from(meant);
                    rename(value, &join(&path, meant));
                    return true;
                }
                let is_about_value = !is_key || self.diagnostic.code == "U0103";
                if !(is_about_value && self.below(value)) {
                    let gone = entries.remove(at);
                    self.guess_around(&path, &join(&path, &gone.0.text));
                } else if matches!(entries[at].1.value, Value::Scalar(_)) {
                    let changed = join(&path, &entries[at].0.text);
                    self.guess_around(&path, &changed);
                }
                true
            }
        }
    }

    /// Adds what is missing, if that is as simple as a text.
    fn complete(&mut self, node: &mut Node) -> bool {
        let path = node.path.to_string();
        let (Value::Mapping(entries), Some(Meant::Entry(name, Some(text)))) = (&mut node.value, &self.diagnostic.meant)
        else {
            return false;
        };
        if entries.iter().any(|(key, _)| key.text == *name) {
            return false;
        }
        entries.push(text_entry(&path, name, text, node.head));
        // its name may be the one that another place asks for
        self.mended.has_all_entries &= !self.in_list;
        self.guess_around(&path, &join(&path, name));
        true
    }

    fn is_in(&self, span: &Span) -> bool {
        span.range().contains(&self.span.offset) || (span.length == 0 && span.offset == self.span.offset)
    }

    /// Options of one mapping speak of each other; those of the connector itself are many, and on their own as a rule.
    fn guess_around(&mut self, mapping: &str, entry: &str) {
        let path = if mapping == self.root { entry } else { mapping }.to_owned();
        self.guess(&path);
    }
    fn guess(&mut self, path: &str) {
        let path = path.strip_prefix(&self.root).unwrap_or(path).trim_start_matches('.').to_owned();
        self.mended.guessed.push(path);
    }
}

fn text_entry(path: &str, key: &str, text: &str, span: Span) -> (Key, Node) {
    let value = Value::Scalar(Scalar { text: text.to_owned(), is_plain: false });
    (Key { text: key.to_owned(), span }, Node { span, head: span, path: join(path, key), value })
}

fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || outer.is_empty() || rest.starts_with(['.', '[']))
}

/// Path of the deepest node at a place.
fn deepest(node: &Node, span: Span) -> &str {
    let is_in = |of: &Span| of.range().contains(&span.offset);
    let child = match &node.value {
        Value::Scalar(_) => None,
        Value::Sequence(items) => items.iter().find(|item| is_in(&item.span)),
        Value::Mapping(entries) => {
            entries.iter().find(|(key, value)| is_in(&key.span) || is_in(&value.span)).map(|(_, value)| value)
        }
    };
    child.map_or(&*node.path, |child| deepest(child, span))
}

fn rename(node: &mut Node, path: &str) {
    super::yaml::rename(node, path.into());
}

fn empty(span: Span) -> Node {
    Node { span, head: span, path: "".into(), value: Value::Mapping(Vec::new()) }
}
