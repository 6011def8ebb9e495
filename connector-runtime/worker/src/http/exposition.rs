//! The numbers of the status board in Prometheus' text form (https://prometheus.io/docs/instrumenting/exposition_formats/),
//! beside those that the metrics recorder counts by itself.

use super::report::BrokerReport;
use std::collections::BTreeMap;
use std::fmt::Write;
use unbatch_engine::{PipelineStatus, SplitState, SplitStatus};

const STATES: [(SplitState, &str); 7] = [
    (SplitState::Starting, "starting"),
    (SplitState::Running, "running"),
    (SplitState::Retrying, "retrying"),
    (SplitState::Finished, "finished"),
    (SplitState::Stopped, "stopped"),
    (SplitState::Fenced, "fenced"),
    (SplitState::Failed, "failed"),
];

/// One metric with all its samples, which the format wants in one place.
struct Family {
    kind: &'static str,
    help: &'static str,
    samples: Vec<(String, f64)>,
}

#[derive(Default)]
struct Families(BTreeMap<String, Family>);

/// The whole text; names, labels and values only, each line ended.
pub(super) fn of(pipelines: &[PipelineStatus], broker: Option<&BrokerReport>) -> String {
    let mut families = Families::default();
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    families.add("unbatch_build_info", "gauge", "the version that runs", &version, 1.0);
    if let Some(bytes) = resident_bytes() {
        families.add("process_resident_memory_bytes", "gauge", "memory in use, bytes", "", bytes as f64);
    }
    if let Some(broker) = broker {
        let is_there = f64::from(u8::from(broker.away_since_ms.is_none()));
        families.add("unbatch_broker_up", "gauge", "1 while a broker of the cluster answers", "", is_there);
    }
    for pipeline in pipelines {
        if let Some(goal_ms) = pipeline.freshness_goal_ms {
            let labels = format!("pipeline=\"{}\"", pipeline.pipeline);
            let help = "`slo.freshness` of the pipeline";
            families.add("unbatch_freshness_goal_seconds", "gauge", help, &labels, goal_ms as f64 / 1000.0);
        }
        for split in &pipeline.splits {
            families.split(&pipeline.pipeline, split);
        }
    }
    families.render()
}

impl Families {
    fn add(&mut self, name: &str, kind: &'static str, help: &'static str, labels: &str, value: f64) {
        let family = self.0.entry(name.to_owned()).or_insert_with(|| Family { kind, help, samples: Vec::new() });
        family.samples.push((labels.to_owned(), value));
    }

    fn split(&mut self, pipeline: &str, split: &SplitStatus) {
        let index = split.split.rsplit_once('/').map_or("0", |(_, n)| n);
        let labels = format!("pipeline=\"{pipeline}\",split=\"{index}\"");
        for (state, word) in STATES {
            let is = f64::from(u8::from(split.state == state));
            let labels = format!("{labels},state=\"{word}\"");
            self.add("unbatch_split_state", "gauge", "1 for the state the split is in", &labels, is);
        }
        let parked = split.parked as f64;
        let help = "inputs set aside as a whole since the start, and not read since";
        self.add("unbatch_parked_inputs", "gauge", help, &labels, parked);
        if let Some(ms) = split.freshness_ms {
            let help = "age of the newest committed row by the source's commit time";
            self.add("unbatch_freshness_seconds", "gauge", help, &labels, ms as f64 / 1000.0);
        }
        if let Some(ms) = split.last_commit_ms {
            let help = "time of the last commit, seconds since 1970";
            self.add("unbatch_last_commit_timestamp_seconds", "gauge", help, &labels, ms as f64 / 1000.0);
        }
        for (name, value) in &split.numbers {
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            let name = format!("unbatch_source_{}", metric_name(name));
            self.add(&name, kind, "as the connector reports it", &labels, *value as f64);
        }
    }

    fn render(&self) -> String {
        let mut text = String::new();
        for (name, family) in &self.0 {
            let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {}", family.help, family.kind);
            for (labels, value) in &family.samples {
                let _ = match labels.is_empty() {
                    true => writeln!(text, "{name} {value}"),
                    false => writeln!(text, "{name}{{{labels}}} {value}"),
                };
            }
        }
        text
    }
}

/// A connector's word, with what the format does not allow as `_`.
fn metric_name(word: &str) -> String {
    word.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

/// Of this process, where the system says (Linux).
pub(super) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_engine::status::Totals;

    fn split(index: u32, files: i64) -> SplitStatus {
        SplitStatus {
            split: format!("stock/{index}"),
            state: SplitState::Running,
            attempt: 1,
            trouble: None,
            last_trouble: None,
            totals: Totals::default(),
            rows_per_second: 0.0,
            recent_rows: Vec::new(),
            written_ever: 0,
            quarantined_ever: 0,
            generation: 1,
            owner: 1,
            epoch: 1,
            revision: 1,
            last_commit_ms: Some(1_500),
            freshness_ms: None,
            position: Vec::new(),
            numbers: BTreeMap::from([("files_done_total".to_owned(), files), ("backlog-files".to_owned(), 2)]),
            notices: Vec::new(),
            parked: 0,
        }
    }

    #[test]
    fn samples_of_one_metric_stand_together_under_one_header() {
        let pipeline = PipelineStatus {
            pipeline: "stock".into(),
            source: "csv_drops".into(),
            sink: "topic".into(),
            state: SplitState::Running,
            freshness_goal_ms: Some(30_000),
            splits: vec![split(0, 3), split(1, 4)],
        };
        let broker = BrokerReport { away_since_ms: Some(1), ..BrokerReport::default() };
        let text = of(&[pipeline], Some(&broker));
        assert!(text.contains("# TYPE unbatch_broker_up gauge\nunbatch_broker_up 0\n"), "{text}");
        let expected = "# HELP unbatch_source_files_done_total as the connector reports it\n\
                        # TYPE unbatch_source_files_done_total counter\n\
                        unbatch_source_files_done_total{pipeline=\"stock\",split=\"0\"} 3\n\
                        unbatch_source_files_done_total{pipeline=\"stock\",split=\"1\"} 4\n";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("# TYPE unbatch_source_backlog_files gauge\n"), "{text}");
        assert!(text.contains("unbatch_split_state{pipeline=\"stock\",split=\"1\",state=\"running\"} 1\n"), "{text}");
        assert!(text.contains("unbatch_last_commit_timestamp_seconds{pipeline=\"stock\",split=\"0\"} 1.5\n"), "{text}");
        assert!(!text.contains("unbatch_freshness_seconds"), "{text}");
        assert!(text.contains("unbatch_freshness_goal_seconds{pipeline=\"stock\"} 30\n"), "{text}");
        for line in text.lines() {
            let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
            assert!(name.starts_with("unbatch_") || name.starts_with("process_"), "{line}");
        }
    }
}
