//! Files as senders pack them, and as networks and full disks leave them behind.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use newlimits::truth::{FileTruth, Ledger, Outcome as Expected, Rejection};
use newlimits::{Code, Report};
use rand::Rng;
use rand::rngs::StdRng;

use crate::Outcome;
use crate::figures::Figures;

/// Below the round's folder.
const FOLDER: &str = "packed";

/// What the product says of a file that is cut off in its packing.
const CUT_OFF: [&str; 4] = ["truncated_content", "damaged_content", "trailing_bytes", "compression_mismatch"];

/// Bytes that hold no row yet, in any packing here.
const TOO_FEW: usize = 9;

/// How the files of one name are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Plain,
    Gz,
    Zst,
}

/// What was delivered damaged.
#[derive(Debug, Default)]
pub(crate) struct Spoilt {
    /// Names of files of which nothing can be read, delivered again whole. They are parked, which is one entry each.
    empty: Vec<String>,
    /// A file that the truth has as one that is cut off in its text is cut off in its packing instead: its name in the truth, its
    /// `seq`, and how many of its good rows stand in front of the damage for certain.
    cut: Option<(String, u32, u64)>,
}

/// Packs the files of all waves, each into a file of its own below `home`, and damages some. Paths are relative to `home` then.
pub(crate) fn pack_all(
    home: &Path,
    ledger: &Ledger,
    waves: &mut [Vec<FileTruth>],
    rng: &mut StdRng,
) -> Outcome<Spoilt> {
    fs::create_dir_all(home.join(FOLDER)).map_err(|e| format!("making a folder: {e}"))?;
    let mut spoilt = Spoilt::default();
    let mut packings = BTreeMap::new();
    let again = rng.random_bool(0.5).then(|| deliver_first_damaged(waves)).flatten();
    for (wave, files) in waves.iter_mut().enumerate() {
        for file in files {
            let packing = *packings.entry(file.name.clone()).or_insert_with(|| match rng.random_range(0..8) {
                0 => Packing::Plain,
                1 | 2 => Packing::Zst,
                _ => Packing::Gz,
            });
            let text = fs::read(home.join(&file.path)).map_err(|e| format!("reading {}: {e}", file.path))?;
            let is_damaged_first = wave == 0 && again.as_ref() == Some(&file.name);
            // what is not packed cannot be damaged in its packing: it is cut off in its text, or packed after all
            let packing = if is_damaged_first && packing == Packing::Plain { Packing::Gz } else { packing };
            packings.insert(file.name.clone(), packing);
            let is_cut = file.outcome == Expected::Failed && !is_damaged_first;
            let packed = if is_damaged_first {
                spoilt.empty.push(file.name.clone());
                file.outcome = Expected::Failed;
                packing.with_nothing_in_it(&text, rng)
            } else if is_cut && packing != Packing::Plain && rng.random_bool(0.6) {
                let (packed, whole) = packing.cut_off(&text, rng);
                let packed = packed.map_err(|e| format!("packing {}: {e}", file.name))?;
                spoilt.cut = Some((file.name.clone(), file.seq, rows_before(ledger, file.seq, whole as u64)?));
                Ok(packed)
            } else {
                packing.whole(&text, rng)
            };
            let packed = packed.map_err(|e| format!("packing {}: {e}", file.name))?;
            file.path = format!("{FOLDER}/{wave}-{}-{}", file.seq, file.name);
            file.name.push_str(packing.ending());
            fs::write(home.join(&file.path), packed).map_err(|e| format!("writing {}: {e}", file.path))?;
        }
    }
    Ok(spoilt)
}

/// A file that is packed whole, and what is put behind its name.
pub(crate) fn gz(text: &[u8], rng: &mut StdRng) -> io::Result<(Vec<u8>, &'static str)> {
    Packing::Gz.whole(text, rng).map(|packed| (packed, Packing::Gz.ending()))
}

/// The name that the truth has for a delivered file.
pub(crate) fn name_in_truth(name: &str) -> &str {
    let name = name.strip_suffix(Packing::Gz.ending()).unwrap_or(name);
    name.strip_suffix(Packing::Zst.ending()).unwrap_or(name)
}

/// A file of the first wave comes damaged there, and whole in the last one. Returns its name.
fn deliver_first_damaged(waves: &mut [Vec<FileTruth>]) -> Option<String> {
    let [first, .., last] = waves else { return None };
    let comes_once = |file: &&FileTruth| {
        let is_whole = file.outcome == Expected::Loaded && file.good > 0;
        is_whole && last.iter().all(|other| other.name != file.name)
    };
    let file = first.iter().find(comes_once)?.clone();
    let name = file.name.clone();
    last.push(file);
    Some(name)
}

/// Good rows of a delivery that end in front of a place in its text.
fn rows_before(ledger: &Ledger, seq: u32, place: u64) -> Outcome<u64> {
    let (mut rows, mut last_is_good) = (0, false);
    for line in ledger.lines().map_err(|e| e.to_string())? {
        let line = line.map_err(|e| e.to_string())?;
        if line.file == seq {
            if line.byte > place {
                break;
            }
            rows += u64::from(last_is_good);
            last_is_good = line.value.is_some();
        }
    }
    Ok(rows)
}

