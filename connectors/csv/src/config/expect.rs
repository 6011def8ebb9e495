//! `expect`: by when files must have come.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use unbatch_api::config::Period;

/// By when files must have come each day.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The time of day, `HH:MM`, by the clocks of `zone`. One that the clocks leave out is the moment they were set forward; one that
    /// they show twice is the second.
    pub by: String,
    /// `UTC`, a fixed offset such as `+01:00`, or a name such as `Europe/Berlin`.
    #[serde(default = "utc")]
    pub zone: String,
    /// How long after `by` files are only late; then they are missing, and what still comes counts for the next day. At most `12h`.
    #[serde(default = "half_an_hour")]
    pub grace: Period,
    /// Days on which files are due: `[mon, tue, wed, thu, fri]`. What comes on the days between counts for the next one. Default: every
    /// day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Weekday>,
    /// How many files must come at least.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub files: u32,
}

/// A day of the week, by the clocks of the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

fn utc() -> String {
    "UTC".into()
}
fn half_an_hour() -> Period {
    Period(Duration::from_secs(30 * 60))
}
fn one() -> u32 {
    1
}
