//! `unbatch preview`: the first rows of a pipeline after its steps, and those that are refused. Needs no broker and changes
//! nothing anywhere.

use super::Context;
use crate::answer::Answer;
use crate::arguments::Preview as Arguments;
use crate::failure::{Failure, Outcome};
use crate::pipeline_files::find_one;
use crate::terminal::{Glyph, Output, Style, Terminal};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use unbatch_api::context::Notice;
use unbatch_api::figures::{bytes, grouped};
use unbatch_api::{Bound, QuarantineEntry, RawRow, RowOrigin};
use unbatch_engine::config::{PipelineSpec, load};
use unbatch_engine::preview::{Ended, Glance, Preview, PreviewRow, PreviewStream, preview as look};

/// Longest that rows are waited for and read: files may have to stand still first.
const TIME_MAX: Duration = Duration::from_secs(60);
/// Longest cell that a table shows.
const CELL_MAX: usize = 40;
/// Between columns.
const GAP: usize = 2;

pub(crate) fn preview(args: &Arguments, cx: &Context) -> Outcome<Answer> {
    let setup = cx.setup()?;
    let spec = spec(args, setup.file.as_deref(), cx)?;
    let scene = super::scene(&setup, Bound::Once, BTreeSet::new());
    let glance = Glance { rows: args.limit, time: TIME_MAX };
    let seen = super::async_runtime()?.block_on(look(&spec, &scene, glance))?;
    let counted = Counted::of(&seen);
    let result = json!({
        "pipeline": spec.name,
        "streams": seen.streams,
        "rows": seen.rows,
        "rejected": seen.rejected.iter().map(QuarantineEntry::to_json).collect::<Vec<_>>(),
        "read": counted.read,
        "filtered": seen.filtered,
        "rejected_in_all": counted.rejected,
        "parked_files": counted.parked_files,
        "ended": seen.ended,
        "notices": seen.notices,
    });
    Ok(Answer::new(text(&seen, &spec, &cx.terminal), result))
}

/// By name as everywhere, or by its file.
fn spec(args: &Arguments, runtime: Option<&Path>, cx: &Context) -> Outcome<PipelineSpec> {
    let is_file = args.name.ends_with(".yaml") || args.name.contains('/');
    if !is_file {
        return find_one(&args.name, &args.paths, runtime, &cx.registry);
    }
    let file = PathBuf::from(&args.name);
    let found = crate::pipeline_files::find(std::slice::from_ref(&file), runtime)?;
    let (specs, diagnostics) = load(&found, &cx.registry);
    match specs.into_iter().next() {
        Some(spec) if !diagnostics.has_errors() => Ok(spec),
        _ => Err(Failure::Files { found: diagnostics, files: found.len() }),
    }
}

fn text(seen: &Preview, spec: &PipelineSpec, terminal: &Terminal) -> String {
    let mut text = String::new();
    for stream in &seen.streams {
        let rows: Vec<&PreviewRow> = seen.rows.iter().filter(|row| row.stream == stream.stream).collect();
        if seen.streams.len() > 1 {
            let _ = writeln!(text, "{}", terminal.paint(Output::Result, Style::Bold, stream.stream.as_str()));
        }
        text.push_str(&rows_text(stream, &rows, terminal));
        text.push('\n');
    }
    if seen.rejected_in_all > 0 {
        let _ = writeln!(text, "{}", refused_text(seen));
        seen.rejected.iter().for_each(|entry| text.push_str(&refused(entry, terminal)));
        text.push('\n');
    }
    // an entry above says why a file was parked
    for notice in seen.notices.iter().filter(|notice| !seen.rejected.iter().any(|entry| is_of_file(entry, notice))) {
        let _ = writeln!(text, "note: {} {}", visible(&notice.subject), notice.message);
    }
    text.push_str(&summary(seen, spec, terminal));
    text
}

/// Rows, and files that would be set aside as a whole, whose entries are no rows.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    read: u64,
    rejected: u64,
    parked_files: u64,
}

impl Counted {
    fn of(seen: &Preview) -> Self {
        let is_file = |entry: &&QuarantineEntry| seen.notices.iter().any(|notice| is_of_file(entry, notice));
        let parked_files = seen.rejected.iter().filter(is_file).count() as u64;
        Self {
            read: seen.read.saturating_sub(parked_files),
            rejected: seen.rejected_in_all.saturating_sub(parked_files),
            parked_files,
        }
    }
}

/// `4 of 6 rows would go to quarantine, 1 file would be parked`: the entry of a parked file is no row.
fn refused_text(seen: &Preview) -> String {
    let Counted { read, rejected: rows, parked_files: files } = Counted::of(seen);
    let mut parts = Vec::new();
    if rows > 0 {
        parts.push(format!("{} of {} rows would go to quarantine", grouped(rows), grouped(read)));
    }
    if files > 0 {
        parts.push(format!("{} file{} would be parked", grouped(files), if files == 1 { "" } else { "s" }));
    }
    parts.join(", ")
}

