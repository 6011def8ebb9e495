//! What programs get of `unbatch validate`: a line each, GitHub's workflow commands, SARIF. Of the same mistakes as in
//! `wrong_configs.rs`; kept in `validate-formats/`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests stop at what they did not expect")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Stands in some of the files where a person could have written a password.
const PASSWORD: &str = "Tr0ub4dor";
/// With mistakes of several kinds; one more is in the runtime file.
const FILES: [&str; 4] = ["misspelt-key.yaml", "wrong-units.yaml", "other-name.yaml", "archive-in-sight.yaml"];

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("validate-formats").join(name)
}

/// The binary lies beside the folder of the test executables; the workspace is always built whole.
fn validate(arguments: &[&str]) -> Output {
    let test = std::env::current_exe().unwrap();
    let mut command = Command::new(test.parent().unwrap().parent().unwrap().join("unbatch"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("wrong-configs");
    command.arg("validate").args(arguments).current_dir(folder).env("NO_COLOR", "1").output().unwrap()
}

fn report(format: &str) -> String {
    let login = ["--config", "unbatch-plain-password.yaml", "--format", format];
    let output = validate(&[&FILES[..], &login].concat());
    assert_eq!(output.status.code(), Some(2), "{format}: {output:?}");
    let verdict = String::from_utf8(output.stderr).unwrap();
    assert_eq!(verdict.lines().count(), 1, "beside the report only the verdict: {verdict}");
    assert!(verdict.contains("5 files") && verdict.contains("unbatch explain U"), "{verdict}");
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(!report.contains(PASSWORD), "{format} shows a secret: {report}");
    report
}

#[track_caller]
fn is_the_kept_one(name: &str, text: &str) {
    if std::env::var_os("UNBATCH_BLESS").is_some() {
        std::fs::write(kept(name), text).unwrap();
    }
    let before = std::fs::read_to_string(kept(name)).unwrap_or_default();
    assert!(before == text, "{name}: expected\n{before}\nbut it is\n{text}\nUNBATCH_BLESS=1 takes the new form over");
}

#[test]
fn each_finding_is_one_line_as_compilers_write_it() {
    let report = report("concise");
    for line in report.lines() {
        let (place, rest) = line.split_once(": ").unwrap();
        let mut parts = place.split(':');
        assert!(parts.next().unwrap().ends_with(".yaml"), "{line}");
        assert!(parts.all(|number| number.parse::<usize>().is_ok_and(|n| n > 0)), "{line}");
        assert!(rest.starts_with("error[U0") && rest.ends_with(')'), "code and remedy: {line}");
    }
    is_the_kept_one("concise.txt", &report);
}

#[test]
fn each_finding_is_one_workflow_command() {
    let report = report("github");
    assert!(report.lines().all(|line| line.starts_with("::error file=") && line.contains(",title=U0")), "{report}");
    is_the_kept_one("github.txt", &report);
}

#[test]
fn sarif_has_what_code_scanning_needs() {
    let log: Value = serde_json::from_str(&report("sarif")).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().ends_with("sarif-schema-2.1.0.json"));
    let [run] = log["runs"].as_array().unwrap().as_slice() else { panic!("one run: {log}") };
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let driver = &run["tool"]["driver"];
    assert_eq!(
        (driver["name"].as_str(), driver["version"].as_str()),
        (Some("unbatch"), Some(env!("CARGO_PKG_VERSION")))
    );
    let rules = driver["rules"].as_array().unwrap();
    let texts = ["shortDescription", "fullDescription", "help"];
    assert!(
        rules.iter().all(|rule| texts.iter().all(|text| rule[text]["text"].as_str().is_some_and(|t| !t.is_empty())))
    );
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), report("concise").lines().count());
    for result in results {
        let index = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(rules[index]["id"], result["ruleId"], "{result}");
        assert_eq!(result["level"], "error");
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        assert!(!uri.contains(':') && !uri.starts_with('/'), "relative: {uri}");
        if let Some(region) = place.get("region") {
            let number = |name: &str| region[name].as_u64().unwrap();
            assert!(number("startLine") >= 1 && number("startColumn") >= 1, "{region}");
            assert!(
                (number("startLine"), number("startColumn")) <= (number("endLine"), number("endColumn")),
                "{region}"
            );
        }
    }
    let shown = serde_json::to_string_pretty(&log).unwrap();
    is_the_kept_one("sarif.json", &format!("{}\n", shown.replace(env!("CARGO_PKG_VERSION"), "VERSION")));
}

#[test]
fn good_files_give_an_empty_report_and_two_forms_at_once_are_refused() {
    for (format, empty) in [("concise", ""), ("github", "")] {
        let output = validate(&["right.yaml", "--format", format]);
        assert_eq!((output.status.code(), String::from_utf8(output.stdout).unwrap().as_str()), (Some(0), empty));
    }
    let output = validate(&["right.yaml", "--format", "sarif"]);
    let log: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), log["runs"][0]["results"].as_array().map(Vec::len)), (Some(0), Some(0)));
    for arguments in [["right.yaml", "--json", "--format", "sarif"], ["--json", "right.yaml", "--format", "full"]] {
        let refused = validate(&arguments);
        let envelope: Value = serde_json::from_slice(&refused.stdout).unwrap();
        assert_eq!((refused.status.code(), envelope["error"]["code"].as_str()), (Some(2), Some("U0744")));
    }
    // what kept it from looking stands in the report
    let nowhere = validate(&["nowhere", "--format", "github"]);
    let report = String::from_utf8(nowhere.stdout).unwrap();
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(report.starts_with("::error title=U0720::finding the pipeline files failed"), "{report}");
}
