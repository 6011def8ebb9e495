//! What a person sees: results on stdout, everything else on stderr; colour and bars only on a terminal.

use indicatif::{MultiProgress, ProgressDrawTarget};
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

/// How a text is set off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Bold,
    Dim,
    Red,
    Green,
    /// Of warnings: readable on light and on dark, which yellow and cyan are not.
    Magenta,
}

/// One of the two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Result,
    Progress,
}

/// The two outputs and what they can show. Clones share the bars.
#[derive(Clone)]
pub(crate) struct Terminal {
    /// Results as one JSON envelope.
    pub(crate) json: bool,
    /// Glyphs beyond ASCII can be shown.
    pub(crate) unicode: bool,
    /// Stdout is a terminal that can be drawn on.
    pub(crate) is_live: bool,
    /// Columns of the terminal that results go to; `None`: they go elsewhere, or nobody knows.
    pub(crate) result_width: Option<u16>,
    /// Columns of the terminal that progress goes to, likewise.
    pub(crate) progress_width: Option<u16>,
    /// Stderr is a terminal that a person watches.
    pub(crate) is_watched: bool,
    colour_result: bool,
    colour_progress: bool,
    bars: MultiProgress,
}

impl Terminal {
    /// Looks at the real outputs and the environment.
    pub(crate) fn detect(json: bool) -> Self {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let mut terminal = Self::of(json, out, err, |name| std::env::var_os(name));
        // a terminal that does not know its size says 0
        let width =
            || ratatui::crossterm::terminal::size().ok().map(|(columns, _)| columns).filter(|columns| *columns > 0);
        if out && !json {
            terminal.result_width = width();
        }
        if terminal.is_watched {
            terminal.progress_width = width();
        }
        terminal
    }

