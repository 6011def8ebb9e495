//! Night after night through the whole connector, which dies where it likes: what it hands on is what the generator changed, each
//! change once, and the order of them does not depend on where a run ended.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod harness;

use harness::Drops;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use std::collections::BTreeMap;
use unbatch_api::failpoint::arm;
use unbatch_api::{Bound, Checkpoint};

type Table = BTreeMap<String, String>;

const NIGHTS: u32 = 30;

fn seed() -> u64 {
    let seed = std::env::var("UNBATCH_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random);
    println!("UNBATCH_SEED={seed}");
    seed
}

/// Changes a table; says how, in the order of the keys.
fn change(random: &mut StdRng, table: &mut Table) -> Vec<String> {
    let mut log = BTreeMap::new();
    for (key, price) in std::mem::take(table) {
        match random.random_range(0..100) {
            0..3 => {
                log.insert(key.clone(), format!("d {key}|∅"));
            }
            3..9 => {
                let new = random.random_range(0..50).to_string();
                if new != price {
                    log.insert(key.clone(), format!("u {key}|{new}"));
                }
                table.insert(key, new);
            }
            _ => {
                table.insert(key, price);
            }
        }
    }
    for _ in 0..random.random_range(0..12) {
        let key = format!("sku-{:04}", random.random_range(0..5_000));
        if !table.contains_key(&key) && !log.contains_key(&key) {
            let price = random.random_range(0..50).to_string();
            log.insert(key.clone(), format!("c {key}|{price}"));
            table.insert(key, price);
        }
    }
    log.into_values().collect()
}

/// The file of a night: its rows in any order, and a few that are refused. A refused row of a known key stands for what it was.
fn file(random: &mut StdRng, table: &Table) -> (String, usize) {
    let mut rows: Vec<String> = table.iter().map(|(key, price)| format!("{key},{price}")).collect();
    let refused = random.random_range(0..3);
    rows.extend((0..refused).map(|n| format!("refused-{n},not a price")));
    for i in (1..rows.len()).rev() {
        rows.swap(i, random.random_range(0..=i));
    }
    (format!("sku,price\n{}\n", rows.join("\n")), refused)
}

fn faults(random: &mut StdRng) -> String {
    let places = [
        "after_list",
        "after_read",
        "before_compare",
        "before_baseline",
        "after_baseline",
        "before_baseline_removal",
        "before_release_rename",
    ];
    let place = places[random.random_range(0..places.len())];
    format!("csv.{place}=fail@{}", random.random_range(1..8))
}

#[derive(Default)]
struct Seen {
    committed: Checkpoint,
    changes: Vec<String>,
    refused: usize,
}

/// One life of a source; true when it came to its end and all is committed.
async fn live(drops: &Drops, seen: &mut Seen, random: &mut StdRng) -> bool {
    let portion = random.random_range(1..12);
    let Ok(mut run) = drops.open_with(seen.committed.clone(), Bound::Once, |s| s.rows(portion)).await else {
        return false;
    };
    let mut sealed = (0, 0);
    let ended = loop {
        let next = run.next().await;
        if random.random_bool(0.05) {
            break false;
        }
        match next {
            Ok(true) if random.random_bool(0.6) => {}
            Ok(more) => {
                run.seal().await.unwrap();
                sealed = (run.rows.len(), run.rejected.len());
                // it may die before the source hears of it
                if random.random_bool(0.9) {
                    run.publish();
                }
                if !more {
                    break true;
                }
            }
            Err(_) => break false,
        }
    };
    let text = |(op, row): (&&str, &String)| format!("{op} {}", row.split_once(' ').unwrap().1);
    seen.changes.extend(run.ops.iter().zip(&run.rows).take(sealed.0).map(text));
    seen.refused += sealed.1;
    seen.committed = run.committed.clone();
    ended && run.source.settle(&run.committed).await.is_ok()
}

#[tokio::test]
async fn thirty_nights_of_crashes_are_the_generators_change_log() {
    let mut random = StdRng::seed_from_u64(seed());
    let drops = Drops::new()
        .with("mode", json!({"full_dump": {"key": ["sku"], "baseline": "file:baselines/", "spill": "spill"}}))
        .with("columns", json!([{"name": "sku", "type": "string"}, {"name": "price", "type": "int64"}]))
        .with("ready_when", json!({"stable_for": "1ms"}))
        .with("after", json!("delete"))
        .with("poll", json!("1ms"));
    let (mut table, mut seen) = (Table::new(), Seen::default());
    for i in 0..300 {
        table.insert(format!("sku-{:04}", i * 7), i.to_string());
    }
    let mut log: Vec<String> = table.iter().map(|(key, price)| format!("c {key}|{price}")).collect();
    let mut deaths = 0;
    for night in 0..NIGHTS {
        let (text, refused) = file(&mut random, &table);
        // a name for each night, or one for a week
        let name =
            if random.random_bool(0.5) { format!("{night:02}.csv") } else { format!("{:02}.csv", night / 7 * 7) };
        let last = drops.names_in("drops").into_iter().filter(|name| name.ends_with(".csv")).max();
        assert_eq!(last, None, "night {night}");
        let name = name.max(newest(&seen.committed));
        drops.deliver(&name, text);
        arm(&faults(&mut random));
        while !live(&drops, &mut seen, &mut random).await {
            deaths += 1;
            arm(&faults(&mut random));
        }
        arm("");
        assert_eq!((&seen.changes, seen.refused), (&log, refused), "night {night}, {name}");
        assert!(seen.committed.parts.is_empty());
        (seen.changes, seen.refused) = (vec![], 0);
        log = change(&mut random, &mut table);
    }
    drops.once(&seen.committed).await;
    assert_eq!(drops.names_in("baselines").len(), 1, "{:?}", drops.names_in("baselines"));
    assert!(drops.names_in("spill").is_empty());
    println!("{deaths} deaths in {NIGHTS} nights");
    assert!(deaths > 10, "{deaths} deaths");
}

/// The name of the dump that was taken last.
fn newest(committed: &Checkpoint) -> String {
    let note = committed.notes.iter().find(|(key, _)| key.as_str() == "dump/baseline");
    let note: Option<serde_json::Value> = note.map(|(_, bytes)| serde_json::from_slice(bytes).unwrap());
    note.and_then(|note| note["path"].as_str().map(str::to_owned)).unwrap_or_default()
}
