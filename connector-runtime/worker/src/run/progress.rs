//! What a run tells while it is under way: bars on a terminal, a line every few seconds elsewhere, and once each what a person
//! should know: a state that changed, a file that was set aside, a duplicate.

use crate::arguments::LogFormat;
use crate::durations::duration;
use crate::run::broker_watch::BrokerWatch;
use crate::run::headway::Headway;
use crate::run::summary::last_position;
use crate::tables::with_room;
use crate::terminal::{Glyph, Output, Style, Terminal};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};
use unbatch_api::figures::{bytes, grouped};
use unbatch_engine::{PipelineStatus, SplitState, SplitStatus};

/// How often a terminal is drawn.
const DRAW_PERIOD: Duration = Duration::from_millis(250);
/// How often the status is looked at when nobody watches.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// How often numbers are told when nobody watches.
const LINE_PERIOD: Duration = Duration::from_secs(5);
/// Things already told that are remembered; beyond, some may be told again.
const TOLD_MAX: usize = 10_000;
/// Weight of the newest rate in the one that is shown.
const RATE_WEIGHT: f64 = 0.3;

pub(crate) struct Progress {
    terminal: Terminal,
    format: LogFormat,
    broker: BrokerWatch,
    /// Stands below the others while the broker is away.
    broker_bar: Option<ProgressBar>,
    /// Numbers are of interest to whoever looks; a bounded run without a terminal has its summary.
    numbers: bool,
    seen: BTreeMap<String, Seen>,
    told: HashSet<String>,
    last_lines: Instant,
}

/// A pipeline as it was at the last look.
struct Seen {
    at: Instant,
    rows: u64,
    rate: f64,
    headway: Headway,
    /// What was told last of what is wrong, without its numbers.
    trouble: Option<String>,
    /// That it tries again was told for this pipeline.
    is_retry_told: bool,
    /// Rows when the last line about it was written.
    rows_told: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(terminal: &Terminal, format: LogFormat, broker: BrokerWatch, numbers: bool) -> Self {
        let (terminal, seen, told) = (terminal.clone(), BTreeMap::new(), HashSet::new());
        Self { terminal, format, broker, broker_bar: None, numbers, seen, told, last_lines: Instant::now() }
    }

    /// How often it wants to be shown the status.
    pub(crate) fn period(&self) -> Duration {
        if self.terminal.is_watched { DRAW_PERIOD } else { LOOK_PERIOD }
    }

    /// Tells what is new.
    pub(crate) fn show(&mut self, pipelines: &[PipelineStatus]) {
        let is_line_due = self.numbers && !self.terminal.is_watched && self.last_lines.elapsed() >= LINE_PERIOD;
        if is_line_due {
            self.last_lines = Instant::now();
        }
        for pipeline in pipelines {
            self.notices(pipeline);
            self.state(pipeline);
            self.look(pipeline);
            if is_line_due {
                self.line(pipeline);
            }
        }
        self.broker();
    }

    /// On a terminal a line stands there for as long as the broker is away; that it went was told when it did.
    fn broker(&mut self) {
        let away = self.broker.report().and_then(|broker| broker.away()).filter(|_| self.terminal.is_watched);
        match (away, &self.broker_bar) {
            (Some(away), None) => {
                let bar = self.new_bar();
                let glyph = self.terminal.paint(Output::Progress, Style::Magenta, self.terminal.glyph(Glyph::Warning));
                bar.set_message(format!("{glyph} {away}"));
                self.broker_bar = Some(bar);
            }
            (None, Some(_)) => self.clear_broker(),
            _ => {}
        }
    }

    fn clear_broker(&mut self) {
        if let Some(bar) = self.broker_bar.take() {
            bar.finish_and_clear();
            self.terminal.bars().remove(&bar);
        }
    }

