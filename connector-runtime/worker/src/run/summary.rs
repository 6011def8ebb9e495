//! What became of a run: a table and the same as JSON, the exit code, and the errors a person has to see.

use crate::failure::Failure;
use crate::run::progress::state_word;
use crate::tables::{Align, Column, fitting_table};
use crate::terminal::Terminal;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;
use unbatch_api::context::Notice;
use unbatch_api::figures::{bytes, grouped};
use unbatch_api::{Bound, Error, Kind};
use unbatch_engine::status::Totals;
use unbatch_engine::{Ended, PipelineStatus};

/// Ends of pipelines as they come in.
#[derive(Default)]
pub(crate) struct Ends(BTreeMap<String, End>);

#[derive(Default)]
struct End {
    errors: Vec<Error>,
    parked: u64,
    after: Duration,
}

/// One pipeline of the summary.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) pipeline: String,
    pub(crate) state: &'static str,
    #[serde(flatten)]
    pub(crate) totals: Totals,
    pub(crate) seconds: f64,
    pub(crate) rows_per_second: u64,
    /// In human terms; empty when nothing was committed.
    pub(crate) position: String,
    pub(crate) parked: u64,
    pub(crate) notices: Vec<Notice>,
}

impl Ends {
    /// A split ended, so long after the start of the run.
    pub(crate) fn add(&mut self, ended: Ended, after: Duration) {
        let end = self.0.entry(ended.pipeline.to_string()).or_default();
        end.errors.extend(ended.errors);
        end.parked += ended.parked;
        end.after = end.after.max(after);
    }
    /// The pipeline was started anew: what became of it before does not count.
    pub(crate) fn forget(&mut self, pipeline: &str) {
        self.0.remove(pipeline);
    }
    pub(crate) fn lines(&self, pipelines: &[PipelineStatus], whole: Duration) -> Vec<Line> {
        let line = |p: &PipelineStatus| {
            let after = self.0.get(&p.pipeline).map_or(whole, |e| e.after);
            line(p, after)
        };
        pipelines.iter().map(line).collect()
    }
    /// Files that were set aside, a sentence for each pipeline that has some.
    pub(crate) fn set_aside(&self) -> Vec<String> {
        let sentence = |name: &str, files: u64| match files {
            1 => format!("{name}: 1 file was set aside; `unbatch quarantine list {name}` tells why"),
            _ => format!("{name}: {files} files were set aside; `unbatch quarantine list {name}` tells why"),
        };
        self.0.iter().filter(|(_, end)| end.parked > 0).map(|(name, end)| sentence(name, end.parked)).collect()
    }
    /// What a person has to see: the errors; of a run that was asked to take all that was there also what it set aside. One
    /// that goes on until it is stopped has done nothing wrong by setting files aside.
    pub(crate) fn failure(self, bound: Bound) -> Option<Failure> {
        let mut failed = Vec::new();
        for (name, end) in self.0 {
            failed.extend(end.errors.into_iter().map(|e| (name.clone(), in_words(e))));
            if end.parked > 0 && bound == Bound::Once {
                let error = Error::rejected("taking all files failed, some were set aside")
                    .code("U0771")
                    .with("files", end.parked)
                    .help(format!("`unbatch quarantine list {name}` tells why; mend them and deliver them again"));
                failed.push((name, error));
            }
        }
        if failed.is_empty() { None } else { Some(Failure::Pipelines(failed)) }
    }
}

/// Being fenced is not the fault of this process, and its own words would say nothing to a person.
pub(crate) fn in_words(error: Error) -> Error {
    if error.kind() != Kind::Fenced {
        return error;
    }
    Error::fenced("a newer `unbatch run` took the pipeline over, or `unbatch offsets` moved it, so this run stopped it")
        .code("U0770")
        .help(
            "after `unbatch offsets`: start it again, it goes on from the positions that were set; of two runs: stop one, or \
             give one a `deployment` of its own",
        )
        .caused_by(error)
}

fn line(pipeline: &PipelineStatus, after: Duration) -> Line {
    let mut totals = Totals::default();
    for split in &pipeline.splits {
        totals.read += split.totals.read;
        totals.written += split.totals.written;
        totals.quarantined += split.totals.quarantined;
        totals.filtered += split.totals.filtered;
        totals.ignored += split.totals.ignored;
        totals.bytes += split.totals.bytes;
        totals.commits += split.totals.commits;
    }
    let seconds = after.as_secs_f64();
    let position = last_position(pipeline);
    Line {
        pipeline: pipeline.pipeline.clone(),
        state: state_word(pipeline.state),
        totals,
        seconds: (seconds * 1000.0).round() / 1000.0,
        rows_per_second: if seconds > 0.0 { (totals.read as f64 / seconds) as u64 } else { 0 },
        position,
        parked: pipeline.splits.iter().map(|s| s.parked).sum(),
        notices: pipeline.splits.iter().flat_map(|s| s.notices.clone()).collect(),
    }
}

