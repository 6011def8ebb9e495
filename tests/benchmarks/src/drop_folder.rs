//! A folder of CSV drops and the pipeline over it.

use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use unbatch_test_harness::{Launch, unique_name};

/// Files are seeded, so that every run measures the same bytes.
const SEED: u64 = 20_261_123;

pub struct DropFolder {
    home: TempDir,
    pub topic: String,
    pipeline: String,
}

impl DropFolder {
    /// `headers`: the set of headers that records get, as the sink's option.
    pub fn new(headers: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let pipeline = unique_name("bench").to_lowercase().replace('_', "-");
        let folder = Self { home, topic: unique_name("bench"), pipeline };
        std::fs::create_dir(folder.drops()).expect("a folder for drops");
        std::fs::write(folder.file(), folder.yaml(headers)).expect("a pipeline file");
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

    fn yaml(&self, headers: &str) -> String {
        let (pipeline, topic) = (&self.pipeline, &self.topic);
        format!(
            r#"version: 1
pipeline: {pipeline}
source:
  csv_drops:
    url: file:drops/
    match: "*.csv"
    ready_when: {{marker: ".done"}}
    columns:
      - {{name: id, type: int64, required: true}}
      - {{name: order_id, type: int64}}
      - {{name: line_no, type: int32}}
      - {{name: product_id, type: int32}}
      - {{name: quantity, type: int32}}
      - {{name: price, type: "decimal(12,2)"}}
      - {{name: paid, type: bool}}
      - {{name: status, type: string}}
      - {{name: tracking, type: string}}
      - {{name: note, type: string}}
      - {{name: changed_at, type: timestamp}}
sink:
  topic: {{name: {topic}, key: [id], partitions: 4, headers: {headers}}}
"#
        )
    }

    /// Drops a file of `rows` rows (about 158 bytes each) and its marker; ids start at `first`. Returns its bytes.
    pub fn drop_rows(&self, name: &str, first: usize, rows: usize) -> u64 {
        let mut random = SmallRng::seed_from_u64(SEED + first as u64);
        let path = self.drops().join(name);
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&path).expect("a file to drop"));
        let header = "id,order_id,line_no,product_id,quantity,price,paid,status,tracking,note,changed_at";
        writeln!(out, "{header}").expect("writing a drop");
        for id in first..first + rows {
            let (order, line) = (id / 3, id % 3 + 1);
            let (product, quantity) = (random.random_range(1..50_000), random.random_range(1..9));
            let (euros, cents) = (random.random_range(1..400), random.random_range(0..100));
            let (paid, status) = (random.random_bool(0.7), ["new", "packed", "sent", "returned"][id % 4]);
            let tracking: u64 = random.random();
            let (day, second) = (id % 28 + 1, id % 60);
            let note = "please leave it with the neighbours if nobody answers";
            writeln!(
                out,
                "{id},{order},{line},{product},{quantity},{euros}.{cents:02},{paid},{status},{tracking:016x},{note},\
                 2026-02-{day:02}T10:20:{second:02}Z"
            )
            .expect("writing a drop");
        }
        out.flush().expect("writing a drop");
        File::create(self.drops().join(format!("{name}.done"))).expect("a marker");
        std::fs::metadata(&path).expect("the file that was just written").len()
    }

    pub fn run(&self, bootstrap: &str) -> Launch {
        Launch::unbatch()
            .arg("run")
            .arg(self.file())
            .args(["--brokers", bootstrap, "--no-http"])
            .current_dir(self.path())
    }
}
