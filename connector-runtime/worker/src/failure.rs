//! Why a command could not do what it was asked to, and how a person reads it.

use crate::exit::Exit;
use crate::terminal::{Glyph, Output, Style, Terminal};
use serde_json::{Value, json};
use std::error::Error as _;
use std::fmt::Write;
use unbatch_api::{Error, Kind};
use unbatch_engine::config::{self, Diagnostics};

/// Why a command failed.
pub(crate) enum Failure {
    /// Files with errors in them: all that was found, in so many files.
    Files { found: Diagnostics, files: usize },
    /// Anything else.
    Error(Error),
    /// Several pipelines, each with its own reason.
    Pipelines(Vec<(String, Error)>),
    /// Whoever read our output went away; there is nobody left to tell.
    ReaderGone,
}

pub(crate) type Outcome<T> = Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

impl From<std::io::Error> for Failure {
    /// Of writing a result.
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::ReaderGone,
            _ => Failure::Error(
                Error::new(Kind::Lost, "writing the result failed")
                    .code("U0701")
                    .help("make room where the output goes, then repeat the command; what it was asked to change, if anything, is done")
                    .caused_by(error),
            ),
        }
    }
}

impl Failure {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Failure::Files { .. } => Exit::Misconfigured,
            Failure::Error(error) => Exit::from(error.kind()),
            Failure::Pipelines(list) => list.iter().map(|(_, e)| Exit::from(e.kind())).fold(Exit::Good, Exit::worse),
            Failure::ReaderGone => Exit::Good,
        }
    }

    /// For the JSON envelope.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Failure::Files { found, .. } => json!({
                "kind": "misconfigured",
                "message": "reading the configuration failed",
                "exit": self.exit().code(),
                "diagnostics": found,
            }),
            Failure::Error(error) => error_json(error),
            Failure::Pipelines(list) => json!({
                "message": "running pipelines failed",
                "exit": self.exit().code(),
                "pipelines": list.iter().map(|(name, e)| json!({"pipeline": name, "error": error_json(e)})).collect::<Vec<_>>(),
            }),
            Failure::ReaderGone => Value::Null,
        }
    }

    /// As a log collector gets it.
    pub(crate) fn one_line(&self) -> String {
        match self {
            Failure::Files { found, .. } => found.to_string(),
            Failure::Error(error) => error.one_line(),
            Failure::Pipelines(list) => {
                list.iter().map(|(name, error)| format!("{name}: {}", error.one_line())).collect::<Vec<_>>().join("; ")
            }
            Failure::ReaderGone => String::new(),
        }
    }

    /// As a person reads it on stderr; ends in a line break unless there is nothing to say.
    pub(crate) fn render(&self, terminal: &Terminal) -> String {
        match self {
            Failure::Files { found, files } => {
                format!("{}{}", render_diagnostics(found, terminal), verdict(&Counted::of(found), *files, terminal))
            }
            Failure::Error(error) => render_error(error, None, terminal),
            Failure::Pipelines(list) => {
                let each = gathered(list).into_iter().map(|(names, error)| render_error(error, Some(&names), terminal));
                each.collect::<Vec<_>>().join("\n")
            }
            Failure::ReaderGone => String::new(),
        }
    }
}

/// What several pipelines met in the same way, such as a broker that is away, is said once.
fn gathered(list: &[(String, Error)]) -> Vec<(String, &Error)> {
    let mut gathered: Vec<(String, &Error)> = Vec::new();
    for (name, error) in list {
        let is_same = |other: &Error| error_json(other) == error_json(error);
        match gathered.iter_mut().find(|(names, other)| !names.split(", ").any(|n| n == name) && is_same(other)) {
            Some((names, _)) => {
                let _ = write!(names, ", {name}");
            }
            None => gathered.push((name.clone(), error)),
        }
    }
    gathered
}

/// All messages with their snippets, an empty line after each.
pub(crate) fn render_diagnostics(found: &Diagnostics, terminal: &Terminal) -> String {
    if found.is_empty() {
        return String::new();
    }
    let style = config::Style { ascii: !terminal.unicode, color: terminal.has_colour(Output::Progress) };
    let text = found.render(style);
    // the line that is quoted, and what is drawn below it, stays as it is
    let is_prose = |line: &str| ["error", "warning", "  help:"].iter().any(|start| unpainted(line).starts_with(start));
    let fit = |line: &str| if is_prose(line) { terminal.fit(Output::Progress, line) } else { line.to_owned() };
    format!("{}\n", text.split_inclusive('\n').map(fit).collect::<String>())
}

/// What was found, by how bad it is.
#[derive(Default)]
pub(crate) struct Counted {
    pub(crate) errors: usize,
    pub(crate) warnings: usize,
    /// The code of the first.
    pub(crate) first: Option<&'static str>,
}

impl Counted {
    pub(crate) fn of(found: &Diagnostics) -> Self {
        Self { errors: found.errors(), warnings: found.warnings(), first: found.iter().next().map(|d| d.code) }
    }
    pub(crate) fn error(&mut self, code: Option<&'static str>) {
        // what stops it is worth explaining before what does not
        self.first = if self.errors == 0 { code.or(self.first) } else { self.first.or(code) };
        self.errors += 1;
    }
    pub(crate) fn warning(&mut self, code: &'static str) {
        self.first = self.first.or(Some(code));
        self.warnings += 1;
    }
}

