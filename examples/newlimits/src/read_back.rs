//! Reads what `unbatch topics read --json` and `unbatch quarantine list --json` print, and the same as one JSON object a line.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::truth::{Record, Rejection};

/// Records of an NDJSON file: `{"key": …, "value": {…}, "headers": {…}, "partition": 0}`. Everything but `value` may be
/// absent; key and value may also be JSON inside a string, as raw consumers print them.
pub fn read_records(path: &Path) -> Result<impl Iterator<Item = Result<Record>>> {
    lines(path).map(|lines| lines.map(|line| line.map(|line| to_record(&line))))
}

/// Quarantine entries of an NDJSON file: `{"code": …, "origin": {"file": …, "line": 9, "byte": 811}}`, alone or as the
/// `value` of a record. The place may stand beside `code`, and an origin may be the text `FILE:LINE`.
pub fn read_rejections(path: &Path) -> Result<impl Iterator<Item = Result<Rejection>>> {
    let place = path.to_path_buf();
    lines(path).map(|lines| {
        lines.map(move |line| {
            to_rejection(&line?)
                .ok_or_else(|| Error::new(format!("finding code and file of an entry in {}", place.display())))
        })
    })
}

/// The objects of a file: one a line, or those of the answer `{"command": …, "result": {"records" or "entries": […]}}`.
fn lines(path: &Path) -> Result<Box<dyn Iterator<Item = Result<Value>>>> {
    let path = path.to_path_buf();
    let open = || File::open(&path).map(BufReader::new).map_err(|error| Error::at("opening", &path, error));
    if let Ok(Value::Object(answer)) = serde_json::from_reader(open()?)
        && answer.contains_key("command")
    {
        let result = &answer["result"];
        let found = result["records"].as_array().or_else(|| result["entries"].as_array()).cloned().unwrap_or_default();
        return Ok(Box::new(found.into_iter().map(Ok)));
    }
    let lines = open()?.lines();
    Ok(Box::new(lines.filter(|line| !matches!(line, Ok(line) if line.trim().is_empty())).map(move |line| {
        let line = line.map_err(|error| Error::at("reading", &path, error))?;
        serde_json::from_str(&line).map_err(|error| Error::at("parsing a line of", &path, error))
    })))
}

fn to_record(line: &Value) -> Record {
    let key = unfold(&line["key"]);
    Record {
        key: (!key.is_null()).then_some(key),
        value: unfold(&line["value"]),
        partition: line["partition"].as_i64().and_then(|number| i32::try_from(number).ok()),
    }
}

fn to_rejection(line: &Value) -> Option<Rejection> {
    let folded = unfold(&line["value"]);
    let entry = if folded.is_object() { &folded } else { line };
    let code = entry["code"].as_str()?.to_string();
    let origin = if entry["origin"].is_null() { entry } else { &entry["origin"] };
    if let Some(text) = origin.as_str() {
        let (file, line) = match text.rsplit_once(':') {
            Some((file, number)) if number.parse::<u64>().is_ok() => (file, number.parse().ok()),
            _ => (text, None),
        };
        return Some(Rejection { file: file.to_string(), line, byte: None, code });
    }
    Some(Rejection {
        file: origin["file"].as_str()?.to_string(),
        line: origin["line"].as_u64(),
        byte: origin["byte"].as_u64(),
        code,
    })
}

/// JSON inside a string, or the value itself.
fn unfold(value: &Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn entries_are_read_in_each_of_their_forms() {
        let flat = json!({"code": "bad_int", "file": "a.csv", "line": 3, "byte": 40});
        let nested = json!({"value": {"code": "bad_int", "origin": {"file": "a.csv", "line": 3, "byte": 40}}});
        assert_eq!(to_rejection(&flat), to_rejection(&nested));
        let text = to_rejection(&json!({"code": "bad_int", "origin": "file:///drops/a.csv:3"})).unwrap();
        assert_eq!((text.file.as_str(), text.line), ("file:///drops/a.csv", Some(3)));
        assert_eq!(to_rejection(&json!({"origin": "a.csv:3"})), None);
    }

    #[test]
    fn folded_values_are_unfolded() {
        let record = to_record(&json!({"key": "{\"sku\":\"a\"}", "value": "{\"n\":1}", "partition": 2}));
        assert_eq!(record.key, Some(json!({"sku": "a"})));
        assert_eq!(record.value, json!({"n": 1}));
        assert_eq!(record.partition, Some(2));
    }
}
