//! The sampled files as one table: is the first record a header, what do the columns hold, which of them may be a key.

use super::column::{Column, Open, Verdict};
use super::excerpt::Excerpt;
use super::number::Around;
use super::shape::{Cell, Records, Shape, no_table};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use unbatch_api::{Choice, ColumnType, Error, Result};
use unbatch_object_files::TextEncoding;

/// Columns that are tried together as a key, the first ones that can be one.
const PAIRED_MAX: usize = 6;
/// Longest text that is taken for a key.
const KEY_LENGTH_MAX: usize = 64;

/// Records like the first one are headers as long as there are no more of them, and so many others for each.
const AGAIN_MAX: usize = 20;
const AGAIN_SHARE: usize = 2;

/// What was found in all files together.
pub struct Table {
    pub shape: Shape,
    /// What all files are written in, if it is neither UTF-8 nor in the files themselves.
    pub encoding: Option<TextEncoding>,
    pub has_header: bool,
    /// Set when nothing but a guess says whether there is a header.
    pub header_choice: Option<Choice>,
    pub names: Vec<String>,
    pub verdicts: Vec<Verdict>,
    pub key: Vec<String>,
    pub key_reason: String,
    /// Data rows that were looked at, and records that fit no row.
    pub rows: u64,
    pub misshapen: u64,
    /// Names of files that end inside a quoted field.
    pub cut: Vec<String>,
    /// Where the header stands again among the rows: `line 7 of a.csv`.
    pub again: Vec<String>,
}

/// One file of the sample.
struct Part<'a> {
    excerpt: &'a Excerpt,
    head: Records,
    tail: Option<Records>,
    /// Which column of the table each of its fields is.
    order: Vec<usize>,
    /// Lines of the head, by their record, that are the first one again: files that were put together have them.
    again: Vec<usize>,
}

impl Table {
    /// Judges files of one kind; none of them is blank.
    pub fn of(excerpts: &[Excerpt]) -> Result<Self> {
        let (shape, encoding) = (shape_of(excerpts)?, encoding_of(excerpts)?);
        let mut parts = Vec::with_capacity(excerpts.len());
        for excerpt in excerpts {
            let (head, tail) = shape.records(excerpt);
            let order = (0..shape.width).collect();
            let again = again(&head);
            parts.push(Part { excerpt, head, tail, order, again });
        }
        let titles = parts.first().map(Part::titles).unwrap_or_default();
        let names = numbered(&titles);
        // columns may stand in another order in other files, which only a header can tell
        let has_reordered = reorder(&mut parts, &names);
        let columns = columns_of(&parts, &names, true);
        let around = around(&columns, shape);
        let (has_header, why_open) = match has_reordered {
            true => (true, None),
            false => judge_header(&columns, &titles, &parts, around),
        };
        let (names, columns) = match has_header {
            true => {
                check_header(&names, &parts)?;
                (names, columns)
            }
            false if is_below_a_title(&titles, &columns) => {
                return Err(title_above(&parts));
            }
            false => ((1..=shape.width).map(|n| format!("c{n}")).collect(), columns_of(&parts, &names, false)),
        };
        let skip = usize::from(has_header);
        let rows: u64 = parts.iter().map(|p| p.rows(skip) as u64).sum();
        if rows == 0 {
            let only =
                parts.first().map(|p| no_table(p.excerpt, "it has a header and no rows, so nothing tells the types"));
            return Err(only
                .unwrap_or_else(|| Error::misconfigured("sampling failed: no file has rows").code("U0232"))
                .help("name a file of another day that has rows"));
        }
        let around = self::around(&columns, shape);
        let verdicts = columns.iter().zip(&names).map(|(column, name)| named(column.verdict(around), name));
        let mut verdicts: Vec<Verdict> = verdicts.collect();
        let is_unnamed: Vec<bool> = titles.iter().map(|title| has_header && title.is_empty()).collect();
        for (at, verdict) in verdicts.iter_mut().enumerate().filter(|(at, _)| is_unnamed[*at]) {
            let is_left_over = at + 1 == names.len() && !columns[at].has_values();
            if is_left_over {
                // that it is empty goes without saying
                verdict.open.clear();
            }
            verdict.open.insert(0, unnamed(&names[at], is_left_over));
        }
        let (key, key_reason) = key_of(&parts, &names, &columns, &verdicts, &is_unnamed, skip);
        let misshapen = parts.iter().map(|p| p.head.misshapen as u64).sum();
        let cut = parts.iter().filter(|p| p.head.is_cut).map(|p| p.excerpt.name.clone()).collect();
        let again = if has_header { parts.iter().flat_map(Part::headers_again).collect() } else { Vec::new() };
        let header_choice = why_open.map(|why| header_choice(has_header, why));
        Ok(Self {
            shape,
            encoding,
            has_header,
            header_choice,
            names,
            verdicts,
            key,
            key_reason,
            rows,
            misshapen,
            cut,
            again,
        })
    }
}

