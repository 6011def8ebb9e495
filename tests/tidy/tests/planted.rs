//! The rules, applied to trees that break them on purpose: a rule that finds nothing in these finds nothing anywhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use unbatch_tidy_tests::{
    Allowed, Tree, arrows, connector_files, forbidden_calls, links, machine_places, one_arrow, pipeline_snippets,
    reasons, sizes,
};

fn manifest(name: &str, dependencies: &str) -> String {
    format!("[package]\nname = \"{name}\"\n{dependencies}\n")
}

/// One crate in each room, and dependencies of one of them.
fn house(at: &str, dependencies: &str) -> Tree {
    let rooms = [
        ("connector-runtime/api", "unbatch-api"),
        ("connector-runtime/engine", "unbatch-engine"),
        ("connector-runtime/dev-broker", "unbatch-dev-broker"),
        ("connector-runtime/worker", "unbatch"),
        ("connectors/support/kafka-client", "unbatch-kafka-client"),
        ("connectors/support/sql", "unbatch-sql"),
        ("connectors/csv", "unbatch-csv"),
        ("connectors/kafka", "unbatch-kafka"),
        ("examples/custom-connector", "custom-connector"),
        ("tests/harness", "unbatch-test-harness"),
    ];
    rooms.iter().fold(Tree::default(), |tree, (folder, name)| {
        let own = if *folder == at { dependencies } else { "" };
        tree.with(&format!("{folder}/Cargo.toml"), &manifest(name, own))
    })
}

#[track_caller]
fn check_arrow(from: &str, dependencies: &str, expected: &[&str]) {
    let broken = arrows(&house(from, dependencies));
    assert_eq!(broken, expected, "{from}: {dependencies}");
}

#[test]
fn allowed_arrows_pass() {
    let cases = [
        ("connector-runtime/engine", "unbatch-api.workspace = true"),
        ("connectors/csv", "unbatch-api.workspace = true\nunbatch-sql.workspace = true"),
        ("connectors/support/sql", "unbatch-api.workspace = true"),
        (
            "connector-runtime/worker",
            "unbatch-engine = \"1\"\nunbatch-csv = \"1\"\nunbatch-kafka-client = \"1\"\nunbatch-dev-broker = \"1\"",
        ),
        ("examples/custom-connector", "unbatch = \"1\"\nunbatch-api = \"1\"\nserde = \"1\""),
        ("tests/harness", "unbatch-engine = \"1\"\nunbatch-csv = \"1\""),
    ];
    for (from, dependencies) in cases {
        check_arrow(from, &format!("[dependencies]\n{dependencies}"), &[]);
    }
    let dev = "[dev-dependencies]\nunbatch-test-harness = \"1\"\nunbatch-dev-broker = \"1\"";
    check_arrow("connectors/csv", dev, &[]);
    let own = "[dev-dependencies]\nunbatch-api = { path = \".\", features = [\"testkit\"] }";
    check_arrow("connector-runtime/api", own, &[]);
}

#[test]
fn a_forbidden_arrow_names_both_crates() {
    check_arrow(
        "connectors/csv",
        "[dependencies]\nunbatch-kafka = \"1\"",
        &["unbatch-csv (connectors/csv) must not depend on unbatch-kafka (connectors/kafka)"],
    );
    check_arrow(
        "connector-runtime/engine",
        "[dependencies.queue]\npackage = \"unbatch-kafka-client\"",
        &[
            "unbatch-engine (connector-runtime/engine) must not depend on unbatch-kafka-client (connectors/support/kafka-client)",
        ],
    );
    check_arrow(
        "connector-runtime/api",
        "[dev-dependencies]\nunbatch-engine = \"1\"",
        &[
            "unbatch-api (connector-runtime/api) must not depend on unbatch-engine (connector-runtime/engine), not even in tests",
        ],
    );
}

