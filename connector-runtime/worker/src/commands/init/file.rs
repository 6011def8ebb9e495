//! The text of a drafted pipeline file.

use std::fmt::Write;
use unbatch_api::draft::{Line, scalar};
use unbatch_api::{Choice, Draft, PipelineName};

/// Comments are broken at this width.
const WIDTH: usize = 118;
/// Where remarks begin, when the text in front of them is shorter.
const REMARK_AT: usize = 58;

/// Everything that was left open, the key of the records among it.
pub(super) fn choices(draft: &Draft) -> Vec<Choice> {
    draft.choices().cloned().chain([key_choice(draft)]).collect()
}

/// The pipeline file, with comments. `modeline` leads an editor to the schema.
pub(super) fn written(draft: &Draft, name: &PipelineName, modeline: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(schema) = modeline {
        let _ = writeln!(text, "# yaml-language-server: $schema={schema}");
    }
    comment(
        &mut text,
        "",
        &format!(
            "Drafted by `unbatch init`. Types are judged by a sample ({}): a row that does not fit them goes to quarantine, none is \
             lost. A line marked CHOICE could be meant otherwise; look at each before the first run.",
            draft.judged_by
        ),
    );
    let _ = writeln!(text, "version: 1\npipeline: {name}");
    line(
        &mut text,
        "",
        "# replaces: {job: NAME, schedule: \"30 2 * * *\"}",
        Some("the batch job whose place it takes"),
    );
    let _ = writeln!(text, "\nsource:\n  {}:", draft.connector);
    for setting in &draft.settings {
        write_setting(&mut text, "    ", setting);
    }
    let _ = writeln!(text, "\nsink:");
    write_choice(&mut text, "  ", &key_choice(draft));
    line(&mut text, "  ", &format!("topic: {{name: {name}, {}}}", key(draft)), Some("one JSON object a row"));
    text.push('\n');
    line(
        &mut text,
        "",
        "# on_error: {quarantine: {stop_after: {count: 100, percent: 1.0}}}",
        Some("off unless written: a file with more bad rows, or of 1,000 rows with more percent, is set aside"),
    );
    text
}

fn key_choice(draft: &Draft) -> Choice {
    let instead = match draft.key.is_empty() {
        true => vec!["key: [COLUMN, …], so that all rows of one thing keep their order".to_owned()],
        false => vec!["other columns that tell rows apart".to_owned(), "key: [], for records without a key".to_owned()],
    };
    Choice { about: "key".into(), why: draft.key_reason.clone(), chosen: key(draft), instead }
}

fn key(draft: &Draft) -> String {
    let columns: Vec<String> = draft.key.iter().map(|c| scalar(c)).collect();
    format!("key: [{}]", columns.join(", "))
}

fn write_setting(text: &mut String, indent: &str, setting: &Line) {
    // a choice about an item of a list stands in its column
    let own: String = setting.text.chars().take_while(|c| *c == ' ').collect();
    let indent_of_choice = format!("{indent}{own}");
    setting.choices.iter().for_each(|choice| write_choice(text, &indent_of_choice, choice));
    line(text, indent, &setting.text, setting.remark.as_deref());
}

fn write_choice(text: &mut String, indent: &str, choice: &Choice) {
    comment(text, indent, &format!("CHOICE: {}", choice.sentence()));
}

fn line(text: &mut String, indent: &str, content: &str, remark: Option<&str>) {
    let full = format!("{indent}{content}");
    let Some(remark) = remark else {
        text.push_str(&full);
        text.push('\n');
        return;
    };
    if full.chars().count().max(REMARK_AT) + remark.chars().count() + 4 > WIDTH {
        comment(text, indent, remark);
        text.push_str(&full);
        text.push('\n');
        return;
    }
    let gap = REMARK_AT.saturating_sub(full.chars().count()).max(2);
    let _ = writeln!(text, "{full}{}# {}", " ".repeat(gap), one_line(remark));
}

/// A comment, broken between words.
fn comment(text: &mut String, indent: &str, words: &str) {
    let words = one_line(words);
    let mut line = format!("{indent}#");
    for word in words.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line.len() > indent.len() + 1 {
            text.push_str(&line);
            text.push('\n');
            line = format!("{indent}#  ");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

/// Names of columns may hold line breaks; a comment may not.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        let choice = Choice {
            about: "two\nlines".into(),
            why: "day and month cannot be told apart in the sample".into(),
            chosen: "type: string".into(),
            instead: vec!["type: date, format: \"%d/%m/%Y\"".into(), "type: date, format: \"%m/%d/%Y\"".into()],
        };
        Draft {
            name: "prices_".into(),
            connector: "csv_drops",
            settings: vec![
                Line::new("url: file:../drops/").remark("the folder that is read"),
                Line::new("columns:"),
                Line::new("  - {name: \"two\\nlines\", type: string}").choices([choice]),
            ],
            columns: vec![],
            key: vec!["a b".into(), "sku".into()],
            key_reason: "together unique".into(),
            judged_by: "2 rows of 1 file".into(),
            remarks: vec!["odd".into()],
        }
    }

    #[test]
    fn choices_stand_above_their_line_in_its_column() {
        let text = written(&draft(), &PipelineName::parse("prices").unwrap(), Some("../.unbatch/pipeline.schema.json"));
        assert!(
            text.starts_with("# yaml-language-server: $schema=../.unbatch/pipeline.schema.json\n# Drafted"),
            "{text}"
        );
        let lines: Vec<&str> = text.lines().collect();
        let at = lines.iter().position(|l| l.contains("- {name:")).unwrap();
        assert!(lines[at - 2].starts_with("      # CHOICE: two lines: day and month"), "{text}");
        assert!(lines[at - 1].starts_with("      #   "), "{text}");
        assert!(lines.iter().all(|l| l.chars().count() <= WIDTH), "{text}");
        assert!(text.contains("topic: {name: prices, key: [\"a b\", sku]}"), "{text}");
        assert!(text.contains("    url: file:../drops/    "), "{text}");
    }

    #[test]
    fn without_a_key_the_records_have_none_and_that_is_a_choice() {
        let draft = Draft { key: vec![], key_reason: "nothing is unique".into(), ..draft() };
        let choices = choices(&draft);
        assert_eq!(choices.len(), 2);
        assert_eq!((choices[1].about.as_str(), choices[1].chosen.as_str()), ("key", "key: []"));
    }
}