impl Part<'_> {
    fn rows(&self, skip: usize) -> usize {
        self.all(skip).count()
    }
    fn headers_again(&self) -> impl Iterator<Item = String> {
        self.again.iter().map(|row| format!("line {} of {}", self.head.line(*row), self.excerpt.name))
    }
    fn first(&self) -> Option<Vec<Cell<'_>>> {
        (self.head.len() > 0).then(|| self.head.row(0).collect())
    }
    /// What the first record has, which may be a header.
    fn titles(&self) -> Vec<String> {
        self.first().unwrap_or_default().into_iter().map(|cell| cell.text.into_owned()).collect()
    }
    /// All records that are rows, in the file's order. Where the first is a header, it is no row when it comes again.
    fn all(&self, skip: usize) -> impl Iterator<Item = (&Records, usize)> {
        let is_row = move |row: &usize| skip == 0 || !self.again.contains(row);
        let head = (skip..self.head.len()).filter(is_row).map(|row| (&self.head, row));
        head.chain(self.tail.iter().flat_map(|tail| (0..tail.len()).map(move |row| (tail, row))))
    }
    /// The field that is this column.
    fn field_of(&self, column: usize) -> usize {
        self.order.iter().position(|c| *c == column).unwrap_or(column)
    }
}

/// Records that are the first one again, few as they are among the others: all fields filled, and none like another.
fn again(head: &Records) -> Vec<usize> {
    let first: Vec<Cell<'_>> = if head.len() > 0 { head.row(0).collect() } else { Vec::new() };
    let texts: HashSet<&str> = first.iter().map(|cell| &*cell.text).collect();
    if first.len() < 2 || texts.len() < first.len() || texts.iter().any(|text| Column::is_null_word(text)) {
        return Vec::new();
    }
    let is_first = |row: &usize| (0..first.len()).all(|field| head.raw(*row, field) == head.raw(0, field));
    let again: Vec<usize> = (1..head.len()).filter(is_first).take(AGAIN_MAX + 1).collect();
    let others = head.len() - 1 - again.len();
    if again.len() <= AGAIN_MAX && again.len() * AGAIN_SHARE <= others { again } else { Vec::new() }
}

/// The shape of the largest file, which all others must have too.
fn shape_of(excerpts: &[Excerpt]) -> Result<Shape> {
    let largest = excerpts.iter().max_by_key(|e| e.head.len());
    let Some(largest) = largest else {
        return Err(Error::misconfigured("sampling failed: there is no file")
            .code("U0230")
            .help("name one or more CSV files"));
    };
    let shape = Shape::of(largest)?;
    for excerpt in excerpts {
        let (records, _) = shape.records(excerpt);
        if records.len() == 0 || records.misshapen > records.len() {
            return Err(other_kind(excerpt, largest).with("fields of the other", shape.width));
        }
    }
    Ok(shape)
}

