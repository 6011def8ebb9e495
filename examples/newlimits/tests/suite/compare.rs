//! A comparison is worth what it catches: each test spoils one thing in a right result.

use newlimits::truth::{Comparison, FailedFiles, Ledger, LedgerLine, Order, Outcome, Record, Rejection};
use newlimits::{Code, DifferenceKind, Faults, Feed, FileReport, Report};
use serde_json::json;

use crate::generated_feeds;

const FEED: Feed = Feed::WebOrders;

/// What a correct reader gives, in three partitions by key, with what it took from failed files.
struct Reading {
    records: Vec<(u32, Record)>,
    rejections: Vec<Rejection>,
}

fn reading(ledger: &Ledger, from_failed: impl Fn(&LedgerLine) -> bool) -> Reading {
    let mut right = Reading { records: Vec::new(), rejections: Vec::new() };
    for line in ledger.lines().unwrap() {
        let line = line.unwrap();
        let file = &ledger.truth().files[line.file as usize];
        let taken = file.outcome == Outcome::Loaded || from_failed(&line);
        match line.code {
            None if taken => {
                let key = line.key.clone().unwrap();
                let partition = key.to_string().bytes().map(i32::from).sum::<i32>() % 3;
                let record = Record { key: Some(key), value: line.value.unwrap(), partition: Some(partition) };
                right.records.push((line.file, record));
            }
            Some(code) if taken || code == Code::TruncatedInQuotes => right.rejections.push(Rejection {
                file: format!("file:///drops/{}", file.name),
                line: Some(line.line),
                byte: Some(line.byte),
                code: code.name().to_string(),
            }),
            _ => {}
        }
    }
    // Those of failed files may be missing, so the tests that spoil the first one need another in front.
    let failed =
        |name: &str| ledger.truth().files.iter().any(|file| name.ends_with(&file.name) && file.reason.is_some());
    right.rejections.sort_by_key(|rejection| failed(&rejection.file));
    right
}

fn compare(ledger: &Ledger, how: &Comparison, right: &Reading) -> Report {
    let records = right.records.iter().map(|(_, record)| Ok(record.clone()));
    ledger.compare(how, records, right.rejections.iter().cloned().map(Ok)).unwrap()
}

#[track_caller]
fn check(spoil: impl Fn(&mut Reading), kind: DifferenceKind, figure: impl Fn(&Report) -> u64) {
    let (_folder, ledger) = generated_feeds(&[FEED], 31, 0.6, 2, Faults::All);
    let mut reading = reading(&ledger, |_| true);
    assert!(compare(&ledger, &Comparison::default(), &reading).is_equal());
    spoil(&mut reading);
    let report = compare(&ledger, &Comparison::default(), &reading);
    assert!(!report.is_equal());
    assert_eq!(figure(&report), 1, "{report}");
    assert!(report.differences.iter().any(|difference| difference.kind == kind), "{report}");
    assert!(report.to_string().ends_with("NOT equal\n"));
}

fn sum(figure: fn(&FileReport) -> u64) -> impl Fn(&Report) -> u64 {
    move |report| report.sum(figure)
}

#[test]
fn a_lost_row_is_missing() {
    check(|read| drop(read.records.remove(9)), DifferenceKind::Missing, sum(|file| file.missing));
}

#[test]
fn a_row_given_twice_is_doubled() {
    let twice = |read: &mut Reading| read.records.push(read.records[9].clone());
    check(twice, DifferenceKind::Doubled, sum(|file| file.doubled));
}

