//! CSV to topic by `run --once`: against librdkafka alone with the same records, with and without steps, in many files, and with
//! commits each second against hardly any.

use crate::Scale;
use crate::drop_folder::{DropFolder, Shape};
use crate::figures::{children_cpu, of_turn};
use crate::memory::kib;
use crate::raw_producer::{Commits, Parts, produce};
use crate::rows::write_file;
use crate::runs::{Run, Runs};
use crate::to_nothing::ROWS_OF_SMALL;
use crate::{connect, counting};
use std::path::Path;
use std::time::{Duration, Instant};
use unbatch_test_harness::{Broker, Process, Reader, Record, wait_until};

pub const DEADLINE: Duration = Duration::from_secs(1_200);
/// Records in a transaction of the limit.
const TRANSACTION: usize = 50_000;

const PLAIN: &str = "CSV to topic";
const RAW: &str = "librdkafka alone, the same records";
const RAW_BARE: &str = "librdkafka alone, without headers";
const MINIMAL: &str = "`headers: minimal`";
const STEPS: &str = "filter, derive, mask, rename and cast";
const STEPS_JSON: &str = r#"[{"filter": "quantity > 0 and status <> 'lost'"}, {"derive": {"total": "quantity * price", "note": "upper(note)"}},
  {"mask": {"tracking": {"keep_last": 4}}}, {"rename": {"paid": "is_paid"}}, {"cast": {"line_no": "int64"}}]"#;

const SECOND: &str = "big file, commits at 1 s";
const SELDOM: &str = "big file, commits at 15 s";
const RAW_SECOND: &str = "librdkafka alone, transactions of 1 s";
const RAW_NONE: &str = "librdkafka alone, idempotent without transactions";

/// Everything on one file of `scale.rows` rows, or on the same rows in many.
pub fn measure(broker: &Broker, scale: Scale) -> String {
    let home = tempfile::tempdir().expect("a temporary folder");
    let file = home.path().join("big.csv");
    write_file(&file, 0, scale.rows);
    let many = format!("{} files of {ROWS_OF_SMALL} rows", scale.rows / ROWS_OF_SMALL);
    let mut table = Runs::new(&format!("CSV to topic, {} rows", scale.rows));
    table.case(PLAIN, &[RAW, RAW_BARE], "0.5 (0.7); 295,000 rows per CPU s");
    table.case(RAW, &[], "");
    table.case(RAW_BARE, &[], "");
    table.case(MINIMAL, &[PLAIN, RAW_BARE], "");
    table.case(STEPS, &[PLAIN], "");
    table.case(&many, &[PLAIN], "0.3");
    table.case(connect::NAME, &[PLAIN], "");
    let cases = [PLAIN, RAW, RAW_BARE, MINIMAL, STEPS, &many, connect::NAME];
    let records = records_of(broker, &file, scale.rows);
    for turn in 0..scale.repetitions {
        for what in of_turn(&cases, turn) {
            let run = match *what {
                RAW => produce(broker, &records, Parts::All, 1, Commits::Of(TRANSACTION)),
                RAW_BARE => produce(broker, &records, Parts::KeyAndValue, 1, Commits::Of(TRANSACTION)),
                MINIMAL => load(broker, Shape { headers: "minimal", ..Shape::default() }, &[&file], scale.rows),
                STEPS => load(broker, Shape { steps: STEPS_JSON, ..Shape::default() }, &[&file], scale.rows),
                PLAIN => load(broker, Shape::default(), &[&file], scale.rows),
                connect::NAME => match connect::file_source(broker, &file, scale.rows) {
                    Some(run) => run,
                    None => continue,
                },
                _ => load(broker, Shape { markers: false, ..Shape::default() }, &[], scale.rows),
            };
            table.add(what, run);
        }
    }
    table.to_markdown()
}

