//! A step of the simulation's own: it filters some rows and rejects others, by their number.

use std::sync::Arc;
use unbatch_api::arrow::array::{AsArray, BooleanArray};
use unbatch_api::arrow::datatypes::Int64Type;
use unbatch_api::{
    Batch, CompiledStep, RawRow, RejectedRow, Result, Seen, Stage, Step, StepProblem, Stepped, StreamName, StreamSchema,
};

/// Filters multiples of seven, rejects the other multiples of five; the number is the first column.
pub(crate) struct Sieve;

pub(crate) fn is_filtered(number: u64) -> bool {
    number.is_multiple_of(7)
}

pub(crate) fn is_rejected(number: u64) -> bool {
    !is_filtered(number) && number.is_multiple_of(5)
}

struct Compiled {
    stream: StreamName,
    schema: Arc<StreamSchema>,
}

impl Step for Sieve {
    fn name(&self) -> &str {
        "sieve"
    }
    fn compile(&self, seen: &Seen<'_>) -> Result<Box<dyn CompiledStep>, Vec<StepProblem>> {
        Ok(Box::new(Compiled { stream: seen.stream.clone(), schema: seen.schema.clone() }))
    }
}

impl CompiledStep for Compiled {
    fn output(&self) -> &Arc<StreamSchema> {
        &self.schema
    }
    fn streams(&self) -> Vec<StreamName> {
        vec![self.stream.clone()]
    }
    fn apply(&mut self, mut batch: Batch) -> Result<Stepped> {
        let numbers: Vec<u64> = match batch.rows.num_columns() {
            0 => vec![],
            _ => batch.rows.column(0).as_primitive::<Int64Type>().values().iter().map(|n| *n as u64).collect(),
        };
        let filtered = numbers.iter().filter(|n| is_filtered(**n)).count() as u64;
        for (i, number) in numbers.iter().enumerate().filter(|(_, n)| is_rejected(**n)) {
            batch.rejected.push(RejectedRow {
                code: "sieved".into(),
                message: "the number is a multiple of five".into(),
                stage: Stage::Step,
                stream: batch.stream.clone(),
                origin: batch.origin.rows.row(i),
                raw: RawRow::Row(serde_json::json!({ "id": number })),
            });
        }
        let keep: Vec<bool> = numbers.iter().map(|n| !is_filtered(*n) && !is_rejected(*n)).collect();
        batch.retain(&BooleanArray::from(keep))?;
        Ok(Stepped { batches: vec![batch], filtered })
    }
}
