use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A kind of file that a nightly job of NewLimits drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Feed {
    /// What each distribution centre counted, several files a night.
    StockCounts,
    /// Price lists, one per supplier and night.
    Prices,
    /// Order lines of the web shop, with free text of customers.
    WebOrders,
    /// Stock movements of each distribution centre.
    Movements,
    /// Till receipts, one file per store and night.
    Sales,
}

impl Feed {
    pub const ALL: [Self; 5] = [Self::StockCounts, Self::Prices, Self::WebOrders, Self::Movements, Self::Sales];

    /// Its name on the command line, in the truth and as a folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::StockCounts => "stock-counts",
            Self::Prices => "prices",
            Self::WebOrders => "web-orders",
            Self::Movements => "movements",
            Self::Sales => "sales",
        }
    }

    pub(crate) fn label(self) -> u64 {
        self as u64 + 1
    }
}

/// Everything a reader must be told about a feed's files.
#[derive(Clone, Debug)]
pub struct FeedSpec {
    pub feed: Feed,
    /// Glob over whole file names.
    pub matches: &'static str,
    pub delimiter: char,
    /// Unquoted words that mean NULL, beside the unquoted empty field.
    pub nulls: &'static [&'static str],
    pub columns: Vec<Column>,
    /// The column that identifies a row over all files and deliveries.
    pub id: &'static str,
    /// Columns of the topic key that a shop would choose.
    pub key: &'static [&'static str],
    /// The free-text column in which a truncated file breaks off.
    pub free_text: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: ColumnType,
    pub required: bool,
    /// `strftime` pattern of dates and timestamps; none means ISO 8601, for timestamps RFC 3339.
    pub format: Option<&'static str>,
    /// Offset of wall-clock timestamps that do not name one.
    pub zone: Option<&'static str>,
    pub decimal_mark: Option<char>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    String,
    Int32,
    Int64,
    Float64,
    Bool,
    Decimal { precision: u8, scale: u8 },
    Date,
    Timestamp,
}

impl FeedSpec {
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The feed as the `csv_drops` source of a pipeline file, without `url`: `match`, `dialect`, `columns`.
    pub fn csv_drops(&self) -> Value {
        let mut dialect = Map::new();
        dialect.insert("delimiter".into(), self.delimiter.to_string().into());
        if !self.nulls.is_empty() {
            dialect.insert("nulls".into(), json!(self.nulls));
        }
        dialect.insert("header".into(), "present".into());
        let columns: Vec<Value> = self.columns.iter().map(Column::declaration).collect();
        json!({"match": self.matches, "dialect": dialect, "columns": columns})
    }
}

impl Column {
    pub(crate) fn new(name: &'static str, kind: ColumnType) -> Self {
        Self { name, kind, required: false, format: None, zone: None, decimal_mark: None }
    }

    pub(crate) fn required(name: &'static str, kind: ColumnType) -> Self {
        Self { required: true, ..Self::new(name, kind) }
    }

    /// The column as one entry of `columns:` in a pipeline file.
    pub fn declaration(&self) -> Value {
        let mut declaration = Map::new();
        declaration.insert("name".into(), self.name.into());
        declaration.insert("type".into(), self.kind.to_string().into());
        if self.required {
            declaration.insert("required".into(), true.into());
        }
        if let Some(format) = self.format {
            declaration.insert("format".into(), format.into());
        }
        if let Some(zone) = self.zone {
            declaration.insert("zone".into(), zone.into());
        }
        if let Some(mark) = self.decimal_mark {
            declaration.insert("decimal_mark".into(), mark.to_string().into());
        }
        Value::Object(declaration)
    }
}

impl std::fmt::Display for ColumnType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::String => f.write_str("string"),
            Self::Int32 => f.write_str("int32"),
            Self::Int64 => f.write_str("int64"),
            Self::Float64 => f.write_str("float64"),
            Self::Bool => f.write_str("bool"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Date => f.write_str("date"),
            Self::Timestamp => f.write_str("timestamp"),
        }
    }
}
