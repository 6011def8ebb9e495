//! The folder: what is in it, and which files are completely written.

use crate::config::{CsvDropsConfig, ReadyWhen};
use crate::file_stat::FileStat;
use globset::{GlobBuilder, GlobMatcher};
use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use unbatch_api::failpoint::sabotaged;
use unbatch_api::names::murmur2;
use unbatch_api::{Error, Kind, Reports, Result};

/// How much longer than `stable_for` a file that is ready waits for one with a smaller name that is still being written.
const HOLD_BACK: u32 = 10;
/// In the name of a file that was put back beside a newer one.
pub const RETURNED: &str = "~returned-";
pub const OWNER_PREFIX: &str = ".unbatch-owner-";

/// Which names are data files, and of which split.
#[derive(Clone, Debug)]
pub struct Names {
    matcher: GlobMatcher,
    /// Ending of marker files; they are not data whatever `match` says.
    marker: Option<String>,
    split: u32,
    splits: u32,
}

impl Names {
    pub fn new(config: &CsvDropsConfig, split: u32) -> Result<Self> {
        let marker = match &config.ready_when {
            ReadyWhen::Marker(ending) => Some(ending.clone()),
            ReadyWhen::StableFor(_) => None,
        };
        Ok(Self { matcher: matcher(&config.pattern)?, marker, split, splits: config.splits.max(1) })
    }
    /// Whether any split of this pipeline reads the file.
    pub fn is_data(&self, name: &str) -> bool {
        !name.starts_with('.') && !self.is_marker(name) && self.matcher.is_match(name)
    }
    fn is_marker(&self, name: &str) -> bool {
        self.marker.as_ref().is_some_and(|ending| name.ends_with(ending.as_str()))
    }
    pub fn is_ours(&self, name: &str) -> bool {
        split_of(name, self.splits) == self.split && self.is_data(name)
    }
}

/// The split that reads files of this name.
pub fn split_of(name: &str, splits: u32) -> u32 {
    (murmur2(name.as_bytes()) & 0x7fff_ffff) % splits.max(1)
}

pub fn matcher(pattern: &str) -> Result<GlobMatcher> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
    let glob = glob.map_err(|e| Error::misconfigured("reading `match` as a glob failed").code("U0211").caused_by(e))?;
    Ok(glob.compile_matcher())
}

/// What a look into the folder found.
#[derive(Debug, Default)]
pub struct Listing {
    /// Data files of this split in the order of the file system.
    pub files: Vec<(String, FileStat)>,
    /// Data files of any split, by name.
    pub data_names: Vec<String>,
    /// Hidden files of ours or of other pipelines that may matter: owner markers and files that are being released.
    pub hidden: Vec<String>,
    /// Data files of this split that cannot even be looked at, such as links in a circle, and why.
    pub unreadable: Vec<(String, Error)>,
    /// Files that were put back under another name, which `match` does not take.
    pub returned: Vec<String>,
    /// Names that are not UTF-8 and so are nobody's.
    pub unreadable_names: u64,
}

/// Lists the folder. Files that vanish meanwhile are not in it.
pub fn list(folder: &Path, names: &Names, follow_links: bool) -> Result<Listing> {
    let entries = std::fs::read_dir(folder).map_err(|e| folder_error(folder, e))?;
    let mut listing = Listing::default();
    for entry in entries {
        let entry = entry.map_err(|e| folder_error(folder, e))?;
        let Ok(name) = entry.file_name().into_string() else {
            listing.unreadable_names += 1;
            continue;
        };
        if name.starts_with('.') {
            listing.hidden.push(name);
        } else if names.is_data(&name) {
            if names.is_ours(&name) {
                match look(&entry.path(), follow_links) {
                    Ok(Some(stat)) => listing.files.push((name.clone(), stat)),
                    Ok(None) => {}
                    Err(error) => listing.unreadable.push((name.clone(), error)),
                }
            }
            listing.data_names.push(name);
        } else if name.contains(RETURNED) && !names.is_marker(&name) && split_of(&name, names.splits) == names.split {
            listing.returned.push(name);
        }
    }
    Ok(listing)
}

