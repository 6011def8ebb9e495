//! Sorts the rows of a dump by key, on disk where memory does not hold them.

use crate::merge::Merge;
use crate::run::{RUN_ROWS, Run, batch_rows};
use crate::shape::{DIGEST_BYTES, Shape, broken};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unbatch_api::Result;
use unbatch_api::arrow::array::{
    ArrayRef, BooleanArray, FixedSizeBinaryArray, RecordBatch, UInt64Array, new_null_array,
};
use unbatch_api::arrow::compute::interleave_record_batch;

/// Runs that are merged at once; more are merged into larger ones first.
pub const RUNS_MAX: usize = 48;

/// Takes the rows of a dump in any order.
pub struct Sorter {
    shape: Arc<Shape>,
    folder: PathBuf,
    /// Most bytes of rows that wait in memory.
    bytes_max: usize,
    waiting: Vec<RecordBatch>,
    bytes: usize,
    runs: Vec<Run>,
    rows: u64,
}

/// All rows of a dump in the order of their keys. A key that is there twice has its rows in the order of the file.
pub struct Sorted {
    pub(crate) shape: Arc<Shape>,
    runs: Vec<Run>,
    rows: u64,
}

impl Sorter {
    /// Sorts with about `memory_bytes`, and spills into `folder`.
    pub fn new(shape: Arc<Shape>, folder: &Path, memory_bytes: usize) -> Self {
        // the other half is for keys, for the piece that is being written, and for the merge
        let bytes_max = (memory_bytes / 2).max(256 << 10);
        let folder = folder.to_owned();
        Self { shape, folder, bytes_max, waiting: vec![], bytes: 0, runs: vec![], rows: 0 }
    }

    /// Good rows, in the columns of the shape, with the line and byte of each.
    pub fn push(&mut self, rows: &RecordBatch, lines: &[u64], bytes: &[u64]) -> Result<()> {
        let digests = self.shape.digests(rows.columns())?;
        self.rows += rows.num_rows() as u64;
        self.add(rows.columns().to_vec(), digests, lines, bytes, false)
    }

    /// Keys of rows that were refused: whatever was known of them stays as it is. Only the key columns are looked at.
    pub fn keep(&mut self, keys: &RecordBatch, lines: &[u64], bytes: &[u64]) -> Result<()> {
        let rows = keys.num_rows();
        let column = |(i, field): (usize, &Arc<unbatch_api::arrow::datatypes::Field>)| {
            if self.shape.key().contains(&i) { keys.column(i).clone() } else { new_null_array(field.data_type(), rows) }
        };
        let columns = self.shape.fields().fields().iter().enumerate().map(column).collect();
        let none = FixedSizeBinaryArray::try_new(DIGEST_BYTES as i32, vec![0u8; rows * DIGEST_BYTES].into(), None);
        self.add(columns, none.map_err(|e| broken("noting refused rows failed", e))?, lines, bytes, true)
    }

    pub fn finish(mut self) -> Result<Sorted> {
        self.spill()?;
        while self.runs.len() > RUNS_MAX {
            let first: Vec<Run> = self.runs.drain(..RUNS_MAX).collect();
            let mut merge = Merge::new(&self.shape, &first)?;
            let rows = first.iter().map(|run| run.batch_rows).min().unwrap_or(RUN_ROWS);
            let batches = std::iter::from_fn(|| merge.next_batch(rows).transpose());
            // in front, so that rows with one key stay in the order of the file
            self.runs.insert(0, Run::write(&self.folder, self.shape.run_fields(), rows, batches)?);
        }
        Ok(Sorted { shape: self.shape, runs: self.runs, rows: self.rows })
    }

    fn add(
        &mut self,
        mut columns: Vec<ArrayRef>,
        digests: FixedSizeBinaryArray,
        lines: &[u64],
        bytes: &[u64],
        is_refused: bool,
    ) -> Result<()> {
        columns.push(Arc::new(digests));
        columns.push(Arc::new(UInt64Array::from(lines.to_vec())));
        columns.push(Arc::new(UInt64Array::from(bytes.to_vec())));
        columns.push(Arc::new(BooleanArray::from(vec![is_refused; lines.len()])));
        let rows = RecordBatch::try_new(self.shape.run_fields().clone(), columns);
        let rows = rows.map_err(|e| broken("noting rows of a full dump failed", e))?;
        self.bytes += rows.get_array_memory_size();
        self.waiting.push(rows);
        if self.bytes >= self.bytes_max { self.spill() } else { Ok(()) }
    }

    /// Writes what waits as a sorted run.
    fn spill(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        let rows = waiting.iter().map(RecordBatch::num_rows).sum();
        let rows = batch_rows(rows, std::mem::take(&mut self.bytes));
        let order = sorted_order(&self.shape, &waiting)?;
        let batches: Vec<&RecordBatch> = waiting.iter().collect();
        let pieces = order.chunks(rows).map(|piece| {
            interleave_record_batch(&batches, piece).map_err(|e| broken("sorting rows of a full dump failed", e))
        });
        self.runs.push(Run::write(&self.folder, self.shape.run_fields(), rows, pieces)?);
        Ok(())
    }
}

impl Sorted {
    /// Good rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }
    pub(crate) fn merge(&self) -> Result<Merge> {
        Merge::new(&self.shape, &self.runs)
    }
}

/// Batch and row of each row, in the order of the keys.
fn sorted_order(shape: &Shape, batches: &[RecordBatch]) -> Result<Vec<(usize, usize)>> {
    let converter = shape.converter()?;
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let mut keys = converter.empty_rows(rows, 0);
    let mut order = Vec::with_capacity(rows);
    for (batch, rows) in batches.iter().enumerate() {
        let columns: Vec<ArrayRef> = shape.key().iter().map(|&i| rows.column(i).clone()).collect();
        converter.append(&mut keys, &columns).map_err(|e| broken("making sortable keys failed", e))?;
        order.extend((0..rows.num_rows()).map(|row| (batch, row)));
    }
    let is_sorted = (1..rows).all(|i| keys.row(i - 1) <= keys.row(i));
    if is_sorted {
        return Ok(order);
    }
    let mut numbers: Vec<u32> = (0..rows as u32).collect();
    numbers.sort_unstable_by(|&a, &b| keys.row(a as usize).cmp(&keys.row(b as usize)).then(a.cmp(&b)));
    Ok(numbers.into_iter().map(|n| order[n as usize]).collect())
}
