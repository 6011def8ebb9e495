//! How the numbers of a column are written, and which type holds all of them without a loss.

use super::column::{Open, Verdict};
use super::grouped::{self, Grouped, is_grouped};
use crate::decode::number;
use std::collections::BTreeSet;
use unbatch_api::ColumnType;

/// Numbers up to here leave room enough for int32 in later files.
const INT32_ROOM: u64 = 100_000_000;
/// Digits before the point that a decimal has at least, and that it has more than the sample needed.
const WHOLE_DIGITS_MIN: usize = 10;
const WHOLE_DIGITS_MORE: usize = 2;
const PRECISION_MAX: usize = 38;
/// Digits behind the point that a decimal has at least.
const SCALE_MIN: usize = 2;
/// Digits behind the point that come in as many lengths as this were measured, and zeros at the end left out: some other day there
/// are more, for which a decimal has room.
const MEASURED_DIGITS: usize = 5;
const MEASURED_LENGTHS: u32 = 4;
const FRACTION_DIGITS_MORE: usize = 4;
/// Digits that every double holds, and the most that one needs.
const DOUBLE_DIGITS: usize = 15;
const DOUBLE_DIGITS_MAX: usize = 17;
/// Numbers of 17 digits that a double must have given back before the column is taken for doubles: of any 17 digits it gives back
/// a quarter.
const DOUBLES_MIN: u64 = 8;
/// What the numbers seen so far have in common.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    whole: u64,
    point: u64,
    comma: u64,
    /// With marks between thousands, for certain.
    thousands: u64,
    /// `1.234` and `1,234`: a fraction of three digits, or thousands.
    open_point: u64,
    open_comma: u64,
    exponent: u64,
    /// `NaN` and infinities, and how they are written.
    special: u64,
    special_words: BTreeSet<String>,
    zero_led: u64,
    /// Whole numbers beyond int64.
    huge: u64,
    /// Eight digits that are a day of the years 1900 to 2099.
    day_like: u64,
    magnitude_max: u64,
    whole_digits_max: usize,
    fraction_digits_max: usize,
    /// Bit n: a fraction of n digits was seen.
    fraction_lengths: u64,
    /// A double would not give them back.
    no_double: u64,
    /// It gives them back, and needs all of its digits to do so.
    double: u64,
    /// Read with the one mark between thousands, and with the other.
    grouped: Ways,
}

/// With a point between thousands, and with a comma.
#[derive(Clone, Debug)]
struct Ways([Grouped; 2]);

impl Default for Ways {
    fn default() -> Self {
        Self([Grouped::new('.', ','), Grouped::new(',', '.')])
    }
}

/// What the file around the column says.
#[derive(Clone, Copy, Debug)]
pub struct Around {
    pub delimiter: u8,
    /// Another column has decimal commas, for certain.
    pub has_decimal_commas: bool,
}

