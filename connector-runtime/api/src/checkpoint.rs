//! The checkpoint algebra: where each part of a split stands, and the steps by which it may move.
//!
//! A [`Checkpoint`] says what is committed. An [`Advance`] is a step from one checkpoint to the next; each [`Span`] in it names
//! the position it starts after, so that applying it is a compare-and-set: a stale writer conflicts instead of doubling
//! rows. The laws, held by property tests: `apply(a.then(b)) = apply(a); apply(b)` whenever `then` succeeds, and a
//! conflict leaves both sides untouched.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Notes larger than this are refused: what is larger belongs into an immutable file that a note names.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Notes under this prefix are the engine's; a source never writes one.
pub const ENGINE_NOTES: &str = "engine/";

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            pub fn new(text: impl Into<Box<str>>) -> Self {
                Self(text.into())
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }
    };
}

text_newtype! {
    /// One ordered sequence inside a split: `wal`, `file/<id>`, `orders-7`. The name is the connector's own.
    Part
}
text_newtype! {
    /// Where a part stands. Text whose byte order is the order of the rows within its part (zero-pad numbers), so that the
    /// engine can compare what it cannot interpret, and a person can read and reset it.
    Position
}
text_newtype! {
    /// Names a piece of small state that a source keeps with its position.
    NoteKey
}

/// The rows after `after`, up to and including `through`; `after: None` means that the part begins here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub after: Option<Position>,
    pub through: Position,
}

/// What is committed: a position for each part that is open, and the source's notes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    pub parts: BTreeMap<Part, Position>,
    pub notes: BTreeMap<NoteKey, Bytes>,
}

/// A step from one checkpoint to a later one. Closing a part forgets its position: nothing more will come from it.
/// A note of `None` is removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advance {
    pub spans: BTreeMap<Part, Span>,
    pub closed: BTreeSet<Part>,
    pub notes: BTreeMap<NoteKey, Option<Bytes>>,
}

/// Two steps that do not fit together; somebody read from another place than was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The span does not start where the part stands.
    Gap {
        part: Part,
        stands: Option<Position>,
        after: Option<Position>,
    },
    /// The span ends before it starts.
    Backwards {
        part: Part,
        after: Position,
        through: Position,
    },
    /// A part is closed that is not open.
    NotOpen {
        part: Part,
    },
    /// A part that this step closed is used again; it needs a name of its own or an epoch of its own.
    Reopened {
        part: Part,
    },
    NoteTooLarge {
        note: NoteKey,
        bytes: usize,
    },
}

impl Checkpoint {
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.notes.is_empty()
    }
    pub fn position(&self, part: &Part) -> Option<&Position> {
        self.parts.get(part)
    }
    pub fn note(&self, key: &NoteKey) -> Option<&Bytes> {
        self.notes.get(key)
    }

    /// Moves on by `advance`, or leaves everything as it was.
    pub fn apply(&mut self, advance: &Advance) -> Result<(), Conflict> {
        for (part, span) in &advance.spans {
            check_span(part, span)?;
            if self.parts.get(part) != span.after.as_ref() {
                return Err(gap(part, self.parts.get(part), span));
            }
        }
        for part in &advance.closed {
            if !self.parts.contains_key(part) && !advance.spans.contains_key(part) {
                return Err(Conflict::NotOpen { part: part.clone() });
            }
        }
        check_notes(&advance.notes)?;
        for (part, span) in &advance.spans {
            self.parts.insert(part.clone(), span.through.clone());
        }
        for part in &advance.closed {
            self.parts.remove(part);
        }
        for (key, note) in &advance.notes {
            match note {
                Some(bytes) => self.notes.insert(key.clone(), bytes.clone()),
                None => self.notes.remove(key),
            };
        }
        Ok(())
    }
}

impl Advance {
    /// One part moved on.
    pub fn of(part: Part, after: Option<Position>, through: Position) -> Self {
        Self { spans: BTreeMap::from([(part, Span { after, through })]), ..Self::default() }
    }
    pub fn close(mut self, part: Part) -> Self {
        self.closed.insert(part);
        self
    }
    pub fn note(mut self, key: NoteKey, value: Option<Bytes>) -> Self {
        self.notes.insert(key, value);
        self
    }
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.closed.is_empty() && self.notes.is_empty()
    }

    /// Appends `next`, so that applying the result equals applying one after the other; or leaves this one as it was.
    pub fn then(&mut self, next: Advance) -> Result<(), Conflict> {
        for (part, span) in &next.spans {
            check_span(part, span)?;
            if self.closed.contains(part) {
                return Err(Conflict::Reopened { part: part.clone() });
            }
            if let Some(mine) = self.spans.get(part)
                && span.after.as_ref() != Some(&mine.through)
            {
                return Err(gap(part, Some(&mine.through), span));
            }
        }
        for part in &next.closed {
            if self.closed.contains(part) {
                return Err(Conflict::NotOpen { part: part.clone() });
            }
        }
        check_notes(&next.notes)?;
        for (part, span) in next.spans {
            match self.spans.get_mut(&part) {
                Some(mine) => mine.through = span.through,
                None => {
                    self.spans.insert(part, span);
                }
            }
        }
        self.closed.extend(next.closed);
        self.notes.extend(next.notes);
        Ok(())
    }
}