/// The entry of a file that was set aside as a whole, of which the notice tells.
fn is_of_file(entry: &QuarantineEntry, notice: &Notice) -> bool {
    let RowOrigin::File { file, line, .. } = &entry.origin else { return false };
    notice.code == "parked"
        && *notice.subject == **file
        && notice.message.starts_with(&format!("line {line}: "))
        && notice.message.ends_with(&format!("({})", entry.code))
}

fn summary(seen: &Preview, spec: &PipelineSpec, terminal: &Terminal) -> String {
    let dot = terminal.glyph(Glyph::Dot);
    let rows = seen.rows.len();
    let mut parts = vec![match (rows, seen.ended) {
        (0, Ended::Time) => format!("no row in {} s", TIME_MAX.as_secs()),
        (0, _) => "no rows".to_owned(),
        (_, Ended::End) => match seen.rejected_in_all {
            0 => format!("{rows} row{}, all there are", if rows == 1 { "" } else { "s" }),
            _ => format!("{rows} row{} would be written", if rows == 1 { "" } else { "s" }),
        },
        (_, Ended::Limit) => format!("the first {rows} row{}; --limit shows more", if rows == 1 { "" } else { "s" }),
        (_, Ended::Time) => {
            format!("{rows} row{} in {} s", if rows == 1 { "" } else { "s" }, TIME_MAX.as_secs())
        }
    }];
    if seen.filtered > 0 {
        parts.push(format!("{} left out by steps", grouped(seen.filtered)));
    }
    if rows == 0 && seen.read == 0 {
        parts.push(format!("looked at {}", spec.source.fingerprint(&spec.base)));
    }
    parts.push("nothing was written".to_owned());
    parts.join(&format!(" {dot} ")) + "\n"
}

/// As a table, or one cell a line where the terminal is too narrow for it.
fn rows_text(stream: &PreviewStream, rows: &[&PreviewRow], terminal: &Terminal) -> String {
    let has_ops = rows.iter().any(|row| row.op != "c");
    let mut header = vec![Cell::head("where")];
    if has_ops {
        header.push(Cell::head("op"));
    }
    header.extend(stream.columns.iter().map(|c| Cell::head(&c.name)));
    let body: Vec<Vec<Cell>> = rows
        .iter()
        .map(|row| {
            let mut cells = vec![Cell::of(&json!(row.origin))];
            if has_ops {
                cells.push(Cell::of(&json!(row.op)));
            }
            cells.extend(stream.columns.iter().map(|c| row.cells.get(&c.name).map_or(Cell::absent(), Cell::of)));
            cells
        })
        .collect();
    let widths: Vec<usize> = (0..header.len())
        .map(|i| body.iter().map(|row| row[i].width()).chain([header[i].width()]).max().unwrap_or(0))
        .collect();
    let whole = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
    if terminal.result_width.is_some_and(|width| whole > usize::from(width)) {
        return blocks(&header, &body, terminal);
    }
    let line = |cells: &[Cell]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| cell.padded(*width));
        padded.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
    };
    let mut text = format!("{}\n", terminal.paint(Output::Result, Style::Bold, &line(&header)));
    body.iter().for_each(|cells| _ = writeln!(text, "{}", line(cells)));
    text
}

