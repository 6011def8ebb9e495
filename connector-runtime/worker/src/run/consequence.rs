//! What an edit of a running pipeline means for the records that are in the topic already: what was committed is never moved.

use super::columns::Columns;
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

/// What it means that rows have other columns, or columns of another type.
const OTHER_COLUMNS: &str = "records that are there keep the shape they were written in; to have one shape throughout, name a new topic, and to fill it";

/// One sentence about a change of settings (path to value) and of the columns that are written, each before and after; `None` when
/// older records and those to come go together.
pub(super) fn of_change(
    pipeline: &str,
    before: (&BTreeMap<String, String>, &Columns),
    after: (&BTreeMap<String, String>, &Columns),
) -> Option<String> {
    let differs = |setting: &str| of_setting(before.0, setting).ne(of_setting(after.0, setting));
    let changed =
        CONSEQUENCES.iter().find_map(|(settings, means)| Some((settings.iter().find(|s| differs(s))?, means)));
    let what = match changed {
        Some((setting, means)) => format!("`{setting}` changed: {means}"),
        None => format!("{}: {OTHER_COLUMNS}", before.1.changed(after.1)?),
    };
    Some(format!("{pipeline}: {what}, end this run, then `unbatch offsets reset {pipeline} --yes`, and start it again"))
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
        let none = Columns::default();
        let told = |path: &str, value: &str| {
            let mut after = before.clone();
            after.insert(path.to_owned(), value.to_owned());
            of_change("stock", (&before, &none), (&after, &none)).unwrap_or_default()
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
        assert!(of_change("stock", (&before, &none), (&keyless, &none)).unwrap().contains("`sink.topic.key`"));
    }

    #[test]
    fn other_columns_have_one_unless_the_topic_is_another_too() {
        let topic = |name: &str| BTreeMap::from([("sink.topic.name".to_owned(), name.to_owned())]);
        let (a, b) = (topic("a"), topic("b"));
        let price = |column_type: &str| Columns::from([("prices", &[("price", column_type)][..])]);
        let (text, number) = (price("string"), price("decimal(12,2)"));
        let told = of_change("stock", (&a, &text), (&a, &number)).unwrap();
        for part in
            ["stock: `price` is decimal(12,2), was string: ", "keep the shape", "`unbatch offsets reset stock --yes`"]
        {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert!(of_change("stock", (&a, &text), (&b, &number)).unwrap().contains("does not hold the older rows"));
        assert_eq!(of_change("stock", (&a, &text), (&a, &text)), None);
    }
}
