//! What rounds did and found, for the line of each and the summary of all.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::schedules::Mode;
use crate::source::Source;

/// What one round, or many together, did and found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Processes of the product.
    pub starts: u64,
    /// Processes that ended by SIGKILL or at a failpoint.
    pub kills: u64,
    /// Of those, the ones that left a file of more than a decoder's piece in its middle.
    pub deep: u64,
    /// Failpoints and faults of the wire that struck.
    pub faults: u64,
    /// Processes that ended because a newer owner had fenced them.
    pub fences: u64,
    /// How often the S3 server was away.
    pub outages: u64,
    /// Good and bad rows that had to be found, by the truth.
    pub rows_in: u64,
    pub in_topic: u64,
    pub in_quarantine: u64,
    pub missing: u64,
    pub doubled: u64,
    /// Wrong values, wrong order, and what no file gave.
    pub wrong: u64,
}

/// Rounds by mode and by source, and all figures together.
#[derive(Debug, Default)]
pub struct Summary {
    rounds: BTreeMap<&'static str, u64>,
    sources: BTreeMap<Source, u64>,
    failed: u64,
    figures: Figures,
    took: Duration,
}

impl Figures {
    pub fn add(&mut self, other: &Figures) {
        self.starts += other.starts;
        self.kills += other.kills;
        self.deep += other.deep;
        self.faults += other.faults;
        self.fences += other.fences;
        self.outages += other.outages;
        self.rows_in += other.rows_in;
        self.in_topic += other.in_topic;
        self.in_quarantine += other.in_quarantine;
        self.missing += other.missing;
        self.doubled += other.doubled;
        self.wrong += other.wrong;
    }
}

impl Summary {
    pub fn count(&mut self, mode: Mode, source: Source, figures: &Figures, took: Duration, is_good: bool) {
        *self.rounds.entry(mode.name()).or_default() += 1;
        *self.sources.entry(source).or_default() += 1;
        self.failed += u64::from(!is_good);
        self.figures.add(figures);
        self.took += took;
    }

    pub fn rounds(&self) -> u64 {
        self.rounds.values().sum()
    }

    pub fn failed(&self) -> u64 {
        self.failed
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} starts, {} killed, {} faults, {} fenced; rows in {} = topic {} + quarantine {}, missing {}, doubled {}",
            self.starts,
            self.kills,
            self.faults,
            self.fences,
            self.rows_in,
            self.in_topic,
            self.in_quarantine,
            self.missing,
            self.doubled
        )?;
        if self.deep > 0 {
            write!(f, ", {} killed deep in a file", self.deep)?;
        }
        if self.outages > 0 {
            write!(f, ", {} outages of the store", self.outages)?;
        }
        if self.wrong > 0 {
            write!(f, ", wrong {}", self.wrong)?;
        }
        Ok(())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds = self.rounds().max(1);
        writeln!(f, "{} rounds, {:.1} s each", self.rounds(), self.took.as_secs_f64() / rounds as f64)?;
        for (mode, rounds) in &self.rounds {
            writeln!(f, "  {mode:<16} {rounds}")?;
        }
        for (source, rounds) in &self.sources {
            writeln!(f, "  from {:<11} {rounds}", source.name())?;
        }
        writeln!(f, "{}", self.figures)?;
        write!(f, "{} rounds failed", self.failed)
    }
}
