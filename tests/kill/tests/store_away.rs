//! A pipeline that reads from a store ends when it is asked to, also while the store is away.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use unbatch_test_harness::{Broker, Launch, S3, Signal, unique_name};

/// The reading thread alone would wait for an answer that long, and the end of a run for releases.
const BOUND: Duration = Duration::from_secs(30);

/// Until the split is open, or says that it will try again.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the engine logs when a split is open.
const OPENED: &str = "split is open";

/// `takes_away`: files are moved once they are done. Then the end of a run looks for releases that are due, for half a minute.
fn write_pipeline(home: &Path, s3: &S3, takes_away: bool) {
    let keys = json!({"access_key_id": s3.access_key_id(), "secret_access_key": {"env": "SECRET"}});
    let url = format!("s3://{}/{}", s3.bucket(), unique_name("away"));
    let after = if takes_away { json!({"move_to": format!("{url}/archive/")}) } else { json!("keep") };
    let source = json!({
        "url": format!("{url}/in/"),
        "match": "*.csv",
        "poll": "20ms",
        "after": after,
        "store": {"endpoint": s3.endpoint(), "credentials": {"s3": keys}},
    });
    let topic = json!({"name": unique_name("away"), "partitions": 1, "format": "json"});
    let file = json!({"version": 1, "pipeline": "away", "source": {"csv_drops": source}, "sink": {"topic": topic}});
    fs::write(home.join("away.yaml"), file.to_string()).unwrap();
}

/// Whether the server is dead, or takes connections and answers nothing; and how long a stop took then.
fn stop_while(is_frozen: bool, s3: &mut S3, broker: &Broker) -> Duration {
    let home = tempfile::tempdir().unwrap();
    write_pipeline(home.path(), s3, !is_frozen);
    let mut run = Launch::unbatch()
        .current_dir(home.path())
        .env("SECRET", s3.secret_access_key())
        .args(["run", "--no-http", "--log-format", "json", "--brokers", broker.bootstrap(), "away.yaml"])
        .start();
    run.wait_for_line(OPENED, PATIENCE);
    if is_frozen {
        s3.freeze();
    } else {
        s3.kill();
        // refused at once, so the split is waiting for its next attempt
        run.wait_for_line("split will open again", PATIENCE);
    }
    let asked = Instant::now();
    run.signal(Signal::Terminate);
    let status = run.wait(PATIENCE);
    let took = asked.elapsed();
    if is_frozen {
        s3.thaw()
    } else {
        s3.revive()
    }
    assert_eq!(status.code(), Some(0), "{}", run.tails());
    took
}

#[test]
fn a_stop_does_not_wait_for_a_store_that_is_away() {
    let test = "a_stop_does_not_wait_for_a_store_that_is_away";
    let Some(mut s3) = S3::own_from_env(test) else { return };
    let Some(broker) = Broker::from_env(test) else { return };
    for is_frozen in [false, true] {
        let took = stop_while(is_frozen, &mut s3, &broker);
        eprintln!("frozen: {is_frozen}, ended after {took:?}");
        assert!(took < BOUND, "frozen: {is_frozen}, {took:?}");
    }
}
