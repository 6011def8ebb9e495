//! `unbatch quarantine` with the real binary and a real broker: what is in the way of an entry is named and keeps nobody from the
//! others, and what is done with leaves the list.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests stop at what they did not expect")]

mod shop;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use shop::{DEADLINE, Shop};
use unbatch_test_harness::{Broker, unique_name};

const MENDED: [&str; 4] = ["--code", "bad_decimal", "--set", "price=7.00"];

/// Something else writes into the quarantine topic.
fn write(broker: &Broker, topic: &str, key: &str, value: &str) {
    let producer: BaseProducer = broker.client().create().unwrap();
    producer.send(BaseRecord::to(topic).partition(0).key(key).payload(value)).map_err(|(e, _)| e).unwrap();
    producer.flush(DEADLINE).unwrap();
}

#[test]
fn what_is_no_entry_is_named_and_keeps_nobody_from_the_others() {
    let Some(broker) = Broker::from_env("what_is_no_entry_is_named_and_keeps_nobody_from_the_others") else { return };
    let shop = Shop::new(&broker);
    write(&broker, &shop.quarantine(), "deadbeef0001", "DE89370400440532013000");
    write(&broker, &shop.quarantine(), "deadbeef0002", r#"{"v":1,"iban":"DE89370400440532013000"}"#);
    shop.drop_file("noon.csv", "sku,price\nG,1.O0\n");
    shop.run_once();

    let list = shop.list(&[]);
    assert_eq!(list.status.code(), Some(1), "{}{}", list.stdout, list.stderr);
    assert_eq!(list.stdout.matches("bad_decimal").count(), 4, "{}", list.stdout);
    assert!(
        list.stderr.contains("U0294") && list.stderr.contains(&format!("{}-0@", shop.quarantine())),
        "{}",
        list.stderr
    );
    let json = shop.list_json(&["--limit", "4"]);
    assert_eq!((&json["ok"], &json["error"]["code"]), (&false.into(), &"U0294".into()), "{json}");
    let unreadable: Vec<&str> =
        json["result"]["unreadable"].as_array().unwrap().iter().map(|u| u["id"].as_str().unwrap()).collect();
    assert_eq!(unreadable, ["deadbeef0001", "deadbeef0002"], "{json}");

    let shown = shop.replay(&[&MENDED[..], &["--dry-run"]].concat());
    assert_eq!((shown.status.code(), shown.stdout.matches("7.00").count()), (Some(1), 4), "{}", shown.stdout);
    let one = json["result"]["entries"][0]["id"].as_str().unwrap();
    let named = shop.replay(&["--ids", one, "--set", "price=7.00"]);
    assert_eq!(named.status.code(), Some(0), "nobody asked for the others: {}{}", named.stdout, named.stderr);
    let wrong = shop.replay(&["--ids", "deadbeef0001", "--set", "price=7.00"]);
    assert!(wrong.stderr.contains("U0294"), "{}{}", wrong.stdout, wrong.stderr);
    let replay = shop.replay(&MENDED);
    assert_eq!(replay.status.code(), Some(1), "{}{}", replay.stdout, replay.stderr);
    assert!(replay.stdout.contains("3 rows replayed") && replay.stderr.contains("U0294"), "{}", replay.stderr);
    assert_eq!(shop.rows().len(), 7);
    for told in [&list, &replay, &wrong] {
        assert!(!told.stdout.contains("DE89") && !told.stderr.contains("DE89"), "{}{}", told.stdout, told.stderr);
    }
}

#[test]
fn a_row_that_was_not_kept_whole_is_marked_and_left_and_the_others_go() {
    let Some(broker) = Broker::from_env("a_row_that_was_not_kept_whole_is_marked_and_left_and_the_others_go") else {
        return;
    };
    let refused = unique_name("refused");
    broker.create_topic(&refused, 1, &[("cleanup.policy", "compact"), ("max.message.bytes", "8192")]);
    let shop = Shop::empty(&broker, &format!("on_error: {{quarantine: {{name: {refused}}}}}\n"));
    shop.drop_file("a.csv", &format!("sku,price\nA,1.O0\n{},2.O0\nC,3.O0\n", "B".repeat(20_000)));
    shop.run_once();
    let list = shop.list(&[]);
    assert_eq!((list.stdout.matches("[cut] ").count(), list.status.code()), (1, Some(0)), "{}", list.stdout);
    assert!(list.stdout.contains("cannot take it"), "{}", list.stdout);
    let json = shop.list_json(&[]);
    let cut: Vec<bool> = json["result"]["entries"].as_array().unwrap().iter().map(|e| e["cut"] == true).collect();
    assert_eq!(cut, [false, true, false], "{json}");
    let show = shop.launch(&["quarantine", "show", "prices"]).run(DEADLINE);
    assert!(show.stdout.contains("were kept; SHA-256 of all") && show.stdout.contains("correct it in a.csv:3"));

    let replay = shop.replay(&MENDED);
    assert_eq!(replay.status.code(), Some(4), "{}{}", replay.stdout, replay.stderr);
    assert!(replay.stdout.contains("2 rows replayed, 1 still wrong"), "{}", replay.stdout);
    assert!(replay.stdout.contains("U0767") && replay.stdout.contains("correct it in a.csv:3"), "{}", replay.stdout);
    assert_eq!(shop.rows().len(), 2);
}

#[test]
fn entries_that_are_passed_over_are_named_with_the_reason() {
    let Some(broker) = Broker::from_env("entries_that_are_passed_over_are_named_with_the_reason") else { return };
    let shop = Shop::new(&broker);
    let set = shop.launch(&["offsets", "set", "prices", "morning.csv=again", "--yes"]).run(DEADLINE);
    assert!(set.status.success(), "{}{}", set.stdout, set.stderr);
    let replay = shop.replay(&MENDED);
    assert_eq!(replay.status.code(), Some(4), "{}{}", replay.stdout, replay.stderr);
    for part in
        ["morning.csv:3", "morning.csv:5", "morning.csv:7", "positions moved once since", "3 passed over", "--ids"]
    {
        assert!(replay.stdout.contains(part), "{part} in {}", replay.stdout);
    }
    let json = shop.replay_json(&MENDED);
    let passed = json["result"]["passed_over"].as_array().unwrap();
    assert_eq!((passed.len(), &passed[0]["code"]), (3, &"bad_decimal".into()), "{json}");
    assert_eq!((&passed[0]["generation"], &passed[0]["generation_now"]), (&1.into(), &2.into()), "{json}");
    let id = passed[0]["id"].as_str().unwrap();
    assert_eq!(shop.replay_json(&["--ids", id, "--set", "price=7.00"])["result"]["rows"], 1);
}

/// What a person does: the delimiter was wrong in the pipeline, not in the file.
#[test]
fn a_parked_file_leaves_the_list_once_the_pipeline_is_mended() {
    let Some(broker) = Broker::from_env("a_parked_file_leaves_the_list_once_the_pipeline_is_mended") else { return };
    let shop = Shop::empty(&broker, "");
    shop.drop_file("a.csv", "sku;price\nA;1.00\nB;2.O0\n");
    let run = shop.launch(&["run", "--once", "--no-http"]).run(DEADLINE);
    assert_eq!(run.status.code(), Some(1), "{}{}", run.stdout, run.stderr);
    assert!(shop.list(&[]).stdout.contains("header_missing_column"));
    let replay = shop.replay(&[]);
    assert_eq!(replay.status.code(), Some(4), "{}", replay.stderr);
    assert!(replay.stdout.contains("a file is not replayed"), "{}", replay.stdout);

    shop.edit("    ready_when:", "    dialect: {delimiter: \";\"}\n    ready_when:");
    shop.run_once();
    assert_eq!(shop.rows().len(), 1);
    let list = shop.list(&[]);
    assert!(list.stdout.contains("a.csv:3") && !list.stdout.contains("header_missing_column"), "{}", list.stdout);
    let all = shop.list(&["--all"]);
    assert!(all.stdout.contains("[replayed] the file was parked"), "{}", all.stdout);
    assert!(all.stdout.contains("settled: it was read to its end later"), "{}", all.stdout);
    shop.run_once();
    assert_eq!(shop.rows().len(), 1, "once");
}

/// Two remedies, each right by itself, double rows when both are followed.
#[test]
fn a_replay_of_rows_whose_file_is_parked_warns_of_the_mended_file() {
    let Some(broker) = Broker::from_env("a_replay_of_rows_whose_file_is_parked_warns_of_the_mended_file") else {
        return;
    };
    let shop = Shop::empty(&broker, "");
    shop.drop_file("a.csv", "sku,price\nA,1.00\nB,2.O0\nC,\"3.00\n");
    let run = shop.launch(&["run", "--once", "--no-http"]).run(DEADLINE);
    assert_eq!(run.status.code(), Some(1), "{}{}", run.stdout, run.stderr);
    let replay = shop.replay(&MENDED);
    assert_eq!(replay.status.code(), Some(0), "{}{}", replay.stdout, replay.stderr);
    assert!(replay.stdout.contains("parked: a.csv. Either replay"), "{}", replay.stdout);
    assert!(replay.stdout.contains("1 row replayed"), "{}", replay.stdout);

    shop.drop_file("b.csv", "sku,price\nD,4.O0\n");
    shop.launch(&["run", "--once", "--no-http"]).run(DEADLINE);
    let whole = shop.replay_json(&MENDED);
    assert_eq!(
        (&whole["result"]["rows"], &whole["result"]["parked_files"]),
        (&1.into(), &serde_json::json!([])),
        "{whole}"
    );
}

/// What no replay mends, and what was mended at its source and came again: a person is done with both.
#[test]
fn settled_entries_leave_the_list_with_consent_and_without_their_rows() {
    let Some(broker) = Broker::from_env("settled_entries_leave_the_list_with_consent_and_without_their_rows") else {
        return;
    };
    let shop = Shop::new(&broker);
    let settle =
        |arguments: &[&str]| shop.launch(&[&["quarantine", "settle", "prices"], arguments].concat()).run(DEADLINE);
    let list = shop.list_json(&[]);
    let first = list["result"]["entries"][0]["id"].as_str().unwrap();

    let unasked = settle(&["--ids", &first[..8]]);
    assert_eq!(unasked.status.code(), Some(2), "{}{}", unasked.stdout, unasked.stderr);
    assert!(unasked.stderr.contains("U0766") && unasked.stderr.contains("--yes"), "{}", unasked.stderr);
    assert!(unasked.stdout.contains("morning.csv:3") && !unasked.stdout.contains("2.O0"), "{}", unasked.stdout);
    let shown = settle(&["--code", "bad_decimal", "--dry-run", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!((&shown["ok"], &shown["result"]["waiting"]), (&true.into(), &3.into()), "{shown}");
    for (wrong, code) in [(["--ids", "0bad"], "U0762"), (["--code", "bad_decimel"], "U0763")] {
        let refused = settle(&[&wrong[..], &["--yes"]].concat());
        assert_eq!(refused.status.code(), Some(2), "{}{}", refused.stdout, refused.stderr);
        assert!(refused.stderr.contains(code), "{}", refused.stderr);
    }
    assert_eq!(shop.list_json(&[])["result"]["entries"].as_array().unwrap().len(), 3, "nothing was changed");

    let settled = settle(&["--ids", &first[..8], "--reason", "delivered anew", "--yes"]);
    assert_eq!(settled.status.code(), Some(0), "{}{}", settled.stdout, settled.stderr);
    assert!(settled.stdout.contains("1 entry settled"), "{}", settled.stdout);
    let again = settle(&["--ids", &first[..8], "--yes"]);
    assert_eq!(again.status.code(), Some(0), "{}{}", again.stdout, again.stderr);
    assert!(again.stdout.contains("nothing to settle"), "{}", again.stdout);
    assert!(!shop.list(&[]).stdout.contains("morning.csv:3"), "it left the list");
    assert!(shop.list(&["--all"]).stdout.contains("[settled: delivered anew] "), "{}", shop.list(&["--all"]).stdout);
    let all = shop.list_json(&["--all"]);
    let entries = all["result"]["entries"].as_array().unwrap();
    let reason = entries.iter().find(|e| e["id"] == first).map(|e| &e["settled"]["reason"]);
    assert_eq!(reason, Some(&"delivered anew".into()), "{all}");
    let show = shop.launch(&["quarantine", "show", "prices", &first[..8]]).run(DEADLINE);
    assert!(show.stdout.contains("settled by hand: delivered anew") && show.stdout.contains("2.O0"), "{}", show.stdout);

    let rest = shop.replay_json(&MENDED);
    assert_eq!(rest["result"]["rows"], 2, "a replay leaves what is settled: {rest}");
    assert_eq!(shop.rows().len(), 5);
    shop.drop_file("noon.csv", "sku,price\nG;1.00\n");
    shop.run_once();
    let rest = settle(&["--code", "too_few_fields", "--yes", "--json"]);
    let rest: serde_json::Value = serde_json::from_str(&rest.stdout).unwrap();
    assert_eq!((&rest["ok"], &rest["result"]["settled"]), (&true.into(), &1.into()), "{rest}");
    assert_eq!(shop.list(&[]).stdout.trim(), "nothing in quarantine");
}

/// A file that stays set aside is named: settling its entry does not give it up.
#[test]
fn a_parked_file_whose_entry_was_settled_goes_on_once_it_can_be_read() {
    let Some(broker) = Broker::from_env("a_parked_file_whose_entry_was_settled_goes_on_once_it_can_be_read") else {
        return;
    };
    let shop = Shop::empty(&broker, "");
    shop.drop_file("a.csv", "sku;price\nA;1.00\n");
    shop.launch(&["run", "--once", "--no-http"]).run(DEADLINE);
    let settle = ["quarantine", "settle", "prices", "--code", "header_missing_column", "--yes"];
    let settled = shop.launch(&settle).run(DEADLINE);
    assert_eq!(settled.status.code(), Some(0), "{}{}", settled.stdout, settled.stderr);
    assert!(settled.stdout.contains("set aside still: a.csv."), "{}", settled.stdout);
    assert_eq!(shop.list(&[]).stdout.trim(), "nothing in quarantine");
    shop.run_once();
    assert_eq!(shop.list(&[]).stdout.trim(), "nothing in quarantine", "it is not tried again as it is");
    shop.edit("    ready_when:", "    dialect: {delimiter: \";\"}\n    ready_when:");
    shop.run_once();
    assert_eq!(shop.rows().len(), 1);
}
