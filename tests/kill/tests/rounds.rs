//! `make kill ROUNDS=200`: many rounds of all modes, mixed by the seed, one line each, and a summary.
//!
//! | variable | meaning |
//! |---|---|
//! | `UNBATCH_ROUNDS` | how many; without it none, since the tests of `modes` run some of each |
//! | `UNBATCH_KILL_MODE` | only this mode |
//! | `UNBATCH_KILL_SOURCE` | only this source: `folder`, `packed`, `dump` or `s3` |
//! | `UNBATCH_SEED` | the seed; that of the first round itself, so a failed round is repeated with `UNBATCH_ROUNDS=1` |
//! | `UNBATCH_SABOTAGE` | rules the product leaves out, to see what finds it; then failed rounds are what is hoped for |
//!
//! Ends as a test target does, with `test result:`; a failed round is a failed test.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use unbatch_kill_tests::{Figures, Mode, Order, Site, Source, Summary, run};
use unbatch_test_harness::{Seed, seed};

fn main() -> ExitCode {
    // cargo asks each target for the names of its tests; this one has none by itself
    if std::env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    match rounds(&mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("cannot write: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all rounds were good.
fn rounds(out: &mut impl Write) -> io::Result<bool> {
    let wanted = number("UNBATCH_ROUNDS");
    let mut summary = Summary::default();
    if wanted > 0
        && let Some(site) = Site::that_may_crash("rounds of the kill tests")
    {
        let first = seed();
        for n in 0..wanted {
            let seed = if n == 0 { first } else { first.round(n) };
            let (mode, source) = (mode(seed, &site), source(seed, &site));
            let order = Order { mode, source, seed, sabotage: text("UNBATCH_SABOTAGE"), keep: true };
            one(n, &site, &order, &mut summary, out)?;
        }
        writeln!(out, "\n{summary}")?;
    }
    let (passed, failed) = (summary.rounds() - summary.failed(), summary.failed());
    let word = if failed == 0 { "ok" } else { "FAILED" };
    writeln!(out, "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out")?;
    Ok(failed == 0)
}

fn one(n: u64, site: &Site, order: &Order, summary: &mut Summary, out: &mut impl Write) -> io::Result<()> {
    let begun = Instant::now();
    let ended = run(site, order);
    let took = begun.elapsed();
    let figures: &Figures = match &ended {
        Ok(figures) => figures,
        Err(failure) => &failure.figures,
    };
    summary.count(order.mode, order.source, figures, took, ended.is_ok());
    let word = if ended.is_ok() { "ok" } else { "FAILED" };
    let (mode, source, seed, seconds) = (order.mode.name(), order.source.name(), order.seed, took.as_secs_f64());
    writeln!(out, "round {:>4} {mode:<14} {source:<7} seed {seed:<20} {seconds:5.1} s  {figures}  {word}", n + 1)?;
    if let Err(failure) = &ended {
        writeln!(out, "{failure}")?;
        // as a test target names its failures, for whoever lists them
        writeln!(out, "test {mode} from {source} with seed {seed} ... FAILED")?;
    }
    out.flush()
}

fn mode(seed: Seed, site: &Site) -> Mode {
    let named = text("UNBATCH_KILL_MODE");
    if named.is_empty() {
        return Mode::draw(&mut seed.round(0).rng(), site.may_crash());
    }
    Mode::by_name(&named).unwrap_or_else(|| {
        let names: Vec<&str> = Mode::ALL.iter().map(|mode| mode.name()).collect();
        panic!("UNBATCH_KILL_MODE is one of {}, not {named:?}", names.join(", "))
    })
}

/// What a round reads. Without an S3 server here its rounds are of packed files, and it is noted that those from S3 were not run.
fn source(seed: Seed, site: &Site) -> Source {
    let named = text("UNBATCH_KILL_SOURCE");
    let source = match named.as_str() {
        "" => Source::draw(&mut seed.round(1).rng()),
        name => Source::by_name(name).unwrap_or_else(|| {
            let names: Vec<&str> = Source::ALL.iter().map(|source| source.name()).collect();
            panic!("UNBATCH_KILL_SOURCE is one of {}, not {name:?}", names.join(", "))
        }),
    };
    if source == Source::S3 && !site.has_s3() { Source::Packed } else { source }
}

fn number(variable: &str) -> u64 {
    let text = text(variable);
    if text.is_empty() {
        return 0;
    }
    text.parse().unwrap_or_else(|e| panic!("{variable} is a number, not {text:?}: {e}"))
}

fn text(variable: &str) -> String {
    std::env::var(variable).unwrap_or_default().trim().to_owned()
}
