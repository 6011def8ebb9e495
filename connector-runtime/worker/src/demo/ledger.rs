//! The stock counts that the demo drops, and the book it keeps of them: what went in, written down by whoever wrote it.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// One exported file of counted shelves.
pub(super) struct StockFile {
    /// Of the distribution centre: `HAM`.
    pub(super) centre: &'static str,
    pub(super) name: String,
    pub(super) text: String,
    /// Data rows, the bad one included.
    pub(super) rows: u64,
    /// Physical line of the row that cannot be read, if there is one.
    pub(super) bad_line: Option<u64>,
}

/// What a row must look like at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) pieces: i32,
    pub(super) cost_cents: u32,
}

/// Every row that was dropped, by distribution centre and number from 1. `None`: the row that cannot be read.
#[derive(Default)]
pub(super) struct Ledger(BTreeMap<&'static str, Vec<Option<Counted>>>);

const HEADER: &str = "count_id;dc;sku;counted;unit_cost;counted_on\n";

/// A file with `rows` rows; `bad_row`, from 1, has a letter where a digit belongs. The same seed gives the same file.
pub(super) fn export(
    ledger: &mut Ledger,
    centre: &'static str,
    rows: u64,
    bad_row: Option<u64>,
    seed: u64,
) -> StockFile {
    let salt = centre.bytes().fold(0_u64, |sum, byte| sum * 256 + u64::from(byte));
    let mut random = SmallRng::seed_from_u64(seed ^ salt);
    let mut text = String::with_capacity(HEADER.len() + rows as usize * 48);
    text.push_str(HEADER);
    let book = ledger.0.entry(centre).or_default();
    for row in 1..=rows {
        let counted = Counted { pieces: random.random_range(0..400), cost_cents: random.random_range(199..25_000) };
        let sku = random.random_range(10_000..99_999);
        let (euros, cents) = (counted.cost_cents / 100, counted.cost_cents % 100);
        let is_bad = bad_row == Some(row);
        let pieces = if is_bad { "12O".to_owned() } else { counted.pieces.to_string() };
        // writing into a string cannot fail
        let _ = writeln!(text, "{centre}-{row:06};{centre};NL-{sku};{pieces};{euros},{cents:02};23.11.2026");
        book.push((!is_bad).then_some(counted));
    }
    StockFile { centre, name: format!("stock_{centre}.csv"), text, rows, bad_line: bad_row.map(|row| row + 1) }
}

impl StockFile {
    /// Puts the file into the folder as a whole, the way a careful exporter does: under another name, then renamed.
    pub(super) fn drop_into(&self, folder: &Path) -> io::Result<()> {
        let hidden = folder.join(format!(".{}.part", self.name));
        std::fs::write(&hidden, &self.text)?;
        std::fs::rename(hidden, folder.join(&self.name))
    }
}

impl Ledger {
    /// Rows of all files.
    pub(super) fn rows(&self) -> u64 {
        self.0.values().map(|book| book.len() as u64).sum()
    }
    /// Rows that cannot be read.
    pub(super) fn bad(&self) -> u64 {
        self.0.values().flatten().filter(|row| row.is_none()).count() as u64
    }
    /// Rows that must be in the topic.
    pub(super) fn good(&self) -> u64 {
        self.rows() - self.bad()
    }
    pub(super) fn books(&self) -> impl Iterator<Item = (&'static str, &[Option<Counted>])> {
        self.0.iter().map(|(centre, book)| (*centre, book.as_slice()))
    }
    /// The book of the centre and the place in it that `HAM-000017` names.
    pub(super) fn find(&self, count_id: &str) -> Option<(&'static str, usize, Option<Counted>)> {
        let (centre, number) = count_id.split_once('-')?;
        let (centre, book) = self.0.get_key_value(centre)?;
        let index = number.parse::<usize>().ok()?.checked_sub(1)?;
        Some((centre, index, *book.get(index)?))
    }
}

impl Counted {
    /// As the topic has it: decimals are text with their scale.
    pub(super) fn cost_text(&self) -> String {
        format!("{}.{:02}", self.cost_cents / 100, self.cost_cents % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_holds_what_the_file_says() {
        let mut ledger = Ledger::default();
        let file = export(&mut ledger, "HAM", 300, Some(117), 7);
        assert_eq!((ledger.rows(), ledger.bad(), ledger.good(), file.bad_line), (300, 1, 299, Some(118)));
        let lines: Vec<&str> = file.text.lines().collect();
        assert_eq!(lines.len(), 301);
        assert!(lines[117].contains(";12O;"), "{}", lines[117]);
        for (index, line) in lines.iter().enumerate().skip(1).filter(|(i, _)| *i != 117) {
            let cells: Vec<&str> = line.split(';').collect();
            let (centre, at, counted) = ledger.find(cells[0]).unwrap();
            let counted = counted.unwrap();
            assert_eq!((centre, at), ("HAM", index - 1));
            assert_eq!(cells[3], counted.pieces.to_string());
            assert_eq!(cells[4], counted.cost_text().replace('.', ","));
        }
        assert_eq!(ledger.find("HAM-000301"), None);
        assert_eq!(ledger.find("BER-000001"), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_file() {
        let text = |seed| export(&mut Ledger::default(), "BER", 50, None, seed).text;
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }
}
