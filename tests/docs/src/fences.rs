//! Fenced blocks of Markdown.

/// One fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// of its first line inside, counted from 1
    pub line: usize,
    /// the words behind the backticks; the first one is the language
    pub info: Vec<String>,
    pub text: String,
}

impl Fence {
    pub fn language(&self) -> &str {
        self.info.first().map_or("", String::as_str)
    }

    /// Whether its first line has this word behind the language.
    pub fn asks(&self, word: &str) -> bool {
        self.info.iter().skip(1).any(|w| w == word)
    }
}

/// All fenced blocks of a page, in order.
pub fn fences(markdown: &str) -> Vec<Fence> {
    let mut found = Vec::new();
    let mut open: Option<Fence> = None;
    for (number, line) in markdown.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(info)) => {
                let info = info.split([' ', ',']).filter(|w| !w.is_empty()).map(str::to_owned).collect();
                open = Some(Fence { line: number + 2, info, text: String::new() });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(fence), None) => {
                fence.text.push_str(line);
                fence.text.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_its_line_its_words_and_its_text() {
        let found = fences("a\n```console norun\n$ x\n```\n\n```yaml\nb: 1\n```\n");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].line, found[0].language(), found[0].text.as_str()), (3, "console", "$ x\n"));
        assert!(found[0].asks("norun") && !found[1].asks("norun") && !found[0].asks("console"));
    }
}
