//! The transaction coordinator's side: who may act for a transactional id, and what ends a transaction.
//!
//! noida-db keeps the tables and writes the markers. The checks are ours, after Kafka's `TransactionCoordinator`: each
//! request must come from the id's current producer id and epoch, so that a predecessor (a zombie) can do nothing more.

use std::io;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    EndTxnRequest, EndTxnResponse, InitProducerIdRequest, InitProducerIdResponse, ProducerId, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use crate::produce::Aborted;
use crate::request_log::Kind;
use crate::state::State;

const ONGOING: &str = "Ongoing";
const COMPLETE_COMMIT: &str = "CompleteCommit";
const COMPLETE_ABORT: &str = "CompleteAbort";
/// `PRODUCER_FENCED` exists from this version of a transaction request on; before, it was `INVALID_PRODUCER_EPOCH`.
const KNOWS_FENCED: i16 = 2;
const INIT_KNOWS_FENCED: i16 = 4;
/// The last epoch that is given out; the id then gets a new producer id.
const EPOCH_MAX: i16 = i16::MAX - 1;

/// Gives out a producer id. For a transactional id this raises the epoch, which fences the predecessor, and aborts what
/// it left open.
pub(crate) fn init_producer_id(
    state: &mut State,
    request: &InitProducerIdRequest,
    version: i16,
) -> InitProducerIdResponse {
    let refuse = |error: ResponseError| {
        InitProducerIdResponse::default()
            .with_error_code(error.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1)
    };
    let id = request.transactional_id.clone();
    let current = id.as_ref().and_then(|id| state.engine.txn_producers.get(id.as_str()).copied());
    if let Some((producer_id, epoch)) = current {
        // A producer that asks for its own next epoch (KIP-360) must still be the current one.
        let given = (request.producer_id.0, request.producer_epoch);
        if given != (-1, -1) && given != (producer_id, epoch) {
            return refuse(fenced(version >= INIT_KNOWS_FENCED));
        }
    }
    let open = id.as_ref().map_or_else(Vec::new, |id| open_partitions(state, id));
    if let (Some(id), Some((producer_id, epoch))) = (&id, current)
        && epoch >= EPOCH_MAX
    {
        start_over(state, id, producer_id, epoch);
    }
    let answer = state.engine.handle_init_producer_id(request, version);
    if answer.error_code == 0 {
        settle(state, &open, false);
    }
    answer
}

/// Aborts what is open and forgets the producer id, so that the engine gives out a new one.
fn start_over(state: &mut State, id: &TransactionalId, producer_id: i64, epoch: i16) {
    let abort = EndTxnRequest::default()
        .with_transactional_id(id.clone())
        .with_producer_id(ProducerId(producer_id))
        .with_producer_epoch(epoch)
        .with_committed(false);
    state.engine.handle_end_txn(&abort, 3);
    state.engine.txn_producers.remove(id.as_str());
    // Above every epoch that was given out: whoever still holds one is fenced.
    state.engine.producer_epochs.insert(producer_id, i16::MAX);
}

pub(crate) fn add_partitions(
    state: &mut State,
    request: &AddPartitionsToTxnRequest,
    version: i16,
) -> AddPartitionsToTxnResponse {
    let id = &request.v3_and_below_transactional_id;
    let owner = (request.v3_and_below_producer_id.0, request.v3_and_below_producer_epoch);
    let refused = check_owner(state, id, owner, version >= KNOWS_FENCED).err();
    let exists = |topic: &str, p: i32| state.partition(topic, p).is_some();
    let all_exist = request.v3_and_below_topics.iter().all(|t| t.partitions.iter().all(|p| exists(&t.name, *p)));
    if refused.is_none() && all_exist {
        return state.engine.handle_add_partitions_to_txn(request, version);
    }
    // All or nothing: what could have been added says that it was not tried.
    let results = request
        .v3_and_below_topics
        .iter()
        .map(|topic| {
            let partitions = topic.partitions.iter().map(|p| {
                let error = match refused {
                    Some(error) => error,
                    None if exists(&topic.name, *p) => ResponseError::OperationNotAttempted,
                    None => ResponseError::UnknownTopicOrPartition,
                };
                AddPartitionsToTxnPartitionResult::default()
                    .with_partition_index(*p)
                    .with_partition_error_code(error.code())
            });
            AddPartitionsToTxnTopicResult::default()
                .with_name(topic.name.clone())
                .with_results_by_partition(partitions.collect())
        })
        .collect();
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results)
}

pub(crate) fn add_offsets(
    state: &mut State,
    request: &AddOffsetsToTxnRequest,
    version: i16,
) -> AddOffsetsToTxnResponse {
    let owner = (request.producer_id.0, request.producer_epoch);
    match check_owner(state, &request.transactional_id, owner, version >= KNOWS_FENCED) {
        Ok(()) => state.engine.handle_add_offsets_to_txn(request, version),
        Err(error) => AddOffsetsToTxnResponse::default().with_error_code(error.code()),
    }
}

