//! Every transcript of the documentation comes out as it is shown: README, book, pages of connectors and examples.
#![allow(clippy::unwrap_used, reason = "tests stop at what they did not expect")]

mod replay;

use replay::Session;
use std::sync::Mutex;
use unbatch_docs_tests::fences::{Fence, fences};
use unbatch_docs_tests::transcript::{steps, unbatch_commands};
use unbatch_tidy_tests::Tree;

/// Pages that are played at the same time.
const SIDE_BY_SIDE: usize = 3;

/// Pages about decisions and changes show what was, not what is.
fn is_shown_to_users(path: &str) -> bool {
    path.ends_with(".md") && !path.starts_with("docs/decisions/") && path != "CHANGELOG.md"
}

#[test]
fn every_transcript_comes_out_as_it_is_shown() {
    let tree = Tree::checkout().unwrap();
    let (mut replayed, mut left_out, mut pages) = (0, 0, Vec::new());
    for (path, text) in tree.files().filter(|(path, _)| is_shown_to_users(path)) {
        let all = fences(text);
        let shown = all.iter().filter(|f| f.language() == "console");
        left_out += shown.clone().filter(|f| f.asks("norun")).count();
        let to_run = shown.filter(|f| !f.asks("norun")).count();
        replayed += to_run;
        if to_run > 0 {
            pages.push((path, all));
        }
    }
    let broken = play(pages);
    eprintln!("{replayed} blocks of console replayed, {left_out} marked norun");
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
    assert!(replayed >= 15, "only {replayed} blocks were found");
}

/// What did not come out, of all pages. Pages know nothing of each other, and mostly wait.
fn play(pages: Vec<(&str, Vec<Fence>)>) -> Vec<String> {
    let (pages, broken) = (Mutex::new(pages), Mutex::new(Vec::new()));
    let next = || pages.lock().unwrap().pop();
    let work = || {
        while let Some((path, fences)) = next() {
            let mut session = Session::new(path);
            let wrong = fences.iter().find_map(|fence| session.play(fence).err());
            session.close();
            broken.lock().unwrap().extend(wrong);
        }
    };
    std::thread::scope(|scope| (0..SIDE_BY_SIDE).for_each(|_| drop(scope.spawn(work))));
    broken.into_inner().unwrap()
}

/// Options and commands are spelt right, also in what is not run and in the middle of sentences.
#[test]
fn every_command_is_one_that_unbatch_knows() {
    let tree = Tree::checkout().unwrap();
    let (mut parsed, mut broken) = (0, Vec::new());
    for (path, text) in tree.files().filter(|(path, _)| is_shown_to_users(path)) {
        let mut check = |line: usize, command: &str, is_whole: bool| {
            for words in unbatch_commands(command) {
                parsed += 1;
                if let Err(why) = understood(&words, is_whole) {
                    broken.push(format!("{path}:{line}: {command}\n{why}"));
                }
            }
        };
        for fence in fences(text).iter().filter(|f| f.language() == "console") {
            for step in steps(&fence.text, fence.line) {
                check(step.line, &step.command, true);
            }
        }
        for (line, span) in spans(text) {
            check(line, span, false);
        }
    }
    eprintln!("{parsed} commands of unbatch are known");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(parsed > 50, "only {parsed} commands were found");
}

/// A sentence may name a command without its arguments, a transcript may not.
fn understood(words: &[String], is_whole: bool) -> Result<(), String> {
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion, MissingRequiredArgument,
        MissingSubcommand,
    };
    // `unbatch COMMAND --help` speaks of all of them
    if words.get(1).is_some_and(|word| word == "COMMAND") {
        return Ok(());
    }
    let Err(error) = unbatch::command_line().try_get_matches_from(words) else { return Ok(()) };
    match error.kind() {
        DisplayHelp | DisplayVersion => Ok(()),
        MissingRequiredArgument | MissingSubcommand | DisplayHelpOnMissingArgumentOrSubcommand if !is_whole => Ok(()),
        _ => Err(error.render().to_string()),
    }
}

/// `unbatch …` between backticks, outside of blocks. What has dots in it stands for several commands.
fn spans(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let code = line.split('`').skip(1).step_by(2);
            found.extend(code.filter(|c| c.starts_with("unbatch ") && !c.contains('…')).map(|c| (number + 1, c)));
        }
    }
    found
}
