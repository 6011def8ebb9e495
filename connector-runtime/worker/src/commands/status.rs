//! `unbatch status`: what the running worker is doing, asked over its HTTP API.

use super::Context;
use crate::answer::Answer;
use crate::arguments::Status;
use crate::durations::{duration, now_ms};
use crate::failure::Outcome;
use crate::http::report::{BrokerReport, PipelineReport, SplitReport, WorkerReport, ask};
use crate::run::broker_watch::is_of_the_cluster;
use crate::tables::{Align, Column, fitting_table};
use crate::terminal::{Glyph, Output, Style, Terminal};
use serde_json::{Value, json};
use std::fmt::Write;
use unbatch_api::Error;
use unbatch_api::figures::grouped;

pub(crate) fn status(args: &Status, cx: &Context) -> Outcome<Answer> {
    let address = address(args.http.as_deref(), cx)?;
    let answer = super::async_runtime()?.block_on(ask(&address))?;
    let mut pipelines: Vec<Value> = answer["pipelines"].as_array().cloned().unwrap_or_default();
    if let Some(name) = &args.name {
        pipelines.retain(|p| p["pipeline"] == name.as_str());
        if pipelines.is_empty() {
            return Err(Error::misconfigured("finding the pipeline in the worker's status failed")
                .code("U0742")
                .with("pipeline", name)
                .with("address", &address)
                .help("`unbatch status` lists those that it runs")
                .into());
        }
    }
    let result = json!({"broker": answer["broker"], "pipelines": pipelines});
    let text = render(&WorkerReport::of(&result), args.name.is_some(), now_ms(), &cx.terminal);
    Ok(Answer::new(text, result))
}

/// Where the worker answers: as the option says, or the runtime file.
pub(super) fn address(option: Option<&str>, cx: &Context) -> Outcome<String> {
    Ok(match option {
        Some(address) => address.to_owned(),
        None => cx.setup()?.config.listen().0.to_owned(),
    })
}

const COLUMNS: [Column; 10] = [
    Column { name: "pipeline", align: Align::Left, rank: 0 },
    Column { name: "state", align: Align::Left, rank: 0 },
    Column { name: "freshness", align: Align::Right, rank: 0 },
    Column { name: "rows/s", align: Align::Right, rank: 1 },
    Column { name: "written", align: Align::Right, rank: 5 },
    Column { name: "quarantined", align: Align::Right, rank: 4 },
    Column { name: "committed", align: Align::Right, rank: 2 },
    Column { name: "to read", align: Align::Right, rank: 6 },
    Column { name: "parked", align: Align::Right, rank: 7 },
    Column { name: "last error", align: Align::Left, rank: 3 },
];

/// Parked files that are named below the table, the newest.
const PARKED_SHOWN_MAX: usize = 3;

/// A table, below it what is wrong and what to do; in detail also each split.
pub(super) fn render(report: &WorkerReport, in_detail: bool, now_ms: u64, terminal: &Terminal) -> String {
    let pipelines = &report.pipelines;
    if pipelines.is_empty() {
        return "the worker runs no pipeline\n".to_owned();
    }
    let rows: Vec<Vec<String>> = pipelines.iter().map(|pipeline| row(pipeline, now_ms)).collect();
    // what is nowhere the case takes no column
    let is_said = |i: usize| !matches!(COLUMNS[i].name, "to read" | "parked") || rows.iter().any(|r| !r[i].is_empty());
    let said: Vec<usize> = (0..COLUMNS.len()).filter(|i| is_said(*i)).collect();
    let columns: Vec<Column> = said.iter().map(|i| COLUMNS[*i]).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| said.iter().map(|i| row[*i].clone()).collect()).collect();
    let mut text = fitting_table(&columns, &rows, terminal, false);
    if let Some(away) = report.broker.as_ref().and_then(BrokerReport::away) {
        let glyph = terminal.paint(Output::Result, Style::Magenta, terminal.glyph(Glyph::Warning));
        let below = format!(
            "\n{glyph} {away}\n    rows read so far wait, nothing is lost; it goes on by itself when the broker is back\n"
        );
        text.push_str(&terminal.fit(Output::Result, &below));
    }
    for pipeline in pipelines {
        let mut below = trouble(pipeline, pipelines, terminal) + &parked_files(pipeline, terminal).unwrap_or_default();
        if !in_detail {
            below.push_str(&last_notice(pipeline, terminal).unwrap_or_default());
        }
        text.push_str(&terminal.fit(Output::Result, &below));
    }
    if in_detail {
        for split in pipelines.iter().flat_map(|p| &p.splits) {
            text.push_str(&detail(split));
        }
    }
    text
}

