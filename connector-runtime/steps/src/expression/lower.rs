//! From the parser's tree to expressions with types. What is not named here is refused: aggregates, windows, subqueries, and all
//! that would not give the same for the same row.

mod forms;

use super::Fault;
use super::functions;
use super::inputs::{Input, Inputs, Meta};
use super::kind::{BOOL, Kind, holding, named};
use super::literals::{interval, literal};
use super::node::Op;
use super::operators::{arithmetic, comparison, concatenated, does_not_take, logic, negated, truth};
use super::parse::Places;
use super::typed::{Typed, cast, common, taken_for};
use crate::words::{any_of, nearest};
use datafusion_expr::Operator;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{self, Column};
use sqlparser::ast::{BinaryOperator, CastKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};
use sqlparser::ast::{Ident, Spanned, UnaryOperator};
use std::ops::Range;
use std::sync::Arc;
use unbatch_api::StreamSchema;
use unbatch_api::arrow::datatypes::Schema;

type Result<T = Typed> = std::result::Result<T, Fault>;

/// Binds names to the columns of a schema.
pub(crate) struct Lowering<'a> {
    schema: &'a StreamSchema,
    places: Places<'a>,
    inputs: Inputs,
}

impl<'a> Lowering<'a> {
    pub(crate) fn new(schema: &'a StreamSchema, places: Places<'a>) -> Self {
        Self { schema, places, inputs: Inputs::default() }
    }

    pub(crate) fn into_inputs(self) -> Inputs {
        self.inputs
    }

