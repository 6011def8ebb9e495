//! The examples that are checked in: their data is what the generator gives, their pages and pipelines say what is in it.

use std::path::PathBuf;

use newlimits::truth::{Ledger, Outcome, Truth};
use newlimits::{Column, Faults, Feed, Request, World, generate};
use tempfile::TempDir;

use crate::contents;

/// An example, and what its data was made with.
struct Example {
    folder: &'static str,
    feed: Feed,
    scale: f64,
}

const EXAMPLES: [Example; 2] = [
    Example { folder: "dc-stock-counts", feed: Feed::StockCounts, scale: 0.1 },
    Example { folder: "supplier-prices", feed: Feed::Prices, scale: 0.05 },
];

impl Example {
    fn path(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(self.folder)
    }
    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.path().join(file)).unwrap()
    }
}

#[test]
fn the_checked_in_data_is_what_the_generator_gives() {
    for example in EXAMPLES {
        let folder = TempDir::new().unwrap();
        let request = Request { feeds: vec![example.feed], nights: 2, faults: Faults::Few };
        generate(&World::new(7, example.scale).unwrap(), &request, folder.path()).unwrap();
        let (now, checked_in) = (contents(folder.path()), contents(&example.path().join("data")));
        assert_eq!(now.keys().collect::<Vec<_>>(), checked_in.keys().collect::<Vec<_>>());
        for (name, bytes) in &now {
            assert!(checked_in[name] == *bytes, "{}: {name} is not what the generator gives now", example.folder);
        }
    }
}

#[test]
fn the_page_tells_the_truth() {
    for example in EXAMPLES {
        let page = example.text("README.md");
        let ledger = Ledger::open(example.path().join("data")).unwrap();
        let truth = ledger.truth();
        let mut rounds: Vec<&str> = truth.files.iter().map(|file| file.round.as_str()).collect();
        rounds.dedup();
        let mut checked = 0;
        for round in rounds {
            let line = line_of_round(truth, round);
            assert!(page.contains(&line), "{}: the page lacks: {line}", example.folder);
            checked += 1;
        }
        for line in ledger.lines().unwrap() {
            let line = line.unwrap();
            let file = &truth.files[line.file as usize];
            if let Some(code) = line.code.filter(|_| file.outcome == Outcome::Loaded) {
                let told = format!("| `{}` | {} | `{code}` |\n", file.name, line.line);
                assert!(page.contains(&told), "{}: the page lacks: {told}", example.folder);
                checked += 1;
            }
        }
        assert_eq!(checked, 4 + 2, "rounds and bad rows");
    }
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
fn the_pipelines_declare_every_column_as_the_files_have_it() {
    for example in EXAMPLES {
        let pipeline = example.text(&format!("pipelines/{}.yaml", example.folder));
        let spec = example.feed.spec();
        let declared: Vec<&str> = pipeline.lines().filter(|line| line.trim_start().starts_with("- {name: ")).collect();
        assert_eq!(declared.len(), spec.columns.len());
        for (line, column) in declared.iter().zip(&spec.columns) {
            let declaration = line.trim_start().trim_start_matches("- {").split('}').next().unwrap();
            assert_eq!(declaration, declaration_of(column));
        }
        let mut wanted = vec![format!("match: \"{}\"", spec.matches), format!("delimiter: \"{}\"", spec.delimiter)];
        wanted.push(format!("key: [{}]", spec.key.join(", ")));
        wanted.extend(spec.nulls.first().map(|word| format!("nulls: [\"{word}\"]")));
        for wanted in wanted {
            assert!(pipeline.contains(&wanted), "{}: the pipeline lacks: {wanted}", example.folder);
        }
    }
}

fn declaration_of(column: &Column) -> String {
    let mut wanted = vec![format!("name: {}", column.name)];
    let kind = column.kind.to_string();
    wanted.push(if kind.contains(',') { format!("type: \"{kind}\"") } else { format!("type: {kind}") });
    wanted.extend(column.required.then(|| "required: true".to_string()));
    wanted.extend(column.format.map(|format| format!("format: \"{format}\"")));
    wanted.extend(column.zone.map(|zone| format!("zone: \"{zone}\"")));
    wanted.extend(column.decimal_mark.map(|mark| format!("decimal_mark: \"{mark}\"")));
    wanted.join(", ")
}
