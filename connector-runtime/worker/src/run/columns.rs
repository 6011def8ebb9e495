//! The columns that a pipeline writes, and in what those of an edited one differ.

use std::collections::BTreeMap;
use std::sync::Arc;
use unbatch_api::schema::type_name;
use unbatch_api::{StreamName, StreamSchema};

/// Columns that one line names; more are summed up.
const COLUMNS_SHOWN: usize = 4;

/// Names and types by stream, in their order. A stream of which nothing is known is not in it.
#[derive(Debug, Default)]
pub(super) struct Columns(BTreeMap<String, Vec<(String, String)>>);

impl Columns {
    pub(super) fn of(streams: &[(StreamName, Arc<StreamSchema>)]) -> Self {
        let mut columns = Self::default();
        for (stream, schema) in streams {
            let of_stream = columns.0.entry(stream.to_string()).or_default();
            for field in schema.fields().fields() {
                of_stream.push((field.name().clone(), type_name(field.data_type())));
            }
        }
        columns
    }

    /// In words, for streams that are known on both sides; `None` when nothing differs. Another order is no difference.
    pub(super) fn changed(&self, after: &Self) -> Option<String> {
        let both = self.0.iter().filter_map(|(stream, before)| Some((before, after.0.get(stream)?)));
        let mut words: Vec<String> = Vec::new();
        for word in both.flat_map(|(before, after)| differences(before, after)) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        let more = words.len().saturating_sub(COLUMNS_SHOWN);
        words.truncate(COLUMNS_SHOWN);
        match (words.is_empty(), more) {
            (true, _) => None,
            (false, 0) => Some(words.join(", ")),
            (false, more) => Some(format!("{} and {more} more columns changed", words.join(", "))),
        }
    }
}

type Column = (String, String);

fn differences(before: &[Column], after: &[Column]) -> Vec<String> {
    let is_in = |columns: &[Column], name: &str| columns.iter().any(|(other, _)| other == name);
    let mut words = Vec::new();
    // one that stands where another of its type stood, and neither is anywhere else, was renamed
    let renamed: Vec<(&Column, &Column)> = before
        .iter()
        .zip(after)
        .filter(|(old, new)| old.1 == new.1 && !is_in(after, &old.0) && !is_in(before, &new.0))
        .collect();
    for (name, old) in before {
        match after.iter().find(|(other, _)| other == name) {
            Some((_, new)) if new == old => {}
            Some((_, new)) => words.push(format!("`{name}` is {new}, was {old}")),
            None => match renamed.iter().find(|(was, _)| was.0 == *name) {
                Some((_, now)) => words.push(format!("`{name}` is named `{}`", now.0)),
                None => words.push(format!("`{name}` is gone")),
            },
        }
    }
    let is_new = |column: &&Column| !is_in(before, &column.0) && !renamed.iter().any(|(_, now)| now.0 == column.0);
    words.extend(after.iter().filter(is_new).map(|(name, _)| format!("`{name}` is new")));
    words
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &[(&str, &str)]); N]> for Columns {
    fn from(streams: [(&str, &[(&str, &str)]); N]) -> Self {
        let column = |(name, of_type): &(&str, &str)| ((*name).to_owned(), (*of_type).to_owned());
        Self(streams.into_iter().map(|(stream, all)| (stream.to_owned(), all.iter().map(column).collect())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &[(&str, &str)], after: &[(&str, &str)]) -> String {
        Columns::from([("s", before)]).changed(&Columns::from([("s", after)])).unwrap_or_default()
    }

    #[test]
    fn what_became_of_each_column_is_told() {
        let before = [("sku", "string"), ("price", "string"), ("old", "date")];
        assert_eq!(told(&before, &before), "");
        assert_eq!(told(&before, &[("price", "string"), ("old", "date"), ("sku", "string")]), "", "another order");
        assert_eq!(
            told(&before, &[("sku", "string"), ("price", "decimal(12,2)"), ("note", "string")]),
            "`price` is decimal(12,2), was string, `old` is gone, `note` is new"
        );
        assert_eq!(
            told(&before, &[("sku", "string"), ("amount", "string"), ("old", "date")]),
            "`price` is named `amount`"
        );
        let many =
            [("a", "string"), ("b", "string"), ("c", "string"), ("d", "string"), ("e", "string"), ("f", "string")];
        assert_eq!(told(&[], &many), "`a` is new, `b` is new, `c` is new, `d` is new and 2 more columns changed");
    }

    #[test]
    fn of_streams_that_are_known_on_one_side_only_nothing_is_said() {
        let known = Columns::from([("s", &[("a", "string")][..])]);
        assert_eq!(known.changed(&Columns::default()), None);
        assert_eq!(Columns::from([("other", &[("b", "string")][..])]).changed(&known), None);
    }
}
