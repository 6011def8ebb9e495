//! Expressions by what they give, and by what is said when they are wrong.

use super::evaluate::{Image, Trouble};
use super::functions::FUNCTIONS;
use super::*;
use unbatch_api::Batch;
use unbatch_api::arrow::util::display::{ArrayFormatter, FormatOptions};
use unbatch_api::testkit::table;

const COLUMNS: &str = "sku: string, price: decimal(12,2), count: int64, small: int32, ratio: float64, day: date, at: timestamp, \
     sold: bool, zero: int64, none: string, \"Unit Price\": decimal(5,1)";

fn one_row() -> Batch {
    let columns = COLUMNS.replace('"', "");
    let row = ["NL-1", "12.50", "7", "3", "0.5", "2024-02-29", "2024-02-29T13:14:15.5Z", "true", "0", "", "9.5"];
    let row: Vec<Option<&str>> = row.into_iter().enumerate().map(|(at, cell)| (at != 9).then_some(cell)).collect();
    table("prices", &columns, &[], &[&row])
}

fn compile(text: &str) -> Result<Compiled, Fault> {
    Parsed::new(&Sql(text.to_owned()))?.compile(&one_row().schema)
}

/// The type and the value, or the type and the trouble of the row.
fn evaluated(text: &str) -> (String, String) {
    let compiled = match compile(text) {
        Ok(compiled) => compiled,
        Err(fault) => return (fault.code.to_owned(), format!("{} at {:?}", fault.message, fault.within)),
    };
    let batch = one_row();
    let outcome = compiled.evaluate(&Image::new(&batch)).unwrap();
    let value = match outcome.troubles.get(&0) {
        Some(trouble) => format!("{trouble:?}"),
        None => {
            let options = FormatOptions::default().with_null("∅");
            ArrayFormatter::try_new(&outcome.values, &options).unwrap().value(0).to_string()
        }
    };
    (compiled.column_type.to_string(), value)
}

