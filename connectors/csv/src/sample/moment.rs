//! How the dates and times of a column are written. A notation counts only for cells that the source itself can read with it.

use super::column::{Open, Verdict};
use crate::decode::temporal::{self, Notation};
use std::collections::BTreeMap;
use unbatch_api::ColumnType;

/// Cells that are no dates at all before the column is given up.
const PATIENCE: u64 = 50;
/// Longest text that is looked at.
const LENGTH_MAX: usize = 40;

/// Notations that read the cells so far, each with the number of cells. The empty one is ISO 8601.
#[derive(Clone, Debug, Default)]
pub struct Moments {
    dates: BTreeMap<String, u64>,
    times: BTreeMap<String, u64>,
    seen: u64,
    /// Times that say how far they are from UTC.
    with_offset: u64,
    notations: Notations,
}

#[derive(Clone, Debug, Default)]
struct Notations(BTreeMap<String, Option<Notation>>);

/// The date of a cell and what follows it.
struct Parts<'a> {
    dates: Vec<&'static str>,
    rest: &'a str,
}

impl Moments {
    pub fn see(&mut self, text: &str) {
        self.seen += 1;
        let is_hopeless = self.seen > PATIENCE && self.dates.is_empty() && self.times.is_empty();
        if is_hopeless || text.len() > LENGTH_MAX || text.len() < 6 {
            return;
        }
        let Some(parts) = parts(text) else { return };
        if parts.rest.is_empty() {
            for format in parts.dates {
                if self.notations.get(format).is_some_and(|n| temporal::date(text.as_bytes(), n).is_some()) {
                    *self.dates.entry(format.to_owned()).or_default() += 1;
                }
            }
            return;
        }
        let mut has_offset = false;
        for format in parts.dates {
            for (format, offset) in time_formats(format, parts.rest) {
                let notation = self.notations.get(&format);
                if notation.is_some_and(|n| temporal::timestamp(text.as_bytes(), n, 0).is_some()) {
                    *self.times.entry(format).or_default() += 1;
                    has_offset |= offset;
                }
            }
        }
        self.with_offset += u64::from(has_offset);
    }

    /// Most cells that one notation reads.
    pub fn count(&self) -> u64 {
        self.dates.values().chain(self.times.values()).copied().max().unwrap_or_default()
    }

    /// The type of a column in which one notation or more read all of `count` values.
    pub fn verdict(&self, count: u64) -> Option<Verdict> {
        let all = |found: &BTreeMap<String, u64>| {
            let mut full: Vec<String> = found.iter().filter(|(_, n)| **n == count).map(|(f, _)| f.clone()).collect();
            // without a fraction of seconds is simpler, where both read all
            let is_longer = |f: &String| full.contains(&f.replace("%.f", ""));
            let longer: Vec<String> = full.iter().filter(|f| f.contains("%.f") && is_longer(f)).cloned().collect();
            full.retain(|f| !longer.contains(f));
            full
        };
        let (dates, times) = (all(&self.dates), all(&self.times));
        match (dates.as_slice(), times.as_slice()) {
            ([], []) => None,
            (formats, []) => Some(settled(ColumnType::Date, formats, None)),
            (_, formats) => {
                let zone = (self.with_offset < count).then(|| {
                    Open::new("times carry no offset, so they count as UTC").chosen("zone: UTC").instead([
                        "the place where they were written, with its summer time, such as zone: Europe/Berlin",
                        "its offset, if its clocks are never changed, such as zone: \"+01:00\"",
                        "type: string",
                    ])
                });
                Some(settled(ColumnType::Timestamp, formats, zone))
            }
        }
    }
}