/// The price of commits, on a file large enough for several of them.
pub fn measure_commits(broker: &Broker, scale: Scale) -> String {
    let home = tempfile::tempdir().expect("a temporary folder");
    let (file, few) = (home.path().join("big.csv"), home.path().join("few.csv"));
    let bytes = write_file(&file, 0, scale.big_rows);
    let rows = scale.big_rows.min(scale.rows);
    write_file(&few, 0, rows);
    let (records, times) = (records_of(broker, &few, rows), scale.big_rows.div_ceil(rows));
    let title = format!("Exactly once, one file of {} rows and {:.2} GB", scale.big_rows, bytes as f64 / 1e9);
    let mut table = Runs::new(&title);
    table.case(SECOND, &[SELDOM, RAW_SECOND], "0.95, 0.5 (0.7); at most 256 MiB");
    table.case(SELDOM, &[RAW_NONE], "");
    table.case(RAW_SECOND, &[RAW_NONE], "");
    table.case(RAW_NONE, &[], "");
    let cases = [SECOND, SELDOM, RAW_SECOND, RAW_NONE];
    let second = Shape { commit: r#"{"every": "1s", "rows": 1000000000, "bytes": "64GiB"}"#, ..Shape::default() };
    let seldom = Shape { commit: r#"{"every": "15s", "rows": 1000000000, "bytes": "64GiB"}"#, ..Shape::default() };
    for turn in 0..scale.repetitions {
        for what in of_turn(&cases, turn) {
            let run = match *what {
                SECOND => load(broker, second, &[&file], scale.big_rows),
                SELDOM => load(broker, seldom, &[&file], scale.big_rows),
                RAW_SECOND => produce(broker, &records, Parts::All, times, Commits::EverySecond),
                _ => produce(broker, &records, Parts::All, times, Commits::Never),
            };
            table.add(what, run);
        }
    }
    table.to_markdown()
}

/// Runs over `files`, or over small files of as many rows, and looks whether every row came once.
fn load(broker: &Broker, shape: Shape, files: &[&Path], rows: usize) -> Run {
    let folder = DropFolder::new(&shape);
    files.iter().for_each(|file| folder.drop_file("big.csv", file));
    if files.is_empty() {
        for (n, first) in (0..rows).step_by(ROWS_OF_SMALL).enumerate() {
            folder.drop_rows(&format!("{n:06}.csv"), first, ROWS_OF_SMALL.min(rows - first));
        }
    }
    let run = run_once(broker, &folder, rows);
    counting::must_hold(broker, &folder.topic, rows);
    broker.delete_topic(&folder.topic);
    run
}

pub fn run_once(broker: &Broker, folder: &DropFolder, rows: usize) -> Run {
    let (started, cpu_before) = (Instant::now(), children_cpu());
    let mut run = folder.run(broker.bootstrap()).arg("--once").start();
    let peak = wait_for_end(&mut run);
    let seconds = started.elapsed().as_secs_f64();
    assert!(run.wait(DEADLINE).success(), "the run: {}", run.tails());
    Run { rows, seconds, cpu: (children_cpu() - cpu_before).as_secs_f64(), peak }
}

/// Waits for the end of a process; the most memory that it held, MiB.
pub fn wait_for_end(run: &mut Process) -> f64 {
    let mut most = 0;
    wait_until(DEADLINE, "the run to end", || {
        most = most.max(kib(run.id(), "VmHWM:"));
        run.exited().is_some()
    });
    most as f64 / 1024.0
}

/// What the product makes of a file: the keys and values that the limit is measured with.
fn records_of(broker: &Broker, file: &Path, rows: usize) -> Vec<Record> {
    let folder = DropFolder::new(&Shape::default());
    folder.drop_file("big.csv", file);
    run_once(broker, &folder, rows);
    let records = Reader::committed(broker.bootstrap()).read(&folder.topic, DEADLINE).expect("reading the topic back");
    assert_eq!(records.len(), rows, "rows in the topic");
    broker.delete_topic(&folder.topic);
    records
}
