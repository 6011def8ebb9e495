use super::*;

fn excerpts(files: &[&str]) -> Vec<Excerpt> {
    files.iter().enumerate().map(|(i, text)| Excerpt::of(&format!("f_{i}.csv"), text.as_bytes()).unwrap()).collect()
}

#[track_caller]
fn table(files: &[&str]) -> Table {
    Table::of(&excerpts(files)).unwrap_or_else(|e| panic!("{e:?}"))
}

#[track_caller]
fn check(files: &[&str], columns: &[&str], key: &[&str]) {
    let table = table(files);
    let found: Vec<String> =
        table.names.iter().zip(&table.verdicts).map(|(n, v)| format!("{n} {}", v.column_type)).collect();
    assert_eq!(found, columns, "{files:?}");
    assert_eq!(table.key, key, "{files:?}: {}", table.key_reason);
}

#[track_caller]
fn check_refused(files: &[&str], code: &str, part: &str) {
    let error = Table::of(&excerpts(files)).err().unwrap();
    assert_eq!(error.code_text(), Some(code), "{error:?}");
    assert!(format!("{error:?}").contains(part), "{part} in {error:?}");
    assert!(error.remedy().is_some(), "{error:?}");
}

#[test]
fn headers_are_told_by_the_types_below_them() {
    check(&["id,price\nA,1.50\nB,2.25\n"], &["id string", "price decimal(12,2)"], &["id"]);
    check(&["A,1.50\nB,2.25\n"], &["c1 string", "c2 decimal(12,2)"], &["c1"]);
    let years = table(&["name,2024,2025\nA,1,2\nB,3,4\n"]);
    assert!(years.has_header && years.header_choice.is_some());
    let texts = table(&["name,city\nAnna,Bonn\nBert,Kiel\n"]);
    assert!(texts.has_header && texts.header_choice.is_some());
    // two files that begin alike have a header
    let two = table(&["name,city\nAnna,Bonn\n", "name,city\nBert,Kiel\n"]);
    assert!(two.has_header && two.header_choice.is_none());
    let nameless = table(&["x,,x\ny,z,w\n"]);
    assert!(!nameless.has_header && nameless.header_choice.is_some());
}

#[test]
fn files_of_one_kind_are_one_table_whatever_the_order_of_their_columns() {
    check(&["id,n\nA,1\nB,2\n", "n,id\n3,C\n4,D\n"], &["id string", "n int32"], &["id"]);
    check_refused(&["id,n\nA,1\n", "id,m\nB,2\n"], "U0233", "has no column n");
    check_refused(&["id,n,x\nA,1,2\nB,1,2\n", "id;n\nB;2\nC;3\nD;4\n"], "U0233", "not of one kind");
}

#[test]
fn the_key_is_the_first_column_or_pair_that_is_unique() {
    check(&["n,sku\n1,A\n1,B\n"], &["n int32", "sku string"], &["sku"]);
    check(&["a,line_no\nx,1\nx,2\ny,1\n"], &["a string", "line_no int32"], &["a", "line_no"]);
    check(&["a,b\nx,1\nx,1\n"], &["a string", "b int32"], &[]);
    check(&["a,nr\nx,1\n,2\n"], &["a string", "nr int32"], &["nr"]);
    // what was measured is unique by chance
    check(&["day,sold\n2026-03-01,17\n2026-03-01,19\n"], &["day date", "sold int32"], &[]);
    // a list that comes every day; its line numbers are no key
    check(&["no,sku\n1,A\n2,B\n", "no,sku\n1,A\n2,B\n"], &["no int32", "sku string"], &["sku"]);
    // measured numbers and times are none
    check(&["t,x\n1.5,a b\n2.5,a b\n"], &["t decimal(12,2)", "x string"], &[]);
}

#[test]
fn what_the_source_would_park_is_refused() {
    check_refused(&["a,b\n"], "U0232", "no rows");
    check_refused(
        &["Stock list;;\nof Monday;;\n;;\nshop;n;value\nHAM;1;x\nBER;2;y\n"],
        "U0232",
        "as a title above a table",
    );
    check_refused(&["c2,,a\n1,2,3\n2,3,4\n"], "U0232", "column 2");
    check_refused(&["a,b,a\n1,2,x\n2,3,y\n"], "U0232", "columns 1 and 3");
}

#[test]
fn a_column_without_a_name_has_its_number() {
    // pandas, with its index; R, with the names of the rows; a delimiter at the end of each line
    check(&[",sku,n\n0,A,7\n1,B,7\n"], &["c1 int32", "sku string", "n int32"], &["sku"]);
    check(&["\"\",\"mpg\"\n\"Mazda\",21\n\"Merc\",24\n"], &["c1 string", "mpg int32"], &["c1"]);
    check(&["sku,n,\nA,7,\nB,7,\n"], &["sku string", "n int32", "c3 string"], &["sku"]);
    for (text, at, part) in [(",n\n0,7\n1,8\n", 0, "pandas"), ("sku,n,\nA,7,\nB,7,\n", 2, "delimiter at its end")] {
        let open = table(&[text]).verdicts.remove(at).open.remove(0);
        assert_eq!(open.chosen, Some(format!("name: c{}", at + 1)));
        assert!(open.why.contains("no name") && open.instead[0].contains(part), "{open:?}");
    }
    assert_eq!(table(&["sku,n,\nA,7,\nB,7,\n"]).verdicts[2].open.len(), 1);
    // a row with one field is a row where others have no more
    assert!(!table(&["x;;\ny;;\nz;1;\n"]).has_header);
    // nothing below the first record tells, but an index without a name
    let texts = table(&[",name,city\n0,Anna,Bonn\n1,Bert,Kiel\n"]);
    assert!(texts.has_header && texts.header_choice.is_some());
    assert_eq!(texts.names, ["c1", "name", "city"]);
    // of two files, each with its own order, the source finds a number only in its place
    check_refused(&[",a\n0,1\n1,2\n", "a,\n1,0\n2,1\n"], "U0233", "has no column c1");
}

#[test]
fn rows_that_fit_nothing_are_counted_and_do_not_decide() {
    let rows: String = (0..50).map(|n| format!("{n},x\n")).collect();
    let found = table(&[&format!("id,text\n{rows}51\n52,\"bad\"quote\n")]);
    assert_eq!((found.rows, found.misshapen), (50, 2));
    assert_eq!(found.verdicts[0].column_type, ColumnType::Int32);
}

#[test]
fn a_decimal_comma_in_one_column_makes_points_in_another_doubtful() {
    let found = table(&["a;b\n1.234;1,5\n2.500;2,25\n"]);
    assert_eq!(found.verdicts[0].column_type, ColumnType::String);
    assert_eq!(found.verdicts[0].open.len(), 1);
    assert_eq!(found.verdicts[1].declared(), "type: \"decimal(12,2)\", decimal_mark: \",\"");
}

#[test]
fn numbers_that_name_a_thing_are_text_by_one_rule_and_told_as_they_would_be_written() {
    for name in ["Artikel", "Artikelnummer", "artikel_nr", "ArtikelNr", "PLZ", "phone number", "accountno"] {
        let found = table(&[&format!("{name};menge\n1001;5\n1002;7\n")]);
        assert_eq!(found.verdicts[0].column_type, ColumnType::String, "{name}");
        assert_eq!(found.verdicts[0].open[0].instead, ["type: int32"], "{name}");
        assert_eq!(found.verdicts[1].column_type, ColumnType::Int32, "{name}");
    }
    assert_eq!(table(&["Party;n\n1;2\n3;4\n"]).verdicts[0].column_type, ColumnType::Int32);
}
