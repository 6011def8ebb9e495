//! `run --dev`, bounded and going on, and the commands that look at what it left: all must agree.

use crate::workshop::{PIPELINE, Workshop, wait_until};
use serde_json::Value;

fn csv(rows: std::ops::RangeInclusive<u32>, bad: u32) -> String {
    let cell = |n: u32| if n == bad { "1O".to_owned() } else { (n * 2).to_string() };
    std::iter::once("id,counted\n".to_owned()).chain(rows.map(|n| format!("r{n},{}\n", cell(n)))).collect()
}

fn ids(result: &Value) -> Vec<String> {
    let records = result["records"].as_array().unwrap();
    let mut ids: Vec<String> = records.iter().map(|r| r["value"]["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn a_bounded_run_and_every_command_that_looks_agree() {
    let workshop = Workshop::with_pipeline();
    workshop.drop_file("stock_a.csv", &csv(1..=50, 7));
    let summary = workshop.json(&["run", "--dev", "--once"]);
    let line = &summary["pipelines"][0];
    assert_eq!(line["pipeline"], "stock");
    assert_eq!(
        (line["read"].as_u64(), line["written"].as_u64(), line["quarantined"].as_u64()),
        (Some(50), Some(49), Some(1))
    );
    assert_eq!(line["state"], "finished");

    // the broker is gone with the run; what it kept is read again
    let topic = workshop.json(&["topics", "read", "stock.counts"]);
    let mut expected: Vec<String> = (1..=50).filter(|n| *n != 7).map(|n| format!("r{n}")).collect();
    expected.sort();
    assert_eq!(ids(&topic), expected);
    assert_eq!(topic["count"], 49);
    let limited = workshop.json(&["topics", "read", "stock.counts", "--limit", "3"]);
    assert_eq!(limited["count"], 3);
    let from_end = workshop.json(&["topics", "read", "stock.counts", "--from", "end"]);
    assert_eq!(from_end["count"], 0);
    let by_time = workshop.json(&["topics", "read", "stock.counts", "--from", "2020-01-01"]);
    assert_eq!(by_time["count"], 49);

    let listed = workshop.json(&["quarantine", "list", "stock"]);
    let entries = listed["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1, "{listed}");
    assert_eq!(entries[0]["place"], "stock_a.csv:8");
    assert!(!listed.to_string().contains("1O"), "a list shows no content: {listed}");
    assert_eq!(workshop.run(&["quarantine", "list", "stock", "--exit-code"]).code, Some(4));
    let shown = workshop.run(&["quarantine", "show", "stock", entries[0]["id"].as_str().unwrap()]);
    assert!(shown.stdout.contains("r7,1O"), "{shown}");

    let offsets = workshop.json(&["offsets", "get", "stock"]);
    assert_eq!(offsets["splits"][0]["split"], "stock/0");
    assert!(offsets["splits"][0]["parts"].to_string().contains("stock_a.csv"), "{offsets}");

    let topics = workshop.json(&["topics", "list"]);
    let names: Vec<&str> = topics["topics"].as_array().unwrap().iter().filter_map(|t| t["topic"].as_str()).collect();
    assert!(names.contains(&"stock.counts") && !names.contains(&"unbatch.state"), "{names:?}");
    assert!(workshop.json(&["topics", "list", "--all"]).to_string().contains("unbatch.state"));

    // once more: nothing new, nothing doubled
    let again = workshop.json(&["run", "--dev", "--once"]);
    assert_eq!(again["pipelines"][0]["read"], 0, "{again}");
    assert_eq!(workshop.json(&["topics", "read", "stock.counts"])["count"], 49);
}

#[test]
fn resetting_needs_consent_and_reads_everything_again() {
    let workshop = Workshop::with_pipeline();
    workshop.drop_file("stock_a.csv", &csv(1..=5, 0));
    workshop.json(&["run", "--dev", "--once"]);
    let refused = workshop.run(&["offsets", "reset", "stock"]);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stdout.contains("nothing was changed") && refused.stderr.contains("--yes"), "{refused}");
    assert_eq!(workshop.json(&["run", "--dev", "--once"])["pipelines"][0]["read"], 0);
    let done = workshop.json(&["offsets", "reset", "stock", "--yes"]);
    assert_eq!((done["done"].as_bool(), done["generations"][0].as_u64()), (Some(true), Some(2)), "{done}");
    assert_eq!(workshop.json(&["run", "--dev", "--once"])["pipelines"][0]["written"], 5);
    assert_eq!(workshop.json(&["topics", "read", "stock.counts"])["count"], 10);
}

#[test]
fn a_run_that_goes_on_serves_others_reloads_good_edits_and_keeps_off_bad_ones() {
    let workshop = Workshop::with_pipeline();
    workshop.write("unbatch.yaml", "http: {listen: \"127.0.0.1:0\"}\n");
    let mut run = workshop.start("run", &["run", "--dev"]);
    let said = run.wait_for("running     stock");
    let http = said.split_once("http://").and_then(|(_, rest)| rest.split_once("/api")).unwrap().0.to_owned();
    let broker = said.lines().find_map(|l| l.strip_prefix("broker")).and_then(|l| l.split_whitespace().next()).unwrap();
    let told = std::fs::read_to_string(workshop.path().join(".unbatch/dev-broker.addr")).unwrap();
    assert_eq!(told.trim(), broker);

    workshop.drop_file("stock_a.csv", &csv(1..=20, 0));
    let read = || workshop.json(&["topics", "read", "stock.counts"]);
    wait_until("the topic", || workshop.run(&["topics", "list"]).stdout.contains("stock.counts").then_some(()));
    wait_until("20 rows", || (read()["count"] == 20).then_some(()));
    let status = workshop.json(&["status", "stock", "--http", &http]);
    assert_eq!(status["pipelines"][0]["state"], "running");
    assert_eq!(status["pipelines"][0]["splits"][0]["written_ever"], 20);

    // a second run in the same folder is refused and does no harm
    let second = workshop.run(&["run", "--dev", "--once"]);
    assert_eq!(second.code, Some(2), "{second}");
    assert!(second.stderr.contains("error[U0730]"), "{second}");

    workshop.write("stock.yaml", &PIPELINE.replace("columns:", "colums:"));
    run.wait_for("stock goes on as it was");
    workshop.write("stock.yaml", &format!("{PIPELINE}commit: {{every: 200ms}}\n"));
    run.wait_for("restarting: changed commit.every");
    workshop.drop_file("stock_b.csv", &csv(21..=30, 0));
    wait_until("30 rows", || (read()["count"] == 30).then_some(()));
    let revision = &workshop.json(&["status", "stock", "--http", &http])["pipelines"][0]["splits"][0]["revision"];
    assert_eq!(*revision, 2);

    assert_eq!(run.terminate(), Some(0));
    assert!(!workshop.path().join(".unbatch/dev-broker.addr").exists());
}

#[test]
fn one_broken_pipeline_leaves_the_other_running_and_decides_the_exit_code() {
    let workshop = Workshop::with_pipeline();
    let prices = |folder: &str| {
        PIPELINE.replace("pipeline: stock", "pipeline: prices").replace("url: drops", &format!("url: {folder}"))
    };
    for folder in ["here", "there"] {
        std::fs::create_dir(workshop.path().join(folder)).unwrap();
    }
    workshop.write("prices.yaml", &prices("here"));
    // a source of which nothing was ever read may be exchanged freely
    workshop.write("here/stock_z.csv", &csv(90..=91, 0));
    workshop.json(&["run", "--dev", "--once"]);

    // another folder is another source, which needs consent
    workshop.write("prices.yaml", &prices("there"));
    workshop.drop_file("stock_a.csv", &csv(1..=5, 0));
    let ended = workshop.run(&["run", "--dev", "--once", "--json"]);
    let envelope = ended.envelope();
    assert_eq!((ended.code, envelope["ok"].as_bool()), (Some(2), Some(false)), "{ended}");
    let failed = envelope["error"]["pipelines"].as_array().unwrap();
    assert_eq!((failed.len(), failed[0]["pipeline"].as_str()), (1, Some("prices")), "{envelope}");
    assert_eq!(failed[0]["error"]["code"], "U0401", "{envelope}");
    let stock = envelope["result"]["pipelines"].as_array().unwrap().iter().find(|p| p["pipeline"] == "stock").unwrap();
    assert_eq!((stock["written"].as_u64(), stock["state"].as_str()), (Some(5), Some("finished")));

    let told = workshop.run(&["run", "--dev", "--once"]);
    assert!(told.stderr.contains("error[U0401]: prices: ") && told.stderr.contains("  help: "), "{told}");
    let unknown = workshop.run(&["run", "--dev", "--once", "--accept-change", "price"]);
    assert!(unknown.code == Some(2) && unknown.stderr.contains("error[U0773]"), "{unknown}");
    workshop.json(&["run", "--dev", "--once", "--accept-change", "prices"]);
}

#[test]
fn of_two_runs_of_one_deployment_the_newer_wins_and_the_older_says_so() {
    let broker = unbatch_dev_broker::DevBroker::start(unbatch_dev_broker::Settings::default()).unwrap();
    let address = broker.addr().to_string();
    let workshop = Workshop::with_pipeline();
    let arguments = ["run", "--no-http", "--brokers", &address];
    let mut older = workshop.start("older", &arguments);
    workshop.drop_file("stock_a.csv", &csv(1..=5, 0));
    let read = || workshop.run(&["topics", "read", "stock.counts", "--brokers", &address, "--json"]);
    let count = || read().envelope()["result"]["count"].as_u64();
    wait_until("the first rows", || (count() == Some(5)).then_some(()));
    let mut newer = workshop.start("newer", &arguments);
    newer.wait_for("split is open");
    workshop.drop_file("stock_b.csv", &csv(6..=9, 0));
    assert_eq!(older.wait(), Some(1));
    assert!(older.stderr().contains("error[U0770]: stock: a newer `unbatch run`"), "{}", older.stderr());
    wait_until("the other rows", || (count() == Some(9)).then_some(()));
    assert_eq!(newer.terminate(), Some(0));
}

/// It is fenced, since it would go on from where it was; what it says holds for this case too.
#[test]
fn a_run_whose_positions_were_changed_says_so_and_what_to_do() {
    let broker = unbatch_dev_broker::DevBroker::start(unbatch_dev_broker::Settings::default()).unwrap();
    let address = broker.addr().to_string();
    let workshop = Workshop::with_pipeline();
    let mut run = workshop.start("run", &["run", "--no-http", "--brokers", &address]);
    workshop.drop_file("stock_a.csv", &csv(1..=5, 0));
    let read = || workshop.run(&["topics", "read", "stock.counts", "--brokers", &address, "--json"]);
    wait_until("the rows", || (read().envelope()["result"]["count"].as_u64() == Some(5)).then_some(()));
    // the rows that one run counts as records, and markers between them
    let list = workshop.run(&["topics", "list", "--brokers", &address]);
    assert!(list.stdout.contains("counts also the marker that ends each transaction"), "{list}");
    let behind = workshop.run(&["topics", "read", "stock.counts", "--from", "1000", "--brokers", &address]);
    assert!(behind.stderr.contains("each partition counts its own offsets, and none reaches 1000"), "{behind}");

    let reset = workshop.run(&["offsets", "reset", "stock", "--yes", "--brokers", &address]);
    assert_eq!(reset.code, Some(0), "{reset}");
    assert_eq!(run.wait(), Some(1), "{}", run.stderr());
    let said = run.stderr();
    assert!(said.contains("error[U0770]: stock: ") && said.contains("its positions were changed"), "{said}");
    assert!(said.contains("start it again") && !said.contains("nothing is lost"), "{said}");
}

/// Who asks whether a run could start means the broker of that run, not the one beside it.
#[test]
fn validate_online_asks_whom_a_run_with_the_same_options_would_ask() {
    let workshop = Workshop::with_pipeline();
    let mut run = workshop.start("run", &["run", "--dev", "--no-http"]);
    run.wait_for("split is open");
    workshop.write("unbatch.yaml", "kafka: {brokers: \"127.0.0.1:1\"}\n");
    let plain = workshop.run(&["validate", "--online"]);
    assert!(plain.code != Some(0) && plain.stderr.contains("127.0.0.1:1"), "{plain}");
    assert!(!plain.stderr.contains("run --dev"), "{plain}");
    let dev = workshop.run(&["validate", "--online", "--dev"]);
    assert!(dev.code == Some(0) && dev.stderr.contains("the broker of the `run --dev`"), "{dev}");
    assert_eq!(workshop.run(&["validate", "--dev"]).code, Some(2));
    assert_eq!(run.terminate(), Some(0));
}

/// A run that goes on was asked to end, and ended: what it set aside meanwhile is said, and is not its failure.
#[test]
fn a_run_that_goes_on_ends_well_although_a_file_was_set_aside() {
    let workshop = Workshop::with_pipeline();
    let mut run = workshop.start("run", &["run", "--dev", "--no-http"]);
    run.wait_for("split is open");
    workshop.drop_file("stock_a.csv", "id,counted\nr1,\"2\n");
    wait_until("the parked file", || {
        workshop.run(&["quarantine", "list", "stock"]).stdout.contains("stock_a.csv").then_some(())
    });
    assert_eq!(run.terminate(), Some(0), "{}", run.stderr());
    let said = run.stderr();
    assert!(said.contains("stock: 1 file was set aside") && said.contains("unbatch quarantine list stock"), "{said}");

    // a bounded one was asked to take all that was there
    workshop.drop_file("stock_b.csv", "id,counted\nr1,\"2\n");
    let bounded = workshop.run(&["run", "--dev", "--once"]);
    assert!(bounded.code == Some(1) && bounded.stderr.contains("error[U0771]"), "{bounded}");
}

/// Who takes what is there and ends cannot wait for a folder.
#[test]
fn a_bounded_run_without_its_folder_ends_at_once_and_says_what_to_do() {
    let workshop = Workshop::new();
    workshop.write("stock.yaml", &PIPELINE.replace("url: drops", "url: nowhere"));
    let ended = workshop.run(&["run", "--dev", "--once", "stock.yaml"]);
    assert_eq!(ended.code, Some(2), "{ended}");
    assert!(ended.stderr.contains("U0217") && ended.stderr.contains("make the folder, or mend `url`"), "{ended}");
}

/// A typo in what says where the files are is mended like any other: nothing was read that another source could be confused with.
#[test]
fn a_source_that_was_misspelt_needs_no_consent_to_be_mended() {
    let workshop = Workshop::new();
    workshop.drop_file("stock_a.csv", &csv(1..=5, 0));
    let once = ["run", "--dev", "--once", "--no-http", "stock.yaml"];
    workshop.write("stock.yaml", &PIPELINE.replace("url: drops", "url: drosp"));
    assert_eq!(workshop.run(&once).code, Some(2));
    workshop.write("stock.yaml", &PIPELINE.replace("stock_*", "stok_*"));
    assert_eq!(workshop.json(&once)["pipelines"][0]["written"], 0);
    workshop.write("stock.yaml", PIPELINE);
    assert_eq!(workshop.json(&once)["pipelines"][0]["written"], 5);

    // now there is something that it would be confused with
    workshop.write("stock.yaml", &PIPELINE.replace("stock_*", "stok_*"));
    let refused = workshop.run(&once);
    assert!(refused.code == Some(2) && refused.stderr.contains("error[U0401]"), "{refused}");
    // positions that were set by hand count before anything was read
    workshop.json(&["offsets", "reset", "stock", "--yes"]);
    workshop.json(&once);
    workshop.json(&["offsets", "set", "stock", "stock_b.csv=done", "--yes"]);
    workshop.write("stock.yaml", PIPELINE);
    let refused = workshop.run(&once);
    assert!(refused.code == Some(2) && refused.stderr.contains("error[U0401]"), "{refused}");
}

/// Somebody who mistyped an address is told before any client gives up.
#[test]
fn a_broker_that_is_not_reached_is_told_at_once_and_until_when_it_is_tried() {
    let workshop = Workshop::with_pipeline();
    let mut run = workshop.start("run", &["run", "--once", "--no-http", "--brokers", "127.0.0.1:1"]);
    let said = run.wait_for("no broker reached yet at 127.0.0.1:1 (connection refused): trying for 30 s");
    assert!(!said.contains("error["), "{said}");
    assert_eq!(run.terminate(), Some(1));
}
