//! An I/O error with what was attempted; the cause stays its source.

use std::error::Error;
use std::fmt;
use std::io;

#[derive(Debug)]
struct Attempt {
    what: String,
    cause: io::Error,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Attempt {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

/// For `map_err`: an error of the same kind that says what was attempted.
pub(crate) fn attempt(what: impl Into<String>) -> impl FnOnce(io::Error) -> io::Error {
    move |cause| io::Error::new(cause.kind(), Attempt { what: what.into(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_and_cause_are_kept() {
        let cause = io::Error::new(io::ErrorKind::NotFound, "no such file");
        let error = attempt("open the log")(cause);
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::NotFound, "open the log"));
        let inner = error.get_ref().and_then(|e| e.source()).map(ToString::to_string);
        assert_eq!(inner.as_deref(), Some("no such file"));
    }
}
