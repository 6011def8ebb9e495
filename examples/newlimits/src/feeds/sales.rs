use crate::cell::Cell;
use crate::feed::{Column, ColumnType, Feed, FeedSpec};
use crate::random::Random;

use super::{RowContext, remark};

/// Stores are open from 9:00 to 20:00, by UTC 8:00 to 19:00 in winter.
const OPENS: i64 = 8 * 3_600;
const OPEN_FOR: i64 = 11 * 3_600;
const REMARKS: [&str; 4] =
    ["Umtausch möglich", "Rabatt, \"Stammkunde\"", "Kasse 2,\nBon nachgedruckt", "Gutschein 10 €"];

pub(super) fn spec() -> FeedSpec {
    FeedSpec {
        feed: Feed::Sales,
        matches: "sales_*.csv",
        delimiter: ',',
        nulls: &["\\N"],
        columns: vec![
            Column::required("sale_id", ColumnType::String),
            Column::required("store", ColumnType::String),
            Column::required("sold_at", ColumnType::Timestamp),
            Column::required("sku", ColumnType::String),
            Column::required("quantity", ColumnType::Int32),
            Column::required("price", ColumnType::Decimal { precision: 10, scale: 2 }),
            Column::new("discount", ColumnType::Decimal { precision: 5, scale: 2 }),
            Column::required("card", ColumnType::Bool),
            Column::new("remark", ColumnType::String),
        ],
        id: "sale_id",
        key: &["store", "sku"],
        free_text: "remark",
    }
}

pub(super) fn row(cx: &RowContext, row: u64, random: &mut Random) -> Vec<Cell> {
    let (world, export) = (cx.world, cx.export);
    let store = world.store(export.part).code;
    let product = world.product(random.next_u64());
    let second = OPENS + row as i64 * OPEN_FOR / cx.rows.max(1) as i64;
    // A return is a sale of -1.
    let quantity = if random.one_in(20) { -1 } else { random.between(1, 2) };
    vec![
        Cell::string(format!("{store}-{:04}{}-{:06}", export.day + 1, export.export, row + 1)),
        Cell::string(store),
        Cell::timestamp(world.micros(export.day, second), 0),
        Cell::string(product.sku),
        Cell::int(quantity),
        Cell::decimal(product.price_cents, 2, '.', false),
        if random.one_in(4) {
            Cell::decimal(random.between(-2_000, -50), 2, '.', random.one_in(3))
        } else {
            Cell::null()
        },
        Cell::bool(random.one_in(2)),
        remark(random, &REMARKS),
    ]
}
