//! Child processes that a test starts, looks into and kills.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::wait::{wait_for, wait_until};

/// How much of an output file is ever read, from its end, in bytes.
const OUTPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How much of each output a failure message shows, in bytes.
const TAIL_BYTES: u64 = 6 * 1024;

/// What to start and with what.
pub struct Launch {
    command: Command,
    name: String,
}

/// Signals that the kill tests use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGKILL: gone, without a chance to clean up.
    Kill,
    /// SIGSTOP: frozen, as by a long pause of the machine.
    Stop,
    /// SIGCONT: goes on after a stop, unaware of the time between.
    Continue,
    /// SIGTERM: asked to end in good order.
    Terminate,
    /// SIGINT: as Ctrl-C does.
    Interrupt,
}

/// A running child. Its output goes to files; dropping it kills it, and shows the tails when the test is failing.
pub struct Process {
    child: Child,
    name: String,
    output: tempfile::TempDir,
}

/// A child that ended by itself.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Launch {
    /// The `unbatch` binary; see [`built_binary`].
    pub fn unbatch() -> Launch {
        Launch::program(built_binary("unbatch"))
    }

    /// Any program. Variables that begin with `UNBATCH_` are not inherited: what the child is told stands in the test.
    pub fn program(path: impl AsRef<Path>) -> Launch {
        let path = path.as_ref();
        let mut command = Command::new(path);
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("UNBATCH_") {
                command.env_remove(key);
            }
        }
        let name = path.file_name().unwrap_or(path.as_os_str());
        Launch { name: name.to_string_lossy().into_owned(), command }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Launch {
        self.command.arg(arg);
        self
    }

    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Launch {
        self.command.args(args);
        self
    }

    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Launch {
        self.command.env(key, value);
        self
    }

    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Launch {
        self.command.current_dir(dir);
        self
    }

    /// The name that failure messages use, when several children run the same program.
    pub fn named(mut self, name: &str) -> Launch {
        self.name = name.to_owned();
        self
    }

    /// # Panics
    ///
    /// When the program cannot be started.
    #[track_caller]
    pub fn start(mut self) -> Process {
        let output = tempfile::tempdir().unwrap_or_else(|e| panic!("no temporary folder: {e}"));
        let file = |name: &str| {
            File::create(output.path().join(name))
                .unwrap_or_else(|e| panic!("cannot create a file for the output of a child: {e}"))
        };
        let child = self
            .command
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {:?}: {e}", self.command.get_program()));
        Process { child, name: self.name, output }
    }

    /// Starts it and waits for its end.
    ///
    /// # Panics
    ///
    /// When it cannot be started or is still running after `deadline`; it is killed then.
    #[track_caller]
    pub fn run(self, deadline: Duration) -> Finished {
        let mut process = self.start();
        let status = process.wait(deadline);
        Finished { status, stdout: process.stdout(), stderr: process.stderr() }
    }
}

impl Process {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends the signal. After [`Signal::Stop`] it returns only once the process does stand still; after
    /// [`Signal::Kill`] once it is gone.
    ///
    /// # Panics
    ///
    /// When the process has ended before.
    #[track_caller]
    pub fn signal(&mut self, signal: Signal) {
        if let Some(status) = self.exited() {
            panic!("{} had ended ({status}) before {signal:?} was sent\n{}", self.name, self.tails());
        }
        let pid = self.child.id() as libc::pid_t;
        // SAFETY: plain system call; the pid is a child of ours that has not been waited for, so it cannot be another's
        let sent = unsafe { libc::kill(pid, signal.number()) };
        assert_eq!(sent, 0, "cannot send {signal:?} to {}", self.name);
        match signal {
            Signal::Kill => {
                self.wait(Duration::from_secs(10));
            }
            Signal::Stop => {
                wait_until(Duration::from_secs(10), "a stopped process", || stands_still(pid));
            }
            Signal::Continue | Signal::Terminate | Signal::Interrupt => {}
        }
    }

    /// SIGKILL, and wait until it is gone.
    #[track_caller]
    pub fn kill(&mut self) {
        self.signal(Signal::Kill);
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    ///
    /// When it is still running after `deadline`; the message holds the end of its output.
    #[track_caller]
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let start = Instant::now();
        wait_for(deadline + Duration::from_secs(1), "a process to end", || {
            let exited = self.exited();
            assert!(
                exited.is_some() || start.elapsed() < deadline,
                "{} is still running after {deadline:?}\n{}",
                self.name,
                self.tails()
            );
            exited
        })
    }

