//! `date_trunc` over the whole range of dates and timestamps. DataFusion's goes by nanoseconds, which end in 2262, and wraps around
//! beyond; `9999-12-31` is a common word for "open end".

use datafusion_common::Result;
use std::sync::Arc;
use unbatch_api::arrow::array::{ArrayRef, AsArray};
use unbatch_api::arrow::compute::kernels::arity::try_unary;
use unbatch_api::arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use unbatch_api::arrow::error::ArrowError;

const MICROS_OF_DAY: i64 = 86_400_000_000;

/// What is cut off to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Unit {
    /// Of so many microseconds: a second, an hour, a day.
    Micros(i64),
    /// Weeks begin on Monday, as in ISO 8601.
    Week,
    Months(i64),
}

impl Unit {
    pub(crate) const NAMES: [(&'static str, Unit); 9] = [
        ("millisecond", Unit::Micros(1_000)),
        ("second", Unit::Micros(1_000_000)),
        ("minute", Unit::Micros(60_000_000)),
        ("hour", Unit::Micros(3_600_000_000)),
        ("day", Unit::Micros(MICROS_OF_DAY)),
        ("week", Unit::Week),
        ("month", Unit::Months(1)),
        ("quarter", Unit::Months(3)),
        ("year", Unit::Months(12)),
    ];
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, unit)| unit)
    }

    /// The beginning of a day's unit, in days since 1970; `None`: beyond what can be counted.
    fn day(self, day: i64) -> Option<i64> {
        match self {
            Unit::Micros(_) => Some(day),
            // 1970-01-01 was a Thursday
            Unit::Week => day.checked_sub((day + 3).rem_euclid(7)),
            Unit::Months(months) => {
                let (year, month) = year_and_month(day);
                let count = (year * 12 + month - 1).div_euclid(months) * months;
                Some(first_day(count.div_euclid(12), count.rem_euclid(12) + 1))
            }
        }
    }

    fn micros(self, micros: i64) -> Option<i64> {
        match self {
            Unit::Micros(unit) => micros.checked_sub(micros.rem_euclid(unit)),
            _ => self.day(micros.div_euclid(MICROS_OF_DAY))?.checked_mul(MICROS_OF_DAY),
        }
    }
}

/// Dates stay dates.
pub(crate) fn truncated(values: &ArrayRef, unit: Unit) -> Result<ArrayRef> {
    let beyond = || ArrowError::ArithmeticOverflow("a time out of range".to_owned());
    Ok(match values.data_type() {
        DataType::Date32 => {
            let cut = |day: i32| unit.day(i64::from(day)).and_then(|day| i32::try_from(day).ok()).ok_or_else(beyond);
            let dates = try_unary::<Date32Type, _, Date32Type>(values.as_primitive(), cut)?;
            Arc::new(dates)
        }
        _ => {
            let times = values.as_primitive::<TimestampMicrosecondType>();
            let cut = |micros: i64| unit.micros(micros).ok_or_else(beyond);
            let cut = try_unary::<TimestampMicrosecondType, _, TimestampMicrosecondType>(times, cut)?;
            Arc::new(cut.with_timezone("UTC"))
        }
    })
}

/// Days of 400 years of the Gregorian calendar.
const ERA_DAYS: i64 = 146_097;
/// From 0000-03-01, where years of the algorithm begin, to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// Year and month of a day, as in Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn year_and_month(day: i64) -> (i64, i64) {
    let day = day + EPOCH_DAYS;
    let era = day.div_euclid(ERA_DAYS);
    let of_era = day.rem_euclid(ERA_DAYS);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month)
}

/// The first day of a month, as in `days_from_civil` there.
fn first_day(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5;
    era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH_DAYS
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_api::arrow::temporal_conversions::date32_to_datetime;

    /// Against chrono, by Arrow, for every 97th day of a million and its edges.
    #[test]
    fn months_are_those_of_the_calendar() {
        for day in (-400_000..3_000_000).step_by(97).chain([-719_162, -1, 0, 59, 60, 11_016, 2_932_896]) {
            let date = date32_to_datetime(day).unwrap().date().format("%Y-%m").to_string();
            let (year, month) = year_and_month(i64::from(day));
            assert_eq!(format!("{year:04}-{month:02}"), date.trim_start_matches('+'), "{day}");
            let first = first_day(year, month);
            assert!(first <= i64::from(day) && i64::from(day) - first < 31, "{day}");
            let before = year_and_month(first - 1);
            assert_ne!((year, month), before, "{day} is not the first of its month");
        }
    }
}
