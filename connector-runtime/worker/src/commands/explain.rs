//! `unbatch explain CODE`: what a code means and how to mend it.

use crate::answer::Answer;
use crate::arguments::Explain;
use crate::codes;
use crate::failure::Outcome;
use serde_json::json;
use unbatch_api::Error;

pub(crate) fn explain(args: &Explain) -> Outcome<Answer> {
    let code = args.code.trim().to_ascii_uppercase();
    let Some((code, title, meaning, remedy)) = codes::explain(&code) else {
        return Err(Error::misconfigured("explaining the code failed, there is no text about it")
            .code("U0740")
            .with("code", code)
            .help("codes look like U0102; the message that shows one also says what to do")
            .into());
    };
    let text = format!("{code}: {title}\n\n{meaning}\n\nhelp: {remedy}\n");
    Ok(Answer::new(text, json!({"code": code, "title": title, "meaning": meaning, "help": remedy})))
}
