//! The command line. What each command means is said here once; `--help` is made from it.

mod settle;

use clap::{Args, Parser, Subcommand, ValueEnum};
pub(crate) use settle::Settle;
use std::path::PathBuf;
use unbatch_api::config::Period;

/// Takes a company off its nightly batch: files become live topics, exactly once.
#[derive(Debug, Parser)]
#[command(name = "unbatch", version, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "Begin with `unbatch demo`: it needs no server and takes some seconds.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command knows, before or after its name.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Globals {
    /// The runtime file; ./unbatch.yaml when there
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global")]
    pub(crate) config: Option<PathBuf>,
    /// Kafka's address; else UNBATCH_KAFKA_BROKERS, then the runtime file
    #[arg(long, global = true, value_name = "HOST:PORT,…", help_heading = "Global")]
    pub(crate) brokers: Option<String>,
    /// Results as one JSON document: command, ok, result, error
    #[arg(long, global = true, help_heading = "Global")]
    pub(crate) json: bool,
    /// How logs are written to stderr; UNBATCH_LOG sets their level
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT", help_heading = "Global")]
    pub(crate) log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the main job on this machine: files become a topic, one worker is killed, nothing is lost or doubled
    Demo(Demo),
    /// Write a commented pipeline file from the real thing, such as sampled CSV files
    Init(Init),
    /// Run pipelines until SIGTERM or SIGINT
    Run(Run),
    /// Check pipeline files and the runtime file, all errors at once
    Validate(Validate),
    /// Show the first rows of a pipeline after its steps; needs no broker, writes and commits nothing
    Preview(Preview),
    /// List topics, read records
    #[command(subcommand)]
    Topics(Topics),
    /// Look at the rows that were refused, and replay them
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// Positions of stopped pipelines: see them, move them, forget them
    #[command(subcommand)]
    Offsets(Offsets),
    /// What the running worker is doing
    Status(Status),
    /// The pipelines of the running worker, live; prints them once when stdout is no terminal
    Top(Top),
    /// What is built in, and the options of one connector
    Connectors(Connectors),
    /// JSON Schema of the pipeline file or the runtime file, for editors
    Schema(Schema),
    /// What the code of an error or of a refused row means and how to mend it
    Explain(Explain),
    /// Completion for a shell: names of commands, options, pipelines, topics, connectors and codes
    Completions(Completions),
    /// The version of this binary
    Version,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Seed of the sample data
    #[arg(long, default_value_t = 20_261)]
    pub(crate) seed: u64,
    /// Keep the demo's folder and print where it is
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: unbatch init --from csv drops/prices_2026-03-01.csv drops/prices_2026-03-02.csv")]
pub(crate) struct Init {
    /// What is looked at: csv
    #[arg(long, value_name = "WORD")]
    pub(crate) from: Option<String>,
    /// For csv: files of one kind; of each the first 1 MiB and the last 64 KiB are read, of 20 files at most
    #[arg(value_name = "FILE")]
    pub(crate) operands: Vec<String>,
    /// The pipeline file, or its folder; - is standard output. Default: pipelines/NAME.yaml
    #[arg(long, short, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// Replace the file if there is one
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Preview {
    /// Name of the pipeline, or its file
    #[arg(value_name = "PIPELINE")]
    pub(crate) name: String,
    /// Show at most so many rows, and as many refused ones
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = at_least_one)]
    pub(crate) limit: usize,
    /// Pipeline files or folders of them; pipelines/, or the *.yaml of the current folder
    #[arg(long = "path", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("a whole number from 1 on is expected".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Pipeline files or folders of them; pipelines/, or the *.yaml of the current folder
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Take what is there now, commit it, print a summary and end
    #[arg(long)]
    pub(crate) once: bool,
    /// With a broker of its own (kept under .unbatch/), reloading files that change
    #[arg(long, conflicts_with = "brokers")]
    pub(crate) dev: bool,
    /// Go on although this pipeline's source is not the same as before
    #[arg(long, value_name = "NAME")]
    pub(crate) accept_change: Vec<String>,
    /// Without the HTTP API
    #[arg(long)]
    pub(crate) no_http: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Pipeline files or folders of them; pipelines/, or the *.yaml of the current folder
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Also ask the systems whether a run could start
    #[arg(long)]
    pub(crate) online: bool,
    /// With --online: ask the broker of `run --dev`, not the one that `run` would use
    #[arg(long, requires = "online", conflicts_with = "brokers")]
    pub(crate) dev: bool,
    /// In which form to write what was found; columns count characters. Not together with --json
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<ValidateFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ValidateFormat {
    /// With snippets, for a person (this is the default)
    Full,
    /// One line for each
    Concise,
    /// Workflow commands, which GitHub shows at the lines of a change
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// Which broker the reading commands ask.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Dev {
    /// Ask the broker of `run --dev`; when it is not running, what it kept under .unbatch/
    #[arg(long, conflicts_with = "brokers")]
    pub(crate) dev: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Topics {
    /// Topics with partitions, copies and offsets in use; markers of transactions take offsets too
    List {
        #[command(flatten)]
        dev: Dev,
        /// Also the internal ones
        #[arg(long)]
        all: bool,
    },
    /// Records of a topic, as readers that honour transactions see them
    Read(ReadTopic),
}

#[derive(Debug, Args)]
pub(crate) struct ReadTopic {
    #[command(flatten)]
    pub(crate) dev: Dev,
    pub(crate) topic: String,
    /// start, end, an offset, or a time like 2026-11-23T04:00:00Z
    #[arg(long, default_value = "start", value_name = "start|end|OFFSET|TIME")]
    pub(crate) from: String,
    /// Stop after so many records
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Go on with records that are still to come; a topic that is not there yet is waited for, and so is `run --dev` in this
    /// folder where no other cluster is named
    #[arg(long)]
    pub(crate) follow: bool,
    /// Also what was never committed or not yet
    #[arg(long)]
    pub(crate) uncommitted: bool,
    /// Also the headers: origin, revision, transaction
    #[arg(long)]
    pub(crate) headers: bool,
}

/// Where a pipeline is found by its name.
#[derive(Clone, Debug, Args)]
pub(crate) struct Pipeline {
    /// Name of the pipeline
    pub(crate) name: String,
    /// Pipeline files or folders of them; pipelines/, or the *.yaml of the current folder
    #[arg(long = "path", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) dev: Dev,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Quarantine {
    /// Refused rows with reason and place, without their content
    List {
        #[command(flatten)]
        pipeline: Pipeline,
        /// Only rows refused for this reason
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
        /// Show at most so many, oldest first
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: usize,
        /// Also those whose rows went through, whose files were read later, or that were settled
        #[arg(long)]
        all: bool,
        /// Exit with 4 when there is any
        #[arg(long)]
        exit_code: bool,
    },
    /// Refused rows with their content
    Show {
        #[command(flatten)]
        pipeline: Pipeline,
        /// Ids as `list` shows them; their beginning is enough
        #[arg(value_name = "ID")]
        ids: Vec<String>,
        /// The same, as `replay` takes them
        #[arg(long = "ids", value_name = "ID,…", value_delimiter = ',')]
        more_ids: Vec<String>,
        /// Only rows refused for this reason
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
        /// Show at most so many, oldest first
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
    },
    /// Read refused rows again, under today's configuration, and write those that are good now, each once
    Replay(Replay),
    /// Take entries off the list without their rows: what cannot be mended, or came again by itself; needs --yes
    Settle(Settle),
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("chosen").multiple(true).args(["ids", "code"]))]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) pipeline: Pipeline,
    /// Only these, as `list` shows them; their beginning is enough
    #[arg(long, value_name = "ID,…", value_delimiter = ',')]
    pub(crate) ids: Vec<String>,
    /// Only rows refused for this reason
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// Change a cell of every chosen row first, to what would stand in the source: price=12.00
    #[arg(long, value_name = "COLUMN=TEXT", requires = "chosen")]
    pub(crate) set: Vec<String>,
    /// Compute a cell of every chosen row first, by an SQL expression on its cells as texts: "price = replace(price, 'O', '0')"
    #[arg(long, value_name = "COLUMN = EXPRESSION", requires = "chosen")]
    pub(crate) patch: Vec<String>,
    /// Leave a row waiting when a newer one with its key is there
    #[arg(long)]
    pub(crate) keep_newer: bool,
    /// Show the rows as they would be written and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With --dry-run, show at most so many, oldest first
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) limit: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Offsets {
    /// Where the pipeline stands
    Get {
        #[command(flatten)]
        pipeline: Pipeline,
    },
    /// Move parts of a stopped pipeline; prints the consequence, needs --yes
    Set {
        #[command(flatten)]
        pipeline: Pipeline,
        /// What to move, as `get` shows it or in the connector's own words
        #[arg(required = true, value_name = "PART=POSITION")]
        jumps: Vec<String>,
        /// Number of the split
        #[arg(long, default_value_t = 0, value_name = "N")]
        split: u32,
        #[arg(long)]
        yes: bool,
    },
    /// Forget all positions of a stopped pipeline, so that it reads everything again; needs --yes
    Reset {
        #[command(flatten)]
        pipeline: Pipeline,
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Only this pipeline
    pub(crate) name: Option<String>,
    /// Address of the worker's HTTP API; else `http.listen` of the runtime file
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) http: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// How often the worker is asked
    #[arg(long, default_value = "1s", value_name = "TIME")]
    pub(crate) interval: Period,
    /// Address of the worker's HTTP API; else `http.listen` of the runtime file
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) http: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Connectors {
    /// Show the options of this one
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    #[arg(value_enum, default_value_t)]
    pub(crate) file: SchemaOf,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    #[default]
    Pipeline,
    Runtime,
}

