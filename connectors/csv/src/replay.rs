//! Reads a row again that was refused once, under today's configuration.

use crate::config::{CsvDropsConfig, Header};
use crate::decode;
use crate::reader::{FileReader, PIECE_BYTES, Portion, Step};
use crate::rewrite::{cells, edited};
use std::sync::Arc;
use unbatch_api::arrow::array::RecordBatch;
use unbatch_api::quarantine::{Edit, RawCell};
use unbatch_api::{
    Batch, Error, Ops, Origin, OriginColumns, QuarantineEntry, RawRow, RejectedRow, Result, RowOrigin, Stage, StopAfter,
};
use unbatch_object_files::TextReader;

/// The batch has the row in `rows`, or in `rejected` with what is still wrong. An entry of a parked file, or one whose
/// bytes were cut, cannot be read; it is rejected again as it stands.
pub fn parse_raw(config: &CsvDropsConfig, entry: &QuarantineEntry, edits: &[Edit]) -> Result<Batch> {
    if config.full_dump().is_some() && entry.stage == Stage::Source && !is_of_a_file(entry) {
        return Ok(batch_of(config, entry, None, Some(of_a_dump(entry))));
    }
    let text = match &entry.raw {
        RawRow::Bytes(bytes) if !bytes.is_empty() && !is_of_a_file(entry) => bytes.to_vec(),
        // as it stood when it was refused: in plain notation, whatever the files have
        RawRow::Row(row) => {
            let plain = config.in_plain_notation();
            let text = text_of(&plain, row)?;
            return read_one(&plain, entry, text, edits);
        }
        _ if is_of_a_file(entry) => return Ok(batch_of(config, entry, None, Some(of_a_file(entry)))),
        _ => return Ok(batch_of(config, entry, None, Some(again(entry, None)))),
    };
    read_one(config, entry, text, edits)
}

/// The fields of the row by the names of their columns; one without a column has none of its own to be called by.
pub fn raw_cells(config: &CsvDropsConfig, entry: &QuarantineEntry) -> Result<Vec<RawCell>> {
    let text = match &entry.raw {
        RawRow::Bytes(bytes) if !bytes.is_empty() && !is_of_a_file(entry) => bytes.to_vec(),
        RawRow::Row(row) => {
            let plain = config.in_plain_notation();
            return cells(&plain, &text_of(&plain, row)?);
        }
        _ => {
            return Err(Error::misconfigured("reading the cells of the row failed, its bytes were not kept")
                .code("U0227")
                .help("correct it in the file and deliver that again"));
        }
    };
    cells(config, &text)
}

fn read_one(config: &CsvDropsConfig, entry: &QuarantineEntry, text: Vec<u8>, edits: &[Edit]) -> Result<Batch> {
    let text = if edits.is_empty() { text } else { edited(config, &text, edits)? };
    // two, to see that there is but one
    let portion = Portion { rows: 2, bytes: PIECE_BYTES };
    let mut reader =
        FileReader::new(Ok(TextReader::of_text(text)), Arc::new(config.of_one_row()), StopAfter::default(), portion);
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

fn is_of_a_file(entry: &QuarantineEntry) -> bool {
    entry.message.starts_with(crate::reader::PARKED)
}

fn of_a_file(entry: &QuarantineEntry) -> RejectedRow {
    let way = "it is read again once the configuration has changed, or when it is delivered anew";
    RejectedRow { message: format!("{}; a file is not replayed: {way}", entry.message), ..again(entry, None) }
}

/// Alone it would be a row that no baseline knows: it could never be seen as deleted, nor as changed back.
fn of_a_dump(entry: &QuarantineEntry) -> RejectedRow {
    let way = "mend it where the file is written, or mend `columns` and read the file once more with `unbatch offsets set FILE=again`";
    RejectedRow {
        message: format!("{}; a row of a full dump is not replayed: {way}", entry.message),
        ..again(entry, None)
    }
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
