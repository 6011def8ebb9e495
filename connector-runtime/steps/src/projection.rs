//! Columns made of columns: what `select`, `drop`, `rename`, `cast`, `derive` and `mask` come to. Old images go the same way as rows,
//! and marks go with their cells.

use crate::expression::{Compiled, Image, Outcome, Trouble};
use crate::mask::Masker;
use crate::refusal::{Refusal, refuse};
use std::collections::BTreeMap;
use std::sync::Arc;
use unbatch_api::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use unbatch_api::arrow::compute::{not, nullif};
use unbatch_api::arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use unbatch_api::arrow::error::ArrowError;
use unbatch_api::{
    Batch, CompiledStep, Error, Mark, Marks, Op, Result, Seen, StepProblem, Stepped, StreamName, StreamSchema,
};

/// A column that comes out.
pub(crate) struct Output {
    pub(crate) field: FieldRef,
    pub(crate) from: From,
    /// The column that it is still, perhaps under another name or as another type.
    pub(crate) is: Option<usize>,
}

pub(crate) enum From {
    /// The column as it is.
    Column(usize),
    Expression(Box<Compiled>),
    Masked(usize, Box<Masker>),
}

impl Output {
    /// The column as it is.
    pub(crate) fn keep(schema: &StreamSchema, at: usize) -> Self {
        Self { field: schema.fields().fields()[at].clone(), from: From::Column(at), is: Some(at) }
    }
    pub(crate) fn renamed(mut self, name: &str) -> Self {
        self.field = Arc::new(self.field.as_ref().clone().with_name(name));
        self
    }
    /// A column that an expression gives; it may be null even where its inputs are not.
    pub(crate) fn computed(name: &str, compiled: Compiled) -> Self {
        let field = compiled.column_type.field(name, true);
        Self { field: Arc::new(field), from: From::Expression(Box::new(compiled)), is: None }
    }
}

/// Makes these columns of each batch.
pub(crate) struct Projection {
    verb: &'static str,
    stream: StreamName,
    outputs: Vec<Output>,
    schema: Arc<StreamSchema>,
    /// Fields of old images, which may be absent.
    old_fields: SchemaRef,
}