    /// How it ended, when it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap_or_else(|e| panic!("cannot look after {}: {e}", self.name))
    }

    /// What it wrote to stdout so far; of more than 16 MiB the end.
    pub fn stdout(&self) -> String {
        read_end(&self.output.path().join("stdout"), OUTPUT_BYTES_MAX)
    }

    /// What it wrote to stderr so far; of more than 16 MiB the end.
    pub fn stderr(&self) -> String {
        read_end(&self.output.path().join("stderr"), OUTPUT_BYTES_MAX)
    }

    /// Waits until stdout or stderr holds a line with `text`, and returns that line.
    ///
    /// # Panics
    ///
    /// When no such line comes within `deadline`, or the process ends without it.
    #[track_caller]
    pub fn wait_for_line(&mut self, text: &str, deadline: Duration) -> String {
        let start = Instant::now();
        wait_for(deadline + Duration::from_secs(1), text, || {
            // looked at before the output: a process that ended wrote all it will ever write
            let exited = self.exited();
            let found = [self.stdout(), self.stderr()]
                .iter()
                .flat_map(|output| output.lines())
                .find(|line| line.contains(text))
                .map(str::to_owned);
            assert!(
                found.is_some() || (exited.is_none() && start.elapsed() < deadline),
                "{} wrote no line with {text:?} in {:.1} s (ended: {exited:?})\n{}",
                self.name,
                start.elapsed().as_secs_f64(),
                self.tails()
            );
            found
        })
    }

    /// The end of both outputs, for a failure message.
    pub fn tails(&self) -> String {
        let tail = |name: &str| read_end(&self.output.path().join(name), TAIL_BYTES);
        format!(
            "--- end of stdout of {0}\n{1}\n--- end of stderr of {0}\n{2}\n---",
            self.name,
            tail("stdout").trim_end(),
            tail("stderr").trim_end()
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.tails());
        }
    }
}

impl Signal {
    fn number(self) -> libc::c_int {
        match self {
            Signal::Kill => libc::SIGKILL,
            Signal::Stop => libc::SIGSTOP,
            Signal::Continue => libc::SIGCONT,
            Signal::Terminate => libc::SIGTERM,
            Signal::Interrupt => libc::SIGINT,
        }
    }
}

/// Where a binary of this workspace was built: `UNBATCH_BIN` for `unbatch` when set, else beside the running test.
///
/// # Panics
///
/// When it is not there. `make test` builds all binaries first; `cargo test -p` alone does not, and an old one would be
/// used in silence, so its age is printed.
#[track_caller]
pub fn built_binary(name: &str) -> PathBuf {
    let path = match std::env::var_os("UNBATCH_BIN") {
        // absolute, since children may be started in another folder
        Some(path) if name == "unbatch" => std::path::absolute(&path).unwrap_or_else(|_| path.into()),
        _ => std::env::current_exe()
            .ok()
            // target/debug/deps/test-0123 or target/debug/examples/x
            .and_then(|test| Some(test.parent()?.parent()?.join(name)))
            .unwrap_or_else(|| PathBuf::from(name)),
    };
    let age = path
        .metadata()
        .and_then(|file| file.modified())
        .unwrap_or_else(|e| {
            panic!(
                "{} cannot be used ({e}); build it with: cargo build --workspace --all-features --bins",
                path.display()
            )
        })
        .elapsed()
        .unwrap_or_default();
    eprintln!("{} was built {} s ago", path.display(), age.as_secs());
    path
}

/// Whether the child has been stopped by a signal; leaves its exit status for `Child::wait`.
fn stands_still(pid: libc::pid_t) -> bool {
    // SAFETY: the structure is plain data that waitid fills in
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT) == 0
            && info.si_pid() == pid
    }
}

/// At most the last `bytes` of a file, as text; empty when it cannot be read.
fn read_end(path: &Path, bytes: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
        let mut end = Vec::new();
        file.take(bytes).read_to_end(&mut end)?;
        Ok(end)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Launch {
        Launch::program("/bin/sh").args(["-c", script])
    }

    #[test]
    fn runs_to_its_end_with_both_outputs() {
        let done = shell("echo to out; echo to err >&2; exit 3").run(Duration::from_secs(10));
        assert_eq!(done.status.code(), Some(3));
        assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("to out\n", "to err\n"));
    }

    #[test]
    fn a_stopped_process_does_nothing_until_it_goes_on() {
        let mut process = shell("trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.01; done").start();
        process.wait_for_line("ready", Duration::from_secs(10));
        process.signal(Signal::Stop);
        process.signal(Signal::Terminate);
        assert!(process.exited().is_none(), "stopped, so it cannot answer");
        process.signal(Signal::Continue);
        assert_eq!(process.wait(Duration::from_secs(10)).code(), Some(0));
        assert!(process.stdout().contains("asked"));
    }

    #[test]
    fn killed_when_dropped() {
        let process = shell("exec sleep 600").start();
        let pid = process.id() as libc::pid_t;
        drop(process);
        // SAFETY: signal 0 only asks whether the process is there
        assert_eq!(unsafe { libc::kill(pid, 0) }, -1);
    }

    #[test]
    fn variables_of_ours_are_not_inherited() {
        let seen = shell("env").env("UNBATCH_GIVEN", "1");
        let seen = seen.run(Duration::from_secs(10)).stdout;
        let ours: Vec<&str> = seen.lines().filter(|l| l.starts_with("UNBATCH_")).collect();
        assert_eq!(ours, ["UNBATCH_GIVEN=1"]);
    }

    #[test]
    #[should_panic(expected = "still running")]
    fn a_process_that_does_not_end_is_a_failure() {
        shell("exec sleep 600").run(Duration::from_millis(20));
    }

    #[test]
    #[should_panic(expected = "no line with \"never\"")]
    fn a_line_that_cannot_come_any_more_is_not_waited_for() {
        shell("echo other").start().wait_for_line("never", Duration::from_secs(60));
    }
}