impl Packing {
    fn ending(self) -> &'static str {
        match self {
            Packing::Plain => "",
            Packing::Gz => ".gz",
            Packing::Zst => ".zst",
        }
    }

    /// One member, or several put together.
    fn whole(self, text: &[u8], rng: &mut StdRng) -> io::Result<Vec<u8>> {
        let mut cuts: Vec<usize> = (0..[0, 0, 1, 3][rng.random_range(0..4)])
            .map(|_| rng.random_range(0..=text.len()))
            .chain([0, text.len()])
            .collect();
        cuts.sort_unstable();
        let mut packed = Vec::new();
        for part in cuts.windows(2) {
            packed.extend(self.member(&text[part[0]..part[1]], rng)?);
        }
        Ok(packed)
    }

    fn member(self, text: &[u8], rng: &mut StdRng) -> io::Result<Vec<u8>> {
        match self {
            Packing::Plain => Ok(text.to_vec()),
            Packing::Zst => zstd::encode_all(text, rng.random_range(1..4)),
            Packing::Gz => {
                let level = [Compression::none(), Compression::fast(), Compression::default()][rng.random_range(0..3)];
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(text)?;
                encoder.finish()
            }
        }
    }

    /// The end is missing. Also says how much of the text stands in front of the damaged member.
    fn cut_off(self, text: &[u8], rng: &mut StdRng) -> (io::Result<Vec<u8>>, usize) {
        let whole = rng.random_range(0..text.len().max(1));
        let packed = self.member(&text[..whole], rng).and_then(|mut packed| {
            let mut member = self.member(&text[whole..], rng)?;
            member.truncate(rng.random_range(1..member.len().max(2)));
            packed.extend(member);
            Ok(packed)
        });
        (packed, whole)
    }

    fn with_nothing_in_it(self, text: &[u8], rng: &mut StdRng) -> io::Result<Vec<u8>> {
        if rng.random_bool(0.3) {
            return Ok(text.to_vec());
        }
        let mut packed = self.whole(text, rng)?;
        packed.truncate(rng.random_range(1..=TOO_FEW));
        Ok(packed)
    }
}

impl Spoilt {
    /// Makes the entries of damaged files those that the truth knows, and takes out the ones that it cannot know, which are counted.
    pub(crate) fn sort_out(&self, entries: &mut Vec<Rejection>, figures: &mut Figures) {
        for entry in entries.iter_mut().filter(|entry| CUT_OFF.contains(&entry.code.as_str())) {
            if self.cut.as_ref().is_some_and(|(name, ..)| *name == entry.file) {
                (entry.code, entry.byte) = (Code::TruncatedInQuotes.name().to_owned(), None);
            }
        }
        for name in &self.empty {
            let before = entries.len();
            entries.retain(|entry| entry.file != *name || !CUT_OFF.contains(&entry.code.as_str()));
            let found = (before - entries.len()) as u64;
            figures.rows_in += found.max(1);
            figures.missing += u64::from(found == 0);
            figures.doubled += found.saturating_sub(1);
        }
    }

    /// The rows in front of the damage are there: the truth takes any beginning of a file that is cut off.
    pub(crate) fn check(&self, report: &Report, figures: &mut Figures) -> Outcome<()> {
        if let Some((name, seq, least)) = &self.cut {
            let found = report.files.iter().find(|file| file.seq == *seq).map_or(0, |file| file.found);
            if found < *least {
                figures.missing += least - found;
                return Err(format!(
                    "of {name}, which is cut off, {found} rows came, and {least} are in front of that"
                ));
            }
        }
        if figures.missing + figures.doubled > 0 {
            return Err(format!(
                "files of which nothing can be read were not parked just once: {:?}\n{report}",
                self.empty
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use std::io::Read;

    #[test]
    fn what_is_packed_is_the_same_text_and_what_is_cut_off_is_not() {
        let text: Vec<u8> = (0..5_000).flat_map(|n| format!("{n};row\n").into_bytes()).collect();
        let unpack = |packing: Packing, mut packed: &[u8]| {
            let mut found = Vec::new();
            let end = match packing {
                Packing::Plain => packed.read_to_end(&mut found).map(drop),
                Packing::Gz => flate2::read::MultiGzDecoder::new(packed).read_to_end(&mut found).map(drop),
                Packing::Zst => zstd::stream::copy_decode(packed, &mut found),
            };
            (end.is_ok(), found)
        };
        let rng = &mut StdRng::seed_from_u64(5);
        for packing in [Packing::Plain, Packing::Gz, Packing::Zst].into_iter().cycle().take(60) {
            assert_eq!(unpack(packing, &packing.whole(&text, rng).unwrap()), (true, text.clone()));
            if packing != Packing::Plain {
                let (packed, whole) = packing.cut_off(&text, rng);
                let (_, found) = unpack(packing, &packed.unwrap());
                assert!(found.len() >= whole && text.starts_with(&found), "{packing:?}");
            }
        }
        assert_eq!(name_in_truth("a.csv.gz"), "a.csv");
    }
}
