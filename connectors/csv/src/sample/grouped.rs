//! Numbers with marks between their thousands, each way of writing them by itself: `1.234,50` and `1,234.50`.

use super::column::{Open, Verdict};
use unbatch_api::ColumnType;

/// How such numbers are declared, where it is open which of the two is meant.
const CHOICES: [&str; 2] = [
    "type: \"decimal(18,2)\", thousands: \".\", decimal_mark: \",\" (as in 1.234,50; with the digits it needs)",
    "type: \"decimal(18,2)\", thousands: \",\" (as in 1,234.50; with the digits it needs)",
];

/// One way of writing, and what the numbers seen so far are when they are read so.
#[derive(Clone, Debug)]
pub struct Grouped {
    thousands: char,
    decimal_mark: char,
    /// Numbers that can be read so.
    fits: u64,
    /// Of those, the ones with marks between thousands that are nothing else: `1.234.567`, and `1.234,5` with both marks.
    certain: u64,
    /// Those with a fraction, without which nobody knows its mark.
    fractions: u64,
    pub whole_digits_max: usize,
    pub fraction_digits_max: usize,
}

impl Grouped {
    pub fn new(thousands: char, decimal_mark: char) -> Self {
        Self { thousands, decimal_mark, fits: 0, certain: 0, fractions: 0, whole_digits_max: 0, fraction_digits_max: 0 }
    }

    /// Takes digits with points and commas among them into account, if they can be read so.
    pub fn see(&mut self, digits: &str) {
        let (whole, fraction) = digits.split_once(self.decimal_mark).unwrap_or((digits, ""));
        let groups = whole.matches(self.thousands).count();
        let is_fraction = fraction.bytes().all(|b| b.is_ascii_digit());
        if !is_fraction || whole.is_empty() || !(groups == 0 || is_grouped(whole, self.thousands)) {
            return;
        }
        self.fits += 1;
        self.certain += u64::from(groups > 1 || (groups == 1 && !fraction.is_empty()));
        self.fractions += u64::from(!fraction.is_empty());
        self.whole_digits_max = self.whole_digits_max.max(whole.len() - groups);
        self.fraction_digits_max = self.fraction_digits_max.max(fraction.len());
    }

    /// All of so many numbers are written so, and some can be read in no other way.
    pub fn is_meant(&self, count: u64) -> bool {
        self.fits == count && self.certain > 0 && self.fractions > 0
    }

    /// The column as it is declared.
    pub fn verdict(&self, decimal: ColumnType) -> Verdict {
        let verdict = Verdict::of(decimal).option("thousands", &format!("\"{}\"", self.thousands));
        match self.decimal_mark {
            ',' => verdict.option("decimal_mark", "\",\""),
            _ => verdict,
        }
    }
}

/// What is open where not all numbers are written in one of the two ways for certain.
pub fn open() -> Open {
    Open::new("there are marks between thousands").instead(CHOICES)
}

/// How numbers are declared in which this mark stands between thousands.
pub fn declared(thousands: char) -> String {
    CHOICES[usize::from(thousands == ',')].to_owned()
}

/// `1.234.567`: groups of three behind the first.
pub fn is_grouped(whole: &str, mark: char) -> bool {
    let mut groups = whole.split(mark);
    let first = groups.next().map_or(0, str::len);
    (1..=3).contains(&first) && groups.all(|g| g.len() == 3 && g.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(cells: &[&str]) -> (bool, bool) {
        let (mut german, mut english) = (Grouped::new('.', ','), Grouped::new(',', '.'));
        for cell in cells {
            german.see(cell);
            english.see(cell);
        }
        let count = cells.len() as u64;
        (german.is_meant(count), english.is_meant(count))
    }

    #[test]
    fn one_way_is_meant_only_where_all_numbers_have_it_and_one_has_no_other() {
        let cases: &[(&[&str], (bool, bool))] = &[
            (&["1.234,50"], (true, false)),
            (&["1.234,50", "12,00", "1234,5", "7", "1.000"], (true, false)),
            (&["1.234.567", "0,5"], (true, false)),
            (&["1,234.50", "12.00"], (false, true)),
            (&["12,345,678", ".5"], (false, false)),
            // a fraction of three digits, or thousands
            (&["1.234", "2,5"], (false, false)),
            (&["1.234", "2.500"], (false, false)),
            // a version, an address, an article's number
            (&["1.234.567", "12"], (false, false)),
            (&["1.234,50", "1,234.50"], (false, false)),
            (&["1.234,50", "1.5"], (false, false)),
            (&["1.234,50", "12.34,5"], (false, false)),
        ];
        for (cells, expected) in cases {
            assert_eq!(meant(cells), *expected, "{cells:?}");
        }
    }

    #[test]
    fn digits_are_counted_without_the_marks() {
        let mut german = Grouped::new('.', ',');
        ["1.234.567,5", "12,125"].iter().for_each(|cell| german.see(cell));
        assert_eq!((german.whole_digits_max, german.fraction_digits_max), (7, 3));
    }
}
