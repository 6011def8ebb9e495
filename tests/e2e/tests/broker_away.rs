//! A broker that goes away under a running worker: told once and at once, wherever somebody looks; and it goes on by itself.
#![allow(clippy::unwrap_used, reason = "tests stop at what they did not expect")]

mod served;
mod shop;

use served::Served;
use shop::{DEADLINE, Shop};
use std::fs;
use std::time::Duration;
use unbatch_test_harness::{Broker, wait_for};

/// Far below the minute after which a commit gives up.
const TOLD_WITHIN: Duration = Duration::from_secs(45);

/// A second pipeline beside `prices`, into the same topic's broker.
fn second_pipeline(shop: &Shop) {
    let pipelines = shop.home.path().join("pipelines");
    let first = fs::read_to_string(pipelines.join("prices.yaml")).unwrap();
    let second = first.replace("pipeline: prices", "pipeline: offers").replace("../drops/", "../offers/");
    fs::create_dir(shop.home.path().join("offers")).unwrap();
    fs::write(pipelines.join("offers.yaml"), second.replace(&shop.topic, &format!("{}-offers", shop.topic))).unwrap();
}

#[test]
fn a_broker_that_goes_away_is_told_once_and_at_once_and_nothing_is_lost() {
    let Some(mut broker) = Broker::own_from_env("a_broker_that_goes_away") else { return };
    let shop = Shop::empty(&broker, "");
    second_pipeline(&shop);
    shop.drop_file("morning.csv", "sku,price\nA,1.00\nB,2.00\n");
    let mut worker = Served::start(&shop, "");
    worker.wait_for_split("the morning's rows", |split| split["written_ever"] == 2);
    worker.wait_for_ready();
    assert!(!worker.shown(&shop).contains("away since"));

    // both pipelines are idle: nothing is asked of the broker that could fail
    broker.crash();
    let line = worker.process.wait_for_line("away since", TOLD_WITHIN);
    for part in [&format!("broker {} away since ", shop.bootstrap), "(connection refused): rows read so far wait"] {
        assert!(line.contains(part), "{part:?} is missing in {line:?}");
    }
    let (code, body) = worker.ask("/readyz").unwrap();
    assert!(code == 503 && body.contains(&format!("broker {} away since ", shop.bootstrap)), "{code} {body}");
    let told = worker.status().unwrap()["broker"].clone();
    assert!(told["away_since_ms"].is_u64() && told["addresses"] == shop.bootstrap.as_str(), "{told}");
    let shown = worker.shown(&shop);
    assert_eq!(shown.matches(&format!("broker {} away since ", shop.bootstrap)).count(), 1, "{shown}");
    assert_eq!(worker.metric("unbatch_broker_up"), 0.0);

    shop.drop_file("noon.csv", "sku,price\nC,3.00\nD,4.00\nE,5.00\n");
    wait_for(DEADLINE, "the file of noon to be read", || {
        let status = worker.status()?;
        let splits = status["pipelines"].as_array()?.iter().flat_map(|p| p["splits"].as_array()).flatten();
        splits.filter(|s| s["numbers"]["file_bytes"].as_i64().unwrap_or(0) > 0).count().checked_sub(1)
    });
    broker.revive();
    let line = worker.process.wait_for_line("is back, after", DEADLINE);
    assert!(line.contains(&format!("broker {} is back, after ", shop.bootstrap)), "{line}");
    worker.wait_for_split("the rows of noon", |split| split["written_ever"] == 5);
    worker.wait_for_ready();
    assert_eq!(worker.metric("unbatch_broker_up"), 1.0);
    let said = worker.end();
    for (words, times) in [("away since", 1), ("is back, after", 1), ("will try again", 0)] {
        assert_eq!(said.matches(words).count(), times, "{words:?} in\n{said}");
    }
    let rows = shop.rows();
    assert!(rows.len() == 5 && rows.values().all(|n| *n == 1), "{rows:?}");
}
