use chrono::{DateTime, Days, NaiveDate, Utc};

use crate::error::{Error, Result};
use crate::random::Random;

/// The shop as a pure function of seed and scale. Nothing is stored per product or row: each is made when asked for.
///
/// Scale 1 is about 1,000 rows per feed and night and 1,080 products; scale 1000 is about a million rows.
#[derive(Clone, Debug)]
pub struct World {
    seed: u64,
    scale: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DistributionCentre {
    pub code: &'static str,
    pub city: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// `S001`, `S002`, …
    pub code: String,
    pub city: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// `NL-1004-GRN-42`: style, colour, European size.
    pub sku: String,
    /// EAN-13 with its check digit; may begin with zeros, so it is text.
    pub ean: String,
    pub style: String,
    pub name: String,
    pub colour: &'static str,
    pub size: u8,
    pub supplier: &'static str,
    /// What the shop pays, in cents.
    pub cost_cents: i64,
    /// What the customer pays, in cents.
    pub price_cents: i64,
}

pub(crate) const SCALE_MAX: f64 = 10_000.0;

const DISTRIBUTION_CENTRES: [(&str, &str); 8] = [
    ("BER", "Berlin"),
    ("HAM", "Hamburg"),
    ("MUC", "München"),
    ("CGN", "Köln"),
    ("LEJ", "Leipzig"),
    ("STR", "Stuttgart"),
    ("FRA", "Frankfurt"),
    ("BRE", "Bremen"),
];
const CITIES: [&str; 12] = [
    "Berlin",
    "Hamburg",
    "München",
    "Köln",
    "Düsseldorf",
    "Nürnberg",
    "Lübeck",
    "Görlitz",
    "Münster",
    "Würzburg",
    "Zürich",
    "Łódź",
];
pub(crate) const SUPPLIERS: [&str; 6] = ["ALPINA", "BRENNER", "CORDOVA", "DUENE", "ELBTAL", "FJORD"];
const STYLE_NAMES: [&str; 10] = [
    "Elbe Runner",
    "Größte Fahrt",
    "Havel Loafer",
    "Jäger Boot",
    "Kaïro Sandal",
    "Nordsee Clog",
    "Ötztal Hiker",
    "Señora Pump",
    "Spree Sneaker",
    "Weiße Düne",
];
const COLOURS: [(&str, &str); 3] = [("GRN", "grün"), ("WSS", "weiß"), ("SWZ", "schwarz")];
const SIZES: std::ops::RangeInclusive<u8> = 36..=47;
const PRODUCTS_PER_STYLE: u64 = 36;

/// Labels of the world's own random streams; feeds use their numbers below 100.
const LABEL_STYLE: u64 = 100;
const LABEL_STORE: u64 = 101;
const LABEL_OPENING_STOCK: u64 = 102;

impl World {
    /// Errors when `scale` is not a number above 0 and at most 10,000.
    pub fn new(seed: u64, scale: f64) -> Result<Self> {
        if scale.is_finite() && scale > 0.0 && scale <= SCALE_MAX {
            Ok(Self { seed, scale })
        } else {
            Err(Error::new(format!("scale {scale} is not above 0 and at most {SCALE_MAX}")))
        }
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn scale(&self) -> f64 {
        self.scale
    }

    pub fn distribution_centre_count(&self) -> usize {
        if self.scale < 1.0 {
            3
        } else if self.scale < 10.0 {
            4
        } else {
            DISTRIBUTION_CENTRES.len()
        }
    }

    /// The centre with this number, below 8; larger shops have more of them.
    pub fn distribution_centre(&self, index: usize) -> DistributionCentre {
        let (code, city) = DISTRIBUTION_CENTRES[index];
        DistributionCentre { code, city }
    }

    pub fn store_count(&self) -> usize {
        if self.scale < 1.0 {
            6
        } else if self.scale < 10.0 {
            12
        } else {
            40
        }
    }

    pub fn store(&self, index: usize) -> Store {
        Store { code: format!("S{:03}", index + 1), city: self.random(&[LABEL_STORE, index as u64]).pick(&CITIES) }
    }

    pub fn product_count(&self) -> u64 {
        ((self.scale * 30.0) as u64).clamp(6, 2_000) * PRODUCTS_PER_STYLE
    }

    /// The product with this number; numbers past the end wrap around.
    pub fn product(&self, index: u64) -> Product {
        let index = index % self.product_count();
        let style = index / PRODUCTS_PER_STYLE;
        let variant = index % PRODUCTS_PER_STYLE;
        let sizes = u64::from(*SIZES.end() - *SIZES.start() + 1);
        let (colour_code, colour) = COLOURS[(variant / sizes) as usize];
        let size = *SIZES.start() + (variant % sizes) as u8;
        let mut random = self.random(&[LABEL_STYLE, style]);
        let name = random.pick(&STYLE_NAMES);
        let supplier = random.pick(&SUPPLIERS);
        let cost_cents = random.between(900, 9_000);
        let code = format!("NL-{}", 1_000 + style);
        Product {
            sku: format!("{code}-{colour_code}-{size}"),
            ean: ean13(style, variant, &mut random),
            name: format!("{name} {}", 1_000 + style),
            style: code,
            colour,
            size,
            supplier,
            cost_cents,
            price_cents: cost_cents * 22 / 1_000 * 100 + 90,
        }
    }

    /// Stock of a product in a distribution centre before the first day.
    pub fn opening_stock(&self, centre: usize, product: u64) -> i32 {
        self.random(&[LABEL_OPENING_STOCK, centre as u64, product]).between(0, 80) as i32
    }

    /// Business day 0 is Monday, 2 March 2026; its files are dropped in the night that follows.
    pub fn date(&self, day: u32) -> NaiveDate {
        Self::date_of_day(day)
    }

    pub(crate) fn date_of_day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 3, 2)
            .unwrap_or_default()
            .checked_add_days(Days::new(u64::from(day)))
            .unwrap_or(NaiveDate::MAX)
    }

