//! The upstream system of the memory source: it keeps transactions until they are released, and remembers who asked what.

use super::transaction::Transaction;
use crate::checkpoint::{Advance, Checkpoint, Part};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Parts with transactions of rows. A clone is the same feed. What is released is gone: a source that is opened before it
/// gets `Lost`, as from a Postgres slot.
#[derive(Clone, Default)]
pub struct MemoryFeed {
    book: Arc<Mutex<Book>>,
    /// Wakes sources in the order in which they wait, so that a seed replays.
    changes: Arc<Notify>,
}

/// Upstream was told that it may forget this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub part: Part,
    /// Transactions of the part up to this number, from 1.
    pub transactions: usize,
    /// Rows in them, rejected ones included.
    pub rows: u64,
}

type Guard = Arc<dyn Fn(&Release) + Send + Sync>;

#[derive(Default)]
struct Book {
    /// Rises when the feed is recreated under the same name.
    incarnation: u64,
    parts: BTreeMap<Part, PartLog>,
    releases: Vec<Release>,
    claims: BTreeSet<String>,
    vouched: Vec<Advance>,
    settled: Vec<Checkpoint>,
    guard: Option<Guard>,
}

#[derive(Default)]
struct PartLog {
    /// `None`: released.
    transactions: Vec<Option<Arc<Transaction>>>,
    lengths: Vec<usize>,
    released: usize,
    closed: bool,
}

impl MemoryFeed {
    /// Appends a transaction; continuous sources see it at once.
    ///
    /// # Panics
    ///
    /// When the part is closed.
    pub fn push(&self, part: &Part, transaction: Transaction) {
        let mut book = self.book();
        let log = book.parts.entry(part.clone()).or_default();
        assert!(!log.closed, "part `{part}` is closed");
        log.lengths.push(transaction.len());
        log.transactions.push(Some(Arc::new(transaction)));
        drop(book);
        self.announce();
    }
    /// Ends a part, like a file that was read to its end: nothing more will come from it.
    pub fn close(&self, part: &Part) {
        self.book().parts.entry(part.clone()).or_default().closed = true;
        self.announce();
    }
    /// Another feed of the same name takes its place, empty, like a topic that was deleted and made again.
    pub fn recreate(&self) {
        let mut book = self.book();
        book.incarnation += 1;
        book.parts.clear();
        drop(book);
        self.announce();
    }
    /// Called with each release just before it is done; a test's chance to assert that it is due.
    pub fn guard(&self, guard: impl Fn(&Release) + Send + Sync + 'static) {
        self.book().guard = Some(Arc::new(guard));
    }
    /// Every release so far, in order.
    pub fn releases(&self) -> Vec<Release> {
        self.book().releases.clone()
    }
    /// Who reads it, as a database knows the slots of its readers.
    pub fn claims(&self) -> Vec<String> {
        self.book().claims.iter().cloned().collect()
    }
    /// Everything that sources were asked to vouch for.
    pub fn vouched(&self) -> Vec<Advance> {
        self.book().vouched.clone()
    }
    /// The checkpoints that sources were settled at.
    pub fn settled(&self) -> Vec<Checkpoint> {
        self.book().settled.clone()
    }
    pub fn parts(&self) -> Vec<Part> {
        self.book().parts.keys().cloned().collect()
    }
    /// Rows pushed to the part so far, rejected ones and released ones included.
    pub fn rows_in(&self, part: &Part) -> u64 {
        self.book().parts.get(part).map_or(0, |log| log.lengths.iter().map(|n| *n as u64).sum())
    }
    /// Rows pushed to all parts so far, rejected ones and released ones included.
    pub fn rows(&self) -> u64 {
        self.parts().iter().map(|part| self.rows_in(part)).sum()
    }
    /// Rows of the part that are released.
    pub fn rows_released(&self, part: &Part) -> u64 {
        self.book().parts.get(part).map_or(0, |log| log.rows_until(log.released))
    }

    pub(super) fn incarnation(&self) -> u64 {
        self.book().incarnation
    }
    pub(super) fn changes(&self) -> Arc<Notify> {
        self.changes.clone()
    }
    /// Transactions in the part, released ones included.
    pub(super) fn transactions(&self, part: &Part) -> usize {
        self.book().parts.get(part).map_or(0, |log| log.lengths.len())
    }
    pub(super) fn is_closed(&self, part: &Part) -> bool {
        self.book().parts.get(part).is_some_and(|log| log.closed)
    }
    /// Rows in the transaction of this index, from 0; `None` when there is none.
    pub(super) fn length(&self, part: &Part, index: usize) -> Option<usize> {
        self.book().parts.get(part)?.lengths.get(index).copied()
    }
    /// Rows in the first `transactions`.
    pub(super) fn rows_until(&self, part: &Part, transactions: usize) -> u64 {
        self.book().parts.get(part).map_or(0, |log| log.rows_until(transactions))
    }
    /// The transaction of this index, from 0.
    pub(super) fn read(&self, part: &Part, index: usize) -> Result<Arc<Transaction>> {
        let book = self.book();
        let found = book.parts.get(part).and_then(|log| log.transactions.get(index));
        found.and_then(Option::clone).ok_or_else(|| {
            Error::lost("reading the feed failed: the transaction is released or never was")
                .with("part", part)
                .with("transaction", index + 1)
        })
    }
    pub(super) fn release(&self, part: &Part, transactions: usize) {
        let mut book = self.book();
        let Some(log) = book.parts.get(part).filter(|log| transactions > log.released) else { return };
        let release = Release { part: part.clone(), transactions, rows: log.rows_until(transactions) };
        if let Some(guard) = book.guard.clone() {
            // the guard may look at the feed
            drop(book);
            guard(&release);
            book = self.book();
        }
        if let Some(log) = book.parts.get_mut(part) {
            log.transactions[..transactions].fill(None);
            log.released = log.released.max(transactions);
        }
        book.releases.push(release);
    }
    pub(super) fn claim(&self, reader: &str) {
        self.book().claims.insert(reader.to_owned());
    }
    pub(super) fn note_vouched(&self, advance: &Advance) {
        self.book().vouched.push(advance.clone());
    }
    pub(super) fn note_settled(&self, committed: &Checkpoint) {
        self.book().settled.push(committed.clone());
    }
    fn announce(&self) {
        self.changes.notify_waiters();
    }
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartLog {
    fn rows_until(&self, transactions: usize) -> u64 {
        self.lengths.iter().take(transactions).map(|n| *n as u64).sum()
    }
}
