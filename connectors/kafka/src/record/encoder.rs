//! Key and value of a row, for one schema.

use super::cell::{self, Column, is_supported, name_prefix, plain, write_mark, write_text};
use unbatch_api::arrow::array::{ArrayRef, RecordBatch};
use unbatch_api::{Error, Mark, Marks, Result, StreamName, StreamSchema};

/// What a schema is written by; made once for each (stream, schema id).
pub(crate) struct RowEncoder {
    value: Vec<Named>,
    key: Vec<Named>,
    partition_by: Vec<Named>,
}

struct Named {
    column: usize,
    /// `"name":`
    prefix: Vec<u8>,
}

/// The columns of one batch.
pub(crate) struct RowText<'a> {
    encoder: &'a RowEncoder,
    names: &'a StreamSchema,
    columns: Vec<Column<'a>>,
    marks: Option<&'a Marks>,
}

/// A key column that the source did not send.
pub(crate) struct KeyNotSent;

impl RowEncoder {
    pub fn compile(
        stream: &StreamName,
        schema: &StreamSchema,
        key: &[String],
        partition_by: &[String],
    ) -> Result<RowEncoder> {
        let fields = schema.fields().fields();
        if let Some(field) = fields.iter().find(|f| !is_supported(f.data_type())) {
            return Err(Error::misconfigured("preparing the JSON form of a stream failed")
                .code("U0277")
                .with("stream", stream)
                .with("column", field.name())
                .with("type", field.data_type())
                .help("this type has no JSON form yet: leave the column out with `select`, or `cast` it to string"));
        }
        let named = |column: usize| Named { column, prefix: name_prefix(fields[column].name()) };
        let by_name = |what: &'static str, names: &[String]| -> Result<Vec<Named>> {
            let find = |name: &String| fields.iter().position(|f| f.name() == name).map(named);
            let missing = |name: &String| {
                Error::misconfigured("preparing the records of a stream failed")
                    .code("U0274")
                    .with("stream", stream)
                    .with(what, name)
                    .help(format!("there is no such column; `{what}` names columns as they are after the steps"))
            };
            names.iter().map(|name| find(name).ok_or_else(|| missing(name))).collect()
        };
        Ok(RowEncoder {
            value: (0..fields.len()).map(named).collect(),
            key: by_name("key", key)?,
            partition_by: by_name("partition_by", partition_by)?,
        })
    }

    pub fn has_key(&self) -> bool {
        !self.key.is_empty()
    }

    pub fn has_partition_columns(&self) -> bool {
        !self.partition_by.is_empty()
    }

    /// Columns that [`RowEncoder::open`] borrows.
    pub fn columns(rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
        rows.columns().iter().map(plain).collect()
    }

    pub fn open<'a>(
        &'a self,
        names: &'a StreamSchema,
        columns: &'a [ArrayRef],
        marks: Option<&'a Marks>,
    ) -> Result<RowText<'a>> {
        let fields = names.fields().fields().iter();
        let columns = columns.iter().zip(fields).map(|(array, field)| {
            Column::of(array.as_ref(), field)
                .ok_or_else(|| Error::bug("writing a column as JSON failed").code("U0276").with("column", field.name()))
        });
        Ok(RowText {
            encoder: self,
            names,
            columns: columns.collect::<Result<_>>()?,
            marks: marks.filter(|marks| !marks.is_empty()),
        })
    }
}

impl RowText<'_> {
    /// The key as a JSON object of its columns, in declared order.
    pub fn key(&self, row: usize, out: &mut Vec<u8>) -> Result<(), KeyNotSent> {
        self.object(&self.encoder.key, row, out)
    }

    /// What the partition is chosen by when it is not the key.
    pub fn partition_columns(&self, row: usize, out: &mut Vec<u8>) -> Result<(), KeyNotSent> {
        self.object(&self.encoder.partition_by, row, out)
    }

    /// The row as a JSON object; columns that were not sent are left out of it and put into `unchanged`.
    pub fn value(&self, row: usize, out: &mut Vec<u8>, unchanged: &mut Vec<usize>) {
        let mut separator = b'{';
        for named in &self.encoder.value {
            let mark = self.mark(named.column, row);
            if mark == Some(&Mark::Unchanged) {
                unchanged.push(named.column);
                continue;
            }
            out.push(separator);
            separator = b',';
            out.extend_from_slice(&named.prefix);
            match mark {
                Some(mark) => write_mark(mark, out),
                None => self.columns[named.column].write(row, out),
            }
        }
        out.extend_from_slice(if separator == b'{' { b"{}" } else { b"}" });
    }

    /// The names of columns as a JSON array.
    pub fn names(&self, columns: &[usize], out: &mut Vec<u8>) {
        let mut separator = b'[';
        for column in columns {
            out.push(separator);
            separator = b',';
            write_text(self.names.fields().field(*column).name(), out);
        }
        out.push(b']');
    }

    /// Whether the row is an old image that was not sent: all its key columns are null.
    pub fn has_no_key(&self, row: usize, columns: &[ArrayRef]) -> bool {
        self.encoder.key.iter().all(|named| columns[named.column].is_null(row))
    }

    fn object(&self, columns: &[Named], row: usize, out: &mut Vec<u8>) -> Result<(), KeyNotSent> {
        let mut separator = b'{';
        for named in columns {
            out.push(separator);
            separator = b',';
            out.extend_from_slice(&named.prefix);
            match self.mark(named.column, row) {
                Some(Mark::Unchanged) => return Err(KeyNotSent),
                Some(mark) => cell::write_mark(mark, out),
                None => self.columns[named.column].write(row, out),
            }
        }
        out.push(b'}');
        Ok(())
    }

    fn mark(&self, column: usize, row: usize) -> Option<&Mark> {
        self.marks?.at(column, row)
    }
}
