//! Committed offsets of consumer groups, plain and inside transactions.

use std::collections::HashSet;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::StrBytes;
use noida::kafka::engine::GroupLifecycleState;

use crate::groups;
use crate::state::State;
use crate::transactions;

/// A commit from a member counts as its heartbeat.
pub(crate) fn commit(state: &mut State, request: &OffsetCommitRequest, version: i16) -> OffsetCommitResponse {
    groups::alive(state, &request.group_id, &request.member_id);
    state.engine.handle_offset_commit(request, version)
}

/// Only accepted commits are in the log, and members do not outlive a restart: this one no longer asks who commits.
pub(crate) fn replay_commit(state: &mut State, mut request: OffsetCommitRequest, version: i16) {
    request.generation_id_or_member_epoch = -1;
    request.member_id = StrBytes::default();
    request.group_instance_id = None;
    state.engine.handle_offset_commit(&request, version);
}

/// A reader that asks for stable offsets has to try again while a transaction holds back an offset it asks for
/// (KIP-447).
pub(crate) fn fetch(state: &State, request: &OffsetFetchRequest, version: i16) -> OffsetFetchResponse {
    let mut answer = state.engine.handle_offset_fetch(request, version);
    if !request.require_stable {
        return answer;
    }
    let unstable = ResponseError::UnstableOffsetCommit.code();
    let pending: HashSet<(&str, &str, i32)> = state
        .engine
        .txn_pending_offsets
        .values()
        .flatten()
        .map(|o| (o.key.0.as_str(), o.key.1.as_str(), o.key.2))
        .collect();
    for topic in &mut answer.topics {
        for p in &mut topic.partitions {
            let key = (request.group_id.as_str(), topic.name.as_str(), p.partition_index);
            if pending.contains(&key) {
                (p.error_code, p.committed_offset) = (unstable, -1);
            }
        }
    }
    for group in &mut answer.groups {
        for topic in &mut group.topics {
            for p in &mut topic.partitions {
                let key = (group.group_id.as_str(), topic.name.as_str(), p.partition_index);
                if pending.contains(&key) {
                    (p.error_code, p.committed_offset) = (unstable, -1);
                }
            }
        }
    }
    answer
}

/// Offsets that a transaction moves when it commits. They are taken from the id's current producer only, and, when the
/// request names a member, from a current member of the current generation only (KIP-447).
pub(crate) fn txn_commit(state: &mut State, request: &TxnOffsetCommitRequest, version: i16) -> TxnOffsetCommitResponse {
    let Some(error) = refusal(state, request) else {
        return commit_existing(state, request, version);
    };
    answer_with(request, |_, _| Some(error)).0
}

/// As [`replay_commit`].
pub(crate) fn replay_txn_commit(state: &mut State, mut request: TxnOffsetCommitRequest, version: i16) {
    request.generation_id = -1;
    request.member_id = StrBytes::default();
    request.group_instance_id = None;
    txn_commit(state, &request, version);
}

fn refusal(state: &mut State, request: &TxnOffsetCommitRequest) -> Option<ResponseError> {
    let id = &request.transactional_id;
    let owner = (request.producer_id.0, request.producer_epoch);
    // This request knows no PRODUCER_FENCED.
    if let Err(error) = transactions::check_owner(state, id, owner, false) {
        return Some(error);
    }
    if !transactions::is_open(state, id) {
        return Some(ResponseError::InvalidTxnState);
    }
    not_a_member(state, request)
}

fn not_a_member(state: &State, request: &TxnOffsetCommitRequest) -> Option<ResponseError> {
    let member = request.member_id.as_str();
    if member.is_empty() && request.generation_id < 0 && request.group_instance_id.is_none() {
        return None;
    }
    let group = state.engine.groups.get(request.group_id.as_str());
    let Some(group) = group.filter(|g| g.state != GroupLifecycleState::Dead) else {
        return (request.generation_id >= 0).then_some(ResponseError::IllegalGeneration);
    };
    if group.is_fenced_instance(request.group_instance_id.as_deref(), member) {
        Some(ResponseError::FencedInstanceId)
    } else if !group.members.contains_key(member) {
        Some(ResponseError::UnknownMemberId)
    } else if request.generation_id != group.generation_id {
        Some(ResponseError::IllegalGeneration)
    } else {
        None
    }
}

/// Offsets of partitions that do not exist are refused, the others taken.
fn commit_existing(state: &mut State, request: &TxnOffsetCommitRequest, version: i16) -> TxnOffsetCommitResponse {
    let (answer, accepted) = answer_with(request, |topic, partition| {
        let exists = state.partition(topic, partition).is_some();
        (!exists).then_some(ResponseError::UnknownTopicOrPartition)
    });
    state.engine.handle_txn_offset_commit(&accepted, version);
    answer
}

/// An answer with this error for each partition, and the request without those that have one.
fn answer_with(
    request: &TxnOffsetCommitRequest,
    error: impl Fn(&str, i32) -> Option<ResponseError>,
) -> (TxnOffsetCommitResponse, TxnOffsetCommitRequest) {
    let mut answer = TxnOffsetCommitResponse::default();
    let mut accepted = request.clone();
    for topic in &mut accepted.topics {
        let mut result = TxnOffsetCommitResponseTopic::default().with_name(topic.name.clone());
        topic.partitions.retain(|p| {
            let error = error(&topic.name, p.partition_index);
            let code = error.map_or(0, |e| e.code());
            result.partitions.push(
                TxnOffsetCommitResponsePartition::default()
                    .with_partition_index(p.partition_index)
                    .with_error_code(code),
            );
            code == 0
        });
        answer.topics.push(result);
    }
    (answer, accepted)
}
