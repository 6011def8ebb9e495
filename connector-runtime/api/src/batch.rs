//! The unit that flows: columns of rows, what was done to each, where each came from, and how far it brings the source.

use crate::checkpoint::Advance;
use crate::error::{Error, Result};
use crate::names::StreamName;
use crate::origin::{Origin, OriginColumns};
use crate::quarantine::{QuarantineEntry, RejectedRow};
use crate::schema::StreamSchema;
use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Schema;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of one stream and one schema. `rows` may have 0 rows: a batch may carry only rejected rows or only an advance.
#[derive(Clone, Debug)]
pub struct Batch {
    pub stream: StreamName,
    pub schema: Arc<StreamSchema>,
    pub rows: RecordBatch,
    /// What Arrow cannot hold, per cell of `rows`.
    pub marks: Option<Marks>,
    /// Old row images, one for each row, all null where there is none.
    pub before: Option<RecordBatch>,
    pub before_marks: Option<Marks>,
    pub ops: Ops,
    pub origin: Origin,
    /// Commit time at the source, one for each row, microseconds UTC.
    pub source_time: Option<ArrayRef>,
    pub rejected: Vec<RejectedRow>,
    /// Entries of the quarantine whose rows these are: the sink marks them as replayed in the same epoch, before it adds
    /// `rejected`. Empty but for a replay, for entries that a person settles, and for a source that is done at last with an input that
    /// it had set aside as a whole.
    pub replayed: Vec<QuarantineEntry>,
    /// How far the source is once these rows are in the sink; `None`: not a safe place to stop.
    pub advance: Option<Advance>,
}

/// What was done to the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ops {
    /// All rows are new and are only ever added (files, topics without a key).
    Append,
    /// One for each row.
    PerRow(Vec<Op>),
    /// The stream was emptied; the batch has no rows.
    Truncate,
}

/// The letters that the record header `op` and Debezium's `op` field use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Create,
    Update,
    Delete,
    /// Read by an initial load, not from the log.
    Read,
}

impl Op {
    pub fn letter(self) -> &'static str {
        match self {
            Op::Create => "c",
            Op::Update => "u",
            Op::Delete => "d",
            Op::Read => "r",
        }
    }
}

impl Ops {
    pub fn at(&self, row: usize) -> Op {
        match self {
            Ops::PerRow(ops) => ops[row],
            Ops::Append | Ops::Truncate => Op::Create,
        }
    }
}

/// A value that Arrow's type cannot hold. The cell beneath it is null and must not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The source did not send it and it did not change (Postgres' TOAST).
    Unchanged,
    NotANumber,
    Infinity,
    NegativeInfinity,
    /// Outside Arrow's range, as the source's own text.
    OutOfRange(Box<str>),
}

/// Marks by column, then row; sparse, since almost no batch has any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks(pub BTreeMap<usize, BTreeMap<usize, Mark>>);

impl Marks {
    pub fn set(&mut self, column: usize, row: usize, mark: Mark) {
        self.0.entry(column).or_default().insert(row, mark);
    }
    pub fn at(&self, column: usize, row: usize) -> Option<&Mark> {
        self.0.get(&column)?.get(&row)
    }
    pub fn is_empty(&self) -> bool {
        self.0.values().all(BTreeMap::is_empty)
    }
    fn retain(&mut self, keep: &BooleanArray) {
        let new_rows: Vec<Option<usize>> = (0..keep.len())
            .scan(0, |next, row| {
                let kept = keep.is_valid(row) && keep.value(row);
                *next += usize::from(kept);
                Some(kept.then(|| *next - 1))
            })
            .collect();
        for rows in self.0.values_mut() {
            let old = std::mem::take(rows);
            *rows = old.into_iter().filter_map(|(row, mark)| Some(((*new_rows.get(row)?)?, mark))).collect();
        }
    }
}

impl Batch {
    /// Marks of entries of the quarantine and nothing else. It has neither rows nor columns: what marks an entry as done with does
    /// not depend on what today's rows look like.
    pub fn of_marks(stream: StreamName, marks: Vec<QuarantineEntry>, revision: u64) -> Self {
        let none = Arc::new(Schema::empty());
        Batch {
            schema: Arc::new(StreamSchema::new(none.clone(), vec![])),
            rows: RecordBatch::new_empty(none),
            marks: None,
            before: None,
            before_marks: None,
            ops: Ops::Append,
            origin: Origin {
                rows: OriginColumns::Sequence { name: stream.as_str().into(), numbers: vec![] },
                revision,
            },
            source_time: None,
            rejected: vec![],
            replayed: marks,
            advance: None,
            stream,
        }
    }

    /// Rows that arrived in this batch: good ones and rejected ones.
    pub fn rows_read(&self) -> u64 {
        (self.rows.num_rows() + self.rejected.len()) as u64
    }

