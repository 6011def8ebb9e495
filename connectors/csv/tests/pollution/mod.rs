//! A clean table, and the same spoilt in every way in which a nightly job spoils files.

use super::Case;
use serde_json::{Value, json};

const TABLE: [[&str; 4]; 5] = [
    ["id", "name", "note", "day"],
    ["007", "Ann, B.", "said \"no\"", "2026-11-23"],
    ["8", "Émile", "two\nlines", ""],
    ["9", " blank ", "", "2026-11-24"],
    ["10", "x;y|z", "'", "2026-11-25"],
];

/// How a table is written.
#[derive(Clone, Copy)]
struct Style {
    delimiter: &'static str,
    quote: &'static str,
    /// In front of a quote inside quotes.
    escape: &'static str,
    end: &'static str,
    all_quoted: bool,
}

const RFC: Style = Style { delimiter: ",", quote: "\"", escape: "\"", end: "\r\n", all_quoted: false };

fn row(cells: &[&str], style: Style) -> String {
    let one = |cell: &&str| {
        let special = [style.delimiter, style.quote, "\n", "\r", style.end];
        if style.all_quoted || special.iter().any(|s| !s.is_empty() && cell.contains(s)) {
            let inside = match style.escape == style.quote {
                true => cell.replace(style.quote, &style.quote.repeat(2)),
                false => cell.replace(style.quote, &format!("{}{}", style.escape, style.quote)),
            };
            return format!("{0}{inside}{0}", style.quote);
        }
        cell.to_string()
    };
    cells.iter().map(one).collect::<Vec<_>>().join(style.delimiter) + style.end
}

fn text(style: Style) -> String {
    TABLE.iter().map(|cells| row(cells, style)).collect()
}

fn truth() -> Vec<Vec<String>> {
    TABLE[1..].iter().map(|cells| cells.iter().map(|c| c.to_string()).collect()).collect()
}

/// All that is spoilt; rows that a fault is put into are refused, the others must come.
pub fn cases() -> Vec<Case> {
    let mut found = Vec::new();
    let mut add = |name: &str, dialect: Value, text: String| {
        found.push(Case { name: name.into(), input: text.into_bytes(), dialect, truth: truth(), is_refused: false });
    };
    let clean = text(RFC);
    add("clean", json!({}), clean.clone());
    add("byte order mark", json!({}), format!("\u{feff}{clean}"));
    add("no line break at the end", json!({}), clean.trim_end().into());
    add("two line breaks at the end", json!({}), format!("{clean}\r\n"));
    for (name, end, terminator) in [("LF", "\n", "any"), ("CR", "\r", "any"), ("record separators", "\u{1e}", "\u{1e}")]
    {
        add(&format!("lines end with {name}"), json!({"terminator": terminator}), text(Style { end, ..RFC }));
    }
    for delimiter in [";", "\t", "|", "^", " ", "||", "~|~", "\u{1}", "§"] {
        let name = format!("delimiter {}", delimiter.escape_debug());
        add(&name, json!({"delimiter": delimiter}), text(Style { delimiter, ..RFC }));
    }
    add("single quotes", json!({"quote": "'"}), text(Style { quote: "'", escape: "'", ..RFC }));
    add("quotes around everything", json!({}), text(Style { all_quoted: true, ..RFC }));
    for (name, escapes) in [("literal", "literal"), ("of quotes", "quotes"), ("of codes", "codes")] {
        let dialect = json!({"escape": "\\", "escapes": escapes});
        add(&format!("escapes {name}"), dialect, text(Style { escape: "\\", ..RFC }));
    }
    add("three lines in front", json!({"skip": 3}), format!("Report\n\n\"x\n{clean}"));
    add("comments between", json!({"comment": "#"}), clean.replace("8,", "# \"a, b\r\n8,"));
    add("a trailer", json!({"trailer": {"match": "END", "rows": {"field": 2}}}), format!("{clean}END,4\r\n"));
    add(
        "a trailer that counts otherwise",
        json!({"trailer": {"match": "END", "rows": {"field": 2}}}),
        format!("{clean}END,5\r\n"),
    );
    add("a trailer that is missing", json!({"trailer": {"match": "END"}}), clean.clone());
    add("blanks around the header", json!({"trim_header": true}), clean.replacen("id,name", " id , name", 1));
    add("a delimiter at the end of rows", json!({"ragged": "pad"}), clean.replace("11-24\r", "11-24,\r"));
    add("a row with one field too many", json!({}), clean.replace("11-24\r", "11-24,x\r"));
    add("a row with one field too few", json!({}), clean.replace(",2026-11-24\r", "\r"));
    add("a row with nothing but delimiters too many", json!({}), clean.replace("9, blank ", ",,,,,,\r\n9, blank "));
    for (name, broken) in [("behind", "\" blank \"x"), ("inside", "\" bl\"ank \"")] {
        add(&format!("a quote too many {name}"), json!({}), clean.replace(" blank ", broken));
    }
    add("a quote that is missing", json!({}), clean.replace(" blank ", "\" blank "));
    add("a quote that swallows lines", json!({}), clean.replace(" blank ", &format!("\"{}", "x\r\n".repeat(2000))));
    add("the file is cut off in quotes", json!({}), clean.split("lines").next().unwrap().into());
    add(
        "the file is cut off in a row",
        json!({}),
        clean.split("2026-11-25").next().unwrap().trim_end_matches(",',").into(),
    );
    add("a zero byte", json!({}), clean.replace(" blank ", " bl\0nk "));
    add("a column twice in the header", json!({}), clean.replacen("note", "name", 1));
    add("a column without a name", json!({}), clean.replacen("note", "", 1));
    add("only a header", json!({"trailer": {"match": "END"}}), "id,name,note,day\r\n".into());
    add("nothing at all", json!({"trailer": {"match": "END"}}), String::new());
    let mut bytes = clean.into_bytes();
    let at = bytes.iter().position(|b| *b == 0xc3).unwrap();
    bytes[at] = 0xe9;
    found.push(Case {
        name: "a byte of Latin-1".into(),
        input: bytes,
        dialect: json!({}),
        truth: truth(),
        is_refused: false,
    });
    found
}
