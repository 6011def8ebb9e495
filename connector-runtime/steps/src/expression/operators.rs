//! What `+`, `=`, `and` and the like take and give.
//!
//! Whole numbers: int64, and `/` cuts like SQL's. Decimals are exact: a sum has the larger scale and one digit more, a product the
//! digits of both, a quotient at least six digits after the point (four more than the dividend), rounded half away from zero; no
//! result has more than 38 digits. With a float everything is a float. Nothing wraps around.

use super::Fault;
use super::kind::{BOOL, DIGITS_MAX, INT64, Kind, STRING};
use super::node::{Node, Op};
use super::typed::{Typed, article, common, taken_for};
use datafusion_common::ScalarValue;
use datafusion_expr::Operator;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::BinaryExpr;
use std::ops::Range;
use std::sync::Arc;
use unbatch_api::ColumnType;
use unbatch_api::arrow::datatypes::DataType;

const FLOAT: Kind = Kind::Of(ColumnType::Float64);
const DATE: Kind = Kind::Of(ColumnType::Date);

/// Digits after the point that a quotient has at least, and more than its dividend.
const QUOTIENT_SCALE_MIN: u8 = 6;
const QUOTIENT_SCALE_MORE: u8 = 4;

fn sign(op: Op) -> &'static str {
    match op {
        Op::Add => "+",
        Op::Subtract => "-",
        Op::Multiply => "*",
        Op::Divide => "/",
        Op::Remainder => "%",
        Op::And => "and",
        Op::Or => "or",
        Op::Finite | Op::Round | Op::Truncate(_) => "",
    }
}

/// `left op right` for numbers, dates and spans of time.
pub(crate) fn arithmetic(op: Op, left: Typed, right: Typed, within: Range<usize>) -> Result<Typed, Fault> {
    let (l, r) = (left.kind, right.kind);
    let done = match (l, r) {
        (Kind::Null, other) | (other, Kind::Null) if other.is_number() || other == Kind::Null => {
            let kind = if other == Kind::Null { INT64 } else { other };
            return Ok(Typed { within, ..taken_for(Typed::literal(ScalarValue::Null, Kind::Null, 0..0), kind)? });
        }
        _ if l.is_number() && r.is_number() => numbers(op, left, right, within.clone())?,
        (_, Kind::Interval) if l.is_time() && matches!(op, Op::Add | Op::Subtract) => node(op, left, right, l),
        (Kind::Interval, _) if r.is_time() && op == Op::Add => node(op, right, left, r),
        (DATE, DATE) if op == Op::Subtract => node(op, days(left), days(right), INT64),
        (DATE, _) if r.is_whole() && matches!(op, Op::Add | Op::Subtract) => {
            let number = node(op, days(left), right.widened(ColumnType::Int64), INT64);
            let int = Kind::Of(ColumnType::Int32);
            number.turned_into(&DataType::Int32, int).turned_into(&DataType::Date32, DATE)
        }
        _ => return Err(does_not_take(sign(op), &left, &right, within)),
    };
    Typed { within, ..done }.folded()
}

/// Days since 1970.
fn days(date: Typed) -> Typed {
    date.turned_into(&DataType::Int32, Kind::Of(ColumnType::Int32)).turned_into(&DataType::Int64, INT64)
}

fn node(op: Op, left: Typed, right: Typed, kind: Kind) -> Typed {
    let is_constant = left.is_constant && right.is_constant;
    let node = Node { op, args: vec![left.expr, right.expr], result: kind.to_arrow() };
    Typed { expr: Arc::new(node), kind, within: 0..0, is_constant }
}

fn numbers(op: Op, left: Typed, right: Typed, within: Range<usize>) -> Result<Typed, Fault> {
    if left.kind == FLOAT || right.kind == FLOAT {
        return Ok(node(op, left.widened(ColumnType::Float64), right.widened(ColumnType::Float64), FLOAT));
    }
    if left.kind.is_whole() && right.kind.is_whole() {
        return Ok(node(op, left.widened(ColumnType::Int64), right.widened(ColumnType::Int64), INT64));
    }
    let (Some((l_before, l_scale)), Some((r_before, r_scale))) = (left.digits(), right.digits()) else {
        return Err(does_not_take(sign(op), &left, &right, within));
    };
    let decimal = |before: u8, scale: u8| {
        let precision = (before + scale).clamp(1, DIGITS_MAX);
        ColumnType::Decimal { precision, scale: scale as i8 }
    };
    let result = match op {
        Op::Add | Op::Subtract => decimal(l_before.max(r_before) + 1, l_scale.max(r_scale)),
        Op::Remainder => decimal(l_before.min(r_before), l_scale.max(r_scale)),
        Op::Multiply => decimal(l_before + r_before, l_scale + r_scale),
        _ => {
            let scale = QUOTIENT_SCALE_MIN.max(l_scale + QUOTIENT_SCALE_MORE).max(r_scale);
            decimal(l_before + r_scale, scale)
        }
    };
    let ColumnType::Decimal { scale, .. } = result else { return Err(does_not_take(sign(op), &left, &right, within)) };
    if scale as u8 > DIGITS_MAX {
        return Err(Fault {
            within,
            code: "U0605",
            message: format!(
                "the result would have {scale} digits after the point, and a decimal has {DIGITS_MAX} in all"
            ),
            label: String::new(),
            help: "cast one side to a decimal with fewer digits".into(),
        });
    }
    // sums and remainders need one scale; products and quotients each their own
    let (l_type, r_type) = match op {
        Op::Add | Op::Subtract | Op::Remainder => {
            (decimal(l_before, l_scale.max(r_scale)), decimal(r_before, l_scale.max(r_scale)))
        }
        _ => (decimal(l_before, l_scale), decimal(r_before, r_scale)),
    };
    Ok(node(op, left.widened(l_type), right.widened(r_type), Kind::Of(result)))
}

