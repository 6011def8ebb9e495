//! YAML text to a tree in which every node knows its place. One document a file; no tags; aliases are copied under a
//! bound, so that a small file cannot become a large tree.

use super::conceal;
use super::diagnostic::{Diagnostic, FOUND_MAX};
pub use super::scalar::Scalar;
use super::source_text::{BYTE_ORDER_MARK, SourceText, Span};
use super::yaml_advice;
use super::yaml_blocks::{Block, blocks, only};
use saphyr_parser::{BufferedInput, Event, Marker, Parser, ScalarStyle, ScanError};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Largest file that is read, in bytes.
pub const BYTES_MAX: usize = 1 << 20;
/// Most keys and values in a tree, copies by alias included.
pub const NODES_MAX: usize = 50_000;
/// Most bytes of text and paths in a tree, copies by alias included.
const TEXT_BYTES_MAX: usize = 16 * BYTES_MAX;
/// A broken text with more keys at the top is not read in pieces.
const BLOCKS_MAX: usize = 100;
/// Deepest nesting.
pub const DEPTH_MAX: usize = 64;

/// A value, where it stands, and what messages call it.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value itself; of an empty value the key.
    pub span: Span,
    /// Where a message about the node as a whole points: its key, or where it begins.
    pub head: Span,
    /// `source.csv_drops.columns[2]`; empty for the whole file.
    pub path: Arc<str>,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub enum Value {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    /// In the order of the file; a key stands in it once.
    Mapping(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub struct Key {
    pub text: String,
    pub span: Span,
}

impl Node {
    /// The entry of a mapping; `None` when there is none or this is no mapping.
    pub fn entry(&self, key: &str) -> Option<(&Key, &Node)> {
        let Value::Mapping(entries) = &self.value else { return None };
        entries.iter().find(|(k, _)| k.text == key).map(|(k, n)| (k, n))
    }
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, node)| node)
    }
    /// Of a mapping.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        let entries = if let Value::Mapping(entries) = &self.value { entries.as_slice() } else { &[] };
        entries.iter().map(|(key, _)| key)
    }
    /// The only entry of a mapping with one entry, as `source:` and steps have.
    pub fn only_entry(&self) -> Option<(&Key, &Node)> {
        match &self.value {
            Value::Mapping(entries) if entries.len() == 1 => entries.first().map(|(k, n)| (k, n)),
            _ => None,
        }
    }
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }
    /// The text of a scalar as written.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }
}

/// What could be read of a text. Without a tree there is at least one error; with one there may be some too.
pub(crate) struct Parsed {
    pub node: Option<Node>,
    pub found: Vec<Diagnostic>,
    /// Keys at the top that the text has and the tree has not, since what stands below them could not be read.
    pub unread: Vec<String>,
}

/// Reads one document. Secrets that the tree shows are concealed in `source`.
pub(crate) fn parse(source: &Arc<SourceText>) -> Parsed {
    let mut builder = Builder::new(source);
    let (node, unread) = match builder.build(source.text()) {
        Ok(node) => (Some(node), Vec::new()),
        Err(fatal) => {
            conceal::in_broken_text(source.text()).into_iter().for_each(|range| source.conceal(range));
            let (rest, found, unread) = rest(source, &fatal);
            builder.found.extend(found);
            (rest.or_else(|| builder.root.take()), unread)
        }
    };
    let secrets = node.as_ref().map(|node| conceal::in_tree(source.text(), node, &builder.dropped));
    secrets.into_iter().flatten().for_each(|range| source.conceal(range));
    Parsed { node, found: builder.found, unread }
}

/// What can be read of a broken text, the errors in the rest, and the keys of that.
fn rest(source: &Arc<SourceText>, fatal: &Fatal) -> (Option<Node>, Vec<Diagnostic>, Vec<String>) {
    let whole = || (None, vec![(**fatal).clone()], Vec::new());
    let text = source.text();
    let all = blocks(text);
    // copies need what another block defines
    let has_anchors = text.contains(['&', '*']) && all.iter().any(|b| text[b.range.clone()].contains(": &"));
    if all.len() < 2 || all.len() > BLOCKS_MAX || has_anchors {
        return whole();
    }
    let alone = |block: &Block| Builder::new(source).build(&only(text, [block])).err();
    let broken: Vec<Option<Fatal>> = all.iter().map(alone).collect();
    let good = all.iter().zip(&broken).filter(|(_, error)| error.is_none()).map(|(block, _)| block);
    let mut builder = Builder::new(source);
    let Ok(node) = builder.build(&only(text, good)) else { return whole() };
    let bad = || all.iter().zip(&broken).filter_map(|(block, error)| Some((block, error.as_ref()?)));
    if bad().next().is_none() {
        return whole();
    }
    // the first is what the parser stumbled over; it says best what it is where it noticed that in the same block
    let noticed = fatal.span.map_or(0, |span| span.offset);
    let error = |(i, (block, own)): (usize, (&Block, &Fatal))| match i == 0 && block.range.contains(&noticed) {
        true => (**fatal).clone(),
        false => within(source, block, own),
    };
    let mut found: Vec<Diagnostic> = bad().enumerate().map(error).collect();
    found.append(&mut builder.found);
    (Some(node), found, bad().map(|(block, _)| block.key.clone()).collect())
}

