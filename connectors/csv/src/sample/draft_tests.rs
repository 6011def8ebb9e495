//! Whole drafts: what is written is a valid configuration, and the source's own decoders read every sampled row with it.

use super::*;
use crate::config::{self, CsvDropsConfig, Header};
use crate::validate;
use proptest::prelude::*;
use unbatch_api::testkit::rows::{NULL_TEXT, row_texts};

fn drafted(files: &[(&str, &str)]) -> Result<Draft> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let operands = files.iter().map(|(name, _)| folder.path().join(name).display().to_string()).collect();
    draft(&DraftRequest { operands, base: Some(folder.path().to_owned()) })
}

fn settings_of(draft: &Draft) -> String {
    draft.settings.iter().map(|l| format!("{}\n", l.text)).collect()
}

#[test]
fn a_draft_has_settings_columns_a_key_and_what_was_left_open() {
    let text = "sku;price;valid_from;note\nNL-1;61,60;01/02/2026;\nNL-2;5,00;03/04/2026;x\n";
    let draft = drafted(&[("prices_2026-03-01.csv", text)]).unwrap();
    let written = settings_of(&draft);
    for part in [
        "match: \"prices_*.csv\"",
        "dialect: {delimiter: \";\", header: present}",
        "  - {name: sku, type: string, required: true}",
        "  - {name: price, type: \"decimal(12,2)\", decimal_mark: \",\", required: true}",
        "  - {name: valid_from, type: string, required: true}",
        "  - {name: note, type: string}",
    ] {
        assert!(written.contains(part), "{part} in\n{written}");
    }
    assert_eq!(draft.key, ["sku"]);
    assert_eq!(draft.judged_by, "2 rows of 1 file");
    let open: Vec<&str> = draft.choices().map(|c| c.about.as_str()).collect();
    assert_eq!(open, ["valid_from"]);
    assert_eq!(draft.columns[1].options, ["decimal_mark: \",\""]);
}

#[test]
fn no_cell_value_stands_in_a_choice_or_remark() {
    let text = "id,when,flag\nsecret-1,01/02/2026,Y\nsecret-2,03/04/2026,N\n";
    let draft = drafted(&[("a.csv", text)]).unwrap();
    let said: String = draft.choices().map(|c| c.sentence()).chain(draft.remarks.clone()).collect();
    assert!(!said.contains("secret") && !said.contains("2026"), "{said}");
    assert_eq!(draft.choices().count(), 2);
}

#[test]
fn empty_files_tell_nothing_and_alone_are_refused() {
    let draft = drafted(&[("a_1.csv", ""), ("a_2.csv", "id,n\nA,1\nB,2\n")]).unwrap();
    assert!(draft.remarks[0].contains("a_1.csv is empty"), "{:?}", draft.remarks);
    let error = drafted(&[("a_1.csv", "\n \n")]).unwrap_err();
    assert!(error.message().contains("is empty") && error.code_text() == Some("U0232"));
    assert!(drafted(&[("a_1.csv", ""), ("a_2.csv", "")]).unwrap_err().message().contains("all of them"));
    assert_eq!(drafted(&[]).unwrap_err().code_text(), Some("U0230"));
}

#[test]
fn of_many_files_some_are_looked_at_and_all_names_count() {
    let names: Vec<String> =
        (1..=45).map(|n| format!("stock_{n:02}.csv")).chain(["stock_late.csv".to_owned()]).collect();
    let text = |name: &str| format!("id,n\n{name},1\n");
    let texts: Vec<String> = names.iter().map(|n| text(n)).collect();
    let files: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
    let draft = drafted(&files).unwrap();
    assert_eq!(draft.judged_by, "20 rows of 20 files");
    assert!(draft.remarks[0].starts_with("20 of 46 files were looked at"), "{:?}", draft.remarks);
    assert!(settings_of(&draft).contains("match: \"stock_*.csv\""));
    let paths: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
    assert_eq!((spread(&paths)[0], *spread(&paths).last().unwrap()), (&paths[0], &paths[45]));
}