/// One of ours with one argument.
pub(crate) fn unary(op: Op, value: Typed) -> Typed {
    let node = Node { op, args: vec![value.expr], result: value.kind.to_arrow() };
    Typed { expr: Arc::new(node), ..value }
}

/// `-value`
pub(crate) fn negated(value: Typed, within: Range<usize>) -> Result<Typed, Fault> {
    if !value.kind.is_number() && value.kind != Kind::Null {
        return Err(Fault {
            message: format!("`-` does not take {}", article(value.kind)),
            label: value.kind.to_string(),
            help: cast_help(&[&value]),
            within: value.within,
            code: "U0605",
        });
    }
    let zero = Typed::literal(ScalarValue::Int64(Some(0)), INT64, within.clone());
    // a value and its negative have the same digits
    let kind = value.kind;
    let difference = arithmetic(Op::Subtract, zero, value, within)?;
    match (difference.kind, kind) {
        (Kind::Of(ColumnType::Decimal { .. }), Kind::Of(to @ ColumnType::Decimal { .. })) => {
            difference.turned_into(&to.to_arrow(), kind).folded()
        }
        _ => Ok(difference),
    }
}

/// `and`, `or`.
pub(crate) fn logic(op: Op, left: Typed, right: Typed, within: Range<usize>) -> Result<Typed, Fault> {
    let (left, right) = (truth(left, sign(op))?, truth(right, sign(op))?);
    Ok(Typed { within, ..node(op, left, right, BOOL) })
}

/// A condition, as `and`, `not` and `case when` need it.
pub(crate) fn truth(value: Typed, what: &str) -> Result<Typed, Fault> {
    match value.kind {
        BOOL => Ok(value),
        Kind::Null => taken_for(value, BOOL),
        kind => Err(Fault {
            within: value.within,
            code: "U0605",
            message: format!("`{what}` takes conditions, and this is {}", article(kind)),
            label: kind.to_string(),
            help: "compare it with something, like price > 0".into(),
        }),
    }
}

/// `=`, `<` and the like, and `is distinct from`.
pub(crate) fn comparison(op: Operator, left: Typed, right: Typed, within: Range<usize>) -> Result<Typed, Fault> {
    let what = op.to_string().to_lowercase();
    let kind = match common(&[&left, &right]) {
        Some(Kind::Null) => BOOL,
        Some(kind) if kind != Kind::Interval => kind,
        _ => return Err(does_not_take(&what, &left, &right, within)),
    };
    let is_constant = left.is_constant && right.is_constant;
    let (left, right) = (taken_for(left, kind)?, taken_for(right, kind)?);
    let expr: Arc<dyn PhysicalExpr> = Arc::new(BinaryExpr::new(left.expr, op, right.expr));
    Typed { expr, kind: BOOL, within, is_constant }.folded()
}

/// `left || right`: texts one after the other; null when one is.
pub(crate) fn concatenated(left: Typed, right: Typed, within: Range<usize>) -> Result<Typed, Fault> {
    let is_constant = left.is_constant && right.is_constant;
    if left.kind == Kind::Interval || right.kind == Kind::Interval {
        return Err(does_not_take("||", &left, &right, within));
    }
    let (left, right) = (as_text(left)?, as_text(right)?);
    let expr: Arc<dyn PhysicalExpr> = Arc::new(BinaryExpr::new(left.expr, Operator::StringConcat, right.expr));
    Typed { expr, kind: STRING, within, is_constant }.folded()
}

fn as_text(value: Typed) -> Result<Typed, Fault> {
    let within = value.within.clone();
    super::typed::cast(value, ColumnType::String, within)
}

/// Both types, and how the sides can be made to fit.
pub(crate) fn does_not_take(what: &str, left: &Typed, right: &Typed, within: Range<usize>) -> Fault {
    Fault {
        within,
        code: "U0605",
        message: format!("`{what}` does not take {} and {}", article(left.kind), article(right.kind)),
        label: format!("{} {what} {}", left.kind, right.kind),
        help: cast_help(&[left, right]),
    }
}

fn cast_help(sides: &[&Typed]) -> String {
    let text = sides.iter().find(|side| side.kind == STRING);
    let other = sides.iter().find(|side| side.kind != STRING && side.kind != Kind::Null);
    match (text, other.map(|side| side.kind)) {
        (Some(_), Some(Kind::Of(to))) => format!("cast the string: cast(… as {to})"),
        (Some(_), _) => "cast the string: cast(… as decimal(12,2)), cast(… as date)".into(),
        _ => "cast one side to the type of the other: cast(… as TYPE)".into(),
    }
}
