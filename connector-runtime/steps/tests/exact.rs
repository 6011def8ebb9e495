//! Decimal arithmetic against whole numbers: the same by another way, digit for digit.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench;

use proptest::prelude::*;
use serde_json::json;
use unbatch_steps::Derive;

/// A decimal as it is written.
fn written(value: i128, scale: u32) -> String {
    let (sign, digits) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
    match scale {
        0 => format!("{sign}{digits}"),
        _ => {
            let unit = 10_u128.pow(scale);
            format!("{sign}{}.{:0width$}", digits / unit, digits % unit, width = scale as usize)
        }
    }
}

/// `left / right` rounded half away from zero.
fn rounded(left: i128, right: i128) -> i128 {
    let (l, r) = (left.unsigned_abs(), right.unsigned_abs());
    let whole = ((2 * l + r) / (2 * r)) as i128;
    if (left < 0) == (right < 0) { whole } else { -whole }
}

fn derived(left: &str, right: &str, types: (u32, u32), expression: &str) -> Result<String, String> {
    let columns = format!("a: decimal(12,{}), b: decimal(12,{})", types.0, types.1);
    let batch = bench::table(&columns, &[], &[&format!("{left} {right}")]);
    let batch = bench::apply::<Derive>(json!({"c": expression}), batch);
    match batch.rejected.first() {
        Some(refused) => Err(refused.code.to_string()),
        None => Ok(bench::rows(&batch)[0].rsplit_once("c=").unwrap().1.to_owned()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn sums_products_quotients_and_rests_are_exact(
        a in -999_999_999_999_i128..=999_999_999_999,
        b in -999_999_999_999_i128..=999_999_999_999,
        s in 0_u32..7,
        t in 0_u32..7,
    ) {
        let (left, right) = (written(a, s), written(b, t));
        let found = |expression: &str| derived(&left, &right, (s, t), expression);
        let m = s.max(t);
        let (x, y) = (a * 10_i128.pow(m - s), b * 10_i128.pow(m - t));
        prop_assert_eq!(found("a + b"), Ok(written(x + y, m)));
        prop_assert_eq!(found("a - b"), Ok(written(x - y, m)));
        prop_assert_eq!(found("a * b"), Ok(written(a * b, s + t)));
        prop_assert_eq!(found("a < b"), Ok((x < y).to_string()));
        let digits = (s + 4).max(6).max(t);
        if b == 0 {
            prop_assert_eq!(found("a / b"), Err("division_by_zero".to_owned()));
        } else {
            prop_assert_eq!(found("a / b"), Ok(written(rounded(a * 10_i128.pow(digits - s + t), b), digits)));
            prop_assert_eq!(found("a % b"), Ok(written(x % y, m)));
        }
        prop_assert_eq!(found("round(a, 1)"), Ok(written(if s > 1 { rounded(a, 10_i128.pow(s - 1)) } else { a }, s.min(1))));
        prop_assert_eq!(found("trunc(a)"), Ok(written(a / 10_i128.pow(s), 0)));
        prop_assert_eq!(found("cast(a as int64)"), Ok(rounded(a, 10_i128.pow(s)).to_string()));
        prop_assert_eq!(found("cast(cast(a as string) as decimal(12,0)) = cast(a as decimal(12,0))"), Ok("true".to_owned()));
    }
}