/// What is noticed behind the end of a block is shown at its last character: the next block is not to blame.
fn within(source: &Arc<SourceText>, block: &Block, error: &Fatal) -> Diagnostic {
    let text = source.text()[block.range.clone()].trim_end();
    let last = text.char_indices().next_back().map_or(0, |(at, _)| at);
    let (last, end) = (block.range.start + last, block.range.start + text.len());
    let mut error = (**error).clone();
    error.span = error.span.map(|span| if span.offset < end { span } else { source.span(last..end) });
    error
}

type Fatal = Box<Diagnostic>;

/// A collection that is still open.
struct Frame {
    path: Arc<str>,
    anchor: usize,
    head: Option<Span>,
    start: usize,
    end: usize,
    open: Open,
}

enum Open {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<(Key, Node)>, seen: HashMap<String, Span>, pending: Option<Key> },
}

struct Builder<'a> {
    source: &'a Arc<SourceText>,
    /// Byte offset of each character, since the parser counts characters.
    offsets: Vec<usize>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    nodes: usize,
    text_bytes: usize,
    /// Entries whose key was there already.
    dropped: Vec<(Key, Node)>,
    found: Vec<Diagnostic>,
}

impl<'a> Builder<'a> {
    fn new(source: &'a Arc<SourceText>) -> Self {
        Builder {
            source,
            offsets: Vec::new(),
            stack: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            nodes: 0,
            text_bytes: 0,
            dropped: Vec::new(),
            found: Vec::new(),
        }
    }

    /// `whole` is the source's text, or a part of it with all its bytes where they stood.
    fn build(&mut self, whole: &str) -> Result<Node, Fatal> {
        let text = whole.trim_start_matches(BYTE_ORDER_MARK);
        let skipped = whole.len() - text.len();
        if whole.len() > BYTES_MAX {
            return Err(self.fatal(0..0, format!("the file is larger than {BYTES_MAX} bytes"), "split it"));
        }
        if let Some((at, c)) = text.char_indices().find(|(_, c)| !is_printable(*c)) {
            let at = skipped + at..skipped + at + c.len_utf8();
            let message = format!("the character U+{:04X} is not allowed in YAML", u32::from(c));
            return Err(self.fatal(at, message, "remove it, or write it as an escape in double quotes"));
        }
        self.offsets = text.char_indices().map(|(i, _)| skipped + i).chain([whole.len()]).collect();
        let mut parser = Parser::new(BufferedInput::new(text.chars()));
        let mut documents = 0;
        while let Some(next) = parser.next_event() {
            let (event, span) = next.map_err(|e| self.syntax_error(&e))?;
            let range = self.offset(span.start)..self.offset(span.end);
            match event {
                Event::DocumentStart(_) if documents == 1 => {
                    let help = "a file holds one document: move what follows `---` to a file of its own";
                    return Err(self.fatal(range, "a second document begins here".into(), help));
                }
                Event::DocumentStart(_) => documents += 1,
                event => self.take(event, range)?,
            }
        }
        match self.root.take() {
            Some(node) if !is_nothing(&node) => Ok(node),
            _ => Err(self.fatal(0..0, "the file is empty".into(), "write at least one `key: value`")),
        }
    }

