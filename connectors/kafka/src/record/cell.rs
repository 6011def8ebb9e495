//! One cell as JSON. README.md has the table of types; each of its cells is a test here.

use super::calendar;
use std::io::Write as _;
use unbatch_api::arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, GenericBinaryArray,
    GenericStringArray, OffsetSizeTrait, StringViewArray,
};
use unbatch_api::arrow::buffer::NullBuffer;
use unbatch_api::arrow::compute::cast;
use unbatch_api::arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal128Type, Decimal256Type, Field, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};
use unbatch_api::schema::SOURCE_TYPE;
use unbatch_api::{Error, Mark, Result};

/// A column of a batch, ready to be written row by row.
pub(crate) struct Column<'a> {
    nulls: Option<&'a NullBuffer>,
    cells: Cells<'a>,
}

enum Cells<'a> {
    AllNull,
    Bool(&'a BooleanArray),
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    UInt8(&'a [u8]),
    UInt16(&'a [u16]),
    UInt32(&'a [u32]),
    UInt64(&'a [u64]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Decimal128(&'a [i128], i8),
    Decimal256(&'a [i256], i8),
    Date32(&'a [i32]),
    Date64(&'a [i64]),
    Time32(&'a [i32], usize),
    Time64(&'a [i64], usize),
    Timestamp { values: &'a [i64], digits: usize, utc: bool },
    Text(&'a GenericStringArray<i32>),
    LargeText(&'a GenericStringArray<i64>),
    TextView(&'a StringViewArray),
    Json(&'a GenericStringArray<i32>),
    Binary(&'a GenericBinaryArray<i32>),
    LargeBinary(&'a GenericBinaryArray<i64>),
    BinaryView(&'a BinaryViewArray),
    FixedBinary(&'a FixedSizeBinaryArray),
    List(&'a [i32], Box<Column<'a>>),
    Struct(Vec<(Vec<u8>, Column<'a>)>),
}

/// Replaces encodings that only save memory (dictionaries) by plain columns, which [`Column`] reads.
pub(crate) fn plain(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Dictionary(_, value) => cast(array, value)
            .map_err(|e| Error::bug("unpacking a dictionary column failed").code("U0276").caused_by(e)),
        _ => Ok(array.clone()),
    }
}

/// Whether [`Column::of`] takes columns of this type.
pub(crate) fn is_supported(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_supported(value),
        DataType::List(item) => is_supported(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|f| is_supported(f.data_type())),
        DataType::Float16
        | DataType::Duration(_)
        | DataType::Interval(_)
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::FixedSizeList(..)
        | DataType::LargeList(_)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::Union(..)
        | DataType::Map(..)
        | DataType::RunEndEncoded(..) => false,
        _ => true,
    }
}

impl<'a> Column<'a> {
    /// `None` when there is no form for the type.
    pub fn of(array: &'a dyn Array, field: &Field) -> Option<Self> {
        Some(Self { nulls: array.nulls(), cells: Cells::of(array, field)? })
    }

    /// Writes the cell of `row` as a JSON value.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            out.extend_from_slice(b"null");
            return;
        }
        self.cells.write(row, out);
    }
}

impl<'a> Cells<'a> {
    fn of(array: &'a dyn Array, field: &Field) -> Option<Self> {
        let is_json = || field.metadata().get(SOURCE_TYPE).is_some_and(|t| t == "json" || t == "jsonb");
        Some(match array.data_type() {
            DataType::Null => Cells::AllNull,
            DataType::Boolean => Cells::Bool(array.as_boolean()),
            DataType::Int8 => Cells::Int8(array.as_primitive::<Int8Type>().values()),
            DataType::Int16 => Cells::Int16(array.as_primitive::<Int16Type>().values()),
            DataType::Int32 => Cells::Int32(array.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Cells::Int64(array.as_primitive::<Int64Type>().values()),
            DataType::UInt8 => Cells::UInt8(array.as_primitive::<UInt8Type>().values()),
            DataType::UInt16 => Cells::UInt16(array.as_primitive::<UInt16Type>().values()),
            DataType::UInt32 => Cells::UInt32(array.as_primitive::<UInt32Type>().values()),
            DataType::UInt64 => Cells::UInt64(array.as_primitive::<UInt64Type>().values()),
            DataType::Float32 => Cells::Float32(array.as_primitive::<Float32Type>().values()),
            DataType::Float64 => Cells::Float64(array.as_primitive::<Float64Type>().values()),
            DataType::Decimal128(_, scale) => {
                Cells::Decimal128(array.as_primitive::<Decimal128Type>().values(), *scale)
            }
            DataType::Decimal256(_, scale) => {
                Cells::Decimal256(array.as_primitive::<Decimal256Type>().values(), *scale)
            }
            DataType::Date32 => Cells::Date32(array.as_primitive::<Date32Type>().values()),
            DataType::Date64 => Cells::Date64(array.as_primitive::<Date64Type>().values()),
            DataType::Time32(_) | DataType::Time64(_) => Self::time(array),
            DataType::Timestamp(unit, zone) => Self::timestamp(array, *unit, zone.is_some()),
            DataType::Utf8 if is_json() => Cells::Json(array.as_string()),
            DataType::Utf8 => Cells::Text(array.as_string()),
            DataType::LargeUtf8 => Cells::LargeText(array.as_string()),
            DataType::Utf8View => Cells::TextView(array.as_string_view()),
            DataType::Binary => Cells::Binary(array.as_binary()),
            DataType::LargeBinary => Cells::LargeBinary(array.as_binary()),
            DataType::BinaryView => Cells::BinaryView(array.as_binary_view()),
            DataType::FixedSizeBinary(_) => Cells::FixedBinary(array.as_fixed_size_binary()),
            DataType::List(item) => {
                let list = array.as_list::<i32>();
                Cells::List(list.value_offsets(), Box::new(Column::of(list.values().as_ref(), item)?))
            }
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns();
                let named = |(field, column): (&std::sync::Arc<Field>, &'a ArrayRef)| {
                    Some((name_prefix(field.name()), Column::of(column.as_ref(), field)?))
                };
                Cells::Struct(fields.iter().zip(columns).map(named).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    fn time(array: &'a dyn Array) -> Self {
        match array.data_type() {
            DataType::Time32(TimeUnit::Second) => Cells::Time32(array.as_primitive::<Time32SecondType>().values(), 0),
            DataType::Time32(_) => Cells::Time32(array.as_primitive::<Time32MillisecondType>().values(), 3),
            DataType::Time64(TimeUnit::Microsecond) => {
                Cells::Time64(array.as_primitive::<Time64MicrosecondType>().values(), 6)
            }
            _ => Cells::Time64(array.as_primitive::<Time64NanosecondType>().values(), 9),
        }
    }

    fn timestamp(array: &'a dyn Array, unit: TimeUnit, utc: bool) -> Self {
        let (values, digits): (&[i64], usize) = match unit {
            TimeUnit::Second => (array.as_primitive::<TimestampSecondType>().values(), 0),
            TimeUnit::Millisecond => (array.as_primitive::<TimestampMillisecondType>().values(), 3),
            TimeUnit::Microsecond => (array.as_primitive::<TimestampMicrosecondType>().values(), 6),
            TimeUnit::Nanosecond => (array.as_primitive::<TimestampNanosecondType>().values(), 9),
        };
        Cells::Timestamp { values, digits, utc }
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Cells::AllNull => out.extend_from_slice(b"null"),
            Cells::Bool(a) => out.extend_from_slice(if a.value(row) { b"true" } else { b"false" }),
            Cells::Int8(a) => integer(a[row], out),
            Cells::Int16(a) => integer(a[row], out),
            Cells::Int32(a) => integer(a[row], out),
            Cells::Int64(a) => integer(a[row], out),
            Cells::UInt8(a) => integer(a[row], out),
            Cells::UInt16(a) => integer(a[row], out),
            Cells::UInt32(a) => integer(a[row], out),
            Cells::UInt64(a) => integer(a[row], out),
            Cells::Float32(a) => float(f64::from(a[row]), |out| write!(out, "{:?}", a[row]), out),
            Cells::Float64(a) => float(a[row], |out| write!(out, "{:?}", a[row]), out),
            Cells::Decimal128(a, scale) => {
                let mut digits = itoa::Buffer::new();
                decimal(digits.format(a[row]), *scale, out);
            }
            Cells::Decimal256(a, scale) => decimal(&a[row].to_string(), *scale, out),
            Cells::Date32(a) => quoted(out, |out| calendar::write_date(i64::from(a[row]), out)),
            Cells::Date64(a) => quoted(out, |out| calendar::write_date(a[row].div_euclid(86_400_000), out)),
            Cells::Time32(a, digits) => quoted(out, |out| calendar::write_time(i64::from(a[row]), *digits, out)),
            Cells::Time64(a, digits) => quoted(out, |out| calendar::write_time(a[row], *digits, out)),
            Cells::Timestamp { values, digits, utc } => quoted(out, |out| {
                calendar::write_timestamp(values[row], *digits, out);
                if *utc {
                    out.push(b'Z');
                }
            }),
            Cells::Text(a) => text_of(a, row, out),
            Cells::LargeText(a) => text_of(a, row, out),
            Cells::TextView(a) => write_text(a.value(row), out),
            Cells::Json(a) => json(a.value(row), out),
            Cells::Binary(a) => base64(a.value(row), out),
            Cells::LargeBinary(a) => base64(a.value(row), out),
            Cells::BinaryView(a) => base64(a.value(row), out),
            Cells::FixedBinary(a) => base64(a.value(row), out),
            Cells::List(offsets, items) => list(offsets[row] as usize..offsets[row + 1] as usize, items, out),
            Cells::Struct(fields) => {
                for (i, (name, column)) in fields.iter().enumerate() {
                    out.push(if i == 0 { b'{' } else { b',' });
                    out.extend_from_slice(name);
                    column.write(row, out);
                }
                out.extend_from_slice(if fields.is_empty() { b"{}" } else { b"}" });
            }
        }
    }
}

/// What stands for a cell that Arrow cannot hold. An unchanged cell has no form: it is left out of its object.
pub(crate) fn write_mark(mark: &Mark, out: &mut Vec<u8>) {
    match mark {
        Mark::NotANumber => out.extend_from_slice(b"\"NaN\""),
        Mark::Infinity => out.extend_from_slice(b"\"Infinity\""),
        Mark::NegativeInfinity => out.extend_from_slice(b"\"-Infinity\""),
        Mark::OutOfRange(text) => write_text(text, out),
        Mark::Unchanged => out.extend_from_slice(b"null"),
    }
}

/// `"name":`, written once for each column of a schema.
pub(crate) fn name_prefix(name: &str) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(name.len() + 3);
    write_text(name, &mut prefix);
    prefix.push(b':');
    prefix
}

/// Bytes that a JSON string cannot hold as they are.
const ESCAPED: [bool; 256] = {
    let mut escaped = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        escaped[byte] = true;
        byte += 1;
    }
    escaped[b'"' as usize] = true;
    escaped[b'\\' as usize] = true;
    escaped
};

pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut start = 0;
    while let Some(length) = bytes[start..].iter().position(|b| ESCAPED[*b as usize]) {
        let at = start + length;
        out.extend_from_slice(&bytes[start..at]);
        escape(bytes[at], out);
        start = at + 1;
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            // Writing into a vector cannot fail.
            let _ = write!(out, "\\u{byte:04x}");
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn text_of<O: OffsetSizeTrait>(array: &GenericStringArray<O>, row: usize, out: &mut Vec<u8>) {
    write_text(array.value(row), out);
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn integer<I: itoa::Integer>(value: I, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Shortest digits that read back as the same number; what JSON has no number for is text.
fn float(value: f64, write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>, out: &mut Vec<u8>) {
    if value.is_finite() {
        let _ = write(out);
    } else if value.is_nan() {
        write_mark(&Mark::NotANumber, out);
    } else {
        write_mark(if value > 0.0 { &Mark::Infinity } else { &Mark::NegativeInfinity }, out);
    }
}

/// `digits` is a whole number; the point goes `scale` digits from its end.
fn decimal(digits: &str, scale: i8, out: &mut Vec<u8>) {
    out.push(b'"');
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    out.extend_from_slice(sign.as_bytes());
    let scale = i32::from(scale);
    if scale <= 0 {
        out.extend_from_slice(digits.as_bytes());
        if digits != "0" {
            out.extend(std::iter::repeat_n(b'0', scale.unsigned_abs() as usize));
        }
    } else {
        let scale = scale as usize;
        let whole = digits.len().saturating_sub(scale);
        out.extend_from_slice(if whole == 0 { b"0" } else { &digits.as_bytes()[..whole] });
        out.push(b'.');
        out.extend(std::iter::repeat_n(b'0', scale.saturating_sub(digits.len())));
        out.extend_from_slice(&digits.as_bytes()[whole..]);
    }
    out.push(b'"');
}

/// JSON text goes in as it is; text that is none (a source that lied) as a string, so that the record stays readable.
fn json(text: &str, out: &mut Vec<u8>) {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => out.extend_from_slice(text.as_bytes()),
        Err(_) => write_text(text, out),
    }
}

fn list(range: std::ops::Range<usize>, items: &Column<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (i, item) in range.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        items.write(item, out);
    }
    out.push(b']');
}

/// RFC 4648, section 4, with padding.
fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.push(b'"');
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let sextet = (bits >> (18 - 6 * place)) & 63;
            out.push(if place <= group.len() { ALPHABET[sextet as usize] } else { b'=' });
        }
    }
    out.push(b'"');
}

#[cfg(test)]
#[path = "cell_tests.rs"]
mod tests;
