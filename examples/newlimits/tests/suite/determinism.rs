use newlimits::{Faults, Feed, Request, World, generate};
use tempfile::TempDir;

use crate::{contents, generated};

#[test]
fn equal_seeds_give_equal_bytes() {
    let (first, _) = generated(11, 0.4, 3, Faults::All);
    let (second, _) = generated(11, 0.4, 3, Faults::All);
    let (first, second) = (contents(first.path()), contents(second.path()));
    assert!(first.len() > 60, "{} files", first.len());
    assert!(first == second, "the same seed gave other bytes");
}

#[test]
fn other_seeds_give_other_bytes() {
    let (first, _) = generated(11, 0.2, 1, Faults::None);
    let (second, _) = generated(12, 0.2, 1, Faults::None);
    for (name, bytes) in contents(first.path()) {
        assert_ne!(contents(second.path()).get(&name), Some(&bytes), "{name}");
    }
}

#[test]
fn a_feed_alone_has_the_bytes_it_has_among_the_others() {
    let (all, _) = generated(13, 0.3, 2, Faults::All);
    let all = contents(all.path());
    let world = World::new(13, 0.3).unwrap();
    for feed in Feed::ALL {
        let alone = TempDir::new().unwrap();
        let request = Request { feeds: vec![feed], nights: 2, faults: Faults::All };
        let truth = generate(&world, &request, alone.path()).unwrap();
        assert!(!truth.files.is_empty());
        for file in truth.files {
            let bytes = std::fs::read(alone.path().join(&file.path)).unwrap();
            assert!(all[&file.path] == bytes, "{}", file.path);
        }
    }
}

#[test]
fn a_folder_that_holds_something_is_refused() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("mine.txt"), "keep").unwrap();
    let request = Request { feeds: vec![Feed::Prices], nights: 1, faults: Faults::None };
    let refused = generate(&World::new(1, 0.1).unwrap(), &request, folder.path()).unwrap_err();
    assert!(refused.to_string().contains("is not empty"), "{refused}");
    assert_eq!(contents(folder.path()).len(), 1);
}
