//! What `unbatch validate` found, in the forms that other programs read: a line each, GitHub's workflow commands, SARIF.
//! Lines and columns begin at 1, columns count characters, and an end stands behind the last one.

use crate::codes;
use crate::failure::remedy;
use crate::terminal::{Output, Style, Terminal};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use unbatch_api::{Error, Severity};
use unbatch_engine::Registry;
use unbatch_engine::config::Diagnostic;

/// One thing that was found, wherever it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) severity: Severity,
    pub(super) code: Option<&'static str>,
    pub(super) message: String,
    pub(super) help: String,
    /// `None`: about no file.
    pub(super) file: Option<PathBuf>,
    /// `None`: about the file as a whole.
    pub(super) place: Option<Place>,
}

/// From a character to behind the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

impl From<&Diagnostic> for Remark {
    fn from(d: &Diagnostic) -> Self {
        let place = d.span.map(|start| {
            let behind = start.offset + start.length;
            let end = d.text.as_ref().map_or(start, |text| text.span(behind..behind));
            Place { line: start.line, column: start.column, end_line: end.line, end_column: end.column }
        });
        let help = if d.help.is_empty() { d.label.clone().unwrap_or_default() } else { d.help.clone() };
        let file = Some(d.file.clone()).filter(|file| !file.as_os_str().is_empty());
        Remark { severity: d.severity, code: Some(d.code), message: d.message.clone(), help, file, place }
    }
}

impl Remark {
    /// Of asking or looking for something; `file` is the one it is about, if any.
    pub(super) fn of_error(error: &Error, file: Option<&Path>) -> Self {
        Remark {
            severity: Severity::Error,
            code: error.code_text(),
            message: error.one_line(),
            help: remedy(error).unwrap_or_default().to_owned(),
            file: file.map(Path::to_owned),
            place: None,
        }
    }

    fn word(&self) -> &'static str {
        match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
    /// `message (help)`, on one line, with nothing in it that steers a terminal.
    fn sentence(&self) -> String {
        let text = match self.help.is_empty() {
            true => self.message.clone(),
            false => format!("{} ({})", self.message, self.help),
        };
        text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
    }
}

/// `file:line:column: error[U0102]: message (help)`, as compilers write it and editors read it.
pub(super) fn concise(remarks: &[Remark], terminal: &Terminal) -> String {
    let line = |remark: &Remark| {
        let file = remark.file.as_ref().map(|file| format!("{}:", file.display())).unwrap_or_default();
        let place = remark.place.map(|p| format!("{}:{}:", p.line, p.column)).unwrap_or_default();
        let gap = if file.is_empty() { "" } else { " " };
        let code = remark.code.map(|code| format!("[{code}]")).unwrap_or_default();
        let style = match remark.severity {
            Severity::Error => Style::Red,
            Severity::Warning => Style::Magenta,
        };
        let word = terminal.paint(Output::Result, style, &format!("{}{code}", remark.word()));
        format!("{file}{place}{gap}{word}: {}\n", remark.sentence())
    };
    remarks.iter().map(line).collect()
}

/// Workflow commands (<https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions>), errors first, since
/// GitHub shows the first ten of a step. Columns are for places within one line.
pub(super) fn github(remarks: &[Remark]) -> String {
    let (errors, warnings): (Vec<&Remark>, Vec<&Remark>) =
        remarks.iter().partition(|remark| remark.severity == Severity::Error);
    errors.into_iter().chain(warnings).map(github_command).collect()
}

fn github_command(remark: &Remark) -> String {
    let mut properties = Vec::new();
    if let Some(file) = &remark.file {
        properties.push(("file", file.to_string_lossy().into_owned()));
    }
    if let Some(place) = remark.place {
        properties.push(("line", place.line.to_string()));
        if place.end_line == place.line {
            properties.push(("col", place.column.to_string()));
        }
        properties.push(("endLine", place.end_line.to_string()));
        if place.end_line == place.line {
            properties.push(("endColumn", place.end_column.to_string()));
        }
    }
    if let Some(code) = remark.code {
        properties.push(("title", code.to_owned()));
    }
    let properties: Vec<String> =
        properties.iter().map(|(name, value)| format!("{name}={}", github_property(value))).collect();
    let gap = if properties.is_empty() { "" } else { " " };
    format!("::{}{gap}{}::{}\n", remark.word(), properties.join(","), github_text(&remark.sentence()))
}

fn github_text(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn github_property(text: &str) -> String {
    github_text(text).replace(':', "%3A").replace(',', "%2C")
}

/// One run of SARIF 2.1.0 (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>). Its rules are the codes that occur,
/// explained as `unbatch explain` does; its addresses are relative to the current folder.
pub(super) fn sarif(remarks: &[Remark], registry: &Registry) -> Value {
    let used: std::collections::BTreeSet<&str> = remarks.iter().filter_map(|remark| remark.code).collect();
    let mut rules = Vec::new();
    let mut indexes = BTreeMap::new();
    for code in used {
        indexes.insert(code, rules.len());
        rules.push(rule(code, registry));
    }
    let results: Vec<Value> = remarks.iter().map(|remark| result(remark, &indexes)).collect();
    let driver = json!({"name": "unbatch", "version": env!("CARGO_PKG_VERSION"), "rules": rules});
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    })
}

fn rule(code: &str, registry: &Registry) -> Value {
    match codes::explain(registry, code).first() {
        Some((_, title, meaning, help)) => json!({
            "id": code,
            "shortDescription": {"text": title},
            "fullDescription": {"text": meaning},
            "help": {"text": help},
        }),
        None => json!({"id": code}),
    }
}

