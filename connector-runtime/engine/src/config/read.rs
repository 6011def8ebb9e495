//! A configuration type out of a tree: first everything that the schema can find wrong, then serde.

use super::check::check;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::mended::{Mended, ROUNDS_MAX};
use super::problem::to_diagnostic;
use super::scalar::Meaning;
use super::source_text::{SourceText, Span};
use super::yaml::{self, BYTES_MAX, Key, Node, Value};
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use unbatch_api::Problem;

/// Reads a file of one YAML document.
pub fn parse_file(path: &Path) -> Result<(Arc<SourceText>, Node), Diagnostics> {
    let source = read_file(path)?;
    let parsed = yaml::parse(&source);
    match parsed.node {
        Some(node) if parsed.found.is_empty() => Ok((source, node)),
        _ => Err(parsed.found.into()),
    }
}

/// A value of `T` from a file of one YAML document, with its tree; or everything that is wrong with the file, what `problems`
/// says of the value included.
pub fn read_document<T: DeserializeOwned + JsonSchema>(
    path: &Path,
    problems: impl Fn(&T) -> Vec<Problem>,
) -> Result<(T, Node), Diagnostics> {
    let source = read_file(path)?;
    let parsed = yaml::parse(&source);
    let mut found = Diagnostics::from(parsed.found);
    let Some(root) = parsed.node else { return Err(found) };
    found.extend(check(&source, &root, generator().into_root_schema_for::<T>().as_value()));
    let mut mended = Mended::of(&root);
    let mut is_left = mended.without(found.iter());
    for _ in 0..ROUNDS_MAX {
        match deserialize::<T>(&source, &mended.node) {
            _ if !is_left => break,
            Ok(value) => {
                let told = problems(&value).into_iter().filter(|problem| mended.can_tell(problem));
                found.extend(told.map(|problem| to_diagnostic(&problem, &source, &mended.node)));
                return if found.has_errors() { Err(found) } else { Ok((value, root)) };
            }
            Err(leftover) => {
                let is_new = mended.can_tell_at(&leftover);
                is_left = mended.without([&*leftover]);
                found.extend(is_new.then_some(*leftover));
            }
        }
    }
    Err(found)
}

/// A value of `T` from a node, or everything that is wrong with it.
pub fn read<T: DeserializeOwned + JsonSchema>(source: &Arc<SourceText>, node: &Node) -> Result<T, Diagnostics> {
    let schema = generator().into_root_schema_for::<T>();
    let found = check(source, node, schema.as_value());
    if found.is_empty() { deserialize(source, node).map_err(|d| Diagnostics::from(*d)) } else { Err(found.into()) }
}

/// JSON Schema of a configuration type, for editors.
pub fn schema_of<T: JsonSchema>() -> serde_json::Value {
    generator().into_root_schema_for::<T>().to_value()
}

/// Schemas as editors and the checker read them.
pub(crate) fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    settings.with_transform(RecursiveTransform(join_lines)).into_generator()
}

/// Doc comments are broken where the source file's lines end; editors would break them there too.
fn join_lines(schema: &mut Schema) {
    if let Some(serde_json::Value::String(text)) = schema.get_mut("description") {
        *text = one_line(text);
    }
}

/// Paragraphs stay apart.
pub(crate) fn one_line(text: &str) -> String {
    text.split("\n\n").map(|p| p.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("\n\n")
}

/// The text of a file, bounded.
pub(crate) fn read_file(path: &Path) -> Result<Arc<SourceText>, Diagnostics> {
    let unreadable =
        |message: String, help: &str| Diagnostics::from(Diagnostic::error("U0100", message).in_file(path).help(help));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => unreadable("there is no such file".into(), "check the path"),
        _ => unreadable(format!("the file cannot be read: {e}"), "check that this user may read it"),
    })?;
    file.take(BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| unreadable(format!("the file cannot be read: {e}"), "check that it is a file and may be read"))?;
    if bytes.len() > BYTES_MAX {
        return Err(unreadable(
            format!("the file is larger than {BYTES_MAX} bytes"),
            "split it; it is no pipeline file",
        ));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Arc::new(SourceText::new(path, text))),
        Err(e) => {
            let line = e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
            let message = format!("the file is not UTF-8 (line {line})");
            Err(unreadable(message, "save it as UTF-8; data files may have any encoding, configuration may not"))
        }
    }
}

/// Serde's part alone, for a node that was checked.
pub(crate) fn deserialize<T: DeserializeOwned>(source: &Arc<SourceText>, node: &Node) -> Result<T, Box<Diagnostic>> {
    T::deserialize(NodeReader(node)).map_err(|error| {
        let span = error.span.unwrap_or(node.head);
        let place = match error.path.as_deref() {
            None | Some("") => "the file".to_owned(),
            Some(path) => format!("`{path}`"),
        };
        // Serde repeats the value that it could not take.
        let message = match source.is_concealed(&span.range()) {
            true => format!("{place} is not accepted"),
            false => format!("{place}: {}", error.message),
        };
        Box::new(
            Diagnostic::error("U0113", message)
                .at(source, span)
                .label("not accepted")
                .help("`unbatch connectors NAME` shows what can be written here"),
        )
    })
}

