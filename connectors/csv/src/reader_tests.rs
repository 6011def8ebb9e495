use super::*;
use proptest::prelude::*;
use unbatch_api::testkit::rows::row_texts;

/// Everything a reader gives: rows and refused rows with their places, how it ended, and its digest.
#[derive(Debug, PartialEq)]
struct All {
    rows: Vec<String>,
    refused: Vec<String>,
    end: Option<&'static str>,
    digest: String,
}

fn config(dialect: &str) -> Arc<CsvDropsConfig> {
    let columns = match dialect {
        fixed if fixed.contains("fixed") => {
            r#"[{"name": "k", "type": "string", "width": 2}, {"name": "v", "type": "int32", "width": 2}]"#
        }
        sums if sums.contains("sums") => r#"[{"name": "k", "type": "string"}, {"name": "v", "type": "int32"}]"#,
        _ => "[]",
    };
    let text = format!(r#"{{"url": "x", "match": "*", "dialect": {dialect}, "columns": {columns}}}"#);
    Arc::new(serde_json::from_str(&text).unwrap())
}

fn reader(data: &[u8], dialect: &str, portion: Portion) -> FileReader {
    FileReader::new(content::in_memory(data, &Default::default()), config(dialect), StopAfter::default(), portion)
}

fn rest_of(data: &[u8], place: Place) -> TextReader {
    content::in_memory_behind(data, &Default::default(), place.byte)
}

/// Every way to read a file, and what goes in front of the bytes.
const DIALECTS: [(&str, &str); 9] = [
    ("{}", "k,v\n"),
    (r#"{"header": "none"}"#, ""),
    (r#"{"skip": 2}"#, "x\"\n\nk,v\n"),
    (r##"{"comment": "#", "escape": "\\", "ragged": "pad"}"##, "#\nk,v\n"),
    (r#"{"delimiter": ",\"", "quote": "none", "terminator": "\n"}"#, "k,\"v\n"),
    (r#"{"format": "fixed", "header": "none", "ragged": "pad"}"#, "a 1 \nb 22\n"),
    (r#"{"format": "fixed", "header": "none", "terminator": "none"}"#, "a 1 b 22"),
    (r#"{"trailer": {"match": "a,a", "rows": {"field": 3}}}"#, "k,v\n"),
    (
        r#"{"ragged": "pad", "trailer": {"match": "T", "rows": {"field": 2}, "sums": [{"of": "v", "field": 3}]}}"#,
        "k,v\nx,5\ny\nz,-7\n",
    ),
];

/// A place after a piece, and how many rows of each kind came before it.
struct Stop {
    place: Place,
    digest: ContentDigest,
    rejected: u64,
    totals: BTreeMap<String, String>,
    rows: usize,
    refused: usize,
}

/// Reads to the end.
fn read(mut reader: FileReader) -> (All, Vec<Stop>) {
    let mut stops = Vec::new();
    let mut all = All { rows: vec![], refused: vec![], end: None, digest: String::new() };
    loop {
        let step = reader.step().unwrap();
        let (rows, bad, is_end) = match step {
            Step::Rows(rows) => (Some(rows), None, false),
            Step::Bad(rows, bad) => (rows, Some(bad), true),
            Step::End => (None, None, true),
        };
        if let Some(rows) = rows {
            let places = rows.lines.iter().zip(&rows.bytes);
            all.rows.extend(row_texts(&rows.rows).iter().zip(places).map(|(text, place)| format!("{place:?} {text}")));
            all.refused.extend(rows.refused.iter().map(|r| format!("{r:?}")));
        }
        all.end = bad.map(|b| b.code);
        if is_end {
            all.digest = reader.read_out(0).unwrap();
            return (all, stops);
        }
        stops.push(Stop {
            place: reader.place(),
            digest: reader.digest().clone(),
            rejected: reader.rejected(),
            totals: reader.totals(),
            rows: all.rows.len(),
            refused: all.refused.len(),
        });
    }
}

const WHOLE: Portion = Portion { rows: 100_000, bytes: PIECE_BYTES };

/// Several buffers of records that begin anywhere in them.
fn large() -> Vec<u8> {
    let mut text = b"id,text\r\n".to_vec();
    for n in 0..60_000 {
        let line = match n % 7 {
            0 => format!("{n},\"two\nlines, \"\"{n}\"\"\"\r\n"),
            1 => format!("{n},\r\n"),
            _ => format!("{n},{}\r\n", "x".repeat(n % 97)),
        };
        text.extend_from_slice(line.as_bytes());
    }
    text
}

#[test]
fn a_file_of_many_buffers_is_what_the_csv_crate_reads() {
    let data = large();
    assert!(data.len() > 2 * PIECE_BYTES);
    let mut theirs = csv::Reader::from_reader(&data[..]);
    let theirs: Vec<String> = theirs
        .records()
        .map(|r| {
            let record = r.unwrap();
            let at = record.position().unwrap();
            let text = if record[1].is_empty() { "∅" } else { &record[1] };
            format!("({}, {}) {}|{text}", at.line(), at.byte(), &record[0])
        })
        .collect();
    let (ours, _) = read(reader(&data, "{}", WHOLE));
    let at = ours.rows.iter().zip(&theirs).position(|(a, b)| place_of(a).1 != place_of(b).1);
    assert_eq!((ours.rows.len(), at), (theirs.len(), None));
    let mut digest = ContentDigest::new();
    digest.update(&data);
    assert_eq!((ours.digest, ours.end), (digest.so_far(), None));
}

/// The csv crate gives the place before a record's CRLF is complete, so only cells are compared with it.
fn place_of(row: &str) -> (&str, &str) {
    row.split_once(") ").unwrap()
}

/// Bytes that are dense in what matters.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        Just(b'"'),
        Just(b','),
        Just(b','),
        Just(b'\n'),
        Just(b'\n'),
        Just(b'\r'),
        Just(b'a'),
        Just(b'1'),
        any::<u8>()
    ];
    let ends = prop_oneof![Just(""), Just("\na,a,2"), Just("\nT,3,-2\n"), Just("\nT,4,-2\n\x1a")];
    (proptest::collection::vec(byte, 0..100), ends).prop_map(|(bytes, end)| [&bytes[..], end.as_bytes()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_size_of_pieces_does_not_matter_and_every_place_is_one_to_go_on(
        data in hostile(), rows in 1..6usize, bytes in 1..64usize, which in 0..DIALECTS.len(),
    ) {
        let (dialect, head) = DIALECTS[which];
        let data = [head.as_bytes(), &data].concat();
        let (whole, _) = read(reader(&data, dialect, WHOLE));
        let (pieces, stops) = read(reader(&data, dialect, Portion { rows, bytes }));
        prop_assert_eq!(&pieces, &whole);
        for stop in stops.into_iter().step_by(3) {
            let mut again = reader(&data, dialect, Portion { rows, bytes }).with_totals(&stop.totals).unwrap();
            prop_assert!(again.resume(stop.place, rest_of(&data, stop.place), stop.digest, stop.rejected).unwrap().is_none());
            let (rest, _) = read(again);
            prop_assert_eq!(&rest.rows[..], &whole.rows[stop.rows..]);
            prop_assert_eq!(&rest.refused[..], &whole.refused[stop.refused..]);
            prop_assert_eq!((rest.end, rest.digest), (whole.end, whole.digest.clone()));
        }
    }
}

/// Control totals that are counted in pieces and across a resume are those of the whole file.
#[test]
fn totals_are_carried_over_a_resume() {
    let dialect = r#"{"trailer": {"match": "T", "rows": {"field": 2}, "sums": [{"of": "v", "field": 3}]}}"#;
    let rows: String = (0..50).map(|n| format!("r{n},{}\n", n - 20)).collect();
    for (count, sum, end) in
        [(50, 225, None), (51, 225, Some("trailer_disagrees")), (50, 226, Some("trailer_disagrees"))]
    {
        let data = format!("k,v\n{rows}T,{count},{sum}\n");
        let small = Portion { rows: 7, bytes: 60 };
        let (all, stops) = read(reader(data.as_bytes(), dialect, small));
        assert_eq!((all.rows.len(), all.end), (50, end));
        for stop in stops {
            let mut again = reader(data.as_bytes(), dialect, small).with_totals(&stop.totals).unwrap();
            again.resume(stop.place, rest_of(data.as_bytes(), stop.place), stop.digest, stop.rejected).unwrap();
            assert_eq!(read(again).0.end, end);
        }
    }
    let other = reader(b"k,v\n", dialect, WHOLE).with_totals(&BTreeMap::new());
    assert_eq!(other.err().unwrap().code_text(), Some("U0224"));
}
