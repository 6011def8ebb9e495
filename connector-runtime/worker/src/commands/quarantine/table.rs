//! Entries of the quarantine as lines of a table that fits the terminal.

use crate::tables::{Align, Column, GAP, fitting_table};
use crate::terminal::{Output, Style, Terminal};
use std::collections::BTreeSet;

/// Characters of an id that a table shows; commands take any beginning.
const ID_SHOWN: usize = 8;
/// Less than this of what was expected says nothing.
const EXPECTED_MIN: usize = 20;
/// What was cut is told whole below the table, so many of them.
const CUT_SHOWN: usize = 5;
/// Less than this of a place is no place; its end has the line.
const PLACE_MIN: usize = 16;

/// One entry.
pub(crate) struct Line {
    pub(crate) id: String,
    /// Why it was refused.
    pub(crate) code: String,
    pub(crate) place: String,
    /// Who refused it, where that is told.
    pub(crate) by: Option<String>,
    pub(crate) expected: String,
}

/// The table, ended by a line break. On a narrow terminal places and expectations are cut, and below stand those that are: each once, of
/// [`CUT_SHOWN`] the first. What does not go to a terminal has all.
pub(crate) fn entries_table(lines: &[Line], last: &'static str, terminal: &Terminal) -> String {
    let has_by = lines.iter().any(|line| line.by.is_some());
    let column = |name, rank| Column { name, align: Align::Left, rank };
    let mut columns = vec![column("id", 0), column("reason", 0), column("where", 0), column(last, 1)];
    let mut rows: Vec<Vec<String>> = lines.iter().map(cells).collect();
    if has_by {
        columns.insert(3, column("by", 2));
        for (row, line) in rows.iter_mut().zip(lines) {
            row.insert(3, plain(line.by.as_deref().unwrap_or_default()));
        }
    }
    let is_cut = terminal.result_width.is_some_and(|width| fit(&columns, &mut rows, usize::from(width), terminal));
    let mut text = fitting_table(&columns, &rows, terminal, false);
    if is_cut {
        text.push_str(&terminal.paint(
            Output::Result,
            Style::Dim,
            &format!("cut at {}; --json has all", ellipsis(terminal)),
        ));
        text.push('\n');
        let last = columns.len() - 1;
        let is_told = |line: &&Line| !rows.iter().any(|row| row[last] == plain(&line.expected));
        let told: BTreeSet<(&str, &str)> =
            lines.iter().filter(is_told).map(|line| (line.code.as_str(), line.expected.as_str())).collect();
        for (code, expected) in told.into_iter().take(CUT_SHOWN) {
            let words = format!("{}: {}", plain(code), plain(expected));
            text.push_str(&wrapped(&words.split(' ').map(str::to_owned).collect::<Vec<_>>(), terminal));
        }
    }
    text
}

