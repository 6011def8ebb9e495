use super::*;
use crate::scanner::ShapeFault;
use proptest::prelude::*;

/// All that a syntax finds in a text.
#[derive(Debug, Default, PartialEq)]
struct Found {
    rows: Vec<Vec<(String, bool)>>,
    odd: Vec<(u64, ShapeFault)>,
    lines: Vec<u64>,
    open_quote: bool,
    swallows: bool,
}

impl Found {
    fn texts(&self) -> Vec<Vec<&str>> {
        self.rows.iter().map(|row| row.iter().map(|(text, _)| text.as_str()).collect()).collect()
    }
}

fn syntax(dialect: &str) -> Syntax {
    Syntax::of(&config(dialect))
}

fn config(dialect: &str) -> CsvDropsConfig {
    serde_json::from_str(&format!(r#"{{"url": "x", "match": "*", "dialect": {dialect}}}"#)).unwrap()
}

/// Reads `data` in pieces of `piece` bytes as a file would be.
fn read(syntax: &Syntax, data: &[u8], piece: usize, width: Option<usize>, bounds: Bounds) -> Found {
    let (mut begin, mut end, mut line) = (0, piece.min(data.len()), 1);
    let (mut found, mut block, mut scratch) = (Found::default(), Block::default(), vec![]);
    loop {
        let at_end = end == data.len();
        let wanted = Wanted { width, records_max: 3, field_max: usize::MAX, at_end };
        let part = &data[begin..end];
        let scanned = syntax.scan(part, line, wanted, bounds, &mut block);
        let mut fields = block.fields.iter();
        for place in &block.records {
            let here = |f: &&Field| f.range().start >= place.start as usize && f.range().end <= place.end as usize;
            let count = width.unwrap_or_else(|| block.fields.iter().filter(here).count());
            let row = fields
                .by_ref()
                .take(count)
                .map(|f| (String::from_utf8_lossy(syntax.content(part, *f, &mut scratch)).into_owned(), f.is_quoted()));
            found.rows.push(row.collect());
            found.lines.push(place.line);
        }
        found.odd.extend(block.misshapen.iter().map(|m| (m.place.line, m.fault)));
        begin += scanned.used;
        line += scanned.lines;
        (found.open_quote, found.swallows) = (scanned.open_quote, scanned.swallows);
        if scanned.open_quote || scanned.swallows || (at_end && !scanned.full) {
            return found;
        }
        if !scanned.full {
            end = (end + piece).min(data.len());
        }
    }
}

/// The same whatever the pieces.
fn rows(dialect: &str, text: &str) -> Found {
    let syntax = syntax(dialect);
    let whole = read(&syntax, text.as_bytes(), text.len().max(1), None, Bounds::NONE);
    for piece in 1..text.len() {
        let pieces = read(&syntax, text.as_bytes(), piece, None, Bounds::NONE);
        assert_eq!(pieces, whole, "{text:?} in pieces of {piece}");
    }
    whole
}

#[test]
fn delimiters_of_several_characters() {
    for (dialect, text) in [
        (r#"{"delimiter": "||"}"#, "a||b|c\n\"x||\"\"y\"||\n"),
        (r#"{"delimiter": "~|~"}"#, "a~|~b|c\n\"x||\"\"y\"~|~\n"),
        (r#"{"delimiter": "¦"}"#, "a¦b|c\n\"x||\"\"y\"¦\n"),
    ] {
        let found = rows(dialect, text);
        assert_eq!(found.texts(), [["a", "b|c"], ["x||\"y", ""]], "{dialect}");
        assert!(found.odd.is_empty() && !found.open_quote);
    }
}

#[test]
fn quotes_may_be_ordinary_characters() {
    for dialect in [r#"{"quote": "none"}"#, r#"{"quote": "none", "comment": "//"}"#] {
        assert_eq!(rows(dialect, "\"a,b\"\n5\",\"\"x\n").texts(), [["\"a", "b\""], ["5\"", "\"\"x"]], "{dialect}");
    }
}

#[test]
fn escapes_in_three_styles() {
    let codes = r#"{"escape": "\\"}"#;
    let found = rows(codes, "a\\,b,\\N\n\"q\\\"r\\n\",\\\\\nx\\\ny,\\t\\Z\\q\n");
    assert_eq!(found.texts(), [["a,b", "N"], ["q\"r\n", "\\"], ["x\ny", "\t\u{1a}q"]]);
    assert_eq!((found.lines, found.odd.len()), (vec![1, 2, 3], 0));
    let literal = r#"{"escape": "\\", "escapes": "literal"}"#;
    assert_eq!(rows(literal, "\\n,\"a\\\"b\"\n\\\"x,\"\"\"\"\n").texts(), [["n", "a\"b"], ["\"x", "\""]]);
    let spark = r#"{"escape": "\\", "escapes": "quotes"}"#;
    let found = rows(spark, "C:\\new,\"a\\\"b\\\\c\\d\"\n\\,x\n");
    assert_eq!(found.texts(), [["C:\\new", "a\"b\\c\\d"], ["\\", "x"]]);
    let caret = r#"{"escape": "^", "quote": "none", "escapes": "literal"}"#;
    assert_eq!(rows(caret, "a^,b,^^\n").texts(), [["a,b", "^"]]);
}

#[test]
fn an_escape_that_escapes_nothing() {
    let found = rows(r#"{"escape": "\\"}"#, "a,b\nc,d\\");
    assert_eq!((found.texts(), &found.odd[..]), (vec![vec!["a", "b"]], &[(2, ShapeFault::BadEscape)][..]));
    assert!(rows(r#"{"escape": "\\"}"#, "a,\"b\\").open_quote);
    assert!(rows(r#"{"escape": "\\"}"#, "a,\"b\\\"").open_quote);
}

#[test]
fn comments_are_whole_lines() {
    let found = rows(r##"{"comment": "#"}"##, "# a, \"b\n1,#2\n\"\n#3\",4\n#end");
    assert_eq!((found.texts(), &found.lines[..]), (vec![vec!["1", "#2"], vec!["\n#3", "4"]], &[2, 3][..]));
    assert_eq!(rows(r#"{"comment": "--"}"#, "-1,2\n--x\n").texts(), [["-1", "2"]]);
}

#[test]
fn line_ends_that_are_declared_are_the_only_ones() {
    let check = |terminator: &str, text: &str, want: &[&[&str]], lines: &[u64]| {
        let found = rows(&format!(r#"{{"terminator": "{terminator}"}}"#), text);
        assert_eq!((found.texts(), &found.lines[..]), (want.iter().map(|r| r.to_vec()).collect(), lines), "{text:?}");
    };
    check("\\n", "a,b\r\nc,\"d\ne\"\n", &[&["a", "b\r"], &["c", "d\ne"]], &[1, 2]);
    check("\\r\\n", "a,b\nc\r\nd,e\r\n", &[&["a", "b\nc"], &["d", "e"]], &[1, 2]);
    check("\\r", "a,b\n\rc,d", &[&["a", "b\n"], &["c", "d"]], &[1, 2]);
    check(
        "\\u001e",
        "a,b\n\u{1e}\u{1e}c,\"d\u{1e}\"\u{1e}e,f\u{1e}",
        &[&["a", "b\n"], &["c", "d\u{1e}"], &["e", "f"]],
        &[1, 3, 5],
    );
    // each field ended by the delimiter: the line's end has it too
    check("|\\n", "a,b|\nc,d|e|\n", &[&["a", "b"], &["c", "d|e"]], &[1, 2]);
}

#[test]
fn a_terminator_may_begin_with_the_delimiter() {
    assert_eq!(rows(r#"{"delimiter": "|", "terminator": "|\n"}"#, "a|b|\n|d|\n").texts(), [["a", "b"], ["", "d"]]);
}

#[test]
fn blanks_may_stand_around_quotes_when_they_are_trimmed() {
    let found = rows(r#"{"trim": "both"}"#, "a, \"b, c\" ,d\n  \n\t\"x\" y,\"z\",\n");
    // what is not quoted is trimmed where it is decoded
    assert_eq!(found.texts(), [["a", "b, c", "d"]]);
    assert_eq!(found.odd, [(3, ShapeFault::BadQuote)]);
}

#[test]
fn ragged_rows_are_filled_up_when_that_is_declared() {
    let bounds = Bounds { pads: true, ..Bounds::NONE };
    for dialect in ["{}", r##"{"comment": "#"}"##] {
        let found = read(&syntax(dialect), b"1,2,3\n1\n1,2,3,,\n1,2,3,4\n1,2,3,\"\"\n", 4, Some(3), bounds);
        assert_eq!(found.texts(), [["1", "2", "3"], ["1", "", ""], ["1", "2", "3"]], "{dialect}");
        assert_eq!(found.odd, [(4, ShapeFault::TooManyFields(4)), (5, ShapeFault::TooManyFields(4))]);
        assert!(!found.rows[1][2].1);
    }
}

#[test]
fn a_quote_that_swallows_lines_is_told_early() {
    let text = format!("a,b\n1,\"{}\",3\n", "x\r\n".repeat(5));
    for dialect in ["{}", r##"{"comment": "#"}"##] {
        for (most, swallows) in [(4, true), (5, false)] {
            let bounds = Bounds { field_lines_max: most, ..Bounds::NONE };
            for piece in 1..text.len() + 1 {
                let found = read(&syntax(dialect), text.as_bytes(), piece, Some(2), bounds);
                assert_eq!((found.swallows, found.rows.len()), (swallows, 1), "{dialect} in pieces of {piece}");
            }
        }
    }
}

#[test]
fn a_line_of_nothing_but_delimiters_is_counted_and_not_kept() {
    let text = format!("1,2\n{}\n3,4\n", ",".repeat(100_000));
    let bounds = Bounds { fields_max: 100, ..Bounds::NONE };
    for dialect in ["{}", r##"{"comment": "#"}"##] {
        let mut block = Block::default();
        let wanted = Wanted { width: Some(2), records_max: 9, field_max: 9, at_end: true };
        syntax(dialect).scan(text.as_bytes(), 1, wanted, bounds, &mut block);
        assert_eq!((block.records.len(), block.fields.len()), (2, 4));
        assert_eq!(block.misshapen[0].fault, ShapeFault::TooManyFields(100_001));
        assert!(block.fields.capacity() < 1_000, "{}", block.fields.capacity());
    }
}

fn fixed(dialect: &str) -> Syntax {
    let columns =
        r#"[{"name": "a", "type": "string", "width": 3}, {"name": "b", "type": "int32", "at": 5, "width": 2}]"#;
    let text = format!(
        r#"{{"url": "x", "match": "*", "columns": {columns}, "dialect": {{"format": "fixed", "header": "none"{dialect}}}}}"#
    );
    Syntax::of(&serde_json::from_str(&text).unwrap())
}

#[test]
fn columns_have_their_place_in_characters() {
    let found = read(&fixed(""), "abc-12\nx y  7\r\n\nü€  99\nab\nabc-123\n".as_bytes(), 7, Some(2), Bounds::NONE);
    assert_eq!(found.texts(), [["abc", "12"], ["x y", " 7"], ["ü€ ", "99"]]);
    assert_eq!(found.odd, [(5, ShapeFault::LineTooShort(2)), (6, ShapeFault::LineTooLong(7))]);
    let pads = Bounds { pads: true, ..Bounds::NONE };
    let found = read(&fixed(""), b"ab\nabc-1\nabc-12  \nabc-12 x\n", 99, Some(2), pads);
    assert_eq!(found.texts(), [["ab", ""], ["abc", "1"], ["abc", "12"]]);
    assert_eq!(found.odd, [(4, ShapeFault::LineTooLong(8))]);
}

#[test]
fn lines_may_have_no_end_but_their_width() {
    let syntax = fixed(r#", "terminator": "none", "line_width": 7"#);
    let text = "abc-12.ü\n -34.xyz 56.\r\n\u{1a}";
    for piece in 1..text.len() + 1 {
        let found = read(&syntax, text.as_bytes(), piece, Some(2), Bounds::NONE);
        assert_eq!(found.texts(), [["abc", "12"], ["ü\n ", "34"], ["xyz", "56"]], "in pieces of {piece}");
        assert!(found.odd.is_empty());
    }
    let cut = read(&syntax, b"abc-12.abc", 99, Some(2), Bounds::NONE);
    assert_eq!((cut.rows.len(), cut.odd), (1, vec![(2, ShapeFault::LineTooShort(3))]));
}

/// Text that is dense in what matters.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        Just(b'"'),
        Just(b','),
        Just(b'\n'),
        Just(b'\r'),
        Just(b'\\'),
        Just(b'#'),
        Just(b' '),
        Just(b'a'),
        any::<u8>()
    ];
    proptest::collection::vec(byte, 0..160)
}

const DIALECTS: [&str; 8] = [
    r#"{"delimiter": ",,"}"#,
    r#"{"escape": "\\"}"#,
    r#"{"escape": "\\", "escapes": "quotes", "trim": "both"}"#,
    r##"{"comment": "#", "escape": "\\", "escapes": "literal", "quote": "none"}"##,
    r#"{"terminator": "\n", "delimiter": "\""  , "quote": "none"}"#,
    r#"{"terminator": "\r\n"}"#,
    r##"{"terminator": ",\n", "comment": "#a"}"##,
    r#"{"trim": "left"}"#,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    /// Two scanners that have nothing in common agree on what both can read.
    #[test]
    fn the_second_scanner_reads_plain_files_as_the_first(
        data in hostile(), piece in 1..200usize, width in prop_oneof![Just(None), (1..4usize).prop_map(Some)],
        pads in any::<bool>(), field_lines_max in prop_oneof![Just(u64::MAX), 0..3u64],
    ) {
        let plain = syntax("{}");
        let wider = Syntax::Wider(Box::new(Wider::new(b",", Some(b'"'), None, LineEnd::Any)));
        let bounds = Bounds { pads, field_lines_max, ..Bounds::NONE };
        let one = read(&plain, &data, piece, width, bounds);
        prop_assert_eq!(&read(&wider, &data, piece, width, bounds), &one);
        prop_assert_eq!(&read(&plain, &data, data.len().max(1), width, bounds), &one);
    }

    #[test]
    fn pieces_do_not_matter_in_any_dialect(data in hostile(), piece in 1..100usize, which in 0..DIALECTS.len()) {
        let syntax = syntax(DIALECTS[which]);
        let whole = read(&syntax, &data, data.len().max(1), None, Bounds::NONE);
        prop_assert_eq!(read(&syntax, &data, piece, None, Bounds::NONE), whole);
        let fixed = fixed(r#", "terminator": "none""#);
        let whole = read(&fixed, &data, data.len().max(1), Some(2), Bounds::NONE);
        prop_assert_eq!(read(&fixed, &data, piece, Some(2), Bounds::NONE), whole);
    }

    /// What `quarantine replay --set` writes is what is read.
    #[test]
    fn a_cell_that_is_written_anew_is_read_as_it_was(text in "[a\"\\\\,\n#|N ]{0,6}", which in 0..DIALECTS.len()) {
        let dialect = DIALECTS[which].replace("\"trim\": \"both\"", "\"trim\": \"none\"").replace("\"trim\": \"left\"", "\"skip\": 0");
        let mut config = config(&dialect.replace('{', "{\"header\": \"none\", "));
        config.dialect.nulls.clear();
        let edit = unbatch_api::quarantine::Edit { column: "c2".into(), text: text.clone() };
        let delimiter = String::from_utf8(config.dialect.delimiter_bytes().to_vec()).unwrap();
        let end = String::from_utf8(LineEnd::of(&config.dialect).text().to_vec()).unwrap();
        let row = format!("x{delimiter}old{delimiter}y{end}");
        // without quotes and escapes some texts cannot be written, and that is said
        let Ok(made) = crate::rewrite::edited(&config, row.as_bytes(), &[edit]) else { return Ok(()) };
        let found = read(&Syntax::of(&config), &made, 999, Some(3), Bounds::NONE);
        // the code for NULL stays one; the decoder looks at it before it is replaced
        let is_null = Syntax::of(&config).null_code().is_some_and(|code| code == text.as_bytes());
        let want = if is_null { "N".to_owned() } else { text.clone() };
        prop_assert_eq!(found.texts(), [["x", want.as_str(), "y"]], "{:?}", String::from_utf8_lossy(&made));
    }
}
