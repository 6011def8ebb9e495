//! Commands and what they print, as pages show them.
//!
//! A block marked `console` is a transcript: lines that begin with `$ ` are commands, the lines below one are what it prints.
//! `…` alone on a line stands for any number of lines, also none; inside a line for any text. What a command prints is not
//! compared when nothing is shown below it. Words behind `console`:
//!
//! - `norun`: it needs what a test has not (a cluster, apt). Its commands of `unbatch` are read by the command line's own
//!   parser all the same.
//! - `background`: its last command stays, as in a terminal of its own, until the page ends; its output must come.
//! - `fails`: its last command ends with another code than 0, and every other one with 0.

/// A command and the lines below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// line of the page, counted from 1
    pub line: usize,
    pub command: String,
    pub output: Vec<String>,
}

/// The steps of a block whose first line is line `line` of its page. A line ending in `\` goes on in the next one.
pub fn steps(text: &str, line: usize) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut goes_on = false;
    for (number, text) in text.lines().enumerate() {
        match (text.strip_prefix("$ "), steps.last_mut()) {
            (_, Some(step)) if goes_on => {
                step.command.push('\n');
                step.command.push_str(text);
            }
            (Some(command), _) => {
                steps.push(Step { line: line + number, command: command.to_owned(), output: Vec::new() });
            }
            (None, Some(step)) => step.output.push(text.to_owned()),
            (None, None) => {}
        }
        goes_on = text.ends_with('\\');
    }
    steps
}

/// Whether the output is what the page shows. Spaces at the ends of lines and empty lines at the end do not count.
pub fn agrees(shown: &[String], output: &str) -> bool {
    let lines: Vec<&str> = output.trim_end().lines().map(str::trim_end).collect();
    let shown: Vec<&str> = shown.iter().map(|l| l.trim_end()).collect();
    let end = shown.iter().rposition(|l| !l.is_empty()).map_or(0, |n| n + 1);
    lines_agree(&shown[..end], &lines)
}

/// Whether the output so far begins as the page shows; for a command that does not end.
pub fn begins(shown: &[String], output: &str) -> bool {
    let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
    let mut shown: Vec<&str> = shown.iter().map(|l| l.trim_end()).collect();
    shown.push("…");
    lines_agree(&shown, &lines)
}

fn lines_agree(shown: &[&str], lines: &[&str]) -> bool {
    match shown {
        [] => lines.is_empty(),
        ["…", rest @ ..] => (0..=lines.len()).any(|n| lines_agree(rest, &lines[n..])),
        [first, rest @ ..] => {
            lines.first().is_some_and(|line| line_agrees(first, line)) && lines_agree(rest, &lines[1..])
        }
    }
}

fn line_agrees(shown: &str, line: &str) -> bool {
    match shown.split_once('…') {
        None => shown == line,
        Some((before, after)) => {
            let Some(rest) = line.strip_prefix(before) else { return false };
            // the rest of the pattern may fit at any place behind
            (0..=rest.len()).filter(|n| rest.is_char_boundary(*n)).any(|n| line_agrees(after, &rest[n..]))
        }
    }
}

/// The commands of `unbatch` in a line of shell, as words: split at `&&`, `|` and `;`, without comments and redirections.
pub fn unbatch_commands(command: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut words: Vec<String> = Vec::new();
    for word in shell_words(command) {
        match word.as_str() {
            "&&" | "||" | "|" | ";" | "&" => found.push(std::mem::take(&mut words)),
            _ => words.push(word),
        }
    }
    found.push(words);
    for words in &mut found {
        let redirected = words.iter().position(|w| w.starts_with('>') || w.starts_with('<') || w.starts_with("2>"));
        words.truncate(redirected.unwrap_or(words.len()));
        let variables = words.iter().take_while(|w| w.contains('=') && !w.starts_with('-')).count();
        words.drain(..variables);
    }
    found.retain(|words| words.first().is_some_and(|w| w == "unbatch"));
    found
}

/// Words as a shell splits them, for what pages write: quotes, `#` comments and line ends with `\`; no expansion.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut inside) = (Vec::new(), None::<String>, None);
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match (inside, c) {
            (Some(quote), c) if c == quote => inside = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                inside = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') => {
                if characters.peek() != Some(&'\n') {
                    word.get_or_insert_default().extend(characters.next());
                }
            }
            (None, '#') if word.is_none() => break,
            (None, ';') => {
                words.extend(word.take());
                words.push(";".to_owned());
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_block_is_taken_apart_into_steps() {
        let found = steps("$ a\nx\ny\n$ b \\\n  -c\n", 10);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].line, found[0].output.len()), (10, 2));
        assert_eq!((found[1].line, found[1].command.as_str()), (13, "b \\\n  -c"));
    }

    #[test]
    fn dots_stand_for_lines_and_for_text() {
        assert!(agrees(&lines("a\n…\nz"), "a\nb\nc\nz\n"));
        assert!(agrees(&lines("a\n…\nz"), "a\nz\n"));
        assert!(agrees(&lines("took … s, … rows"), "took 1.2 s, 7 rows"));
        for wrong in ["a\nb\n", "z\n", "", "a\nz\nz2\n"] {
            assert!(!agrees(&lines("a\n…\nz"), wrong), "{wrong:?}");
        }
        assert!(!agrees(&lines("took … s"), "took 1.2 s, more"));
        assert!(begins(&lines("a …"), "a 1\nmore\n") && !begins(&lines("a\nb"), "a\n"));
    }

    #[test]
    fn commands_are_found_in_a_line_of_shell() {
        let words = |line: &str| unbatch_commands(line);
        assert_eq!(
            words("unbatch topics read 'a b' --json > x.json   # all"),
            [["unbatch", "topics", "read", "a b", "--json"]]
        );
        assert_eq!(words("cd x && A=1 unbatch run; unbatch version | cat").len(), 2);
        assert!(words("make demo").is_empty());
    }
}
