use std::collections::{BTreeMap, HashMap};

use chrono::DateTime;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::cell::rfc3339;
use crate::comparison::{Comparison, FailedFiles, Order, Record, Rejection};
use crate::error::{Error, Result};
use crate::fault::Code;
use crate::feed::Feed;
use crate::report::{DIFFERENCES_MAX, DifferenceKind, FileReport, Report};
use crate::truth::{FeedTruth, FileTruth, Ledger, LedgerLine, Outcome, Truth};

pub(crate) fn compare(
    ledger: &Ledger,
    how: &Comparison,
    records: impl IntoIterator<Item = Result<Record>>,
    rejections: impl IntoIterator<Item = Result<Rejection>>,
) -> Result<Report> {
    let mut comparing = Comparing::new(ledger, how)?;
    for record in records {
        comparing.record(record?);
    }
    for rejection in rejections {
        comparing.rejection(rejection?);
    }
    comparing.finish()
}

/// Digest of a row's id or value: 16 bytes, so that equal digests mean equal texts for any size of ledger.
type Fingerprint = u128;

struct ExpectedRow {
    file: u32,
    row: u32,
    /// None for a bad row: no record of it may be there.
    value: Option<Fingerprint>,
    seen: u32,
}

struct ExpectedRejection {
    file: u32,
    byte: u64,
    required: bool,
    seen: u32,
}

struct Comparing<'a> {
    ledger: &'a Ledger,
    how: &'a Comparison,
    feeds: BTreeMap<Feed, Columns>,
    rows: HashMap<Fingerprint, ExpectedRow>,
    rejections: BTreeMap<(String, Option<u64>, String), Vec<ExpectedRejection>>,
    /// Last row seen per partition or key and, unless all deliveries are ordered, per file.
    last_seen: HashMap<(Fingerprint, u32), (u32, u32)>,
    wrong_values: HashMap<Fingerprint, Value>,
    report: Report,
}

impl<'a> Comparing<'a> {
    fn new(ledger: &'a Ledger, how: &'a Comparison) -> Result<Self> {
        let truth = ledger.truth();
        let mut this = Self {
            ledger,
            how,
            feeds: truth.feeds.iter().map(|(&feed, schema)| (feed, Columns::of(schema))).collect(),
            rows: HashMap::new(),
            rejections: BTreeMap::new(),
            last_seen: HashMap::new(),
            wrong_values: HashMap::new(),
            report: Report {
                seed: truth.seed,
                files: truth.files.iter().map(file_report).collect(),
                unexpected_records: 0,
                unexpected_rejections: 0,
                differences: Vec::new(),
            },
        };
        for line in ledger.lines()? {
            let line = line?;
            let file = truth
                .files
                .get(line.file as usize)
                .ok_or_else(|| Error::new(format!("finding delivery {} of a ledger line in the truth", line.file)))?;
            if in_scope(how, file) {
                this.expect(file, &line);
            }
        }
        Ok(this)
    }

    fn expect(&mut self, file: &FileTruth, line: &LedgerLine) {
        let columns = self.feeds.entry(file.feed).or_default();
        let failed = file.outcome == Outcome::Failed;
        let value = line
            .value
            .as_ref()
            .filter(|_| !failed || self.how.failed_files != FailedFiles::None)
            .map(|value| columns.fingerprint(value, true));
        let expected = ExpectedRow { file: line.file, row: line.row as u32, value, seen: 0 };
        self.rows.insert(fingerprint(&line.id), expected);
        let Some(code) = line.code else { return };
        let whole_file = code == Code::TruncatedInQuotes;
        let place = (!whole_file).then_some(line.line);
        let required = whole_file || !failed || self.how.failed_files == FailedFiles::All;
        self.rejections
            .entry((file.name.clone(), place, code.name().to_string()))
            .or_default()
            .push(ExpectedRejection { file: line.file, byte: line.byte, required, seen: 0 });
    }

