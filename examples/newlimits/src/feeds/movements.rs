use crate::cell::Cell;
use crate::feed::{Column, ColumnType, Feed, FeedSpec};
use crate::stock::FILES_PER_CENTRE;

use super::RowContext;

pub(super) fn spec() -> FeedSpec {
    FeedSpec {
        feed: Feed::Movements,
        matches: "movements_*.csv",
        delimiter: ',',
        nulls: &[],
        columns: vec![
            Column::required("movement_id", ColumnType::Int64),
            Column::required("moved_at", ColumnType::Timestamp),
            Column::required("dc", ColumnType::String),
            Column::required("sku", ColumnType::String),
            Column::required("kind", ColumnType::String),
            Column::required("quantity", ColumnType::Int32),
            Column::new("store", ColumnType::String),
            Column::new("unit_cost", ColumnType::Decimal { precision: 12, scale: 4 }),
            Column::new("document", ColumnType::String),
        ],
        id: "movement_id",
        key: &["dc", "sku"],
        free_text: "document",
    }
}

pub(super) fn row(cx: &RowContext, row: u64) -> Vec<Cell> {
    let (world, export) = (cx.world, cx.export);
    let centre = export.part / FILES_PER_CENTRE;
    let movement = world.movement(export.day, export.part, export.export, row);
    let product = world.product(movement.product);
    // Average cost has four decimals: a third of the goods came a hundredth of a cent dearer.
    let cost = product.cost_cents * 100 + i64::from(movement.product % 3 == 0);
    vec![
        Cell::int(movement.id),
        Cell::timestamp(world.micros(export.day, movement.second), 0),
        Cell::string(world.distribution_centre(centre).code),
        Cell::string(product.sku),
        Cell::string(movement.kind.name()),
        Cell::int(i64::from(movement.quantity)),
        match movement.store {
            Some(store) => Cell::string(world.store(store).code),
            None => Cell::null(),
        },
        Cell::decimal(cost, 4, '.', movement.product % 4 == 0),
        if movement.id % 3 == 0 {
            Cell::null()
        } else {
            Cell::quoted(format!("Lieferschein {}, Tor {}", movement.id % 10_007, row % 9 + 1))
        },
    ]
}