    fn of(json: bool, out: bool, err: bool, env: impl Fn(&str) -> Option<OsString>) -> Self {
        let given = |name: &str| env(name).filter(|v| !v.is_empty()).map(|v| v.to_string_lossy().into_owned());
        // https://no-color.org: any value but the empty one; `dumb` terminals know neither colour nor cursor
        let dumb = given("TERM").is_some_and(|t| t == "dumb");
        // https://bixense.com/clicolors: 0 says that a terminal is not to be coloured
        let colour = given("NO_COLOR").is_none() && !dumb && given("CLICOLOR").is_none_or(|v| v != "0");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|n| given(n)).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let is_watched = err && !dumb;
        let target = if is_watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self {
            json,
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
            is_live: out && !dumb && !json,
            result_width: None,
            progress_width: None,
            is_watched,
            colour_result: out && colour && !json,
            colour_progress: err && colour,
            bars: MultiProgress::with_draw_target(target),
        }
    }

    /// Writes a result.
    ///
    /// # Errors
    ///
    /// As writing does; `BrokenPipe` when the reader went away (`unbatch … | head`).
    pub(crate) fn result(&self, text: &str) -> io::Result<()> {
        self.bars.suspend(|| {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes())?;
            if !text.is_empty() && !text.ends_with('\n') {
                out.write_all(b"\n")?;
            }
            out.flush()
        })
    }

    /// Writes a line of progress or trouble. Nobody listening is no reason to fail.
    pub(crate) fn say(&self, text: &str) {
        self.bars.suspend(|| {
            let mut err = io::stderr().lock();
            let _ = err.write_all(text.as_bytes());
            if !text.ends_with('\n') {
                let _ = err.write_all(b"\n");
            }
        });
    }

    /// As [`Terminal::say`], with its lines broken between words.
    pub(crate) fn say_prose(&self, text: &str) {
        self.say(&self.fit(Output::Progress, text));
    }

    /// As [`Terminal::say`], unless there is nothing to say.
    pub(crate) fn say_if_any(&self, text: &str) {
        if !text.is_empty() {
            self.say(text);
        }
    }

    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    pub(crate) fn has_colour(&self, output: Output) -> bool {
        match output {
            Output::Result => self.colour_result,
            Output::Progress => self.colour_progress,
        }
    }

    pub(crate) fn paint(&self, output: Output, style: Style, text: &str) -> String {
        if !self.has_colour(output) {
            return text.to_owned();
        }
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Red => "1;31",
            Style::Green => "32",
            Style::Magenta => "35",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Prose with its lines broken between words where the terminal would break them anywhere. What does not go to a terminal
    /// keeps its lines, for a log or another program.
    pub(crate) fn fit(&self, output: Output, text: &str) -> String {
        let width = match output {
            Output::Result => self.result_width,
            Output::Progress => self.progress_width,
        };
        match width {
            Some(width) => text.split_inclusive('\n').map(|line| broken(line, width.into())).collect(),
            None => text.to_owned(),
        }
    }

    /// The glyph, or its ASCII stand-in.
    pub(crate) fn glyph(&self, glyph: Glyph) -> &'static str {
        match (glyph, self.unicode) {
            (Glyph::Good, true) => "✓",
            (Glyph::Good, false) => "ok",
            (Glyph::Bad, true) => "✗",
            (Glyph::Bad, false) => "x",
            (Glyph::Warning, true) => "⚠",
            (Glyph::Warning, false) => "!",
            (Glyph::Dot, true) => "·",
            (Glyph::Dot, false) => "|",
            (Glyph::Arrow, true) => "→",
            (Glyph::Arrow, false) => "->",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Glyph {
    Good,
    Bad,
    Warning,
    Dot,
    Arrow,
}

/// A line in pieces that fit; what follows `help:` or the like is set in. A command in backticks stays whole.
fn broken(line: &str, width: usize) -> String {
    let indent = line.chars().take_while(|c| *c == ' ').count();
    let is_titled = words(line.trim()).next().is_some_and(|word| word.trim_end_matches("\x1b[0m").ends_with(':'));
    let hang = if is_titled { indent + 2 } else { indent };
    if shown_width(line.trim_end()) <= width || hang + BROKEN_MIN > width {
        return line.to_owned();
    }
    let mut text = " ".repeat(indent);
    let mut column = indent;
    for (i, word) in words(line.trim()).enumerate() {
        let length = shown_width(word);
        match i {
            0 => {}
            _ if column + 1 + length > width => {
                text.push('\n');
                text.push_str(&" ".repeat(hang));
                column = hang;
            }
            _ => {
                text.push(' ');
                column += 1;
            }
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
    text
}

/// A terminal with less room than this for a text is left to break it.
const BROKEN_MIN: usize = 24;

/// Between spaces that stand outside of backticks.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |c: char| {
        is_quoted ^= c == '`';
        c == ' ' && !is_quoted
    })
}

/// Characters that take room; what sets the style takes none.
fn shown_width(text: &str) -> usize {
    let mut is_style = false;
    let takes_room = |c: &char| {
        let is_inside = is_style || *c == '\u{1b}';
        is_style = is_inside && *c != 'm';
        !is_inside
    };
    text.chars().filter(takes_room).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal(out: bool, err: bool, env: &[(&str, &str)]) -> Terminal {
        Terminal::of(false, out, err, |name| env.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v)))
    }

    #[test]
    fn colour_only_on_a_terminal_and_never_against_no_color() {
        let painted = |t: &Terminal| t.paint(Output::Progress, Style::Red, "x");
        assert_eq!(painted(&terminal(true, true, &[])), "\x1b[1;31mx\x1b[0m");
        assert_eq!(painted(&terminal(true, false, &[])), "x");
        assert_eq!(painted(&terminal(true, true, &[("NO_COLOR", "1")])), "x");
        assert_eq!(painted(&terminal(true, true, &[("NO_COLOR", "")])), "\x1b[1;31mx\x1b[0m");
        assert_eq!(painted(&terminal(true, true, &[("TERM", "dumb")])), "x");
        assert_eq!(painted(&terminal(true, true, &[("CLICOLOR", "0")])), "x");
        assert_eq!(painted(&terminal(true, true, &[("CLICOLOR", "1")])), "\x1b[1;31mx\x1b[0m");
    }

    #[test]
    fn prose_is_broken_between_words_on_a_terminal_only() {
        let mut narrow = terminal(true, true, &[]);
        let text = "\x1b[1;31merror\x1b[0m: going on is not allowed, it is said here\n  help: look with `unbatch quarantine list` first\n\nshort\n";
        assert_eq!(narrow.fit(Output::Progress, text), text);
        narrow.progress_width = Some(40);
        let expected = "\x1b[1;31merror\x1b[0m: going on is not allowed, it is\n  said here\n  help: look with\n    `unbatch quarantine list` first\n\nshort\n";
        assert_eq!(narrow.fit(Output::Progress, text), expected);
        assert_eq!(narrow.fit(Output::Result, text), text, "the other output has a width of its own");
        let long = format!("      {}\n", "word ".repeat(20).trim());
        assert!(
            narrow.fit(Output::Progress, &long).lines().all(|line| line.starts_with("      w") && line.len() <= 40)
        );
    }

    #[test]
    fn glyphs_fall_back_to_ascii_by_the_first_locale_variable_that_is_set() {
        let glyph = |env: &[(&str, &str)]| terminal(true, true, env).glyph(Glyph::Good);
        assert_eq!(glyph(&[("LANG", "de_DE.UTF-8")]), "✓");
        assert_eq!(glyph(&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")]), "ok");
        assert_eq!(glyph(&[("LC_CTYPE", "C.utf8")]), "✓");
        assert_eq!(glyph(&[]), "ok");
    }
}