impl Projection {
    /// # Errors
    ///
    /// Two columns of one name, and key columns that would be lost; `place_of` says where an output or a lost column stands.
    pub(crate) fn new(
        verb: &'static str,
        seen: &Seen<'_>,
        outputs: Vec<Output>,
        place_of: impl Fn(&str) -> String,
    ) -> Result<Self, Vec<StepProblem>> {
        let mut problems = Vec::new();
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        for output in &outputs {
            *names.entry(output.field.name()).or_default() += 1;
        }
        for (name, _) in names.into_iter().filter(|(_, count)| *count > 1) {
            problems.push(StepProblem {
                path: place_of(name),
                within: None,
                code: "U0612",
                message: format!("there would be two columns `{name}`"),
                label: "twice".into(),
                help: "give one of them another name, or drop it".into(),
            });
        }
        let mut key = Vec::new();
        for column in seen.schema.key() {
            let at = seen.schema.fields().index_of(column).ok();
            match outputs.iter().find(|output| at.is_some() && output.is == at) {
                Some(output) => key.push(output.field.name().clone()),
                None => problems.push(StepProblem {
                    path: place_of(column),
                    within: None,
                    code: "U0611",
                    message: format!("column `{column}` is part of the key, and would be lost"),
                    label: "part of the key".into(),
                    help: "keep it: updates and deletes find their row by the key; it may be renamed".into(),
                }),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let fields: Vec<FieldRef> = outputs.iter().map(|output| output.field.clone()).collect();
        let nullable: Vec<Field> = fields.iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        Ok(Self {
            verb,
            stream: seen.stream.clone(),
            outputs,
            schema: Arc::new(StreamSchema::new(Arc::new(Schema::new(fields)), key)),
            old_fields: Arc::new(Schema::new(nullable)),
        })
    }

    fn is_key(&self, output: &Output) -> bool {
        self.schema.key().contains(output.field.name())
    }

    /// The columns of the rows as they are now, their marks, and the rows that are refused.
    fn project(&self, batch: &Batch) -> Result<(Vec<ArrayRef>, Marks, BTreeMap<usize, Refusal>)> {
        let image = Image::new(batch);
        let (mut columns, mut marks, mut refusals) = (Vec::new(), Marks::default(), BTreeMap::new());
        for (place, output) in self.outputs.iter().enumerate() {
            let (values, troubles) = match &output.from {
                From::Column(at) => {
                    copy_marks(batch.marks.as_ref(), *at, &mut marks, place);
                    (batch.rows.column(*at).clone(), BTreeMap::new())
                }
                From::Masked(at, masker) => {
                    let outcome = masked(&image, *at, masker)?;
                    (outcome.values, outcome.troubles)
                }
                From::Expression(compiled) => {
                    let outcome = compiled.evaluate(&image)?;
                    (outcome.values, outcome.troubles)
                }
            };
            for (row, trouble) in troubles {
                // a delete needs its key and nothing else; what follows from cells that did not change did not change either
                let is_bearable = !self.is_key(output)
                    && output.field.is_nullable()
                    && (trouble == Trouble::Unchanged || batch.ops.at(row) == Op::Delete);
                if is_bearable {
                    marks.set(place, row, Mark::Unchanged);
                } else {
                    let what = format!("`{}` of `{}`", self.verb, output.field.name());
                    refusals.entry(row).or_insert_with(|| Refusal::of(trouble, &what));
                }
            }
            columns.push(values);
        }
        Ok((columns, marks, refusals))
    }

    /// The same for the old images. An image that cannot be made so is not refused: the cell is marked as not sent.
    fn project_old(&self, batch: &Batch, old: &RecordBatch) -> Result<(RecordBatch, Marks)> {
        let image = Image::old(batch, old);
        let is_absent = not(&crate::expression::present(old)?).map_err(bug)?;
        let (mut columns, mut marks) = (Vec::new(), Marks::default());
        for (place, output) in self.outputs.iter().enumerate() {
            let outcome = match &output.from {
                From::Column(at) => {
                    copy_marks(batch.before_marks.as_ref(), *at, &mut marks, place);
                    columns.push(old.column(*at).clone());
                    continue;
                }
                From::Masked(at, masker) => masked(&image, *at, masker)?,
                From::Expression(compiled) => compiled.evaluate(&image)?,
            };
            for row in outcome.troubles.into_keys().filter(|row| !is_absent.value(*row)) {
                marks.set(place, row, Mark::Unchanged);
            }
            columns.push(nullif(&outcome.values, &is_absent).map_err(bug)?);
        }
        Ok((record_batch(&self.old_fields, columns, old.num_rows())?, marks))
    }
}

impl CompiledStep for Projection {
    fn output(&self) -> &Arc<StreamSchema> {
        &self.schema
    }
    fn streams(&self) -> Vec<StreamName> {
        vec![self.stream.clone()]
    }
    fn apply(&mut self, mut batch: Batch) -> Result<Stepped> {
        let (columns, marks, refusals) = self.project(&batch)?;
        let old = batch.before.as_ref().map(|old| self.project_old(&batch, old)).transpose()?;
        let rows = batch.rows.num_rows();
        // refused rows may hold a null where none is allowed, so they leave before the schema is held against the columns
        let nullable = record_batch(&self.old_fields, columns, rows)?;
        batch.rows = nullable;
        batch.marks = Some(marks).filter(|marks| !marks.is_empty());
        (batch.before, batch.before_marks) = match old {
            Some((old, marks)) => (Some(old), Some(marks).filter(|marks| !marks.is_empty())),
            None => (None, None),
        };
        refuse(&mut batch, refusals)?;
        let columns = batch.rows.columns().to_vec();
        batch.rows = record_batch(self.schema.fields(), columns, batch.rows.num_rows())?;
        batch.schema = self.schema.clone();
        Ok(Stepped::one(batch))
    }
}

/// A column made unreadable.
fn masked(image: &Image<'_>, at: usize, masker: &Masker) -> Result<Outcome> {
    let mut troubles = BTreeMap::new();
    for (&row, mark) in image.marks.and_then(|marks| marks.0.get(&at)).into_iter().flatten() {
        troubles.insert(row, if *mark == Mark::Unchanged { Trouble::Unchanged } else { Trouble::Unusable });
    }
    Ok(Outcome { values: masker.mask(image.rows.column(at))?, troubles })
}

fn copy_marks(from: Option<&Marks>, column: usize, to: &mut Marks, place: usize) {
    for (row, mark) in from.and_then(|marks| marks.0.get(&column)).into_iter().flatten() {
        to.set(place, *row, mark.clone());
    }
}

fn record_batch(fields: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(fields.clone(), columns, &options).map_err(bug)
}

pub(crate) fn bug(error: ArrowError) -> Error {
    Error::bug("applying a step to a batch failed").code("U0618").caused_by(error)
}