#[test]
fn a_file_that_is_cut_off_is_told() {
    let draft = drafted(&[("a_1.csv", "id,text\nA,x\nB,y\nC,\"cut of"), ("a_2.csv", "id,text\nD,z\n")]).unwrap();
    assert_eq!(draft.judged_by, "3 rows of 2 files");
    assert_eq!(draft.remarks.len(), 1, "{:?}", draft.remarks);
    assert!(draft.remarks[0].starts_with("a_1.csv ends inside a quoted field"), "{:?}", draft.remarks);
}

#[test]
fn a_header_in_the_middle_of_a_file_is_told_and_makes_no_column_text() {
    let draft = drafted(&[("a_1.csv", "id,n\nA,1\nB,2\nid,n\nC,3\n")]).unwrap();
    assert_eq!(draft.columns[1].column_type, "int32");
    assert_eq!((draft.judged_by.as_str(), &draft.key), ("3 rows of 1 file", &vec!["id".to_owned()]));
    assert_eq!(draft.remarks.len(), 1, "{:?}", draft.remarks);
    let remark = &draft.remarks[0];
    assert!(remark.starts_with("line 4 of a_1.csv is the header again") && remark.contains("quarantine"), "{remark}");
    // without a header such rows are rows like others
    let draft = drafted(&[("a_1.csv", "A,1\nB,2\nA,1\nC,3\n")]).unwrap();
    assert_eq!((draft.judged_by.as_str(), draft.remarks.len()), ("4 rows of 1 file", 0));
}

/// Traits of files of the world outside, in a few lines each.
const WILD: &[(&str, &str)] = &[
    ("pandas", "passenger,age,fare,alone\n1,22.0,7.25,True\n2,,71.2833,False\n3,NaN,8.05,True\n"),
    ("r", "\"model\",\"mpg\",\"vs\"\n\"Mazda RX4\",21,NA\n\"Merc \"\"240D\"\"\",24.4,1\n"),
    ("transit", "trip_id,arrival_time,stop_id\n1423,06:15:00,00042\n1424,25:15:00,70001\n"),
    ("crlf", "a,b\r\n1,2\r\n3,4\r\n"),
    ("no line end", "a\tb\n1\tx\n2\ty"),
    ("wide", "id,\"two\nlines\",größe\n1,x,ä\n2,y,\u{1f600}\n"),
    ("uci", "5.1,3.5,setosa\n4.9,?,virginica\n"),
    ("stocks", "symbol,date,price\nMSFT,Jan 1 2000,39.81\nMSFT,Feb 1 2000,36.35\n"),
    ("pandas index", ",name,fare\n0,Anna,7.25\n1,Bert,71.2833\n"),
    ("delimiter at the end", "a;b;\n1;x;\n2;y;\n"),
    ("doubles", "x,y\n0.1,1e-05\n97.69131206443265,2.5\n"),
    ("rates", "day,eur\n2026-03-02,1.0823\n2026-03-03,1.08\n2026-03-04,1.1\n2026-03-05,1.08235\n2026-03-06,1.082\n"),
    ("not a number", "n,x\n1,1.5\n2,NaN\n3,-inf\n"),
    ("row names", "\"\",\"mpg\",\"am\"\n\"Mazda RX4\",21,\"y\"\n\"Merc, \"\"240D\"\"\",24.4,\"n\"\n"),
    ("excel", "\u{feff}Nr;Betrag;Datum\r\n1;1234,5;31.12.2025\r\n2;-0,05;01.01.2026\r\n"),
    ("all quoted", "\"id\",\"when\"\n\"1\",\"2026-03-01 06:15:00\"\n\"2\",\"2026-03-29 02:30:00\"\n"),
    ("long numbers", "iban,units\n12345678901234567890,0.000000000000000001\n22345678901234567890,12.5\n"),
    ("one column", "sku\nNL-1\nNL-2\n"),
    ("pipes", "a|b\n1|x y\n2|\n"),
    ("thousands", "item,total\nA,\"1,234.50\"\nB,\"12,000.00\"\n"),
    ("years above", "country,1990,1991\nA,1.5,2.25\nB,3,4\n"),
    ("crlf inside", "id,note\r\n1,\"two\r\nlines\"\r\n2,x\r\n"),
    ("money signs", "id,price\n1,$5.00\n2,$6.50\n"),
    ("spaces", "id, name\n1, x\n2, y\n"),
    ("yaml words", "yes,null,\"a: b\",#x\n1,2,3,4\n5,6,7,8\n"),
];

