//! What a refused row is told: a stable code and what was expected, never the value.

use super::column::{ColumnPlan, Fault, Parser};
use super::temporal::{self, Notation};
use super::zone::Placeless;

impl ColumnPlan {
    pub(super) fn missing(&self) -> Fault {
        Fault { code: "missing_required", message: format!("column `{}`: is required and empty", self.name) }
    }

    /// Looks again at what was not taken, for the reason.
    #[cold]
    pub(super) fn refused(&self, bytes: &[u8]) -> Fault {
        let (code, expected) = self.expected(bytes);
        Fault { code, message: format!("column `{}`: {expected}", self.name) }
    }

    fn expected(&self, bytes: &[u8]) -> (&'static str, String) {
        let by_format = format!("not a {} in the notation of `format`", self.column_type);
        match &self.parser {
            Parser::Int32(_) | Parser::Int64(_) => ("bad_int", format!("not an {}", self.column_type)),
            Parser::Float64 { .. } => ("bad_float", format!("not a {}", self.column_type)),
            Parser::Decimal { .. } => ("bad_decimal", format!("not a {}", self.column_type)),
            Parser::Bool(None) => ("bad_bool", format!("not a {}", self.column_type)),
            Parser::Bool(Some(_)) => ("bad_bool", "none of `true_words` and `false_words`".into()),
            Parser::Date(Notation::Custom(_)) => ("bad_date", by_format),
            Parser::Date(Notation::Iso) => ("bad_date", "not a date like 2026-11-23".into()),
            Parser::Timestamp(notation, zone) => match (temporal::placeless(bytes, notation, zone), notation) {
                (Some(Placeless::Twice), _) => (
                    "ambiguous_time",
                    "the clocks of `zone` showed this time twice; `ambiguous` says which is meant".into(),
                ),
                (Some(Placeless::Never), _) => ("skipped_time", "the clocks of `zone` left this time out".into()),
                (None, Notation::Custom(_)) => ("bad_timestamp", by_format),
                (None, Notation::Iso) => ("bad_timestamp", "not a timestamp like 2026-11-23T07:30:52Z".into()),
            },
            Parser::Text | Parser::TimeOfDay(_) if bytes.contains(&0) => {
                ("zero_byte", "holds a zero byte behind an escape".into())
            }
            Parser::TimeOfDay(_) => ("bad_time_of_day", "not a time of day in the notation of `format`".into()),
            Parser::Text if !self.values.is_empty() && !self.values.contains(bytes) => {
                ("not_in_values", "none of the texts of `values`".into())
            }
            Parser::Text => ("invalid_encoding", "not UTF-8".into()),
        }
    }
}
