//! SQL expressions over the columns of a batch: parsed once, checked against the columns with the place of each mistake, evaluated
//! for all rows at once.
//!
//! ```text
//! text -> parse (sqlparser's tree) -> lower (types, places, what is allowed) -> Compiled (DataFusion's expressions, ours) -> evaluate
//! ```

mod calendar;
mod evaluate;
#[cfg(test)]
mod extremes;
pub(crate) mod functions;
mod inputs;
pub(crate) mod kind;
mod literals;
mod lower;
mod node;
mod operators;
mod parse;
#[cfg(test)]
mod tests;
mod typed;

pub(crate) use evaluate::{Compiled, Image, Outcome, Reason, Trouble, present};
pub(crate) use kind::Kind;

use parse::Places;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use unbatch_api::{ColumnType, StepProblem, StreamSchema};

/// An expression as it stands in a pipeline file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sql(pub String);

impl<'de> Deserialize<'de> for Sql {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d).map(Sql)
    }
}
impl JsonSchema for Sql {
    fn schema_name() -> Cow<'static, str> {
        "Sql".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "an SQL expression over the columns, such as price * 1.08; the page Steps has the functions",
            "examples": ["price > 0", "price * 1.08", "upper(trim(name))"],
        })
    }
}

/// What is wrong with an expression, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) within: Range<usize>,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) label: String,
    pub(crate) help: String,
}

impl Fault {
    /// At its place in the step's node.
    pub(crate) fn at(self, path: impl Into<String>) -> StepProblem {
        StepProblem {
            path: path.into(),
            within: Some(self.within),
            code: self.code,
            message: self.message,
            label: self.label,
            help: self.help,
        }
    }
}

/// An expression whose text has been read; its columns are not known yet.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    text: Arc<str>,
    tree: Arc<sqlparser::ast::Expr>,
}

impl Parsed {
    pub(crate) fn new(sql: &Sql) -> Result<Self, Fault> {
        Ok(Self { text: sql.0.as_str().into(), tree: Arc::new(parse::parse(&sql.0)?) })
    }

    pub(crate) fn tree(&self) -> &sqlparser::ast::Expr {
        &self.tree
    }
    /// A part of it, whose places are those of the whole text.
    pub(crate) fn part(&self, part: &sqlparser::ast::Expr) -> Self {
        Self { text: self.text.clone(), tree: Arc::new(part.clone()) }
    }

    /// The column that it names, when it is nothing else.
    pub(crate) fn column(&self) -> Option<&str> {
        match &*self.tree {
            sqlparser::ast::Expr::Identifier(name) => Some(&name.value),
            _ => None,
        }
    }

    /// The expression bound to columns.
    pub(crate) fn compile(&self, schema: &StreamSchema) -> Result<Compiled, Fault> {
        let mut lowering = lower::Lowering::new(schema, Places(&self.text));
        let typed = lowering.lower(&self.tree)?;
        Compiled::new(typed, lowering.into_inputs(), None)
    }

    /// The expression as a condition.
    pub(crate) fn compile_condition(&self, schema: &StreamSchema) -> Result<Compiled, Fault> {
        let mut lowering = lower::Lowering::new(schema, Places(&self.text));
        let typed = lowering.lower(&self.tree)?;
        let kind = typed.kind;
        if !matches!(kind, kind::BOOL | Kind::Null) {
            return Err(Fault {
                within: 0..self.text.len(),
                code: "U0607",
                message: format!("a condition must be a bool, and this is {}", typed::article(kind)),
                label: kind.to_string(),
                help: "compare it with something, like price > 0 or country = 'DE'".into(),
            });
        }
        Compiled::new(typed, lowering.into_inputs(), Some(ColumnType::Bool))
    }

    /// The expression turned into a type.
    pub(crate) fn compile_as(&self, schema: &StreamSchema, to: ColumnType) -> Result<Compiled, Fault> {
        let mut lowering = lower::Lowering::new(schema, Places(&self.text));
        let typed = lowering.lower(&self.tree)?;
        Compiled::new(typed, lowering.into_inputs(), Some(to))
    }
}

/// A column turned into a type, as the step `cast` has it.
pub(crate) fn cast_of(column: &str, to: ColumnType, schema: &StreamSchema) -> Result<Compiled, Fault> {
    let mut lowering = lower::Lowering::new(schema, Places(column));
    let typed = lowering.column(column, 0..column.len())?;
    let cast = typed::cast(typed, to, 0..column.len())?;
    Compiled::new(cast, lowering.into_inputs(), None)
}
