//! `run --dev` while its files are edited: a line for each edit, and what runs well is never lost to a bad one.

use crate::workshop::{PIPELINE, Running, Workshop, wait_until};

fn rows_of(workshop: &Workshop, topic: &str) -> Option<u64> {
    workshop.run(&["topics", "read", topic, "--json"]).envelope()["result"]["count"].as_u64()
}

#[track_caller]
fn started(workshop: &Workshop) -> Running {
    let mut run = workshop.start("run", &["run", "--dev", "--no-http"]);
    run.wait_for("split is open");
    run
}

#[test]
fn each_edit_is_one_line_and_a_wrong_one_names_the_mistake() {
    let workshop = Workshop::with_pipeline();
    let mut run = started(&workshop);
    workshop.write("stock.yaml", &PIPELINE.replace("columns:", "colums:"));
    let said = run.wait_for("stock goes on as it was");
    assert!(
        said.contains("error[U0102]: unknown field `colums`") && said.contains("did you mean `columns`?"),
        "{said}"
    );
    workshop.write("stock.yaml", PIPELINE);
    run.wait_for("stock: right again, and as it runs");
    workshop.write("stock.yaml", &PIPELINE.replace("poll: 50ms", "poll: 60ms"));
    run.wait_for("stock: restarting: changed source.csv_drops.poll");

    // another file comes, is wrong for a while, and goes
    let prices = PIPELINE.replace("pipeline: stock", "pipeline: prices").replace("stock", "prices");
    workshop.write("prices.yaml", "pipeline: [");
    run.wait_for("it is not started");
    workshop.write("prices.yaml", &prices);
    run.wait_for("prices: starting: prices.yaml is new");
    workshop.drop_file("prices_a.csv", "id,counted\nr1,2\n");
    wait_until("a row of the new pipeline", || (rows_of(&workshop, "prices.counts") == Some(1)).then_some(()));
    std::fs::remove_file(workshop.path().join("prices.yaml")).unwrap();
    run.wait_for("prices.yaml is gone: stopping prices");

    // of the runtime file, also when it was not there at the start
    workshop.write("unbatch.yaml", "memory: {limit: 256MiB}\n");
    run.wait_for("unbatch.yaml changed: it takes effect at the next start");
    workshop.write("unbatch.yaml", "memry: {limit: 256MiB}\n");
    let said = run.wait_for("the next start would be refused");
    assert!(said.contains("unknown field `memry`"), "{said}");

    std::fs::remove_file(workshop.path().join("unbatch.yaml")).unwrap();

    // all the while the first one went on
    workshop.drop_file("stock_a.csv", "id,counted\nr1,2\nr2,3\n");
    wait_until("the rows of the first", || (rows_of(&workshop, "stock.counts") == Some(2)).then_some(()));
    assert_eq!(run.terminate(), Some(0));
    assert!(!run.stderr().contains("prices  stopped"), "{}", run.stderr());
}

/// What is wrong with an edit may be known only to the system: here the topic has two partitions. What ran goes on.
#[test]
fn an_edit_that_the_system_refuses_is_taken_back() {
    let workshop = Workshop::with_pipeline();
    workshop.drop_file("stock_a.csv", "id,counted\nr1,2\n");
    let mut run = started(&workshop);
    wait_until("the first row", || (rows_of(&workshop, "stock.counts") == Some(1)).then_some(()));
    workshop.write("stock.yaml", &PIPELINE.replace("partitions: 2", "partitions: 3"));
    let said = run.wait_for("stock goes on as it was before the edit");
    assert!(said.contains("restarting: changed sink.topic.partitions") && said.contains("error[U0279]"), "{said}");
    workshop.drop_file("stock_b.csv", "id,counted\nr2,3\n");
    wait_until("the second row", || (rows_of(&workshop, "stock.counts") == Some(2)).then_some(()));
    assert_eq!(run.terminate(), Some(0), "the edit is not the end that counts");
}

