//! One column: which field it is, what it must hold, and the loop that makes an Arrow array of it.

use super::number;
use super::temporal::{self, Notation};
use crate::config::{Column, DecimalMark};
use crate::scanner::{Block, Field, content};
use std::collections::BTreeMap;
use std::sync::Arc;
use unbatch_api::ColumnType;
use unbatch_api::arrow::array::builder::{BooleanBuilder, NullBufferBuilder, StringBuilder};
use unbatch_api::arrow::array::{ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use unbatch_api::arrow::datatypes::{
    Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};

/// What one column takes and makes.
#[derive(Clone, Debug)]
pub struct ColumnPlan {
    pub name: String,
    pub column_type: ColumnType,
    pub required: bool,
    /// Which field of a record, from 0.
    pub field: usize,
    nulls: Vec<Vec<u8>>,
    parser: Parser,
}

#[derive(Clone, Debug)]
enum Parser {
    Int32,
    Int64,
    Float64 { mark: u8 },
    Decimal { precision: u8, scale: i8, mark: u8 },
    Bool,
    Date(Notation),
    Timestamp(Notation, i32),
    Text,
}

/// Why a row is refused: a stable code, and what was expected of which column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub code: &'static str,
    pub message: String,
}

/// The first fault of each faulty row of a block, by row.
#[derive(Debug, Default)]
pub struct Faults(pub BTreeMap<usize, Fault>);

impl Faults {
    #[cold]
    pub fn note(&mut self, row: usize, fault: impl FnOnce() -> Fault) {
        self.0.entry(row).or_insert_with(fault);
    }
}

/// The good records of a block.
pub struct Cells<'a> {
    pub data: &'a [u8],
    /// `data` as text, when all of it is UTF-8.
    pub text: Option<&'a str>,
    pub block: &'a Block,
    pub width: usize,
    pub quote: u8,
}

impl Cells<'_> {
    /// The fields of one column, row by row.
    #[inline]
    fn fields(&self, field: usize) -> impl Iterator<Item = Field> {
        self.block.fields.chunks_exact(self.width).map(move |record| record[field])
    }
    fn rows(&self) -> usize {
        self.block.records.len()
    }
}

impl ColumnPlan {
    /// `nulls` are the words of the whole file set; the column's own come on top. Errors say what cannot work.
    pub fn declared(column: &Column, field: usize, nulls: &[String]) -> Result<Self, String> {
        let mark = match column.decimal_mark {
            DecimalMark::Point => b'.',
            DecimalMark::Comma => b',',
        };
        let notation = || Notation::new(column.format.as_deref());
        let parser = match column.column_type {
            ColumnType::Int32 => Parser::Int32,
            ColumnType::Int64 => Parser::Int64,
            ColumnType::Float64 => Parser::Float64 { mark },
            ColumnType::Decimal { precision, scale } => Parser::Decimal { precision, scale, mark },
            ColumnType::Bool => Parser::Bool,
            ColumnType::Date => Parser::Date(notation()?),
            ColumnType::Timestamp => {
                Parser::Timestamp(notation()?, temporal::zone_seconds(column.zone.as_deref().unwrap_or("UTC"))?)
            }
            ColumnType::String => Parser::Text,
        };
        let nulls = nulls.iter().chain(&column.nulls).map(|w| w.as_bytes().to_vec()).collect();
        let name = column.name.clone();
        Ok(Self { name, column_type: column.column_type, required: column.required, field, nulls, parser })
    }

    /// A column that was not declared: text.
    pub fn text(name: String, field: usize, nulls: &[String]) -> Self {
        let nulls = nulls.iter().map(|w| w.as_bytes().to_vec()).collect();
        Self { name, column_type: ColumnType::String, required: false, field, nulls, parser: Parser::Text }
    }

    /// The array of this column; rows that it refuses are noted and hold a placeholder.
    pub fn decode(&self, cells: &Cells<'_>, faults: &mut Faults) -> ArrayRef {
        match &self.parser {
            Parser::Int32 => self.primitive::<Int32Type>(cells, faults, |t| number::int(t)?.try_into().ok()),
            Parser::Int64 => self.primitive::<Int64Type>(cells, faults, number::int),
            Parser::Float64 { mark } => self.primitive::<Float64Type>(cells, faults, |t| number::float(t, *mark)),
            Parser::Decimal { precision, scale, mark } => {
                let (precision, scale) = (*precision, *scale);
                self.primitive::<Decimal128Type>(cells, faults, |t| number::decimal(t, precision, scale, *mark))
            }
            Parser::Bool => self.truth(cells, faults),
            Parser::Date(notation) => self.primitive::<Date32Type>(cells, faults, |t| temporal::date(t, notation)),
            Parser::Timestamp(notation, zone) => {
                let parse = |t: &[u8]| temporal::timestamp(t, notation, *zone);
                self.primitive::<TimestampMicrosecondType>(cells, faults, parse)
            }
            Parser::Text => self.strings(cells, faults),
        }
    }

