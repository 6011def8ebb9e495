//! What a column holds: counted cell by cell, judged at the end. Where nothing is certain it stays text, which is always right.

use super::moment::Moments;
use super::number::{Around, Numbers, quoted_type};
use super::shape::Cell;
use std::collections::BTreeMap;
use unbatch_api::{Choice, ColumnType};

/// Words that may stand for NULL. In a column of numbers or dates they can be nothing else.
const NULL_WORDS: [&str; 15] =
    ["NULL", "null", "Null", "\\N", "NA", "N/A", "n/a", "#N/A", "<NA>", "None", "none", "nil", "-", ".", "?"];
/// Those that mean nothing else in text, or hardly anything.
const LIKELY_NULLS: [&str; 10] = ["NULL", "null", "Null", "\\N", "NA", "N/A", "n/a", "#N/A", "<NA>", "None"];
/// Values, and the share of them, that must fit a type before it is mentioned for a column in which some do not.
const NEARLY_VALUES_MIN: u64 = 4;
const NEARLY_SHARE: f64 = 0.6;

/// The cells of one column, counted.
#[derive(Clone, Debug, Default)]
pub struct Column {
    cells: u64,
    empty: u64,
    quoted_empty: u64,
    words: BTreeMap<&'static str, u64>,
    /// Cells that are neither empty nor one of the words.
    values: u64,
    length_max: usize,
    numbers: Numbers,
    moments: Moments,
    truths: Truths,
    odd: Odd,
    /// The same column without blanks around its unquoted cells, once there was one with blanks.
    trimmed: Option<Box<Column>>,
}

/// Where the first cells stand that do not fit.
#[derive(Clone, Debug, Default)]
struct Odd {
    number: Option<String>,
    moment: Option<String>,
    truth: Option<String>,
    blank: Option<String>,
    /// How many have blanks around them.
    blanks: u64,
}

/// How a column is to be declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub column_type: ColumnType,
    /// As they stand in the file.
    pub options: Vec<(&'static str, String)>,
    pub required: bool,
    pub remark: Option<String>,
    pub open: Vec<Open>,
}

/// Something about a column that is left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    pub why: String,
    pub chosen: Option<String>,
    pub instead: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Truths {
    /// true and false.
    words: u64,
    /// yes and no, y and n, t and f: the positive and the negative.
    short: [[u64; 2]; 3],
}

impl Column {
    /// `place` says where the cell stands, for people.
    pub fn see(&mut self, cell: &Cell<'_>, place: &dyn Fn() -> String) {
        let inner = cell.text.trim_matches([' ', '\t']);
        let has_blanks = !cell.is_quoted && inner.len() < cell.text.len();
        if has_blanks && self.trimmed.is_none() {
            // so far there was nothing to trim
            self.trimmed = Some(Box::new(self.clone()));
        }
        if let Some(trimmed) = &mut self.trimmed {
            let text = if cell.is_quoted { &*cell.text } else { inner };
            trimmed.see(&Cell { text: text.into(), is_quoted: cell.is_quoted }, place);
        }
        if has_blanks {
            self.odd.blanks += 1;
            self.odd.blank.get_or_insert_with(place);
        }
        self.cells += 1;
        let text = &*cell.text;
        self.length_max = self.length_max.max(text.len());
        if text.is_empty() {
            *(if cell.is_quoted { &mut self.quoted_empty } else { &mut self.empty }) += 1;
            return;
        }
        if !cell.is_quoted
            && let Some(word) = NULL_WORDS.iter().find(|w| **w == text)
        {
            *self.words.entry(word).or_default() += 1;
            return;
        }
        self.values += 1;
        self.numbers.see(text);
        self.moments.see(text);
        self.truths.see(text);
        // with the first that is counted nowhere, the counts fall behind for good
        if self.numbers.count() < self.values {
            self.odd.number.get_or_insert_with(place);
        }
        if self.moments.count() < self.values {
            self.odd.moment.get_or_insert_with(place);
        }
        if self.truths.words < self.values {
            self.odd.truth.get_or_insert_with(place);
        }
    }

