//! "Did you mean": the known word that a wrong one most likely stands for.

/// Words listed in a message at most.
const LISTED_MAX: usize = 12;

/// The nearest of `known`, when it is near enough to be worth saying: one wrong letter in three, a swap counts once. Case,
/// dashes and dots do not count.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '.', ' '], "_");
    let word = plain(word);
    let most = (word.chars().count() / 3).max(1);
    // Quadratic in the word's length; nobody misspells a word of a thousand letters.
    if word.len() > 64 {
        return None;
    }
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&word, &plain(k)), k))
        .filter(|(distance, k)| *distance <= most && *distance < k.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

/// `` `a`, `b` or `c` ``
pub(crate) fn any_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().take(LISTED_MAX).map(|w| format!("`{w}`")).collect();
    match quoted.split_last() {
        _ if words.len() > LISTED_MAX => format!("{} …", quoted.join(", ")),
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} or {last}", first.join(", ")),
        None => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["tables", "slot", "csv_drops", "exactly_once", "url", "key"];
        for (word, expected) in [
            ("tabels", Some("tables")),
            ("Slot", Some("slot")),
            ("csv-drop", Some("csv_drops")),
            ("exactly-once", Some("exactly_once")),
            ("path", None),
            ("x", None),
            ("kye", Some("key")),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"a".repeat(10_000), known), None);
    }
}