/// The encoding of all; a file with nothing but ASCII goes with every one that has it.
fn encoding_of(excerpts: &[Excerpt]) -> Result<Option<TextEncoding>> {
    let Some(first) = excerpts.iter().find(|e| e.encoding.is_some()) else { return Ok(None) };
    let is_wide = first.encoding.is_some_and(|encoding| encoding.name().starts_with("UTF-16"));
    let goes_with = |e: &Excerpt| e.encoding == first.encoding || e.encoding.is_none() && !is_wide && e.head.is_ascii();
    match excerpts.iter().find(|e| !goes_with(e)) {
        Some(other) => Err(other_kind(other, first).with("reason", "they are written in different encodings")),
        None => Ok(first.encoding),
    }
}

fn other_kind(excerpt: &Excerpt, other: &Excerpt) -> Error {
    Error::misconfigured("sampling the files failed: they are not of one kind")
        .code("U0233")
        .with("file", excerpt.path.display())
        .with("differs from", other.path.display())
        .help("one pipeline reads files with the same columns: run init once for each kind")
}

/// The names of a header; a column without one is called by its number, as the source finds it when that is declared.
fn numbered(titles: &[String]) -> Vec<String> {
    let number = |(at, title): (usize, &String)| {
        let number = format!("c{}", at + 1);
        if title.is_empty() && !titles.contains(&number) { number } else { title.clone() }
    };
    titles.iter().enumerate().map(number).collect()
}

fn unnamed(name: &str, is_left_over: bool) -> Open {
    let instead = match is_left_over {
        true => "no such column, when each line of the file is written without a delimiter at its end",
        false => {
            "its own name, when it is given one where the file is written (in pandas: to_csv with index_label=… or index=False)"
        }
    };
    let why = "the header gives it no name, so it is called by its number";
    Open::new(why).chosen(&format!("name: {name}")).instead([instead])
}

/// Puts the fields of files whose header has the same names in another order; true when there is such a file.
fn reorder(parts: &mut [Part], names: &[String]) -> bool {
    let mut any = false;
    for part in parts.iter_mut().skip(1) {
        let here = numbered(&part.titles());
        let order: Option<Vec<usize>> = here.iter().map(|n| names.iter().position(|m| m == n)).collect();
        let Some(order) = order.filter(|order| order.iter().collect::<HashSet<_>>().len() == names.len()) else {
            continue;
        };
        if order.iter().enumerate().any(|(field, column)| field != *column) {
            part.order = order;
            any = true;
        }
    }
    any
}

fn columns_of(parts: &[Part], names: &[String], has_header: bool) -> Vec<Column> {
    let mut columns = vec![Column::default(); names.len()];
    for part in parts {
        for (records, row) in part.all(usize::from(has_header)) {
            let is_of_tail = !std::ptr::eq(records, &part.head);
            let place = || match is_of_tail {
                // lines are counted from the beginning only as far as it was read
                true => format!("the last part of {}", part.excerpt.name),
                false => format!("line {} of {}", records.line(row), part.excerpt.name),
            };
            for (field, cell) in records.row(row).enumerate() {
                if let Some(column) = part.order.get(field).and_then(|c| columns.get_mut(*c)) {
                    column.see(&cell, &place);
                }
            }
        }
    }
    columns
}

fn around(columns: &[Column], shape: Shape) -> Around {
    let has_decimal_commas = columns.iter().any(Column::has_decimal_commas);
    Around { delimiter: shape.delimiter, has_decimal_commas }
}

/// Whether the first record is a header, and why that is open, if it is.
fn judge_header(columns: &[Column], names: &[String], parts: &[Part], around: Around) -> (bool, Option<&'static str>) {
    let distinct = names.iter().collect::<HashSet<_>>().len() == names.len();
    let votes: Vec<bool> = columns.iter().zip(names).filter_map(|(c, n)| c.would_take(n, around)).collect();
    let (rows, titles) = (votes.iter().filter(|v| **v).count(), votes.iter().filter(|v| !**v).count());
    let same_first =
        parts.len() > 1 && parts.iter().all(|p| p.first().is_some_and(|f| f.iter().map(|c| &*c.text).eq(names)));
    let is_name = |n: &String| !Column::is_null_word(n);
    let is_named = distinct && names.iter().all(is_name);
    let is_named_but_first = distinct && names.len() > 1 && names[0].is_empty() && names[1..].iter().all(is_name);
    match (titles, rows) {
        (1.., 0) => (true, None),
        (0, 1..) if is_named && has_years_above(columns, names) => {
            (true, Some("the first record has years, as names of columns or as a row"))
        }
        (0, 1..) => (false, Some("the first record looks like a row")),
        // one bad value in the first row, perhaps
        (1.., 1..) => (true, Some("the first record may be a row with bad values")),
        (0, 0) if same_first && is_named => (true, None),
        // an index, as pandas writes it
        (0, 0) if is_named_but_first && columns.first().is_some_and(Column::is_of_whole_numbers) => {
            (true, Some("the first record has an empty field, so it may be a row"))
        }
        (0, 0) if !is_named => (false, Some("the first record has empty or equal fields, so it is taken for a row")),
        (0, 0) => (true, Some("all columns are text, so the first record may be a row")),
    }
}