    /// Memory that the batch holds, in bytes; what limits and memory shares count.
    pub fn bytes(&self) -> usize {
        let rejected: usize = self.rejected.iter().map(RejectedRow::bytes).sum();
        let before = self.before.as_ref().map_or(0, RecordBatch::get_array_memory_size);
        self.rows.get_array_memory_size() + before + rejected + 24 * self.origin.rows.len()
    }

    /// Whether the parts agree with each other; a batch that does not is a Bug of whoever made it.
    pub fn check(&self) -> Result<()> {
        let rows = self.rows.num_rows();
        let wrong = |what: &str| {
            Err(Error::bug("checking a batch failed").code("U0902").with("stream", &self.stream).with("wrong", what))
        };
        if self.rows.schema_ref().fields() != self.schema.fields().fields() {
            return wrong("its columns are not those of its schema");
        }
        if self.origin.rows.len() != rows {
            return wrong("it has not one origin for each row");
        }
        if self.before.as_ref().is_some_and(|b| b.num_rows() != rows) {
            return wrong("it has not one old image for each row");
        }
        if self.source_time.as_ref().is_some_and(|t| t.len() != rows) {
            return wrong("it has not one source time for each row");
        }
        match &self.ops {
            Ops::PerRow(ops) if ops.len() != rows => wrong("it has not one operation for each row"),
            Ops::Truncate if rows != 0 => wrong("a truncate has rows"),
            _ => Ok(()),
        }
    }

    /// Keeps the rows for which `keep` is true, with all that belongs to them. Rejected rows and the advance stay.
    pub fn retain(&mut self, keep: &BooleanArray) -> Result<()> {
        let filtered = |rows: &RecordBatch| {
            filter_record_batch(rows, keep)
                .map_err(|e| Error::bug("filtering a batch failed").code("U0902").caused_by(e))
        };
        self.rows = filtered(&self.rows)?;
        if let Some(before) = &self.before {
            self.before = Some(filtered(before)?);
        }
        for marks in [&mut self.marks, &mut self.before_marks].into_iter().flatten() {
            marks.retain(keep);
        }
        if let Some(time) = &self.source_time {
            let kept = arrow::compute::filter(time, keep);
            self.source_time =
                Some(kept.map_err(|e| Error::bug("filtering a batch failed").code("U0902").caused_by(e))?);
        }
        if let Ops::PerRow(ops) = &mut self.ops {
            let mut row = 0;
            ops.retain(|_| {
                row += 1;
                keep.is_valid(row - 1) && keep.value(row - 1)
            });
        }
        self.origin.rows.retain(keep);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::ColumnType;
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::Int64Type;

    fn batch(values: Vec<i64>) -> Batch {
        let fields = Arc::new(Schema::new(vec![ColumnType::Int64.field("n", false)]));
        let schema = Arc::new(StreamSchema::new(fields.clone(), vec![]));
        let numbers = (0..values.len() as u64).collect();
        let ops = Ops::PerRow(vec![Op::Update; values.len()]);
        let rows = RecordBatch::try_new(fields, vec![Arc::new(Int64Array::from(values))]).unwrap();
        Batch {
            stream: StreamName::new("s"),
            schema,
            marks: None,
            before: Some(rows.clone()),
            rows,
            before_marks: None,
            ops,
            origin: Origin { rows: OriginColumns::Sequence { name: "s".into(), numbers }, revision: 1 },
            source_time: None,
            rejected: vec![],
            replayed: vec![],
            advance: None,
        }
    }

    #[test]
    fn retain_keeps_all_that_belongs_to_a_row() {
        let mut b = batch(vec![10, 11, 12, 13]);
        let mut marks = Marks::default();
        marks.set(0, 1, Mark::Unchanged);
        marks.set(0, 3, Mark::Infinity);
        b.marks = Some(marks);
        b.retain(&BooleanArray::from(vec![Some(true), Some(false), None, Some(true)])).unwrap();
        b.check().unwrap();
        assert_eq!(b.rows.column(0).as_primitive::<Int64Type>().values(), &[10, 13]);
        assert_eq!(b.before.as_ref().unwrap().num_rows(), 2);
        assert_eq!(b.origin.rows.row(1).to_string(), "s#3");
        let marks = b.marks.unwrap();
        assert_eq!(marks.at(0, 1), Some(&Mark::Infinity));
        assert_eq!(marks.at(0, 0), None);
    }

    #[test]
    fn check_finds_a_batch_whose_parts_disagree() {
        let mut b = batch(vec![1, 2]);
        b.ops = Ops::PerRow(vec![Op::Create]);
        assert_eq!(b.check().unwrap_err().kind(), crate::Kind::Bug);
    }
}
