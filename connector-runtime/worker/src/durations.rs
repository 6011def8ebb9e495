//! Spans of time as people say them.

use std::time::{SystemTime, UNIX_EPOCH};

/// `0.9 s`, `12 min`, `7 h`, `3 days`.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{:.1} s", ms as f64 / 1000.0),
        10_000..100_000 => format!("{} s", ms / 1000),
        100_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} days", ms / 86_400_000),
    }
}

/// The time of day where this machine stands, `14:03:22`.
pub(crate) fn time_of_day(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(chrono::DateTime::from_timestamp_millis).unwrap_or_default();
    time.with_timezone(&chrono::Local).format("%H:%M:%S").to_string()
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_as_people_say_them() {
        let said = [900, 10_500, 61_000, 100_000, 7_200_000, 200_000_000].map(duration);
        assert_eq!(said, ["0.9 s", "10 s", "61 s", "1 min", "2 h", "2 days"]);
    }
}
