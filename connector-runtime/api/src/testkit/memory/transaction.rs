//! What a memory feed holds: transactions of good and bad rows, written down or generated from a seed.

use super::feed::MemoryFeed;
use crate::batch::{Batch, Ops};
use crate::checkpoint::Part;
use crate::names::StreamName;
use crate::quarantine::RawRow;
use crate::schema::{ColumnType, StreamSchema};
use crate::testkit::rows::{no_rows, table};
use arrow::array::{ArrayRef, TimestampMicrosecondArray};
use arrow::datatypes::Schema;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;

/// Rows that belong together: the source hands them on in order, and only their end is a safe place to stop unless they
/// are more than the limits allow. Built out of a batch, whose origin and advance are ignored.
#[derive(Clone, Debug)]
pub struct Transaction {
    pub(super) batch: Batch,
    /// Good and bad rows in their order; the position's ordinal counts them, from 1.
    pub(super) entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
pub(super) enum Entry {
    Good,
    Bad(BadRow),
}

/// A row that the source will reject.
#[derive(Clone, Debug)]
pub(super) struct BadRow {
    pub code: Cow<'static, str>,
    pub raw: RawRow,
}

impl Transaction {
    /// The batch's rows, in order.
    pub fn of(batch: Batch) -> Self {
        let entries = batch.rows.columns().first().map_or(0, |c| c.len());
        Self { entries: vec![Entry::Good; entries], batch }
    }
    /// Puts a row that will be rejected at this place among all rows, from 0.
    pub fn bad_row(mut self, place: usize, code: &'static str, raw: &str) -> Self {
        let raw = RawRow::of(raw.as_bytes().to_vec());
        self.entries.insert(place, Entry::Bad(BadRow { code: code.into(), raw }));
        self
    }
    /// Commit time of the transaction, microseconds UTC, given to each of its rows.
    pub fn at(mut self, micros: i64) -> Self {
        let times = TimestampMicrosecondArray::from(vec![micros; self.batch.rows.num_rows()]).with_timezone("UTC");
        self.batch.source_time = Some(Arc::new(times) as ArrayRef);
        self
    }
    /// Good and bad rows together.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    /// Whether rows of both can stand in one batch.
    pub(super) fn fits(&self, other: &Transaction) -> bool {
        let (a, b) = (&self.batch, &other.batch);
        a.stream == b.stream
            && a.schema.id() == b.schema.id()
            && a.before.is_some() == b.before.is_some()
            && a.source_time.is_some() == b.source_time.is_some()
            && matches!((&a.ops, &b.ops), (Ops::Append, Ops::Append) | (Ops::PerRow(_), Ops::PerRow(_)))
    }
    /// How many of the first `entries` are good.
    pub(super) fn good_before(&self, entries: usize) -> usize {
        self.entries[..entries].iter().filter(|e| matches!(e, Entry::Good)).count()
    }
}

/// A feed made from numbers: the same ones give the same rows, everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Generate {
    /// Rows in all parts together, rejected ones included.
    pub rows: u64,
    /// Parts `part-0`, `part-1` and so on, which take turns with transactions.
    #[serde(default = "one")]
    pub parts: u32,
    /// Rows of a transaction are 1 to this many.
    #[serde(default = "one")]
    pub transaction_rows: u32,
    /// Every so manieth row is rejected; 0: none.
    #[serde(default)]
    pub rejected_every: u64,
    #[serde(default)]
    pub seed: u64,
}

fn one() -> u32 {
    1
}

impl Generate {
    /// The columns of generated rows: number of the row from 1, name of its part, a price drawn from the seed.
    pub const COLUMNS: &str = "id: int64 not null, part: string not null, price: decimal(12,2)";

    pub fn schema() -> Arc<StreamSchema> {
        let fields = vec![
            ColumnType::Int64.field("id", false),
            ColumnType::String.field("part", false),
            ColumnType::Decimal { precision: 12, scale: 2 }.field("price", true),
        ];
        Arc::new(StreamSchema::new(Arc::new(Schema::new(fields)), vec!["id".into()]))
    }

    /// A feed whose stream is called `stream`, holding all the rows.
    pub fn feed(&self, stream: &str) -> MemoryFeed {
        let feed = MemoryFeed::default();
        let mut random = SmallRng::seed_from_u64(self.seed);
        let mut next = 1;
        let mut turn = 0;
        while next <= self.rows {
            let part = format!("part-{}", turn % self.parts.max(1));
            let rows = u64::from(random.random_range(1..=self.transaction_rows.max(1))).min(self.rows + 1 - next);
            feed.push(&Part::from(part.as_str()), self.transaction(stream, &part, next..next + rows, &mut random));
            next += rows;
            turn += 1;
        }
        feed
    }

    fn transaction(
        &self,
        stream: &str,
        part: &str,
        numbers: std::ops::Range<u64>,
        random: &mut SmallRng,
    ) -> Transaction {
        let is_bad = |n: u64| self.rejected_every > 0 && n.is_multiple_of(self.rejected_every);
        let cells =
            |n: u64, price: u32| [n.to_string(), part.to_owned(), format!("{}.{:02}", price / 100, price % 100)];
        let good: Vec<[String; 3]> =
            numbers.clone().filter(|n| !is_bad(*n)).map(|n| cells(n, random.random_range(0..1_000_000))).collect();
        let good: Vec<Vec<Option<&str>>> = good.iter().map(|r| r.iter().map(|c| Some(c.as_str())).collect()).collect();
        let good: Vec<&[Option<&str>]> = good.iter().map(Vec::as_slice).collect();
        let mut transaction = Transaction::of(table(stream, Self::COLUMNS, &["id"], &good));
        for (place, n) in numbers.enumerate().filter(|(_, n)| is_bad(*n)) {
            transaction = transaction.bad_row(place, "bad_row", &format!("{n}|{part}|?"));
        }
        transaction
    }
}

/// A batch without rows in the shape of `transaction`, for rejected rows and bare advances.
pub(super) fn hollow(transaction: &Transaction, stream: &StreamName) -> Batch {
    let mut batch = transaction.batch.clone();
    batch.stream = stream.clone();
    batch.rows = no_rows(&batch.schema);
    batch
}