    fn primitive<T: ArrowPrimitiveType>(
        &self,
        cells: &Cells<'_>,
        faults: &mut Faults,
        parse: impl Fn(&[u8]) -> Option<T::Native>,
    ) -> ArrayRef {
        let mut values = Vec::with_capacity(cells.rows());
        let mut valid = NullBufferBuilder::new(cells.rows());
        for (row, field) in cells.fields(self.field).enumerate() {
            let bytes = &cells.data[field.range()];
            if self.is_null(field, bytes) {
                values.push(T::Native::default());
                self.append_null(&mut valid, row, faults);
                continue;
            }
            let value = parse(bytes).unwrap_or_else(|| {
                faults.note(row, || self.refused());
                T::Native::default()
            });
            values.push(value);
            valid.append_non_null();
        }
        let array = PrimitiveArray::<T>::new(values.into(), valid.finish());
        Arc::new(array.with_data_type(self.column_type.to_arrow()))
    }

    fn truth(&self, cells: &Cells<'_>, faults: &mut Faults) -> ArrayRef {
        let mut values = BooleanBuilder::with_capacity(cells.rows());
        for (row, field) in cells.fields(self.field).enumerate() {
            let bytes = &cells.data[field.range()];
            if !self.is_null(field, bytes) {
                let value = number::truth(bytes);
                if value.is_none() {
                    faults.note(row, || self.refused());
                }
                values.append_value(value.unwrap_or_default());
            } else if self.required {
                faults.note(row, || self.missing());
                values.append_value(false);
            } else {
                values.append_null();
            }
        }
        Arc::new(values.finish())
    }

    fn strings(&self, cells: &Cells<'_>, faults: &mut Faults) -> ArrayRef {
        let bytes = cells.fields(self.field).map(Field::len).sum();
        let mut values = StringBuilder::with_capacity(cells.rows(), bytes);
        let mut scratch = Vec::new();
        for (row, field) in cells.fields(self.field).enumerate() {
            if self.is_null(field, &cells.data[field.range()]) {
                if self.required {
                    faults.note(row, || self.missing());
                    values.append_value("");
                } else {
                    values.append_null();
                }
                continue;
            }
            let text = match cells.text.filter(|_| !field.has_doubled_quotes()) {
                Some(text) => text.get(field.range()),
                None => std::str::from_utf8(content(cells.data, field, cells.quote, &mut scratch)).ok(),
            };
            if text.is_none() {
                faults.note(row, || self.refused());
            }
            values.append_value(text.unwrap_or_default());
        }
        Arc::new(values.finish())
    }

    /// A quoted field is never NULL; an unquoted one is when it is empty or one of the words.
    #[inline]
    fn is_null(&self, field: Field, bytes: &[u8]) -> bool {
        !field.is_quoted() && (bytes.is_empty() || (!self.nulls.is_empty() && self.nulls.iter().any(|w| w == bytes)))
    }

    /// A NULL where none may be gets a placeholder, since the array must not hold one; the row is taken out.
    #[inline]
    fn append_null(&self, valid: &mut NullBufferBuilder, row: usize, faults: &mut Faults) {
        if self.required {
            faults.note(row, || self.missing());
            valid.append_non_null();
        } else {
            valid.append_null();
        }
    }

    fn missing(&self) -> Fault {
        Fault { code: "missing_required", message: format!("column `{}`: is required and empty", self.name) }
    }

    fn refused(&self) -> Fault {
        let code = match self.parser {
            Parser::Int32 | Parser::Int64 => "bad_int",
            Parser::Float64 { .. } => "bad_float",
            Parser::Decimal { .. } => "bad_decimal",
            Parser::Bool => "bad_bool",
            Parser::Date(_) => "bad_date",
            Parser::Timestamp(..) => "bad_timestamp",
            Parser::Text => "invalid_encoding",
        };
        let expected = match &self.parser {
            Parser::Date(Notation::Custom(_)) | Parser::Timestamp(Notation::Custom(_), _) => {
                format!("not a {} in the notation of `format`", self.column_type)
            }
            Parser::Date(_) => "not a date like 2026-11-23".into(),
            Parser::Timestamp(..) => "not a timestamp like 2026-11-23T07:30:52Z".into(),
            Parser::Text => "not UTF-8".into(),
            _ => format!(
                "not {} {}",
                if matches!(self.parser, Parser::Int32 | Parser::Int64) { "an" } else { "a" },
                self.column_type
            ),
        };
        Fault { code, message: format!("column `{}`: {expected}", self.name) }
    }
}
