//! How the screen of `top` looks: a line of totals, a table of pipelines, the details of one, a line of keys. Pure: from the
//! view to the buffer. Only the sixteen basic colours, and none of those that vanish on a light background; what a colour says,
//! a word says too.

use super::plot;
use super::view::{View, severity};
use crate::commands::status::parked_text;
use crate::durations::duration;
use crate::http::report::{BrokerReport, PipelineReport, SplitReport};
use crate::tables::{GAP, with_room};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget, Wrap};
use unbatch_api::figures::{bytes, grouped};
use unbatch_engine::status::pace::{SLICE_SECONDS, SLICES_MAX};

/// What the terminal can show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) unicode: bool,
    pub(super) colour: bool,
}

/// Longest name that is shown whole.
const NAME_MAX: usize = 28;
/// Longest text about an error in the table.
const ERROR_MAX: usize = 24;
/// A plot is as wide as there is room, between these.
const PLOT_MIN: usize = 8;
const PLOT_MAX: usize = SLICES_MAX as usize;

pub(super) fn draw(view: &View, now_ms: u64, look: Look, area: Rect, buffer: &mut Buffer) {
    let mut sheet = Sheet { look, area, buffer, y: area.y };
    sheet.line(look.style(Modifier::BOLD), &headline(view, now_ms, look, area.width));
    sheet.notice(view, now_ms);
    let room = area.bottom().saturating_sub(sheet.y).saturating_sub(1);
    let rows = view.pipelines().len() as u16 + 1;
    let for_table = if view.has_details { rows.min((room / 2).max(3)) } else { room };
    sheet.table(view, now_ms, for_table.min(room));
    if view.has_details
        && let Some(pipeline) = view.pipelines().get(view.selected())
    {
        let top = sheet.y.saturating_add(1);
        let height = area.bottom().saturating_sub(1).saturating_sub(top);
        details(pipeline, now_ms, look, Rect { y: top, height, ..area }, sheet.buffer);
    }
    sheet.keys(view);
}

impl Look {
    fn style(self, modifier: Modifier) -> Style {
        Style::default().add_modifier(modifier)
    }
    fn colour(self, colour: Color) -> Style {
        if self.colour { Style::default().fg(colour) } else { Style::default() }
    }
    fn dot(self) -> &'static str {
        if self.unicode { " · " } else { " | " }
    }
    fn of_state(self, state: &str) -> Style {
        match severity(state) {
            0..=2 => Style::default(),
            3 | 4 => self.colour(Color::Magenta),
            _ => self.colour(Color::Red).add_modifier(Modifier::BOLD),
        }
    }
    fn error(self) -> Style {
        self.colour(Color::Red)
    }
}

/// Version and address, and the totals of all pipelines; what has no room is left out.
fn headline(view: &View, now_ms: u64, look: Look, width: u16) -> String {
    let report = &view.report;
    let pipelines = &report.pipelines;
    let count = pipelines.len();
    let unwell = pipelines.iter().filter(|p| severity(&p.state) > 2).count();
    let mut parts = vec![(format!("unbatch {} {}", report.version, view.address), 0)];
    let unwell = if unwell == 0 { String::new() } else { format!(", {unwell} not running") };
    parts.push((format!("{count} pipeline{}{unwell}", if count == 1 { "" } else { "s" }), 1));
    let rate: f64 = pipelines.iter().map(PipelineReport::rows_per_second).sum();
    parts.push((format!("{} rows/s", grouped(rate.round() as u64)), 0));
    let written = pipelines.iter().map(PipelineReport::written).sum();
    parts.push((format!("{} written", grouped(written)), 3));
    let quarantined = pipelines.iter().map(PipelineReport::quarantined).sum();
    parts.push((format!("{} quarantined", grouped(quarantined)), 2));
    if let Some(started) = report.started_ms {
        parts.push((format!("up {}", duration(now_ms.saturating_sub(started))), 5));
    }
    if let Some(resident) = report.resident_bytes {
        parts.push((bytes(resident), 6));
    }
    let sized: Vec<(usize, u8)> = parts.iter().map(|(text, rank)| (text.chars().count(), *rank)).collect();
    let shown = with_room(&sized, look.dot().chars().count(), width.into());
    shown.iter().map(|i| parts[*i].0.as_str()).collect::<Vec<_>>().join(look.dot())
}

