//! What other programs do to CSV files, each as a test of ours. Seen with Conduit 0.19, Redpanda Connect 4.106, mq-bridge and faucet, and told
//! of Vector, Airbyte and DuckDB.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;

use harness::{Drops, numbered, rows_of};
use serde_json::{Value, json};
use unbatch_api::{Bound, Checkpoint};

fn orders() -> Drops {
    let columns = json!([
        {"name": "id", "type": "int64", "required": true}, {"name": "quantity", "type": "int32"},
        {"name": "price", "type": "decimal(9,2)"},
    ]);
    with(columns)
}

fn with(columns: Value) -> Drops {
    Drops::new().with("columns", columns).with("ready_when", json!({"stable_for": "1ms"}))
}

/// 10,000 rows, the 5,000th of which is another.
fn ten_thousand(bad: &str) -> String {
    let row = |n: u32| if n == 5_000 { bad.to_owned() } else { format!("{n},{},{n}.50", n % 40) };
    (1..=10_000).fold("id,quantity,price\n".into(), |text: String, n| text + &row(n) + "\n")
}

/// Conduit stops there, Redpanda Connect and mq-bridge send the row on; none of them names file and row.
#[tokio::test]
async fn a_row_with_too_few_fields_is_set_aside_by_name_and_the_others_go_on() {
    let drops = orders();
    drops.deliver("orders.csv", ten_thousand("5000"));
    let run = drops.once(&Checkpoint::default()).await;
    assert_eq!((run.rows.len(), run.codes()), (9_999, vec!["too_few_fields"]));
    assert_eq!(run.rejected[0].origin.to_string(), "orders.csv:5001");
}

/// Conduit's script makes null of it, Redpanda Connect sends the text on and leaves the other numbers as text.
#[tokio::test]
async fn a_word_in_a_number_column_is_set_aside_by_name_and_the_others_go_on() {
    let drops = orders();
    drops.deliver("orders.csv", ten_thousand("5000,twelve,1.00"));
    let run = drops.once(&Checkpoint::default()).await;
    assert_eq!((run.rows.len(), run.codes()), (9_999, vec!["bad_int"]));
    assert_eq!(run.rejected[0].origin.to_string(), "orders.csv:5001");
    assert!(run.rejected[0].message.contains("`quantity`") && !run.rejected[0].message.contains("twelve"));
}

/// Redpanda Connect's `.number()` makes 1.000002e+06 of a key.
#[tokio::test]
async fn whole_numbers_stay_whole_numbers() {
    let drops = with(json!([{"name": "id", "type": "int64"}]));
    drops.deliver("a.csv", "id\n1000002\n9007199254740993\n-9223372036854775808\n");
    let run = drops.once(&Checkpoint::default()).await;
    assert_eq!(run.rows, ["a.csv:2 1000002", "a.csv:3 9007199254740993", "a.csv:4 -9223372036854775808"]);
}

/// Conduit sends 130.54 as "6527/50".
#[tokio::test]
async fn decimals_stay_what_they_are() {
    let drops = with(json!([{"name": "price", "type": "decimal(12,2)"}]));
    drops.deliver("a.csv", "price\n130.54\n0.10\n");
    assert_eq!(drops.once(&Checkpoint::default()).await.rows, ["a.csv:2 130.54", "a.csv:3 0.10"]);
}

/// To Conduit the header is a row; to mq-bridge and faucet every value is text.
#[tokio::test]
async fn the_header_is_no_row_and_leading_zeros_are_kept_where_a_column_is_text() {
    let drops = with(json!([{"name": "n", "type": "int32"}]));
    drops.deliver("a.csv", "zip,n\n01067,7\n");
    assert_eq!(drops.once(&Checkpoint::default()).await.rows, ["a.csv:2 7|01067"]);
}

/// After a crash Conduit sends 4,428 of 300,000 rows again, Redpanda Connect all that it had sent.
#[tokio::test]
async fn after_a_stop_in_the_middle_the_rest_comes_and_nothing_twice() {
    let drops = Drops::new().with("ready_when", json!({"stable_for": "1ms"}));
    drops.deliver("a.csv", numbered(0..5_000));
    let mut run = drops.open_with(Checkpoint::default(), Bound::Once, |s| s.rows(700)).await.unwrap();
    run.read_rows(2_000).await.unwrap();
    run.commit().await.unwrap();
    let (first, committed) = (run.rows.clone(), run.committed.clone());
    drop(run);
    let rest = drops.once(&committed).await.rows;
    assert_eq!([first, rest].concat(), rows_of("a.csv", 0..5_000));
}

/// DuckDB guesses the dialect anew for each file: a file in which another character divides the rows as well changes its meaning.
#[tokio::test]
async fn a_dialect_is_never_guessed_while_files_are_read() {
    let drops = with(json!([]));
    drops.deliver("a.csv", "a;b,c;d\n1;2,3;4\n");
    drops.deliver("b.csv", "a;b;c;d\n1;2;3;4\n");
    let run = drops.once(&Checkpoint::default()).await;
    assert_eq!(run.rows, ["a.csv:2 1;2|3;4", "b.csv:2 1;2;3;4"]);
}

/// Vector takes two files for one whose first lines are the same; Airbyte leaves a file out that came late with an old date.
#[tokio::test]
async fn files_that_begin_alike_and_files_that_come_late_are_all_read() {
    let drops = Drops::new().with("ready_when", json!({"stable_for": "1ms"}));
    drops.deliver("b.csv", numbered(0..3));
    drops.deliver("c.csv", numbered(0..4));
    let mut run = drops.open(Bound::Once).await;
    run.finish().await.unwrap();
    run.commit().await.unwrap();
    assert_eq!(run.rows, [rows_of("b.csv", 0..3), rows_of("c.csv", 0..4)].concat());
    drops.deliver("a.csv", numbered(0..3));
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(90 * 86_400);
    std::fs::File::options().append(true).open(drops.path("a.csv")).unwrap().set_modified(old).unwrap();
    assert_eq!(drops.once(&run.committed).await.rows, rows_of("a.csv", 0..3));
}