/// One notation is certain, two are a choice, and so is one whose year has two digits.
fn settled(column_type: ColumnType, formats: &[String], zone: Option<Open>) -> Verdict {
    let written = |format: &String| match format.is_empty() {
        true => format!("type: {column_type}"),
        false => format!("type: {column_type}, format: \"{format}\""),
    };
    let instead: Vec<String> = formats.iter().map(written).collect();
    let [only] = formats else {
        let why = "day and month cannot be told apart in the sample";
        return Verdict::text().open(Open::new(why).instead(instead));
    };
    if only.contains("%y") {
        return Verdict::text().open(Open::new("the century of the years is not written").instead(instead));
    }
    let mut verdict = Verdict::of(column_type);
    if !only.is_empty() {
        verdict = verdict.option("format", &format!("\"{only}\""));
    }
    match zone {
        Some(open) => verdict.option("zone", "UTC").open(open),
        None => verdict,
    }
}

impl Notations {
    fn get(&mut self, format: &str) -> Option<&Notation> {
        let make = || Notation::new((!format.is_empty()).then_some(format)).ok();
        self.0.entry(format.to_owned()).or_insert_with(make).as_ref()
    }
}

/// Finds the date at the front, with the notations that it may be in; the empty one is ISO 8601.
fn parts(text: &str) -> Option<Parts<'_>> {
    let first = text.find(|c: char| !c.is_ascii_digit())?;
    let mark = text[first..].chars().next()?;
    if !matches!(mark, '-' | '/' | '.' | ' ') {
        return named(text);
    }
    let mut pieces = text.splitn(3, mark);
    let (a, b, rest) = (pieces.next()?, pieces.next()?, pieces.next()?);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (c, rest) = rest.split_at(end);
    let is_number = |piece: &str| !piece.is_empty() && piece.bytes().all(|b| b.is_ascii_digit());
    if !is_number(b) {
        return named(text);
    }
    let dates: &[&str] = match (mark, a.len(), c.len()) {
        ('-', 4, 2) => &[""],
        ('/', 4, 1..=2) => &["%Y/%m/%d"],
        ('.', 4, 1..=2) => &["%Y.%m.%d"],
        // nobody writes the month first in front of a point
        ('.', 1..=2, 4) => &["%d.%m.%Y"],
        ('.', 1..=2, 2) => &["%d.%m.%y"],
        ('/', 1..=2, 4) => &["%d/%m/%Y", "%m/%d/%Y"],
        ('-', 1..=2, 4) => &["%d-%m-%Y", "%m-%d-%Y"],
        ('/', 1..=2, 2) => &["%d/%m/%y", "%m/%d/%y"],
        ('-', 1..=2, 2) => &["%d-%m-%y", "%m-%d-%y"],
        _ => return None,
    };
    (b.len() <= 2).then(|| Parts { dates: dates.to_vec(), rest })
}

/// Dates with the name of the month; nothing may follow them.
fn named(text: &str) -> Option<Parts<'_>> {
    let has_year = |piece: &str| piece.len() == 4 && piece.bytes().all(|b| b.is_ascii_digit());
    let last = text.rsplit([' ', '-', '/']).next()?;
    if !has_year(last) || !text.bytes().any(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    let dates = vec!["%d %B %Y", "%d-%B-%Y", "%d/%B/%Y", "%B %d, %Y", "%B %d %Y"];
    Some(Parts { dates, rest: "" })
}

