//! Just enough of Rust's syntax to measure and search source files: text without comments and literals, functions, and
//! what is compiled for tests only.

/// The source with comments, strings and character literals replaced by spaces; line breaks stay, so lines and columns
/// do too.
pub(crate) fn code_only(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut code = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_or_comment(bytes, at);
        if end > at {
            code.extend(bytes[at..end].iter().map(|&b| if b == b'\n' { b } else { b' ' }));
            at = end;
        } else {
            code.push(bytes[at]);
            at += 1;
        }
    }
    // whole literals were blanked, so what is left is still valid text
    String::from_utf8_lossy(&code).into_owned()
}

/// The text of each plain string literal `"…"`, with its place in the source, quotes included. Escapes stay as they are.
pub(crate) fn strings(source: &str) -> Vec<(std::ops::Range<usize>, &str)> {
    let bytes = source.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_or_comment(bytes, at);
        if end > at + 1 && bytes[at] == b'"' {
            found.push((at..end, &source[at + 1..end - 1]));
        }
        at = end.max(at + 1);
    }
    found
}

/// Where the comment or literal that begins here ends; `at` itself when none begins.
fn literal_or_comment(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let begins_word = at == 0 || !is_word(bytes[at - 1]);
    match rest {
        [b'/', b'/', ..] => at + find(rest, 0, b"\n"),
        [b'/', b'*', ..] => at + block_comment(rest),
        [b'"', ..] => at + quoted(rest, 1),
        [b'b' | b'c', b'"', ..] if begins_word => at + quoted(rest, 2),
        [b'r', b'"' | b'#', ..] if begins_word => at + raw(rest, 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if begins_word => at + raw(rest, 2),
        [b'\'', ..] => at + character(rest),
        _ => at,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The position of `wanted` from `from` on, or the end.
fn find(bytes: &[u8], from: usize, wanted: &[u8]) -> usize {
    bytes[from.min(bytes.len())..]
        .windows(wanted.len())
        .position(|part| part == wanted)
        .map_or(bytes.len(), |found| from + found)
}

fn block_comment(bytes: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

fn quoted(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `r"…"`, `r#"…"#`; a raw identifier such as `r#type` is not a literal.
fn raw(bytes: &[u8], hashes_from: usize) -> usize {
    let hashes = bytes[hashes_from..].iter().take_while(|&&b| b == b'#').count();
    let open = hashes_from + hashes;
    if bytes.get(open) != Some(&b'"') {
        return 0;
    }
    let mut close = vec![b'"'];
    close.extend(std::iter::repeat_n(b'#', hashes));
    (find(bytes, open + 1, &close) + close.len()).min(bytes.len())
}

/// `'x'`, `'\n'`, `'é'`; a lifetime is not a literal.
fn character(bytes: &[u8]) -> usize {
    match bytes {
        [_, b'\\', _, ..] => (find(bytes, 3, b"'") + 1).min(bytes.len()),
        [_, first, ..] => {
            let width = match first {
                0..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            if bytes.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 }
        }
        _ => 0,
    }
}

/// A function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// of `fn`, counted from 1
    pub(crate) line: usize,
    /// from `fn` to its closing brace
    pub(crate) lines: usize,
    /// bytes in the text it was found in
    pub(crate) span: std::ops::Range<usize>,
}

/// All functions in text that [`code_only`] made, those inside others too.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        if at > 0 && is_word(code.as_bytes()[at - 1]) {
            continue;
        }
        let name: String =
            code[at + 3..].trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        // without a name it is the type of a function
        if name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(code, at) {
            found.push(Function { name, line: line_of(code, at), lines: code[at..end].lines().count(), span: at..end });
        }
    }
    found
}

/// Behind the closing brace of the item that begins at `from`; `None` when a semicolon ends it.
pub(crate) fn body_end(code: &str, from: usize) -> Option<usize> {
    let (mut braces, mut others) = (0, 0);
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => others += 1,
            b')' | b']' => others -= 1,
            // inside parentheses it is a length, as in [u8; 4]
            b';' if braces == 0 && others == 0 => return None,
            b'{' => braces += 1,
            b'}' => {
                braces -= 1;
                if braces == 0 && others == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The line of a byte position, counted from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].bytes().filter(|&b| b == b'\n').count() + 1
}

/// The parts of a file that are compiled for tests only: `#[cfg(test)]` items, or all of a file of tests.
pub(crate) fn test_parts(path: &str, code: &str) -> Vec<std::ops::Range<usize>> {
    let whole = path.starts_with("tests/")
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
        || path.contains("/benches/");
    if whole {
        return std::iter::once(0..code.len()).collect();
    }
    let mark = "#[cfg(test)]";
    code.match_indices(mark).filter_map(|(at, _)| Some(at..body_end(code, at + mark.len())?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        let check = |source: &str, code: &str| assert_eq!(code_only(source), code, "{source}");
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ d */ e", "a                   e");
        check(r#"f("x\"y", 1)"#, r#"f(      , 1)"#);
        check(r##"f(r#"a"b"#)"##, "f(        )");
        check("b\"ab\" + c\"d\"", "      +     ");
        check("r#type + for\"x\"", "r#type + for   ");
        check("&'a str, 'x', '\\n', '\\'', 'é'", "&'a str,    ,     ,     ,     ");
    }

    #[test]
    fn strings_are_found_with_their_places() {
        let source = "f(\"a\\\"b\", 'x', \"é\") // \"no\"\nr#\"no\"#;";
        let found: Vec<_> = strings(source).into_iter().map(|(span, text)| (&source[span], text)).collect();
        assert_eq!(found, [("\"a\\\"b\"", "a\\\"b"), ("\"é\"", "é")]);
    }

    #[test]
    fn functions_are_measured_with_their_bodies() {
        let code = code_only(
            "trait T {\n    fn no_body(&self, x: [u8; 4]);\n}\nfn a<F: Fn(u8) -> u8>(f: F) {\n    if x {\n    }\n}\nconst F: fn (u8) = g;\n",
        );
        let found: Vec<_> = functions(&code).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
        assert_eq!(found, [("a".to_owned(), 4, 4)]);
    }

    #[test]
    fn test_parts_end_where_their_item_ends() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let parts = test_parts("x/src/lib.rs", code);
        assert_eq!(parts.len(), 1);
        assert!(code[parts[0].clone()].ends_with("fn b() {}\n}"));
        assert_eq!(test_parts("x/tests/a.rs", code)[0], 0..code.len());
        assert!(test_parts("x/src/lib.rs", "#[cfg(test)]\nmod tests;\nfn a() {}").is_empty());
    }
}