/// Years of the first record stand above numbers that are none, as in a table with a column for each year.
fn has_years_above(columns: &[Column], names: &[String]) -> bool {
    let is_year = |name: &str| name.len() == 4 && matches!(name.parse::<u32>(), Ok(1800..=2199));
    let mut years = columns.iter().zip(names).filter(|(_, name)| is_year(name)).peekable();
    years.peek().is_some() && years.all(|(column, _)| column.has_others_than_years())
}

/// Spreadsheets fill up every line to the same width: the title, the day it was made, an empty line, and then the header.
fn is_below_a_title(first: &[String], columns: &[Column]) -> bool {
    let is_alone = first.len() > 2 && !first[0].is_empty() && first[1..].iter().all(String::is_empty);
    is_alone && columns[1..].iter().all(Column::has_values)
}

fn title_above(parts: &[Part]) -> Error {
    let why = "its first line fills one field only, as a title above a table does";
    let error = parts.first().map(|p| no_table(p.excerpt, why));
    error
        .unwrap_or_else(|| Error::misconfigured(format!("sampling failed: {why}")).code("U0232"))
        .help(
            "take the lines in front of the header away from a copy and draft from that; then add `skip: N` to `dialect`, with the \
             number of those lines",
        )
}

fn header_choice(has_header: bool, why: &str) -> Choice {
    let (chosen, other) =
        if has_header { ("header: present", "header: none") } else { ("header: none", "header: present") };
    let chosen = chosen.to_owned();
    Choice { about: "header".into(), why: why.into(), chosen, instead: vec![other.into()] }
}

/// What the source would park the file for.
fn check_header(names: &[String], parts: &[Part]) -> Result<()> {
    let Some(first) = parts.first() else { return Ok(()) };
    if let Some(at) = names.iter().position(String::is_empty) {
        return Err(no_table(
            first.excerpt,
            "a column has no name in the header, and another one has its number for a name",
        )
        .with("column", at + 1)
        .help("give it a name where the file is written: the source refuses files with such columns"));
    }
    for (at, name) in names.iter().enumerate() {
        if let Some(before) = names[..at].iter().position(|n| n == name) {
            return Err(no_table(first.excerpt, "two columns have the same name in the header")
                .with("columns", format!("{} and {}", before + 1, at + 1))
                .help("rename one of them where the file is written: the source refuses such files"));
        }
    }
    for part in parts {
        let here: HashSet<String> = numbered(&part.titles()).into_iter().collect();
        if let Some(lacking) = names.iter().find(|n| !here.contains(*n)) {
            return Err(other_kind(part.excerpt, first.excerpt).with("has no column", lacking));
        }
    }
    Ok(())
}