/// Commits or aborts. Asking again for the outcome that the last transaction had is not an error: its answer may have
/// been lost.
pub(crate) fn end(state: &mut State, request: &EndTxnRequest, version: i16) -> EndTxnResponse {
    let id = &request.transactional_id;
    let owner = (request.producer_id.0, request.producer_epoch);
    let answer = EndTxnResponse::default();
    if let Err(error) = check_owner(state, id, owner, version >= KNOWS_FENCED) {
        return answer.with_error_code(error.code());
    }
    let phase = state.engine.txn_info.get(id.as_str()).map(|i| i.state);
    match (phase, request.committed) {
        (Some(ONGOING), _) => {}
        (Some(COMPLETE_COMMIT), true) | (Some(COMPLETE_ABORT), false) => return answer,
        _ => return answer.with_error_code(ResponseError::InvalidTxnState.code()),
    }
    let open = open_partitions(state, id);
    let answer = state.engine.handle_end_txn(request, version);
    settle(state, &open, request.committed);
    answer
}

/// Whether `owner` (producer id and epoch) is who acts for this id now.
pub(crate) fn check_owner(
    state: &State,
    id: &TransactionalId,
    owner: (i64, i16),
    knows_fenced: bool,
) -> Result<(), ResponseError> {
    if id.is_empty() {
        return Err(ResponseError::InvalidRequest);
    }
    match state.engine.txn_producers.get(id.as_str()) {
        Some(current) if *current == owner => Ok(()),
        Some((producer_id, _)) if *producer_id == owner.0 => Err(fenced(knows_fenced)),
        _ => Err(ResponseError::InvalidProducerIdMapping),
    }
}

fn fenced(knows_fenced: bool) -> ResponseError {
    if knows_fenced { ResponseError::ProducerFenced } else { ResponseError::InvalidProducerEpoch }
}

/// Whether the id's transaction is open, as `TxnOffsetCommit` requires.
pub(crate) fn is_open(state: &State, id: &TransactionalId) -> bool {
    let info = state.engine.txn_info.get(id.as_str());
    info.is_some_and(|i| i.state == ONGOING)
}

/// Where a transaction has written, with what its abort would have to remember.
struct OpenPartition {
    topic: String,
    partition: i32,
    aborted: Aborted,
}

fn open_partitions(state: &State, id: &TransactionalId) -> Vec<OpenPartition> {
    let engine = &state.engine;
    let Some((producer_id, _)) = engine.txn_producers.get(id.as_str()) else {
        return Vec::new();
    };
    let added = engine.txn_partitions.get(id.as_str()).into_iter().flatten();
    added
        .filter_map(|(topic, partition)| {
            let stored = state.partition(topic, *partition)?;
            Some(OpenPartition {
                topic: topic.clone(),
                partition: *partition,
                aborted: Aborted {
                    producer_id: *producer_id,
                    first_offset: *stored.active_txns.get(producer_id)?,
                    marker_offset: stored.high_watermark,
                },
            })
        })
        .collect()
}

/// After the engine has written the markers: keeps what was aborted, and wakes those who waited for the end.
fn settle(state: &mut State, ended: &[OpenPartition], committed: bool) {
    for open in ended {
        if let Some((stored, history)) = state.partition_mut(&open.topic, open.partition) {
            // The engine's own list lacks the markers and would refuse a later commit of the same producer.
            stored.aborted_txns.clear();
            if !committed {
                history.aborted.push(open.aborted);
            }
            let marker_bytes = stored.record_batches.last().map_or(0, |(_, b)| b.len());
            history.active_segment_bytes = history.active_segment_bytes.map(|bytes| bytes + marker_bytes as i64);
        }
        state.wake_fetchers(&open.topic);
    }
}

/// Aborts transactions that have been open for longer than their producer asked for. As on Kafka this raises the epoch,
/// so the producer finds itself fenced.
pub(crate) fn abort_timed_out(state: &mut State) -> io::Result<()> {
    let now_ms = state.clock.now_ms();
    let mut late: Vec<String> = state
        .engine
        .txn_info
        .iter()
        .filter(|(_, i)| i.state == ONGOING && now_ms - i.start_ms >= i64::from(i.timeout_ms.max(0)))
        .map(|(id, _)| id.clone())
        .collect();
    late.sort();
    for id in late {
        abort_timed_out_one(state, &id);
        state.record(Kind::TransactionTimedOut, &[id.as_bytes()])?;
    }
    Ok(())
}

pub(crate) fn abort_timed_out_one(state: &mut State, id: &str) {
    let timeout_ms = state.engine.txn_info.get(id).map_or(1, |i| i.timeout_ms);
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(StrBytes::from_string(id.to_owned()))))
        .with_transaction_timeout_ms(timeout_ms)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    init_producer_id(state, &request, INIT_KNOWS_FENCED);
}

#[cfg(test)]
#[path = "transactions_tests.rs"]
mod tests;
