//! `--patch "price = replace(price, 'O', '0')"`: cells of a refused row by expressions on the row as it came, all of it text.

use crate::expression::{Image, Parsed, Sql};
use crate::refusal::Refusal;
use sqlparser::ast::{BinaryOperator, Expr};
use std::sync::Arc;
use unbatch_api::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use unbatch_api::arrow::datatypes::Schema;
use unbatch_api::quarantine::{Edit, Mend, RawCell};
use unbatch_api::{Batch, ColumnType, Error, Ops, Origin, OriginColumns, Result, StreamName, StreamSchema};

/// Some cells of a row by expressions on its cells; all see the row as it came.
#[derive(Clone, Debug)]
pub struct Patch {
    cells: Vec<(String, Parsed)>,
}

impl Patch {
    /// Each text is `column = expression`.
    ///
    /// # Errors
    ///
    /// Misconfigured, with what is wrong with the text.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self> {
        let cells = texts.iter().map(|text| cell(text.as_ref())).collect::<Result<_>>()?;
        Ok(Self { cells })
    }
}

fn cell(text: &str) -> Result<(String, Parsed)> {
    let form = || {
        wrong("reading --patch failed, it is not `column = expression`")
            .help("write such as --patch \"price = replace(price, 'O', '0')\"")
    };
    let parsed = Parsed::new(&Sql(text.to_owned())).map_err(|fault| told(&fault.message, &fault.help))?;
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = parsed.tree() else { return Err(form()) };
    let Expr::Identifier(column) = &**left else { return Err(form()) };
    Ok((column.value.clone(), parsed.part(right)))
}

fn wrong(message: &str) -> Error {
    Error::misconfigured(message).code("U0619")
}

fn told(message: &str, help: &str) -> Error {
    wrong(&format!("reading --patch failed: {message}")).help(help)
}

impl Mend for Patch {
    fn edits(&self, row: &[RawCell]) -> Result<Vec<Edit>> {
        let batch = batch_of(row)?;
        let mut edits = Vec::with_capacity(self.cells.len());
        for (column, parsed) in &self.cells {
            if !row.iter().any(|cell| cell.column == *column) {
                let known: Vec<&str> = row.iter().map(|cell| cell.column.as_str()).collect();
                return Err(told(
                    &format!("the row has no column `{column}`"),
                    &format!("its columns are {}", known.join(", ")),
                ));
            }
            let compiled = parsed
                .compile_as(&batch.schema, ColumnType::String)
                .map_err(|fault| told(&fault.message, &format!("{}; all columns are texts here", fault.help)))?;
            let outcome = compiled.evaluate(&Image::new(&batch))?;
            if let Some(trouble) = outcome.troubles.get(&0) {
                let refusal = Refusal::of(*trouble, &format!("`{column}`"));
                return Err(wrong(&format!("patching the row failed: {}", refusal.message))
                    .help("test the text with case when before it is converted"));
            }
            let values = outcome.values.as_string::<i32>();
            // an empty field is what the source takes for null
            let text = if values.is_valid(0) { values.value(0).to_owned() } else { String::new() };
            edits.push(Edit { column: column.clone(), text });
        }
        Ok(edits)
    }
}

/// The row as a batch of texts.
fn batch_of(row: &[RawCell]) -> Result<Batch> {
    let fields: Vec<_> = row.iter().map(|cell| ColumnType::String.field(&cell.column, true)).collect();
    let schema = Arc::new(StreamSchema::new(Arc::new(Schema::new(fields)), Vec::new()));
    let columns = row.iter().map(|cell| Arc::new(StringArray::from(vec![cell.text.as_deref()])) as ArrayRef).collect();
    let rows = RecordBatch::try_new(schema.fields().clone(), columns)
        .map_err(|e| wrong("reading the cells of the row failed").caused_by(e))?;
    let name: Arc<str> = "patch".into();
    Ok(Batch {
        stream: StreamName::new(name.clone()),
        schema,
        rows,
        marks: None,
        before: None,
        before_marks: None,
        ops: Ops::Append,
        origin: Origin { rows: OriginColumns::Sequence { name, numbers: vec![0] }, revision: 0 },
        source_time: None,
        rejected: Vec::new(),
        replayed: Vec::new(),
        advance: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Vec<RawCell> {
        let cell = |column: &str, text: Option<&str>| RawCell { column: column.into(), text: text.map(Into::into) };
        vec![cell("sku", Some("A")), cell("price", Some("1O.O0")), cell("Unit Price", None)]
    }

    #[test]
    fn cells_come_from_the_row_as_it_was() {
        let patch =
            Patch::parse(&["price = replace(price, 'O', '0')", "\"Unit Price\" = coalesce(\"Unit Price\", price)"]);
        let edits = patch.unwrap().edits(&row()).unwrap();
        let told: Vec<(&str, &str)> = edits.iter().map(|e| (e.column.as_str(), e.text.as_str())).collect();
        assert_eq!(told, [("price", "10.00"), ("Unit Price", "1O.O0")]);
        assert_eq!(Patch::parse(&["sku = null"]).unwrap().edits(&row()).unwrap()[0].text, "");
    }

    #[test]
    fn what_is_wrong_is_told_without_the_value() {
        for text in ["price", "1 = price", "price > 1"] {
            assert_eq!(Patch::parse(&[text]).unwrap_err().code_text(), Some("U0619"), "{text}");
        }
        for (text, part) in [
            ("prize = '1'", "its columns are sku, price, Unit Price"),
            ("price = prize", "there is no column `prize`"),
            ("price = cast(price as int64) + 1", "`price`: the value cannot be read"),
        ] {
            let error = Patch::parse(&[text]).unwrap().edits(&row()).unwrap_err();
            let told = format!("{error:?}");
            assert!(told.contains(part) && !told.contains("1O"), "{text}: {told}");
        }
    }
}
