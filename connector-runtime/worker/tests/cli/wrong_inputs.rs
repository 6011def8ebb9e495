//! Thirty ways to get it wrong: configurations, files, commands, brokers, rights, a full disk. Each is answered by the right exit
//! code and by words that lead on; where it can be shown quickly, the remedy is followed and helps. Nothing panics, and no
//! error is shown as the program sees it.

use crate::workshop::{Ended, PIPELINE, Workshop};
use std::os::unix::fs::PermissionsExt;

/// One mistake.
struct Case {
    name: &'static str,
    make: fn(&Workshop),
    args: &'static [&'static str],
    code: i32,
    /// What the message must say: place, code, remedy.
    says: &'static [&'static str],
    /// Does what the message says; the same command must end well then.
    mend: Option<fn(&Workshop)>,
}

fn check(cases: &[Case]) {
    for case in cases {
        let workshop = Workshop::with_pipeline();
        (case.make)(&workshop);
        let ended = workshop.run(case.args);
        is_fit_for_people(case.name, &ended);
        assert_eq!(ended.code, Some(case.code), "{}: {:?}\n{ended}", case.name, case.args);
        let all = format!("{}{}", ended.stdout, ended.stderr);
        for part in case.says {
            assert!(all.contains(part), "{}: {part:?} is missing\n{ended}", case.name);
        }
        if let Some(mend) = case.mend {
            mend(&workshop);
            let ended = workshop.run(case.args);
            assert_eq!(ended.code, Some(0), "{}: the remedy was followed\n{ended}", case.name);
        }
    }
}

/// No panic, no `Debug` of an error, nothing of the program's inside.
pub fn is_fit_for_people(name: &str, ended: &Ended) {
    let all = format!("{}{}", ended.stdout, ended.stderr);
    for raw in
        ["panicked", "RUST_BACKTRACE", "Error {", "Err(", "Os {", "KafkaError", "Custom {", "unwrap", "src/", ".rs:"]
    {
        assert!(!all.contains(raw), "{name}: {raw:?} is shown\n{ended}");
    }
}

fn pipeline(workshop: &Workshop, from: &str, to: &str) {
    assert!(PIPELINE.contains(from), "{from}");
    workshop.write("stock.yaml", &PIPELINE.replace(from, to));
}

fn right(workshop: &Workshop) {
    workshop.write("stock.yaml", PIPELINE);
}

fn nothing(_: &Workshop) {}

#[test]
fn wrong_configurations() {
    check(CONFIGURATIONS);
}

const VALIDATE: &[&str] = &["validate"];
const CONFIGURATIONS: &[Case] = &[
    Case {
        name: "a misspelt option",
        make: |w| pipeline(w, "poll:", "pol:"),
        args: VALIDATE,
        code: 2,
        says: &["stock.yaml:8:5", "U0102", "did you mean `poll`?"],
        mend: Some(right),
    },
    Case {
        name: "no sink",
        make: |w| pipeline(w, "sink:\n  topic: {name: stock.counts, key: [id], partitions: 2, format: json}\n", ""),
        args: VALIDATE,
        code: 2,
        says: &["stock.yaml:1:1", "`sink`", "help: "],
        mend: Some(right),
    },
    Case {
        name: "two sinks",
        make: |w| pipeline(w, "sink:\n", "sink:\n  memory: {}\n"),
        args: VALIDATE,
        code: 2,
        says: &["stock.yaml:13", "memory"],
        mend: Some(right),
    },
    Case {
        name: "a list where a text belongs",
        make: |w| pipeline(w, "url: drops", "url: [drops]"),
        args: VALIDATE,
        code: 2,
        says: &["stock.yaml:5:5", "U0104"],
        mend: Some(right),
    },
    Case {
        name: "a column type there is not",
        make: |w| pipeline(w, "type: int32", "type: integer"),
        args: VALIDATE,
        code: 2,
        says: &["stock.yaml:11", "int32"],
        mend: Some(right),
    },
    Case {
        name: "a decimal with more digits than there are",
        make: |w| pipeline(w, "type: int32", "type: \"decimal(99,2)\""),
        args: VALIDATE,
        code: 2,
        says: &["stock.yaml:11", "38"],
        mend: Some(right),
    },
    Case {
        name: "a column twice",
        make: |w| pipeline(w, "name: counted", "name: id"),
        args: VALIDATE,
        code: 2,
        says: &["stock.yaml:11", "id"],
        mend: Some(right),
    },
    Case {
        name: "not YAML",
        make: |w| pipeline(w, "source:", "source: {"),
        args: VALIDATE,
        code: 2,
        says: &["stock.yaml:", "U0"],
        mend: Some(right),
    },
    Case {
        name: "an empty file",
        make: |w| drop(w.write("stock.yaml", "")),
        args: VALIDATE,
        code: 2,
        says: &["stock.yaml", "U0", "help: "],
        mend: Some(right),
    },
    Case {
        name: "bytes that are no text",
        make: |w| std::fs::write(w.path().join("stock.yaml"), b"pipeline: \xff\xfe").unwrap(),
        args: VALIDATE,
        code: 2,
        says: &["stock.yaml", "UTF-8"],
        mend: Some(right),
    },
    Case {
        name: "a secret that is nowhere",
        make: |w| {
            w.write(
                "unbatch.yaml",
                "kafka: {auth: {sasl_plain: {username: shop, password: {secret: kafka/password}}}}\n",
            );
        },
        args: &["topics", "list", "--brokers", "127.0.0.1:1"],
        code: 2,
        says: &["kafka/password", "secrets"],
        mend: None,
    },
    Case {
        name: "a variable that is not set",
        make: |w| drop(w.write("unbatch.yaml", "kafka: {brokers: {env: SHOP_BROKERS}}\n")),
        args: &["topics", "list"],
        code: 2,
        says: &["U0140", "set the environment variable SHOP_BROKERS"],
        mend: None,
    },
    Case {
        name: "a runtime file that is not there",
        make: nothing,
        args: &["validate", "--config", "prod.yaml"],
        code: 2,
        says: &["prod.yaml"],
        mend: Some(|w| drop(w.write("prod.yaml", "deployment: prod\n"))),
    },
];

