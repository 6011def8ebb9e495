//! The book, built as mdBook builds it, and the links of what came out.

use mdbook_driver::MDBook;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Builds `docs/` into this folder.
///
/// # Errors
///
/// What mdBook says.
pub fn build(book: &Path, into: &Path) -> Result<(), String> {
    let words = |e| format!("building the book failed: {e:?}");
    let mut book = MDBook::load(book).map_err(words)?;
    book.config.build.build_dir = into.to_owned();
    book.build().map_err(words)
}

/// What following the links of a folder of HTML files gives.
#[derive(Debug, Default)]
pub struct Links {
    /// links inside the folder that were followed
    pub followed: usize,
    /// one line for each that leads nowhere
    pub dead: Vec<String>,
    /// addresses elsewhere; nobody asks them
    pub elsewhere: BTreeSet<String>,
}

/// Follows every `href` and `src` of every HTML file, with its anchor.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn links(folder: &Path) -> std::io::Result<Links> {
    // the attributes that mdBook writes are all in double quotes
    let (Ok(link), Ok(id)) = (Regex::new(r#"\s(?:href|src)="([^"]*)""#), Regex::new(r#"\s(?:id|name)="([^"]*)""#))
    else {
        return Err(std::io::Error::other("a pattern of the scanner is wrong"));
    };
    let mut files = Vec::new();
    html_files(folder, &mut files)?;
    let mut pages = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        let anchors: BTreeSet<String> = id.captures_iter(&text).map(|c| unescaped(&c[1])).collect();
        pages.insert(file, (text, anchors));
    }
    let mut found = Links::default();
    for (file, (text, _)) in &pages {
        for target in link.captures_iter(text).map(|c| unescaped(&c[1])) {
            if target.contains("://") || target.starts_with("mailto:") || target.starts_with("data:") {
                found.elsewhere.insert(target);
                continue;
            }
            found.followed += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let there = if path.is_empty() { file.clone() } else { resolved(file, path) };
            let shown = file.strip_prefix(folder).unwrap_or(file).display();
            if !there.exists() {
                found.dead.push(format!("{shown}: {target} is not there"));
            } else if let Some((_, anchors)) = pages.get(&there)
                && !anchor.is_empty()
                && !anchors.contains(anchor)
            {
                found.dead.push(format!("{shown}: {target} has no such place"));
            }
        }
    }
    found.dead.sort();
    found.dead.dedup();
    Ok(found)
}

fn html_files(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            html_files(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "html") {
            found.push(path);
        }
    }
    Ok(())
}

fn resolved(from: &Path, link: &str) -> PathBuf {
    let mut path = from.parent().unwrap_or(Path::new("")).to_owned();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path
}

fn unescaped(attribute: &str) -> String {
    attribute.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_and_places_are_found() {
        let folder = std::env::temp_dir().join(format!("unbatch-links-{}", std::process::id()));
        fs::create_dir_all(folder.join("a")).unwrap();
        let page = r##"<p id="here"><a href="../b.html#there">1</a><a href="#here">2</a><a href="#gone">3</a>
            <a href="c.html">4</a><a href="https://example.org/">5</a></p>"##;
        fs::write(folder.join("a/a.html"), page).unwrap();
        fs::write(folder.join("b.html"), r#"<h2 id="there">x</h2>"#).unwrap();
        let found = links(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found.dead, ["a/a.html: #gone has no such place", "a/a.html: c.html is not there"]);
        assert_eq!((found.followed, found.elsewhere.len()), (4, 1));
    }
}
