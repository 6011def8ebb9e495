//! The truth against the bytes on disk, read by a splitter of ours and, for the text of fields, by the `csv` crate.

use std::collections::{BTreeMap, BTreeSet};

use newlimits::truth::{FileTruth, Ledger, LedgerLine, Outcome};
use newlimits::{Code, Column, ColumnType, Faults, Feed, FeedSpec};
use serde_json::Value;

use crate::generated;

#[test]
fn truth_and_files_agree_with_all_faults() {
    let (_folder, ledger) = generated(21, 1.2, 3, Faults::All);
    let planted = check_all(&ledger);
    for feed in Feed::ALL {
        let expected = codes_that_fit(&feed.spec());
        assert_eq!(planted.get(&feed), Some(&expected), "{feed:?}");
    }
}

#[test]
fn truth_and_files_agree_with_few_faults_and_with_none() {
    let (_few_folder, few) = generated(22, 0.2, 2, Faults::Few);
    let bad: Vec<u64> = few.truth().files.iter().map(|file| file.bad).collect();
    assert_eq!(bad.iter().sum::<u64>(), 2 * Feed::ALL.len() as u64, "one bad row per feed and night");
    check_all(&few);
    let (_none_folder, none) = generated(23, 0.2, 1, Faults::None);
    assert!(none.truth().files.iter().all(|file| file.outcome == Outcome::Loaded && file.bad == 0));
    assert!(check_all(&none).is_empty());
}

#[test]
fn every_kind_of_delivery_is_there_and_is_what_it_says() {
    let (folder, ledger) = generated(24, 0.3, 3, Faults::All);
    let files = &ledger.truth().files;
    let bytes = |file: &FileTruth| std::fs::read(folder.path().join(&file.path)).unwrap();
    for feed in Feed::ALL {
        let of_feed: Vec<&FileTruth> = files.iter().filter(|file| file.feed == feed).collect();
        let same: Vec<_> = of_feed.iter().filter_map(|file| Some((file, &files[file.same_as? as usize]))).collect();
        let replaced: Vec<_> =
            of_feed.iter().filter_map(|file| Some((file, &files[file.replaces? as usize]))).collect();
        assert!(same.len() >= 3 && replaced.len() >= 3, "{feed:?}");
        for (again, first) in same {
            assert_eq!((&again.name, again.outcome), (&first.name, Outcome::Duplicate));
            assert!(again.round > first.round && bytes(again) == bytes(first));
        }
        for (new, old) in replaced {
            assert_eq!((&new.name, new.outcome), (&old.name, Outcome::Loaded));
            assert!(new.round > old.round && bytes(new) != bytes(old));
        }
        assert!(of_feed.iter().any(|file| file.late), "{feed:?}");
        assert!(of_feed.iter().any(|file| file.outcome == Outcome::Loaded && file.good + file.bad == 0), "{feed:?}");
        let failed = of_feed.iter().filter(|file| file.outcome == Outcome::Failed);
        assert_eq!(failed.filter(|file| file.reason == Some(Code::TruncatedInQuotes)).count(), 3, "{feed:?}");
    }
    let order: Vec<_> = files.iter().map(|file| &file.round).collect();
    assert!(order.is_sorted(), "deliveries stand in the order of their rounds");
}

/// Checks every file against the ledger; gives the codes of bad rows that were found, by feed.
fn check_all(ledger: &Ledger) -> BTreeMap<Feed, BTreeSet<Code>> {
    let mut by_file: BTreeMap<u32, Vec<LedgerLine>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for line in ledger.lines().unwrap() {
        let line = line.unwrap();
        assert!(ids.insert(line.id.clone()), "id {} twice", line.id);
        by_file.entry(line.file).or_default().push(line);
    }
    let mut planted: BTreeMap<Feed, BTreeSet<Code>> = BTreeMap::new();
    for file in &ledger.truth().files {
        let bytes = std::fs::read(ledger.folder().join(&file.path)).unwrap();
        let lines = by_file.remove(&file.seq).unwrap_or_default();
        assert_eq!(bytes.len() as u64, file.bytes, "{}", file.path);
        if file.outcome == Outcome::Duplicate {
            assert!(lines.is_empty(), "{}", file.path);
            continue;
        }
        check_file(file, &bytes, &lines);
        let codes = lines.iter().filter_map(|line| line.code).filter(|&code| code != Code::TruncatedInQuotes);
        for code in codes {
            planted.entry(file.feed).or_default().insert(code);
        }
    }
    assert!(by_file.is_empty(), "ledger lines of no file");
    planted
}

