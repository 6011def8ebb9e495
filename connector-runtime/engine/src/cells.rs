//! The cells of a row for a person, as they stand between the steps and the sink: numbers and booleans as such, all else as text,
//! so that a decimal keeps its scale.

use serde_json::{Map, Value, json};
use unbatch_api::arrow::array::{Array, ArrayRef, AsArray};
use unbatch_api::arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use unbatch_api::arrow::temporal_conversions::timestamp_us_to_datetime;
use unbatch_api::arrow::util::display::{ArrayFormatter, FormatOptions};
use unbatch_api::{Batch, Error, Mark, Result};

/// The row's cells by the names of their columns; one that the source did not send is absent.
pub fn cells_of(batch: &Batch, row: usize) -> Result<Map<String, Value>> {
    let mut cells = Map::new();
    for (at, (field, column)) in batch.schema.fields().fields().iter().zip(batch.rows.columns()).enumerate() {
        let value = match batch.marks.as_ref().and_then(|m| m.at(at, row)) {
            Some(Mark::Unchanged) => continue,
            Some(Mark::NotANumber) => json!("NaN"),
            Some(Mark::Infinity) => json!("Infinity"),
            Some(Mark::NegativeInfinity) => json!("-Infinity"),
            Some(Mark::OutOfRange(text)) => json!(text),
            None => cell(column, row)?,
        };
        cells.insert(field.name().clone(), value);
    }
    Ok(cells)
}

fn cell(column: &ArrayRef, row: usize) -> Result<Value> {
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match column.data_type() {
        DataType::Boolean => json!(column.as_boolean().value(row)),
        DataType::Int32 => json!(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 if column.as_primitive::<Float64Type>().value(row).is_finite() => {
            json!(column.as_primitive::<Float64Type>().value(row))
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            json!(instant(column.as_primitive::<TimestampMicrosecondType>().value(row)))
        }
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        _ => {
            let options = FormatOptions::default();
            let failed = |e| Error::bug("writing a cell as text failed").code("U0902").caused_by(e);
            let formatter = ArrayFormatter::try_new(column.as_ref(), &options).map_err(failed)?;
            json!(formatter.value(row).try_to_string().map_err(failed)?)
        }
    })
}

/// RFC 3339 in UTC, with as many digits of the second as it has; beyond the calendar the number itself.
fn instant(micros: i64) -> String {
    let Some(moment) = timestamp_us_to_datetime(micros) else { return micros.to_string() };
    // the fraction has a dot, so no zero of the seconds is trimmed
    let text = moment.format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
    format!("{}Z", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_api::testkit::table;

    #[test]
    fn a_row_keeps_its_order_its_scale_and_its_nulls() {
        let columns = "sku: string, price: decimal(12,2), count: int64, gone: bool";
        let rows = table("rows", columns, &[], &[&[Some("NL-1"), Some("12.50"), Some("7"), None]]);
        let cells = Value::Object(cells_of(&rows, 0).unwrap());
        assert_eq!(cells.to_string(), r#"{"sku":"NL-1","price":"12.50","count":7,"gone":null}"#);
    }
}
