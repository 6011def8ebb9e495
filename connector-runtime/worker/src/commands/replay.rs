//! `unbatch quarantine replay`: refused rows are read again and go through, each once however often it is asked for.

use super::Context;
use super::quarantine::survey::Survey;
use super::quarantine::table::{Line, entries_table, plain, short, wrapped};
use super::quarantine::{all_known, unreadable_error, unreadable_told};
use crate::answer::Answer;
use crate::arguments::Replay;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::pipeline_files::find_one;
use crate::run::signals::Signals;
use crate::terminal::{Glyph, Output, Style, Terminal};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Arc;
use tokio::sync::watch;
use unbatch_api::figures::grouped;
use unbatch_api::quarantine::{Edit, Mend, QuarantineFilter};
use unbatch_api::{Batch, Error, Result, SplitId};
use unbatch_engine::Scene;
use unbatch_engine::cells::cells_of;
use unbatch_engine::config::PipelineSpec;
use unbatch_engine::replay::{self as engine, Choice, PassedOver, Rehearsal, Rehearsed, Replayed, StillWrong, Verdict};
use unbatch_engine::run::check_context;

/// The row may have come again, and would be doubled.
const OUTDATED: &str =
    "refused before the positions were reset or moved, so its row may have come again: only --ids replays it";
/// Rows in the place of newer ones that are named, and parked files.
const OVERTAKING_SHOWN: usize = 5;

pub(super) fn replay(args: &Replay, cx: &Context) -> Outcome<Answer> {
    let choice = choice(args)?;
    let looking = cx.look(args.pipeline.dev.dev)?;
    let spec = find_one(&args.pipeline.name, &args.pipeline.paths, looking.setup.file.as_deref(), &cx.registry)?;
    let scene = looking.scene();
    let runtime = super::async_runtime()?;
    runtime.block_on(ids_are_known(&spec, &scene, &args.ids))?;
    let survey = runtime.block_on(survey(&spec, &scene, &choice.filter))?;
    if let Some(code) = &args.code {
        survey.knows(code, &cx.registry)?;
    }
    let parked = survey.parked_files();
    let parked_text = parked_text(&parked, &cx.terminal);
    if args.dry_run {
        let Rehearsal { seen, unreadable } = runtime.block_on(engine::rehearse(&spec, &scene, &choice, args.limit))?;
        let rows: Vec<Value> = seen.iter().map(rehearsed_json).collect();
        let text = parked_text + &rehearsed_text(&seen, args.limit, &cx.terminal);
        let result = json!({"pipeline": spec.name, "dry_run": true, "entries": rows, "unreadable": unreadable,
                            "parked_files": parked});
        return Ok(unreadable_told(Answer::new(text, result), &unreadable));
    }
    let working =
        until_told_to_stop(&cx.terminal, async |stopped| engine::replay(&spec, &scene, choice, stopped).await);
    let (replayed, error) = runtime.block_on(working)?;
    // who was refused altogether is not told that there was nothing
    let did_nothing = error.is_some() && replayed.rows == 0;
    let text = if did_nothing { String::new() } else { replayed_text(&replayed, args.keep_newer, &cx.terminal) };
    let mut result = result(&spec, &replayed);
    result["parked_files"] = json!(parked);
    let answer = Answer::new(parked_text + &text, result);
    Ok(match error {
        Some(error) => answer.failed(Failure::Error(error)),
        None if waits(&replayed, args.keep_newer) => answer.exit(Exit::Found),
        None => answer,
    })
    .map(|answer| unreadable_told(answer, &replayed.unreadable))
}