    pub fn has_decimal_commas(&self) -> bool {
        self.numbers.count() == self.values && self.numbers.has_decimal_commas()
    }
    pub fn has_others_than_years(&self) -> bool {
        self.numbers.has_others_than_years()
    }
    /// A whole number in every row, as an index has.
    pub fn is_of_whole_numbers(&self) -> bool {
        self.values > 0 && self.values == self.cells && self.numbers.are_whole(self.values)
    }
    pub fn has_values(&self) -> bool {
        self.values > 0
    }
    pub fn length_max(&self) -> usize {
        self.length_max
    }
    /// Whether a text could be a value of this column, were it one: for telling a header from a row.
    pub fn would_take(&self, text: &str, around: Around) -> Option<bool> {
        let is_typed = self.typed(around).is_some_and(|v| v.column_type != ColumnType::String || !v.open.is_empty());
        let is_number = self.values > 0 && self.numbers.count() == self.values;
        if !is_typed && !is_number {
            return None;
        }
        let mut with = self.clone();
        with.see(&Cell { text: text.into(), is_quoted: false }, &String::new);
        let fits = |c: &Column| c.numbers.count() == c.values || c.typed(around).is_some();
        (with.values > self.values).then(|| fits(&with))
    }
    /// A text is among the words for NULL, or empty.
    pub fn is_null_word(text: &str) -> bool {
        text.is_empty() || NULL_WORDS.contains(&text)
    }

    pub fn verdict(&self, around: Around) -> Verdict {
        let mut verdict = match self.typed(around) {
            Some(verdict) => verdict,
            None if self.values == 0 => self.without_values(),
            None => self.text(around),
        };
        let is_text = verdict.column_type == ColumnType::String;
        if !is_text && self.quoted_empty > 0 {
            let why = "quoted empty fields are texts and no NULLs, so numbers and dates with them are refused";
            verdict = Verdict::text().open(Open::new(why).instead([verdict.declared()]));
        } else if !is_text && !self.words.is_empty() {
            let words: Vec<String> = self.words.keys().map(|w| unbatch_api::draft::quoted(w)).collect();
            verdict = verdict.option("nulls", &format!("[{}]", words.join(", ")));
        }
        let is_text = verdict.column_type == ColumnType::String;
        let likely: Vec<&str> = self.words.keys().copied().filter(|w| LIKELY_NULLS.contains(w)).collect();
        if is_text && self.values + self.quoted_empty > 0 && !likely.is_empty() {
            let words: Vec<String> = likely.iter().map(|w| unbatch_api::draft::quoted(w)).collect();
            let open = Open::new(format!("{} may be a text or mean NULL", words.join(" and ")))
                .chosen("text")
                .instead([format!("nulls: [{}]", words.join(", "))]);
            verdict = verdict.open(open);
        }
        let has_nulls = self.empty > 0 || (self.has_words() && (!is_text || !likely.is_empty()));
        // where some are empty texts, the next may be NULL
        verdict.required = self.cells > 0 && !has_nulls && self.quoted_empty == 0;
        verdict
    }

    fn has_words(&self) -> bool {
        !self.words.is_empty()
    }

    /// A type that all values have.
    fn typed(&self, around: Around) -> Option<Verdict> {
        if self.values == 0 {
            return None;
        }
        if self.numbers.count() == self.values {
            return self.numbers.verdict(around);
        }
        self.truths.verdict(self.values).or_else(|| self.moments.verdict(self.values))
    }

    fn without_values(&self) -> Verdict {
        let why = match self.words.is_empty() && self.quoted_empty == 0 {
            true => "it is empty in the whole sample",
            false => "the whole sample has nothing but empty fields and words that may mean NULL",
        };
        Verdict::text().open(Open::new(why).instead(["the type that it has when it is filled"]))
    }

    /// No type has all values. One that nearly all have is mentioned.
    fn text(&self, around: Around) -> Verdict {
        let nearly = |count: u64| self.values >= NEARLY_VALUES_MIN && count as f64 >= NEARLY_SHARE * self.values as f64;
        if let Some(trimmed) = &self.trimmed {
            return Verdict::text().open(self.blanks(trimmed, around));
        }
        let (numbers, moments) = (self.numbers.count(), self.moments.count());
        let (better, count, first) = if nearly(numbers) {
            (self.numbers.verdict(around), numbers, &self.odd.number)
        } else if nearly(moments) {
            (self.moments.verdict(moments), moments, &self.odd.moment)
        } else if nearly(self.truths.words) {
            (Some(Verdict::of(ColumnType::Bool)), self.truths.words, &self.odd.truth)
        } else {
            return Verdict::text();
        };
        let Some(better) = better else { return Verdict::text() };
        let (kind, instead) = match better.column_type {
            // in which way they are written is open too
            ColumnType::String => {
                let kind = if nearly(numbers) { "number" } else { "date or time" };
                (kind.to_owned(), better.open.into_iter().flat_map(|open| open.instead).collect())
            }
            other => {
                let instead = format!("{} (rows with the others go to quarantine then)", better.declared());
                (other.to_string(), vec![instead])
            }
        };
        if instead.is_empty() {
            return Verdict::text();
        }
        let why = match self.values - count {
            1 => format!("1 of {} values is no {kind}", self.values),
            other => format!("{other} of {} values are no {kind}", self.values),
        };
        Verdict::text().open(Open::new(why + &at(first)).instead::<String>(instead))
    }