/// `✗ 4 files · 1 error · 0 warnings   unbatch explain U0102`
pub(crate) fn verdict(found: &Counted, files: usize, terminal: &Terminal) -> String {
    let counted = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let dot = terminal.glyph(Glyph::Dot);
    let (glyph, style) = match found.errors > 0 {
        true => (Glyph::Bad, Style::Red),
        false => (Glyph::Good, Style::Green),
    };
    let mut line = format!(
        "{} {} {dot} {} {dot} {}",
        terminal.paint(Output::Progress, style, terminal.glyph(glyph)),
        counted(files, "file"),
        counted(found.errors, "error"),
        counted(found.warnings, "warning"),
    );
    if let Some(first) = found.first {
        let _ = write!(line, "   unbatch explain {first}");
    }
    line.push('\n');
    line
}

/// What was attempted, where, why it failed, what to do.
pub(crate) fn render_error(error: &Error, pipeline: Option<&str>, terminal: &Terminal) -> String {
    let head = match error.code_text() {
        Some(code) => format!("error[{code}]"),
        None => "error".to_owned(),
    };
    let mut text = format!("{}: ", terminal.paint(Output::Progress, Style::Red, &head));
    if let Some(name) = pipeline {
        let _ = write!(text, "{name}: ");
    }
    let _ = writeln!(text, "{}", error.message());
    for (name, value) in error.context() {
        let _ = writeln!(text, "  {name}: {value}");
    }
    for cause in causes(error) {
        let _ = writeln!(text, "  because: {cause}");
    }
    if let Some(help) = remedy(error) {
        let _ = writeln!(text, "  {} {help}", terminal.paint(Output::Progress, Style::Bold, "help:"));
    }
    terminal.fit(Output::Progress, &text)
}

/// A line without the style that it begins with.
fn unpainted(line: &str) -> &str {
    line.strip_prefix('\u{1b}').and_then(|rest| rest.split_once('m')).map_or(line, |(_, text)| text)
}

/// What a person can do: as the error says, or as can be said of every error like it.
pub(crate) fn remedy(error: &Error) -> Option<&str> {
    match (error.remedy(), error.code_text(), error.kind()) {
        (Some(remedy), ..) => Some(remedy),
        (None, Some("U0250"), _) => Some(CLUSTER_AWAY),
        (None, _, Kind::Bug) => Some(THIS_IS_A_BUG),
        (None, ..) => None,
    }
}

/// Of a cluster that does not answer.
const CLUSTER_AWAY: &str = "is Kafka running there? --brokers, UNBATCH_KAFKA_BROKERS or `kafka.brokers` in unbatch.yaml \
     name the address";

/// What somebody does who meets one.
pub(crate) const THIS_IS_A_BUG: &str =
    "this is a bug in unbatch, please report it; run again with UNBATCH_BACKTRACE=1 for the details";

fn error_json(error: &Error) -> Value {
    let context: serde_json::Map<String, Value> =
        error.context().iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({
        "code": error.code_text(),
        "kind": error.kind(),
        "message": error.message(),
        "context": context,
        "causes": causes(error),
        "help": remedy(error),
        "exit": Exit::from(error.kind()).code(),
    })
}

fn causes(error: &Error) -> Vec<String> {
    let mut all = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        all.push(cause.to_string());
        next = cause.source();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Error {
        Error::misconfigured("going on with another source is not allowed")
            .code("U0401")
            .with("before", "a")
            .caused_by(std::io::Error::other("it moved"))
            .help("start with --accept-change")
    }

    #[test]
    fn an_error_says_attempt_place_cause_and_remedy() {
        let text = render_error(&sample(), Some("stock"), &Terminal::detect(true));
        assert_eq!(
            text,
            "error[U0401]: stock: going on with another source is not allowed\n  before: a\n  because: it moved\n  \
             help: start with --accept-change\n"
        );
    }

    #[test]
    fn what_several_pipelines_met_alike_is_said_once() {
        let mut list = Vec::from(["stock", "prices"].map(|name| (name.to_owned(), sample())));
        list.push(("orders".to_owned(), Error::misconfigured("going on is not allowed")));
        let text = Failure::Pipelines(list).render(&Terminal::detect(true));
        assert!(text.starts_with("error[U0401]: stock, prices: going on with another source"), "{text}");
        assert!(text.contains("\nerror: orders: ") && text.matches("it moved").count() == 1, "{text}");
    }

    #[test]
    fn a_bug_without_a_remedy_says_that_it_is_one() {
        let text = render_error(&Error::bug("counting failed"), None, &Terminal::detect(true));
        assert!(text.contains("this is a bug in unbatch"), "{text}");
    }

    #[test]
    fn the_envelope_has_the_same_facts() {
        let json = Failure::from(sample()).to_json();
        assert_eq!(json["code"], "U0401");
        assert_eq!(json["kind"], "misconfigured");
        assert_eq!(json["context"]["before"], "a");
        assert_eq!(json["causes"][0], "it moved");
        assert_eq!(json["exit"], 2);
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let gone = Failure::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(gone.exit(), Exit::Good);
        assert_eq!(gone.render(&Terminal::detect(true)), "");
    }
}
