//! Whether the parts of a dialect go together.

use super::Found;
use crate::config::{CsvDropsConfig, Dialect, Escapes, Format, Header, Trim, one_byte};
use crate::syntax::places;
use unbatch_object_files::TextEncoding;

/// Longest delimiter, terminator and comment sign, in bytes.
const TEXT_MAX: usize = 16;
/// Most lines that may be skipped, and most characters of a line of fixed-width columns.
const SKIP_MAX: u32 = 100_000;
const LINE_MAX: usize = 1 << 20;

pub fn check(config: &CsvDropsConfig, found: &mut Found) {
    let dialect = &config.dialect;
    terminator(dialect, found);
    match dialect.format {
        Format::Separated => {
            marks(dialect, found);
            escapes(dialect, found);
            comment(dialect, found);
            collisions(dialect, found);
        }
        Format::Fixed => fixed(config, found),
    }
    if dialect.skip > SKIP_MAX {
        found.error(
            "dialect.skip",
            "U0212",
            format!("`skip` is above {SKIP_MAX}"),
            "write how many lines stand in front of the header",
        );
    }
    if dialect.trim_header && dialect.header == Header::None {
        let help = "remove it, or set `header: present`";
        found.error("dialect.trim_header", "U0212", "`trim_header` does nothing without a header", help);
    }
    if let Err(message) = TextEncoding::parse(&dialect.encoding) {
        found.error(
            "dialect.encoding",
            "U0212",
            format!("`encoding` {message}"),
            "files of Windows are windows-1252, as a rule",
        );
    }
}

fn marks(dialect: &Dialect, found: &mut Found) {
    let delimiter = dialect.delimiter_bytes();
    if delimiter.is_empty() || delimiter.len() > TEXT_MAX || delimiter.iter().any(|b| matches!(b, 0 | b'\r' | b'\n')) {
        let message = format!("`delimiter` is not a text of 1 to {TEXT_MAX} bytes on one line");
        found.error(
            "dialect.delimiter",
            "U0212",
            message,
            "write what stands between fields, \";\" or \"||\"; a tab is \"\\t\" or tab",
        );
    }
    if dialect.quote != "none" && dialect.quote_byte().is_none() {
        let help = "write one ASCII character, or none where quotes are ordinary characters";
        found.error("dialect.quote", "U0212", "`quote` is not one ASCII character", help);
    }
    if dialect.line_width.is_some() {
        let help = "remove it, or set `format: fixed`";
        found.error("dialect.line_width", "U0212", "`line_width` does nothing for separated files", help);
    }
}

fn escapes(dialect: &Dialect, found: &mut Found) {
    match &dialect.escape {
        None if dialect.escapes != Escapes::default() => {
            let help = "name the character, as a rule `escape: \"\\\\\"`, or remove it";
            found.error("dialect.escapes", "U0212", "`escapes` does nothing without `escape`", help);
        }
        Some(text) if one_byte(text).is_none() => {
            let help = "write one, as a rule \"\\\\\", or remove it where nothing is escaped";
            found.error("dialect.escape", "U0212", "`escape` is not one ASCII character", help);
        }
        Some(_) if dialect.escapes == Escapes::Quotes && dialect.quote_byte().is_none() => {
            let help = "name the `quote`, or choose `escapes: codes` or `literal`";
            found.error("dialect.escapes", "U0212", "`escapes: quotes` does nothing where there are no quotes", help);
        }
        _ => {}
    }
}

fn terminator(dialect: &Dialect, found: &mut Found) {
    let text = dialect.terminator.as_str();
    let path = "dialect.terminator";
    if text == "none" && dialect.format == Format::Separated {
        let help = "lines without an end are read with `format: fixed` only; write what ends a line, or any";
        found.error(path, "U0212", "`terminator: none` cannot be for separated files", help);
    } else if text.is_empty() || text.len() > TEXT_MAX {
        let help = "write any, \"\\r\\n\", or what ends a line, such as \"\\x1e\"";
        found.error(path, "U0212", format!("`terminator` is not a text of 1 to {TEXT_MAX} bytes"), help);
    }
}

