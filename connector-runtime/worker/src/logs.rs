//! Logs go to stderr: text for a person, JSON for a collector. They never cut through a progress bar.

use crate::arguments::LogFormat;
use crate::terminal::{Output, Terminal};
use std::io::{self, Write};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Sets the level, in the notation of `RUST_LOG`.
const LEVEL: &str = "UNBATCH_LOG";

/// What the reader of stderr sees besides the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Nothing else tells what happens: an unattended run.
    Nothing,
    /// The command tells by itself what a person should know.
    Messages,
}

/// Starts logging; once in a process.
pub(crate) fn start(format: LogFormat, beside: Beside, terminal: &Terminal) {
    let filter = std::env::var(LEVEL).ok().filter(|f| !f.is_empty());
    let filter = EnvFilter::new(filter.as_deref().unwrap_or(default_level(format, beside)));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(AroundBars(terminal.clone()));
    // a second call leaves the first one's setting, which is what a library user wants
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(terminal.has_colour(Output::Progress)).with_target(false).try_init(),
    };
}

/// Where the command itself tells of retries and failures, the engine's lines about them would say it twice.
fn default_level(format: LogFormat, beside: Beside) -> &'static str {
    match (format, beside) {
        (LogFormat::Json, _) => "info,librdkafka=warn",
        (LogFormat::Text, Beside::Nothing) => {
            "info,librdkafka=warn,unbatch_engine::supervisor=off,unbatch_engine::run=off"
        }
        (LogFormat::Text, Beside::Messages) => {
            "warn,librdkafka=off,unbatch_engine::supervisor=off,unbatch_engine::run=off"
        }
    }
}

/// Writes whole lines to stderr while the bars stand aside.
struct AroundBars(Terminal);

struct Line {
    terminal: Terminal,
    bytes: Vec<u8>,
}

impl<'a> MakeWriter<'a> for AroundBars {
    type Writer = Line;
    fn make_writer(&'a self) -> Line {
        Line { terminal: self.0.clone(), bytes: Vec::new() }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.terminal.say(&String::from_utf8_lossy(&self.bytes));
        }
    }
}