/// The first column, or pair, that is unique and never empty; and why. A number that only measures something is none.
fn key_of(
    parts: &[Part],
    names: &[String],
    columns: &[Column],
    verdicts: &[Verdict],
    is_unnamed: &[bool],
    skip: usize,
) -> (Vec<String>, String) {
    let may_be = |c: &usize| {
        let verdict = &verdicts[*c];
        let kind = match verdict.column_type {
            ColumnType::String | ColumnType::Date => true,
            // without a name it counts the rows of its file
            ColumnType::Int32 | ColumnType::Int64 if is_unnamed[*c] => false,
            ColumnType::Int32 | ColumnType::Int64 => *c == 0 || names_a_thing(&names[*c]),
            _ => false,
        };
        verdict.required && kind && columns[*c].length_max() <= KEY_LENGTH_MAX
    };
    let candidates: Vec<usize> = (0..names.len()).filter(may_be).collect();
    let named = |columns: &[usize]| columns.iter().map(|c| names[*c].clone()).collect::<Vec<_>>();
    let rows: usize = parts.iter().map(|p| p.rows(skip)).sum();
    if rows < 2 {
        return (Vec::new(), "the sample has one row only".to_owned());
    }
    if let Some(c) = candidates.iter().find(|c| is_unique(parts, &[**c], skip, false)) {
        return (named(&[*c]), "unique and never empty in the sample".to_owned());
    }
    // a file that comes every day names the same things again; numbers of lines do too
    let is_text = |c: &&usize| verdicts[**c].column_type == ColumnType::String;
    if parts.len() > 1
        && let Some(c) = candidates.iter().filter(is_text).find(|c| is_unique(parts, &[**c], skip, true))
    {
        return (named(&[*c]), "unique and never empty in each file of the sample, later files repeat it".to_owned());
    }
    let paired = &candidates[..candidates.len().min(PAIRED_MAX)];
    for (at, first) in paired.iter().enumerate() {
        for second in &paired[at + 1..] {
            if is_unique(parts, &[*first, *second], skip, false) {
                return (named(&[*first, *second]), "together unique and never empty in the sample".to_owned());
            }
        }
    }
    (Vec::new(), "no column, and no two of the first ones, are unique and never empty in the sample".to_owned())
}

/// Whether a word of the name says that the column names something: `order_id`, `Sample Number`.
/// Article numbers, postal codes and the like are digits in the sample, and begin with a zero some other day.
fn named(verdict: Verdict, name: &str) -> Verdict {
    const WORDS: [&str; 24] = [
        "sku", "ean", "gtin", "upc", "isbn", "art", "artikel", "article", "artnr", "artno", "zip", "plz", "postcode",
        "postal", "code", "phone", "tel", "telefon", "fax", "iban", "bic", "konto", "account", "barcode",
    ];
    // `Artikelnummer` and `accountno` are as much of a number as `Artikel` and `account`
    const NUMBERS: [&str; 6] = ["nummer", "number", "code", "num", "nr", "no"];
    let is_whole = matches!(verdict.column_type, ColumnType::Int32 | ColumnType::Int64);
    let lower = name.to_lowercase();
    let is_one = |word: &str| {
        let stem = NUMBERS.iter().find_map(|number| word.strip_suffix(number)).unwrap_or(word);
        WORDS.contains(&word) || WORDS.contains(&stem)
    };
    if !is_whole || !lower.split(|c: char| !c.is_alphanumeric()).any(is_one) {
        return verdict;
    }
    let why = "by its name it may have zeros in front some day, which a number would lose";
    let instead = [verdict.declared()];
    Verdict { required: verdict.required, ..Verdict::text() }.open(Open::new(why).instead(instead))
}

fn names_a_thing(name: &str) -> bool {
    const WORDS: [&str; 13] =
        ["id", "ids", "no", "nr", "num", "number", "nummer", "code", "key", "line", "zip", "year", "jahr"];
    let lower = name.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric());
    words.any(|word| WORDS.contains(&word)) || name.ends_with("Id") || name.ends_with("ID") || name.ends_with("No")
}

fn is_unique(parts: &[Part], columns: &[usize], skip: usize, in_each_file: bool) -> bool {
    let mut seen = HashSet::new();
    for part in parts {
        if in_each_file {
            seen.clear();
        }
        let fields: Vec<usize> = columns.iter().map(|c| part.field_of(*c)).collect();
        for (records, row) in part.all(skip) {
            let mut hasher = DefaultHasher::new();
            fields.iter().for_each(|field| records.raw(row, *field).hash(&mut hasher));
            if !seen.insert(hasher.finish()) {
                return false;
            }
        }
    }
    true
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
