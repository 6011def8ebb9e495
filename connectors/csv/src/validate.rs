//! What can be said about a configuration without looking at any file.

mod columns;
mod dialect;
mod mode;
mod trailer;

use crate::config::{After, CsvDropsConfig, ReadyWhen};
use crate::folder::matcher;
use crate::schedule::{GRACE_HOURS_MAX, Schedule, Wrong};
use unbatch_api::{Problem, Severity};
use unbatch_object_files::{Compression, Location};

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
    expected(config, &mut found);
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
        found.error(
            "url",
            "U0210",
            format!("`url` {message}"),
            "write a path, or a file:, s3:, gs: or az: URL of a folder",
        );
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
                found.error(
                    "after.move_to",
                    "U0210",
                    format!("`move_to` {message}"),
                    "write a path, or a URL of the same store",
                );
            }
            (Ok(archive), Ok(folder)) if archive.is_same_text(folder) => {
                let help = "name another folder, or one inside it; archived files would be read again";
                found.error("after.move_to", "U0215", "`move_to` is the folder that is read", help);
            }
            (Ok(archive), Ok(folder)) if !is_one_store(&archive, folder) => {
                let help = "files are moved inside one store only: a folder for a folder, the same bucket for a bucket";
                found.error("after.move_to", "U0215", "`move_to` is in another store than `url`", help);
            }
            _ => {}
        }
    }
    if config.entry.is_some() && !matches!(config.compression, Compression::Auto | Compression::Zip) {
        let help = "remove it, or set `compression: zip`";
        found.error("entry", "U0214", "`entry` says nothing for files that are no zip archives", help);
    } else if let Err(message) = config.layers().entry_matcher() {
        found.error(
            "entry",
            "U0214",
            format!("`entry` {message}"),
            "write the name of the file in the archive, or *.csv",
        );
    }
    if let ReadyWhen::Marker(ending) = &config.ready_when
        && (ending.is_empty() || ending.contains('/'))
    {
        let help = "write what is added to the file's name, such as .done";
        found.error("ready_when.marker", "U0214", "the ending of marker files is empty or has a slash", help);
    }
}

fn is_one_store(one: &Location, two: &Location) -> bool {
    match (one, two) {
        (Location::Folder(_), Location::Folder(_)) => true,
        (Location::Bucket(one), Location::Bucket(two)) => (one.service, &one.name) == (two.service, &two.name),
        _ => false,
    }
}

fn limits(config: &CsvDropsConfig, found: &mut Found) {
    if config.splits == 0 || config.splits > 128 {
        found.error("splits", "U0214", "`splits` is not between 1 and 128", "1 is right for almost every folder");
    }
    if config.poll.is_some_and(|poll| poll.0.is_zero()) {
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

fn expected(config: &CsvDropsConfig, found: &mut Found) {
    const CODE: &str = "U0236";
    let Some(expect) = &config.expect else { return };
    if let Err(Wrong { field, message }) = Schedule::new(expect) {
        let help = match field {
            "by" => "write hours and minutes of a day of 24 hours, such as 06:00 or 18:30".to_owned(),
            "zone" => "write UTC, an offset like +01:00, or a name like Europe/Berlin".to_owned(),
            "grace" => format!("write at most {GRACE_HOURS_MAX}h, so that it ends before the next day's files are due"),
            _ => "write a number above zero, or remove the field".to_owned(),
        };
        found.error(format!("expect.{field}"), CODE, message, &help);
    }
    let is_twice = |(i, day)| expect.days[..i].contains(day);
    if expect.days.iter().enumerate().any(is_twice) {
        found.error("expect.days", CODE, "`days` has a day twice", "name each day once");
    }
    if config.splits > 1 {
        let help = "set `splits: 1`: each split sees only its own files, and cannot tell how many came";
        found.error("expect", CODE, "`expect` goes with one split only", help);
    }
}
