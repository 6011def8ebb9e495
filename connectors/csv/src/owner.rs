//! Two pipelines over the same files, where one of them takes files away, would each miss some. So who deletes or moves leaves
//! a marker in the folder, `.unbatch-owner-<deployment>.<pipeline>`, and everyone looks for markers of others.

use crate::config::{After, CsvDropsConfig};
use crate::folder::{Listing, OWNER_PREFIX, matcher};
use serde::{Deserialize, Serialize};
use unbatch_api::{CheckContext, Error, Result};
use unbatch_object_files::{Store, read_small};

/// A marker is a line of text; what is larger is none of ours.
const MARKER_BYTES_MAX: usize = 64 << 10;

/// Says whose files these are. Version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    v: u32,
    pub deployment: String,
    pub pipeline: String,
    #[serde(rename = "match")]
    pub pattern: String,
}

impl Owner {
    pub fn new(config: &CsvDropsConfig, place: &CheckContext) -> Self {
        Self {
            v: 1,
            deployment: place.deployment.to_string(),
            pipeline: place.split.pipeline.to_string(),
            pattern: config.pattern.clone(),
        }
    }

    fn marker(&self) -> String {
        format!("{OWNER_PREFIX}{}.{}", self.deployment, self.pipeline)
    }

    /// Leaves our marker when `after` takes files away, and removes it when it no longer does.
    pub fn claim(&self, store: &dyn Store, listing: &Listing, after: &After) -> Result<()> {
        let marker = self.marker();
        if *after == After::Keep {
            // a folder that may only be read has no marker of ours, and who may not look at what is not there need not
            if listing.hidden.contains(&marker)
                && let Some(stat) = store.head(&marker)?
            {
                store.delete(&marker, &stat)?;
            }
            return Ok(());
        }
        let text = serde_json::to_vec(self).map_err(|e| Error::bug("encoding the owner marker failed").caused_by(e))?;
        if read_small(store, &marker, MARKER_BYTES_MAX).is_ok_and(|there| there.is_some_and(|there| there == text)) {
            return Ok(());
        }
        // whole or not at all, since others may read it at any time
        store.put(&marker, text.into())
    }

    /// Refuses to go on when another pipeline takes away files that we read too.
    pub fn check_others(&self, store: &dyn Store, listing: &Listing) -> Result<()> {
        for name in listing.hidden.iter().filter(|n| n.starts_with(OWNER_PREFIX) && !n.ends_with('~')) {
            if *name == self.marker() {
                continue;
            }
            let at = format!("{name} in {}", store.location());
            // one that went away, or that we may not read, is looked at again with the next listing
            let Ok(Some(text)) = read_small(store, name, MARKER_BYTES_MAX) else { continue };
            let other: Owner = serde_json::from_slice(&text).map_err(|e| unreadable(&at).caused_by(e))?;
            let theirs = matcher(&other.pattern)?;
            let both = listing.data_names.iter().find(|file| theirs.is_match(file.as_str()));
            if other.pattern == self.pattern || both.is_some() {
                return Err(conflict(&other, both, &at));
            }
        }
        Ok(())
    }
}

fn conflict(other: &Owner, both: Option<&String>, marker: &str) -> Error {
    let error = Error::misconfigured("claiming the files of the folder failed: another pipeline takes them away")
        .code("U0216")
        .with("deployment", &other.deployment)
        .with("pipeline", &other.pipeline)
        .with("marker", marker);
    let error = match both {
        Some(file) => error.with("file", file),
        None => error,
    };
    error.help(
        "give one of the two another folder or `match`, or set `after: keep` in the other one; \
         if that pipeline is gone for good, remove the marker file",
    )
}

fn unreadable(marker: &str) -> Error {
    Error::misconfigured("reading an owner marker failed")
        .code("U0216")
        .with("marker", marker)
        .help("if no pipeline uses it, remove the file")
}
