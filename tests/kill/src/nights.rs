//! Full dumps of a table that changes from night to night, and what must come of them: each change once, in the order of the nights.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use newlimits::Feed;
use newlimits::truth::{FileTruth, Outcome as Expected};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::{Value, json};
use unbatch_test_harness::Record as Read;

use crate::Outcome;
use crate::figures::Figures;
use crate::packing;

/// Below the round's folder.
const FOLDER: &str = "nights";

/// What a file is called with its night's number in it, so that names stand in the order of the nights.
const NAMES: &str = "products_*.csv";

/// The code of a row whose price is none.
const REFUSED: &str = "bad_int";

/// The value of a row, or that it is gone.
type Told = Option<Value>;

/// The true change log of all nights, and the rows that are refused.
pub(crate) struct Nights {
    changes: BTreeMap<String, Vec<Told>>,
    refused: BTreeSet<(String, u64)>,
}

impl Nights {
    /// Draws a table and its nights, and writes the file of each below `home`, packed in some rounds. Returns them cut into waves.
    pub(crate) fn generate(home: &Path, is_packed: bool, rng: &mut StdRng) -> Outcome<(Nights, Vec<Vec<FileTruth>>)> {
        fs::create_dir_all(home.join(FOLDER)).map_err(|e| format!("making a folder: {e}"))?;
        let mut nights = Nights { changes: BTreeMap::new(), refused: BTreeSet::new() };
        let mut table: BTreeMap<String, i64> = BTreeMap::new();
        let rows = [40, 400, 3_000][rng.random_range(0..3)];
        let waves = rng.random_range(2..=3);
        let mut waves: Vec<Vec<FileTruth>> = (0..waves).map(|_| Vec::new()).collect();
        let mut seq = 0;
        for wave in &mut waves {
            for _ in 0..rng.random_range(2..=4) {
                let changes = if table.is_empty() { fill(&mut table, rows, rng) } else { change(&mut table, rng) };
                let mut file = FileTruth {
                    seq,
                    // of which feed it is does not matter; it is of none
                    feed: Feed::Prices,
                    round: "night".to_owned(),
                    name: NAMES.replace('*', &format!("{seq:03}")),
                    path: format!("{FOLDER}/{seq:03}"),
                    bytes: 0,
                    sha256: String::new(),
                    outcome: Expected::Loaded,
                    reason: None,
                    good: changes.len() as u64,
                    bad: 0,
                    same_as: None,
                    replaces: None,
                    late: false,
                };
                let text = nights.text(&table, &mut file, rng);
                for (key, told) in changes {
                    nights.changes.entry(key).or_default().push(told);
                }
                let (content, ending) = match is_packed {
                    true => packing::gz(text.as_bytes(), rng).map_err(|e| format!("packing {}: {e}", file.name))?,
                    false => (text.into_bytes(), ""),
                };
                (file.bytes, file.name) = (content.len() as u64, format!("{}{ending}", file.name));
                fs::write(home.join(&file.path), content).map_err(|e| format!("writing {}: {e}", file.path))?;
                wave.push(file);
                seq += 1;
            }
        }
        Ok((nights, waves))
    }

    /// The source of the pipeline, without its place.
    pub(crate) fn source() -> Value {
        let columns = json!([{"name": "sku", "type": "string"}, {"name": "price", "type": "int64"}]);
        json!({"match": NAMES, "columns": columns})
    }

    /// Its mode. A table of few rows may lose many of them in a night.
    pub(crate) fn mode(baseline: &Value) -> Value {
        json!({"full_dump": {"key": ["sku"], "baseline": baseline, "deletes_max": "60%", "spill": "spill"}})
    }

    /// The rows of a night in any order, and some that are refused: of keys that nobody knows.
    fn text(&mut self, table: &BTreeMap<String, i64>, file: &mut FileTruth, rng: &mut StdRng) -> String {
        let mut rows: Vec<String> = table.iter().map(|(key, price)| format!("{key},{price}")).collect();
        file.bad = rng.random_range(0..4);
        rows.extend((0..file.bad).map(|n| format!("refused-{n},on request")));
        rows.shuffle(rng);
        for (at, row) in rows.iter().enumerate() {
            if row.starts_with("refused") {
                self.refused.insert((file.name.clone(), at as u64 + 2));
            }
        }
        format!("sku,price\n{}\n", rows.join("\n"))
    }

