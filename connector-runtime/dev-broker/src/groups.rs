//! Consumer groups: the waits inside a rebalance, and sessions.
//!
//! noida-db keeps the members and generations. Its own waits poll; these sleep until the group has changed.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use noida::kafka::engine::{GroupLifecycleState as Phase, GroupState};

use crate::state::{State, lock};

/// What the waits need beside the state: its lock, and the condition that tells of a changed group.
#[derive(Clone, Copy)]
pub(crate) struct Waits<'a> {
    pub(crate) state: &'a Mutex<State>,
    pub(crate) regrouped: &'a Condvar,
}

impl<'a> Waits<'a> {
    fn wait(self, state: MutexGuard<'a, State>, until: Instant) -> MutexGuard<'a, State> {
        let left = until.saturating_duration_since(Instant::now());
        match self.regrouped.wait_timeout(state, left) {
            Ok((state, _)) => state,
            // Whoever panicked with the lock has failed the broker; the caller sees that.
            Err(_) => lock(self.state),
        }
    }
}

/// Notes a sign of life.
pub(crate) fn alive(state: &mut State, group: &str, member: &str) {
    let now_ms = state.clock.now_ms();
    if let Some(group) = state.engine.groups.get_mut(group)
        && let Some(member) = group.members.get_mut(member)
    {
        member.last_heartbeat_ms = now_ms;
    }
}

pub(crate) fn heartbeat(state: &mut State, request: &HeartbeatRequest, version: i16) -> HeartbeatResponse {
    alive(state, &request.group_id, &request.member_id);
    state.engine.handle_heartbeat(request, version)
}

/// Who joins, for the lists of members.
pub(crate) struct Client<'a> {
    pub(crate) id: &'a str,
    pub(crate) host: &'a str,
}

/// Joins, and waits until all members have, or their rebalance time-out has passed.
pub(crate) fn join<'a>(
    waits: Waits<'a>,
    mut state: MutexGuard<'a, State>,
    request: &JoinGroupRequest,
    version: i16,
    client: &Client,
) -> JoinGroupResponse {
    let answer = state.engine.handle_join_group(request, version, client.id, client.host);
    waits.regrouped.notify_all();
    if answer.error_code != 0 {
        return answer;
    }
    let group_id = request.group_id.to_string();
    let member_id = answer.member_id.to_string();
    let gone = if request.group_instance_id.is_some() {
        ResponseError::FencedInstanceId
    } else {
        ResponseError::UnknownMemberId
    };
    let place = (group_id.clone(), member_id.clone());
    state.parked.insert(place.clone());
    let outcome = loop {
        let now_ms = state.clock.now_ms();
        let stopping = state.stopping;
        let Some(group) = state.engine.groups.get_mut(&group_id) else {
            break Err(gone);
        };
        if !group.members.contains_key(&member_id) {
            break Err(gone);
        }
        if stopping {
            break Err(ResponseError::CoordinatorNotAvailable);
        }
        let phase = group.state;
        // A new round may have begun before this wait saw the end of the last one; this request is part of it.
        if phase == Phase::PreparingRebalance
            && let Some(member) = group.members.get(&member_id)
            && !group.awaiting_members.contains_key(&member_id)
        {
            let protocols = member.protocols.clone();
            group.awaiting_members.insert(member_id.clone(), protocols);
        }
        group.try_complete_join();
        if group.state != phase {
            waits.regrouped.notify_all();
        }
        if group.state != Phase::PreparingRebalance {
            break Ok(joined(group, &member_id));
        }
        let until = next_look(group, now_ms);
        state = waits.wait(state, until);
        state.clock.advance();
        if drop_late_members(&mut state, &group_id) {
            waits.regrouped.notify_all();
        }
    };
    state.parked.remove(&place);
    alive(&mut state, &group_id, &member_id);
    outcome.unwrap_or_else(|error| {
        JoinGroupResponse::default()
            .with_error_code(error.code())
            .with_generation_id(-1)
            .with_member_id(answer.member_id)
    })
}

/// When a round may end without any member doing something: the first round's delay, or the rebalance time-out.
fn next_look(group: &GroupState, now_ms: i64) -> Instant {
    let late_ms = group.rebalance_start_ms + rebalance_timeout_ms(group);
    let until = Instant::now() + Duration::from_millis((late_ms - now_ms).clamp(1, 60_000) as u64);
    match group.initial_until {
        Some(initial) => until.min(initial),
        None => until,
    }
}

fn rebalance_timeout_ms(group: &GroupState) -> i64 {
    let longest = group.members.values().map(|m| m.rebalance_timeout_ms).max();
    i64::from(longest.unwrap_or(0).max(1))
}