fn check_file(file: &FileTruth, bytes: &[u8], lines: &[LedgerLine]) {
    let spec = file.feed.spec();
    let rows = split_rows(bytes);
    assert_eq!(rows.len(), lines.len() + 1, "rows of {} with its header", file.path);
    let header: Vec<String> = split_fields(rows[0].1, &spec).iter().map(|raw| text(raw).unwrap()).collect();
    let names: Vec<&str> = spec.columns.iter().map(|column| column.name).collect();
    assert_eq!(header, names);
    let (mut counted_to, mut line_ends) = (0, 0);
    for (line, (at, row)) in lines.iter().zip(&rows[1..]) {
        let place = format!("{} line {}", file.path, line.line);
        assert_eq!(line.byte, *at as u64, "{place}");
        line_ends += bytes[counted_to..*at].iter().filter(|&&byte| byte == b'\n').count();
        counted_to = *at;
        assert_eq!(line.line, line_ends as u64 + 1, "{place}");
        let fields = split_fields(row, &spec);
        match line.code {
            None => check_good_row(&spec, line, &fields, &place),
            Some(code) => check_bad_row(&spec, code, line, &fields, row, &place),
        }
    }
    let count = |good: bool| lines.iter().filter(|line| line.value.is_some() == good).count() as u64;
    let cut = u64::from(file.outcome == Outcome::Failed);
    assert_eq!((file.good, file.bad), (count(true), count(false) - cut), "{}", file.path);
    if cut == 0 {
        check_by_csv_crate(&spec, bytes, lines);
    } else {
        let quotes = bytes.iter().filter(|&&byte| byte == b'"').count();
        assert_eq!(quotes % 2, 1, "{} does not end inside quotes", file.path);
        assert_eq!(lines.last().unwrap().code, Some(Code::TruncatedInQuotes));
    }
}

fn check_good_row(spec: &FeedSpec, line: &LedgerLine, fields: &[&[u8]], place: &str) {
    let value = line.value.as_ref().unwrap();
    assert_eq!(fields.len(), spec.columns.len(), "{place}");
    for (column, raw) in spec.columns.iter().zip(fields) {
        let read = read_field(column, raw, spec).unwrap_or_else(|| panic!("{place}: {} is not readable", column.name));
        assert_eq!(value[column.name], read, "{place}: {}", column.name);
        assert!(!(column.required && read.is_null()), "{place}: {}", column.name);
    }
    assert_eq!(value.as_object().unwrap().len(), spec.columns.len());
    for name in spec.key {
        assert_eq!(line.key.as_ref().unwrap()[name], value[name], "{place}");
    }
    let id = &value[spec.id];
    assert_eq!(id.as_str().map_or(id.to_string(), str::to_string), line.id);
}

fn check_bad_row(spec: &FeedSpec, code: Code, line: &LedgerLine, fields: &[&[u8]], row: &[u8], place: &str) {
    let wanted = spec.columns.len();
    let spoilt = line.column.as_ref().map(|name| spec.column(name).unwrap());
    let all_but = |at: usize| spec.columns.iter().zip(fields).enumerate().filter(move |(other, _)| *other != at);
    match (code, spoilt) {
        (Code::TooFewFields, None) => assert!(fields.len() < wanted, "{place}"),
        (Code::TooManyFields, None) => assert!(fields.len() > wanted, "{place}"),
        (Code::TruncatedInQuotes, Some(at)) => {
            assert!(fields.len() == at + 1 && fields[at].starts_with(b"\""), "{place}");
        }
        (Code::InvalidEncoding, Some(at)) => {
            assert!(std::str::from_utf8(row).is_err() && text(fields[at]).is_none(), "{place}");
        }
        (Code::MissingRequired, Some(at)) => {
            assert!(spec.columns[at].required, "{place}");
            assert_eq!(read_field(&spec.columns[at], fields[at], spec), Some(Value::Null), "{place}");
        }
        (code, Some(at)) => {
            assert_eq!(code, code_of(spec.columns[at].kind), "{place}");
            assert_eq!(read_field(&spec.columns[at], fields[at], spec), None, "{place}");
        }
        (code, None) => panic!("{place}: {code} without a column"),
    }
    // Nothing else may be wrong with the row, or a reader could give another code.
    if let Some(at) = spoilt
        && code != Code::TruncatedInQuotes
    {
        assert_eq!(fields.len(), wanted, "{place}");
        for (_, (column, raw)) in all_but(at) {
            let read = read_field(column, raw, spec);
            assert!(read.is_some_and(|read| !(column.required && read.is_null())), "{place}: {}", column.name);
        }
    }
}

/// A second opinion on quoting: the `csv` crate must see the same texts.
fn check_by_csv_crate(spec: &FeedSpec, bytes: &[u8], lines: &[LedgerLine]) {
    let mut reader = csv::ReaderBuilder::new().delimiter(spec.delimiter as u8).flexible(true).from_reader(bytes);
    let mut rows = 0;
    for (record, line) in reader.byte_records().zip(lines) {
        let record = record.unwrap();
        rows += 1;
        let Some(value) = &line.value else { continue };
        for (column, field) in spec.columns.iter().zip(&record) {
            if let Value::String(expected) = &value[column.name]
                && column.kind == ColumnType::String
            {
                assert_eq!(field, expected.as_bytes(), "line {} {}", line.line, column.name);
            }
        }
    }
    assert_eq!(rows, lines.len());
}

