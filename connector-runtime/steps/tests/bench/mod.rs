//! A bench to try steps on: configurations as JSON, rows as words.

#![allow(dead_code, reason = "each test takes what it needs")]

use serde_json::Value;
use unbatch_api::arrow::array::RecordBatch;
use unbatch_api::config::{Reference, Resolver, Secret};
use unbatch_api::testkit::{self, row_text};
use unbatch_api::{Batch, Mark, Op, Ops, Result, Seen, StepProblem, StepVerb, Stepped};

/// Always the same secret.
struct Salt(String);

impl Resolver for Salt {
    fn resolve(&self, _: &Reference) -> Result<Secret> {
        Ok(Secret::new(self.0.clone()))
    }
}

/// Rows of words with a blank between; `∅` is null.
pub fn table(columns: &str, key: &[&str], rows: &[&str]) -> Batch {
    let cells: Vec<Vec<Option<&str>>> =
        rows.iter().map(|row| row.split(' ').map(|cell| (cell != "∅").then_some(cell)).collect()).collect();
    let cells: Vec<&[Option<&str>]> = cells.iter().map(Vec::as_slice).collect();
    testkit::table("prices", columns, key, &cells)
}

pub fn rows_of(columns: &str, rows: &[&str]) -> RecordBatch {
    table(columns, &[], rows).rows
}

/// Rows that begin with the letter of their operation.
pub fn change(columns: &str, key: &[&str], rows: &[&str]) -> Batch {
    let op = |letter: &str| [Op::Create, Op::Update, Op::Delete, Op::Read].into_iter().find(|op| op.letter() == letter);
    let (ops, rows): (Vec<Op>, Vec<&str>) =
        rows.iter().map(|row| row.split_once(' ').unwrap()).map(|(letter, row)| (op(letter).unwrap(), row)).unzip();
    Batch { ops: Ops::PerRow(ops), ..table(columns, key, &rows) }
}

/// Cells (column, row) that the source did not send.
pub fn marked(mut batch: Batch, cells: &[(usize, usize)]) -> Batch {
    let marks = batch.marks.get_or_insert_default();
    for (column, row) in cells {
        marks.set(*column, *row, Mark::Unchanged);
    }
    batch
}

pub fn rows(batch: &Batch) -> Vec<String> {
    texts(&batch.rows)
}

/// `id=1 sku=∅`
pub fn texts(rows: &RecordBatch) -> Vec<String> {
    let names: Vec<String> = rows.schema().fields().iter().map(|f| f.name().clone()).collect();
    let named = |row: String| {
        let cells = names.iter().zip(row.split('|')).map(|(name, cell)| format!("{name}={cell}"));
        cells.collect::<Vec<_>>().join(" ")
    };
    (0..rows.num_rows()).map(|row| named(row_text(rows, row))).collect()
}

fn run<V: StepVerb>(config: Value, batch: Batch, salt: &str) -> Stepped {
    let step = V::step(serde_json::from_value(config).unwrap()).unwrap();
    let salt = Salt(salt.to_owned());
    let seen = Seen { stream: &batch.stream, schema: &batch.schema, secrets: Some(&salt) };
    let mut compiled = step.compile(&seen).unwrap_or_else(|problems| panic!("{problems:?}"));
    batch.check().unwrap();
    let read = batch.rows_read();
    let stepped = compiled.apply(batch).unwrap();
    let after: u64 = stepped.batches.iter().map(Batch::rows_read).sum();
    assert_eq!(read, after + stepped.filtered, "rows are lost or made");
    for batch in &stepped.batches {
        batch.check().unwrap();
        assert_eq!(batch.schema.id(), compiled.output().id());
    }
    stepped
}

pub fn stepped<V: StepVerb>(config: Value, batch: Batch) -> Stepped {
    run::<V>(config, batch, "salt")
}

pub fn apply<V: StepVerb>(config: Value, batch: Batch) -> Batch {
    stepped::<V>(config, batch).batches.pop().unwrap()
}

pub fn salted<V: StepVerb>(config: Value, batch: Batch, salt: &str) -> Batch {
    run::<V>(config, batch, salt).batches.pop().unwrap()
}

/// What is said without any secret.
pub fn unsalted<V: StepVerb>(config: Value, batch: &Batch) -> StepProblem {
    let step = V::step(serde_json::from_value(config).unwrap()).unwrap();
    let seen = Seen { stream: &batch.stream, schema: &batch.schema, secrets: Some(&unbatch_api::config::NoSecrets) };
    step.compile(&seen).err().unwrap().remove(0)
}

/// Everything that is wrong with a step, before or after its columns are known.
pub fn misfit<V: StepVerb>(config: Value, batch: &Batch) -> Vec<StepProblem> {
    let step = match V::step(serde_json::from_value(config).unwrap()) {
        Ok(step) => step,
        Err(problems) => return problems,
    };
    let seen = Seen { stream: &batch.stream, schema: &batch.schema, secrets: None };
    step.compile(&seen).err().expect("the step compiles")
}
