//! `cast`: columns as other types.

use crate::columns::{place_of, problem};
use crate::expression::cast_of;
use crate::projection::{From, Output, Projection};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use unbatch_api::{ColumnType, CompiledStep, Seen, Step, StepProblem, StepVerb};

/// Turns columns into other types, `column: type`. A row with a value that does not fit goes to quarantine.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(example = serde_json::json!({"price": "decimal(12,2)", "valid_from": "date"}))]
pub struct CastConfig(pub BTreeMap<String, ColumnType>);

pub struct Cast;

impl StepVerb for Cast {
    const NAME: &'static str = "cast";
    type Config = CastConfig;
    fn step(config: CastConfig) -> Result<Arc<dyn Step>, Vec<StepProblem>> {
        match config.0.is_empty() {
            true => Err(vec![problem(
                String::new(),
                "U0613",
                "no column is named".into(),
                "write column: type, or remove the step",
            )]),
            false => Ok(Arc::new(Casting(config.0))),
        }
    }
}

struct Casting(BTreeMap<String, ColumnType>);

impl Step for Casting {
    fn name(&self) -> &str {
        Cast::NAME
    }
    fn compile(&self, seen: &Seen<'_>) -> Result<Box<dyn CompiledStep>, Vec<StepProblem>> {
        let columns = seen.schema.fields().fields().len();
        let mut outputs: Vec<Output> = (0..columns).map(|at| Output::keep(seen.schema, at)).collect();
        let mut problems = Vec::new();
        for (name, to) in &self.0 {
            let at = match place_of(name, seen.schema) {
                Ok(at) => at,
                Err(unknown) => {
                    problems.push(StepProblem { path: name.clone(), ..*unknown });
                    continue;
                }
            };
            let field = seen.schema.fields().field(at);
            if *field.data_type() == to.to_arrow() {
                continue;
            }
            match cast_of(name, *to, seen.schema) {
                Ok(compiled) => {
                    outputs[at] = Output {
                        field: Arc::new(to.field(name, field.is_nullable())),
                        from: From::Expression(Box::new(compiled)),
                        is: Some(at),
                    };
                }
                // the place in the name says nothing: the type is what is wrong
                Err(fault) => problems.push(StepProblem { within: None, ..fault.at(name.clone()) }),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Box::new(Projection::new(Cast::NAME, seen, outputs, str::to_owned)?))
    }
}
