//! What no dump may do: each is a reason to park the file before anything of it is handed on.

use crate::config::Share;
use crate::position::Place;
use crate::reader::BadFile;
use bytes::Bytes;
use unbatch_api::figures::grouped;
use unbatch_full_dump::Plan;

/// A dump whose name comes before the last one's is an older state of the table.
pub fn out_of_order(name: &str, last: Option<&str>) -> Option<BadFile> {
    let last = last.filter(|last| name < *last)?;
    let message = format!(
        "its name comes before `{last}`, a full dump that was taken already; an older state of the table undoes a newer one"
    );
    Some(bad("dump_out_of_order", message, 1))
}

/// Why the dump must not be handed on.
pub fn judge(plan: &Plan, deletes_max: Share) -> Option<BadFile> {
    if let Some(first) = plan.duplicate_places.first() {
        let message = format!(
            "{} rows have a key that stands in the file before them with another content, the first in lines {} and {}",
            grouped(plan.duplicates),
            first.first_line,
            first.second_line
        );
        return Some(bad("dump_duplicate_key", message, first.second_line));
    }
    if plan.rows == 0 && plan.before > 0 {
        let message = format!(
            "it has no rows that could be read, and the table had {}; that is never taken for a deletion",
            grouped(plan.before)
        );
        return Some(bad("dump_empty", message, 1));
    }
    // keys that are missing, whether or not it is certain that they are gone
    let missing = plan.deletes + plan.withheld;
    if missing > 1 && deletes_max.is_passed(missing, plan.before) {
        let message = format!(
            "{} of {} rows of the table are missing in it, more than deletes_max ({deletes_max}) allows",
            grouped(missing),
            grouped(plan.before)
        );
        return Some(bad("dump_deletes_too_many", message, 1));
    }
    None
}

fn bad(code: &'static str, message: String, line: u64) -> BadFile {
    BadFile { code, message, at: Place { line, ..Place::START }, head: Bytes::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_full_dump::Duplicate;

    #[test]
    fn each_guard_has_its_reason_and_one_row_may_always_go() {
        let plan = |rows, before, deletes| Plan { rows, before, deletes, ..Plan::default() };
        let code = |plan: &Plan| judge(plan, Share::default()).map(|bad| bad.code);
        assert_eq!(code(&plan(100, 100, 0)), None);
        assert_eq!(code(&plan(90, 100, 10)), None);
        assert_eq!(code(&plan(89, 100, 11)), Some("dump_deletes_too_many"));
        assert_eq!(code(&plan(1, 2, 1)), None);
        assert_eq!(code(&plan(2, 4, 2)), Some("dump_deletes_too_many"));
        assert_eq!(code(&plan(0, 1, 1)), Some("dump_empty"));
        assert_eq!(code(&plan(0, 0, 0)), None);
        assert_eq!(code(&Plan { withheld: 50, ..plan(50, 100, 0) }), Some("dump_deletes_too_many"));
        let twice = Plan {
            duplicates: 3,
            duplicate_places: vec![Duplicate { first_line: 2, second_line: 9 }],
            ..plan(100, 100, 0)
        };
        let bad = judge(&twice, Share::default()).unwrap();
        assert_eq!((bad.code, bad.at.line), ("dump_duplicate_key", 9));
    }

    #[test]
    fn names_may_stay_the_same_and_never_go_back() {
        assert!(out_of_order("a", None).is_none() && out_of_order("b", Some("a")).is_none());
        assert!(out_of_order("b", Some("b")).is_none());
        assert_eq!(out_of_order("a", Some("b")).unwrap().code, "dump_out_of_order");
    }
}
