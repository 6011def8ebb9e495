use std::fmt;

use serde::Serialize;

use crate::feed::Feed;
use crate::truth::Outcome;

/// At most this many differences are listed; all are counted.
pub(crate) const DIFFERENCES_MAX: usize = 20;

/// What [`crate::truth::Ledger::compare`] found, per file and in sum.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub seed: u64,
    pub files: Vec<FileReport>,
    /// Records that no file should have given: of bad rows, of files that are not in scope, or of nowhere.
    pub unexpected_records: u64,
    /// Rejections that no row and no file should have caused.
    pub unexpected_rejections: u64,
    /// The first differences, as examples.
    pub differences: Vec<Difference>,
}

#[derive(Clone, Debug, Serialize)]
pub struct FileReport {
    pub seq: u32,
    pub feed: Feed,
    pub name: String,
    pub round: String,
    pub outcome: Outcome,
    /// Good rows that had to be found.
    pub expected: u64,
    /// Good rows found, each counted once.
    pub found: u64,
    pub missing: u64,
    /// Records beyond the first one of a row.
    pub doubled: u64,
    pub wrong_value: u64,
    pub wrong_order: u64,
    /// Bad rows, and the file itself when it is to be parked, that had to be found in quarantine.
    pub rejections_expected: u64,
    pub rejections_found: u64,
    pub rejections_missing: u64,
    pub rejections_doubled: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub kind: DifferenceKind,
    /// Name of the file and line, when known.
    pub place: String,
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    Missing,
    Doubled,
    WrongValue,
    WrongOrder,
    UnexpectedRecord,
    RejectionMissing,
    RejectionDoubled,
    UnexpectedRejection,
}

impl Report {
    /// Nothing is missing, doubled, wrong or unexpected.
    pub fn is_equal(&self) -> bool {
        self.unexpected_records == 0 && self.unexpected_rejections == 0 && self.files.iter().all(FileReport::is_equal)
    }

    /// A figure of all files together.
    pub fn sum(&self, figure: impl Fn(&FileReport) -> u64) -> u64 {
        self.files.iter().map(figure).sum()
    }

    pub(crate) fn note(&mut self, kind: DifferenceKind, place: impl Into<String>, detail: impl Into<String>) {
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(Difference { kind, place: place.into(), detail: detail.into() });
        }
    }
}

impl FileReport {
    pub fn is_equal(&self) -> bool {
        self.missing == 0
            && self.doubled == 0
            && self.wrong_value == 0
            && self.wrong_order == 0
            && self.rejections_missing == 0
            && self.rejections_doubled == 0
    }
}

/// A line per file, a line of sums, the first differences, and the verdict.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.files.iter().map(|file| file.name.len()).max().unwrap_or(4);
        writeln!(f, "seed {}", self.seed)?;
        writeln!(
            f,
            "{:>4} {:<15} {:<width$} {:<9} {:>9} {:>9} {:>7} {:>7} {:>7} {:>7} {:>9}",
            "seq", "round", "file", "outcome", "expected", "found", "missing", "doubled", "wrong", "order", "rejected"
        )?;
        for file in &self.files {
            let outcome = format!("{:?}", file.outcome).to_lowercase();
            write!(f, "{:>4} {:<15} {:<width$} {outcome:<9} ", file.seq, file.round, file.name)?;
            write_figures(f, std::slice::from_ref(file))?;
        }
        write!(f, "{:>4} {:<15} {:<width$} {:<9} ", "", "all", "", "")?;
        write_figures(f, &self.files)?;
        if self.unexpected_records + self.unexpected_rejections > 0 {
            writeln!(f, "unexpected: {} records, {} rejections", self.unexpected_records, self.unexpected_rejections)?;
        }
        for difference in &self.differences {
            writeln!(f, "{:?}: {}: {}", difference.kind, difference.place, difference.detail)?;
        }
        f.write_str(if self.is_equal() { "equal\n" } else { "NOT equal\n" })
    }
}

fn write_figures(f: &mut fmt::Formatter<'_>, files: &[FileReport]) -> fmt::Result {
    let sum = |figure: fn(&FileReport) -> u64| files.iter().map(figure).sum::<u64>();
    let rejected = format!("{}/{}", sum(|file| file.rejections_found), sum(|file| file.rejections_expected));
    writeln!(
        f,
        "{:>9} {:>9} {:>7} {:>7} {:>7} {:>7} {rejected:>9}",
        sum(|file| file.expected),
        sum(|file| file.found),
        sum(|file| file.missing),
        sum(|file| file.doubled),
        sum(|file| file.wrong_value),
        sum(|file| file.wrong_order),
    )
}
