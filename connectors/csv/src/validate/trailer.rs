//! Whether a trailer can be found and compared.

use super::Found;
use crate::config::{CsvDropsConfig, Format, OnGrowth};
use unbatch_api::ColumnType;

const CODE: &str = "U0234";

pub fn check(config: &CsvDropsConfig, found: &mut Found) {
    let Some(trailer) = &config.dialect.trailer else { return };
    let path = |field: &str| format!("dialect.trailer{field}");
    if trailer.begins.is_empty() || trailer.begins.contains(['\r', '\n']) {
        let help = "write how the last line begins, as it stands in the file: T| for example";
        found.error(path(".match"), CODE, "`match` is empty or has a line break", help);
    }
    if config.dialect.comment.as_ref().is_some_and(|comment| trailer.begins.starts_with(comment.as_str())) {
        let help = "name one of the two otherwise; a trailer that is a comment is not read";
        found.error(path(".match"), CODE, "`match` begins as comments do", help);
    }
    if config.on_growth == OnGrowth::Continue {
        let help = "a file with a trailer is complete; remove `on_growth: continue`";
        found.error("on_growth", CODE, "a file that grows cannot have a trailer", help);
    }
    let spot = |name: String, spot: (Option<u32>, Option<u32>, Option<u32>), found: &mut Found| {
        let is_fixed = config.dialect.format == Format::Fixed;
        let message = match spot {
            (Some(_), Some(_), _) | (None, None, _) => "needs one of `field` and `at`",
            (Some(0), ..) | (_, Some(0), _) => "is counted from 1",
            (Some(_), _, Some(_)) => "has a `width`, which goes with `at`",
            (.., Some(0)) => "has no width",
            (Some(_), ..) if is_fixed => "has a `field`, but there are none with `format: fixed`",
            _ => return,
        };
        let help = "write {field: 2} for the second field, or {at: 3, width: 8} for characters 3 to 10";
        found.error(path(&name), CODE, format!("the place of the number {message}"), help);
    };
    if let Some(rows) = &trailer.rows {
        spot(".rows".into(), (rows.field, rows.at, rows.width), found);
    }
    for (i, sum) in trailer.sums.iter().enumerate() {
        spot(format!(".sums[{i}]"), (sum.field, sum.at, sum.width), found);
        let path = path(&format!(".sums[{i}].of"));
        let declared = config.columns.iter().find(|column| column.name == sum.of);
        let message = match declared.map(|column| column.column_type) {
            None => format!("column `{}` is not declared", sum.of),
            Some(ColumnType::Int32 | ColumnType::Int64 | ColumnType::Decimal { .. }) => {
                if trailer.sums[..i].iter().all(|other| other.of != sum.of) {
                    continue;
                }
                format!("column `{}` is summed twice", sum.of)
            }
            Some(other) => format!("column `{}` is of type {other}, which has no exact sum", sum.of),
        };
        found.error(path, CODE, message, "name a declared column of type int32, int64 or decimal, each once");
    }
}
