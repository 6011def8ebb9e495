//! Runs over many rows, repeated in turns, and what they are held against: another one of the same turn.

use std::fmt::Write;

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub rows: usize,
    pub seconds: f64,
    /// Seconds of CPU, user and system.
    pub cpu: f64,
    /// Most memory that the process held, MiB.
    pub peak: f64,
}

/// What is measured, in the order in which it is shown.
pub struct Case {
    pub what: String,
    /// The cases whose rates it is divided by; CPU is compared with the first.
    pub against: Vec<String>,
    pub goal: &'static str,
    runs: Vec<Run>,
}

pub struct Runs {
    title: String,
    cases: Vec<Case>,
}

impl Runs {
    pub fn new(title: &str) -> Self {
        Self { title: title.into(), cases: Vec::new() }
    }

    /// Names a case; `goal`: what its ratio, or its CPU, should be.
    pub fn case(&mut self, what: &str, against: &[&str], goal: &'static str) {
        let against = against.iter().map(|&other| other.to_owned()).collect();
        self.cases.push(Case { what: what.into(), against, goal, runs: Vec::new() });
    }

    /// Adds a run of a case, and says it at once. All cases of a turn come before the next turn.
    pub fn add(&mut self, what: &str, run: Run) {
        eprintln!(
            "{what}: {:.0} rows/s, {:.2} s of CPU per million rows, {:.0} MiB",
            run.rate(),
            run.cpu_per_million(),
            run.peak
        );
        if let Some(case) = self.cases.iter_mut().find(|case| case.what == what) {
            case.runs.push(run);
        }
    }

    pub fn to_markdown(&self) -> String {
        let mut text = format!("### {}\n\n", self.title);
        let _ = writeln!(
            text,
            "| what | rows/s | rate, of what | rows per CPU s | CPU s per million rows | CPU, times that | peak MiB | aim |\n\
             |---|---|---|---|---|---|---|---|"
        );
        for case in self.cases.iter().filter(|case| !case.runs.is_empty()) {
            let runs = &case.runs;
            let (rate, per_cpu) = (spread(runs.iter().map(Run::rate), 0), spread(runs.iter().map(Run::per_cpu), 0));
            let (cpu, peak) =
                (spread(runs.iter().map(Run::cpu_per_million), 2), spread(runs.iter().map(|run| run.peak), 0));
            let (mut ratios, mut dearer) = (Vec::new(), String::new());
            for name in &case.against {
                let other = self.cases.iter().find(|other| other.what == *name && !other.runs.is_empty());
                let Some(other) = other else { continue };
                let pairs = || runs.iter().zip(&other.runs);
                ratios.push(format!("{} of {name}", spread(pairs().map(|(a, b)| a.rate() / b.rate()), 3)));
                if dearer.is_empty() {
                    dearer = spread(pairs().map(|(a, b)| a.cpu_per_million() / b.cpu_per_million()), 2);
                }
            }
            let ratio = ratios.join(", ");
            let (what, goal) = (&case.what, case.goal);
            let _ = writeln!(text, "| {what} | {rate} | {ratio} | {per_cpu} | {cpu} | {dearer} | {peak} | {goal} |");
        }
        text
    }
}

impl Run {
    fn rate(&self) -> f64 {
        self.rows as f64 / self.seconds
    }
    fn per_cpu(&self) -> f64 {
        self.rows as f64 / self.cpu
    }
    fn cpu_per_million(&self) -> f64 {
        self.cpu / self.rows as f64 * 1e6
    }
}

/// Median, and least to most.
fn spread(samples: impl Iterator<Item = f64>, digits: usize) -> String {
    let mut sorted: Vec<f64> = samples.filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else { return "–".into() };
    let median = sorted[sorted.len() / 2];
    if least == most {
        return format!("{median:.digits$}");
    }
    format!("**{median:.digits$}** ({least:.digits$} to {most:.digits$})")
}
