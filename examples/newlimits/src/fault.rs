use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::feed::{Column, ColumnType, FeedSpec};
use crate::random::Random;

/// Reason codes of rejected rows and files, by the names that the `csv_drops` source gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    BadInt,
    BadDecimal,
    BadFloat,
    BadBool,
    BadDate,
    BadTimestamp,
    MissingRequired,
    TooFewFields,
    TooManyFields,
    InvalidEncoding,
    /// Of a whole file: it ends inside a quoted field.
    TruncatedInQuotes,
}

impl Code {
    /// Codes that reject one row, in the order in which a plan takes turns through them.
    pub(crate) const OF_ROWS: [Self; 10] = [
        Self::BadDecimal,
        Self::MissingRequired,
        Self::BadDate,
        Self::TooFewFields,
        Self::TooManyFields,
        Self::InvalidEncoding,
        Self::BadInt,
        Self::BadTimestamp,
        Self::BadFloat,
        Self::BadBool,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::BadInt => "bad_int",
            Self::BadDecimal => "bad_decimal",
            Self::BadFloat => "bad_float",
            Self::BadBool => "bad_bool",
            Self::BadDate => "bad_date",
            Self::BadTimestamp => "bad_timestamp",
            Self::MissingRequired => "missing_required",
            Self::TooFewFields => "too_few_fields",
            Self::TooManyFields => "too_many_fields",
            Self::InvalidEncoding => "invalid_encoding",
            Self::TruncatedInQuotes => "truncated_in_quotes",
        }
    }

    /// The codes whose fault can be planted into rows of this feed.
    pub(crate) fn possible_in(spec: &FeedSpec) -> Vec<Self> {
        Self::OF_ROWS
            .into_iter()
            .filter(|code| match code {
                Self::TooFewFields | Self::TooManyFields => true,
                code => !candidates(*code, spec).is_empty(),
            })
            .collect()
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Spoils a good row so that it must be rejected with exactly this code. Gives the name of the spoilt column, when one is.
pub(crate) fn spoil(cells: &mut Vec<Cell>, code: Code, spec: &FeedSpec, random: &mut Random) -> Option<&'static str> {
    match code {
        Code::TooFewFields => {
            let left_out = 1 + random.below(2) as usize;
            cells.truncate(cells.len().saturating_sub(left_out));
            return None;
        }
        Code::TooManyFields => {
            cells.push(Cell::string("übrig"));
            return None;
        }
        _ => {}
    }
    let at = random.pick(&candidates(code, spec));
    let column = &spec.columns[at];
    let cell = &mut cells[at];
    match code {
        Code::MissingRequired => *cell = Cell::null(),
        Code::InvalidEncoding => break_encoding(&mut cell.text, random),
        code => {
            *cell = Cell::string(wrong_text(code, column, random));
        }
    }
    Some(column.name)
}

/// Columns in which the fault can be planted; never the id, so that a ledger can still name the row.
fn candidates(code: Code, spec: &FeedSpec) -> Vec<usize> {
    let fits = |column: &Column| match code {
        Code::MissingRequired => column.required,
        Code::BadInt => matches!(column.kind, ColumnType::Int32 | ColumnType::Int64),
        Code::BadDecimal => matches!(column.kind, ColumnType::Decimal { .. }),
        Code::BadFloat => column.kind == ColumnType::Float64,
        Code::BadBool => column.kind == ColumnType::Bool,
        Code::BadDate => column.kind == ColumnType::Date,
        Code::BadTimestamp => column.kind == ColumnType::Timestamp,
        Code::InvalidEncoding => column.kind == ColumnType::String,
        Code::TooFewFields | Code::TooManyFields | Code::TruncatedInQuotes => false,
    };
    (0..spec.columns.len()).filter(|&at| spec.columns[at].name != spec.id && fits(&spec.columns[at])).collect()
}

fn wrong_text(code: Code, column: &Column, random: &mut Random) -> String {
    let one_of = |random: &mut Random, texts: &[&str]| random.pick(texts).to_string();
    match (code, column.kind) {
        (Code::BadInt, ColumnType::Int32) => one_of(random, &["12a", "3.5", "--4", "2147483648", "zwölf"]),
        (Code::BadInt, _) => one_of(random, &["12a", "3.5", "9223372036854775808", "zwölf"]),
        (Code::BadDecimal, ColumnType::Decimal { precision, scale }) => {
            let mark = column.decimal_mark.unwrap_or('.');
            match random.below(4) {
                0 => format!("12{mark}3x"),
                1 => format!("1{mark}2{mark}3"),
                // One digit more than the scale keeps: rounding would lose it.
                2 => format!("49{mark}{}", "1".repeat(usize::from(scale) + 1)),
                // One whole digit more than the precision has room for.
                _ => format!("{}{mark}5", "9".repeat(usize::from(precision - scale) + 1)),
            }
        }
        (Code::BadFloat, _) => one_of(random, &["1.2.3", "schwer", "0x1p3"]),
        (Code::BadBool, _) => one_of(random, &["vielleicht", "2"]),
        (Code::BadDate, _) if column.format.is_some() => {
            one_of(random, &["31.02.2026", "12.13.2026", "00.03.2026", "morgen"])
        }
        (Code::BadDate, _) => one_of(random, &["2026-02-31", "2026-13-01", "2026-03-00", "morgen"]),
        (Code::BadTimestamp, _) if column.format.is_some() => {
            one_of(random, &["31.02.2026 20:00:00", "02.03.2026 25:10:00", "heute Nacht"])
        }
        _ => one_of(random, &["2026-02-31T20:00:00Z", "2026-03-02T25:10:00Z", "heute Nacht"]),
    }
}

/// Puts bytes into the middle of a text that no UTF-8 has: a stray 0xFF, a lead byte without its tail, a lone tail byte,
/// or an umlaut in Latin-1.
fn break_encoding(text: &mut Vec<u8>, random: &mut Random) {
    const BROKEN: [&[u8]; 4] = [b"\xFF", b"\xE2\x82x", b"\x80", b"Gr\xF6\xDFe"];
    let boundary =
        (0..=text.len() / 2).rev().find(|&at| text.get(at).is_none_or(|byte| byte & 0xC0 != 0x80)).unwrap_or(0);
    let broken = random.pick(&BROKEN);
    text.splice(boundary..boundary, broken.iter().copied());
}
