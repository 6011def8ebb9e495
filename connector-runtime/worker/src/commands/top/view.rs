//! What is shown: the last report of the worker, and what the person has chosen.

use crate::http::report::{PipelineReport, WorkerReport};
use std::cmp::Reverse;
use std::ops::ControlFlow;
use unbatch_api::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Press {
    Quit,
    /// Closes the details, else the whole.
    Back,
    Sort,
    Pause,
    Up,
    Down,
    Details,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Name,
    /// Those that need a person first.
    State,
    Freshness,
    Rate,
    Quarantined,
}

pub(super) struct View {
    pub(super) address: String,
    pub(super) report: WorkerReport,
    /// When the worker said it; milliseconds since 1970.
    pub(super) said_ms: u64,
    /// Since when it does not answer, and why.
    pub(super) lost: Option<(u64, String)>,
    pub(super) sort: Sort,
    pub(super) has_details: bool,
    pub(super) is_paused: bool,
    /// By name, so that it stays on its pipeline when the order changes.
    selected: Option<String>,
}

impl View {
    pub(super) fn new(address: String, report: WorkerReport, now_ms: u64) -> Self {
        Self {
            address,
            report,
            said_ms: now_ms,
            lost: None,
            sort: Sort::default(),
            has_details: false,
            is_paused: false,
            selected: None,
        }
    }

    /// News of the worker. While paused, what is shown stays.
    pub(super) fn take(&mut self, report: Result<WorkerReport, Error>, now_ms: u64) {
        if self.is_paused {
            return;
        }
        match report {
            Ok(report) => (self.report, self.said_ms, self.lost) = (report, now_ms, None),
            Err(error) => {
                let since = self.lost.as_ref().map_or(now_ms, |(since, _)| *since);
                self.lost = Some((since, error.one_line()));
            }
        }
    }

    pub(super) fn press(&mut self, press: Press) -> ControlFlow<()> {
        match press {
            Press::Quit => return ControlFlow::Break(()),
            Press::Back if !self.has_details => return ControlFlow::Break(()),
            Press::Back => self.has_details = false,
            Press::Sort => self.sort = self.sort.next(),
            Press::Pause => self.is_paused = !self.is_paused,
            Press::Up => self.select(self.selected().saturating_sub(1)),
            Press::Down => self.select(self.selected() + 1),
            Press::Details => self.has_details = !self.has_details && !self.report.pipelines.is_empty(),
        }
        ControlFlow::Continue(())
    }

    /// In the chosen order; those alike by name.
    pub(super) fn pipelines(&self) -> Vec<&PipelineReport> {
        let mut all: Vec<&PipelineReport> = self.report.pipelines.iter().collect();
        all.sort_by(|a, b| a.pipeline.cmp(&b.pipeline));
        match self.sort {
            Sort::Name => {}
            Sort::State => all.sort_by_key(|p| Reverse(severity(&p.state))),
            Sort::Freshness => all.sort_by_key(|p| Reverse(p.freshness_ms())),
            Sort::Rate => all.sort_by(|a, b| b.rows_per_second().total_cmp(&a.rows_per_second())),
            Sort::Quarantined => all.sort_by_key(|p| Reverse(p.quarantined() + p.parked())),
        }
        all
    }

    /// The number of the selected one in that order; 0 when it is gone.
    pub(super) fn selected(&self) -> usize {
        let name = self.selected.as_deref();
        self.pipelines().iter().position(|p| Some(p.pipeline.as_str()) == name).unwrap_or(0)
    }

    fn select(&mut self, number: usize) {
        let all = self.pipelines();
        let chosen = all.get(number.min(all.len().saturating_sub(1))).map(|p| p.pipeline.clone());
        self.selected = chosen;
    }
}

impl Sort {
    pub(super) fn word(self) -> &'static str {
        match self {
            Sort::Name => "name",
            Sort::State => "state",
            Sort::Freshness => "freshness",
            Sort::Rate => "rows/s",
            Sort::Quarantined => "quarantined",
        }
    }
    fn next(self) -> Self {
        match self {
            Sort::Name => Sort::State,
            Sort::State => Sort::Freshness,
            Sort::Freshness => Sort::Rate,
            Sort::Rate => Sort::Quarantined,
            Sort::Quarantined => Sort::Name,
        }
    }
}

/// How much a state needs a person; a word of a newer worker may be anything.
pub(super) fn severity(state: &str) -> u8 {
    match state {
        "failed" => 6,
        "fenced" => 5,
        "retrying" => 4,
        "starting" => 3,
        "running" => 2,
        "stopped" => 1,
        "finished" => 0,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn view() -> View {
        let pipeline = |name: &str, state: &str, rate: f64, freshness: u64| json!({"pipeline": name, "state": state, "splits": [{"rows_per_second": rate, "freshness_ms": freshness}]});
        let report = WorkerReport::of(&json!({"pipelines": [
            pipeline("b", "failed", 0.0, 5), pipeline("a", "running", 9.0, 7), pipeline("c", "running", 20.0, 6),
        ]}));
        View::new("127.0.0.1:8083".into(), report, 1_000)
    }
    fn names(view: &View) -> String {
        view.pipelines().iter().map(|p| p.pipeline.as_str()).collect()
    }

    #[test]
    fn the_order_goes_round_and_the_selection_stays_on_its_pipeline() {
        let mut view = view();
        assert!(view.press(Press::Down).is_continue());
        assert_eq!((names(&view).as_str(), view.selected()), ("abc", 1));
        let mut orders = Vec::new();
        for _ in 0..5 {
            let _ = view.press(Press::Sort);
            orders.push((view.sort.word(), names(&view), view.selected()));
        }
        let expected = [("state", "bac", 0), ("freshness", "acb", 2), ("rows/s", "cab", 2), ("quarantined", "abc", 1)];
        for ((word, order, selected), got) in expected.iter().zip(&orders) {
            assert_eq!((word, *order, *selected), (&got.0, got.1.as_str(), got.2));
        }
        assert_eq!(orders[4].0, "name");
        for _ in 0..9 {
            let _ = view.press(Press::Down);
        }
        assert_eq!(view.selected(), 2);
        view.take(Ok(WorkerReport::default()), 2_000);
        assert_eq!((view.selected(), view.press(Press::Up)), (0, ControlFlow::Continue(())));
        let _ = view.press(Press::Details);
        assert!(!view.has_details, "there is nothing to show details of");
    }

    #[test]
    fn what_was_seen_last_stays_while_paused_or_when_the_worker_is_gone() {
        let mut view = view();
        view.take(Err(Error::transient("asking the worker failed")), 3_000);
        view.take(Err(Error::transient("asking the worker failed")), 9_000);
        assert_eq!((view.lost.as_ref().map(|l| l.0), view.report.pipelines.len()), (Some(3_000), 3));
        let _ = view.press(Press::Pause);
        view.take(Ok(WorkerReport::default()), 10_000);
        assert!(view.lost.is_some() && view.report.pipelines.len() == 3);
        let _ = view.press(Press::Pause);
        view.take(Ok(WorkerReport::default()), 11_000);
        assert!(view.lost.is_none() && view.report.pipelines.is_empty());
    }

    #[test]
    fn escape_closes_the_details_first() {
        let mut view = view();
        let _ = view.press(Press::Details);
        assert!(view.has_details);
        assert!(view.press(Press::Back).is_continue());
        assert!(!view.has_details);
        assert!(view.press(Press::Back).is_break() && view.press(Press::Quit).is_break());
    }
}
