//! The settings of the source as lines of YAML, each with what a person should know about it.

use super::Place;
use super::column::Verdict;
use super::table::Table;
use unbatch_api::draft::{Line, quoted, scalar};
use unbatch_api::{Choice, DraftColumn};
use unbatch_object_files::TextEncoding;

/// What stands under `csv_drops:`.
pub fn settings(table: &Table, place: &Place, judged_by: &str) -> Vec<Line> {
    let mut lines = vec![
        Line::new(format!("url: {}", url_scalar(&place.url)))
            .remark(url_remark(&place.url))
            .choices(other_folders(place)),
        Line::new(format!("match: {}", quoted(&place.pattern))).remark(match_remark(place)),
        Line::new("ready_when: {stable_for: 1s}")
            .remark("a sender that writes NAME.done when NAME is complete: {marker: \".done\"}"),
        Line::new("after: keep").remark("or {move_to: FOLDER}, or delete: once the rows are committed"),
        Line::new(format!("dialect: {{{}}}", dialect(table))).choices(dialect_choices(table)),
        Line::new("columns:").remark(format!("types are judged by a sample: {judged_by}")),
    ];
    for (name, verdict) in table.names.iter().zip(&table.verdicts) {
        let mut line = Line::new(format!("  - {{name: {}, {}}}", scalar(name), declared(verdict)));
        line.remark = verdict.remark.clone();
        lines.push(line.choices(verdict.choices(name)));
    }
    lines
}

/// The same columns, for the command's answer.
pub fn columns(table: &Table) -> Vec<DraftColumn> {
    let one = |(name, verdict): (&String, &Verdict)| DraftColumn {
        name: name.clone(),
        column_type: verdict.column_type.to_string(),
        required: verdict.required,
        options: verdict.options.iter().map(|(name, value)| format!("{name}: {value}")).collect(),
    };
    table.names.iter().zip(&table.verdicts).map(one).collect()
}

fn declared(verdict: &Verdict) -> String {
    let required = if verdict.required { ", required: true" } else { "" };
    format!("{}{required}", verdict.declared())
}

fn dialect(table: &Table) -> String {
    let header = if table.has_header { "present" } else { "none" };
    let mut text = match table.encoding {
        Some(encoding) => format!("encoding: {}, ", encoding.name().to_ascii_lowercase()),
        None => String::new(),
    };
    text.push_str(&format!("delimiter: {}, ", mark(table.shape.delimiter)));
    if table.shape.quote != b'"' {
        text.push_str(&format!("quote: {}, ", mark(table.shape.quote)));
    }
    text + "header: " + header
}

fn dialect_choices(table: &Table) -> Vec<Choice> {
    let mut choices: Vec<Choice> = table.encoding.into_iter().filter_map(encoding_choice).collect();
    if let Some(rival) = table.shape.rival {
        choices.push(Choice {
            about: "delimiter".into(),
            why: "another one divides every record into the same number of fields too".into(),
            chosen: format!("delimiter: {}", mark(table.shape.delimiter)),
            instead: vec![format!("delimiter: {}", mark(rival))],
        });
    }
    if table.shape.width == 1 {
        choices.push(Choice {
            about: "delimiter".into(),
            why: "none was found, so every line is one field".into(),
            chosen: format!("delimiter: {}", mark(table.shape.delimiter)),
            instead: vec!["the one that other files have".into()],
        });
    }
    choices.extend(table.header_choice.clone());
    choices
}

/// One byte for each character fits many encodings, and nothing in a file says which one it is.
fn encoding_choice(encoding: TextEncoding) -> Option<Choice> {
    (!encoding.name().starts_with("UTF-16")).then(|| Choice {
        about: "encoding".into(),
        why: "the files are not UTF-8, and nothing in them says what they are; Windows programs of western Europe write this one".into(),
        chosen: format!("encoding: {}", encoding.name().to_ascii_lowercase()),
        instead: ["windows-1250", "iso-8859-15", "windows-1251"].map(|label| format!("encoding: {label}")).into(),
    })
}

fn mark(byte: u8) -> String {
    quoted(&char::from(byte).to_string())
}

fn other_folders(place: &Place) -> Vec<Choice> {
    if place.others == 0 {
        return Vec::new();
    }
    vec![Choice {
        about: "url".into(),
        why: format!("the files lie in {} folders, a pipeline reads one", place.others + 1),
        chosen: "the folder of the first".into(),
        instead: vec!["the folder into which new files are dropped".into()],
    }]
}

fn url_scalar(url: &str) -> String {
    let is_plain = url.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '.' | '_' | '-' | '~'));
    if is_plain { url.to_owned() } else { quoted(url) }
}

fn url_remark(url: &str) -> &'static str {
    if url.starts_with("file:///") {
        "the folder that is read"
    } else {
        "the folder that is read, from the folder of this file"
    }
}

fn match_remark(place: &Place) -> String {
    match place.taken {
        _ if !place.pattern.contains('*') => "only a file of this name; for more write a pattern with *".to_owned(),
        1 => "takes 1 file of the folder now".to_owned(),
        n => format!("takes {n} files of the folder now"),
    }
}
