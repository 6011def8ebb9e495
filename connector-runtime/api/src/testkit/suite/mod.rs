//! The conformance suites: each promise of the contract, checked by opening the connector over and over.
//!
//! A suite needs a fixture from the connector's test: where the system is, what it holds, and how a reader or upstream sees it.
//! It waits for nothing but the connector itself, and each check has [`CHECK_TIME_MAX`]. A broken promise is a [`Broken`]
//! with the name of the check; `Passed` lists every check that ran, so that none can be skipped unseen.
//!
//! ```
//! # use unbatch_api::testkit::suite::{SOURCE_CHECKS, SourceFixture, source_suite};
//! async fn the_source_keeps_the_contract(fixture: impl SourceFixture) {
//!     let passed = source_suite(&fixture).await.unwrap();
//!     assert_eq!(passed.checks, SOURCE_CHECKS);
//! }
//! ```

mod ledger;
mod looking;
mod reading;
mod sink;
mod sink_commit;
mod sink_fence;
mod source;

pub use sink::{SINK_CHECKS, SinkFixture, SinkProfile, SinkTarget, sink_suite};
pub use source::{Expected, SOURCE_CHECKS, SourceFixture, SourceUpstream, source_suite};

use crate::error::{Error, Result};
use std::fmt;
use std::future::Future;
use std::time::Duration;

/// Longest time for one check, reads of a real system included.
pub const CHECK_TIME_MAX: Duration = Duration::from_secs(120);

/// A promise that was not kept.
pub struct Broken {
    /// Name of the check, one of [`SOURCE_CHECKS`] or [`SINK_CHECKS`].
    pub check: &'static str,
    /// What was seen, and what should have been.
    pub seen: String,
}

/// Every check that ran, in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Passed {
    pub checks: Vec<&'static str>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "check `{}` is broken: {}", self.check, self.seen)
    }
}
impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl std::error::Error for Broken {}

/// Runs one check within its time.
async fn within(check: &'static str, run: impl Future<Output = Result<(), Broken>>) -> Result<(), Broken> {
    match tokio::time::timeout(CHECK_TIME_MAX, run).await {
        Ok(result) => result,
        Err(_) => Err(broken(check, format!("it was not over after {} s", CHECK_TIME_MAX.as_secs()))),
    }
}

fn broken(check: &'static str, seen: impl Into<String>) -> Broken {
    Broken { check, seen: seen.into() }
}

/// Turns an unexpected error of the connector into a broken check.
trait Attempt<T> {
    fn attempt(self, check: &'static str, doing: &str) -> Result<T, Broken>;
}

impl<T> Attempt<T> for Result<T> {
    fn attempt(self, check: &'static str, doing: &str) -> Result<T, Broken> {
        self.map_err(|e: Error| broken(check, format!("{doing} gave an error: {e:?}")))
    }
}

/// Fails unless `holds`.
fn ensure(check: &'static str, holds: bool, seen: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(broken(check, seen())) }
}
