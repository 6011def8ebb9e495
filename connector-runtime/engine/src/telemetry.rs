//! Metric names and the labels they carry. Values are rows, bytes or seconds as the name says; never a cell value.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use unbatch_api::SplitId;

/// The counters of one split. Made once for each run of it, so that the hot path looks nothing up.
pub(crate) struct SplitMetrics {
    pub(crate) rows_read: Counter,
    pub(crate) rows_written: Counter,
    pub(crate) rows_quarantined: Counter,
    pub(crate) rows_filtered: Counter,
    pub(crate) bytes_written: Counter,
    pub(crate) commits: Counter,
    pub(crate) commit_seconds: Histogram,
    pub(crate) open_epoch_bytes: Gauge,
    pub(crate) restarts: Counter,
}

impl SplitMetrics {
    pub(crate) fn of(split: &SplitId) -> Self {
        let labels = [("pipeline", split.pipeline.to_string()), ("split", split.index.to_string())];
        Self {
            rows_read: counter!("unbatch_rows_read_total", &labels),
            rows_written: counter!("unbatch_rows_written_total", &labels),
            rows_quarantined: counter!("unbatch_rows_quarantined_total", &labels),
            rows_filtered: counter!("unbatch_rows_filtered_total", &labels),
            bytes_written: counter!("unbatch_bytes_written_total", &labels),
            commits: counter!("unbatch_commits_total", &labels),
            commit_seconds: histogram!("unbatch_commit_seconds", &labels),
            open_epoch_bytes: gauge!("unbatch_open_epoch_bytes", &labels),
            restarts: counter!("unbatch_split_restarts_total", &labels),
        }
    }
}
