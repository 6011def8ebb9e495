//! When files are due, and what is to be said of a day's files. Days are those of a zone; moments are milliseconds since 1970 in UTC,
//! and whoever asks says what time it is.

use crate::config::{Ambiguous, Expect, Weekday};
use crate::decode::{Placeless, Zone};
use crate::ledger::{Entry, Outcome};
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta};
use std::time::Duration;
use unbatch_object_files::ObjectStat;

/// A longer grace could reach the next day's deadline: days have 23 hours when clocks are set forward, and `by` may move with them.
pub const GRACE_HOURS_MAX: u64 = 12;

/// Minutes that clocks were ever set forward at once: Samoa left out a day.
const GAP_MINUTES_MAX: u32 = 24 * 60;

/// `expect`, taken apart.
#[derive(Debug)]
pub struct Schedule {
    by: NaiveTime,
    zone: Zone,
    grace: i64,
    /// From Monday.
    days: [bool; 7],
    files: usize,
    /// `06:00 Europe/Berlin`, for messages.
    told: String,
}

/// A field of `expect` that cannot be, and why.
#[derive(Debug)]
pub struct Wrong {
    pub field: &'static str,
    pub message: String,
}

/// A day whose files were due, and when what comes counts for it: after `begins` and until `ends`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    pub date: NaiveDate,
    begins: i64,
    pub due: i64,
    pub ends: i64,
    /// When files are due next.
    pub next: i64,
}

/// What is said of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    OnTime,
    /// Not there yet, and still within the grace.
    Awaited,
    /// There, and later than `by`.
    CameLate,
    Missing,
    /// What came had no rows.
    Empty,
    /// What came was delivered before, and is not read again.
    Duplicate,
}

/// Something that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub came: i64,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A file that is something to read, also one that was parked: it came, and what is wrong with it is told as that.
    File,
    /// Without a row.
    Empty,
    /// A file that was delivered before.
    Again,
}

/// A day and what is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub day: Day,
    pub state: State,
    /// Files that came for it.
    came: usize,
}

impl Schedule {
    pub fn new(config: &Expect) -> Result<Self, Wrong> {
        let no_time = || Wrong { field: "by", message: format!("`{}` is not a time of day like 06:00", config.by) };
        let by = time_of_day(&config.by).ok_or_else(no_time)?;
        let zone = Zone::parse(&config.zone, Ambiguous::Latest).map_err(|message| Wrong { field: "zone", message })?;
        if config.grace.0 > Duration::from_secs(GRACE_HOURS_MAX * 3600) {
            return Err(Wrong { field: "grace", message: format!("`grace` is longer than {GRACE_HOURS_MAX}h") });
        }
        if config.files == 0 {
            return Err(Wrong { field: "files", message: "`files` is zero".into() });
        }
        let mut days = [config.days.is_empty(); 7];
        config.days.iter().for_each(|day| days[from_monday(*day)] = true);
        let told = format!("{} {}", config.by, config.zone);
        let grace = config.grace.0.as_millis() as i64;
        Ok(Self { by, zone, grace, days, files: config.files as usize, told })
    }

    /// The last day whose deadline has passed. `None` only at the ends of the calendar.
    pub fn day(&self, now: i64) -> Option<Day> {
        // no zone is as much as a day ahead of UTC
        let tomorrow = DateTime::from_timestamp_millis(now)?.date_naive().checked_add_days(Days::new(1))?;
        let mut date = tomorrow;
        while !self.has(date) || self.due(date)? > now {
            date = date.pred_opt()?;
        }
        let before = self.neighbour(date, NaiveDate::pred_opt)?;
        let after = self.neighbour(date, NaiveDate::succ_opt)?;
        let due = self.due(date)?;
        let begins = self.due(before)? + self.grace;
        Some(Day { date, begins, due, ends: due + self.grace, next: self.due(after)? })
    }

    /// What is said at `now` of the last day whose deadline has passed.
    pub fn judge(&self, now: i64, deliveries: impl Iterator<Item = Delivery>) -> Option<Judgement> {
        let day = self.day(now)?;
        let (mut in_time, mut late, mut after, mut empty, mut again) = (0, 0, 0, 0, 0);
        for delivery in deliveries.filter(|d| day.begins < d.came) {
            match delivery.what {
                What::File if delivery.came <= day.due => in_time += 1,
                What::File if delivery.came <= day.ends => late += 1,
                What::File => after += 1,
                _ if delivery.came > day.ends => {}
                What::Empty => empty += 1,
                What::Again => again += 1,
            }
        }
        let is_enough = |files: usize| files >= self.files;
        let state = match () {
            () if is_enough(in_time) => State::OnTime,
            () if is_enough(in_time + late + after) => State::CameLate,
            () if is_enough(in_time + late + empty) => State::Empty,
            () if is_enough(in_time + late + empty + again) => State::Duplicate,
            () if now <= day.ends => State::Awaited,
            () => State::Missing,
        };
        Some(Judgement { day, state, came: in_time + late + after })
    }

