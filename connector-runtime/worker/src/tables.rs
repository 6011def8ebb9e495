//! Tables for a person: plain columns, a line under the header, nothing a script should parse (`--json` is for scripts).

use crate::terminal::{Output, Style, Terminal};
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

/// A column that may be left out where there is no room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) align: Align,
    /// The greatest is left out first; 0 never.
    pub(crate) rank: u8,
}

/// As [`table`] or [`ruled_table`], without the columns that a narrow terminal has no room for; a line below names them. What
/// does not go to a terminal has all.
pub(crate) fn fitting_table(columns: &[Column], rows: &[Vec<String>], terminal: &Terminal, is_ruled: bool) -> String {
    let widest = |i: usize| {
        let cells = rows.iter().filter_map(|row| row.get(i)).map(|cell| cell.chars().count());
        cells.chain([columns[i].name.len()]).max().unwrap_or(0)
    };
    let sized: Vec<(usize, u8)> = columns.iter().enumerate().map(|(i, c)| (widest(i), c.rank)).collect();
    let width = terminal.result_width.map_or(usize::MAX, usize::from);
    // a ruled table keeps the room around its cells, and a place for a line between them
    let (gap, room) = if is_ruled { (GAP + 1, width.saturating_sub(2)) } else { (GAP, width) };
    let shown = with_room(&sized, gap, room);
    let kept: Vec<(&str, Align)> = shown.iter().map(|i| (columns[*i].name, columns[*i].align)).collect();
    let rows = rows.iter().map(|row| shown.iter().filter_map(|i| row.get(*i).cloned()).collect());
    let mut text = draw(&kept, rows, terminal, is_ruled);
    let left: Vec<&str> = (0..columns.len()).filter(|i| !shown.contains(i)).map(|i| columns[i].name).collect();
    if !left.is_empty() {
        let note = format!("no room for: {} (--json has all)", left.join(", "));
        text.push_str(&terminal.paint(Output::Result, Style::Dim, &note));
        text.push('\n');
    }
    text
}

/// Between two columns.
pub(crate) const GAP: usize = 2;

/// Which of the columns, given by width and rank, fit beside each other.
pub(crate) fn with_room(columns: &[(usize, u8)], gap: usize, room: usize) -> Vec<usize> {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let taken = |shown: &[usize]| -> usize {
        let widths: usize = shown.iter().map(|i| columns[*i].0).sum();
        widths + gap * shown.len().saturating_sub(1)
    };
    while taken(&shown) > room {
        let Some(least) = shown.iter().copied().max_by_key(|i| columns[*i].1).filter(|i| columns[*i].1 > 0) else {
            break;
        };
        shown.retain(|i| *i != least);
    }
    shown
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
    fn what_has_no_room_is_left_out_by_rank_and_named() {
        let column = |name, rank| Column { name, align: Align::Left, rank };
        let columns = [column("pipeline", 0), column("bytes", 2), column("commits", 3), column("rows", 1)];
        let rows = [["stock-counts", "1.0 KiB", "17", "1,200"].map(str::to_owned).to_vec()];
        let mut terminal = Terminal::detect(true);
        let mut drawn = |width| {
            terminal.result_width = width;
            fitting_table(&columns, &rows, &terminal, false)
        };
        assert_eq!(drawn(None).lines().count(), 2);
        assert_eq!(drawn(Some(37)).lines().count(), 2, "all fits");
        let narrow = drawn(Some(30));
        assert_eq!(narrow.lines().next(), Some("PIPELINE      BYTES    ROWS"));
        assert_eq!(narrow.lines().last(), Some("no room for: commits (--json has all)"));
        assert!(drawn(Some(3)).starts_with("PIPELINE\nstock-counts\n"), "the first is never left out");
    }

    #[test]
    fn a_ruled_table_is_never_wider_than_its_terminal() {
        let columns: Vec<Column> =
            ["pipeline", "state", "read", "written", "quarantined", "filtered", "commits", "bytes"]
                .iter()
                .enumerate()
                .map(|(rank, name)| Column { name, align: Align::Right, rank: rank as u8 })
                .collect();
        let row = ["stock", "finished", "400,001", "399,920", "81", "0", "7", "60.2 MiB"].map(str::to_owned).to_vec();
        for width in 40..120 {
            let mut terminal = Terminal::detect(true);
            terminal.result_width = Some(width);
            let drawn = fitting_table(&columns, std::slice::from_ref(&row), &terminal, true);
            let lines = drawn.lines().filter(|line| !line.starts_with("no room for"));
            let widest = lines.map(|line| line.chars().count()).max().unwrap_or(0);
            assert!(widest <= width.into(), "{widest} of {width}\n{drawn}");
        }
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
