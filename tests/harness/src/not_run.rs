//! Tests that cannot run here say so; where everything must run, they fail.

use std::fs::OpenOptions;
use std::io::Write;

/// Notes that a test was not run and why; `make test` prints the list at its end. The caller returns after it.
///
/// The list is the file that `UNBATCH_NOT_RUN` names; without it the note goes to stderr.
///
/// # Panics
///
/// With `CI=true`: there a test that does not run is a test that fails.
#[track_caller]
pub fn not_run(test: &str, reason: &str) {
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{test} cannot run, and with CI=true everything must: {reason}"
    );
    let line = format!("{test}: {}\n", reason.trim().replace('\n', "; "));
    let noted = std::env::var("UNBATCH_NOT_RUN").map(|path| {
        // one write of one line in append mode, so that lines of parallel tests do not mix
        OpenOptions::new().create(true).append(true).open(path).and_then(|mut file| file.write_all(line.as_bytes()))
    });
    if !matches!(noted, Ok(Ok(()))) {
        eprint!("not run: {line}");
    }
}
