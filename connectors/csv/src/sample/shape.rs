//! How a file is written: its delimiter and its quotes, found by trying each and counting which gives records of one width.

use super::excerpt::Excerpt;
use crate::scanner::{self, Block, Field, Marks, Wanted};
use std::borrow::Cow;
use unbatch_api::{Error, Result};

/// In the order in which they are preferred when they fit alike.
const DELIMITERS: [u8; 4] = *b",;\t|";
/// Records that a delimiter is tried on.
const TRIED_MAX: usize = 2_000;
/// Share of records with one and the same width from which on a delimiter is taken, and is taken for another possible one.
const TAKEN: f64 = 0.75;
const ALSO_FITS: f64 = 0.95;
/// Up to so many records a sample is small, and more than this share of them decides.
const SMALL_RECORDS: usize = 50;
const TAKEN_OF_SMALL: f64 = 0.5;
/// Percent of the records with one width from which on the file is taken for an uneven table, not for something else.
const UNEVEN_PERCENT: u32 = 30;
/// Longest line of a file of one column.
const ALONE_BYTES_MAX: usize = 64;
/// Most that is looked at for the end of the first record.
const FIRST_RECORD_MAX: usize = 1 << 20;

/// How the files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub delimiter: u8,
    pub quote: u8,
    /// Fields of a record.
    pub width: usize,
    /// Another delimiter that divides every record too.
    pub rival: Option<u8>,
}

/// Records of one file, as offsets into its bytes.
pub struct Records {
    data: Vec<u8>,
    block: Block,
    width: usize,
    quote: u8,
    /// Records with another number of fields, or with broken quotes.
    pub misshapen: usize,
    /// The file ends inside a quoted field.
    pub is_cut: bool,
}

/// One field as it was written.
#[derive(Clone, Debug)]
pub struct Cell<'a> {
    pub text: Cow<'a, str>,
    /// Quotes stood around it, so it is never NULL.
    pub is_quoted: bool,
}

/// One delimiter tried on one file.
struct Trial {
    marks: Marks,
    width: usize,
    first_width: usize,
    /// Share of the records that have `width`.
    share: f64,
    records: usize,
    quoted: usize,
    broken_quotes: usize,
}

impl Shape {
    /// The shape of a file with at least one record.
    pub fn of(excerpt: &Excerpt) -> Result<Self> {
        check_first_record(excerpt)?;
        if let Some(kind) = other_kind(&excerpt.head) {
            return Err(no_table(excerpt, &format!("it looks like {kind}"))
                .help("only files with separated values are read; export it as CSV"));
        }
        let quote = quote_of(excerpt);
        let mut trials: Vec<Trial> = DELIMITERS.iter().map(|d| Trial::of(excerpt, *d, quote)).collect();
        let nearest = trials.iter().filter(|t| t.width > 1).max_by(|a, b| a.share.total_cmp(&b.share));
        let nearest = nearest.map(|t| (t.marks.delimiter, t.width, (t.share * 100.0) as u32));
        trials.retain(Trial::is_taken);
        // stable: of those that fit alike the first stays first
        trials.sort_by(|a, b| (b.share, b.width).partial_cmp(&(a.share, a.width)).unwrap_or(std::cmp::Ordering::Equal));
        let Some(best) = trials.first() else { return alone(excerpt, quote, nearest) };
        if best.first_width != best.width {
            return Err(no_table(excerpt, "its first line has another number of fields than the others")
                .with("fields", best.first_width)
                .with("others have", best.width)
                .help(
                    "give each column a name; where lines stand in front of the header, take them away from a copy and draft from \
                     that, then add `skip: N` to `dialect`, with the number of those lines",
                ));
        }
        let rival = trials.iter().skip(1).find(|t| t.share >= ALSO_FITS && t.first_width == t.width);
        Ok(Self { delimiter: best.marks.delimiter, quote, width: best.width, rival: rival.map(|t| t.marks.delimiter) })
    }

    /// Records of the head, or of the tail, which counts only if all of it fits: it may begin inside quotes.
    pub fn records(&self, excerpt: &Excerpt) -> (Records, Option<Records>) {
        let head = self.scan(&excerpt.head, excerpt.is_whole);
        let tail = (!excerpt.tail.is_empty()).then(|| self.scan(&excerpt.tail, true));
        (head, tail.filter(|t| t.misshapen == 0 && !t.is_cut))
    }

