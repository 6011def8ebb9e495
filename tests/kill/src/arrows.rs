//! The failpoints of the product, found in its source, so that one that is added is one that is tried.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// Rooms whose code a run passes through.
const ROOMS: [&str; 2] = ["connector-runtime", "connectors"];

/// Parts of those that are for tests, and the failpoints' own module.
const LEFT_OUT: [&str; 4] = ["testkit", "tests", "failpoint.rs", "target"];

/// Names of all failpoints, sorted.
///
/// # Panics
///
/// When there are none: then the source is not where it should be.
pub(crate) fn all() -> &'static [String] {
    static ALL: OnceLock<Vec<String>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut names = Vec::new();
        for room in ROOMS {
            collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(room), &mut names);
        }
        names.sort();
        names.dedup();
        assert!(!names.is_empty(), "no failpoint was found in {ROOMS:?}");
        names
    })
}

fn collect(folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && let Ok(source) = fs::read_to_string(&path)
        {
            names.extend(names_in(&source));
        }
    }
}

/// The literals in calls of `hit`.
fn names_in(source: &str) -> impl Iterator<Item = String> {
    source
        .split("hit(\"")
        .skip(1)
        .filter_map(|rest| rest.split_once("\")"))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failpoints_are_found_in_calls_only() {
        let source = r#"failpoint::hit("topic.before_commit")?; // see hit
            produce(|| hit("topic.mid_produce")); hit(name); hit("plain")"#;
        assert_eq!(names_in(source).collect::<Vec<_>>(), ["topic.before_commit", "topic.mid_produce"]);
    }

    #[test]
    fn each_room_that_commits_has_some() {
        for prefix in ["engine.", "topic."] {
            assert!(all().iter().any(|name| name.starts_with(prefix)), "{prefix}: {:?}", all());
        }
    }
}