fn check_span(part: &Part, span: &Span) -> Result<(), Conflict> {
    match &span.after {
        Some(after) if *after > span.through => {
            Err(Conflict::Backwards { part: part.clone(), after: after.clone(), through: span.through.clone() })
        }
        _ => Ok(()),
    }
}

fn check_notes(notes: &BTreeMap<NoteKey, Option<Bytes>>) -> Result<(), Conflict> {
    match notes.iter().find(|(_, v)| v.as_ref().is_some_and(|b| b.len() > NOTE_BYTES_MAX)) {
        Some((key, value)) => {
            Err(Conflict::NoteTooLarge { note: key.clone(), bytes: value.as_ref().map_or(0, Bytes::len) })
        }
        None => Ok(()),
    }
}

fn gap(part: &Part, stands: Option<&Position>, span: &Span) -> Conflict {
    Conflict::Gap { part: part.clone(), stands: stands.cloned(), after: span.after.clone() }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |p: &Option<Position>| p.as_ref().map_or("its beginning".into(), |p| format!("`{p}`"));
        match self {
            Conflict::Gap { part, stands, after } => {
                write!(f, "part `{part}` stands at {}, the step starts after {}", at(stands), at(after))
            }
            Conflict::Backwards { part, after, through } => {
                write!(f, "part `{part}` would go back from `{after}` to `{through}`")
            }
            Conflict::NotOpen { part } => write!(f, "part `{part}` is closed but was not open"),
            Conflict::Reopened { part } => write!(f, "part `{part}` was closed in the same epoch"),
            Conflict::NoteTooLarge { note, bytes } => {
                write!(f, "note `{note}` has {bytes} bytes, more than {NOTE_BYTES_MAX}")
            }
        }
    }
}

impl std::error::Error for Conflict {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position(n: u8) -> Position {
        Position::from(format!("{n:03}"))
    }
    fn step() -> impl Strategy<Value = Advance> {
        let span = (0..3u8, proptest::option::of(0..4u8), 0..4u8);
        let note = (0..2u8, proptest::option::of(0..3u8));
        (
            proptest::collection::vec(span, 0..3),
            proptest::collection::vec(0..3u8, 0..2),
            proptest::collection::vec(note, 0..2),
        )
            .prop_map(|(spans, closed, notes)| Advance {
                spans: spans
                    .into_iter()
                    .map(|(p, a, t)| {
                        (Part::from(format!("p{p}")), Span { after: a.map(position), through: position(t) })
                    })
                    .collect(),
                closed: closed.into_iter().map(|p| Part::from(format!("p{p}"))).collect(),
                notes: notes
                    .into_iter()
                    .map(|(k, v)| (NoteKey::from(format!("n{k}")), v.map(|v| Bytes::from(vec![v]))))
                    .collect(),
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn then_equals_one_after_the_other(first in step(), second in step(), start in step()) {
            let mut base = Checkpoint::default();
            let _ = base.apply(&start);
            let mut chained = first.clone();
            if chained.then(second.clone()).is_ok() {
                let mut at_once = base.clone();
                let mut in_turn = base.clone();
                let turns = in_turn.apply(&first).and_then(|()| in_turn.apply(&second));
                if turns.is_ok() {
                    prop_assert_eq!(at_once.apply(&chained), Ok(()));
                    prop_assert_eq!(at_once, in_turn);
                }
            } else {
                prop_assert_eq!(chained, first);
            }
        }

        #[test]
        fn a_conflict_leaves_the_checkpoint_untouched(start in step(), next in step()) {
            let mut checkpoint = Checkpoint::default();
            let _ = checkpoint.apply(&start);
            let before = checkpoint.clone();
            if checkpoint.apply(&next).is_err() {
                prop_assert_eq!(checkpoint, before);
            }
        }

        #[test]
        fn the_same_rows_cannot_be_committed_twice(part in "[a-z]{1,3}", at in 0..200u8) {
            let once = Advance::of(Part::from(part), None, position(at));
            let mut checkpoint = Checkpoint::default();
            prop_assert_eq!(checkpoint.apply(&once), Ok(()));
            prop_assert!(checkpoint.apply(&once).is_err());
        }
    }

    #[test]
    fn closing_forgets_the_position_and_the_part_can_begin_again_in_a_later_epoch() {
        let part = Part::from("file/1");
        let mut checkpoint = Checkpoint::default();
        checkpoint.apply(&Advance::of(part.clone(), None, position(5))).unwrap();
        let end = Advance::of(part.clone(), Some(position(5)), position(9)).close(part.clone());
        checkpoint.apply(&end).unwrap();
        assert!(checkpoint.is_empty());
        checkpoint.apply(&Advance::of(part, None, position(1))).unwrap();
    }

    #[test]
    fn a_note_over_the_limit_is_refused_by_name() {
        let big = Bytes::from(vec![0; NOTE_BYTES_MAX + 1]);
        let step = Advance::default().note("ledger/00".into(), Some(big));
        let conflict = Checkpoint::default().apply(&step).unwrap_err();
        assert!(conflict.to_string().contains("ledger/00"), "{conflict}");
    }
}
