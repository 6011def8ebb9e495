//! One column: which field it is, what it must hold, and the loop that makes an Arrow array of it.

use super::number;
use super::temporal::{self, Notation};
use super::written::{Plain, Written};
use super::zone::Zone;
use crate::config::{Column, DecimalMark, Dialect, Empty, Format, Trim};
use crate::scanner::{Block, Field};
use crate::syntax::Syntax;
use chrono::format::Item;
use std::collections::{BTreeMap, HashSet};
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
    pub(super) parser: Parser,
    /// The only texts it may hold; empty: any.
    pub(super) values: HashSet<Vec<u8>>,
    nulls: Vec<Vec<u8>>,
    trim: Trim,
    empty: Empty,
    /// Its fields are what stands in the file: nothing to trim, no escapes, NULL by quotes.
    is_plain: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Parser {
    Int32(Option<Written>),
    Int64(Option<Written>),
    Float64 { mark: u8, written: Option<Written> },
    Decimal { precision: u8, scale: i8, mark: u8, written: Option<Written> },
    Bool(Option<Words>),
    Date(Notation),
    Timestamp(Notation, Zone),
    TimeOfDay(Vec<Item<'static>>),
    Text,
}

/// Words for true and for false.
#[derive(Clone, Debug)]
pub(super) struct Words([Vec<Vec<u8>>; 2]);

impl Words {
    fn truth(&self, text: &[u8]) -> Option<bool> {
        let [no, yes] = &self.0;
        let is_in = |words: &[Vec<u8>]| words.iter().any(|word| word == text);
        if is_in(yes) { Some(true) } else { is_in(no).then_some(false) }
    }
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
    pub syntax: &'a Syntax,
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
    /// The words of the dialect that mean NULL come on top of the column's own. Errors say what cannot work.
    pub fn declared(column: &Column, field: usize, dialect: &Dialect) -> Result<Self, String> {
        let mut plan = Self::text(column.name.clone(), field, dialect);
        plan.parser = parser(column)?;
        (plan.column_type, plan.required, plan.empty) = (column.column_type, column.required, column.empty);
        plan.nulls.extend(column.nulls.iter().map(|w| w.as_bytes().to_vec()));
        plan.values = column.values.iter().map(|v| v.as_bytes().to_vec()).collect();
        if let Some(trim) = column.trim {
            plan.trim = trim;
        } else if dialect.format == Format::Fixed && dialect.trim == Trim::None {
            plan.trim = if column.column_type == ColumnType::String { Trim::Right } else { Trim::Both };
        }
        plan.is_plain = plan.trim == Trim::None && plan.empty == Empty::ByQuotes && dialect.escape.is_none();
        Ok(plan)
    }

    /// A column that was not declared: text.
    pub fn text(name: String, field: usize, dialect: &Dialect) -> Self {
        Self {
            name,
            column_type: ColumnType::String,
            required: false,
            field,
            parser: Parser::Text,
            values: HashSet::new(),
            nulls: dialect.nulls.iter().map(|w| w.as_bytes().to_vec()).collect(),
            trim: dialect.trim,
            empty: Empty::ByQuotes,
            is_plain: dialect.trim == Trim::None && dialect.escape.is_none(),
        }
    }

    /// The array of this column; rows that it refuses are noted and hold a placeholder.
    pub fn decode(&self, cells: &Cells<'_>, faults: &mut Faults) -> ArrayRef {
        match &self.parser {
            Parser::Int32(None) => self.primitive::<Int32Type>(cells, faults, |t| number::int(t)?.try_into().ok()),
            Parser::Int32(Some(written)) => {
                let parse = |t: &[u8]| number::int(written.plain(t, &mut Plain::default())?)?.try_into().ok();
                self.primitive::<Int32Type>(cells, faults, parse)
            }
            Parser::Int64(None) => self.primitive::<Int64Type>(cells, faults, number::int),
            Parser::Int64(Some(written)) => {
                let parse = |t: &[u8]| number::int(written.plain(t, &mut Plain::default())?);
                self.primitive::<Int64Type>(cells, faults, parse)
            }
            Parser::Float64 { mark, written: None } => {
                self.primitive::<Float64Type>(cells, faults, |t| number::float(t, *mark))
            }
            Parser::Float64 { written: Some(written), .. } => {
                let parse = |t: &[u8]| number::float(written.plain(t, &mut Plain::default())?, b'.');
                self.primitive::<Float64Type>(cells, faults, parse)
            }
            Parser::Decimal { precision, scale, mark, written: None } => {
                let (precision, scale) = (*precision, *scale);
                self.primitive::<Decimal128Type>(cells, faults, |t| number::decimal(t, precision, scale, *mark))
            }
            Parser::Decimal { precision, scale, written: Some(written), .. } => {
                let (precision, scale) = (*precision, *scale);
                let parse =
                    |t: &[u8]| number::decimal(written.plain(t, &mut Plain::default())?, precision, scale, b'.');
                self.primitive::<Decimal128Type>(cells, faults, parse)
            }
            Parser::Bool(None) => self.truth(cells, faults, number::truth),
            Parser::Bool(Some(words)) => self.truth(cells, faults, |t| words.truth(t)),
            Parser::Date(notation) => self.primitive::<Date32Type>(cells, faults, |t| temporal::date(t, notation)),
            Parser::Timestamp(notation, zone) => {
                let parse = |t: &[u8]| temporal::timestamp_in(t, notation, zone);
                self.primitive::<TimestampMicrosecondType>(cells, faults, parse)
            }
            Parser::Text if self.is_plain && self.values.is_empty() => self.strings(cells, faults),
            Parser::Text | Parser::TimeOfDay(_) => self.made_strings(cells, faults),
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
        let mut scratch = Vec::new();
        for (row, field) in cells.fields(self.field).enumerate() {
            let Some(bytes) = self.seen(cells, field, &mut scratch) else {
                values.push(T::Native::default());
                self.append_null(&mut valid, row, faults);
                continue;
            };
            let value = parse(bytes).unwrap_or_else(|| {
                faults.note(row, || self.refused(bytes));
                T::Native::default()
            });
            values.push(value);
            valid.append_non_null();
        }
        let array = PrimitiveArray::<T>::new(values.into(), valid.finish());
        Arc::new(array.with_data_type(self.column_type.to_arrow()))
    }

    fn truth(&self, cells: &Cells<'_>, faults: &mut Faults, parse: impl Fn(&[u8]) -> Option<bool>) -> ArrayRef {
        let mut values = BooleanBuilder::with_capacity(cells.rows());
        let mut scratch = Vec::new();
        for (row, field) in cells.fields(self.field).enumerate() {
            if let Some(bytes) = self.seen(cells, field, &mut scratch) {
                let value = parse(bytes);
                if value.is_none() {
                    faults.note(row, || self.refused(bytes));
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
        let mut values = self.strings_of(cells);
        let mut scratch = Vec::new();
        for (row, field) in cells.fields(self.field).enumerate() {
            if self.is_null(field, &cells.data[field.range()]) {
                self.append_no_text(&mut values, row, faults);
                continue;
            }
            let text = match cells.text.filter(|_| !field.has_doubled_quotes()) {
                Some(text) => text.get(field.range()),
                None => std::str::from_utf8(cells.syntax.content(cells.data, field, &mut scratch)).ok(),
            };
            if text.is_none() {
                faults.note(row, || self.refused(&[]));
            }
            values.append_value(text.unwrap_or_default());
        }
        Arc::new(values.finish())
    }

    /// Text that is not simply what stands in the file, or is checked.
    fn made_strings(&self, cells: &Cells<'_>, faults: &mut Faults) -> ArrayRef {
        let mut values = self.strings_of(cells);
        let mut scratch = Vec::new();
        for (row, field) in cells.fields(self.field).enumerate() {
            let Some(bytes) = self.seen(cells, field, &mut scratch) else {
                self.append_no_text(&mut values, row, faults);
                continue;
            };
            let is_allowed = self.values.is_empty() || self.values.contains(bytes);
            let is_text = is_allowed && !(field.has_doubled_quotes() && bytes.contains(&0));
            let made = match &self.parser {
                Parser::TimeOfDay(items) if is_text => temporal::time_of_day(bytes, items),
                _ => None,
            };
            let text = match (&self.parser, &made) {
                _ if !is_text => None,
                (Parser::TimeOfDay(_), made) => made.as_deref(),
                _ => std::str::from_utf8(bytes).ok(),
            };
            if text.is_none() {
                faults.note(row, || self.refused(bytes));
            }
            values.append_value(text.unwrap_or_default());
        }
        Arc::new(values.finish())
    }

    fn strings_of(&self, cells: &Cells<'_>) -> StringBuilder {
        let bytes = cells.fields(self.field).map(Field::len).sum();
        StringBuilder::with_capacity(cells.rows(), bytes)
    }

    /// What a field holds; `None` when that is NULL.
    #[inline]
    fn seen<'a>(&self, cells: &Cells<'a>, field: Field, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let bytes = &cells.data[field.range()];
        if self.is_plain {
            return (!self.is_null(field, bytes)).then_some(bytes);
        }
        self.looked_at(cells, field, bytes, scratch)
    }

    fn looked_at<'a>(
        &self,
        cells: &Cells<'a>,
        field: Field,
        bytes: &'a [u8],
        scratch: &'a mut Vec<u8>,
    ) -> Option<&'a [u8]> {
        let raw = if field.is_quoted() { bytes } else { trimmed(bytes, self.trim) };
        let is_word = !field.is_quoted()
            && (self.nulls.iter().any(|w| w == raw) || cells.syntax.null_code().is_some_and(|code| code == raw));
        let is_null = match self.empty {
            Empty::ByQuotes => is_word || (raw.is_empty() && !field.is_quoted()),
            Empty::IsNull => is_word || raw.is_empty(),
            Empty::IsText => is_word,
        };
        if is_null {
            return None;
        }
        Some(match field.has_doubled_quotes() {
            true => cells.syntax.unescaped(raw, field.is_quoted(), scratch),
            false => raw,
        })
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

    fn append_no_text(&self, values: &mut StringBuilder, row: usize, faults: &mut Faults) {
        if self.required {
            faults.note(row, || self.missing());
            values.append_value("");
        } else {
            values.append_null();
        }
    }
}

fn parser(column: &Column) -> Result<Parser, String> {
    let mark = match column.decimal_mark {
        DecimalMark::Comma => b',',
        DecimalMark::Point | DecimalMark::Implied => b'.',
    };
    let notation = || Notation::new(column.format.as_deref());
    let written = Written::of(column);
    Ok(match column.column_type {
        ColumnType::Int32 => Parser::Int32(written),
        ColumnType::Int64 => Parser::Int64(written),
        ColumnType::Float64 => Parser::Float64 { mark, written },
        ColumnType::Decimal { precision, scale } => Parser::Decimal { precision, scale, mark, written },
        ColumnType::Bool => {
            let bytes = |words: &[String]| words.iter().map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>();
            let words = Words([bytes(&column.false_words), bytes(&column.true_words)]);
            Parser::Bool((!column.true_words.is_empty() || !column.false_words.is_empty()).then_some(words))
        }
        ColumnType::Date => Parser::Date(notation()?),
        ColumnType::Timestamp => {
            Parser::Timestamp(notation()?, Zone::parse(column.zone.as_deref().unwrap_or("UTC"), column.ambiguous)?)
        }
        ColumnType::String => match notation()? {
            Notation::Iso => Parser::Text,
            Notation::Custom(items) => Parser::TimeOfDay(items),
        },
    })
}

/// Without the blanks that `trim` takes away.
fn trimmed(mut bytes: &[u8], trim: Trim) -> &[u8] {
    if matches!(trim, Trim::Left | Trim::Both) {
        while let [b' ' | b'\t', rest @ ..] = bytes {
            bytes = rest;
        }
    }
    if matches!(trim, Trim::Right | Trim::Both) {
        while let [rest @ .., b' ' | b'\t'] = bytes {
            bytes = rest;
        }
    }
    bytes
}
