//! `unbatch quarantine list` and `unbatch quarantine show`: the rows that were refused. Only `show` prints their content.

use super::Context;
use crate::answer::Answer;
use crate::arguments::{Pipeline, Quarantine};
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::pipeline_files::find_one;
use crate::tables::{Align, table};
use crate::terminal::{Output, Style, Terminal};
use chrono::SecondsFormat::Millis;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use unbatch_api::figures::{bytes, grouped};
use unbatch_api::quarantine::QuarantineFilter;
use unbatch_api::{Error, QuarantineEntry, RawRow, Result, RowOrigin, SplitId};
use unbatch_engine::run::check_context;

/// Entries that are asked for at once.
const PAGE: usize = 500;
/// Characters of an id that a table shows; commands take any beginning.
pub(super) const ID_SHOWN: usize = 8;

pub(crate) fn quarantine(command: &Quarantine, cx: &Context) -> Outcome<Answer> {
    match command {
        Quarantine::List { pipeline, code, limit, exit_code } => {
            let filter = QuarantineFilter { code: code.clone(), ids: None, with_replayed: false };
            let found = entries(pipeline, &filter, *limit, cx)?;
            let text = list_text(&found, &cx.terminal);
            let result = json!({"pipeline": pipeline.name, "entries": listed(&found.entries), "codes": counts(&found.entries),
                                "more": found.is_more});
            let answer = Answer::new(text, result);
            let is_found = *exit_code && !found.entries.is_empty();
            Ok(if is_found { answer.exit(Exit::Found) } else { answer })
        }
        Quarantine::Show { pipeline, ids, more_ids, code, limit } => {
            let ids = [&ids[..], more_ids].concat();
            let asked = if ids.is_empty() { None } else { Some(ids.clone()) };
            // who names an entry means it, whether its row went through or not
            let filter = QuarantineFilter { code: code.clone(), ids: asked, with_replayed: !ids.is_empty() };
            let found = entries(pipeline, &filter, *limit, cx)?;
            if !found.is_more {
                all_known(&ids, &found.entries)?;
            }
            let text: String = found.entries.iter().map(|e| shown(e, &cx.terminal)).collect();
            let text = if text.is_empty() { "no such rows in quarantine\n".to_owned() } else { text };
            let entries: Vec<Value> = found.entries.iter().map(QuarantineEntry::to_json).collect();
            Ok(Answer::new(text, json!({"pipeline": pipeline.name, "entries": entries, "more": found.is_more})))
        }
        Quarantine::Replay(args) => super::replay::replay(args, cx),
    }
}

/// Whether each beginning of an id is that of an entry.
pub(super) fn all_known(ids: &[String], entries: &[QuarantineEntry]) -> Result<()> {
    match ids.iter().find(|id| id.is_empty() || !entries.iter().any(|entry| entry.id.starts_with(id.as_str()))) {
        None => Ok(()),
        Some(id) => Err(Error::misconfigured("finding a refused row failed, none has this id")
            .code("U0762")
            .with("id", id)
            .help("`unbatch quarantine list` shows the ids of rows that wait")),
    }
}

struct Found {
    entries: Vec<QuarantineEntry>,
    /// There are more than were asked for.
    is_more: bool,
}

fn entries(pipeline: &Pipeline, filter: &QuarantineFilter, limit: usize, cx: &Context) -> Outcome<Found> {
    let looking = cx.look(pipeline.dev.dev)?;
    let spec = find_one(&pipeline.name, &pipeline.paths, looking.setup.file.as_deref(), &cx.registry)?;
    let scene = looking.scene();
    let place = check_context(&spec, &scene, SplitId::new(spec.name.clone(), 0));
    super::async_runtime()?.block_on(async {
        let mut reader = spec.sink.quarantine(place).await?;
        let mut found = Found { entries: Vec::new(), is_more: false };
        let mut after: Option<String> = None;
        loop {
            let wanted = (limit - found.entries.len()).min(PAGE);
            let page = reader.list(filter, after.as_deref(), wanted).await?;
            found.entries.extend(page.entries);
            match page.next {
                None => return Ok(found),
                Some(_) if found.entries.len() >= limit => {
                    // a cursor may stand at the very end, so only one more entry proves that there are more
                    let rest = reader.list(filter, page.next.as_deref(), 1).await?;
                    found.is_more = !rest.entries.is_empty() || rest.next.is_some();
                    return Ok(found);
                }
                next => after = next,
            }
        }
    })
}

const COLUMNS: [(&str, Align); 5] = [
    ("id", Align::Left),
    ("reason", Align::Left),
    ("where", Align::Left),
    ("by", Align::Left),
    ("what was expected", Align::Left),
];

