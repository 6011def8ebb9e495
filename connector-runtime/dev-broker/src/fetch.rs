//! Reading: waits until there is enough, keeps to the size limits, and tells a `read_committed` reader which records of
//! what it was given were aborted.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{AbortedTransaction, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, FetchResponse, ProducerId};
use noida::kafka::engine::PartitionState;

use crate::batch;
use crate::produce::History;
use crate::state::{State, lock};

/// From this version on a request names topics by id (KIP-516).
const BY_TOPIC_ID: i16 = 13;
/// Kafka's `fetch.max.bytes` of a broker.
const ANSWER_BYTES_MAX: usize = 57_671_680;
/// A longer wait would hold up `stop` no longer, but also serve no client.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// Waits for `min_bytes` up to `max_wait_ms`, then answers with what is there.
pub(crate) fn fetch<'a>(
    shared: &'a Mutex<State>,
    mut state: MutexGuard<'a, State>,
    request: &FetchRequest,
    version: i16,
) -> FetchResponse {
    let wait = Duration::from_millis(request.max_wait_ms.max(0) as u64).min(WAIT_MAX);
    let until = Instant::now() + wait;
    let wanted = request.min_bytes.max(0) as usize;
    loop {
        let found = look(&state, request, version);
        let left = until.saturating_duration_since(Instant::now());
        if found.has_error || found.bytes >= wanted || left.is_zero() || state.stopping {
            return answer(&state, request, found);
        }
        let names = found.topics.iter().filter_map(|t| t.name.as_deref());
        let fetcher = state.add_fetcher(names);
        state = match fetcher.wait_timeout(state, left) {
            Ok((state, _)) => state,
            // Whoever panicked with the lock has failed the broker; the caller sees that.
            Err(_) => lock(shared),
        };
        state.remove_fetcher(&fetcher);
    }
}

/// What a fetch would answer with at this moment; no records are copied for it.
struct Found {
    topics: Vec<FoundTopic>,
    bytes: usize,
    has_error: bool,
}

struct FoundTopic {
    /// `None` when the id names no topic.
    name: Option<String>,
    partitions: Vec<Result<Batches, ResponseError>>,
}

/// Which of a partition's batches.
#[derive(Default)]
struct Batches {
    first: usize,
    count: usize,
    bytes: usize,
}

fn look(state: &State, request: &FetchRequest, version: i16) -> Found {
    let limit = usize::try_from(request.max_bytes).unwrap_or(0).min(ANSWER_BYTES_MAX);
    let mut found = Found { topics: Vec::with_capacity(request.topics.len()), bytes: 0, has_error: false };
    for topic in &request.topics {
        let name = if version >= BY_TOPIC_ID {
            state.topic_ids.name(topic.topic_id).map(str::to_owned)
        } else {
            Some(topic.topic.to_string())
        };
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for wanted in &topic.partitions {
            let room = limit.saturating_sub(found.bytes);
            let one = match &name {
                None => Err(ResponseError::UnknownTopicId),
                Some(name) => match state.partition(name, wanted.partition) {
                    None => Err(ResponseError::UnknownTopicOrPartition),
                    Some(stored) => batches(stored, request.isolation_level, wanted, room, found.bytes == 0),
                },
            };
            match &one {
                Ok(batches) => found.bytes += batches.bytes,
                Err(_) => found.has_error = true,
            }
            partitions.push(one);
        }
        found.topics.push(FoundTopic { name, partitions });
    }
    found
}

fn batches(
    stored: &PartitionState,
    isolation_level: i8,
    wanted: &FetchPartition,
    room: usize,
    at_least_one: bool,
) -> Result<Batches, ResponseError> {
    // There was and is one leader epoch, 0; -1 says that the client does not know one.
    match wanted.current_leader_epoch {
        i32::MIN..=0 => {}
        _ => return Err(ResponseError::UnknownLeaderEpoch),
    }
    let offset = wanted.fetch_offset;
    if offset < stored.log_start_offset || offset > stored.high_watermark {
        return Err(ResponseError::OffsetOutOfRange);
    }
    let end = visible_end(stored, isolation_level);
    let first = batch::index_at(stored, offset);
    let visible =
        stored.record_batches[first..].iter().take_while(|(base, _)| *base < end).map(|(_, batch)| batch.as_slice());
    let room = room.min(usize::try_from(wanted.partition_max_bytes).unwrap_or(0));
    let (count, bytes) = batch::fitting(visible, room, at_least_one);
    Ok(Batches { first, count, bytes })
}

