//! The node `till_rolls:` of a pipeline file.

use schemars::JsonSchema;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use unbatch_api::config::Period;

/// Reads the journals of tills while they are written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TillRollsConfig {
    /// Folder of the journals; relative to the pipeline's file. Finished journals go to `archive` in it.
    pub folder: PathBuf,
    /// How often the folder is looked at for more.
    #[serde(default = "each_second")]
    pub poll: Period,
}

fn each_second() -> Period {
    Period(Duration::from_secs(1))
}

impl TillRollsConfig {
    pub(crate) fn folder(&self, base: &Path) -> PathBuf {
        base.join(&self.folder)
    }
}

/// Where finished journals go, under the folder.
pub(crate) const ARCHIVE: &str = "archive";

/// How the name of a journal ends.
pub(crate) const JOURNAL: &str = ".jsonl";
