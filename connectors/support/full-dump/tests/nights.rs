//! Night after night against a generator that knows what changed.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use unbatch_api::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use unbatch_api::arrow::datatypes::{Int64Type, Schema};
use unbatch_api::{ColumnType, Kind, Op};
use unbatch_full_dump::{
    BaselineReader, ChangeBatch, Changes, Deletes, Duplicate, Plan, Shape, Sorted, Sorter, Written, compare, unite,
};

type Table = BTreeMap<(String, i64), Option<String>>;
/// Operation, key and value of a change.
type Change = (char, (String, i64), Option<String>);

/// Baselines are written with what they must be when they are read.
struct Baseline(Vec<u8>, Written);

fn seed() -> u64 {
    let seed = std::env::var("UNBATCH_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random);
    println!("UNBATCH_SEED={seed}");
    seed
}

fn fields() -> Schema {
    Schema::new(vec![
        ColumnType::String.field("title", false),
        ColumnType::Int64.field("size", false),
        ColumnType::String.field("sku", false),
    ])
}

fn shape() -> Arc<Shape> {
    Arc::new(Shape::new(&fields(), &["sku".into(), "size".into()]).unwrap())
}

fn rows(rows: &[((String, i64), Option<String>)]) -> RecordBatch {
    let titles: ArrayRef = Arc::new(rows.iter().map(|(_, title)| title.clone()).collect::<StringArray>());
    let sizes: ArrayRef = Arc::new(rows.iter().map(|((_, size), _)| *size).collect::<Int64Array>());
    let skus: ArrayRef = Arc::new(rows.iter().map(|((sku, _), _)| Some(sku.clone())).collect::<StringArray>());
    RecordBatch::try_new(shape().fields().clone(), vec![titles, sizes, skus]).unwrap()
}

fn reader(baseline: Option<&Baseline>) -> BaselineReader<&[u8]> {
    match baseline {
        Some(Baseline(bytes, written)) => BaselineReader::new(&shape(), &bytes[..], written.clone()).unwrap(),
        None => BaselineReader::empty(),
    }
}

/// The dump in any order, sorted with the least memory and in pieces of any size.
fn sorted(rng: &mut StdRng, dump: &[((String, i64), Option<String>)]) -> Sorted {
    let folder = tempfile::tempdir().unwrap();
    let mut sorter = Sorter::new(shape(), folder.path(), 1);
    let mut at = 0;
    while at < dump.len() {
        let end = (at + rng.random_range(1..2_000)).min(dump.len());
        let lines: Vec<u64> = (at..end).map(|i| i as u64 + 2).collect();
        sorter.push(&rows(&dump[at..end]), &lines, &lines).unwrap();
        at = end;
    }
    sorter.finish().unwrap()
}

fn shuffled(rng: &mut StdRng, table: &Table) -> Vec<((String, i64), Option<String>)> {
    let mut dump: Vec<_> = table.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    for i in (1..dump.len()).rev() {
        dump.swap(i, rng.random_range(0..=i));
    }
    dump
}

fn compared(sorted: &Sorted, before: Option<&Baseline>) -> (Plan, Baseline) {
    let mut next = Vec::new();
    let (plan, written) = compare(sorted, reader(before), Deletes::Seen, &mut next).unwrap();
    (plan, Baseline(next, written))
}

fn listed(batch: &ChangeBatch) -> Vec<Change> {
    let titles = batch.rows.column(0).as_string::<i32>();
    let sizes = batch.rows.column(1).as_primitive::<Int64Type>();
    let skus = batch.rows.column(2).as_string::<i32>();
    let one = |(i, op): (usize, &Op)| {
        let letter = op.letter().chars().next().unwrap();
        let title = titles.is_valid(i).then(|| titles.value(i).to_owned());
        (letter, (skus.value(i).to_owned(), sizes.value(i)), title)
    };
    batch.ops.iter().enumerate().map(one).collect()
}

fn changes(sorted: &Sorted, before: Option<&Baseline>, skip: u64, rows_max: usize) -> Vec<Change> {
    let mut changes = Changes::new(sorted, reader(before), Deletes::Seen, skip, rows_max).unwrap();
    let (mut all, mut last) = (Vec::new(), skip);
    while let Some(batch) = changes.next_batch().unwrap() {
        assert!(batch.ops.len() <= rows_max);
        assert_eq!(batch.through, last + batch.ops.len() as u64);
        last = batch.through;
        all.extend(listed(&batch));
    }
    all
}

fn next_night(rng: &mut StdRng, table: &Table) -> (Table, Vec<Change>) {
    let (mut next, mut log) = (Table::new(), Vec::new());
    for (key, title) in table {
        match rng.random_range(0..100) {
            0..3 => log.push(('d', key.clone(), None)),
            3..7 => {
                let title = rng.random_bool(0.8).then(|| format!("title {}", rng.random::<u32>()));
                if title != *title_of(table, key) {
                    log.push(('u', key.clone(), title.clone()));
                }
                next.insert(key.clone(), title);
            }
            _ => {
                next.insert(key.clone(), title.clone());
            }
        }
    }
    for _ in 0..rng.random_range(0..200) {
        let key = (format!("NL-{}", rng.random_range(0..100_000)), rng.random_range(-2..3));
        if !table.contains_key(&key) && !next.contains_key(&key) {
            let title = rng.random_bool(0.5).then_some(String::new());
            log.push(('c', key.clone(), title.clone()));
            next.insert(key, title);
        }
    }
    log.sort_by(|a, b| a.1.cmp(&b.1));
    (next, log)
}

fn title_of<'a>(table: &'a Table, key: &(String, i64)) -> &'a Option<String> {
    &table[key]
}

