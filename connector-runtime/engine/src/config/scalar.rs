//! What a scalar means: YAML 1.2's core schema and nothing more, so that `yes`, `on` and `2024-01-01` are text.

/// A scalar as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    pub text: String,
    /// Without quotes, and not a block (`|`, `>`): only then can it be a number, a boolean or nothing.
    pub is_plain: bool,
}

/// What a scalar means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meaning<'a> {
    Nothing,
    Boolean(bool),
    Integer(i128),
    Float(f64),
    Text(&'a str),
}

impl Scalar {
    /// Resolves by the core schema (YAML 1.2.2, section 10.3.2).
    pub fn meaning(&self) -> Meaning<'_> {
        if !self.is_plain {
            return Meaning::Text(&self.text);
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Nothing,
            "true" | "True" | "TRUE" => Meaning::Boolean(true),
            "false" | "False" | "FALSE" => Meaning::Boolean(false),
            text => number(text).unwrap_or(Meaning::Text(text)),
        }
    }
}

impl Meaning<'_> {
    /// For messages: `must be text, but is a number`.
    pub fn word(&self) -> &'static str {
        match self {
            Meaning::Nothing => "empty",
            Meaning::Boolean(_) => "true or false",
            Meaning::Integer(_) | Meaning::Float(_) => "a number",
            Meaning::Text(_) => "text",
        }
    }
}

fn number(text: &str) -> Option<Meaning<'static>> {
    if let Some(digits) = text.strip_prefix("0x") {
        return i128::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with(['-', '+'])).map(Meaning::Integer);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return i128::from_str_radix(digits, 8).ok().filter(|_| !digits.starts_with(['-', '+'])).map(Meaning::Integer);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" if text.starts_with('-') => return Some(Meaning::Float(f64::NEG_INFINITY)),
        ".inf" | ".Inf" | ".INF" => return Some(Meaning::Float(f64::INFINITY)),
        _ if matches!(text, ".nan" | ".NaN" | ".NAN") => return Some(Meaning::Float(f64::NAN)),
        _ => {}
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        let whole = text.strip_prefix('+').unwrap_or(text);
        return whole.parse().map(Meaning::Integer).or_else(|_| whole.parse().map(Meaning::Float)).ok();
    }
    // Rust's own float syntax is wider (`inf`, `1e5_0` is not); the first and only letters may be an exponent.
    let numeric = unsigned.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'));
    let starts = unsigned.starts_with(|c: char| c.is_ascii_digit())
        || unsigned.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if numeric && starts { text.parse().ok().map(Meaning::Float) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        let cases: [(&str, Meaning<'_>); 24] = [
            ("", Meaning::Nothing),
            ("~", Meaning::Nothing),
            ("NULL", Meaning::Nothing),
            ("nUll", Meaning::Text("nUll")),
            ("true", Meaning::Boolean(true)),
            ("yes", Meaning::Text("yes")),
            ("on", Meaning::Text("on")),
            ("0", Meaning::Integer(0)),
            ("+12", Meaning::Integer(12)),
            ("-7", Meaning::Integer(-7)),
            ("007", Meaning::Integer(7)),
            ("0x1F", Meaning::Integer(31)),
            ("0o17", Meaning::Integer(15)),
            ("0x-1", Meaning::Text("0x-1")),
            ("1_000", Meaning::Text("1_000")),
            ("1.5", Meaning::Float(1.5)),
            (".5", Meaning::Float(0.5)),
            ("1.", Meaning::Float(1.0)),
            ("1e3", Meaning::Float(1000.0)),
            ("e3", Meaning::Text("e3")),
            ("1.2.3", Meaning::Text("1.2.3")),
            ("-.inf", Meaning::Float(f64::NEG_INFINITY)),
            ("inf", Meaning::Text("inf")),
            ("2024-01-01", Meaning::Text("2024-01-01")),
        ];
        for (text, meaning) in cases {
            assert_eq!(Scalar { text: text.into(), is_plain: true }.meaning(), meaning, "{text}");
            assert_eq!(Scalar { text: text.into(), is_plain: false }.meaning(), Meaning::Text(text), "{text}");
        }
    }
}