/// What serde said, and the deepest node that it had reached.
#[derive(Debug)]
struct ReadError {
    message: String,
    span: Option<Span>,
    path: Option<Arc<str>>,
}

impl ReadError {
    fn new(message: impl Into<String>) -> Self {
        ReadError { message: message.into(), span: None, path: None }
    }
    fn at(mut self, node: &Node) -> Self {
        if self.span.is_none() {
            self.span = Some(if matches!(node.value, Value::Scalar(_)) { node.span } else { node.head });
            self.path = Some(node.path.clone());
        }
        self
    }
    fn at_key(mut self, key: &Key, mapping: &Node) -> Self {
        if self.span.is_none() {
            self.span = Some(key.span);
            self.path = Some(mapping.path.clone());
        }
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for ReadError {}
impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        ReadError::new(message.to_string())
    }
}

/// Serde's view of a node.
#[derive(Clone, Copy)]
struct NodeReader<'de>(&'de Node);

impl<'de> NodeReader<'de> {
    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.value {
            Value::Sequence(items) => visitor.visit_seq(Items(items.iter())),
            Value::Mapping(entries) => {
                visitor.visit_map(Entries { mapping: self.0, entries: entries.iter(), value: None })
            }
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Nothing => visitor.visit_unit(),
                Meaning::Boolean(b) => visitor.visit_bool(b),
                Meaning::Float(n) => visitor.visit_f64(n),
                Meaning::Text(text) => visitor.visit_borrowed_str(text),
                Meaning::Integer(n) => match (u64::try_from(n), i64::try_from(n)) {
                    (Ok(n), _) => visitor.visit_u64(n),
                    (_, Ok(n)) => visitor.visit_i64(n),
                    _ => visitor.visit_i128(n),
                },
            },
        }
    }

    fn is_nothing(self) -> bool {
        matches!(&self.0.value, Value::Scalar(s) if s.meaning() == Meaning::Nothing)
    }

    fn variant<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.value {
            Value::Scalar(scalar) => {
                visitor.visit_enum(IntoDeserializer::<ReadError>::into_deserializer(&*scalar.text))
            }
            _ => match self.0.only_entry() {
                Some((key, content)) => visitor.visit_enum(Variant { mapping: self.0, key, content }),
                None => Err(ReadError::new("must be a word, or a mapping with exactly one key")),
            },
        }
    }
}

impl<'de> de::Deserializer<'de> for NodeReader<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.visit(visitor).map_err(|e| e.at(self.0))
    }
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.value {
            Value::Scalar(scalar) if !matches!(scalar.meaning(), Meaning::Text(_)) => {
                let message = format!("must be text, but is {}; put it in quotes", scalar.meaning().word());
                Err(ReadError::new(message).at(self.0))
            }
            _ => self.deserialize_any(visitor),
        }
    }
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.is_nothing() { visitor.visit_none() } else { visitor.visit_some(self) }
            .map_err(|e: ReadError| e.at(self.0))
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self).map_err(|e: ReadError| e.at(self.0))
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.variant(visitor).map_err(|e| e.at(self.0))
    }
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 bytes byte_buf unit unit_struct seq tuple tuple_struct
        map struct identifier
    }
}

struct Items<'de>(std::slice::Iter<'de, Node>);

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = ReadError;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        self.0.next().map(|node| seed.deserialize(NodeReader(node)).map_err(|e| e.at(node))).transpose()
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries<'de> {
    mapping: &'de Node,
    entries: std::slice::Iter<'de, (Key, Node)>,
    value: Option<&'de Node>,
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = ReadError;
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(value);
        let reader = de::value::BorrowedStrDeserializer::<ReadError>::new(&key.text);
        seed.deserialize(reader).map(Some).map_err(|e| e.at_key(key, self.mapping))
    }
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReadError> {
        let Some(node) = self.value.take() else { return Err(ReadError::new("a value was asked for before its key")) };
        seed.deserialize(NodeReader(node)).map_err(|e| e.at(node))
    }
}

struct Variant<'de> {
    mapping: &'de Node,
    key: &'de Key,
    content: &'de Node,
}

impl<'de> de::EnumAccess<'de> for Variant<'de> {
    type Error = ReadError;
    type Variant = Self;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), ReadError> {
        let reader = de::value::BorrowedStrDeserializer::<ReadError>::new(&self.key.text);
        let variant = seed.deserialize(reader).map_err(|e| e.at_key(self.key, self.mapping))?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'de> {
    type Error = ReadError;
    fn unit_variant(self) -> Result<(), ReadError> {
        if NodeReader(self.content).is_nothing() {
            return Ok(());
        }
        Err(de::Error::invalid_type(Unexpected::NewtypeVariant, &"a word without settings"))
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(NodeReader(self.content)).map_err(|e| e.at(self.content))
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        de::Deserializer::deserialize_any(NodeReader(self.content), visitor)
    }
    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, ReadError> {
        de::Deserializer::deserialize_any(NodeReader(self.content), visitor)
    }
}
