//! The files of a round: generated from its seed with every kind of fault, dropped wave by wave, and the pipeline that
//! reads them.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use newlimits::truth::{FileTruth, Ledger, Outcome as Expected};
use newlimits::{DropFolder, Faults, Feed, Request, SameName, World, generate};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::Outcome;
use crate::depth::Depths;
use crate::nights::Nights;
use crate::packing::{self, Spoilt};
use crate::server::{Bucket, Server};
use crate::source::Source;

/// One in so many rounds has files of more than a batch, so that they are committed in pieces.
const LARGE_EVERY: u32 = 14;

/// The same of packed files and of those in a store, of which some are larger than a piece of the decoder then (1 MiB).
const LARGE_ELSEWHERE_EVERY: u32 = 4;

/// Feeds that have few files a night, so that it does not take a million rows to make them large.
const FEW_FILES: [Feed; 2] = [Feed::Prices, Feed::WebOrders];

/// Partitions of the topic.
pub(crate) const PARTITIONS: i32 = 3;

/// Folder of the generated files in that of the round.
const GENERATED: &str = "generated";

/// What happens to a file once its rows are committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Keep,
    Delete,
    MoveTo,
}

/// Where files are delivered to.
enum Place {
    Folder(DropFolder),
    Bucket(Bucket),
}

/// What must come of the files.
pub(crate) enum Truth {
    /// Each adds rows.
    Rows { ledger: Box<Ledger>, feed: Feed, spoilt: Spoilt },
    /// Each is the whole table.
    Nights(Nights),
}

/// Generated files, where they are dropped, and which are still to come.
pub(crate) struct Drops {
    pub(crate) truth: Truth,
    pub(crate) after: After,
    home: PathBuf,
    place: Place,
    is_packed: bool,
    marker: Option<String>,
    waves: VecDeque<VecDeque<FileTruth>>,
    /// Files of this wave that are still to come.
    coming: VecDeque<FileTruth>,
    dropped: Vec<FileTruth>,
}

impl Drops {
    /// Generates the files below `home`. `bucket`: where they go when the source is a store.
    pub(crate) fn generate(home: &Path, source: Source, bucket: Option<Bucket>, rng: &mut StdRng) -> Outcome<Drops> {
        let is_packed = match source {
            Source::Folder => false,
            Source::Packed => true,
            Source::Dump | Source::S3 => rng.random_bool(0.5),
        };
        let (truth, waves) = match source {
            Source::Dump => {
                let (nights, waves) = Nights::generate(home, is_packed, rng)?;
                (Truth::Nights(nights), waves)
            }
            Source::Folder | Source::Packed | Source::S3 => rows(home, source, is_packed, rng)?,
        };
        let marker = rng.random_ratio(1, 3).then(|| ".done".to_owned());
        let place = match bucket {
            Some(bucket) => Place::Bucket(bucket),
            None => Place::Folder(
                DropFolder::new(home.join("drops"), marker.clone(), SameName::Replace).map_err(|e| e.to_string())?,
            ),
        };
        Ok(Drops {
            truth,
            after: [After::Keep, After::Keep, After::Delete, After::MoveTo][rng.random_range(0..4)],
            home: home.to_owned(),
            place,
            is_packed,
            marker,
            waves: waves.into_iter().map(VecDeque::from).collect(),
            coming: VecDeque::new(),
            dropped: Vec::new(),
        })
    }

    /// Writes the pipeline file, and returns its path and the topic's name, which is of the deployment as the pipeline is: a
    /// cluster may have several.
    pub(crate) fn write_pipeline(&self, home: &Path, deployment: &str, pipeline: &str) -> Outcome<(PathBuf, String)> {
        let (mut source, key) = match &self.truth {
            Truth::Rows { ledger, feed, .. } => {
                let feed = &ledger.truth().feeds[feed];
                (feed.source.clone(), json!(feed.key))
            }
            // the key of the table is that of the topic
            Truth::Nights(_) => (Nights::source(), Value::Null),
        };
        if self.is_packed {
            source["match"] = json!(format!("{}*", source["match"].as_str().unwrap_or_default()));
        }
        let (archive, baselines) = match &self.place {
            Place::Folder(_) => {
                (source["url"], source["poll"]) = (json!("file:drops/"), json!("20ms"));
                (json!("file:archive/"), json!("file:baselines/"))
            }
            Place::Bucket(bucket) => {
                (source["url"], source["poll"]) = (json!(bucket.url("in")), json!("50ms"));
                source["store"] = bucket.store();
                (json!(bucket.url("archive")), json!(bucket.url("baselines")))
            }
        };
        if let Truth::Nights(_) = &self.truth {
            source["mode"] = Nights::mode(&baselines);
        }
        source["ready_when"] = match &self.marker {
            Some(suffix) => json!({"marker": suffix}),
            None => json!({"stable_for": "20ms"}),
        };
        source["after"] = match self.after {
            After::Keep => json!("keep"),
            After::Delete => json!("delete"),
            After::MoveTo => json!({"move_to": archive}),
        };
        let topic = format!("{deployment}.{pipeline}.rows");
        let mut sink = json!({"name": topic, "partitions": PARTITIONS, "format": "json"});
        if !key.is_null() {
            sink["key"] = key;
        }
        // YAML has JSON's form among its own
        let file = json!({
            "version": 1,
            "pipeline": pipeline,
            "source": {"csv_drops": source},
            "sink": {"topic": sink},
            "commit": {"every": "50ms", "rows": 500},
        });
        let path = home.join(format!("{pipeline}.yaml"));
        write(&path, &file)?;
        if self.after == After::MoveTo {
            fs::create_dir_all(home.join("archive")).map_err(|e| format!("making the archive: {e}"))?;
        }
        Ok((path, topic))
    }

