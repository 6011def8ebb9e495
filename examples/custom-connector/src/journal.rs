//! From a line of a journal to a row, or to the reason why not.

use serde::Deserialize;
use std::sync::{Arc, LazyLock};
use unbatch_api::arrow::array::{
    ArrayRef, Decimal128Builder, Int32Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use unbatch_api::arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use unbatch_api::arrow::datatypes::Schema;
use unbatch_api::arrow::error::ArrowError;
use unbatch_api::{ColumnType, StreamSchema};

const PRICE: ColumnType = ColumnType::Decimal { precision: 10, scale: 2 };

static SCHEMA: LazyLock<Arc<StreamSchema>> = LazyLock::new(|| {
    let fields = Schema::new(vec![
        ColumnType::String.field("journal", false),
        ColumnType::Int64.field("receipt", false),
        ColumnType::Int32.field("item", false),
        ColumnType::Timestamp.field("sold_at", false),
        ColumnType::String.field("sku", false),
        ColumnType::Int32.field("quantity", false),
        PRICE.field("price", false),
    ]);
    let key = ["journal", "receipt", "item"].map(str::to_owned);
    Arc::new(StreamSchema::new(Arc::new(fields), key.to_vec()))
});

/// The columns of every journal.
pub(crate) fn schema() -> Arc<StreamSchema> {
    SCHEMA.clone()
}

/// What a line says.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    Sold(Sold),
    /// The journal is over; so many lines came before.
    Closed {
        lines: u64,
    },
}

/// A sold item.
#[derive(Debug, PartialEq)]
pub(crate) struct Sold {
    pub receipt: i64,
    pub item: i32,
    /// Microseconds UTC.
    pub sold_at: i64,
    pub sku: String,
    pub quantity: i32,
    pub cents: i128,
    pub ends_receipt: bool,
}

/// Why a line is no row: a stable word, and what was expected. Never the line itself.
#[derive(Debug, PartialEq)]
pub(crate) struct Reason {
    pub code: &'static str,
    pub message: &'static str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SoldJson {
    receipt: i64,
    item: i32,
    sold_at: String,
    sku: String,
    quantity: i32,
    price: String,
    #[serde(default)]
    last: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClosedJson {
    z_report: ZReport,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ZReport {
    lines: u64,
}

pub(crate) fn parse(line: &[u8]) -> Result<Line, Reason> {
    if let Ok(closed) = serde_json::from_slice::<ClosedJson>(line) {
        return Ok(Line::Closed { lines: closed.z_report.lines });
    }
    let sold: SoldJson = serde_json::from_slice(line)
        .map_err(|_| Reason { code: "bad_line", message: "neither a sold item nor a Z report" })?;
    let bad_time = |_| Reason { code: "bad_time", message: "`sold_at` is not a time like 2024-05-06T09:13:22Z" };
    let nanos = string_to_timestamp_nanos(&sold.sold_at).map_err(bad_time)?;
    let cents = cents(&sold.price)
        .ok_or(Reason { code: "bad_price", message: "`price` is not an amount with two decimals like 12.90" })?;
    Ok(Line::Sold(Sold {
        receipt: sold.receipt,
        item: sold.item,
        sold_at: nanos / 1_000,
        sku: sold.sku,
        quantity: sold.quantity,
        cents,
        ends_receipt: sold.last,
    }))
}

/// `12.90` is 1290. Exactly two decimals, at most eight digits before them: money is not rounded here.
fn cents(price: &str) -> Option<i128> {
    let (negative, amount) = match price.strip_prefix('-') {
        Some(amount) => (true, amount),
        None => (false, price),
    };
    let (whole, part) = amount.split_once('.')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if part.len() != 2 || !(1..=8).contains(&whole.len()) || !digits(whole) || !digits(part) {
        return None;
    }
    let cents = whole.parse::<i128>().ok()? * 100 + part.parse::<i128>().ok()?;
    Some(if negative { -cents } else { cents })
}

/// Collects rows by column.
pub(crate) struct Rows {
    journal: StringBuilder,
    receipt: Int64Builder,
    item: Int32Builder,
    sold_at: TimestampMicrosecondBuilder,
    sku: StringBuilder,
    quantity: Int32Builder,
    price: Decimal128Builder,
}

impl Rows {
    pub fn new() -> Self {
        Self {
            journal: StringBuilder::new(),
            receipt: Int64Builder::new(),
            item: Int32Builder::new(),
            sold_at: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            sku: StringBuilder::new(),
            quantity: Int32Builder::new(),
            price: Decimal128Builder::new().with_data_type(PRICE.to_arrow()),
        }
    }
    pub fn push(&mut self, journal: &str, sold: &Sold) {
        self.journal.append_value(journal);
        self.receipt.append_value(sold.receipt);
        self.item.append_value(sold.item);
        self.sold_at.append_value(sold.sold_at);
        self.sku.append_value(&sold.sku);
        self.quantity.append_value(sold.quantity);
        self.price.append_value(sold.cents);
    }
    /// The rows, and when each was sold.
    pub fn finish(mut self) -> Result<(RecordBatch, ArrayRef), ArrowError> {
        let sold_at: ArrayRef = Arc::new(self.sold_at.finish());
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.journal.finish()),
            Arc::new(self.receipt.finish()),
            Arc::new(self.item.finish()),
            sold_at.clone(),
            Arc::new(self.sku.finish()),
            Arc::new(self.quantity.finish()),
            Arc::new(self.price.finish()),
        ];
        Ok((RecordBatch::try_new(schema().fields().clone(), columns)?, sold_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_items_z_reports_or_reasons() {
        let item =
            r#"{"receipt":7,"item":1,"sold_at":"2024-05-06T09:13:22Z","sku":"A-1","quantity":2,"price":"12.90"}"#;
        let Ok(Line::Sold(sold)) = parse(item.as_bytes()) else { panic!("not an item") };
        assert_eq!(
            (sold.receipt, sold.sold_at, sold.cents, sold.ends_receipt),
            (7, 1_714_986_802_000_000, 1290, false)
        );
        assert_eq!(parse(br#"{"z_report":{"lines":12}}"#), Ok(Line::Closed { lines: 12 }));
        let cases = [
            (item.replace("12.90", "12,90"), "bad_price"),
            (item.replace("2024-05-06T", "yesterday "), "bad_time"),
            (item.replace("\"quantity\":2,", ""), "bad_line"),
            ("".into(), "bad_line"),
        ];
        for (line, code) in cases {
            assert_eq!(parse(line.as_bytes()).unwrap_err().code, code, "{line}");
        }
    }

    #[test]
    fn money_is_exact() {
        for (text, amount) in [("0.05", 5), ("-1.00", -100), ("99999999.99", 9_999_999_999)] {
            assert_eq!(cents(text), Some(amount), "{text}");
        }
        for bad in ["1", "1.5", "1.505", ".50", "+1.00", "1.0x", "999999999.00", "--1.00"] {
            assert_eq!(cents(bad), None, "{bad}");
        }
    }
}
