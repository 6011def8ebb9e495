//! `columns`: what fields must hold and how it is written.

use super::Trim;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unbatch_api::ColumnType;

/// One declared column.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name in the header; without a header, its name. `c3` is also the third column when the header gives it no name.
    pub name: String,
    /// What its fields must hold: `int32`, `int64`, `float64`, `decimal(p,s)`, `bool`, `date`, `timestamp` or `string`. A field that
    /// does not fit rejects its row.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// A row in which it is NULL is rejected.
    #[serde(default)]
    pub required: bool,
    /// How dates or times are written, in the notation of strftime: `%d.%m.%Y`. Default: ISO 8601. A string with a format is a
    /// time of day, `%I:%M %p` for example, and becomes text like `13:05:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The zone of times that carry none: `UTC` (default), a fixed offset such as `+01:00`, or a name such as `Europe/Berlin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What a time means that the clocks of `zone` showed twice, when they were set back. A time that they left out is always refused.
    #[serde(default)]
    pub ambiguous: Ambiguous,
    /// What stands before the fraction of a decimal or float.
    #[serde(default)]
    pub decimal_mark: DecimalMark,
    /// What stands between groups of three digits. Default: nothing may. A number may still be written without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thousands: Option<Thousands>,
    /// How numbers below zero are written.
    #[serde(default)]
    pub negative: Negative,
    /// Words for true, as they are written, in place of `true`, `t`, `yes`, `y` and `1`. Default: those, in any case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub true_words: Vec<String>,
    /// Words for false, as they are written. Default: `false`, `f`, `no`, `n` and `0` in any case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub false_words: Vec<String>,
    /// The only texts that it may hold, as they are written. Default: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// More words that mean NULL, for this column only.
    #[serde(default)]
    pub nulls: Vec<String>,
    /// What an empty field is.
    #[serde(default)]
    pub empty: Empty,
    /// Blanks around the field that are taken away. Default: as `dialect.trim`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trim: Option<Trim>,
    /// With `format: fixed`, how many characters it has. Default: only for other formats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub width: Option<u32>,
    /// With `format: fixed`, which character of the line it begins with, from 1. Default: behind the column before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub at: Option<u32>,
}

/// What stands before the fraction of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum DecimalMark {
    /// `12.50`
    #[default]
    #[serde(rename = ".")]
    Point,
    /// `12,50`
    #[serde(rename = ",")]
    Comma,
    /// `1250` is 12.50 in a decimal(p,2): the last digits are the fraction, as in COBOL's `9(6)V99`.
    #[serde(rename = "none")]
    Implied,
}

/// What stands between groups of three digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Thousands {
    /// `1.234.567`
    #[serde(rename = ".")]
    Point,
    /// `1,234,567`
    #[serde(rename = ",")]
    Comma,
    /// `1 234 567`, also with the spaces that do not break a line (U+00A0, U+202F).
    #[serde(rename = " ")]
    Space,
    /// `1'234'567`, also with the typographic apostrophe (U+2019).
    #[serde(rename = "'")]
    Apostrophe,
}

/// How numbers below zero are written. Without a sign a number is positive, and a sign in front is always read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Negative {
    /// `-123`
    #[default]
    Leading,
    /// `123-`, as SAP writes; `123+` is positive.
    Trailing,
    /// `(123)`, as accountants write.
    Parentheses,
}

/// What a local time means that there was twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ambiguous {
    /// Nothing: its row is rejected.
    #[default]
    Refuse,
    /// The first of the two.
    Earliest,
    /// The second.
    Latest,
}

/// What an empty field is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Empty {
    /// NULL without quotes, the empty string in quotes.
    #[default]
    ByQuotes,
    /// NULL either way, for writers that put quotes around everything.
    IsNull,
    /// The empty string either way; only words are NULL. For columns of type string.
    IsText,
}

impl Column {
    /// Forgets how its values are written in files: each is written the plain way then. What it may hold stays.
    pub fn make_plain(&mut self) {
        (self.format, self.decimal_mark, self.thousands) = (None, DecimalMark::default(), None);
        (self.negative, self.empty, self.trim) = (Negative::default(), Empty::default(), None);
        (self.width, self.at) = (None, None);
        self.nulls.clear();
        self.true_words.clear();
        self.false_words.clear();
    }
}
