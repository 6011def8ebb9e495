use crate::random::Random;
use crate::world::World;

/// One change of stock in a distribution centre.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// Above 2^53 on purpose: a reader that goes through a double shows it.
    pub id: i64,
    pub product: u64,
    pub kind: MovementKind,
    /// Pieces; negative when they leave.
    pub quantity: i32,
    /// Number of the store that gets the goods, for transfers.
    pub store: Option<usize>,
    /// Second of the business day, UTC.
    pub second: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovementKind {
    Receipt,
    Transfer,
    WebSale,
    Return,
}

impl MovementKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::Transfer => "transfer",
            Self::WebSale => "web_sale",
            Self::Return => "return",
        }
    }
}

/// How many files a distribution centre writes per night, for counts and for movements alike.
pub(crate) const FILES_PER_CENTRE: usize = 2;

const LABEL_ROWS: u64 = 103;
const LABEL_MOVEMENT: u64 = 104;
const SECONDS_PER_DAY: i64 = 86_400;

impl World {
    /// The movement in one row of the `part`-th movement file of a day. `export` tells re-exports of the same file apart.
    pub fn movement(&self, day: u32, part: usize, export: u32, row: u64) -> Movement {
        let rows = self.rows_per_file(part, day, self.movement_files()).max(1);
        let mut random = self.random(&[LABEL_MOVEMENT, u64::from(day), part as u64, row]);
        let product = random.below(self.product_count());
        let (kind, quantity) = movement_kind(&mut random);
        let store = (kind == MovementKind::Transfer).then(|| random.below(self.store_count() as u64) as usize);
        Movement {
            id: wide_id(day, part, export, row),
            product,
            kind,
            quantity,
            store,
            second: (row as i64 * SECONDS_PER_DAY / rows as i64).min(SECONDS_PER_DAY - 1),
        }
    }

    pub(crate) fn movement_files(&self) -> usize {
        self.distribution_centre_count() * FILES_PER_CENTRE
    }

    /// Rows of one file: an even share of 1,000 · scale rows a night, plus or minus a fifth.
    pub(crate) fn rows_per_file(&self, part: usize, day: u32, files: usize) -> u64 {
        let share = (self.scale() * 1_000.0 / files as f64).max(8.0);
        let percent = self.random(&[LABEL_ROWS, u64::from(day), part as u64]).between(80, 120);
        (share * percent as f64 / 100.0) as u64
    }
}

/// A 64-bit number past 2^53, unique over days, files, exports and rows.
pub(crate) fn wide_id(day: u32, part: usize, export: u32, row: u64) -> i64 {
    let file = (u64::from(day) * 64 + part as u64) * 4 + u64::from(export);
    ((1_u64 << 53) + (file << 24) + row + 1) as i64
}

fn movement_kind(random: &mut Random) -> (MovementKind, i32) {
    match random.below(10) {
        0 => (MovementKind::Receipt, 6 * random.between(1, 8) as i32),
        1..=4 => (MovementKind::Transfer, -(random.between(1, 6) as i32)),
        5..=8 => (MovementKind::WebSale, -(random.between(1, 2) as i32)),
        _ => (MovementKind::Return, random.between(1, 2) as i32),
    }
}

/// Book stock per distribution centre and product at the end of a day: opening stock plus every movement since.
///
/// Four bytes per pair, at most 2.3 MB at the largest scale. Book stock can fall below zero, as in a real warehouse
/// system: goods leave before their receipt is booked.
#[derive(Clone, Debug)]
pub struct StockBook {
    on_hand: Vec<i32>,
    products: u64,
    days_closed: u32,
}

impl StockBook {
    pub fn open(world: &World) -> Self {
        let products = world.product_count();
        let centres = world.distribution_centre_count();
        let on_hand = (0..centres)
            .flat_map(|centre| (0..products).map(move |product| (centre, product)))
            .map(|(centre, product)| world.opening_stock(centre, product))
            .collect();
        Self { on_hand, products, days_closed: 0 }
    }

    /// Books the movements of the next day.
    pub fn close_day(&mut self, world: &World) {
        let day = self.days_closed;
        let files = world.movement_files();
        for part in 0..files {
            let centre = part / FILES_PER_CENTRE;
            for row in 0..world.rows_per_file(part, day, files) {
                let movement = world.movement(day, part, 0, row);
                let at = self.index(centre, movement.product);
                self.on_hand[at] += movement.quantity;
            }
        }
        self.days_closed += 1;
    }

    pub fn on_hand(&self, centre: usize, product: u64) -> i32 {
        self.on_hand[self.index(centre, product)]
    }

    fn index(&self, centre: usize, product: u64) -> usize {
        centre * self.products as usize + (product % self.products) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn book_stock_is_opening_plus_movements() {
        let world = World::new(9, 0.5).unwrap();
        let mut book = StockBook::open(&world);
        let opening: i64 = book.on_hand.iter().map(|&pieces| i64::from(pieces)).sum();
        let mut moved = 0_i64;
        for day in 0..3 {
            book.close_day(&world);
            for part in 0..world.movement_files() {
                for row in 0..world.rows_per_file(part, day, world.movement_files()) {
                    moved += i64::from(world.movement(day, part, 0, row).quantity);
                }
            }
        }
        let closing: i64 = book.on_hand.iter().map(|&pieces| i64::from(pieces)).sum();
        assert_ne!(moved, 0);
        assert_eq!(closing, opening + moved);
    }

    #[test]
    fn wide_ids_differ_by_each_of_their_parts() {
        let ids =
            [wide_id(0, 0, 0, 0), wide_id(0, 0, 0, 1), wide_id(0, 0, 1, 0), wide_id(0, 1, 0, 0), wide_id(1, 0, 0, 0)];
        let distinct: std::collections::BTreeSet<_> = ids.into_iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert!(ids.iter().all(|&id| id > 1 << 53));
    }
}
