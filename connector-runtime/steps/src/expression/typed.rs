//! An expression with its type and place, and how one type becomes another.

use super::Fault;
use super::evaluate::reason_of;
use super::kind::{DIGITS_MAX, Kind, STRING, holding};
use super::node::{Node, Op};
use super::operators::unary;
use datafusion_common::ScalarValue;
use datafusion_common::format::DEFAULT_CAST_OPTIONS;
use datafusion_expr::ColumnarValue;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{CastExpr, Literal};
use std::ops::Range;
use std::sync::Arc;
use unbatch_api::ColumnType;
use unbatch_api::arrow::array::{RecordBatch, RecordBatchOptions};
use unbatch_api::arrow::datatypes::{DataType, Schema};

/// A part of an expression.
#[derive(Clone)]
pub(crate) struct Typed {
    pub(crate) expr: Arc<dyn PhysicalExpr>,
    pub(crate) kind: Kind,
    /// Bytes of the text.
    pub(crate) within: Range<usize>,
    /// Reads no column.
    pub(crate) is_constant: bool,
}

impl Typed {
    pub(crate) fn literal(value: ScalarValue, kind: Kind, within: Range<usize>) -> Self {
        Self { expr: Arc::new(Literal::new(value)), kind, within, is_constant: true }
    }

    /// The value, when it is known already.
    pub(crate) fn value(&self) -> Option<&ScalarValue> {
        self.expr.as_any().downcast_ref::<Literal>().map(Literal::value)
    }

    /// A text that stands in the expression itself.
    pub(crate) fn text(&self) -> Option<&str> {
        match self.value() {
            Some(ScalarValue::Utf8(Some(text))) => Some(text),
            _ => None,
        }
    }

    /// Digits before the point and after it; of a whole number that stands in the expression, as many as it has.
    pub(crate) fn digits(&self) -> Option<(u8, u8)> {
        match self.kind {
            Kind::Of(ColumnType::Decimal { precision, scale }) => Some((precision - scale as u8, scale as u8)),
            Kind::Of(ColumnType::Int32) => Some((10, 0)),
            Kind::Of(ColumnType::Int64) => match self.value() {
                Some(ScalarValue::Int64(Some(number))) => {
                    Some((number.unsigned_abs().checked_ilog10().map_or(1, |d| d as u8 + 1), 0))
                }
                _ => Some((19, 0)),
            },
            _ => None,
        }
    }

    /// What is known before any row is worked out once, and what is wrong with it told now.
    pub(crate) fn folded(self) -> Result<Self, Fault> {
        if !self.is_constant || self.value().is_some() {
            return Ok(self);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let one_row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options);
        let value = one_row.map_err(Into::into).and_then(|row| match self.expr.evaluate(&row)? {
            ColumnarValue::Scalar(value) => Ok(value),
            ColumnarValue::Array(values) => ScalarValue::try_from_array(&values, 0),
        });
        match value {
            Ok(value) => Ok(Self::literal(value, self.kind, self.within)),
            Err(error) => Err(Fault {
                within: self.within,
                code: "U0610",
                message: format!("this fails whatever the row: {}", reason_of(&error).words()),
                label: String::new(),
                help: "it reads no column; write what is meant".into(),
            }),
        }
    }

    /// As a type that holds it without loss, or nearly so (a float); the kinds are known to fit.
    pub(crate) fn widened(self, to: ColumnType) -> Self {
        if self.kind == Kind::Of(to) {
            return self;
        }
        if let (Some(ScalarValue::Int64(Some(number))), ColumnType::Decimal { precision, scale }) = (self.value(), to) {
            let lifted = 10_i128.checked_pow(scale as u32).and_then(|factor| i128::from(*number).checked_mul(factor));
            if let Some(value) = lifted {
                return Self::literal(
                    ScalarValue::Decimal128(Some(value), precision, scale),
                    Kind::Of(to),
                    self.within,
                );
            }
        }
        self.turned_into(&to.to_arrow(), Kind::Of(to))
    }

    /// Cast, whatever it may lose; fails for a row whose value does not fit.
    pub(crate) fn turned_into(self, data_type: &DataType, kind: Kind) -> Self {
        let expr: Arc<dyn PhysicalExpr> =
            Arc::new(CastExpr::new(self.expr, data_type.clone(), Some(DEFAULT_CAST_OPTIONS)));
        Self { expr, kind, ..self }
    }

