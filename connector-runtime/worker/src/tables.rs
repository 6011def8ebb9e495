//! Tables for a person: plain columns, a line under the header, nothing a script should parse (`--json` is for scripts).

use crate::terminal::Terminal;
use comfy_table::presets::{ASCII_HORIZONTAL_ONLY, NOTHING, UTF8_HORIZONTAL_ONLY};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

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
        (true, true) => UTF8_HORIZONTAL_ONLY,
        (true, false) => ASCII_HORIZONTAL_ONLY,
    });
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|(name, align)| {
        let name = if is_ruled { (*name).to_owned() } else { name.to_uppercase() };
        Cell::new(name).set_alignment(side(*align))
    }));
    for row in rows {
        table.add_row(row.into_iter().zip(columns).map(|(text, (_, align))| Cell::new(text).set_alignment(side(*align))));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
