//! Messages about configuration: what is wrong, where, and what to do.

use super::mended::Meant;
use super::render;
pub use super::render::Style;
use super::source_text::{SourceText, Span};
use serde::Serialize;
use serde::ser::SerializeStruct;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unbatch_api::Severity;

/// Errors reported of one file by each of its readers; a file with more is hopeless.
pub(super) const FOUND_MAX: usize = 500;

/// One thing wrong in a configuration file.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Documented in [`super::CODES`] or by a connector; `unbatch explain` knows it.
    pub code: &'static str,
    /// Lowercase, no full stop, never a secret.
    pub message: String,
    pub file: PathBuf,
    /// `None`: the file as a whole.
    pub span: Option<Span>,
    /// Stands under the marked place in the snippet.
    pub label: Option<String>,
    /// The remedy.
    pub help: String,
    /// What the snippet is cut from; absent when the file could not be read.
    pub text: Option<Arc<SourceText>>,
    /// So that what else is wrong nearby can be looked for; never shown.
    pub(super) meant: Option<Meant>,
}

impl Diagnostic {
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }
    pub fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic {
            severity,
            code,
            message: message.into(),
            file: PathBuf::new(),
            span: None,
            label: None,
            help: String::new(),
            text: None,
            meant: None,
        }
    }
    /// Where it is, in a file that was read.
    pub fn at(mut self, text: &Arc<SourceText>, span: Span) -> Self {
        self.file = text.path().to_owned();
        self.text = Some(text.clone());
        self.span = Some(span);
        self
    }
    /// About a file as a whole.
    pub fn in_file(mut self, file: &Path) -> Self {
        self.file = file.to_owned();
        self
    }
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    pub(super) fn meant(mut self, meant: Option<Meant>) -> Self {
        self.meant = meant;
        self
    }

    fn order(&self) -> (&Path, usize, &str, &str) {
        (&self.file, self.span.map_or(0, |s| s.offset), self.code, &self.message)
    }
}

/// `{severity, code, message, file, line, column, offset, length, label, help}`; the place is null for a whole file.
impl Serialize for Diagnostic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Diagnostic", 10)?;
        out.serialize_field("severity", &self.severity)?;
        out.serialize_field("code", self.code)?;
        out.serialize_field("message", &self.message)?;
        out.serialize_field("file", &self.file.to_string_lossy())?;
        out.serialize_field("line", &self.span.map(|s| s.line))?;
        out.serialize_field("column", &self.span.map(|s| s.column))?;
        out.serialize_field("offset", &self.span.map(|s| s.offset))?;
        out.serialize_field("length", &self.span.map(|s| s.length))?;
        out.serialize_field("label", &self.label)?;
        out.serialize_field("help", &self.help)?;
        out.end()
    }
}

/// Several messages, in the order of files and places, each once.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let at = self.0.partition_point(|d| d.order() < diagnostic.order());
        if self.0.get(at).is_none_or(|d| d.order() != diagnostic.order()) {
            self.0.insert(at, diagnostic);
        }
    }
    pub fn extend(&mut self, more: impl IntoIterator<Item = Diagnostic>) {
        more.into_iter().for_each(|d| self.push(d));
    }
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|d| d.severity == Severity::Error).count()
    }
    pub fn warnings(&self) -> usize {
        self.len() - self.errors()
    }
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }
    pub fn len(&self) -> usize {
        self.0.len()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Every message with its snippet, an empty line between them, a line break at the end.
    pub fn render(&self, style: Style) -> String {
        let each: Vec<String> = self.0.iter().map(|d| render::one(d, style)).collect();
        each.join("\n")
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Vec<Diagnostic>> for Diagnostics {
    fn from(list: Vec<Diagnostic>) -> Self {
        let mut all = Diagnostics::default();
        all.extend(list);
        all
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(one: Diagnostic) -> Self {
        Diagnostics(vec![one])
    }
}

impl Serialize for Diagnostics {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

/// One line each, without snippets, as a log shows them.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, d) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{}", d.file.display())?;
            if let Some(span) = d.span {
                write!(f, ":{}:{}", span.line, span.column)?;
            }
            write!(f, ": {} {}", d.code, d.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
