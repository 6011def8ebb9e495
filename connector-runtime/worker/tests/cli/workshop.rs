//! A folder of its own for each test, and the binary run in it.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub const PIPELINE: &str = r#"version: 1
pipeline: stock
source:
  csv_drops:
    url: drops
    match: "stock_*.csv"
    ready_when: {stable_for: 50ms}
    poll: 50ms
    columns:
      - {name: id, type: string, required: true}
      - {name: counted, type: int32, required: true}
sink:
  topic: {name: stock.counts, key: [id], partitions: 2, format: json}
"#;

/// A temporary folder with a pipeline in it.
pub struct Workshop {
    folder: tempfile::TempDir,
}

/// How a command ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Workshop {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("drops")).unwrap();
        Workshop { folder }
    }
    /// With the pipeline `stock`.
    pub fn with_pipeline() -> Self {
        let workshop = Self::new();
        workshop.write("stock.yaml", PIPELINE);
        workshop
    }
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
    /// Puts a file into the drop folder as a whole.
    pub fn drop_file(&self, name: &str, text: &str) {
        let hidden = self.write(&format!("drops/.{name}"), text);
        std::fs::rename(hidden, self.path().join("drops").join(name)).unwrap();
    }

    /// The binary with these arguments; variables of ours are not inherited.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_unbatch")), args)
    }
    /// The same of the binary under another path.
    pub fn command_of(&self, binary: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("UNBATCH_") {
                command.env_remove(name);
            }
        }
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        command.env_remove("NO_COLOR").env("LC_ALL", "C.UTF-8");
        command
    }
    pub fn run(&self, args: &[&str]) -> Ended {
        Ended::from(self.command(args).output().unwrap())
    }
    /// Runs it with `--json`, expects it to be good, and gives the result.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let ended = self.run(&[args, &["--json"]].concat());
        let envelope = ended.envelope();
        assert_eq!((ended.code, envelope["ok"].as_bool()), (Some(0), Some(true)), "{args:?}\n{ended}");
        envelope["result"].clone()
    }
    /// Starts it with its outputs in files `<name>.out` and `<name>.err` of the folder.
    pub fn start(&self, name: &str, args: &[&str]) -> Running {
        let file = |ending: &str| std::fs::File::create(self.path().join(format!("{name}.{ending}"))).unwrap();
        let child = self.command(args).stdout(file("out")).stderr(file("err")).spawn().unwrap();
        Running { child, err: self.path().join(format!("{name}.err")) }
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ended {
    /// Stdout as the one JSON document that it has to be.
    #[track_caller]
    pub fn envelope(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no envelope ({e})\n{self}"));
        let mut fields: Vec<&String> = value.as_object().unwrap().keys().collect();
        fields.sort();
        assert_eq!(fields, ["command", "error", "ok", "result"]);
        value
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "code {:?}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// A child that goes on; killed when dropped.
pub struct Running {
    child: Child,
    err: PathBuf,
}

impl Running {
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(&self.err).unwrap_or_default()
    }
    /// Waits for a text on stderr.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        wait_until(text, || {
            let said = self.stderr();
            if said.contains(text) {
                return Some(said);
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("ended ({status}) before it said {text:?}\n{}", self.stderr());
            }
            None
        })
    }
    /// SIGTERM, and its exit code.
    #[track_caller]
    pub fn terminate(&mut self) -> Option<i32> {
        // SAFETY: a plain system call; the child has not been waited for, so the pid is its own
        assert_eq!(unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) }, 0);
        self.wait()
    }
    #[track_caller]
    pub fn wait(&mut self) -> Option<i32> {
        wait_until("the end of the process", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- stderr of the child\n{}", self.stderr());
        }
    }
}

/// Looks until there is something; panics after a minute.
#[track_caller]
pub fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
