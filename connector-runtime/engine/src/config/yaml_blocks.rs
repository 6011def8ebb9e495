//! A broken text by its top-level keys, so that a mistake in one of them does not hide what stands below the others.

use std::ops::Range;

/// A key at the beginning of a line and all that follows up to the next one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub key: String,
    pub range: Range<usize>,
}

pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        match (key_of(line), blocks.last_mut()) {
            (Some(key), _) => blocks.push(Block { key: key.to_owned(), range: start..end }),
            (None, Some(open)) => open.range.end = end,
            // comments above the first key
            (None, None) => {}
        }
        start = end;
    }
    blocks
}

fn key_of(line: &str) -> Option<&str> {
    let (key, rest) = line.split_once(':')?;
    let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.\"'".contains(&b));
    let ends_here = rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']);
    (is_key && ends_here && !key.starts_with(['-', '.'])).then(|| key.trim_matches(['"', '\'']))
}

/// The text with nothing but `kept` in it; every byte of that stands where it stood.
pub(crate) fn only<'b>(text: &str, kept: impl IntoIterator<Item = &'b Block>) -> String {
    let mut bare: Vec<u8> = Vec::new();
    for block in kept {
        let before = text.as_bytes()[bare.len()..block.range.start].iter();
        bare.extend(before.map(|b| if matches!(b, b'\n' | b'\r') { *b } else { b' ' }));
        bare.extend(&text.as_bytes()[block.range.clone()]);
    }
    String::from_utf8(bare).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_the_keys_that_begin_a_line() {
        let text = "# é\na: 1\nsteps:\n- x: 1\n  b: 2\n\"c\": {\n}\nurl:x\n";
        let keys: Vec<(String, &str)> = blocks(text).into_iter().map(|b| (b.key, &text[b.range])).collect();
        let expected = [("a", "a: 1\n"), ("steps", "steps:\n- x: 1\n  b: 2\n"), ("c", "\"c\": {\n}\nurl:x\n")];
        assert_eq!(keys, expected.map(|(key, text)| (key.to_owned(), text)));
        let all = blocks(text);
        assert_eq!(only(text, [&all[0], &all[2]]), "    \na: 1\n      \n      \n      \n\"c\": {\n}\nurl:x\n");
        assert_eq!(blocks("\u{feff}x"), []);
    }
}
