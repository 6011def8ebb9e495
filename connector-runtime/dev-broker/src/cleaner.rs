//! Retention, compaction and forgetting idle producers, as Kafka's log cleaner does, once a second.

use std::io;

use noida::kafka::engine::PartitionState;
use noida::kafka::log::LogConfig;

use crate::compaction;
use crate::produce::History;
use crate::request_log::Kind;
use crate::state::State;

/// Kafka's `producer.id.expiration.ms`.
const PRODUCER_EXPIRATION_MS: i64 = 86_400_000;
/// The last segment is never compacted. Kafka's own limit of 1 GiB would keep every version of every key in memory.
const COMPACTED_SEGMENT_BYTES_MAX: i64 = 8 * 1024 * 1024;

/// At which size a partition's last segment is closed.
pub(crate) fn segment_bytes(config: &LogConfig) -> i64 {
    if config.compact { config.segment_bytes.min(COMPACTED_SEGMENT_BYTES_MAX) } else { config.segment_bytes }
}

/// Cleans, and logs that it did when anything changed: a replay must do it at the same place.
pub(crate) fn clean_and_record(state: &mut State) -> io::Result<()> {
    if clean(state) {
        state.record(Kind::Cleaned, &[])?;
    }
    Ok(())
}

/// Returns whether anything changed.
pub(crate) fn clean(state: &mut State) -> bool {
    let now_ms = state.clock.now_ms();
    let names: Vec<String> = state.histories.keys().cloned().collect();
    let mut changed = false;
    for name in names {
        let Some(topic) = state.engine.topics.get(&name) else {
            continue;
        };
        let config = LogConfig::of(&topic.configs);
        let partitions: Vec<i32> = state.histories[&name].keys().copied().collect();
        for partition in partitions {
            if let Some((stored, history)) = state.partition_mut(&name, partition) {
                changed |= clean_partition(stored, history, &config, now_ms);
            }
        }
    }
    changed
}

fn clean_partition(stored: &mut PartitionState, history: &mut History, config: &LogConfig, now_ms: i64) -> bool {
    let mut changed = false;
    if !stored.record_batches.is_empty() {
        changed |= compaction::compact(stored, history, config, now_ms);
        if stored.apply_retention(config, now_ms) {
            truncated(stored, history);
            changed = true;
        }
    }
    let known = history.producers.len();
    history.producers.retain(|id, producer| {
        now_ms - producer.last_append_ms < PRODUCER_EXPIRATION_MS || stored.active_txns.contains_key(id)
    });
    changed || known != history.producers.len()
}

/// Brings the history in line with a log that now starts later.
pub(crate) fn truncated(stored: &PartitionState, history: &mut History) {
    let start = stored.log_start_offset;
    history.aborted.retain(|a| a.marker_offset >= start);
    history.active_segment_bytes = None;
}
