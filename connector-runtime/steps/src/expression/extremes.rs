//! Every function and operator at the edges of its types: a row may be refused, but nothing may panic, and nothing may wrap around
//! (arithmetic is checked in test builds, also in the libraries).

use super::functions::FUNCTIONS;
use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use unbatch_api::arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use unbatch_api::arrow::datatypes::Schema;
use unbatch_api::testkit::table;
use unbatch_api::{Batch, Ops};

/// A use of each function; `i` int64, `n` int32, `d` decimal(38,0), `e` decimal(38,38), `f` float64, `t` text, `y` date, `z` timestamp.
const CALLS: &[&str] = &[
    "coalesce(i, n)",
    "ifnull(d, 1)",
    "nvl(f, i)",
    "nvl2(t, i, n)",
    "nullif(i, n)",
    "greatest(i, d)",
    "least(y, z)",
    "upper(t)",
    "lower(t)",
    "initcap(t)",
    "trim(t)",
    "btrim(t, 'a')",
    "ltrim(t, t)",
    "rtrim(t)",
    "length(t)",
    "char_length(t)",
    "octet_length(t)",
    "bit_length(t)",
    "substr(t, i)",
    "substr(t, i, i)",
    "substr(t, i, 2)",
    "left(t, i)",
    "right(t, i)",
    "lpad(t, 20, t)",
    "rpad(t, 20)",
    "replace(t, t, 'x')",
    "replace(t, '', 'x')",
    "translate(t, t, 'xyz')",
    "reverse(t)",
    "repeat(t, 2)",
    "concat(t, i, d, f, y, z)",
    "concat_ws(t, t, t)",
    "split_part(t, 'a', i)",
    "split_part(t, t, i)",
    "strpos(t, t)",
    "position('a' in t)",
    "starts_with(t, t)",
    "ends_with(t, t)",
    "contains(t, t)",
    "find_in_set(t, t)",
    "substr_index(t, 'a', i)",
    "levenshtein(left(t, 30), 'abc')",
    "ascii(t)",
    "chr(i)",
    "to_hex(i)",
    "regexp_like(t, 'a+')",
    "regexp_replace(t, '(a)', '[\\1]', 'g')",
    "regexp_count(t, 'a')",
    "regexp_count(t, 'a', i)",
    "regexp_instr(t, 'a')",
    "abs(i)",
    "abs(n)",
    "abs(d)",
    "abs(f)",
    "signum(i)",
    "signum(e)",
    "round(i)",
    "round(d, 2)",
    "round(d, -2)",
    "round(e, 3)",
    "round(f, 2)",
    "trunc(i)",
    "trunc(d, 1)",
    "trunc(e, 1)",
    "trunc(f, 3)",
    "ceil(i)",
    "ceil(d)",
    "ceil(e)",
    "ceil(f)",
    "floor(d)",
    "floor(e)",
    "floor(n)",
    "mod(i, n)",
    "mod(d, e)",
    "mod(f, f)",
    "power(i, n)",
    "power(d, n)",
    "power(f, f)",
    "sqrt(i)",
    "sqrt(d)",
    "cbrt(f)",
    "exp(i)",
    "ln(i)",
    "log(i)",
    "log(n, d)",
    "log2(f)",
    "log10(e)",
    "gcd(i, i)",
    "gcd(i, n)",
    "lcm(i, n)",
    "factorial(i)",
    "pi()",
    "degrees(f)",
    "radians(f)",
    "sin(f)",
    "cos(i)",
    "tan(d)",
    "asin(f)",
    "acos(f)",
    "atan(f)",
    "atan2(f, i)",
    "extract(year from y)",
    "extract(week from z)",
    "extract(epoch from z)",
    "extract(doy from y)",
    "extract(microsecond from z)",
    "extract(dow from y)",
    "extract(quarter from z)",
    "date_part('epoch', y)",
    "date_trunc('year', y)",
    "date_trunc('year', z)",
    "date_trunc('week', y)",
    "date_trunc('month', z)",
    "date_trunc('week', z)",
    "date_trunc('hour', z)",
    "date_trunc('quarter', y)",
    "make_date(n, 1, 1)",
    "make_date(2024, n, n)",
    "make_date(i, i, i)",
    "to_date(t)",
    "to_date(t, '%Y-%m-%d')",
    "to_date(i)",
    "to_timestamp(t)",
    "to_timestamp(t, '%Y-%m-%d')",
    "to_timestamp(i)",
    "to_timestamp(f)",
    "to_timestamp_seconds(i)",
    "to_timestamp_millis(i)",
    "to_timestamp_micros(i)",
    "from_unixtime(i)",
    "to_unixtime(z)",
    "to_unixtime(y)",
    "to_unixtime(t)",
    "to_char(y, '%d.%m.%Y')",
    "to_char(z, '%c')",
    "i + i",
    "i - i - i",
    "i * n",
    "i / n",
    "i % n",
    "d + d",
    "d - e",
    "d * d",
    "d / d",
    "d / e",
    "d % e",
    "i / e",
    "e * i",
    "f * f",
    "f / f",
    "f % f",
    "-i",
    "-d",
    "-n",
    "y + i",
    "y - n",
    "y - y",
    "y + interval '1 month'",
    "z - interval '3 years'",
    "z + interval '1 second'",
    "y = z",
    "y < z",
    "i = d",
    "cast(i as int32)",
    "cast(d as int64)",
    "cast(f as int64)",
    "cast(f as decimal(38,10))",
    "cast(i as decimal(5,2))",
    "cast(d as float64)",
    "cast(d as decimal(38,2))",
    "cast(e as decimal(3,1))",
    "cast(t as decimal(38,2))",
    "cast(t as timestamp)",
    "cast(t as date)",
    "cast(y as timestamp)",
    "cast(z as date)",
    "cast(z as string)",
    "cast(y as string)",
    "cast(f as string)",
    "cast(t as float64)",
    "cast(i as bool)",
    "t like '%a_'",
    "t || t",
    "i between n and d",
    "i in (1, 2, n)",
    "case when i > 0 then d else i end",
];

