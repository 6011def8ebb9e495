//! A real S3 server by `scripts/s3.sh`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::not_run::not_run;

/// The bucket that every server has.
const BUCKET: &str = "unbatch";

/// An S3 server on loopback. Dropping it stops it and removes what it stored, unless it is shared; so does the end of this process.
pub struct S3 {
    endpoint: String,
    /// `None`: shared, or somebody else's.
    dir: Option<PathBuf>,
}

impl S3 {
    /// The server at `UNBATCH_TEST_S3` (such as `http://127.0.0.1:9000`, with the keys below), or, without that variable, one that all
    /// tests of this process share. Tests keep to a prefix of their own in its bucket ([`crate::unique_name`]).
    ///
    /// `None` means that it cannot be had here: `test` has been noted as not run, and returns.
    ///
    /// # Panics
    ///
    /// When it cannot be had with `CI=true`.
    #[track_caller]
    pub fn from_env(test: &str) -> Option<S3> {
        static STARTED: OnceLock<Result<S3, String>> = OnceLock::new();
        if let Ok(endpoint) = std::env::var("UNBATCH_TEST_S3") {
            return Some(S3 { endpoint, dir: None });
        }
        // a static is never dropped; the script's --stop-with cleans up when this process has ended
        match STARTED.get_or_init(|| S3::start(&[])) {
            Ok(s3) => Some(S3 { endpoint: s3.endpoint.clone(), dir: None }),
            Err(reason) => {
                not_run(test, reason);
                None
            }
        }
    }

    /// A server that belongs to this test alone, so that it may [`S3::kill`] it. `None` as for [`S3::from_env`].
    ///
    /// # Panics
    ///
    /// When it cannot be had with `CI=true`.
    #[track_caller]
    pub fn own_from_env(test: &str) -> Option<S3> {
        S3::start(&[]).map_err(|reason| not_run(test, &reason)).ok()
    }

    /// The same with TLS; [`S3::ca`] signed its certificate, which is for `localhost`.
    ///
    /// # Panics
    ///
    /// When it cannot be had with `CI=true`.
    #[track_caller]
    pub fn own_with_tls(test: &str) -> Option<S3> {
        S3::start(&["--tls"]).map_err(|reason| not_run(test, &reason)).ok()
    }

    fn start(options: &[&str]) -> Result<S3, String> {
        // the script removes it, also when this process cannot
        let dir = tempfile::Builder::new().prefix("unbatch-s3-").tempdir();
        let dir = dir.map_err(|e| format!("no temporary folder: {e}"))?.keep();
        // made first, so that a start that fails half way is cleaned up as well
        let mut s3 = S3 { endpoint: String::new(), dir: Some(dir.clone()) };
        let owner = std::process::id().to_string();
        s3.endpoint = script("start", &dir, &[&["--bucket", BUCKET, "--stop-with", &owner], options].concat())?;
        Ok(s3)
    }

    /// The address of the server.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
    /// The authority of a server with TLS, in PEM.
    ///
    /// # Panics
    ///
    /// When it has no TLS.
    pub fn ca(&self) -> String {
        let path = self.dir.as_ref().map(|dir| dir.join("tls/ca.pem")).unwrap_or_default();
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{} cannot be read: {e}", path.display()))
    }
    /// A bucket that is there.
    pub fn bucket(&self) -> &str {
        BUCKET
    }
    pub fn access_key_id(&self) -> &str {
        "testkey"
    }
    pub fn secret_access_key(&self) -> &str {
        "testsecret"
    }

    /// SIGKILL to the server. What it acknowledged is there after [`S3::revive`].
    ///
    /// # Panics
    ///
    /// When it is shared or down.
    #[track_caller]
    pub fn kill(&mut self) {
        self.must("kill");
    }

    /// Starts a killed server again, with the same data at the same address, and waits until it serves.
    ///
    /// # Panics
    ///
    /// When it is shared or does not come up.
    #[track_caller]
    pub fn revive(&mut self) {
        self.must("up");
    }

    /// SIGSTOP to the server: it takes connections and answers nothing until [`S3::thaw`].
    ///
    /// # Panics
    ///
    /// When it is shared or down.
    #[track_caller]
    pub fn freeze(&mut self) {
        self.must("freeze");
    }

    /// SIGCONT to a frozen server.
    ///
    /// # Panics
    ///
    /// When it is shared or down.
    #[track_caller]
    pub fn thaw(&mut self) {
        self.must("thaw");
    }

    #[track_caller]
    fn must(&self, command: &str) {
        let Some(dir) = &self.dir else { panic!("only a server of S3::own_from_env may be killed or frozen") };
        if let Err(e) = script(command, dir, &[]) {
            panic!("cannot {command} the S3 server: {e}");
        }
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let Some(dir) = &self.dir else { return };
        if let Err(e) = script("clean", dir, &[]) {
            eprintln!("an S3 server was left behind in {}: {e}", dir.display());
        }
    }
}

/// Runs one command of `scripts/s3.sh` and returns its stdout without the line's end.
fn script(command: &str, dir: &Path, args: &[&str]) -> Result<String, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/s3.sh");
    let output = Command::new(path).arg(command).arg("--dir").arg(dir).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|e| format!("scripts/s3.sh cannot be run: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("scripts/s3.sh {command} failed ({}): {}", output.status, said.trim()))
}
