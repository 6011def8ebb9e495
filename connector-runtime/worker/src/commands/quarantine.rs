//! `unbatch quarantine list` and `unbatch quarantine show`: the rows that were refused. Only `show` prints their content.

mod content;
pub(super) mod survey;
pub(super) mod table;

use super::Context;
use crate::answer::Answer;
use crate::arguments::{Pipeline, Quarantine};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::pipeline_files::find_one;
use crate::terminal::{Glyph, Output, Style, Terminal};
use chrono::SecondsFormat::Millis;
use content::content;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use survey::Survey;
use table::{Line, entries_table, plain, wrapped};
use unbatch_api::figures::{bytes, grouped};
use unbatch_api::quarantine::{QuarantineFilter, Settlement, UnreadableEntry};
use unbatch_api::{Error, QuarantineEntry, RawRow, Result, RowOrigin, SplitId};
use unbatch_engine::run::check_context;

/// Entries that are asked for at once.
const PAGE: usize = 500;
/// Places that are told by name where there may be many.
const PLACES_SHOWN: usize = 5;

pub(crate) fn quarantine(command: &Quarantine, cx: &Context) -> Outcome<Answer> {
    match command {
        Quarantine::List { pipeline, code, limit, all, exit_code } => {
            let filter = QuarantineFilter { code: code.clone(), ids: None, with_replayed: *all };
            let found = entries(pipeline, &filter, *limit, cx)?;
            let text = list_text(&found, &cx.terminal);
            let result = json!({"pipeline": pipeline.name, "entries": listed(&found.entries), "codes": counts(&found.entries),
                                "unreadable": found.unreadable, "more": found.is_more});
            let answer = unreadable_told(Answer::new(text, result), &found.unreadable);
            let is_found = *exit_code && !found.entries.is_empty();
            // that something could not be read weighs more
            Ok(if is_found && answer.code() == Exit::Good { answer.exit(Exit::Found) } else { answer })
        }
        Quarantine::Show { pipeline, ids, more_ids, code, limit } => {
            let ids = [&ids[..], more_ids].concat();
            let asked = if ids.is_empty() { None } else { Some(ids.clone()) };
            // who names an entry means it, whether its row went through or not
            let filter = QuarantineFilter { code: code.clone(), ids: asked, with_replayed: !ids.is_empty() };
            let found = entries(pipeline, &filter, *limit, cx)?;
            if !found.is_more && found.unreadable.is_empty() {
                all_known(&ids, &found.entries)?;
            }
            let text: String = found.entries.iter().map(|e| shown(e, &cx.terminal)).collect();
            let text = if text.is_empty() { "no such rows in quarantine\n".to_owned() } else { text };
            let entries: Vec<Value> = found.entries.iter().map(QuarantineEntry::to_json).collect();
            let result = json!({"pipeline": pipeline.name, "entries": entries, "unreadable": found.unreadable,
                                "more": found.is_more});
            Ok(unreadable_told(Answer::new(text, result), &found.unreadable))
        }
        Quarantine::Replay(args) => super::replay::replay(args, cx),
        Quarantine::Settle(args) => super::settle::settle(args, cx),
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

/// Some of what stands in the quarantine is no entry: the others are shown, and the command says that it failed.
pub(super) fn unreadable_told(answer: Answer, unreadable: &[UnreadableEntry]) -> Answer {
    let Some(first) = unreadable.first() else { return answer };
    answer.failed(Failure::Error(unreadable_error(first, unreadable)))
}

pub(super) fn unreadable_error(first: &UnreadableEntry, unreadable: &[UnreadableEntry]) -> Error {
    let mut places: Vec<&str> = unreadable.iter().take(PLACES_SHOWN).map(|one| one.place.as_str()).collect();
    if unreadable.len() > PLACES_SHOWN {
        places.push("…");
    }
    Error::lost("reading all of the quarantine failed, some of it is no entry")
        .code(first.code)
        .with("places", places.join(", "))
        .with("count", unreadable.len())
        .with("first", &first.reason)
        .help(format!(
            "look at what stands there and who wrote it (`unbatch explain {}`); all others were read",
            first.code
        ))
}

#[derive(Default)]
struct Found {
    entries: Vec<QuarantineEntry>,
    unreadable: Vec<UnreadableEntry>,
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
        let mut found = Found::default();
        let mut after: Option<String> = None;
        loop {
            let wanted = (limit - found.entries.len()).min(PAGE);
            let page = reader.list(filter, after.as_deref(), wanted).await?;
            found.entries.extend(page.entries);
            found.unreadable.extend(page.unreadable);
            match page.next {
                None => {
                    if let (true, true, Some(code)) =
                        (found.entries.is_empty(), found.unreadable.is_empty(), &filter.code)
                    {
                        Survey::of(reader.as_mut(), filter).await?.knows(code, &cx.registry)?;
                    }
                    return Ok(found);
                }
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

fn list_text(found: &Found, terminal: &Terminal) -> String {
    if found.entries.is_empty() {
        return "nothing in quarantine\n".to_owned();
    }
    // together what was refused for the same reason, oldest first
    let mut entries: Vec<&QuarantineEntry> = found.entries.iter().collect();
    entries.sort_by(|a, b| a.code.cmp(&b.code));
    let line = |e: &&QuarantineEntry| {
        let (place, by) = (e.origin.to_string(), Some(stage(e)));
        Line { id: e.id.clone(), code: e.code.clone(), place, by, expected: expected(e) }
    };
    let lines: Vec<Line> = entries.iter().map(line).collect();
    let mut text = entries_table(&lines, "what was expected", terminal);
    let counts = counts(&found.entries);
    if counts.len() > 1 {
        let last = counts.len() - 1;
        let count = |(i, (code, count)): (usize, (&&str, &u64))| {
            format!("{code} {}{}", grouped(*count), if i == last { ";" } else { "," })
        };
        let mut words: Vec<String> = counts.iter().enumerate().map(count).collect();
        words.push("`unbatch explain CODE` says more".to_owned());
        text.push_str(&wrapped(&words, terminal));
    }
    if entries.iter().any(|e| is_cut(e)) {
        let glyph = terminal.paint(Output::Result, Style::Magenta, terminal.glyph(Glyph::Warning));
        let told = [
            "[cut]: only the beginning of the row was kept,",
            "so `replay` cannot take it.",
            "Correct it where",
            "it came from",
            "and deliver that again,",
            "then `settle` the entry",
        ];
        text.push_str(&format!("{glyph} {}", wrapped(&told.map(str::to_owned), terminal)));
    }
    if found.is_more {
        text.push_str("and more; raise --limit\n");
    }
    text
}

fn is_cut(entry: &QuarantineEntry) -> bool {
    matches!(entry.raw, RawRow::Cut { .. })
}

/// What was expected, behind what cannot be seen otherwise in a table.
fn expected(entry: &QuarantineEntry) -> String {
    let cut = if is_cut(entry) { "[cut] " } else { "" };
    let done = match (&entry.settled, entry.replayed) {
        (Some(Settlement { reason: Some(reason) }), _) => format!("[settled: {reason}] "),
        (Some(_), _) => "[settled] ".to_owned(),
        (None, Some(_)) => "[replayed] ".to_owned(),
        (None, None) => String::new(),
    };
    format!("{cut}{done}{}", entry.message)
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
               "refused_at": e.refused_at.map(utc), "replayed": e.replayed, "settled": e.settled, "cut": is_cut(e)})
    };
    entries.iter().map(one).collect()
}

fn shown(entry: &QuarantineEntry, terminal: &Terminal) -> String {
    let bold = |text: &str| terminal.paint(Output::Result, Style::Bold, text);
    let byte = match &entry.origin {
        RowOrigin::File { byte, .. } => format!(", byte {byte}"),
        _ => String::new(),
    };
    let done = match (&entry.settled, entry.replayed) {
        (Some(Settlement { reason }), _) => {
            let reason = reason.as_deref().map(|reason| format!(": {}", plain(reason)));
            format!("; settled by hand{}", reason.unwrap_or_default())
        }
        (None, Some(by)) => format!("; replayed under revision {by}"),
        (None, None) => String::new(),
    };
    let when = entry.refused_at.map(|ms| format!(" at {}", utc(ms))).unwrap_or_default();
    let raw = match &entry.raw {
        RawRow::Bytes(bytes) => content(bytes),
        RawRow::Cut { head, length, sha256 } => {
            let (kept, length) = (bytes(head.len() as u64), bytes(*length));
            format!(
                "{}\n  … cut: {kept} of {length} were kept; SHA-256 of all {sha256}\n  `replay` cannot take it: correct it in {}\n  \
                 and deliver that again",
                content(head),
                plain(&entry.origin.to_string())
            )
        }
        RawRow::Row(row) => content(row.to_string().as_bytes()),
    };
    format!(
        "{} {} at {}{byte}\n  {}\n  refused by the {}{when}, revision {}, stream {}{done}\n  {raw}\n\n",
        bold(&entry.id),
        bold(&entry.code),
        plain(&entry.origin.to_string()),
        plain(&entry.message),
        stage(entry),
        entry.revision,
        entry.stream,
    )
}

fn stage(entry: &QuarantineEntry) -> String {
    json!(entry.stage).as_str().unwrap_or_default().to_owned()
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
        let found = Found { entries: vec![entry()], is_more: true, ..Found::default() };
        let text = list_text(&found, &Terminal::detect(true));
        for part in ["bad_int32", "stock_BER.csv:117", "column `counted`", "source", "raise --limit"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("12O") && !listed(&found.entries)[0].to_string().contains("12O"), "{text}");
    }

    #[test]
    fn rows_refused_for_the_same_reason_stand_together_and_are_counted() {
        let other = QuarantineEntry { code: "a_code".into(), ..entry() };
        let found = Found { entries: vec![entry(), other, entry()], ..Found::default() };
        let text = list_text(&found, &Terminal::detect(true));
        assert!(text.contains("a_code 1, bad_int32 2;"), "{text}");
        let first = text.lines().nth(1).unwrap();
        assert!(first.contains("a_code"), "{text}");
    }

    #[test]
    fn show_has_the_raw_row_and_nothing_of_it_steers_the_terminal() {
        let text = shown(&entry(), &Terminal::detect(true));
        assert!(text.contains("\n  BER-1;BER;NL-7;12O\n") && text.contains("byte 4040"), "{text}");
    }
}