impl Numbers {
    /// Takes a cell into account if it is a number.
    pub fn see(&mut self, text: &str) {
        let Some(digits) = text.strip_prefix('-').or(Some(text)).filter(|t| !t.is_empty()) else { return };
        let is_plain = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b','));
        if !is_plain || !digits.bytes().any(|b| b.is_ascii_digit()) {
            self.see_float(text, digits);
            return;
        }
        self.grouped.0.iter_mut().for_each(|way| way.see(digits));
        let points = memchr::memchr_iter(b'.', digits.as_bytes()).count();
        let commas = memchr::memchr_iter(b',', digits.as_bytes()).count();
        match (points, commas) {
            (0, 0) => self.see_whole(text, digits),
            (1, 0) => self.see_fraction(text, digits, '.'),
            (0, 1) => self.see_fraction(text, digits, ','),
            _ => self.thousands += u64::from(has_thousands(digits)),
        }
    }

    /// Cells that were numbers of any kind.
    pub fn count(&self) -> u64 {
        self.whole + self.point + self.comma + self.thousands + self.exponent + self.special
    }
    pub fn are_whole(&self, count: u64) -> bool {
        self.whole == count
    }
    /// Whether numbers were seen that are no years.
    pub fn has_others_than_years(&self) -> bool {
        self.whole < self.count() || self.whole_digits_max != 4
    }
    /// Some number can only be read with a decimal comma.
    pub fn has_decimal_commas(&self) -> bool {
        let is_plain = self.comma > self.open_comma && self.point == 0 && self.thousands == 0 && self.exponent == 0;
        is_plain || self.grouped.0[0].is_meant(self.count())
    }

    fn see_whole(&mut self, text: &str, digits: &str) {
        self.whole += 1;
        self.see_digits(digits, "");
        match number::int(text.as_bytes()) {
            Some(n) => self.magnitude_max = self.magnitude_max.max(n.unsigned_abs()),
            None => self.huge += 1,
        }
        let is_day = digits.len() == 8 && text == digits && matches!(&digits[..2], "19" | "20");
        self.day_like += u64::from(is_day && is_day_of_the_calendar(digits));
        self.see_as_double(text);
    }

    fn see_fraction(&mut self, text: &str, digits: &str, mark: char) {
        let Some((whole, fraction)) = digits.split_once(mark) else { return };
        let is_open = (1..=3).contains(&whole.len()) && !whole.starts_with('0') && fraction.len() == 3;
        match mark {
            '.' => (self.point, self.open_point) = (self.point + 1, self.open_point + u64::from(is_open)),
            _ => (self.comma, self.open_comma) = (self.comma + 1, self.open_comma + u64::from(is_open)),
        }
        self.see_digits(whole, fraction);
        self.see_as_double(&text.replace(mark, "."));
    }

    fn see_float(&mut self, text: &str, digits: &str) {
        let has_digit = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        // a sign in front may be a part of a telephone number
        if digits.starts_with('+') || number::float(text.as_bytes(), b'.').is_none() {
            return;
        }
        if has_digit {
            self.exponent += 1;
            self.see_as_double(text);
        } else {
            self.special += 1;
            self.special_words.insert(text.to_owned());
        }
    }

    fn see_as_double(&mut self, text: &str) {
        match is_kept_by_a_double(text) {
            true => self.double += u64::from(digits_of(text).0.len() >= DOUBLE_DIGITS_MAX),
            false => self.no_double += 1,
        }
    }

    fn see_digits(&mut self, whole: &str, fraction: &str) {
        self.zero_led += u64::from(whole.len() > 1 && whole.starts_with('0'));
        self.whole_digits_max = self.whole_digits_max.max(whole.len());
        self.fraction_digits_max = self.fraction_digits_max.max(fraction.len());
        self.fraction_lengths |= 1 << fraction.len().min(63);
    }

    /// The type of a column in which every value is a number; `None`: only names like `NaN`, which are as well text.
    pub fn verdict(&self, around: Around) -> Option<Verdict> {
        if self.count() == self.special || self.count() == 0 {
            return None;
        }
        if self.zero_led > 0 {
            return Some(Verdict::text().remark("some begin with zeros, which a number would lose"));
        }
        if self.thousands > 0 || (self.point > 0 && self.comma > 0) {
            return Some(self.with_thousands());
        }
        if self.comma > 0 {
            return Some(self.with_comma());
        }
        if self.point == 0 && self.exponent == 0 && self.special == 0 {
            return Some(self.whole_number());
        }
        if self.exponent > 0 && self.point == 0 && self.whole > 0 {
            let why = "some have an exponent among whole numbers, as codes such as 12E4 seem to have";
            return Some(Verdict::text().open(Open::new(why).instead(["type: float64"])));
        }
        let is_open = self.open_point > 0 && self.open_point == self.point;
        if is_open && self.exponent == 0 && (around.delimiter != b',' || around.has_decimal_commas) {
            let why = "the point may stand before a fraction or between thousands";
            let instead = [format!("type: {}", quoted_type(self.decimal())), grouped::declared('.')];
            return Some(Verdict::text().open(Open::new(why).instead(instead)));
        }
        Some(self.fraction_verdict(&[]))
    }

    fn with_thousands(&self) -> Verdict {
        match self.grouped.0.iter().find(|way| way.is_meant(self.count())) {
            None => Verdict::text().open(grouped::open()),
            Some(way) if way.whole_digits_max + way.fraction_digits_max > PRECISION_MAX => {
                Verdict::text().remark("more digits than a decimal holds")
            }
            Some(way) => way.verdict(decimal_for(way.whole_digits_max, way.fraction_digits_max)),
        }
    }

    fn with_comma(&self) -> Verdict {
        let as_decimal = format!("type: {}, decimal_mark: \",\"", quoted_type(self.decimal()));
        if self.open_comma == self.comma {
            let why = "the comma may stand before a fraction or between thousands";
            return Verdict::text().open(Open::new(why).instead([as_decimal, grouped::declared(',')]));
        }
        if self.exponent > 0 {
            return Verdict::text();
        }
        self.fraction_verdict(&[("decimal_mark", "\",\"")])
    }

    fn whole_number(&self) -> Verdict {
        if self.huge > 0 {
            let open = Open::new("some are beyond int64");
            let fits = self.whole_digits_max <= PRECISION_MAX;
            return Verdict::text().open(if fits { open.instead(["type: \"decimal(38,0)\""]) } else { open });
        }
        if self.day_like == self.whole {
            let why = "all are eight digits and a day of the calendar, or just numbers";
            return Verdict::text().open(Open::new(why).instead(["type: date, format: \"%Y%m%d\"", "type: int32"]));
        }
        let small = self.magnitude_max <= INT32_ROOM;
        Verdict::of(if small { ColumnType::Int32 } else { ColumnType::Int64 })
    }

    /// Exact wherever it can be, or text. A double only where no decimal takes what is written, or where doubles were written for
    /// certain; and that is left open, since a double rounds a longer number without a word.
    fn fraction_verdict(&self, options: &[(&'static str, &str)]) -> Verdict {
        let with = |verdict: Verdict| options.iter().fold(verdict, |v, (name, written)| v.option(name, written));
        let has_no_decimal = self.whole_digits_max + self.fraction_digits_max > PRECISION_MAX;
        let must_be_double = self.exponent > 0 || self.special > 0;
        if self.no_double > 0 && must_be_double {
            return Verdict::text().remark("more digits than float64 or a decimal hold");
        }
        let decimal = with(Verdict::of(self.decimal()));
        let are_doubles = self.no_double == 0 && self.double >= DOUBLES_MIN;
        if must_be_double || are_doubles {
            return with(Verdict::of(ColumnType::Float64))
                .open(self.float_choice((!has_no_decimal).then_some(&decimal)));
        }
        if has_no_decimal {
            return Verdict::text().remark("more digits than a decimal holds");
        }
        if !self.is_measured() {
            return decimal;
        }
        decimal.remark(
            "room for more digits behind the point than the sample has; a row with still more goes to quarantine",
        )
    }

    fn float_choice(&self, decimal: Option<&Verdict>) -> Open {
        let what = match (self.exponent, self.special) {
            (1.., _) => "some have an exponent, which no decimal takes",
            (_, 1..) => "some are NaN or infinite, which no decimal is",
            _ => "some have 17 digits, as programs write doubles",
        };
        let why = format!("{what}; float64 gives back each digit of the sample, but would round a longer number");
        let exact = decimal.filter(|_| self.exponent == 0).map(|decimal| {
            let words: Vec<String> = self.special_words.iter().map(|w| unbatch_api::draft::quoted(w)).collect();
            match words.is_empty() {
                true => format!("{} (a longer one goes to quarantine then)", decimal.declared()),
                false => format!("{}, nulls: [{}]", decimal.declared(), words.join(", ")),
            }
        });
        Open::new(why).instead(exact.into_iter().chain(["type: string".to_owned()]))
    }

    fn is_measured(&self) -> bool {
        let lengths = (self.fraction_lengths & !1).count_ones();
        lengths >= MEASURED_LENGTHS && self.fraction_digits_max >= MEASURED_DIGITS
    }

    /// With room for longer numbers, as far as there is room.
    fn decimal(&self) -> ColumnType {
        // `5.5` in the sample is `5.25` some other day: zeros at the end were left out
        let more = if self.is_measured() { FRACTION_DIGITS_MORE } else { 0 };
        decimal_for(self.whole_digits_max, self.fraction_digits_max + more)
    }
}

fn decimal_for(whole_digits: usize, fraction_digits: usize) -> ColumnType {
    let scale = fraction_digits.max(SCALE_MIN).min(PRECISION_MAX.saturating_sub(whole_digits));
    let whole = (whole_digits + WHOLE_DIGITS_MORE).max(WHOLE_DIGITS_MIN);
    ColumnType::Decimal { precision: (whole + scale).min(PRECISION_MAX) as u8, scale: scale as i8 }
}

/// As it is written in a flow mapping.
pub fn quoted_type(column_type: ColumnType) -> String {
    match column_type {
        ColumnType::Decimal { .. } => format!("\"{column_type}\""),
        other => other.to_string(),
    }
}

/// `1.234.567`, `1,234.50`, `1.234,50`: groups of three behind the first mark, which comes again or is not the last.
fn has_thousands(digits: &str) -> bool {
    let Some(mark) = digits.chars().find(|c| matches!(c, '.' | ',')) else { return false };
    let other = if mark == '.' { ',' } else { '.' };
    let (whole, fraction) = match digits.split_once(other) {
        Some((whole, fraction)) => (whole, fraction),
        None => (digits, ""),
    };
    is_grouped(whole, mark) && fraction.bytes().all(|b| b.is_ascii_digit())
}

fn is_day_of_the_calendar(digits: &str) -> bool {
    let part = |range: std::ops::Range<usize>| digits[range].parse::<u32>().unwrap_or_default();
    let day = chrono::NaiveDate::from_ymd_opt(part(0..4) as i32, part(4..6), part(6..8));
    day.is_some()
}

/// Whether the shortest text of the nearest double has the same digits.
fn is_kept_by_a_double(text: &str) -> bool {
    let significant = text.bytes().take_while(|b| !matches!(b, b'e' | b'E')).filter(u8::is_ascii_digit).count();
    if significant <= DOUBLE_DIGITS {
        return true;
    }
    let Ok(n) = text.parse::<f64>() else { return false };
    n.is_finite() && digits_of(text) == digits_of(&format!("{n:e}"))
}

/// Digits without zeros around them, and the power of ten of the first.
pub(super) fn digits_of(text: &str) -> (String, i64) {
    let text = text.trim_start_matches(['-', '+']);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    let leading = (all.len() - digits.len()) as i64;
    let power = exponent.parse::<i64>().unwrap_or_default() + whole.len() as i64 - leading;
    let digits = digits.trim_end_matches('0').to_owned();
    if digits.is_empty() { (digits, 0) } else { (digits, power) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AROUND: Around = Around { delimiter: b',', has_decimal_commas: false };
    const GERMAN: Around = Around { delimiter: b';', has_decimal_commas: true };

    #[track_caller]
    fn check(cells: &[&str], around: Around, expected: &str) {
        let mut numbers = Numbers::default();
        cells.iter().for_each(|c| numbers.see(c));
        let verdict = numbers.verdict(around);
        assert_eq!(numbers.count(), cells.len() as u64, "{cells:?}");
        let text = verdict.map_or("none".to_owned(), |v| {
            let open = if v.open.is_empty() { "" } else { " open" };
            format!("{}{}{open}", v.column_type, v.options.iter().map(|(k, v)| format!(" {k}={v}")).collect::<String>())
        });
        assert_eq!(text, expected, "{cells:?}");
    }

    #[test]
    fn each_way_of_writing_has_its_type() {
        let cases: &[(&[&str], &str)] = &[
            (&["1", "-20", "0"], "int32"),
            (&["1", "4294967296"], "int64"),
            (&["99999999999999999999"], "string open"),
            (&["007", "12"], "string"),
            (&["1.5", "2.25", "3"], "decimal(12,2)"),
            (&["0.123456789", ".5"], "decimal(19,9)"),
            (&["12345678901234.5"], "decimal(18,2)"),
            (&["1.1", "1.10"], "decimal(12,2)"),
            (&["0.30000000000000004", "1.1"], "decimal(27,17)"),
            (&["1.12345", "2.1", "3.123", "4.1234"], "decimal(19,9)"),
            (&["1e-3", "2.5"], "float64 open"),
            (&["1e-3", "0.12345678901234567890"], "string"),
            (&["1.5", "NaN", "-inf"], "float64 open"),
            (&["12345678901234567890.123456789012"], "decimal(34,12)"),
            (&["1.234.567", "12"], "string open"),
            (&["1,234.50", "7"], "decimal(12,2) thousands=\",\""),
            (&["1.234,50", "12,125"], "decimal(13,3) thousands=\".\" decimal_mark=\",\""),
            (&["1.234.567,50", "1.000"], "decimal(12,2) thousands=\".\" decimal_mark=\",\""),
            (&["1.234,50", "1,234.50"], "string open"),
            (&["1.234", "12,5"], "string open"),
            (&["1,234", "12,500"], "string open"),
            (&["1,234", "12,5"], "decimal(13,3) decimal_mark=\",\""),
            (&["0,123"], "decimal(13,3) decimal_mark=\",\""),
            (&["20260301", "19991231"], "string open"),
            (&["20260301", "20261301"], "int32"),
            (&["NaN", "inf"], "none"),
        ];
        for (cells, expected) in cases {
            check(cells, AROUND, expected);
        }
        // the same point means something else beside decimal commas
        check(&["1.234", "2.500"], AROUND, "decimal(13,3)");
        check(&["1.234", "2.500"], GERMAN, "string open");
        check(&["1.234", "2.5"], GERMAN, "decimal(13,3)");
    }

    /// Seventeen digits each, as a program writes the doubles that it computed.
    const COMPUTED: [&str; 8] = [
        "0.30000000000000004",
        "0.49999999999999994",
        "2.2000000000000002",
        "1.1102230246251565",
        "0.10000000000000009",
        "17.299999999999997",
        "123.45000000000002",
        "-0.69999999999999996",
    ];

    #[test]
    fn a_double_is_proposed_for_what_a_program_computed_and_then_left_open() {
        // what `repr` never writes so is no evidence
        check(&COMPUTED, AROUND, "decimal(31,21)");
        let computed: Vec<String> = (1..40).map(|n| format!("{}", f64::from(n) / 7.0)).collect();
        let mut cells: Vec<&str> = computed.iter().map(String::as_str).collect();
        check(&cells, AROUND, "float64 open");
        let mut numbers = Numbers::default();
        cells.iter().for_each(|c| numbers.see(c));
        let open = numbers.verdict(AROUND).unwrap().open.remove(0);
        assert!(open.why.contains("would round a longer number"), "{open:?}");
        assert!(open.instead[0].starts_with("type: \"decimal("), "{open:?}");
        assert_eq!(open.instead[1], "type: string");
        // one longer number, and no double was written
        cells.push("0.123456789012345678");
        check(&cells, AROUND, "decimal(32,22)");
    }

    #[test]
    fn marks_between_thousands_are_a_choice_that_names_how_they_are_declared() {
        let instead = |cells: &[&str], around| {
            let mut numbers = Numbers::default();
            cells.iter().for_each(|c| numbers.see(c));
            numbers.verdict(around).unwrap().open.remove(0).instead.join(", or ")
        };
        let german = "thousands: \".\", decimal_mark: \",\"";
        assert!(instead(&["1.234,50", "12.00"], GERMAN).contains(german));
        assert!(instead(&["1.234", "2.500"], GERMAN).contains(german));
        assert!(instead(&["1,234", "2,500"], AROUND).contains("thousands: \",\""));
    }

    #[test]
    fn without_a_choice_no_digit_is_rounded() {
        // fifteen digits, in many lengths: measured perhaps, but a decimal holds them
        let measured = ["0.1", "0.123456789", "12.34567890123", "3.14159265358979", "2.71828"];
        check(&measured, AROUND, "decimal(28,18)");
        let nan = ["1.5", "NaN", "2.25"];
        let mut numbers = Numbers::default();
        nan.iter().for_each(|c| numbers.see(c));
        let open = numbers.verdict(AROUND).unwrap().open.remove(0);
        assert_eq!(open.instead, ["type: \"decimal(12,2)\", nulls: [\"NaN\"]", "type: string"]);
        // no room is left for more, but what is there is held
        let long = ["123456789012345678901234567.1", "1.12", "1.123", "1.12345678901"];
        check(&long, AROUND, "decimal(38,11)");
        check(&["1234567890123456789012345678.1", "0.12345678901"], AROUND, "string");
    }

    #[test]
    fn what_is_no_number_is_not_counted() {
        for text in
            ["", "-", "+5", "1 000", "1,2,3", "1.2.3", "0x1f", "1_0", "12a", "e5", "--1", ".", "1.23,4.5", "nano"]
        {
            let mut numbers = Numbers::default();
            numbers.see(text);
            assert_eq!(numbers.count(), 0, "{text}");
        }
    }

    #[test]
    fn doubles_are_taken_only_when_they_keep_every_digit() {
        for text in ["0.1", "0.30000000000000004", "1e300", "123456789012345.6", "-0.00012345678901234567", "5e-324"] {
            assert!(is_kept_by_a_double(text), "{text}");
        }
        for text in ["0.3000000000000000499", "12345678901234567.8", "0.12345678901234567891"] {
            assert!(!is_kept_by_a_double(text), "{text}");
        }
    }
}