#[test]
fn an_altered_cell_is_a_wrong_value() {
    let altered = |cell: &'static str, value: serde_json::Value| {
        move |read: &mut Reading| read.records[9].1.value[cell] = value.clone()
    };
    let wrong = || sum(|file| file.wrong_value);
    check(altered("price", json!("1.23")), DifferenceKind::WrongValue, wrong());
    check(altered("price", json!(1.23)), DifferenceKind::WrongValue, wrong());
    check(altered("ordered_at", json!("2026-03-02T00:00:00.001Z")), DifferenceKind::WrongValue, wrong());
    check(altered("one_more", json!(1)), DifferenceKind::WrongValue, wrong());
    let number_through_a_double = |read: &mut Reading| {
        let odd = read.records.iter().position(|(_, record)| record.value["order_no"].as_i64().unwrap() % 2 == 1);
        let record = &mut read.records[odd.unwrap()].1;
        let rounded = record.value["order_no"].as_i64().unwrap() as f64 as i64;
        record.value["order_no"] = rounded.into();
        record.key = None;
    };
    check(number_through_a_double, DifferenceKind::WrongValue, wrong());
    let null_for_empty = |read: &mut Reading| {
        let empty = read.records.iter_mut().find(|(_, record)| record.value["message"] == json!(""));
        empty.unwrap().1.value["message"] = serde_json::Value::Null;
    };
    check(null_for_empty, DifferenceKind::WrongValue, wrong());
    let other_key = |read: &mut Reading| read.records[9].1.key = Some(json!({"order_no": 1}));
    check(other_key, DifferenceKind::WrongValue, wrong());
}

#[test]
fn rows_of_a_file_that_change_places_are_out_of_order() {
    let swapped = |read: &mut Reading| {
        let (file, partition) = (read.records[9].0, read.records[9].1.partition);
        let later = read.records.iter().skip(10).position(|(other, record)| {
            *other == file && record.partition == partition && record.key != read.records[9].1.key
        });
        let later = later.unwrap() + 10;
        let moved = read.records.remove(9);
        read.records.insert(later, moved);
    };
    let (_folder, ledger) = generated_feeds(&[FEED], 31, 0.6, 2, Faults::All);
    let mut moved = reading(&ledger, |_| true);
    swapped(&mut moved);
    let report = compare(&ledger, &Comparison::default(), &moved);
    assert_eq!(report.sum(|file| file.wrong_order), 1, "{report}");
    let any = Comparison { order: Order::Any, ..Comparison::default() };
    assert!(compare(&ledger, &any, &moved).is_equal());
}

#[test]
fn files_out_of_order_are_seen_only_when_asked_for() {
    let (_folder, ledger) = generated_feeds(&[FEED], 32, 0.3, 2, Faults::All);
    let mut read = reading(&ledger, |_| true);
    let in_deliveries = Comparison { order: Order::Deliveries, ..Comparison::default() };
    read.records.sort_by_key(|(file, _)| *file);
    assert!(compare(&ledger, &in_deliveries, &read).is_equal());
    read.records.sort_by_key(|(file, _)| std::cmp::Reverse(*file));
    assert!(compare(&ledger, &Comparison::default(), &read).is_equal());
    assert!(compare(&ledger, &in_deliveries, &read).sum(|file| file.wrong_order) > 0);
}

#[test]
fn records_of_nowhere_and_of_bad_rows_are_unexpected() {
    let stranger = |read: &mut Reading| {
        let mut record = read.records[9].clone();
        record.1.value["line_id"] = json!("W1-1");
        read.records.push(record);
    };
    check(stranger, DifferenceKind::UnexpectedRecord, |report| report.unexpected_records);
    let nameless = |read: &mut Reading| read.records.push((0, Record::default()));
    check(nameless, DifferenceKind::UnexpectedRecord, |report| report.unexpected_records);
    let (_folder, ledger) = generated_feeds(&[FEED], 31, 0.6, 2, Faults::All);
    let bad = ledger
        .lines()
        .unwrap()
        .map(Result::unwrap)
        .find(|line| line.code == Some(Code::BadDecimal) && ledger.truth().files[line.file as usize].feed == FEED);
    let mut read = reading(&ledger, |_| true);
    let loaded = Record { value: json!({"line_id": bad.unwrap().id}), ..Record::default() };
    read.records.push((0, loaded));
    assert_eq!(compare(&ledger, &Comparison::default(), &read).unexpected_records, 1);
}