/// Removes who has not rejoined within the rebalance time-out, so that the others can go on.
fn drop_late_members(state: &mut State, group_id: &str) -> bool {
    let now_ms = state.clock.now_ms();
    let Some(group) = state.engine.groups.get_mut(group_id) else {
        return false;
    };
    if group.state != Phase::PreparingRebalance || now_ms < group.rebalance_start_ms + rebalance_timeout_ms(group) {
        return false;
    }
    let before = group.members.len();
    let awaiting = &group.awaiting_members;
    group.members.retain(|id, _| awaiting.contains_key(id));
    group.try_complete_join();
    before != group.members.len()
}

/// The answer to a member of a group whose members have all joined.
fn joined(group: &GroupState, member_id: &str) -> JoinGroupResponse {
    let text = |s: &str| StrBytes::from_string(s.to_owned());
    let leader = group.leader_id.as_deref().unwrap_or_default();
    let protocol = group.protocol_name.as_deref().unwrap_or_default();
    let members = if leader == member_id {
        let mut all: Vec<_> = group.members.values().collect();
        all.sort_by(|a, b| a.member_id.cmp(&b.member_id));
        all.into_iter()
            .map(|m| {
                let metadata = m.protocols.iter().find(|(name, _)| name == protocol);
                JoinGroupResponseMember::default()
                    .with_member_id(text(&m.member_id))
                    .with_group_instance_id(m.group_instance_id.as_deref().map(text))
                    .with_metadata(metadata.map_or_else(Bytes::new, |(_, m)| Bytes::copy_from_slice(m)))
            })
            .collect()
    } else {
        Vec::new()
    };
    JoinGroupResponse::default()
        .with_generation_id(group.generation_id)
        .with_protocol_type(Some(text(&group.protocol_type)))
        .with_protocol_name(Some(text(protocol)))
        .with_leader(text(leader))
        .with_member_id(text(member_id))
        .with_members(members)
}

/// Hands in the leader's assignments, or waits for them.
pub(crate) fn sync<'a>(
    waits: Waits<'a>,
    mut state: MutexGuard<'a, State>,
    request: &SyncGroupRequest,
    version: i16,
) -> SyncGroupResponse {
    let (group_id, member_id) = (request.group_id.as_str(), request.member_id.as_str());
    alive(&mut state, group_id, member_id);
    let place = (group_id.to_owned(), member_id.to_owned());
    let started = Instant::now();
    let mut in_time = true;
    while in_time && !state.stopping {
        let group = state.engine.groups.get(group_id);
        let waiting = group.filter(|g| waits_for_leader(g, request));
        let Some(until) = waiting.map(|g| started + Duration::from_millis(rebalance_timeout_ms(g) as u64)) else {
            break;
        };
        state.parked.insert(place.clone());
        state = waits.wait(state, until);
        state.clock.advance();
        in_time = Instant::now() < until;
    }
    if state.parked.remove(&place) {
        alive(&mut state, group_id, member_id);
    }
    if state.stopping || !in_time {
        // The member rejoins, and the leader that never answered is evicted by its session.
        let error = ResponseError::RebalanceInProgress;
        return SyncGroupResponse::default().with_error_code(error.code());
    }
    let answer = state.engine.handle_sync_group(request, version);
    waits.regrouped.notify_all();
    let Some(group) = state.engine.groups.get(group_id) else {
        return answer;
    };
    answer
        .with_protocol_type(Some(StrBytes::from_string(group.protocol_type.clone())))
        .with_protocol_name(group.protocol_name.clone().map(StrBytes::from_string))
}

fn waits_for_leader(group: &GroupState, request: &SyncGroupRequest) -> bool {
    let member_id = request.member_id.as_str();
    group.state == Phase::CompletingRebalance
        && group.members.contains_key(member_id)
        && !group.is_fenced_instance(request.group_instance_id.as_deref(), member_id)
        && group.leader_id.as_deref() != Some(member_id)
        && request.assignments.is_empty()
        && request.generation_id == group.generation_id
}

/// Removes members that have not been heard of for their session time-out. Returns whether there were any.
pub(crate) fn evict_silent(state: &mut State) -> bool {
    let now_ms = state.clock.now_ms();
    let mut silent = Vec::new();
    for (group_id, group) in &state.engine.groups {
        for member in group.members.values() {
            let silent_ms = now_ms - member.last_heartbeat_ms;
            let place = (group_id.clone(), member.member_id.clone());
            if silent_ms > i64::from(member.session_timeout_ms) && !state.parked.contains(&place) {
                silent.push(place);
            }
        }
    }
    for (group_id, member_id) in &silent {
        let request = LeaveGroupRequest::default()
            .with_group_id(GroupId(StrBytes::from_string(group_id.clone())))
            .with_members(vec![MemberIdentity::default().with_member_id(StrBytes::from_string(member_id.clone()))]);
        state.engine.handle_leave_group(&request, 4);
    }
    !silent.is_empty()
}