#[test]
fn thirty_random_nights_are_the_generators_change_log() {
    let mut rng = StdRng::seed_from_u64(seed());
    let mut table = Table::new();
    for i in 0..12_000 {
        table.insert((format!("NL-{}", i * 3), i % 3), Some(format!("a title that makes rows long enough {i}")));
    }
    let dump = shuffled(&mut rng, &table);
    let first = sorted(&mut rng, &dump);
    let (plan, mut baseline) = compared(&first, None);
    assert_eq!((plan.rows, plan.creates, plan.before), (12_000, 12_000, 0));
    let all = changes(&first, None, 0, 1_000);
    let whole: Vec<Change> = table.iter().map(|(k, v)| ('c', k.clone(), v.clone())).collect();
    assert!(all == whole, "the first night is not the table");
    for night in 0..30 {
        let (next, log) = next_night(&mut rng, &table);
        let dump = shuffled(&mut rng, &next);
        let sorted = sorted(&mut rng, &dump);
        let (plan, written) = compared(&sorted, Some(&baseline));
        let count = |letter| log.iter().filter(|c| c.0 == letter).count() as u64;
        assert_eq!((plan.creates, plan.updates, plan.deletes), (count('c'), count('u'), count('d')), "night {night}");
        assert_eq!((plan.rows, plan.before), (next.len() as u64, table.len() as u64));
        assert_eq!(plan.unchanged + plan.creates + plan.updates, plan.rows);
        assert_eq!(changes(&sorted, Some(&baseline), 0, 700), log, "night {night}");
        let skip = rng.random_range(0..=log.len());
        assert_eq!(changes(&sorted, Some(&baseline), skip as u64, 37), log[skip..], "night {night} from {skip}");
        (table, baseline) = (next, written);
    }
}

fn small(entries: &[(&str, &str)]) -> Vec<((String, i64), Option<String>)> {
    entries.iter().map(|(sku, title)| ((sku.to_string(), 1), Some(title.to_string()))).collect()
}

#[test]
fn a_repeated_key_is_told_with_both_lines() {
    let mut rng = StdRng::seed_from_u64(1);
    let dump = sorted(&mut rng, &small(&[("b", "x"), ("a", "x"), ("b", "y"), ("b", "x")]));
    let (plan, _) = compared(&dump, None);
    assert_eq!((plan.duplicates, plan.repeated, plan.creates), (1, 1, 2), "the last row says what the first one does");
    assert_eq!(plan.duplicate_places, [Duplicate { first_line: 2, second_line: 4 }]);
}

#[test]
fn a_refused_row_beside_a_good_one_with_its_key_is_a_duplicate_and_beside_another_refused_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut sorter = Sorter::new(shape(), folder.path(), 1);
    sorter.push(&rows(&small(&[("a", "1")])), &[2], &[0]).unwrap();
    sorter.keep(&rows(&small(&[("a", ""), ("b", ""), ("b", "")])), &[3, 4, 5], &[0, 0, 0]).unwrap();
    let (plan, _) = compared(&sorter.finish().unwrap(), None);
    assert_eq!((plan.duplicates, plan.repeated, plan.kept, plan.creates), (1, 1, 1, 1));
    assert_eq!(plan.duplicate_places, [Duplicate { first_line: 2, second_line: 3 }]);
}