fn row(pipeline: &PipelineReport, now_ms: u64) -> Vec<String> {
    let ago = |then_ms: u64| format!("{} ago", duration(now_ms.saturating_sub(then_ms)));
    let code = |code: &Option<String>| code.clone().unwrap_or_else(|| "no code".to_owned());
    // of what is wrong now, the rest stands below the table
    let error = match (pipeline.trouble(), pipeline.last_trouble()) {
        (Some(now), _) => Some(code(&now.code)),
        (None, Some(past)) => Some(format!("{}, {}", code(&past.trouble.code), ago(past.at_ms))),
        (None, None) => None,
    };
    let parked = pipeline.parked();
    // 0 would be a claim, before anything that is stored was read
    let stored = |figure: u64| if pipeline.is_known() { grouped(figure) } else { "-".to_owned() };
    let never = || match (pipeline.committed_earlier(), pipeline.is_known()) {
        (true, _) => "before start".to_owned(),
        (_, true) => "never".to_owned(),
        (_, false) => "-".to_owned(),
    };
    vec![
        pipeline.pipeline.clone(),
        pipeline.state.clone(),
        pipeline.freshness_ms().map_or_else(|| "-".to_owned(), duration),
        grouped(pipeline.rows_per_second().round() as u64),
        stored(pipeline.written()),
        stored(pipeline.quarantined()),
        pipeline.last_commit_ms().map_or_else(never, ago),
        pipeline.backlog().unwrap_or_default(),
        if parked == 0 { String::new() } else { grouped(parked) },
        error.or_else(|| parked_text(pipeline)).unwrap_or_else(|| "-".to_owned()),
    ]
}

/// `2 files parked`, when there are any: it waits for a person, even when everything else goes well.
pub(super) fn parked_text(pipeline: &PipelineReport) -> Option<String> {
    let parked = pipeline.parked();
    (parked > 0).then(|| format!("{} file{} parked", grouped(parked), if parked == 1 { "" } else { "s" }))
}

/// Which files are parked, and what to do.
fn parked_files(pipeline: &PipelineReport, terminal: &Terminal) -> Option<String> {
    let head = parked_text(pipeline)?;
    let glyph = terminal.paint(Output::Result, Style::Magenta, terminal.glyph(Glyph::Warning));
    let mut text = format!("\n{glyph} {}: {head}\n", pipeline.pipeline);
    let mut told: Vec<_> = pipeline.parked_notices().collect();
    let others = (pipeline.parked() as usize).saturating_sub(told.len().min(PARKED_SHOWN_MAX));
    told.drain(..told.len().saturating_sub(PARKED_SHOWN_MAX));
    for notice in &told {
        let _ = writeln!(text, "    {}: {}", notice.subject, notice.message);
    }
    if others > 0 && !told.is_empty() {
        let _ = writeln!(text, "    and {} more", grouped(others as u64));
    }
    let name = &pipeline.pipeline;
    let help = terminal.paint(Output::Result, Style::Bold, "help:");
    let _ = writeln!(
        text,
        "  {help} `unbatch quarantine list {name}` says why; deliver the mended file under the same name, or take it away"
    );
    let _ = writeln!(
        text,
        "        rows of it that were replayed come again with it: either replay refused rows or deliver it anew"
    );
    Some(text)
}

/// The newest notice, and where the others are.
fn last_notice(pipeline: &PipelineReport, terminal: &Terminal) -> Option<String> {
    let newest = pipeline.other_notices().next_back()?;
    let glyph = terminal.paint(Output::Result, Style::Magenta, terminal.glyph(Glyph::Warning));
    let (name, earlier) = (&pipeline.pipeline, pipeline.other_notices().count() - 1);
    let subject = if newest.subject.is_empty() { String::new() } else { format!("{}: ", newest.subject) };
    let mut text = format!("\n{glyph} {name}: {}: {subject}{}\n", newest.code, newest.message);
    if earlier > 0 {
        let earlier = grouped(earlier as u64);
        let _ = writeln!(text, "    {earlier} before it: `unbatch status {name}` shows them");
    }
    Some(text)
}