/// Byte offset and bytes, without its line end, of each row; a byte order mark belongs to no row.
fn split_rows(bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let mut rows = Vec::new();
    let mut begins = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let mut quoted = false;
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => {
                let row = &bytes[begins..at];
                rows.push((begins, row.strip_suffix(b"\r").unwrap_or(row)));
                begins = at + 1;
            }
            _ => {}
        }
    }
    if begins < bytes.len() {
        rows.push((begins, &bytes[begins..]));
    }
    rows
}

/// Fields as they stand in the row, quotes and all.
fn split_fields<'a>(row: &'a [u8], spec: &FeedSpec) -> Vec<&'a [u8]> {
    let mut quoted = false;
    row.split(|&byte| {
        if byte == b'"' {
            quoted = !quoted;
        }
        !quoted && byte == spec.delimiter as u8
    })
    .collect()
}

fn text(raw: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(raw).ok()?;
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    Some(inner.map_or_else(|| text.to_string(), |inner| inner.replace("\"\"", "\"")))
}

/// What the field means in its column's type; none when it means nothing.
fn read_field(column: &Column, raw: &[u8], spec: &FeedSpec) -> Option<Value> {
    let text = text(raw)?;
    if raw.is_empty() || spec.nulls.iter().any(|word| word.as_bytes() == raw) {
        return Some(Value::Null);
    }
    match column.kind {
        ColumnType::String => Some(Value::String(text)),
        ColumnType::Int32 => text.parse::<i32>().ok().map(Value::from),
        ColumnType::Int64 => text.parse::<i64>().ok().map(Value::from),
        ColumnType::Float64 => text.parse::<f64>().ok().map(Value::from),
        ColumnType::Bool => text.parse::<bool>().ok().map(Value::from),
        ColumnType::Decimal { precision, scale } => {
            decimal(&text, column.decimal_mark.unwrap_or('.'), precision, scale).map(Value::String)
        }
        ColumnType::Date => date(&text, column.format).map(Value::String),
        ColumnType::Timestamp => timestamp(&text, column.format).map(Value::String),
    }
}

fn decimal(text: &str, mark: char, precision: u8, scale: u8) -> Option<String> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once(mark).unwrap_or((digits, ""));
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    let (precision, scale) = (usize::from(precision), usize::from(scale));
    let fits = !whole.is_empty() && fraction.len() <= scale && whole.len() + scale <= precision;
    (all_digits && fits).then(|| format!("{sign}{whole}.{fraction:0<scale$}"))
}

fn date(text: &str, format: Option<&str>) -> Option<String> {
    let part = |range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
    if text.len() != 10 {
        return None;
    }
    let (year, month, day) = match format {
        Some(_) => (part(6..10)?, part(3..5)?, part(0..2)?),
        None => (part(0..4)?, part(5..7)?, part(8..10)?),
    };
    let length = [31, 28 + u32::from(year % 4 == 0), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let real = (1..=12).contains(&month) && (1..=length[month as usize - 1]).contains(&day);
    real.then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// Wall-clock time an hour ahead of UTC when there is a format, else RFC 3339 with `Z` or an hour.
fn timestamp(text: &str, format: Option<&str>) -> Option<String> {
    let (day, clock) = (date(text.get(..10)?, format)?, text.get(11..19)?);
    let rest = text.get(19..)?;
    let fraction = rest.trim_end_matches("+01:00").trim_end_matches('Z');
    let ahead = format.is_some() || rest.ends_with("+01:00");
    let hour: u32 = clock[..2].parse().ok()?;
    let minute: u32 = clock[3..5].parse().ok()?;
    if hour > 23 || minute > 59 {
        return None;
    }
    let (day, hour) = match (ahead, hour) {
        (false, hour) => (day, hour),
        (true, 0) => (day_before(&day), 23),
        (true, hour) => (day, hour - 1),
    };
    Some(format!("{day}T{hour:02}{}{fraction}Z", &clock[2..]))
}

/// Only for the weeks of March 2026 in which the tests' nights lie.
fn day_before(day: &str) -> String {
    let number: u32 = day[8..].parse().unwrap();
    if number > 1 { format!("{}{:02}", &day[..8], number - 1) } else { "2026-02-28".to_string() }
}

fn code_of(kind: ColumnType) -> Code {
    match kind {
        ColumnType::Int32 | ColumnType::Int64 => Code::BadInt,
        ColumnType::Float64 => Code::BadFloat,
        ColumnType::Bool => Code::BadBool,
        ColumnType::Decimal { .. } => Code::BadDecimal,
        ColumnType::Date => Code::BadDate,
        ColumnType::Timestamp => Code::BadTimestamp,
        ColumnType::String => panic!("any text is a string"),
    }
}

fn codes_that_fit(spec: &FeedSpec) -> BTreeSet<Code> {
    let mut codes =
        BTreeSet::from([Code::TooFewFields, Code::TooManyFields, Code::InvalidEncoding, Code::MissingRequired]);
    let typed = spec.columns.iter().filter(|column| column.kind != ColumnType::String && column.name != spec.id);
    codes.extend(typed.map(|column| code_of(column.kind)));
    codes
}
