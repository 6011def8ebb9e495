//! Dates and times as ISO 8601 and RFC 3339 write them.

/// Year, month and day of a number of days since 1970-01-01, in the proleptic Gregorian calendar. The algorithm is Howard
/// Hinnant's `civil_from_days` (chrono-Compatible Low-Level Date Algorithms).
fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * march_month + 2) / 5 + 1) as u32;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// `2026-01-31`; years outside 0000 to 9999 have a sign and at least five digits, as ISO 8601's expanded form.
pub(super) fn write_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    if (0..=9999).contains(&year) {
        four(year as u32, out);
    } else {
        out.push(if year < 0 { b'-' } else { b'+' });
        let digits = year.unsigned_abs().to_string();
        out.extend(std::iter::repeat_n(b'0', 5_usize.saturating_sub(digits.len())));
        out.extend_from_slice(digits.as_bytes());
    }
    out.push(b'-');
    two(month, out);
    out.push(b'-');
    two(day, out);
}

/// `13:05:00`, and a fraction of `digits` digits when it is not zero; `units` counts from midnight.
pub(super) fn write_time(units: i64, digits: usize, out: &mut Vec<u8>) {
    let per_second = 10_i64.pow(digits as u32);
    let (seconds, fraction) = ((units / per_second) as u32, units % per_second);
    two(seconds / 3600, out);
    out.push(b':');
    two(seconds / 60 % 60, out);
    out.push(b':');
    two(seconds % 60, out);
    if fraction != 0 {
        out.push(b'.');
        let mut place = per_second / 10;
        while place > 0 {
            out.push(b'0' + (fraction / place % 10) as u8);
            place /= 10;
        }
    }
}

/// Date and time joined by `T`; `units` counts from 1970-01-01T00:00:00 in steps of 10^-digits seconds.
pub(super) fn write_timestamp(units: i64, digits: usize, out: &mut Vec<u8>) {
    let per_day = 86_400 * 10_i64.pow(digits as u32);
    write_date(units.div_euclid(per_day), out);
    out.push(b'T');
    write_time(units.rem_euclid(per_day), digits, out);
}

fn two(n: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8]);
}

fn four(n: u32, out: &mut Vec<u8>) {
    two(n / 100, out);
    two(n % 100, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unbatch_api::arrow::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn edges_of_the_calendar() {
        let cases = [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (-719_528, "0000-01-01"),
            (-719_529, "-00001-12-31"),
            (2_932_896, "9999-12-31"),
            (2_932_897, "+10000-01-01"),
        ];
        for (days, expected) in cases {
            assert_eq!(text(|out| write_date(days, out)), expected);
        }
        assert_eq!(text(|out| write_timestamp(-1, 6, out)), "1969-12-31T23:59:59.999999");
        assert_eq!(text(|out| write_timestamp(1_500, 3, out)), "1970-01-01T00:00:01.500");
        assert_eq!(text(|out| write_timestamp(86_400, 0, out)), "1970-01-02T00:00:00");
    }

    proptest! {
        #[test]
        fn agrees_with_chrono(days in -700_000_i32..2_900_000, micros in -60_000_000_000_000_000_i64..250_000_000_000_000_000) {
            let date = date32_to_datetime(days).unwrap().date().to_string();
            prop_assert_eq!(text(|out| write_date(days.into(), out)), date);
            let time = timestamp_us_to_datetime(micros).unwrap();
            let ours = text(|out| write_timestamp(micros, 6, out));
            let whole = micros % 1_000_000 == 0;
            let theirs = time.format(if whole { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S%.6f" }).to_string();
            prop_assert_eq!(ours, theirs);
        }
    }
}
