//! Measures the release build on real brokers. Figures are medians with their spread; what is compared is measured in the
//! same run, since absolute times are worth nothing on a shared machine.
//!
//! `unbatch-benchmarks [--quick] [--out FILE]`; the binary under test is `target/release/unbatch`, the broker is chosen by
//! `UNBATCH_TEST_BROKERS=embedded|kafka` (`make bench` runs both).
#![allow(clippy::print_stdout, reason = "the results are what this program is for")]

mod drop_folder;
mod figures;
mod memory;
mod raw_producer;
mod start;
mod throughput;

use figures::Table;
use std::path::PathBuf;
use std::process::ExitCode;
use unbatch_test_harness::{Broker, Brokers};

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Scale {
    pub repetitions: usize,
    pub rows: usize,
}

fn main() -> ExitCode {
    let (mut scale, mut out) = (Scale { repetitions: 5, rows: 1_000_000 }, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => scale = Scale { repetitions: 3, rows: 200_000 },
            "--out" => out = arguments.next().map(PathBuf::from),
            other => {
                eprintln!("unknown argument {other}; there are --quick and --out FILE");
                return ExitCode::from(2);
            }
        }
    }
    let Some(broker) = Broker::from_env("benchmarks") else {
        eprintln!("no broker to measure on");
        return ExitCode::from(3);
    };
    let name = match Brokers::from_env() {
        Brokers::Embedded => "embedded broker",
        Brokers::Kafka => "Apache Kafka",
    };
    let mut table = Table::new(name);
    throughput::measure(&broker, scale, &mut table);
    memory::measure(&broker, &mut table);
    // last: a JVM that has just started is slow for its first seconds, which says nothing about us
    start::measure(&broker, scale, &mut table);
    let text = table.to_markdown();
    println!("{text}");
    match out.map(|path| std::fs::write(&path, &text).map_err(|e| (path, e))) {
        Some(Err((path, e))) => {
            eprintln!("writing {} failed: {e}", path.display());
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