    fn take(&mut self, event: Event<'_>, range: Range<usize>) -> Result<(), Fatal> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), &range);
                self.scalar(text.into_owned(), style, anchor, range)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), &range);
                self.open(Open::Sequence(Vec::new()), anchor, range)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), &range);
                self.open(Open::Mapping { entries: Vec::new(), seen: HashMap::new(), pending: None }, anchor, range)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(range),
            Event::Alias(anchor) => self.alias(anchor, range),
            _ => Ok(()),
        }
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, anchor: usize, range: Range<usize>) -> Result<(), Fatal> {
        self.count(1, text.len() + self.path_bytes(), &range)?;
        let is_plain = style == ScalarStyle::Plain;
        // The parser ends plain scalars and blocks where the next token begins.
        let written = self.source.text().get(range.clone()).unwrap_or_default();
        let range = range.start..range.start + written.trim_end().len();
        if self.awaits_key() {
            if text.is_empty() || (is_plain && range.is_empty()) {
                return Err(self.fatal(range, "a key is missing before `:`".into(), "write `key: value`"));
            }
            if text.contains(['\n', '\r']) || written.trim_end().contains(['\n', '\r']) {
                return Err(self.fatal(range, "a key must be on one line".into(), "write `key: value`"));
            }
            let span = self.source.span(range);
            self.key(Key { text, span });
            return Ok(());
        }
        // The parser writes `~` where nothing is written.
        let text = if range.is_empty() && is_plain { String::new() } else { text };
        let head = self.pending_head();
        let span = match head {
            Some(head) if range.is_empty() => head,
            _ => self.source.span(range),
        };
        let path = self.child_path();
        let node = Node { span, head: head.unwrap_or(span), path, value: Value::Scalar(Scalar { text, is_plain }) };
        self.finish(node, anchor)
    }

    fn open(&mut self, open: Open, anchor: usize, range: Range<usize>) -> Result<(), Fatal> {
        self.count(1, self.path_bytes(), &range)?;
        if self.awaits_key() {
            let help = "keys are single words; quote a key that begins with `{` or `[`";
            return Err(self.fatal(range, "a key must be text".into(), help));
        }
        if self.stack.len() == DEPTH_MAX {
            return Err(self.fatal(range, format!("nested deeper than {DEPTH_MAX} levels"), "flatten it"));
        }
        let frame = Frame {
            path: self.child_path(),
            anchor,
            head: self.pending_head(),
            start: range.start,
            end: range.end,
            open,
        };
        self.stack.push(frame);
        Ok(())
    }

    fn close(&mut self, range: Range<usize>) -> Result<(), Fatal> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        // A flow collection ends with its bracket; a block ends with its last value.
        let end = if range.is_empty() { frame.end } else { range.end };
        let span = self.source.span(frame.start..end.max(frame.start));
        let (first, value) = match frame.open {
            Open::Sequence(items) => (items.first().map(|n| n.head), Value::Sequence(items)),
            Open::Mapping { entries, .. } => (entries.first().map(|(k, _)| k.span), Value::Mapping(entries)),
        };
        let head = frame.head.or(first).unwrap_or(span);
        self.finish(Node { span, head, path: frame.path, value }, frame.anchor)
    }

    fn alias(&mut self, anchor: usize, range: Range<usize>) -> Result<(), Fatal> {
        let Some(original) = self.anchors.get(&anchor).cloned() else {
            return Err(self.fatal(
                range,
                "an alias must not stand inside its own anchor".into(),
                "write the value out",
            ));
        };
        if self.awaits_key() {
            return Err(self.fatal(range, "a key must be text".into(), "write the key out"));
        }
        let (nodes, bytes) = weight(&original);
        self.count(nodes, bytes + nodes * self.path_bytes(), &range)?;
        let mut copy = original;
        rename(&mut copy, self.child_path());
        let end = range.start + self.source.text().get(range.clone()).unwrap_or_default().trim_end().len();
        copy.head = self.pending_head().unwrap_or_else(|| self.source.span(range.start..end));
        self.finish(copy, 0)
    }

    /// Hands a finished value to the collection that is open.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Fatal> {
        if anchor != 0 {
            let (nodes, bytes) = weight(&node);
            self.count(nodes, bytes, &node.span.range())?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.end = frame.end.max(node.span.offset + node.span.length);
        match &mut frame.open {
            Open::Sequence(items) => items.push(node),
            Open::Mapping { entries, seen, pending } => {
                let Some(key) = pending.take() else { return Ok(()) };
                match seen.get(&key.text) {
                    Some(first) => {
                        if self.found.len() < FOUND_MAX {
                            self.found.push(duplicate_key(self.source, &frame.path, &key, first));
                        }
                        self.dropped.push((key, node));
                    }
                    None => {
                        seen.insert(key.text.clone(), key.span);
                        entries.push((key, node));
                    }
                }
            }
        }
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { open: Open::Mapping { pending: None, .. }, .. }))
    }
    fn key(&mut self, key: Key) {
        if let Some(Frame { open: Open::Mapping { pending, .. }, .. }) = self.stack.last_mut() {
            *pending = Some(key);
        }
    }
    fn pending_head(&self) -> Option<Span> {
        match self.stack.last() {
            Some(Frame { open: Open::Mapping { pending: Some(key), .. }, .. }) => Some(key.span),
            _ => None,
        }
    }
    fn child_path(&self) -> Arc<str> {
        let Some(frame) = self.stack.last() else { return Arc::from("") };
        match &frame.open {
            Open::Sequence(items) => format!("{}[{}]", frame.path, items.len()).into(),
            Open::Mapping { pending, .. } => join(&frame.path, pending.as_ref().map_or("", |k| &k.text)),
        }
    }

    /// About the length of the path that the next node will have.
    fn path_bytes(&self) -> usize {
        let key = self.pending_head().map_or(0, |key| key.length);
        self.stack.last().map_or(0, |frame| frame.path.len()) + key
    }

    fn count(&mut self, nodes: usize, bytes: usize, range: &Range<usize>) -> Result<(), Fatal> {
        self.nodes += nodes;
        self.text_bytes += bytes;
        if self.nodes > NODES_MAX || self.text_bytes > TEXT_BYTES_MAX {
            let message = format!("the file has more than {NODES_MAX} values, copies by alias included");
            return Err(self.fatal(range.clone(), message, "split it, or use fewer aliases"));
        }
        Ok(())
    }

    fn refuse_tag(&mut self, is_tagged: bool, range: &Range<usize>) {
        if is_tagged && self.found.len() < FOUND_MAX {
            let message = "a tag like `!name` has no meaning here".into();
            let diagnostic = *self.fatal(range.clone(), message, "remove the tag; quote a value that begins with `!`");
            self.found.push(diagnostic);
        }
    }

    /// The parser's marks to bytes of the whole text.
    fn offset(&self, mark: Marker) -> usize {
        self.offsets.get(mark.index()).copied().unwrap_or(self.source.text().len())
    }

    fn fatal(&self, range: Range<usize>, message: String, help: &str) -> Fatal {
        Box::new(Diagnostic::error("U0101", message).at(self.source, self.source.span(range)).help(help))
    }

    fn syntax_error(&self, error: &ScanError) -> Fatal {
        let advice = yaml_advice::about(self.source.text(), self.offset(*error.marker()), error.info());
        let message = format!("this is not valid YAML: {}", advice.message);
        let span = self.source.span(advice.range);
        Box::new(Diagnostic::error("U0101", message).at(self.source, span).label("here").help(advice.help))
    }
}