#[test]
fn every_draft_is_a_valid_configuration_that_reads_every_sampled_row() {
    for (name, text) in WILD {
        let draft = drafted(&[("sample_1.csv", text)]).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let config = config_of(&draft);
        let problems = validate::problems(&config);
        assert!(problems.is_empty(), "{name}: {problems:?}");
        let wrong = wrong_cells(config, text);
        assert_eq!(wrong, [""; 0], "{name}:\n{}", settings_of(&draft));
    }
}

/// The columns and dialect of a draft as the configuration has them; the YAML itself is read in the worker's tests.
fn config_of(draft: &Draft) -> CsvDropsConfig {
    let dialect = draft.settings.iter().find_map(|l| l.text.strip_prefix("dialect: ")).unwrap();
    let delimiter = dialect.split('"').nth(1).unwrap().replace("\\t", "tab");
    let columns: Vec<serde_json::Value> = draft
        .columns
        .iter()
        .map(|c| {
            let mut column = serde_json::json!({"name": c.name, "type": c.column_type, "required": c.required});
            for option in &c.options {
                let (key, value) = option.split_once(": ").unwrap();
                column[key] = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            }
            column
        })
        .collect();
    let header = if dialect.contains("header: none") { "none" } else { "present" };
    let json = serde_json::json!({
        "url": "file:./", "match": "*", "columns": columns,
        "dialect": {"delimiter": delimiter, "header": header},
    });
    serde_json::from_value(json).unwrap()
}

/// Refused rows, and cells that came out as something else than what the `csv` crate finds in the text.
fn wrong_cells(config: CsvDropsConfig, text: &str) -> Vec<String> {
    use crate::reader::{FileReader, PIECE_BYTES, Portion, Step};
    let portion = Portion { rows: 1_000, bytes: PIECE_BYTES };
    let source = crate::content::in_memory(text.as_bytes(), &config.layers());
    let mut reader = FileReader::new(source, std::sync::Arc::new(config.clone()), Default::default(), portion);
    let (mut wrong, mut batches) = (Vec::new(), Vec::new());
    loop {
        match reader.step().unwrap() {
            Step::Rows(rows) => {
                wrong.extend(rows.refused.into_iter().map(|r| r.message));
                batches.push(rows.rows);
            }
            Step::Bad(_, bad) => return vec![bad.message],
            Step::End => break,
        }
    }
    let (delimiter, quote) = config.dialect.marks();
    let mut other = csv::ReaderBuilder::new();
    let other = other.has_headers(config.dialect.header == Header::Present).delimiter(delimiter).quote(quote);
    let mut records = other.from_reader(text.trim_start_matches('\u{feff}').as_bytes()).into_records();
    for batch in batches {
        let columns: Vec<Vec<String>> =
            (0..batch.num_columns()).map(|c| row_texts(&batch.project(&[c]).unwrap())).collect();
        for row in 0..batch.num_rows() {
            let record = records.next().unwrap().unwrap();
            for ((column, cells), written) in config.columns.iter().zip(&columns).zip(&record) {
                if !is_same(column, written, &cells[row]) {
                    wrong.push(format!("{}: {written} became {}", column.name, cells[row]));
                }
            }
        }
    }
    if wrong.is_empty() && records.next().is_some() {
        wrong.push("rows are missing".to_owned());
    }
    wrong
}

/// Whether a cell came out as it was written, by another way than it was read.
fn is_same(column: &config::Column, written: &str, came: &str) -> bool {
    let number = |text: &str| number::digits_of(&text.replace(',', ".").to_lowercase());
    let as_time =
        |format: &str| chrono::NaiveDateTime::parse_from_str(written, format).map(|t| t.and_utc().to_rfc3339());
    match column.column_type {
        _ if came == NULL_TEXT => written.is_empty() || column.nulls.iter().any(|word| word == written),
        ColumnType::String => written == came,
        ColumnType::Bool => written.eq_ignore_ascii_case(came),
        ColumnType::Date => {
            let format = column.format.as_deref().unwrap_or("%Y-%m-%d");
            chrono::NaiveDate::parse_from_str(written, format).is_ok_and(|day| day.to_string() == came)
        }
        ColumnType::Timestamp if column.format.is_none() && written.ends_with('Z') => written == came,
        ColumnType::Timestamp => {
            let format = column.format.as_deref().unwrap_or("%Y-%m-%d %H:%M:%S");
            as_time(format).is_ok_and(|time| time.replace("+00:00", "Z") == came)
        }
        _ if written.eq_ignore_ascii_case("nan") || written.contains("inf") => written.eq_ignore_ascii_case(came),
        _ => number(written) == number(came) && (written.starts_with('-') == came.starts_with('-')),
    }
}

