//! What we evaluate ourselves: arithmetic that never wraps around or loses digits, and conditions whose second half is not asked
//! where the first decides. The rest is DataFusion's.

use super::calendar::{Unit, truncated};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::ColumnarValue;
use datafusion_physical_expr::PhysicalExpr;
use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use unbatch_api::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Datum, Decimal128Array, RecordBatch};
use unbatch_api::arrow::compute::kernels::{arity, boolean, numeric};
use unbatch_api::arrow::datatypes::{DataType, Decimal128Type, Float64Type, Schema, i256};
use unbatch_api::arrow::error::ArrowError;

/// What a [`Node`] does with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    And,
    Or,
    /// Passes numbers on and fails for those that are none.
    Finite,
    /// A float to its whole number, half away from zero.
    Round,
    /// A date or timestamp to the beginning of its unit.
    Truncate(Unit),
}

/// An operation of ours in a tree of DataFusion's expressions. Arguments have the types that the operation works with; decimals
/// have one scale for sums and remainders.
#[derive(Debug, Eq)]
pub(crate) struct Node {
    pub(crate) op: Op,
    pub(crate) args: Vec<Arc<dyn PhysicalExpr>>,
    pub(crate) result: DataType,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op && self.args == other.args && self.result == other.result
    }
}

impl Hash for Node {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.op.hash(state);
        self.args.hash(state);
        self.result.hash(state);
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}(", self.op)?;
        for (i, arg) in self.args.iter().enumerate() {
            write!(f, "{}{arg}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str(")")
    }
}

impl PhysicalExpr for Node {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(self.result.clone())
    }
    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let first = self.args[0].evaluate(batch)?;
        match self.op {
            Op::Finite => finite(first),
            Op::Round => mapped(&first, |values| {
                let numbers = values.as_primitive::<Float64Type>();
                Ok(Arc::new(numbers.unary::<_, Float64Type>(f64::round)))
            }),
            Op::Truncate(unit) => mapped(&first, |values| truncated(values, unit)),
            Op::And | Op::Or => self.condition(batch, first),
            _ => self.arithmetic(&first, &self.args[1].evaluate(batch)?),
        }
    }
    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.args.iter().collect()
    }
    fn with_new_children(self: Arc<Self>, args: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Node { op: self.op, args, result: self.result.clone() }))
    }
    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Node {
    /// Both halves for all rows at once; only when the second fails is it asked again, for the rows that the first leaves open.
    fn condition(&self, batch: &RecordBatch, first: ColumnarValue) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let first = first.into_array(rows)?;
        let second = match self.args[1].evaluate(batch) {
            Ok(second) => second,
            Err(_) => {
                let decided = self.op == Op::Or;
                let known = first.as_boolean();
                let open: BooleanArray =
                    (0..rows).map(|row| Some(known.is_null(row) || known.value(row) != decided)).collect();
                self.args[1].evaluate_selection(batch, &open)?
            }
        };
        let second = second.into_array(rows)?;
        let kleene = if self.op == Op::And { boolean::and_kleene } else { boolean::or_kleene };
        let values = kleene(first.as_boolean(), second.as_boolean())?;
        Ok(ColumnarValue::Array(Arc::new(values)))
    }

    fn arithmetic(&self, left: &ColumnarValue, right: &ColumnarValue) -> Result<ColumnarValue> {
        let are_scalars = matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let (left, right) = (operand(left)?, operand(right)?);
        let values = match (&self.result, self.op) {
            (DataType::Decimal128(precision, scale), Op::Divide) => divided(&*left, &*right, *precision, *scale)?,
            (DataType::Decimal128(precision, scale), _) => {
                let values = self.kernel(&*left, &*right)?;
                within_digits(&values, *precision, *scale)?
            }
            _ => self.kernel(&*left, &*right)?,
        };
        let values = match self.result {
            DataType::Float64 => all_finite(values)?,
            _ => values,
        };
        match are_scalars {
            true => ScalarValue::try_from_array(&values, 0).map(ColumnarValue::Scalar),
            false => Ok(ColumnarValue::Array(values)),
        }
    }

    fn kernel(&self, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef> {
        let done = match self.op {
            Op::Add => numeric::add(left, right),
            Op::Subtract => numeric::sub(left, right),
            Op::Multiply => numeric::mul(left, right),
            Op::Divide => numeric::div(left, right),
            _ => numeric::rem(left, right),
        };
        Ok(done?)
    }
}

