//! One mistake after the other, and several at once.

use super::*;

#[test]
fn a_right_file_is_read() {
    let text = r#"
url: {env: SHOP_URL, default: "http://x"}
password: {secret: shop/password}
columns:
  - {name: sku, type: string, required: true}
  - {name: price, type: "decimal(12,2)"}
tables: [public.orders, {name: public.lines, key: [order_id, line_no]}]
stable_for: 250ms
buffer: 16MiB
partitions: 0x10
rows: 4294967295
ratio: 1
delimiter: ";"
after: {move_to: /archive}
format: json_schema
mode: {kind: merge, key: [id]}
properties: {linger.ms: 10}
names: ["1", "null"]
path: /a/b
pair: [a, 3]
"#;
    let shop: Shop = read_text(text).unwrap_or_else(|found| panic!("{}", found.render(Style::default())));
    assert_eq!(shop.after, After::MoveTo("/archive".into()));
    assert_eq!((shop.partitions, shop.rows, shop.ratio), (Some(16), Some(u32::MAX), Some(1.0)));
    assert_eq!(shop.names, Some(vec!["1".to_owned(), "null".to_owned()]));
    assert_eq!(shop.properties.get("linger.ms"), Some(&10));
    assert_eq!(shop.delimiter, Some(';'));
    assert!(matches!(shop.mode, Some(Mode::Merge { key }) if key == ["id"]));
    assert!(matches!(&shop.tables[1], Table::WithKey(table) if table.key.len() == 2));
    let defaults: Shop = read_text("url: x\nstable_for:\n").unwrap();
    assert_eq!(defaults.after, After::Keep);
}

#[test]
fn unknown_and_missing_fields() {
    wrong("urls: x\n", &["U0102 1:1 unknown field `urls` at the top of the file"]);
    wrong("rows: 1\n", &["U0103 1:1 the file needs `url`"]);
    wrong_shop("colour: red", &["U0102 2:1 unknown field `colour` at the top of the file"]);
    wrong_shop(
        "columns:\n  - nmae: sku\n    type: string\n  - type: date",
        &["U0102 3:5 unknown field `nmae` in `columns[0]`", "U0103 5:5 `columns[1]` needs `name`"],
    );
    let found = wrong_shop("tables: [{name: a, kye: [x]}]", &["U0102 2:20 unknown field `kye` in `tables[0]`"]);
    assert!(found.render(Style::default()).contains("did you mean `key`?"), "{}", found.render(Style::default()));
    wrong("[]\n", &["U0104 1:1 the file must be a mapping, but it is a list"]);
}

#[test]
fn wrong_kinds() {
    for (line, expected) in [
        ("header: yes", "U0104 2:9 `header` must be true or false, but `yes` is text"),
        ("header: \"true\"", "U0104 2:9 `header` must be true or false, but `true` is text"),
        ("header:", "U0104 2:1 `header` must be true or false, but it is empty"),
        ("columns: sku", "U0104 2:10 `columns` must be a list, but `sku` is text"),
        ("columns: {name: sku}", "U0104 2:1 `columns` must be a list, but it is a mapping"),
        ("names: [a, 1]", "U0104 2:12 `names[1]` must be text, but `1` is a number"),
        ("names: [NULL]", "U0104 2:9 `names[0]` must be text, but `NULL` means an empty value"),
        ("path: [a]", "U0104 2:1 `path` must be text, but it is a list"),
        ("rows: \"5\"", "U0104 2:7 `rows` must be a whole number, but `5` is text"),
        ("rows: 1.5", "U0104 2:7 `rows` must be a whole number, but `1.5` is none"),
        ("rows: 10_000", "U0104 2:7 `rows` must be a whole number, but `10_000` is text"),
        ("ratio: high", "U0104 2:8 `ratio` must be a number, but `high` is text"),
        ("properties: {a: x}", "U0104 2:17 `properties.a` must be a whole number, but `x` is text"),
        ("tables: [7]", "U0104 2:10 `tables[0]` must be text or a mapping, but `7` is a number"),
        ("pair: [a, b]", "U0104 2:11 `pair[1]` must be a whole number, but `b` is text"),
    ] {
        wrong_shop(line, &[expected]);
    }
    wrong("url: 8\n", &["U0104 1:6 `url` must be text or a mapping, but `8` is a number"]);
}

#[test]
fn remedies_say_what_to_write() {
    for (line, remedy) in [
        ("header: yes", "write true"),
        ("header: \"true\"", "without quotes"),
        ("rows: \"5\"", "write the number without quotes"),
        ("names: [1]", "put it in quotes: \"1\""),
        ("names: [NULL]", "put it in quotes: \"NULL\""),
        ("header:", "write a value, or remove the line"),
        ("columns: sku", "write a list"),
        ("columns: {name: sku}", "`- `"),
        ("stable_for: 5", "250ms, 5s"),
        ("format: josn", "did you mean `json`?"),
        ("names: [*.csv]", "put the value in quotes, like \"*.csv\""),
        ("url2: {schema}.{table}", "\"{schema}.{table}\""),
    ] {
        let found = read_text::<Shop>(&format!("url: x\n{line}\n")).unwrap_err();
        assert!(found.iter().any(|d| d.help.contains(remedy)), "{line}\n{}", found.render(Style::default()));
    }
}