    /// Microseconds since 1970 of a second of a business day, by UTC.
    pub(crate) fn micros(&self, day: u32, second: i64) -> i64 {
        let midnight = self.date(day).and_hms_opt(0, 0, 0).map_or(0, |at| at.and_utc().timestamp());
        (midnight + second) * 1_000_000
    }

    pub(crate) fn random(&self, labels: &[u64]) -> Random {
        Random::of(self.seed, labels)
    }
}

pub(crate) fn instant(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

/// Check digit by the EAN-13 rule: weights 1 and 3 from the left, filled up to a multiple of ten.
fn ean13(style: u64, variant: u64, random: &mut Random) -> String {
    // Half of the styles carry a UPC, which is an EAN that begins with a zero.
    let prefix = if random.one_in(2) { "042" } else { "426" };
    let digits = format!("{prefix}{:07}{variant:02}", style + 31_000);
    let sum: u32 =
        digits.bytes().enumerate().map(|(at, digit)| u32::from(digit - b'0') * if at % 2 == 0 { 1 } else { 3 }).sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_distinct_and_their_eans_check() {
        let world = World::new(5, 1.0).unwrap();
        let mut skus = std::collections::BTreeSet::new();
        let mut eans = std::collections::BTreeSet::new();
        for index in 0..world.product_count() {
            let product = world.product(index);
            let weighted: u32 = product
                .ean
                .bytes()
                .enumerate()
                .map(|(at, digit)| u32::from(digit - b'0') * if at % 2 == 0 { 1 } else { 3 })
                .sum();
            assert_eq!((product.ean.len(), weighted % 10), (13, 0), "{product:?}");
            skus.insert(product.sku);
            eans.insert(product.ean);
        }
        assert_eq!(skus.len() as u64, world.product_count());
        assert_eq!(eans.len() as u64, world.product_count());
    }

    #[test]
    fn a_scale_that_is_no_size_is_refused() {
        for scale in [0.0, -1.0, f64::NAN, f64::INFINITY, 10_001.0] {
            assert!(World::new(1, scale).is_err(), "scale {scale}");
        }
    }
}
