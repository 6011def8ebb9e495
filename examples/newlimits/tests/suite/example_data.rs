//! The example that is checked in: its data is what the generator gives, its page and its pipeline say what is in it.

use std::path::PathBuf;

use newlimits::truth::{Ledger, Outcome, Truth};
use newlimits::{Faults, Feed, Request, World, generate};
use tempfile::TempDir;

use crate::contents;

fn example() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dc-stock-counts")
}

#[test]
fn the_checked_in_data_is_what_the_generator_gives() {
    let folder = TempDir::new().unwrap();
    let request = Request { feeds: vec![Feed::StockCounts], nights: 2, faults: Faults::Few };
    generate(&World::new(7, 0.1).unwrap(), &request, folder.path()).unwrap();
    let (now, checked_in) = (contents(folder.path()), contents(&example().join("data")));
    assert_eq!(now.keys().collect::<Vec<_>>(), checked_in.keys().collect::<Vec<_>>());
    for (name, bytes) in &now {
        assert!(checked_in[name] == *bytes, "{name} is not what the generator gives now");
    }
}

#[test]
fn the_page_tells_the_truth() {
    let page = std::fs::read_to_string(example().join("README.md")).unwrap();
    let ledger = Ledger::open(example().join("data")).unwrap();
    let truth = ledger.truth();
    let mut rounds: Vec<&str> = truth.files.iter().map(|file| file.round.as_str()).collect();
    rounds.dedup();
    let mut checked = 0;
    for round in rounds {
        let line = line_of_round(truth, round);
        assert!(page.contains(&line), "the page lacks: {line}");
        checked += 1;
    }
    for line in ledger.lines().unwrap() {
        let line = line.unwrap();
        let file = &truth.files[line.file as usize];
        if let Some(code) = line.code.filter(|_| file.outcome == Outcome::Loaded) {
            let told = format!("| `{}` | {} | `{code}` |\n", file.name, line.line);
            assert!(page.contains(&told), "the page lacks: {told}");
            checked += 1;
        }
    }
    assert_eq!(checked, 4 + 2, "rounds and bad rows");
}

fn line_of_round(truth: &Truth, round: &str) -> String {
    let files: Vec<_> = truth.files.iter().filter(|file| file.round == round).collect();
    let loaded = || files.iter().filter(|file| file.outcome == Outcome::Loaded);
    let duplicates = files.iter().filter(|file| file.outcome == Outcome::Duplicate).count();
    let good: u64 = loaded().map(|file| file.good).sum();
    let bad: u64 = loaded().map(|file| file.bad).sum();
    let parked: String = files
        .iter()
        .filter(|file| file.outcome == Outcome::Failed)
        .map(|file| format!(" `{}`, {}", file.name, file.good))
        .collect();
    format!("| {round} | {} | {good} | {bad} | {duplicates} |{parked} |\n", files.len())
}

#[test]
fn the_pipeline_declares_every_column_as_the_files_have_it() {
    let pipeline = std::fs::read_to_string(example().join("pipelines/dc-stock-counts.yaml")).unwrap();
    let spec = Feed::StockCounts.spec();
    let declared: Vec<&str> = pipeline.lines().filter(|line| line.trim_start().starts_with("- {name: ")).collect();
    assert_eq!(declared.len(), spec.columns.len());
    for (line, column) in declared.iter().zip(&spec.columns) {
        let declaration = line.trim_start().trim_start_matches("- {").split('}').next().unwrap();
        let mut wanted = vec![format!("name: {}", column.name)];
        let kind = column.kind.to_string();
        wanted.push(if kind.contains(',') { format!("type: \"{kind}\"") } else { format!("type: {kind}") });
        wanted.extend(column.required.then(|| "required: true".to_string()));
        wanted.extend(column.format.map(|format| format!("format: \"{format}\"")));
        wanted.extend(column.zone.map(|zone| format!("zone: \"{zone}\"")));
        wanted.extend(column.decimal_mark.map(|mark| format!("decimal_mark: \"{mark}\"")));
        assert_eq!(declaration, wanted.join(", "));
    }
    for wanted in [format!("match: \"{}\"", spec.matches), format!("delimiter: \"{}\"", spec.delimiter)] {
        assert!(pipeline.contains(&wanted), "the pipeline lacks: {wanted}");
    }
    assert!(pipeline.contains(&format!("key: [{}]", spec.key.join(", "))));
}
