//! Batches out of text, and rows as text, so that a test reads like the data it means.

use crate::batch::{Batch, Op, Ops};
use crate::checkpoint::Advance;
use crate::names::StreamName;
use crate::origin::{Origin, OriginColumns, RowOrigin};
use crate::quarantine::{RawRow, RejectedRow, Stage};
use crate::schema::{ColumnType, StreamSchema};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, new_empty_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::ops::Range;
use std::sync::Arc;

/// How [`row_text`] shows NULL.
pub const NULL_TEXT: &str = "∅";

/// Rows with the given numbers: `id` is the number, `text` is `row-<number>`. Keyed by `id`, appended, revision 1, without an
/// advance. For more, see [`RowBatch`]; for other columns, see [`table`].
pub fn row_batch(stream: &str, numbers: Range<u64>) -> Batch {
    RowBatch::new(stream, numbers).build()
}

/// Builds a batch of numbered rows with the columns `id` (int64, the key) and `text` (string).
#[derive(Clone, Debug)]
pub struct RowBatch {
    stream: StreamName,
    numbers: Range<u64>,
    ops: Option<Op>,
    texts: Option<String>,
    rejected: Vec<u64>,
    advance: Option<Advance>,
    revision: u64,
}

impl RowBatch {
    pub fn new(stream: &str, numbers: Range<u64>) -> Self {
        Self {
            stream: StreamName::new(stream),
            numbers,
            ops: None,
            texts: None,
            rejected: Vec::new(),
            advance: None,
            revision: 1,
        }
    }
    /// The same operation for every row; without it the rows are appended.
    pub fn op(mut self, op: Op) -> Self {
        self.ops = Some(op);
        self
    }
    /// What `text` holds in every row.
    pub fn text(mut self, text: &str) -> Self {
        self.texts = Some(text.to_owned());
        self
    }
    /// A rejected row with this number as its origin.
    pub fn rejected(mut self, number: u64) -> Self {
        self.rejected.push(number);
        self
    }
    pub fn advance(mut self, advance: Advance) -> Self {
        self.advance = Some(advance);
        self
    }
    pub fn revision(mut self, revision: u64) -> Self {
        self.revision = revision;
        self
    }

    pub fn build(self) -> Batch {
        let schema = Self::schema();
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(self.numbers.clone().map(|n| n as i64)));
        let text = |n| self.texts.clone().unwrap_or_else(|| format!("row-{n}"));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(self.numbers.clone().map(text)));
        let numbers: Vec<u64> = self.numbers.collect();
        let name: Arc<str> = self.stream.as_str().into();
        let ops = self.ops.map_or(Ops::Append, |op| Ops::PerRow(vec![op; numbers.len()]));
        let rows = must(RecordBatch::try_new(schema.fields().clone(), vec![ids, texts]), "building the columns");
        let rejected = self.rejected.iter().map(|n| {
            let origin = RowOrigin::Sequence { name: name.clone(), number: *n };
            rejected_row(&self.stream, origin, &format!("raw-{n}"))
        });
        let rejected = rejected.collect();
        Batch {
            stream: self.stream,
            schema,
            marks: None,
            before: None,
            rows,
            before_marks: None,
            ops,
            origin: Origin { rows: OriginColumns::Sequence { name, numbers }, revision: self.revision },
            source_time: None,
            rejected,
            replayed: Vec::new(),
            advance: self.advance,
        }
    }

    /// The schema of every [`RowBatch`].
    pub fn schema() -> Arc<StreamSchema> {
        let fields = vec![ColumnType::Int64.field("id", false), ColumnType::String.field("text", true)];
        Arc::new(StreamSchema::new(Arc::new(Schema::new(fields)), vec!["id".into()]))
    }
}

/// A row that the source rejected, code `bad_row`.
pub fn rejected_row(stream: &StreamName, origin: RowOrigin, raw: &str) -> RejectedRow {
    RejectedRow {
        code: "bad_row".into(),
        message: "the row was made to be rejected".into(),
        stage: Stage::Source,
        stream: stream.clone(),
        origin,
        raw: RawRow::of(raw.as_bytes().to_vec()),
    }
}

/// A batch out of text cells. `columns` are `name: type` or `name: type not null`, joined by commas, with the types of
/// [`ColumnType`]; a type in parentheses has no space in it: `id: int64 not null, price: decimal(12,2)`. `None` is NULL.
///
/// # Panics
///
/// When a column or a cell cannot be read: the test is wrong.
pub fn table(stream: &str, columns: &str, key: &[&str], rows: &[&[Option<&str>]]) -> Batch {
    let fields: Vec<Field> = split_columns(columns).into_iter().map(column).collect();
    let arrays = fields.iter().enumerate().map(|(i, field)| {
        let texts: StringArray = rows.iter().map(|row| row[i]).collect();
        let made = read_cells(&texts, field.data_type());
        let unread = (0..rows.len()).find(|r| rows[*r][i].is_some() && made.is_null(*r));
        assert!(unread.is_none(), "cell {unread:?} of column {} is not a {}", field.name(), field.data_type());
        made
    });
    let arrays: Vec<ArrayRef> = arrays.collect();
    let fields = Arc::new(Schema::new(fields));
    let schema = Arc::new(StreamSchema::new(fields.clone(), key.iter().map(|k| k.to_string()).collect()));
    let numbers = (1..=rows.len() as u64).collect();
    Batch {
        stream: StreamName::new(stream),
        schema,
        marks: None,
        before: None,
        rows: must(RecordBatch::try_new(fields, arrays), "building the columns"),
        before_marks: None,
        ops: Ops::Append,
        origin: Origin { rows: OriginColumns::Sequence { name: stream.into(), numbers }, revision: 1 },
        source_time: None,
        rejected: vec![],
        replayed: vec![],
        advance: None,
    }
}

