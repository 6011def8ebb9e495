//! Numbers as people and old programs write them, brought into the plain notation that `number` reads. Exact or not at all.

use crate::config::{Column, DecimalMark, Negative, Thousands};
use unbatch_api::ColumnType;

/// Longest number, with its marks.
const BYTES_MAX: usize = 96;

/// How the numbers of one column are written, when it is not the plain way.
#[derive(Clone, Debug)]
pub struct Written {
    thousands: Option<Thousands>,
    negative: Negative,
    mark: DecimalMark,
    /// Digits of the fraction when no mark stands before it.
    implied: Option<usize>,
    is_whole: bool,
}

/// Room for one number in plain notation.
pub struct Plain {
    bytes: [u8; BYTES_MAX + 2],
    len: usize,
}

impl Default for Plain {
    fn default() -> Self {
        Plain { bytes: [0; BYTES_MAX + 2], len: 0 }
    }
}

impl Plain {
    #[inline]
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }
}

impl Written {
    /// `None`: the plain way, with at most another decimal mark.
    pub fn of(column: &Column) -> Option<Self> {
        let scale = match column.column_type {
            ColumnType::Decimal { scale, .. } => Some(usize::from(scale.unsigned_abs())),
            ColumnType::Int32 | ColumnType::Int64 => Some(0),
            ColumnType::Float64 => None,
            _ => return None,
        };
        let implied = scale.filter(|scale| column.decimal_mark == DecimalMark::Implied && *scale > 0);
        let is_plain = column.thousands.is_none() && column.negative == Negative::Leading && implied.is_none();
        (!is_plain).then_some(Written {
            thousands: column.thousands,
            negative: column.negative,
            mark: column.decimal_mark,
            implied,
            is_whole: scale == Some(0) && !matches!(column.column_type, ColumnType::Decimal { .. }),
        })
    }

    /// The number with a sign in front, a point before its fraction and no other marks.
    pub fn plain<'a>(&self, text: &[u8], into: &'a mut Plain) -> Option<&'a [u8]> {
        if text.len() > BYTES_MAX {
            return None;
        }
        into.len = 0;
        let (is_negative, digits) = self.sign(text)?;
        if is_negative {
            into.push(b'-');
        }
        let mark = match self.mark {
            _ if self.is_whole || self.implied.is_some() => None,
            DecimalMark::Comma => Some(b','),
            DecimalMark::Point | DecimalMark::Implied => Some(b'.'),
        };
        let at = mark.and_then(|mark| memchr::memchr(mark, digits)).unwrap_or(digits.len());
        let (whole, fraction) = digits.split_at(at);
        self.whole(whole, into)?;
        if let [_, fraction @ ..] = fraction {
            // an exponent is for `number` to judge, a mark between thousands is not
            into.push(b'.');
            fraction.iter().for_each(|byte| into.push(*byte));
            if self.thousands.is_some_and(|mark| fraction.iter().any(|byte| mark.bytes().contains(byte))) {
                return None;
            }
        }
        Some(&into.bytes[..into.len])
    }

    fn sign<'a>(&self, text: &'a [u8]) -> Option<(bool, &'a [u8])> {
        let (is_negative, rest) = match (self.negative, text) {
            (Negative::Trailing, [rest @ .., b'-']) | (Negative::Parentheses, [b'(', rest @ .., b')']) => (true, rest),
            (Negative::Trailing, [rest @ .., b'+']) => (false, rest),
            (_, [b'-', rest @ ..]) => return Some((true, rest)),
            (_, [b'+', rest @ ..]) => return Some((false, rest)),
            _ => return Some((false, text)),
        };
        // one sign is enough
        (!matches!(rest, [b'-' | b'+', ..])).then_some((is_negative, rest))
    }

    fn whole(&self, text: &[u8], into: &mut Plain) -> Option<()> {
        if let Some(scale) = self.implied {
            return implied(text, scale, into);
        }
        let Some(thousands) = self.thousands else {
            text.iter().for_each(|byte| into.push(*byte));
            return Some(());
        };
        // digits since the last mark; `None` before the first one
        let (mut group, mut seen) = (None, 0);
        let mut rest = text;
        while let [byte, after @ ..] = rest {
            if let Some(len) = thousands.stands(rest) {
                let is_group = match group {
                    None => (1..=3).contains(&seen),
                    Some(()) => seen == 3,
                };
                if !is_group {
                    return None;
                }
                (group, seen, rest) = (Some(()), 0, &rest[len..]);
                continue;
            }
            into.push(*byte);
            (seen, rest) = (seen + 1, after);
        }
        (group.is_none() || seen == 3).then_some(())
    }
}

/// Puts a point before the last `scale` digits, with zeros in front where there are fewer.
fn implied(digits: &[u8], scale: usize, into: &mut Plain) -> Option<()> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let at = digits.len().saturating_sub(scale);
    digits[..at].iter().for_each(|byte| into.push(*byte));
    into.push(b'.');
    (digits.len()..scale).for_each(|_| into.push(b'0'));
    digits[at..].iter().for_each(|byte| into.push(*byte));
    Some(())
}

