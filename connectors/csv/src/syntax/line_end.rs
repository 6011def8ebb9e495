//! What ends a line.

use crate::config::Dialect;
use memchr::{memchr2, memmem};

/// What ends a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// LF, CRLF or CR.
    Any,
    Exactly(Vec<u8>),
}

/// Whether a text stands somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// So many bytes of it.
    Yes(usize),
    No,
    /// The buffer ends too early to tell.
    Unsure,
}

/// Whether `text` stands at `at`; `at_end`: nothing comes behind `data`.
#[inline]
pub fn stands(text: &[u8], data: &[u8], at: usize, at_end: bool) -> Stands {
    let rest = data.get(at..).unwrap_or_default();
    if rest.starts_with(text) {
        return Stands::Yes(text.len());
    }
    if !at_end && text.starts_with(rest) { Stands::Unsure } else { Stands::No }
}

impl LineEnd {
    pub fn of(dialect: &Dialect) -> Self {
        match dialect.terminator.as_str() {
            "any" | "none" => LineEnd::Any,
            text => LineEnd::Exactly(text.as_bytes().to_vec()),
        }
    }

    /// Whether a line ends at `at`.
    #[inline]
    pub fn stands(&self, data: &[u8], at: usize, at_end: bool) -> Stands {
        match self {
            LineEnd::Exactly(text) => stands(text, data, at, at_end),
            LineEnd::Any => match (data.get(at), data.get(at + 1)) {
                (Some(b'\n'), _) => Stands::Yes(1),
                (Some(b'\r'), Some(b'\n')) => Stands::Yes(2),
                // the LF that belongs to it may come with the next piece
                (Some(b'\r'), None) if !at_end => Stands::Unsure,
                (Some(b'\r'), _) => Stands::Yes(1),
                _ => Stands::No,
            },
        }
    }

    /// Where the line of `from` ends and where the next one begins. `None`: its end is not in sight. The last line may do without.
    pub fn find(&self, data: &[u8], from: usize, at_end: bool) -> Option<(usize, usize)> {
        let rest = data.get(from..).unwrap_or_default();
        let found = match self {
            LineEnd::Any => memchr2(b'\n', b'\r', rest),
            LineEnd::Exactly(text) => memmem::find(rest, text),
        };
        match found.map(|at| (from + at, self.stands(data, from + at, at_end))) {
            Some((at, Stands::Yes(len))) => Some((at, at + len)),
            Some(_) => None,
            None => at_end.then_some((data.len(), data.len())),
        }
    }

    /// Bytes that such an end may begin with.
    pub fn first_bytes(&self) -> &[u8] {
        match self {
            LineEnd::Any => b"\r\n",
            LineEnd::Exactly(text) => text.get(..1).unwrap_or_default(),
        }
    }

    /// For lines that are written anew.
    pub fn text(&self) -> &[u8] {
        match self {
            LineEnd::Any => b"\n",
            LineEnd::Exactly(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_found_and_half_ends_wait() {
        let any = LineEnd::Any;
        assert_eq!(any.find(b"ab\r\nc", 0, false), Some((2, 4)));
        assert_eq!(any.find(b"ab\r", 0, false), None);
        assert_eq!(any.find(b"ab\r", 0, true), Some((2, 3)));
        assert_eq!(any.find(b"ab", 0, true), Some((2, 2)));
        let own = LineEnd::Exactly(b"|\n".to_vec());
        assert_eq!(own.find(b"a|b|\nc", 0, false), Some((3, 5)));
        assert_eq!(own.stands(b"a|", 1, false), Stands::Unsure);
        assert_eq!(own.stands(b"a|", 1, true), Stands::No);
    }
}
