//! The runs themselves, each in a process of its own, so that its memory is its own.

use crate::figures::own_cpu;
use crate::memory::kib;
use crate::runs::Run;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use unbatch_api::testkit::context::{limits, place, source_context};
use unbatch_api::{Bound, Checkpoint, Committed, Limits, SourceConnector};
use unbatch_csv::CsvDrops;

const BATCH_ROWS: usize = 8_192;
const BUFFER_BYTES: usize = 1 << 20;

/// Runs one case over what lies in `folder` and prints what it took; `config` is for the source.
pub fn run(name: &str, folder: &Path, config: &str) {
    let (started, cpu) = (Instant::now(), own_cpu());
    let rows = match name {
        "csv_drops" => source(folder, config),
        "arrow-csv" => arrow_csv(&folder.join("lines.csv")),
        "csv-crate" => csv_crate(&folder.join("lines.csv")),
        other => panic!("there is no case {other}"),
    };
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), (own_cpu() - cpu).as_secs_f64());
    println!("{rows} {seconds} {cpu} {}", kib(std::process::id(), "VmHWM:"));
}

/// Reads what a case printed.
pub fn printed(text: &str) -> Run {
    let mut fields = text.split_whitespace().map(|field| field.parse::<f64>().expect("a number"));
    let mut next = || fields.next().expect("four numbers");
    Run { rows: next() as usize, seconds: next(), cpu: next(), peak: next() / 1024.0 }
}

/// The whole source: listing, digest, scanner, decoder, hand-over.
fn source(folder: &Path, config: &str) -> usize {
    let config = Arc::new(serde_json::from_str(config).expect("a configuration"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut place = place("bench");
        place.base = folder.to_owned();
        let (_sender, committed) = Committed::channel(Checkpoint::default());
        let mut cx = source_context(place, Checkpoint::default(), committed, Bound::Once);
        cx.limits = Limits { batch_rows: BATCH_ROWS, batch_bytes: 4 << 20, ..limits() };
        let mut source = CsvDrops::open(config, cx).await.expect("a source");
        let mut rows = 0;
        while let Some(batch) = source.next().await.expect("a batch") {
            rows += batch.rows.num_rows();
        }
        rows
    })
}

fn arrow_csv(path: &Path) -> usize {
    let of = |names: &[&str], kind: DataType| {
        names.iter().map(|name| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>()
    };
    let fields = [
        of(&["id", "order_id"], DataType::Int64),
        of(&["line_no", "product_id", "quantity"], DataType::Int32),
        of(&["price"], DataType::Decimal128(12, 2)),
        of(&["paid"], DataType::Boolean),
        of(&["status", "tracking", "note"], DataType::Utf8),
        of(&["changed_at"], DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))),
    ];
    let schema = Arc::new(Schema::new(fields.concat()));
    let file = BufReader::with_capacity(BUFFER_BYTES, File::open(path).expect("the file"));
    let builder = arrow_csv::ReaderBuilder::new(schema).with_header(true).with_batch_size(BATCH_ROWS);
    let reader = builder.build_buffered(file).expect("a reader");
    reader.map(|batch| batch.expect("a batch").num_rows()).sum()
}

/// What a careful hand-written loop would do.
fn csv_crate(path: &Path) -> usize {
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(BUFFER_BYTES).from_path(path).expect("a reader");
    let mut record = csv::StringRecord::new();
    let (mut longs, mut ints, mut texts, mut prices) = (Vec::new(), Vec::new(), String::new(), Vec::new());
    let mut rows = 0;
    while reader.read_record(&mut record).expect("a record") {
        longs.extend(record.iter().take(2).map(|f| f.parse::<i64>().expect("a number")));
        ints.extend(record.iter().skip(2).take(3).map(|f| f.parse::<i32>().expect("a number")));
        prices.push(record[5].replace('.', "").parse::<i128>().expect("a price"));
        record.iter().skip(6).for_each(|f| texts.push_str(f));
        rows += 1;
        if rows % BATCH_ROWS == 0 {
            longs.clear();
            ints.clear();
            prices.clear();
            texts.clear();
        }
    }
    rows
}
