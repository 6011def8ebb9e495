//! `unbatch quarantine replay` with the real binary and a real broker: a refused row goes through once, also when the process
//! dies at any step of it, and also when a mark that says so cannot be seen yet.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests stop at what they did not expect")]

mod shop;

use serde_json::Value;
use shop::{DEADLINE, Shop};
use std::collections::BTreeMap;
use unbatch_test_harness::{Broker, Reader, wait_until};

fn once_each(keys: &[&str]) -> BTreeMap<String, u32> {
    keys.iter().map(|key| (format!("{{\"sku\":\"{key}\"}}"), 1)).collect()
}

const ALL: [&str; 6] = ["A", "B", "C", "D", "E", "F"];
/// What the three rows should have been.
const MENDED: [&str; 4] = ["--code", "bad_decimal", "--set", "price=7.00"];

#[test]
fn a_refused_row_is_shown_mended_written_once_and_marked() {
    let Some(broker) = Broker::from_env("a_refused_row_is_shown_mended_written_once_and_marked") else { return };
    let shop = Shop::new(&broker);
    assert_eq!(shop.rows(), once_each(&["A", "C", "E"]));
    let wrong = shop.replay(&[]);
    assert_eq!(wrong.status.code(), Some(4), "{}{}", wrong.stdout, wrong.stderr);
    assert!(wrong.stdout.contains("morning.csv:3") && wrong.stdout.contains("3 still wrong"), "{}", wrong.stdout);
    assert!(!wrong.stdout.contains("2.O0") && !wrong.stderr.contains("2.O0"), "{}{}", wrong.stdout, wrong.stderr);

    let list = shop.launch(&["quarantine", "list", "prices", "--json"]).run(DEADLINE);
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    let first = list["result"]["entries"][0]["id"].as_str().unwrap();
    let shown = shop.replay_json(&["--ids", &first[..8], "--set", "price=2.00", "--dry-run"]);
    assert_eq!(shown["result"]["entries"][0]["row"].to_string(), r#"{"sku":"B","price":"2.00"}"#, "{shown}");
    assert_eq!(shop.rows(), once_each(&["A", "C", "E"]), "a rehearsal writes nothing");

    let replayed = shop.replay_json(&["--ids", &first[..8], "--set", "price=2.00"]);
    assert_eq!((&replayed["ok"], &replayed["result"]["rows"]), (&true.into(), &1.into()), "{replayed}");
    assert_eq!(shop.replay_json(&MENDED)["result"]["rows"], 2);
    assert_eq!(shop.rows(), once_each(&ALL));
    let price = shop.records().into_iter().find(|record| record.key_text().contains('B')).unwrap();
    assert_eq!(price.value_text(), r#"{"sku":"B","price":"2.00"}"#);
    let meta = String::from_utf8(price.header("meta").unwrap().to_vec()).unwrap();
    assert!(meta.contains("morning.csv"), "{meta}");

    let again = shop.replay(&MENDED);
    assert_eq!((again.status.code(), again.stdout.trim()), (Some(0), "nothing to replay"), "{}", again.stderr);
    let list = shop.launch(&["quarantine", "list", "prices"]).run(DEADLINE);
    assert_eq!(list.stdout.trim(), "nothing in quarantine");
    let marked = Reader::committed(&shop.bootstrap).read(&shop.quarantine(), DEADLINE).unwrap();
    assert!(marked.iter().any(|entry| entry.value_text().contains("\"replayed\":1")), "the trail stays");

    let unknown = shop.replay(&["--code", "bad_decimal", "--set", "prize=1.00"]);
    assert_eq!(unknown.stdout.trim(), "nothing to replay", "{}", unknown.stderr);
    shop.drop_file("noon.csv", "sku,price\nG,1.O0\n");
    shop.run_once();
    let unknown = shop.replay(&["--code", "bad_decimal", "--set", "prize=1.00"]);
    assert_eq!(unknown.status.code(), Some(4), "{}", unknown.stderr);
    assert!(unknown.stdout.contains("sku, price") && unknown.stdout.contains("U0227"), "{}", unknown.stdout);
}

/// The morning's price must not come on top of the noon's unnoticed.
#[test]
fn a_row_that_a_newer_one_has_replaced_is_told_of_and_left_when_asked() {
    let Some(broker) = Broker::from_env("a_row_that_a_newer_one_has_replaced_is_told_of_and_left_when_asked") else {
        return;
    };
    let shop = Shop::new(&broker);
    shop.drop_file("noon.csv", "sku,price\nD,9.00\n");
    shop.run_once();
    let shown = shop.replay_json(&[&MENDED[..], &["--dry-run"]].concat());
    let overtakes: Vec<&Value> =
        shown["result"]["entries"].as_array().unwrap().iter().map(|e| &e["overtakes"]).collect();
    assert_eq!(overtakes, [&false, &true, &false], "{shown}");

    let left = shop.replay(&[&MENDED[..], &["--keep-newer"]].concat());
    assert_eq!(left.status.code(), Some(4), "{}{}", left.stdout, left.stderr);
    assert!(left.stdout.contains("1 row left waiting") && left.stdout.contains("2 rows replayed"), "{}", left.stdout);
    assert_eq!(shop.rows(), once_each(&ALL));
    let over = shop.replay(&MENDED);
    assert_eq!(over.status.code(), Some(0), "{}{}", over.stdout, over.stderr);
    assert!(over.stdout.contains("in the place of a newer row"), "{}", over.stdout);
    assert_eq!(shop.rows().get("{\"sku\":\"D\"}"), Some(&2));
}

#[test]
fn a_replay_that_dies_anywhere_is_finished_by_the_next_one() {
    let Some(broker) = Broker::from_env("a_replay_that_dies_anywhere_is_finished_by_the_next_one") else { return };
    // what opening the split commits is the first time
    let places = [
        "engine.sink_opened=kill",
        "topic.after_begin=kill@2",
        "topic.mid_produce=kill",
        "topic.before_state=kill@2",
        "topic.before_commit=kill@2",
        "topic.after_commit=kill@2",
        "engine.after_commit=kill",
    ];
    for place in places {
        let shop = Shop::new(&broker);
        let launch = shop.launch(&[&["quarantine", "replay", "prices"], &MENDED[..]].concat());
        let died = launch.env("UNBATCH_FAILPOINTS", place).run(DEADLINE);
        assert!(!died.status.success(), "{place}: it did not die\n{}{}", died.stdout, died.stderr);
        for _ in 0..2 {
            let next = shop.replay(&MENDED);
            assert!(next.status.success(), "{place}: {}{}", next.stdout, next.stderr);
        }
        assert_eq!(shop.rows(), once_each(&ALL), "{place}");
    }
}

/// As a replay does: a mark is there or it is not, and the next one goes on.
#[test]
fn settling_that_dies_anywhere_is_finished_by_the_next_one() {
    let Some(broker) = Broker::from_env("settling_that_dies_anywhere_is_finished_by_the_next_one") else { return };
    for place in ["topic.after_begin=kill@2", "topic.before_commit=kill@2", "topic.after_commit=kill@2"] {
        let shop = Shop::new(&broker);
        let settle = || shop.launch(&["quarantine", "settle", "prices", "--code", "bad_decimal", "--yes"]);
        let died = settle().env("UNBATCH_FAILPOINTS", place).run(DEADLINE);
        assert!(!died.status.success(), "{place}: it did not die\n{}{}", died.stdout, died.stderr);
        let next = settle().run(DEADLINE);
        assert!(next.status.success(), "{place}: {}{}", next.stdout, next.stderr);
        assert_eq!(shop.list(&[]).stdout.trim(), "nothing in quarantine", "{place}");
        assert_eq!(shop.rows(), once_each(&["A", "C", "E"]), "{place}");
    }
}

/// The marks of one replay stand behind the open transaction of the pipeline itself, where no committed reader sees them. The
/// next replay must wait for them.
#[test]
fn a_mark_behind_an_open_transaction_is_waited_for() {
    let Some(broker) = Broker::from_env("a_mark_behind_an_open_transaction_is_waited_for") else { return };
    let shop = Shop::new(&broker);
    let hanging = shop.launch(&["run", "--no-http"]).env("UNBATCH_FAILPOINTS", "topic.before_state=hang@2");
    let mut hanging = hanging.start();
    shop.drop_file("noon.csv", "sku,price\nG,1.O0\n");
    let uncommitted = Reader::uncommitted(&shop.bootstrap);
    wait_until(DEADLINE, "the noon's refused row is written", || {
        uncommitted.read(&shop.quarantine(), DEADLINE).is_ok_and(|entries| entries.len() == 4)
    });
    // it listed before that transaction began, as it were
    let first = shop.launch(&[&["quarantine", "replay", "prices"], &MENDED[..]].concat());
    let first = first.env("UNBATCH_SABOTAGE", "replay-catches-up").run(DEADLINE);
    assert!(first.stdout.contains("3 rows replayed"), "{}{}", first.stdout, first.stderr);

    let opened = shop.states_of_replay();
    let mut second = shop.launch(&[&["quarantine", "replay", "prices"], &MENDED[..]].concat()).start();
    wait_until(DEADLINE, "the second replay is open", || shop.states_of_replay() > opened);
    // the successor ends the transaction that hangs
    shop.run_once();
    assert!(second.wait(DEADLINE).success(), "{}", second.tails());
    hanging.kill();
    let third = shop.replay(&MENDED);
    assert!(third.status.success(), "{}{}", third.stdout, third.stderr);
    assert_eq!(shop.rows(), once_each(&["A", "B", "C", "D", "E", "F", "G"]));
}
