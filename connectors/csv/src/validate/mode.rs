//! Whether files can be taken as full dumps as it is configured.

use super::Found;
use crate::config::{CsvDropsConfig, FileOrder, Header, OnGrowth};
use crate::dump::is_same_folder;
use std::collections::HashSet;
use std::path::Path;
use unbatch_object_files::Location;

const CODE: &str = "U0244";

pub fn check(config: &CsvDropsConfig, found: &mut Found) {
    let Some(dump) = config.full_dump() else { return };
    let path = |field: &str| format!("mode.full_dump.{field}");
    if dump.key.is_empty() {
        found.error(
            path("key"),
            CODE,
            "the key has no column",
            "name the columns that tell the rows of the table apart",
        );
    }
    let mut names = HashSet::new();
    for (i, name) in dump.key.iter().enumerate() {
        let at = path(&format!("key[{i}]"));
        if name.is_empty() || !names.insert(name) {
            let message = format!("`{name}` is no name of a column, or stands in the key twice");
            found.error(at, CODE, message, "name each column of the key once");
        } else if config.dialect.header == Header::None && !config.columns.iter().any(|c| c.name == *name) {
            let message = format!("column `{name}` of the key is not declared");
            found.error(at, CODE, message, "without a header a column has its name from `columns`; declare it there");
        }
    }
    match Location::parse(&dump.baseline) {
        Err(message) => {
            let help = "write a path, a file: URL, or a folder of an object store such as s3://bucket/folder/";
            found.error(path("baseline"), CODE, format!("`baseline` {message}"), help);
        }
        Ok(baseline) if is_same_folder(&baseline, &config.url, Path::new("/")) => {
            let help = "name another folder; baselines must not lie among the files that are read";
            found.error(path("baseline"), CODE, "`baseline` is the folder that is read", help);
        }
        Ok(_) => {}
    }
    if dump.spill.as_ref().is_some_and(String::is_empty) {
        found.error(path("spill"), CODE, "`spill` is empty", "write the path of a folder, or remove the field");
    }
    if config.splits > 1 {
        let help = "write `splits: 1`, the default: the files of one table come one after the other";
        found.error("splits", CODE, "full dumps cannot be shared among splits", help);
    }
    if config.order == FileOrder::None {
        let help = "write `order: name`, the default: a dump is compared with the one before it";
        found.error("order", CODE, "full dumps have an order", help);
    }
    if config.on_growth == OnGrowth::Continue {
        let help = "remove the field: a dump that grew is read again as a whole, and comes to what is new in it";
        found.error("on_growth", CODE, "`on_growth: continue` does nothing for full dumps", help);
    }
}