/// `stock_HAM.csv: 1,200 rows`; empty when nothing was committed. Sources name what is open before what is done, and the
/// latest first.
pub(crate) fn last_position(pipeline: &PipelineStatus) -> String {
    let last = pipeline.splits.iter().flat_map(|s| &s.position).next();
    last.map_or_else(String::new, |p| format!("{}: {}", p.part, p.meaning))
}

const COLUMNS: [Column; 10] = [
    Column { name: "pipeline", align: Align::Left, rank: 0 },
    Column { name: "state", align: Align::Left, rank: 3 },
    Column { name: "read", align: Align::Right, rank: 0 },
    Column { name: "written", align: Align::Right, rank: 0 },
    Column { name: "quarantined", align: Align::Right, rank: 0 },
    Column { name: "filtered", align: Align::Right, rank: 6 },
    Column { name: "commits", align: Align::Right, rank: 7 },
    Column { name: "bytes", align: Align::Right, rank: 5 },
    Column { name: "seconds", align: Align::Right, rank: 2 },
    Column { name: "rows/s", align: Align::Right, rank: 1 },
];

/// The table, and below it what is not in it.
pub(crate) fn render(lines: &[Line], terminal: &Terminal) -> String {
    let row = |line: &Line| {
        vec![
            line.pipeline.clone(),
            line.state.to_owned(),
            grouped(line.totals.read),
            grouped(line.totals.written),
            grouped(line.totals.quarantined),
            grouped(line.totals.filtered),
            grouped(line.totals.commits),
            bytes(line.totals.bytes),
            format!("{:.2}", line.seconds),
            grouped(line.rows_per_second),
        ]
    };
    let rows: Vec<Vec<String>> = lines.iter().map(row).collect();
    let mut text = fitting_table(&COLUMNS, &rows, terminal, true);
    for line in lines {
        if !line.position.is_empty() {
            let _ = writeln!(text, "{}: last position {}", line.pipeline, line.position);
        }
        for notice in &line.notices {
            let _ = writeln!(text, "{}: {}: {}: {}", line.pipeline, notice.code, notice.subject, notice.message);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use unbatch_api::PipelineName;

    fn exit_of(ends: Vec<(&str, Vec<Error>, u64)>) -> Exit {
        let mut all = Ends::default();
        for (name, errors, parked) in ends {
            let pipeline = PipelineName::parse(name).unwrap();
            all.add(Ended { pipeline, errors, parked }, Duration::from_secs(1));
        }
        all.failure(Bound::Once).map_or(Exit::Good, |f| f.exit())
    }

    #[test]
    fn the_exit_code_follows_what_ended_the_pipelines() {
        assert_eq!(exit_of(vec![("a", vec![], 0), ("b", vec![], 0)]), Exit::Good);
        assert_eq!(exit_of(vec![("a", vec![Error::misconfigured("x")], 0)]), Exit::Misconfigured);
        assert_eq!(exit_of(vec![("a", vec![Error::transient("x")], 0)]), Exit::Unreachable);
        assert_eq!(exit_of(vec![("a", vec![Error::fenced("x")], 0)]), Exit::Failed);
        assert_eq!(exit_of(vec![("a", vec![], 2)]), Exit::Failed);
        assert_eq!(
            exit_of(vec![("a", vec![Error::transient("x")], 0), ("b", vec![Error::lost("y")], 0)]),
            Exit::Failed
        );
    }

    #[test]
    fn what_was_set_aside_is_said_and_fails_only_a_bounded_run() {
        let ends = || {
            let mut all = Ends::default();
            let pipeline = PipelineName::parse("stock").unwrap();
            all.add(Ended { pipeline, errors: vec![], parked: 2 }, Duration::from_secs(1));
            all
        };
        assert_eq!(ends().set_aside(), ["stock: 2 files were set aside; `unbatch quarantine list stock` tells why"]);
        assert!(ends().failure(Bound::Continuous).is_none() && ends().failure(Bound::Once).is_some());
    }

    #[test]
    fn a_fenced_run_says_that_a_newer_one_took_over() {
        let error = in_words(Error::fenced("opening the sink failed"));
        assert_eq!(error.code_text(), Some("U0770"));
        let (message, help) = (error.message(), error.remedy().unwrap());
        assert!(message.contains("`unbatch offsets`") && help.contains("start it again"), "{message} {help}");
        assert!(error.one_line().ends_with(": opening the sink failed"), "{error}");
    }

    #[test]
    fn a_pipeline_that_was_started_anew_is_judged_by_its_last_end() {
        let mut ends = Ends::default();
        let pipeline = PipelineName::parse("a").unwrap();
        ends.add(Ended { pipeline, errors: vec![Error::lost("x")], parked: 0 }, Duration::ZERO);
        ends.forget("a");
        assert!(ends.failure(Bound::Once).is_none());
    }
}