/// A column of the table.
struct Column {
    name: &'static str,
    is_number: bool,
    /// The greatest is left out first.
    rank: u8,
    cells: Vec<(String, Style)>,
}

/// The part of the buffer that is drawn from top to bottom.
struct Sheet<'a> {
    look: Look,
    area: Rect,
    buffer: &'a mut Buffer,
    y: u16,
}

impl Sheet<'_> {
    fn line(&mut self, style: Style, text: &str) {
        self.spans(&Line::from(Span::styled(text, style)));
    }
    fn spans(&mut self, line: &Line<'_>) {
        if self.y < self.area.bottom() {
            self.buffer.set_line(self.area.x, self.y, line, self.area.width);
            self.y += 1;
        }
    }

    /// Paused, or without an answer: what is below is not of now. Or the broker is away, and little is going to happen.
    fn notice(&mut self, view: &View, now_ms: u64) {
        let age = duration(now_ms.saturating_sub(view.said_ms));
        match (&view.lost, view.is_paused) {
            (_, true) => self.line(self.look.style(Modifier::REVERSED), &format!("paused, {age} old; p goes on")),
            (Some((since, why)), false) => {
                let since = duration(now_ms.saturating_sub(*since));
                let text = format!("no answer for {since}, asking again; what stands here is {age} old: {why}");
                self.line(self.look.error().add_modifier(Modifier::BOLD), &text);
            }
            (None, false) => {
                let away = view.report.broker.as_ref().and_then(BrokerReport::away).unwrap_or_default();
                self.line(self.look.colour(Color::Magenta).add_modifier(Modifier::BOLD), &away);
            }
        }
    }

    fn table(&mut self, view: &View, now_ms: u64, height: u16) {
        let pipelines = view.pipelines();
        if pipelines.is_empty() {
            self.line(Style::default(), "the worker runs no pipeline");
            return;
        }
        let columns = columns(&pipelines, now_ms, self.look);
        let width = usize::from(self.area.width).saturating_sub(MARK.len());
        let widths: Vec<(usize, u8)> = columns.iter().map(|c| (c.width(), c.rank)).collect();
        let shown = with_room(&widths, GAP, width);
        let taken: usize = shown.iter().map(|i| widths[*i].0).sum::<usize>() + GAP * shown.len().saturating_sub(1);
        let plot_cells = (PLOT_MIN + width.saturating_sub(taken)).min(PLOT_MAX);
        let columns: Vec<(Column, usize)> = columns
            .into_iter()
            .enumerate()
            .filter(|(i, _)| shown.contains(i))
            .map(|(i, mut column)| match column.name {
                PLOT => {
                    column.plot(&pipelines, plot_cells, self.look);
                    (column, plot_cells)
                }
                _ => (column, widths[i].0),
            })
            .collect();
        let header: Vec<Span> =
            columns.iter().flat_map(|(c, width)| c.cell(c.name, *width, Style::default())).collect();
        self.spans(&Line::from([vec![Span::raw(" ".repeat(MARK.len()))], header].concat()).style(Modifier::UNDERLINED));
        let rows = usize::from(height.saturating_sub(1)).max(1);
        let selected = view.selected();
        let first = (selected + 1).saturating_sub(rows);
        for row in (first..pipelines.len()).take(rows) {
            let cells = columns.iter().flat_map(|(c, width)| c.cell(&c.cells[row].0, *width, c.cells[row].1));
            let mark = if row == selected { MARK } else { " " };
            let line = Line::from([vec![Span::raw(mark)], cells.collect()].concat());
            let style = if row == selected { Modifier::BOLD } else { Modifier::empty() };
            self.spans(&line.style(style));
        }
    }

    fn keys(&mut self, view: &View) {
        self.y = self.area.bottom().saturating_sub(1).max(self.area.y);
        let arrows = if self.look.unicode { "↑↓" } else { "up/down" };
        let (enter, pause) = (
            if view.has_details { "Enter close" } else { "Enter details" },
            if view.is_paused { "p go on" } else { "p pause" },
        );
        let parts = ["q quit".to_owned(), format!("s sorted by {}", view.sort.word()), format!("{arrows} select")];
        let text = [parts.join("  "), enter.to_owned(), pause.to_owned()].join("  ");
        let width = usize::from(self.area.width);
        let text = format!("{text:width$}");
        self.line(self.look.style(Modifier::REVERSED), &text);
    }
}

