//! Nothing in the checkout depends on the machine where it was written: no folder of that machine is named.

use std::path::Path;

use crate::tree::Tree;

/// Homes of people, wherever they are. The scanner itself and its tests name them.
const HOMES: [&str; 2] = ["/home/", "/Users/"];
const EXEMPT: [&str; 2] = ["tests/tidy/src/places.rs", "tests/tidy/tests/planted.rs"];

/// The folders of this machine: whose home it is, and the one at the top of the path of this checkout, such as `/build/`; a
/// common one like `/tmp/` does not count.
pub fn own_folders() -> Vec<String> {
    let home =
        std::env::var("HOME").ok().filter(|home| home.len() > 1).map(|home| format!("{}/", home.trim_end_matches('/')));
    home.into_iter().chain(top_folder()).collect()
}

fn top_folder() -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).to_str()?;
    let (first, _) = path.strip_prefix('/')?.split_once('/')?;
    (!["tmp", "home", "Users", "usr", "var", "opt"].contains(&first)).then(|| format!("/{first}/"))
}

/// Lines that name a folder of one machine: of somebody's home, or one of `own`.
pub fn machine_places(tree: &Tree, own: &[String]) -> Vec<String> {
    let folders: Vec<&str> = HOMES.into_iter().chain(own.iter().map(String::as_str)).collect();
    let mut broken = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| !EXEMPT.contains(path)) {
        for (number, line) in text.lines().enumerate() {
            if let Some(folder) = folders.iter().find(|folder| begins_path(line, folder)) {
                broken.push(format!("{path}:{}: names {folder}", number + 1));
            }
        }
    }
    broken
}

/// Whether a path begins with the folder there, so that `docs/home/` is none.
fn begins_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-}*/)".contains(c)) || line[..at].ends_with("://")
    })
}
