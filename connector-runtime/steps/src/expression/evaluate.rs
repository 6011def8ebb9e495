//! An expression bound to columns, and what it gives for each row of a batch. All rows at once; only when that fails are the rows
//! at fault looked for, by halves.

use super::Fault;
use super::inputs::{Input, Inputs};
use super::kind::Kind;
use super::typed::{Typed, cast};
use datafusion_common::DataFusionError;
use datafusion_physical_expr::PhysicalExpr;
use std::collections::BTreeMap;
use std::sync::Arc;
use unbatch_api::arrow::array::{
    Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_empty_array, new_null_array,
};
use unbatch_api::arrow::compute::kernels::zip::zip;
use unbatch_api::arrow::compute::{concat, is_not_null, or};
use unbatch_api::arrow::datatypes::SchemaRef;
use unbatch_api::arrow::error::ArrowError;
use unbatch_api::{Batch, ColumnType, Error, Mark, Marks, Result};

/// An expression that can be evaluated.
pub(crate) struct Compiled {
    expr: Arc<dyn PhysicalExpr>,
    pub(crate) column_type: ColumnType,
    inputs: Vec<Input>,
    schema: SchemaRef,
}

/// Rows that an expression reads: those of a batch, or their old images.
#[derive(Clone, Copy)]
pub(crate) struct Image<'a> {
    pub(crate) rows: &'a RecordBatch,
    pub(crate) marks: Option<&'a Marks>,
    /// Where a cell is taken from that the source did not send: the old image.
    pub(crate) old: Option<(&'a RecordBatch, Option<&'a Marks>)>,
    /// What is known beside the cells.
    pub(crate) batch: &'a Batch,
}

impl<'a> Image<'a> {
    /// The rows as they are now.
    pub(crate) fn new(batch: &'a Batch) -> Self {
        Image {
            rows: &batch.rows,
            marks: batch.marks.as_ref(),
            old: batch.before.as_ref().map(|old| (old, batch.before_marks.as_ref())),
            batch,
        }
    }
    /// The rows as they were.
    pub(crate) fn old(batch: &'a Batch, old: &'a RecordBatch) -> Self {
        Image { rows: old, marks: batch.before_marks.as_ref(), old: None, batch }
    }
}

/// A value for each row, and the rows that have none.
pub(crate) struct Outcome {
    pub(crate) values: ArrayRef,
    /// By row; the value there is null.
    pub(crate) troubles: BTreeMap<usize, Trouble>,
}

/// Why a row has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Not one of the columns that it reads was sent, so nothing that follows from them changed.
    Unchanged,
    /// It reads a column that was not sent beside some that were.
    OldRowNeeded,
    /// It reads a cell that is no number, infinite, or out of range.
    Unusable,
    Failed(Reason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    DivisionByZero,
    Overflow,
    BadCast,
    Other,
}

impl Reason {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Reason::DivisionByZero => "division by zero",
            Reason::Overflow => "the result is too large for its type",
            Reason::BadCast => "the value cannot be read as the type that is asked for",
            Reason::Other => "a function does not take this value",
        }
    }
}

impl Compiled {
    pub(crate) fn new(typed: Typed, inputs: Inputs, to: Option<ColumnType>) -> std::result::Result<Self, Fault> {
        let within = typed.within.clone();
        let typed = match to {
            Some(to) => cast(typed, to, within.clone())?,
            None => typed,
        };
        let Kind::Of(column_type) = typed.kind else {
            return Err(Fault {
                within,
                code: "U0605",
                message: format!("the result is {}, which no column can hold", super::typed::article(typed.kind)),
                label: typed.kind.to_string(),
                help: "cast it: cast(null as string); add a span of time to a date".into(),
            });
        };
        let schema = Arc::new(inputs.schema());
        Ok(Self { expr: typed.expr, column_type, inputs: inputs.list, schema })
    }

    pub(crate) fn evaluate(&self, image: &Image<'_>) -> Result<Outcome> {
        let (batch, mut troubles) = self.read(image)?;
        if batch.num_rows() == 0 {
            return Ok(Outcome { values: new_empty_array(&self.column_type.to_arrow()), troubles });
        }
        let values = match self.whole(&batch) {
            Ok(values) => values,
            Err(_) => {
                let mut halves = Halves { compiled: self, pieces: Vec::new(), failed: Vec::new() };
                halves.find(&batch, 0);
                for (row, reason) in halves.failed {
                    troubles.entry(row).or_insert(Trouble::Failed(reason));
                }
                let pieces: Vec<&dyn Array> = halves.pieces.iter().map(AsRef::as_ref).collect();
                concat(&pieces).map_err(bug)?
            }
        };
        Ok(Outcome { values: without(values, &troubles)?, troubles })
    }

