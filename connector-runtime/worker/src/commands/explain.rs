//! `unbatch explain [CODE]`: what a code means and how to mend it, or all codes.

use super::Context;
use crate::answer::Answer;
use crate::arguments::Explain;
use crate::codes;
use crate::failure::Outcome;
use crate::tables::{Align, table};
use crate::terminal::Output;
use serde_json::{Value, json};
use unbatch_api::Error;
use unbatch_api::error::CodeEntry;

/// The result is `{"codes": [{code, title, meaning, help}]}` either way.
pub(crate) fn explain(args: &Explain, cx: &Context) -> Outcome<Answer> {
    let Some(code) = args.code.as_deref().map(str::trim) else {
        let all = codes::all(&cx.registry);
        let rows = all.iter().map(|(code, title, ..)| vec![(*code).to_owned(), (*title).to_owned()]);
        let columns = [("code", Align::Left), ("", Align::Left)];
        return Ok(Answer::new(table(&columns, rows, &cx.terminal), result(&all)));
    };
    let found = codes::explain(&cx.registry, code);
    if found.is_empty() {
        return Err(Error::misconfigured("explaining the code failed, there is no text about it")
            .code("U0740")
            .with("code", code)
            .help("codes look like U0102, reasons of refused rows like bad_decimal; `unbatch explain` lists all")
            .into());
    }
    let texts: Vec<String> = found
        .iter()
        .map(|(code, title, meaning, help)| format!("{code}: {title}\n\n{meaning}\n\nhelp: {help}\n"))
        .collect();
    Ok(Answer::new(cx.terminal.fit(Output::Result, &texts.join("\n")), result(&found)))
}

fn result(entries: &[CodeEntry]) -> Value {
    let entry = |(code, title, meaning, help): &CodeEntry| json!({"code": code, "title": title, "meaning": meaning, "help": help});
    json!({"codes": entries.iter().map(entry).collect::<Vec<_>>()})
}
