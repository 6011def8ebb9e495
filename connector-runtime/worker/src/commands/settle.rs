//! `unbatch quarantine settle`: entries that no replay mends, or whose rows came again by themselves, leave the list without a row.

use super::Context;
use super::quarantine::survey::is_of_a_file;
use super::quarantine::table::{Line, entries_table, plain, wrapped};
use super::quarantine::unreadable_told;
use super::replay::{ids_are_known, survey, until_told_to_stop};
use crate::answer::Answer;
use crate::arguments::Settle;
use crate::failure::{Failure, Outcome};
use crate::pipeline_files::find_one;
use crate::terminal::{Glyph, Output, Style, Terminal};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use unbatch_api::figures::grouped;
use unbatch_api::quarantine::{QuarantineFilter, Settlement, UnreadableEntry};
use unbatch_api::{Error, QuarantineEntry, Result, RowOrigin, SplitId};
use unbatch_engine::Scene;
use unbatch_engine::config::PipelineSpec;
use unbatch_engine::replay::{self as engine, Settled};
use unbatch_engine::run::check_context;

/// Entries that are asked for at once.
const PAGE: usize = 500;
/// Entries that are shown before they are settled, to a person and to a program; all are counted.
const LINES_SHOWN: usize = 20;
const ENTRIES_TOLD: usize = 1_000;
/// Files that are named, and unreadable places that are remembered.
const FILES_SHOWN: usize = 5;
/// Of a reason; it is kept with each entry, which has to fit into a record.
const REASON_CHARS_MAX: usize = 300;

pub(super) fn settle(args: &Settle, cx: &Context) -> Outcome<Answer> {
    let how = Settlement { reason: reason(args.reason.as_deref())? };
    let ids = if args.ids.is_empty() { None } else { Some(args.ids.clone()) };
    let filter = QuarantineFilter { code: args.code.clone(), ids, with_replayed: false };
    let looking = cx.look(args.pipeline.dev.dev)?;
    let spec = find_one(&args.pipeline.name, &args.pipeline.paths, looking.setup.file.as_deref(), &cx.registry)?;
    let scene = looking.scene();
    let runtime = super::async_runtime()?;
    runtime.block_on(ids_are_known(&spec, &scene, &args.ids))?;
    if let Some(code) = &args.code {
        runtime.block_on(survey(&spec, &scene, &filter))?.knows(code, &cx.registry)?;
    }
    let planned = runtime.block_on(planned(&spec, &scene, &filter))?;
    if planned.count == 0 || !args.yes {
        let answer = proposed(&planned, &spec, args, &cx.terminal);
        return Ok(unreadable_told(answer, &planned.unreadable));
    }
    let working =
        until_told_to_stop(&cx.terminal, async |stopped| engine::settle(&spec, &scene, filter, how, stopped).await);
    let (settled, error) = runtime.block_on(working)?;
    // who was refused altogether is not told that there was nothing
    let text = match error.is_some() && settled.settled == 0 {
        true => String::new(),
        false => settled_text(&settled, &planned.files, &cx.terminal),
    };
    let mut result = json!(settled);
    result["pipeline"] = json!(spec.name);
    result["dry_run"] = json!(false);
    let answer = Answer::new(text, result);
    Ok(match error {
        Some(error) => answer.failed(Failure::Error(error)),
        None => unreadable_told(answer, &settled.unreadable),
    })
}

fn reason(text: Option<&str>) -> Result<Option<String>> {
    match text.map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) if text.chars().count() <= REASON_CHARS_MAX => Ok(Some(text.to_owned())),
        Some(text) => Err(Error::misconfigured("reading --reason failed, it is too long")
            .code("U0769")
            .with("characters", text.chars().count())
            .with("most", REASON_CHARS_MAX)
            .help("say it in fewer words: it is kept with each entry")),
    }
}

/// What waits and was chosen.
#[derive(Default)]
struct Planned {
    count: u64,
    lines: Vec<Line>,
    entries: Vec<Value>,
    /// Files that were set aside, of which an entry is one.
    files: BTreeSet<String>,
    unreadable: Vec<UnreadableEntry>,
}

impl Planned {
    fn add(&mut self, entry: QuarantineEntry) {
        self.count += 1;
        if let (true, RowOrigin::File { file, .. }) = (is_of_a_file(&entry), &entry.origin)
            && self.files.len() <= FILES_SHOWN
        {
            self.files.insert(file.to_string());
        }
        let place = entry.origin.to_string();
        if self.entries.len() < ENTRIES_TOLD {
            self.entries.push(json!({"id": entry.id, "code": entry.code, "place": place, "message": entry.message}));
        }
        if self.lines.len() < LINES_SHOWN {
            self.lines.push(Line { id: entry.id, code: entry.code, place, by: None, expected: entry.message });
        }
    }
}

