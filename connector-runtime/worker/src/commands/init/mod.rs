//! `unbatch init`: a commented pipeline file from the real thing. What looks at the thing is a drafter of the registry; this
//! finds names and places, writes the files, and checks that what is written is valid.

mod file;
mod place;

use super::Context;
use crate::answer::Answer;
use crate::arguments::Init;
use crate::failure::{Failure, Outcome};
use crate::tables::{Align, table};
use crate::terminal::{Glyph, Output, Style, Terminal};
use file::{choices, written};
use place::Place;
use serde_json::json;
use std::fmt::Write;
use std::path::Path;
use unbatch_api::{Choice, Draft, DraftColumn, DraftRequest, Drafter, Error, PipelineName};
use unbatch_engine::Registry;
use unbatch_engine::config::{load_text, pipeline_schema};

pub(crate) fn init(args: &Init, cx: &Context) -> Outcome<Answer> {
    let drafter = drafter(args, &cx.registry)?;
    let place = Place::of(args.output.as_deref())?;
    if let Some(file) = place.file() {
        place::refuse_existing(file, args.force)?;
    }
    let request = DraftRequest { operands: args.operands.clone(), base: place.base().map(Path::to_owned) };
    let draft = super::async_runtime()?.block_on(drafter.draft(request))?;
    let name = place.pipeline(&draft.name)?;
    let target = place.target(&name);
    if let Some(target) = &target {
        place::refuse_existing(&target.file, args.force)?;
    }
    let text = written(&draft, &name, target.as_ref().map(|t| t.modeline.as_str()));
    check(&text, &name, &cx.registry)?;
    let choices = choices(&draft);
    let mut result = json!({
        "file": target.as_ref().map(|t| t.file.display().to_string()),
        "schema_file": target.as_ref().map(|t| t.schema.display().to_string()),
        "pipeline": name,
        "judged_by": draft.judged_by,
        "columns": draft.columns,
        "key": draft.key,
        "choices": choices,
        "remarks": draft.remarks,
    });
    let Some(target) = target else {
        result["text"] = json!(text);
        if !cx.terminal.json {
            cx.terminal.say(&told(&draft, &choices, &name, None, &cx.terminal, Output::Progress));
        }
        return Ok(Answer::new(text, result));
    };
    place::write_schema(&target.schema, &format!("{:#}\n", pipeline_schema(&cx.registry)))?;
    place::write(&target.file, &text, args.force)?;
    Ok(Answer::new(told(&draft, &choices, &name, Some(&target.file), &cx.terminal, Output::Result), result))
}

/// The drafter that `--from` names; without it the only one there is.
fn drafter<'a>(args: &Init, registry: &'a Registry) -> Outcome<&'a dyn Drafter> {
    let usage = |d: &dyn Drafter| format!("`unbatch init --from {} {}`", d.word(), d.operands());
    let known: Vec<String> = registry.drafters().map(usage).collect();
    let refuse = |why: &str| {
        let message = format!("choosing what to draft a pipeline from failed, {why}");
        Failure::from(Error::misconfigured(message).code("U0735").help(format!("write {}", known.join(", or "))))
    };
    let drafter = match &args.from {
        Some(word) => {
            registry.drafter_of(word).ok_or_else(|| refuse(&format!("this binary can draft nothing from `{word}`")))?
        }
        None => match registry.drafters().collect::<Vec<_>>().as_slice() {
            [only] => *only,
            _ => return Err(refuse("it is not said")),
        },
    };
    if args.operands.is_empty() {
        return Err(refuse("nothing is named"));
    }
    Ok(drafter)
}

/// What is written is valid, or it is not written.
fn check(text: &str, name: &PipelineName, registry: &Registry) -> Outcome<()> {
    let (_, found) = load_text(Path::new(&format!("{name}.yaml")), text, registry);
    match found.has_errors() {
        false => Ok(()),
        true => Err(Error::bug("checking the drafted pipeline failed, it is not valid")
            .code("U0738")
            .with("found", found.to_string())
            .into()),
    }
}

/// What a person reads about it.
fn told(
    draft: &Draft,
    choices: &[Choice],
    name: &PipelineName,
    file: Option<&Path>,
    terminal: &Terminal,
    output: Output,
) -> String {
    let good = terminal.paint(output, Style::Green, terminal.glyph(Glyph::Good));
    let what = match file {
        Some(file) => format!("wrote {}", file.display()),
        None => format!("drafted pipeline {name}"),
    };
    let head = terminal.fit(output, &format!("{good} {what}, judged by {}\n", draft.judged_by));
    let mut text = String::new();
    for remark in &draft.remarks {
        let _ = writeln!(text, "\nnote: {remark}");
    }
    let plural = if choices.len() == 1 { "" } else { "s" };
    let _ = writeln!(text, "\n{} choice{plural} for you, marked CHOICE in the file", choices.len());
    for choice in choices {
        let about = terminal.paint(output, Style::Bold, &choice.about);
        let _ = writeln!(text, "  {about}: {}", choice.why);
        let _ = writeln!(text, "      written: {}", choice.chosen);
        if !choice.instead.is_empty() {
            let _ = writeln!(text, "      instead: {}", choice.instead.join(", or "));
        }
    }
    let (save, shown) = match file {
        Some(file) => (String::new(), file.display().to_string()),
        None => (format!("save it as {name}.yaml, then "), format!("{name}.yaml")),
    };
    let _ = writeln!(text, "\nnext: {save}`unbatch preview {shown}`, then `unbatch run --dev --once {shown}`");
    // a table breaks its own lines
    format!("{head}\n{}{}", column_table(&draft.columns, terminal), terminal.fit(output, &text))
}

fn column_table(columns: &[DraftColumn], terminal: &Terminal) -> String {
    let shown = [("column", Align::Left), ("type", Align::Left), ("required", Align::Left), ("options", Align::Left)];
    let visible = |name: &str| {
        name.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() }).collect()
    };
    let rows = columns.iter().map(|c| {
        let required = if c.required { "yes" } else { "" };
        vec![visible(&c.name), c.column_type.clone(), required.to_owned(), c.options.join(", ")]
    });
    table(&shown, rows, terminal)
}
