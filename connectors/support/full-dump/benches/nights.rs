//! Two nights of a table: seconds and peak memory of sorting, comparing and handing on. `UNBATCH_DUMP_ROWS` says how many rows (1,000,000),
//! `UNBATCH_DUMP_MEMORY` how many MiB sorting may have (48), `UNBATCH_DUMP_FOLDER` where it spills.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for the person at the terminal")]

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use unbatch_api::ColumnType;
use unbatch_api::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use unbatch_api::arrow::datatypes::Schema;
use unbatch_full_dump::{BaselineReader, Changes, Deletes, Shape, Sorted, Sorter, Written, compare};

const BATCH_ROWS: u64 = 8_192;
/// One row in so many changes from night to night, and as many go and come.
const CHANGED_ONE_IN: u64 = 200;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

fn main() {
    let rows = setting("UNBATCH_DUMP_ROWS", 1_000_000);
    let memory = setting("UNBATCH_DUMP_MEMORY", 48) as usize * (1 << 20);
    let folder = std::env::var_os("UNBATCH_DUMP_FOLDER").map_or_else(std::env::temp_dir, PathBuf::from);
    let columns: Vec<_> =
        ["sku", "title", "category", "supplier", "text"].map(|n| ColumnType::String.field(n, false)).into();
    let columns = [columns, vec![ColumnType::Int64.field("price", false)]].concat();
    let shape = Arc::new(Shape::new(&Schema::new(columns), &["sku".into()]).unwrap());
    println!("{rows} rows, {} MiB to sort with, spilled into {}", memory >> 20, folder.display());
    let mut before: Option<(File, Written)> = None;
    for night in 0..2 {
        let at = Instant::now();
        let sorted = sort(&shape, &folder, memory, rows, night);
        tell(night, "sort", at, sorted.rows());
        let at = Instant::now();
        let next = tempfile::tempfile_in(&folder).unwrap();
        let (plan, written) =
            compare(&sorted, reader(&shape, before.as_ref()), Deletes::Seen, BufWriter::new(&next)).unwrap();
        tell(night, "compare", at, plan.rows + plan.before);
        let at = Instant::now();
        let mut changes = Changes::new(&sorted, reader(&shape, before.as_ref()), Deletes::Seen, 0, 8_192).unwrap();
        let mut given = 0;
        while let Some(batch) = changes.next_batch().unwrap() {
            given += batch.ops.len() as u64;
        }
        tell(night, "hand on", at, given);
        assert_eq!(given, plan.changes());
        println!("night {night}: {} new, {} changed, {} gone", plan.creates, plan.updates, plan.deletes);
        before = Some((next, written));
    }
}

fn reader(shape: &Shape, baseline: Option<&(File, Written)>) -> BaselineReader<Box<dyn Read>> {
    let Some((file, written)) = baseline else { return BaselineReader::empty() };
    let mut file = file.try_clone().unwrap();
    file.rewind().unwrap();
    let file: Box<dyn Read> = Box::new(BufReader::new(file));
    BaselineReader::new(shape, file, written.clone()).unwrap()
}

/// Rows of about 150 bytes, in an order that no sort likes.
fn sort(shape: &Arc<Shape>, folder: &std::path::Path, memory: usize, rows: u64, night: u64) -> Sorted {
    let mut sorter = Sorter::new(shape.clone(), folder, memory);
    let shift = night * (rows / CHANGED_ONE_IN);
    let mut at = 0;
    while at < rows {
        let end = (at + BATCH_ROWS).min(rows);
        // a permutation of the numbers below a power of two, cut to those that there are
        let numbers: Vec<u64> = (at..end).map(|i| scattered(i, rows) + shift).collect();
        let text = |of: &dyn Fn(u64) -> String| -> ArrayRef {
            Arc::new(numbers.iter().map(|&n| Some(of(n))).collect::<StringArray>())
        };
        let price = |n: &u64| *n as i64 % 9_973 + if n.is_multiple_of(CHANGED_ONE_IN) { night as i64 } else { 0 };
        let columns: Vec<ArrayRef> = vec![
            text(&|n| format!("NL-{n:012}")),
            text(&|n| format!("a running shoe of the kind {n}")),
            text(&|n| format!("category {}", n % 40)),
            text(&|n| format!("supplier {}", n % 6)),
            text(&|n| format!("a text that nobody reads but everybody copies, {n:020}")),
            Arc::new(numbers.iter().map(price).collect::<Int64Array>()),
        ];
        let lines: Vec<u64> = (at..end).collect();
        sorter.push(&RecordBatch::try_new(shape.fields().clone(), columns).unwrap(), &lines, &lines).unwrap();
        at = end;
    }
    sorter.finish().unwrap()
}

/// The `i`th number below `rows` in a scattered order: a step that has no factor in common with `rows`.
fn scattered(i: u64, rows: u64) -> u64 {
    let step = (rows / 2 + 1..).find(|step| greatest_common(*step, rows) == 1).unwrap();
    (u128::from(i) * u128::from(step) % u128::from(rows)) as u64
}

fn greatest_common(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common(b, a % b) }
}

fn tell(night: u64, phase: &str, since: Instant, rows: u64) {
    let seconds = since.elapsed().as_secs_f64();
    let rate = rows as f64 / seconds;
    println!("night {night}, {phase}: {seconds:.2} s, {rate:.0} rows a second, peak {} MiB", peak_mib());
}

/// Most memory that the process had, by the kernel's count.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}
