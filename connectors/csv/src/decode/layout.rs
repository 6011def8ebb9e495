//! The header contract: which field of a record becomes which column.

use super::column::ColumnPlan;
use crate::config::{Column, CsvDropsConfig};
use crate::syntax::LineEnd;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use unbatch_api::arrow::datatypes::{Field, Schema};
use unbatch_api::{StreamName, StreamSchema};

/// The columns of one file: declared ones in declared order, then what else the file has, as text, in its own order.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Fields that each record must have.
    pub width: usize,
    pub columns: Vec<ColumnPlan>,
    /// How many of them are declared; the names of the others come from the file.
    pub declared: usize,
    pub schema: Arc<StreamSchema>,
    /// The header as it stands in the file, without its line break; empty without a header. It goes in front of each rejected
    /// row, so that the entry can be read alone and replayed whatever order the file's columns had.
    pub header: Bytes,
    /// What ends the lines of such an entry.
    pub line_end: LineEnd,
}

/// A header that breaks the contract: the file is parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadHeader {
    pub code: &'static str,
    pub message: String,
}

impl Layout {
    /// By name, from the header's names.
    pub fn by_name(config: &CsvDropsConfig, names: &[String], header: Bytes) -> Result<Self, BadHeader> {
        let names = &numbered(config, names);
        // what stands in the header may be a row of a file without one: messages have numbers, never the names
        let most = config.columns_max as usize;
        if names.len() > most {
            return bad("header_too_many_columns", format!("the header has more than {most} columns"));
        }
        let mut seen = HashMap::with_capacity(names.len());
        for (i, name) in names.iter().enumerate() {
            if name.contains('\0') {
                return bad("zero_byte", format!("the name of column {} of the header holds a zero byte", i + 1));
            }
            if name.is_empty() {
                let n = i + 1;
                return bad(
                    "header_blank_column",
                    format!("column {n} of the header has no name; `c{n}` is not declared"),
                );
            }
            if let Some(before) = seen.insert(name.as_str(), i) {
                let (a, b) = (before + 1, i + 1);
                return bad("header_duplicate_column", format!("columns {a} and {b} of the header have the same name"));
            }
        }
        let mut columns = Vec::with_capacity(names.len());
        for column in &config.columns {
            match seen.get(column.name.as_str()) {
                Some(field) => columns.push(plan(column, *field, config)?),
                None => {
                    return bad("header_missing_column", format!("the header has no column `{}`", column.name));
                }
            }
        }
        let declared: HashSet<&str> = config.columns.iter().map(|c| c.name.as_str()).collect();
        let rest = names.iter().enumerate().filter(|(_, n)| !declared.contains(n.as_str()));
        columns.extend(rest.map(|(i, name)| ColumnPlan::text(name.clone(), i, &config.dialect)));
        let line_end = LineEnd::of(&config.dialect);
        Ok(Self {
            width: names.len(),
            schema: schema_of(&columns),
            columns,
            declared: declared.len(),
            header,
            line_end,
        })
    }

    /// By position; `found` is the number of fields of the file's first record.
    pub fn by_position(config: &CsvDropsConfig, found: usize) -> Result<Self, BadHeader> {
        let most = config.columns_max as usize;
        if found > most {
            return bad("header_too_many_columns", format!("the first row has more than {most} fields"));
        }
        let width = found.max(config.columns.len());
        let mut columns = Vec::with_capacity(width);
        for (field, column) in config.columns.iter().enumerate() {
            columns.push(plan(column, field, config)?);
        }
        let rest = config.columns.len()..width;
        columns.extend(rest.map(|i| ColumnPlan::text(format!("c{}", i + 1), i, &config.dialect)));
        let declared = config.columns.len();
        let line_end = LineEnd::of(&config.dialect);
        Ok(Self { width, schema: schema_of(&columns), columns, declared, header: Bytes::new(), line_end })
    }
}

/// The header's names, with the number of the column for those that it leaves out and the configuration declares so: `c1`, as
/// without a header. An unnamed column that nobody declared stays unnamed.
pub fn numbered(config: &CsvDropsConfig, names: &[String]) -> Vec<String> {
    let number = |(i, name): (usize, &String)| {
        let numbered = format!("c{}", i + 1);
        let is_meant =
            name.is_empty() && config.columns.iter().any(|c| c.name == numbered) && !names.contains(&numbered);
        if is_meant { numbered } else { name.clone() }
    };
    names.iter().enumerate().map(number).collect()
}

/// The schema of the declared columns alone; what batches without any row carry before a file was seen.
pub fn declared_schema(config: &CsvDropsConfig) -> Arc<StreamSchema> {
    let fields: Vec<Field> = config.columns.iter().map(|c| c.column_type.field(&c.name, !c.required)).collect();
    Arc::new(StreamSchema::new(Arc::new(Schema::new(fields)), vec![]))
}

/// The name of the file set: what `match` begins with, up to its first wildcard or dot (`prices_*.csv` is `prices`);
/// without such a beginning, the last folder of `url`.
pub fn stream_name(config: &CsvDropsConfig) -> StreamName {
    let stem: &str = config.pattern.split(['*', '?', '[', '{', '.']).next().unwrap_or_default();
    let stem = stem.trim_matches(|c: char| !c.is_alphanumeric());
    if !stem.is_empty() {
        return StreamName::new(stem);
    }
    let folder = config.url.trim_end_matches('/').rsplit(['/', ':']).find(|part| !part.trim_matches('.').is_empty());
    StreamName::new(folder.unwrap_or("files"))
}

fn plan(column: &Column, field: usize, config: &CsvDropsConfig) -> Result<ColumnPlan, BadHeader> {
    // `validate` has refused what cannot work; this only keeps the reason should it be reached
    ColumnPlan::declared(column, field, &config.dialect)
        .map_err(|message| BadHeader { code: "bad_column", message: format!("column `{}`: {message}", column.name) })
}

fn schema_of(columns: &[ColumnPlan]) -> Arc<StreamSchema> {
    let fields: Vec<Field> = columns.iter().map(|c| c.column_type.field(&c.name, !c.required)).collect();
    Arc::new(StreamSchema::new(Arc::new(Schema::new(fields)), vec![]))
}

fn bad<T>(code: &'static str, message: String) -> Result<T, BadHeader> {
    Err(BadHeader { code, message })
}