/// Two files under one name would take the pipeline from each other, and removing either would stop it.
#[test]
fn a_second_file_of_a_pipeline_never_takes_over() {
    let workshop = Workshop::new();
    let pipeline = PIPELINE.replace("url: drops", &format!("url: {}", workshop.path().join("drops").display()));
    workshop.write("p1/stock.yaml", &pipeline);
    workshop.write("p2/stock.yaml", &pipeline);
    let ended = workshop.run(&["run", "--dev", "--no-http", "p1", "p2"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("error[U0125]"), "{ended}");
    assert!(ended.stderr.contains("p1/stock.yaml") && ended.stderr.contains("p2/stock.yaml"), "{ended}");
    std::fs::remove_file(workshop.path().join("p2/stock.yaml")).unwrap();

    // the first one is named twice, which makes it no second one
    let mut run = workshop.start("run", &["run", "--dev", "--no-http", "p1", "./p1/stock.yaml", "p2"]);
    run.wait_for("split is open");
    workshop.write("p2/stock.yaml", &pipeline.replace("poll: 50ms", "poll: 60ms"));
    let said = run.wait_for("stock goes on as it was");
    assert!(
        said.contains("error[U0125]: pipeline `stock` is described twice: in p1/stock.yaml and in p2/stock.yaml"),
        "{said}"
    );
    std::fs::remove_file(workshop.path().join("p2/stock.yaml")).unwrap();
    workshop.drop_file("stock_a.csv", "id,counted\nr1,2\n");
    wait_until("the first row", || (rows_of(&workshop, "stock.counts") == Some(1)).then_some(()));

    // the second comes again, and takes the place of the first once that one goes
    workshop.write("p2/stock.yaml", &pipeline.replace("poll: 50ms", "poll: 70ms"));
    wait_until("the second complaint", || (run.stderr().matches("goes on as it was").count() == 2).then_some(()));
    let said = run.stderr();
    assert!(!said.contains("is new") && !said.contains("is gone") && !said.contains("restarting"), "{said}");
    std::fs::remove_file(workshop.path().join("p1/stock.yaml")).unwrap();
    run.wait_for("stock: starting: p2/stock.yaml is new");
    workshop.drop_file("stock_b.csv", "id,counted\nr2,2\n");
    wait_until("the second row", || (rows_of(&workshop, "stock.counts") == Some(2)).then_some(()));
    assert_eq!(run.terminate(), Some(0));
}

/// What was written stays where it is: that is said where it is not what somebody may expect, and the advice is right.
#[test]
fn another_topic_or_key_is_said_to_leave_the_older_records_as_they_are() {
    let workshop = Workshop::with_pipeline();
    let mut run = started(&workshop);
    // before there are any, there is nothing to say
    workshop.write("stock.yaml", &PIPELINE.replace("key: [id]", "key: [counted]"));
    run.wait_for("restarting: changed sink.topic.key[0]");
    workshop.drop_file("stock_a.csv", "id,counted\nr1,2\n");
    wait_until("the first row", || (rows_of(&workshop, "stock.counts") == Some(1)).then_some(()));
    assert!(!run.stderr().contains("compaction"), "{}", run.stderr());
    workshop.write("stock.yaml", PIPELINE);
    run.wait_for("stock: `sink.topic.key` changed: records that are there keep their key and partition");
    workshop.write("stock.yaml", &PIPELINE.replace("name: stock.counts", "name: stock.anew"));
    let said = run.wait_for("stock: `sink.topic.name` changed: the new topic begins where the source stands");
    assert!(said.contains("`unbatch offsets reset stock --yes`"), "{said}");
    workshop.drop_file("stock_b.csv", "id,counted\nr2,2\n");
    wait_until("the second row", || (rows_of(&workshop, "stock.anew") == Some(1)).then_some(()));
    let wider = PIPELINE.replace("name: stock.counts", "name: stock.anew").replace("int32", "int64");
    workshop.write("stock.yaml", &wider);
    run.wait_for("stock: `counted` is int64, was int32: records that are there keep the shape they were written in");
    assert_eq!(run.terminate(), Some(0));

    workshop.json(&["offsets", "reset", "stock", "--yes"]);
    workshop.json(&["run", "--dev", "--once", "--no-http"]);
    assert_eq!(rows_of(&workshop, "stock.anew"), Some(3), "both again, beside the one that was there");
}