/// Two marks that cannot be told apart.
fn collisions(dialect: &Dialect, found: &mut Found) {
    let delimiter = dialect.delimiter_bytes();
    let (quote, escape) = (dialect.quote_byte(), dialect.escape_byte());
    let ends: &[u8] = match dialect.terminator.as_str() {
        "any" | "none" => b"",
        text => text.as_bytes(),
    };
    let comment = dialect.comment.as_deref().map(str::as_bytes);
    let mut same = |what: &str, is_same: bool| {
        if is_same {
            let message = format!("{what} cannot be told apart");
            found.error("dialect", "U0212", message, "give each a character of its own");
        }
    };
    let has = |text: &[u8], byte: Option<u8>| byte.is_some_and(|byte| text.contains(&byte));
    same("`delimiter` and `quote`", has(delimiter, quote));
    same("`delimiter` and `escape`", has(delimiter, escape));
    same("`quote` and `escape`", quote.is_some() && quote == escape);
    same("`terminator` and `quote`", has(ends, quote));
    same("`terminator` and `escape`", has(ends, escape));
    same("`delimiter` and `terminator`", !ends.is_empty() && delimiter.starts_with(ends));
    let Some(comment) = comment.filter(|comment| !comment.is_empty()) else { return };
    let is_start = |text: &[u8]| !text.is_empty() && (comment.starts_with(text) || text.starts_with(comment));
    same("`comment` and `delimiter`", is_start(delimiter));
    same("`comment` and `quote`", quote.is_some_and(|byte| is_start(&[byte])));
    same("`comment` and `escape`", escape.is_some_and(|byte| is_start(&[byte])));
}

fn comment(dialect: &Dialect, found: &mut Found) {
    let Some(comment) = &dialect.comment else { return };
    if comment.is_empty() || comment.len() > TEXT_MAX || comment.contains(['\r', '\n']) {
        let message = format!("`comment` is not a text of 1 to {TEXT_MAX} bytes on one line");
        found.error("dialect.comment", "U0212", message, "write how such lines begin, # for example, or remove it");
    }
}

fn fixed(config: &CsvDropsConfig, found: &mut Found) {
    let (dialect, default) = (&config.dialect, Dialect::default());
    let idle = [
        ("delimiter", dialect.delimiter != default.delimiter),
        ("quote", dialect.quote != default.quote && dialect.quote != "none"),
        ("escape", dialect.escape.is_some()),
        ("escapes", dialect.escapes != default.escapes),
        ("comment", dialect.comment.is_some()),
    ];
    for (name, _) in idle.into_iter().filter(|(_, is_set)| *is_set) {
        let message = format!("`{name}` does nothing with `format: fixed`");
        found.error(format!("dialect.{name}"), "U0235", message, "remove it; columns have places of their own");
    }
    if dialect.header == Header::Present {
        let help = "add `header: none`, and `skip: 1` when a line stands in front of the rows";
        found.error("dialect.header", "U0235", "a file of fixed-width columns has no header to find them by", help);
    }
    if config.columns.is_empty() {
        found.error("columns", "U0235", "there are no columns", "declare each column with its `width`, in characters");
    }
    for (i, column) in config.columns.iter().enumerate() {
        if column.width.is_none_or(|width| width == 0) {
            let message = format!("column `{}` has no width", column.name);
            found.error(format!("columns[{i}].width"), "U0235", message, "write how many characters it has");
        }
        if column.at == Some(0) {
            let message = format!("column `{}` begins before the line", column.name);
            found.error(format!("columns[{i}].at"), "U0235", message, "characters are counted from 1");
        }
    }
    let places = places(config);
    for (i, place) in places.iter().enumerate() {
        let other = places[..i].iter().position(|other| other.start < place.end && place.start < other.end);
        if let Some(other) = other {
            let (one, two) = (&config.columns[other].name, &config.columns[i].name);
            let message = format!("columns `{one}` and `{two}` have characters in common");
            found.error(format!("columns[{i}].at"), "U0235", message, "mend `at` or `width` of one of them");
        }
    }
    let end = places.iter().map(|place| place.end).max().unwrap_or_default();
    let width = dialect.line_width.map_or(end, |width| width as usize);
    if width < end || width > LINE_MAX {
        let message = format!("`line_width` is not between {end}, where the last column ends, and {LINE_MAX}");
        found.error("dialect.line_width", "U0235", message, "write how many characters a line has, or remove it");
    }
    if matches!(dialect.trim, Trim::Left) {
        let help = "use `right` or `both`, or `trim` on the columns that are meant";
        found.error("dialect.trim", "U0235", "`trim: left` leaves the filling of every column", help);
    }
}