    fn scan(&self, data: &[u8], at_end: bool) -> Records {
        let mut block = Block::default();
        let wanted = Wanted { width: Some(self.width), records_max: usize::MAX, field_max: usize::MAX, at_end };
        let marks = Marks { delimiter: self.delimiter, quote: self.quote };
        let scanned = scanner::scan(data, 1, marks, wanted, &mut block);
        let (misshapen, is_cut) = (block.misshapen.len(), scanned.open_quote);
        Records { data: data.to_vec(), block, width: self.width, quote: self.quote, misshapen, is_cut }
    }
}

impl Records {
    pub fn len(&self) -> usize {
        self.block.records.len()
    }
    /// The fields of one record.
    pub fn row(&self, row: usize) -> impl Iterator<Item = Cell<'_>> {
        let fields = self.block.fields.chunks_exact(self.width).nth(row).unwrap_or_default();
        fields.iter().map(|field| self.cell(*field))
    }
    /// The physical line on which a record begins, from 1 at the first byte that was read.
    pub fn line(&self, row: usize) -> u64 {
        self.block.records.get(row).map_or(0, |record| record.line)
    }
    /// Bytes of the cell as they stand in the file.
    pub fn raw(&self, row: usize, column: usize) -> &[u8] {
        self.block.fields.get(row * self.width + column).map_or(&[], |field| &self.data[field.range()])
    }
    fn cell(&self, field: Field) -> Cell<'_> {
        let mut scratch = Vec::new();
        let text = match field.has_doubled_quotes() {
            // the excerpt is UTF-8, and it is cut at ASCII only
            false => String::from_utf8_lossy(&self.data[field.range()]),
            true => {
                let text = scanner::content(&self.data, field, self.quote, &mut scratch);
                Cow::Owned(String::from_utf8_lossy(text).into_owned())
            }
        };
        Cell { text, is_quoted: field.is_quoted() }
    }
}

impl Trial {
    fn of(excerpt: &Excerpt, delimiter: u8, quote: u8) -> Self {
        let marks = Marks { delimiter, quote };
        let mut block = Block::default();
        let wanted = Wanted { width: None, records_max: TRIED_MAX, field_max: usize::MAX, at_end: excerpt.is_whole };
        scanner::scan(&excerpt.head, 1, marks, wanted, &mut block);
        let widths = widths(&block);
        let width = most_frequent(&widths);
        let fitting = widths.iter().filter(|w| **w == width).count();
        Trial {
            marks,
            width,
            first_width: widths.first().copied().unwrap_or_default(),
            share: fitting as f64 / block.len().max(1) as f64,
            records: block.len(),
            quoted: block.fields.iter().filter(|f| f.is_quoted()).count(),
            broken_quotes: block.misshapen.len(),
        }
    }
}

impl Trial {
    /// Enough records have one width. In a small sample a few broken ones weigh much, so most are enough, where their width is
    /// none that sentences have too.
    fn is_taken(&self) -> bool {
        let is_small = self.records <= SMALL_RECORDS && self.first_width == self.width;
        let is_sure = self.width > 2 || self.marks.delimiter != b',';
        self.width > 1 && (self.share >= TAKEN || (is_small && is_sure && self.share > TAKEN_OF_SMALL))
    }
}

/// Fields of each record.
fn widths(block: &Block) -> Vec<usize> {
    let mut fields = block.fields.iter().peekable();
    let mut count = |end: usize| {
        let mut n = 0;
        while fields.next_if(|f| f.range().start <= end).is_some() {
            n += 1;
        }
        n
    };
    block.records.iter().map(|r| count(r.end as usize)).collect()
}

/// The smallest of those that come most often.
fn most_frequent(widths: &[usize]) -> usize {
    let mut sorted = widths.to_vec();
    sorted.sort_unstable();
    let (mut best, mut best_count) = (0, 0);
    for run in sorted.chunk_by(|a, b| a == b) {
        if run.len() > best_count {
            (best, best_count) = (run[0], run.len());
        }
    }
    best
}

