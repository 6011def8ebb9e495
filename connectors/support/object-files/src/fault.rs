//! What can be wrong with a file.

use std::fmt;
use unbatch_api::Error;

/// Why the content of a file cannot be read on. Reading it again does not help; another file is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A word with an entry in [`crate::CODES`].
    pub code: &'static str,
    /// What is wrong, lowercase, without a full stop and without content of the file.
    pub message: String,
    /// How far the raw file was used when it was found, in bytes.
    pub raw_offset: u64,
}

/// Why there is no more text.
#[derive(Debug)]
pub enum TextError {
    /// The content is bad. All text before the place was handed out.
    Bad(Fault),
    /// Reading failed, or the file is not the one that was opened any more ([`crate::is_changed`]).
    Failed(Error),
}

/// A fault whose place is not known yet.
pub(crate) fn bad(code: &'static str, message: impl Into<String>) -> Fault {
    Fault { code, message: message.into(), raw_offset: 0 }
}

impl Fault {
    pub(crate) fn at(self, raw_offset: u64) -> TextError {
        TextError::Bad(Fault { raw_offset, ..self })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {} of the file)", self.message, self.raw_offset)
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextError::Bad(fault) => fault.fmt(f),
            TextError::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TextError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TextError::Bad(_) => None,
            TextError::Failed(error) => error.source(),
        }
    }
}

impl From<Error> for TextError {
    fn from(error: Error) -> Self {
        TextError::Failed(error)
    }
}

impl TextError {
    /// The error that [`std::io::Read`] of a [`crate::TextReader`] wrapped, if it is one.
    pub fn from_io(error: std::io::Error) -> Result<Self, std::io::Error> {
        error.downcast::<TextError>()
    }
}
