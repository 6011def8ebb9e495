//! One error type, six kinds, and for each kind exactly one thing that the supervisor does.

use std::error::Error as StdError;
use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A code, its title, what it means, and how to mend it, for `unbatch explain`.
pub type CodeEntry = (&'static str, &'static str, &'static str, &'static str);

/// What the supervisor does about an error; nothing else about it is ever inspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Drop both ends, wait (capped back-off, without end, visible in status), open again.
    Transient,
    /// Too many rows went to quarantine, or a row cannot be set aside: stop, say why.
    Rejected,
    /// Stop and say how to mend the configuration or the system it names.
    Misconfigured,
    /// A newer owner of the split exists: leave it alone.
    Fenced,
    /// Continuity with the source or with our own state cannot be proven: stop, say the remedies, never skip.
    Lost,
    /// A promise of the contract was broken: stop loudly.
    Bug,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Transient => "transient",
            Kind::Rejected => "rejected",
            Kind::Misconfigured => "misconfigured",
            Kind::Fenced => "fenced",
            Kind::Lost => "lost",
            Kind::Bug => "bug",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was attempted, where, what to do about it, and what caused it. Never holds a secret or a cell value.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    code: Option<&'static str>,
    message: String,
    context: Vec<(&'static str, String)>,
    help: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// `attempted`: lowercase, no full stop, says what was attempted: `connecting to the broker failed`.
    pub fn new(kind: Kind, attempted: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            code: None,
            message: attempted.into(),
            context: Vec::new(),
            help: None,
            source: None,
        }))
    }
    pub fn transient(attempted: impl Into<String>) -> Self {
        Self::new(Kind::Transient, attempted)
    }
    pub fn rejected(attempted: impl Into<String>) -> Self {
        Self::new(Kind::Rejected, attempted)
    }
    pub fn misconfigured(attempted: impl Into<String>) -> Self {
        Self::new(Kind::Misconfigured, attempted)
    }
    pub fn fenced(attempted: impl Into<String>) -> Self {
        Self::new(Kind::Fenced, attempted)
    }
    pub fn lost(attempted: impl Into<String>) -> Self {
        Self::new(Kind::Lost, attempted)
    }
    pub fn bug(attempted: impl Into<String>) -> Self {
        Self::new(Kind::Bug, attempted)
    }

    /// The documented code, such as `U0310`; `unbatch explain` knows each.
    pub fn code(mut self, code: &'static str) -> Self {
        self.0.code = Some(code);
        self
    }
    /// A fact about the place: a topic, a file, a line. Not a cell value.
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((name, value.to_string()));
        self
    }
    /// What a person can do about it, in one or two sentences.
    pub fn help(mut self, remedy: impl Into<String>) -> Self {
        self.0.help = Some(remedy.into());
        self
    }
    pub fn caused_by(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(cause.into());
        self
    }

    pub fn kind(&self) -> Kind {
        self.0.kind
    }
    pub fn code_text(&self) -> Option<&'static str> {
        self.0.code
    }
    pub fn message(&self) -> &str {
        &self.0.message
    }
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }
    pub fn remedy(&self) -> Option<&str> {
        self.0.help.as_deref()
    }
    /// Message, place and causes on one line, as logs and status show it.
    pub fn one_line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(c) = cause {
            line.push_str(": ");
            line.push_str(&c.to_string());
            cause = c.source();
        }
        line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if !self.0.context.is_empty() {
            let facts: Vec<String> = self.0.context.iter().map(|(n, v)| format!("{n} {v}")).collect();
            write!(f, " ({})", facts.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind, self.one_line())?;
        match &self.0.help {
            Some(h) => write!(f, " [{h}]"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}

impl From<crate::checkpoint::Conflict> for Error {
    fn from(conflict: crate::checkpoint::Conflict) -> Self {
        Error::bug("advancing the checkpoint failed").code("U0901").caused_by(conflict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_names_attempt_place_and_causes_in_order() {
        let e = Error::transient("opening the file failed")
            .with("file", "a.csv")
            .caused_by(std::io::Error::other("disk on fire"))
            .help("put it out");
        assert_eq!(e.one_line(), "opening the file failed (file a.csv): disk on fire");
        assert_eq!(e.kind(), Kind::Transient);
        assert_eq!(e.remedy(), Some("put it out"));
    }
}
