//! `mode`: whether a file adds rows or is the whole table as it stands.

use super::{Ambiguous, Column, CsvDropsConfig, DecimalMark, Empty, Negative};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use unbatch_api::ColumnType;

/// What a file says about the rows of the files before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing: its rows are added.
    #[default]
    Append,
    /// It is the whole table as it stands now. What changed since the file before it is handed on: rows that are new, that have
    /// another content, and that are gone.
    FullDump(
        /// How the rows of two files are told apart and compared.
        FullDump,
    ),
}

/// How a file with the whole table becomes what changed since the one before it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FullDump {
    /// Columns that tell the rows of the table apart. None of them may be NULL. They are the key of the stream.
    #[schemars(length(min = 1))]
    pub key: Vec<String>,
    /// The folder where it is kept what was told of the last file: keys and a digest of each row. A path, a `file:` URL, or a folder of an
    /// object store; a relative one starts at the folder of the pipeline file. It must last as long as the pipeline does.
    pub baseline: String,
    /// A file in which more rows are missing than this share of the table is parked, since as a rule it was not delivered whole. One
    /// row may always be missing.
    #[serde(default)]
    pub deletes_max: Share,
    /// The folder in which files are sorted; it needs about as much room as the largest of them has. Default: the system's folder
    /// for temporary files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spill: Option<String>,
}

/// A share of a whole, in hundredths of a percent: `10%`, `0.5%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

const HUNDREDTHS: u32 = 100;

impl Share {
    /// Whether `part` is more than this share of `whole`.
    pub fn is_passed(self, part: u64, whole: u64) -> bool {
        u128::from(part) * 100 * u128::from(HUNDREDTHS) > u128::from(whole) * u128::from(self.0)
    }
}

impl Default for Share {
    fn default() -> Self {
        Share(10 * HUNDREDTHS)
    }
}

impl FromStr for Share {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a share between 0% and 100% like 10% or 0.5%");
        let number = text.strip_suffix('%').ok_or_else(wrong)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) || fraction.len() > 2 || whole.len() > 3 {
            return Err(wrong());
        }
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        let hundredths = number(whole)? * HUNDREDTHS + number(&format!("{fraction:0<2}"))?;
        if hundredths > 100 * HUNDREDTHS { Err(wrong()) } else { Ok(Share(hundredths)) }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / HUNDREDTHS, self.0 % HUNDREDTHS) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, part) => write!(f, "{}%", format!("{whole}.{part:02}").trim_end_matches('0')),
        }
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^([0-9]{1,2}([.][0-9]{1,2})?|100([.]0{1,2})?)%$",
            "description": "a share of a whole",
            "examples": ["10%", "0.5%"],
        })
    }
}

impl CsvDropsConfig {
    /// The settings of full dumps, where files are such.
    pub fn full_dump(&self) -> Option<&FullDump> {
        match &self.mode {
            Mode::Append => None,
            Mode::FullDump(dump) => Some(dump),
        }
    }

    /// The same with the columns of the key declared and required: one that is not declared is text.
    pub fn with_key_columns(&self) -> Self {
        let mut full = self.clone();
        let Some(dump) = self.full_dump() else { return full };
        for name in &dump.key {
            match full.columns.iter_mut().find(|column| column.name == *name) {
                Some(column) => column.required = true,
                None => full.columns.push(Column { required: true, ..plain_text(name.clone()) }),
            }
        }
        full
    }

    /// The same for the text of one refused row, of which only the key is asked: what its other columns hold does not matter.
    pub fn of_one_key(&self) -> Self {
        let mut one = self.with_key_columns().of_one_row();
        let key = self.full_dump().map(|dump| dump.key.clone()).unwrap_or_default();
        for column in one.columns.iter_mut().filter(|column| !key.contains(&column.name)) {
            *column = Column { width: column.width, at: column.at, ..plain_text(std::mem::take(&mut column.name)) };
        }
        one.field_max = one.record_max;
        one
    }
}

fn plain_text(name: String) -> Column {
    Column {
        name,
        column_type: ColumnType::String,
        required: false,
        format: None,
        zone: None,
        ambiguous: Ambiguous::default(),
        decimal_mark: DecimalMark::default(),
        thousands: None,
        negative: Negative::default(),
        true_words: vec![],
        false_words: vec![],
        values: vec![],
        nulls: vec![],
        empty: Empty::default(),
        trim: None,
        width: None,
        at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_written_and_compared_without_rounding() {
        for text in ["10%", "0.5%", "100%", "0%", "33.25%"] {
            assert_eq!(text.parse::<Share>().unwrap().to_string(), text);
        }
        for bad in ["10", "%", "101%", "100.01%", "1.234%", "-1%", "a%", "1.%", " 5%", "1e2%"] {
            assert!(bad.parse::<Share>().is_err(), "{bad}");
        }
        let share: Share = "10%".parse().unwrap();
        assert!(
            !share.is_passed(10, 100) && share.is_passed(11, 100) && !share.is_passed(0, 0) && share.is_passed(1, 0)
        );
    }

    #[test]
    fn a_key_column_is_required_and_text_when_nobody_declares_it() {
        let text = r#"{"url": "x", "match": "*", "columns": [{"name": "price", "type": "int64", "required": true, "width": 3}],
            "mode": {"full_dump": {"key": ["price", "sku"], "baseline": "b"}}}"#;
        let config: CsvDropsConfig = serde_json::from_str(text).unwrap();
        let full = config.with_key_columns();
        assert_eq!(full.columns.len(), 2);
        assert!(full.columns.iter().all(|c| c.required) && full.columns[1].column_type == ColumnType::String);
        let append: CsvDropsConfig = serde_json::from_str(r#"{"url": "x", "match": "*", "mode": "append"}"#).unwrap();
        assert!(append.full_dump().is_none() && append.with_key_columns().columns.is_empty());
    }
}
