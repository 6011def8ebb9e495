use chrono::Days;

use crate::cell::Cell;
use crate::feed::{Column, ColumnType, Feed, FeedSpec};
use crate::random::Random;
use crate::stock::wide_id;

use super::{FILES_OF_WEB_ORDERS, RowContext, remark};

const LABEL_ORDER: u64 = 105;
const LINES_PER_ORDER: u64 = 3;
const CUSTOMERS: [&str; 8] = [
    "Jörg Größmann",
    "Anaïs Lefèvre",
    "O'Neill, Siobhán",
    "Łucja Żak",
    "Søren Ærø",
    "Kim \"Kimi\" Räikkönen",
    "山田 花子",
    "Müller & Söhne, Einkauf",
];
const STREETS: [&str; 6] =
    ["Straße des 17. Juni", "Große Bleichen", "Königsallee", "Rue de l’Église", "Am Rähm", "Ölmühlweg"];
const TOWNS: [&str; 6] =
    ["10623 Berlin", "20354 Hamburg", "40212 Düsseldorf", "67000 Strasbourg", "21335 Lüneburg", "61462 Königstein"];
const MESSAGES: [&str; 8] = [
    "Bitte bei \"Müller\" klingeln, 2. Stock",
    "Zum Geburtstag,\nalles Gute!\n\nOma & Opa",
    "Leave it at the door; thanks",
    "Größe 42, nicht 43!\r\nSonst zurück.",
    "\"",
    ",",
    "  bitte schnell  ",
    "Danke 👟👟",
];

pub(super) fn spec() -> FeedSpec {
    FeedSpec {
        feed: Feed::WebOrders,
        matches: "weborders_*.csv",
        delimiter: ',',
        nulls: &[],
        columns: vec![
            Column::required("line_id", ColumnType::String),
            Column::required("order_no", ColumnType::Int64),
            Column::required("ordered_at", ColumnType::Timestamp),
            Column::required("customer", ColumnType::String),
            Column::required("address", ColumnType::String),
            Column::required("sku", ColumnType::String),
            Column::required("quantity", ColumnType::Int32),
            Column::required("price", ColumnType::Decimal { precision: 10, scale: 2 }),
            Column::required("gift", ColumnType::Bool),
            Column::new("weight_kg", ColumnType::Float64),
            Column::new("deliver_on", ColumnType::Date),
            Column::new("message", ColumnType::String),
        ],
        id: "line_id",
        key: &["order_no"],
        free_text: "message",
    }
}

/// Three lines make an order; its head is drawn by the order's own number, so that lines agree.
pub(super) fn row(cx: &RowContext, row: u64, random: &mut Random) -> Vec<Cell> {
    let (world, export) = (cx.world, cx.export);
    let order = row / LINES_PER_ORDER;
    let orders = cx.rows / LINES_PER_ORDER + 1;
    let order_no = wide_id(export.day, export.part, export.export, order);
    let mut head = world.random(&[LABEL_ORDER, order_no as u64]);
    let part_lasts = 86_400_000 / FILES_OF_WEB_ORDERS as i64;
    let milli = export.part as i64 * part_lasts + order as i64 * part_lasts / orders as i64;
    let micros = world.micros(export.day, 0) + milli * 1_000;
    let customer = head.pick(&CUSTOMERS);
    let address = format!("{} {}\n{}", head.pick(&STREETS), head.between(1, 180), head.pick(&TOWNS));
    let offset = if head.one_in(2) { 60 } else { 0 };
    let product = world.product(random.next_u64());
    vec![
        Cell::string(format!("W{order_no}-{}", row % LINES_PER_ORDER + 1)),
        Cell::int(order_no),
        Cell::timestamp(micros, offset),
        Cell::string(customer),
        Cell::quoted(address),
        Cell::string(product.sku),
        Cell::int(random.between(1, 3)),
        Cell::decimal(product.price_cents, 2, '.', random.one_in(6)),
        Cell::bool(random.one_in(8)),
        if random.one_in(6) { Cell::null() } else { Cell::float(random.between(310, 1_990) | 1) },
        if random.one_in(3) {
            Cell::null()
        } else {
            Cell::date(world.date(export.day) + Days::new(2 + random.below(5)), "%Y-%m-%d")
        },
        remark(random, &MESSAGES),
    ]
}
