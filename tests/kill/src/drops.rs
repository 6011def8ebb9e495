//! The files of a round: generated from its seed with every kind of fault, dropped wave by wave, and the pipeline that
//! reads them.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use newlimits::truth::{FileTruth, Ledger, Outcome as Expected};
use newlimits::{DropFolder, Faults, Feed, Request, SameName, World, generate};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::Outcome;

/// One in so many rounds has files of more than a batch, so that they are committed in pieces.
const LARGE_EVERY: u32 = 14;

/// Feeds that have few files a night, so that it does not take a million rows to make them large.
const FEW_FILES: [Feed; 2] = [Feed::Prices, Feed::WebOrders];

/// Partitions of the topic.
pub(crate) const PARTITIONS: i32 = 3;

/// What happens to a file once its rows are committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Keep,
    Delete,
    MoveTo,
}

/// Generated files, the folder they are dropped into, and which are still to come.
pub(crate) struct Drops {
    pub(crate) ledger: Ledger,
    pub(crate) feed: Feed,
    pub(crate) after: After,
    generated: PathBuf,
    folder: DropFolder,
    marker: Option<String>,
    waves: VecDeque<VecDeque<FileTruth>>,
    /// Files of this wave that are still to come.
    coming: VecDeque<FileTruth>,
    dropped: Vec<FileTruth>,
}

impl Drops {
    /// Generates the files of one night below `home`.
    pub(crate) fn generate(home: &Path, rng: &mut StdRng) -> Outcome<Drops> {
        let (feed, scale) = if rng.random_ratio(1, LARGE_EVERY) {
            (FEW_FILES[rng.random_range(0..FEW_FILES.len())], rng.random_range(48.0..56.0))
        } else {
            (Feed::ALL[rng.random_range(0..Feed::ALL.len())], rng.random_range(1.0..5.0))
        };
        let generated = home.join("generated");
        let world = World::new(rng.random(), scale).map_err(|e| e.to_string())?;
        let request = Request { feeds: vec![feed], nights: 1, faults: Faults::All };
        generate(&world, &request, &generated).map_err(|e| format!("generating files: {e}"))?;
        let ledger = Ledger::open(&generated).map_err(|e| e.to_string())?;
        let marker = rng.random_ratio(1, 3).then(|| ".done".to_owned());
        let folder =
            DropFolder::new(home.join("drops"), marker.clone(), SameName::Replace).map_err(|e| e.to_string())?;
        let after = [After::Keep, After::Keep, After::Delete, After::MoveTo][rng.random_range(0..4)];
        let waves = waves(&ledger);
        Ok(Drops {
            ledger,
            feed,
            after,
            generated,
            folder,
            marker,
            waves,
            coming: VecDeque::new(),
            dropped: Vec::new(),
        })
    }

    /// Writes the pipeline file, and returns its path and the topic's name, which is of the deployment as the pipeline is: a
    /// cluster may have several.
    pub(crate) fn write_pipeline(&self, home: &Path, deployment: &str, pipeline: &str) -> Outcome<(PathBuf, String)> {
        let feed = &self.ledger.truth().feeds[&self.feed];
        let mut source = feed.source.clone();
        source["url"] = json!("file:drops/");
        source["poll"] = json!("20ms");
        source["ready_when"] = match &self.marker {
            Some(suffix) => json!({"marker": suffix}),
            None => json!({"stable_for": "20ms"}),
        };
        source["after"] = match self.after {
            After::Keep => json!("keep"),
            After::Delete => json!("delete"),
            After::MoveTo => json!({"move_to": "file:archive/"}),
        };
        let topic = format!("{deployment}.{pipeline}.rows");
        // YAML has JSON's form among its own
        let file = json!({
            "version": 1,
            "pipeline": pipeline,
            "source": {"csv_drops": source},
            "sink": {"topic": {"name": topic, "key": feed.key, "partitions": PARTITIONS, "format": "json"}},
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

    fn put(&mut self, file: FileTruth) -> Outcome<()> {
        self.folder.drop_file(&self.generated, &file).map_err(|e| format!("dropping a file: {e}"))?;
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

/// Deliveries in their order, cut where the round of delivery changes.
fn waves(ledger: &Ledger) -> VecDeque<VecDeque<FileTruth>> {
    let mut waves: VecDeque<VecDeque<FileTruth>> = VecDeque::new();
    let mut round = None;
    for file in &ledger.truth().files {
        if round != Some(&file.round) {
            round = Some(&file.round);
            waves.push_back(VecDeque::new());
        }
        if let Some(wave) = waves.back_mut() {
            wave.push_back(file.clone());
        }
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn every_round_has_two_waves_and_no_name_twice_in_one() {
        for seed in 0..3 {
            let home = tempfile::tempdir().unwrap();
            let mut drops = Drops::generate(home.path(), &mut StdRng::seed_from_u64(seed)).unwrap();
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
            let totals = drops.ledger.truth().totals;
            assert_eq!(drops.rows_dropped(), totals.good);
            assert!(totals.bad > 0 && totals.duplicate > 0, "{totals:?}");
        }
    }

    #[test]
    fn a_pipeline_file_names_everything_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let drops = Drops::generate(home.path(), &mut StdRng::seed_from_u64(9)).unwrap();
        let (path, topic) = drops.write_pipeline(home.path(), "k1", "kill-1").unwrap();
        let file: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(file["pipeline"], "kill-1");
        assert_eq!(file["sink"]["topic"]["name"].as_str(), Some(topic.as_str()));
        assert!(file["source"]["csv_drops"]["columns"].as_array().is_some_and(|columns| columns.len() > 3));
    }
}
