//! `unbatch completions SHELL`, and what the scripts that it prints ask for at each Tab: the binary itself, with
//! [`ASKED_BY`] set. Names are those of now: of pipeline files, of the topics of a broker that answers at once, of this binary's
//! connectors and codes. A completion changes nothing, waits for nothing and says nothing when it fails.

use super::topics::is_internal;
use crate::answer::Answer;
use crate::arguments::{Arguments, Completions, Globals};
use crate::cluster_choice::{BROKERS_VARIABLE, Want, settle};
use crate::codes;
use crate::dev::{Found, Kept};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::pipeline_files::{find, stem};
use crate::run::signals::end_at_once;
use crate::runtime_file::setup;
use clap::{Arg, Command, CommandFactory};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::Shells;
use serde_json::json;
use std::io::Write;
use std::net::{TcpStream, ToSocketAddrs};
use std::panic;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use unbatch_api::Error;
use unbatch_api::error::CodeEntry;
use unbatch_engine::Registry;
use unbatch_kafka_client::Cluster;

/// The variable by which the scripts say for which shell they ask.
const ASKED_BY: &str = "UNBATCH_COMPLETE";
/// A broker that does not take a connection within this time gives no topics.
const KNOCK_TIME_MAX: Duration = Duration::from_millis(50);
/// One that does not name its topics within this time gives none either.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(150);
/// Brokers that are tried; a list of dead ones must not hold up the line.
const KNOCKS_MAX: usize = 2;

/// Prints the script for a shell.
pub(crate) fn completions(args: &Completions) -> Outcome<Answer> {
    let shell = args.shell.name();
    let shells = Shells::builtins();
    let adapter = shells.iter().find(|adapter| adapter.name() == shell);
    let mut script = Vec::new();
    let written =
        adapter.map(|adapter| adapter.write_registration(ASKED_BY, "unbatch", "unbatch", &own_name(), &mut script));
    match written {
        Some(Ok(())) => {
            let script = String::from_utf8_lossy(&script).into_owned();
            Ok(Answer::new(script.clone(), json!({"shell": shell, "script": script})))
        }
        _ => Err(Failure::Error(Error::bug("writing the completion script failed").with("shell", shell))),
    }
}

/// As it was called: found by name where it is installed, else by its place.
fn own_name() -> String {
    let called = PathBuf::from(std::env::args_os().next().unwrap_or_else(|| "unbatch".into()));
    let place = if called.components().count() > 1 { std::path::absolute(&called).unwrap_or(called) } else { called };
    place.to_string_lossy().into_owned()
}

/// Answers a shell that asks, and ends the process then.
pub(crate) fn answer_if_asked(registry: &Registry) {
    if std::env::var_os(ASKED_BY).is_none_or(|shell| shell.is_empty()) {
        return;
    }
    // a message would stand in the middle of the line that somebody types
    panic::set_hook(Box::new(|_| {}));
    let asked = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        let env = CompleteEnv::with_factory(|| command(registry)).var(ASKED_BY);
        env.try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref())
    }));
    let is_told = matches!(asked, Ok(Ok(_))) && std::io::stdout().flush().is_ok();
    // the client library would wait for its threads
    end_at_once(if is_told { Exit::Good } else { Exit::Failed })
}

/// The command line, with the values that its arguments can have now.
fn command(registry: &Registry) -> Command {
    let names = Arc::new(Names {
        words: std::env::args().skip_while(|word| word != "--").skip(1).collect(),
        connectors: registry.source_names().into_iter().chain(registry.sink_names()).collect(),
        codes: codes::all(registry),
    });
    with_names(Arguments::command(), &names)
}

fn with_names(command: Command, names: &Arc<Names>) -> Command {
    let is_of_connectors = command.get_name() == "connectors";
    let command = command.mut_args(|argument| with_values(argument, is_of_connectors, names));
    command.mut_subcommands(|inner| with_names(inner, names))
}

fn with_values(argument: Arg, is_of_connectors: bool, names: &Arc<Names>) -> Arg {
    let give: fn(&Names) -> Vec<CompletionCandidate> = match argument.get_id().as_str() {
        "name" if is_of_connectors => Names::connectors,
        "name" | "accept_change" => Names::pipelines,
        "topic" => Names::topics,
        "code" => Names::codes,
        _ => return argument,
    };
    let names = names.clone();
    argument.add(ArgValueCandidates::new(move || give(&names)))
}

struct Names {
    /// The line so far.
    words: Vec<String>,
    connectors: Vec<&'static str>,
    codes: Vec<CodeEntry>,
}

impl Names {
    /// The values of an option that stand in the line, as `--path x` or `--path=x`.
    fn given(&self, option: &str) -> Vec<&str> {
        let glued = self.words.iter().filter_map(|word| word.strip_prefix(option)?.strip_prefix('='));
        let apart = self.words.windows(2).filter(|pair| pair[0] == option).map(|pair| pair[1].as_str());
        glued.chain(apart).collect()
    }