    fn record(&mut self, record: Record) {
        let truth = self.ledger.truth();
        let Some((feed, id)) = id_of(truth, &record.value) else {
            self.unexpected_record("a record without an id column");
            return;
        };
        let print = fingerprint(&id);
        let Some(expected) = self.rows.get_mut(&print) else {
            self.unexpected_record(&format!("id {id} is of no row in scope"));
            return;
        };
        let Some(value) = expected.value else {
            self.unexpected_record(&format!("id {id} is of a row that must not be loaded"));
            return;
        };
        expected.seen += 1;
        let (file, row) = (expected.file, expected.row);
        if expected.seen > 1 {
            return;
        }
        let same_value = self.feeds[&feed].fingerprint(&record.value, self.how.extra_columns) == value;
        if !same_value || !key_agrees(&record) {
            self.report.files[file as usize].wrong_value += 1;
            if self.wrong_values.len() < DIFFERENCES_MAX {
                self.wrong_values.insert(print, record.value.clone());
            }
        }
        self.check_order(&record, file, row, &id);
    }

    fn check_order(&mut self, record: &Record, file: u32, row: u32, id: &str) {
        let within = match self.how.order {
            Order::Any => return,
            Order::InFile => file,
            Order::Deliveries => u32::MAX,
        };
        let lane = match (record.partition, &record.key) {
            (Some(partition), _) => fingerprint(&format!("partition {partition}")),
            (None, Some(key)) => fingerprint(&key.to_string()),
            (None, None) => 0,
        };
        let last = self.last_seen.entry((lane, within)).or_insert((file, row));
        if (file, row) < *last {
            let (last_file, last_row) = *last;
            self.report.files[file as usize].wrong_order += 1;
            let detail = format!("id {id} (row {row}) came after row {last_row} of delivery {last_file}");
            self.report.note(DifferenceKind::WrongOrder, name_of(self.ledger, file), detail);
        } else {
            *last = (file, row);
        }
    }

    fn rejection(&mut self, rejection: Rejection) {
        let name = rejection.file.rsplit(['/', '\\']).next().unwrap_or_default();
        let whole_file = rejection.code == Code::TruncatedInQuotes.name();
        let place = if whole_file { None } else { rejection.line };
        let entry = (name.to_string(), place, rejection.code.clone());
        let candidates = self.rejections.get_mut(&entry).map_or(&mut [][..], Vec::as_mut_slice);
        let fits = |expected: &&mut ExpectedRejection| rejection.byte.is_none_or(|byte| byte == expected.byte);
        // Two files of one name may have the same fault on the same line: fill the one that still waits first.
        match candidates.iter_mut().filter(fits).min_by_key(|expected| (expected.seen, !expected.required)) {
            Some(expected) => expected.seen += 1,
            None => {
                self.report.unexpected_rejections += 1;
                let place = format!("{name}:{}", rejection.line.unwrap_or(0));
                let byte = rejection.byte.map_or(String::new(), |byte| format!(" at byte {byte}"));
                let detail = format!("no fault {} was planted there{byte}", rejection.code);
                self.report.note(DifferenceKind::UnexpectedRejection, place, detail);
            }
        }
    }

    fn unexpected_record(&mut self, detail: &str) {
        self.report.unexpected_records += 1;
        self.report.note(DifferenceKind::UnexpectedRecord, "records", detail);
    }

    fn finish(mut self) -> Result<Report> {
        let last_needed = self.last_row_needed();
        for expected in self.rows.values().filter(|expected| expected.value.is_some()) {
            let file = &mut self.report.files[expected.file as usize];
            file.found += u64::from(expected.seen.min(1));
            file.doubled += u64::from(expected.seen.saturating_sub(1));
            if needed(&last_needed, expected) {
                file.expected += 1;
                file.missing += u64::from(expected.seen == 0);
            }
        }
        self.count_rejections();
        if !self.report.files.iter().all(|file| file.missing + file.doubled + file.wrong_value == 0) {
            self.describe(&last_needed)?;
        }
        let how = self.how;
        let truth = self.ledger.truth();
        self.report.files.retain(|file| in_scope(how, &truth.files[file.seq as usize]));
        Ok(self.report)
    }