/// An id that is none would look like a row that is done with.
pub(super) async fn ids_are_known(spec: &PipelineSpec, scene: &Scene, ids: &[String]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let place = check_context(spec, scene, SplitId::new(spec.name.clone(), 0));
    let mut reader = spec.sink.quarantine(place).await?;
    for id in ids {
        let filter =
            QuarantineFilter { ids: Some(vec![id.clone()]), with_replayed: true, ..QuarantineFilter::default() };
        let page = reader.list(&filter, None, 1).await?;
        if let (true, Some(first)) = (page.entries.is_empty(), page.unreadable.first()) {
            return Err(unreadable_error(first, &page.unreadable));
        }
        all_known(std::slice::from_ref(id), &page.entries)?;
    }
    Ok(())
}

pub(super) async fn survey(spec: &PipelineSpec, scene: &Scene, chosen: &QuarantineFilter) -> Result<Survey> {
    let place = check_context(spec, scene, SplitId::new(spec.name.clone(), 0));
    let mut reader = spec.sink.quarantine(place).await?;
    Survey::of(reader.as_mut(), chosen).await
}

/// Rows that are replayed and delivered anew are there twice.
fn parked_text(files: &[&str], terminal: &Terminal) -> String {
    if files.is_empty() {
        return String::new();
    }
    let mut names: Vec<String> = files.iter().take(OVERTAKING_SHOWN).map(|file| plain(file)).collect();
    if files.len() > OVERTAKING_SHOWN {
        names.push("…".to_owned());
    }
    let glyph = terminal.paint(Output::Result, Style::Magenta, terminal.glyph(Glyph::Warning));
    let told = format!(
        "parked: {}. Either replay refused rows or deliver the mended file anew: it brings replayed rows again",
        names.join(", ")
    );
    format!("{glyph} {}", wrapped(&told.split(' ').map(str::to_owned).collect::<Vec<_>>(), terminal))
}

fn result(spec: &PipelineSpec, replayed: &Replayed) -> Value {
    let mut result = json!(replayed);
    result["pipeline"] = json!(spec.name);
    result["dry_run"] = json!(false);
    result
}

fn choice(args: &Replay) -> Result<Choice> {
    let edits = args.set.iter().map(|text| edit(text)).collect::<Result<Vec<_>>>()?;
    let ids = if args.ids.is_empty() { None } else { Some(args.ids.clone()) };
    let filter = QuarantineFilter { code: args.code.clone(), ids, with_replayed: false };
    Ok(Choice { filter, edits, mend: patch(&args.patch)?, keep_newer: args.keep_newer })
}

fn patch(texts: &[String]) -> Result<Option<Arc<dyn Mend>>> {
    if texts.is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(unbatch_steps::Patch::parse(texts)?)))
}

fn edit(text: &str) -> Result<Edit> {
    match text.split_once('=') {
        Some((column, text)) if !column.is_empty() => Ok(Edit { column: column.to_owned(), text: text.to_owned() }),
        _ => Err(Error::misconfigured("reading --set failed, it names no column and text")
            .code("U0768")
            .help("write COLUMN=TEXT, such as --set price=12.00; nothing behind the equals sign is an empty field")),
    }
}

/// A signal ends it after the epoch under way; what is left waits on.
pub(super) async fn until_told_to_stop<T>(
    terminal: &Terminal,
    work: impl AsyncFnOnce(watch::Receiver<bool>) -> T,
) -> Result<T> {
    let mut signals = Signals::listen()?;
    let (stop, stopped) = watch::channel(false);
    let mut working = std::pin::pin!(work(stopped));
    let mut told = 0;
    loop {
        tokio::select! {
            ended = &mut working => return Ok(ended),
            signal = signals.next() => {
                told += 1;
                if told > 1 {
                    crate::run::signals::end_at_once(Exit::Failed);
                }
                terminal.say(&format!("{signal}: committing what was read; once more ends at once"));
                stop.send_replace(true);
            }
        }
    }
}

/// Whether entries that were chosen are not done with.
fn waits(replayed: &Replayed, keep_newer: bool) -> bool {
    replayed.still_wrong + replayed.refused + replayed.outdated > 0 || (keep_newer && !replayed.overtaking.is_empty())
}

