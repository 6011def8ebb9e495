//! Where DataFusion's functions would lose digits, end in the year 2262, or fail row by row for what is wrong with the call.

use super::super::calendar::Unit;
use super::super::kind::{Kind, STRING};
use super::super::node::Op;
use super::super::operators::{arithmetic, unary};
use super::super::typed::{Typed, cast};
use super::*;
use chrono::format::{Item, StrftimeItems};
use datafusion_common::ScalarValue;
use unbatch_api::ColumnType;
use unbatch_api::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};

/// Longest that `repeat`, `lpad` and `rpad` make a text; a number from a row could ask for gigabytes.
const LENGTH_MAX: i64 = 10_000;

pub(super) enum Instead {
    /// Nothing of DataFusion's is needed.
    Done(Box<Typed>),
    /// Its function, on these.
    Call(Vec<Typed>),
}

/// What is done in place of, or before, the function of this name.
pub(super) fn instead(
    name: &str,
    args: Vec<Typed>,
    within: &Range<usize>,
    word: &Range<usize>,
) -> Result<Instead, Fault> {
    let done = |typed: Typed| Ok(Instead::Done(Box::new(typed)));
    match (name, &args[..]) {
        ("date_trunc", [unit, time]) if time.kind.is_time() => {
            match unit.text().map(|text| (text, Unit::named(text))) {
                Some((_, Some(unit))) => done(unary(Op::Truncate(unit), time.clone())),
                Some((text, None)) => {
                    let units: Vec<&str> = Unit::NAMES.iter().map(|(name, _)| *name).collect();
                    Err(Fault { help: format!("there are {}", units.join(", ")), ..refused(name, text, word) })
                }
                None => Err(wrong_arguments(name, &args, word.clone())),
            }
        }
        ("to_timestamp", [text]) if text.kind == STRING => {
            done(cast(text.clone(), ColumnType::Timestamp, within.clone())?)
        }
        ("round" | "trunc" | "ceil" | "floor", [whole]) if whole.kind.is_whole() => done(whole.clone()),
        ("trunc", [value]) => match value.kind {
            Kind::Of(ColumnType::Decimal { .. }) => done(truncated(value.clone(), 0, within)?),
            _ => Ok(Instead::Call(args)),
        },
        ("trunc", [value, places]) => match (value.kind, places.value()) {
            (Kind::Of(ColumnType::Decimal { .. }), Some(ScalarValue::Int64(Some(places))))
                if (0..=38).contains(places) =>
            {
                done(truncated(value.clone(), *places as u8, within)?)
            }
            (Kind::Of(ColumnType::Decimal { .. }), _) => Err(wrong_arguments(name, &args, word.clone())),
            _ => Ok(Instead::Call(args)),
        },
        // DataFusion gives powers of decimals the digits of the base
        ("power", [base, exponent]) if base.kind.is_number() && exponent.kind.is_number() => {
            let float = |value: &Typed| value.clone().widened(ColumnType::Float64);
            Ok(Instead::Call(vec![float(base), float(exponent)]))
        }
        ("repeat", [_, length]) | ("lpad" | "rpad", [_, length] | [_, length, _]) => match length.value() {
            Some(ScalarValue::Int64(Some(length))) if *length <= LENGTH_MAX => Ok(Instead::Call(args)),
            _ => Err(Fault {
                message: format!("`{name}` needs a length of at most {LENGTH_MAX} that stands in the expression"),
                ..wrong_arguments(name, &args, word.clone())
            }),
        },
        _ => Ok(Instead::Call(args)),
    }
}

/// A decimal without its digits behind so many places: what is left of a division by the last of them is taken off.
fn truncated(value: Typed, places: u8, within: &Range<usize>) -> Result<Typed, Fault> {
    let Kind::Of(ColumnType::Decimal { precision, scale }) = value.kind else { return Ok(value) };
    if places >= scale as u8 {
        return Ok(value);
    }
    let unit = ScalarValue::Decimal128(Some(1), places.max(1), places as i8);
    let unit =
        Typed::literal(unit, Kind::Of(ColumnType::Decimal { precision: places.max(1), scale: places as i8 }), 0..0);
    let rest = arithmetic(Op::Remainder, value.clone(), unit, within.clone())?;
    let cut = arithmetic(Op::Subtract, value, rest, within.clone())?;
    let to = ColumnType::Decimal { precision, scale: places as i8 };
    Ok(cut.turned_into(&to.to_arrow(), Kind::Of(to)))
}

/// Functions with a pattern or the name of a part, which only they can judge.
const PROBED: [&str; 5] = ["regexp_like", "regexp_replace", "regexp_count", "regexp_instr", "date_part"];
/// Functions with formats behind their first argument.
const FORMATTED: [&str; 6] =
    ["to_char", "to_date", "to_timestamp", "to_timestamp_seconds", "to_timestamp_millis", "to_timestamp_micros"];

/// Finds texts of the call that are wrong in themselves: each row would be refused for them.
pub(super) fn probe(
    name: &str,
    args: &[Typed],
    expr: &ScalarFunctionExpr,
    schema: &Schema,
    word: &Range<usize>,
) -> Result<(), Fault> {
    if FORMATTED.contains(&name) {
        let is_wrong = |format: &&str| StrftimeItems::new(format).any(|item| matches!(item, Item::Error));
        let wrong = args.iter().skip(1).filter_map(Typed::text).find(is_wrong);
        return wrong.map_or(Ok(()), |format| Err(refused(name, format, word)));
    }
    if !PROBED.contains(&name) {
        return Ok(());
    }
    let Some(text) = args.iter().skip(usize::from(name != "date_part")).find_map(Typed::text) else { return Ok(()) };
    let Some(columns) = schema.fields().iter().map(|field| sample(field.data_type())).collect() else { return Ok(()) };
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(schema.clone()), columns, &options);
    match row.map(|row| expr.evaluate(&row)) {
        Ok(Err(_)) => Err(refused(name, text, word)),
        _ => Ok(()),
    }
}

/// A value that every function takes.
fn sample(data_type: &DataType) -> Option<ArrayRef> {
    let value = match data_type {
        DataType::Utf8 => ScalarValue::Utf8(Some(String::new())),
        DataType::Date32 => ScalarValue::Date32(Some(0)),
        DataType::Int32 => ScalarValue::Int32(Some(1)),
        DataType::Int64 => ScalarValue::Int64(Some(1)),
        DataType::Float64 => ScalarValue::Float64(Some(1.0)),
        DataType::Boolean => ScalarValue::Boolean(Some(true)),
        DataType::Decimal128(precision, scale) => ScalarValue::Decimal128(Some(1), *precision, *scale),
        DataType::Timestamp(_, zone) => ScalarValue::TimestampMicrosecond(Some(0), zone.clone()),
        _ => return None,
    };
    value.to_array_of_size(1).ok()
}

fn refused(name: &str, text: &str, word: &Range<usize>) -> Fault {
    Fault { message: format!("`{name}` does not take '{text}' here"), ..wrong_arguments(name, &[], word.clone()) }
}