/// The cells of a row joined by `|`, NULL as `∅`: `7|2.50|∅`.
///
/// # Panics
///
/// When there is no such row, as indexing does.
pub fn row_text(rows: &RecordBatch, row: usize) -> String {
    row_texts(&rows.slice(row, 1)).remove(0)
}

/// Every row of `rows` as [`row_text`].
pub fn row_texts(rows: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null(NULL_TEXT);
    let columns: Vec<(ArrayRef, &str)> = rows.columns().iter().map(showable).collect();
    let show = |(column, suffix): &(ArrayRef, &'static str)| {
        let formatter = must(ArrayFormatter::try_new(column.as_ref(), &options), "showing a column");
        let cell = |row| match column.is_null(row) {
            true => NULL_TEXT.to_owned(),
            false => format!("{}{suffix}", formatter.value(row)),
        };
        (0..column.len()).map(cell).collect::<Vec<String>>()
    };
    let cells: Vec<Vec<String>> = columns.iter().map(show).collect();
    let text = |row: usize| cells.iter().map(|column| column[row].as_str()).collect::<Vec<_>>().join("|");
    (0..rows.num_rows()).map(text).collect()
}

/// An array of no rows for each field, for batches that carry only an advance or rejected rows.
pub fn no_rows(schema: &StreamSchema) -> RecordBatch {
    let arrays = schema.fields().fields().iter().map(|f| new_empty_array(f.data_type())).collect();
    must(RecordBatch::try_new(schema.fields().clone(), arrays), "building no rows")
}

/// Arrow knows `UTC` as a zone only with a time zone database, so times are read and shown without one and labelled by us.
fn read_cells(texts: &StringArray, data_type: &DataType) -> ArrayRef {
    if *data_type != ColumnType::Timestamp.to_arrow() {
        return must(cast(texts, data_type), "reading the cells of a column");
    }
    let local = must(cast(texts, &DataType::Timestamp(TimeUnit::Microsecond, None)), "reading the cells of a column");
    Arc::new(local.as_primitive::<TimestampMicrosecondType>().clone().with_timezone("UTC"))
}

/// The column as it can be shown, and what goes behind each of its cells.
fn showable(column: &ArrayRef) -> (ArrayRef, &'static str) {
    if *column.data_type() != ColumnType::Timestamp.to_arrow() {
        return (column.clone(), "");
    }
    let utc = column.as_primitive::<TimestampMicrosecondType>().clone();
    (Arc::new(utc.with_timezone_opt(None::<Arc<str>>)), "Z")
}

fn split_columns(columns: &str) -> Vec<&str> {
    let mut depth = 0;
    let split = columns.split(move |c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    split.collect()
}

fn column(text: &str) -> Field {
    let Some((name, column_type)) = text.split_once(':') else {
        panic!("`{text}` is not a column like `price: decimal(12,2)`");
    };
    let (column_type, nullable) = match column_type.trim().strip_suffix("not null") {
        Some(bare) => (bare.trim(), false),
        None => (column_type.trim(), true),
    };
    must(column_type.parse::<ColumnType>(), "reading a column type").field(name.trim(), nullable)
}

/// Only a wrong test comes here, so it ends with what was wrong.
fn must<T, E: std::fmt::Display>(made: Result<T, E>, attempted: &str) -> T {
    made.unwrap_or_else(|e| panic!("{attempted} failed: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_text_has_types_and_shows_as_the_same_text() {
        let batch = table(
            "prices",
            "id: int64 not null, price: decimal(12,2), day: date, sold: timestamp, ok: bool",
            &["id"],
            &[
                &[Some("7"), Some("2.50"), Some("2024-02-29"), Some("2024-02-29T10:00:00Z"), Some("true")],
                &[Some("8"), None, None, None, None],
            ],
        );
        batch.check().unwrap();
        assert_eq!(row_text(&batch.rows, 0), "7|2.50|2024-02-29|2024-02-29T10:00:00Z|true");
        assert_eq!(row_texts(&batch.rows)[1], "8|∅|∅|∅|∅");
        assert!(!batch.rows.schema().field(0).is_nullable());
    }

    #[test]
    fn a_row_batch_is_whole() {
        let batch = RowBatch::new("s", 3..5).op(Op::Update).rejected(9).build();
        batch.check().unwrap();
        assert_eq!(row_texts(&batch.rows), ["3|row-3", "4|row-4"]);
        assert_eq!((batch.rows_read(), batch.origin.rows.row(1).to_string()), (3, "s#4".into()));
        assert_eq!(no_rows(&batch.schema).num_rows(), 0);
    }
}