#[test]
fn each_forbidden_arrow_is_found() {
    let cases = [
        ("connectors/csv", "[dev-dependencies]\nunbatch-kafka = \"1\""),
        ("connectors/csv", "[dependencies]\nunbatch-engine = \"1\""),
        ("connectors/csv", "[build-dependencies]\nunbatch = \"1\""),
        ("connectors/csv", "[target.'cfg(unix)'.dependencies]\nunbatch-engine = \"1\""),
        ("connectors/support/sql", "[dependencies]\nunbatch-kafka-client = \"1\""),
        ("connector-runtime/worker", "[dependencies]\nunbatch-sql = \"1\""),
        ("connector-runtime/worker", "[dependencies]\nunbatch-test-harness = \"1\""),
        ("connector-runtime/dev-broker", "[dependencies]\nunbatch-api = \"1\""),
        ("connector-runtime/engine", "[dependencies]\nunbatch-csv = \"1\""),
        ("examples/custom-connector", "[dependencies]\nunbatch-engine = \"1\""),
    ];
    for (from, dependencies) in cases {
        let broken = arrows(&house(from, dependencies));
        assert_eq!(broken.len(), 1, "{from}: {dependencies}: {broken:?}");
    }
    let elsewhere = Tree::of([("attic/Cargo.toml", "[package]\nname = \"x\"\n")]);
    assert_eq!(arrows(&elsewhere).len(), 1, "a room that nobody planned");
}

#[test]
fn long_files_and_functions_are_found_and_exceptions_wear_off() {
    let body = |lines: usize| format!("fn long() {{\n{}}}\n", "    x();\n".repeat(lines));
    let tree = Tree::of([
        ("a/src/fits.rs", body(68).as_str()),
        ("a/src/long.rs", body(69).as_str()),
        ("a/src/file.rs", "// x\n".repeat(501).as_str()),
    ]);
    let broken = sizes(&tree, &[]);
    assert_eq!(
        broken,
        ["a/src/file.rs has 501 lines, 500 are allowed", "a/src/long.rs:1: fn long has 71 lines, 70 are allowed",]
    );
    let allowed = |place, lines| Allowed { place, lines, reason: "planted" };
    let exceptions = [allowed("a/src/file.rs", 501), allowed("a/src/long.rs::long", 71)];
    assert!(sizes(&tree, &exceptions).is_empty());
    let worn_off = sizes(&tree, &[exceptions[0], exceptions[1], allowed("a/src/fits.rs", 600)]);
    assert_eq!(worn_off.len(), 1, "{worn_off:?}");
}

#[track_caller]
fn check_calls(path: &str, source: &str, lines: &[usize]) {
    let found: Vec<usize> = forbidden_calls(&Tree::of([(path, source)]))
        .iter()
        .map(|broken| broken.split(':').nth(1).unwrap().parse().unwrap())
        .collect();
    assert_eq!(found, lines, "{path}: {source}");
}

#[test]
fn forbidden_calls_are_found_where_they_are_forbidden() {
    let sleep = "fn t() {\n    std::thread::sleep(Duration::from_secs(1));\n}\n";
    check_calls("tests/e2e/tests/a.rs", sleep, &[2]);
    check_calls("connectors/csv/tests/suite.rs", sleep, &[2]);
    check_calls("connectors/csv/src/source.rs", sleep, &[]);
    check_calls("tests/harness/src/wait.rs", sleep, &[]);
    let inside = format!("#[cfg(test)]\nmod tests {{\n{sleep}}}\n");
    check_calls("connectors/csv/src/source.rs", &inside, &[4]);
    check_calls("x/tests/a.rs", "async fn t() { tokio::time::sleep(WAIT).await; }", &[1]);
    check_calls("x/tests/a.rs", "use tokio::time::sleep;\nfn t() { sleep(Duration::from_secs(1)) }", &[2]);
    check_calls("x/tests/a.rs", "fn t(b: Broker) { b.sleep(Duration::ZERO) }", &[]);
    let polls = "fn wait_for_row(deadline: Instant) {\n    std::thread::sleep(PAUSE);\n}\n";
    check_calls("x/tests/a.rs", polls, &[]);
    let paused = "#[tokio::test(start_paused = true)]\nasync fn t() { tokio::time::sleep(D).await; }";
    check_calls("x/tests/a.rs", paused, &[]);

    check_calls("x/tests/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn t() {}", &[2]);
    check_calls("x/src/lib.rs", "fn a() { todo!() }\nfn b() { unimplemented!() }", &[1, 2]);
    check_calls("x/src/lib.rs", "// todo!\nconst A: &str = \"todo!()\";", &[]);
    check_calls("x/src/lib.rs", "fn a() {\n    println!(\"x\");\n    eprintln!(\"x\");\n}", &[2]);
    check_calls("x/src/main.rs", "fn main() { println!(\"x\"); }", &[]);
}

