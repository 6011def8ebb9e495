use chrono::Days;

use crate::cell::Cell;
use crate::feed::{Column, ColumnType, Feed, FeedSpec};
use crate::random::Random;
use crate::world::SUPPLIERS;

use super::{RowContext, remark};

const DATE: &str = "%d.%m.%Y";
const TERMS: [&str; 5] = [
    "3 % Skonto; 10 Tage",
    "ab Werk Pirmasens",
    "inkl. \"Größenlauf\"",
    "Preis gültig solange Vorrat reicht",
    "Staffel:\r\n12 Paar 2 %\r\n24 Paar 5 %",
];

pub(super) fn spec() -> FeedSpec {
    let price = ColumnType::Decimal { precision: 12, scale: 2 };
    FeedSpec {
        feed: Feed::Prices,
        matches: "prices_*.csv",
        delimiter: ';',
        nulls: &["NULL"],
        columns: vec![
            Column::required("price_id", ColumnType::String),
            Column::required("supplier", ColumnType::String),
            Column::required("sku", ColumnType::String),
            Column::required("article", ColumnType::String),
            Column { decimal_mark: Some(','), ..Column::required("price", price) },
            Column { decimal_mark: Some(','), ..Column::new("retail_price", price) },
            Column::required("currency", ColumnType::String),
            Column { format: Some(DATE), ..Column::required("valid_from", ColumnType::Date) },
            Column { format: Some(DATE), ..Column::new("valid_to", ColumnType::Date) },
            Column::new("pack", ColumnType::Int32),
            Column::new("terms", ColumnType::String),
        ],
        id: "price_id",
        key: &["supplier", "sku"],
        free_text: "terms",
    }
}

pub(super) fn row(cx: &RowContext, row: u64, random: &mut Random) -> Vec<Cell> {
    let (world, export) = (cx.world, cx.export);
    let supplier = SUPPLIERS[export.part];
    let product = world.product(row * SUPPLIERS.len() as u64 + export.part as u64);
    // Prices drift by at most 5 % from list to list.
    let price = product.cost_cents * random.between(950, 1_050) / 1_000;
    let starts = world.date(export.day) + Days::new(1 + random.below(14));
    let ends = starts + Days::new(30 + random.below(300));
    vec![
        Cell::string(format!("{supplier}-{:04}-{}-{:06}", export.day + 1, export.export, row + 1)),
        Cell::string(supplier),
        Cell::string(product.sku),
        Cell::string(format!("{}, {}", product.name, product.colour)),
        Cell::decimal(price, 2, ',', random.one_in(4)),
        if random.one_in(3) { Cell::null() } else { Cell::decimal(product.price_cents, 2, ',', false) },
        Cell::string(if random.one_in(6) { "CHF" } else { "EUR" }),
        Cell::date(starts, DATE),
        if random.one_in(2) { Cell::null() } else { Cell::date(ends, DATE) },
        if random.one_in(5) { Cell::null() } else { Cell::int(random.between(1, 24)) },
        remark(random, &TERMS),
    ]
}
