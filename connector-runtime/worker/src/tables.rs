//! Tables for a person: plain columns, a line under the header, nothing a script should parse (`--json` is for scripts).

use crate::terminal::Terminal;
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

/// On which side the content of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    /// Numbers.
    Right,
}

/// Rows under a header, for stdout; ends in a line break.
pub(crate) fn table(
    columns: &[(&str, Align)],
    rows: impl IntoIterator<Item = Vec<String>>,
    terminal: &Terminal,
) -> String {
    draw(columns, rows, terminal, false)
}

/// With lines above, between and below, for the one table that ends a story.
pub(crate) fn ruled_table(
    columns: &[(&str, Align)],
    rows: impl IntoIterator<Item = Vec<String>>,
    terminal: &Terminal,
) -> String {
    draw(columns, rows, terminal, true)
}

fn draw(
    columns: &[(&str, Align)],
    rows: impl IntoIterator<Item = Vec<String>>,
    terminal: &Terminal,
    is_ruled: bool,
) -> String {
    let side = |align: Align| match align {
        Align::Left => CellAlignment::Left,
        Align::Right => CellAlignment::Right,
    };
    let mut table = Table::new();
    table.load_style(match (is_ruled, terminal.unicode) {
        (false, _) => NOTHING,
        (true, true) => ruled('─'),
        (true, false) => ruled('-'),
    });
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|(name, align)| {
        let name = if is_ruled { (*name).to_owned() } else { name.to_uppercase() };
        Cell::new(name).set_alignment(side(*align))
    }));
    for row in rows {
        table.add_row(
            row.into_iter().zip(columns).map(|(text, (_, align))| Cell::new(text).set_alignment(side(*align))),
        );
    }
    let mut text = String::new();
    for line in table.lines() {
        // without borders the cells' own padding would indent every line
        text.push_str(line.strip_prefix(' ').filter(|_| !is_ruled).unwrap_or(&line).trim_end());
        text.push('\n');
    }
    text
}

/// A line above, one under the header, one below.
fn ruled(stroke: char) -> TableStyle {
    let line = LineStyle::none().fill(stroke).junction(stroke);
    TableStyle::new().top_border(line).header_separator(line).bottom_border(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [(&str, Align); 2] = [("name", Align::Left), ("rows", Align::Right)];

    fn drawn(is_ruled: bool) -> String {
        let rows = [vec!["stock".to_owned(), "7".to_owned()], vec!["prices".to_owned(), "1,200".to_owned()]];
        let mut terminal = Terminal::detect(true);
        terminal.unicode = false;
        draw(&COLUMNS, rows, &terminal, is_ruled)
    }

    #[test]
    fn columns_stand_under_their_names_numbers_to_the_right() {
        assert_eq!(drawn(false), "NAME     ROWS\nstock       7\nprices  1,200\n");
        assert_eq!(
            drawn(true),
            "----------------\n name      rows\n----------------\n stock        7\n prices   1,200\n----------------\n"
        );
    }
}
