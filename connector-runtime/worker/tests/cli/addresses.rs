//! Which cluster a command asked, said where it was not given.

use crate::workshop::{PIPELINE, Workshop};
use unbatch_dev_broker::{DevBroker, Settings};

/// `run --brokers X`, then a look without it: the answer is of another broker, and says so.
#[test]
fn a_command_that_was_given_no_address_says_whom_it_asked() {
    let broker = DevBroker::start(Settings::default()).unwrap();
    let address = broker.addr().to_string();
    let workshop = Workshop::with_pipeline();
    workshop.drop_file("stock_a.csv", "id,counted\nr1,2\n");
    workshop.json(&["run", "--dev", "--once"]);
    for arguments in [&["topics", "list"][..], &["quarantine", "list", "stock"], &["offsets", "get", "stock"]] {
        let kept = workshop.run(arguments);
        assert!(
            kept.code == Some(0) && kept.stderr.contains("asking the broker that `run --dev` kept under"),
            "{kept}"
        );
        let given = workshop.run(&[arguments, &["--brokers", &address]].concat());
        assert!(!given.stderr.contains("asking"), "{given}");
    }
    let read = workshop.run(&["topics", "read", "stock.counts"]);
    assert!(read.stderr.lines().next().unwrap_or_default().starts_with("asking the broker"), "{read}");
    workshop.write("unbatch.yaml", &format!("kafka: {{brokers: \"{address}\"}}\n"));
    let named = workshop.run(&["topics", "list"]);
    assert!(named.code == Some(0) && !named.stderr.contains("asking"), "{named}");
}

#[test]
fn a_host_that_does_not_exist_is_blamed_on_the_option_that_named_it() {
    let workshop = Workshop::with_pipeline();
    let by_option = workshop.run(&["topics", "list", "--brokers", "no-such-host.invalid:9092"]);
    assert!(by_option.stderr.contains("error[U0253]"), "{by_option}");
    assert!(by_option.stderr.contains("help: check the host names in `--brokers`"), "{by_option}");
    workshop.write("unbatch.yaml", "kafka: {brokers: \"no-such-host.invalid:9092\"}\n");
    let by_file = workshop.run(&["topics", "list"]);
    assert!(by_file.stderr.contains("help: check the host names in `kafka.brokers`"), "{by_file}");
}

#[test]
fn what_the_cluster_says_counts_in_the_verdict() {
    let broker = DevBroker::start(Settings::default()).unwrap();
    let address = broker.addr().to_string();
    let workshop = Workshop::new();
    workshop.drop_file("stock_a.csv", "id,counted\nr1,2\n");
    // the sink's topic is the pipeline's quarantine
    workshop.write("stock.yaml", &PIPELINE.replace("stock.counts", "unbatch.stock.quarantine"));
    let online = ["validate", "stock.yaml", "--online", "--brokers", &address];
    let told = workshop.run(&online);
    assert_eq!(told.code, Some(2), "{told}");
    assert!(told.stdout.contains("1 file · 1 error · 0 warnings   unbatch explain U0299"), "{told}");
    assert!(!told.stdout.contains('✓'), "{told}");
    let json = workshop.run(&[&online[..], &["--json"]].concat()).envelope();
    assert_eq!((json["result"]["errors"].as_u64(), json["result"]["warnings"].as_u64()), (Some(1), Some(0)), "{json}");
    workshop.write("stock.yaml", PIPELINE);
    let good = workshop.run(&online);
    assert_eq!(good.code, Some(0), "{good}");
    assert!(good.stdout.contains("✓ 1 file · 0 errors · 1 warning   unbatch explain U0298"), "{good}");
}

#[test]
fn a_step_that_is_not_built_in_is_named() {
    let workshop = Workshop::new();
    workshop.write("stock.yaml", &format!("{PIPELINE}steps:\n  - shuffle: {{seed: 1}}\n"));
    let told = workshop.run(&["validate", "stock.yaml"]);
    assert!(told.code == Some(2) && told.stderr.contains("unknown field `shuffle` in `steps[0]`"), "{told}");
}
