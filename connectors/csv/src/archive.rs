//! Names of released files. They say who moved a file and what was in it, so that nothing is overwritten and so that a file
//! that was moved but is not in the ledger can be found.

use crate::digest::id_of;
use std::collections::HashSet;
use unbatch_api::{Error, Result, SourceContext};
use unbatch_object_files::Store;

/// Longest file name of the usual file systems, in bytes.
const NAME_BYTES_MAX: usize = 255;
/// Longest ending that a shortened name keeps.
const EXTENSION_BYTES_MAX: usize = 16;
/// Between the beginning of a name that was too long and its hash.
const SHORTENED: &str = "~~";
/// Hex digits of the digest that a name carries.
const DIGEST_DIGITS: usize = 16;

/// Who releases: deployment, pipeline, split and generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    who: String,
    generation: u64,
    /// How long a name may be, so that a dot in front and the ending of a marker behind it still fit.
    room: usize,
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
    /// `marker` is the ending of marker files.
    pub fn new(cx: &SourceContext, marker: Option<&str>) -> Self {
        let who = format!("{}.{}.{}", cx.place.deployment, cx.place.split.pipeline, cx.place.split.index);
        let room = (NAME_BYTES_MAX - 1).saturating_sub(marker.map_or(0, str::len));
        Self { who, generation: cx.generation, room }
    }

    pub fn who(&self) -> &str {
        &self.who
    }

    /// `stock.csv` becomes `stock~shop.stock-counts.0-1-9f86d081884c7d65.csv`. Of a name that would be too long only the
    /// beginning stays, and its hash.
    pub fn archive_name(&self, name: &str, digest: &str) -> String {
        self.name_in(self.generation, name, digest)
    }

    fn name_in(&self, generation: u64, name: &str, digest: &str) -> String {
        let (stem, extension) = split_extension(name);
        let mark = format!("~{}-{generation}-{}", self.who, digits(digest));
        let whole = format!("{stem}{mark}{extension}");
        if whole.len() <= self.room {
            return whole;
        }
        let extension = name.rfind('.').map_or("", |at| &name[at..]);
        let extension = if extension.len() <= EXTENSION_BYTES_MAX { extension } else { "" };
        let hash = id_of(&[name.as_bytes()], DIGEST_DIGITS);
        self.fitted(name, &format!("{SHORTENED}{hash}{mark}{extension}"))
    }

    /// As much of `stem` as fits, and all of `rest`.
    pub fn fitted(&self, stem: &str, rest: &str) -> String {
        let room = self.room.saturating_sub(rest.len());
        let stem = &stem[..stem.floor_char_boundary(room.min(stem.len()))];
        format!("{stem}{rest}")
    }

    /// Whether a name that this pipeline's split gave is of the file of this path and digest.
    pub fn is_of(&self, given: &str, parsed: &Parsed, path: &str, digest: &str) -> bool {
        let is_by_name = parsed.name == path && parsed.digest == digits(digest);
        is_by_name || parsed.is_shortened() && self.name_in(parsed.generation, path, digest) == given
    }

    /// The hidden name in the same folder that a file has while it is being released.
    pub fn private_name(&self, name: &str, digest: &str) -> String {
        format!(".{}", self.archive_name(name, digest))
    }

    /// How the drafts of this split's copies begin, in the archive.
    pub fn draft_prefix(&self) -> String {
        format!(".unbatch-draft.{}.", self.who)
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
    pub fn check_archive(&self, archive: &dyn Store, known: &HashSet<&str>) -> Result<()> {
        if !archive.is_there()? {
            return Ok(());
        }
        let mut pages = archive.list(None, &|_| false)?;
        while let Some(page) = pages.next_page()? {
            for file in &page.files {
                self.check_known(&file.name, archive, known)?;
            }
        }
        Ok(())
    }

    /// The same for one name.
    pub fn check_known(&self, name: &str, store: &dyn Store, known: &HashSet<&str>) -> Result<()> {
        let Some(parsed) = self.parse(name.trim_start_matches('.')) else { return Ok(()) };
        let is_known = parsed.generation != self.generation || known.contains(parsed.digest.as_str());
        if is_known || unbatch_api::failpoint::sabotaged("F3") {
            return Ok(());
        }
        Err(Error::lost(
            "comparing the archive with the ledger failed: a file was archived that is not recorded as done",
        )
        .code("U0223")
        .with("file", name)
        .with("folder", store.location())
        .help(
            "the sink has lost commits (restored from a backup, failed over?): restore it, or move the archived files \
                 back under their old names so that they are read again, or `unbatch offsets reset`",
        ))
    }
}

impl Parsed {
    /// Whether the name may be only the beginning of the one under which the file was delivered.
    pub fn is_shortened(&self) -> bool {
        self.name.contains(SHORTENED)
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
        let mark = Mark { who: "shop.stock-counts.0".into(), generation: 3, room: 249 };
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

    #[test]
    fn long_names_fit_and_lead_back_to_their_file() {
        let mark = Mark { who: "shop.stock-counts.0".into(), generation: 3, room: 249 };
        let digest = "9f86d081884c7d659a2feaa0c55ad015";
        let long =
            ["é".repeat(120) + ".csv", "a".repeat(255), format!("x.{}", "y".repeat(253)), "b".repeat(251) + ".csv"];
        for name in &long {
            let given = mark.archive_name(name, digest);
            assert!(given.len() <= 249, "{given}");
            let parsed = mark.parse(&given).unwrap();
            assert!(mark.is_of(&given, &parsed, name, digest), "{given}");
            assert_eq!(long.iter().filter(|other| mark.is_of(&given, &parsed, other, digest)).count(), 1, "{given}");
        }
    }
}
