//! Values that stand in an expression. Numbers are exact: `1.08` is a decimal(3,2).

use super::Fault;
use super::kind::{BOOL, DIGITS_MAX, INT64, Kind, STRING};
use super::typed::Typed;
use datafusion_common::ScalarValue;
use sqlparser::ast::Value;
use std::ops::Range;
use unbatch_api::ColumnType;
use unbatch_api::arrow::compute::kernels::cast_utils::parse_interval_month_day_nano;

pub(crate) fn literal(value: &Value, within: Range<usize>) -> Result<Typed, Fault> {
    Ok(match value {
        Value::Number(text, _) => return number(text, within),
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) | Value::NationalStringLiteral(text) => {
            Typed::literal(ScalarValue::Utf8(Some(text.clone())), STRING, within)
        }
        Value::Boolean(truth) => Typed::literal(ScalarValue::Boolean(Some(*truth)), BOOL, within),
        Value::Null => Typed::literal(ScalarValue::Null, Kind::Null, within),
        _ => {
            return Err(Fault {
                within,
                code: "U0609",
                message: "this way of writing a value is not taken".into(),
                label: String::new(),
                help: "write 'text', 12, 12.50, true, false, null, date '2024-12-31' or interval '1 day'".into(),
            });
        }
    })
}

/// `12` is a whole number, `12.50` an exact decimal with the digits that are written, `1e3` a float.
fn number(text: &str, within: Range<usize>) -> Result<Typed, Fault> {
    let too_large = |within| Fault {
        within,
        code: "U0610",
        message: format!("this number has more than {DIGITS_MAX} digits"),
        label: String::new(),
        help: "write it with an exponent, like 1e40; it is a float then".into(),
    };
    if text.contains(['e', 'E']) {
        return match text.parse::<f64>() {
            Ok(float) if float.is_finite() => {
                Ok(Typed::literal(ScalarValue::Float64(Some(float)), Kind::Of(ColumnType::Float64), within))
            }
            _ => Err(too_large(within)),
        };
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Ok(Typed::literal(ScalarValue::Int64(Some(whole)), INT64, within));
    }
    let (before, after) = text.split_once('.').unwrap_or((text, ""));
    let before = before.trim_start_matches('0');
    let (digits, scale) = (format!("{before}{after}"), after.len());
    let precision = digits.len().max(1);
    if precision > usize::from(DIGITS_MAX) {
        return Err(too_large(within));
    }
    let value = if digits.is_empty() { 0 } else { digits.parse::<i128>().map_err(|_| too_large(within.clone()))? };
    let (precision, scale) = (precision as u8, scale as i8);
    let kind = Kind::Of(ColumnType::Decimal { precision, scale });
    Ok(Typed::literal(ScalarValue::Decimal128(Some(value), precision, scale), kind, within))
}

/// `interval '1 day'`
pub(crate) fn interval(text: &str, within: Range<usize>) -> Result<Typed, Fault> {
    match parse_interval_month_day_nano(text) {
        Ok(value) => Ok(Typed::literal(ScalarValue::IntervalMonthDayNano(Some(value)), Kind::Interval, within)),
        Err(_) => Err(Fault {
            within,
            code: "U0610",
            message: "this is not a span of time".into(),
            label: String::new(),
            help: "write interval '1 day', interval '3 months' or interval '90 minutes'".into(),
        }),
    }
}