/// Cuts what was expected, and if it must be the places, so that they go beside each other; true when anything was cut.
fn fit(columns: &[Column], rows: &mut [Vec<String>], width: usize, terminal: &Terminal) -> bool {
    let widest = |rows: &[Vec<String>], i: usize| {
        rows.iter().map(|row| row[i].chars().count()).chain([columns[i].name.len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(|i| widest(rows, i)).collect();
    let (place, last) = (2, columns.len() - 1);
    // who refused a row is left out before anything is cut to nothing
    let besides = |has_by: bool| {
        let by = if has_by && last == 4 { widths[3] + GAP } else { 0 };
        width.saturating_sub(widths[0] + widths[1] + by + 3 * GAP)
    };
    let least = widths[last].min(EXPECTED_MIN);
    let room = if besides(true) >= widths[place] + least { besides(true) } else { besides(false) };
    let place_room = widths[place].min(room.saturating_sub(least).max(PLACE_MIN));
    let last_room = room.saturating_sub(place_room).max(least);
    let mut is_cut = false;
    for row in rows {
        let (place_cut, last_cut) =
            (end_of(&row[place], place_room, terminal), head_of(&row[last], last_room, terminal));
        is_cut |= place_cut != row[place] || last_cut != row[last];
        (row[place], row[last]) = (place_cut, last_cut);
    }
    is_cut
}

fn cells(line: &Line) -> Vec<String> {
    vec![short(&line.id), plain(&line.code), plain(&line.place), plain(&line.expected)]
}

pub(crate) fn short(id: &str) -> String {
    id.chars().take(ID_SHOWN).collect()
}

/// Nothing of a file's name or a message steers the terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// Words in as many lines as they need.
pub(crate) fn wrapped(words: &[String], terminal: &Terminal) -> String {
    let width = terminal.result_width.map_or(usize::MAX, usize::from);
    let (mut text, mut line) = (String::new(), String::new());
    for word in words {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            text.push_str(&line);
            text.push('\n');
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
    text
}

fn ellipsis(terminal: &Terminal) -> &'static str {
    if terminal.unicode { "…" } else { "..." }
}

fn head_of(text: &str, room: usize, terminal: &Terminal) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept = room.saturating_sub(ellipsis(terminal).chars().count());
    text.chars().take(kept).chain(ellipsis(terminal).chars()).collect()
}

fn end_of(text: &str, room: usize, terminal: &Terminal) -> String {
    let count = text.chars().count();
    if count <= room {
        return text.to_owned();
    }
    let kept = room.saturating_sub(ellipsis(terminal).chars().count());
    ellipsis(terminal).chars().chain(text.chars().skip(count - kept)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(place: &str, expected: &str, by: Option<&str>) -> Line {
        let (id, code) = ("0123456789abcdef".into(), "header_missing_column".into());
        Line { id, code, place: place.into(), by: by.map(Into::into), expected: expected.into() }
    }

    fn drawn(lines: &[Line], width: u16) -> String {
        let mut terminal = Terminal::detect(true);
        (terminal.result_width, terminal.unicode) = (Some(width), true);
        entries_table(lines, "what was expected", &terminal)
    }

    #[test]
    fn a_table_is_never_wider_than_its_terminal() {
        let long =
            "the file was parked: the header has no column `quantity_on_hand`, which is declared; it has sku, price";
        let name = "stock_counts_of_the_warehouse_in_hamburg_2026-03-01.csv:117";
        for (place, expected, by) in [
            ("a.csv:7", long, Some("source")),
            (name, "column `n`: not an int32", Some("source")),
            (name, long, None),
            ("a.csv:7", "short", Some("sink")),
        ] {
            for width in 52..140 {
                let text = drawn(&[line(place, expected, by), line("b.csv:1", "x", by)], width);
                assert!(text.lines().all(|l| l.chars().count() <= usize::from(width)), "{width}\n{text}");
                assert!(text.contains(":117") || place != name, "the line is the end of a place\n{text}");
            }
        }
        let narrow = drawn(&[line(name, long, Some("source"))], 80);
        assert!(narrow.contains("…") && narrow.contains("cut at …;") && narrow.contains("no room for: by"), "{narrow}");
        let told = narrow.replace('\n', " ");
        assert_eq!(told.matches(long).count(), 1, "what is cut is told whole\n{narrow}");
        let wide = drawn(&[line("a.csv:7", "short", Some("sink"))], 80);
        assert_eq!(wide.lines().count(), 2, "{wide}");
    }

    #[test]
    fn a_name_that_would_steer_the_terminal_is_escaped() {
        let text = drawn(&[line("a\x1b[2J.csv:7", "x\u{9b}y", None)], 80);
        assert!(text.contains("a\\u{1b}[2J.csv:7") && text.contains("x\\u{9b}y"), "{text}");
    }

    #[test]
    fn words_go_into_as_many_lines_as_they_need() {
        let mut terminal = Terminal::detect(true);
        terminal.result_width = Some(10);
        let words = ["bad_int 7,", "bad_date 1;", "more"].map(str::to_owned);
        assert_eq!(wrapped(&words, &terminal), "bad_int 7,\nbad_date 1;\nmore\n");
    }
}
