//! The form in which a person reads a message: code, sentence, the marked line, the remedy. Secrets show as `***`.

use super::conceal::MASK;
use super::diagnostic::Diagnostic;
use super::source_text::{SourceText, Span};
use std::fmt::Write;
use std::ops::Range;
use unbatch_api::Severity;

/// Characters of a line that are shown; a longer one is cut around the marked place.
const WIDTH_MAX: usize = 120;

/// How messages are drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// Nothing but ASCII in the drawing; texts stay as they are.
    pub ascii: bool,
    /// ANSI colours; for terminals only.
    pub color: bool,
}

struct Strokes {
    corner: &'static str,
    bar: &'static str,
    dot: &'static str,
    line: char,
    tee: char,
    hook: &'static str,
    cut: char,
    tab: char,
}

const UNICODE: Strokes =
    Strokes {
        corner: "╭─", bar: "│", dot: "·", line: '─', tee: '┬', hook: "╰──", cut: '…', tab: '→'
    };
const ASCII: Strokes =
    Strokes { corner: ",-", bar: "|", dot: ":", line: '-', tee: '+', hook: "`--", cut: '~', tab: ' ' };

/// One message, ending in a line break.
pub(super) fn one(d: &Diagnostic, style: Style) -> String {
    let strokes = if style.ascii { &ASCII } else { &UNICODE };
    let paint = |color: &str, text: String| match style.color {
        true => format!("\u{1b}[{color}m{text}\u{1b}[0m"),
        false => text,
    };
    let (word, color) = match d.severity {
        Severity::Error => ("error", "1;31"),
        // yellow and cyan cannot be read on a light background
        Severity::Warning => ("warning", "1;35"),
    };
    let mut out = format!("{}: {}\n", paint(color, format!("{word}[{}]", d.code)), visible(&d.message));
    let file = visible(&d.file.display().to_string());
    match (&d.text, d.span) {
        (Some(text), Some(span)) => {
            let number = span.line.to_string();
            let pad = " ".repeat(number.len());
            let place = format!("{file}:{}:{}", span.line, span.column);
            let _ = writeln!(out, "{pad} {}[{}]", strokes.corner, paint("1", place));
            let marked = marked_line(text, span, strokes);
            let _ = writeln!(out, "{number} {} {}", strokes.bar, marked.line);
            let label = d.label.as_deref().map(visible);
            for drawn in underline(&marked, label.as_deref(), strokes) {
                let _ = writeln!(out, "{pad} {} {}", strokes.dot, paint(color, drawn));
            }
        }
        _ => {
            let _ = writeln!(out, "   {}[{}]", strokes.corner, paint("1", file));
        }
    }
    if !d.help.is_empty() && d.label.as_deref() != Some(&d.help) {
        let _ = writeln!(out, "  help: {}", visible(&d.help));
    }
    out
}

/// A line as it is shown, and which of its characters are marked.
struct Marked {
    line: String,
    marked: Range<usize>,
}

fn marked_line(text: &SourceText, span: Span, strokes: &Strokes) -> Marked {
    let range = text.line_range(span.line);
    let mut hidden: Vec<Range<usize>> = text
        .concealed_ranges()
        .into_iter()
        .map(|r| r.start.max(range.start)..r.end.min(range.end))
        .filter(|r| r.start < r.end)
        .collect();
    hidden.sort_by_key(|r| (r.start, r.end));
    let mut shown: Vec<char> = Vec::new();
    let (mut first, mut last) = (None, 0);
    let mut hidden_until = 0;
    for (i, c) in text.text()[range.clone()].char_indices() {
        let at = range.start + i;
        let before = shown.len();
        if let Some(secret) = hidden.iter().filter(|r| r.contains(&at)).max_by_key(|r| r.end) {
            // One mask for each run of secret bytes, whatever its length.
            if at >= hidden_until {
                shown.extend(MASK.chars());
            }
            hidden_until = hidden_until.max(secret.end);
        } else {
            shown.push(match c {
                '\t' => strokes.tab,
                c if c.is_control() => '\u{fffd}',
                c => c,
            });
        }
        if at >= span.offset && at < span.offset + span.length {
            first.get_or_insert(if shown.len() > before { before } else { before.saturating_sub(MASK.len()) });
            last = shown.len();
        }
    }
    let marked = match first {
        Some(first) => first..last.max(first + 1),
        None => {
            let column = span.column.saturating_sub(1).min(shown.len());
            column..column + 1
        }
    };
    cut(&shown, marked, strokes)
}

