//! What becomes of a row does not depend on which rows come with it: a replay reads it in another batch. And no row is lost or made.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench;

use proptest::prelude::*;
use serde_json::json;
use unbatch_api::{Batch, Op, Ops, Stepped};
use unbatch_steps::{Derive, Filter, Route};

const COLUMNS: &str = "a: int64, b: decimal(6,2), c: string, d: date";

/// Expressions of which some fail for some rows.
const NUMBERS: [&str; 8] = [
    "a / (a - 3)",
    "b / a",
    "case when a = 0 then null else 100 / a end",
    "cast(c as int64) + a",
    "coalesce(try_cast(c as int64), 0) % a",
    "cast(b * b * b as decimal(8,2))",
    "cast(left(c, 1) as int64)",
    "a * 3074457345618258602",
];
const CONDITIONS: [&str; 8] = [
    "a > 0",
    "a <> 0 and 10 / a > 1",
    "a = 0 or 10 / a > 1",
    "b / a > 1 and c is not null",
    "cast(c as int64) > 1",
    "c in ('1', 'x') or b > 0",
    "not (d > '2024-01-05') or a / 0.5 > 3",
    "date_trunc('month', d) = '2024-01-01' and cast(c as date) is null",
];

type Row = (Option<i64>, Option<i32>, Option<&'static str>, Option<u8>, u8);

fn row() -> impl Strategy<Value = Row> {
    (
        proptest::option::of(-4_i64..5),
        proptest::option::of(-99_999_i32..99_999),
        proptest::option::of(proptest::sample::select(vec!["1", "x", "12", "-3", "2024-01-01"])),
        proptest::option::of(1_u8..28),
        0_u8..4,
    )
}

fn batch(rows: &[Row]) -> Batch {
    let word = |cell: Option<String>| cell.unwrap_or_else(|| "∅".to_owned());
    let lines: Vec<String> = rows
        .iter()
        .map(|(a, b, c, d, _)| {
            let cells = [
                word(a.map(|a| a.to_string())),
                word(b.map(|b| format!("{}{}.{:02}", if b < 0 { "-" } else { "" }, b.abs() / 100, b.abs() % 100))),
                word(c.map(str::to_owned)),
                word(d.map(|d| format!("2024-01-{d:02}"))),
            ];
            cells.join(" ")
        })
        .collect();
    let ops = rows.iter().map(|row| [Op::Create, Op::Update, Op::Delete, Op::Read][usize::from(row.4)]).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    Batch { ops: Ops::PerRow(ops), ..bench::table(COLUMNS, &[], &lines) }
}

/// Stream, operation and cells of what goes on; code of what is refused; in the order of streams.
fn outcomes(stepped: &Stepped) -> Vec<String> {
    let mut told = Vec::new();
    for batch in &stepped.batches {
        let rows = bench::rows(batch).into_iter().enumerate();
        told.extend(rows.map(|(at, row)| format!("{} {} {row}", batch.stream, batch.ops.at(at).letter())));
        told.extend(batch.rejected.iter().map(|row| format!("refused {}", row.code)));
    }
    told.sort();
    told
}

fn check(step: impl Fn(Batch) -> Stepped, rows: &[Row]) -> Result<(), TestCaseError> {
    let together = step(batch(rows));
    let mut alone = Vec::new();
    let mut filtered = 0;
    for row in rows {
        let stepped = step(batch(std::slice::from_ref(row)));
        alone.extend(outcomes(&stepped));
        filtered += stepped.filtered;
    }
    alone.sort();
    prop_assert_eq!(outcomes(&together), alone);
    prop_assert_eq!(together.filtered, filtered);
    let after: u64 = together.batches.iter().map(Batch::rows_read).sum();
    prop_assert_eq!(rows.len() as u64, after + together.filtered);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn a_row_is_the_same_alone_and_among_others(
        rows in proptest::collection::vec(row(), 0..40),
        number in 0..NUMBERS.len(),
        condition in 0..CONDITIONS.len(),
    ) {
        check(|batch| bench::stepped::<Filter>(json!(CONDITIONS[condition]), batch), &rows)?;
        check(|batch| bench::stepped::<Derive>(json!({"e": NUMBERS[number]}), batch), &rows)?;
        let cases = json!([
            {"to": "first", "when": CONDITIONS[condition]},
            {"to": {"expr": "'s.' || c"}, "when": "c is not null"},
        ]);
        // with no rows there is a stream all the same
        if !rows.is_empty() {
            check(|batch| bench::stepped::<Route>(cases.clone(), batch), &rows)?;
        }
    }
}
