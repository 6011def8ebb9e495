//! Reads topic and quarantine back, with nothing of the product in between, and holds them against the truth.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use newlimits::truth::{Comparison, FailedFiles, Ledger, Order, Outcome as Expected, Record, Rejection};
use newlimits::{Feed, FileReport, Report};
use serde_json::Value;
use unbatch_test_harness::{Reader, Record as Read};

use crate::Outcome;
use crate::drops::{Drops, Truth};
use crate::figures::Figures;
use crate::packing::{Spoilt, name_in_truth};

/// Where the results of a pipeline are.
pub(crate) struct Results<'a> {
    pub bootstrap: &'a str,
    pub topic: &'a str,
    pub quarantine: &'a str,
}

/// Compares everything. The figures are filled in whether or not they are right; the error says what is not.
pub(crate) fn judge(drops: &Drops, results: &Results<'_>, limit: Duration, figures: &mut Figures) -> Outcome<()> {
    let reader = Reader::committed(results.bootstrap);
    let read = |topic: &str| reader.read(topic, limit).map_err(|e| format!("reading {topic}: {e}"));
    let (records, rejections) = thread::scope(|scope| {
        let records = scope.spawn(|| read(results.topic));
        let rejections = read(results.quarantine);
        (records.join().unwrap_or_else(|_| Err("reading the topic panicked".to_owned())), rejections)
    });
    let (records, entries) = (records?, rejections?);
    let rejections = without_marks(&entries)?;
    figures.in_topic = records.len() as u64;
    figures.in_quarantine = rejections.len() as u64;
    match &drops.truth {
        Truth::Rows { ledger, feed, spoilt } => hold_against(ledger, *feed, spoilt, &records, rejections, figures),
        Truth::Nights(nights) => nights.judge(&records, &rejections, figures),
    }
}

/// Of files that add rows.
fn hold_against(
    ledger: &Ledger,
    feed: Feed,
    spoilt: &Spoilt,
    records: &[Read],
    rejections: Vec<&Read>,
    figures: &mut Figures,
) -> Outcome<()> {
    let how = Comparison {
        feed: Some(feed),
        failed_files: FailedFiles::Prefix,
        order: Order::InFile,
        ..Comparison::default()
    };
    let records = records.iter().map(|record| Ok(row(record)));
    let mut rejections: Vec<Rejection> = rejections.into_iter().map(rejection).collect::<Outcome<_>>()?;
    let mut of_spoilt = Figures::default();
    spoilt.sort_out(&mut rejections, &mut of_spoilt);
    let report = ledger
        .compare(&how, records, rejections.into_iter().map(Ok))
        .map_err(|e| format!("comparing with the ledger: {e}"))?;
    let checked = spoilt.check(&report, &mut of_spoilt);
    count(&report, figures);
    figures.add(&of_spoilt);
    checked?;
    check_sums(ledger, &report, figures)
}

/// An entry that is done with is written once more, with a mark: after the entry itself, and once.
fn without_marks(entries: &[Read]) -> Outcome<Vec<&Read>> {
    let (mut found, mut waiting) = (Vec::new(), BTreeSet::new());
    for entry in entries {
        let value: Value = serde_json::from_slice(entry.value.as_deref().unwrap_or_default()).unwrap_or_default();
        if value["replayed"].is_null() {
            waiting.insert(&entry.key);
            found.push(entry);
        } else if !waiting.remove(&entry.key) {
            return Err(format!("a mark of an entry that did not wait, at offset {}: {value}", entry.offset));
        }
    }
    Ok(found)
}

fn count(report: &Report, figures: &mut Figures) {
    figures.rows_in = report.sum(|file| file.expected + file.rejections_found.max(file.rejections_expected));
    figures.missing = report.sum(|file| file.missing + file.rejections_missing);
    figures.doubled = report.sum(|file| file.doubled + file.rejections_doubled);
    figures.wrong = report.sum(|file| file.wrong_value + file.wrong_order)
        + report.unexpected_records
        + report.unexpected_rejections;
}

/// Row by row nothing differs, and the sums agree with the truth's own totals too, which were counted apart.
fn check_sums(ledger: &Ledger, report: &Report, figures: &Figures) -> Outcome<()> {
    if !report.is_equal() {
        return Err(format!("topic and quarantine differ from the ledger\n{report}"));
    }
    let loaded = |of: fn(&FileReport) -> u64| -> u64 {
        report.files.iter().filter(|file| file.outcome == Expected::Loaded).map(of).sum()
    };
    let totals = ledger.truth().totals;
    let (good, bad) = (loaded(|file| file.found), loaded(|file| file.rejections_found));
    if (good, bad) != (totals.good, totals.bad) {
        return Err(format!("{good} good and {bad} bad rows of loaded files, the truth has {totals:?}\n{report}"));
    }
    if figures.rows_in != figures.in_topic + figures.in_quarantine {
        return Err(format!("rows in are not those in topic and quarantine: {figures}\n{report}"));
    }
    Ok(())
}

fn row(record: &Read) -> Record {
    let parse = |bytes: &Option<Vec<u8>>| bytes.as_deref().and_then(|bytes| serde_json::from_slice(bytes).ok());
    Record {
        key: parse(&record.key),
        value: parse(&record.value).unwrap_or(Value::Null),
        partition: Some(record.partition),
    }
}

fn rejection(record: &Read) -> Outcome<Rejection> {
    let entry: Value = serde_json::from_slice(record.value.as_deref().unwrap_or_default())
        .map_err(|e| format!("reading a quarantine entry at offset {}: {e}", record.offset))?;
    let origin = &entry["origin"];
    match (entry["code"].as_str(), origin["file"].as_str()) {
        (Some(code), Some(file)) => Ok(Rejection {
            file: name_in_truth(file).to_owned(),
            line: origin["line"].as_u64(),
            byte: origin["byte"].as_u64(),
            code: code.to_owned(),
        }),
        _ => Err(format!("a quarantine entry without code or file at offset {}: {entry}", record.offset)),
    }
}
