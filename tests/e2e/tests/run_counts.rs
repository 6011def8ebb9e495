//! What a run counts: each row and each file once, however often it was read, and a file that was read after all is parked no more.
#![allow(clippy::unwrap_used, reason = "tests stop at what they did not expect")]

mod served;
mod shop;

use served::Served;
use shop::Shop;
use unbatch_test_harness::Broker;

#[test]
fn what_is_read_again_after_a_failure_is_counted_once() {
    let broker = Broker::embedded();
    let shop = Shop::empty(&broker, "");
    shop.drop_file("bad.csv", "other,header\n1,2\n");
    shop.drop_file("good.csv", "sku,price\nA,1.00\nB,2.00\nC,3.O0\n");
    // one failure before the epoch is sealed, one before its transaction is committed
    let worker = Served::start(&shop, "engine.before_seal=fail@1;topic.before_commit=fail@1");
    let split = worker.wait_for_split("the rows", |split| split["written_ever"] == 2);
    assert!(worker.metric("unbatch_split_restarts_total") >= 2.0, "{split}");
    for (metric, times) in [
        // the entry of the parked file is one of them
        ("unbatch_rows_read_total", 4.0),
        ("unbatch_rows_written_total", 2.0),
        ("unbatch_source_rows_read_total", 4.0),
        ("unbatch_source_files_loaded_total", 1.0),
        ("unbatch_source_files_failed_total", 1.0),
        ("unbatch_parked_inputs", 1.0),
    ] {
        assert_eq!(worker.metric(metric), times, "{metric}: {split}");
    }
    let parked: Vec<_> = split["notices"].as_array().unwrap().iter().filter(|n| n["code"] == "parked").collect();
    assert_eq!((split["parked"].as_u64(), parked.len()), (Some(1), 1), "{split}");
    worker.end();
}

/// The panel, `status` and `quarantine list` say the same of a file that was parked and then read.
#[test]
fn a_parked_file_that_was_read_after_all_is_nowhere_parked_any_more() {
    let broker = Broker::embedded();
    let shop = Shop::empty(&broker, "");
    shop.drop_file("a.csv", "other,header\n1,2\n");
    let worker = Served::start(&shop, "");
    worker.wait_for_split("the parked file", |split| split["parked"] == 1 && split["numbers"]["files_parked"] == 1);
    assert!(shop.list(&[]).stdout.contains("header_missing_column"));
    assert!(worker.shown(&shop).contains("1 file parked"));
    // mended under its name
    shop.drop_file("a.csv", "sku,price\nA,1.00\n");
    let split = worker.wait_for_split("the mended file", |split| {
        split["written_ever"] == 1 && split["parked"] == 0 && split["numbers"]["files_parked"] == 0
    });
    assert!(split["notices"].as_array().unwrap().iter().all(|n| n["code"] != "parked"), "{split}");
    assert_eq!(worker.metric("unbatch_parked_inputs"), 0.0);
    let shown = worker.shown(&shop);
    assert!(!shown.to_lowercase().contains("parked"), "{shown}");
    let list = shop.list_json(&[]);
    assert_eq!(list["result"]["entries"].as_array().map(Vec::len), Some(0), "{list}");
    let said = worker.end();
    let last = said.lines().rev().find(|line| line.starts_with("prices  ")).unwrap_or_default();
    assert!(last.contains("1 row") && !last.contains("parked") && !said.contains("set aside"), "{said}");
}

/// The next start reads it, under another configuration.
#[test]
fn the_summary_of_a_run_that_read_what_was_parked_before_says_nothing_of_it() {
    let broker = Broker::embedded();
    let shop = Shop::empty(&broker, "");
    shop.drop_file("a.csv", "sku;price\nA;1.00\nB;2.00\n");
    let first = shop.launch(&["run", "--once", "--no-http"]).run(shop::DEADLINE);
    assert!(!first.status.success() && first.stderr.contains("set aside"), "{}", first.stderr);
    shop.edit("    columns:", "    dialect: {delimiter: \";\"}\n    columns:");
    let second = shop.launch(&["run", "--once", "--no-http", "--json"]).run(shop::DEADLINE);
    assert!(second.status.success(), "{}{}", second.stdout, second.stderr);
    let summary: serde_json::Value = serde_json::from_str(&second.stdout).unwrap();
    let line = &summary["result"]["pipelines"][0];
    assert_eq!((line["written"].as_u64(), line["parked"].as_u64()), (Some(2), Some(0)), "{summary}");
    assert!(line["notices"].as_array().unwrap().iter().all(|n| n["code"] != "parked"), "{summary}");
    assert_eq!(shop.list_json(&[])["result"]["entries"].as_array().map(Vec::len), Some(0));
}
