use super::*;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use unbatch_api::arrow::array::*;
use unbatch_api::arrow::datatypes::Int32Type as I32;

fn written(array: ArrayRef, field: &Field) -> Vec<String> {
    let array = plain(&array).unwrap();
    let column = Column::of(array.as_ref(), field).unwrap_or_else(|| panic!("{} is not supported", array.data_type()));
    let cell = |row| {
        let mut out = Vec::new();
        column.write(row, &mut out);
        String::from_utf8(out).unwrap()
    };
    (0..array.len()).map(cell).collect()
}

fn check(array: impl Array + 'static, expected: &[&str]) {
    let array: ArrayRef = Arc::new(array);
    let field = Field::new("x", array.data_type().clone(), true);
    assert!(is_supported(array.data_type()), "{}", array.data_type());
    assert_eq!(written(array, &field), expected);
}

/// Each cell of the README's table of types.
#[test]
fn each_type_has_its_form() {
    check(NullArray::new(1), &["null"]);
    check(BooleanArray::from(vec![Some(true), Some(false), None]), &["true", "false", "null"]);
    check(Int8Array::from(vec![i8::MIN]), &["-128"]);
    check(Int16Array::from(vec![i16::MIN]), &["-32768"]);
    check(Int32Array::from(vec![Some(i32::MIN), None]), &["-2147483648", "null"]);
    check(Int64Array::from(vec![i64::MIN, i64::MAX]), &["-9223372036854775808", "9223372036854775807"]);
    check(UInt8Array::from(vec![u8::MAX]), &["255"]);
    check(UInt16Array::from(vec![u16::MAX]), &["65535"]);
    check(UInt32Array::from(vec![u32::MAX]), &["4294967295"]);
    check(UInt64Array::from(vec![u64::MAX]), &["18446744073709551615"]);
    check(Float32Array::from(vec![0.1, f32::NAN]), &["0.1", "\"NaN\""]);
    check(
        Float64Array::from(vec![0.1, -0.0, 1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]),
        &["0.1", "-0.0", "1e300", "\"Infinity\"", "\"-Infinity\"", "\"NaN\""],
    );
    let decimals = Decimal128Array::from(vec![0, 5, -5, 1230, -123456]).with_precision_and_scale(12, 2).unwrap();
    check(decimals, &["\"0.00\"", "\"0.05\"", "\"-0.05\"", "\"12.30\"", "\"-1234.56\""]);
    check(Decimal128Array::from(vec![0, 7]).with_precision_and_scale(12, -3).unwrap(), &["\"0\"", "\"7000\""]);
    let wide = Decimal256Array::from(vec![i256::from_i128(-12345)]).with_precision_and_scale(50, 10).unwrap();
    check(wide, &["\"-0.0000012345\""]);
    check(
        StringArray::from(vec![Some("a\"b\\c\n\u{1}é😀"), Some(""), None]),
        &[r#""a\"b\\c\n\u0001é😀""#, "\"\"", "null"],
    );
    check(LargeStringArray::from(vec!["\t\r\u{8}\u{c}"]), &[r#""\t\r\b\f""#]);
    check(StringViewArray::from(vec!["view"]), &["\"view\""]);
    check(
        BinaryArray::from(vec![b"".as_slice(), b"f", b"fo", b"foo", b"\xff\xfe"]),
        &["\"\"", "\"Zg==\"", "\"Zm8=\"", "\"Zm9v\"", "\"//4=\""],
    );
    check(LargeBinaryArray::from(vec![b"foob".as_slice()]), &["\"Zm9vYg==\""]);
    check(BinaryViewArray::from(vec![b"fooba".as_slice()]), &["\"Zm9vYmE=\""]);
    check(FixedSizeBinaryArray::try_from_iter([b"foobar"].into_iter()).unwrap(), &["\"Zm9vYmFy\""]);
}

#[test]
fn dates_and_times_have_their_form() {
    check(Date32Array::from(vec![0, 20_484]), &["\"1970-01-01\"", "\"2026-01-31\""]);
    check(Date64Array::from(vec![-1]), &["\"1969-12-31\""]);
    check(Time32SecondArray::from(vec![47_100]), &["\"13:05:00\""]);
    check(Time32MillisecondArray::from(vec![47_100_250]), &["\"13:05:00.250\""]);
    check(Time64MicrosecondArray::from(vec![47_100_000_001, 47_100_000_000]), &["\"13:05:00.000001\"", "\"13:05:00\""]);
    check(Time64NanosecondArray::from(vec![1]), &["\"00:00:00.000000001\""]);
    check(TimestampSecondArray::from(vec![0]).with_timezone("UTC"), &["\"1970-01-01T00:00:00Z\""]);
    check(TimestampMillisecondArray::from(vec![1]).with_timezone("UTC"), &["\"1970-01-01T00:00:00.001Z\""]);
    check(
        TimestampMicrosecondArray::from(vec![1, 0]).with_timezone("+02:00"),
        &["\"1970-01-01T00:00:00.000001Z\"", "\"1970-01-01T00:00:00Z\""],
    );
    check(TimestampNanosecondArray::from(vec![1]), &["\"1970-01-01T00:00:00.000000001\""]);
}

#[test]
fn nested_columns_and_dictionaries_have_their_form() {
    let items = vec![Some(vec![Some(1), None]), None, Some(vec![])];
    check(ListArray::from_iter_primitive::<I32, _, _>(items), &["[1,null]", "null", "[]"]);
    let fields = vec![Field::new("a \"b\"", DataType::Int32, true)];
    let columns: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![Some(1), None]))];
    check(StructArray::new(fields.into(), columns, None), &[r#"{"a \"b\"":1}"#, r#"{"a \"b\"":null}"#]);
    let words: DictionaryArray<I32> = vec![Some("x"), None, Some("x")].into_iter().collect();
    check(words, &["\"x\"", "null", "\"x\""]);
}

#[test]
fn json_columns_are_json_and_no_other_text_is() {
    let field = |source: &str| {
        let metadata = HashMap::from([(SOURCE_TYPE.to_owned(), source.to_owned())]);
        Field::new("j", DataType::Utf8, true).with_metadata(metadata)
    };
    let array = || Arc::new(StringArray::from(vec![r#"{"a": [1, 2.50]}"#, "not json"])) as ArrayRef;
    assert_eq!(written(array(), &field("jsonb")), [r#"{"a": [1, 2.50]}"#, "\"not json\""]);
    assert_eq!(written(array(), &field("text"))[0], r#""{\"a\": [1, 2.50]}""#);
}

#[test]
fn types_without_a_form_are_known_before_the_first_row() {
    for data_type in
        [DataType::Duration(TimeUnit::Second), DataType::List(Arc::new(Field::new("i", DataType::Float16, true)))]
    {
        assert!(!is_supported(&data_type), "{data_type}");
        let array = new_null_array(&data_type, 1);
        assert!(Column::of(array.as_ref(), &Field::new("x", data_type, true)).is_none());
    }
}

fn parsed(array: ArrayRef) -> Vec<serde_json::Value> {
    let field = Field::new("x", array.data_type().clone(), true);
    written(array, &field).iter().map(|cell| serde_json::from_str(cell).unwrap()).collect()
}

proptest! {
    #[test]
    fn text_reads_back_as_it_was(text in any::<String>()) {
        prop_assert_eq!(&parsed(Arc::new(StringArray::from(vec![text.as_str()])))[0], &serde_json::json!(text));
    }

    #[test]
    fn whole_numbers_read_back_exactly(a in any::<i64>(), b in any::<u64>()) {
        prop_assert_eq!(parsed(Arc::new(Int64Array::from(vec![a])))[0].as_i64(), Some(a));
        prop_assert_eq!(parsed(Arc::new(UInt64Array::from(vec![b])))[0].as_u64(), Some(b));
    }

    #[test]
    fn floats_read_back_to_the_same_bits(bits in any::<u64>(), small in any::<u32>()) {
        let value = f64::from_bits(bits);
        if value.is_finite() {
            let text = written(Arc::new(Float64Array::from(vec![value])), &Field::new("x", DataType::Float64, true));
            prop_assert_eq!(text[0].parse::<f64>().unwrap().to_bits(), bits);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text[0]).is_ok());
        }
        let value = f32::from_bits(small);
        if value.is_finite() {
            let text = written(Arc::new(Float32Array::from(vec![value])), &Field::new("x", DataType::Float32, true));
            prop_assert_eq!(text[0].parse::<f32>().unwrap().to_bits(), small);
        }
    }

    #[test]
    fn decimals_keep_value_and_scale(value in -99_999_999_999_999_999_999_i128..99_999_999_999_999_999_999, scale in 0_i8..20) {
        let array = Decimal128Array::from(vec![value]).with_precision_and_scale(38, scale).unwrap();
        let expected = array.value_as_string(0);
        prop_assert_eq!(&parsed(Arc::new(array))[0], &serde_json::json!(expected));
    }

    #[test]
    fn bytes_read_back_as_they_were(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let cell = parsed(Arc::new(BinaryArray::from(vec![bytes.as_slice()])));
        let text = cell[0].as_str().unwrap();
        prop_assert_eq!(unbase64(text), bytes);
    }
}

/// The other direction, written from RFC 4648 and not from the code above.
fn unbase64(text: &str) -> Vec<u8> {
    let digit = |c: char| match c {
        'A'..='Z' => c as u32 - 'A' as u32,
        'a'..='z' => c as u32 - 'a' as u32 + 26,
        '0'..='9' => c as u32 - '0' as u32 + 52,
        '+' => 62,
        '/' => 63,
        _ => panic!("{c} is not base64"),
    };
    let mut bits = String::new();
    for c in text.trim_end_matches('=').chars() {
        bits.push_str(&format!("{:06b}", digit(c)));
    }
    let whole = bits.len() / 8;
    (0..whole).map(|i| u8::from_str_radix(&bits[8 * i..8 * i + 8], 2).unwrap()).collect()
}
