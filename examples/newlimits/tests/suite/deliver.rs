use newlimits::{DropFolder, Faults, SameName};
use tempfile::TempDir;

use crate::{contents, generated};

#[test]
fn files_are_dropped_whole_under_their_names() {
    let (generated_at, ledger) = generated(41, 0.1, 2, Faults::All);
    let drops = TempDir::new().unwrap();
    let folder = DropFolder::new(drops.path().join("in"), None, SameName::Replace).unwrap();
    let mut latest = std::collections::BTreeMap::new();
    for file in &ledger.truth().files {
        let target = folder.drop_file(generated_at.path(), file).unwrap();
        let bytes = std::fs::read(generated_at.path().join(&file.path)).unwrap();
        assert!(std::fs::read(target).unwrap() == bytes, "{}", file.name);
        latest.insert(file.name.clone(), bytes);
    }
    assert!(latest.len() < ledger.truth().files.len(), "some names come twice");
    assert!(contents(&drops.path().join("in")) == latest, "hidden or other files were left behind");
}

#[test]
fn a_marker_follows_each_file() {
    let (generated_at, ledger) = generated(42, 0.1, 1, Faults::Few);
    let drops = TempDir::new().unwrap();
    let folder = DropFolder::new(drops.path(), Some(".done".to_string()), SameName::Replace).unwrap();
    let files = &ledger.truth().files;
    for file in files {
        folder.drop_file(generated_at.path(), file).unwrap();
    }
    let there = contents(drops.path());
    for file in files {
        assert_eq!(there.get(&format!("{}.done", file.name)), Some(&Vec::new()));
    }
}

#[test]
fn a_job_that_waits_lets_a_reader_take_the_old_file_first() {
    let (generated_at, ledger) = generated(43, 0.1, 1, Faults::Few);
    let drops = TempDir::new().unwrap();
    let folder = DropFolder::new(drops.path(), None, SameName::Wait).unwrap();
    let again = ledger.truth().files.iter().find(|file| file.same_as.is_some()).unwrap().clone();
    let target = folder.drop_file(generated_at.path(), &again).unwrap();
    let from = generated_at.path().to_path_buf();
    let (sent, dropped) = std::sync::mpsc::channel();
    let job = std::thread::spawn(move || {
        let put = folder.drop_file(&from, &again);
        sent.send(()).unwrap();
        put
    });
    assert!(dropped.try_recv().is_err(), "the second file came while the first still lay there");
    std::fs::remove_file(&target).unwrap();
    job.join().unwrap().unwrap();
    assert!(target.exists());
}