fn blocks(header: &[Cell], body: &[Vec<Cell>], terminal: &Terminal) -> String {
    let width = header.iter().map(Cell::width).max().unwrap_or(0);
    let mut text = String::new();
    for cells in body {
        for (at, (name, cell)) in header.iter().zip(cells).enumerate() {
            let name = name.padded(width);
            let name = if at == 0 { terminal.paint(Output::Result, Style::Bold, &name) } else { name };
            let _ = writeln!(text, "{name}  {}", cell.text);
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// A cell as it is shown.
struct Cell {
    text: String,
    is_number: bool,
}

impl Cell {
    /// The name of a column, as it is written: its case counts.
    fn head(name: &str) -> Self {
        Self { text: visible(name), is_number: false }
    }
    /// The source did not send it.
    fn absent() -> Self {
        Self { text: "(not sent)".into(), is_number: false }
    }
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self { text: "NULL".into(), is_number: false },
            // not to be taken for nothing, or for NULL
            Value::String(text) if text.is_empty() || text == "NULL" => {
                Self { text: format!("\"{text}\""), is_number: false }
            }
            Value::String(text) => Self { text: cut(&visible(text)), is_number: false },
            other => Self { text: other.to_string(), is_number: other.is_number() },
        }
    }
    fn width(&self) -> usize {
        self.text.chars().count()
    }
    fn padded(&self, width: usize) -> String {
        let gap = " ".repeat(width.saturating_sub(self.width()));
        if self.is_number { format!("{gap}{}", self.text) } else { format!("{}{gap}", self.text) }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CELL_MAX) {
        Some(_) => text.chars().take(CELL_MAX - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// Reason, place and content, which a preview is for.
fn refused(entry: &QuarantineEntry, terminal: &Terminal) -> String {
    let byte = match &entry.origin {
        RowOrigin::File { byte, .. } => format!(", byte {byte}"),
        _ => String::new(),
    };
    let raw = match &entry.raw {
        RawRow::Bytes(raw) => lines(raw),
        RawRow::Cut { head, length, .. } => format!("{}\n    … cut: {} in all", lines(head), bytes(*length)),
        RawRow::Row(row) => row.to_string(),
    };
    let code = terminal.paint(Output::Result, Style::Red, &entry.code);
    format!("  {code} at {}{byte}: {}\n    {raw}\n", entry.origin, entry.message)
}

fn lines(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).lines().map(visible).collect::<Vec<_>>().join("\n    ")
}

/// With what would steer the terminal escaped.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_api::{PipelineName, RejectedRow, SplitId, Stage, StreamName};
    use unbatch_engine::preview::PreviewColumn;

    fn rows() -> (PreviewStream, Vec<PreviewRow>) {
        let column = |name: &str| PreviewColumn { name: name.into(), column_type: "string".into() };
        let stream =
            PreviewStream { stream: StreamName::new("s"), columns: vec![column("Sku"), column("n"), column("note")] };
        let row = |n: u64, cells: Value| PreviewRow {
            stream: StreamName::new("s"),
            op: "c",
            origin: format!("a.csv:{n}"),
            cells: cells.as_object().unwrap().clone(),
        };
        let rows = vec![
            row(2, json!({"Sku": "NL-1", "n": 7, "note": null})),
            row(10, json!({"Sku": "", "n": 1234, "note": "a\x1b[2Jb"})),
        ];
        (stream, rows)
    }

    #[test]
    fn a_table_keeps_null_and_empty_apart_and_steers_no_terminal() {
        let (stream, rows) = rows();
        let terminal = Terminal::detect(true);
        let text = rows_text(&stream, &rows.iter().collect::<Vec<_>>(), &terminal);
        assert_eq!(
            text,
            "where     Sku   n     note\na.csv:2   NL-1     7  NULL\na.csv:10  \"\"    1234  a\\u{1b}[2Jb\n"
        );
    }

    #[test]
    fn a_narrow_terminal_gets_one_cell_a_line() {
        let (stream, rows) = rows();
        let mut terminal = Terminal::detect(true);
        terminal.result_width = Some(20);
        let text = rows_text(&stream, &rows.iter().collect::<Vec<_>>(), &terminal);
        assert!(text.starts_with("where  a.csv:2\nSku    NL-1\nn      7\nnote   NULL\n\nwhere  a.csv:10\n"), "{text}");
    }

    /// Its entry is no row, and its reason is told once.
    #[test]
    fn a_parked_file_is_counted_as_a_file() {
        let entry = |code: &str, line: u64| {
            let origin = RowOrigin::File { file: "a.csv".into(), delivery: "d".into(), line, byte: 9 };
            let row = RejectedRow {
                code: code.to_owned().into(),
                message: "why".into(),
                stage: Stage::Source,
                stream: StreamName::new("s"),
                origin,
                raw: RawRow::of("x"),
            };
            row.into_entry(&SplitId::new(PipelineName::parse("p").unwrap(), 0), 1)
        };
        let notice = |subject: &str| Notice {
            code: "parked".into(),
            subject: subject.into(),
            message: "line 7: why (bad_utf8)".into(),
        };
        let (_, rows) = rows();
        let seen = Preview {
            rows,
            rejected: vec![entry("bad_decimal", 3), entry("bad_utf8", 7)],
            read: 4,
            rejected_in_all: 2,
            notices: vec![notice("a.csv"), notice("b.csv")],
            ..Preview::default()
        };
        assert_eq!(Counted::of(&seen), Counted { read: 3, rejected: 1, parked_files: 1 });
        assert_eq!(refused_text(&seen), "1 of 3 rows would go to quarantine, 1 file would be parked");
        let told: Vec<bool> =
            seen.notices.iter().map(|n| seen.rejected.iter().any(|entry| is_of_file(entry, n))).collect();
        assert_eq!(told, [true, false], "only the other file needs a note of its own");
    }

    #[test]
    fn long_cells_are_cut() {
        assert_eq!(cut(&"x".repeat(41)).chars().count(), CELL_MAX);
        assert_eq!(cut(&"ü".repeat(40)), "ü".repeat(40));
    }
}
