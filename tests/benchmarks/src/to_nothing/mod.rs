//! CSV to nothing: the source alone, its batches dropped, beside other readers of the same bytes, and on the same rows packed, written
//! and stored otherwise.

pub mod cases;
mod places;

use crate::Scale;
use crate::figures::of_turn;
use crate::rows::{COLUMNS, Notes, write_file, write_rows};
use crate::runs::{Run, Runs};
use places::Bucket;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use unbatch_test_harness::Launch;

const DEADLINE: Duration = Duration::from_secs(600);
pub const ROWS_OF_SMALL: usize = 100;

const PLAIN: &str = "csv_drops, UTF-8";
const ACCENTS: &str = "csv_drops, UTF-8 with some umlauts";

/// A case: what it is called in the table, in [`cases`], and the configuration of the source.
struct One {
    what: String,
    case: &'static str,
    config: String,
}

pub fn measure(scale: Scale) -> String {
    let home = tempfile::tempdir().expect("a temporary folder");
    let small = scale.rows / ROWS_OF_SMALL;
    let bytes = make_files(home.path(), scale.rows);
    let bucket = Bucket::with(&home.path().join("lines.csv"));
    let many = format!("csv_drops, {small} files of {ROWS_OF_SMALL} rows");
    let mut table = Runs::new(&format!("CSV to nothing: {} rows of {} bytes", scale.rows, bytes as usize / scale.rows));
    let mut all = vec![];
    let mut add = |what: &str, case, config: String, against: Option<&str>, goal| {
        table.case(what, against.as_slice(), goal);
        all.push(One { what: what.into(), case, config });
    };
    add(PLAIN, "csv_drops", config(".", "lines.csv", ""), Some("arrow-csv, typed"), "");
    add("arrow-csv, typed", "arrow-csv", String::new(), None, "");
    add("csv crate, typed by hand", "csv-crate", String::new(), Some("arrow-csv, typed"), "");
    add(&many, "csv_drops", config("small", "*.csv", ""), Some(PLAIN), "0.3");
    add("csv_drops, gz", "csv_drops", config(".", "lines.csv.gz", ""), Some(PLAIN), "");
    add("csv_drops, zst", "csv_drops", config(".", "lines.csv.zst", ""), Some(PLAIN), "");
    add(ACCENTS, "csv_drops", config(".", "accents.csv", ""), Some(PLAIN), "");
    let windows = r#", "dialect": {"encoding": "windows-1252"}"#;
    add("csv_drops, windows-1252", "csv_drops", config(".", "windows.csv", windows), Some(ACCENTS), "");
    if let Some(bucket) = &bucket {
        add("csv_drops, S3 on the same cores", "csv_drops", bucket.config(COLUMNS), Some(PLAIN), "");
    }
    for turn in 0..scale.repetitions {
        for one in of_turn(&all, turn) {
            let run = in_process(one, home.path(), bucket.as_ref());
            assert_eq!(run.rows, scale.rows, "rows of {}", one.what);
            table.add(&one.what, run);
        }
    }
    table.to_markdown()
}

fn config(url: &str, pattern: &str, more: &str) -> String {
    let ready = r#""ready_when": {"stable_for": "1ms"}"#;
    format!(r#"{{"url": "{url}", "match": "{pattern}", {ready}, "columns": {COLUMNS}{more}}}"#)
}

fn in_process(one: &One, folder: &Path, bucket: Option<&Bucket>) -> Run {
    let me = std::env::current_exe().expect("the path of this program");
    let mut launch = Launch::program(me).arg("case").arg(one.case).arg(folder).arg(&one.config);
    if let Some(bucket) = bucket {
        launch = launch.env("AWS_ACCESS_KEY_ID", bucket.key()).env("AWS_SECRET_ACCESS_KEY", bucket.secret());
    }
    let finished = launch.named(&one.what).run(DEADLINE);
    assert!(finished.status.success(), "{}: {}", one.what, finished.stderr);
    cases::printed(&finished.stdout)
}

/// The same rows in one file, in many, packed and in other encodings. Returns the bytes of the one file.
fn make_files(home: &Path, rows: usize) -> u64 {
    let bytes = write_file(&home.join("lines.csv"), 0, rows);
    let text = std::fs::read(home.join("lines.csv")).expect("the file that was just written");
    let small = home.join("small");
    std::fs::create_dir(&small).expect("a folder for small files");
    for (n, first) in (0..rows).step_by(ROWS_OF_SMALL).enumerate() {
        write_file(&small.join(format!("{n:06}.csv")), first, ROWS_OF_SMALL.min(rows - first));
    }
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(&text).expect("packing");
    std::fs::write(home.join("lines.csv.gz"), gz.finish().expect("packing")).expect("a packed file");
    std::fs::write(home.join("lines.csv.zst"), zstd::encode_all(&text[..], 3).expect("packing"))
        .expect("a packed file");
    let mut accents = Vec::new();
    write_rows(&mut accents, 0, rows, Notes::Accents);
    std::fs::write(home.join("accents.csv"), &accents).expect("a file with umlauts");
    // of windows-1252 only what Latin-1 has is used: one byte for each character
    let text = String::from_utf8(accents).expect("text");
    let windows: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).expect("a character of Latin-1")).collect();
    std::fs::write(home.join("windows.csv"), windows).expect("a file in windows-1252");
    bytes
}
