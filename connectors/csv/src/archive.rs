//! Names of released files. They say who moved a file and what was in it, so that nothing is overwritten and so that a file
//! that was moved but is not in the ledger can be found.

use std::collections::HashSet;
use std::path::Path;
use unbatch_api::{Error, Result, SourceContext};

/// Hex digits of the digest that a name carries.
const DIGEST_DIGITS: usize = 16;

/// Who releases: deployment, pipeline, split and generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    who: String,
    generation: u64,
}

/// What an archive name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The name that the file was delivered under.
    pub name: String,
    pub generation: u64,
    /// The first digits of its digest.
    pub digest: String,
}

impl Mark {
    pub fn new(cx: &SourceContext) -> Self {
        let who = format!("{}.{}.{}", cx.place.deployment, cx.place.split.pipeline, cx.place.split.index);
        Self { who, generation: cx.generation }
    }

    /// `stock.csv` becomes `stock~shop.stock-counts.0-1-9f86d081884c7d65.csv`.
    pub fn archive_name(&self, name: &str, digest: &str) -> String {
        let (stem, extension) = split_extension(name);
        let digits = &digest[..DIGEST_DIGITS.min(digest.len())];
        format!("{stem}~{}-{}-{digits}{extension}", self.who, self.generation)
    }

    /// The hidden name in the same folder that a file has while it is being released.
    pub fn private_name(&self, name: &str, digest: &str) -> String {
        format!(".{}", self.archive_name(name, digest))
    }

    /// The parts of a name that this pipeline's split gave, in any generation.
    pub fn parse(&self, name: &str) -> Option<Parsed> {
        let (stem, rest) = name.rsplit_once(&format!("~{}-", self.who))?;
        let (mark, extension) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
        let (generation, digest) = mark.split_once('-')?;
        let is_digest = digest.len() == DIGEST_DIGITS && digest.bytes().all(|b| b.is_ascii_hexdigit());
        let generation = generation.parse().ok().filter(|_| is_digest)?;
        Some(Parsed { name: format!("{stem}{extension}"), generation, digest: digest.into() })
    }

    /// Delivery F3: a file that this generation archived is in the ledger, since it is moved only after the commit. One that is
    /// not means that the sink has lost commits.
    pub fn check_archive(&self, archive: &Path, known: &HashSet<&str>) -> Result<()> {
        let entries = match std::fs::read_dir(archive) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(crate::folder::file_error("listing the archive failed", archive, e)),
        };
        for entry in entries.flatten() {
            if let Ok(name) = entry.file_name().into_string() {
                self.check_known(&name, archive, known)?;
            }
        }
        Ok(())
    }

    /// The same for one name.
    pub fn check_known(&self, name: &str, folder: &Path, known: &HashSet<&str>) -> Result<()> {
        let Some(parsed) = self.parse(name.trim_start_matches('.')) else { return Ok(()) };
        let is_known = parsed.generation != self.generation || known.contains(parsed.digest.as_str());
        if is_known || unbatch_api::failpoint::sabotaged("F3") {
            return Ok(());
        }
        Err(Error::lost(
            "comparing the archive with the ledger failed: a file was archived that is not recorded as done",
        )
        .code("U0223")
        .with("file", folder.join(name).display())
        .help(
            "the sink has lost commits (restored from a backup, failed over?): restore it, or move the archived files \
                 back under their old names so that they are read again, or `unbatch offsets reset`",
        ))
    }
}

/// The digits of a digest that names carry.
pub fn digits(digest: &str) -> &str {
    &digest[..DIGEST_DIGITS.min(digest.len())]
}

fn split_extension(name: &str) -> (&str, &str) {
    match name.find('.') {
        Some(at) if at > 0 => name.split_at(at),
        _ => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let mark = Mark { who: "shop.stock-counts.0".into(), generation: 3 };
        let digest = "9f86d081884c7d659a2feaa0c55ad015";
        for name in ["stock.csv", "a~b.csv.gz", "plain", "x.2026-01-01.csv", "y.c~v"] {
            let archived = mark.archive_name(name, digest);
            let parsed = mark.parse(&archived).unwrap();
            assert_eq!((parsed.name.as_str(), parsed.generation), (name, 3), "{archived}");
            assert_eq!(parsed.digest, digits(digest));
        }
        assert_eq!(mark.archive_name("stock.csv", digest), "stock~shop.stock-counts.0-3-9f86d081884c7d65.csv");
        for foreign in ["stock.csv", "stock~shop.other.0-3-9f86d081884c7d65.csv", "stock~shop.stock-counts.0-3-zz.csv"]
        {
            assert!(mark.parse(foreign).is_none(), "{foreign}");
        }
    }
}
