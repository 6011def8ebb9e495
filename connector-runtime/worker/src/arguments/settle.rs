//! What `unbatch quarantine settle` is given.

use super::Pipeline;
use clap::Args;

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "code"]))]
pub(crate) struct Settle {
    #[command(flatten)]
    pub(crate) pipeline: Pipeline,
    /// Only these, as `list` shows them; their beginning is enough
    #[arg(long, value_name = "ID,…", value_delimiter = ',')]
    pub(crate) ids: Vec<String>,
    /// Only entries refused for this reason
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// Why, in a few words that `list --all` shows
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Show what would be settled and change nothing
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    #[arg(long)]
    pub(crate) yes: bool,
}