impl Thousands {
    /// The bytes that the mark is made of.
    fn bytes(self) -> &'static [u8] {
        match self {
            Thousands::Point => b".",
            Thousands::Comma => b",",
            Thousands::Space => b" \xc2\xa0\xe2\x80\xaf",
            Thousands::Apostrophe => b"'\xe2\x80\x99",
        }
    }

    /// How long the mark is that `text` begins with.
    #[inline]
    fn stands(self, text: &[u8]) -> Option<usize> {
        let is_long = |long: &[u8]| text.starts_with(long).then_some(long.len());
        match (self, text.first()?) {
            (Thousands::Point, b'.') | (Thousands::Comma, b',') => Some(1),
            (Thousands::Space, b' ') | (Thousands::Apostrophe, b'\'') => Some(1),
            (Thousands::Space, 0xc2) => is_long("\u{a0}".as_bytes()),
            (Thousands::Space, 0xe2) => is_long("\u{202f}".as_bytes()),
            (Thousands::Apostrophe, 0xe2) => is_long("\u{2019}".as_bytes()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::number::decimal;
    use proptest::prelude::*;

    fn written(json: &str) -> Written {
        let text = format!(r#"{{"name": "v", "type": "decimal(12,2)"{json}}}"#);
        Written::of(&serde_json::from_str(&text).unwrap()).unwrap()
    }
    fn read(written: &Written, text: &str) -> Option<i128> {
        let mut room = Plain::default();
        decimal(written.plain(text.as_bytes(), &mut room)?, 12, 2, b'.')
    }

    #[test]
    fn thousands_stand_between_groups_of_three_and_nowhere_else() {
        let german = written(r#", "thousands": ".", "decimal_mark": ",""#);
        for (text, units) in
            [("1.234.567,89", 123_456_789), ("1234567,89", 123_456_789), ("-1.000", -100_000), ("0,5", 50)]
        {
            assert_eq!(read(&german, text), Some(units), "{text}");
        }
        for bad in ["1.23", "1234.567", ".123", "1..234", "1.234.", "1,2.345", "1.234,5.6", "1.2345", "1,234.567", ""] {
            assert_eq!(read(&german, bad), None, "{bad}");
        }
        let french = written(r#", "thousands": " ", "decimal_mark": ",""#);
        for text in ["1 234,5", "1\u{a0}234,5", "1\u{202f}234,50", "1234,5"] {
            assert_eq!(read(&french, text), Some(123_450), "{text:?}");
        }
        assert_eq!(read(&french, "1 234 ,5"), None);
        let swiss = written(r#", "thousands": "'""#);
        for text in ["1'234.5", "1’234.5"] {
            assert_eq!(read(&swiss, text), Some(123_450), "{text}");
        }
        assert_eq!(read(&written(r#", "thousands": ",""#), "12,345.60"), Some(1_234_560));
    }

    #[test]
    fn signs_stand_where_they_are_declared() {
        let sap = written(r#", "negative": "trailing""#);
        for (text, units) in [("12.34-", -1234), ("12.34+", 1234), ("12.34", 1234), ("-12.34", -1234)] {
            assert_eq!(read(&sap, text), Some(units), "{text}");
        }
        let accountant = written(r#", "negative": "parentheses", "thousands": ",""#);
        assert_eq!(read(&accountant, "(1,234.50)"), Some(-123_450));
        for bad in ["-12.34-", "12.34--", "-", "(1)"] {
            assert_eq!(read(&sap, bad), None, "{bad}");
        }
        for bad in ["(1", "1)", "()", "(-1)", "((1))", "1-"] {
            assert_eq!(read(&accountant, bad), None, "{bad}");
        }
    }

    #[test]
    fn an_implied_fraction_is_the_last_digits() {
        let cobol = written(r#", "decimal_mark": "none", "negative": "trailing""#);
        for (text, units) in [("000012345", 12_345), ("5", 5), ("1-", -1), ("-100", -100)] {
            assert_eq!(read(&cobol, text), Some(units), "{text}");
        }
        for bad in ["1.5", "", "1 2", "-"] {
            assert_eq!(read(&cobol, bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_written_plainly_needs_nothing() {
        let plain = r#"{"name": "v", "type": "decimal(12,2)", "decimal_mark": ","}"#;
        assert!(Written::of(&serde_json::from_str(plain).unwrap()).is_none());
        let text = r#"{"name": "v", "type": "string"}"#;
        assert!(Written::of(&serde_json::from_str(text).unwrap()).is_none());
    }

    proptest! {
        #[test]
        fn every_number_comes_back_with_its_marks(n in -9_999_999_999i128..9_999_999_999) {
            let whole = (n.unsigned_abs() / 100).to_string();
            let mut grouped = String::new();
            for (i, digit) in whole.chars().enumerate() {
                if i > 0 && (whole.len() - i).is_multiple_of(3) {
                    grouped.push('.');
                }
                grouped.push(digit);
            }
            let text = format!("{grouped},{:02}{}", n.unsigned_abs() % 100, if n < 0 { "-" } else { "" });
            let german = written(r#", "thousands": ".", "decimal_mark": ",", "negative": "trailing""#);
            prop_assert_eq!(read(&german, &text), Some(n));
        }
    }
}
