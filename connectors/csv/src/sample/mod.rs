//! Drafts the source part of a pipeline file from sampled files: `unbatch init --from csv FILE…`.
//!
//! ```text
//! files -> excerpt (two ends, bounded; is it text) -> shape (delimiter, quotes, records)
//!       -> table (header, columns, key)            -> settings as YAML, with what was left open
//! ```
//!
//! Cells are tried with the decoders of the source itself, so that what is drafted here is read there.

mod column;
mod excerpt;
mod grouped;
mod moment;
mod names;
mod number;
mod settings;
mod shape;
mod table;

use crate::folder::matcher;
use crate::source::blocking;
use excerpt::{Excerpt, HEAD_BYTES, TAIL_BYTES};
use std::path::{Path, PathBuf};
use table::Table;
use unbatch_api::draft::absolute;
use unbatch_api::figures::{bytes, grouped};
use unbatch_api::{ColumnType, Draft, DraftRequest, Drafter, Error, Result, async_trait};

/// Most files that are looked at.
const FILES_MAX: usize = 20;

/// Drafts a `csv_drops` source from files.
pub struct CsvDrafter;

#[async_trait]
impl Drafter for CsvDrafter {
    fn word(&self) -> &'static str {
        "csv"
    }
    fn operands(&self) -> &'static str {
        "FILE…"
    }
    async fn draft(&self, request: DraftRequest) -> Result<Draft> {
        blocking("sampling the files", move || draft(&request)).await
    }
}

/// The files as they will be found: one folder, a pattern.
struct Place {
    folder: PathBuf,
    url: String,
    pattern: String,
    /// Files of the folder that the pattern takes.
    taken: usize,
    /// Other folders that were named.
    others: usize,
}

fn draft(request: &DraftRequest) -> Result<Draft> {
    let paths: Vec<PathBuf> = request.operands.iter().map(PathBuf::from).collect();
    if paths.is_empty() {
        return Err(Error::misconfigured("sampling failed: no file is named")
            .code("U0230")
            .help("name one or more files of one kind: unbatch init --from csv prices_2026-03-01.csv"));
    }
    let mut remarks = Vec::new();
    let mut excerpts = Vec::new();
    for path in spread(&paths) {
        let excerpt = Excerpt::read(path)?;
        match excerpt.is_blank() {
            true if paths.len() > 1 => remarks.push(format!("{} is empty and tells nothing", excerpt.name)),
            true => return Err(shape::no_table(&excerpt, "it is empty").help("name a file that has rows")),
            false => excerpts.push(excerpt),
        }
    }
    let Some(first) = excerpts.first() else {
        return Err(Error::misconfigured("sampling the files failed: all of them are empty")
            .code("U0232")
            .help("name a file that has rows"));
    };
    let named: Vec<String> = paths.iter().filter_map(|p| Some(p.file_name()?.to_str()?.to_owned())).collect();
    let place = place_of(&paths, &first.path, &named, request.base.as_deref())?;
    let table = Table::of(&excerpts)?;
    if paths.len() > FILES_MAX {
        remarks.push(format!("{FILES_MAX} of {} files were looked at, among them the first and the last", paths.len()));
    } else if place.taken > excerpts.len() {
        let (taken, seen) = (place.taken, excerpts.len());
        remarks.push(format!(
            "`match` takes {taken} files of the folder and {seen} of them {} looked at; name more for a surer judgement, {FILES_MAX} at \
             most",
            if seen == 1 { "was" } else { "were" }
        ));
    }
    if table.misshapen > 0 {
        remarks.push(match table.misshapen {
            1 => {
                "1 row of the sample has another number of fields or broken quotes: it will go to quarantine".to_owned()
            }
            n => format!(
                "{} rows of the sample have another number of fields or broken quotes: they will go to quarantine",
                grouped(n)
            ),
        });
    }
    if let Some((first, rest)) = table.again.split_first() {
        let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
        let is_typed = table.verdicts.iter().any(|verdict| verdict.column_type != ColumnType::String);
        let end =
            if is_typed { "it will go to quarantine" } else { "with nothing but texts it comes through as a row" };
        remarks.push(format!("{first}{more} is the header again, and did not count for the types: {end}"));
    }
    for name in &table.cut {
        remarks.push(format!(
            "{name} ends inside a quoted field, cut off perhaps: a run sets such a file aside, once its whole rows are delivered"
        ));
    }
    let judged_by = judged_by(&table, &excerpts);
    Ok(Draft {
        name: names::name_of(&place.pattern, &place.folder),
        connector: "csv_drops",
        settings: settings::settings(&table, &place, &judged_by),
        columns: settings::columns(&table),
        key: table.key.clone(),
        key_reason: table.key_reason.clone(),
        judged_by,
        remarks,
    })
}

/// All, or as many as are looked at, at even distances: files of one name differ by their day, as a rule.
fn spread(paths: &[PathBuf]) -> Vec<&PathBuf> {
    match paths.len() {
        n if n <= FILES_MAX => paths.iter().collect(),
        n => (0..FILES_MAX).map(|i| &paths[i * (n - 1) / (FILES_MAX - 1)]).collect(),
    }
}

/// `1,204 rows of 3 files`, and which part of them.
fn judged_by(table: &Table, excerpts: &[Excerpt]) -> String {
    let plural = |n: u64| if n == 1 { "" } else { "s" };
    let (rows, files) = (table.rows, excerpts.len() as u64);
    let mut text = format!("{} row{} of {files} file{}", grouped(rows), plural(rows), plural(files));
    if excerpts.iter().any(|e| !e.is_whole) {
        let (head, tail) = (bytes(HEAD_BYTES), bytes(TAIL_BYTES));
        text.push_str(&format!(", the first {head} and the last {tail} of each"));
    }
    text
}

/// Files in several folders are of one kind, perhaps, but a pipeline reads one folder: that of the first.
fn place_of(paths: &[PathBuf], first: &Path, named: &[String], base: Option<&Path>) -> Result<Place> {
    let folder_of = |path: &Path| absolute(path).parent().map(Path::to_owned).unwrap_or_default();
    let folder = folder_of(first);
    let mut folders: Vec<PathBuf> = paths.iter().map(|p| folder_of(p)).collect();
    folders.sort();
    folders.dedup();
    let pattern = names::pattern_of(named);
    let glob = matcher(&pattern)?;
    let listed = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let is_taken = |name: &str| !name.starts_with('.') && glob.is_match(name);
    let taken = listed.filter(|e| e.file_name().to_str().is_some_and(is_taken)).count();
    let url = names::url_of(&folder, first.is_relative(), base);
    Ok(Place { folder, url, pattern, taken, others: folders.len().saturating_sub(1) })
}

#[cfg(test)]
#[path = "draft_tests.rs"]
mod tests;
