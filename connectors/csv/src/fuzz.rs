//! Reads any bytes in any dialect and holds the reader to what it promises: the size of pieces does not matter, every place is one
//! to go on from, and nothing makes it panic. For the fuzz target in `tests/fuzz` and for the tests that play it with random bytes.

use crate::config::CsvDropsConfig;
use crate::content::{in_memory, in_memory_behind};
use crate::position::Place;
use crate::reader::{FileReader, PIECE_BYTES, Portion, Step};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use unbatch_api::StopAfter;

/// Every way to find records, with columns of every type.
const CONFIGS: [&str; 9] = [
    r#"{"url": "x", "match": "*"}"#,
    r#"{"url": "x", "match": "*", "dialect": {"header": "none", "ragged": "pad"}, "field_max": "6B", "field_lines_max": 2,
        "columns": [{"name": "a", "type": "int32"}, {"name": "b", "type": "date"}]}"#,
    r#"{"url": "x", "match": "*", "dialect": {"delimiter": "||", "skip": 1, "comment": "a", "trim": "both"}}"#,
    r#"{"url": "x", "match": "*", "dialect": {"header": "none", "escape": "\\", "nulls": ["a"]},
        "columns": [{"name": "a", "type": "decimal(9,2)", "thousands": ".", "decimal_mark": ",", "negative": "trailing"}]}"#,
    r#"{"url": "x", "match": "*", "dialect": {"escape": "\\", "escapes": "quotes", "terminator": "\r\n"}, "columns_max": 3}"#,
    r#"{"url": "x", "match": "*", "dialect": {"delimiter": "|", "quote": "none", "escape": "\\", "terminator": "|\n"}}"#,
    r#"{"url": "x", "match": "*", "dialect": {"header": "none", "trailer": {"match": "T", "rows": {"field": 2},
        "sums": [{"of": "a", "field": 3}]}}, "columns": [{"name": "a", "type": "int64", "negative": "parentheses"}]}"#,
    r#"{"url": "x", "match": "*", "dialect": {"format": "fixed", "header": "none", "line_width": 5, "ragged": "pad"},
        "columns": [{"name": "a", "type": "string", "width": 2, "values": ["a", "1"]},
                    {"name": "b", "type": "timestamp", "format": "%H", "width": 2, "at": 4}]}"#,
    r#"{"url": "x", "match": "*", "dialect": {"format": "fixed", "header": "none", "terminator": "none", "line_width": 3,
        "trailer": {"match": "T", "rows": {"at": 2}}}, "columns": [{"name": "a", "type": "bool", "width": 1}]}"#,
];

/// What came of a file: each row and refused row by its place, the reason of its end, its digest.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    rows: Vec<(u64, u64)>,
    refused: Vec<(u64, u64, &'static str)>,
    end: Option<&'static str>,
    digest: String,
}

/// A place to go on from, and what had come until then.
struct Stop {
    place: Place,
    digest: crate::digest::ContentDigest,
    rejected: u64,
    totals: BTreeMap<String, String>,
    rows: usize,
    refused: usize,
}

/// The first byte chooses the dialect, the second the size of pieces; the others are the file. Panics when a promise is broken.
pub fn read_any(data: &[u8]) {
    let [which, size, file @ ..] = data else { return };
    let Some(config) = configs().get(usize::from(*which) % CONFIGS.len()) else { return };
    let whole = Portion { rows: 100_000, bytes: PIECE_BYTES };
    let small = Portion { rows: 1 + usize::from(size % 5), bytes: 1 + usize::from(*size) };
    let (all, _) = outcome(reader(file, config, whole), true);
    let (pieces, stops) = outcome(reader(file, config, small), true);
    assert_eq!(pieces, all, "in pieces");
    for stop in stops.iter().step_by(1 + stops.len() / 8) {
        let again = reader(file, config, small).with_totals(&stop.totals);
        let Ok(mut again) = again else { panic!("its own totals are refused") };
        let rest = in_memory_behind(file, &config.layers(), stop.place.byte);
        let bad = again.resume(stop.place, rest, stop.digest.clone(), stop.rejected);
        assert!(matches!(bad, Ok(None)), "the header is not what it was");
        let (rest, _) = outcome(again, false);
        assert_eq!((&rest.rows[..], &rest.refused[..]), (&all.rows[stop.rows..], &all.refused[stop.refused..]), "rest");
        assert_eq!((rest.end, rest.digest), (all.end, all.digest.clone()), "end of the rest");
    }
}

fn configs() -> &'static [Arc<CsvDropsConfig>] {
    static CONFIGS_READ: OnceLock<Vec<Arc<CsvDropsConfig>>> = OnceLock::new();
    CONFIGS_READ.get_or_init(|| {
        let read = |text: &&str| match serde_json::from_str(text) {
            Ok(config) => Arc::new(config),
            Err(error) => panic!("a configuration cannot be read: {error}"),
        };
        CONFIGS.iter().map(read).collect()
    })
}

fn reader(file: &[u8], config: &Arc<CsvDropsConfig>, portion: Portion) -> FileReader {
    FileReader::new(in_memory(file, &config.layers()), config.clone(), StopAfter::default(), portion)
}

fn outcome(mut reader: FileReader, from_start: bool) -> (Outcome, Vec<Stop>) {
    let (mut all, mut stops) = (Outcome::default(), Vec::new());
    loop {
        let Ok(step) = reader.step() else { panic!("reading from memory failed") };
        let (rows, bad, is_end) = match step {
            Step::Rows(rows) => (Some(rows), None, false),
            Step::Bad(rows, bad) => (rows, Some(bad), true),
            Step::End => (None, None, true),
        };
        if let Some(rows) = rows {
            assert_eq!(rows.rows.num_rows(), rows.lines.len());
            all.rows.extend(rows.lines.iter().copied().zip(rows.bytes.iter().copied()));
            all.refused.extend(rows.refused.iter().map(|r| (r.line, r.byte, r.code)));
        }
        if is_end {
            all.end = bad.map(|bad| bad.code);
            all.digest = reader.read_out(0).unwrap_or_default();
            let rows = reader.place().row;
            assert!(
                !from_start || all.end.is_some() || rows == (all.rows.len() + all.refused.len()) as u64,
                "{rows} rows"
            );
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
