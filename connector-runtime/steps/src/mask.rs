//! `mask`: values that must not be read downstream.

use crate::columns::{place_of, problem};
use crate::hmac::Hmac;
use crate::projection::{From, Output, Projection, bug};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use unbatch_api::arrow::array::{Array, ArrayRef, AsArray, StringBuilder, new_null_array};
use unbatch_api::arrow::compute::cast;
use unbatch_api::arrow::datatypes::DataType;
use unbatch_api::config::Sensitive;
use unbatch_api::{ColumnType, CompiledStep, Result, Seen, Step, StepProblem, StepVerb};

/// What stands for a text that was redacted.
const REDACTED: &str = "***";
/// Characters that `keep_last` and `keep_first` may leave readable.
const KEPT_MAX: u32 = 64;

/// Makes values unreadable, `column: method`. Nulls stay null.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(example = serde_json::json!({"name": "redact", "iban": {"keep_last": 4}, "email": {"hash": {"salt": {"secret": "masking/salt"}}}}))]
pub struct MaskConfig(pub BTreeMap<String, Method>);

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Texts become `***`; values of other types become null.
    Redact,
    /// HMAC-SHA-256 of the value's text, keyed with a salt, in base16: the same value gives the same digest, so that joins still work.
    /// The column becomes a string.
    Hash(
        /// The salt of the digest.
        Salted,
    ),
    /// All characters but the last few become `*`; a text that is not longer becomes `*` throughout. The column becomes a string.
    KeepLast(
        /// How many characters stay readable.
        #[schemars(range(min = 1, max = 64))]
        u32,
    ),
    /// All characters but the first few become `*`; a text that is not longer becomes `*` throughout. The column becomes a string.
    KeepFirst(
        /// How many characters stay readable.
        #[schemars(range(min = 1, max = 64))]
        u32,
    ),
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Salted {
    /// The key of the digest, a reference to a secret. With another salt the same value gives another digest.
    pub salt: Sensitive,
}

pub struct Mask;

impl StepVerb for Mask {
    const NAME: &'static str = "mask";
    type Config = MaskConfig;
    fn step(config: MaskConfig) -> Result<Arc<dyn Step>, Vec<StepProblem>> {
        let mut problems = Vec::new();
        if config.0.is_empty() {
            problems.push(problem(
                String::new(),
                "U0613",
                "no column is named".into(),
                "write column: method, or remove the step",
            ));
        }
        for (column, method) in &config.0 {
            let (word, kept) = match method {
                Method::KeepLast(kept) => ("keep_last", *kept),
                Method::KeepFirst(kept) => ("keep_first", *kept),
                Method::Redact | Method::Hash(_) => continue,
            };
            if !(1..=KEPT_MAX).contains(&kept) {
                let message = format!("`{word}` must be 1 to {KEPT_MAX}");
                problems.push(problem(
                    format!("{column}.{word}"),
                    "U0615",
                    message,
                    "write how many characters stay readable",
                ));
            }
        }
        if problems.is_empty() { Ok(Arc::new(Masking(config.0))) } else { Err(problems) }
    }
}

struct Masking(BTreeMap<String, Method>);