/// A value of one argument.
fn mapped(value: &ColumnarValue, map: impl Fn(&ArrayRef) -> Result<ArrayRef>) -> Result<ColumnarValue> {
    Ok(match value {
        ColumnarValue::Array(values) => ColumnarValue::Array(map(values)?),
        ColumnarValue::Scalar(scalar) => {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&map(&scalar.to_array_of_size(1)?)?, 0)?)
        }
    })
}

fn operand(value: &ColumnarValue) -> Result<Box<dyn Datum>> {
    Ok(match value {
        ColumnarValue::Array(array) => Box::new(array.clone()),
        ColumnarValue::Scalar(scalar) => Box::new(scalar.to_scalar()?),
    })
}

fn finite(value: ColumnarValue) -> Result<ColumnarValue> {
    Ok(match value {
        ColumnarValue::Array(values) => ColumnarValue::Array(all_finite(values)?),
        ColumnarValue::Scalar(ScalarValue::Float64(Some(number))) if !number.is_finite() => return Err(no_number()),
        scalar => scalar,
    })
}

fn all_finite(values: ArrayRef) -> Result<ArrayRef> {
    let numbers = values.as_primitive::<Float64Type>();
    // what stands under a null does not count, but almost never is one there
    let all = numbers.values().iter().all(|n| n.is_finite()) || numbers.iter().flatten().all(f64::is_finite);
    if all { Ok(values) } else { Err(no_number()) }
}

fn no_number() -> DataFusionError {
    ArrowError::ArithmeticOverflow("not a finite number".to_owned()).into()
}

/// Gives whole numbers of the last digit the precision and scale of the result. Kernels have room for more digits than a decimal.
fn within_digits(values: &ArrayRef, precision: u8, scale: i8) -> Result<ArrayRef> {
    let values = values.as_primitive::<Decimal128Type>().clone();
    let room = match values.data_type() {
        DataType::Decimal128(has, _) => *has,
        _ => u8::MAX,
    };
    let values = values.with_precision_and_scale(precision, scale)?;
    if room > precision || precision == super::kind::DIGITS_MAX {
        values.validate_decimal_precision(precision)?;
    }
    Ok(Arc::new(values))
}

/// `left / right` with `scale` digits after the point, rounded half away from zero.
fn divided(left: &dyn Datum, right: &dyn Datum, precision: u8, scale: i8) -> Result<ArrayRef> {
    let (left_values, left_is_one) = left.get();
    let (right_values, right_is_one) = right.get();
    let scale_of = |values: &dyn Array| match values.data_type() {
        DataType::Decimal128(_, scale) => *scale,
        _ => 0,
    };
    // left / 10^l  :  right / 10^r  =  (left * 10^(scale - l + r) / right) / 10^scale
    let lift = i32::from(scale) - i32::from(scale_of(left_values)) + i32::from(scale_of(right_values));
    let lift = u32::try_from(lift).map_err(|_| overflow())?;
    let factor = i256::from_i128(10).checked_pow(lift).ok_or_else(overflow)?;
    let quotient = |left: i128, right: i128| -> std::result::Result<i128, ArrowError> {
        if right == 0 {
            return Err(ArrowError::DivideByZero);
        }
        let dividend = i256::from_i128(left).checked_mul(factor).ok_or_else(overflow)?;
        let divisor = i256::from_i128(right);
        let whole = dividend.checked_div(divisor).ok_or_else(overflow)?;
        let rest = dividend.checked_rem(divisor).ok_or_else(overflow)?;
        let is_half = rest.wrapping_abs() >= divisor.wrapping_abs().wrapping_sub(rest.wrapping_abs());
        let away = if (left < 0) == (right < 0) { i256::ONE } else { i256::MINUS_ONE };
        let rounded = if is_half { whole.checked_add(away).ok_or_else(overflow)? } else { whole };
        rounded.to_i128().ok_or_else(overflow)
    };
    let rows = if left_is_one { right_values.len() } else { left_values.len() };
    let (left, right) = (spread(left_values, left_is_one, rows)?, spread(right_values, right_is_one, rows)?);
    let (left, right) = (left.as_primitive::<Decimal128Type>(), right.as_primitive::<Decimal128Type>());
    let values: Decimal128Array = arity::try_binary(left, right, quotient)?;
    let values = values.with_precision_and_scale(precision, scale)?;
    values.validate_decimal_precision(precision)?;
    Ok(Arc::new(values))
}

fn spread(values: &dyn Array, is_one: bool, rows: usize) -> Result<ArrayRef> {
    match is_one {
        true => ScalarValue::try_from_array(values, 0)?.to_array_of_size(rows),
        false => Ok(values.slice(0, values.len())),
    }
}

fn overflow() -> ArrowError {
    ArrowError::ArithmeticOverflow("more digits than a decimal has".to_owned())
}
