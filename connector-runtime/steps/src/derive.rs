//! `derive`: columns by expressions.

use crate::columns::problem;
use crate::expression::{Parsed, Sql};
use crate::projection::{Output, Projection};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use unbatch_api::{CompiledStep, Seen, Step, StepProblem, StepVerb};

/// Adds columns by expressions, `name: expression`. They stand after the others in the order of their names; a name that is there
/// already gets a new value in its place. All expressions see the columns as they were before this step.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(example = serde_json::json!({"price_eur": "round(price * 1.08, 2)"}))]
pub struct DeriveConfig(pub BTreeMap<String, Sql>);

pub struct Derive;

impl StepVerb for Derive {
    const NAME: &'static str = "derive";
    type Config = DeriveConfig;
    fn step(config: DeriveConfig) -> Result<Arc<dyn Step>, Vec<StepProblem>> {
        let (mut columns, mut problems) = (BTreeMap::new(), Vec::new());
        if config.0.is_empty() {
            problems.push(problem(
                String::new(),
                "U0613",
                "no column is named".into(),
                "write name: expression, or remove the step",
            ));
        }
        for (name, sql) in config.0 {
            match Parsed::new(&sql) {
                _ if name.is_empty() => {
                    problems.push(problem(name, "U0612", "a column needs a name".into(), "write name: expression"));
                }
                Ok(parsed) => {
                    columns.insert(name, parsed);
                }
                Err(fault) => problems.push(fault.at(name)),
            }
        }
        if problems.is_empty() { Ok(Arc::new(Derivation(columns))) } else { Err(problems) }
    }
}

struct Derivation(BTreeMap<String, Parsed>);

impl Step for Derivation {
    fn name(&self) -> &str {
        Derive::NAME
    }
    fn compile(&self, seen: &Seen<'_>) -> Result<Box<dyn CompiledStep>, Vec<StepProblem>> {
        let columns = seen.schema.fields().fields().len();
        let mut outputs: Vec<Output> = (0..columns).map(|at| Output::keep(seen.schema, at)).collect();
        let mut problems = Vec::new();
        for (name, parsed) in &self.0 {
            if seen.schema.key().contains(name) {
                problems.push(problem(
                    name.clone(),
                    "U0611",
                    format!("column `{name}` is part of the key, and would become another"),
                    "derive a column of another name; updates and deletes find their row by the key",
                ));
            }
            match parsed.compile(seen.schema) {
                Ok(compiled) => {
                    let computed = Output::computed(name, compiled);
                    match outputs.iter_mut().find(|output| output.field.name() == name) {
                        Some(there) => *there = computed,
                        None => outputs.push(computed),
                    }
                }
                Err(fault) => problems.push(fault.at(name.clone())),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Box::new(Projection::new(Derive::NAME, seen, outputs, str::to_owned)?))
    }
}
