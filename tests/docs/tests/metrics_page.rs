//! The page about metrics has every metric there is, and no other.
#![allow(clippy::unwrap_used, reason = "tests stop at what they did not expect")]

use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use unbatch_docs_tests::root;
use unbatch_test_harness::{Launch, Signal, free_port, wait_for};
use unbatch_tidy_tests::Tree;

const DEADLINE: Duration = Duration::from_secs(60);

/// Names at the beginning of a table's line.
fn on_the_page() -> BTreeSet<String> {
    let page = fs::read_to_string(root().join("docs/src/reference/metrics.md")).unwrap();
    let row = Regex::new(r"(?m)^\| `([a-z_]+)` \| (?:counter|gauge|histogram) \|").unwrap();
    row.captures_iter(&page).map(|c| c[1].to_owned()).collect()
}

#[test]
fn the_page_has_what_the_code_counts() {
    let name = Regex::new(r#""((?:unbatch|process)_[a-z_]+)""#).unwrap();
    let reported = Regex::new(r#"(?:reports\s*\.(?:set|add)|Word::Count)\(\s*"([a-z_]+)""#).unwrap();
    let tree = Tree::checkout().unwrap();
    let mut counted = BTreeSet::new();
    for path in ["connector-runtime/engine/src/telemetry.rs", "connector-runtime/worker/src/http/exposition.rs"] {
        let text = tree.text(path).unwrap();
        let product = text.split("#[cfg(test)]").next().unwrap();
        counted.extend(name.captures_iter(product).map(|c| c[1].to_owned()));
    }
    let sources = tree.ending(".rs").filter(|(path, _)| path.starts_with("connectors/") && path.contains("/src/"));
    for (_, text) in sources.filter(|(path, _)| !path.ends_with("_tests.rs")) {
        counted.extend(reported.captures_iter(text).map(|c| format!("unbatch_source_{}", &c[1])));
    }
    assert!(counted.len() > 20, "{counted:?}");
    assert_eq!(on_the_page(), counted, "left: the page, right: the code");
}

#[test]
fn a_worker_answers_with_metrics_of_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    fs::create_dir(folder.path().join("drops")).unwrap();
    fs::write(folder.path().join("drops/a.csv"), "x\n1\n").unwrap();
    fs::write(folder.path().join("unbatch.yaml"), format!("http: {{listen: \"127.0.0.1:{port}\"}}\n")).unwrap();
    let yaml = "version: 1\npipeline: a\nsource: {csv_drops: {url: file:drops/, match: \"*.csv\", after: delete}}\n\
                sink: {topic: {name: a}}\nslo: {freshness: 30s}\n";
    fs::write(folder.path().join("a.yaml"), yaml).unwrap();
    let mut worker = Launch::unbatch().args(["run", "--dev", "a.yaml"]).current_dir(folder.path()).start();
    let answer = wait_for(DEADLINE, "a row in the metrics", || {
        let answer = ask(port, "/metrics").ok()?;
        answer.contains("unbatch_rows_written_total{pipeline=\"a\",split=\"0\"} 1").then_some(answer)
    });
    for path in ["/livez", "/readyz", "/api/v1/status"] {
        assert!(ask(port, path).unwrap().starts_with("HTTP/1.1 200"), "{path}");
    }
    worker.signal(Signal::Terminate);
    worker.wait(DEADLINE);
    let kind = Regex::new(r"(?m)^# TYPE ([a-z_]+) ").unwrap();
    let answered: BTreeSet<String> = kind.captures_iter(&answer).map(|c| c[1].to_owned()).collect();
    let unknown: Vec<_> = answered.difference(&on_the_page()).cloned().collect();
    assert!(unknown.is_empty(), "the page lacks {unknown:?}");
    assert!(answered.len() > 15, "{answered:?}");
}

fn ask(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
