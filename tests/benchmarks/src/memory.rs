//! Memory of a run that has nothing to do: resident set, as the kernel counts it.

use crate::drop_folder::{DropFolder, Shape};
use crate::figures::Table;
use std::time::Duration;
use unbatch_test_harness::{Broker, Reader, Signal, wait_until};

const DEADLINE: Duration = Duration::from_secs(60);

pub fn measure(broker: &Broker, table: &mut Table) {
    let folder = DropFolder::new(&Shape::default());
    folder.drop_rows("first.csv", 0, 10);
    let mut run = folder.run(broker.bootstrap()).start();
    let reader = Reader::committed(broker.bootstrap());
    wait_until(DEADLINE, "the first file to be in the topic", || {
        reader.read(&folder.topic, Duration::from_secs(5)).is_ok_and(|records| records.len() == 10)
    });
    // idle: it polls its folder and nothing else; the largest of what is seen over three seconds counts
    let mut samples = Vec::new();
    let started = std::time::Instant::now();
    wait_until(DEADLINE, "three seconds of idling", || {
        samples.push(kib(run.id(), "VmRSS:") as f64 / 1024.0);
        started.elapsed() > Duration::from_secs(3)
    });
    let cpu_before = ticks(run.id());
    let idle_from = std::time::Instant::now();
    wait_until(DEADLINE, "three more seconds of idling", || idle_from.elapsed() > Duration::from_secs(3));
    let busy = (ticks(run.id()) - cpu_before) / idle_from.elapsed().as_secs_f64() * 100.0;
    table.add("idle memory", &samples, "MiB", "at most 40 MB (38.1 MiB)");
    table.add("idle CPU", &[busy], "% of one core", "");
    run.signal(Signal::Terminate);
    assert!(run.wait(DEADLINE).success(), "a clean stop: {}", run.tails());
}

/// A line of `/proc/PID/status`, in KiB.
pub fn kib(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// CPU seconds that a live process has used.
pub fn ticks(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // fields 14 and 15 of proc(5), counted after the command's name
    let ticks: f64 = fields.iter().skip(11).take(2).filter_map(|f| f.parse::<f64>().ok()).sum();
    // SAFETY: sysconf only reads a constant of the system.
    ticks / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64
}