fn replayed_text(replayed: &Replayed, keep_newer: bool, terminal: &Terminal) -> String {
    let entries = replayed.rows + replayed.filtered + replayed.refused + replayed.still_wrong + replayed.outdated;
    if entries == 0 && replayed.overtaking.is_empty() {
        return "nothing to replay\n".to_owned();
    }
    let mut text = String::new();
    if !replayed.told.is_empty() {
        text = entries_table(&replayed.told.iter().map(wrong_line).collect::<Vec<_>>(), "what was expected", terminal);
        if replayed.still_wrong > replayed.told.len() as u64 {
            text.push_str("and more\n");
        }
    }
    text.push_str(&passed_over_text(replayed, terminal));
    if !replayed.overtaking.is_empty() {
        text.push_str(&overtaking_text(replayed, keep_newer, terminal));
    }
    let (glyph, style) =
        if waits(replayed, keep_newer) { (Glyph::Warning, Style::Magenta) } else { (Glyph::Good, Style::Green) };
    let _ = write!(
        text,
        "{} {} replayed",
        terminal.paint(Output::Result, style, terminal.glyph(glyph)),
        rows(replayed.rows)
    );
    let others = [
        (replayed.filtered, "left out by the steps"),
        (replayed.refused, "refused by the sink"),
        (replayed.still_wrong, "still wrong"),
        (replayed.outdated, "passed over"),
    ];
    for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
        let _ = write!(text, ", {} {what}", grouped(count));
    }
    text.push('\n');
    if replayed.still_wrong > 0 {
        text.push_str("  what nobody can mend is taken off the list by `unbatch quarantine settle`\n");
    }
    text
}

/// Which entries wait on although nothing may be wrong with their rows, and why.
fn passed_over_text(replayed: &Replayed, terminal: &Terminal) -> String {
    if replayed.passed_over.is_empty() {
        return String::new();
    }
    let lines: Vec<Line> = replayed.passed_over.iter().map(passed_over_line).collect();
    let mut text = entries_table(&lines, "why it is passed over", terminal);
    if replayed.outdated > replayed.passed_over.len() as u64 {
        text.push_str("and more\n");
    }
    let glyph = terminal.paint(Output::Result, Style::Magenta, terminal.glyph(Glyph::Warning));
    let _ = writeln!(text, "{glyph} after `offsets reset` or `offsets set` a row may have come again by itself, and");
    text.push_str("  would be doubled. Look whether it did; if not, --ids ID replays it\n");
    text
}