#[test]
fn words_and_forms() {
    for (line, expected) in [
        ("format: josn", "U0105 2:9 `format` must be `json`, `json_schema` or `avro`, but it is `josn`"),
        ("format: [json]", "U0105 2:1 `format` must be `json`, `json_schema` or `avro`, but it is a list"),
        ("after: kepe", "U0105 2:8 `after` must be `keep`, `delete`, `move_to: …` or `pack: …`, but it is `kepe`"),
        ("after: move_to", "U0106 2:8 `after` is only a name; `move_to` needs settings"),
        ("after: {keep: true}", "U0106 2:9 `after.keep` takes no settings"),
        ("after: {}", "U0106 2:1 `after` is empty; it needs one of `move_to` or `pack`"),
        ("after: {move_to: a, pack: {level: 1}}", "U0106 2:21 `after` has both `move_to` and `pack`; it takes one"),
        ("after: {mov_to: a}", "U0102 2:9 unknown field `mov_to` in `after`"),
        ("after: {pack: {level: x}}", "U0104 2:23 `after.pack.level` must be a whole number, but `x` is text"),
        ("mode: {kind: marge}", "U0105 2:14 `mode.kind` must be `append` or `merge`, but it is `marge`"),
        ("mode: {kind: merge}", "U0103 2:1 `mode` needs `key`"),
        ("mode: {key: [a]}", "U0103 2:1 `mode` needs `kind`"),
        ("tables: [{name: a}]", "U0103 2:11 `tables[0]` needs `key`"),
    ] {
        wrong_shop(line, &[expected]);
    }
    wrong("url: {env: A, file: b}\n", &["U0106 1:1 `url` must have exactly one of `env`, `secret`, `file`"]);
    wrong("url: {file: b, default: c}\n", &["U0106 1:1 `url` `default` goes with `env` only"]);
}

#[test]
fn measures_patterns_and_ranges() {
    for (line, expected) in [
        ("stable_for: 5", "U0108 2:13 `stable_for` must be a duration, but `5` has no unit"),
        (
            "stable_for: soon",
            "U0108 2:13 `stable_for` must be a duration, but `soon` is not a duration like 250ms, 5s or 10m",
        ),
        ("buffer: 16", "U0109 2:9 `buffer` must be a size, but `16` is not a size like 64KiB, 16MiB or 1GB"),
        ("buffer: 1.5GB", "U0109 2:9 `buffer` must be a size, but `1.5GB` is not a size like 64KiB, 16MiB or 1GB"),
        ("columns: [{name: a, type: strng}]", "U0110 2:27 `strng` is not allowed in `columns[0].type`"),
        ("partitions: 0", "U0111 2:13 `partitions` must be between 1 and 100"),
        ("rows: -1", "U0111 2:7 `rows` must be at least 0"),
        ("rows: 4294967296", "U0111 2:7 `rows` must be between 0 and 4294967295"),
        ("delimiter: ab", "U0111 2:12 `delimiter` must be a single character"),
        ("delimiter: \"\"", "U0111 2:12 `delimiter` must not be empty"),
        ("names: []", "U0111 2:1 `names` must have at least 1 entry"),
        ("names: [a, b, c]", "U0111 2:1 `names` must have at most 2 entries"),
        ("pair: [a, 300]", "U0111 2:11 `pair[1]` must be between 0 and 255"),
        (
            "columns: [{name: a, type: \"decimal(99,2)\"}]",
            "U0113 2:27 `columns[0].type`: `decimal(99,2)`: precision is 1 to 38 and scale 0 to precision",
        ),
    ] {
        wrong_shop(line, &[expected]);
    }
}

#[test]
fn secrets_are_refused_and_never_shown() {
    wrong_shop("password: hunter2", &["U0107 2:11 `password` must not stand in the file"]);
    wrong_shop("dsn: hunter2", &["U0107 2:6 `dsn` must not stand in the file"]);
    wrong_shop("password: [hunter2]", &["U0104 2:1 `password` must be a mapping, but it is a list"]);
    // The secret where the name of the secret belongs, and a wrong line beside it.
    wrong_shop("password: {secret: hunter2, x: 1}", &["U0102 2:29 unknown field `x` in `password`"]);
    // A misspelt key hides its value too, and so does a key that merely sounds secret.
    let found = wrong_shop("pasword: hunter2", &["U0102 2:1 unknown field `pasword` at the top of the file"]);
    assert!(found.render(Style::default()).contains("pasword: ***"), "{}", found.render(Style::default()));
    wrong_shop(
        "properties: {api_key: hunter2}",
        &["U0104 2:23 `properties.api_key` must be a whole number, but the value is text"],
    );
    wrong("url: [postgres://u:hunter2@h/d]\n", &["U0104 1:1 `url` must be text or a mapping, but it is a list"]);
    // The file is no YAML at all.
    wrong("url: x\npassword: hunter2: x\n", &["U0101 2:18 this is not valid YAML: a `:` is not expected here"]);
    wrong("url: x\npassword:\n  hunter2\n  b: c\n", &["U0101 4:4 this is not valid YAML: a `:` is not expected here"]);
    let shown = wrong_shop("password: {secret: shop/password, x: 1}", &["U0102 2:35 unknown field `x` in `password`"]);
    assert!(
        shown.render(Style::default()).contains("{secret: shop/password, x: ***}"),
        "{}",
        shown.render(Style::default())
    );
}

