//! The text files of a checkout, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

/// Folders that hold no text of ours.
const SKIPPED: [&str; 5] = ["target", ".git", ".unbatch", "node_modules", "__pycache__"];

/// Larger files are data.
const TEXT_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Paths, with `/` and relative to the root, and what the files hold.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
    /// every file and folder, also those that are not text
    paths: BTreeSet<String>,
}

impl Tree {
    /// The checkout this crate was compiled in.
    ///
    /// # Errors
    ///
    /// When a folder or file cannot be read.
    pub fn checkout() -> io::Result<Tree> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut tree = Tree::default();
        tree.add_folder(&root, "")?;
        Ok(tree)
    }

    /// A tree of these files.
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.insert(path, text.to_owned());
        }
        tree
    }

    /// The same tree with one file more, or another text for one it has.
    pub fn with(mut self, path: &str, text: &str) -> Tree {
        self.insert(path, text.to_owned());
        self
    }

    /// All text files in order of their paths.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Text files whose path ends with `end`.
    pub fn ending(&self, end: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(move |(path, _)| path.ends_with(end))
    }

    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether there is such a file or folder.
    pub fn has(&self, path: &str) -> bool {
        path.is_empty() || self.paths.contains(path)
    }

    fn insert(&mut self, path: &str, text: String) {
        for (at, _) in path.match_indices('/') {
            self.paths.insert(path[..at].to_owned());
        }
        self.paths.insert(path.to_owned());
        self.files.insert(path.to_owned(), text);
    }

    fn add_folder(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            let path = format!("{prefix}{name}");
            if kind.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    self.paths.insert(path.clone());
                    self.add_folder(&entry.path(), &format!("{path}/"))?;
                }
            } else if kind.is_file() {
                self.paths.insert(path.clone());
                // an editor or a build may take a file away while the tree is read
                let Ok(about) = entry.metadata() else { continue };
                if about.len() <= TEXT_BYTES_MAX
                    && let Ok(text) = fs::read_to_string(entry.path())
                {
                    self.insert(&path, text);
                }
            }
        }
        Ok(())
    }
}
