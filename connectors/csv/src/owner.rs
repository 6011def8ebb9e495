//! Two pipelines over the same files, where one of them takes files away, would each miss some. So who deletes or moves leaves
//! a marker in the folder, `.unbatch-owner-<deployment>.<pipeline>`, and everyone looks for markers of others.

use crate::config::{After, CsvDropsConfig};
use crate::folder::{Listing, OWNER_PREFIX, file_error, matcher};
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Write};
use std::path::Path;
use unbatch_api::{CheckContext, Error, Result};

/// Says whose files these are. Version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    v: u32,
    pub deployment: String,
    pub pipeline: String,
    #[serde(rename = "match")]
    pub pattern: String,
    /// Splits of a pipeline share the marker, but not the draft of it.
    #[serde(skip)]
    split: String,
}

impl Owner {
    pub fn new(config: &CsvDropsConfig, place: &CheckContext) -> Self {
        Self {
            v: 1,
            deployment: place.deployment.to_string(),
            pipeline: place.split.pipeline.to_string(),
            pattern: config.pattern.clone(),
            split: place.split.index.to_string(),
        }
    }

    fn marker(&self) -> String {
        format!("{OWNER_PREFIX}{}.{}", self.deployment, self.pipeline)
    }

    /// Leaves our marker when `after` takes files away, and removes it when it no longer does.
    pub fn claim(&self, folder: &Path, after: &After) -> Result<()> {
        let path = folder.join(self.marker());
        if *after == After::Keep {
            // a folder that may only be read has no marker of ours
            return match std::fs::remove_file(&path) {
                Err(e) if e.kind() != ErrorKind::NotFound && path.exists() => {
                    Err(file_error("removing our owner marker failed", &path, e))
                }
                _ => Ok(()),
            };
        }
        let text = serde_json::to_vec(self).map_err(|e| Error::bug("encoding the owner marker failed").caused_by(e))?;
        if std::fs::read(&path).is_ok_and(|there| there == text) {
            return Ok(());
        }
        // whole or not at all, since others may read it at any time
        let draft = folder.join(format!("{}.{}.{}~", self.marker(), self.split, std::process::id()));
        let written = std::fs::File::create(&draft)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&draft, &path));
        written.map_err(|e| file_error("writing our owner marker failed", &path, e))
    }

    /// Refuses to go on when another pipeline takes away files that we read too.
    pub fn check_others(&self, folder: &Path, listing: &Listing) -> Result<()> {
        for name in listing.hidden.iter().filter(|n| n.starts_with(OWNER_PREFIX) && !n.ends_with('~')) {
            if *name == self.marker() {
                continue;
            }
            let path = folder.join(name);
            let Ok(text) = std::fs::read(&path) else { continue };
            let other: Owner = serde_json::from_slice(&text).map_err(|e| unreadable(&path).caused_by(e))?;
            let theirs = matcher(&other.pattern)?;
            let both = listing.data_names.iter().find(|file| theirs.is_match(file.as_str()));
            if other.pattern == self.pattern || both.is_some() {
                return Err(conflict(&other, both, &path));
            }
        }
        Ok(())
    }
}

fn conflict(other: &Owner, both: Option<&String>, marker: &Path) -> Error {
    let error = Error::misconfigured("claiming the files of the folder failed: another pipeline takes them away")
        .code("U0216")
        .with("deployment", &other.deployment)
        .with("pipeline", &other.pipeline)
        .with("marker", marker.display());
    let error = match both {
        Some(file) => error.with("file", file),
        None => error,
    };
    error.help(
        "give one of the two another folder or `match`, or set `after: keep` in the other one; \
         if that pipeline is gone for good, remove the marker file",
    )
}

fn unreadable(path: &Path) -> Error {
    Error::misconfigured("reading an owner marker failed")
        .code("U0216")
        .with("marker", path.display())
        .help("if no pipeline uses it, remove the file")
}
