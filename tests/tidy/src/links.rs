//! Links between Markdown files lead somewhere.

use crate::tree::Tree;

/// Relative links in Markdown whose target is not in the tree, and anchors that the target has no heading for.
pub fn links(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, text) in tree.ending(".md") {
        for (line, link) in links_of(text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { Some(path.to_owned()) } else { resolve(path, file) };
            match target.filter(|target| tree.has(target)) {
                None => broken.push(format!("{path}:{line}: {link} is not there")),
                Some(target) => {
                    let headed = tree
                        .text(&target)
                        .is_none_or(|text| !target.ends_with(".md") || anchors(text).any(|a| a == anchor));
                    if !anchor.is_empty() && !headed {
                        broken.push(format!("{path}:{line}: {target} has no heading for #{anchor}"));
                    }
                }
            }
        }
    }
    broken
}

/// Lines outside of fenced code, counted from 1, and without `code spans`.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> + '_ {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        // every second part between backticks is code
        (!fenced).then(|| (number + 1, line.split('`').step_by(2).collect::<String>()))
    })
}

fn links_of(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        for (at, _) in line.match_indices("](") {
            let rest = &line[at + 2..];
            let Some(end) = rest.find(')') else { continue };
            // a title may follow: [text](target "title")
            let target = rest[..end].split_whitespace().next().unwrap_or_default();
            found.push((number, target.trim_matches(['<', '>']).to_owned()));
        }
    }
    found
}

/// The anchors that headings get: lower case, words joined by dashes, punctuation dropped.
fn anchors(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut fenced = false;
    text.lines().filter_map(move |line| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let heading = line.trim_start_matches('#');
        (!fenced && heading.len() < line.len() && heading.starts_with(' ')).then(|| {
            heading
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
    })
}

/// `link` as seen from the file `from`; `None` when it leads out of the tree.
fn resolve(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
