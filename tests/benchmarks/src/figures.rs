//! Medians, spreads, CPU seconds and the table they go into.

use std::fmt::Write;
use std::time::Duration;

/// One line of the results.
struct Line {
    what: String,
    median: f64,
    least: f64,
    most: f64,
    unit: &'static str,
    goal: String,
}

#[derive(Default)]
pub struct Table {
    lines: Vec<Line>,
}

impl Table {
    /// Adds what was measured, and says it at once. `goal`: the limit or the peer that the figure is to be held against.
    pub fn add(&mut self, what: &str, samples: &[f64], unit: &'static str, goal: &str) -> f64 {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
        let (least, most) = (sorted.first().copied().unwrap_or(median), sorted.last().copied().unwrap_or(median));
        eprintln!("{what}: {} {unit} ({} to {})", round(median), round(least), round(most));
        self.lines.push(Line { what: what.into(), median, least, most, unit, goal: goal.into() });
        median
    }

    pub fn to_markdown(&self) -> String {
        let mut text = String::from("### Start and rest\n\n");
        let _ = writeln!(text, "| what | median | least to most | unit | held against |\n|---|---|---|---|---|");
        for line in &self.lines {
            let (median, least, most) = (round(line.median), round(line.least), round(line.most));
            let _ = writeln!(text, "| {} | {median} | {least} to {most} | {} | {} |", line.what, line.unit, line.goal);
        }
        text
    }
}

fn round(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// Cases in another order each turn, so that none always runs behind the same one.
pub fn of_turn<T>(cases: &[T], turn: usize) -> impl Iterator<Item = &T> {
    let first = if cases.is_empty() { 0 } else { turn * 3 % cases.len() };
    cases[first..].iter().chain(&cases[..first])
}

/// User and system time of this process.
pub fn own_cpu() -> Duration {
    cpu(libc::RUSAGE_SELF)
}

/// User and system time of all children that were waited for.
pub fn children_cpu() -> Duration {
    cpu(libc::RUSAGE_CHILDREN)
}

fn cpu(who: libc::c_int) -> Duration {
    // SAFETY: getrusage fills the struct it is given, and a zeroed rusage is a valid one.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(who, &mut usage);
        usage
    };
    let time = |t: libc::timeval| Duration::from_secs(t.tv_sec as u64) + Duration::from_micros(t.tv_usec as u64);
    time(usage.ru_utime) + time(usage.ru_stime)
}