/// What is wrong with a pipeline now, as errors are shown everywhere; empty when nothing is. What several met alike is said once,
/// with the first of them.
fn trouble(pipeline: &PipelineReport, all: &[PipelineReport], terminal: &Terminal) -> String {
    let mut text = String::new();
    let alike: Vec<&str> = all.iter().filter(|p| gist(p) == gist(pipeline)).map(|p| p.pipeline.as_str()).collect();
    if let Some(trouble) = pipeline.trouble()
        && alike.first() == Some(&pipeline.pipeline.as_str())
    {
        let code = trouble.code.as_ref().map(|code| format!("[{code}]")).unwrap_or_default();
        let head = terminal.paint(Output::Result, Style::Red, &format!("error{code}"));
        let _ = writeln!(text, "\n{head}: {}: {}", alike.join(", "), trouble.message);
        if let Some(help) = &trouble.help {
            let _ = writeln!(text, "  {} {help}", terminal.paint(Output::Result, Style::Bold, "help:"));
        }
    }
    if let (true, Some(is), Some(goal)) = (pipeline.is_late(), pipeline.freshness_ms(), pipeline.freshness_goal_ms) {
        let glyph = terminal.paint(Output::Result, Style::Magenta, terminal.glyph(Glyph::Warning));
        let (is, goal) = (duration(is), duration(goal));
        let _ = writeln!(text, "\n{glyph} {}: freshness is {is}, its goal is {goal}", pipeline.pipeline);
    }
    text
}

/// What is wrong; of the cluster without the numbers, which differ from one client and one attempt to the next.
fn gist(pipeline: &PipelineReport) -> Option<(Option<&str>, String)> {
    let trouble = pipeline.trouble()?;
    let is_counted = |c: &char| !(c.is_ascii_digit() && is_of_the_cluster(trouble.code.as_deref()));
    Some((trouble.code.as_deref(), trouble.message.chars().filter(is_counted).collect()))
}

