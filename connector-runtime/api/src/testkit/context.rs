//! Contexts to open connectors with: small limits, no secrets, every split ours.

use crate::checkpoint::Checkpoint;
use crate::config::NoSecrets;
use crate::context::{
    Bound, CheckContext, Committed, Limits, OwnsAll, Reports, Resources, SinkContext, SourceContext, StopAfter,
};
use crate::error::Result;
use crate::facts::{Admit, Facts, Stored};
use crate::names::{DeploymentName, PipelineName, SplitId};
use crate::sink::CommitPolicy;
use std::sync::Arc;
use std::time::Duration;

/// Split 0 of `pipeline` in the deployment `test`, in the current folder.
///
/// # Panics
///
/// When `pipeline` is not a pipeline's name.
pub fn place(pipeline: &str) -> CheckContext {
    CheckContext {
        deployment: named(DeploymentName::parse("test")),
        split: split(pipeline, 0),
        base: ".".into(),
        resources: Resources::default(),
        secrets: Arc::new(NoSecrets),
        quarantine_name: None,
    }
}

/// A split by name and number.
///
/// # Panics
///
/// When `pipeline` is not a pipeline's name.
pub fn split(pipeline: &str, index: u32) -> SplitId {
    SplitId::new(named(PipelineName::parse(pipeline)), index)
}

/// Opens a source at `resume`, revision and generation 1.
pub fn source_context(place: CheckContext, resume: Checkpoint, committed: Committed, bound: Bound) -> SourceContext {
    SourceContext {
        place,
        resume,
        committed,
        bound,
        limits: limits(),
        ownership: Arc::new(OwnsAll),
        reports: Reports::default(),
        stop_after: StopAfter::default(),
        revision: 1,
        generation: 1,
        looks_only: false,
    }
}

/// Opens a sink with exactly-once delivery and [`policy`].
pub fn sink_context(place: CheckContext) -> SinkContext {
    SinkContext {
        place,
        policy: policy(),
        limits: limits(),
        ownership: Arc::new(OwnsAll),
        reports: Reports::default(),
        exactly_once: true,
    }
}

/// Room for everything that a test does.
pub fn limits() -> Limits {
    Limits {
        batch_rows: 1_000,
        batch_bytes: 1 << 20,
        uncut_rows: 10_000,
        uncut_bytes: 16 << 20,
        memory_bytes: 64 << 20,
    }
}

/// What the topic sink declares: each second, 10,000 rows, 16 MiB, idle after 5 ms, not more often than every 50 ms.
pub fn policy() -> CommitPolicy {
    CommitPolicy {
        every: Duration::from_secs(1),
        rows: 10_000,
        bytes: 16 << 20,
        idle: Some(Duration::from_millis(5)),
        at_most_every: Duration::from_millis(50),
        configurable: true,
    }
}

/// Admits whoever asks: the stored facts as they are, or those of a first start.
pub fn admit_all() -> Admit {
    Box::new(|stored: Option<&Stored>| -> Result<Facts> { Ok(stored.map_or_else(first_facts, |s| s.facts.clone())) })
}

/// Facts of a first start: generation, revision and split count 1.
pub fn first_facts() -> Facts {
    Facts {
        generation: 1,
        revision: 1,
        config_hash: "c0ffee".into(),
        fingerprint: "the test's source".into(),
        splits: 1,
        revisions: vec![("c0ffee".into(), 1)],
        ..Facts::default()
    }
}

fn named<T>(parsed: Result<T, String>) -> T {
    parsed.unwrap_or_else(|e| panic!("the name of a test's pipeline {e}"))
}
