//! `dialect`: how the files are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the files are written.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dialect {
    /// Whether fields have something between them or a place of their own in the line.
    pub format: Format,
    /// What stands between fields: one character as a rule, but `||` and `~|~` are read too. `tab` is a tab.
    pub delimiter: String,
    /// One ASCII character around fields that hold delimiters, line breaks or quotes; doubled inside. `none`: quotes are ordinary
    /// characters.
    pub quote: String,
    /// The character that takes its meaning from the one behind it, as a rule `\`. Default: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escape: Option<String>,
    /// What `escape` does.
    pub escapes: Escapes,
    /// Lines that begin with this are no rows. Default: there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What ends a line. `any`: a line feed, a carriage return, or both. Otherwise exactly this text, such as `"\r\n"` or `"\x1e"`; the other
    /// line breaks are then ordinary characters, and lines are counted by it. `none`, with `format: fixed`: every line is just as long
    /// as `line_width` says.
    pub terminator: String,
    /// What the files are written in, by a label of the Encoding Standard: `utf-8`, `utf-16le`, `windows-1252` (`latin1` and `iso-8859-1`
    /// mean the same), `iso-8859-15`, `shift_jis` and so on. A byte order mark counts more. A row with bytes that the encoding
    /// does not have is rejected.
    pub encoding: String,
    /// Lines in front of the header, or of the first row, that are not read.
    pub skip: u32,
    /// Words that mean NULL when they stand unquoted, besides the empty field. A quoted empty field is the empty string.
    pub nulls: Vec<String>,
    /// Whether the first record names the columns.
    pub header: Header,
    /// Takes blanks around the names in the header away.
    pub trim_header: bool,
    /// Blanks (spaces and tabs) around fields that are taken away; what stands in quotes keeps its own. With another value than `none`
    /// blanks may also stand around the quotes. Columns may have a `trim` of their own.
    pub trim: Trim,
    /// What happens to a row that has more or fewer fields than the header, or a line of another length.
    pub ragged: Ragged,
    /// With `format: fixed`, how many characters a line has. Default: where the last column ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub line_width: Option<u32>,
    /// The last line, when it is no row but tells how many rows there are, or what they add up to. A file whose trailer is missing
    /// or disagrees is parked. Default: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trailer: Option<Trailer>,
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect {
            format: Format::Separated,
            delimiter: ",".into(),
            quote: "\"".into(),
            escape: None,
            escapes: Escapes::Codes,
            comment: None,
            terminator: "any".into(),
            encoding: "utf-8".into(),
            skip: 0,
            nulls: Vec::new(),
            header: Header::Present,
            trim_header: false,
            trim: Trim::None,
            ragged: Ragged::Refuse,
            line_width: None,
            trailer: None,
        }
    }
}

/// Whether fields have something between them or a place of their own in the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A delimiter stands between them.
    #[default]
    Separated,
    /// Each column has its `width`, in characters, and is filled up with blanks. There are no quotes and there is no header, so `header: none`.
    Fixed,
}

/// What an escape character does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Escapes {
    /// As MySQL, MariaDB and Hive write: `\n`, `\r`, `\t`, `\b`, `\0` and `\Z` are control characters, `\N` alone is NULL, any other
    /// character stands for itself, also a delimiter or a line break.
    #[default]
    Codes,
    /// The next character stands for itself, whatever it is, as Python's `csv` writes.
    Literal,
    /// Only in quotes, and only in front of a quote or of itself, as Spark writes; elsewhere it is an ordinary character.
    Quotes,
}

/// Whether the first record names the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Header {
    /// Columns are found by name; their order in the file does not matter.
    #[default]
    Present,
    /// Columns are found by position; undeclared ones are `c1`, `c2`, …
    None,
}

/// Which blanks around a field are taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trim {
    /// None. With `format: fixed` it is `right` for text and `both` for everything else.
    #[default]
    None,
    /// Those in front.
    Left,
    /// Those behind.
    Right,
    /// Those in front and behind.
    Both,
}

/// What happens to a row of another width than the file's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ragged {
    /// It is refused.
    #[default]
    Refuse,
    /// Fields that are missing at its end are NULL, and empty ones too many at its end are left out. A row with more than that is refused.
    Pad,
}

/// The last line of a file, which is no row. It is found by how it begins.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trailer {
    /// How the line begins, as it stands in the file: `T|`. No row may begin like that, since nothing may follow the trailer.
    #[serde(rename = "match")]
    pub begins: String,
    /// Where it says how many rows the file has, refused ones counted. Default: it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Counted>,
    /// Control totals: columns and where it says what they add up to. Rows that were refused count as far as the column could be read.
    #[serde(default)]
    pub sums: Vec<Sum>,
}

/// Where the trailer says how many rows there are: `{field: 2}`, or `{at: 3, width: 8}`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// Which field of the line, from 1. Default: see `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub field: Option<u32>,
    /// Which character of the line it begins with, from 1. Default: see `field`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub at: Option<u32>,
    /// How many characters it has from `at`. Default: up to the end of the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub width: Option<u32>,
    /// How much more than the rows it counts: 1 when the trailer counts itself, 2 when also a line in front.
    #[serde(default)]
    pub plus: u32,
}

/// A control total: `{of: amount, field: 3}`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// A declared column of type int32, int64 or decimal. The total is written as its fields are.
    pub of: String,
    /// Which field of the line, from 1. Default: see `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub field: Option<u32>,
    /// Which character of the line it begins with, from 1. Default: see `field`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub at: Option<u32>,
    /// How many characters it has from `at`. Default: up to the end of the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub width: Option<u32>,
}

impl Dialect {
    /// Delimiter and quote as bytes, for what is written anew. Only for a configuration that was validated; anything else falls back to
    /// `,` and `"`.
    pub fn marks(&self) -> (u8, u8) {
        (one_byte(&self.delimiter).unwrap_or(b','), one_byte(&self.quote).unwrap_or(b'"'))
    }

    /// What stands between fields.
    pub fn delimiter_bytes(&self) -> &[u8] {
        match self.delimiter.as_str() {
            "tab" | "\\t" => b"\t",
            other => other.as_bytes(),
        }
    }

    /// `None`: quotes are ordinary characters.
    pub fn quote_byte(&self) -> Option<u8> {
        if self.quote == "none" { None } else { one_byte(&self.quote) }
    }

    /// `None`: there is none.
    pub fn escape_byte(&self) -> Option<u8> {
        self.escape.as_deref().and_then(one_byte)
    }
}

/// The only byte of `text`, when it is one ASCII character that may separate or quote; `tab` and `\t` are a tab.
pub fn one_byte(text: &str) -> Option<u8> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Some(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, 0 | b'\r' | b'\n') => Some(*byte),
        _ => None,
    }
}