impl Step for Masking {
    fn name(&self) -> &str {
        Mask::NAME
    }
    fn compile(&self, seen: &Seen<'_>) -> Result<Box<dyn CompiledStep>, Vec<StepProblem>> {
        let columns = seen.schema.fields().fields().len();
        let mut outputs: Vec<Output> = (0..columns).map(|at| Output::keep(seen.schema, at)).collect();
        let mut problems = Vec::new();
        for (name, method) in &self.0 {
            match masked(name, method, seen) {
                Ok((at, output)) => outputs[at] = output,
                Err(found) => problems.push(StepProblem { path: name.clone(), ..*found }),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Box::new(Projection::new(Mask::NAME, seen, outputs, str::to_owned)?))
    }
}

fn masked(name: &str, method: &Method, seen: &Seen<'_>) -> Result<(usize, Output), Box<StepProblem>> {
    let at = place_of(name, seen.schema)?;
    let field = seen.schema.fields().field(at);
    let is_string = *field.data_type() == DataType::Utf8;
    if seen.schema.key().iter().any(|key| key == name) && !matches!(method, Method::Hash(_)) {
        return Err(boxed(
            "U0611",
            format!("column `{name}` is part of the key, and different rows would get the same key"),
            "use `hash`, which keeps them apart",
        ));
    }
    if ColumnType::from_arrow(field.data_type()).is_none() && !matches!(method, Method::Redact) {
        let message = format!("column `{name}` is of type {}, which has no text to mask", field.data_type());
        return Err(boxed("U0615", message, "use `redact`, or drop the column"));
    }
    let string = |nullable| ColumnType::String.field(name, nullable);
    let (masker, field) = match method {
        Method::Redact if is_string => (Masker::Redact, string(field.is_nullable())),
        Method::Redact => (Masker::Null, field.clone().with_nullable(true)),
        Method::Hash(salted) => (Masker::Hash(salt(salted, seen)?), string(field.is_nullable())),
        Method::KeepLast(kept) => (Masker::Keep { first: 0, last: *kept as usize }, string(field.is_nullable())),
        Method::KeepFirst(kept) => (Masker::Keep { first: *kept as usize, last: 0 }, string(field.is_nullable())),
    };
    Ok((at, Output { field: Arc::new(field), from: From::Masked(at, Box::new(masker)), is: Some(at) }))
}

/// While a file is only checked no secret is looked for.
fn salt(salted: &Salted, seen: &Seen<'_>) -> Result<Hmac, Box<StepProblem>> {
    let Some(secrets) = seen.secrets else { return Ok(Hmac::new(&[])) };
    let found = salted.salt.resolve(secrets).map_err(|error| {
        boxed(
            error.code_text().unwrap_or("U0615"),
            format!("the salt cannot be read: {}", error.one_line()),
            error.remedy().unwrap_or("mount the secret, or mend the reference"),
        )
    })?;
    match found.expose().is_empty() {
        true => Err(boxed("U0615", "the salt is empty".into(), "put a long random text into the secret")),
        false => Ok(Hmac::new(found.expose().as_bytes())),
    }
}

fn boxed(code: &'static str, message: String, help: &str) -> Box<StepProblem> {
    Box::new(problem(String::new(), code, message, help))
}

/// Makes a column unreadable.
#[allow(clippy::large_enum_variant, reason = "one for each column that is masked")]
pub(crate) enum Masker {
    Redact,
    Null,
    Hash(Hmac),
    Keep { first: usize, last: usize },
}

impl Masker {
    pub(crate) fn mask(&self, values: &ArrayRef) -> Result<ArrayRef> {
        if let Masker::Null = self {
            return Ok(new_null_array(values.data_type(), values.len()));
        }
        let texts = cast(values, &DataType::Utf8).map_err(bug)?;
        let texts = texts.as_string::<i32>();
        let mut masked = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
        let mut one = String::new();
        for text in texts {
            let Some(text) = text else {
                masked.append_null();
                continue;
            };
            one.clear();
            self.write(text, &mut one);
            masked.append_value(&one);
        }
        Ok(Arc::new(masked.finish()))
    }

    fn write(&self, text: &str, out: &mut String) {
        match self {
            Masker::Redact => out.push_str(REDACTED),
            Masker::Hash(hmac) => {
                for byte in hmac.digest(text.as_bytes()) {
                    // writing to a text cannot fail
                    let _ = write!(out, "{byte:02x}");
                }
            }
            Masker::Keep { first, last } => {
                let length = text.chars().count();
                let hides_all = length <= first + last;
                for (at, character) in text.chars().enumerate() {
                    let is_kept = !hides_all && (at < *first || at + last >= length);
                    out.push(if is_kept { character } else { '*' });
                }
            }
            Masker::Null => {}
        }
    }
}