/// The stat of a regular file; `None` when there is none.
pub fn look(path: &Path, follow_links: bool) -> Result<Option<FileStat>> {
    let metadata = if follow_links { std::fs::metadata(path) } else { std::fs::symlink_metadata(path) };
    match metadata {
        Ok(metadata) => Ok(metadata.is_file().then(|| FileStat::of(&metadata))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(file_error("looking at a file failed", path, e)),
    }
}

/// Permission is the operator's to give; everything else may pass.
pub fn file_error(attempted: &str, path: &Path, cause: std::io::Error) -> Error {
    let error = match cause.kind() {
        ErrorKind::PermissionDenied => Error::misconfigured(attempted)
            .code("U0221")
            .help("give the worker's user the right to read it, and to write the folder unless `after: keep`"),
        _ => Error::transient(attempted).code("U0220"),
    };
    error.with("path", path.display()).caused_by(cause)
}

/// A run that takes what is there and ends cannot wait for its folder; one that stays can, as for a mount that comes late.
pub fn must_exist(folder: &Path) -> Result<()> {
    match std::fs::metadata(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => Err(missing(Kind::Misconfigured, folder, e)),
        Ok(found) if !found.is_dir() => Err(no_folder(folder)),
        _ => Ok(()),
    }
}

fn missing(kind: Kind, folder: &Path, cause: std::io::Error) -> Error {
    Error::new(kind, "looking for the folder failed: it is not there")
        .code("U0217")
        .with("folder", folder.display())
        .help("make the folder, or mend `url`; a relative one starts at the folder of the pipeline file")
        .caused_by(cause)
}

fn no_folder(folder: &Path) -> Error {
    Error::misconfigured("looking into the folder failed: it is a file")
        .code("U0217")
        .with("folder", folder.display())
        .help("`url` names the folder that files are dropped into, and `match` the files")
}

fn folder_error(folder: &Path, cause: std::io::Error) -> Error {
    match cause.kind() {
        ErrorKind::NotFound => missing(Kind::Transient, folder, cause),
        ErrorKind::NotADirectory => no_folder(folder).caused_by(cause),
        _ => file_error("listing the folder failed", folder, cause),
    }
}

/// When a file that is waited for was first seen as it is now, and at all.
#[derive(Debug, Clone, Copy)]
struct Seen {
    stat: FileStat,
    since: Instant,
    first: Instant,
}

/// Finds out which files are completely written, by looking again and again.
#[derive(Debug)]
pub struct Settling {
    ready_when: ReadyWhen,
    /// A ready file waits for smaller names.
    in_order: bool,
    seen: HashMap<String, Seen>,
}

/// A listing, judged.
#[derive(Debug, Default)]
pub struct Judged {
    /// Completely written, in the order in which they are to be read.
    pub ready: Vec<(String, FileStat)>,
    /// Not yet: names, and for how long they have been waited for.
    pub waiting: Vec<(String, Duration)>,
}

impl Settling {
    pub fn new(ready_when: ReadyWhen, in_order: bool) -> Self {
        Self { ready_when, in_order, seen: HashMap::new() }
    }

    /// Judges the files of a listing that are not done. `folder` is for looking at markers; `hold_back`: a ready file may wait
    /// for smaller names.
    pub fn judge(
        &mut self,
        folder: &Path,
        mut files: Vec<(String, FileStat)>,
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
            let known = self.seen.get(&name).copied();
            let first = known.map_or(now, |k| k.first);
            let since = known.filter(|k| k.stat.is_same_content(&stat)).map_or(now, |k| k.since);
            let is_settled = self.is_settled(&folder.join(&name), &stat, now - since) || sabotaged("file-unsettled");
            seen.insert(name.clone(), Seen { stat, since, first });
            if is_settled && !held_back {
                judged.ready.push((name, stat));
                continue;
            }
            if let ReadyWhen::StableFor(period) = &self.ready_when {
                held_back |= hold_back && self.in_order && !is_settled && now - first < period.0 * HOLD_BACK;
            }
            judged.waiting.push((name, now - first));
        }
        self.seen = seen;
        judged
    }

    /// How long a file must stand still; nothing when markers tell.
    pub fn patience(&self) -> Duration {
        match &self.ready_when {
            ReadyWhen::StableFor(period) => period.0,
            ReadyWhen::Marker(_) => Duration::ZERO,
        }
    }

    pub fn why_waiting(&self) -> &'static str {
        match &self.ready_when {
            ReadyWhen::StableFor(_) => "is not read yet: it is still being written",
            ReadyWhen::Marker(_) => "is not read yet: its marker is missing or older than the file",
        }
    }

    fn is_settled(&self, path: &Path, stat: &FileStat, still_for: Duration) -> bool {
        match &self.ready_when {
            ReadyWhen::StableFor(period) => still_for >= period.0,
            // a marker older than the file belongs to an earlier delivery under the same name
            ReadyWhen::Marker(ending) => {
                // a marker that cannot be looked at says nothing, and its file waits
                let marker = look(&marker_of(path, ending), true).ok().flatten();
                marker.is_some_and(|marker| marker.mtime >= stat.mtime)
            }
        }
    }
}

/// `prices.csv` and `.done` make `prices.csv.done`.
pub fn marker_of(path: &Path, ending: &str) -> PathBuf {
    let mut marker = path.as_os_str().to_owned();
    marker.push(ending);
    PathBuf::from(marker)
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