#[test]
fn wrong_commands() {
    check(COMMANDS);
}

const COMMANDS: &[Case] = &[
    Case { name: "a command there is not", make: nothing, args: &["rum"], code: 2, says: &["rum", "run"], mend: None },
    Case {
        name: "an option there is not",
        make: nothing,
        args: &["run", "--one"],
        code: 2,
        says: &["--one", "--once"],
        mend: None,
    },
    Case {
        name: "no pipeline here",
        make: |w| std::fs::remove_file(w.path().join("stock.yaml")).unwrap(),
        args: &["validate"],
        code: 2,
        says: &["pipelines/", "unbatch init --from csv"],
        mend: Some(right),
    },
    Case {
        name: "a pipeline's name in place of its file",
        make: nothing,
        args: &["run", "stokc", "--once"],
        code: 2,
        says: &["U0720", "did you mean `stock.yaml`?"],
        mend: None,
    },
    Case {
        name: "an option with two letters swapped",
        make: nothing,
        args: &["run", "--dve"],
        code: 2,
        says: &["'--dev'", "a similar argument exists"],
        mend: None,
    },
    Case {
        name: "a pipeline file that is not there",
        make: nothing,
        args: &["validate", "prices.yaml"],
        code: 2,
        says: &["prices.yaml"],
        mend: Some(|w| {
            w.write("prices.yaml", &PIPELINE.replace("pipeline: stock", "pipeline: prices"));
        }),
    },
    Case {
        name: "a pipeline of another name",
        make: |w| assert_eq!(w.run(&["run", "--once", "--dev", "--no-http"]).code, Some(0)),
        args: &["quarantine", "list", "stok", "--dev"],
        code: 2,
        says: &["stok", "stock"],
        mend: None,
    },
    Case {
        name: "a code there is not",
        make: nothing,
        args: &["explain", "U9999"],
        code: 2,
        says: &["U9999", "unbatch explain"],
        mend: None,
    },
    Case {
        name: "a connector there is not",
        make: nothing,
        args: &["connectors", "csv_drop"],
        code: 2,
        says: &["csv_drop", "csv_drops"],
        mend: None,
    },
    Case {
        name: "a beginning that is none",
        make: nothing,
        args: &["topics", "read", "stock.counts", "--from", "yesterday", "--dev"],
        code: 2,
        says: &["yesterday", "U0750", "2026-"],
        mend: None,
    },
    Case {
        name: "a cell without text",
        make: nothing,
        args: &["quarantine", "replay", "stock", "--dev", "--code", "bad_int", "--set", "counted"],
        code: 2,
        says: &["--set", "U0768", "price=12.00"],
        mend: None,
    },
    Case {
        name: "a misspelt reason of rows to replay",
        make: |w| assert_eq!(w.run(&["run", "--once", "--dev", "--no-http"]).code, Some(0)),
        args: &["quarantine", "replay", "stock", "--dev", "--code", "bad_decimel"],
        code: 2,
        says: &["U0763", "did you mean `bad_decimal`?"],
        mend: None,
    },
    Case {
        name: "a misspelt reason of rows to list",
        make: |w| assert_eq!(w.run(&["run", "--once", "--dev", "--no-http"]).code, Some(0)),
        args: &["quarantine", "list", "stock", "--dev", "--code", "bad_decimel"],
        code: 2,
        says: &["U0763", "did you mean `bad_decimal`?"],
        mend: None,
    },
    Case {
        name: "cells of all rows at once",
        make: nothing,
        args: &["quarantine", "replay", "stock", "--dev", "--set", "counted=1"],
        code: 2,
        says: &["--ids", "--code"],
        mend: None,
    },
    Case {
        name: "no worker there",
        make: nothing,
        args: &["status", "--http", "127.0.0.1:1"],
        code: 3,
        says: &["127.0.0.1:1", "unbatch run"],
        mend: None,
    },
    Case {
        name: "a topic there is not",
        make: |w| {
            w.drop_file("stock_1.csv", "id,counted\na,1\n");
            assert_eq!(w.run(&["run", "--once", "--dev", "--no-http"]).code, Some(0));
        },
        args: &["topics", "read", "stock.count", "--dev"],
        code: 2,
        says: &["stock.count", "stock.counts", "topics list"],
        mend: None,
    },
];