    /// Blanks around values, which are kept unless they are trimmed, and what the column is without them.
    fn blanks(&self, trimmed: &Column, around: Around) -> Open {
        let without = trimmed.verdict(around);
        let why = match self.odd.blanks {
            1 => format!("1 of {} fields has blanks around it", self.cells),
            n => format!("{n} of {} fields have blanks around them", self.cells),
        };
        let trimmed = |declared: &str| format!("{declared}, trim: both");
        // what is open about the column without blanks stays open
        let nearly = without.open.iter().flat_map(|open| &open.instead).filter(|other| other.starts_with("type: "));
        let nearly: Vec<String> = nearly
            .map(|other| match other.split_once(" (") {
                Some((declared, note)) => format!("{} ({note}", trimmed(declared)),
                None => trimmed(other),
            })
            .collect();
        Open::new(why + &at(&self.odd.blank)).instead([trimmed(&without.declared())].into_iter().chain(nearly))
    }
}

/// `, the first in line 7 of a.csv`
fn at(place: &Option<String>) -> String {
    place.as_ref().filter(|place| !place.is_empty()).map(|place| format!(", the first in {place}")).unwrap_or_default()
}

impl Truths {
    fn see(&mut self, text: &str) {
        let is = |word: &str| text.eq_ignore_ascii_case(word);
        self.words += u64::from(is("true") || is("false"));
        for (pair, [yes, no]) in [["yes", "no"], ["y", "n"], ["t", "f"]].into_iter().enumerate() {
            self.short[pair][0] += u64::from(is(yes));
            self.short[pair][1] += u64::from(is(no));
        }
    }

    fn verdict(&self, count: u64) -> Option<Verdict> {
        if self.words == count {
            return Some(Verdict::of(ColumnType::Bool));
        }
        let is_pair = |[yes, no]: &[u64; 2]| *yes > 0 && *no > 0 && yes + no == count;
        self.short.iter().any(is_pair).then(|| {
            let open = Open::new("two words that may mean true and false").instead(["type: bool"]);
            Verdict::text().open(open)
        })
    }
}

impl Verdict {
    pub fn of(column_type: ColumnType) -> Self {
        Self { column_type, options: vec![], required: false, remark: None, open: vec![] }
    }
    pub fn text() -> Self {
        Self::of(ColumnType::String)
    }
    pub fn option(mut self, name: &'static str, written: &str) -> Self {
        self.options.push((name, written.to_owned()));
        self
    }
    pub fn remark(mut self, remark: &str) -> Self {
        self.remark = Some(remark.to_owned());
        self
    }
    pub fn open(mut self, open: Open) -> Self {
        self.open.push(open);
        self
    }
    /// `type: date, format: "%d.%m.%Y"`, without `required`.
    pub fn declared(&self) -> String {
        let options = self.options.iter().map(|(name, value)| format!(", {name}: {value}"));
        format!("type: {}{}", quoted_type(self.column_type), options.collect::<String>())
    }
    /// What is open, about the column of this name.
    pub fn choices(&self, name: &str) -> Vec<Choice> {
        let one = |open: &Open| Choice {
            about: name.to_owned(),
            why: open.why.clone(),
            chosen: open.chosen.clone().unwrap_or_else(|| self.declared()),
            instead: open.instead.clone(),
        };
        self.open.iter().map(one).collect()
    }
}