/// Stands before the selected line.
const MARK: &str = ">";
const PLOT: &str = "5 MIN";
const _: () = assert!(SLICE_SECONDS * SLICES_MAX == 300, "the name of the column");

impl Column {
    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|(text, _)| text.chars().count());
        cells.chain([self.name.len()]).max().unwrap_or(0)
    }

    /// The text, cut or filled to the width, and the gap after it.
    fn cell(&self, text: &str, width: usize, style: Style) -> Vec<Span<'static>> {
        let text: String = text.chars().take(width).collect();
        let text = if self.is_number { format!("{text:>width$}") } else { format!("{text:<width$}") };
        vec![Span::styled(text, style), Span::raw(" ".repeat(GAP))]
    }

    fn plot(&mut self, pipelines: &[&PipelineReport], cells: usize, look: Look) {
        let line =
            |p: &&PipelineReport| (plot::line(&p.recent_rows(), cells, PLOT_MAX, look.unicode), Style::default());
        self.cells = pipelines.iter().map(line).collect();
    }
}

fn columns(pipelines: &[&PipelineReport], now_ms: u64, look: Look) -> Vec<Column> {
    let column = |name, is_number, rank, cell: &dyn Fn(&PipelineReport) -> (String, Style)| {
        let cells = pipelines.iter().map(|p| cell(p)).collect();
        Column { name, is_number, rank, cells }
    };
    let plain = |text: String| (text, Style::default());
    let stored = |p: &PipelineReport, figure| if p.is_known() { grouped(figure) } else { "-".to_owned() };
    let ago = |then: Option<u64>| then.map_or_else(|| "-".to_owned(), |t| duration(now_ms.saturating_sub(t)));
    let mut all = vec![
        column("PIPELINE", false, 0, &|p| plain(cut(&p.pipeline, NAME_MAX, look))),
        column("STATE", false, 0, &|p| (p.state.clone(), look.of_state(&p.state))),
        column("FRESH", true, 1, &|p| {
            let late = if p.is_late() { "!" } else { "" };
            let text = p.freshness_ms().map_or_else(|| "-".to_owned(), |ms| format!("{late}{}", duration(ms)));
            (text, if p.is_late() { look.error() } else { Style::default() })
        }),
        column("ROWS/S", true, 0, &|p| plain(grouped(p.rows_per_second().round() as u64))),
        Column { name: PLOT, is_number: false, rank: 4, cells: vec![plain(" ".repeat(PLOT_MIN)); pipelines.len()] },
        column("WRITTEN", true, 6, &|p| plain(stored(p, p.written()))),
        column("QUARANTINED", true, 3, &|p| plain(stored(p, p.quarantined()))),
        column("COMMIT", true, 2, &|p| {
            plain(if p.committed_earlier() { "before start".to_owned() } else { ago(p.last_commit_ms()) })
        }),
    ];
    if pipelines.iter().any(|p| p.backlog().is_some()) {
        all.push(column("TO READ", true, 5, &|p| plain(p.backlog().unwrap_or_else(|| "-".to_owned()))));
    }
    if pipelines.iter().any(|p| p.parked() > 0) {
        all.push(column("PARKED", true, 7, &|p| plain(grouped(p.parked()))));
    }
    all.push(column("ERROR", false, 1, &|p| error_cell(p, now_ms, look)));
    all.push(column("FROM, TO", false, 8, &|p| plain(format!("{}, {}", p.source, p.sink))));
    all
}

