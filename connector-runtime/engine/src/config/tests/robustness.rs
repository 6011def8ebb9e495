//! Hostile and odd texts: places stay right, nothing panics, small files stay small.

use super::*;
use proptest::prelude::*;
use std::fmt::Write;

#[test]
fn places_are_right_whatever_the_line_ends_and_letters() {
    let plain = "# Grüße 日本\nurl: ünïcödé\nnames: [\"日本\", 5, ü] # Zürich\nrows: x\n";
    for text in [plain.to_owned(), plain.replace('\n', "\r\n"), format!("\u{feff}{plain}"), plain.replace('\n', "\r")] {
        let found = read_text::<Shop>(&text).unwrap_err();
        assert_eq!(
            lines(&found),
            [
                "U0111 3:1 `names` must have at most 2 entries",
                "U0104 3:15 `names[1]` must be text, but `5` is a number",
                "U0104 4:7 `rows` must be a whole number, but `x` is text",
            ],
            "{text:?}"
        );
        let marked: Vec<&str> = found.iter().filter_map(|d| d.span).map(|s| &text[s.range()]).collect();
        assert_eq!(marked, ["names", "5", "x"], "{text:?}");
    }
}

#[test]
fn spans_of_values_are_tight() {
    let text = "a: plain text   # comment\nb: 'quoted'\nc: |\n  block\n  text\n\nd: [1, 2]\ne:\n  f: 1\n  g: 2\nh:\n";
    let (source, parsed) = parse(text);
    let node = parsed.node.unwrap();
    let of = |key: &str| &source.text()[node.get(key).unwrap().span.range()];
    assert_eq!(of("a"), "plain text");
    assert_eq!(of("b"), "'quoted'");
    assert_eq!(of("d"), "[1, 2]");
    assert_eq!(of("e"), "f: 1\n  g: 2");
    assert_eq!(of("h"), "h");
    assert_eq!(node.get("c").and_then(Node::as_text), Some("block\ntext\n"));
    assert!(of("c").ends_with("text"), "{:?}", of("c"));
}

#[test]
fn problems_of_connectors_are_placed_by_path() {
    let text = "columns:\n  - name: a\n    format: x\n  - {name: b}\nproperties: {linger.ms: 5}\nname: z\n";
    let (source, parsed) = parse(text);
    let node = parsed.node.unwrap();
    for (path, marked) in [
        ("columns[0].format", "x"),
        ("columns[0].nothing", "name"),
        ("columns[1]", "name"),
        ("columns[1].name", "b"),
        ("columns[7].name", "columns"),
        ("properties.linger.ms", "5"),
        ("properties", "properties"),
        ("name", "z"),
        ("name.deeper", "name"),
        ("", "columns"),
        ("nothing.at[0].all", "columns"),
    ] {
        assert_eq!(&source.text()[place(&node, path).range()], marked, "{path}");
    }
}

#[test]
fn aliases_are_copied_within_a_bound() {
    let (_, parsed) = parse("a: &x {p: 1}\nb: *x\nc: [*x, *x]\n");
    let node = parsed.node.unwrap();
    assert_eq!(node.get("b").and_then(|b| b.get("p")).and_then(Node::as_text), Some("1"));
    let copy = &node.get("c").unwrap().items()[1];
    assert_eq!(&*copy.get("p").unwrap().path, "c[1].p");
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let row = vec![format!("*a{}", level - 1); 10].join(", ");
        let _ = writeln!(bomb, "a{level}: &a{level} [{row}]");
    }
    let mut long_keys = String::from("r:\n");
    (0..20_000).for_each(|i| {
        let _ = writeln!(long_keys, "  {i}: 1");
    });
    let deep = format!("a: {}", "[".repeat(1_000));
    let long_path = format!("? {}\n: [{}1]\n", "k".repeat(20_000), "1, ".repeat(20_000));
    for text in [bomb, deep, long_path, format!("a: {}", "x".repeat(2 << 20)), "a: &a [*a]".into()] {
        let found = Diagnostics::from(parse(&text).1.found);
        assert!(found.has_errors() && found.iter().all(|d| d.code == "U0101"), "{}", &text[..20]);
    }
    assert!(parse(&long_keys).1.node.is_some());
}

#[test]
fn files_that_are_no_text_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    let code = |content: &[u8]| {
        std::fs::write(&path, content).unwrap();
        parse_file(&path).map(|_| ()).map_err(|found| lines(&found).join("\n"))
    };
    assert_eq!(code(b"a: 1\n"), Ok(()));
    assert_eq!(code(b"a: 1\nb: \xff\n"), Err("U0100 - the file is not UTF-8 (line 2)".into()));
    assert!(code(&vec![b'#'; BYTES_OVER]).unwrap_err().contains("larger"));
    assert_eq!(code(b"a: 1\na: 2\n"), Err("U0112 2:1 field `a` is given twice, on line 1 and on line 2".into()));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(lines(&parse_file(&path).unwrap_err()), ["U0100 - there is no such file"]);
    assert!(lines(&parse_file(folder.path()).unwrap_err())[0].starts_with("U0100"));
}

const BYTES_OVER: usize = yaml::BYTES_MAX + 1;

/// Texts that are almost configuration.
fn almost_yaml() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("url: "),
        Just("columns:\n"),
        Just("  - "),
        Just("name: a"),
        Just("\n"),
        Just("\r\n"),
        Just("\t"),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(", "),
        Just(": "),
        Just("&a "),
        Just("*a"),
        Just("!t "),
        Just("|\n"),
        Just(">-\n"),
        Just("\""),
        Just("'"),
        Just("# c"),
        Just("---\n"),
        Just("...\n"),
        Just("? "),
        Just("password: "),
        Just("ü"),
        Just("\u{feff}"),
        Just("\0"),
        Just("5"),
        Just("secret"),
        Just("%YAML 1.2\n"),
        Just("  "),
        Just("-"),
        Just("\\x"),
        Just("after: "),
        Just("tables: "),
        Just("~"),
        Just("mode: {kind: "),
        Just("\u{2028}"),
        Just("type: "),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn survives(text: &str) -> Result<(), TestCaseError> {
    if let Err(found) = read_text::<Shop>(text) {
        prop_assert!(!found.is_empty());
        for d in found.iter() {
            let span = d.span.expect("a place");
            prop_assert!(text.get(span.range()).is_some(), "{:?} in {:?}", span, text);
            prop_assert!(!d.help.is_empty());
        }
        for style in [Style::default(), Style { ascii: true, color: true }] {
            prop_assert!(!found.render(style).is_empty());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        survives(&text)?;
    }

    #[test]
    fn no_text_that_is_almost_yaml_makes_the_reader_panic(text in almost_yaml()) {
        survives(&text)?;
    }

    #[test]
    fn a_password_is_never_shown_whatever_stands_around_it(before in almost_yaml(), after in almost_yaml()) {
        let text = format!("{before}\npassword: hunter2\n{after}");
        if let Err(found) = read_text::<Shop>(&text) {
            for d in found.iter() {
                prop_assert!(!d.message.contains("hunter2"), "{}", d.message);
            }
            let drawn = found.render(Style::default());
            prop_assert!(!drawn.contains("hunter2"), "{text}\n{drawn}");
        }
    }
}
