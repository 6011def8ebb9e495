//! Files that are made to fill the memory: what they take at most, and how they end. One test, since it counts for the process.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;

use harness::Drops;
use serde_json::{Value, json};
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{BufWriter, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use unbatch_api::Bound;

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator as it came; counting touches no memory that it manages.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::SeqCst) + layout.size();
        PEAK.fetch_max(now, Ordering::SeqCst);
        // SAFETY: as for this function.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: as for this function.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;

struct Outcome {
    rows: usize,
    codes: Vec<String>,
    peak: usize,
}

/// Reads one file that `write` makes.
async fn read(settings: Value, write: impl FnOnce(&mut dyn Write)) -> Outcome {
    let mut drops = Drops::new().with("columns", json!([])).with("ready_when", json!({"stable_for": "1ms"}));
    drops.config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let mut file = BufWriter::new(std::fs::File::create(drops.path("a.csv")).unwrap());
    write(&mut file);
    file.flush().unwrap();
    drop(file);
    let before = NOW.load(Ordering::SeqCst);
    PEAK.store(before, Ordering::SeqCst);
    let mut run = drops.open(Bound::Once).await;
    let (mut rows, mut codes) = (0, Vec::new());
    while let Some(batch) = run.source.next().await.unwrap() {
        rows += batch.rows.num_rows();
        codes.extend(batch.rejected.iter().map(|r| r.code.to_string()));
    }
    Outcome { rows, codes, peak: PEAK.load(Ordering::SeqCst) - before }
}

fn check(what: &str, outcome: &Outcome, rows: usize, codes: &[&str], most: usize) {
    println!("{what}: {} rows, {:?}, {} KiB at most", outcome.rows, outcome.codes, outcome.peak / 1024);
    assert_eq!(
        (outcome.rows, &outcome.codes[..]),
        (rows, &codes.iter().map(|c| c.to_string()).collect::<Vec<_>>()[..]),
        "{what}"
    );
    assert!(outcome.peak < most, "{what}: {} MiB, more than {}", outcome.peak / MIB, most / MIB);
}

fn times(out: &mut dyn Write, text: &str, count: usize) {
    for _ in 0..count {
        out.write_all(text.as_bytes()).unwrap();
    }
}

#[tokio::test]
async fn no_file_fills_the_memory() {
    // a line without an end, four times as long as the longest record, as header, as a row and in quotes
    let piece = "x".repeat(MIB);
    for (head, rows) in [("", 0), ("a,b\n1,2\n", 1), ("a,b\n1,2\n3,\"", 1)] {
        let outcome = read(json!({}), |out| {
            times(out, head, 1);
            times(out, &piece, 64);
        });
        check("an endless line", &outcome.await, rows, &["record_too_large"], 48 * MIB);
    }
    // a quote that is never closed, over lines
    let outcome = read(json!({}), |out| {
        times(out, "a,b\n1,\"", 1);
        times(out, "2,three\n", 4 * MIB);
    });
    check("a quote that swallows lines", &outcome.await, 0, &["field_too_many_lines"], 8 * MIB);
    // nothing but delimiters, as a header and as a row
    let commas = ",".repeat(12 * MIB);
    let outcome = read(json!({}), |out| times(out, &commas, 1));
    check("a header of delimiters", &outcome.await, 0, &["header_too_many_columns"], 48 * MIB);
    let outcome = read(json!({}), |out| {
        times(out, "a,b\n", 1);
        times(out, &commas, 1);
        times(out, "\n1,2\n", 1);
    });
    check("a row of delimiters", &outcome.await, 0, &["rejected_too_large"], 64 * MIB);
    wide().await;
}

/// 100,000 columns: told at once, or read when that is meant.
async fn wide() {
    let write = |out: &mut dyn Write| {
        for n in 0..100_000 {
            write!(out, "{}c{n}", if n == 0 { "" } else { "," }).unwrap();
        }
        for row in 0..20 {
            out.write_all(b"\n").unwrap();
            (0..100_000).for_each(|n| write!(out, "{}{row}", if n == 0 { "" } else { "," }).unwrap());
        }
    };
    check("100,000 columns", &read(json!({}), write).await, 0, &["header_too_many_columns"], 16 * MIB);
    let outcome = read(json!({"columns_max": 100_000}), write).await;
    check("100,000 columns that are meant", &outcome, 20, &[], 256 * MIB);
}