    /// What is told of a judgement.
    pub fn message(&self, judgement: &Judgement) -> String {
        let (came, files, by) = (judgement.came, self.files, &self.told);
        match judgement.state {
            State::OnTime => format!("{came} of {files} expected files came by {by}"),
            State::Awaited => format!("{came} of {files} expected files came by {by}; the rest is awaited"),
            State::CameLate => format!("the expected files came later than {by}"),
            State::Missing => format!("{came} of {files} expected files came by {by}, or within the grace after it"),
            State::Empty => format!("files came for {by}, and have no rows"),
            State::Duplicate => format!("files came for {by} that were delivered before; they are not read again"),
        }
    }

    fn has(&self, date: NaiveDate) -> bool {
        self.days[date.weekday().num_days_from_monday() as usize]
    }

    /// The next of the days in a direction.
    fn neighbour(&self, of: NaiveDate, step: impl Fn(&NaiveDate) -> Option<NaiveDate>) -> Option<NaiveDate> {
        let mut date = step(&of)?;
        while !self.has(date) {
            date = step(&date)?;
        }
        Some(date)
    }

    /// The moment of `by` on a date. One that the clocks left out is when they were set forward: the first minute there was
    /// behind it.
    fn due(&self, date: NaiveDate) -> Option<i64> {
        let mut local = date.and_time(self.by);
        for _ in 0..=GAP_MINUTES_MAX {
            match self.zone.place(local) {
                Ok(east) => return Some((local.and_utc().timestamp() - i64::from(east)) * 1_000),
                Err(Placeless::Never | Placeless::Twice) => local = local.checked_add_signed(TimeDelta::minutes(1))?,
            }
        }
        None
    }
}

impl Judgement {
    /// When something else may be said although nothing comes.
    pub fn holds_until(&self) -> i64 {
        match self.state {
            State::Awaited => self.day.ends,
            _ => self.day.next - 1,
        }
    }
    /// The deadline by which `state` was decided.
    pub fn deadline(&self) -> i64 {
        match self.state {
            State::Missing => self.day.ends,
            _ => self.day.due,
        }
    }
}

impl State {
    /// The word that a person is told; `None`: there is nothing to tell.
    pub fn code(self) -> Option<&'static str> {
        let code = match self {
            State::OnTime => return None,
            State::Awaited | State::CameLate => "late",
            State::Missing => "missing",
            State::Empty => "empty",
            State::Duplicate => "duplicate",
        };
        Some(code)
    }
}

/// What the ledger knows that came.
pub fn deliveries(entry: &Entry) -> impl Iterator<Item = Delivery> {
    let what = match entry.outcome {
        Outcome::Loaded if entry.rows == 0 => Some(What::Empty),
        Outcome::Loaded | Outcome::Failed | Outcome::Skipped => Some(What::File),
        // nothing came: it grew in its place, or was never seen
        Outcome::Grown | Outcome::Marked => None,
    };
    let first = what.map(|what| Delivery { came: entry.came.unwrap_or_else(|| arrival(&entry.stat)), what });
    let again = entry.came_again.map(|came| Delivery { came, what: What::Again });
    first.into_iter().chain(again)
}

/// When a file came as it is, by the clock of its store: the upload of an object. Of a file when anything about it changed last, as
/// a rename into the folder or its last byte does; its modification time may be of another day, when it was copied with it.
pub fn arrival(stat: &ObjectStat) -> i64 {
    let nanos = if stat.is_local() { stat.ctime } else { stat.mtime };
    nanos.div_euclid(1_000_000)
}

/// `HH:MM`.
fn time_of_day(text: &str) -> Option<NaiveTime> {
    let is_digit = |at: &usize| text.as_bytes()[*at].is_ascii_digit();
    let is_written_so = text.len() == 5 && text.as_bytes()[2] == b':' && [0, 1, 3, 4].iter().all(is_digit);
    NaiveTime::parse_from_str(text, "%H:%M").ok().filter(|_| is_written_so)
}

fn from_monday(day: Weekday) -> usize {
    match day {
        Weekday::Mon => 0,
        Weekday::Tue => 1,
        Weekday::Wed => 2,
        Weekday::Thu => 3,
        Weekday::Fri => 4,
        Weekday::Sat => 5,
        Weekday::Sun => 6,
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