#[test]
fn syntax_errors_have_a_place_and_a_remedy() {
    for (text, expected) in [
        ("a: b: c\n", "U0101 1:5 this is not valid YAML: a `:` is not expected here"),
        ("a:\n\tb: 1\n", "U0101 2:1 this is not valid YAML: a tab is used to indent"),
        ("a: \"b\n", "U0101 1:4 this is not valid YAML: a quote is opened and never closed"),
        ("a: [1, 2\nb: 3\n", "U0101 1:8 this is not valid YAML: a list or mapping in brackets is not complete"),
        ("a: {schema}.{table}\n", "U0101 1:4 this is not valid YAML: text follows a closing bracket"),
        ("a: *.csv\n", "U0101 1:4 this is not valid YAML: there is no anchor of this name"),
        ("a: @x\n", "U0101 1:4 this is not valid YAML: a value cannot begin with this character"),
        ("a: 1\n  b: 2\n", "U0101 2:4 this is not valid YAML: a `:` is not expected here"),
        ("a:\n  - b\n - c\n", "U0101 3:2 this is not valid YAML: the indentation does not fit the lines above"),
        ("a: \"\\q\"\n", "U0101 1:4 this is not valid YAML: this escape is not known"),
        ("", "U0101 1:1 the file is empty"),
        ("# only a comment\n", "U0101 1:1 the file is empty"),
        ("a: 1\n---\nb: 2\n", "U0101 2:1 a second document begins here"),
        ("a: !env X\n", "U0101 1:9 a tag like `!name` has no meaning here"),
        ("{a: 1}: b\n", "U0101 1:1 a key must be text"),
        ("a: \u{1}\n", "U0101 1:4 the character U+0001 is not allowed in YAML"),
    ] {
        let found = parse(text).1.found;
        let found = Diagnostics::from(found);
        assert_eq!(lines(&found), [expected], "{text}\n{}", found.render(Style::default()));
    }
}

#[test]
fn everything_wrong_is_reported_at_once_in_the_order_of_the_file() {
    let text = "\
url: x
url: y
colums:
  - {name: a, type: string}
columns:
  - {name: 5, type: text, requried: true}
  - {}
partitions: 500
stable_for: 10
password: hunter2
tables: [{nam: a}]
";
    wrong(
        text,
        &[
            "U0112 2:1 field `url` is given twice, on line 1 and on line 2",
            "U0102 3:1 unknown field `colums` at the top of the file",
            "U0104 6:12 `columns[0].name` must be text, but `5` is a number",
            "U0110 6:21 `text` is not allowed in `columns[0].type`",
            "U0102 6:27 unknown field `requried` in `columns[0]`",
            "U0103 7:5 `columns[1]` needs `name`",
            "U0103 7:5 `columns[1]` needs `type`",
            "U0111 8:13 `partitions` must be between 1 and 100",
            "U0108 9:13 `stable_for` must be a duration, but `10` has no unit",
            "U0107 10:11 `password` must not stand in the file",
            "U0102 11:11 unknown field `nam` in `tables[0]`",
            "U0103 11:11 `tables[0]` needs `key`",
        ],
    );
}

#[test]
fn a_message_is_drawn_with_its_line_and_written_as_json() {
    let found = wrong_shop(
        "tables:\n  - nmae: a\n    key: [b]\npassword: hunter2",
        &["U0102 3:5 unknown field `nmae` in `tables[0]`", "U0107 5:11 `password` must not stand in the file"],
    );
    let expected = "\
error[U0102]: unknown field `nmae` in `tables[0]`
  ╭─[a.yaml:3:5]
3 │   - nmae: a
  ·     ─┬──
  ·      ╰── did you mean `name`?

error[U0107]: `password` must not stand in the file
  ╭─[a.yaml:5:11]
5 │ password: ***
  ·           ─┬─
  ·            ╰── a secret in plain text
  help: refer to it: {secret: name/key}, {env: NAME} or {file: path}; and change it, it has been on disk
";
    assert_eq!(found.render(Style::default()), expected);
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(
        json[0],
        serde_json::json!({
            "severity": "error", "code": "U0102", "message": "unknown field `nmae` in `tables[0]`", "file": "a.yaml",
            "line": 3, "column": 5, "offset": 19, "length": 4, "label": "did you mean `name`?", "help": "did you mean `name`?",
        })
    );
}
