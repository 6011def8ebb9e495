//! From the names of files to a pattern for more of them, a name for the pipeline, and the way to their folder.

use crate::folder::matcher;
use std::path::Path;
use unbatch_api::draft::way;

/// Digits behind a letter count as a date or number only from this many on: `dc2_stock.csv`, `prices20260301.csv`.
const GLUED_DIGITS_MIN: usize = 4;

/// A glob that takes all of these names. Numbers and dates in them are free, and so is what differs.
pub fn pattern_of(names: &[String]) -> String {
    let starred: Vec<Vec<Piece>> = names.iter().map(|name| pieces(name)).collect();
    let pattern = match starred.split_first() {
        Some((first, rest)) if rest.iter().all(|other| other == first) => glob(first),
        Some((first, rest)) => {
            let (mut prefix, mut suffix) = (prefix_of(first), suffix_of(first));
            for other in rest {
                prefix = common(&prefix, &prefix_of(other));
                let reversed = common(&reverse(&suffix), &reverse(&suffix_of(other)));
                suffix = reverse(&reversed);
            }
            let prefix = &prefix[..prefix.rfind(|c: char| !c.is_alphanumeric()).map_or(0, |at| at + 1)];
            let begin = suffix.find(|c: char| !c.is_alphanumeric()).unwrap_or(suffix.len());
            format!("{}*{}", escaped(prefix), escaped(&suffix[begin..]))
        }
        None => "*".to_owned(),
    };
    let takes_all = matcher(&pattern).is_ok_and(|glob| names.iter().all(|name| glob.is_match(name)));
    if takes_all { pattern } else { "*".to_owned() }
}

/// A name after the part that is the same in all names, without how the files are packed and what they are; without one, after
/// the folder.
pub fn name_of(pattern: &str, folder: &Path) -> String {
    let mut stem = pattern.rsplit_once('.').map_or(pattern, |(stem, _)| stem);
    if let Some((before, ending)) = stem.rsplit_once('.')
        && ["csv", "txt", "tsv", "dat"].iter().any(|kind| ending.eq_ignore_ascii_case(kind))
    {
        stem = before;
    }
    let stem = stem.replace(['*', '\\'], " ");
    let has_letters = |text: &str| text.chars().any(char::is_alphabetic);
    let folder = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match (has_letters(&stem), has_letters(&folder)) {
        (true, _) => stem,
        (false, true) => folder,
        (false, false) => "csv-files".to_owned(),
    }
}

/// The `url` of a folder: relative to `base` when it was given by a relative path, else whole.
pub fn url_of(folder: &Path, is_relative: bool, base: Option<&Path>) -> String {
    let relative = base.filter(|_| is_relative).map(|base| way(base, folder));
    let (scheme, path) = match &relative {
        Some(path) => ("file:", path.display().to_string()),
        None => ("file://", folder.display().to_string()),
    };
    let encoded: String = path.chars().map(|c| if c == '%' { "%25".to_owned() } else { c.to_string() }).collect();
    let end = if encoded.ends_with('/') { "" } else { "/" };
    format!("{scheme}{encoded}{end}")
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Free,
}

/// The name with its numbers and dates free. What stands behind the last dot is kept.
fn pieces(name: &str) -> Vec<Piece> {
    let (stem, ending) = name.rfind('.').filter(|at| *at > 0).map_or((name, ""), |at| name.split_at(at));
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = stem;
    while let Some(c) = rest.chars().next() {
        let run = run_of_digits(rest);
        // `S001_2026-03-01`: the first digits belong to the word before them
        let group = rest.bytes().take_while(u8::is_ascii_digit).count();
        let is_of_word = text.ends_with(char::is_alphabetic) && group < GLUED_DIGITS_MIN;
        let is_of_next = rest[run..].starts_with(char::is_alphabetic) && run < GLUED_DIGITS_MIN;
        if run > 0 && !is_of_word && !is_of_next {
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Free);
            rest = &rest[run..];
            continue;
        }
        let step = group.max(c.len_utf8());
        text.push_str(&rest[..step]);
        rest = &rest[step..];
    }
    text.push_str(ending);
    pieces.push(Piece::Text(text));
    pieces
}

