//! The worker: command line, HTTP API, and the list of connectors. A binary is one line around [`main`], with the
//! connectors it is to have; [`connectors`] shows it.
//!
//! ```text
//! arguments -> commands -> answer (stdout, text or one JSON envelope) | failure (stderr) -> exit code
//! run -> engine              demo -> embedded broker + a child process that runs `unbatch run`
//! ```

mod answer;
mod arguments;
mod cluster_choice;
pub mod codes;
mod commands;
pub mod connectors;
mod demo;
mod dev;
mod durations;
mod exit;
mod failure;
mod http;
mod logs;
mod misspelt;
mod panics;
mod pipeline_files;
mod run;
mod runtime_file;
mod tables;
mod terminal;
mod topic_scan;

use answer::{Answer, envelope};
use arguments::{Arguments, Command, LogFormat};
use clap::Parser;
use commands::Context;
use failure::Failure;
use logs::Beside;
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;
use terminal::Terminal;
use unbatch_api::Error;
use unbatch_engine::Registry;

/// Every binary that is a worker has it; see the manifest of the workspace for why.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use exit::Exit;
pub use runtime_file::RuntimeConfig;

/// Does what the command line of this process says, with these connectors; the result is what `main` returns.
pub fn main(registry: Registry) -> ExitCode {
    commands::completions::answer_if_asked(&registry);
    panics::install();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let words: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
            return refuse(&misspelt::with_suggestion(error, command_line(), &words));
        }
    };
    let Arguments { globals, command } = arguments;
    let terminal = Terminal::detect(globals.json);
    logs::start(globals.log_format, beside(&command, &terminal), &terminal);
    let name = command.name();
    let cx = Context { registry, globals, terminal };
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| commands::dispatch(command, &cx)));
    let outcome = match ended {
        Ok(outcome) => outcome,
        // the hook has told it to a person; a script gets its envelope
        Err(_) if cx.terminal.json => Err(Failure::Error(
            Error::bug("running the command failed, a part of unbatch stopped unexpectedly").code("U0900"),
        )),
        Err(_) => return Exit::Failed.into(),
    };
    let exit = match outcome {
        Ok(answer) => tell(name, &answer, &cx),
        Err(failure) => tell_failure(name, &failure, &cx),
    };
    exit.into()
}

/// The command line as it is understood, for what is made from it: the reference of commands, completions.
pub fn command_line() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// An unattended run has nothing but its logs.
fn beside(command: &Command, terminal: &Terminal) -> Beside {
    match command {
        Command::Run(run) if !run.once && !terminal.is_watched => Beside::Nothing,
        _ => Beside::Messages,
    }
}

fn tell(command: &str, answer: &Answer, cx: &Context) -> Exit {
    if let Some(failure) = answer.failure()
        && !cx.terminal.json
    {
        complain(failure, cx);
    }
    let written = match (answer.is_told(), cx.terminal.json) {
        (true, _) => Ok(()),
        (false, true) => cx.terminal.result(&answer.envelope(command)),
        (false, false) => cx.terminal.result(answer.text()),
    };
    match written {
        Ok(()) => answer.code(),
        Err(error) => tell_failure(command, &Failure::from(error), cx),
    }
}

fn tell_failure(command: &str, failure: &Failure, cx: &Context) -> Exit {
    let exit = failure.exit();
    if cx.terminal.json && !matches!(failure, Failure::ReaderGone) {
        if cx.terminal.result(&envelope(command, exit, &Value::Null, Some(failure))).is_err() {
            // stdout may be what failed
            complain(failure, cx);
        }
    } else {
        complain(failure, cx);
    }
    exit
}

/// For a person, or as one line of a log that machines read.
fn complain(failure: &Failure, cx: &Context) {
    match cx.globals.log_format {
        LogFormat::Json => tracing::error!(exit = failure.exit().code(), "{}", failure.one_line()),
        LogFormat::Text => cx.terminal.say_if_any(&failure.render(&cx.terminal)),
    }
}

/// What clap says about a wrong command line, or the help that was asked for.
fn refuse(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|a| a == "--json");
    if error.use_stderr() && wants_json {
        let message = error.render().to_string();
        let error = json!({"code": "U0700", "kind": "misconfigured", "message": message.trim_end(), "exit": 2});
        let envelope = json!({"command": null, "ok": false, "result": null, "error": error});
        let _ = Terminal::detect(true).result(&envelope.to_string());
    } else {
        let written = error.print().and_then(|()| std::io::stdout().flush());
        // nobody listening is no reason to fail, but who asked for help and got none has to know
        if let (Err(cause), false) = (written, error.use_stderr()) {
            let (terminal, failure) = (Terminal::detect(false), Failure::from(cause));
            terminal.say_if_any(&failure.render(&terminal));
            return failure.exit().into();
        }
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Misconfigured.code()))
}