/// Cells that look like something, and like each other.
const POOL: [&str; 40] = [
    "",
    "\"\"",
    "1",
    "-2",
    "007",
    "0",
    "4294967296",
    "99999999999999999999",
    "1.5",
    "1.25",
    ".5",
    "1.234",
    "1,234",
    "1,5",
    "1.234,56",
    "1e3",
    "NaN",
    "0.30000000000000004",
    "true",
    "FALSE",
    "y",
    "N",
    "NULL",
    "\\N",
    "NA",
    "-",
    "2026-03-01",
    "2026-02-30",
    "01/02/2026",
    "13/02/2026",
    "01.03.2026",
    "2026-03-01 19:00:00",
    "2026-03-01T19:00:00Z",
    "01.03.2026 19:00",
    "Jan 1 2000",
    "x",
    "two words",
    "5\" pipe",
    "a; b",
    "größe",
];

/// As a careful writer would: in quotes where it must be.
fn as_written(cell: &str, delimiter: char) -> String {
    let is_quoted = cell.len() > 1 && cell.starts_with('"');
    match !is_quoted && cell.contains([delimiter, '"', '\n']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

fn cells(width: usize) -> impl Strategy<Value = Vec<Vec<&'static str>>> {
    // few different cells in a column, so that types come out
    let column = prop::collection::vec(prop::sample::select(POOL.to_vec()), 1..3);
    let columns = prop::collection::vec(column, width);
    (columns, prop::collection::vec(any::<u8>(), 1..25)).prop_map(|(columns, picks)| {
        let row = |pick: &u8| columns.iter().enumerate().map(|(i, c)| c[(*pick as usize >> i) % c.len()]).collect();
        picks.iter().map(row).collect()
    })
}

proptest! {
    /// What is drafted from whole rows reads every one of them: the promise of the file that `init` writes.
    #[test]
    fn every_sampled_row_is_read_by_what_was_drafted(
        rows in (2usize..6).prop_flat_map(cells),
        delimiter in prop::sample::select(vec![',', ';', '\t', '|']),
        has_header in any::<bool>(),
    ) {
        let line = |row: &Vec<&str>| row.iter().map(|c| as_written(c, delimiter)).collect::<Vec<_>>().join(&delimiter.to_string());
        let mut lines: Vec<String> = rows.iter().map(line).collect();
        if has_header {
            let names: Vec<String> = (0..rows[0].len()).map(|n| format!("name_{n}")).collect();
            lines.insert(0, names.join(&delimiter.to_string()));
        }
        let text = lines.join("\n") + "\n";
        match drafted(&[("sample.csv", &text)]) {
            Ok(draft) => {
                // a row that is taken for the header again is refused, as its remark says
                prop_assume!(!draft.remarks.iter().any(|remark| remark.contains("is the header again")));
                let config = config_of(&draft);
                prop_assert!(validate::problems(&config).is_empty(), "{}", settings_of(&draft));
                prop_assert_eq!(wrong_cells(config, &text), Vec::<String>::new(), "{}\n{}", text, settings_of(&draft));
            }
            Err(error) => {
                prop_assert!(matches!(error.code_text(), Some("U0231" | "U0232")), "{:?}", error);
                prop_assert!(error.remedy().is_some(), "{:?}", error);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop::sample::select(b"a1,;|\t\"'.-\n\r\xc3\xa4/: {<0".to_vec()), 0..200)) {
        if let Ok(excerpt) = Excerpt::of("a.csv", &bytes)
            && let Err(error) = Table::of(&[excerpt])
        {
            prop_assert!(error.code_text().is_some() && error.remedy().is_some(), "{:?}", error);
        }
    }
}
