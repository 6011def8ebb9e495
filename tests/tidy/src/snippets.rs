//! Pipeline files that the documentation shows.

use crate::tree::Tree;

/// A fenced YAML block with a whole pipeline in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snippet {
    pub path: String,
    /// of its first line, counted from 1
    pub line: usize,
    pub text: String,
}

/// All blocks marked `yaml` in Markdown files that have a `version`, a `pipeline`, a `source` and a `sink`; fragments
/// that show one part only are not whole.
pub fn pipeline_snippets(tree: &Tree) -> Vec<Snippet> {
    let mut found = Vec::new();
    for (path, text) in tree.ending(".md") {
        let mut open: Option<Snippet> = None;
        for (number, line) in text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (&mut open, fence) {
                (None, Some(language)) => {
                    open = Some(Snippet {
                        path: path.to_owned(),
                        // a block in another language is read to its end too, and dropped there
                        line: if language.trim() == "yaml" { number + 2 } else { 0 },
                        text: String::new(),
                    });
                }
                (Some(_), Some(_)) => {
                    found.extend(open.take().filter(|s| s.line > 0 && is_pipeline(&s.text)));
                }
                (Some(snippet), None) => {
                    snippet.text.push_str(line);
                    snippet.text.push('\n');
                }
                (None, None) => {}
            }
        }
    }
    found
}

fn is_pipeline(text: &str) -> bool {
    ["version:", "pipeline:", "source:", "sink:"].iter().all(|key| text.lines().any(|line| line.starts_with(key)))
}
