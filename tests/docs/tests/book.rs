//! The book builds, offline, and none of its links is dead.
#![allow(clippy::unwrap_used, reason = "tests stop at what they did not expect")]

use std::path::PathBuf;
use unbatch_docs_tests::book::{build, links};
use unbatch_docs_tests::root;

/// `make docs` says where the book is to be.
fn into() -> PathBuf {
    let asked = std::env::var_os("UNBATCH_BOOK").map(|path| root().join(path));
    asked.unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("book"))
}

#[test]
fn the_book_builds_and_no_link_is_dead() {
    let into = into();
    build(&root().join("docs"), &into).unwrap();
    let found = links(&into).unwrap();
    eprintln!("{} links followed, {} addresses elsewhere not asked", found.followed, found.elsewhere.len());
    assert!(found.dead.is_empty(), "dead links:\n  {}", found.dead.join("\n  "));
    assert!(found.followed > 100, "only {} links were found, so the scanner sees too little", found.followed);
    let left: Vec<_> = unexpanded(&into);
    assert!(left.is_empty(), "includes that mdBook did not find: {left:?}");
}

/// Pages that still hold the command of an include, as mdBook leaves it when it cannot follow it.
fn unexpanded(book: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for folder in [book.to_owned(), book.join("connectors"), book.join("reference")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "html") && std::fs::read_to_string(&path).unwrap().contains("{{#")
            {
                found.push(path.display().to_string());
            }
        }
    }
    found
}