#[test]
fn rejections_are_held_to_place_and_code() {
    let one = sum(|file| file.rejections_missing);
    check(|read| drop(read.rejections.remove(0)), DifferenceKind::RejectionMissing, one);
    let twice = |read: &mut Reading| read.rejections.push(read.rejections[0].clone());
    check(twice, DifferenceKind::RejectionDoubled, sum(|file| file.rejections_doubled));
    let unexpected = |report: &Report| report.unexpected_rejections;
    let other_code = |read: &mut Reading| read.rejections[0].code = "bad_luck".to_string();
    check(other_code, DifferenceKind::UnexpectedRejection, unexpected);
    let other_line = |read: &mut Reading| read.rejections[0].line = Some(100_000);
    check(other_line, DifferenceKind::UnexpectedRejection, unexpected);
    let other_byte = |read: &mut Reading| read.rejections[0].byte = Some(1);
    check(other_byte, DifferenceKind::UnexpectedRejection, unexpected);
}

#[test]
fn a_failed_file_may_have_given_a_prefix_of_its_rows() {
    let (_folder, ledger) = generated_feeds(&[FEED], 33, 0.6, 1, Faults::All);
    let right = |how: FailedFiles, read: &Reading| {
        compare(&ledger, &Comparison { failed_files: how, ..Comparison::default() }, read).is_equal()
    };
    let (none, all) = (reading(&ledger, |_| false), reading(&ledger, |_| true));
    let prefix = reading(&ledger, |line| line.row < 9);
    let gap = reading(&ledger, |line| line.row < 9 || line.row == 12);
    let verdicts = |how: FailedFiles| [&none, &prefix, &all, &gap].map(|read| right(how, read));
    assert_eq!(verdicts(FailedFiles::Prefix), [true, true, true, false]);
    assert_eq!(verdicts(FailedFiles::All), [false, false, true, false]);
    assert_eq!(verdicts(FailedFiles::None), [true, false, false, false]);
}

#[test]
fn deliveries_that_were_not_dropped_are_not_missed() {
    let (_folder, ledger) = generated_feeds(&[FEED], 34, 0.3, 2, Faults::All);
    let half = ledger.truth().files.len() as u32 / 2;
    let mut read = reading(&ledger, |_| true);
    read.records.retain(|(file, _)| *file < half);
    read.rejections.clear();
    let how = Comparison { deliveries: Some(half), ..Comparison::default() };
    let report = compare(&ledger, &how, &read);
    assert_eq!((report.sum(|file| file.missing), report.unexpected_records), (0, 0));
    assert!(report.sum(|file| file.found) > 0);
    assert!(compare(&ledger, &Comparison::default(), &read).sum(|file| file.missing) > 0);
}

#[test]
fn derived_columns_are_let_through_when_asked_for() {
    let (_folder, ledger) = generated_feeds(&[FEED], 35, 0.3, 1, Faults::None);
    let mut read = reading(&ledger, |_| true);
    for (_, record) in &mut read.records {
        record.value["price_eur"] = json!("1.00");
    }
    let how = Comparison { extra_columns: true, ..Comparison::default() };
    assert!(compare(&ledger, &how, &read).is_equal());
    assert!(!compare(&ledger, &Comparison::default(), &read).is_equal());
}

#[test]
fn a_truth_of_another_schema_is_refused() {
    let (folder, ledger) = generated_feeds(&[FEED], 36, 0.1, 1, Faults::None);
    let mut truth = ledger.truth().clone();
    truth.schema = "newlimits.truth/0".to_string();
    std::fs::write(folder.path().join("truth.json"), serde_json::to_vec(&truth).unwrap()).unwrap();
    let refused = Ledger::open(folder.path()).unwrap_err();
    assert!(refused.to_string().contains("newlimits.truth/0"), "{refused}");
}