fn rows() -> Batch {
    let far = 38;
    let nines: i128 = 10_i128.pow(far) - 1;
    let long = "aä😀'\\%_".repeat(50);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i", Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), Some(0), Some(-1), Some(20), None]))),
        ("n", Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(i32::MAX), Some(0), Some(-1), Some(31), None]))),
        ("d", Arc::new(decimals(&[nines, -nines, 0, 1, -1], 0))),
        ("e", Arc::new(decimals(&[nines, -nines, 0, 1, -1], 38))),
        (
            "f",
            Arc::new(Float64Array::from(vec![
                Some(f64::MAX),
                Some(f64::MIN),
                Some(0.0),
                Some(f64::MIN_POSITIVE),
                Some(-0.5),
                None,
            ])),
        ),
        (
            "t",
            Arc::new(StringArray::from(vec![
                Some(""),
                Some(&long),
                Some("9999-12-31"),
                Some("-1"),
                Some("ä😀a"),
                None,
            ])),
        ),
        (
            "y",
            Arc::new(Date32Array::from(vec![
                Some(i32::MIN),
                Some(i32::MAX),
                Some(2_932_896),
                Some(-719_162),
                Some(0),
                None,
            ])),
        ),
        (
            "z",
            Arc::new(
                TimestampMicrosecondArray::from(vec![
                    Some(i64::MIN),
                    Some(i64::MAX),
                    Some(253_402_300_799_999_999),
                    Some(-62_135_596_800_000_000),
                    Some(-1),
                    None,
                ])
                .with_timezone("UTC"),
            ),
        ),
    ];
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, values)| ColumnType::from_arrow(values.data_type()).unwrap().field(name, true))
        .collect();
    let schema = Arc::new(StreamSchema::new(Arc::new(Schema::new(fields)), Vec::new()));
    let arrays = columns.into_iter().map(|(_, values)| values).collect();
    let base = table("extremes", "x: int64", &[], &[&[None][..]; 6]);
    Batch { rows: RecordBatch::try_new(schema.fields().clone(), arrays).unwrap(), schema, ops: Ops::Append, ..base }
}

fn decimals(values: &[i128], scale: i8) -> Decimal128Array {
    let values = values.iter().copied().map(Some).chain([None]);
    Decimal128Array::from_iter(values).with_precision_and_scale(38, scale).unwrap()
}

#[test]
fn nothing_panics_at_the_edges() {
    let batch = rows();
    let mut wrong = Vec::new();
    for text in CALLS {
        let compiled = match Parsed::new(&Sql((*text).to_owned())).and_then(|parsed| parsed.compile(&batch.schema)) {
            Ok(compiled) => compiled,
            Err(fault) => {
                wrong.push(format!("{text}: {}", fault.message));
                continue;
            }
        };
        for row in 0..batch.rows.num_rows() {
            let mut one = batch.clone();
            one.retain(&(0..6).map(|at| Some(at == row)).collect()).unwrap();
            let found = catch_unwind(AssertUnwindSafe(|| compiled.evaluate(&Image::new(&one)).unwrap().values.len()));
            if found.is_err() {
                wrong.push(format!("{text} panics in row {row}"));
            }
        }
    }
    let uncalled = FUNCTIONS.iter().filter(|f| {
        let called = |text: &&str| text.contains(&format!("{}(", f.name));
        !CALLS.iter().any(called)
    });
    wrong.extend(uncalled.map(|f| format!("{} is not called", f.name)));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
