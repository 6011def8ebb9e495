//! `topics read --follow` beside `run --dev`, whichever starts first, and whatever port the next run has.

use crate::workshop::{PIPELINE, Running, Workshop, wait_until};
use std::net::TcpListener;

fn follow(workshop: &Workshop, more: &[&str]) -> Running {
    workshop.start("follow", &[&["topics", "read", "stock.counts", "--follow"], more].concat())
}

#[track_caller]
fn started(workshop: &Workshop) -> Running {
    let mut run = workshop.start("run", &["run", "--dev", "--no-http"]);
    run.wait_for("split is open");
    run
}

/// A file with one row for each id.
fn deliver(workshop: &Workshop, name: &str, ids: &[&str]) {
    let rows: String = ids.iter().map(|id| format!("{id},1\n")).collect();
    workshop.drop_file(&format!("stock_{name}.csv"), &format!("id,counted\n{rows}"));
}

/// The ids that the follower has written, in its order.
fn ids(workshop: &Workshop) -> Vec<String> {
    let said = std::fs::read_to_string(workshop.path().join("follow.out")).unwrap();
    let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| line.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()).collect()
}

#[track_caller]
fn wait_for_ids(workshop: &Workshop, expected: &[&str]) {
    wait_until(&format!("{expected:?}"), || {
        let mut ids = ids(workshop);
        ids.sort();
        (ids.len() >= expected.len()).then(|| assert_eq!(ids, expected))
    });
}

/// Before, it held what was kept, so that no run could have it.
#[test]
fn a_follower_that_was_there_first_shows_the_rows_of_every_run_each_once() {
    let workshop = Workshop::with_pipeline();
    deliver(&workshop, "1", &["a", "b"]);
    workshop.json(&["run", "--dev", "--once", "--no-http"]);
    let mut follower = follow(&workshop, &[]);
    follower.wait_for("waiting for `unbatch run --dev` in this folder");
    wait_for_ids(&workshop, &["a", "b"]);

    let mut run = started(&workshop);
    deliver(&workshop, "2", &["c"]);
    wait_for_ids(&workshop, &["a", "b", "c"]);
    let first = std::fs::read_to_string(workshop.path().join(".unbatch/dev-broker.addr")).unwrap();
    assert_eq!(run.terminate(), Some(0));
    follower.wait_for(&format!("the broker at {} is gone", first.trim()));

    // the next run has to take another port
    let taken = TcpListener::bind(first.trim());
    let mut run = started(&workshop);
    let second = std::fs::read_to_string(workshop.path().join(".unbatch/dev-broker.addr")).unwrap();
    assert_ne!(first, second, "{taken:?}");
    deliver(&workshop, "3", &["d"]);
    wait_for_ids(&workshop, &["a", "b", "c", "d"]);
    follower.wait_for(&format!("runs here, {}", second.trim()));
    assert_eq!(run.terminate(), Some(0));

    // a run that ends sooner than anybody can ask it
    deliver(&workshop, "4", &["e"]);
    workshop.json(&["run", "--dev", "--once", "--no-http"]);
    wait_for_ids(&workshop, &["a", "b", "c", "d", "e"]);
}

#[test]
fn where_nothing_is_yet_the_run_and_its_topic_are_waited_for() {
    let workshop = Workshop::with_pipeline();
    let mut follower = follow(&workshop, &["--dev", "--from", "end", "--limit", "2"]);
    follower.wait_for("waiting for `unbatch run --dev` in this folder; --brokers names another");
    let mut run = started(&workshop);
    follower.wait_for("asking the broker of the `run --dev` that runs here");
    deliver(&workshop, "1", &["a", "b"]);
    assert_eq!(follower.wait(), Some(0));
    wait_for_ids(&workshop, &["a", "b"]);

    let mut misspelt = workshop.start("misspelt", &["topics", "read", "stock.count", "--follow"]);
    misspelt.wait_for("waiting for the topic `stock.count`, which is not there yet; did you mean `stock.counts`?");
    assert_eq!(run.terminate(), Some(0));
}

/// What was kept is removed, and the next run begins anew, maybe on the same port.
#[test]
fn a_topic_that_was_made_anew_is_read_from_its_start() {
    let workshop = Workshop::with_pipeline();
    deliver(&workshop, "1", &["a", "b"]);
    let mut run = started(&workshop);
    let mut follower = follow(&workshop, &[]);
    wait_for_ids(&workshop, &["a", "b"]);
    assert_eq!(run.terminate(), Some(0));
    std::fs::remove_dir_all(workshop.path().join(".unbatch")).unwrap();
    workshop.write("stock.yaml", &PIPELINE.replace("partitions: 2", "partitions: 1"));
    let mut run = started(&workshop);
    wait_for_ids(&workshop, &["a", "a", "b", "b"]);
    assert_eq!(run.terminate(), Some(0));
    follower.terminate();
}