#[test]
fn a_connector_without_its_files_is_found() {
    let whole = ["src/lib.rs", "src/config.rs", "src/source/mod.rs", "tests/suite.rs", "README.md"];
    let mut tree = Tree::of([
        ("connectors/csv/Cargo.toml", manifest("unbatch-csv", "").as_str()),
        ("connectors/support/sql/Cargo.toml", manifest("unbatch-sql", "").as_str()),
        ("connector-runtime/worker/src/connectors.rs", "unbatch_csv::register(list)"),
    ]);
    assert_eq!(connector_files(&tree).len(), 5);
    for file in whole {
        tree = tree.with(&format!("connectors/csv/{file}"), "");
    }
    assert!(connector_files(&tree).is_empty());
    let unlisted = tree.with("connector-runtime/worker/src/connectors.rs", "");
    assert_eq!(
        connector_files(&unlisted),
        ["connectors/csv: unbatch_csv is not in the list of connector-runtime/worker/src/connectors.rs"]
    );
}

#[test]
fn names_of_places_are_found() {
    let found = |text: &str| machine_places(&Tree::of([("docs/a.md", text)]), &["/build/".to_owned()]).len();
    for text in ["see /Users/me/x", "cd \"/build/main\"", "(/home/me/x)", "file:///build/x"] {
        assert_eq!(found(text), 1, "{text}");
    }
    for text in ["docs/build/x", "the root / and the build/ folder", "$HOME/build/x", "/builders/1"] {
        assert_eq!(found(text), 0, "{text}");
    }
}

#[test]
fn dependencies_without_a_reason_are_found() {
    let tree = Tree::of([(
        "Cargo.toml",
        "[workspace.dependencies]\n# ours, all of them\na = { path = \"a\" }\nb = { path = \"b\" }\n\n# Bytes that are shared.\nbytes = \"1\"\nserde = \"1\"\n[profile.dev]\ndebug = 1\n",
    )]);
    assert_eq!(reasons(&tree), ["Cargo.toml:8: serde has no line of reason above it"]);
}

#[test]
fn a_second_arrow_is_found() {
    let lock = |versions: &[&str]| -> String {
        let package = |v: &&str| format!("[[package]]\nname = \"arrow-array\"\nversion = \"{v}\"\n");
        versions.iter().map(package).collect()
    };
    let api = manifest("unbatch-api", "[dependencies]\narrow = \"58\"");
    let one = Tree::of([("Cargo.lock", lock(&["58.4.1"]).as_str()), ("connector-runtime/api/Cargo.toml", &api)]);
    assert!(one_arrow(&one).is_empty());
    let two = one.with("Cargo.lock", &lock(&["57.0.0", "58.4.1"]));
    assert_eq!(one_arrow(&two), ["Cargo.lock has arrow-array 57.0.0 and 58.4.1"]);
    let named = two.with("connectors/csv/Cargo.toml", &manifest("c", "[dev-dependencies]\narrow.workspace = true"));
    assert_eq!(one_arrow(&named).len(), 2);
}

#[test]
fn dead_links_are_found() {
    let tree = Tree::of([
        (
            "docs/a.md",
            "# A Title, here\n[b](../b.md) [gone](gone.md)\n[out](https://example.org/x.md)\n[self](#a-title-here) [bad](#nowhere)\n`[code](not-a-link)`\n```\n[code](not-a-link)\n```\n[anchor](../b.md#part-2)\n",
        ),
        ("b.md", "## Part 2\n"),
    ]);
    assert_eq!(
        links(&tree),
        ["docs/a.md:2: gone.md is not there", "docs/a.md:4: docs/a.md has no heading for #nowhere",]
    );
}

#[test]
fn whole_pipelines_are_taken_out_of_the_documentation() {
    let tree = Tree::of([(
        "README.md",
        "```sh\nversion: 1\n```\n\n```yaml\nversion: 1\npipeline: a\nsource: {}\nsink: {}\n```\n```yaml\nsource: {}\n```\n",
    )]);
    let found = pipeline_snippets(&tree);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].path.as_str(), found[0].line), ("README.md", 6));
    assert!(found[0].text.ends_with("sink: {}\n"));
}
