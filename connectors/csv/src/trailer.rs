//! The last line of a file that is no row but says how many there are or what they add up to.

use crate::config::{CsvDropsConfig, DecimalMark, Sum};
use crate::decode::{Plain, Written, number};
use crate::scanner::Block;
use crate::syntax::Syntax;
use std::collections::BTreeMap;
use unbatch_api::ColumnType;
use unbatch_api::arrow::array::{Array, ArrayRef, AsArray};
use unbatch_api::arrow::datatypes::{DataType, Decimal128Type, Int32Type, Int64Type};

/// How the last line is found and what it must say.
#[derive(Clone, Debug)]
pub struct TrailerRule {
    begins: Vec<u8>,
    rows: Option<(Spot, u64)>,
    sums: Vec<SumRule>,
}

#[derive(Clone, Debug)]
struct SumRule {
    name: String,
    /// Which of the declared columns.
    column: usize,
    spot: Spot,
    scale: i8,
    mark: u8,
    written: Option<Written>,
}

/// Where in the line a number stands.
#[derive(Clone, Copy, Debug)]
enum Spot {
    /// The field of this number, from 0.
    Field(usize),
    /// From this character on, from 0; so many, or up to the end.
    Chars(usize, Option<usize>),
}

impl Spot {
    fn of(field: Option<u32>, at: Option<u32>, width: Option<u32>) -> Self {
        match field {
            Some(field) => Spot::Field(field.saturating_sub(1) as usize),
            None => Spot::Chars(at.unwrap_or(1).saturating_sub(1) as usize, width.map(|w| w as usize)),
        }
    }
}

/// What the rows so far add up to: the smallest units of each column of the trailer's sums. `None`: more than can be counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals(Vec<Option<i128>>);

impl TrailerRule {
    /// Only for a configuration that was validated.
    pub fn of(config: &CsvDropsConfig) -> Option<Self> {
        let trailer = config.dialect.trailer.as_ref()?;
        let rows = trailer.rows.as_ref().map(|r| (Spot::of(r.field, r.at, r.width), u64::from(r.plus)));
        let sums = trailer.sums.iter().filter_map(|sum| SumRule::of(sum, config)).collect();
        Some(TrailerRule { begins: trailer.begins.as_bytes().to_vec(), rows, sums })
    }

    /// Whether `record` is the trailer.
    #[inline]
    pub fn is_at(&self, record: &[u8]) -> bool {
        record.starts_with(&self.begins)
    }

    /// Nothing counted yet.
    pub fn zero(&self) -> Totals {
        Totals(vec![Some(0); self.sums.len()])
    }

    /// Adds the first `rows` rows of a block. A row that is refused counts as far as its column could be read.
    pub fn add(&self, totals: &mut Totals, columns: &[ArrayRef], rows: usize) {
        for (sum, total) in self.sums.iter().zip(&mut totals.0) {
            let added = columns.get(sum.column).and_then(|column| sum_of(column, rows));
            *total = total.zip(added).and_then(|(total, added)| total.checked_add(added));
        }
    }

    /// The totals by the names of their columns, for the note of an open file.
    pub fn to_note(&self, totals: &Totals) -> BTreeMap<String, String> {
        let text = |total: &Option<i128>| total.map_or_else(|| "?".to_owned(), |n| n.to_string());
        self.sums.iter().zip(&totals.0).map(|(sum, total)| (sum.name.clone(), text(total))).collect()
    }

    /// `None`: the note has other totals, of another configuration.
    pub fn of_note(&self, note: &BTreeMap<String, String>) -> Option<Totals> {
        let one = |sum: &SumRule| match note.get(&sum.name)?.as_str() {
            "?" => Some(None),
            text => text.parse().ok().map(Some),
        };
        (note.len() == self.sums.len()).then_some(())?;
        self.sums.iter().map(one).collect::<Option<Vec<_>>>().map(Totals)
    }

    /// Compares what the line says with what was read. `Err` is what disagrees, in words without values of cells.
    pub fn check(&self, line: &[u8], syntax: &Syntax, rows: u64, rejected: u64, totals: &Totals) -> Result<(), String> {
        if let Some((spot, plus)) = self.rows {
            let said = number_at(line, spot, syntax).and_then(|text| number::int(&text));
            let Some(said) = said else { return Err("the trailer has no number of rows where it should".into()) };
            let said = said - plus as i64;
            if u64::try_from(said) != Ok(rows) {
                return Err(format!("the trailer counts {said} rows, the file has {rows}"));
            }
        }
        for (sum, total) in self.sums.iter().zip(&totals.0) {
            let said = number_at(line, sum.spot, syntax).and_then(|text| sum.read(&text));
            let name = &sum.name;
            let Some(said) = said else { return Err(format!("the trailer has no total of `{name}` where it should")) };
            if Some(said) != *total {
                let refused = match rejected {
                    0 => String::new(),
                    n => format!("; {n} rows were refused, and those whose `{name}` could not be read are not in it"),
                };
                return Err(format!("the trailer's total of `{name}` is not what the rows add up to{refused}"));
            }
        }
        Ok(())
    }
}

