//! The generator judged from outside: by its files on disk, by a reader of the tests' own and by the `csv` crate.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "suite/compare.rs"]
mod compare;
#[path = "suite/deliver.rs"]
mod deliver;
#[path = "suite/determinism.rs"]
mod determinism;
#[path = "suite/example_data.rs"]
mod example_data;
#[path = "suite/files.rs"]
mod files;
#[path = "suite/program.rs"]
mod program;

use std::collections::BTreeMap;
use std::path::Path;

use newlimits::truth::Ledger;
use newlimits::{Faults, Feed, Request, World, generate};
use tempfile::TempDir;

/// Generated files of all feeds in a temporary folder.
fn generated(seed: u64, scale: f64, nights: u32, faults: Faults) -> (TempDir, Ledger) {
    generated_feeds(&Feed::ALL, seed, scale, nights, faults)
}

fn generated_feeds(feeds: &[Feed], seed: u64, scale: f64, nights: u32, faults: Faults) -> (TempDir, Ledger) {
    println!("seed {seed} scale {scale} nights {nights} faults {faults:?} {feeds:?}");
    let folder = TempDir::new().unwrap();
    let world = World::new(seed, scale).unwrap();
    let request = Request { feeds: feeds.to_vec(), nights, faults };
    let truth = generate(&world, &request, folder.path()).unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    assert_eq!(*ledger.truth(), truth, "the truth reads back as it was");
    (folder, ledger)
}

/// Every file below a folder, by its path from there.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}
