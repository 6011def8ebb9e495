//! Reads a row again that was refused once, under today's configuration.

use crate::config::{CsvDropsConfig, DecimalMark, Header};
use crate::decode;
use crate::reader::{FileReader, PIECE_BYTES, Portion, Step};
use crate::scanner;
use std::io::Cursor;
use std::sync::Arc;
use unbatch_api::arrow::array::RecordBatch;
use unbatch_api::quarantine::{Edit, RawCell};
use unbatch_api::{
    Batch, Error, Ops, Origin, OriginColumns, QuarantineEntry, RawRow, RejectedRow, Result, RowOrigin, StopAfter,
};

/// The batch has the row in `rows`, or in `rejected` with what is still wrong. An entry of a parked file, or one whose
/// bytes were cut, cannot be read; it is rejected again as it stands.
pub fn parse_raw(config: &CsvDropsConfig, entry: &QuarantineEntry, edits: &[Edit]) -> Result<Batch> {
    let text = match &entry.raw {
        RawRow::Bytes(bytes) if !bytes.is_empty() && !is_of_a_file(entry) => bytes.to_vec(),
        // as it stood when it was refused: in plain notation, whatever the files have
        RawRow::Row(row) => {
            let plain = plain_notation(config);
            let text = text_of(&plain, row)?;
            return read_one(&plain, entry, text, edits);
        }
        _ => return Ok(batch_of(config, entry, None, Some(again(entry, None)))),
    };
    read_one(config, entry, text, edits)
}

/// The fields of the row by the names of their columns; one without a column has none of its own to be called by.
pub fn raw_cells(config: &CsvDropsConfig, entry: &QuarantineEntry) -> Result<Vec<RawCell>> {
    let text = match &entry.raw {
        RawRow::Bytes(bytes) if !bytes.is_empty() && !is_of_a_file(entry) => bytes.to_vec(),
        RawRow::Row(row) => return read_cells(&plain_notation(config), &text_of(&plain_notation(config), row)?),
        _ => {
            return Err(Error::misconfigured("reading the cells of the row failed, its bytes were not kept")
                .code("U0227")
                .help("correct it in the file and deliver that again"));
        }
    };
    read_cells(config, &text)
}

fn read_cells(config: &CsvDropsConfig, text: &[u8]) -> Result<Vec<RawCell>> {
    let (delimiter, quote) = config.dialect.marks();
    let (names, row) = names_of(config, text)?;
    let (cells, _) = record(&text[row..], (delimiter, quote))?;
    let names = names.unwrap_or_else(|| (0..cells.len()).map(|at| name_by_position(config, at)).collect());
    let cell = |(column, cell): (String, &Cell)| {
        let text = String::from_utf8_lossy(&cell.content).into_owned();
        RawCell { column, text: Some(text).filter(|_| !cell.raw.is_empty()) }
    };
    Ok(names.into_iter().zip(&cells).map(cell).collect())
}

/// The names in the header, when there is one, and where the row begins.
fn names_of(config: &CsvDropsConfig, text: &[u8]) -> Result<(Option<Vec<String>>, usize)> {
    if config.dialect.header == Header::None {
        return Ok((None, 0));
    }
    let (header, used) = record(text, config.dialect.marks())?;
    let names = header.iter().map(|cell| String::from_utf8_lossy(&cell.content).into_owned());
    Ok((Some(names.collect()), used))
}

fn read_one(config: &CsvDropsConfig, entry: &QuarantineEntry, text: Vec<u8>, edits: &[Edit]) -> Result<Batch> {
    let text = if edits.is_empty() { text } else { edited(config, &text, edits)? };
    // two, to see that there is but one
    let portion = Portion { rows: 2, bytes: PIECE_BYTES };
    let mut reader = FileReader::new(Cursor::new(text), Arc::new(config.clone()), StopAfter::default(), portion);
    match reader.step()? {
        Step::Rows(mut rows) => {
            if rows.rows.num_rows() + rows.refused.len() != 1 || !matches!(reader.step()?, Step::End) {
                return Ok(batch_of(config, entry, None, Some(again(entry, Some(not_one_row())))));
            }
            let rejected = rows.refused.pop().map(|r| again(entry, Some((r.code, r.message))));
            let schema = reader.layout().map(|l| l.schema.clone());
            Ok(batch_of(config, entry, schema.map(|s| (s, rows.rows)), rejected))
        }
        Step::Bad(_, bad) => Ok(batch_of(config, entry, None, Some(again(entry, Some((bad.code, bad.message)))))),
        Step::End => Ok(batch_of(config, entry, None, Some(again(entry, None)))),
    }
}