    pub(crate) fn lower(&mut self, expr: &Expr) -> Result {
        let within = self.range(expr);
        match expr {
            Expr::Identifier(name) => self.name(name),
            Expr::CompoundIdentifier(names) => self.meta(names, within),
            Expr::Value(value) => literal(&value.value, within),
            Expr::Nested(inner) => self.lower(inner),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr, within),
            Expr::BinaryOp { left, op, right } => {
                let (left, right) = (self.lower(left)?, self.lower(right)?);
                self.binary(op, left, right, within)
            }
            Expr::IsDistinctFrom(left, right) => self.compared(Operator::IsDistinctFrom, left, right, within),
            Expr::IsNotDistinctFrom(left, right) => self.compared(Operator::IsNotDistinctFrom, left, right, within),
            Expr::Cast { kind, expr, data_type, format: None, .. } => self.cast(kind, expr, data_type, within),
            Expr::TypedString(typed) => forms::typed_string(typed, within),
            Expr::Interval(value) => {
                let text = forms::interval_text(value);
                let text = text.ok_or_else(|| unsupported(within.clone(), "this way of writing a span of time"))?;
                interval(&text, within)
            }
            Expr::Function(function) => self.function(function, within),
            _ => self.form(expr, within),
        }
    }

    fn range(&self, expr: &Expr) -> Range<usize> {
        self.places.range(expr.span())
    }

    fn input_schema(&self) -> Schema {
        self.inputs.schema()
    }

    fn name(&mut self, name: &Ident) -> Result {
        let within = self.places.range(name.span);
        // words that SQL takes for functions even without parentheses
        if name.quote_style.is_none() && self.schema.fields().index_of(&name.value).is_err() {
            let word = name.value.to_lowercase();
            if word.starts_with("current_") || word.starts_with("localtime") {
                functions::check_name(&word, &within)?;
            }
        }
        let found = self.column(&name.value, within);
        found.map_err(|fault| match name.quote_style {
            Some('"') if fault.code == "U0601" && !fault.label.starts_with("did you mean") => {
                Fault { help: format!("a text stands in single quotes: '{}'", name.value), ..fault }
            }
            _ => fault,
        })
    }

    /// A column by its name, exactly as it is written.
    pub(crate) fn column(&mut self, name: &str, within: Range<usize>) -> Result {
        let fields = self.schema.fields();
        let Ok(at) = fields.index_of(name) else {
            return Err(unknown_column(name, self.schema, within));
        };
        let data_type = fields.field(at).data_type();
        let Some(kind) = holding(data_type).filter(|kind| kind.to_arrow() == *data_type) else {
            return Err(Fault {
                within,
                code: "U0605",
                message: format!("column `{name}` is of type {data_type}, which expressions cannot read"),
                label: String::new(),
                help: "leave it out of the expression; it goes through as it is".into(),
            });
        };
        let place = self.inputs.place(Input::Column(at), name, data_type.clone());
        Ok(Typed { expr: Arc::new(Column::new(name, place)), kind, within, is_constant: false })
    }

    fn meta(&mut self, names: &[Ident], within: Range<usize>) -> Result {
        let [first, name] = names else { return Err(unsupported(within, "a name with more than one dot")) };
        if first.value != "meta" {
            return Err(Fault {
                within,
                code: "U0601",
                message: format!("there is no `{}`: names have no table before a dot", first.value),
                label: "unknown".into(),
                help: format!("write {}, or a name with dots in double quotes", name.value),
            });
        }
        let Some((word, meta)) = Meta::ALL.into_iter().find(|(word, _)| *word == name.value) else {
            let known = Meta::ALL.map(|(word, _)| word);
            let label = match nearest(&name.value, known) {
                Some(meant) => format!("did you mean `meta.{meant}`?"),
                None => "unknown".to_owned(),
            };
            return Err(Fault {
                within,
                code: "U0601",
                message: format!("there is no `meta.{}`", name.value),
                label,
                help: format!("there are {}", any_of(&known.map(|word| format!("meta.{word}")))),
            });
        };
        let column_type = meta.column_type();
        let name = format!("meta.{word}");
        let place = self.inputs.place(Input::Meta(meta), &name, column_type.to_arrow());
        let expr: Arc<dyn PhysicalExpr> = Arc::new(Column::new(&name, place));
        Ok(Typed { expr, kind: Kind::Of(column_type), within, is_constant: false })
    }

    fn unary(&mut self, op: UnaryOperator, expr: &Expr, within: Range<usize>) -> Result {
        let value = self.lower(expr)?;
        match op {
            UnaryOperator::Minus => negated(value, within),
            UnaryOperator::Plus if value.kind.is_number() => Ok(value),
            UnaryOperator::Not => {
                let value = truth(value, "not")?;
                Ok(Typed { expr: Arc::new(expressions::NotExpr::new(value.expr)), ..value })
            }
            _ => Err(unsupported(within, &format!("the operator `{op}`"))),
        }
    }

    fn compared(&mut self, op: Operator, left: &Expr, right: &Expr, within: Range<usize>) -> Result {
        let (left, right) = (self.lower(left)?, self.lower(right)?);
        comparison(op, left, right, within)
    }

    fn binary(&self, op: &BinaryOperator, left: Typed, right: Typed, within: Range<usize>) -> Result {
        let compare = |op| comparison(op, left.clone(), right.clone(), within.clone());
        match op {
            BinaryOperator::Plus => arithmetic(Op::Add, left, right, within),
            BinaryOperator::Minus => arithmetic(Op::Subtract, left, right, within),
            BinaryOperator::Multiply => arithmetic(Op::Multiply, left, right, within),
            BinaryOperator::Divide => arithmetic(Op::Divide, left, right, within),
            BinaryOperator::Modulo => arithmetic(Op::Remainder, left, right, within),
            BinaryOperator::And => logic(Op::And, left, right, within),
            BinaryOperator::Or => logic(Op::Or, left, right, within),
            BinaryOperator::Eq => compare(Operator::Eq),
            BinaryOperator::NotEq => compare(Operator::NotEq),
            BinaryOperator::Lt => compare(Operator::Lt),
            BinaryOperator::LtEq => compare(Operator::LtEq),
            BinaryOperator::Gt => compare(Operator::Gt),
            BinaryOperator::GtEq => compare(Operator::GtEq),
            BinaryOperator::StringConcat => concatenated(left, right, within),
            _ => Err(unsupported(within, &format!("the operator `{op}`"))),
        }
    }

    fn cast(&mut self, kind: &CastKind, expr: &Expr, to: &sqlparser::ast::DataType, within: Range<usize>) -> Result {
        let to = named(to).map_err(|message| Fault {
            within: within.clone(),
            code: "U0614",
            message,
            label: String::new(),
            help: "write cast(price as decimal(12,2)), cast(day as date)".into(),
        })?;
        let value = self.lower(expr)?;
        match kind {
            CastKind::Cast | CastKind::DoubleColon => cast(value, to, within),
            // null where the value does not fit
            CastKind::TryCast | CastKind::SafeCast => {
                if !value.kind.casts_to(to) {
                    return cast(value, to, within);
                }
                let expr: Arc<dyn PhysicalExpr> = Arc::new(expressions::TryCastExpr::new(value.expr, to.to_arrow()));
                Typed { expr, kind: Kind::Of(to), within, is_constant: value.is_constant }.folded()
            }
        }
    }

    fn function(&mut self, function: &Function, within: Range<usize>) -> Result {
        let word = self.places.range(function.name.span());
        let name = function.name.to_string().to_lowercase();
        functions::check_name(&name, &word)?;
        let is_plain = function.over.is_none() && function.filter.is_none() && function.within_group.is_empty();
        let args = match &function.args {
            FunctionArguments::List(list)
                if is_plain && list.duplicate_treatment.is_none() && list.clauses.is_empty() =>
            {
                &list.args[..]
            }
            FunctionArguments::None if is_plain => &[],
            _ => return Err(many_rows(word)),
        };
        let mut typed = Vec::with_capacity(args.len());
        for arg in args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => typed.push(self.lower(expr)?),
                _ => return Err(unsupported(word, "an argument with a name, or `*`")),
            }
        }
        self.call(&name, typed, within, word)
    }

    /// A function, or a form of ours that looks like one.
    fn call(&self, name: &str, args: Vec<Typed>, within: Range<usize>, word: Range<usize>) -> Result {
        match (name, &args[..]) {
            ("coalesce", [_, ..]) | ("ifnull" | "nvl", [_, _]) => forms::coalesce(args, within, &self.input_schema()),
            ("nvl2", [test, some, none]) => {
                let test = forms::null_test(test.clone(), true);
                let branches = vec![(test, some.clone())];
                forms::case(branches, Some(none.clone()), within, &self.input_schema())
            }
            ("nullif", [value, other]) => {
                let same = comparison(Operator::Eq, value.clone(), other.clone(), within.clone())?;
                let null = forms::null(within.clone());
                forms::case(vec![(same, null)], Some(value.clone()), within, &self.input_schema())
            }
            ("mod", [a, b]) => arithmetic(Op::Remainder, a.clone(), b.clone(), within),
            _ => functions::call(name, args, within, word, &self.input_schema()),
        }
    }
}

pub(crate) fn unknown_column(name: &str, schema: &StreamSchema, within: Range<usize>) -> Fault {
    let names: Vec<&str> = schema.fields().fields().iter().map(|f| f.name().as_str()).collect();
    let (label, help) = match nearest(name, names.iter().copied()) {
        Some(meant) => (format!("did you mean `{meant}`?"), format!("did you mean `{meant}`?")),
        None => ("unknown".to_owned(), format!("the columns here are {}", any_of(&names))),
    };
    Fault { within, code: "U0601", message: format!("there is no column `{name}`"), label, help }
}

fn many_rows(within: Range<usize>) -> Fault {
    Fault {
        within,
        code: "U0608",
        message: "aggregates, windows and subqueries work on many rows, and a step sees one row at a time".into(),
        label: "over many rows".into(),
        help: "compute it where the rows arrive".into(),
    }
}

fn unsupported(within: Range<usize>, what: &str) -> Fault {
    Fault {
        within,
        code: "U0609",
        message: format!("{what} is not taken in expressions"),
        label: String::new(),
        help: "the page Steps of the documentation says what can be written".into(),
    }
}
