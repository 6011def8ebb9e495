//! The types that expressions speak of: those of columns, and two that only come up on the way.

use sqlparser::ast;
use std::fmt;
use unbatch_api::ColumnType;
use unbatch_api::arrow::datatypes::{DataType, IntervalUnit};

/// The type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Of `null` alone; fits everything.
    Null,
    Of(ColumnType),
    /// A span of time, to be added to a date or timestamp.
    Interval,
}

/// Most digits of a decimal.
pub(crate) const DIGITS_MAX: u8 = 38;

pub(crate) const STRING: Kind = Kind::Of(ColumnType::String);
pub(crate) const BOOL: Kind = Kind::Of(ColumnType::Bool);
pub(crate) const INT64: Kind = Kind::Of(ColumnType::Int64);

impl Kind {
    pub(crate) fn to_arrow(self) -> DataType {
        match self {
            Kind::Null => DataType::Null,
            Kind::Of(column_type) => column_type.to_arrow(),
            Kind::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
        }
    }
    pub(crate) fn is_number(self) -> bool {
        use ColumnType::{Decimal, Float64, Int32, Int64};
        matches!(self, Kind::Of(Int32 | Int64 | Float64 | Decimal { .. }))
    }
    pub(crate) fn is_whole(self) -> bool {
        matches!(self, Kind::Of(ColumnType::Int32 | ColumnType::Int64))
    }
    pub(crate) fn is_time(self) -> bool {
        matches!(self, Kind::Of(ColumnType::Date | ColumnType::Timestamp))
    }
    /// Whether `cast` can turn one into the other.
    pub(crate) fn casts_to(self, to: ColumnType) -> bool {
        let Kind::Of(from) = self else { return self == Kind::Null };
        let (from_kind, to_kind) = (Kind::Of(from), Kind::Of(to));
        from == to
            || from == ColumnType::String
            || to == ColumnType::String
            || (from_kind.is_number() && to_kind.is_number())
            || (from_kind.is_time() && to_kind.is_time())
            || (from == ColumnType::Bool && to_kind.is_whole())
            || (from_kind.is_whole() && to == ColumnType::Bool)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Null => f.write_str("null"),
            Kind::Of(column_type) => column_type.fmt(f),
            Kind::Interval => f.write_str("interval"),
        }
    }
}

/// The column type that holds the values of an Arrow type, where there is one.
pub(crate) fn holding(data_type: &DataType) -> Option<Kind> {
    use DataType::{
        Date64, Decimal32, Decimal64, Decimal128, Decimal256, Float16, Float32, Int8, Int16, LargeUtf8, Timestamp,
        UInt8, UInt16, UInt32, UInt64, Utf8View,
    };
    if let Some(own) = ColumnType::from_arrow(data_type) {
        return Some(Kind::Of(own));
    }
    let decimal = |precision: u8, scale: i8| {
        let scale_fits = scale >= 0 && scale as u8 <= precision.min(DIGITS_MAX);
        scale_fits.then_some(Kind::Of(ColumnType::Decimal { precision: precision.min(DIGITS_MAX), scale }))
    };
    Some(match data_type {
        DataType::Null => Kind::Null,
        Int8 | Int16 | UInt8 | UInt16 => Kind::Of(ColumnType::Int32),
        UInt32 | UInt64 => INT64,
        Float16 | Float32 => Kind::Of(ColumnType::Float64),
        LargeUtf8 | Utf8View => STRING,
        Date64 => Kind::Of(ColumnType::Date),
        Timestamp(_, None) => Kind::Of(ColumnType::Timestamp),
        Timestamp(_, Some(_)) => Kind::Of(ColumnType::Timestamp),
        Decimal32(p, s) | Decimal64(p, s) | Decimal128(p, s) | Decimal256(p, s) => return decimal(*p, *s),
        DataType::Interval(_) => Kind::Interval,
        _ => return None,
    })
}

/// A type as it is written in `cast(… as TYPE)`: ours, and the names that SQL databases have for the same.
pub(crate) fn named(sql: &ast::DataType) -> Result<ColumnType, String> {
    let text = sql.to_string().to_lowercase();
    let (name, inside) = match text.split_once('(') {
        Some((name, rest)) => (name.trim(), rest.split_once(')').map(|(inside, _)| inside)),
        None => (text.trim(), None),
    };
    let plain = match name {
        "int32" | "int" | "integer" | "int4" | "smallint" | "int2" => ColumnType::Int32,
        "int64" | "bigint" | "int8" => ColumnType::Int64,
        "float64" | "double" | "double precision" | "float" | "float8" | "real" => ColumnType::Float64,
        "bool" | "boolean" => ColumnType::Bool,
        "date" => ColumnType::Date,
        "timestamp" | "timestamptz" | "timestamp with time zone" | "datetime" => ColumnType::Timestamp,
        "string" | "text" | "varchar" | "character varying" | "char" | "nvarchar" => ColumnType::String,
        "decimal" | "numeric" | "dec" => {
            let inside = inside.ok_or("a decimal needs its digits, like decimal(12,2)")?;
            let inside = if inside.contains(',') { inside.replace(' ', "") } else { format!("{inside},0") };
            return format!("decimal({inside})").parse();
        }
        _ => return Err(format!("`{text}` is not a column type; there are {}", ColumnType::NAMES.join(", "))),
    };
    match inside {
        // varchar(20) would have to cut or refuse
        Some(_) => Err(format!("`{name}` takes no length here; there are {}", ColumnType::NAMES.join(", "))),
        None => Ok(plain),
    }
}