#[test]
fn systems_that_cannot_be_had() {
    check(SYSTEMS);
}

const SYSTEMS: &[Case] = &[
    Case {
        name: "nobody answers there",
        make: nothing,
        args: &["validate", "--online", "--brokers", "127.0.0.1:1"],
        code: 3,
        says: &["127.0.0.1:1", "--brokers", "help: "],
        mend: None,
    },
    Case {
        name: "an address without a port",
        make: nothing,
        args: &["topics", "list", "--brokers", "127.0.0.1:port"],
        code: 2,
        says: &["127.0.0.1:port", "U0247", "HOST:PORT"],
        mend: None,
    },
    Case {
        name: "no drop folder",
        make: |w| std::fs::remove_dir(w.path().join("drops")).unwrap(),
        args: &["run", "--once", "--dev", "--no-http"],
        code: 2,
        says: &["drops", "U0217"],
        mend: Some(|w| std::fs::create_dir(w.path().join("drops")).unwrap()),
    },
    Case {
        name: "a file where the drop folder belongs",
        make: |w| {
            std::fs::remove_dir(w.path().join("drops")).unwrap();
            w.write("drops", "");
        },
        args: &["run", "--once", "--dev", "--no-http"],
        code: 2,
        says: &["drops", "help: "],
        mend: Some(|w| {
            std::fs::remove_file(w.path().join("drops")).unwrap();
            std::fs::create_dir(w.path().join("drops")).unwrap();
        }),
    },
];

#[test]
fn wrong_data() {
    const RUN: &[&str] = &["run", "--once", "--dev", "--no-http"];
    const PARKED: i32 = 1;
    let case = |name, make, says| Case { name, make, args: RUN, code: PARKED, says, mend: None };
    check(&[
        case(
            "another header",
            |w| w.drop_file("stock_1.csv", "sku,counted\na,1\n"),
            &["stock_1.csv", "`id`", "quarantine"],
        ),
        case(
            "UTF-32",
            |w| std::fs::write(w.path().join("drops/stock_1.csv"), b"\xff\xfe\0\0i\0\0\0").unwrap(),
            &["stock_1.csv", "UTF-32"],
        ),
        case(
            "a zip archive",
            |w| std::fs::write(w.path().join("drops/stock_1.csv"), b"PK\x03\x04\x14\0\0\0\x08\0").unwrap(),
            &["stock_1.csv", "zip"],
        ),
        case(
            "a quote that is never closed",
            |w| w.drop_file("stock_1.csv", "id,counted\na,1\n\"b,2\n"),
            &["stock_1.csv", "truncated_in_quotes"],
        ),
    ]);
}

/// What would be written is lost: that is no success.
#[test]
fn a_full_disk() {
    let workshop = Workshop::with_pipeline();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for args in [&["schema"][..], &["validate", "--json"], &["connectors"]] {
        let ended = workshop.command(args).stdout(full()).output().unwrap();
        let ended = Ended::from(ended);
        is_fit_for_people("a full disk", &ended);
        assert_eq!(ended.code, Some(1), "{args:?}\n{ended}");
        assert!(ended.stderr.contains("U07") && ended.stderr.contains("help: "), "{args:?}\n{ended}");
    }
}

/// Rights are nothing to root, who runs CI: there only the absence of a panic is shown.
#[test]
fn a_pipeline_file_that_may_not_be_read() {
    let workshop = Workshop::with_pipeline();
    let path = workshop.path().join("stock.yaml");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    let refused = std::fs::read(&path).is_err();
    let ended = workshop.run(&["validate"]);
    is_fit_for_people("no right to read", &ended);
    assert_eq!(ended.code, Some(if refused { 2 } else { 0 }), "{ended}");
    assert_eq!(ended.stderr.contains("stock.yaml"), refused, "{ended}");
}
