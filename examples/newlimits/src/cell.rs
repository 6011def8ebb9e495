use chrono::{Duration, NaiveDate, SecondsFormat};
use serde_json::Value;

use crate::world::instant;

/// One field of a row: the bytes a nightly job writes, and the value a correct reader makes of them.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub text: Vec<u8>,
    /// Write it in quotes even if its bytes do not need them.
    pub quoted: bool,
    pub value: Value,
}

impl Cell {
    pub fn null() -> Self {
        Self::plain(String::new(), Value::Null)
    }

    pub fn string(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::plain(text.clone(), Value::String(text))
    }

    /// Free text, always in quotes; so the empty text stays different from NULL.
    pub fn quoted(text: impl Into<String>) -> Self {
        Self { quoted: true, ..Self::string(text) }
    }

    pub fn int(number: i64) -> Self {
        Self::plain(number.to_string(), Value::from(number))
    }

    pub fn bool(truth: bool) -> Self {
        Self::plain(truth.to_string(), Value::Bool(truth))
    }

    /// A binary fraction, `thousandths / 1000`; its shortest decimal text is what we write.
    pub fn float(thousandths: i64) -> Self {
        let number = thousandths as f64 / 1_000.0;
        Self::plain(number.to_string(), Value::from(number))
    }

    /// `unscaled · 10^-scale`. With `short`, trailing zeros of the fraction are left out of the text, never of the value.
    pub fn decimal(unscaled: i64, scale: u32, mark: char, short: bool) -> Self {
        let full = decimal_text(unscaled, scale);
        let text = if short { full.trim_end_matches('0').trim_end_matches('.') } else { &full };
        Self::plain(text.replace('.', &mark.to_string()), Value::String(full))
    }

    pub fn date(date: NaiveDate, format: &str) -> Self {
        let value = date.format("%Y-%m-%d").to_string();
        Self::plain(date.format(format).to_string(), Value::String(value))
    }

    /// An instant, written as wall-clock time of a zone `offset_minutes` east of UTC.
    pub fn local_timestamp(micros: i64, format: &str, offset_minutes: i64) -> Self {
        let local = instant(micros).naive_utc() + Duration::minutes(offset_minutes);
        Self::plain(local.format(format).to_string(), Value::String(rfc3339(micros)))
    }

    /// An instant as RFC 3339 with its offset in the text.
    pub fn timestamp(micros: i64, offset_minutes: i64) -> Self {
        let text = if offset_minutes == 0 {
            rfc3339(micros)
        } else {
            let local = rfc3339(micros + offset_minutes * 60_000_000);
            let (hours, minutes) = (offset_minutes / 60, offset_minutes % 60);
            format!("{}+{hours:02}:{minutes:02}", local.trim_end_matches('Z'))
        };
        Self::plain(text, Value::String(rfc3339(micros)))
    }

    fn plain(text: String, value: Value) -> Self {
        Self { text: text.into_bytes(), quoted: false, value }
    }
}

/// RFC 3339 in UTC, with as many digits of a second as the instant has: none, three or six.
pub(crate) fn rfc3339(micros: i64) -> String {
    instant(micros).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn decimal_text(unscaled: i64, scale: u32) -> String {
    let unit = 10_u64.pow(scale);
    let (sign, size) = (if unscaled < 0 { "-" } else { "" }, unscaled.unsigned_abs());
    if scale == 0 {
        return format!("{sign}{size}");
    }
    format!("{sign}{}.{:0width$}", size / unit, size % unit, width = scale as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cell: Cell, text: &str, value: Value) {
        assert_eq!(String::from_utf8(cell.text).unwrap(), text);
        assert_eq!(cell.value, value);
    }

    #[test]
    fn cells_keep_scale_sign_and_instant() {
        check(Cell::decimal(4_990, 2, ',', true), "49,9", "49.90".into());
        check(Cell::decimal(4_900, 2, ',', true), "49", "49.00".into());
        check(Cell::decimal(-5, 2, '.', false), "-0.05", "-0.05".into());
        check(Cell::decimal(12_345, 4, '.', false), "1.2345", "1.2345".into());
        check(Cell::int(9_007_199_254_740_993), "9007199254740993", 9_007_199_254_740_993_i64.into());
        let night = 1_772_490_600_000_000; // 2 March 2026, 22:30 UTC
        check(
            Cell::local_timestamp(night + 3_600_000_000, "%d.%m.%Y %H:%M:%S", 60),
            "03.03.2026 00:30:00",
            "2026-03-02T23:30:00Z".into(),
        );
        check(Cell::timestamp(night + 123_000, 60), "2026-03-02T23:30:00.123+01:00", "2026-03-02T22:30:00.123Z".into());
        check(Cell::null(), "", Value::Null);
    }
}
