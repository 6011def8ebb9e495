//! Every YAML block of the documentation is right: whole pipelines and runtime files as they stand, fragments of them when the
//! rest is added.
#![allow(clippy::unwrap_used, reason = "tests stop at what they did not expect")]

use std::fs;
use std::path::Path;
use std::time::Duration;
use unbatch_docs_tests::fences::{Fence, fences};
use unbatch_test_harness::{Finished, Launch, built_binary};
use unbatch_tidy_tests::{Tree, pipeline_snippets};

const DEADLINE: Duration = Duration::from_secs(60);
const RUNTIME_KEYS: [&str; 5] = ["deployment", "kafka", "http", "memory", "secrets"];
const PIPELINE_KEYS: [&str; 11] =
    ["version", "pipeline", "formerly", "replaces", "source", "steps", "sink", "commit", "on_error", "delivery", "slo"];
/// What a fragment may lack.
const REST: [(&str, &str); 4] = [
    ("version", "version: 1\n"),
    ("pipeline", "pipeline: fragment\n"),
    ("source", "source: {csv_drops: {url: file:drops/, match: \"*.csv\"}}\n"),
    ("sink", "sink: {topic: {name: fragment}}\n"),
];

enum Meant {
    Pipeline(String),
    Runtime,
}

#[test]
fn every_yaml_block_is_right() {
    let tree = Tree::checkout().unwrap();
    let (mut checked, mut broken) = (0, Vec::new());
    for (path, text) in tree.ending(".md") {
        for fence in fences(text).into_iter().filter(|f| f.language() == "yaml") {
            let place = format!("{path}:{}", fence.line);
            let done = match meant(&fence) {
                Ok(meant) => validate(path, &meant, &fence.text),
                Err(why) => {
                    broken.push(format!("{place}: {why}"));
                    continue;
                }
            };
            checked += 1;
            let (said, found) = (done.stdout + &done.stderr, "0 errors · 0 warnings");
            if !done.status.success() || !said.contains(found) {
                broken.push(format!("{place}:\n{said}"));
            }
        }
    }
    let whole = pipeline_snippets(&tree).len();
    eprintln!("{checked} blocks of YAML, {whole} of them whole pipelines");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(whole >= 5 && checked > whole, "{checked} blocks, {whole} whole pipelines");
}

/// What the block is, from the keys at its left edge.
fn meant(fence: &Fence) -> Result<Meant, String> {
    let keys: Vec<&str> = fence
        .text
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_alphabetic()))
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect();
    if !keys.is_empty() && keys.iter().all(|k| RUNTIME_KEYS.contains(k)) {
        return Ok(Meant::Runtime);
    }
    if keys.is_empty() || !keys.iter().all(|k| PIPELINE_KEYS.contains(k)) {
        return Err(format!("neither a pipeline nor a runtime file, nor a part of one: {keys:?}"));
    }
    let missing = REST.iter().filter(|(key, _)| !keys.contains(key)).map(|(_, text)| *text);
    Ok(Meant::Pipeline(missing.collect()))
}

fn validate(page: &str, meant: &Meant, text: &str) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let mut arguments = vec!["validate".to_owned()];
    match meant {
        Meant::Pipeline(rest) => {
            let text = format!("{text}{rest}");
            let name = text.lines().find_map(|l| l.strip_prefix("pipeline:")).unwrap_or_default();
            let name = name.split('#').next().unwrap_or_default().trim();
            write(&format!("{name}.yaml"), &text);
            arguments.push(format!("{name}.yaml"));
        }
        Meant::Runtime => {
            write("unbatch.yaml", text);
            write("right.yaml", &REST.map(|(_, text)| text).concat().replace("fragment\n", "right\n"));
            arguments.push("right.yaml".to_owned());
        }
    }
    let launch = match page.starts_with("examples/custom-connector/") {
        true => Launch::program(built_binary("newlimits-unbatch")),
        false => Launch::unbatch(),
    };
    launch.args(arguments).current_dir(Path::new(folder.path())).run(DEADLINE)
}