#[test]
fn deletes_that_are_withheld_come_with_the_next_dump() {
    let mut rng = StdRng::seed_from_u64(1);
    let (_, baseline) = compared(&sorted(&mut rng, &small(&[("a", "1"), ("b", "1"), ("c", "1")])), None);
    let dump = sorted(&mut rng, &small(&[("b", "2")]));
    let mut next = Vec::new();
    let (plan, written) = compare(&dump, reader(Some(&baseline)), Deletes::Withheld, &mut next).unwrap();
    assert_eq!((plan.withheld, plan.deletes, plan.updates, written.rows), (2, 0, 1, 3));
    let mut now = Changes::new(&dump, reader(Some(&baseline)), Deletes::Withheld, 0, 10).unwrap();
    assert_eq!(now.next_batch().unwrap().unwrap().ops, [Op::Update]);
    let later = changes(&dump, Some(&Baseline(next, written)), 0, 10);
    let key = |sku: &str| (sku.to_owned(), 1);
    assert_eq!(later, [('d', key("a"), None), ('d', key("c"), None)]);
}

#[test]
fn a_refused_row_stays_as_it_was() {
    let mut rng = StdRng::seed_from_u64(1);
    let before = sorted(&mut rng, &small(&[("a", "1"), ("b", "1"), ("c", "1")]));
    let (_, baseline) = compared(&before, None);
    let folder = tempfile::tempdir().unwrap();
    let mut sorter = Sorter::new(shape(), folder.path(), 1);
    sorter.push(&rows(&small(&[("a", "1"), ("c", "2")])), &[2, 3], &[0, 0]).unwrap();
    sorter.keep(&rows(&small(&[("b", ""), ("z", "")])), &[4, 5], &[0, 0]).unwrap();
    let dump = sorter.finish().unwrap();
    let (plan, next) = compared(&dump, Some(&baseline));
    assert_eq!((plan.kept, plan.deletes, plan.updates, plan.creates, plan.unchanged), (2, 0, 1, 0, 1));
    let key = |sku: &str| (sku.to_owned(), 1);
    assert_eq!(changes(&dump, Some(&baseline), 0, 10), [('u', key("c"), Some("2".into()))]);
    // the refused row that was known is known still, the other one is not
    let later = sorted(&mut rng, &small(&[("a", "1"), ("b", "1"), ("c", "2"), ("z", "1")]));
    assert_eq!(changes(&later, Some(&next), 0, 10), [('c', key("z"), Some("1".into()))]);
}

#[test]
fn an_empty_dump_would_delete_everything_and_says_so() {
    let mut rng = StdRng::seed_from_u64(1);
    let before = sorted(&mut rng, &small(&[("a", "1"), ("b", "1")]));
    let (_, baseline) = compared(&before, None);
    let (plan, next) = compared(&sorted(&mut rng, &[]), Some(&baseline));
    assert_eq!((plan.rows, plan.before, plan.deletes), (0, 2, 2));
    assert_eq!(next.1.rows, 0);
}