/// Below this offset every transaction has ended (Kafka's last stable offset).
pub(crate) fn last_stable_offset(stored: &PartitionState) -> i64 {
    let first_open = stored.active_txns.values().copied().min();
    first_open.map_or(stored.high_watermark, |o| o.min(stored.high_watermark))
}

fn visible_end(stored: &PartitionState, isolation_level: i8) -> i64 {
    if isolation_level == 1 { last_stable_offset(stored) } else { stored.high_watermark }
}

fn answer(state: &State, request: &FetchRequest, found: Found) -> FetchResponse {
    let mut answer = FetchResponse::default();
    for (topic, found) in request.topics.iter().zip(found.topics) {
        let mut result =
            FetchableTopicResponse::default().with_topic(topic.topic.clone()).with_topic_id(topic.topic_id);
        for (wanted, batches) in topic.partitions.iter().zip(found.partitions) {
            let data = PartitionData::default().with_partition_index(wanted.partition);
            let name = found.name.as_deref().unwrap_or_default();
            let stored = state.partition(name, wanted.partition);
            let history = state.history(name, wanted.partition);
            result.partitions.push(match (batches, stored) {
                (Ok(batches), Some(stored)) => filled(data, stored, history, request, wanted, &batches),
                (Err(error), stored) => refused(data, error, stored),
                (Ok(_), None) => refused(data, ResponseError::UnknownTopicOrPartition, None),
            });
        }
        answer.responses.push(result);
    }
    answer
}

fn refused(data: PartitionData, error: ResponseError, stored: Option<&PartitionState>) -> PartitionData {
    data.with_error_code(error.code())
        .with_high_watermark(stored.map_or(-1, |s| s.high_watermark))
        .with_last_stable_offset(stored.map_or(-1, last_stable_offset))
        .with_log_start_offset(stored.map_or(-1, |s| s.log_start_offset))
        .with_aborted_transactions(None)
        .with_records(Some(Bytes::new()))
}

fn filled(
    data: PartitionData,
    stored: &PartitionState,
    history: Option<&History>,
    request: &FetchRequest,
    wanted: &FetchPartition,
    batches: &Batches,
) -> PartitionData {
    let taken = &stored.record_batches[batches.first..batches.first + batches.count];
    let mut records = BytesMut::with_capacity(batches.bytes);
    for (_, batch) in taken {
        records.extend_from_slice(batch);
    }
    let read_committed = request.isolation_level == 1;
    let aborted = read_committed.then(|| {
        let last = taken.last().map(|(base, b)| batch::last_offset(*base, b));
        aborted_within(history, wanted.fetch_offset, last.unwrap_or(-1))
    });
    data.with_high_watermark(stored.high_watermark)
        .with_last_stable_offset(last_stable_offset(stored))
        .with_log_start_offset(stored.log_start_offset)
        .with_aborted_transactions(aborted)
        .with_records(Some(records.freeze()))
}

/// The aborted transactions that concern records from `first` to `last`. One that ended before would make the client
/// drop what the same producer committed later.
fn aborted_within(history: Option<&History>, first: i64, last: i64) -> Vec<AbortedTransaction> {
    let Some(history) = history else {
        return Vec::new();
    };
    let from = history.aborted.partition_point(|a| a.marker_offset < first);
    let mut within: Vec<_> = history.aborted[from..].iter().filter(|a| a.first_offset <= last).collect();
    within.sort_by_key(|a| a.first_offset);
    within
        .into_iter()
        .map(|a| {
            AbortedTransaction::default().with_producer_id(ProducerId(a.producer_id)).with_first_offset(a.first_offset)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::produce::Aborted;

    #[test]
    fn only_aborts_that_concern_the_fetch_are_listed() {
        let abort = |first_offset, marker_offset| Aborted { producer_id: 7, first_offset, marker_offset };
        let history = History { aborted: vec![abort(5, 9), abort(20, 29), abort(12, 31)], ..History::default() };
        let firsts = |from, to| -> Vec<i64> {
            let found = aborted_within(Some(&history), from, to);
            found.iter().map(|a| a.first_offset).collect()
        };
        assert_eq!(firsts(0, 100), [5, 12, 20], "in the order of their first records");
        assert_eq!(firsts(9, 100), [5, 12, 20], "its marker is still to be read");
        assert_eq!(firsts(10, 100), [12, 20]);
        assert_eq!(firsts(10, 19), [12]);
        assert_eq!(firsts(32, 100), [0i64; 0]);
    }
}