/// Bytes of the digits at the front, with single marks between them: `2026-03-01_2`, `20260301T0200`.
fn run_of_digits(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut end = 0;
    loop {
        if is_digit(end) {
            end += 1;
        } else if end > 0 && matches!(bytes.get(end), Some(b'-' | b'_' | b'.' | b'T')) && is_digit(end + 1) {
            end += 2;
        } else {
            return end;
        }
    }
}

fn glob(pieces: &[Piece]) -> String {
    let one = |piece: &Piece| match piece {
        Piece::Text(text) => escaped(text),
        Piece::Free => "*".to_owned(),
    };
    pieces.iter().map(one).collect()
}

/// Text up to the first free piece, and after the last one.
fn prefix_of(pieces: &[Piece]) -> String {
    match pieces.first() {
        Some(Piece::Text(text)) => text.clone(),
        _ => String::new(),
    }
}
fn suffix_of(pieces: &[Piece]) -> String {
    match pieces.last() {
        Some(Piece::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

fn common(a: &str, b: &str) -> String {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
}
fn reverse(text: &str) -> String {
    text.chars().rev().collect()
}

/// What a glob would take for more than itself stands behind a backslash.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &[&str], pattern: &str, name: &str) {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let found = pattern_of(&names);
        assert_eq!(found, pattern, "{names:?}");
        assert_eq!(name_of(&found, Path::new("/data/night drops")).trim(), name, "{names:?}");
    }

    #[test]
    fn numbers_and_dates_are_free_and_so_is_what_differs() {
        check(&["prices.csv"], "prices.csv", "prices");
        check(&["prices_2026-03-01.csv"], "prices_*.csv", "prices_");
        check(&["prices20260301.csv"], "prices*.csv", "prices");
        check(&["stock_HAM_2026-03-03_1.csv"], "stock_HAM_*.csv", "stock_HAM_");
        check(&["stock_HAM_2026-03-03_1.csv", "stock_BER_2026-03-02_2.csv"], "stock_*.csv", "stock_");
        check(&["sales_S001_2026-03-01.csv"], "sales_S001_*.csv", "sales_S001_");
        check(&["sales_S001_2026-03-01.csv", "sales_S002_2026-03-01.csv"], "sales_*.csv", "sales_");
        check(&["20260301T0200.csv"], "*.csv", "night drops");
        check(&["dc2_stock.csv"], "dc2_stock.csv", "dc2_stock");
        check(&["co2.csv"], "co2.csv", "co2");
        check(&["garda_2026-03-01.csv.gz"], "garda_*.csv.gz", "garda_");
        check(&["north.csv", "nouth.csv"], "*.csv", "night drops");
        check(&["a-north.csv", "a-south.csv"], "a-*.csv", "a-");
        check(&["x.csv", "x.txt"], "x.*", "x");
        check(&["weird[1]{a}.csv"], "weird\\[*\\]\\{a\\}.csv", "weird [  ] {a }");
        check(&["größe_7.csv"], "größe_*.csv", "größe_");
        check(&["data"], "data", "data");
    }

    #[test]
    fn a_folder_is_told_as_it_was_given() {
        let check = |folder: &str, is_relative, base: Option<&str>, url: &str| {
            assert_eq!(url_of(Path::new(folder), is_relative, base.map(Path::new)), url);
            let back =
                unbatch_object_files::Location::parse(url).unwrap().resolve(Path::new(base.unwrap_or("/"))).to_string();
            assert_eq!(Path::new(&back), Path::new(folder), "{url}");
        };
        check("/srv/me/drops", true, Some("/srv/me/pipelines"), "file:../drops/");
        check("/srv/me/pipelines", true, Some("/srv/me/pipelines"), "file:./");
        check("/srv/me/a/b", true, Some("/srv/me"), "file:a/b/");
        check("/srv/me/drops", false, Some("/srv/me/pipelines"), "file:///srv/me/drops/");
        check("/srv/me/drops", true, None, "file:///srv/me/drops/");
        check("/srv/me/50% off", true, Some("/srv/me"), "file:50%25 off/");
    }
}
