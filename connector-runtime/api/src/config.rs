//! Values in configuration that are more than text: durations, sizes, references and secrets.
//!
//! References are typed values, never text substitution: `{env: NAME}`, `{secret: name/key}`, `{file: path}`. A sensitive
//! field accepts nothing else, so a password can stand in no pipeline file.

use crate::error::{Error, Result};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A duration with its unit: `250ms`, `5s`, `10m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl FromStr for Period {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("`{text}` has no unit; write {text}s or {text}ms"));
        }
        humantime::parse_duration(text)
            .map(Period)
            .map_err(|_| format!("`{text}` is not a duration like 250ms, 5s or 10m"))
    }
}
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// A number of bytes with its unit: `64KiB`, `16MiB`, `1GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const SIZE_UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

impl FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a size like 64KiB, 16MiB or 1GB");
        let (unit, factor) = SIZE_UNITS.iter().find(|(unit, _)| text.ends_with(unit)).ok_or_else(wrong)?;
        let number: u64 = text[..text.len() - unit.len()].trim().parse().map_err(|_| wrong())?;
        number.checked_mul(*factor).map(Size).ok_or_else(wrong)
    }
}
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) =
            SIZE_UNITS[..4].iter().rev().find(|(_, n)| self.0 != 0 && self.0.is_multiple_of(*n)).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

/// Where a value is to be found: the environment, a mounted secret, or a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Reference {
    /// Name of an environment variable. Optional: one of `env`, `secret` and `file` is given.
    #[serde(default)]
    pub env: Option<String>,
    /// `name/key` under the secrets directory. Optional: one of `env`, `secret` and `file` is given.
    #[serde(default)]
    pub secret: Option<String>,
    /// Path of a file; its content without the last line break is the value. Optional: one of `env`, `secret` and `file` is
    /// given.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// Used when the environment variable is not set; without it that is an error.
    #[serde(default)]
    pub default: Option<String>,
}

impl Reference {
    /// Exactly one of `env`, `secret`, `file`.
    pub fn check(&self) -> Result<(), String> {
        let given = [self.env.is_some(), self.secret.is_some(), self.file.is_some()];
        match given.iter().filter(|g| **g).count() {
            1 if self.default.is_some() && self.env.is_none() => Err("`default` goes with `env` only".into()),
            1 => Ok(()),
            _ => Err("must have exactly one of `env`, `secret`, `file`".into()),
        }
    }
}

/// As a person would name it in a message: `env UNBATCH_KAFKA_BROKERS`. Shows where a value is, never the value.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.env, &self.secret, &self.file) {
            (Some(name), _, _) => write!(f, "env {name}"),
            (_, Some(name), _) => write!(f, "secret {name}"),
            (_, _, Some(path)) => write!(f, "file {}", path.display()),
            _ => f.write_str("nothing"),
        }
    }
}

/// A value that may stand in the file or be referred to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    Plain(String),
    Reference(Reference),
}

/// A value that may only be referred to: a password, a key, a DSN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sensitive(pub Reference);

/// A resolved secret. Prints as `***`, everywhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: String) -> Self {
        Self(value)
    }
    /// The value itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Finds what a [`Reference`] refers to; given to connectors in their contexts.
pub trait Resolver: Send + Sync {
    fn resolve(&self, reference: &Reference) -> Result<Secret>;
}

impl Text {
    pub fn resolve(&self, resolver: &dyn Resolver) -> Result<String> {
        match self {
            Text::Plain(text) => Ok(text.clone()),
            Text::Reference(reference) => resolver.resolve(reference).map(|s| s.expose().to_owned()),
        }
    }
}

impl Sensitive {
    pub fn resolve(&self, resolver: &dyn Resolver) -> Result<Secret> {
        resolver.resolve(&self.0)
    }
}

/// Refuses every reference; for tests and connectors without secrets.
pub struct NoSecrets;

impl Resolver for NoSecrets {
    fn resolve(&self, reference: &Reference) -> Result<Secret> {
        Err(Error::misconfigured("resolving a reference failed").with("reference", reference))
    }
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err = String>>(d: D) -> Result<T, D::Error> {
    Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        parsed(d)
    }
}
impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        parsed(d)
    }
}
impl serde::Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl serde::Serialize for Size {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Plain(String),
            Reference(Reference),
        }
        match Either::deserialize(d)? {
            Either::Plain(text) => Ok(Text::Plain(text)),
            Either::Reference(r) => r.check().map_err(serde::de::Error::custom).map(|()| Text::Reference(r)),
        }
    }
}

impl<'de> Deserialize<'de> for Sensitive {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let reference = Reference::deserialize(d)?;
        reference.check().map_err(serde::de::Error::custom)?;
        Ok(Sensitive(reference))
    }
}

/// JSON Schema formats that the configuration checker knows how to parse, so that a wrong value is found with its place.
pub const FORMAT_DURATION: &str = "unbatch-duration";
pub const FORMAT_SIZE: &str = "unbatch-size";
/// Marks a field that accepts references only; plain text there is an error of its own.
pub const FORMAT_SENSITIVE: &str = "unbatch-sensitive";

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": FORMAT_DURATION, "description": "a duration with its unit", "examples": ["250ms", "5s", "10m"]})
    }
}
impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": FORMAT_SIZE, "description": "a number of bytes with its unit", "examples": ["64KiB", "16MiB", "1GB"]})
    }
}
impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let reference = generator.subschema_for::<Reference>();
        json_schema!({"anyOf": [{"type": "string"}, reference], "description": "text, or a reference to it"})
    }
}
impl JsonSchema for Sensitive {
    fn schema_name() -> Cow<'static, str> {
        "Sensitive".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let reference = generator.subschema_for::<Reference>();
        json_schema!({"allOf": [reference], "format": FORMAT_SENSITIVE, "description": "a reference to a secret; plain text is refused"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_need_units_and_round_trip() {
        assert_eq!("250ms".parse::<Period>().unwrap().0, Duration::from_millis(250));
        assert!("5".parse::<Period>().unwrap_err().contains("5s"));
        assert_eq!("16MiB".parse::<Size>().unwrap(), Size(16 << 20));
        assert_eq!(Size(16 << 20).to_string(), "16MiB");
        assert_eq!(Size(1500).to_string(), "1500B");
        for bad in ["16", "MiB", "-1KB", "1.5GB", "99999999999TiB"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_prints_as_stars() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".into())), "***");
    }

    #[test]
    fn a_sensitive_field_takes_references_only() {
        let parse = |text: &str| serde_json::from_str::<Sensitive>(text);
        assert!(parse(r#"{"secret": "db/dsn"}"#).is_ok());
        assert!(parse(r#""hunter2""#).is_err());
        assert!(parse(r#"{"secret": "db/dsn", "env": "X"}"#).is_err());
        assert!(parse("{}").is_err());
    }
}