/// Text, type and value of each.
#[track_caller]
fn check(cases: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (text, column_type, value) in cases {
        let found = evaluated(text);
        if (found.0.as_str(), found.1.as_str()) != (*column_type, *value) {
            wrong.push(format!("{text}: {} {}, not {column_type} {value}", found.0, found.1));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Text, code, message, the part that is marked, and a part of label or help, of each.
#[track_caller]
fn fails(cases: &[(&str, &str, &str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (text, code, message, marked, help) in cases {
        let Err(fault) = compile(text) else {
            wrong.push(format!("{text} compiles"));
            continue;
        };
        let found = (fault.code, fault.message.as_str(), &text[fault.within.clone()]);
        let said = format!("{} / {}", fault.label, fault.help);
        if found != (*code, *message, *marked) || !said.contains(help) {
            wrong.push(format!("{text}: {found:?}, {said}, not {code} {message} {marked} {help}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn numbers_are_exact() {
    check(&[
        ("price * 1.08", "decimal(15,4)", "13.5000"),
        ("price + 0.005", "decimal(14,3)", "12.505"),
        ("price - count", "decimal(22,2)", "5.50"),
        ("price - 1", "decimal(13,2)", "11.50"),
        ("price / 3", "decimal(16,6)", "4.166667"),
        ("-price / 3", "decimal(16,6)", "-4.166667"),
        ("2 / 3.0", "decimal(8,6)", "0.666667"),
        ("price % 5", "decimal(3,2)", "2.50"),
        ("count / 2", "int64", "3"),
        ("-count / 2", "int64", "-3"),
        ("count % 4", "int64", "3"),
        ("small + small", "int64", "6"),
        ("1.10", "decimal(3,2)", "1.10"),
        ("0.05", "decimal(2,2)", "0.05"),
        ("1e3", "float64", "1000.0"),
        ("ratio * price", "float64", "6.25"),
        ("round(price * 1.0825, 2)", "decimal(17,2)", "13.53"),
        ("round(price)", "decimal(12,0)", "13"),
        ("abs(-price)", "decimal(12,2)", "12.50"),
        ("\"Unit Price\" * 2", "decimal(6,1)", "19.0"),
        ("1 + 2 * 3", "int64", "7"),
        ("null + 1", "int64", "∅"),
        ("greatest(price, 20)", "decimal(12,2)", "20.00"),
        ("99999999999999999999", "decimal(20,0)", "99999999999999999999"),
    ]);
}

#[test]
fn texts_dates_and_choices() {
    check(&[
        ("upper('a' || sku) || count", "string", "ANL-17"),
        ("sku || none", "string", "∅"),
        ("concat(sku, none, '!')", "string", "NL-1!"),
        ("coalesce(none, sku)", "string", "NL-1"),
        ("nullif(zero, 0)", "int64", "∅"),
        ("nvl2(none, 1, 2)", "int64", "2"),
        ("case when price > 10 then 'dear' else 'cheap' end", "string", "dear"),
        ("case small when 1 then 'a' when 3 then 'c' end", "string", "c"),
        ("case when zero = 0 then 0 else count / zero end", "int64", "0"),
        ("zero <> 0 and count / zero > 1", "bool", "false"),
        ("zero = 0 or count / zero > 1", "bool", "true"),
        ("substring(sku from 1 for 2)", "string", "NL"),
        ("substr(sku, 4)", "string", "1"),
        ("trim(both 'N' from sku)", "string", "L-1"),
        ("left(sku, 2)", "string", "NL"),
        ("position('-' in sku)", "int32", "3"),
        ("length(sku)", "int32", "4"),
        ("split_part(sku, '-', 2)", "string", "1"),
        ("regexp_replace(sku, '[0-9]+', '#')", "string", "NL-#"),
        ("regexp_like(sku, '^NL')", "bool", "true"),
        ("sku like 'NL%'", "bool", "true"),
        ("sku not ilike 'nl%'", "bool", "false"),
        ("sku in ('A', 'NL-1')", "bool", "true"),
        ("price in (12.5, 1)", "bool", "true"),
        ("price between 12 and 13", "bool", "true"),
        ("none is null", "bool", "true"),
        ("sold is not true", "bool", "false"),
        ("not sold", "bool", "false"),
        ("none = 'a'", "bool", "∅"),
        ("none is distinct from 'a'", "bool", "true"),
        ("extract(year from day)", "int32", "2024"),
        ("date_trunc('month', day)", "date", "2024-02-01"),
        ("date_trunc('week', date '9999-12-31')", "date", "9999-12-27"),
        ("date_trunc('quarter', at)", "timestamp", "2024-01-01T00:00:00Z"),
        ("to_timestamp('9999-12-31T00:00:00')", "timestamp", "9999-12-31T00:00:00Z"),
        ("trunc(price, 1)", "decimal(12,1)", "12.5"),
        ("trunc(-price)", "decimal(12,0)", "-12"),
        ("round(count)", "int64", "7"),
        ("ceil(small)", "int32", "3"),
        ("power(price, 2)", "float64", "156.25"),
        ("lpad(sku, 6, '0')", "string", "00NL-1"),
        ("date_trunc('hour', at)", "timestamp", "2024-02-29T13:00:00Z"),
        ("day + interval '1 day'", "date", "2024-03-01"),
        ("day + 1", "date", "2024-03-01"),
        ("day - date '2024-01-01'", "int64", "59"),
        ("at + interval '90' minute", "timestamp", "2024-02-29T14:44:15.500Z"),
        ("day > '2024-01-31'", "bool", "true"),
        ("at >= day", "bool", "true"),
        ("to_date('31.12.2024', '%d.%m.%Y')", "date", "2024-12-31"),
        ("to_char(day, '%d.%m.%Y')", "string", "29.02.2024"),
        ("to_timestamp('2024-12-31T00:00:00+02:00')", "timestamp", "2024-12-30T22:00:00Z"),
        ("from_unixtime(0)", "timestamp", "1970-01-01T00:00:00Z"),
        ("meta.stream || ':' || meta.op", "string", "prices:c"),
        ("meta.line", "int64", "∅"),
    ]);
}

#[test]
fn casts_round_and_refuse() {
    check(&[
        ("cast(price as int64)", "int64", "13"),
        ("cast(-price as int32)", "int32", "-13"),
        ("cast(2.5e0 as int64)", "int64", "3"),
        ("cast('12.345' as decimal(12,2))", "decimal(12,2)", "12.35"),
        ("price::decimal(12,1)", "decimal(12,1)", "12.5"),
        ("cast(price as string)", "string", "12.50"),
        ("cast(at as date)", "date", "2024-02-29"),
        ("cast(at as string)", "string", "2024-02-29T13:14:15.500Z"),
        ("cast(sku as int64)", "int64", "Failed(BadCast)"),
        ("try_cast(sku as int64)", "int64", "∅"),
        ("cast(price as decimal(3,2))", "decimal(3,2)", "Failed(Overflow)"),
        ("cast(count as varchar)", "string", "7"),
        ("cast(null as date)", "date", "∅"),
    ]);
}

#[test]
fn rows_fail_by_their_reasons() {
    check(&[
        ("count / zero", "int64", "Failed(DivisionByZero)"),
        ("price / zero", "decimal(16,6)", "Failed(DivisionByZero)"),
        ("ratio / zero", "float64", "Failed(Overflow)"),
        ("count + 9223372036854775807", "int64", "Failed(Overflow)"),
        ("sqrt(-ratio)", "float64", "Failed(Overflow)"),
        ("to_date(sku)", "date", "Failed(BadCast)"),
    ]);
    let nines = "9".repeat(36);
    check(&[(&format!("price * {nines}.0"), "decimal(38,3)", "Failed(Overflow)")]);
}

#[test]
fn mistakes_are_told_at_their_words_with_what_is_meant() {
    fails(&[
        ("prise > 0", "U0601", "there is no column `prise`", "prise", "did you mean `price`?"),
        ("Price > 0", "U0601", "there is no column `Price`", "Price", "did you mean `price`?"),
        ("sku = \"DE\"", "U0601", "there is no column `DE`", "\"DE\"", "single quotes: 'DE'"),
        (
            "price > 0 and meta.files = 'a'",
            "U0601",
            "there is no `meta.files`",
            "meta.files",
            "did you mean `meta.file`?",
        ),
        ("p.price", "U0601", "there is no `p`: names have no table before a dot", "p.price", "write price"),
        ("price * uper(sku)", "U0603", "there is no function `uper`", "uper", "did you mean `upper`?"),
        (
            "sku + price",
            "U0605",
            "`+` does not take a string and a decimal(12,2)",
            "sku + price",
            "cast(… as decimal(12,2))",
        ),
        ("1 + (sku > 5)", "U0605", "`>` does not take a string and an int64", "sku > 5", "cast(… as int64)"),
        ("sold and price", "U0605", "`and` takes conditions, and this is a decimal(12,2)", "price", "price > 0"),
    ]);
}

#[test]
fn wrong_calls_and_wrong_forms_are_told_with_what_can_be_written() {
    fails(&[
        ("upper(sku, 1)", "U0606", "`upper` does not take a string and an int64", "upper", "write upper(text)"),
        (
            "date_trunc('month', sku)",
            "U0606",
            "`date_trunc` does not take a string and a string",
            "date_trunc",
            "cast(… as date)",
        ),
        (
            "repeat(sku, count)",
            "U0606",
            "`repeat` needs a length of at most 10000 that stands in the expression",
            "repeat",
            "write repeat(text, count)",
        ),
        (
            "regexp_like(sku, '(')",
            "U0606",
            "`regexp_like` does not take '(' here",
            "regexp_like",
            "regexp_like(text, pattern[, flags])",
        ),
        ("date_trunc('mont', day)", "U0606", "`date_trunc` does not take 'mont' here", "date_trunc", "month"),
        ("extract(mont from day)", "U0606", "`date_part` does not take 'mont' here", "day", "date_part('year', time)"),
        ("to_char(day, '%Q')", "U0606", "`to_char` does not take '%Q' here", "to_char", ""),
        ("to_date(sku, '%Q')", "U0606", "`to_date` does not take '%Q' here", "to_date", ""),
        ("day > '31.01.2024'", "U0605", "this text is not a date", "'31.01.2024'", "'2024-12-31'"),
        (
            "sum(price)",
            "U0608",
            "`sum` works on many rows, and a step sees one row at a time",
            "sum",
            "where the rows arrive",
        ),
        (
            "(select 1)",
            "U0608",
            "aggregates, windows and subqueries work on many rows, and a step sees one row at a time",
            "select 1",
            "",
        ),
        (
            "upper(sku) over ()",
            "U0608",
            "aggregates, windows and subqueries work on many rows, and a step sees one row at a time",
            "upper",
            "",
        ),
        ("cast(at as int64)", "U0614", "a timestamp cannot be cast to int64", "at", "string first"),
        (
            "cast(price as money)",
            "U0614",
            "`money` is not a column type; there are int32, int64, float64, decimal(p,s), bool, date, timestamp, string",
            "price",
            "decimal(12,2)",
        ),
        ("1 / 0", "U0610", "this fails whatever the row: division by zero", "1 / 0", ""),
        ("price ~ 'a'", "U0609", "the operator `~` is not taken in expressions", "price ~ 'a'", ""),
        ("interval '1 day'", "U0605", "the result is an interval, which no column can hold", "'1 day'", ""),
        ("price >\n  'x' ||", "U0602", "the expression ends where an expression is expected", "", ""),
    ]);
}

#[test]
fn what_differs_each_time_is_refused_with_the_reason() {
    for (text, name) in [
        ("now()", "now"),
        ("random() > 0.5", "random"),
        ("uuid()", "uuid"),
        ("current_date", "current_date"),
        ("current_timestamp", "current_timestamp"),
    ] {
        let why =
            format!("`{name}` gives another result each time, and rows that are read again must come out the same");
        fails(&[(text, "U0604", &why, name, "meta.source_time")]);
    }
}

#[test]
fn a_condition_is_a_bool() {
    let compile = |text: &str| Parsed::new(&Sql(text.into())).unwrap().compile_condition(&one_row().schema);
    let fault = compile("price").err().unwrap();
    assert_eq!(
        (fault.code, fault.message.as_str()),
        ("U0607", "a condition must be a bool, and this is a decimal(12,2)")
    );
    assert!(compile("price > 1").is_ok() && compile("null").is_ok());
}

/// The table names nothing that cannot be called, and everything that DataFusion has and that gives the same each time is either in it
/// or left out on purpose.
#[test]
fn the_table_of_functions_is_the_truth() {
    let forms = ["coalesce", "ifnull", "nvl", "nvl2", "nullif", "position", "extract", "mod"];
    let all = datafusion_functions::all_default_functions();
    for function in FUNCTIONS {
        let udf = all.iter().find(|f| f.name() == function.name || f.aliases().iter().any(|a| a == function.name));
        let is_form = forms.contains(&function.name);
        assert!(udf.is_some() || is_form, "{} is not there", function.name);
        if let Some(udf) = udf {
            let volatility = udf.signature().volatility;
            assert_eq!(volatility, datafusion_expr::Volatility::Immutable, "{}", function.name);
        }
        assert_eq!(FUNCTIONS.iter().filter(|f| f.name == function.name).count(), 1, "{}", function.name);
    }
    let left_out: Vec<&str> = all
        .iter()
        .filter(|udf| udf.signature().volatility == datafusion_expr::Volatility::Immutable)
        .filter(|udf| !FUNCTIONS.iter().any(|f| f.name == udf.name() || udf.aliases().iter().any(|a| a == f.name)))
        .map(|udf| udf.name())
        .collect();
    // of Arrow's own types, lists and structs, or of zones; columns have none of these
    let on_purpose = [
        "arrow_cast",
        "arrow_metadata",
        "arrow_typeof",
        "get_field",
        "named_struct",
        "struct",
        "union_extract",
        "union_tag",
        "version",
        "regexp_match",
        "make_time",
        "to_time",
        "to_local_time",
        "to_timestamp_nanos",
        "isnan",
        "iszero",
        "nanvl",
        "cot",
        "overlay",
        "date_bin",
        "sinh",
        "cosh",
        "tanh",
        "asinh",
        "acosh",
        "atanh",
    ];
    let forgotten: Vec<&&str> = left_out.iter().filter(|name| !on_purpose.contains(name)).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}

#[test]
fn only_the_rows_at_fault_are_lost() {
    let zeros = [3, 64, 65, 199];
    let cells: Vec<String> =
        (0..200).map(|row| if zeros.contains(&row) { "0".into() } else { row.to_string() }).collect();
    let rows: Vec<[Option<&str>; 1]> = cells.iter().map(|cell| [Some(cell.as_str())]).collect();
    let rows: Vec<&[Option<&str>]> = rows.iter().map(|row| &row[..]).collect();
    let batch = table("t", "n: int64", &[], &rows);
    let compiled = Parsed::new(&Sql("1000 / n".into())).unwrap().compile(&batch.schema).unwrap();
    let outcome = compiled.evaluate(&Image::new(&batch)).unwrap();
    let failed: Vec<usize> = outcome.troubles.keys().copied().collect();
    // the first cell is row 0, a zero too
    assert_eq!(failed, [0, 3, 64, 65, 199]);
    assert!(outcome.troubles.values().all(|t| *t == Trouble::Failed(Reason::DivisionByZero)));
    let numbers =
        unbatch_api::arrow::array::AsArray::as_primitive::<unbatch_api::arrow::datatypes::Int64Type>(&outcome.values);
    assert_eq!((numbers.value(1), numbers.value(100), numbers.value(198)), (1000, 10, 5));
}
