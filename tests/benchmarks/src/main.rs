//! Measures the release build. Figures are medians with their spread; what is compared is measured in the same run, in turns, since
//! absolute times are worth nothing on a shared machine.
//!
//! `unbatch-benchmarks PART [--quick] [--out FILE]`; the binary under test is the one that the harness finds, the broker is chosen by
//! `UNBATCH_TEST_BROKERS=embedded|kafka`. `make bench` runs all parts: `source` (CSV to nothing, no broker), `topic` (on one
//! broker), `dumps` and `giants`. Sizes can be set: `UNBATCH_BENCH_ROWS`, `UNBATCH_BENCH_BIG_ROWS`, `UNBATCH_BENCH_DUMP_ROWS`,
//! `UNBATCH_BENCH_GIANT_BYTES`.
#![allow(clippy::print_stdout, reason = "the results are what this program is for")]

mod connect;
mod counting;
mod drop_folder;
mod dumps;
mod figures;
mod giants;
mod memory;
mod raw_producer;
mod rows;
mod runs;
mod start;
mod throughput;
mod to_nothing;

use figures::Table;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use unbatch_test_harness::{Broker, Brokers};

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Scale {
    pub repetitions: usize,
    pub rows: usize,
    /// Rows of the file that is large enough for commits of a second: 13 million are 2 GB.
    pub big_rows: usize,
    /// Rows of a table that is delivered whole each night.
    pub dump_rows: usize,
    /// Bytes of a file that is a single line.
    pub giant_bytes: u64,
}

const WHOLE: Scale =
    Scale { repetitions: 3, rows: 1_000_000, big_rows: 4_000_000, dump_rows: 10_000_000, giant_bytes: 2 << 30 };
const QUICK: Scale =
    Scale { repetitions: 1, rows: 100_000, big_rows: 200_000, dump_rows: 100_000, giant_bytes: 64 << 20 };

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, case, folder, config] = &arguments[..]
        && first == "case"
    {
        to_nothing::cases::run(case, Path::new(folder), config);
        return ExitCode::SUCCESS;
    }
    let (mut part, mut scale, mut out) = (None, WHOLE, None);
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--quick" => scale = QUICK,
            "--out" => out = rest.next().map(PathBuf::from),
            "source" | "topic" | "dumps" | "giants" => part = Some(argument),
            other => {
                eprintln!("unknown argument {other}; there are source, topic, dumps, giants, --quick and --out FILE");
                return ExitCode::from(2);
            }
        }
    }
    let scale = scale.by_environment();
    let text = match part.as_deref() {
        Some("source") => format!("## The source alone\n\n{}", to_nothing::measure(scale)),
        part => {
            let Some(broker) = Broker::from_env("benchmarks") else {
                eprintln!("no broker to measure on");
                return ExitCode::from(3);
            };
            match part {
                Some("dumps") => format!("## Full dumps\n\n{}", dumps::measure(&broker, scale)),
                Some("giants") => format!("## Odd giants\n\n{}", giants::measure(&broker, scale)),
                _ => on_broker(&broker, scale),
            }
        }
    };
    println!("{text}");
    match out.map(|path| std::fs::write(&path, &text).map_err(|e| (path, e))) {
        Some(Err((path, e))) => {
            eprintln!("writing {} failed: {e}", path.display());
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn on_broker(broker: &Broker, scale: Scale) -> String {
    let name = match Brokers::from_env() {
        Brokers::Embedded => "the embedded broker",
        Brokers::Kafka => "Apache Kafka",
    };
    let rates = throughput::measure(broker, scale);
    let commits = throughput::measure_commits(broker, scale);
    let mut table = Table::default();
    memory::measure(broker, &mut table);
    // last: a JVM that has just started is slow for its first seconds, which says nothing about us
    start::measure(broker, scale, &mut table);
    format!("## On {name}\n\n{rates}\n{commits}\n{}", table.to_markdown())
}

impl Scale {
    fn by_environment(mut self) -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a whole number"));
        self.rows = number("UNBATCH_BENCH_ROWS").map_or(self.rows, |n| n as usize);
        self.big_rows = number("UNBATCH_BENCH_BIG_ROWS").map_or(self.big_rows, |n| n as usize);
        self.dump_rows = number("UNBATCH_BENCH_DUMP_ROWS").map_or(self.dump_rows, |n| n as usize);
        self.giant_bytes = number("UNBATCH_BENCH_GIANT_BYTES").unwrap_or(self.giant_bytes);
        self
    }
}