/// With another `header`, `quote` or `delimiter` than when it was refused, its text may fall apart: part of it would be taken.
fn not_one_row() -> (&'static str, String) {
    ("not_one_row", "what was kept is not one row under today's `dialect`".to_owned())
}

fn plain_notation(config: &CsvDropsConfig) -> CsvDropsConfig {
    let mut plain = config.clone();
    plain.dialect.nulls.clear();
    for column in &mut plain.columns {
        (column.format, column.decimal_mark) = (None, DecimalMark::default());
        column.nulls.clear();
    }
    plain
}

fn is_of_a_file(entry: &QuarantineEntry) -> bool {
    entry.message.starts_with(crate::reader::PARKED)
}

fn again(entry: &QuarantineEntry, fault: Option<(&'static str, String)>) -> RejectedRow {
    let (code, message) = match fault {
        Some((code, message)) => (code.into(), message),
        None => (entry.code.clone().into(), entry.message.clone()),
    };
    RejectedRow {
        code,
        message,
        stage: entry.stage,
        stream: entry.stream.clone(),
        origin: entry.origin.clone(),
        raw: entry.raw.clone(),
    }
}

fn batch_of(
    config: &CsvDropsConfig,
    entry: &QuarantineEntry,
    rows: Option<(Arc<unbatch_api::StreamSchema>, RecordBatch)>,
    rejected: Option<RejectedRow>,
) -> Batch {
    let (schema, rows) = rows.unwrap_or_else(|| {
        let schema = decode::declared_schema(config);
        let rows = RecordBatch::new_empty(schema.fields().clone());
        (schema, rows)
    });
    let count = rows.num_rows();
    let origin = match &entry.origin {
        RowOrigin::File { file, delivery, line, byte } => OriginColumns::File {
            file: file.clone(),
            delivery: delivery.clone(),
            lines: vec![*line; count],
            bytes: vec![*byte; count],
        },
        // not from this connector, but the row can be read all the same
        _ => OriginColumns::Sequence { name: Arc::from(entry.id.as_str()), numbers: vec![0; count] },
    };
    Batch {
        stream: entry.stream.clone(),
        schema,
        rows,
        marks: None,
        before: None,
        before_marks: None,
        ops: Ops::Append,
        origin: Origin { rows: origin, revision: entry.revision },
        source_time: None,
        rejected: rejected.into_iter().collect(),
        replayed: vec![],
        advance: None,
    }
}

/// A row that a step or the sink refused is an object of its columns; it becomes a file of one row again.
fn text_of(config: &CsvDropsConfig, row: &serde_json::Value) -> Result<Vec<u8>> {
    let Some(columns) = row.as_object() else {
        return Err(
            Error::misconfigured("reading a rejected row again failed: it is not an object of columns").code("U0224")
        );
    };
    let (delimiter, quote) = config.dialect.marks();
    let quoted = |text: &str| quoted(text, quote);
    let value = |value: &serde_json::Value| match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => quoted(text),
        other => quoted(&other.to_string()),
    };
    let joined = |cells: Vec<String>| cells.join(&char::from(delimiter).to_string());
    let mut text = String::new();
    if config.dialect.header == Header::Present {
        text.push_str(&joined(columns.keys().map(|k| quoted(k)).collect()));
        text.push('\n');
    }
    text.push_str(&joined(columns.values().map(value).collect()));
    text.push('\n');
    Ok(text.into_bytes())
}