/// Positions, numbers and notices of one split.
fn detail(split: &SplitReport) -> String {
    let mut text = format!("\n{} (epoch {}, owner {})\n", split.split, split.epoch, split.owner);
    for part in &split.position {
        let _ = writeln!(text, "  {} at {}: {}", part.part, part.position, part.meaning);
    }
    for (name, value) in &split.numbers {
        let _ = writeln!(text, "  {name} {value}");
    }
    for notice in &split.notices {
        let _ = writeln!(text, "  {}: {}: {}", notice.code, notice.subject, notice.message);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports() -> WorkerReport {
        let answer = json!({"pipelines": [
            {"pipeline": "stock", "state": "retrying", "freshness_goal_ms": 1000, "splits": [
                {"split": "stock/0", "written_ever": 1200, "quarantined_ever": 2, "freshness_ms": 1500, "rows_per_second": 7.6},
                {"split": "stock/1", "written_ever": 34, "parked": 1, "freshness_ms": 300,
                 "trouble": {"message": "connecting failed", "code": "U0250", "help": "is it there?"},
                 "last_trouble": {"at_ms": 10_000, "message": "connecting failed", "code": "U0250"}},
            ]},
            {"pipeline": "prices", "state": "running", "splits": [{"split": "prices/0", "last_commit_ms": 21_000,
                "last_trouble": {"at_ms": 10_000, "message": "x", "code": "U0251"}, "notices": [
                    {"code": "late", "subject": "2026-11-23", "message": "1 of 2 expected files came by 06:00"},
                    {"code": "missing", "subject": "2026-11-24", "message": "0 of 2 expected files came by 06:00"},
                    {"code": "waiting", "subject": "a.csv", "message": "is not read yet"}]}]},
        ]});
        WorkerReport::of(&answer)
    }

    fn terminal(width: Option<u16>) -> Terminal {
        let mut terminal = Terminal::detect(true);
        (terminal.result_width, terminal.unicode) = (width, false);
        terminal
    }

    #[test]
    fn a_line_sums_up_the_splits_and_what_is_wrong_stands_below() {
        let text = render(&reports(), false, 22_000, &terminal(None));
        let expected = "\
PIPELINE  STATE     FRESHNESS  ROWS/S  WRITTEN  QUARANTINED  COMMITTED  PARKED  LAST ERROR
stock     retrying      1.5 s       8    1,234            2      never       1  U0250
prices    running           -       0        0            0  1.0 s ago          U0251, 12 s ago

error[U0250]: stock: connecting failed
  help: is it there?

! stock: freshness is 1.5 s, its goal is 1.0 s

! stock: 1 file parked
  help: `unbatch quarantine list stock` says why; deliver the mended file under the same name, or take it away
        rows of it that were replayed come again with it: either replay refused rows or deliver it anew

! prices: missing: 2026-11-24: 0 of 2 expected files came by 06:00
    1 before it: `unbatch status prices` shows them
";
        assert_eq!(text, expected);
    }

    /// The figures of an earlier start are stored; where they are not, the table does not say that nothing was.
    #[test]
    fn after_a_restart_of_the_worker_what_was_before_is_shown() {
        let report = |split: Value| {
            WorkerReport::of(&json!({"pipelines": [{"pipeline": "stock", "state": "running", "splits": [split]}]}))
        };
        let again = report(json!({"generation": 1, "epoch": 4, "written_ever": 20, "quarantined_ever": 2,
            "numbers": {"files_parked": 5}, "notices": [
                {"code": "duplicate", "subject": "z.csv", "message": "x"},
                {"code": "parked", "subject": "a.csv", "message": "was parked before this start (bad_utf8)"}]}));
        let expected = "\
PIPELINE  STATE    FRESHNESS  ROWS/S  WRITTEN  QUARANTINED     COMMITTED  PARKED  LAST ERROR
stock     running          -       0       20            2  before start       5  5 files parked

! stock: 5 files parked
    a.csv: was parked before this start (bad_utf8)
    and 4 more
  help: `unbatch quarantine list stock` says why; deliver the mended file under the same name, or take it away
        rows of it that were replayed come again with it: either replay refused rows or deliver it anew

! stock: duplicate: z.csv: x
";
        assert_eq!(render(&again, false, 22_000, &terminal(None)), expected);
        let not_yet = render(&report(json!({"generation": 0})), false, 22_000, &terminal(None));
        assert!(not_yet.contains("stock     running          -       0        -            -          -"), "{not_yet}");
    }

    #[test]
    fn a_broker_that_is_away_is_told_once_below_the_table() {
        let broker =
            BrokerReport { addresses: "a:1".into(), away_since_ms: Some(7_000), why: Some("timed out".into()) };
        let text = render(&WorkerReport { broker: Some(broker), ..reports() }, false, 22_000, &terminal(None));
        assert_eq!(text.matches("\n! broker a:1 away since ").count(), 1, "{text}");
        assert!(text.contains(":07 (timed out)\n    rows read so far wait, nothing is lost"), "{text}");
    }

    #[test]
    fn what_several_pipelines_met_alike_is_said_once() {
        let of = |name: &str, message: &str| {
            let trouble = json!({"message": message, "code": "U0250"});
            json!({"pipeline": name, "state": "retrying", "splits": [{"trouble": trouble}]})
        };
        let all = [of("a", "no broker (after 1 ms)"), of("b", "another thing"), of("c", "no broker (after 20 ms)")];
        let text = render(&WorkerReport::of(&json!({"pipelines": all})), false, 22_000, &terminal(None));
        let said: Vec<&str> = text.lines().filter(|line| line.starts_with("error")).collect();
        assert_eq!(said, ["error[U0250]: a, c: no broker (after 1 ms)", "error[U0250]: b: another thing"]);
    }

    #[test]
    fn in_eighty_columns_no_line_of_the_table_breaks() {
        let text = render(&reports(), false, 22_000, &terminal(Some(80)));
        let table: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
        assert!(table.iter().all(|line| line.chars().count() <= 80), "{text}");
        assert!(table[0].ends_with("LAST ERROR") && table[3].starts_with("no room for: "), "{text}");
    }

    #[test]
    fn in_detail_each_split_tells_its_positions() {
        let split = SplitReport {
            split: "stock/0".into(),
            numbers: [("backlog_files".to_owned(), 2)].into(),
            ..SplitReport::default()
        };
        assert_eq!(detail(&split), "\nstock/0 (epoch 0, owner 0)\n  backlog_files 2\n");
    }
}
