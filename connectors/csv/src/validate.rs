//! What can be said about a configuration without looking at any file.

use crate::config::{After, Column, CsvDropsConfig, Header, ReadyWhen, one_byte};
use crate::decode::ColumnPlan;
use crate::folder::matcher;
use crate::location::Location;
use std::collections::HashSet;
use unbatch_api::{ColumnType, Problem, Severity};

/// Fields and buffers are addressed with 30 bits; a record far below that is already a mistake.
const RECORD_LIMIT: u64 = 256 << 20;

pub fn problems(config: &CsvDropsConfig) -> Vec<Problem> {
    let mut found = Found(Vec::new());
    places(config, &mut found);
    dialect(config, &mut found);
    columns(config, &mut found);
    limits(config, &mut found);
    found.0
}

struct Found(Vec<Problem>);

impl Found {
    fn error(&mut self, path: impl Into<String>, code: &'static str, message: impl Into<String>, help: &str) {
        self.add(path.into(), Severity::Error, code, message.into(), help);
    }
    fn warning(&mut self, path: impl Into<String>, code: &'static str, message: impl Into<String>, help: &str) {
        self.add(path.into(), Severity::Warning, code, message.into(), help);
    }
    fn add(&mut self, path: String, severity: Severity, code: &'static str, message: String, help: &str) {
        self.0.push(Problem { path, severity, code, message, help: help.into() });
    }
}

fn places(config: &CsvDropsConfig, found: &mut Found) {
    let folder = Location::parse(&config.url);
    if let Err(message) = &folder {
        found.error("url", "U0210", format!("`url` {message}"), "write a path or a file: URL of a folder");
    }
    if config.pattern.contains('/') {
        let help = "put the folder into `url`; `match` is over the file name, and folders inside are not looked into";
        found.error("match", "U0211", "`match` has a slash", help);
    } else if config.pattern.is_empty() || matcher(&config.pattern).is_err() {
        found.error("match", "U0211", "`match` is not a glob", "write a pattern like prices_*.csv");
    }
    if let After::MoveTo(url) = &config.after {
        match (Location::parse(url), &folder) {
            (Err(message), _) => {
                found.error("after.move_to", "U0210", format!("`move_to` {message}"), "write a path or a file: URL");
            }
            (Ok(archive), Ok(folder)) if archive.is_same_text(folder) => {
                let help = "name another folder, or one inside it; archived files would be read again";
                found.error("after.move_to", "U0215", "`move_to` is the folder that is read", help);
            }
            _ => {}
        }
    }
    if let ReadyWhen::Marker(ending) = &config.ready_when
        && (ending.is_empty() || ending.contains('/'))
    {
        let help = "write what is added to the file's name, such as .done";
        found.error("ready_when.marker", "U0214", "the ending of marker files is empty or has a slash", help);
    }
}

fn dialect(config: &CsvDropsConfig, found: &mut Found) {
    let dialect = &config.dialect;
    let (delimiter, quote) = (one_byte(&dialect.delimiter), one_byte(&dialect.quote));
    for (name, byte) in [("delimiter", delimiter), ("quote", quote)] {
        if byte.is_none() {
            let help = "write one ASCII character; a tab is \"\\t\" or tab";
            found.error(format!("dialect.{name}"), "U0212", format!("`{name}` is not one ASCII character"), help);
        }
    }
    if delimiter.is_some() && delimiter == quote {
        found.error("dialect", "U0212", "`delimiter` and `quote` are the same", "give each a character of its own");
    }
    if !matches!(dialect.encoding.to_ascii_lowercase().as_str(), "utf-8" | "utf8") {
        let message = format!("encoding `{}` is not built in yet", dialect.encoding);
        found.error("dialect.encoding", "U0212", message, "convert the files to utf-8, with iconv for example");
    }
}

fn columns(config: &CsvDropsConfig, found: &mut Found) {
    let mut names = HashSet::new();
    for (i, column) in config.columns.iter().enumerate() {
        let path = |field: &str| format!("columns[{i}].{field}");
        if column.name.is_empty() {
            found.error(path("name"), "U0213", "the column has no name", "write the name it has in the header");
        } else if !names.insert(&column.name) {
            let message = format!("column `{}` is declared twice", column.name);
            found.error(path("name"), "U0213", message, "remove one of the two");
        }
        let number = column.name.strip_prefix('c').and_then(|n| n.parse::<usize>().ok());
        if config.dialect.header == Header::None && number.is_some_and(|n| n > config.columns.len()) {
            let message = format!("column `{}` has the name of an undeclared one further on", column.name);
            found.error(
                path("name"),
                "U0213",
                message,
                "without a header c1, c2, … are undeclared columns; use another name",
            );
        }
        options(column, &path, found);
        if let Err(message) = ColumnPlan::declared(column, 0, &[]) {
            let field = if message.contains("strftime") { "format" } else { "zone" };
            found.error(path(field), "U0213", message, "see `unbatch connectors csv_drops`");
        }
    }
}

/// Options that say nothing for the type they stand beside.
fn options(column: &Column, path: &dyn Fn(&str) -> String, found: &mut Found) {
    let is_date = matches!(column.column_type, ColumnType::Date | ColumnType::Timestamp);
    let is_number = matches!(column.column_type, ColumnType::Decimal { .. } | ColumnType::Float64);
    let idle = [
        ("format", column.format.is_some() && !is_date, "dates and timestamps"),
        ("zone", column.zone.is_some() && column.column_type != ColumnType::Timestamp, "timestamps"),
        ("decimal_mark", column.decimal_mark != Default::default() && !is_number, "decimals and floats"),
    ];
    for (name, is_idle, whose) in idle {
        if is_idle {
            let message = format!("`{name}` does nothing for a column of type {}", column.column_type);
            found.error(path(name), "U0213", message, &format!("it is for {whose}; remove it or change the type"));
        }
    }
}

fn limits(config: &CsvDropsConfig, found: &mut Found) {
    if config.splits == 0 || config.splits > 128 {
        found.error("splits", "U0214", "`splits` is not between 1 and 128", "1 is right for almost every folder");
    }
    if config.poll.0.is_zero() {
        found.error("poll", "U0214", "`poll` is zero", "write how often the folder is listed, such as 250ms");
    }
    for (path, size) in [("record_max", config.record_max.0), ("field_max", config.field_max.0)] {
        if size == 0 || size > RECORD_LIMIT {
            found.error(path, "U0214", format!("`{path}` is not between 1B and 256MiB"), "the default is 16MiB");
        }
    }
    if matches!(&config.ready_when, ReadyWhen::StableFor(period) if period.0.is_zero()) {
        let help = "a file is then read while it is still being written; only for writers that rename whole files into the folder";
        found.warning("ready_when.stable_for", "U0214", "`stable_for` is zero", help);
    }
}