fn quoted(text: &str, quote: u8) -> String {
    let quote = char::from(quote).to_string();
    format!("{quote}{}{quote}", text.replace(&quote, &quote.repeat(2)))
}

/// The text with some cells of its row replaced. An edit behind the end of a row that is too short adds a field; it never
/// fills a gap before it, so such a row stays too short until each missing field was given.
fn edited(config: &CsvDropsConfig, text: &[u8], edits: &[Edit]) -> Result<Vec<u8>> {
    let (delimiter, quote) = config.dialect.marks();
    let (header, row) = match config.dialect.header {
        Header::Present => {
            let (header, used) = record(text, (delimiter, quote))?;
            (Some(header), used)
        }
        Header::None => (None, 0),
    };
    let (mut cells, _) = record(&text[row..], (delimiter, quote))?;
    let names: Vec<String> = match &header {
        Some(header) => header.iter().map(|cell| String::from_utf8_lossy(&cell.content).into_owned()).collect(),
        None => (0..cells.len().max(config.columns.len())).map(|at| name_by_position(config, at)).collect(),
    };
    let mut at: Vec<(usize, &Edit)> = Vec::with_capacity(edits.len());
    for edit in edits {
        let place = names.iter().position(|name| *name == edit.column);
        at.push((place.ok_or_else(|| unknown_column(&edit.column, &names))?, edit));
    }
    at.sort_by_key(|(place, _)| *place);
    for (place, edit) in at {
        let cell = Cell { raw: raw_cell(&edit.text, delimiter, quote), content: Vec::new() };
        if place < cells.len() {
            cells[place] = cell;
        } else if place == cells.len() {
            cells.push(cell);
        }
    }
    let mut out = text[..row].to_vec();
    out.extend(cells.iter().map(|cell| &cell.raw[..]).collect::<Vec<_>>().join(&delimiter));
    out.push(b'\n');
    Ok(out)
}

/// A field as it stands in the file, and what it means.
struct Cell {
    raw: Vec<u8>,
    content: Vec<u8>,
}

/// The fields of the first record, and how many bytes it takes with its line break.
fn record(text: &[u8], (delimiter, quote): (u8, u8)) -> Result<(Vec<Cell>, usize)> {
    let mut block = scanner::Block::default();
    let wanted = scanner::Wanted { width: None, records_max: 1, field_max: usize::MAX, at_end: true };
    let scanned = scanner::scan(text, 1, scanner::Marks { delimiter, quote }, wanted, &mut block);
    if block.records.is_empty() {
        return Err(Error::misconfigured("changing a cell failed, the row has no fields that can be told apart")
            .code("U0227")
            .help("look at it with `unbatch quarantine show`; its quotes are broken. Correct it in the file and deliver that again"));
    }
    let mut scratch = Vec::new();
    let cells = block.fields.iter().map(|field| {
        let raw = &text[field.range()];
        let raw = if field.is_quoted() { [&[quote], raw, &[quote]].concat() } else { raw.to_vec() };
        Cell { raw, content: scanner::content(text, *field, quote, &mut scratch).to_vec() }
    });
    Ok((cells.collect(), scanned.used))
}

/// Quoted only where it must be: an unquoted empty field is NULL, and NULL words are words only without quotes.
fn raw_cell(text: &str, delimiter: u8, quote: u8) -> Vec<u8> {
    let special = |b: u8| b == delimiter || b == quote || b == b'\n' || b == b'\r';
    if text.bytes().any(special) { quoted(text, quote).into_bytes() } else { text.as_bytes().to_vec() }
}

/// As undeclared columns of files without a header are called.
fn name_by_position(config: &CsvDropsConfig, at: usize) -> String {
    config.columns.get(at).map_or_else(|| format!("c{}", at + 1), |column| column.name.clone())
}

fn unknown_column(column: &str, names: &[String]) -> Error {
    Error::misconfigured("changing a cell failed, the row has no such column")
        .code("U0227")
        .with("column", column)
        .help(format!("its columns are {}", names.join(", ")))
}