impl SumRule {
    fn of(sum: &Sum, config: &CsvDropsConfig) -> Option<Self> {
        let at = config.columns.iter().position(|column| column.name == sum.of)?;
        let column = &config.columns[at];
        let scale = match column.column_type {
            ColumnType::Decimal { scale, .. } => scale,
            ColumnType::Int32 | ColumnType::Int64 => 0,
            _ => return None,
        };
        Some(SumRule {
            name: sum.of.clone(),
            column: at,
            spot: Spot::of(sum.field, sum.at, sum.width),
            scale,
            mark: if column.decimal_mark == DecimalMark::Comma { b',' } else { b'.' },
            written: Written::of(column),
        })
    }

    /// A total has more digits than a row; otherwise it is written as the column is.
    fn read(&self, text: &[u8]) -> Option<i128> {
        match &self.written {
            None => number::decimal(text, 38, self.scale, self.mark),
            Some(written) => number::decimal(written.plain(text, &mut Plain::default())?, 38, self.scale, b'.'),
        }
    }
}

/// What stands at a spot of the line, without the blanks around it.
fn number_at(line: &[u8], spot: Spot, syntax: &Syntax) -> Option<Vec<u8>> {
    let found = match spot {
        Spot::Field(n) => {
            let (mut block, mut scratch) = (Block::default(), Vec::new());
            syntax.first_record(line, &mut block);
            syntax.content(line, *block.fields.get(n)?, &mut scratch).to_vec()
        }
        Spot::Chars(from, width) => {
            let chars = std::str::from_utf8(line).ok()?.chars().skip(from);
            chars.take(width.unwrap_or(usize::MAX)).collect::<String>().into_bytes()
        }
    };
    Some(found.trim_ascii().to_vec())
}

fn sum_of(column: &ArrayRef, rows: usize) -> Option<i128> {
    let column = column.slice(0, rows.min(column.len()));
    let add = |sum: i128, n: i128| sum.checked_add(n);
    match column.data_type() {
        DataType::Int32 => column.as_primitive::<Int32Type>().iter().flatten().map(i128::from).try_fold(0, add),
        DataType::Int64 => column.as_primitive::<Int64Type>().iter().flatten().map(i128::from).try_fold(0, add),
        DataType::Decimal128(..) => column.as_primitive::<Decimal128Type>().iter().flatten().try_fold(0, add),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(dialect: &str) -> CsvDropsConfig {
        let columns =
            r#"[{"name": "sku", "type": "string"}, {"name": "amount", "type": "decimal(9,2)", "decimal_mark": ","}]"#;
        let text = format!(r#"{{"url": "x", "match": "*", "columns": {columns}, "dialect": {dialect}}}"#);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_line_is_compared_with_what_was_read() {
        let config = config(
            r#"{"delimiter": ";", "trailer": {"match": "T;", "rows": {"field": 2, "plus": 2}, "sums": [{"of": "amount", "field": 3}]}}"#,
        );
        let (rule, syntax) = (TrailerRule::of(&config).unwrap(), Syntax::of(&config));
        let totals = Totals(vec![Some(12_345)]);
        let check = |line: &str| rule.check(line.as_bytes(), &syntax, 5, 1, &totals);
        assert_eq!(check("T;7;123,45"), Ok(()));
        assert_eq!(check("T; 0007 ;\"123,45\";more"), Ok(()));
        assert!(check("T;8;123,45").unwrap_err().contains("counts 6 rows, the file has 5"));
        assert!(check("T;1;123,45").unwrap_err().contains("counts -1 rows"));
        assert!(check("T;7;123.45").unwrap_err().contains("no total of `amount`"));
        assert!(check("T;7;123,46").unwrap_err().contains("1 rows were refused"));
        for cut in ["T;", "T;7", "T;x;123,45"] {
            assert!(check(cut).is_err(), "{cut}");
        }
        assert!(rule.is_at(b"T;7") && !rule.is_at(b"Tom;7"));
    }

    #[test]
    fn totals_go_into_a_note_and_come_back() {
        let config = config(r#"{"trailer": {"match": "T", "sums": [{"of": "amount", "at": 2, "width": 5}]}}"#);
        let rule = TrailerRule::of(&config).unwrap();
        for totals in [Totals(vec![Some(-7)]), Totals(vec![None])] {
            assert_eq!(rule.of_note(&rule.to_note(&totals)), Some(totals));
        }
        assert_eq!(rule.of_note(&BTreeMap::new()), None);
        assert_eq!(rule.of_note(&BTreeMap::from([("tax".to_owned(), "1".to_owned())])), None);
        assert_eq!(rule.check(b"T 1,25x", &Syntax::of(&config), 0, 0, &Totals(vec![Some(125)])), Ok(()));
    }
}
