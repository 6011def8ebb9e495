//! Completion as a shell asks for it, in a real bash: what there is on any machine that runs these tests.

use crate::workshop::{Workshop, wait_until};
use std::process::{Command, Stdio};

/// What bash offers for the last word of the line.
#[track_caller]
fn offered(workshop: &Workshop, line: &[&str]) -> Vec<String> {
    let script = r#"
source <("$UNBATCH" completions bash)
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
_clap_complete_unbatch "$1" "${@: -1}" "${@: -2:1}"
printf '%s\n' "${COMPREPLY[@]}"
"#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile", "-c", script, "bash"]).args(line).current_dir(workshop.path());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("UNBATCH_")) {
        bash.env_remove(name);
    }
    bash.env("UNBATCH", env!("CARGO_BIN_EXE_unbatch")).stdin(Stdio::null());
    let output = bash.output().unwrap();
    // `compopt` complains outside of a completion that bash itself began
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let said: Vec<&str> = said.lines().filter(|line| !line.contains("compopt")).collect();
    assert!(said.is_empty(), "{line:?} says {said:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).collect()
}

#[test]
fn names_are_those_that_there_are_now() {
    let workshop = Workshop::with_pipeline();
    assert!(offered(&workshop, &["unbatch", "qua"]).contains(&"quarantine".to_owned()));
    assert_eq!(offered(&workshop, &["unbatch", "status", "s"]), ["stock"]);
    workshop.write("strays.yaml", "not yet: [");
    assert_eq!(offered(&workshop, &["unbatch", "offsets", "get", "st"]), ["stock", "strays"]);
    workshop.write("elsewhere/prices.yaml", "");
    assert_eq!(offered(&workshop, &["unbatch", "quarantine", "list", "--path", "elsewhere", "pr"]), ["prices"]);
    assert_eq!(offered(&workshop, &["unbatch", "connectors", "csv"]), ["csv_drops"]);
    let codes = offered(&workshop, &["unbatch", "explain", "U010"]);
    assert!(codes.len() > 5 && codes.iter().all(|code| code.starts_with("U010")), "{codes:?}");
    // nobody answers, and nobody is told
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert_eq!(offered(&workshop, &["unbatch", "topics", "read", "--brokers", &free, "s"]), [""; 0]);
}

#[test]
fn topics_are_those_of_the_broker_that_runs_here() {
    let workshop = Workshop::with_pipeline();
    workshop.drop_file("stock_a.csv", "id,counted\nr1,2\n");
    let mut run = workshop.start("run", &["run", "--dev", "--no-http"]);
    run.wait_for("running     stock");
    wait_until("the topic", || {
        let topics = offered(&workshop, &["unbatch", "topics", "read", "stock"]);
        (topics == ["stock.counts"]).then_some(())
    });
    assert_eq!(run.terminate(), Some(0));
}

#[test]
fn there_is_a_script_for_each_shell() {
    let workshop = Workshop::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = workshop.run(&["completions", shell]);
        assert_eq!(script.code, Some(0), "{script}");
        assert!(script.stdout.contains("UNBATCH_COMPLETE") && script.stderr.is_empty(), "{shell}\n{script}");
    }
    let unknown = workshop.run(&["completions", "tcsh"]);
    assert_eq!(unknown.code, Some(2), "{unknown}");
}
