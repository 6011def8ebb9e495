//! The generated parts of pages are what the code says now, and every part has a page.
#![allow(clippy::unwrap_used, reason = "tests stop at what they did not expect")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use unbatch_docs_tests::generated::{parts, renewed};
use unbatch_docs_tests::root;

#[test]
fn generated_parts_are_up_to_date() {
    let parts = parts();
    let (mut used, mut old) = (BTreeSet::new(), Vec::new());
    for page in pages(&root().join("docs/src")) {
        let text = fs::read_to_string(&page).unwrap();
        let (now, names) = renewed(&text, &parts).unwrap_or_else(|why| panic!("{}: {why}", page.display()));
        used.extend(names);
        if now != text && std::env::var_os("UNBATCH_BLESS").is_some() {
            fs::write(&page, &now).unwrap();
        } else if now != text {
            old.push(page.display().to_string());
        }
    }
    let unused: Vec<&String> = parts.keys().filter(|name| !used.contains(*name)).collect();
    assert!(unused.is_empty(), "no page has the generated parts {unused:?}");
    assert!(old.is_empty(), "not what the code says now; UNBATCH_BLESS=1 takes it over: {}", old.join(", "));
}

fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(pages(&path)),
            false => found.extend(path.extension().is_some_and(|e| e == "md").then_some(path)),
        }
    }
    found
}
