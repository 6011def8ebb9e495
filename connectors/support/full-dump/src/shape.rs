//! What the rows of a dump look like, and what is kept of them beside their columns.

use sha2::{Digest, Sha256};
use std::sync::Arc;
use unbatch_api::arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, RecordBatch};
use unbatch_api::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use unbatch_api::arrow::row::{RowConverter, SortField};
use unbatch_api::schema::type_name;
use unbatch_api::{Error, Result};

/// Bytes of a row's digest: half a SHA-256.
pub const DIGEST_BYTES: usize = 16;

/// Columns of a dump, which of them are its key, and how its rows are written down.
#[derive(Debug)]
pub struct Shape {
    /// Key columns as the dump has them, the others nullable, since a delete has only its key.
    changes: SchemaRef,
    /// Indexes of the key columns, in the order in which rows are sorted.
    key: Vec<usize>,
    /// `changes`, then digest, line, byte and kind.
    run: SchemaRef,
    /// Key columns, then the digest.
    baseline: SchemaRef,
    /// All columns by name, so that a dump whose columns changed their order is the same dump.
    by_name: Vec<usize>,
}

/// Columns of a run behind those of the dump.
#[derive(Clone, Copy)]
pub enum Extra {
    Digest,
    Line,
    Byte,
    /// Whether the row is good; of a refused one only the key is known, and whatever was known of it stays.
    IsRefused,
}

impl Shape {
    /// `key` names columns among `fields`.
    pub fn new(fields: &Schema, key: &[String]) -> Result<Self> {
        let index = |name: &String| {
            fields.index_of(name).map_err(|_| {
                let help = "the columns of `key` must be in every file; see `unbatch preview`";
                Error::misconfigured("comparing a full dump failed: a column of the key is not in it")
                    .code("U0240")
                    .with("column", name)
                    .help(help)
            })
        };
        let key: Vec<usize> = key.iter().map(index).collect::<Result<_>>()?;
        let nullable =
            |(i, field): (usize, &Arc<Field>)| Arc::new(field.as_ref().clone().with_nullable(!key.contains(&i)));
        let changes: Vec<Arc<Field>> = fields.fields().iter().enumerate().map(nullable).collect();
        let mut run: Vec<Arc<Field>> =
            changes.iter().map(|f| Arc::new(f.as_ref().clone().with_nullable(true))).collect();
        run.push(digest_field());
        for (name, kind) in [(" line", DataType::UInt64), (" byte", DataType::UInt64), (" refused", DataType::Boolean)]
        {
            run.push(Arc::new(Field::new(name, kind, false)));
        }
        let mut baseline: Vec<Arc<Field>> = key.iter().map(|&i| changes[i].clone()).collect();
        baseline.push(digest_field());
        let mut by_name: Vec<usize> = (0..changes.len()).collect();
        by_name.sort_by(|&a, &b| changes[a].name().cmp(changes[b].name()));
        Ok(Self {
            changes: Arc::new(Schema::new(changes)),
            key,
            run: Arc::new(Schema::new(run)),
            baseline: Arc::new(Schema::new(baseline)),
            by_name,
        })
    }

    /// The columns of what [`crate::Changes`] gives.
    pub fn fields(&self) -> &SchemaRef {
        &self.changes
    }
    pub(crate) fn run_fields(&self) -> &SchemaRef {
        &self.run
    }
    pub(crate) fn baseline_fields(&self) -> &SchemaRef {
        &self.baseline
    }
    pub(crate) fn key(&self) -> &[usize] {
        &self.key
    }
    pub(crate) fn width(&self) -> usize {
        self.changes.fields().len()
    }
    pub(crate) fn extra(&self, which: Extra) -> usize {
        self.width() + which as usize
    }

    /// Names and types of all columns, whatever their order; another list means that no digest of old can be compared.
    pub(crate) fn columns_text(&self) -> String {
        let one =
            |&i: &usize| format!("{}:{}", self.changes.field(i).name(), type_name(self.changes.field(i).data_type()));
        self.by_name.iter().map(one).collect::<Vec<_>>().join("\n")
    }
    /// Names and types of the key columns in their order.
    pub(crate) fn key_text(&self) -> String {
        let one =
            |&i: &usize| format!("{}:{}", self.changes.field(i).name(), type_name(self.changes.field(i).data_type()));
        self.key.iter().map(one).collect::<Vec<_>>().join("\n")
    }