/// Double quotes, unless the file has none and single ones stand around fields again and again.
fn quote_of(excerpt: &Excerpt) -> u8 {
    if memchr::memchr(b'\'', &excerpt.head).is_none() {
        return b'"';
    }
    let tried = |quote| DELIMITERS.map(|delimiter| Trial::of(excerpt, delimiter, quote));
    if tried(b'"').iter().any(|t| t.quoted > 0 || t.broken_quotes > 0) {
        return b'"';
    }
    let single = tried(b'\'');
    let is_used =
        single.iter().any(|t| t.width > 1 && t.quoted >= t.records && t.broken_quotes == 0 && t.share >= TAKEN);
    if is_used { b'\'' } else { b'"' }
}

/// A file of one column: short values, one a line. Everything else without a delimiter is another kind of file.
fn alone(excerpt: &Excerpt, quote: u8, nearest: Option<(u8, usize, u32)>) -> Result<Shape> {
    let text = String::from_utf8_lossy(&excerpt.head);
    let mut lines = text.lines().filter(|l| !l.trim().is_empty());
    let is_value = |l: &str| l.len() <= ALONE_BYTES_MAX && !l.trim_end().contains(char::is_whitespace);
    let has_mark = |l: &str| l.bytes().any(|b| DELIMITERS.contains(&b));
    if lines.clone().all(|l| is_value(l) && !has_mark(l)) && lines.by_ref().next().is_some() {
        return Ok(Shape { delimiter: b',', quote, width: 1, rival: None });
    }
    if let Some((delimiter, width, percent)) = nearest.filter(|(.., percent)| *percent >= UNEVEN_PERCENT) {
        return Err(no_table(excerpt, "its lines have different numbers of fields")
            .with("delimiter", char::from(delimiter).escape_default())
            .with("most have", format!("{width}, which is {percent} % of them"))
            .help(
                "have each line written with all its delimiters, and fields that hold one in quotes; where rows only lack fields \
                 at their end, `dialect: {ragged: pad}` takes them, in a pipeline file that is written by hand or drafted from better \
                 rows",
            ));
    }
    Err(no_table(excerpt, "no delimiter divides its lines into the same number of fields")
        .with("tried", "comma, semicolon, tab, |")
        .help(
            "write the pipeline file by hand: `dialect: {delimiter: …}` if another character divides its columns, `dialect: {format: fixed}` \
             if they have their place in the line (`unbatch connectors csv_drops` shows all options)",
        ))
}

/// The first record must end within what is looked at, and not inside quotes.
fn check_first_record(excerpt: &Excerpt) -> Result<()> {
    let head = &excerpt.head;
    let mut block = Block::default();
    let marks = Marks { delimiter: b',', quote: b'"' };
    let wanted = Wanted { width: None, records_max: 2, field_max: usize::MAX, at_end: excerpt.is_whole };
    let scanned = scanner::scan(head, 1, marks, wanted, &mut block);
    let is_endless = !excerpt.is_whole && block.len() < 2;
    let is_open = scanned.open_quote && block.len() < 2;
    if !(is_endless || is_open) {
        return Ok(());
    }
    let line = 1 + scanned.lines;
    let what = match excerpt.is_whole {
        true => "the file ends inside a quoted field".to_owned(),
        false => format!("no record ends within {} KiB", FIRST_RECORD_MAX >> 10),
    };
    Err(no_table(excerpt, &what)
        .with("line", line)
        .with("byte", scanned.used)
        .help("look for a quote that is not closed at that line; a file without line breaks is no CSV file"))
}

/// What text is that has delimiters too, and is no table.
fn other_kind(head: &[u8]) -> Option<&'static str> {
    match head.trim_ascii_start() {
        [b'{', ..] => Some("JSON"),
        [b'[', rest @ ..] if matches!(rest.trim_ascii_start(), [b'{' | b'[', ..]) => Some("JSON"),
        [b'<', b'?' | b'!' | b'a'..=b'z' | b'A'..=b'Z', ..] => Some("XML or HTML"),
        [b'%', b'P', b'D', b'F', ..] => Some("a PDF file"),
        _ => None,
    }
}

