//! The shape of a stream: Arrow fields, key columns, and the names of types as people write them.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Metadata key of an Arrow field that holds the type's name at the source, such as `numeric(12,2)` or `jsonb`.
pub const SOURCE_TYPE: &str = "unbatch.source_type";

/// First 16 hex digits of the SHA-256 of a schema's canonical JSON: the same shape has the same id everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SchemaId(Arc<str>);

impl SchemaId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Fields, key columns and source types of a stream. Immutable; a change is a new schema with a new id.
#[derive(Clone, Debug)]
pub struct StreamSchema {
    id: SchemaId,
    fields: SchemaRef,
    key: Vec<String>,
}

impl StreamSchema {
    /// `key` names columns among `fields`; empty when the source knows no key.
    pub fn new(fields: SchemaRef, key: Vec<String>) -> Self {
        let text = canonical(&fields, &key).to_string();
        let digest = Sha256::digest(text.as_bytes());
        let id: String = digest[..8].iter().map(|b| format!("{b:02x}")).collect();
        Self { id: SchemaId(id.into()), fields, key }
    }
    pub fn id(&self) -> &SchemaId {
        &self.id
    }
    pub fn fields(&self) -> &SchemaRef {
        &self.fields
    }
    pub fn key(&self) -> &[String] {
        &self.key
    }
    /// The versioned JSON that `<deployment>.schemas` keeps and that the id is the hash of.
    pub fn to_json(&self) -> serde_json::Value {
        canonical(&self.fields, &self.key)
    }
}

fn canonical(fields: &Schema, key: &[String]) -> serde_json::Value {
    let columns: Vec<_> = fields
        .fields()
        .iter()
        .map(|f| {
            let mut column = json!({"name": f.name(), "type": type_name(f.data_type()), "nullable": f.is_nullable()});
            if let Some(source) = f.metadata().get(SOURCE_TYPE) {
                column["source_type"] = json!(source);
            }
            column
        })
        .collect();
    json!({"version": 1, "columns": columns, "key": key})
}

/// The name of an Arrow type in our column type language; types outside it go by Arrow's own name.
pub fn type_name(data_type: &DataType) -> String {
    match ColumnType::from_arrow(data_type) {
        Some(column_type) => column_type.to_string(),
        None => data_type.to_string(),
    }
}

/// A column type as people write it in YAML: `int64`, `decimal(12,2)`, `timestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    Int32,
    Int64,
    Float64,
    /// Exact, 1 to 38 digits, `scale` of them after the point.
    Decimal {
        precision: u8,
        scale: i8,
    },
    Bool,
    Date,
    /// Microseconds, UTC.
    Timestamp,
    String,
}

impl ColumnType {
    pub const NAMES: [&'static str; 8] =
        ["int32", "int64", "float64", "decimal(p,s)", "bool", "date", "timestamp", "string"];

    pub fn to_arrow(self) -> DataType {
        match self {
            ColumnType::Int32 => DataType::Int32,
            ColumnType::Int64 => DataType::Int64,
            ColumnType::Float64 => DataType::Float64,
            ColumnType::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
            ColumnType::Bool => DataType::Boolean,
            ColumnType::Date => DataType::Date32,
            ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            ColumnType::String => DataType::Utf8,
        }
    }
    pub fn from_arrow(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Int32 => ColumnType::Int32,
            DataType::Int64 => ColumnType::Int64,
            DataType::Float64 => ColumnType::Float64,
            DataType::Decimal128(precision, scale) => ColumnType::Decimal { precision: *precision, scale: *scale },
            DataType::Boolean => ColumnType::Bool,
            DataType::Date32 => ColumnType::Date,
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC" => ColumnType::Timestamp,
            DataType::Utf8 => ColumnType::String,
            _ => return None,
        })
    }
    /// An Arrow field of this type.
    pub fn field(self, name: &str, nullable: bool) -> Field {
        Field::new(name, self.to_arrow(), nullable)
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ColumnType::Int32 => f.write_str("int32"),
            ColumnType::Int64 => f.write_str("int64"),
            ColumnType::Float64 => f.write_str("float64"),
            ColumnType::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            ColumnType::Bool => f.write_str("bool"),
            ColumnType::Date => f.write_str("date"),
            ColumnType::Timestamp => f.write_str("timestamp"),
            ColumnType::String => f.write_str("string"),
        }
    }
}

impl FromStr for ColumnType {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let plain = match text {
            "int32" => Some(ColumnType::Int32),
            "int64" => Some(ColumnType::Int64),
            "float64" => Some(ColumnType::Float64),
            "bool" => Some(ColumnType::Bool),
            "date" => Some(ColumnType::Date),
            "timestamp" => Some(ColumnType::Timestamp),
            "string" => Some(ColumnType::String),
            _ => None,
        };
        if let Some(column_type) = plain {
            return Ok(column_type);
        }
        let inner = text.strip_prefix("decimal(").and_then(|t| t.strip_suffix(')'));
        let Some((precision, scale)) = inner.and_then(|t| t.split_once(',')) else {
            return Err(format!("`{text}` is not a column type; there are {}", Self::NAMES.join(", ")));
        };
        let (Ok(precision), Ok(scale)) = (precision.trim().parse::<u8>(), scale.trim().parse::<i8>()) else {
            return Err(format!("`{text}`: precision and scale must be whole numbers, like decimal(12,2)"));
        };
        if !(1..=38).contains(&precision) || scale < 0 || scale as u8 > precision {
            return Err(format!("`{text}`: precision is 1 to 38 and scale 0 to precision"));
        }
        Ok(ColumnType::Decimal { precision, scale })
    }
}

impl Serialize for ColumnType {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for ColumnType {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
impl JsonSchema for ColumnType {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ColumnType".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "int32, int64, float64, decimal(p,s), bool, date, timestamp or string",
            "pattern": r"^(int32|int64|float64|bool|date|timestamp|string|decimal\([0-9]+ *, *[0-9]+\))$",
            "examples": ["decimal(12,2)"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types_round_trip() {
        for text in ["int32", "int64", "float64", "decimal(12,2)", "bool", "date", "timestamp", "string"] {
            let column_type: ColumnType = text.parse().unwrap();
            assert_eq!(column_type.to_string(), text);
            assert_eq!(ColumnType::from_arrow(&column_type.to_arrow()), Some(column_type));
        }
        for text in ["", "int", "decimal", "decimal(39,2)", "decimal(4,5)", "decimal(4;5)", "Decimal(4,2)"] {
            assert!(text.parse::<ColumnType>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_id_follows_the_content() {
        let shape = |nullable, key: &[&str]| {
            let fields = Schema::new(vec![ColumnType::Int64.field("id", nullable)]);
            StreamSchema::new(Arc::new(fields), key.iter().map(|k| k.to_string()).collect())
        };
        assert_eq!(shape(true, &[]).id(), shape(true, &[]).id());
        assert_ne!(shape(true, &[]).id(), shape(false, &[]).id());
        assert_ne!(shape(true, &[]).id(), shape(true, &["id"]).id());
        assert_eq!(shape(true, &[]).id().as_str().len(), 16);
    }
}
