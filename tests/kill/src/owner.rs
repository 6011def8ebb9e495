//! One run of the product: the process that owns the split, or believes that it does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;
use unbatch_test_harness::{Process, Proxy, Signal};

use crate::Outcome;

/// Longest that a process may take to end once it has every reason to.
pub(crate) const END: Duration = Duration::from_secs(60);

/// A moment is at most so many rows away, unless a file has more.
const REACH: i64 = 1500;

/// What the engine logs when a split is open: its owner number is stored, and earlier owners are fenced.
const OPENED: &str = "split is open";

/// The error of a run that set files aside.
const PARKED: &str = "U0771";

/// The error of a run whose file was changed or taken away while it was being read.
const FILE_CHANGED: &str = "U0222";

/// What a failpoint says when it fails without ending the process.
const STRUCK: &str = "armed failpoint";

/// A running `unbatch run`.
pub(crate) struct Owner {
    name: String,
    process: Process,
    log: PathBuf,
    /// Most rows that a moment in its life is waited for.
    pub(crate) reach: i64,
    /// Between it and the broker, when there is one.
    pub(crate) proxy: Option<Proxy>,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) name: String,
    pub(crate) status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Owner {
    /// `log` is the folder that keeps what it wrote; the largest file has `most_rows`.
    pub(crate) fn new(name: String, process: Process, proxy: Option<Proxy>, log: &Path, most_rows: u64) -> Owner {
        Owner { name, process, log: log.to_owned(), reach: REACH.max(most_rows as i64), proxy }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn reads_large_files(&self) -> bool {
        self.reach > REACH
    }

    pub(crate) fn is_open(&self) -> bool {
        self.process.stderr().contains(OPENED)
    }

    /// How many times a failpoint failed in it.
    pub(crate) fn failpoint_failures(&self) -> usize {
        self.process.stderr().lines().filter(|line| line.contains(STRUCK)).count()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.exited().is_some()
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for its end, keeps what it wrote, and says how it ended.
    pub(crate) fn end(mut self, limit: Duration) -> Outcome<End> {
        let ended = {
            let process = &mut self.process;
            wait(limit, || process.exited())
        };
        let (stdout, stderr) = (self.process.stdout(), self.process.stderr());
        let file = |kind: &str| self.log.join(format!("{}.{kind}", self.name));
        let kept = fs::write(file("stdout"), &stdout).and_then(|()| fs::write(file("stderr"), &stderr));
        kept.map_err(|e| format!("keeping the output of {}: {e}", self.name))?;
        match ended {
            Some(status) => Ok(End { name: self.name.clone(), status, stdout, stderr }),
            None => Err(format!("{} is still running after {limit:?}\n{}", self.name, self.process.tails())),
        }
    }
}

impl Drop for Owner {
    /// What a failed round leaves behind is what its processes wrote.
    fn drop(&mut self) {
        for (kind, text) in [("stdout", self.process.stdout()), ("stderr", self.process.stderr())] {
            let _ = fs::write(self.log.join(format!("{}.{kind}", self.name)), text);
        }
    }
}

impl End {
    /// Whether a newer owner had fenced it: exit code 1, and the error says so.
    pub(crate) fn is_fenced(&self) -> bool {
        self.status.code() == Some(1) && self.errors().iter().any(|error| error["kind"] == "fenced")
    }

    /// Whether it stopped since a file was gone that it was reading.
    pub(crate) fn lost_its_file(&self) -> bool {
        self.status.code() == Some(1) && self.errors().iter().any(|error| error["code"] == FILE_CHANGED)
    }

    /// The errors of its pipelines, as its JSON envelope has them.
    fn errors(&self) -> Vec<Value> {
        let envelope: Value = serde_json::from_str(self.stdout.trim()).unwrap_or(Value::Null);
        match envelope["error"]["pipelines"].as_array() {
            Some(pipelines) => pipelines.iter().map(|one| one["error"].clone()).collect(),
            None => vec![envelope["error"].clone()],
        }
    }

    /// Whether it ended by a signal, as one does that was killed or aborted.
    pub(crate) fn was_killed(&self) -> bool {
        self.status.code().is_none()
    }

    /// Ended in good order. `parked`: a file that was set aside makes a bounded run exit with 1.
    pub(crate) fn must_be_good(&self, parked: bool) -> Outcome<()> {
        let code = self.status.code();
        let only_parked = parked && code == Some(1) && self.errors().iter().all(|error| error["code"] == PARKED);
        if code == Some(0) || only_parked {
            return Ok(());
        }
        Err(format!("{} should have ended in good order, but: {}", self.name, self.describe()))
    }

    pub(crate) fn must_be_fenced(&self) -> Outcome<()> {
        if self.is_fenced() {
            return Ok(());
        }
        Err(format!("{} should have ended with exit code 1, fenced, but: {}", self.name, self.describe()))
    }

    pub(crate) fn describe(&self) -> String {
        let tail = |text: &str| -> String {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(25)..].join("\n")
        };
        format!("{}\n--- stdout\n{}\n--- end of stderr\n{}\n---", self.status, tail(&self.stdout), tail(&self.stderr))
    }
}

/// Looks until there is something, or nothing after `limit`.
pub(crate) fn wait<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = std::time::Instant::now();
    unbatch_test_harness::wait_for(limit + Duration::from_secs(5), "a condition or its deadline", || match look() {
        Some(found) => Some(Some(found)),
        None if start.elapsed() >= limit => Some(None),
        None => None,
    })
}