    fn new_bar(&self) -> ProgressBar {
        let bar = self.terminal.bars().add(ProgressBar::new_spinner());
        let style = ProgressStyle::default_spinner();
        bar.set_style(style.template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar
    }

    /// Takes the bars away; what is told afterwards stands alone.
    pub(crate) fn finish(&mut self, pipelines: &[PipelineStatus]) {
        for pipeline in pipelines {
            self.notices(pipeline);
        }
        self.clear_broker();
        for seen in self.seen.values_mut() {
            if let Some(bar) = seen.bar.take() {
                bar.finish_and_clear();
            }
        }
        let _ = self.terminal.bars().clear();
        if self.numbers {
            for pipeline in pipelines {
                self.last_line(pipeline);
            }
        }
    }

    /// What became of a pipeline of a run that has no summary.
    fn last_line(&self, pipeline: &PipelineStatus) {
        match self.format {
            LogFormat::Text => {
                let seen = self.seen.get(&pipeline.pipeline);
                let (rate, none) = (seen.map_or(0.0, |seen| seen.rate), Headway::default());
                self.terminal.say(&line_of(pipeline, rate, seen.map_or(&none, |seen| &seen.headway), &self.terminal));
            }
            LogFormat::Json => {
                let rows: u64 = pipeline.splits.iter().map(|s| s.totals.read).sum();
                tracing::info!(pipeline = pipeline.pipeline, state = state_word(pipeline.state), rows, "ended");
            }
        }
    }

    /// Each notice of a connector once.
    fn notices(&mut self, pipeline: &PipelineStatus) {
        for notice in pipeline.splits.iter().flat_map(|s| &s.notices) {
            let text = format!("{}: {}: {}: {}", pipeline.pipeline, notice.code, notice.subject, notice.message);
            if self.told.contains(&text) {
                continue;
            }
            if self.told.len() >= TOLD_MAX {
                self.told.clear();
            }
            match self.format {
                LogFormat::Json => tracing::warn!(
                    pipeline = pipeline.pipeline,
                    code = notice.code,
                    subject = notice.subject,
                    "{}",
                    notice.message
                ),
                LogFormat::Text => self.say(Style::Magenta, Glyph::Warning, &text),
            }
            self.told.insert(text);
        }
    }

    /// A pipeline that has to try again, and one that goes on after that. Ends are told where errors are.
    fn state(&mut self, pipeline: &PipelineStatus) {
        // that the broker is away is told once, and not by each pipeline
        let unexplained = pipeline.splits.iter().find(|s| s.trouble.is_some() && !self.broker.explains(s));
        let trouble = unexplained.and_then(|s| s.trouble.as_ref()).map(|t| t.message.clone());
        let is_retrying = pipeline.state == SplitState::Retrying && trouble.is_some();
        let Some(seen) = self.seen.get_mut(&pipeline.pipeline) else {
            // looked at for the first time; the next look tells
            return;
        };
        // a number that only counts attempts does not make it another trouble
        let gist = trouble.as_ref().map(|text| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>());
        let is_new = gist != seen.trouble;
        seen.trouble = gist;
        if is_retrying && is_new {
            seen.is_retry_told = true;
            self.tell_retry(&pipeline.pipeline, trouble.as_deref());
        } else if pipeline.state == SplitState::Running
            && std::mem::take(&mut seen.is_retry_told)
            && self.format == LogFormat::Text
        {
            self.say(Style::Green, Glyph::Good, &format!("{}: goes on", pipeline.pipeline));
        }
    }

    fn tell_retry(&self, pipeline: &str, trouble: Option<&str>) {
        // as JSON the engine's own log line tells it
        if self.format == LogFormat::Text {
            let why = trouble.unwrap_or("no reason given");
            self.say(Style::Magenta, Glyph::Warning, &format!("{pipeline}: will try again: {why}"));
        }
    }

    fn look(&mut self, pipeline: &PipelineStatus) {
        let rows: u64 = pipeline.splits.iter().map(|s| s.totals.read).sum();
        let now = Instant::now();
        let bar = self.terminal.is_watched.then(|| self.new_bar());
        let name = &pipeline.pipeline;
        let seen = match self.seen.get_mut(name) {
            Some(seen) => {
                if let Some(unused) = bar {
                    self.terminal.bars().remove(&unused);
                }
                seen
            }
            None => self.seen.entry(name.clone()).or_insert_with(|| Seen {
                at: now,
                rows,
                rate: 0.0,
                headway: Headway::default(),
                trouble: None,
                is_retry_told: false,
                rows_told: 0,
                bar,
            }),
        };
        let seconds = now.duration_since(seen.at).as_secs_f64();
        if seconds > 0.0 {
            // a reloaded pipeline counts from zero again
            let newest = rows.saturating_sub(seen.rows) as f64 / seconds;
            seen.rate = seen.rate * (1.0 - RATE_WEIGHT) + newest * RATE_WEIGHT;
            seen.headway.look(backlog_bytes(pipeline), seconds);
        }
        (seen.at, seen.rows) = (now, rows);
        if let Some(bar) = &seen.bar {
            bar.set_message(line_of(pipeline, seen.rate, &seen.headway, &self.terminal));
        }
    }

    fn line(&mut self, pipeline: &PipelineStatus) {
        let Some(seen) = self.seen.get_mut(&pipeline.pipeline) else { return };
        if seen.rows == seen.rows_told {
            return;
        }
        seen.rows_told = seen.rows;
        match self.format {
            LogFormat::Text => {
                self.terminal.say(&line_of(pipeline, seen.rate, &seen.headway, &self.terminal));
            }
            LogFormat::Json => tracing::info!(
                pipeline = pipeline.pipeline,
                state = state_word(pipeline.state),
                rows = seen.rows,
                rows_per_second = seen.rate as u64,
                rest_ms = seen.headway.rest_ms(),
                "progress"
            ),
        }
    }

    fn say(&self, style: Style, glyph: Glyph, text: &str) {
        let glyph = self.terminal.paint(Output::Progress, style, self.terminal.glyph(glyph));
        self.terminal.say_prose(&format!("{glyph} {text}"));
    }
}

/// Inputs that are set aside: those that still lie there where the source says, else those of this start; as status counts them.
fn parked(split: &SplitStatus) -> u64 {
    split.numbers.get("files_parked").map_or(split.parked, |n| (*n).max(0).cast_unsigned())
}

/// `stock-counts  running · 60,000 rows · 12,345 rows/s · 42 % of 1.2 GiB · 30 s left · 1 quarantined · stock_HAM.csv, 1,200 rows`;
/// on a terminal without what has no room in its line.
fn line_of(pipeline: &PipelineStatus, rate: f64, headway: &Headway, terminal: &Terminal) -> String {
    let sum = |of: fn(&SplitStatus) -> u64| pipeline.splits.iter().map(of).sum::<u64>();
    let rows = sum(|s| s.totals.read);
    let mut parts = vec![
        (format!("{}  {}", pipeline.pipeline, state_word(pipeline.state)), 0),
        (format!("{} row{}", grouped(rows), if rows == 1 { "" } else { "s" }), 1),
        (format!("{} rows/s", grouped(rate as u64)), 3),
    ];
    if let Some((done, whole)) = headway.share() {
        let percent = u128::from(done) * 100 / u128::from(whole);
        parts.push((format!("{percent} % of {}", bytes(whole)), 4));
    }
    parts.extend(headway.rest_ms().map(|ms| (format!("{} left", duration(ms)), 2)));
    let counted = [(sum(|s| s.totals.quarantined), "quarantined"), (sum(parked), "parked")];
    parts.extend(counted.iter().filter(|(n, _)| *n > 0).map(|(n, word)| (format!("{} {word}", grouped(*n)), 5)));
    let position = last_position(pipeline);
    if !position.is_empty() {
        parts.push((position, 6));
    }
    let dot = format!(" {} ", terminal.glyph(Glyph::Dot));
    let sized: Vec<(usize, u8)> = parts.iter().map(|(text, rank)| (text.chars().count(), *rank)).collect();
    let room = terminal.progress_width.map_or(usize::MAX, usize::from);
    let shown = with_room(&sized, dot.chars().count(), room);
    shown.iter().map(|i| parts[*i].0.as_str()).collect::<Vec<_>>().join(&dot)
}

/// What is known to be there and not read yet, where the source says.
fn backlog_bytes(pipeline: &PipelineStatus) -> u64 {
    let known = pipeline.splits.iter().filter_map(|s| s.numbers.get("backlog_bytes"));
    known.map(|bytes| bytes.max(&0).cast_unsigned()).sum()
}

pub(crate) fn state_word(state: SplitState) -> &'static str {
    match state {
        SplitState::Starting => "starting",
        SplitState::Running => "running",
        SplitState::Retrying => "retrying",
        SplitState::Finished => "finished",
        SplitState::Stopped => "stopped",
        SplitState::Fenced => "fenced",
        SplitState::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_rows_rate_and_rest_and_leaves_out_what_has_no_room() {
        let pipeline = PipelineStatus {
            pipeline: "stock".into(),
            source: "csv_drops".into(),
            sink: "topic".into(),
            state: SplitState::Running,
            freshness_goal_ms: None,
            splits: Vec::new(),
        };
        let mut headway = Headway::default();
        headway.look(4_096, 1.0);
        headway.look(3_072, 1.0);
        let mut terminal = Terminal::detect(true);
        terminal.unicode = true;
        let whole = "stock  running · 0 rows · 12,345 rows/s · 25 % of 4.0 KiB · 3.0 s left";
        assert_eq!(line_of(&pipeline, 12_345.6, &headway, &terminal), whole);
        terminal.progress_width = Some(60);
        assert_eq!(
            line_of(&pipeline, 12_345.6, &headway, &terminal),
            "stock  running · 0 rows · 12,345 rows/s · 3.0 s left"
        );
        terminal.progress_width = Some(5);
        assert_eq!(line_of(&pipeline, 0.0, &headway, &terminal), "stock  running");
    }
}