    /// For each failed file of which a prefix is enough: its last row that was found.
    fn last_row_needed(&self) -> HashMap<u32, Option<u32>> {
        let truth = self.ledger.truth();
        let mut last: HashMap<u32, Option<u32>> = HashMap::new();
        if self.how.failed_files != FailedFiles::Prefix {
            return last;
        }
        for file in &truth.files {
            if file.outcome == Outcome::Failed {
                last.insert(file.seq, None);
            }
        }
        for expected in self.rows.values() {
            if let Some(row) = last.get_mut(&expected.file)
                && expected.seen > 0
            {
                *row = (*row).max(Some(expected.row));
            }
        }
        last
    }

    fn count_rejections(&mut self) {
        for ((name, line, code), planted) in &self.rejections {
            for expected in planted {
                let file = &mut self.report.files[expected.file as usize];
                let place = format!("{name}:{}", line.unwrap_or(0));
                file.rejections_expected += u64::from(expected.required);
                file.rejections_found += u64::from(expected.seen.min(1));
                if expected.required && expected.seen == 0 {
                    file.rejections_missing += 1;
                    self.report.note(DifferenceKind::RejectionMissing, place, code);
                } else if expected.seen > 1 {
                    file.rejections_doubled += u64::from(expected.seen - 1);
                    self.report.note(DifferenceKind::RejectionDoubled, place, code);
                }
            }
        }
    }

    /// Reads the ledger once more to name the first rows that differ.
    fn describe(&mut self, last_needed: &HashMap<u32, Option<u32>>) -> Result<()> {
        for line in self.ledger.lines()? {
            if self.report.differences.len() >= DIFFERENCES_MAX {
                break;
            }
            let line = line?;
            let print = fingerprint(&line.id);
            let Some(expected) = self.rows.get(&print).filter(|expected| expected.value.is_some()) else {
                continue;
            };
            let place = format!("{}:{}", name_of(self.ledger, line.file), line.line);
            let seen = expected.seen;
            if seen == 0 && needed(last_needed, expected) {
                let detail = format!("id {} was not found", line.id);
                self.report.note(DifferenceKind::Missing, place.clone(), detail);
            }
            if seen > 1 {
                let detail = format!("id {} was found {seen} times", line.id);
                self.report.note(DifferenceKind::Doubled, place.clone(), detail);
            }
            if let (Some(found), Some(value)) = (self.wrong_values.get(&print), &line.value) {
                let detail = format!("id {}: {}", line.id, columns_that_differ(value, found));
                self.report.note(DifferenceKind::WrongValue, place, detail);
            }
        }
        Ok(())
    }
}

fn needed(last_needed: &HashMap<u32, Option<u32>>, expected: &ExpectedRow) -> bool {
    match last_needed.get(&expected.file) {
        None => true,
        Some(last) => last.is_some_and(|last| expected.row <= last),
    }
}

fn in_scope(how: &Comparison, file: &FileTruth) -> bool {
    how.feed.is_none_or(|feed| feed == file.feed) && how.deliveries.is_none_or(|deliveries| file.seq < deliveries)
}

fn file_report(file: &FileTruth) -> FileReport {
    FileReport {
        seq: file.seq,
        feed: file.feed,
        name: file.name.clone(),
        round: file.round.clone(),
        outcome: file.outcome,
        expected: 0,
        found: 0,
        missing: 0,
        doubled: 0,
        wrong_value: 0,
        wrong_order: 0,
        rejections_expected: 0,
        rejections_found: 0,
        rejections_missing: 0,
        rejections_doubled: 0,
    }
}

fn name_of(ledger: &Ledger, file: u32) -> String {
    ledger.truth().files[file as usize].name.clone()
}

