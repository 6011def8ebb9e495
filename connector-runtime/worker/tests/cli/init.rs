//! `unbatch init` and `unbatch preview`, as a newcomer meets them.

use crate::workshop::Workshop;
use serde_json::{Value, json};

/// A small export with most traits of the world outside: decimal comma, dates that are open, words for NULL, zeros in front.
const PRICES: &str = "sku;ean;price;valid_from;seen_at;stock;note\n\
    NL-1;0420031003250;61,60;01/02/2026;2026-03-01 19:00:00;12;\n\
    NL-2;0420031003267;5,00;03/04/2026;2026-03-02 07:30:00;NA;\"a; b\"\n\
    NL-3;4000000000001;1234,5;05/06/2026;2026-03-03 08:00:00;7;\"\"\n";

fn sampled() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("drops/prices_2026-03-01.csv", PRICES);
    workshop
}

#[test]
fn a_draft_is_valid_runs_as_it_is_and_gives_the_values_of_the_file() {
    let workshop = sampled();
    let told = workshop.run(&["init", "--from", "csv", "drops/prices_2026-03-01.csv"]);
    assert_eq!(told.code, Some(0), "{told}");
    for part in [
        "wrote pipelines/prices.yaml, judged by 3 rows of 1 file",
        "valid_from: day and month",
        "next: `unbatch preview pipelines/prices.yaml`",
    ] {
        assert!(told.stdout.contains(part), "{part} in {told}");
    }
    let yaml = std::fs::read_to_string(workshop.path().join("pipelines/prices.yaml")).unwrap();
    assert!(yaml.starts_with("# yaml-language-server: $schema=../.unbatch/pipeline.schema.json\n"), "{yaml}");
    let schema = std::fs::read_to_string(workshop.path().join("pipelines/../.unbatch/pipeline.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(schema, workshop.json(&["schema"]));
    assert_eq!(yaml.matches("# CHOICE: ").count(), 3, "{yaml}");
    assert!(yaml.contains("    url: file:../drops/ "), "{yaml}");

    assert_eq!(workshop.json(&["validate"])["warnings"], 0);
    let run = workshop.json(&["run", "--dev", "--once", "--no-http"]);
    assert_eq!(run["pipelines"][0]["written"], 3, "{run}\n{yaml}");
    let topic = workshop.json(&["topics", "read", "prices"]);
    let mut values: Vec<Value> = topic["records"].as_array().unwrap().iter().map(|r| r["value"].clone()).collect();
    values.sort_by_key(|v| v["sku"].to_string());
    let row = |sku: &str, ean: &str, price: &str, day: &str, at: &str, stock: Value, note: Value| json!({"sku": sku, "ean": ean, "price": price, "valid_from": day, "seen_at": at, "stock": stock, "note": note});
    let expected = [
        row("NL-1", "0420031003250", "61.60", "01/02/2026", "2026-03-01T19:00:00Z", json!(12), Value::Null),
        row("NL-2", "0420031003267", "5.00", "03/04/2026", "2026-03-02T07:30:00Z", Value::Null, json!("a; b")),
        row("NL-3", "4000000000001", "1234.50", "05/06/2026", "2026-03-03T08:00:00Z", json!(7), json!("")),
    ];
    assert_eq!(values, expected, "{yaml}");
}

/// What pandas writes: an index without a name, doubles to the last digit, truths with capitals.
#[test]
fn an_export_of_pandas_comes_out_digit_by_digit() {
    let doubles: Vec<String> = (1..=40).map(|n| format!("{:?}", f64::from(n) / 7.0)).collect();
    let row = |(n, double): (usize, &String)| format!("{n},SO-{n},{double},0.{n:05},False\n");
    let rows: String = doubles.iter().enumerate().map(row).collect();
    let workshop = Workshop::new();
    workshop.write("drops/weights.csv", &format!(",order id,kg,rate,fragile\n{rows}"));
    let made = workshop.json(&["init", "drops/weights.csv"]);
    let types: Vec<&str> = made["columns"].as_array().unwrap().iter().map(|c| c["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["int32", "string", "float64", "decimal(15,5)", "bool"]);
    let about: Vec<&str> = made["choices"].as_array().unwrap().iter().map(|c| c["about"].as_str().unwrap()).collect();
    assert_eq!((about, &made["key"]), (vec!["c1", "kg", "key"], &json!(["order id"])));
    let run = workshop.json(&["run", "--dev", "--once", "--no-http"]);
    assert_eq!(
        (&run["pipelines"][0]["written"], &run["pipelines"][0]["quarantined"]),
        (&json!(40), &json!(0)),
        "{run}"
    );
    // as text: a reader of JSON in a hurry gives some doubles the last digit of their neighbour
    for args in [&["topics", "read", "weights"][..], &["topics", "read", "weights", "--json"]] {
        let shown = workshop.run(args).stdout;
        for (n, double) in doubles.iter().enumerate() {
            let value = format!(r#"{{"c1":{n},"order id":"SO-{n}","kg":{double},"rate":"0.{n:05}","fragile":false}}"#);
            assert!(shown.contains(&value), "{value} in\n{shown}");
        }
    }
}

#[test]
fn nothing_is_replaced_unasked_and_standard_output_is_a_place_too() {
    let workshop = sampled();
    let file = "drops/prices_2026-03-01.csv";
    let made = workshop.json(&["init", file]);
    assert_eq!((made["file"].as_str(), made["pipeline"].as_str()), (Some("pipelines/prices.yaml"), Some("prices")));
    assert_eq!(made["key"], json!(["sku"]));
    assert_eq!(made["columns"][2]["options"], json!(["decimal_mark: \",\""]));
    let about: Vec<&str> = made["choices"].as_array().unwrap().iter().filter_map(|c| c["about"].as_str()).collect();
    assert_eq!(about, ["valid_from", "seen_at", "key"]);

    workshop.write("pipelines/prices.yaml", "mine");
    let again = workshop.run(&["init", file]);
    assert_eq!(again.code, Some(2), "{again}");
    assert!(again.stderr.contains("error[U0736]") && again.stderr.contains("--force"), "{again}");
    assert_eq!(std::fs::read_to_string(workshop.path().join("pipelines/prices.yaml")).unwrap(), "mine");
    assert_eq!(workshop.run(&["init", file, "--force"]).code, Some(0));
    assert_eq!(workshop.run(&["validate"]).code, Some(0));

    let shown = workshop.run(&["init", file, "--output", "-"]);
    assert!(shown.stdout.starts_with("# Drafted by") && shown.stderr.contains("choices for you"), "{shown}");
    assert!(shown.stderr.contains("next: save it as prices.yaml, then `unbatch preview prices.yaml`"), "{shown}");
    let nowhere = workshop.run(&["init", file, "-o", "jobs/new/supplier-prices.yaml"]);
    assert!(nowhere.code == Some(2) && nowhere.stderr.contains("error[U0737]"), "{nowhere}");
    assert!(nowhere.stderr.contains("make the folder first") && !workshop.path().join("jobs").exists(), "{nowhere}");
    std::fs::create_dir(workshop.path().join("jobs")).unwrap();
    let other = workshop.json(&["init", file, "-o", "jobs/supplier-prices.yaml"]);
    assert_eq!(other["pipeline"], "supplier-prices");
    assert_eq!(workshop.run(&["validate", "jobs"]).code, Some(0));
    let named = workshop.run(&["init", file, "-o", "jobs/Supplier_Prices.yaml"]);
    assert!(named.code == Some(2) && named.stderr.contains("`supplier-prices` would do"), "{named}");
}

/// Beside pipelines in the current folder a new folder would hide them.
#[test]
fn a_draft_goes_where_pipelines_are() {
    let workshop = Workshop::with_pipeline();
    workshop.write("drops/prices_1.csv", PRICES);
    assert_eq!(workshop.json(&["init", "drops/prices_1.csv"])["file"], "prices.yaml");
    assert_eq!(workshop.json(&["validate"])["pipelines"], json!(["prices", "stock"]));
}

/// What Windows writes, packed: the encoding is a choice, and the rows are right without touching it.
#[test]
fn packed_files_and_other_encodings_are_drafted() {
    use std::io::Write;
    let workshop = Workshop::new();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(b"sku;name;price\r\nA1;Gr\xfc\xdfe;1,50\r\nA2;Caf\xe9;2,25\r\n").unwrap();
    std::fs::write(workshop.path().join("drops/prices_1.csv.gz"), gz.finish().unwrap()).unwrap();
    let drafted = workshop.json(&["init", "drops/prices_1.csv.gz"]);
    assert!(drafted["choices"].to_string().contains("windows-1252"), "{drafted}");
    assert_eq!(workshop.run(&["validate"]).code, Some(0));
    let rows = workshop.run(&["preview", drafted["file"].as_str().unwrap()]);
    assert!(rows.code == Some(0) && rows.stdout.contains("Grüße") && rows.stdout.contains("Café"), "{rows}");
}

#[test]
fn wrong_samples_are_refused_with_place_and_remedy() {
    let workshop = Workshop::new();
    let endless = format!("a,b\n1,\"{}", "x, y\n".repeat(300_000));
    let cases: [(&str, &[u8], &str, &str); 14] = [
        ("empty.csv", b"", "U0232", "is empty"),
        ("header.csv", b"a,b\n", "U0232", "no rows"),
        ("prose.csv", b"Dear reader\nthis is no table\n", "U0232", "no delimiter"),
        ("rows.json", b"{\"a\":1,\"b\":2}\n{\"a\":3,\"b\":4}\n", "U0232", "JSON"),
        ("title.csv", b"Report\na,b,c\n1,2,3\n4,5,6\n7,8,9\n", "U0232", "first line"),
        ("open.csv", b"a,b\n1,\"two\n", "U0232", "line: 2"),
        ("endless.csv", endless.as_bytes(), "U0232", "no record ends"),
        ("nameless.csv", b"c2,,a\n1,2,3\n3,4.5,6\n", "U0232", "column: 2"),
        ("sheet.csv", b"Stock;;\nof Monday;;\n\nshop;n;x\nHAM;1;a\nBER;2;b\n", "U0232", "as a title above a table"),
        ("twice.csv", b"a,b,a\n1,x,2\n3,y,4\n", "U0232", "columns: 1 and 3"),
        ("mixed.csv", b"\xef\xbb\xbfa,b\n1,gr\xfcn\n\x00", "U0231", "zero byte"),
        ("zero.csv", b"a,b\n1,\x00\n", "U0231", "zero byte"),
        ("book.csv", b"PK\x03\x04\x14\x00\x06\x00", "U0231", "zip"),
        ("wide.csv", b"\xff\xfe\0\0a\0\0\0", "U0231", "unsupported_encoding"),
    ];
    for (name, bytes, code, part) in cases {
        std::fs::write(workshop.path().join(name), bytes).unwrap();
        let refused = workshop.run(&["init", name]);
        assert_eq!(refused.code, Some(2), "{name}: {refused}");
        assert!(refused.stderr.contains(&format!("error[{code}]")), "{name}: {refused}");
        assert!(refused.stderr.contains(part) && refused.stderr.contains("  help: "), "{name}: {part} in {refused}");
        assert!(refused.stderr.contains(name), "{name}: {refused}");
        assert!(refused.stdout.is_empty() && !refused.stderr.contains("panicked"), "{name}: {refused}");
        assert_eq!(workshop.run(&["explain", code]).code, Some(0));
    }
    workshop.write("a.csv", "id,n\nA,1\n");
    workshop.write("b.csv", "id,m\nB,1\n");
    for (words, code) in [
        (&["init"][..], "U0735"),
        (&["init", "--from", "csv"], "U0735"),
        (&["init", "--from", "excel", "a.csv"], "U0735"),
        (&["init", "nowhere.csv"], "U0230"),
        (&["init", "drops"], "U0230"),
        (&["init", "a.csv", "b.csv"], "U0233"),
        (&["init", "a.csv", "-o", "a.yml"], "U0737"),
        (&["init", "a.csv", "-o", "a.csv/x.yaml"], "U0737"),
    ] {
        let refused = workshop.run(words);
        assert_eq!(refused.code, Some(2), "{words:?}: {refused}");
        assert!(refused.stderr.contains(&format!("error[{code}]")), "{words:?}: {refused}");
        assert!(refused.stderr.contains("  help: "), "{words:?}: {refused}");
    }
    assert!(!workshop.path().join("pipelines").exists(), "nothing was written");
}

#[test]
fn a_preview_shows_rows_and_refused_ones_without_a_broker_and_leaves_no_trace() {
    let workshop = Workshop::with_pipeline();
    let moving = crate::workshop::PIPELINE.replace("    poll:", "    after: {move_to: archive}\n    poll:");
    workshop.write("stock.yaml", &moving);
    let rows: String =
        (1..=12).map(|n| format!("r{n},{}\n", if n == 3 { "1O".into() } else { n.to_string() })).collect();
    workshop.drop_file("stock_a.csv", &format!("id,counted\n{rows}"));
    let names = || {
        let mut names: Vec<String> = walk(workshop.path());
        names.sort();
        names
    };
    let before = names();
    let seen = workshop.json(&["preview", "stock", "--limit", "5"]);
    assert_eq!(seen["rows"].as_array().unwrap().len(), 5, "{seen}");
    assert_eq!(seen["rows"][2]["cells"], json!({"id": "r4", "counted": 4}));
    assert_eq!(seen["rows"][2]["origin"], "stock_a.csv:5");
    assert_eq!((seen["ended"].as_str(), seen["rejected"][0]["code"].as_str()), (Some("limit"), Some("bad_int")));
    let told = workshop.run(&["preview", "stock.yaml"]);
    assert_eq!(told.code, Some(0), "{told}");
    for part in [
        "where           id   counted\n",
        "stock_a.csv:2   r1         1\n",
        "bad_int at stock_a.csv:4, byte",
        "r3,1O",
        "nothing was written",
    ] {
        assert!(told.stdout.contains(part), "{part} in {told}");
    }
    assert!(told.stdout.contains("the first 10 rows"), "{told}");
    assert_eq!(names(), before);

    std::fs::remove_file(workshop.path().join("drops/stock_a.csv")).unwrap();
    let nothing = workshop.run(&["preview", "stock"]);
    assert!(nothing.stdout.contains("no rows") && nothing.stdout.contains("match=stock_*.csv"), "{nothing}");
    let wrong = workshop.run(&["preview", "stock", "--limit", "0"]);
    assert_eq!(wrong.code, Some(2), "{wrong}");
    let unknown = workshop.run(&["preview", "stok"]);
    assert!(unknown.code == Some(2) && unknown.stderr.contains("error[U0722]"), "{unknown}");
    workshop.write("stock.yaml", &moving.replace("url: drops", "url: nowhere"));
    let missing = workshop.run(&["preview", "stock"]);
    assert!(missing.code == Some(2) && missing.stderr.contains("U0217"), "{missing}");
}

/// Everything below a folder.
fn walk(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if path.is_dir() {
            found.extend(walk(&path));
        }
        found.push(path.display().to_string());
    }
    found
}
