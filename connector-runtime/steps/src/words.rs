//! "Did you mean": the known word that a wrong one most likely stands for.

/// Words listed in a message at most.
const LISTED_MAX: usize = 12;

/// The nearest of `known`, when one letter in three is wrong at most; case does not count.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.to_lowercase();
    let most = (word.chars().count() / 3).max(1);
    // quadratic in the word's length; nobody misspells a word of a thousand letters
    if word.len() > 64 {
        return None;
    }
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&word, &known.to_lowercase()), known))
        .filter(|(distance, known)| *distance <= most && *distance < known.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// `` `a`, `b` and `c` ``
pub(crate) fn any_of<T: AsRef<str>>(words: &[T]) -> String {
    let quoted: Vec<String> = words.iter().take(LISTED_MAX).map(|w| format!("`{}`", w.as_ref())).collect();
    match quoted.split_last() {
        _ if words.len() > LISTED_MAX => format!("{} …", quoted.join(", ")),
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => "none".to_owned(),
    }
}
