//! Numbers and truth values, exact or not at all. Nothing is trimmed, rounded or guessed.

/// A whole number with an optional sign.
#[inline]
pub fn int(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    if digits.is_empty() {
        return None;
    }
    if digits.len() > 18 {
        return long_int(negative, digits);
    }
    let mut n = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        n = n * 10 + i64::from(digit);
    }
    Some(if negative { -n } else { n })
}

#[cold]
fn long_int(negative: bool, digits: &[u8]) -> Option<i64> {
    let n = digits.iter().try_fold(0i128, |n, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9 && n <= i128::from(u64::MAX)).then(|| n * 10 + i128::from(digit))
    })?;
    i64::try_from(if negative { -n } else { n }).ok()
}

/// A decimal as the whole number of its smallest units. More fraction digits than `scale` or more digits than `precision`
/// allow are an error, never rounded.
#[inline]
pub fn decimal(text: &[u8], precision: u8, scale: i8, mark: u8) -> Option<i128> {
    let (negative, digits) = sign(text);
    let scale = usize::from(scale.unsigned_abs());
    let mut units = Units::default();
    let mut fraction = None;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            units.push(digit)?;
        } else if *byte == mark && fraction.is_none() {
            fraction = Some(units.digits);
        } else {
            return None;
        }
    }
    let after_mark = fraction.map_or(0, |whole| units.digits - whole);
    if units.digits == 0 || after_mark > scale {
        return None;
    }
    for _ in after_mark..scale {
        units.push(0)?;
    }
    let n = units.value();
    (n.unsigned_abs() < 10u128.pow(u32::from(precision))).then_some(if negative { -n } else { n })
}

/// Digits gathered in 64 bits as long as they fit, since almost all do.
#[derive(Default)]
struct Units {
    digits: usize,
    low: u64,
    high: Option<i128>,
}

impl Units {
    #[inline]
    fn push(&mut self, digit: u8) -> Option<()> {
        self.digits += 1;
        match &mut self.high {
            None if self.digits <= 18 => self.low = self.low * 10 + u64::from(digit),
            None => self.high = Some(i128::from(self.low) * 10 + i128::from(digit)),
            Some(n) => *n = n.checked_mul(10)?.checked_add(i128::from(digit))?,
        }
        Some(())
    }
    #[inline]
    fn value(&self) -> i128 {
        self.high.unwrap_or(i128::from(self.low))
    }
}

/// A binary float, the nearest to what is written. A number too large for the type is an error, not infinity.
pub fn float(text: &[u8], mark: u8) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let parsed: f64 = if mark == b'.' {
        text.parse().ok()?
    } else {
        if text.contains('.') {
            return None;
        }
        text.replace(char::from(mark), ".").parse().ok()?
    };
    let says_infinity = text.bytes().any(|b| b.eq_ignore_ascii_case(&b'i'));
    (!parsed.is_infinite() || says_infinity).then_some(parsed)
}

/// true, t, yes, y, 1 and their opposites, in any case.
#[inline]
pub fn truth(text: &[u8]) -> Option<bool> {
    let is = |word: &[u8]| text.eq_ignore_ascii_case(word);
    match text {
        [b't' | b'T' | b'y' | b'Y' | b'1'] => Some(true),
        [b'f' | b'F' | b'n' | b'N' | b'0'] => Some(false),
        [_, _] => is(b"no").then_some(false),
        [_, _, _] => is(b"yes").then_some(true),
        [_, _, _, _] => is(b"true").then_some(true),
        [_, _, _, _, _] => is(b"false").then_some(false),
        _ => None,
    }
}

#[inline]
fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_numbers() {
        let good = [("0", 0), ("-7", -7), ("+7", 7), ("007", 7), ("00000000000000000000012", 12)];
        for (text, n) in good {
            assert_eq!(int(text.as_bytes()), Some(n), "{text}");
        }
        for bad in ["", "-", "1.0", " 1", "1 ", "1e3", "0x1", "9223372036854775808", "99999999999999999999999999"] {
            assert_eq!(int(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(int(b"-9223372036854775808"), Some(i64::MIN));
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        let good =
            [("12.34", 1234), ("-0.01", -1), ("5", 500), (".5", 50), ("5.", 500), ("+1.1", 110), ("0012.30", 1230)];
        for (text, n) in good {
            assert_eq!(decimal(text.as_bytes(), 6, 2, b'.'), Some(n), "{text}");
        }
        for bad in ["", ".", "-", "1.234", "1.2.3", "12345.00", "1e2", "1,2", "1_0", "NaN"] {
            assert_eq!(decimal(bad.as_bytes(), 6, 2, b'.'), None, "{bad}");
        }
        assert_eq!(decimal(b"1,5", 6, 2, b','), Some(150));
        let most = "9".repeat(38);
        assert_eq!(decimal(most.as_bytes(), 38, 0, b'.'), most.parse().ok());
        assert_eq!(decimal("9".repeat(39).as_bytes(), 38, 0, b'.'), None);
        assert_eq!(decimal("9".repeat(400).as_bytes(), 38, 0, b'.'), None);
    }

    #[test]
    fn floats_and_truth() {
        assert_eq!(float(b"1.5e3", b'.'), Some(1500.0));
        assert_eq!(float(b"1,5", b','), Some(1.5));
        assert_eq!(float(b"-inf", b'.'), Some(f64::NEG_INFINITY));
        assert!(float(b"NaN", b'.').is_some_and(f64::is_nan));
        for bad in [&b"1e999"[..], b"", b" 1", b"1,5", b"\xff"] {
            assert_eq!(float(bad, b'.'), None);
        }
        assert_eq!((truth(b"YES"), truth(b"f"), truth(b"1"), truth(b"")), (Some(true), Some(false), Some(true), None));
    }

    proptest! {
        #[test]
        fn every_whole_number_comes_back(n in any::<i64>()) {
            prop_assert_eq!(int(n.to_string().as_bytes()), Some(n));
        }
        #[test]
        fn every_decimal_comes_back(n in -99_999_999_999_999_999_999i128..99_999_999_999_999_999_999) {
            let (whole, part) = (n.unsigned_abs() / 10_000, n.unsigned_abs() % 10_000);
            let text = format!("{}{whole}.{part:04}", if n < 0 { "-" } else { "" });
            prop_assert_eq!(decimal(text.as_bytes(), 38, 4, b'.'), Some(n));
        }
    }
}
