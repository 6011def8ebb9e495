//! `cleanup.policy=compact`: of the records with one key only the newest stays. Offsets never change and the log start
//! stays where it is.
//!
//! noida-db's own compaction passes over transactional records, and a topic of ours that holds state is written by
//! transactions only. So this one resolves them: aborted records go, committed ones become plain records, and markers
//! go with the records they speak of. It works, as Kafka's does, on what is below the last segment, below the first
//! open transaction, and older than `min.compaction.lag.ms`, once the uncleaned share reaches
//! `min.cleanable.dirty.ratio`.

use std::collections::HashMap;

use bytes::Bytes;
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use noida::kafka::engine::PartitionState;
use noida::kafka::log::{LogConfig, set_log_append_time_flag};

use crate::batch::Header;
use crate::fetch::last_stable_offset;
use crate::produce::{Aborted, History};

/// Returns whether anything changed.
pub(crate) fn compact(stored: &mut PartitionState, history: &mut History, config: &LogConfig, now_ms: i64) -> bool {
    if !config.compact {
        return false;
    }
    let end = cleanable_end(stored, config, now_ms);
    if !is_due(stored, config, end) {
        return false;
    }
    let newest = newest_offsets(stored, history, end);
    let batches = std::mem::take(&mut stored.record_batches);
    for (base, batch) in batches {
        if base >= end {
            stored.record_batches.push((base, batch));
            continue;
        }
        let Some(records) = decode(&batch) else {
            // Not ours to judge: it stays as it is.
            stored.record_batches.push((base, batch));
            continue;
        };
        let count = records.len();
        let kept: Vec<Record> =
            records.into_iter().filter(|r| stays(stored, history, &newest, r, config, now_ms)).collect();
        if kept.len() == count {
            stored.record_batches.push((base, batch));
        } else if let Some(first) = kept.first().map(|r| r.offset) {
            let rewritten = encode_plain(kept).map_or((base, batch), |b| (first, b));
            stored.record_batches.push(rewritten);
        }
    }
    history.aborted.retain(|a| a.marker_offset >= end);
    stored.clean_offset = end;
    drop_empty_segments(stored);
    true
}

/// Everything below this offset may be cleaned. The last batch before a limit is left alone: a reader knows from it
/// that it has come up to that limit.
fn cleanable_end(stored: &PartitionState, config: &LogConfig, now_ms: i64) -> i64 {
    let active = stored.segments.last().map_or(0, |s| s.base_offset);
    let limit = active.min(last_stable_offset(stored));
    let young_from_ms = now_ms.saturating_sub(config.min_compaction_lag_ms);
    let mut end = stored.log_start_offset;
    for (base, batch) in &stored.record_batches {
        let young =
            config.min_compaction_lag_ms > 0 && Header::of(batch).is_some_and(|h| h.max_timestamp_ms() > young_from_ms);
        if *base >= limit || young {
            break;
        }
        end = *base;
    }
    end
}

fn is_due(stored: &PartitionState, config: &LogConfig, end: i64) -> bool {
    let (mut clean, mut dirty) = (0usize, 0usize);
    for (base, batch) in stored.record_batches.iter().take_while(|(b, _)| *b < end) {
        if *base < stored.clean_offset {
            clean += batch.len();
        } else {
            dirty += batch.len();
        }
    }
    dirty > 0 && dirty as f64 / (clean + dirty) as f64 >= config.min_cleanable_dirty_ratio
}

/// The newest offset of each key in what has not been cleaned yet; what has been holds a key only once.
fn newest_offsets(stored: &PartitionState, history: &History, end: i64) -> HashMap<Bytes, i64> {
    let mut newest = HashMap::new();
    let from = stored.clean_offset;
    let dirty = stored.record_batches.iter().filter(|(base, _)| (from..end).contains(base));
    for (_, batch) in dirty {
        for record in decode(batch).unwrap_or_default() {
            if let Some(key) = &record.key
                && !record.control
                && !is_aborted(&history.aborted, &record)
            {
                newest.insert(key.clone(), record.offset);
            }
        }
    }
    newest
}

fn stays(
    stored: &mut PartitionState,
    history: &History,
    newest: &HashMap<Bytes, i64>,
    record: &Record,
    config: &LogConfig,
    now_ms: i64,
) -> bool {
    if record.control || is_aborted(&history.aborted, record) {
        return false;
    }
    let Some(key) = &record.key else {
        return true;
    };
    let horizons = &mut stored.tombstone_horizons;
    if newest.get(key).is_some_and(|n| *n > record.offset) {
        horizons.remove(&record.offset);
        return false;
    }
    if record.value.is_some() {
        return true;
    }
    // A tombstone outlives its first cleaning by delete.retention.ms, so that a reader who is behind sees it.
    let gone_at = *horizons.entry(record.offset).or_insert_with(|| now_ms.saturating_add(config.delete_retention_ms));
    if gone_at <= now_ms {
        horizons.remove(&record.offset);
        return false;
    }
    true
}

fn is_aborted(aborted: &[Aborted], record: &Record) -> bool {
    record.transactional
        && aborted
            .iter()
            .any(|a| a.producer_id == record.producer_id && (a.first_offset..a.marker_offset).contains(&record.offset))
}

fn decode(batch: &[u8]) -> Option<Vec<Record>> {
    let decoded = RecordBatchDecoder::decode(&mut Bytes::copy_from_slice(batch)).ok()?;
    Some(decoded.records)
}

/// One batch of what was kept, of no producer and no transaction: a duplicate is told by our own history, and whatever
/// is here was committed.
fn encode_plain(mut records: Vec<Record>) -> Option<Vec<u8>> {
    let first = records.first()?.offset;
    let log_append_time = records[0].timestamp_type == TimestampType::LogAppend;
    for record in &mut records {
        record.transactional = false;
        record.producer_id = -1;
        record.producer_epoch = -1;
        // The encoder wants sequences as far apart as offsets; the first is what is written.
        record.sequence = (-1i32).wrapping_add((record.offset - first) as i32);
    }
    let mut out = bytes::BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut out, records.iter(), &options).ok()?;
    let mut out = out.to_vec();
    // All records in one batch, or none: two batches under one offset would hide the second.
    let whole = i32::from_be_bytes(out.get(8..12)?.try_into().ok()?);
    if whole as usize + 12 != out.len() {
        return None;
    }
    if log_append_time {
        set_log_append_time_flag(&mut out);
    }
    Some(out)
}

fn drop_empty_segments(stored: &mut PartitionState) {
    let ends: Vec<i64> = stored.segments.iter().skip(1).map(|s| s.base_offset).collect();
    let batches = &stored.record_batches;
    let mut place = 0;
    stored.segments.retain(|segment| {
        let end = ends.get(place).copied();
        place += 1;
        // The last one is where appends go.
        end.is_none_or(|end| {
            let in_it = segment.base_offset..end;
            batches.iter().any(|(base, _)| in_it.contains(base))
        })
    });
}

#[cfg(test)]
#[path = "compaction_tests.rs"]
mod tests;