fn list_text(found: &Found, terminal: &Terminal) -> String {
    if found.entries.is_empty() {
        return "nothing in quarantine\n".to_owned();
    }
    // together what was refused for the same reason, oldest first
    let mut entries: Vec<&QuarantineEntry> = found.entries.iter().collect();
    entries.sort_by(|a, b| a.code.cmp(&b.code));
    let rows = entries.iter().map(|e| {
        let id: String = e.id.chars().take(ID_SHOWN).collect();
        vec![id, e.code.clone(), e.origin.to_string(), stage(e), e.message.clone()]
    });
    let mut text = table(&COLUMNS, rows, terminal);
    let counts = counts(&found.entries);
    if counts.len() > 1 {
        let counts: Vec<String> = counts.iter().map(|(code, count)| format!("{code} {}", grouped(*count))).collect();
        text.push_str(&format!("{}; `unbatch explain CODE` says more\n", counts.join(", ")));
    }
    if found.is_more {
        text.push_str("and more; raise --limit\n");
    }
    text
}

/// Entries by their reason.
fn counts(entries: &[QuarantineEntry]) -> BTreeMap<&str, u64> {
    let mut counts = BTreeMap::new();
    for entry in entries {
        *counts.entry(entry.code.as_str()).or_default() += 1;
    }
    counts
}

/// Milliseconds since 1970 as UTC.
fn utc(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms).map_or_else(String::new, |time| time.to_rfc3339_opts(Millis, true))
}

/// Everything but the content of the rows.
fn listed(entries: &[QuarantineEntry]) -> Vec<Value> {
    let one = |e: &QuarantineEntry| {
        json!({"id": e.id, "code": e.code, "message": e.message, "stage": e.stage, "stream": e.stream,
               "origin": e.origin, "place": e.origin.to_string(), "revision": e.revision,
               "refused_at": e.refused_at.map(utc)})
    };
    entries.iter().map(one).collect()
}

fn shown(entry: &QuarantineEntry, terminal: &Terminal) -> String {
    let bold = |text: &str| terminal.paint(Output::Result, Style::Bold, text);
    let byte = match &entry.origin {
        RowOrigin::File { byte, .. } => format!(", byte {byte}"),
        _ => String::new(),
    };
    let replayed = entry.replayed.map(|by| format!("; replayed under revision {by}")).unwrap_or_default();
    let when = entry.refused_at.map(|ms| format!(" at {}", utc(ms))).unwrap_or_default();
    let raw = match &entry.raw {
        RawRow::Bytes(bytes) => visible(bytes),
        RawRow::Cut { head, length, sha256 } => {
            format!("{}\n  … cut: {} in all, SHA-256 {sha256}", visible(head), bytes(*length))
        }
        RawRow::Row(row) => row.to_string(),
    };
    format!(
        "{} {} at {}{byte}\n  {}\n  refused by the {}{when}, revision {}, stream {}{replayed}\n  {raw}\n\n",
        bold(&entry.id),
        bold(&entry.code),
        entry.origin,
        entry.message,
        stage(entry),
        entry.revision,
        entry.stream,
    )
}

fn stage(entry: &QuarantineEntry) -> String {
    json!(entry.stage).as_str().unwrap_or_default().to_owned()
}

/// As text, its lines set in, with what would steer the terminal escaped.
fn visible(bytes: &[u8]) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<String> = text.lines().map(|line| line.chars().map(escape).collect()).collect();
    lines.join("\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_api::quarantine::Stage;
    use unbatch_api::{PipelineName, RejectedRow, SplitId, StreamName};

    fn entry() -> QuarantineEntry {
        let rejected = RejectedRow {
            code: "bad_int32".into(),
            message: "column `counted`: not an int32".into(),
            stage: Stage::Source,
            stream: StreamName::new("stock"),
            origin: RowOrigin::File { file: "stock_BER.csv".into(), delivery: "".into(), line: 117, byte: 4_040 },
            raw: RawRow::of(&b"BER-1;BER;NL-7;12O\r\n"[..]),
        };
        rejected.into_entry(&SplitId::new(PipelineName::parse("stock").unwrap(), 0), 1)
    }

    #[test]
    fn a_list_shows_reason_and_place_and_never_the_content() {
        let found = Found { entries: vec![entry()], is_more: true };
        let text = list_text(&found, &Terminal::detect(true));
        for part in ["bad_int32", "stock_BER.csv:117", "column `counted`", "source", "raise --limit"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("12O") && !listed(&found.entries)[0].to_string().contains("12O"), "{text}");
    }

    #[test]
    fn rows_refused_for_the_same_reason_stand_together_and_are_counted() {
        let other = QuarantineEntry { code: "a_code".into(), ..entry() };
        let found = Found { entries: vec![entry(), other, entry()], is_more: false };
        let text = list_text(&found, &Terminal::detect(true));
        assert!(text.contains("a_code 1, bad_int32 2;"), "{text}");
        let first = text.lines().nth(1).unwrap();
        assert!(first.contains("a_code"), "{text}");
    }

    #[test]
    fn show_has_the_raw_row_and_nothing_of_it_steers_the_terminal() {
        let text = shown(&entry(), &Terminal::detect(true));
        assert!(text.contains("\n  BER-1;BER;NL-7;12O\n") && text.contains("byte 4040"), "{text}");
        assert_eq!(visible(b"a\x1b[2Jb\r\nc\n"), "a\\u{1b}[2Jb\n  c");
    }
}
