//! Whether the declared columns can be read as they are declared.

use super::Found;
use crate::config::{Ambiguous, Column, CsvDropsConfig, DecimalMark, Empty, Format, Header, Negative, Thousands};
use crate::decode::ColumnPlan;
use crate::decode::temporal::Notation;
use std::collections::HashSet;
use unbatch_api::ColumnType;

const CODE: &str = "U0213";

pub fn check(config: &CsvDropsConfig, found: &mut Found) {
    let mut names = HashSet::new();
    for (i, column) in config.columns.iter().enumerate() {
        let path = |field: &str| format!("columns[{i}].{field}");
        if column.name.is_empty() {
            found.error(path("name"), CODE, "the column has no name", "write the name it has in the header");
        } else if !names.insert(&column.name) {
            let message = format!("column `{}` is declared twice", column.name);
            found.error(path("name"), CODE, message, "remove one of the two");
        }
        let number = column.name.strip_prefix('c').and_then(|n| n.parse::<usize>().ok());
        if config.dialect.header == Header::None && number.is_some_and(|n| n > config.columns.len()) {
            let message = format!("column `{}` has the name of an undeclared one further on", column.name);
            let help = "without a header c1, c2, … are undeclared columns; use another name";
            found.error(path("name"), CODE, message, help);
        }
        idle(column, config.dialect.format, &path, found);
        numbers(column, &path, found);
        words(column, &path, found);
        match ColumnPlan::declared(column, 0, &config.dialect) {
            Err(message) => {
                let field = if message.contains("strftime") { "format" } else { "zone" };
                found.error(path(field), CODE, message, "see `unbatch connectors csv_drops`");
            }
            Ok(_) => format(column, &path, found),
        }
    }
}

/// Options that say nothing for the type they stand beside.
fn idle(column: &Column, format: Format, path: &dyn Fn(&str) -> String, found: &mut Found) {
    let column_type = column.column_type;
    let is_time = column_type == ColumnType::Timestamp;
    let is_string = column_type == ColumnType::String;
    let is_fraction = matches!(column_type, ColumnType::Decimal { .. } | ColumnType::Float64);
    let is_number = is_fraction || matches!(column_type, ColumnType::Int32 | ColumnType::Int64);
    let is_bool = column_type == ColumnType::Bool;
    let takes_format = is_time || is_string || column_type == ColumnType::Date;
    let options = [
        ("format", column.format.is_some() && !takes_format, "dates, timestamps and strings that are times of day"),
        ("zone", column.zone.is_some() && !is_time, "timestamps"),
        ("ambiguous", column.ambiguous != Ambiguous::default() && !is_time, "timestamps"),
        ("decimal_mark", column.decimal_mark != DecimalMark::default() && !is_fraction, "decimals and floats"),
        ("thousands", column.thousands.is_some() && !is_number, "numbers"),
        ("negative", column.negative != Negative::default() && !is_number, "numbers"),
        ("true_words", !column.true_words.is_empty() && !is_bool, "booleans"),
        ("false_words", !column.false_words.is_empty() && !is_bool, "booleans"),
        ("values", !column.values.is_empty() && !is_string, "strings"),
    ];
    for (name, _, whose) in options.into_iter().filter(|(_, is_idle, _)| *is_idle) {
        let message = format!("`{name}` does nothing for a column of type {column_type}");
        found.error(path(name), CODE, message, &format!("it is for {whose}; remove it or change the type"));
    }
    if column.empty == Empty::IsText && !is_string {
        let message = format!("an empty field is no {column_type}");
        found.error(path("empty"), CODE, message, "choose `by_quotes` or `is_null`, or make the column a string");
    }
    if format == Format::Separated {
        for (name, _) in [("width", column.width), ("at", column.at)].into_iter().filter(|(_, set)| set.is_some()) {
            let message = format!("`{name}` does nothing for separated files");
            found.error(path(name), CODE, message, "remove it, or set `dialect.format: fixed`");
        }
    }
}

fn numbers(column: &Column, path: &dyn Fn(&str) -> String, found: &mut Found) {
    let is_fraction = matches!(column.column_type, ColumnType::Decimal { .. } | ColumnType::Float64);
    let clash = match (column.thousands, column.decimal_mark) {
        (Some(Thousands::Point), DecimalMark::Point) | (Some(Thousands::Comma), DecimalMark::Comma) => is_fraction,
        _ => false,
    };
    if clash {
        let help = "set `decimal_mark` too: `{thousands: \".\", decimal_mark: \",\"}` reads 1.234,50";
        found.error(path("thousands"), CODE, "`thousands` and `decimal_mark` are the same", help);
    }
    if column.decimal_mark != DecimalMark::Implied {
        return;
    }
    if !matches!(column.column_type, ColumnType::Decimal { scale: 1.., .. }) {
        let help = "it is for decimals with a scale, decimal(9,2) for example";
        let message = format!("`decimal_mark: none` says nothing for a column of type {}", column.column_type);
        found.error(path("decimal_mark"), CODE, message, help);
    }
    if column.thousands.is_some() {
        let help = "remove one of the two; without a decimal mark a number has digits only";
        found.error(path("thousands"), CODE, "`thousands` and `decimal_mark: none` exclude each other", help);
    }
}

fn words(column: &Column, path: &dyn Fn(&str) -> String, found: &mut Found) {
    if column.column_type == ColumnType::Bool && column.true_words.is_empty() != column.false_words.is_empty() {
        let missing = if column.true_words.is_empty() { "true_words" } else { "false_words" };
        let help =
            "name the words for both; where one of them is an empty field, put \"\" into `nulls` or leave it NULL";
        found.error(path(missing), CODE, format!("`{missing}` is missing beside its opposite"), help);
    }
    if let Some(word) = column.true_words.iter().find(|word| column.false_words.contains(word)) {
        let message = format!("`{word}` is true and false at once");
        found.error(path("false_words"), CODE, message, "remove it from one of the two");
    }
    if !column.values.is_empty() && column.format.is_some() {
        let help = "remove one of the two";
        found.error(path("values"), CODE, "`values` and `format` exclude each other", help);
    }
    if column.ambiguous != Ambiguous::default() && !column.zone.as_deref().is_some_and(|zone| zone.contains('/')) {
        let help = "name a zone whose clocks change, Europe/Berlin for example, or remove it";
        found.error(path("ambiguous"), CODE, "`ambiguous` does nothing without the name of a zone", help);
    }
}

/// A notation that reads nothing would reject every row.
fn format(column: &Column, path: &dyn Fn(&str) -> String, found: &mut Found) {
    let takes_one = matches!(column.column_type, ColumnType::Date | ColumnType::Timestamp | ColumnType::String);
    let Ok(notation) = Notation::new(column.format.as_deref()) else { return };
    if !takes_one || notation.reads_what_it_writes(column.column_type) {
        return;
    }
    let (whole, help) = match column.column_type {
        ColumnType::Date => ("a whole date", "write day, month and year, %d.%m.%Y for example"),
        ColumnType::Timestamp => (
            "a whole date and time",
            "write date, hour and minute, %d.%m.%Y %H:%M for example; without a time it is a date",
        ),
        _ => ("a time of day", "write %H:%M for example; dates and times with a date have types of their own"),
    };
    found.error(path("format"), CODE, format!("`format` does not give {whole}"), help);
}