/// The feed whose id column the record has, and the id as text.
fn id_of(truth: &Truth, value: &Value) -> Option<(Feed, String)> {
    truth.feeds.iter().find_map(|(&feed, schema)| match value.get(&schema.id)? {
        Value::Null => None,
        Value::String(id) => Some((feed, id.clone())),
        id => Some((feed, id.to_string())),
    })
}

/// The columns of the key must stand in the value with the same content.
fn key_agrees(record: &Record) -> bool {
    match &record.key {
        Some(Value::Object(key)) => key.iter().all(|(name, part)| record.value.get(name) == Some(part)),
        None | Some(Value::Null) => true,
        Some(_) => false,
    }
}

/// Names and types of a feed's columns, as the truth file declares them.
#[derive(Default)]
struct Columns(Vec<(String, ColumnText)>);

/// How a column's value is brought into one text.
#[derive(Clone, Copy)]
enum ColumnText {
    Timestamp,
    Float,
    AsItStands,
}

impl Columns {
    fn of(schema: &FeedTruth) -> Self {
        let columns = schema.source["columns"].as_array().map_or(&[][..], Vec::as_slice);
        let column = |column: &Value| {
            let text = match column["type"].as_str() {
                Some("timestamp") => ColumnText::Timestamp,
                Some("float64") => ColumnText::Float,
                _ => ColumnText::AsItStands,
            };
            (column["name"].as_str().unwrap_or_default().to_string(), text)
        };
        Self(columns.iter().map(column).collect())
    }

    /// Equal for records that mean the same: whatever the order of fields, the digits of a whole second, the text of a
    /// binary fraction. NULL, the empty text and an absent field stay different.
    fn fingerprint(&self, record: &Value, extra_columns: bool) -> Fingerprint {
        let mut text = String::with_capacity(256);
        let mut known = 0;
        for (name, kind) in &self.0 {
            if let Some(field) = record.get(name) {
                known += 1;
                text.push_str(name);
                text.push('\0');
                push_canonical(&mut text, field, *kind);
                text.push('\0');
            }
        }
        let fields = record.as_object().map_or(0, serde_json::Map::len);
        if fields > known && !extra_columns {
            text.push_str("columns that the file has not");
        }
        fingerprint(&text)
    }
}

/// Texts get a mark before them, so that a number never equals the same digits as a text.
fn push_canonical(text: &mut String, field: &Value, kind: ColumnText) {
    match (kind, field) {
        (ColumnText::Timestamp, Value::String(at)) => {
            text.push('"');
            // Most stand in the canonical form already: whole seconds, UTC.
            let whole_second = at.len() == 20 && at.ends_with('Z');
            let parsed = if whole_second { None } else { DateTime::parse_from_rfc3339(at).ok() };
            match parsed {
                Some(at) => text.push_str(&rfc3339(at.timestamp_micros())),
                None => text.push_str(at),
            }
        }
        (ColumnText::Float, Value::Number(number)) => {
            text.push_str(&number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string()));
        }
        (_, Value::String(string)) => {
            text.push('"');
            text.push_str(string);
        }
        _ => text.push_str(&field.to_string()),
    }
}

fn columns_that_differ(expected: &Value, found: &Value) -> String {
    let empty = serde_json::Map::new();
    let (expected, found) = (expected.as_object().unwrap_or(&empty), found.as_object().unwrap_or(&empty));
    let mut differing: Vec<String> = Vec::new();
    for (name, value) in expected {
        match found.get(name) {
            Some(other) if other == value => {}
            Some(other) => differing.push(format!("{name} is {other}, not {value}")),
            None => differing.push(format!("{name} is absent")),
        }
    }
    differing
        .extend(found.keys().filter(|&name| !expected.contains_key(name)).map(|name| format!("{name} is too many")));
    if differing.is_empty() {
        differing.push("the record key does not agree with the value".to_string());
    }
    differing.join("; ")
}

fn fingerprint(text: &str) -> Fingerprint {
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(text)[..16]);
    Fingerprint::from_be_bytes(half)
}