    /// Holds what is in topic and quarantine against the change log, key by key.
    pub(crate) fn judge(&self, records: &[Read], entries: &[&Read], figures: &mut Figures) -> Outcome<()> {
        let mut found: BTreeMap<String, Vec<Told>> = BTreeMap::new();
        for record in records {
            let key: Value = serde_json::from_slice(record.key.as_deref().unwrap_or_default())
                .map_err(|e| format!("the key of a record at offset {}: {e}", record.offset))?;
            let told = record.value.as_deref().map(serde_json::from_slice).transpose();
            let told = told.map_err(|e| format!("the value of a record at offset {}: {e}", record.offset))?;
            found.entry(key["sku"].as_str().unwrap_or_default().to_owned()).or_default().push(told);
        }
        figures.rows_in =
            self.changes.values().map(|changes| changes.len() as u64).sum::<u64>() + self.refused.len() as u64;
        let mut first = None;
        let keys: BTreeSet<&String> = self.changes.keys().chain(found.keys()).collect();
        for key in keys {
            let (wanted, found) = (self.changes.get(key), found.get(key));
            let (wanted, found) = (wanted.map_or(&[][..], |all| all), found.map_or(&[][..], |all| all));
            if wanted != found {
                compare(wanted, found, figures);
                first.get_or_insert_with(|| format!("{key} should be told {wanted:?}, and was told {found:?}"));
            }
        }
        let mut missing = self.refused.clone();
        for entry in entries {
            let entry: Value = serde_json::from_slice(entry.value.as_deref().unwrap_or_default()).unwrap_or_default();
            let origin = &entry["origin"];
            let row = (
                packing::name_in_truth(origin["file"].as_str().unwrap_or_default()),
                origin["line"].as_u64().unwrap_or_default(),
            );
            let is_known = self.refused.iter().any(|(file, line)| (packing::name_in_truth(file), *line) == row);
            let was_missing = missing.len();
            missing.retain(|(file, line)| (packing::name_in_truth(file), *line) != row);
            let is_wrong = !is_known || entry["code"] != REFUSED;
            figures.wrong += u64::from(is_wrong);
            figures.doubled += u64::from(!is_wrong && missing.len() == was_missing);
            if is_wrong || missing.len() == was_missing {
                first.get_or_insert_with(|| format!("an entry that should not be there: {entry}"));
            }
        }
        figures.missing += missing.len() as u64;
        match first {
            Some(first) => Err(format!("topic and quarantine differ from the change log: {first}; {figures}")),
            None if !missing.is_empty() => Err(format!("no entries of {missing:?}")),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Nights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes: usize = self.changes.values().map(Vec::len).sum();
        write!(f, "{changes} changes of {} keys, {} rows refused", self.changes.len(), self.refused.len())
    }
}

/// Counts how two histories of one key differ.
fn compare(wanted: &[Told], found: &[Told], figures: &mut Figures) {
    let mut left: Vec<&Told> = found.iter().collect();
    let mut missing = 0;
    for told in wanted {
        match left.iter().position(|other| *other == told) {
            Some(at) => drop(left.remove(at)),
            None => missing += 1,
        }
    }
    let doubled = left.iter().filter(|told| wanted.contains(told)).count();
    figures.missing += missing;
    figures.doubled += doubled as u64;
    figures.wrong += (left.len() - doubled) as u64 + u64::from(missing == 0 && left.is_empty());
}

fn row(key: &str, price: i64) -> Told {
    Some(json!({"sku": key, "price": price}))
}

fn fill(table: &mut BTreeMap<String, i64>, rows: usize, rng: &mut StdRng) -> Vec<(String, Told)> {
    for n in 0..rows {
        table.insert(format!("NL-{n:05}"), rng.random_range(0..1_000));
    }
    table.iter().map(|(key, price)| (key.clone(), row(key, *price))).collect()
}

/// Changes some rows, takes some away and adds some: at least one, so that each night says something.
fn change(table: &mut BTreeMap<String, i64>, rng: &mut StdRng) -> Vec<(String, Told)> {
    let mut changes = Vec::new();
    let part = [0.01, 0.1, 0.5][rng.random_range(0..3)];
    for (key, price) in std::mem::take(table) {
        match rng.random_bool(part) {
            true if rng.random_bool(0.3) => changes.push((key, None)),
            true => {
                let new = price + rng.random_range(1..100);
                changes.push((key.clone(), row(&key, new)));
                table.insert(key, new);
            }
            false => drop(table.insert(key, price)),
        }
    }
    let gone: BTreeSet<String> = changes.iter().map(|(key, _)| key.clone()).collect();
    for _ in 0..rng.random_range(1..30) {
        let (key, price) = (format!("NL-{:05}", rng.random_range(0..20_000)), rng.random_range(0..1_000));
        if !table.contains_key(&key) && !gone.contains(&key) {
            changes.push((key.clone(), row(&key, price)));
            table.insert(key, price);
        }
    }
    if changes.is_empty() {
        let key = format!("NL-{}", rng.random_range(20_000..90_000));
        changes.push((key.clone(), row(&key, 1)));
        table.insert(key, 1);
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn record(key: &str, told: &Told) -> Read {
        Read {
            key: Some(json!({ "sku": key }).to_string().into_bytes()),
            value: told.as_ref().map(|value| value.to_string().into_bytes()),
            topic: String::new(),
            partition: 0,
            offset: 0,
            headers: Vec::new(),
            timestamp_ms: None,
        }
    }

    #[test]
    fn each_night_says_something_and_what_differs_from_it_is_found() {
        for seed in 0..8 {
            let home = tempfile::tempdir().unwrap();
            let rng = &mut StdRng::seed_from_u64(seed);
            let (nights, waves) = Nights::generate(home.path(), seed % 2 == 0, rng).unwrap();
            assert!(waves.iter().flatten().all(|file| file.good > 0));
            let mut records: Vec<Read> =
                nights.changes.iter().flat_map(|(key, all)| all.iter().map(move |told| record(key, told))).collect();
            let only_records = Nights { refused: BTreeSet::new(), changes: nights.changes.clone() };
            let judge = |records: &[Read]| {
                let mut figures = Figures::default();
                let is_good = only_records.judge(records, &[], &mut figures).is_ok();
                (is_good, figures.missing, figures.doubled, figures.wrong)
            };
            assert_eq!(judge(&records), (true, 0, 0, 0));
            records.push(records[0].clone());
            assert_eq!(judge(&records), (false, 0, 1, 0));
            records.truncate(records.len() - 2);
            assert_eq!(judge(&records), (false, 1, 0, 0));
        }
    }

    #[test]
    fn another_order_is_wrong() {
        let (one, gone) = (row("a", 1), None);
        let mut figures = Figures::default();
        compare(&[one.clone(), gone.clone()], &[gone, one], &mut figures);
        assert_eq!((figures.missing, figures.doubled, figures.wrong), (0, 0, 1));
    }
}
