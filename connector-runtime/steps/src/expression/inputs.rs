//! What expressions read: columns of the row, and what is known about it beside them.

use std::sync::Arc;
use unbatch_api::ColumnType;
use unbatch_api::arrow::array::{Array, ArrayRef, Int64Array, StringArray, new_null_array};
use unbatch_api::arrow::datatypes::{DataType, Field, Schema};
use unbatch_api::{Batch, Op, Ops, OriginColumns};

/// `meta.…`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meta {
    File,
    Line,
    Stream,
    Op,
    SourceTime,
}

impl Meta {
    pub(crate) const ALL: [(&'static str, Meta); 5] = [
        ("file", Meta::File),
        ("line", Meta::Line),
        ("stream", Meta::Stream),
        ("op", Meta::Op),
        ("source_time", Meta::SourceTime),
    ];
    pub(crate) fn column_type(self) -> ColumnType {
        match self {
            Meta::Line => ColumnType::Int64,
            Meta::SourceTime => ColumnType::Timestamp,
            Meta::File | Meta::Stream | Meta::Op => ColumnType::String,
        }
    }
    /// Its value for each row; null where the source has none.
    pub(crate) fn values(self, batch: &Batch) -> ArrayRef {
        let rows = batch.rows.num_rows();
        let same =
            |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows))) };
        let found = match (self, &batch.origin.rows) {
            (Meta::File, OriginColumns::File { file, .. }) => Some(same(file)),
            (Meta::Line, OriginColumns::File { lines, .. }) => {
                let numbers = lines.iter().map(|line| i64::try_from(*line).unwrap_or(i64::MAX));
                Some(Arc::new(Int64Array::from_iter_values(numbers)) as ArrayRef)
            }
            (Meta::Stream, _) => Some(same(batch.stream.as_str())),
            (Meta::Op, _) => Some(match &batch.ops {
                Ops::PerRow(ops) => Arc::new(StringArray::from_iter_values(ops.iter().map(|op| op.letter()))),
                Ops::Append | Ops::Truncate => same(Op::Create.letter()),
            }),
            (Meta::SourceTime, _) => batch.source_time.clone(),
            _ => None,
        };
        let wanted = self.column_type().to_arrow();
        match found {
            Some(values) if *values.data_type() == wanted => values,
            Some(values) => {
                unbatch_api::arrow::compute::cast(&values, &wanted).unwrap_or_else(|_| new_null_array(&wanted, rows))
            }
            None => new_null_array(&wanted, rows),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// By its place in the batch.
    Column(usize),
    Meta(Meta),
}

/// The inputs of an expression in the order in which they come up; it is evaluated on a batch of these alone.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    pub(crate) list: Vec<Input>,
    fields: Vec<Field>,
}

impl Inputs {
    /// The place of an input among them.
    pub(crate) fn place(&mut self, input: Input, name: &str, data_type: DataType) -> usize {
        if let Some(known) = self.list.iter().position(|i| *i == input) {
            return known;
        }
        self.list.push(input);
        self.fields.push(Field::new(name, data_type, true));
        self.list.len() - 1
    }
    pub(crate) fn schema(&self) -> Schema {
        Schema::new(self.fields.clone())
    }
}
