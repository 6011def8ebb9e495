use crate::cell::Cell;
use crate::feed::{Column, ColumnType, Feed, FeedSpec};
use crate::random::Random;
use crate::stock::FILES_PER_CENTRE;

use super::{RowContext, remark};

const DATE: &str = "%d.%m.%Y";
const TIME: &str = "%d.%m.%Y %H:%M:%S";
/// The handhelds of the distribution centres stay on winter time all year.
const ZONE: &str = "+01:00";
const ZONE_MINUTES: i64 = 60;
/// Counting begins at 19:00 by the handhelds and ends six hours later, after midnight.
const COUNT_BEGINS: i64 = 18 * 3_600;
const COUNT_LASTS: i64 = 6 * 3_600;
const REMARKS: [&str; 7] = [
    "Karton beschädigt",
    "Nachzählung; Regal leer",
    "Größe fehlt im System",
    "\"B-Ware\", bitte prüfen",
    "zwei Paare ohne Deckel",
    "falsches Etikett:\nsiehe Foto",
    " links unten ",
];

pub(super) fn spec() -> FeedSpec {
    FeedSpec {
        feed: Feed::StockCounts,
        matches: "stock_*.csv",
        delimiter: ';',
        nulls: &[],
        columns: vec![
            Column::required("count_id", ColumnType::String),
            Column::required("dc", ColumnType::String),
            Column::required("sku", ColumnType::String),
            Column::required("ean", ColumnType::String),
            Column::new("bin", ColumnType::String),
            Column::required("counted", ColumnType::Int32),
            Column {
                decimal_mark: Some(','),
                ..Column::new("unit_cost", ColumnType::Decimal { precision: 10, scale: 2 })
            },
            Column { format: Some(DATE), ..Column::required("stock_date", ColumnType::Date) },
            Column { format: Some(TIME), zone: Some(ZONE), ..Column::required("counted_at", ColumnType::Timestamp) },
            Column::new("sealed", ColumnType::Bool),
            Column::new("remark", ColumnType::String),
        ],
        id: "count_id",
        key: &["dc", "sku"],
        free_text: "remark",
    }
}

/// Each file walks on through the products where the file before stopped, so a night covers the whole assortment in turn.
pub(super) fn row(cx: &RowContext, row: u64, random: &mut Random) -> Vec<Cell> {
    let (world, export) = (cx.world, cx.export);
    let centre = export.part / FILES_PER_CENTRE;
    let number = export.part % FILES_PER_CENTRE;
    let code = world.distribution_centre(centre).code;
    let index = u64::from(export.day) * 997 + number as u64 * cx.rows + row;
    let product = world.product(index);
    let miscounted = if random.one_in(9) { random.between(-3, 3) } else { 0 };
    let counted = (i64::from(cx.book.on_hand(centre, index)) + miscounted).max(0);
    let second = COUNT_BEGINS + row as i64 * COUNT_LASTS / cx.rows.max(1) as i64;
    let export_number = 1 + u64::from(export.day) * 8 + number as u64 * 4 + u64::from(export.export);
    let bin = format!("{}-{:02}-{:03}", random.pick(&["A", "B", "C"]), random.below(40), random.below(500));
    vec![
        Cell::string(format!("{code}-{export_number:05}-{:06}", row + 1)),
        Cell::string(code),
        Cell::string(product.sku),
        Cell::string(product.ean),
        if random.one_in(10) { Cell::null() } else { Cell::string(bin) },
        Cell::int(counted),
        if random.one_in(15) { Cell::null() } else { Cell::decimal(product.cost_cents, 2, ',', random.one_in(4)) },
        Cell::date(world.date(export.day), DATE),
        Cell::local_timestamp(world.micros(export.day, second), TIME, ZONE_MINUTES),
        if random.one_in(4) { Cell::null() } else { Cell::bool(random.one_in(2)) },
        remark(random, &REMARKS),
    ]
}
