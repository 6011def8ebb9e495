//! The five feeds: for each its specification, its files of a night, and one row as cells.

mod movements;
mod prices;
mod sales;
mod stock_counts;
mod web_orders;

use crate::cell::Cell;
use crate::feed::{Feed, FeedSpec};
use crate::random::Random;
use crate::stock::{FILES_PER_CENTRE, StockBook};
use crate::world::{SUPPLIERS, World};

const FILES_OF_WEB_ORDERS: usize = 6;

/// One content of one file: the `part`-th file of a feed and business day, in its first or a later export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Export {
    pub feed: Feed,
    pub day: u32,
    pub part: usize,
    /// 0 is the first; the same file exported again (corrected, or whole after a truncated one) has new row ids.
    pub export: u32,
}

/// What a row is made from.
pub(crate) struct RowContext<'a> {
    pub world: &'a World,
    /// Stock at the end of the export's day.
    pub book: &'a StockBook,
    pub export: &'a Export,
    pub rows: u64,
}

impl Feed {
    pub fn spec(self) -> FeedSpec {
        match self {
            Self::StockCounts => stock_counts::spec(),
            Self::Prices => prices::spec(),
            Self::WebOrders => web_orders::spec(),
            Self::Movements => movements::spec(),
            Self::Sales => sales::spec(),
        }
    }

    pub(crate) fn files_per_day(self, world: &World) -> usize {
        match self {
            Self::StockCounts => world.distribution_centre_count() * FILES_PER_CENTRE,
            Self::Movements => world.movement_files(),
            Self::Prices => SUPPLIERS.len(),
            Self::WebOrders => FILES_OF_WEB_ORDERS,
            Self::Sales => world.store_count(),
        }
    }

    pub(crate) fn file_name(self, world: &World, day: u32, part: usize) -> String {
        let date = world.date(day);
        let centre = || world.distribution_centre(part / FILES_PER_CENTRE).code;
        let number = part % FILES_PER_CENTRE + 1;
        match self {
            Self::StockCounts => format!("stock_{}_{date}_{number}.csv", centre()),
            Self::Movements => format!("movements_{}_{date}_{number}.csv", centre()),
            Self::Prices => format!("prices_{}_{date}.csv", SUPPLIERS[part]),
            Self::WebOrders => format!("weborders_{date}_{}.csv", part + 1),
            Self::Sales => format!("sales_{}_{date}.csv", world.store(part).code),
        }
    }

    pub(crate) fn row(self, cx: &RowContext, row: u64) -> Vec<Cell> {
        let export = cx.export;
        let mut random =
            cx.world.random(&[self.label(), u64::from(export.day), export.part as u64, u64::from(export.export), row]);
        match self {
            Self::StockCounts => stock_counts::row(cx, row, &mut random),
            Self::Prices => prices::row(cx, row, &mut random),
            Self::WebOrders => web_orders::row(cx, row, &mut random),
            Self::Movements => movements::row(cx, row),
            Self::Sales => sales::row(cx, row, &mut random),
        }
    }
}

/// One in three times a remark out of these, now and then an empty text, else NULL.
fn remark(random: &mut Random, remarks: &[&str]) -> Cell {
    match random.below(12) {
        0..=3 => Cell::quoted(random.pick(remarks)),
        4 => Cell::quoted(""),
        _ => Cell::null(),
    }
}
