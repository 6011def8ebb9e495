//! How fast files become columns: the whole source (listing, digest, scanner, decoder, hand-over) beside the `csv` crate with
//! the same typed columns in vectors, one after the other in turns, on a file of order lines. `cargo bench -p unbatch-csv [-- ROWS]`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use unbatch_api::testkit::context::{limits, place, source_context};
use unbatch_api::{Bound, Checkpoint, Committed, Limits, SourceConnector};
use unbatch_csv::CsvDrops;

const COLUMNS: &str = r#"[
    {"name": "id", "type": "int64", "required": true}, {"name": "order_id", "type": "int64"},
    {"name": "line_no", "type": "int32"}, {"name": "product_id", "type": "int32"}, {"name": "quantity", "type": "int32"},
    {"name": "price", "type": "decimal(12,2)"}, {"name": "paid", "type": "bool"}, {"name": "status", "type": "string"},
    {"name": "tracking", "type": "string"}, {"name": "note", "type": "string"}, {"name": "changed_at", "type": "timestamp"}
]"#;

fn main() {
    let rows = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(1_000_000);
    let base = tempfile::tempdir().unwrap();
    let text = order_lines(rows);
    std::fs::write(base.path().join("lines.csv"), &text).unwrap();
    println!("{rows} rows of {} bytes", text.len() / rows);
    for _ in 0..3 {
        measure("csv_drops", rows, || through_source(base.path()));
        measure("csv crate, typed", rows, || through_csv_crate(&base.path().join("lines.csv")));
    }
}

fn measure(name: &str, rows: usize, run: impl FnOnce() -> usize) {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    assert_eq!(run(), rows);
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let rows = rows as f64;
    println!(
        "{name:<20} {:>10.0} rows/s {:>10.0} rows/CPU s {:>6.3} us CPU a row",
        rows / seconds,
        rows / cpu,
        cpu * 1e6 / rows
    );
}

fn through_source(base: &Path) -> usize {
    let config =
        format!(r#"{{"url": ".", "match": "*.csv", "ready_when": {{"stable_for": "1ms"}}, "columns": {COLUMNS}}}"#);
    let config = Arc::new(serde_json::from_str(&config).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut place = place("bench");
        place.base = base.to_owned();
        let (_sender, committed) = Committed::channel(Checkpoint::default());
        let mut cx = source_context(place, Checkpoint::default(), committed, Bound::Once);
        cx.limits = Limits { batch_rows: 8192, ..limits() };
        let mut source = CsvDrops::open(config, cx).await.unwrap();
        let mut rows = 0;
        while let Some(batch) = source.next().await.unwrap() {
            rows += batch.rows.num_rows();
        }
        rows
    })
}

/// What a careful hand-written loop would do.
fn through_csv_crate(path: &Path) -> usize {
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 20).from_path(path).unwrap();
    let mut record = csv::StringRecord::new();
    let (mut longs, mut ints, mut texts, mut prices) = (Vec::new(), Vec::new(), String::new(), Vec::new());
    let mut rows = 0;
    while reader.read_record(&mut record).unwrap() {
        longs.extend(record.iter().take(2).map(|f| f.parse::<i64>().unwrap()));
        ints.extend(record.iter().skip(2).take(3).map(|f| f.parse::<i32>().unwrap()));
        prices.push(record[5].replace('.', "").parse::<i128>().unwrap());
        record.iter().skip(6).for_each(|f| texts.push_str(f));
        rows += 1;
        if rows % 8192 == 0 {
            longs.clear();
            ints.clear();
            prices.clear();
            texts.clear();
        }
    }
    rows
}

fn order_lines(rows: usize) -> String {
    let mut text = String::from("id,order_id,line_no,product_id,quantity,price,paid,status,tracking,note,changed_at\n");
    for n in 0..rows {
        let (order, product) = (n / 3, n * 7919 % 50_000);
        let note = if n % 20 == 0 {
            "\"left, with \"\"the\"\" neighbour\""
        } else {
            "please ring twice and wait for an answer"
        };
        writeln!(
            text,
            "{n},{order},{},{product},{},{}.{:02},{},shipped,TRK{:020},{note},2026-11-{:02}T07:30:{:02}.125Z",
            n % 3 + 1,
            n % 40,
            n % 900,
            n % 100,
            n % 2 == 0,
            n * 31,
            n % 28 + 1,
            n % 60,
        )
        .unwrap();
    }
    text
}

fn cpu_seconds() -> f64 {
    // SAFETY: getrusage writes one whole rusage through the pointer, which is valid for that.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
