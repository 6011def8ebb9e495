//! When a file is released: one releaser of a split at a time, and again after a failure, but not at once.

use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use unbatch_api::Error;

/// Pause after the first failure; it doubles with each one.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Failing files that are remembered; when there are more, all are tried at once again.
const RETRIES_MAX: usize = 10_000;

type Turn = Mutex<()>;

/// The turn of whoever releases files of this split in this folder, in this process. A release that was abandoned at a time limit
/// still runs, and the source that was opened after it must not work on the same files.
pub fn turn_of(folder: &str, who: &str) -> Arc<Turn> {
    static TURNS: Mutex<BTreeMap<(String, String), Weak<Turn>>> = Mutex::new(BTreeMap::new());
    let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    turns.retain(|_, turn| turn.strong_count() > 0);
    let key = (folder.to_owned(), who.to_owned());
    if let Some(turn) = turns.get(&key).and_then(Weak::upgrade) {
        return turn;
    }
    let turn = Arc::default();
    turns.insert(key, Arc::downgrade(&turn));
    turn
}

/// What failed is not tried again at once: a copy into a full archive is as much work as one into an empty one.
#[derive(Debug, Default)]
pub struct Retries {
    files: HashMap<String, Retry>,
    /// The archive has no room, for no file.
    full: Option<Retry>,
}

#[derive(Clone, Copy, Debug)]
struct Retry {
    failures: u32,
    until: Instant,
}

impl Retry {
    fn after(before: Option<&Retry>, now: Instant) -> Self {
        let failures = before.map_or(0, |b| b.failures);
        let pause = RETRY_FIRST.saturating_mul(1 << failures.min(10)).min(RETRY_MAX);
        Self { failures: failures + 1, until: now + pause }
    }
}

impl Retries {
    /// Whether nothing need be tried now, since there is no room.
    pub fn is_full(&self, now: Instant) -> bool {
        self.full.is_some_and(|retry| now < retry.until)
    }
    pub fn may(&self, name: &str, now: Instant) -> bool {
        self.files.get(name).is_none_or(|retry| retry.until <= now)
    }
    pub fn is_any(&self) -> bool {
        self.full.is_some() || !self.files.is_empty()
    }
    pub fn succeeded(&mut self, name: &str) {
        self.files.remove(name);
    }
    /// True when the others need not be tried either.
    pub fn failed(&mut self, name: &str, error: &Error, now: Instant) -> bool {
        if is_no_room(error) {
            self.full = Some(Retry::after(self.full.as_ref(), now));
            return true;
        }
        if self.files.len() >= RETRIES_MAX {
            self.files.clear();
        }
        let retry = Retry::after(self.files.get(name), now);
        self.files.insert(name.to_owned(), retry);
        false
    }
    /// After a round in which all that were due were tried: those that were not seen are gone.
    pub fn end_round(&mut self, now: Instant) {
        self.files.retain(|_, retry| now < retry.until);
        self.full = self.full.filter(|retry| now < retry.until);
    }
}

fn is_no_room(error: &Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(now) = cause {
        if let Some(io) = now.downcast_ref::<std::io::Error>() {
            return matches!(io.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
        }
        cause = now.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_object_files::local_error;

    fn failed(kind: ErrorKind) -> Error {
        local_error("copying failed", std::path::Path::new("x"), std::io::Error::from(kind))
    }

    #[test]
    fn pauses_grow_to_a_bound_and_end_with_success() {
        let (mut retries, start) = (Retries::default(), Instant::now());
        let mut now = start;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            assert!(!retries.failed("a", &failed(ErrorKind::Other), now));
            assert!(!retries.may("a", now) && retries.may("b", now) && !retries.is_full(now));
            let pause = (0..).map(Duration::from_secs).find(|pause| retries.may("a", now + *pause)).unwrap();
            now += pause;
            pauses.push(pause.as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        retries.succeeded("a");
        assert!(!retries.is_any());
    }

    #[test]
    fn a_full_archive_is_full_for_all() {
        let (mut retries, now) = (Retries::default(), Instant::now());
        assert!(retries.failed("a", &failed(ErrorKind::StorageFull), now));
        assert!(retries.is_full(now) && retries.is_any());
        assert!(!retries.is_full(now + RETRY_FIRST));
        retries.end_round(now + RETRY_FIRST);
        assert!(!retries.is_any());
    }

    #[test]
    fn a_split_has_one_turn_as_long_as_anybody_has_it() {
        let folder = "/drops";
        let first = turn_of(folder, "test.a.0");
        let held = first.lock().unwrap();
        assert!(turn_of(folder, "test.a.0").try_lock().is_err());
        assert!(turn_of(folder, "test.a.1").try_lock().is_ok());
        drop(held);
        assert!(turn_of(folder, "test.a.0").try_lock().is_ok());
    }
}
