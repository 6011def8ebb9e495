//! Which files are completely written, and what was told of them already.

use crate::config::{CsvDropsConfig, FileOrder, ReadyWhen};
use crate::folder::{Listing, Names};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use unbatch_api::Reports;
use unbatch_api::failpoint::sabotaged;
use unbatch_object_files::ObjectStat;

/// How much longer than `stable_for` a file that is ready waits for one with a smaller name that is still being written.
const HOLD_BACK: u32 = 10;

/// When a file that is waited for was first seen as it is now, and at all.
#[derive(Debug, Clone)]
struct Seen {
    stat: ObjectStat,
    since: Instant,
    first: Instant,
}

/// Finds out which files are completely written, by looking again and again.
#[derive(Debug)]
pub struct Settling {
    /// How long a file must stand still; nothing when markers tell.
    patience: Duration,
    needs_marker: bool,
    names: Names,
    /// A ready file waits for smaller names.
    in_order: bool,
    seen: HashMap<String, Seen>,
}

/// A listing, judged.
#[derive(Debug, Default)]
pub struct Judged {
    /// Completely written, in the order in which they are to be read.
    pub ready: Vec<(String, ObjectStat)>,
    /// Not yet: names, and for how long they have been waited for.
    pub waiting: Vec<(String, Duration)>,
}

impl Settling {
    /// `stands_still`: files are whole as soon as they are there.
    pub fn new(config: &CsvDropsConfig, names: &Names, stands_still: bool) -> Self {
        let (patience, needs_marker) = match &config.ready_when {
            ReadyWhen::StableFor(_) if stands_still => (Duration::ZERO, false),
            ReadyWhen::StableFor(period) => (period.0, false),
            ReadyWhen::Marker(_) => (Duration::ZERO, true),
        };
        let in_order = config.order == FileOrder::Name;
        Self { patience, needs_marker, names: names.clone(), in_order, seen: HashMap::new() }
    }

    /// Judges `files` of a listing, those that are not done. `hold_back`: a ready file may wait for smaller names.
    pub fn judge(
        &mut self,
        listing: &Listing,
        mut files: Vec<(String, ObjectStat)>,
        now: Instant,
        hold_back: bool,
    ) -> Judged {
        if self.in_order {
            files.sort_by(|a, b| a.0.cmp(&b.0));
            if sabotaged("F1") {
                files.reverse();
            }
        }
        let mut seen = HashMap::with_capacity(files.len());
        let mut judged = Judged::default();
        let mut held_back = false;
        for (name, stat) in files {
            let known = self.seen.get(&name);
            let first = known.map_or(now, |k| k.first);
            let since = known.filter(|k| k.stat.is_same_content(&stat)).map_or(now, |k| k.since);
            let is_settled = self.is_settled(listing, &name, &stat, now - since) || sabotaged("file-unsettled");
            seen.insert(name.clone(), Seen { stat: stat.clone(), since, first });
            if is_settled && !held_back {
                judged.ready.push((name, stat));
                continue;
            }
            if !self.needs_marker {
                held_back |= hold_back && self.in_order && !is_settled && now - first < self.patience * HOLD_BACK;
            }
            judged.waiting.push((name, now - first));
        }
        self.seen = seen;
        judged
    }

    /// How long a file must stand still; nothing when markers tell.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Whether files are whole when their markers are there.
    pub fn needs_marker(&self) -> bool {
        self.needs_marker
    }

    pub fn why_waiting(&self) -> &'static str {
        match self.needs_marker {
            false => "is not read yet: it is still being written",
            true => "is not read yet: its marker is missing or older than the file",
        }
    }

    fn is_settled(&self, listing: &Listing, name: &str, stat: &ObjectStat, still_for: Duration) -> bool {
        if !self.needs_marker {
            return still_for >= self.patience;
        }
        // a marker older than the file belongs to an earlier delivery under the same name
        let marker = self.names.marker_of(name).and_then(|marker| listing.markers.get(&marker));
        marker.is_some_and(|marker| marker.mtime >= stat.mtime)
    }
}

/// Counts what is seen, for status. Names that were told once are not told again.
#[derive(Debug, Default)]
pub struct Told(BTreeMap<String, &'static str>);

impl Told {
    /// Gives a notice about `subject` unless it was the last one given about it.
    pub fn once(&mut self, reports: &Reports, code: &'static str, subject: &str, message: &str) {
        if self.0.insert(subject.to_owned(), code) != Some(code) {
            reports.notice(code, subject, message);
        }
        // the list only saves repetition; it need not know all files for ever
        if self.0.len() > 10_000 {
            self.0.clear();
        }
    }
}