/// Cuts a long line to a window around what is marked.
fn cut(shown: &[char], marked: Range<usize>, strokes: &Strokes) -> Marked {
    if shown.len() <= WIDTH_MAX {
        return Marked { line: shown.iter().collect(), marked };
    }
    let start = marked.start.saturating_sub(WIDTH_MAX / 2).min(shown.len() - WIDTH_MAX);
    let end = start + WIDTH_MAX;
    let mut line: String = shown[start..end].iter().collect();
    let mut shift = 0;
    if start > 0 {
        line.insert(0, strokes.cut);
        shift = 1;
    }
    if end < shown.len() {
        line.push(strokes.cut);
    }
    let from = marked.start - start + shift;
    Marked { line, marked: from..(marked.end.min(end) - start + shift).max(from + 1) }
}

fn underline(marked: &Marked, label: Option<&str>, strokes: &Strokes) -> Vec<String> {
    let Range { start, end } = marked.marked;
    let indent = " ".repeat(start);
    let length = end - start;
    let middle = (length - 1) / 2;
    let stroke = |n: usize| std::iter::repeat_n(strokes.line, n).collect::<String>();
    match label {
        None => vec![format!("{indent}{}", stroke(length))],
        Some(label) => vec![
            format!("{indent}{}{}{}", stroke(middle), strokes.tee, stroke(length - middle - 1)),
            format!("{indent}{}{} {label}", " ".repeat(middle), strokes.hook),
        ],
    }
}

/// A text of a file inside a message must not steer the terminal.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_message_looks_as_the_guide_shows_it() {
        let text = Arc::new(SourceText::new("pipelines/shop-cdc.yaml", format!("{}    tabels:\n", "x: 1\n".repeat(9))));
        let at = text.text().find("tabels").unwrap();
        let d = Diagnostic::error("U0102", "unknown field `tabels` in `source.postgres_cdc`")
            .at(&text, text.span(at..at + 6))
            .label("did you mean `tables`?")
            .help("did you mean `tables`?");
        let expected = "\
error[U0102]: unknown field `tabels` in `source.postgres_cdc`
   ╭─[pipelines/shop-cdc.yaml:10:5]
10 │     tabels:
   ·     ──┬───
   ·       ╰── did you mean `tables`?
";
        assert_eq!(one(&d, Style::default()), expected);
        let ascii = one(&d, Style { ascii: true, color: false });
        assert!(ascii.is_ascii() && ascii.contains("10 |     tabels:"), "{ascii}");
        assert!(one(&d, Style { ascii: false, color: true }).starts_with("\u{1b}[1;31merror[U0102]\u{1b}[0m: unknown"));
    }

    #[test]
    fn a_long_line_is_cut_around_the_place_and_secrets_are_masked() {
        let text =
            Arc::new(SourceText::new("a.yaml", format!("k: {}HERE{} p: hunter2", "a".repeat(300), "b".repeat(300))));
        let here = text.text().find("HERE").unwrap();
        let drawn = one(&Diagnostic::error("U0101", "x").at(&text, text.span(here..here + 4)), Style::default());
        assert!(drawn.contains('…') && drawn.contains("HERE"), "{drawn}");
        let under = drawn.lines().nth(3).unwrap();
        let line = drawn.lines().nth(2).unwrap();
        let column = |s: &str, needle: &str| {
            s.chars().collect::<Vec<_>>().windows(4).position(|w| w.iter().collect::<String>() == needle)
        };
        assert_eq!(column(line, "HERE"), column(under, "────"), "{drawn}");

        let text = Arc::new(SourceText::new("a.yaml", "p: hunter2 # note\nq: \u{1b}[31m"));
        text.conceal(3..10);
        let secret = one(&Diagnostic::error("U0101", "x").at(&text, text.span(3..10)), Style::default());
        assert!(secret.contains("p: *** # note\n  ·    ───\n"), "{secret}");
        let second = one(&Diagnostic::error("U0101", "a\u{7}b").at(&text, text.span(18..19)), Style::default());
        assert!(!second.contains(['\u{1b}', '\u{7}']), "{second}");
    }
}