fn result(remark: &Remark, indexes: &BTreeMap<&str, usize>) -> Value {
    let mut result = Map::new();
    if let Some(code) = remark.code {
        result.insert("ruleId".into(), json!(code));
        result.insert("ruleIndex".into(), json!(indexes.get(code)));
    }
    result.insert("level".into(), json!(remark.word()));
    result.insert("message".into(), json!({"text": remark.sentence()}));
    if let Some(file) = &remark.file {
        let mut place = Map::new();
        place.insert("artifactLocation".into(), json!({"uri": address(file)}));
        if let Some(p) = remark.place {
            let region = json!({
                "startLine": p.line, "startColumn": p.column, "endLine": p.end_line, "endColumn": p.end_column,
            });
            place.insert("region".into(), region);
        }
        result.insert("locations".into(), json!([{"physicalLocation": place}]));
    }
    Value::Object(result)
}

/// A relative reference (RFC 3986) where the file is under the current folder, else `file:///…`.
fn address(file: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let file = file.strip_prefix(&here).or_else(|_| file.strip_prefix(".")).unwrap_or(file);
    let mut address = if file.is_absolute() { "file://".to_owned() } else { String::new() };
    for byte in file.to_string_lossy().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => address.push(byte.into()),
            _ => address.push_str(&format!("%{byte:02X}")),
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::built_in;
    use std::sync::Arc;
    use unbatch_engine::config::SourceText;

    fn remark(severity: Severity, message: &str, place: Option<Place>) -> Remark {
        let (help, file) = ("write 50%, or\nless".to_owned(), Some(PathBuf::from("a,b:c/d e.yaml")));
        Remark { severity, code: Some("U0102"), message: message.into(), help, file, place }
    }
    const PLACE: Place = Place { line: 3, column: 5, end_line: 3, end_column: 9 };

    #[test]
    fn a_place_counts_characters_and_ends_behind_the_last_one() {
        let text = Arc::new(SourceText::new("a.yaml", "ü: 1\nnäme: [a,\n  b]\n"));
        let of = |range| Remark::from(&Diagnostic::error("U0102", "x").at(&text, text.span(range)));
        let name = text.text().find("näme").unwrap();
        assert_eq!(of(name..name + 5).place, Some(Place { line: 2, column: 1, end_line: 2, end_column: 5 }));
        let list = text.text().find('[').unwrap();
        assert_eq!(of(list..list + 8).place, Some(Place { line: 2, column: 7, end_line: 3, end_column: 5 }));
        let whole = Remark::from(&Diagnostic::error("U0102", "x").in_file(Path::new("b.yaml")).label("here"));
        assert_eq!((whole.place, whole.help.as_str()), (None, "here"));
    }

    #[test]
    fn a_concise_remark_is_one_line_whatever_it_quotes() {
        let (full, mut bare) =
            (remark(Severity::Error, "a\u{1b}[2J", Some(PLACE)), remark(Severity::Warning, "b", None));
        (bare.file, bare.code, bare.help) = (None, None, String::new());
        assert_eq!(
            concise(&[full, bare], &Terminal::detect(true)),
            "a,b:c/d e.yaml:3:5: error[U0102]: a\u{fffd}[2J (write 50%, or\u{fffd}less)\nwarning: b\n"
        );
    }

    #[test]
    fn workflow_commands_are_escaped_and_errors_come_first() {
        let several = Place { end_line: 4, ..PLACE };
        let text = github(&[
            remark(Severity::Warning, "b: c, d", Some(several)),
            remark(Severity::Error, "a", Some(PLACE)),
            Remark { file: None, code: None, ..remark(Severity::Error, "::error::x", None) },
        ]);
        let lines: Vec<&str> = text.lines().collect();
        let file = "file=a%2Cb%3Ac/d e.yaml";
        assert_eq!(
            lines,
            [
                format!(
                    "::error {file},line=3,col=5,endLine=3,endColumn=9,title=U0102::a (write 50%25, or\u{fffd}less)"
                ),
                "::error::::error::x (write 50%25, or\u{fffd}less)".to_owned(),
                format!("::warning {file},line=3,endLine=4,title=U0102::b: c, d (write 50%25, or\u{fffd}less)"),
            ]
        );
        assert_eq!((github_text("1%\r\n"), github_property("a:1,2")), ("1%25%0D%0A".into(), "a%3A1%2C2".into()));
    }

    #[test]
    fn sarif_names_rules_places_and_relative_addresses() {
        let log = sarif(
            &[remark(Severity::Error, "a", Some(PLACE)), Remark { file: None, ..remark(Severity::Warning, "b", None) }],
            &built_in(),
        );
        assert_eq!((&log["version"], &log["runs"][0]["columnKind"]), (&json!("2.1.0"), &json!("unicodeCodePoints")));
        let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
        assert_eq!((rules.len(), &rules[0]["id"]), (1, &json!("U0102")));
        assert!(["shortDescription", "fullDescription", "help"].iter().all(|text| rules[0][text]["text"].is_string()));
        let results = log["runs"][0]["results"].as_array().unwrap();
        assert_eq!(
            results[0]["locations"][0]["physicalLocation"],
            json!({"artifactLocation": {"uri": "a%2Cb%3Ac/d%20e.yaml"},
                   "region": {"startLine": 3, "startColumn": 5, "endLine": 3, "endColumn": 9}})
        );
        assert_eq!((&results[0]["ruleIndex"], &results[1]["level"]), (&json!(0), &json!("warning")));
        assert!(results[1].get("locations").is_none(), "{log}");
        assert_eq!(address(&std::env::current_dir().unwrap().join("x.yaml")), "x.yaml");
        assert_eq!(address(Path::new("/no where/x.yaml")), "file:///no%20where/x.yaml");
    }
}
