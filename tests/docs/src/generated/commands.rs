//! The reference of commands, from the definition of the command line.

use super::{cell, prose};
use clap::{Arg, ArgAction, Command};

/// A chapter for each command, after one about the options that all have.
pub(super) fn reference(mut command: Command) -> String {
    command.build();
    let mut text = "## Options of every command\n\n".to_owned();
    text.push_str(&rows(command.get_arguments().filter(|a| a.is_global_set())));
    for sub in listed(&command) {
        describe(sub, "unbatch", &mut text);
    }
    text
}

fn describe(command: &Command, parent: &str, text: &mut String) {
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    text.push_str(&format!("\n## {name}\n\n{}.\n", prose(about.trim_end_matches('.'))));
    if command.has_subcommands() {
        for sub in listed(command) {
            describe(sub, &name, text);
        }
        return;
    }
    text.push_str(&format!("\n```text\n{}\n```\n", usage(command, &name)));
    let own: Vec<&Arg> = command.get_arguments().filter(|a| !a.is_global_set() && is_listed(a)).collect();
    if !own.is_empty() {
        text.push('\n');
        text.push_str(&rows(own.into_iter()));
    }
    if let Some(after) = command.get_after_long_help().or(command.get_after_help()) {
        text.push_str(&format!("\n```text\n{}\n```\n", after.to_string().trim_end()));
    }
}

fn listed(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help")
}

fn is_listed(arg: &Arg) -> bool {
    !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version")
}

fn usage(command: &Command, name: &str) -> String {
    let usage = command.clone().render_usage().to_string();
    let line = usage.trim_start_matches("Usage:").trim();
    // with or without the name of the binary in front, as clap's build left it
    match line.find(command.get_name()) {
        Some(at) => format!("{name}{}", &line[at + command.get_name().len()..]),
        None => line.to_owned(),
    }
}

fn rows<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    let mut text = "| | |\n|---|---|\n".to_owned();
    for arg in arguments {
        let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
        text.push_str(&format!("| {} | {} |\n", term(arg), cell(&(prose(&help) + &more(arg)))));
    }
    text
}

/// `--limit N`, `NAME…`
fn term(arg: &Arg) -> String {
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let value = match arg.get_value_names() {
        Some(names) => names.iter().map(|n| n.to_string()).collect::<Vec<_>>().join(" "),
        None => arg.get_id().as_str().to_uppercase(),
    };
    // a bar would end the cell of the table
    let value = value.replace('|', "\\|");
    match (arg.get_long(), arg.get_short()) {
        (None, None) if matches!(arg.get_action(), ArgAction::Append) => format!("`{value}…`"),
        (None, None) => format!("`{value}`"),
        (Some(long), _) if takes => format!("`--{long} {value}`"),
        (Some(long), _) => format!("`--{long}`"),
        (None, Some(short)) => format!("`-{short} {value}`"),
    }
}

fn more(arg: &Arg) -> String {
    let mut text = String::new();
    let choices: Vec<String> = arg.get_possible_values().iter().map(|v| format!("`{}`", v.get_name())).collect();
    if matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) && !choices.is_empty() {
        text.push_str(&format!(". One of {}", choices.join(", ")));
    }
    let defaults: Vec<String> = arg.get_default_values().iter().map(|v| format!("`{}`", v.to_string_lossy())).collect();
    if !defaults.is_empty() && matches!(arg.get_action(), ArgAction::Set) {
        text.push_str(&format!(". Default {}", defaults.join(" ")));
    }
    text
}