    /// A function's result as one of our types.
    pub(crate) fn normalised(self, data_type: &DataType, what: &str) -> Result<Self, Fault> {
        let Some(kind) = holding(data_type) else {
            return Err(Fault {
                code: "U0605",
                message: format!("{what} gives a {data_type}, which no column can hold"),
                label: String::new(),
                help: "choose a function whose result is a number, a text, a date or a bool".into(),
                within: self.within,
            });
        };
        let typed = match kind {
            Kind::Interval | Kind::Null => Self { kind, ..self },
            Kind::Of(column_type) if column_type.to_arrow() == *data_type => Self { kind, ..self },
            Kind::Of(column_type) => self.turned_into(&column_type.to_arrow(), kind),
        };
        Ok(match typed.kind {
            Kind::Of(ColumnType::Float64) => typed.finite(),
            _ => typed,
        })
    }

    fn finite(self) -> Self {
        let node = Node { op: Op::Finite, args: vec![self.expr], result: DataType::Float64 };
        Self { expr: Arc::new(node), ..self }
    }
}

/// `cast(… as to)`.
pub(crate) fn cast(typed: Typed, to: ColumnType, within: Range<usize>) -> Result<Typed, Fault> {
    let from = typed.kind;
    if from == Kind::Of(to) {
        return Ok(Typed { within, ..typed });
    }
    if !from.casts_to(to) {
        let help = match (from.is_number(), to) {
            (true, ColumnType::Timestamp) => "from_unixtime(seconds) makes a timestamp of a number",
            (true, ColumnType::Date) => "make_date(year, month, day) makes a date of numbers",
            _ => "cast it to string first, if its text is meant",
        };
        return Err(Fault {
            within,
            code: "U0614",
            message: format!("{} cannot be cast to {to}", article(from)),
            label: from.to_string(),
            help: help.into(),
        });
    }
    // casts to whole numbers cut digits off; SQL rounds
    let rounded = match from {
        Kind::Of(ColumnType::Decimal { precision, scale }) if Kind::Of(to).is_whole() && scale > 0 => {
            let whole = ColumnType::Decimal { precision: (precision - scale as u8 + 1).min(DIGITS_MAX), scale: 0 };
            typed.turned_into(&whole.to_arrow(), Kind::Of(whole))
        }
        Kind::Of(ColumnType::Float64) if Kind::Of(to).is_whole() => unary(Op::Round, typed),
        _ => typed,
    };
    let cast = rounded.turned_into(&to.to_arrow(), Kind::Of(to));
    let cast = if to == ColumnType::Float64 { cast.finite() } else { cast };
    Typed { within, ..cast }.folded()
}

/// The one type that all of these can be taken for without being cast by hand.
pub(crate) fn common(all: &[&Typed]) -> Option<Kind> {
    let mut found = Kind::Null;
    let mut digits = (0, 0);
    for typed in all {
        let kind = typed.kind;
        if kind == Kind::Null {
            continue;
        }
        if let Some((before, after)) = typed.digits() {
            digits = (digits.0.max(before), digits.1.max(after));
        }
        found = match (found, kind) {
            (Kind::Null, kind) => kind,
            (a, b) if a == b => a,
            (a, b) if a.is_whole() && b.is_whole() => super::kind::INT64,
            (a, b) if a.is_number() && b.is_number() => {
                let float = Kind::Of(ColumnType::Float64);
                if a == float || b == float {
                    float
                } else {
                    // filled in below, when all digits are known
                    Kind::Of(ColumnType::Decimal { precision: DIGITS_MAX, scale: 0 })
                }
            }
            (a, b) if a.is_time() && b.is_time() => Kind::Of(ColumnType::Timestamp),
            (a, STRING) if a.is_time() && typed.text().is_some() => a,
            (STRING, b) if b.is_time() && all.iter().all(|t| t.kind != STRING || t.text().is_some()) => b,
            _ => return None,
        };
    }
    if let Kind::Of(ColumnType::Decimal { .. }) = found {
        let precision = digits.0 + digits.1;
        if precision > DIGITS_MAX {
            return None;
        }
        found = Kind::Of(ColumnType::Decimal { precision: precision.max(1), scale: digits.1 as i8 });
    }
    Some(found)
}

/// Taken for the common type, which it is known to fit.
pub(crate) fn taken_for(typed: Typed, kind: Kind) -> Result<Typed, Fault> {
    match kind {
        Kind::Of(to) if typed.kind != kind => {
            let is_text = typed.text().is_some();
            let within = typed.within.clone();
            typed.widened(to).folded().map_err(|fault| match is_text {
                true => Fault {
                    within,
                    code: "U0605",
                    message: format!("this text is not a {to}"),
                    label: format!("no {to}"),
                    help: "dates are written '2024-12-31', timestamps '2024-12-31T23:59:59Z'".into(),
                },
                false => fault,
            })
        }
        _ => Ok(typed),
    }
}

/// `a string`, `an int64`.
pub(crate) fn article(kind: Kind) -> String {
    match kind {
        Kind::Of(ColumnType::Int32 | ColumnType::Int64) | Kind::Interval => format!("an {kind}"),
        Kind::Null => "null".to_owned(),
        _ => format!("a {kind}"),
    }
}
