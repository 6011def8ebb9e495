//! What a sink keeps beside the checkpoint, in the same atomic step.

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// Configurations whose revision is remembered; see [`Facts::revisions`].
pub const REVISIONS_MAX: usize = 16;

/// Identity and history of a split. The engine decides about configuration (see [`Admit`]); the sink owns `owner`, `seq`
/// and `counters`: it raises `owner` at each open, `seq` at each seal, and adds each receipt to the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Rises with each reset, recreate or jump.
    pub generation: u64,
    /// Rises with each open of the split; a writer with a lower one is fenced.
    pub owner: u64,
    /// Number of the last committed epoch; goes on over reopens.
    pub seq: u64,
    /// Revision of the configuration that wrote last.
    pub revision: u64,
    pub config_hash: String,
    /// What "the same source" means, as the source connector says.
    pub fingerprint: String,
    /// Number of splits, decided at the pipeline's first start.
    pub splits: u32,
    #[serde(default)]
    pub counters: Counters,
    /// The last [`REVISIONS_MAX`] configurations as (hash, revision), oldest first.
    #[serde(default)]
    pub revisions: Vec<(String, u64)>,
    /// The pipeline that adopted this state under a new name; it goes on there, not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
}

/// Totals since the generation began, in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub written: u64,
    pub rejected: u64,
    pub ignored: u64,
}

/// What is stored of a split, read without fencing anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub facts: Facts,
    pub checkpoint: Checkpoint,
    /// Everything was forgotten on command; only the numbers that must keep rising are left.
    pub forgotten: bool,
}

/// The engine's judgement of what is stored (`None`: first start, or everything was forgotten). It returns the facts that the
/// new owner writes, or the error for which the split does not open; then nothing is written.
pub type Admit = Box<dyn FnOnce(Option<&Stored>) -> Result<Facts> + Send>;

/// What is to stand after a rewrite, made of what is stored once every earlier owner is fenced (`None`: nothing yet). It
/// returns the new checkpoint, or `None` to forget everything, or the error for which nothing is written.
pub type Rewrite = Box<dyn FnOnce(Option<&Stored>) -> Result<Option<Checkpoint>> + Send>;
