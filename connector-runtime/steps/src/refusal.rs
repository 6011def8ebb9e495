//! Rows that a step refuses, and why; without the values.

use crate::expression::{Reason, Trouble};
use std::collections::BTreeMap;
use unbatch_api::arrow::array::BooleanArray;
use unbatch_api::{Batch, RawRow, RejectedRow, Result, Stage};

/// What is told of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    /// `what`: the step and what it was computing, like `` `derive` of `price_eur` ``.
    pub(crate) fn of(trouble: Trouble, what: &str) -> Self {
        let (code, why) = match trouble {
            Trouble::Unchanged | Trouble::OldRowNeeded => (
                "old_row_needed",
                "it reads a column that the source did not send, and the row as it was before did not come with it",
            ),
            Trouble::Unusable => ("unusable_value", "it reads a cell that is no number, infinite or out of range"),
            Trouble::Failed(reason) => {
                let code = match reason {
                    Reason::DivisionByZero => "division_by_zero",
                    Reason::Overflow => "overflow",
                    Reason::BadCast => "bad_cast",
                    Reason::Other => "failed_expression",
                };
                (code, reason.words())
            }
        };
        Self { code, message: format!("{what}: {why}") }
    }
}

/// Moves rows to the rejected ones.
pub(crate) fn refuse(batch: &mut Batch, refusals: BTreeMap<usize, Refusal>) -> Result<()> {
    if refusals.is_empty() {
        return Ok(());
    }
    let keep: BooleanArray = (0..batch.rows.num_rows()).map(|row| Some(!refusals.contains_key(&row))).collect();
    for (row, refusal) in refusals {
        batch.rejected.push(RejectedRow {
            code: refusal.code.into(),
            message: refusal.message,
            stage: Stage::Step,
            stream: batch.stream.clone(),
            origin: batch.origin.rows.row(row),
            // the engine puts in the row as the source gave it
            raw: RawRow::Row(serde_json::Value::Null),
        });
    }
    batch.retain(&keep)
}