impl Open {
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), chosen: None, instead: vec![] }
    }
    /// What the file has, where that is not the whole declaration of the column.
    pub fn chosen(mut self, chosen: &str) -> Self {
        self.chosen = Some(chosen.to_owned());
        self
    }
    pub fn instead<T: Into<String>>(mut self, instead: impl IntoIterator<Item = T>) -> Self {
        self.instead = instead.into_iter().map(Into::into).collect();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AROUND: Around = Around { delimiter: b',', has_decimal_commas: false };

    fn column(cells: &[&str]) -> Column {
        let mut column = Column::default();
        for cell in cells {
            // as in a file: quotes around a cell
            let inner = cell.strip_prefix('"').and_then(|c| c.strip_suffix('"'));
            let place = || format!("line {} of a.csv", column.cells + 2);
            let place = place();
            column.see(&Cell { text: inner.unwrap_or(cell).into(), is_quoted: inner.is_some() }, &|| place.clone());
        }
        column
    }

    #[track_caller]
    fn check(cells: &[&str], expected: &str, open: &[&str]) {
        let verdict = column(cells).verdict(AROUND);
        let required = if verdict.required { " required" } else { "" };
        assert_eq!(format!("{}{required}", verdict.declared()), expected, "{cells:?}");
        let why: Vec<&str> = verdict.open.iter().map(|o| o.why.as_str()).collect();
        assert_eq!(why.len(), open.len(), "{cells:?} {why:?}");
        for (why, part) in why.iter().zip(open) {
            assert!(why.contains(part), "{part} in {why}");
        }
    }

    #[test]
    fn a_column_is_required_when_it_was_never_empty() {
        check(&["1", "2"], "type: int32 required", &[]);
        check(&["1", ""], "type: int32", &[]);
        check(&["a", "\"\""], "type: string", &[]);
        check(&["", ""], "type: string", &["empty in the whole sample"]);
        check(&[], "type: string", &["empty"]);
    }

    #[test]
    fn words_for_null_count_as_such_where_they_can_be_nothing_else() {
        check(&["1", "NA", ""], "type: int32, nulls: [\"NA\"]", &[]);
        check(&["1.5", "-", "\\N"], "type: \"decimal(12,2)\", nulls: [\"-\", \"\\\\N\"]", &[]);
        check(&["2026-01-01", "NULL"], "type: date, nulls: [\"NULL\"]", &[]);
        check(&["Windhoek", "NA"], "type: string", &["\"NA\" may be a text or mean NULL"]);
        check(&["Windhoek", "-"], "type: string required", &[]);
        check(&["NULL", "NULL"], "type: string", &["nothing but"]);
        check(&["\"NULL\"", "x"], "type: string required", &[]);
        check(&["1", "\"NULL\""], "type: string required", &[]);
    }

    #[test]
    fn truths_are_taken_by_their_words_only() {
        check(&["true", "FALSE"], "type: bool required", &[]);
        check(&["Y", "n"], "type: string required", &["true and false"]);
        check(&["Y", "Y"], "type: string required", &[]);
        check(&["yes", "no", "maybe"], "type: string required", &[]);
        check(&["0", "1"], "type: int32 required", &[]);
    }

    #[test]
    fn quoted_empty_fields_keep_a_column_text() {
        check(&["1", "\"\""], "type: string", &["quoted empty fields"]);
    }

    #[test]
    fn a_type_that_nearly_all_values_have_is_mentioned() {
        let mut cells = vec!["1"; 20];
        cells.push("1O");
        check(&cells, "type: string required", &["1 of 21 values is no int32, the first in line 22 of a.csv"]);
        let mut cells = vec!["2026-03-01"; 20];
        cells.push("2026-02-30");
        check(&cells, "type: string required", &["1 of 21 values is no date, the first in line 22 of a.csv"]);
        check(&["1", "2", "x"], "type: string required", &[]);
        let price = ["61.60", "59.9O", "5.00", "n", "7.25"];
        check(&price, "type: string required", &["2 of 5 values are no decimal(12,2), the first in line 3 of a.csv"]);
        let price = ["12,50", "59,9O", "1.208,00", "8,00", "9,10"];
        check(&price, "type: string required", &["1 of 5 values is no decimal(12,2), the first in line 3 of a.csv"]);
        assert!(column(&price).verdict(AROUND).open[0].instead[0].contains("thousands: \".\""));
        check(&["true", "false", "wahr", "true"], "type: string required", &["1 of 4 values is no bool"]);
    }

    #[test]
    fn blanks_around_values_are_told_with_what_the_column_is_without_them() {
        let instead = |cells: &[&str]| column(cells).verdict(AROUND).open.remove(0).instead;
        check(&["1", " 2", "3"], "type: string required", &["1 of 3 fields has blanks around it, the first in line 3"]);
        assert_eq!(instead(&["1", " 2", "3"]), ["type: int32, trim: both"]);
        assert_eq!(instead(&["a", "b ", "c\t"]), ["type: string, trim: both"]);
        let both = instead(&["1.5", " 2.5", "3.5", "4.5O", "5.5"]);
        assert_eq!(both[0], "type: string, trim: both");
        assert!(both[1].starts_with("type: \"decimal(12,2)\", trim: both (rows"), "{both:?}");
        check(&["a", "\" b\""], "type: string required", &[]);
    }

    #[test]
    fn a_header_is_told_from_a_row_by_what_stands_below_it() {
        let numbers = column(&["1", "2.5"]);
        assert_eq!(numbers.would_take("price", AROUND), Some(false));
        assert_eq!(numbers.would_take("3", AROUND), Some(true));
        assert_eq!(numbers.would_take("", AROUND), None);
        assert_eq!(column(&["a", "b"]).would_take("x", AROUND), None);
        assert_eq!(column(&["2026-01-01"]).would_take("day", AROUND), Some(false));
    }
}
