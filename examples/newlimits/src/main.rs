//! `newlimits`: writes what the nightly jobs of a shoe shop would drop, drops it, and judges what a reader made of it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use newlimits::truth::{Comparison, FailedFiles, Ledger, Order};
use newlimits::{
    DropFolder, Faults, Feed, Report, Request, Result, SameName, World, generate, read_records, read_rejections,
};

/// The NewLimits world: generated nightly files, and the truth about them.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the files of some nights with their truth.json and ledger.ndjson into an empty folder
    Generate(GenerateArgs),
    /// Drop generated files into a folder one by one, as the nightly job would
    Drop(DropArgs),
    /// Compare records and quarantine that a reader gave with the truth; exit code 4 when they differ
    Verify(VerifyArgs),
}

#[derive(Args)]
struct GenerateArgs {
    #[arg(long)]
    out: PathBuf,
    #[arg(long)]
    seed: u64,
    /// 1 is about 1,000 rows per feed and night, 1000 a million
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Name of a feed, or `all`
    #[arg(long, value_parser = feeds, default_value = "all")]
    feed: Feeds,
    #[arg(long, default_value_t = 3)]
    nights: u32,
    #[arg(long, value_enum, default_value = "all")]
    faults: Faults,
}

#[derive(Args)]
struct DropArgs {
    /// A folder that `generate` wrote
    #[arg(long)]
    from: PathBuf,
    #[arg(long)]
    to: PathBuf,
    /// Pause between two files
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    interval: Duration,
    /// Suffix of an empty file to write after each file, e.g. `.done`
    #[arg(long)]
    marker: Option<String>,
    #[arg(long, value_enum)]
    feed: Option<Feed>,
    /// Only this round, e.g. 2026-03-03T0200
    #[arg(long)]
    round: Option<String>,
    #[arg(long, value_enum, default_value = "replace")]
    same_name: SameName,
}

#[derive(Args)]
struct VerifyArgs {
    /// truth.json, or its folder
    #[arg(long)]
    truth: PathBuf,
    /// NDJSON, a record a line: {"key": …, "value": …, "headers": …, "partition": …}
    #[arg(long)]
    records: PathBuf,
    /// NDJSON, an entry a line: {"code": …, "origin": {"file": …, "line": …, "byte": …}}
    #[arg(long)]
    quarantine: PathBuf,
    #[arg(long, value_enum)]
    feed: Option<Feed>,
    /// Only the first so many deliveries have been dropped
    #[arg(long)]
    deliveries: Option<u32>,
    #[arg(long, value_enum, default_value = "prefix")]
    failed_files: FailedFiles,
    #[arg(long, value_enum, default_value = "in-file")]
    order: Order,
    /// Let records have columns that the files have not
    #[arg(long)]
    extra_columns: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

const EXIT_FAILED: u8 = 1;
const EXIT_DIFFERENT: u8 = 4;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Generate(args) => write_files(&args).map(|()| true),
        Command::Drop(args) => drop_files(&args).map(|()| true),
        Command::Verify(args) => verify(&args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_DIFFERENT),
        Err(error) => {
            complain(&error);
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn write_files(args: &GenerateArgs) -> Result<()> {
    let world = World::new(args.seed, args.scale)?;
    let request = Request { feeds: args.feed.0.clone(), nights: args.nights, faults: args.faults };
    let truth = generate(&world, &request, &args.out)?;
    let totals = truth.totals;
    say(&format!(
        "seed {} scale {}: {} files into {} ({} to load, {} duplicate, {} to fail); {} good rows, {} bad rows to load\n",
        truth.seed,
        truth.scale,
        totals.files,
        args.out.display(),
        totals.loaded,
        totals.duplicate,
        totals.failed,
        totals.good,
        totals.bad
    ));
    Ok(())
}

fn drop_files(args: &DropArgs) -> Result<()> {
    let ledger = Ledger::open(&args.from)?;
    let folder = DropFolder::new(&args.to, args.marker.clone(), args.same_name)?;
    say(&format!("seed {}\n", ledger.truth().seed));
    let wanted = ledger.truth().files.iter().filter(|file| {
        args.feed.is_none_or(|feed| feed == file.feed) && args.round.as_ref().is_none_or(|round| *round == file.round)
    });
    for (at, file) in wanted.enumerate() {
        if at > 0 {
            std::thread::sleep(args.interval);
        }
        folder.drop_file(ledger.folder(), file)?;
        say(&format!("{} {} ({} bytes)\n", file.round, file.name, file.bytes));
    }
    Ok(())
}

fn verify(args: &VerifyArgs) -> Result<bool> {
    let ledger = Ledger::open(&args.truth)?;
    let how = Comparison {
        feed: args.feed,
        deliveries: args.deliveries,
        failed_files: args.failed_files,
        order: args.order,
        extra_columns: args.extra_columns,
    };
    let report = compare(&ledger, &how, &args.records, &args.quarantine)?;
    if args.json {
        let text = serde_json::to_string_pretty(&report).unwrap_or_else(|error| error.to_string());
        say(&format!("{text}\n"));
    } else {
        say(&report.to_string());
    }
    Ok(report.is_equal())
}

fn compare(ledger: &Ledger, how: &Comparison, records: &Path, quarantine: &Path) -> Result<Report> {
    ledger.compare(how, read_records(records)?, read_rejections(quarantine)?)
}

#[derive(Clone)]
struct Feeds(Vec<Feed>);

fn feeds(name: &str) -> std::result::Result<Feeds, String> {
    if name == "all" {
        return Ok(Feeds(Feed::ALL.to_vec()));
    }
    Feed::from_str(name, false).map(|feed| Feeds(vec![feed])).map_err(|_| {
        let names: Vec<&str> = Feed::ALL.iter().map(|feed| feed.name()).collect();
        format!("feeds are {} and all", names.join(", "))
    })
}

/// A reader that closes the pipe early is no failure of ours.
fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

fn complain(error: &dyn std::error::Error) {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    let _ = writeln!(io::stderr(), "error: {text}");
}