#[test]
fn another_set_of_columns_hands_every_row_on_and_still_sees_deletes() {
    let mut rng = StdRng::seed_from_u64(1);
    let (_, Baseline(bytes, written)) = compared(&sorted(&mut rng, &small(&[("a", "1"), ("b", "1")])), None);
    let mut more = fields().fields().to_vec();
    more.push(Arc::new(ColumnType::Bool.field("is_new", true)));
    let shape = Arc::new(Shape::new(&Schema::new(more), &["sku".into(), "size".into()]).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut sorter = Sorter::new(shape.clone(), folder.path(), 1);
    let one = rows(&small(&[("a", "1")]));
    let mut columns = one.columns().to_vec();
    columns.push(unbatch_api::arrow::array::new_null_array(&unbatch_api::arrow::datatypes::DataType::Boolean, 1));
    sorter.push(&RecordBatch::try_new(shape.fields().clone(), columns).unwrap(), &[2], &[0]).unwrap();
    let dump = sorter.finish().unwrap();
    let open = || BaselineReader::new(&shape, &bytes[..], written.clone()).unwrap();
    let (plan, _) = compare(&dump, open(), Deletes::Seen, Vec::new()).unwrap();
    assert_eq!((plan.reads, plan.deletes, plan.updates, plan.creates), (1, 1, 0, 0));
    let mut changes = Changes::new(&dump, open(), Deletes::Seen, 0, 10).unwrap();
    assert_eq!(changes.next_batch().unwrap().unwrap().ops, [Op::Read, Op::Delete]);
    let other_key = Arc::new(Shape::new(&fields(), &["sku".into()]).unwrap());
    let refused = BaselineReader::new(&other_key, &bytes[..], written.clone()).err().unwrap();
    assert_eq!((refused.kind(), refused.code_text()), (Kind::Misconfigured, Some("U0240")));
}

#[test]
fn the_order_of_columns_changes_nothing() {
    let mut rng = StdRng::seed_from_u64(1);
    let (_, Baseline(bytes, written)) = compared(&sorted(&mut rng, &small(&[("a", "1"), ("b", "1")])), None);
    let turned: Vec<_> = fields().fields().iter().rev().cloned().collect();
    let shape = Arc::new(Shape::new(&Schema::new(turned), &["sku".into(), "size".into()]).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut sorter = Sorter::new(shape.clone(), folder.path(), 1);
    let two = rows(&small(&[("b", "1"), ("a", "1")]));
    let columns = two.columns().iter().rev().cloned().collect();
    sorter.push(&RecordBatch::try_new(shape.fields().clone(), columns).unwrap(), &[2, 3], &[0, 0]).unwrap();
    let dump = sorter.finish().unwrap();
    let before = BaselineReader::new(&shape, &bytes[..], written).unwrap();
    assert_eq!(compare(&dump, before, Deletes::Seen, Vec::new()).unwrap().0.unchanged, 2);
}

#[test]
fn a_baseline_that_was_cut_or_changed_is_lost() {
    let mut rng = StdRng::seed_from_u64(seed());
    let dump: Vec<_> = (0..20_000).map(|i| ((format!("NL-{i}"), 1), Some("t".to_owned()))).collect();
    let dump = sorted(&mut rng, &dump);
    let (_, Baseline(bytes, written)) = compared(&dump, None);
    let read = |bytes: &[u8]| -> Option<Kind> {
        let reader = match BaselineReader::new(&shape(), bytes, written.clone()) {
            Ok(reader) => reader,
            Err(error) => return Some(error.kind()),
        };
        compare(&dump, reader, Deletes::Seen, Vec::new()).err().map(|e| e.kind())
    };
    assert_eq!(read(&bytes), None);
    for _ in 0..40 {
        let cut = rng.random_range(0..bytes.len() - 1);
        assert_eq!(read(&bytes[..cut]), Some(Kind::Lost), "cut at {cut}");
    }
    for _ in 0..40 {
        let at = rng.random_range(bytes.len() / 2..bytes.len());
        let mut wrong = bytes.clone();
        wrong[at] ^= 1 << rng.random_range(0..8);
        assert_eq!(read(&wrong), Some(Kind::Lost), "changed at {at}");
    }
}

#[test]
fn whatever_part_of_a_dump_was_told_the_united_baseline_tells_the_rest_of_the_next_one() {
    let mut rng = StdRng::seed_from_u64(seed());
    let mut before = Table::new();
    for i in 0..2_000 {
        before.insert((format!("NL-{i}"), 1), Some(format!("title {i}")));
    }
    let dump = shuffled(&mut rng, &before);
    let (_, first) = compared(&sorted(&mut rng, &dump), None);
    for round in 0..10 {
        let (half, log) = next_night(&mut rng, &before);
        let dump = shuffled(&mut rng, &half);
        let (_, second) = compared(&sorted(&mut rng, &dump), Some(&first));
        // the reader of the stream saw so many of the changes, and then the dump was given up
        let mut seen = before.clone();
        apply(&mut seen, &log[..rng.random_range(0..=log.len())]);
        let mut bytes = Vec::new();
        let both = vec![reader(Some(&first)), reader(Some(&second))];
        let written = unite(&shape(), both, &mut bytes).unwrap();
        let (next, _) = next_night(&mut rng, &half);
        let dump = shuffled(&mut rng, &next);
        apply(&mut seen, &changes(&sorted(&mut rng, &dump), Some(&Baseline(bytes, written)), 0, 100));
        assert!(seen == next, "round {round}");
    }
}

/// Rows of 200 KB: what a merge holds of each run is bounded by bytes.
#[test]
fn wide_rows_are_sorted_and_told_whole() {
    let mut rng = StdRng::seed_from_u64(seed());
    let mut table = Table::new();
    for i in 0..120 {
        table.insert((format!("NL-{i}"), 1), Some(format!("{i} {}", "x".repeat(200_000))));
    }
    let dump = shuffled(&mut rng, &table);
    let whole: Vec<Change> = table.iter().map(|(k, v)| ('c', k.clone(), v.clone())).collect();
    assert!(changes(&sorted(&mut rng, &dump), None, 0, 50) == whole);
}

fn apply(table: &mut Table, changes: &[Change]) {
    for (op, key, title) in changes {
        match op {
            'd' => table.remove(key),
            _ => table.insert(key.clone(), title.clone()),
        };
    }
}
