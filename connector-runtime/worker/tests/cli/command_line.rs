//! What needs no broker: wrong arguments, wrong files, and the form of every message.

use crate::workshop::{PIPELINE, Workshop};

#[test]
fn wrong_files_are_reported_all_at_once_with_place_code_and_remedy() {
    let workshop = Workshop::new();
    workshop.write("pipelines/stock.yaml", &PIPELINE.replace("columns:", "colums:"));
    workshop
        .write("pipelines/prices.yaml", &PIPELINE.replace("pipeline: stock", "pipeline: prices").replace("50ms", "50"));
    workshop.write("unbatch.yaml", "deployment: Shop\n");
    let ended = workshop.run(&["validate"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended}");
    for part in [
        "error[U0102]: unknown field `colums` in `source.csv_drops`",
        "pipelines/stock.yaml:9:5",
        "did you mean `columns`?",
        "error[U0108]",
        "pipelines/prices.yaml:7:30",
        "error[U0712]",
        "unbatch.yaml:1:13",
        "help: ",
        "✗ 3 files · ",
        "unbatch explain U0",
    ] {
        assert!(ended.stderr.contains(part), "{part:?} is missing\n{ended}");
    }
    let envelope = workshop.run(&["--json", "validate"]).envelope();
    assert_eq!((envelope["ok"].as_bool(), envelope["error"]["exit"].as_u64()), (Some(false), Some(2)));
    let diagnostics = envelope["error"]["diagnostics"].as_array().unwrap();
    assert!(diagnostics.iter().any(|d| d["code"] == "U0102" && d["line"] == 9 && d["column"] == 5), "{envelope}");
    // `run` says the same and starts nothing
    let run = workshop.run(&["run", "--once"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("pipelines/stock.yaml:9:5"), "{run}");
}

#[test]
fn good_files_pass_and_the_verdict_is_a_result() {
    let workshop = Workshop::with_pipeline();
    let ended = workshop.run(&["validate"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "✓ 1 file · 0 errors · 0 warnings\n"), "{ended}");
    let result = workshop.json(&["validate", "stock.yaml"]);
    assert_eq!((result["pipelines"][0].as_str(), result["files"].as_u64()), (Some("stock"), Some(1)));
}

#[test]
fn a_secret_in_plain_text_is_refused_and_never_shown() {
    let workshop = Workshop::with_pipeline();
    let login = "kafka:\n  auth: {sasl_plain: {username: shop, password: hunter2}}\n";
    workshop.write("unbatch.yaml", login);
    for args in [&["validate"][..], &["validate", "--json"], &["run", "--once"], &["topics", "list"], &["status"]] {
        let ended = workshop.run(args);
        assert_eq!(ended.code, Some(2), "{args:?}\n{ended}");
        assert!(!ended.stderr.contains("hunter2") && !ended.stdout.contains("hunter2"), "{args:?}\n{ended}");
    }
}

#[test]
fn a_password_appears_nowhere_whatever_is_logged() {
    let broker = unbatch_dev_broker::DevBroker::start(unbatch_dev_broker::Settings::default()).unwrap();
    let workshop = Workshop::with_pipeline();
    workshop.write(
        "unbatch.yaml",
        "kafka:\n  auth: {sasl_plain: {username: shop, password: {env: UNBATCH_TEST_PASSWORD}}}\n",
    );
    let address = broker.addr().to_string();
    let mut command = workshop.command(&["topics", "list", "--brokers", &address]);
    let command = command.env("UNBATCH_TEST_PASSWORD", "hunter2").env("UNBATCH_LOG", "trace");
    let ended = crate::workshop::Ended::from(command.output().unwrap());
    assert!(matches!(ended.code, Some(2 | 3)), "{ended}");
    assert!(ended.stderr.contains("error[U0"), "{ended}");
    assert!(!ended.stderr.contains("hunter2") && !ended.stdout.contains("hunter2"), "{ended}");
    let missing = workshop.run(&["topics", "list", "--brokers", &address]);
    assert_eq!(missing.code, Some(2), "{missing}");
    assert!(missing.stderr.contains("UNBATCH_TEST_PASSWORD") && missing.stderr.contains("help: "), "{missing}");
}

#[test]
fn plain_output_has_neither_colour_nor_glyphs_beyond_ascii_where_they_cannot_be_shown() {
    let workshop = Workshop::new();
    workshop.write("stock.yaml", "version: 1\npipelin: stock\n");
    let ended = workshop.command(&["validate"]).env("LC_ALL", "C").output().unwrap();
    let ended = crate::workshop::Ended::from(ended);
    // what a message says stays as it is; what is drawn around it does not need more than ASCII
    assert!(!ended.stderr.contains(['\u{1b}', '╭', '│', '·', '✗']), "{ended}");
    assert!(ended.stderr.contains("x 1 file | "), "{ended}");
}

#[test]
fn a_wrong_command_line_is_exit_code_2_and_an_envelope_when_asked_for() {
    let workshop = Workshop::new();
    for args in
        [&["--nonsense"][..], &["run", "--dev", "--brokers", "b:1"], &["offsets", "set", "stock"], &["frobnicate"]]
    {
        let ended = workshop.run(args);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{args:?}\n{ended}");
        assert!(ended.stderr.contains("error: "), "{ended}");
        let envelope = workshop.run(&[args, &["--json"]].concat()).envelope();
        assert_eq!((envelope["ok"].as_bool(), envelope["error"]["code"].as_str()), (Some(false), Some("U0700")));
    }
    let nothing = workshop.run(&["run"]);
    assert_eq!(nothing.code, Some(2), "{nothing}");
    assert!(nothing.stderr.starts_with("error[U0721]: ") && nothing.stderr.contains("\n  help: "), "{nothing}");
}

#[test]
fn an_unreachable_system_is_exit_code_3_and_says_what_was_attempted() {
    let workshop = Workshop::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let ended = workshop.run(&["status", "--http", &free]);
    assert_eq!(ended.code, Some(3), "{ended}");
    assert!(ended.stderr.starts_with("error[U0741]: asking the worker failed\n  address: "), "{ended}");
    let envelope = workshop.run(&["status", "--http", &free, "--json"]).envelope();
    assert_eq!((envelope["command"].as_str(), envelope["error"]["kind"].as_str()), (Some("status"), Some("transient")));
}

#[test]
fn what_is_built_in_can_be_asked_for() {
    let workshop = Workshop::new();
    assert_eq!(workshop.json(&["version"])["version"], env!("CARGO_PKG_VERSION"));
    let list = workshop.json(&["connectors"]);
    let names: Vec<&str> = list["connectors"].as_array().unwrap().iter().filter_map(|c| c["name"].as_str()).collect();
    let steps = ["cast", "derive", "drop", "filter", "mask", "rename", "route", "select"];
    assert_eq!(names, [&["csv_drops", "topic"], &steps[..]].concat());
    let mask = workshop.run(&["connectors", "mask"]);
    let forms = "takes: map of redact | {hash} | {keep_last} | {keep_first}";
    assert!(mask.stdout.contains(forms) && mask.stdout.contains("for example: - mask: {"), "{mask}");
    let one = workshop.run(&["connectors", "csv_drops"]);
    assert!(one.stdout.contains("  url: string (required)"), "{one}");
    assert!(one.stdout.contains("dialect.delimiter: string (default \",\")"), "{one}");
    assert_eq!(workshop.run(&["connectors", "abacus"]).code, Some(2));
    assert!(workshop.json(&["schema"])["properties"]["source"].is_object());
    assert!(workshop.json(&["schema", "runtime"])["properties"]["kafka"].is_object());
}

#[test]
fn every_code_can_be_explained() {
    let workshop = Workshop::new();
    for code in ["U0102", "U0222", "U0250", "U0291", "U0401", "U0903", "bad_decimal", "key_not_sent"] {
        let found = workshop.json(&["explain", &code.to_lowercase()]);
        let [entry] = found["codes"].as_array().unwrap().as_slice() else { panic!("{code}: {found}") };
        assert_eq!(entry["code"], code);
        assert!(["title", "meaning", "help"].iter().all(|field| !entry[field].as_str().unwrap().is_empty()), "{found}");
    }
    let told = workshop.run(&["explain", "U0712"]);
    assert!(told.stdout.starts_with("U0712: not the name of a deployment\n\n"), "{told}");
    assert!(told.stdout.contains("\n\nhelp: Write something like"), "{told}");

    let all = workshop.json(&["explain"]);
    let codes: Vec<&str> = all["codes"].as_array().unwrap().iter().filter_map(|c| c["code"].as_str()).collect();
    assert!(codes.len() > 100 && codes.is_sorted(), "{codes:?}");
    let list = workshop.run(&["explain"]);
    assert_eq!(list.stdout.lines().count(), codes.len() + 1, "{list}");
    assert!(list.stdout.contains("\nU0712"), "{list}");

    let unknown = workshop.run(&["explain", "X1"]);
    assert_eq!(unknown.code, Some(2), "{unknown}");
    assert!(unknown.stderr.starts_with("error[U0740]"), "{unknown}");
}