    /// Begins the next wave: what a job would drop some hours after the one before, which must be done by then because
    /// names come again. False when there is none.
    pub(crate) fn next_wave(&mut self) -> bool {
        assert!(self.coming.is_empty(), "the wave before was not dropped whole");
        match self.waves.pop_front() {
            Some(wave) => {
                self.coming = wave;
                true
            }
            None => false,
        }
    }

    pub(crate) fn waves_left(&self) -> usize {
        self.waves.len()
    }

    pub(crate) fn coming(&self) -> usize {
        self.coming.len()
    }

    /// Drops the next `count` files of the wave, fewer when there are fewer.
    pub(crate) fn drop_files(&mut self, count: usize) -> Outcome<()> {
        for _ in 0..count {
            let Some(file) = self.coming.pop_front() else { break };
            self.put(file)?;
        }
        Ok(())
    }

    /// Drops one file of the wave that has good rows and is not known yet, so that whoever reads it must commit. False when
    /// there is none left.
    pub(crate) fn drop_one_with_rows(&mut self) -> Outcome<bool> {
        let Some(at) = self.coming.iter().position(has_rows) else { return Ok(false) };
        match self.coming.remove(at) {
            Some(file) => self.put(file).map(|()| true),
            None => Ok(false),
        }
    }

    /// How many files are to come that whoever reads them must commit.
    pub(crate) fn coming_with_rows(&self) -> usize {
        self.coming.iter().filter(|file| has_rows(file)).count()
    }

    /// Good rows of the files dropped so far that are whole.
    pub(crate) fn rows_dropped(&self) -> u64 {
        self.dropped.iter().filter(|file| file.outcome == Expected::Loaded).map(|file| file.good).sum()
    }

    /// Whether a file was dropped that must be parked.
    pub(crate) fn any_parked(&self) -> bool {
        self.dropped.iter().any(|file| file.outcome == Expected::Failed)
    }

    /// Rows of the largest file.
    pub(crate) fn most_rows(&self) -> u64 {
        let all = self.waves.iter().flatten().chain(&self.coming).chain(&self.dropped);
        all.map(|file| file.good).max().unwrap_or_default()
    }

    /// Where the rows of large files stand; `None` when there are none.
    pub(crate) fn depths(&self) -> Outcome<Option<Depths>> {
        match &self.truth {
            Truth::Rows { ledger, feed, .. } => Depths::of(ledger, *feed),
            Truth::Nights(_) => Ok(None),
        }
    }

    /// What the files are, for the story of the round.
    pub(crate) fn describe(&self) -> String {
        let form = if self.is_packed { "packed" } else { "plain" };
        let what = match &self.truth {
            Truth::Rows { ledger, feed, spoilt } => format!("{feed:?}, {:?}, {spoilt:?}", ledger.truth().totals),
            Truth::Nights(nights) => nights.to_string(),
        };
        format!("{form}, {what}, after {:?}", self.after)
    }

    /// The server that the files are on, if they are on one.
    pub(crate) fn server(&self) -> Option<&Arc<Server>> {
        self.bucket().map(Bucket::server)
    }

    pub(crate) fn bucket(&self) -> Option<&Bucket> {
        match &self.place {
            Place::Folder(_) => None,
            Place::Bucket(bucket) => Some(bucket),
        }
    }

