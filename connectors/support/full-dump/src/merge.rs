//! Merges sorted runs into one order.

use crate::run::{Run, RunReader};
use crate::shape::{Shape, broken};
use std::cmp::Ordering;
use unbatch_api::Result;
use unbatch_api::arrow::array::{ArrayRef, RecordBatch};
use unbatch_api::arrow::compute::interleave_record_batch;
use unbatch_api::arrow::row::{RowConverter, Rows};

/// Where batches that a merge looks at come from.
pub trait Batches {
    fn next(&mut self) -> Result<Option<RecordBatch>>;
}

impl Batches for RunReader {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        RunReader::next(self)
    }
}

/// One run and where the merge stands in it.
pub struct Cursor<B> {
    batches: B,
    /// Indexes of the key columns in its batches.
    key: Vec<usize>,
    converter: RowConverter,
    /// `None` at the end.
    now: Option<(RecordBatch, Rows)>,
    row: usize,
    /// Place of the present batch among those that a caller holds; the caller's own.
    pub slot: Option<usize>,
}

impl<B: Batches> Cursor<B> {
    pub fn new(shape: &Shape, key: Vec<usize>, batches: B) -> Result<Self> {
        let mut cursor = Self { batches, key, converter: shape.converter()?, now: None, row: 0, slot: None };
        cursor.load()?;
        Ok(cursor)
    }

    /// The key of the present row; `None` at the end.
    pub fn key(&self) -> Option<&[u8]> {
        let (_, keys) = self.now.as_ref()?;
        // the bytes live as long as the rows do, which the row itself only borrows
        Some(keys.row(self.row).data())
    }
    /// The present batch and row.
    pub fn at(&self) -> Option<(&RecordBatch, usize)> {
        self.now.as_ref().map(|(batch, _)| (batch, self.row))
    }
    pub fn advance(&mut self) -> Result<()> {
        self.row += 1;
        if self.at().is_some_and(|(batch, row)| row < batch.num_rows()) { Ok(()) } else { self.load() }
    }

    fn load(&mut self) -> Result<()> {
        (self.now, self.row, self.slot) = (None, 0, None);
        while let Some(batch) = self.batches.next()? {
            if batch.num_rows() > 0 {
                let columns: Vec<ArrayRef> = self.key.iter().map(|&i| batch.column(i).clone()).collect();
                let keys = self.converter.convert_columns(&columns);
                self.now = Some((batch, keys.map_err(|e| broken("making sortable keys failed", e))?));
                break;
            }
        }
        Ok(())
    }
}

/// The rows of several runs in the order of their keys; equal keys in the order of the runs.
pub struct Merge {
    cursors: Vec<Cursor<RunReader>>,
    /// Indexes of cursors that are not at their end, the smallest first: a binary heap.
    heap: Vec<usize>,
}

impl Merge {
    pub fn new(shape: &Shape, runs: &[Run]) -> Result<Self> {
        let open = |run: &Run| Cursor::new(shape, shape.key().to_vec(), run.read()?);
        let cursors: Vec<_> = runs.iter().map(open).collect::<Result<_>>()?;
        let heap = (0..cursors.len()).filter(|&i| cursors[i].key().is_some()).collect();
        let mut merge = Self { cursors, heap };
        for at in (0..merge.heap.len() / 2).rev() {
            merge.sink(at);
        }
        Ok(merge)
    }

    /// The cursor with the smallest key.
    pub fn first(&self) -> Option<&Cursor<RunReader>> {
        self.heap.first().map(|&i| &self.cursors[i])
    }
    pub fn first_mut(&mut self) -> Option<&mut Cursor<RunReader>> {
        self.heap.first().map(|&i| &mut self.cursors[i])
    }
    pub fn advance(&mut self) -> Result<()> {
        let Some(&first) = self.heap.first() else { return Ok(()) };
        self.cursors[first].advance()?;
        if self.cursors[first].key().is_none() {
            let last = self.heap.len() - 1;
            self.heap.swap(0, last);
            self.heap.pop();
        }
        self.sink(0);
        Ok(())
    }
    /// The caller let go of all batches.
    pub fn forget_slots(&mut self) {
        self.cursors.iter_mut().for_each(|c| c.slot = None);
    }

    /// The next rows as one batch.
    pub fn next_batch(&mut self, rows_max: usize) -> Result<Option<RecordBatch>> {
        let (mut batches, mut rows) = (Vec::new(), Vec::new());
        while rows.len() < rows_max {
            let Some(cursor) = self.first_mut() else { break };
            let Some((batch, row)) = cursor.at() else { break };
            let slot = match cursor.slot {
                Some(slot) => slot,
                None => {
                    batches.push(batch.clone());
                    batches.len() - 1
                }
            };
            cursor.slot = Some(slot);
            rows.push((slot, row));
            self.advance()?;
        }
        self.forget_slots();
        if rows.is_empty() {
            return Ok(None);
        }
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        interleave_record_batch(&batches, &rows).map(Some).map_err(|e| broken("merging sorted runs failed", e))
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let mut least = at;
            for child in [left, right] {
                if child < self.heap.len() && self.order(self.heap[child], self.heap[least]) == Ordering::Less {
                    least = child;
                }
            }
            if least == at {
                return;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }

    fn order(&self, a: usize, b: usize) -> Ordering {
        self.cursors[a].key().cmp(&self.cursors[b].key()).then(a.cmp(&b))
    }
}