    fn globals(&self) -> Globals {
        let last = |option| self.given(option).last().map(|value| (*value).to_owned());
        Globals { config: last("--config").map(PathBuf::from), brokers: last("--brokers"), ..Globals::default() }
    }

    /// By the files' names, which are the pipelines': none is read.
    fn pipelines(&self) -> Vec<CompletionCandidate> {
        let paths: Vec<PathBuf> = self.given("--path").into_iter().map(PathBuf::from).collect();
        let runtime_file = self.globals().config;
        let files = find(&paths, runtime_file.as_deref()).unwrap_or_default();
        files.iter().map(|file| CompletionCandidate::new(stem(file))).collect()
    }

    fn connectors(&self) -> Vec<CompletionCandidate> {
        self.connectors.iter().map(CompletionCandidate::new).collect()
    }

    fn codes(&self) -> Vec<CompletionCandidate> {
        // of refused rows only the reasons, which are words
        let of_rows = self.words.iter().any(|word| word == "quarantine");
        let is_meant = |code: &str| !of_rows || code.starts_with(|c: char| c.is_ascii_lowercase());
        let known = self.codes.iter().filter(|(code, ..)| is_meant(code));
        known.map(|(code, title, ..)| CompletionCandidate::new(*code).help(Some((*title).into()))).collect()
    }

    fn topics(&self) -> Vec<CompletionCandidate> {
        topic_names(self.globals(), self.words.iter().any(|word| word == "--dev")).unwrap_or_default()
    }
}

/// Of the cluster that the command would ask. What `run --dev` kept and nobody serves is not served for this.
fn topic_names(mut globals: Globals, dev: bool) -> Option<Vec<CompletionCandidate>> {
    let is_named = globals.brokers.is_some() || std::env::var_os(BROKERS_VARIABLE).is_some_and(|v| !v.is_empty());
    if dev || !is_named {
        match Kept::here().look() {
            Found::Running(address) => globals.brokers = Some(address),
            _ if dev => return None,
            _ => {}
        }
    }
    let mut setup = setup(&globals).ok()?;
    settle(&mut setup, &globals, Want::Run).ok()?;
    let cluster = Arc::new(Cluster::resolve(&setup.config.kafka, setup.resolver.as_ref()).ok()?);
    let answers = cluster.brokers().split(',').take(KNOCKS_MAX).any(knock);
    if !answers {
        return None;
    }
    let (sender, names) = channel();
    std::thread::spawn(move || {
        let names = cluster.admin().and_then(|admin| admin.topic_names());
        // whoever asked may have gone
        let _ = sender.send(names);
    });
    let names = names.recv_timeout(ANSWER_TIME_MAX).ok()?.ok()?;
    let shown = names.into_iter().filter(|name| !is_internal(name, setup.deployment.as_str()));
    Some(shown.map(CompletionCandidate::new).collect())
}

fn knock(broker: &str) -> bool {
    let broker = broker.trim().rsplit("//").next().unwrap_or_default();
    let mut addresses = broker.to_socket_addrs().into_iter().flatten();
    addresses.any(|address| TcpStream::connect_timeout(&address, KNOCK_TIME_MAX).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::built_in;

    fn names(line: &str) -> Names {
        let words = line.split(' ').map(str::to_owned).collect();
        Names { words, connectors: vec!["topic"], codes: codes::all(&built_in()) }
    }
    fn values(candidates: &[CompletionCandidate]) -> Vec<&str> {
        candidates.iter().filter_map(|c| c.get_value().to_str()).collect()
    }

    #[test]
    fn what_the_line_says_so_far_is_heard() {
        let names = names("unbatch --config=a.yaml status --path x --brokers b:1 --path=y --path");
        assert_eq!(names.given("--path"), ["y", "x"]);
        let globals = names.globals();
        assert_eq!((globals.brokers.as_deref(), globals.config), (Some("b:1"), Some(PathBuf::from("a.yaml"))));
    }

    #[test]
    fn rows_are_refused_for_reasons_and_errors_have_numbers() {
        let explained = names("unbatch explain U01");
        assert!(values(&explained.codes()).contains(&"U0102") && values(&explained.codes()).contains(&"bad_decimal"));
        let refused = names("unbatch quarantine list stock --code b");
        assert!(values(&refused.codes()).iter().all(|code| !code.starts_with('U')));
        assert!(values(&refused.codes()).contains(&"bad_decimal"));
    }

    #[test]
    fn every_command_with_a_name_knows_where_names_come_from() {
        fn count(command: &Command) -> usize {
            let own = command.get_arguments().filter(|a| a.get::<ArgValueCandidates>().is_some()).count();
            own + command.get_subcommands().map(count).sum::<usize>()
        }
        let all = with_names(Arguments::command(), &Arc::new(names("unbatch")));
        assert!(count(&all) >= 12, "{}", count(&all));
    }

    #[test]
    fn a_broker_that_is_not_there_gives_no_topics() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        assert!(topic_names(Globals { brokers: Some(free), ..Globals::default() }, false).is_none());
    }
}
