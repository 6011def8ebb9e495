//! `filter`: rows for which a condition holds.

use crate::expression::{Compiled, Image, Parsed, Sql, Trouble, present};
use crate::projection::bug;
use crate::refusal::{Refusal, refuse};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use unbatch_api::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use unbatch_api::arrow::compute::kernels::zip::zip;
use unbatch_api::{
    Batch, CompiledStep, Marks, Op, Ops, Result, Seen, Step, StepProblem, StepVerb, Stepped, StreamName, StreamSchema,
};

/// Keeps the rows for which a condition is true, and leaves out those for which it is false or null. An update that no longer meets it
/// becomes a delete of its key, and a delete goes through.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(example = "price > 0 and country in ('DE', 'FR')")]
pub struct FilterConfig(pub Sql);

pub struct Filter;

impl StepVerb for Filter {
    const NAME: &'static str = "filter";
    type Config = FilterConfig;
    fn step(config: FilterConfig) -> Result<Arc<dyn Step>, Vec<StepProblem>> {
        match Parsed::new(&config.0) {
            Ok(condition) => Ok(Arc::new(Filtering(condition))),
            Err(fault) => Err(vec![fault.at("")]),
        }
    }
}

struct Filtering(Parsed);

impl Step for Filtering {
    fn name(&self) -> &str {
        Filter::NAME
    }
    fn compile(&self, seen: &Seen<'_>) -> Result<Box<dyn CompiledStep>, Vec<StepProblem>> {
        let condition = self.0.compile_condition(seen.schema).map_err(|fault| vec![fault.at("")])?;
        Ok(Box::new(Sieve { condition, stream: seen.stream.clone(), schema: seen.schema.clone() }))
    }
}

struct Sieve {
    condition: Compiled,
    stream: StreamName,
    schema: Arc<StreamSchema>,
}

impl CompiledStep for Sieve {
    fn output(&self) -> &Arc<StreamSchema> {
        &self.schema
    }
    fn streams(&self) -> Vec<StreamName> {
        vec![self.stream.clone()]
    }
    fn apply(&mut self, mut batch: Batch) -> Result<Stepped> {
        let outcome = self.condition.evaluate(&Image::new(&batch))?;
        let meets = outcome.values.as_boolean();
        let holds = |row: usize| meets.is_valid(row) && meets.value(row);
        if outcome.troubles.is_empty() && matches!(batch.ops, Ops::Append | Ops::Truncate) {
            let before = batch.rows.num_rows();
            if meets.true_count() < before {
                batch.retain(meets)?;
            }
            let filtered = (before - batch.rows.num_rows()) as u64;
            return Ok(Stepped { batches: vec![batch], filtered });
        }
        let rows = batch.rows.num_rows();
        let (mut keep, mut gone) = (Vec::with_capacity(rows), Vec::new());
        let mut refusals = BTreeMap::new();
        for row in 0..rows {
            let op = batch.ops.at(row);
            let trouble = outcome.troubles.get(&row).filter(|_| op != Op::Delete);
            if let Some(trouble) = trouble {
                refusals.insert(row, judged(*trouble));
            } else if op == Op::Update && !holds(row) {
                gone.push(row);
            }
            keep.push(trouble.is_some() || op == Op::Delete || op == Op::Update || holds(row));
        }
        let filtered = keep.iter().filter(|keep| !**keep).count() as u64;
        let keep = BooleanArray::from(keep);
        into_deletes(&mut batch, &gone)?;
        // refused rows are still there, so that their places are right
        let refusals = moved(refusals, &keep);
        batch.retain(&keep)?;
        refuse(&mut batch, refusals)?;
        Ok(Stepped { batches: vec![batch], filtered })
    }
}

fn judged(trouble: Trouble) -> Refusal {
    Refusal::of(trouble, "`filter`")
}

/// By the places that rows have once others are gone.
fn moved(refusals: BTreeMap<usize, Refusal>, keep: &BooleanArray) -> BTreeMap<usize, Refusal> {
    if refusals.is_empty() {
        return refusals;
    }
    let mut refusals = refusals;
    let mut next = 0;
    let mut after = BTreeMap::new();
    for row in 0..keep.len() {
        if let Some(refusal) = refusals.remove(&row) {
            after.insert(next, refusal);
        }
        next += usize::from(keep.value(row));
    }
    after
}

/// Updates whose row no longer belongs: readers lose it. Where the old image is known the row has the key under which they know it.
fn into_deletes(batch: &mut Batch, gone: &[usize]) -> Result<()> {
    let Ops::PerRow(ops) = &mut batch.ops else { return Ok(()) };
    for row in gone {
        ops[*row] = Op::Delete;
    }
    let Some(old) = &batch.before else { return Ok(()) };
    let is_known = present(old)?;
    let mut takes_old = vec![false; ops.len()];
    for row in gone {
        takes_old[*row] = is_known.value(*row);
    }
    if !takes_old.contains(&true) {
        return Ok(());
    }
    let mask = BooleanArray::from(takes_old);
    let columns = old.columns().iter().zip(batch.rows.columns());
    let columns: Vec<ArrayRef> =
        columns.map(|(old, now)| zip(&mask, old, now)).collect::<Result<_, _>>().map_err(bug)?;
    batch.rows = RecordBatch::try_new(batch.rows.schema(), columns).map_err(bug)?;
    batch.marks = old_marks(batch.marks.take(), batch.before_marks.as_ref(), &mask);
    Ok(())
}

fn old_marks(now: Option<Marks>, old: Option<&Marks>, mask: &BooleanArray) -> Option<Marks> {
    let mut marks = Marks::default();
    let mut take = |from: &Marks, of_old: bool| {
        for (column, rows) in &from.0 {
            for (row, mark) in rows.iter().filter(|(row, _)| mask.value(**row) == of_old) {
                marks.set(*column, *row, mark.clone());
            }
        }
    };
    if let Some(now) = &now {
        take(now, false);
    }
    if let Some(old) = old {
        take(old, true);
    }
    Some(marks).filter(|marks| !marks.is_empty())
}
