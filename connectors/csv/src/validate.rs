//! What can be said about a configuration without looking at any file.

mod columns;
mod dialect;
mod mode;
mod trailer;

use crate::config::{After, CsvDropsConfig, ReadyWhen};
use crate::folder::matcher;
use crate::location::Location;
use unbatch_api::{Problem, Severity};

/// Fields and buffers are addressed with 30 bits; a record far below that is already a mistake.
const RECORD_LIMIT: u64 = 256 << 20;

pub fn problems(config: &CsvDropsConfig) -> Vec<Problem> {
    let mut found = Found(Vec::new());
    places(config, &mut found);
    dialect::check(config, &mut found);
    columns::check(config, &mut found);
    trailer::check(config, &mut found);
    mode::check(config, &mut found);
    limits(config, &mut found);
    found.0
}

struct Found(Vec<Problem>);

impl Found {
    fn error(&mut self, path: impl Into<String>, code: &'static str, message: impl Into<String>, help: &str) {
        self.add(path.into(), Severity::Error, code, message.into(), help);
    }
    fn warning(&mut self, path: impl Into<String>, code: &'static str, message: impl Into<String>, help: &str) {
        self.add(path.into(), Severity::Warning, code, message.into(), help);
    }
    fn add(&mut self, path: String, severity: Severity, code: &'static str, message: String, help: &str) {
        self.0.push(Problem { path, severity, code, message, help: help.into() });
    }
}

fn places(config: &CsvDropsConfig, found: &mut Found) {
    let folder = Location::parse(&config.url);
    if let Err(message) = &folder {
        found.error("url", "U0210", format!("`url` {message}"), "write a path or a file: URL of a folder");
    }
    if config.pattern.contains('/') {
        let help = "put the folder into `url`; `match` is over the file name, and folders inside are not looked into";
        found.error("match", "U0211", "`match` has a slash", help);
    } else if config.pattern.is_empty() || matcher(&config.pattern).is_err() {
        found.error("match", "U0211", "`match` is not a glob", "write a pattern like prices_*.csv");
    }
    if let After::MoveTo(url) = &config.after {
        match (Location::parse(url), &folder) {
            (Err(message), _) => {
                found.error("after.move_to", "U0210", format!("`move_to` {message}"), "write a path or a file: URL");
            }
            (Ok(archive), Ok(folder)) if archive.is_same_text(folder) => {
                let help = "name another folder, or one inside it; archived files would be read again";
                found.error("after.move_to", "U0215", "`move_to` is the folder that is read", help);
            }
            _ => {}
        }
    }
    if let ReadyWhen::Marker(ending) = &config.ready_when
        && (ending.is_empty() || ending.contains('/'))
    {
        let help = "write what is added to the file's name, such as .done";
        found.error("ready_when.marker", "U0214", "the ending of marker files is empty or has a slash", help);
    }
}

fn limits(config: &CsvDropsConfig, found: &mut Found) {
    if config.splits == 0 || config.splits > 128 {
        found.error("splits", "U0214", "`splits` is not between 1 and 128", "1 is right for almost every folder");
    }
    if config.poll.0.is_zero() {
        found.error("poll", "U0214", "`poll` is zero", "write how often the folder is listed, such as 250ms");
    }
    for (path, size) in [("record_max", config.record_max.0), ("field_max", config.field_max.0)] {
        if size == 0 || size > RECORD_LIMIT {
            found.error(path, "U0214", format!("`{path}` is not between 1B and 256MiB"), "the default is 16MiB");
        }
    }
    for (path, most) in [("field_lines_max", config.field_lines_max), ("columns_max", config.columns_max)] {
        if most == 0 {
            found.error(path, "U0214", format!("`{path}` is zero"), "write a number above zero, or remove the field");
        }
    }
    if matches!(&config.ready_when, ReadyWhen::StableFor(period) if period.0.is_zero()) {
        let help = "a file is then read while it is still being written; only for writers that rename whole files into the folder";
        found.warning("ready_when.stable_for", "U0214", "`stable_for` is zero", help);
    }
}