fn passed_over_line(passed: &PassedOver) -> Line {
    let (id, code, place) = (passed.id.clone(), passed.code.clone(), passed.place.to_string());
    let moved = match passed.generation_now.saturating_sub(passed.generation) {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    Line { id, code, place, by: None, expected: format!("positions moved {moved} since") }
}

/// A row that was refused in the morning would undo what came at noon.
fn overtaking_text(replayed: &Replayed, keep_newer: bool, terminal: &Terminal) -> String {
    let count = rows(replayed.overtaking.len() as u64);
    let what = match keep_newer {
        true => "left waiting: readers see a newer row with the same key",
        false => "now in the place of a newer row with the same key (--keep-newer leaves such rows waiting)",
    };
    let places = replayed.overtaking.iter().take(OVERTAKING_SHOWN);
    let mut places: Vec<String> =
        places.map(|one| format!("{} {}", short(&one.id), plain(&one.place.to_string()))).collect();
    if replayed.overtaking.len() > OVERTAKING_SHOWN {
        places.push("…".to_owned());
    }
    let glyph = terminal.paint(Output::Result, Style::Magenta, terminal.glyph(Glyph::Warning));
    format!("{glyph} {count} {what}: {}\n", places.join(", "))
}

fn rows(count: u64) -> String {
    format!("{} {}", grouped(count), if count == 1 { "row" } else { "rows" })
}

fn wrong_line(wrong: &StillWrong) -> Line {
    let (id, code, place) = (wrong.id.clone(), wrong.code.clone(), wrong.place.to_string());
    Line { id, code, place, by: None, expected: wrong.message.clone() }
}

/// Shows the rows themselves: what a rehearsal is for.
fn rehearsed_text(seen: &[Rehearsed], limit: usize, terminal: &Terminal) -> String {
    if seen.is_empty() {
        return "nothing to replay\n".to_owned();
    }
    let mut text = String::new();
    for entry in seen {
        let (glyph, style, outcome) = match &entry.verdict {
            Verdict::Outdated { .. } => (Glyph::Warning, Style::Magenta, OUTDATED.to_owned()),
            Verdict::Goes { row, overtakes } => {
                let row = cells(row).to_string();
                match overtakes {
                    true => (Glyph::Warning, Style::Magenta, format!("{row}  readers see a newer row with this key")),
                    false => (Glyph::Good, Style::Green, row),
                }
            }
            Verdict::Filtered(_) => (Glyph::Good, Style::Green, "left out by the steps".to_owned()),
            Verdict::StillWrong(rejected) => {
                (Glyph::Warning, Style::Magenta, format!("still {}: {}", rejected.code, rejected.message))
            }
        };
        let glyph = terminal.paint(Output::Result, style, terminal.glyph(glyph));
        let place = plain(&entry.place.to_string());
        let _ = writeln!(text, "{glyph} {}  {place}  {outcome}", short(&entry.id));
    }
    if seen.len() >= limit {
        text.push_str("and perhaps more; raise --limit\n");
    }
    text.push_str("nothing was written; leave out --dry-run to replay\n");
    text
}

/// What cannot be shown does not keep the others from being shown.
fn cells(row: &Batch) -> Value {
    cells_of(row, 0).map_or(Value::Null, Value::Object)
}

fn rehearsed_json(entry: &Rehearsed) -> Value {
    let mut value = json!({"id": entry.id, "place": entry.place.to_string()});
    match &entry.verdict {
        Verdict::Outdated { generation, now } => {
            value["outdated"] = json!(true);
            (value["generation"], value["generation_now"]) = (json!(generation), json!(now));
        }
        Verdict::Goes { row, overtakes } => {
            value["row"] = cells(row);
            value["overtakes"] = json!(overtakes);
        }
        Verdict::Filtered(_) => value["filtered"] = json!(true),
        Verdict::StillWrong(rejected) => {
            value["code"] = json!(rejected.code);
            value["message"] = json!(rejected.message);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_api::RowOrigin;

    #[test]
    fn a_cell_is_set_by_column_and_text() {
        let set = edit("note=a=b").unwrap();
        assert_eq!((set.column.as_str(), set.text.as_str()), ("note", "a=b"));
        assert_eq!(edit("note=").unwrap().text, "");
        for wrong in ["note", "=12"] {
            assert_eq!(edit(wrong).unwrap_err().code_text(), Some("U0768"), "{wrong}");
        }
    }

    #[test]
    fn the_result_counts_what_went_through_and_names_what_did_not() {
        let place = RowOrigin::File { file: "a.csv".into(), delivery: "".into(), line: 7, byte: 99 };
        let wrong = StillWrong {
            id: "0123456789abcdef".into(),
            place,
            code: "bad_int".into(),
            message: "column `n`: not an int32".into(),
        };
        let replayed = Replayed { rows: 1_200, still_wrong: 1, told: vec![wrong], ..Replayed::default() };
        let text = replayed_text(&replayed, false, &Terminal::detect(true));
        for part in ["01234567 ", "bad_int", "a.csv:7", "1,200 rows replayed, 1 still wrong"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(replayed_text(&Replayed::default(), false, &Terminal::detect(true)), "nothing to replay\n");
    }
}
