//! Where on the line of time a local time stands.

use crate::config::Ambiguous;
use chrono::{LocalResult, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;
use std::str::FromStr;

/// The zone of times that carry none.
#[derive(Clone, Copy, Debug)]
pub enum Zone {
    /// Seconds east of UTC.
    Fixed(i32),
    /// With rules that change, as the IANA database has them.
    Named(Tz, Ambiguous),
}

/// Why a local time has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeless {
    /// The clocks showed it twice.
    Twice,
    /// The clocks left it out.
    Never,
}

impl Zone {
    /// `UTC`, `Z`, a fixed offset such as `+01:00`, or a name such as `Europe/Berlin`.
    pub fn parse(text: &str, ambiguous: Ambiguous) -> Result<Self, String> {
        if matches!(text, "UTC" | "Z") {
            return Ok(Zone::Fixed(0));
        }
        if let Some(seconds) = super::temporal::offset(text.as_bytes()) {
            return Ok(Zone::Fixed(seconds));
        }
        let named = Tz::from_str(text).map(|zone| Zone::Named(zone, ambiguous));
        named
            .map_err(|_| format!("`{text}` is no zone: write UTC, an offset like +01:00, or a name like Europe/Berlin"))
    }

    /// Seconds east of UTC at a local time.
    #[inline]
    pub fn east(&self, local: impl FnOnce() -> Option<NaiveDateTime>) -> Option<i32> {
        match self {
            Zone::Fixed(seconds) => Some(*seconds),
            Zone::Named(..) => self.place(local()?).ok(),
        }
    }

    /// The same, with the reason when there is none.
    pub fn place(&self, local: NaiveDateTime) -> Result<i32, Placeless> {
        match self {
            Zone::Fixed(seconds) => Ok(*seconds),
            Zone::Named(zone, ambiguous) => match zone.offset_from_local_datetime(&local) {
                LocalResult::Single(offset) => Ok(offset.fix().local_minus_utc()),
                LocalResult::None => Err(Placeless::Never),
                // two offsets that are the same are one time, as where only the name changed
                LocalResult::Ambiguous(first, second) => match ambiguous {
                    _ if first.fix() == second.fix() => Ok(first.fix().local_minus_utc()),
                    Ambiguous::Refuse => Err(Placeless::Twice),
                    Ambiguous::Earliest => Ok(first.fix().local_minus_utc()),
                    Ambiguous::Latest => Ok(second.fix().local_minus_utc()),
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn east(text: &str, ambiguous: Ambiguous, local: &str) -> Result<i32, Placeless> {
        let local = NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M").unwrap();
        Zone::parse(text, ambiguous).unwrap().place(local)
    }

    /// The clocks of Berlin went from 2:00 to 3:00 on 2026-03-29 and from 3:00 back to 2:00 on 2026-10-25.
    #[test]
    fn an_hour_that_was_left_out_and_one_that_came_twice() {
        let berlin = |ambiguous, local| east("Europe/Berlin", ambiguous, local);
        assert_eq!(berlin(Ambiguous::Refuse, "2026-01-15 12:00"), Ok(3600));
        assert_eq!(berlin(Ambiguous::Refuse, "2026-07-15 12:00"), Ok(7200));
        assert_eq!(berlin(Ambiguous::Refuse, "2026-03-29 01:59"), Ok(3600));
        assert_eq!(berlin(Ambiguous::Refuse, "2026-03-29 03:00"), Ok(7200));
        for ambiguous in [Ambiguous::Refuse, Ambiguous::Earliest, Ambiguous::Latest] {
            assert_eq!(berlin(ambiguous, "2026-03-29 02:30"), Err(Placeless::Never));
        }
        assert_eq!(berlin(Ambiguous::Refuse, "2026-10-25 02:30"), Err(Placeless::Twice));
        assert_eq!(berlin(Ambiguous::Earliest, "2026-10-25 02:30"), Ok(7200));
        assert_eq!(berlin(Ambiguous::Latest, "2026-10-25 02:30"), Ok(3600));
        assert_eq!(berlin(Ambiguous::Refuse, "2026-10-25 03:00"), Ok(3600));
        assert_eq!(east("Asia/Kolkata", Ambiguous::Refuse, "2026-10-25 02:30"), Ok(19_800));
    }

    #[test]
    fn words_that_are_no_zone_are_told() {
        for text in ["", "Europe/Berlon", "CET+1", "+25:00", "berlin"] {
            assert!(Zone::parse(text, Ambiguous::Refuse).unwrap_err().contains("is no zone"), "{text}");
        }
        for text in ["UTC", "Z", "+01:00", "-0330", "America/New_York", "Etc/GMT+1"] {
            assert!(Zone::parse(text, Ambiguous::Refuse).is_ok(), "{text}");
        }
    }
}