    /// The batch of what is read, and the rows for which it cannot be.
    fn read(&self, image: &Image<'_>) -> Result<(RecordBatch, BTreeMap<usize, Trouble>)> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.inputs.len());
        let mut troubles = BTreeMap::new();
        let mut absent: BTreeMap<usize, usize> = BTreeMap::new();
        for input in &self.inputs {
            let values = match input {
                Input::Meta(meta) => meta.values(image.batch),
                Input::Column(at) => match image.marks.and_then(|marks| marks.0.get(at)).filter(|m| !m.is_empty()) {
                    None => image.rows.column(*at).clone(),
                    Some(marked) => filled(image, *at, marked, &mut absent, &mut troubles)?,
                },
            };
            columns.push(values);
        }
        let reads = self.inputs.iter().filter(|input| matches!(input, Input::Column(_))).count();
        for (row, count) in absent {
            let trouble = if count == reads { Trouble::Unchanged } else { Trouble::OldRowNeeded };
            troubles.entry(row).or_insert(trouble);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(image.rows.num_rows()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(bug)?;
        Ok((batch, troubles))
    }

    fn whole(&self, batch: &RecordBatch) -> std::result::Result<ArrayRef, DataFusionError> {
        self.expr.evaluate(batch)?.into_array(batch.num_rows())
    }
}

/// Looks for the rows at fault: at most two evaluations for each of them and each halving.
struct Halves<'a> {
    compiled: &'a Compiled,
    pieces: Vec<ArrayRef>,
    failed: Vec<(usize, Reason)>,
}

impl Halves<'_> {
    fn find(&mut self, batch: &RecordBatch, first: usize) {
        match self.compiled.whole(batch) {
            Ok(values) => self.pieces.push(values),
            Err(error) if batch.num_rows() == 1 => {
                self.failed.push((first, reason_of(&error)));
                self.pieces.push(new_null_array(&self.compiled.column_type.to_arrow(), 1));
            }
            Err(_) => {
                let half = batch.num_rows() / 2;
                self.find(&batch.slice(0, half), first);
                self.find(&batch.slice(half, batch.num_rows() - half), first + half);
            }
        }
    }
}

/// A column with the cells that were not sent taken from the old image.
fn filled(
    image: &Image<'_>,
    at: usize,
    marked: &BTreeMap<usize, Mark>,
    absent: &mut BTreeMap<usize, usize>,
    troubles: &mut BTreeMap<usize, Trouble>,
) -> Result<ArrayRef> {
    let now = image.rows.column(at);
    let present = image.old.map(|(old, _)| present(old)).transpose()?;
    let mut from_old = vec![false; now.len()];
    for (&row, mark) in marked {
        let is_known = present.as_ref().is_some_and(|present| present.value(row));
        let old_mark = image.old.and_then(|(_, marks)| marks?.at(at, row));
        match (mark, is_known, old_mark) {
            (Mark::Unchanged, true, None) => from_old[row] = true,
            (Mark::Unchanged, true, Some(Mark::Unchanged)) | (Mark::Unchanged, false, _) => {
                *absent.entry(row).or_default() += 1;
            }
            _ => {
                troubles.insert(row, Trouble::Unusable);
            }
        }
    }
    match image.old {
        Some((old, _)) if from_old.contains(&true) => {
            zip(&BooleanArray::from(from_old), old.column(at), now).map_err(bug)
        }
        _ => Ok(now.clone()),
    }
}

/// Which rows have an image at all: where there is none all cells are null.
pub(crate) fn present(rows: &RecordBatch) -> Result<BooleanArray> {
    let mut any = BooleanArray::from(vec![false; rows.num_rows()]);
    for column in rows.columns() {
        any = or(&any, &is_not_null(column).map_err(bug)?).map_err(bug)?;
    }
    Ok(any)
}

/// Null where there is trouble, whatever was computed there.
fn without(values: ArrayRef, troubles: &BTreeMap<usize, Trouble>) -> Result<ArrayRef> {
    if troubles.is_empty() {
        return Ok(values);
    }
    let is_trouble: BooleanArray = (0..values.len()).map(|row| Some(troubles.contains_key(&row))).collect();
    unbatch_api::arrow::compute::nullif(&values, &is_trouble).map_err(bug)
}

/// Why an evaluation failed. DataFusion's own words may hold cell values, so none of them goes on.
pub(crate) fn reason_of(error: &DataFusionError) -> Reason {
    let DataFusionError::ArrowError(arrow, _) = error.find_root() else { return Reason::Other };
    match &**arrow {
        ArrowError::DivideByZero => Reason::DivisionByZero,
        ArrowError::ArithmeticOverflow(_) => Reason::Overflow,
        ArrowError::InvalidArgumentError(said) if said.contains("too large") || said.contains("too small") => {
            Reason::Overflow
        }
        ArrowError::CastError(_) | ArrowError::ParseError(_) => Reason::BadCast,
        _ => Reason::Other,
    }
}

fn bug(error: ArrowError) -> Error {
    Error::bug("evaluating an expression failed").code("U0618").caused_by(error)
}
