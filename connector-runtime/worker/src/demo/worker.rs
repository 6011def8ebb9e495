//! The child process that runs the pipeline: started, killed without warning, started again, and ended in good order.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// A running `unbatch run`. Dropping it kills it.
pub(super) struct Worker {
    child: Child,
    log: PathBuf,
    /// Where its own lines begin in the log.
    log_start: u64,
}

impl Worker {
    /// Runs the pipeline file of the folder against the broker.
    pub(super) fn start(folder: &Path, pipeline: &Path, runtime: &Path, brokers: &str) -> io::Result<Worker> {
        let log = folder.join("worker.log");
        let output = OpenOptions::new().create(true).append(true).open(&log)?;
        let log_start = output.metadata()?.len();
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("run").arg(pipeline).arg("--config").arg(runtime).args(["--brokers", brokers]);
        // what the surroundings set for other runs must not change this one
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("UNBATCH_") && name != "UNBATCH_LOG" {
                command.env_remove(name);
            }
        }
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        die_with_parent(&mut command);
        Ok(Worker { child: command.spawn()?, log, log_start })
    }

    /// Where its HTTP API listens, once it has said so.
    pub(super) fn http(&self) -> Option<String> {
        let text = self.said();
        let (_, rest) = text.split_once("http://")?;
        let (address, _) = rest.split_once("/api/v1/status")?;
        Some(address.to_owned())
    }

    /// What it wrote to stderr.
    pub(super) fn said(&self) -> String {
        use std::io::{Read, Seek, SeekFrom};
        let read = || -> io::Result<String> {
            let mut file = File::open(&self.log)?;
            file.seek(SeekFrom::Start(self.log_start))?;
            let mut bytes = Vec::new();
            // it says little; what is beyond is of no use here
            file.take(1 << 20).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_default()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// SIGKILL: gone, without a chance to clean up.
    pub(super) fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// SIGTERM: asked to commit and end.
    pub(super) fn terminate(&mut self) -> io::Result<()> {
        let pid = libc::pid_t::try_from(self.child.id()).map_err(io::Error::other)?;
        // SAFETY: a plain system call; the pid is a child that has not been waited for, so it is no other process's
        match unsafe { libc::kill(pid, libc::SIGTERM) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A demo that is itself killed leaves nobody behind.
#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: prctl is async-signal-safe, and nothing else is done between fork and exec
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command) {}