#[derive(Debug, Args)]
#[command(after_help = "For bash, in ~/.bashrc:       source <(unbatch completions bash)
For zsh, in ~/.zshrc:         source <(unbatch completions zsh)
For fish, in its config.fish: unbatch completions fish | source
For elvish, in its rc.elv:    eval (unbatch completions elvish | slurp)
For powershell, in $PROFILE:  unbatch completions powershell | Out-String | Invoke-Expression")]
pub(crate) struct Completions {
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
    Powershell,
}

impl Shell {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
            Shell::Elvish => "elvish",
            Shell::Powershell => "powershell",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Such as U0102, or the reason of a refused row such as bad_decimal; without it, all there are
    pub(crate) code: Option<String>,
}

impl Command {
    /// As the JSON envelope names it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Command::Demo(_) => "demo",
            Command::Init(_) => "init",
            Command::Preview(_) => "preview",
            Command::Run(_) => "run",
            Command::Validate(_) => "validate",
            Command::Topics(Topics::List { .. }) => "topics list",
            Command::Topics(Topics::Read(_)) => "topics read",
            Command::Quarantine(Quarantine::List { .. }) => "quarantine list",
            Command::Quarantine(Quarantine::Show { .. }) => "quarantine show",
            Command::Quarantine(Quarantine::Replay(_)) => "quarantine replay",
            Command::Quarantine(Quarantine::Settle(_)) => "quarantine settle",
            Command::Offsets(Offsets::Get { .. }) => "offsets get",
            Command::Offsets(Offsets::Set { .. }) => "offsets set",
            Command::Offsets(Offsets::Reset { .. }) => "offsets reset",
            Command::Status(_) => "status",
            Command::Top(_) => "top",
            Command::Connectors(_) => "connectors",
            Command::Schema(_) => "schema",
            Command::Explain(_) => "explain",
            Command::Completions(_) => "completions",
            Command::Version => "version",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in [
            "unbatch --json --brokers b:1 --config c.yaml topics list",
            "unbatch topics list --json --brokers b:1 --config c.yaml",
            "unbatch topics --json list --brokers b:1 --config c.yaml",
        ] {
            let globals = parse(line).unwrap().globals;
            assert!(globals.json, "{line}");
            assert_eq!(globals.brokers.as_deref(), Some("b:1"), "{line}");
            assert_eq!(globals.config, Some(PathBuf::from("c.yaml")), "{line}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused_with_exit_code_2() {
        for line in [
            "unbatch run --dev --brokers b:1",
            "unbatch topics list --dev --brokers b:1",
            "unbatch offsets set name",
            "unbatch run --twice",
            "unbatch quarantine settle name --yes",
            "unbatch quarantine settle name --code c --dry-run --yes",
            "unbatch",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
        assert_eq!(parse("unbatch --help").unwrap_err().exit_code(), 0);
    }

    #[test]
    fn a_pipeline_file_is_given_by_position_to_run_and_by_path_elsewhere() {
        let Command::Run(run) = parse("unbatch run a.yaml b.yaml --once").unwrap().command else {
            panic!("not run");
        };
        assert_eq!((run.paths.len(), run.once), (2, true));
        let Command::Offsets(Offsets::Set { pipeline, jumps, .. }) =
            parse("unbatch offsets set stock a=1 b=2 --path p --yes").unwrap().command
        else {
            panic!("not offsets set");
        };
        assert_eq!((pipeline.name.as_str(), jumps.len(), pipeline.paths.len()), ("stock", 2, 1));
    }
}
