//! The project stands alone: no file names a folder of somebody's machine, a folder beside the checkout, or the host of
//! a package registry.

use crate::tree::Tree;

/// Cargo writes where packages come from into its lock file; the scanner for names is this file.
const EXEMPT: [&str; 3] = ["Cargo.lock", "tests/tidy/src/places.rs", "tests/tidy/tests/planted.rs"];

/// Folders of a machine; only at the begin of a path, so that `docs/work/` is none.
const FOLDERS: [&str; 2] = ["/root/", "/work/"];

const ANYWHERE: [&str; 10] = [
    "../shared",
    "index.crates.io",
    "static.crates.io",
    "repo.maven.apache.org",
    "repo1.maven.org",
    "registry.npmjs.org",
    "pypi.org/simple",
    "files.pythonhosted.org",
    "proxy.golang.org",
    "deb.debian.org",
];

/// Names of places that exist only on one machine or belong to a registry.
pub fn machine_places(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, text) in tree.files() {
        if EXEMPT.contains(&path) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let folder = FOLDERS.into_iter().find(|folder| begins_path(line, folder));
            let found = folder.or_else(|| ANYWHERE.into_iter().find(|name| line.contains(name)));
            if let Some(name) = found {
                broken.push(format!("{path}:{}: names {name}", number + 1));
            }
        }
    }
    broken
}

fn begins_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-}*/)".contains(c)) || line[..at].ends_with("://")
    })
}
