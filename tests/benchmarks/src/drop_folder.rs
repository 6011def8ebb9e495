//! A folder of CSV drops and the pipeline over it.

use crate::rows::{COLUMNS, write_file};
use std::fs::File;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use unbatch_test_harness::{Launch, unique_name};

/// What of the pipeline differs between measurements.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The set of headers that records get, as the sink's option.
    pub headers: &'static str,
    /// Steps as JSON.
    pub steps: &'static str,
    /// The block `commit` as JSON; `{}` is the default.
    pub commit: &'static str,
    /// The source's option `mode` as JSON.
    pub mode: &'static str,
    /// Whether markers say that files are whole. Otherwise they must have stood still for a millisecond.
    pub markers: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self { headers: "full", steps: "[]", commit: "{}", mode: "append", markers: true }
    }
}

pub struct DropFolder {
    home: TempDir,
    pub topic: String,
    pipeline: String,
    markers: bool,
}

impl DropFolder {
    pub fn new(shape: &Shape) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let pipeline = unique_name("bench").to_lowercase().replace('_', "-");
        let folder = Self { home, topic: unique_name("bench"), pipeline, markers: shape.markers };
        std::fs::create_dir(folder.drops()).expect("a folder for drops");
        std::fs::write(folder.file(), folder.yaml(shape)).expect("a pipeline file");
        folder
    }

    pub fn path(&self) -> &Path {
        self.home.path()
    }
    pub fn drops(&self) -> PathBuf {
        self.home.path().join("drops")
    }
    pub fn file(&self) -> PathBuf {
        self.home.path().join(format!("{}.yaml", self.pipeline))
    }

    fn yaml(&self, shape: &Shape) -> String {
        let (pipeline, topic) = (&self.pipeline, &self.topic);
        let Shape { headers, steps, commit, mode, markers } = shape;
        let ready_when = if *markers { r#"{marker: ".done"}"# } else { "{stable_for: 1ms}" };
        // in the middle of YAML a line may not begin further left than its key
        let (columns, steps) = (COLUMNS.replace('\n', " "), steps.replace('\n', " "));
        format!(
            r#"version: 1
pipeline: {pipeline}
source:
  csv_drops:
    url: file:drops/
    match: "*.csv"
    ready_when: {ready_when}
    columns: {columns}
    mode: {mode}
steps: {steps}
commit: {commit}
sink:
  topic: {{name: {topic}, key: [id], partitions: 4, headers: {headers}}}
"#
        )
    }

    /// Drops a file of `rows` rows; ids start at `first`.
    pub fn drop_rows(&self, name: &str, first: usize, rows: usize) {
        write_file(&self.drops().join(name), first, rows);
        self.mark(name);
    }

    /// Drops a file that lies elsewhere on the same file system.
    pub fn drop_file(&self, name: &str, file: &Path) {
        std::fs::hard_link(file, self.drops().join(name)).expect("a link to a file that was made before");
        self.mark(name);
    }

    fn mark(&self, name: &str) {
        if self.markers {
            File::create(self.drops().join(format!("{name}.done"))).expect("a marker");
        }
    }

    pub fn run(&self, bootstrap: &str) -> Launch {
        Launch::unbatch()
            .arg("run")
            .arg(self.file())
            .args(["--brokers", bootstrap, "--no-http"])
            .current_dir(self.path())
    }
}
