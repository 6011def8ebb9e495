//! A folder of files and an engine small enough to be watched: it reads batches, vouches, applies advances and publishes
//! what is committed, one batch after the other.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a part of each test, which uses what it needs"
)]

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use unbatch_api::config::{Reference, Resolver, Secret};
use unbatch_api::context::{CommittedSender, Notice};
use unbatch_api::testkit::context::{limits, place, source_context};
use unbatch_api::testkit::rows::row_texts;
use unbatch_api::{
    Advance, Bound, CheckContext, Checkpoint, Committed, Error, Limits, Ownership, QuarantineEntry, RejectedRow,
    Reports, Source, SourceConnector, SplitId, StopAfter,
};
use unbatch_csv::{CsvDrops, CsvDropsConfig};

/// Longest wait for anything that should happen.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A folder `drops` and what is beside it.
pub struct Drops {
    pub base: Arc<tempfile::TempDir>,
    pub config: Value,
    pub pipeline: &'static str,
    pub generation: u64,
}

impl Drops {
    pub fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join("drops")).unwrap();
        let config = json!({
            "url": "file:drops/", "match": "*.csv", "poll": "5ms", "ready_when": {"stable_for": "30ms"},
            "columns": [{"name": "id", "type": "int64", "required": true}, {"name": "text", "type": "string"}],
        });
        let base = Arc::new(base);
        Self { base, config, pipeline: "stock-counts", generation: 1 }
    }

    /// Sets a key of the configuration.
    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.config[key] = value;
        self
    }

    /// Another pipeline over the same folder.
    pub fn beside(&self, pipeline: &'static str) -> Self {
        Self { base: self.base.clone(), config: self.config.clone(), pipeline, generation: 1 }
    }

    pub fn config(&self) -> Arc<CsvDropsConfig> {
        Arc::new(serde_json::from_value(self.config.clone()).unwrap())
    }

    pub fn folder(&self) -> PathBuf {
        self.base.path().join("drops")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Delivers a file as a good sender does: whole, by renaming it into the folder.
    pub fn deliver(&self, name: &str, text: impl AsRef<[u8]>) {
        let draft = self.base.path().join("draft");
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(&draft, self.path(name)).unwrap();
    }

    /// Writes on at the end of a file.
    pub fn append(&self, name: &str, text: &str) {
        use std::io::Write;
        let mut file = std::fs::File::options().append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Names in a folder beside the drops, sorted; hidden ones too.
    pub fn names_in(&self, folder: &str) -> Vec<String> {
        names_in(&self.base.path().join(folder))
    }

    pub async fn open(&self, bound: Bound) -> Run {
        self.open_at(Checkpoint::default(), bound).await.unwrap()
    }

    /// A whole bounded run from there.
    pub async fn once(&self, resume: &Checkpoint) -> Run {
        let mut run = self.open_at(resume.clone(), Bound::Once).await.unwrap();
        run.finish().await.unwrap();
        run
    }

    pub async fn open_at(&self, resume: Checkpoint, bound: Bound) -> Result<Run, Error> {
        self.open_with(resume, bound, |_| ()).await
    }

    pub async fn open_with(
        &self,
        resume: Checkpoint,
        bound: Bound,
        change: impl FnOnce(&mut Settings),
    ) -> Result<Run, Error> {
        let mut settings =
            Settings { limits: limits(), stop_after: StopAfter::default(), owns: Owns::default(), looks_only: false };
        change(&mut settings);
        let mut place = place(self.pipeline);
        place.base = self.base.path().to_owned();
        place.secrets = Arc::new(SameSecret);
        self.open_as(place, settings, resume, bound).await
    }

    /// Opens another split.
    pub async fn open_in(&self, place: CheckContext, bound: Bound) -> Result<Run, Error> {
        let settings =
            Settings { limits: limits(), stop_after: StopAfter::default(), owns: Owns::default(), looks_only: false };
        self.open_as(place, settings, Checkpoint::default(), bound).await
    }

    async fn open_as(
        &self,
        place: CheckContext,
        settings: Settings,
        resume: Checkpoint,
        bound: Bound,
    ) -> Result<Run, Error> {
        let (sender, committed) = Committed::channel(resume.clone());
        let mut cx = source_context(place, resume.clone(), committed, bound);
        cx.limits = settings.limits;
        cx.stop_after = settings.stop_after;
        cx.ownership = Arc::new(settings.owns);
        cx.generation = self.generation;
        cx.looks_only = settings.looks_only;
        let reports = cx.reports.clone();
        let source = CsvDrops::open(self.config(), cx).await?;
        Ok(Run {
            source,
            sender,
            reports,
            given: resume.clone(),
            committed: resume,
            pending: vec![],
            rows: vec![],
            ops: vec![],
            rejected: vec![],
            replayed: vec![],
        })
    }
}

/// Answers every reference with the key of the test servers.
pub struct SameSecret;

impl Resolver for SameSecret {
    fn resolve(&self, _: &Reference) -> unbatch_api::Result<Secret> {
        Ok(Secret::new("testsecret".to_owned()))
    }
}

pub struct Settings {
    pub limits: Limits,
    pub stop_after: StopAfter,
    pub owns: Owns,
    pub looks_only: bool,
}

impl Settings {
    /// Batches of so many rows.
    pub fn rows(&mut self, rows: usize) {
        self.limits.batch_rows = rows;
    }
}

/// Ownership that can be taken away.
#[derive(Clone)]
pub struct Owns(pub Arc<AtomicBool>);

impl Default for Owns {
    fn default() -> Self {
        Owns(Arc::new(AtomicBool::new(true)))
    }
}

impl Ownership for Owns {
    fn is_ours(&self, _: &SplitId) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// An open source and what came of it.
pub struct Run {
    pub source: Box<dyn Source>,
    sender: CommittedSender,
    pub reports: Reports,
    /// Where the rows given so far lead.
    pub given: Checkpoint,
    pub committed: Checkpoint,
    pending: Vec<Advance>,
    /// Good rows: `stock.csv:2 1|a`.
    pub rows: Vec<String>,
    /// What was done to each of them.
    pub ops: Vec<&'static str>,
    pub rejected: Vec<RejectedRow>,
    /// Entries of parked files that are done with.
    pub replayed: Vec<QuarantineEntry>,
}

impl Run {
    /// Reads one batch; false at the end.
    pub async fn next(&mut self) -> Result<bool, Error> {
        let next = tokio::time::timeout(DEADLINE, self.source.next()).await;
        let Some(batch) = next.expect("no batch and no end came in time")? else { return Ok(false) };
        batch.check()?;
        // what was handed on is what these tests count, committed or not
        self.reports.commit(self.reports.take_open());
        for (i, text) in row_texts(&batch.rows).into_iter().enumerate() {
            self.rows.push(format!("{} {text}", batch.origin.rows.row(i)));
            self.ops.push(batch.ops.at(i).letter());
        }
        self.rejected.extend(batch.rejected);
        self.replayed.extend(batch.replayed);
        let advance = batch.advance.expect("every batch of files is a place to stop");
        self.given.apply(&advance)?;
        self.pending.push(advance);
        Ok(true)
    }

    /// Reads to the end of a bounded input, without committing.
    pub async fn read_all(&mut self) -> Result<(), Error> {
        while self.next().await? {}
        Ok(())
    }

    /// Reads until there are so many good rows.
    pub async fn read_rows(&mut self, rows: usize) -> Result<(), Error> {
        while self.rows.len() < rows {
            assert!(self.next().await?, "the input ended after {} rows", self.rows.len());
        }
        Ok(())
    }

    /// Commits all that was read, as an epoch of its own.
    pub async fn commit(&mut self) -> Result<(), Error> {
        self.seal().await?;
        self.publish();
        Ok(())
    }

    /// The first half of a commit: it is in the sink, and the source does not know yet.
    pub async fn seal(&mut self) -> Result<(), Error> {
        let mut epoch = Advance::default();
        for advance in std::mem::take(&mut self.pending) {
            epoch.then(advance)?;
        }
        self.source.vouch(&epoch).await?;
        self.committed.apply(&epoch)?;
        Ok(())
    }

    /// The second half: the source hears of it.
    pub fn publish(&self) {
        self.sender.publish(self.committed.clone());
    }

    /// Whether nothing comes for so long.
    pub async fn is_quiet(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.next()).await.is_err()
    }

    /// Reads to the end of a bounded input, commits, settles.
    pub async fn finish(&mut self) -> Result<(), Error> {
        self.read_all().await?;
        self.commit().await?;
        self.source.settle(&self.committed).await
    }

    /// Waits until `holds`, reading and committing what comes meanwhile.
    pub async fn until(&mut self, what: &str, mut holds: impl FnMut(&Run) -> bool) -> Result<(), Error> {
        let deadline = Instant::now() + DEADLINE;
        while !holds(self) {
            assert!(
                Instant::now() < deadline,
                "waited in vain: {what}; rows {:?}, notices {:?}",
                self.rows,
                self.notices()
            );
            if let Ok(read) = tokio::time::timeout(Duration::from_millis(10), self.next()).await {
                assert!(read?, "the input ended while waiting: {what}");
                self.commit().await?;
            }
        }
        Ok(())
    }

    pub fn number(&self, name: &str) -> i64 {
        self.reports.numbers().get(name).copied().unwrap_or_default()
    }

    pub fn notices(&self) -> Vec<Notice> {
        self.reports.notices()
    }

    pub fn has_notice(&self, code: &str, subject: &str) -> bool {
        self.notices().iter().any(|n| n.code == code && n.subject == subject)
    }

    pub fn codes(&self) -> Vec<&str> {
        self.rejected.iter().map(|r| &*r.code).collect()
    }
}

pub fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// `id,text` and rows of the numbers, `row-<n>` each.
pub fn numbered(numbers: std::ops::Range<u64>) -> String {
    let mut text = String::from("id,text\n");
    numbers.for_each(|n| text.push_str(&format!("{n},row-{n}\n")));
    text
}

/// `<file>:<line> <id>|row-<id>` for each number, the header on line 1.
pub fn rows_of(file: &str, numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.clone().map(|n| format!("{file}:{} {n}|row-{n}", n - numbers.start + 2)).collect()
}

/// Names, contents and times of everything in a folder and in those inside it, a line for each.
pub fn everything_in(folder: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let stat = std::fs::metadata(folder).unwrap();
    let times = (stat.mtime(), stat.mtime_nsec(), stat.ctime(), stat.ctime_nsec());
    let content = if stat.is_file() { std::fs::read(folder).unwrap() } else { vec![] };
    let mut lines = vec![format!("{} {times:?} {}", folder.display(), String::from_utf8_lossy(&content))];
    if stat.is_dir() {
        let inside = std::fs::read_dir(folder).unwrap();
        lines.extend(inside.flat_map(|entry| everything_in(&entry.unwrap().path())));
    }
    lines
}