    fn put(&mut self, file: FileTruth) -> Outcome<()> {
        match &self.place {
            Place::Folder(folder) => {
                folder.drop_file(&self.home, &file).map_err(|e| format!("dropping a file: {e}"))?;
            }
            Place::Bucket(bucket) => {
                bucket.deliver(&self.home.join(&file.path), &file.name, self.marker.as_deref())?;
            }
        }
        self.dropped.push(file);
        Ok(())
    }
}

/// A JSON document as a file.
pub(crate) fn write(path: &Path, document: &Value) -> Outcome<()> {
    fs::write(path, format!("{document:#}\n")).map_err(|e| format!("writing {}: {e}", path.display()))
}

fn has_rows(file: &FileTruth) -> bool {
    file.outcome == Expected::Loaded && file.good > 0
}

/// Files of one night of a feed.
fn rows(home: &Path, source: Source, is_packed: bool, rng: &mut StdRng) -> Outcome<(Truth, Vec<Vec<FileTruth>>)> {
    let (large_every, large) = match source {
        Source::Folder => (LARGE_EVERY, 48.0..56.0),
        _ => (LARGE_ELSEWHERE_EVERY, 50.0..65.0),
    };
    let (feed, scale) = if rng.random_ratio(1, large_every) {
        (FEW_FILES[rng.random_range(0..FEW_FILES.len())], rng.random_range(large))
    } else {
        (Feed::ALL[rng.random_range(0..Feed::ALL.len())], rng.random_range(1.0..5.0))
    };
    let generated = home.join(GENERATED);
    let world = World::new(rng.random(), scale).map_err(|e| e.to_string())?;
    let request = Request { feeds: vec![feed], nights: 1, faults: Faults::All };
    generate(&world, &request, &generated).map_err(|e| format!("generating files: {e}"))?;
    let ledger = Ledger::open(&generated).map_err(|e| e.to_string())?;
    let mut waves = waves(&ledger);
    let spoilt = match is_packed {
        true => packing::pack_all(home, &ledger, &mut waves, rng)?,
        false => Spoilt::default(),
    };
    Ok((Truth::Rows { ledger: Box::new(ledger), feed, spoilt }, waves))
}

/// Deliveries in their order, cut where the round of delivery changes, with paths from the round's folder.
fn waves(ledger: &Ledger) -> Vec<Vec<FileTruth>> {
    let mut waves: Vec<Vec<FileTruth>> = Vec::new();
    let mut round = None;
    for file in &ledger.truth().files {
        if round != Some(&file.round) {
            round = Some(&file.round);
            waves.push(Vec::new());
        }
        if let Some(wave) = waves.last_mut() {
            wave.push(FileTruth { path: format!("{GENERATED}/{}", file.path), ..file.clone() });
        }
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn generated(home: &Path, source: Source, seed: u64) -> Drops {
        Drops::generate(home, source, None, &mut StdRng::seed_from_u64(seed)).unwrap()
    }

    #[test]
    fn every_round_has_two_waves_and_no_name_twice_in_one() {
        for seed in 0..6 {
            let home = tempfile::tempdir().unwrap();
            let source = [Source::Folder, Source::Packed][seed as usize % 2];
            let mut drops = generated(home.path(), source, seed);
            let mut waves = 0;
            while drops.next_wave() {
                let mut names: Vec<String> = drops.coming.iter().map(|file| file.name.clone()).collect();
                names.sort();
                names.dedup();
                assert_eq!(names.len(), drops.coming());
                drops.drop_files(usize::MAX).unwrap();
                waves += 1;
            }
            assert_eq!(waves, 2);
            assert!(drops.any_parked() && drops.rows_dropped() > 0);
            let Truth::Rows { ledger, .. } = &drops.truth else { panic!("not of a ledger") };
            let totals = ledger.truth().totals;
            assert_eq!(drops.rows_dropped(), totals.good);
            assert!(totals.bad > 0 && totals.duplicate > 0, "{totals:?}");
            let packed = fs::read_dir(home.path().join("drops")).unwrap().flatten();
            let packed = packed.filter(|file| file.path().extension().is_some_and(|end| end == "gz" || end == "zst"));
            assert_eq!(packed.count() > 0, source == Source::Packed);
        }
    }

    #[test]
    fn a_pipeline_file_names_everything_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let drops = generated(home.path(), Source::Packed, 9);
        let (path, topic) = drops.write_pipeline(home.path(), "k1", "kill-1").unwrap();
        let file: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(file["pipeline"], "kill-1");
        assert_eq!(file["sink"]["topic"]["name"].as_str(), Some(topic.as_str()));
        let source = &file["source"]["csv_drops"];
        assert!(source["columns"].as_array().is_some_and(|columns| columns.len() > 3));
        assert!(source["match"].as_str().is_some_and(|pattern| pattern.ends_with(".csv*")));
    }
}