/// The code of what is wrong; of what was wrong, how long ago.
fn error_cell(p: &PipelineReport, now_ms: u64, look: Look) -> (String, Style) {
    let code = |code: &Option<String>| code.clone().unwrap_or_else(|| "yes".to_owned());
    match (p.trouble(), p.last_trouble()) {
        (Some(trouble), _) => (cut(&code(&trouble.code), ERROR_MAX, look), look.error().add_modifier(Modifier::BOLD)),
        (None, Some(past)) => {
            let ago = duration(now_ms.saturating_sub(past.at_ms));
            (cut(&format!("{}, {ago} ago", code(&past.trouble.code)), ERROR_MAX, look), Style::default())
        }
        (None, None) => match parked_text(p) {
            Some(parked) => (parked, look.colour(Color::Magenta)),
            None => ("-".to_owned(), Style::default()),
        },
    }
}

fn cut(text: &str, max: usize, look: Look) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let ellipsis = if look.unicode { '…' } else { '~' };
    text.chars().take(max - 1).chain([ellipsis]).collect()
}

/// One pipeline with its plot, its error and what to do, and each split's positions; what has no room below is cut off.
fn details(p: &PipelineReport, now_ms: u64, look: Look, area: Rect, buffer: &mut Buffer) {
    let arrow = if look.unicode { "→" } else { "->" };
    let bold = look.style(Modifier::BOLD);
    let mut lines = vec![Line::from(vec![
        Span::styled(p.pipeline.clone(), bold),
        Span::raw(format!("  {} {arrow} {}  ", p.source, p.sink)),
        Span::styled(p.state.clone(), look.of_state(&p.state)),
    ])];
    let series = p.recent_rows();
    let greatest = series.iter().max().copied().unwrap_or(0) / SLICE_SECONDS;
    let most = format!(" at most {} rows/s", grouped(greatest));
    let cells = PLOT_MAX.min(usize::from(area.width).saturating_sub(most.len())).max(PLOT_MIN);
    lines.push(Line::from(vec![Span::raw(plot::line(&series, cells, PLOT_MAX, look.unicode)), Span::raw(most)]));
    lines.extend(error_lines(p, now_ms, look));
    p.splits.iter().for_each(|split| lines.extend(split_lines(split, look)));
    Paragraph::new(lines).wrap(Wrap { trim: false }).render(area, buffer);
}

fn error_lines(p: &PipelineReport, now_ms: u64, look: Look) -> Vec<Line<'static>> {
    let ago = |at: u64| format!("{} ago: ", duration(now_ms.saturating_sub(at)));
    let (when, trouble, style) = match (p.trouble(), p.last_trouble()) {
        (Some(now), past) => {
            let when = past.map(|past| ago(past.at_ms)).unwrap_or_default();
            (when, now, look.error().add_modifier(Modifier::BOLD))
        }
        (None, Some(past)) => (format!("over, {}", ago(past.at_ms)), &past.trouble, Style::default()),
        (None, None) => return Vec::new(),
    };
    let code = trouble.code.as_ref().map(|code| format!("[{code}]")).unwrap_or_default();
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("error{code}"), style),
        Span::raw(format!(" {when}{}", trouble.message)),
    ])];
    if let Some(help) = &trouble.help {
        lines.push(Line::from(format!("help: {help}")));
    }
    lines
}

fn split_lines(split: &SplitReport, look: Look) -> Vec<Line<'static>> {
    let attempt = if split.attempt > 1 { format!(", attempt {}", split.attempt) } else { String::new() };
    let head = format!("split {}: {}{attempt}, epoch {}, owner {}", split.split, split.state, split.epoch, split.owner);
    let mut lines = vec![Line::from(Span::styled(head, look.style(Modifier::BOLD)))];
    let numbers: Vec<String> = split
        .numbers
        .iter()
        .map(|(name, n)| format!("{name} {}{}", if *n < 0 { "-" } else { "" }, grouped(n.unsigned_abs())))
        .collect();
    if !numbers.is_empty() {
        lines.push(Line::from(format!("  {}", numbers.join(look.dot()))));
    }
    lines.extend(split.notices.iter().map(|n| Line::from(format!("  {}: {}: {}", n.code, n.subject, n.message))));
    lines.extend(split.position.iter().map(|p| Line::from(format!("  {} at {}: {}", p.part, p.position, p.meaning))));
    lines
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
