//! Apache Kafka by `scripts/kafka.sh`: a cluster of its own for a test that kills brokers.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Real Kafka brokers on loopback. Dropping it stops them and removes what they stored; so does the end of this process.
pub struct Cluster {
    dir: PathBuf,
    bootstrap: String,
}

impl Cluster {
    /// Starts `brokers` brokers; takes some 5 s, and longer when Maven fetches the jars first.
    ///
    /// # Errors
    ///
    /// What the script said, when there is no Java, no Maven or the brokers do not come up.
    pub fn start(brokers: usize) -> Result<Cluster, String> {
        Cluster::start_with(brokers, &[])
    }

    /// As [`Cluster::start`], with more options of `scripts/kafka.sh start`, such as `--set KEY=VALUE` or `--secure`.
    ///
    /// # Errors
    ///
    /// As for [`Cluster::start`].
    pub fn start_with(brokers: usize, options: &[&str]) -> Result<Cluster, String> {
        // the script removes it, also when this process cannot
        let dir = tempfile::Builder::new()
            .prefix("unbatch-kafka-")
            .tempdir()
            .map_err(|e| format!("no temporary folder: {e}"))?
            .keep();
        let (brokers, owner) = (brokers.to_string(), std::process::id().to_string());
        let mut args = vec!["--brokers", &brokers, "--stop-with", &owner];
        args.extend(options);
        // made first, so that a start that fails half way is cleaned up as well
        let mut cluster = Cluster { dir, bootstrap: String::new() };
        let bootstrap = script("start", &cluster.dir, &args)?;
        cluster.bootstrap = bootstrap.trim().to_owned();
        Ok(cluster)
    }

    /// `bootstrap.servers` of the plain listeners.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The state folder: `secure.env`, `tls/`, and `node-N/log` of each broker.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// SIGKILL to broker `number`, counted from 1.
    ///
    /// # Panics
    ///
    /// When it is not up.
    #[track_caller]
    pub fn kill(&self, number: usize) {
        self.must("kill", number);
    }

    /// Starts broker `number` again and waits until it serves.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    #[track_caller]
    pub fn up(&self, number: usize) {
        self.must("up", number);
    }

    #[track_caller]
    fn must(&self, command: &str, number: usize) {
        if let Err(e) = script(command, &self.dir, &[number.to_string()]) {
            panic!("cannot {command} broker {number}: {e}");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(e) = script::<&str>("clean", &self.dir, &[]) {
            eprintln!("a Kafka cluster was left behind in {:?}: {e}", self.dir);
        }
    }
}

/// Runs one command of `scripts/kafka.sh` and returns its stdout.
fn script<A: AsRef<OsStr>>(command: &str, dir: &Path, args: &[A]) -> Result<String, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/kafka.sh");
    let Output { status, stdout, stderr } = Command::new(path)
        .arg(command)
        .arg("--dir")
        .arg(dir)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("scripts/kafka.sh cannot be run: {e}"))?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    Err(format!("scripts/kafka.sh {command} failed ({status}): {}", String::from_utf8_lossy(&stderr).trim()))
}
