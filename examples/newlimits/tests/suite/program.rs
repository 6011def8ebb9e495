use std::path::Path;
use std::process::{Command, Output};

use newlimits::truth::Ledger;
use serde_json::json;
use tempfile::TempDir;

fn newlimits(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_newlimits")).args(arguments).output().unwrap()
}

#[track_caller]
fn check(arguments: &[&str], exit: i32, says: &str) {
    let output = newlimits(arguments);
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{said}");
    assert!(said.contains(says), "`{says}` is not in: {said}");
}

#[test]
fn generate_drop_and_verify() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (out, drops, records, quarantine) = (path("out"), path("drops"), path("r.ndjson"), path("q.ndjson"));
    let generate =
        ["generate", "--out", &out, "--seed", "51", "--scale", "0.1", "--nights", "2", "--feed", "stock-counts"];
    check(&generate, 0, "seed 51");
    check(&generate, 1, "is not empty");
    check(
        &["drop", "--from", &out, "--to", &drops, "--interval", "1ms", "--marker", ".done"],
        0,
        "stock_BER_2026-03-02_1.csv",
    );
    assert!(Path::new(&drops).join("stock_BER_2026-03-02_1.csv.done").exists());

    write_right_reading(&Ledger::open(&out).unwrap(), Path::new(&records), Path::new(&quarantine));
    let verify = ["verify", "--truth", &out, "--records", &records, "--quarantine", &quarantine];
    check(&verify, 0, "\nequal\n");
    check(&[&verify[..], &["--json"]].concat(), 0, "\"unexpected_records\": 0");
    std::fs::write(&records, "").unwrap();
    check(&verify, 4, "NOT equal");
    std::fs::write(&records, "{\"key\":").unwrap();
    check(&verify, 1, "parsing a line of");
}

#[test]
fn a_wrong_command_line_is_refused() {
    let usage = ["generate", "--out", "x", "--seed", "1", "--feed", "shoes"];
    check(&usage, 2, "feeds are stock-counts, prices, web-orders, movements, sales and all");
    check(&["generate", "--out", "x", "--seed", "1", "--scale", "0"], 1, "scale 0 is not above 0");
}

fn write_right_reading(ledger: &Ledger, records: &Path, quarantine: &Path) {
    let (mut read, mut rejected) = (String::new(), String::new());
    for line in ledger.lines().unwrap() {
        let line = line.unwrap();
        if let Some(value) = line.value {
            read += &json!({"key": line.key, "value": value, "headers": {"op": "c"}}).to_string();
            read.push('\n');
        } else {
            let file = &ledger.truth().files[line.file as usize].name;
            let origin = json!({"file": file, "line": line.line, "byte": line.byte});
            rejected += &json!({"id": "x", "code": line.code, "message": "m", "origin": origin}).to_string();
            rejected.push('\n');
        }
    }
    std::fs::write(records, read).unwrap();
    std::fs::write(quarantine, rejected).unwrap();
}
