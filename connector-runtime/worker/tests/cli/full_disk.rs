//! A disk without room, wherever something is written: by a limit on the size of files (which the system reports as it does a
//! full disk, only with another number) and by `/dev/full`.

use crate::workshop::{Ended, Workshop, wait_until};
use crate::wrong_inputs::is_fit_for_people;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::Command;

const RUN: &[&str] = &["run", "--once", "--dev", "--no-http"];

/// No file may become larger than this many bytes.
fn limited(mut command: Command, bytes: u64) -> Command {
    // SAFETY: between fork and exec only system calls are made, with numbers
    unsafe {
        command.pre_exec(move || {
            let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
            // without this the system ends the process instead of refusing the write
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            match libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    command
}

fn numbered(from: u32, to: u32) -> String {
    let rows: String = (from..to).map(|n| format!("r{n},{n}\n")).collect();
    format!("id,counted\n{rows}")
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

fn ids(workshop: &Workshop) -> (usize, usize) {
    let read = workshop.json(&["topics", "read", "stock.counts", "--dev", "--limit", "100000"]);
    let all: Vec<String> = read["records"].as_array().unwrap().iter().map(|r| r["value"]["id"].to_string()).collect();
    (all.len(), all.iter().collect::<BTreeSet<_>>().len())
}

#[test]
fn a_draft_is_written_whole_or_not_at_all() {
    let workshop = Workshop::new();
    workshop.drop_file("stock_1.csv", &numbered(0, 3));
    let args = ["init", "drops/stock_1.csv"];
    let refused = Ended::from(limited(workshop.command(&args), 1_000).output().unwrap());
    is_fit_for_people("no room for a draft", &refused);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr.contains("U0737") && refused.stderr.contains("make room"), "{refused}");
    let there = |name: &str| workshop.path().join(name).exists();
    assert!(!there("pipelines/stock.yaml") && !there(".unbatch/pipeline.schema.json"), "{refused}");
    assert_eq!(workshop.run(&args).code, Some(0));
    assert_eq!(workshop.run(&["validate"]).code, Some(0));
}

/// The broker stops at once, and says why; a run on it used to wait a hundred seconds and then ask whether Kafka was running.
#[test]
fn without_room_for_the_embedded_broker_a_run_ends_at_once_and_goes_on_where_it_stood() {
    let workshop = Workshop::with_pipeline();
    workshop.drop_file("stock_1.csv", &numbered(0, 3_000));
    for bytes in [0, 1_000, 60_000] {
        let refused = Ended::from(limited(workshop.command(RUN), bytes).output().unwrap());
        is_fit_for_people("no room for the broker", &refused);
        let (code, number) = if bytes == 0 { (2, "U0732") } else { (1, "U0778") };
        assert_eq!(refused.code, Some(code), "{bytes}\n{refused}");
        for part in [number, ".unbatch", "File too large", "help: ", "room"] {
            assert!(refused.stderr.contains(part), "{bytes}: {part:?} is missing\n{refused}");
        }
    }
    let mended = workshop.run(RUN);
    assert_eq!(mended.code, Some(0), "the remedy was followed\n{mended}");
    assert_eq!(ids(&workshop), (3_000, 3_000));
}

#[test]
fn a_disk_that_fills_up_under_a_run_ends_it_and_nothing_is_lost_or_twice() {
    let workshop = Workshop::with_pipeline();
    workshop.drop_file("stock_1.csv", &numbered(0, 10));
    let err = workshop.path().join("run.err");
    let command = workshop.command(&["run", "--dev", "--no-http"]);
    let mut run = limited(command, 200_000).stderr(File::create(&err).unwrap()).spawn().unwrap();
    wait_until("the first file", || std::fs::read_to_string(&err).unwrap().contains("running").then_some(()));
    workshop.drop_file("stock_2.csv", &numbered(10, 10_000));
    let code = wait_until("the end of the run", || run.try_wait().unwrap()).code();
    let said = std::fs::read_to_string(&err).unwrap();
    assert_eq!((code, said.contains("error[U0778]")), (Some(1), true), "{said}");
    assert_eq!(workshop.run(RUN).code, Some(0));
    assert_eq!(ids(&workshop), (10_000, 10_000));
}

/// What nobody can read need not be written; the work is done.
#[test]
fn progress_that_cannot_be_written_keeps_no_row_back() {
    let workshop = Workshop::with_pipeline();
    workshop.drop_file("stock_1.csv", &numbered(0, 10));
    let run = Ended::from(workshop.command(&[RUN, &["--json"]].concat()).stderr(full()).output().unwrap());
    assert_eq!(run.code, Some(0), "{run}");
    let result: Value = run.envelope()["result"].clone();
    assert_eq!(result["pipelines"][0]["written"], 10, "{run}");
    // but a result that is lost is no success, also when rows are committed
    let shown: &[&[&str]] = &[
        RUN,
        &["topics", "list", "--dev"],
        &["topics", "read", "stock.counts", "--dev"],
        &["quarantine", "list", "stock", "--dev"],
        &["offsets", "get", "stock", "--dev"],
        &["preview", "stock.yaml"],
        &["explain", "U0102"],
        &["version"],
        &["init", "drops/stock_1.csv", "--output", "-"],
    ];
    for args in shown {
        let ended = Ended::from(workshop.command(args).stdout(full()).output().unwrap());
        is_fit_for_people("a full disk", &ended);
        assert_eq!(ended.code, Some(1), "{args:?}\n{ended}");
        assert!(ended.stderr.contains("U0701") && ended.stderr.contains("make room"), "{args:?}\n{ended}");
    }
}

/// As with a result: nobody was helped, and a script must not believe that somebody was.
#[test]
fn help_that_cannot_be_written_is_an_error_and_nobody_listening_is_none() {
    let workshop = Workshop::new();
    for args in [&["--help"][..], &["--version"], &["quarantine", "settle", "--help"]] {
        let refused = Ended::from(workshop.command(args).stdout(full()).output().unwrap());
        assert_eq!(refused.code, Some(1), "{args:?}\n{refused}");
        assert!(refused.stderr.contains("U0701") && refused.stderr.contains("help: "), "{args:?}\n{refused}");
        let mut left = workshop.command(args);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let left = Ended::from(left.stdout(writer).output().unwrap());
        assert_eq!((left.code, left.stderr.as_str()), (Some(0), ""), "{args:?}\n{left}");
    }
}
