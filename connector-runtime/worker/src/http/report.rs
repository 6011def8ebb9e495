//! What a worker answers to `/api/v1/status`, as the commands that ask it read it. What an older or newer worker does not say
//! is as if it were not there.

use super::question;
use crate::durations::time_of_day;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use unbatch_api::figures::{bytes, grouped};
use unbatch_api::{Error, Result};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct WorkerReport {
    pub(crate) version: String,
    /// Since when it answers; milliseconds since 1970.
    pub(crate) started_ms: Option<u64>,
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) broker: Option<BrokerReport>,
    pub(crate) pipelines: Vec<PipelineReport>,
}

/// The Kafka cluster, as the worker sees it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BrokerReport {
    /// As the configuration names them.
    pub(crate) addresses: String,
    /// Since when none of them answers; milliseconds since 1970.
    pub(crate) away_since_ms: Option<u64>,
    pub(crate) why: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PipelineReport {
    pub(crate) pipeline: String,
    pub(crate) source: String,
    pub(crate) sink: String,
    pub(crate) state: String,
    pub(crate) freshness_goal_ms: Option<u64>,
    pub(crate) splits: Vec<SplitReport>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SplitReport {
    pub(crate) split: String,
    pub(crate) state: String,
    pub(crate) attempt: u32,
    pub(crate) trouble: Option<TroubleReport>,
    pub(crate) last_trouble: Option<PastTroubleReport>,
    pub(crate) rows_per_second: f64,
    pub(crate) recent_rows: Vec<u64>,
    pub(crate) written_ever: u64,
    pub(crate) quarantined_ever: u64,
    /// 0 until it was opened for the first time; what is stored of it is not known before.
    pub(crate) generation: Option<u64>,
    pub(crate) owner: u64,
    pub(crate) epoch: u64,
    pub(crate) last_commit_ms: Option<u64>,
    pub(crate) freshness_ms: Option<u64>,
    pub(crate) position: Vec<PartReport>,
    pub(crate) numbers: BTreeMap<String, i64>,
    pub(crate) notices: Vec<NoticeReport>,
    pub(crate) parked: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TroubleReport {
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PastTroubleReport {
    pub(crate) at_ms: u64,
    #[serde(flatten)]
    pub(crate) trouble: TroubleReport,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PartReport {
    pub(crate) part: String,
    pub(crate) position: String,
    pub(crate) meaning: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct NoticeReport {
    pub(crate) code: String,
    pub(crate) subject: String,
    pub(crate) message: String,
}

/// The worker's answer as it came.
///
/// # Errors
///
/// Transient (U0741) when nothing answers there, or something else than a worker.
pub(crate) async fn ask(address: &str) -> Result<Value> {
    let unreachable = || {
        Error::transient("asking the worker failed")
            .code("U0741")
            .with("address", address)
            .help("is `unbatch run` running on this machine? --http HOST:PORT names its address, if it has another one")
    };
    match question::get(address, "/api/v1/status").await {
        Ok((200, body)) => serde_json::from_str(&body).map_err(|cause| unreachable().caused_by(cause)),
        Ok((code, _)) => Err(unreachable().with("answer", code)),
        Err(cause) => Err(unreachable().caused_by(cause)),
    }
}

impl WorkerReport {
    /// What of an answer can be read; a part in another form is left out.
    pub(crate) fn of(answer: &Value) -> Self {
        let of = |name: &str| answer[name].as_u64();
        let pipelines = answer["pipelines"].as_array().into_iter().flatten();
        Self {
            version: answer["version"].as_str().unwrap_or_default().to_owned(),
            started_ms: of("started_ms"),
            resident_bytes: of("resident_bytes"),
            broker: Option::deserialize(&answer["broker"]).unwrap_or_default(),
            pipelines: pipelines.filter_map(|p| PipelineReport::deserialize(p).ok()).collect(),
        }
    }
}

impl BrokerReport {
    /// `broker 127.0.0.1:9092 away since 14:03:22 (connection refused)`, when it is away.
    pub(crate) fn away(&self) -> Option<String> {
        let plural = if self.addresses.contains(',') { "s" } else { "" };
        let why = self.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        let since = time_of_day(self.away_since_ms?);
        Some(format!("broker{plural} {} away since {since}{why}", self.addresses))
    }
}

impl PipelineReport {
    fn sum(&self, of: fn(&SplitReport) -> u64) -> u64 {
        self.splits.iter().map(of).sum()
    }
    /// Whether the worker has read what is stored of any split; the totals say nothing before.
    pub(crate) fn is_known(&self) -> bool {
        self.splits.iter().any(|s| s.generation != Some(0))
    }
    /// Since the generation began, over all starts of the worker.
    pub(crate) fn written(&self) -> u64 {
        self.sum(|s| s.written_ever)
    }
    /// As `written`.
    pub(crate) fn quarantined(&self) -> u64 {
        self.sum(|s| s.quarantined_ever)
    }
    /// Inputs that were set aside: those that still lie there where the source says, else those of this start.
    pub(crate) fn parked(&self) -> u64 {
        self.sum(|s| s.numbers.get("files_parked").map_or(s.parked, |n| (*n).max(0).cast_unsigned()))
    }
    /// What is known of those by name.
    pub(crate) fn parked_notices(&self) -> impl Iterator<Item = &NoticeReport> {
        self.splits.iter().flat_map(|s| &s.notices).filter(|notice| notice.code == "parked")
    }
    /// What else was told, the newest last; without what is ordinary and passes by itself.
    pub(crate) fn other_notices(&self) -> impl DoubleEndedIterator<Item = &NoticeReport> {
        let is_shown = |notice: &&NoticeReport| !matches!(notice.code.as_str(), "parked" | "waiting" | "marked_done");
        self.splits.iter().flat_map(|s| &s.notices).filter(is_shown)
    }
    pub(crate) fn rows_per_second(&self) -> f64 {
        self.splits.iter().map(|s| s.rows_per_second).sum()
    }
    /// Of all splits, the newest last; splits that are younger have had nothing before.
    pub(crate) fn recent_rows(&self) -> Vec<u64> {
        added(self.splits.iter().map(|s| s.recent_rows.as_slice()))
    }
    /// Of the split that is furthest behind.
    pub(crate) fn freshness_ms(&self) -> Option<u64> {
        self.splits.iter().filter_map(|s| s.freshness_ms).max()
    }
    pub(crate) fn is_late(&self) -> bool {
        self.freshness_ms().zip(self.freshness_goal_ms).is_some_and(|(is, goal)| is > goal)
    }
    pub(crate) fn last_commit_ms(&self) -> Option<u64> {
        self.splits.iter().filter_map(|s| s.last_commit_ms).max()
    }
    /// Something was committed, but by an earlier start of the worker, which took the time with it.
    pub(crate) fn committed_earlier(&self) -> bool {
        self.last_commit_ms().is_none() && self.splits.iter().any(|s| s.epoch > 0)
    }
    /// What is wrong now.
    pub(crate) fn trouble(&self) -> Option<&TroubleReport> {
        self.splits.iter().find_map(|s| s.trouble.as_ref())
    }
    /// What was wrong last, over or not.
    pub(crate) fn last_trouble(&self) -> Option<&PastTroubleReport> {
        self.splits.iter().filter_map(|s| s.last_trouble.as_ref()).max_by_key(|past| past.at_ms)
    }
    /// What is known to be there and not read yet, where the source says and there is any: `3 files, 1.2 GiB`.
    pub(crate) fn backlog(&self) -> Option<String> {
        let sum = |name: &str| {
            let known: Vec<i64> = self.splits.iter().filter_map(|s| s.numbers.get(name).copied()).collect();
            Some(known.iter().sum::<i64>().max(0).cast_unsigned()).filter(|sum| *sum > 0)
        };
        let files = sum("backlog_files").map(|n| format!("{} file{}", grouped(n), if n == 1 { "" } else { "s" }));
        let rows = sum("backlog_rows").map(|n| format!("{} rows", grouped(n)));
        let size = sum("backlog_bytes").map(bytes);
        let parts: Vec<String> = [files, rows, size].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// Numbers of the same slices of time added up; all series end now.
pub(crate) fn added<'a>(series: impl Iterator<Item = &'a [u64]> + Clone) -> Vec<u64> {
    let longest = series.clone().map(<[u64]>::len).max().unwrap_or(0);
    let mut sums = vec![0; longest];
    for one in series {
        let from = longest - one.len();
        for (sum, number) in sums[from..].iter_mut().zip(one) {
            *sum += number;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_before_the_start_of_the_worker_counts() {
        let of = |splits: Value| {
            let answer = json!({"pipelines": [{"pipeline": "stock", "splits": splits}]});
            WorkerReport::of(&answer).pipelines.remove(0)
        };
        let parked = json!({"code": "parked", "subject": "a.csv", "message": "was parked before this start (x)"});
        let again =
            of(json!([{"generation": 1, "epoch": 3, "parked": 0, "numbers": {"files_parked": 2}, "notices": [parked]},
            {"generation": 1, "parked": 1}]));
        assert_eq!((again.parked(), again.parked_notices().count()), (3, 1));
        assert!(again.committed_earlier() && again.is_known());
        assert!(!of(json!([{"generation": 0}])).is_known());
        assert!(!of(json!([{"generation": 1, "epoch": 3, "last_commit_ms": 7}])).committed_earlier());
    }

    #[test]
    fn an_answer_is_read_as_far_as_it_goes() {
        let report = WorkerReport::of(&json!({"version": "9", "pipelines": [
            {"pipeline": "stock", "state": "warming_up", "new": 1, "splits": [
                {"written_ever": 1200, "recent_rows": [1, 2, 3], "freshness_ms": 20, "numbers": {"backlog_files": 1}},
                {"written_ever": 34, "recent_rows": [10], "trouble": {"message": "x", "code": null},
                 "last_trouble": {"at_ms": 7, "message": "x", "code": "U0250", "kind": "transient"},
                 "numbers": {"backlog_files": 2, "backlog_bytes": 2048}},
            ]},
            {"pipeline": 7},
        ]}));
        assert_eq!((report.version.as_str(), report.started_ms, report.pipelines.len()), ("9", None, 1));
        let stock = &report.pipelines[0];
        assert_eq!((stock.written(), stock.recent_rows(), stock.freshness_ms()), (1234, vec![1, 2, 13], Some(20)));
        assert_eq!(stock.last_trouble().and_then(|t| t.trouble.code.as_deref()), Some("U0250"));
        assert_eq!(stock.backlog().as_deref(), Some("3 files, 2.0 KiB"));
        assert!(stock.is_known() && !stock.committed_earlier(), "an older worker does not say");
        assert!(WorkerReport::of(&json!("nonsense")).pipelines.is_empty());
        assert!(report.broker.is_none() && WorkerReport::of(&json!({"broker": null})).broker.is_none());
    }

    #[test]
    fn a_broker_is_named_while_it_is_away() {
        let of = |broker: Value| WorkerReport::of(&json!({"broker": broker})).broker.and_then(|broker| broker.away());
        assert_eq!(of(json!({"addresses": "a:1", "away_since_ms": null})), None);
        let away = of(json!({"addresses": "a:1, b:2", "away_since_ms": 7_000, "why": "timed out"})).unwrap();
        assert!(away.starts_with("brokers a:1, b:2 away since ") && away.ends_with(":07 (timed out)"), "{away}");
    }
}
