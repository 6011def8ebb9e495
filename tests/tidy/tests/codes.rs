//! Every code that can be shown can be explained: held against this checkout, and against trees in which it is not so.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use unbatch_tidy_tests::{Tree, error_codes};

#[test]
fn every_code_of_this_checkout_is_explained_and_used() {
    let tree = Tree::checkout().unwrap();
    let broken = error_codes(&tree);
    assert!(broken.is_empty(), "codes: broken in {} places\n  {}", broken.len(), broken.join("\n  "));
}

/// Taking the entries out of a table of this checkout must be noticed for each of them: the rule sees all that there are.
#[test]
fn every_entry_of_this_checkout_is_missed_when_it_is_gone() {
    let tree = Tree::checkout().unwrap();
    let is_table = |path: &str| path.contains("/src/") && !path.starts_with("tests/");
    let mut entries = 0;
    for (path, text) in tree.ending("/codes.rs").filter(|(path, _)| is_table(path)) {
        let table = text.split("#[cfg(test)]").next().unwrap();
        let begins = table.match_indices("(\"").chain(table.match_indices("(\n        \""));
        let codes: Vec<&str> = begins.filter_map(|(at, _)| table[at..].split('"').nth(1)).collect();
        assert!(!codes.is_empty(), "{path} has no entries");
        let renamed = |text: String, code: &&str| text.replacen(&format!("\"{code}\""), &format!("\"gone {code}\""), 1);
        let broken = error_codes(&tree.clone().with(path, &codes.iter().fold(text.to_owned(), renamed)));
        let is_told = |told: String| broken.iter().any(|b| b.contains(&told));
        for code in codes {
            // a word may have an entry in another connector, which does not count
            let missed = is_told(format!(": {code} has no entry")) || is_told(format!(": {code} is a code of "));
            assert!(missed && is_told(format!(": gone {code} is used nowhere")), "{path}: {code}\n{broken:#?}");
            entries += 1;
        }
    }
    assert!(entries > 100, "{entries} entries");
}

fn table(codes: &[&str]) -> String {
    let entry = |code: &&str| {
        format!("    (\n        \"{code}\",\n        \"title\", \"text (\\\"U7777\\\")\", \"help\",\n    ),\n")
    };
    format!("pub const CODES: &[CodeEntry] = &[\n{}];\n", codes.iter().map(entry).collect::<String>())
}

/// A source with one use of each form.
const CSV: &str = r#"
fn a() { Error::lost("x").code("U0200") }
fn b() { BadFile { code: "bad_file" } }
fn c() { self.bad("bad_quote", "text".into()) }
fn d() { ("too_few", format!("{n}")) }
fn e() { let code = match self.kind { Kind::A => "bad_int" }; let other = match x { _ => "no_code" }; }
fn f() { call("no_code", "text"); let words = match x { _ => ("done", "text") }; found.add(("partition_by", columns)); // "U0666"
}
#[cfg(test)]
mod tests { fn t() { assert_eq!(code, "U0777"); } }
"#;

fn house() -> Tree {
    let mine = ["U0200", "bad_file", "bad_int", "bad_quote", "too_few"];
    Tree::of([
        ("connectors/csv/src/source.rs", CSV),
        ("connectors/csv/src/codes.rs", &table(&mine)),
        ("connector-runtime/engine/src/codes.rs", &table(&["U0900"])),
        ("connector-runtime/api/src/error.rs", "fn a() { e.code(\"U0900\") }"),
        ("connector-runtime/api/src/testkit/sink.rs", "fn a() { e.code(\"U0999\") }"),
        ("connectors/csv/tests/suite.rs", "fn a() { e.code(\"U0998\") }"),
    ])
}

#[track_caller]
fn check(path: &str, text: &str, expected: &[&str]) {
    assert_eq!(error_codes(&house().with(path, text)), expected, "{path}: {text}");
}

#[test]
fn planted_codes_are_found_by_code_and_file() {
    assert_eq!(error_codes(&house()), [""; 0]);
    check(
        "connectors/csv/src/reader.rs",
        "fn a() {\n    e.code(\"U0201\")\n}",
        &["connectors/csv/src/reader.rs:2: U0201 has no entry in any codes.rs"],
    );
    for word in
        ["Fault { code: \"odd\" }", "bad(\n\"odd\", x)", "Some((\"odd\", format!(\"\")))", "x => (\"odd_row\", \"\")"]
    {
        let text = format!("fn a() {{ {word} }}");
        let broken = error_codes(&house().with("connectors/csv/src/reader.rs", &text));
        assert_eq!(broken.len(), 1, "{word}: {broken:?}");
        assert!(broken[0].contains(": odd") && broken[0].ends_with(" has no entry in any codes.rs"), "{broken:?}");
    }
    check(
        "connectors/csv/src/codes.rs",
        &table(&["U0200", "U0202", "bad_file", "bad_int", "bad_quote", "too_few"]),
        &["connectors/csv/src/codes.rs:7: U0202 is used nowhere"],
    );
    check(
        "connectors/csv/src/codes.rs",
        &table(&["U0200", "bad_int", "bad_file", "bad_quote", "too_few"]),
        &["connectors/csv/src/codes.rs:11: bad_file is not in order"],
    );
}

#[test]
fn one_code_does_not_mean_two_things() {
    check(
        "connectors/kafka/src/sink.rs",
        "fn a() { e.code(\"U0200\") }",
        &["connectors/kafka/src/sink.rs:1: U0200 is a code of connectors/csv"],
    );
    let twice = "connector-runtime/worker/src/codes.rs:2: U0900 is also in connector-runtime/engine/src/codes.rs:3";
    let broken = error_codes(&house().with("connector-runtime/worker/src/codes.rs", "X = [(\n\"U0900\", \"\")];"));
    assert_eq!(broken, [twice]);
    // words are of the connector that refuses: another one may have the same
    let kafka = house()
        .with("connectors/kafka/src/codes.rs", &table(&["bad_file"]))
        .with("connectors/kafka/src/sink.rs", "fn a() { Fault { code: \"bad_file\" } }");
    assert_eq!(error_codes(&kafka), [""; 0]);
    let borrowed = house().with("connectors/kafka/src/sink.rs", "fn a() { Fault { code: \"bad_file\" } }");
    assert_eq!(error_codes(&borrowed), ["connectors/kafka/src/sink.rs:1: bad_file is a code of connectors/csv"]);
}
