//! What an edit of a running pipeline means for the records that are in the topic already: what was committed is never moved.

use std::collections::BTreeMap;

/// Settings of the sink, the first of which decides, and what a change of one means.
const CONSEQUENCES: &[(&[&str], &str)] = &[
    (
        &["sink.topic.name"],
        "the new topic begins where the source stands and does not hold the older rows; to have all of them in it",
    ),
    (
        &["sink.topic.key", "sink.topic.partition_by"],
        "records that are there keep their key and partition, so one key may now be in two partitions, and compaction does not \
         replace its older record; to have one key throughout, name a new topic, and to fill it",
    ),
];

/// One sentence about a change of these settings (path to value, before and after); `None` when older records and those to
/// come go together.
pub(super) fn of_change(
    pipeline: &str,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Option<String> {
    let differs = |setting: &str| of_setting(before, setting).ne(of_setting(after, setting));
    let (setting, means) =
        CONSEQUENCES.iter().find_map(|(settings, means)| Some((settings.iter().find(|s| differs(s))?, means)))?;
    Some(format!(
        "{pipeline}: `{setting}` changed: {means}, end this run, then `unbatch offsets reset {pipeline} --yes`, and start it again"
    ))
}

/// The setting itself and what is in it.
fn of_setting<'a>(
    all: &'a BTreeMap<String, String>,
    setting: &'a str,
) -> impl Iterator<Item = (&'a String, &'a String)> {
    all.iter().filter(move |(path, _)| {
        path.strip_prefix(setting).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_topic_or_key_has_a_consequence_and_nothing_else_has() {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let before: BTreeMap<String, String> =
            map(&[("sink.topic.name", "a"), ("sink.topic.key[0]", "id"), ("sink.topic.keys", "x"), ("poll", "1s")]);
        let told = |path: &str, value: &str| {
            let mut after = before.clone();
            after.insert(path.to_owned(), value.to_owned());
            of_change("stock", &before, &after).unwrap_or_default()
        };
        assert!(told("sink.topic.name", "b").contains("does not hold the older rows"));
        assert!(told("sink.topic.name", "b").contains("`unbatch offsets reset stock --yes`"));
        for key in ["sink.topic.key[0]", "sink.topic.key[1]", "sink.topic.key.lines[0]", "sink.topic.partition_by[0]"] {
            assert!(told(key, "other").contains("compaction"), "{key}");
        }
        for other in ["sink.topic.keys", "sink.topic.compression", "poll"] {
            assert_eq!(told(other, "other"), "");
        }
        let keyless = map(&[("sink.topic.name", "a"), ("sink.topic.keys", "x"), ("poll", "1s")]);
        assert!(of_change("stock", &before, &keyless).unwrap().contains("`sink.topic.key`"));
    }
}
