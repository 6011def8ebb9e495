//! "Did you mean" of the command line. Clap has its own, by a measure that knows no swapped letters and gives up on short words:
//! `--dve` has nothing in common with `--dev` there. Where it finds nothing, ours looks.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use unbatch_engine::config::nearest;

/// The error with the word that is most likely meant, where there is one. `words`: the command line without the program.
pub(crate) fn with_suggestion(mut error: clap::Error, command: clap::Command, words: &[String]) -> clap::Error {
    let Some((wrong, as_what)) = wrong_word(&error) else { return error };
    if error.get(as_what).is_some() {
        return error;
    }
    let meant = match as_what {
        ContextKind::SuggestedArg => meant_option(&as_typed(&wrong, words), command, words),
        ContextKind::SuggestedSubcommand => {
            let here = reached(command, words);
            nearest(&wrong, here.get_subcommands().map(clap::Command::get_name)).map(str::to_owned)
        }
        _ => match error.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(valid)) => nearest(&wrong, valid.iter().map(String::as_str)).map(str::to_owned),
            _ => None,
        },
    };
    if let Some(meant) = meant {
        // how to pass it as a value, which it is not
        error.remove(ContextKind::Suggested);
        error.insert(as_what, ContextValue::String(meant));
    }
    error
}

/// What was not understood, and where its correction belongs.
fn wrong_word(error: &clap::Error) -> Option<(String, ContextKind)> {
    let (wrong, as_what) = match error.kind() {
        ErrorKind::UnknownArgument => (ContextKind::InvalidArg, ContextKind::SuggestedArg),
        ErrorKind::InvalidSubcommand => (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand),
        ErrorKind::InvalidValue => (ContextKind::InvalidValue, ContextKind::SuggestedValue),
        _ => return None,
    };
    match error.get(wrong)? {
        ContextValue::String(word) => Some((word.clone(), as_what)),
        _ => None,
    }
}

/// Clap reads `-dev` as `-d`.
fn as_typed(wrong: &str, words: &[String]) -> String {
    let is_cut = wrong.starts_with('-') && !wrong.starts_with("--");
    let whole = words.iter().find(|word| is_cut && word.starts_with(wrong));
    whole.map_or_else(|| wrong.to_owned(), Clone::clone)
}

fn meant_option(wrong: &str, command: clap::Command, words: &[String]) -> Option<String> {
    // an operand that is one too many has no near option
    let bare = wrong.strip_prefix('-')?.trim_start_matches('-');
    let bare = bare.split_once('=').map_or(bare, |(name, _)| name);
    let here = reached(command, words);
    nearest(bare, here.get_arguments().filter_map(clap::Arg::get_long)).map(|long| format!("--{long}"))
}

/// The command that the words lead to, with the options that every command knows.
fn reached(mut command: clap::Command, words: &[String]) -> clap::Command {
    command.build();
    for word in words {
        if let Some(next) = command.find_subcommand(word) {
            command = next.clone();
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_has_its_right_form_beside_it() {
        for (line, meant) in [
            ("run --dve", "'--dev'"),
            ("run -dev", "'--dev'"),
            ("run --onec", "'--once'"),
            ("run --brokres=b:1", "'--brokers'"),
            ("topics read orders --folow", "'--follow'"),
            ("topics read orders --jsno", "'--json'"),
            ("rnu", "'run'"),
            ("topics raed orders", "'read'"),
            ("quarantine lits", "'list'"),
            ("validate --format conicse", "'concise'"),
            ("--log-format jsno run", "'json'"),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let command = crate::command_line();
            let error = command.clone().try_get_matches_from(["unbatch".to_owned()].iter().chain(&words)).unwrap_err();
            let text = with_suggestion(error, command, &words).to_string();
            assert!(text.contains(&format!("exists: {meant}")), "{line}\n{text}");
            assert!(!text.contains("as a value"), "{line}\n{text}");
        }
    }

    #[test]
    fn what_is_like_nothing_stays_as_it_is() {
        for line in ["run --frobnicate", "frobnicate", "validate --format xml", "version what", "run -x"] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let command = crate::command_line();
            let error = command.clone().try_get_matches_from(["unbatch".to_owned()].iter().chain(&words)).unwrap_err();
            let before = error.to_string();
            assert_eq!(with_suggestion(error, command, &words).to_string(), before, "{line}");
        }
    }
}