    /// Makes keys that compare as bytes.
    pub(crate) fn converter(&self) -> Result<RowConverter> {
        let fields = self.key.iter().map(|&i| SortField::new(self.changes.field(i).data_type().clone())).collect();
        RowConverter::new(fields).map_err(|e| broken("making sortable keys failed", e))
    }

    /// A digest of each row, over names of columns and values; it does not depend on the order of the columns, and never
    /// changes from one version of the program to the next.
    pub(crate) fn digests(&self, columns: &[ArrayRef]) -> Result<FixedSizeBinaryArray> {
        let rows = columns.first().map_or(0, |c| c.len());
        let cells: Vec<Cells<'_>> = self.by_name.iter().map(|&i| Cells::of(&columns[i])).collect::<Result<_>>()?;
        let mut digests = Vec::with_capacity(rows * DIGEST_BYTES);
        let mut text = Vec::new();
        for row in 0..rows {
            text.clear();
            cells.iter().for_each(|cells| cells.write(row, &mut text));
            digests.extend_from_slice(&Sha256::digest(&text)[..DIGEST_BYTES]);
        }
        FixedSizeBinaryArray::try_new(DIGEST_BYTES as i32, digests.into(), None)
            .map_err(|e| broken("making digests of rows failed", e))
    }
}

fn digest_field() -> Arc<Field> {
    Arc::new(Field::new(" digest", DataType::FixedSizeBinary(DIGEST_BYTES as i32), false))
}

/// The values of a column as bytes.
struct Cells<'a> {
    array: &'a ArrayRef,
    bytes: Bytes<'a>,
}

enum Bytes<'a> {
    Bool,
    /// Little-endian values of this width, one after the other.
    Fixed(usize, &'a [u8]),
    Text,
}

impl<'a> Cells<'a> {
    fn of(array: &'a ArrayRef) -> Result<Self> {
        let bytes = match array.data_type() {
            DataType::Boolean => Bytes::Bool,
            DataType::Utf8 => Bytes::Text,
            other => match fixed(array) {
                Some((width, values)) => Bytes::Fixed(width, values),
                None => {
                    return Err(Error::misconfigured("comparing a full dump failed: a column's type has no digest")
                        .code("U0240")
                        .with("type", other)
                        .help("read the column as a string"));
                }
            },
        };
        Ok(Self { array, bytes })
    }

    /// 0 for NULL, otherwise 1 and the value; text with its length, so that no two rows look alike.
    fn write(&self, row: usize, to: &mut Vec<u8>) {
        if self.array.is_null(row) {
            to.push(0);
            return;
        }
        to.push(1);
        match self.bytes {
            Bytes::Bool => to.push(u8::from(self.array.as_boolean().value(row))),
            Bytes::Fixed(width, values) => to.extend_from_slice(&values[row * width..(row + 1) * width]),
            Bytes::Text => {
                let text = self.array.as_string::<i32>().value(row);
                to.extend_from_slice(&(text.len() as u64).to_le_bytes());
                to.extend_from_slice(text.as_bytes());
            }
        }
    }
}

fn fixed(array: &ArrayRef) -> Option<(usize, &[u8])> {
    use unbatch_api::arrow::datatypes::{
        Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
    };
    let array = array.as_ref();
    Some(match array.data_type() {
        DataType::Int32 => (4, array.as_primitive::<Int32Type>().values().inner().as_slice()),
        DataType::Int64 => (8, array.as_primitive::<Int64Type>().values().inner().as_slice()),
        DataType::Float64 => (8, array.as_primitive::<Float64Type>().values().inner().as_slice()),
        DataType::Date32 => (4, array.as_primitive::<Date32Type>().values().inner().as_slice()),
        DataType::Decimal128(..) => (16, array.as_primitive::<Decimal128Type>().values().inner().as_slice()),
        DataType::Timestamp(..) => (8, array.as_primitive::<TimestampMicrosecondType>().values().inner().as_slice()),
        _ => return None,
    })
}

/// A failure that no input can cause.
pub(crate) fn broken(attempted: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::bug(attempted).code("U0902").caused_by(cause)
}

/// The rows without what a run keeps beside them.
pub(crate) fn project(rows: &RecordBatch, fields: &SchemaRef) -> Result<RecordBatch> {
    let columns = rows.columns()[..fields.fields().len()].to_vec();
    RecordBatch::try_new(fields.clone(), columns).map_err(|e| broken("assembling changed rows failed", e))
}