/// Notations for a date and the time that follows it, each with whether it has an offset.
fn time_formats(date: &str, rest: &str) -> Vec<(String, bool)> {
    let after_sign = rest.rfind(['+', '-']);
    let has_offset = rest.ends_with(['Z', 'z']) || after_sign.is_some();
    let is_twelve_hours = rest.to_ascii_uppercase().ends_with('M');
    if date.is_empty() && !is_twelve_hours {
        return vec![(String::new(), has_offset)];
    }
    let date = if date.is_empty() { "%Y-%m-%d" } else { date };
    let mark = match rest.chars().next() {
        Some(' ') => ' ',
        Some('T') => 'T',
        _ => return Vec::new(),
    };
    let clock = if is_twelve_hours { "%I" } else { "%H" };
    let half = match (is_twelve_hours, rest.contains(" AM") || rest.contains(" PM")) {
        (false, _) => "",
        (true, _) if rest.trim_end_matches(['M', 'm', 'A', 'a', 'P', 'p']).ends_with(' ') => " %p",
        (true, _) => "%p",
    };
    let offset = match after_sign {
        Some(at) if rest[..at].ends_with(' ') => " %z",
        Some(_) => "%z",
        None => "",
    };
    let colons = memchr::memchr_iter(b':', &rest.as_bytes()[..after_sign.unwrap_or(rest.len())]).count();
    let times: &[&str] = match colons {
        1 => &["%M"],
        2 => &["%M:%S", "%M:%S%.f"],
        _ => return Vec::new(),
    };
    times.iter().map(|time| (format!("{date}{mark}{clock}:{time}{half}{offset}"), has_offset)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cells: &[&str], expected: &str) {
        let mut moments = Moments::default();
        cells.iter().for_each(|c| moments.see(c));
        let text = moments.verdict(cells.len() as u64).map_or("none".to_owned(), |v| {
            let open: Vec<&str> = v.open.iter().map(|o| o.why.split(' ').next().unwrap()).collect();
            let options: String = v.options.iter().map(|(k, v)| format!(" {k}={v}")).collect();
            format!("{}{options} {}", v.column_type, open.join(" "))
        });
        assert_eq!(text.trim_end(), expected, "{cells:?}");
    }

    #[test]
    fn dates() {
        check(&["2026-03-01", "1999-12-31"], "date");
        check(&["2026-03-01", "2026-02-30"], "none");
        check(&["01.03.2026", "1.12.2026"], "date format=\"%d.%m.%Y\"");
        check(&["01/02/2026", "03/04/2026"], "string day");
        check(&["01/02/2026", "13/04/2026"], "date format=\"%d/%m/%Y\"");
        check(&["01/02/2026", "04/13/2026"], "date format=\"%m/%d/%Y\"");
        check(&["13/02/2026", "04/13/2026"], "none");
        check(&["01-02-2026"], "string day");
        check(&["2026/3/1"], "date format=\"%Y/%m/%d\"");
        check(&["31.12.99"], "string the");
        check(&["3/25/98"], "string the");
        check(&["03-Mar-2026", "04-Apr-2026"], "date format=\"%d-%B-%Y\"");
        check(&["Jan 1 2000", "March 22 2001"], "date format=\"%B %d %Y\"");
        check(&["March 1, 2000"], "date format=\"%B %d, %Y\"");
        for text in [
            "2026",
            "1.2.3",
            "10.0.0.1",
            "2026-03",
            "1-2-3",
            "12:30",
            "NL-1003-SWZ",
            "555-12-3456",
            "Peter Pan 2000",
            "ab-cd-2000",
        ] {
            check(&[text], "none");
        }
    }

    #[test]
    fn times() {
        check(&["2026-03-01T19:00:00Z", "2026-03-01 19:00:00.5+01:00"], "timestamp");
        check(&["2026-03-01 19:00:00"], "timestamp zone=UTC times");
        check(&["2026-03-01T19:00:00Z", "2026-03-01 19:00"], "timestamp zone=UTC times");
        check(&["01.03.2026 19:00:00"], "timestamp format=\"%d.%m.%Y %H:%M:%S\" zone=UTC times");
        check(&["01.03.2026 19:00"], "timestamp format=\"%d.%m.%Y %H:%M\" zone=UTC times");
        check(
            &["13/01/2026 19:00:00.25", "1/2/2026 9:00:01"],
            "timestamp format=\"%d/%m/%Y %H:%M:%S%.f\" zone=UTC times",
        );
        check(&["1/2/2026 9:05 PM"], "string day");
        check(&["1/13/2026 9:05:00 PM"], "timestamp format=\"%m/%d/%Y %I:%M:%S %p\" zone=UTC times");
        check(&["1/13/2026 19:05:00 +0100"], "timestamp format=\"%m/%d/%Y %H:%M:%S %z\"");
        check(&["2026-03-01 9:05:00 PM"], "timestamp format=\"%Y-%m-%d %I:%M:%S %p\" zone=UTC times");
        check(&["2026-03-01T19:00:00.1234567Z"], "none");
        check(&["2026-03-01", "2026-03-01T19:00:00Z"], "none");
        check(&["2026-03-01 25:00:00"], "none");
    }
}