async fn planned(spec: &PipelineSpec, scene: &Scene, filter: &QuarantineFilter) -> Result<Planned> {
    let place = check_context(spec, scene, SplitId::new(spec.name.clone(), 0));
    let mut reader = spec.sink.quarantine(place).await?;
    let (mut planned, mut after) = (Planned::default(), None);
    loop {
        let page = reader.list(filter, after.as_deref(), PAGE).await?;
        page.entries.into_iter().for_each(|entry| planned.add(entry));
        let room = ENTRIES_TOLD.saturating_sub(planned.unreadable.len());
        planned.unreadable.extend(page.unreadable.into_iter().take(room));
        match page.next {
            None => return Ok(planned),
            next => after = next,
        }
    }
}

/// What would be settled; nothing is.
fn proposed(planned: &Planned, spec: &PipelineSpec, args: &Settle, terminal: &Terminal) -> Answer {
    let result = json!({"pipeline": spec.name, "dry_run": args.dry_run, "settled": 0, "waiting": planned.count,
                        "entries": planned.entries, "unreadable": planned.unreadable});
    if planned.count == 0 {
        return Answer::new("nothing to settle: no chosen entry waits\n", result);
    }
    let mut text = entries_table(&planned.lines, "what was expected", terminal);
    if planned.count > planned.lines.len() as u64 {
        text.push_str(&format!("and {} more\n", grouped(planned.count - planned.lines.len() as u64)));
    }
    let told = format!(
        "{} would leave the list for good: `replay` takes no row of {} any more",
        entries(planned.count),
        if planned.count == 1 { "it" } else { "them" }
    );
    text.push_str(&sentence(&told, terminal));
    if args.dry_run {
        text.push_str("nothing was changed; --yes in place of --dry-run settles them\n");
        return Answer::new(text, result);
    }
    text.push_str("nothing was changed\n");
    let error = Error::misconfigured("settling refused rows without consent is not allowed")
        .code("U0766")
        .with("pipeline", &spec.name)
        .help("look at them with `unbatch quarantine show`, then run the same command with --yes");
    Answer::new(text, result).failed(Failure::Error(error))
}

fn settled_text(settled: &Settled, files: &BTreeSet<String>, terminal: &Terminal) -> String {
    if settled.settled == 0 {
        return "nothing to settle: no chosen entry waits\n".to_owned();
    }
    let mut text = String::new();
    if !files.is_empty() {
        let mut names: Vec<String> = files.iter().take(FILES_SHOWN).map(|file| plain(file)).collect();
        if files.len() > FILES_SHOWN {
            names.push("…".to_owned());
        }
        let glyph = terminal.paint(Output::Result, Style::Magenta, terminal.glyph(Glyph::Warning));
        let told = format!(
            "{glyph} set aside still: {}. Once the pipeline can read it a file goes on all the same",
            names.join(", ")
        );
        text.push_str(&sentence(&told, terminal));
    }
    let glyph = terminal.paint(Output::Result, Style::Green, terminal.glyph(Glyph::Good));
    text.push_str(&format!("{glyph} {} settled\n", entries(settled.settled)));
    text
}

fn sentence(text: &str, terminal: &Terminal) -> String {
    wrapped(&text.split(' ').map(str::to_owned).collect::<Vec<_>>(), terminal)
}

fn entries(count: u64) -> String {
    format!("{} {}", grouped(count), if count == 1 { "entry" } else { "entries" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_engine::replay::Place;

    #[test]
    fn a_reason_is_trimmed_and_short_or_refused() {
        assert_eq!(reason(Some("  delivered anew ")).unwrap().as_deref(), Some("delivered anew"));
        assert_eq!((reason(None).unwrap(), reason(Some(" ")).unwrap()), (None, None));
        assert!(reason(Some(&"é".repeat(REASON_CHARS_MAX))).is_ok());
        let error = reason(Some(&"é".repeat(REASON_CHARS_MAX + 1))).unwrap_err();
        assert_eq!(error.code_text(), Some("U0769"), "{error:?}");
    }

    #[test]
    fn a_file_that_stays_set_aside_is_told_and_nothing_is_said_to_be_nothing() {
        let place = RowOrigin::File { file: "a.csv".into(), delivery: "".into(), line: 1, byte: 0 };
        let one = Settled { settled: 1, entries: vec![Place { id: "0f".into(), place }], ..Settled::default() };
        let terminal = Terminal::detect(true);
        let text = settled_text(&one, &BTreeSet::from(["a.csv".to_owned()]), &terminal);
        assert!(text.contains("set aside still: a.csv.") && text.contains("1 entry settled\n"), "{text}");
        assert!(!settled_text(&one, &BTreeSet::new(), &terminal).contains("set aside"));
        assert!(settled_text(&Settled::default(), &BTreeSet::new(), &terminal).contains("nothing to settle"));
    }
}
