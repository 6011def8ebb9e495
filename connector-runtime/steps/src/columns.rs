//! `select`, `drop`, `rename`: which columns there are, in which order, under which names.

use crate::expression::{Parsed, Sql};
use crate::projection::{Output, Projection};
use crate::words::{any_of, nearest};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use unbatch_api::{CompiledStep, Seen, Step, StepProblem, StepVerb, StreamSchema};

/// Keeps these columns, in this order, and leaves out all others. An entry is the name of a column, or a new name with an expression.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(example = serde_json::json!(["sku", {"name": "upper(name)"}]))]
pub struct SelectConfig(#[schemars(length(min = 1))] pub Vec<Selected>);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Selected {
    /// A column as it is.
    Column(String),
    /// One new column by its expression.
    Computed(BTreeMap<String, Sql>),
}

/// Leaves these columns out. A column of the source's key cannot be left out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(example = serde_json::json!(["internal_note"]))]
pub struct DropConfig(#[schemars(length(min = 1))] pub Vec<String>);

/// Gives columns other names, `old: new`. Columns that are not named keep theirs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(example = serde_json::json!({"valid_from": "starts_on"}))]
pub struct RenameConfig(pub BTreeMap<String, String>);

pub struct Select;
pub struct Drop;
pub struct Rename;

impl StepVerb for Select {
    const NAME: &'static str = "select";
    type Config = SelectConfig;
    fn step(config: SelectConfig) -> Result<Arc<dyn Step>, Vec<StepProblem>> {
        let (mut columns, mut problems) = (Vec::new(), Vec::new());
        for (at, entry) in config.0.into_iter().enumerate() {
            match entry {
                Selected::Column(name) => columns.push(Column::Named(name)),
                Selected::Computed(one) => {
                    if one.len() != 1 {
                        problems.push(problem(
                            format!("[{at}]"),
                            "U0613",
                            "an entry is one column".into(),
                            "begin each column with `- `",
                        ));
                    }
                    for (name, sql) in one {
                        match Parsed::new(&sql) {
                            Ok(parsed) => columns.push(Column::Computed(name, parsed)),
                            Err(fault) => problems.push(fault.at(format!("[{at}].{name}"))),
                        }
                    }
                }
            }
        }
        if problems.is_empty() { Ok(Arc::new(Selection(columns))) } else { Err(problems) }
    }
}

enum Column {
    Named(String),
    Computed(String, Parsed),
}

struct Selection(Vec<Column>);

impl Step for Selection {
    fn name(&self) -> &str {
        Select::NAME
    }
    fn compile(&self, seen: &Seen<'_>) -> Result<Box<dyn CompiledStep>, Vec<StepProblem>> {
        let (mut outputs, mut problems) = (Vec::new(), Vec::new());
        for (at, column) in self.0.iter().enumerate() {
            match column {
                Column::Named(name) => match place_of(name, seen.schema) {
                    Ok(found) => outputs.push(Output::keep(seen.schema, found)),
                    Err(unknown) => problems.push(StepProblem { path: format!("[{at}]"), ..*unknown }),
                },
                Column::Computed(name, parsed) => {
                    // another name for a column keeps what it is, the key among it
                    let same = parsed.column().and_then(|column| seen.schema.fields().index_of(column).ok());
                    match (same, parsed.compile(seen.schema)) {
                        (Some(found), Ok(_)) => outputs.push(Output::keep(seen.schema, found).renamed(name)),
                        (None, Ok(compiled)) => outputs.push(Output::computed(name, compiled)),
                        (_, Err(fault)) => problems.push(fault.at(format!("[{at}].{name}"))),
                    }
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let place = |wanted: &str| {
            let named =
                |column: &Column| matches!(column, Column::Named(name) | Column::Computed(name, _) if name == wanted);
            self.0.iter().rposition(named).map_or_else(String::new, |at| format!("[{at}]"))
        };
        Ok(Box::new(Projection::new(Select::NAME, seen, outputs, place)?))
    }
}

impl StepVerb for Drop {
    const NAME: &'static str = "drop";
    type Config = DropConfig;
    fn step(config: DropConfig) -> Result<Arc<dyn Step>, Vec<StepProblem>> {
        Ok(Arc::new(Dropping(config.0)))
    }
}

struct Dropping(Vec<String>);

impl Step for Dropping {
    fn name(&self) -> &str {
        Drop::NAME
    }
    fn compile(&self, seen: &Seen<'_>) -> Result<Box<dyn CompiledStep>, Vec<StepProblem>> {
        let path = |at: usize| format!("[{at}]");
        let mut dropped = Vec::new();
        let mut problems = Vec::new();
        for (at, name) in self.0.iter().enumerate() {
            match place_of(name, seen.schema) {
                Ok(found) => dropped.push(found),
                Err(unknown) => problems.push(StepProblem { path: path(at), ..*unknown }),
            }
        }
        let columns = seen.schema.fields().fields().len();
        let kept: Vec<Output> =
            (0..columns).filter(|at| !dropped.contains(at)).map(|at| Output::keep(seen.schema, at)).collect();
        if kept.is_empty() && problems.is_empty() {
            problems.push(problem(String::new(), "U0613", "no column would be left".into(), "keep one"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let place = |name: &str| self.0.iter().position(|dropped| dropped == name).map_or_else(String::new, path);
        Ok(Box::new(Projection::new(Drop::NAME, seen, kept, place)?))
    }
}

impl StepVerb for Rename {
    const NAME: &'static str = "rename";
    type Config = RenameConfig;
    fn step(config: RenameConfig) -> Result<Arc<dyn Step>, Vec<StepProblem>> {
        let empty = config.0.iter().filter(|(_, new)| new.is_empty());
        let mut problems: Vec<StepProblem> = empty
            .map(|(old, _)| problem(old.clone(), "U0612", "a column needs a name".into(), "write the new name"))
            .collect();
        if config.0.is_empty() {
            problems.push(problem(
                String::new(),
                "U0613",
                "no column is named".into(),
                "write old: new, or remove the step",
            ));
        }
        if problems.is_empty() { Ok(Arc::new(Renaming(config.0))) } else { Err(problems) }
    }
}

struct Renaming(BTreeMap<String, String>);

impl Step for Renaming {
    fn name(&self) -> &str {
        Rename::NAME
    }
    fn compile(&self, seen: &Seen<'_>) -> Result<Box<dyn CompiledStep>, Vec<StepProblem>> {
        let unknown = |old: &String| Some(StepProblem { path: old.clone(), ..*place_of(old, seen.schema).err()? });
        let problems: Vec<StepProblem> = self.0.keys().filter_map(unknown).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let names = seen.schema.fields().fields().iter().enumerate();
        let outputs = names.map(|(at, field)| {
            let kept = Output::keep(seen.schema, at);
            match self.0.get(field.name()) {
                Some(new) => kept.renamed(new),
                None => kept,
            }
        });
        let place = |wanted: &str| {
            let old = self.0.iter().find(|(_, new)| *new == wanted).map(|(old, _)| old.clone());
            old.unwrap_or_default()
        };
        Ok(Box::new(Projection::new(Rename::NAME, seen, outputs.collect(), place)?))
    }
}

/// Where a column stands, or that there is none.
pub(crate) fn place_of(name: &str, schema: &StreamSchema) -> Result<usize, Box<StepProblem>> {
    schema.fields().index_of(name).map_err(|_| {
        let names: Vec<&str> = schema.fields().fields().iter().map(|f| f.name().as_str()).collect();
        let (label, help) = match nearest(name, names.iter().copied()) {
            Some(meant) => (format!("did you mean `{meant}`?"), format!("did you mean `{meant}`?")),
            None => ("unknown".to_owned(), format!("the columns here are {}", any_of(&names))),
        };
        let message = format!("there is no column `{name}`");
        Box::new(StepProblem { path: String::new(), within: None, code: "U0601", message, label, help })
    })
}

pub(crate) fn problem(path: String, code: &'static str, message: String, help: &str) -> StepProblem {
    StepProblem { path, within: None, code, message, label: String::new(), help: help.to_owned() }
}
