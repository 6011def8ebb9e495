//! What a person sees for a wrong pipeline file: each message names file, line, column, code and remedy, the exit code is 2,
//! and no secret is shown. One `*.yaml` for each mistake, its message beside it as `*.txt`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests stop at what they did not expect")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Stands in some of the files where a person could have written a password.
const PASSWORD: &str = "Tr0ub4dor";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("wrong-configs")
}

/// The binary lies beside the folder of the test executables; the workspace is always built whole.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("unbatch")
}

fn validate(file: &str) -> (Option<i32>, String) {
    let mut command = Command::new(binary());
    let config = file.starts_with("unbatch");
    match config {
        true => command.args(["validate", "right.yaml", "--config", file]),
        false => command.args(["validate", file]),
    };
    let output = command.current_dir(folder()).env("NO_COLOR", "1").output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn each_wrong_file_gets_its_message() {
    let mut files: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml") && name != "right.yaml")
        .collect();
    files.sort();
    assert!(files.len() >= 10, "ten mistakes at least, there are {}", files.len());
    let mut different = Vec::new();
    for file in files {
        let (code, text) = validate(&file);
        assert_eq!(code, Some(2), "{file}: {text}");
        assert!(text.contains("error[U"), "{file} names a code: {text}");
        assert!(text.contains(&format!("{file}:")), "{file} names file, line and column: {text}");
        assert!(text.contains("help:") || text.contains("did you mean"), "{file} says the remedy: {text}");
        assert!(!text.contains(PASSWORD), "{file} shows a secret: {text}");
        let expected = folder().join(file.replace(".yaml", ".txt"));
        if std::env::var_os("UNBATCH_BLESS").is_some() {
            fs::write(&expected, &text).unwrap();
        }
        let kept = fs::read_to_string(&expected).unwrap_or_default();
        if kept != text {
            different.push(format!("{file}: expected\n{kept}\nbut it is\n{text}"));
        }
    }
    assert!(different.is_empty(), "{}\nUNBATCH_BLESS=1 takes the new form over", different.join("\n"));
}

#[test]
fn the_right_file_is_right() {
    let (code, text) = validate("right.yaml");
    assert_eq!(code, Some(0), "{text}");
}