/// `a.b` of `a` and `b`.
pub(crate) fn join(path: &str, key: &str) -> Arc<str> {
    if path.is_empty() { key.into() } else { format!("{path}.{key}").into() }
}

fn duplicate_key(source: &Arc<SourceText>, path: &str, key: &Key, first: &Span) -> Diagnostic {
    let message = format!(
        "field `{}` is given twice, on line {} and on line {}",
        join(path, &key.text),
        first.line,
        key.span.line
    );
    Diagnostic::error("U0112", message)
        .at(source, key.span)
        .label(format!("the first is at {}:{}", first.line, first.column))
        .help("keep one of them")
}

fn is_nothing(node: &Node) -> bool {
    matches!(&node.value, Value::Scalar(s) if s.meaning() == super::scalar::Meaning::Nothing)
}

/// Nodes and bytes of text and paths in a tree.
fn weight(node: &Node) -> (usize, usize) {
    let add = |(n, b): (usize, usize), (m, c): (usize, usize)| (n + m, b + c);
    let own = (1, node.path.len());
    match &node.value {
        Value::Scalar(scalar) => add(own, (0, scalar.text.len())),
        Value::Sequence(items) => items.iter().map(weight).fold(own, add),
        Value::Mapping(entries) => {
            entries.iter().map(|(key, value)| add((0, key.text.len()), weight(value))).fold(own, add)
        }
    }
}

/// Gives a copied tree the paths of the place that it was copied to.
pub(super) fn rename(node: &mut Node, path: Arc<str>) {
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::Sequence(items) => {
            items.iter_mut().enumerate().for_each(|(i, item)| rename(item, format!("{path}[{i}]").into()));
        }
        Value::Mapping(entries) => entries.iter_mut().for_each(|(key, value)| rename(value, join(&path, &key.text))),
    }
    node.path = path;
}

/// `c-printable` of YAML 1.2.2, section 5.1, without the byte order mark, which may only begin a file.
fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}')
        || matches!(c, '\u{ff00}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}
