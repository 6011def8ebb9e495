//! Dates and times. ISO 8601 is read by hand, since it is what almost every file has; other notations go through chrono.

use super::zone::{Placeless, Zone};
use chrono::format::{Item, Parsed, StrftimeItems, parse};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};
use std::fmt::Write;
use unbatch_api::ColumnType;

/// How dates or times of one column are written.
#[derive(Clone, Debug)]
pub enum Notation {
    Iso,
    /// Items of a strftime notation.
    Custom(Vec<Item<'static>>),
}

impl Notation {
    /// `None` is ISO 8601. Errors say what is wrong with the notation.
    pub fn new(format: Option<&str>) -> Result<Self, String> {
        let Some(format) = format else { return Ok(Notation::Iso) };
        let items = StrftimeItems::new(format).parse_to_owned();
        items.map(Notation::Custom).map_err(|_| format!("`{format}` is not a strftime notation like %d.%m.%Y"))
    }
}

impl Notation {
    /// Whether it can read a date, a timestamp or a time of day that it wrote itself. One that lacks a part cannot.
    pub fn reads_what_it_writes(&self, column_type: ColumnType) -> bool {
        let Notation::Custom(items) = self else { return true };
        let Some(moment) = DateTime::from_timestamp(1_795_419_900, 0) else { return true };
        let mut text = String::new();
        let written = match column_type {
            ColumnType::String => write!(text, "{}", moment.time().format_with_items(items.iter())),
            _ => write!(text, "{}", moment.fixed_offset().format_with_items(items.iter())),
        };
        let text = text.as_bytes();
        written.is_ok()
            && match column_type {
                ColumnType::Date => date(text, self).is_some(),
                ColumnType::Timestamp => timestamp(text, self, 0).is_some(),
                _ => time_of_day(text, items).is_some(),
            }
    }
}

/// Days since 1970-01-01.
pub fn date(text: &[u8], notation: &Notation) -> Option<i32> {
    match notation {
        Notation::Iso => iso_date(text),
        Notation::Custom(items) => Some(days(parsed(text, items)?.to_naive_date().ok()?)),
    }
}

/// Microseconds since 1970-01-01T00:00:00Z. `zone` counts, in seconds east of UTC, when the text has no offset. Finer digits
/// than microseconds are an error unless they are zero.
pub fn timestamp(text: &[u8], notation: &Notation, zone: i32) -> Option<i64> {
    timestamp_in(text, notation, &Zone::Fixed(zone))
}

/// The same in any zone.
#[inline]
pub fn timestamp_in(text: &[u8], notation: &Notation, zone: &Zone) -> Option<i64> {
    match notation {
        Notation::Iso => iso_timestamp(text, zone),
        Notation::Custom(items) => custom_timestamp(text, items, zone),
    }
}

/// Why a timestamp that is one was refused, when its local time is the reason.
#[cold]
pub fn placeless(text: &[u8], notation: &Notation, zone: &Zone) -> Option<Placeless> {
    // read as UTC, a local time is the number of its own clock
    let local = DateTime::from_timestamp_micros(timestamp(text, notation, 0)?)?.naive_utc();
    zone.place(local).err()
}

/// A time of day as `13:05:00`, with a fraction of seconds where there is one.
pub fn time_of_day(text: &[u8], items: &[Item<'static>]) -> Option<String> {
    let time = parsed(text, items)?.to_naive_time().ok()?;
    // a leap second is no time of a day
    (time.nanosecond() < 1_000_000_000).then(|| time.to_string())
}

#[inline]
fn iso_date(text: &[u8]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let year = two(*y1, *y2)? * 100 + two(*y3, *y4)?;
    let (month, day) = (two(*m1, *m2)?, two(*d1, *d2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year == 0 || !(1..=last).contains(&day) {
        return None;
    }
    // days of the civil calendar, as chrono counts them; the year begins in March so that leap days come last
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * m + 2) / 5 + day - 1;
    Some(y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719_468)
}

#[inline]
fn iso_timestamp(text: &[u8], zone: &Zone) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let [b'T' | b't' | b' ', h1, h2, b':', m1, m2, rest @ ..] = rest else { return None };
    let (hour, minute) = (two(*h1, *h2)?, two(*m1, *m2)?);
    let (second, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (two(*s1, *s2)?, rest),
        _ => (0, rest),
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (micros, rest) = match rest {
        [b'.' | b',', rest @ ..] => fraction(rest)?,
        _ => (0, rest),
    };
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let local = i64::from(iso_date(date)?) * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    let east = match rest {
        [] => zone.east(|| DateTime::from_timestamp(local, 0).map(|moment| moment.naive_utc()))?,
        [b'Z' | b'z'] => 0,
        _ => offset(rest)?,
    };
    Some((local - i64::from(east)) * 1_000_000 + micros)
}

/// Microseconds of the digits at the front, and what follows them.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(digits);
    if digits.is_empty() || digits.iter().skip(6).any(|b| *b != b'0') {
        return None;
    }
    let micros = (0..6).fold(0, |n, i| n * 10 + digits.get(i).map_or(0, |b| i64::from(b - b'0')));
    Some((micros, rest))
}

/// `+01:00`, `+0100` or `+01`, as seconds.
pub fn offset(text: &[u8]) -> Option<i32> {
    let (sign, rest) = match text {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest {
        [h1, h2] => (two(*h1, *h2)?, 0),
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (two(*h1, *h2)?, two(*m1, *m2)?),
        _ => return None,
    };
    (hours <= 18 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

fn custom_timestamp(text: &[u8], items: &[Item<'static>], zone: &Zone) -> Option<i64> {
    let parsed = parsed(text, items)?;
    let utc: NaiveDateTime = if parsed.offset().is_some() {
        let moment: DateTime<_> = parsed.to_datetime().ok()?;
        moment.naive_utc()
    } else if parsed.timestamp().is_some() {
        parsed.to_naive_datetime_with_offset(0).ok()?
    } else {
        let local = parsed.to_naive_datetime_with_offset(0).ok()?;
        let east = zone.east(|| Some(local))?;
        local.checked_sub_signed(chrono::TimeDelta::seconds(i64::from(east)))?
    };
    let moment = utc.and_utc();
    let nanos = moment.timestamp_subsec_nanos();
    // a leap second has no place on the line of microseconds
    (nanos < 1_000_000_000 && nanos.is_multiple_of(1_000)).then(|| moment.timestamp_micros())
}

fn parsed(text: &[u8], items: &[Item<'static>]) -> Option<Parsed> {
    let mut parsed = Parsed::new();
    parse(&mut parsed, std::str::from_utf8(text).ok()?, items.iter()).ok()?;
    Some(parsed)
}

fn days(date: NaiveDate) -> i32 {
    date.num_days_from_ce() - 719_163
}

#[inline]
fn two(tens: u8, ones: u8) -> Option<i32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| i32::from(tens) * 10 + i32::from(ones))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn micros(text: &str, format: Option<&str>, zone: &str) -> Option<i64> {
        let zone = Zone::parse(zone, crate::config::Ambiguous::Refuse).unwrap();
        timestamp_in(text.as_bytes(), &Notation::new(format).unwrap(), &zone)
    }
    fn rfc(text: &str) -> Option<i64> {
        Some(DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros())
    }

    #[test]
    fn times_of_iso_8601() {
        let want = rfc("2026-11-23T07:30:52.125Z");
        for text in [
            "2026-11-23T07:30:52.125Z",
            "2026-11-23 07:30:52.125000000",
            "2026-11-23T08:30:52.125+01:00",
            "2026-11-23 08:30:52,125 +0100",
            "2026-11-23 05:30:52.125-02",
        ] {
            assert_eq!(micros(text, None, "UTC"), want, "{text}");
        }
        assert_eq!(micros("2026-11-23T07:30", None, "+01:00"), rfc("2026-11-23T06:30:00Z"));
        assert_eq!(micros("0001-01-01T00:00:00Z", None, "UTC"), rfc("0001-01-01T00:00:00Z"));
        for bad in [
            "2026-11-23",
            "2026-11-23T24:00:00Z",
            "2026-11-23T07:60:00Z",
            "2026-11-23T07:30:60Z",
            "2026-11-23T07:30:52.Z",
            "2026-11-23T07:30:52.0000001Z",
            "2026-11-23T07:30:52Zx",
            "2026-02-29T00:00:00Z",
            "2026-11-23T07:30:52+1",
            "",
        ] {
            assert_eq!(micros(bad, None, "UTC"), None, "{bad}");
        }
    }

    #[test]
    fn times_in_other_notations() {
        let german = Some("%d.%m.%Y %H:%M:%S");
        assert_eq!(micros("23.11.2026 07:30:52", german, "+01:00"), rfc("2026-11-23T06:30:52Z"));
        assert_eq!(micros("23.11.2026 07:30:52 x", german, "UTC"), None);
        assert_eq!(micros("1700000000", Some("%s"), "+01:00"), Some(1_700_000_000_000_000));
        assert_eq!(
            micros("23/Nov/2026:07:30:52 +0100", Some("%d/%b/%Y:%H:%M:%S %z"), "UTC"),
            rfc("2026-11-23T06:30:52Z")
        );
        assert!(Notation::new(Some("%Q!")).is_err());
    }

    #[test]
    fn times_of_a_zone_with_a_name() {
        let german = Some("%d.%m.%Y %H:%M");
        assert_eq!(micros("15.07.2026 12:00", german, "Europe/Berlin"), rfc("2026-07-15T10:00:00Z"));
        assert_eq!(micros("2026-01-15T12:00:00.5", None, "Europe/Berlin"), rfc("2026-01-15T11:00:00.5Z"));
        assert_eq!(micros("2026-01-15T12:00:00Z", None, "Europe/Berlin"), rfc("2026-01-15T12:00:00Z"));
        let zone = Zone::parse("Europe/Berlin", crate::config::Ambiguous::Refuse).unwrap();
        let why = |text: &str| placeless(text.as_bytes(), &Notation::Iso, &zone);
        assert_eq!(why("2026-10-25T02:30:00"), Some(Placeless::Twice));
        assert_eq!(why("2026-03-29T02:30:00"), Some(Placeless::Never));
        assert_eq!((why("2026-03-29T04:30:00"), why("noon")), (None, None));
    }

    #[test]
    fn times_of_day() {
        let Notation::Custom(items) = Notation::new(Some("%I:%M %p")).unwrap() else { panic!("a custom notation") };
        let read = |text: &str| time_of_day(text.as_bytes(), &items);
        assert_eq!(read("01:05 PM").as_deref(), Some("13:05:00"));
        assert_eq!((read("13:05 PM"), read("01:05"), read("")), (None, None, None));
    }

    #[test]
    fn dates() {
        let at = |text: &str, format| date(text.as_bytes(), &Notation::new(format).unwrap());
        assert_eq!(at("1970-01-01", None), Some(0));
        assert_eq!(at("23.11.2026", Some("%d.%m.%Y")), at("2026-11-23", None));
        for bad in ["1970-1-1", "1970-13-01", "1970-04-31", "1900-02-29", "0000-01-01", "19700101", ""] {
            assert_eq!(at(bad, None), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_date_is_chronos_date(n in -719_162..2_932_896i32) {
            let day = NaiveDate::from_num_days_from_ce_opt(n + 719_163).unwrap();
            prop_assert_eq!(date(day.to_string().as_bytes(), &Notation::Iso), Some(n));
        }
    }
}
