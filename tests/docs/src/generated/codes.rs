//! Codes of errors and reasons of refused rows.

use super::{cell, prose};
use unbatch_api::error::CodeEntry;

/// Where codes are from, in the order in which a newcomer meets them.
const TABLES: [(&str, &[CodeEntry]); 9] = [
    ("Pipeline files and the runtime file", unbatch_engine::config::CODES),
    ("Commands", unbatch::codes::CODES),
    ("Running pipelines", unbatch_engine::codes::CODES),
    ("Steps", unbatch_steps::CODES),
    ("Source csv_drops", unbatch_csv::CODES),
    ("Files in folders and object stores", unbatch_object_files::CODES),
    ("Full dumps", unbatch_csv::FULL_DUMP_CODES),
    ("The Kafka cluster", unbatch_kafka_client::CODES),
    ("Sink topic", unbatch_kafka::CODES),
];
const WORDS: &str = "Reasons of refused rows and set-aside files, and notices";

/// All codes with their texts, in groups; what is a word and no number comes last, whatever uses it.
///
/// # Panics
///
/// When a code that the binary knows is in none of the tables above.
pub(super) fn index(all: &[CodeEntry]) -> String {
    let grouped: usize = TABLES.iter().map(|(_, table)| table.len()).sum();
    assert_eq!(grouped, all.len(), "a table of codes has no place in the index of errors");
    let mut text = String::new();
    for (title, table) in TABLES {
        let numbers: Vec<&CodeEntry> = table.iter().filter(|(code, ..)| is_number(code)).collect();
        chapter(title, &numbers, &mut text);
    }
    let words: Vec<&CodeEntry> = all.iter().filter(|(code, ..)| !is_number(code)).collect();
    chapter(WORDS, &words, &mut text);
    text
}

/// A code that two connectors share is told once for each, under one heading.
fn chapter(title: &str, entries: &[&CodeEntry], text: &mut String) {
    text.push_str(&format!("## {title}\n\n"));
    let mut last = "";
    for (code, title, meaning, help) in entries {
        if *code != last {
            text.push_str(&format!("### {code}\n\n"));
            last = code;
        }
        text.push_str(&format!("**{}.** {}\n\n*What to do:* {}\n\n", prose(title), prose(meaning), prose(help)));
    }
}

fn is_number(code: &str) -> bool {
    code.starts_with('U')
}

/// Codes of one connector, each with a link to the index.
pub(super) fn table(tables: &[&[CodeEntry]]) -> String {
    let mut all: Vec<&CodeEntry> = tables.iter().flat_map(|t| t.iter()).collect();
    all.sort_by_key(|(code, ..)| *code);
    let mut text = "| code | |\n|---|---|\n".to_owned();
    for (code, title, ..) in all {
        let anchor = code.to_lowercase();
        text.push_str(&format!("| [`{code}`](../reference/errors.md#{anchor}) | {} |\n", cell(&prose(title))));
    }
    text
}