/// An error about a file that is text, and yet no table.
pub fn no_table(excerpt: &Excerpt, why: &str) -> Error {
    Error::misconfigured(format!("sampling a file failed: {why}")).code("U0232").with("file", excerpt.path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Result<Shape> {
        Shape::of(&Excerpt::of("a.csv", text.as_bytes()).unwrap())
    }

    #[track_caller]
    fn check(text: &str, delimiter: char, quote: char, width: usize, rival: Option<char>) {
        let found = shape(text).unwrap();
        let wanted = Shape { delimiter: delimiter as u8, quote: quote as u8, width, rival: rival.map(|r| r as u8) };
        assert_eq!(found, wanted, "{text}");
    }

    #[test]
    fn the_delimiter_is_the_one_that_gives_records_of_one_width() {
        check("a,b\n1,2\n", ',', '"', 2, None);
        check("a;b;c\n1,5;2;x\n3;4,25;y, z\n", ';', '"', 3, None);
        check("\"a\";\"b\"\n\"1,5\";\"2,5\"\n\"x\";\"y\"\n", ';', '"', 2, None);
        check("a\tb\n1\tx, y\n2\tz, w\n", '\t', '"', 2, None);
        check("a|b|c\r\n1|2|3\r\n", '|', '"', 3, None);
        // most of a small sample decide
        check("a;b;c\n1;2;3\n4;5;6\n7;8;9\n1;2\n1;2;3;4\n1;2;3\n", ';', '"', 3, None);
        // lines within quotes, and some rows that are broken
        let rows = "1,\"two\nlines\",3\n".repeat(8);
        check(&format!("a,b,c\n{rows}1,2\n1,2,3,4\n"), ',', '"', 3, None);
    }

    #[test]
    fn two_delimiters_that_fit_are_both_told() {
        check("1;2,5;3\n4;5,5;6\n", ';', '"', 3, Some(','));
        check("a;b\n1,5;2,5\n3,5;4,5\n", ';', '"', 2, None);
    }

    #[test]
    fn single_quotes_count_only_where_they_stand_around_fields() {
        check("a,b\n'x, y','z'\n'u, v','w'\n", ',', '\'', 2, None);
        check("a,b\n'tis,1\nit's,2\n", ',', '"', 2, None);
    }

    #[test]
    fn one_column_is_a_table_of_short_values_only() {
        check("sku\nNL-1\nNL-2\n", ',', '"', 1, None);
        for (text, part) in [
            ("Dear reader\nthis is a letter\n", "no delimiter"),
            ("a   b   c\n1   2   3\n", "no delimiter"),
            ("{\"a\": 1, \"b\": 2}\n{\"a\": 3, \"b\": 4}\n", "JSON"),
            ("[{\"a\": 1}]", "JSON"),
            ("<?xml version=\"1.0\"?>\n<a>1,2</a>\n", "XML"),
            ("Report of Monday\na,b,c\n1,2,3\n4,5,6\n7,8,9\n", "first line"),
            ("a,b,c\n1,2,3\n4,5\n6,7\n8,9,1\n2\n", "different numbers of fields"),
            ("a,b\n\"open,2\n3,4\n", "inside a quoted field"),
        ] {
            let error = shape(text).unwrap_err();
            assert!(error.message().contains(part), "{error:?}");
            assert!(error.remedy().is_some(), "{error:?}");
            assert_eq!(error.code_text(), Some("U0232"));
        }
    }

    #[test]
    fn a_record_without_an_end_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("endless.csv");
        std::fs::write(&path, format!("a,b\n1,\"{}\n", "x, y\n".repeat(400_000))).unwrap();
        let error = Shape::of(&Excerpt::read(&path).unwrap()).unwrap_err();
        assert!(error.message().contains("no record ends within 1024 KiB"), "{error:?}");
        assert!(format!("{error:?}").contains("line 2, byte 4"), "{error:?}");
    }

    #[test]
    fn cells_come_as_they_were_written() {
        let excerpt = Excerpt::of("a.csv", b"a,b\n\"say \"\"hi\"\"\",\n,\"\"\n").unwrap();
        let shape = Shape::of(&excerpt).unwrap();
        let (records, tail) = shape.records(&excerpt);
        assert!(tail.is_none());
        let row = |n| records.row(n).map(|c| (c.text.into_owned(), c.is_quoted)).collect::<Vec<_>>();
        assert_eq!(row(1), [("say \"hi\"".to_owned(), true), (String::new(), false)]);
        assert_eq!(row(2), [(String::new(), false), (String::new(), true)]);
    }
}
