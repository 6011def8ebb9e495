//! From a request to its answer: takes the lock, finds who handles it, and logs what it changed before anyone is told.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::{DeleteRecordsResponse, ListOffsetsResponse, RequestKind, ResponseKind};
use kafka_protocol::protocol::StrBytes;

use crate::cleaner;
use crate::configs;
use crate::connection::{AnswerHead, Request};
use crate::fetch;
use crate::groups::{self, Waits};
use crate::metadata;
use crate::offered;
use crate::offsets;
use crate::produce;
use crate::request_log::{Kind, Sync};
use crate::state::State;
use crate::topics;
use crate::transactions;

pub(crate) struct Broker {
    state: Mutex<State>,
    /// A group has changed.
    regrouped: Condvar,
    stopped: Condvar,
    sync: Option<Arc<Sync>>,
    frame_bytes_max: usize,
}

impl Broker {
    pub(crate) fn new(mut state: State, addr: SocketAddr, frame_bytes_max: usize) -> Broker {
        state.engine.host = addr.ip().to_string();
        state.engine.port = i32::from(addr.port());
        Broker {
            sync: state.log.as_ref().map(|l| l.sync()),
            state: Mutex::new(state),
            regrouped: Condvar::new(),
            stopped: Condvar::new(),
            frame_bytes_max,
        }
    }

    pub(crate) fn frame_bytes_max(&self) -> usize {
        self.frame_bytes_max
    }

    /// The answer's frame, or `None` when none is wanted (`acks=0`).
    ///
    /// # Errors
    ///
    /// The connection is to be closed: the broker stops, or can no longer promise what it would acknowledge.
    pub(crate) fn answer(&self, request: Request, host: &str) -> io::Result<Option<Bytes>> {
        let head = AnswerHead::of(&request);
        let version = request.version;
        let (answer, version) = match &request.kind {
            RequestKind::ApiVersions(_) => {
                let (answer, version) = offered::answer(version);
                (ResponseKind::ApiVersions(answer), version)
            }
            RequestKind::Fetch(r) => {
                let state = self.usable_state()?;
                let answer = fetch::fetch(&self.state, state, r, version);
                (ResponseKind::Fetch(answer), version)
            }
            RequestKind::JoinGroup(r) => {
                let client = groups::Client { id: &request.client_id, host };
                let state = self.usable_state()?;
                let answer = groups::join(self.waits(), state, r, version, &client);
                (ResponseKind::JoinGroup(answer), version)
            }
            RequestKind::SyncGroup(r) => {
                let answer = groups::sync(self.waits(), self.usable_state()?, r, version);
                (ResponseKind::SyncGroup(answer), version)
            }
            RequestKind::Produce(r) => {
                let answer = produce::produce(&mut *self.usable_state()?, r)?;
                self.make_durable()?;
                if r.acks == 0 {
                    return Ok(None);
                }
                (ResponseKind::Produce(answer), version)
            }
            _ => (self.read_or_change(&request)?, version),
        };
        // A wait may have ended because the broker failed.
        drop(self.usable_state()?);
        head.encode(&answer, version).map(Some)
    }

    fn read_or_change(&self, request: &Request) -> io::Result<ResponseKind> {
        let mut state = self.usable_state()?;
        if let Some(answer) = read(&state, &request.kind, request.version) {
            return Ok(answer);
        }
        if let Some(answer) = self.regroup(&mut state, &request.kind, request.version) {
            return Ok(answer);
        }
        let answer = if let RequestKind::CreateTopics(r) = &request.kind {
            ResponseKind::CreateTopics(topics::create(&mut state, r, request.version, &request.raw)?)
        } else {
            let changed = change(&mut state, &request.kind, request.version);
            let (answer, accepted) = changed.ok_or_else(|| unanswerable(request))?;
            if accepted {
                state.record(Kind::Request, &[&request.raw])?;
            }
            answer
        };
        drop(state);
        self.make_durable()?;
        Ok(answer)
    }

    /// What changes a group's members but nothing that outlives a restart.
    fn regroup(&self, state: &mut State, kind: &RequestKind, version: i16) -> Option<ResponseKind> {
        match kind {
            RequestKind::Heartbeat(r) => {
                let answer = groups::heartbeat(state, r, version);
                Some(ResponseKind::Heartbeat(answer))
            }
            RequestKind::LeaveGroup(r) => {
                let answer = state.engine.handle_leave_group(r, version);
                self.wake_groups();
                Some(ResponseKind::LeaveGroup(answer))
            }
            _ => None,
        }
    }

    /// The state, with its clock brought to the present.
    pub(crate) fn usable_state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if let Some(failure) = &state.failure {
            return Err(io::Error::other(failure.clone()));
        }
        if state.stopping {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "answer a request: the broker is stopping"));
        }
        state.clock.advance();
        Ok(state)
    }

    /// A request that panicked may have changed half of what it meant to, so nothing is answered from it any more.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            let mut state = poisoned.into_inner();
            state.failure.get_or_insert_with(|| "a request broke off half way".to_owned());
            state
        })
    }

    fn waits(&self) -> Waits<'_> {
        Waits { state: &self.state, regrouped: &self.regrouped }
    }

    pub(crate) fn wake_groups(&self) {
        self.regrouped.notify_all();
    }

    fn make_durable(&self) -> io::Result<()> {
        let Some(sync) = &self.sync else {
            return Ok(());
        };
        sync.wait().inspect_err(|e| {
            self.state().failure = Some(format!("sync the broker's log: {e}"));
        })
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    /// Returns false when the broker stops meanwhile.
    pub(crate) fn sleep(&self, time: Duration) -> bool {
        let state = self.state();
        if state.stopping {
            return false;
        }
        match self.stopped.wait_timeout(state, time) {
            Ok((state, _)) => !state.stopping,
            Err(_) => !self.state().stopping,
        }
    }

    /// Ends every wait; no request is answered any more.
    pub(crate) fn stop(&self) {
        let mut state = self.state();
        state.stopping = true;
        state.wake_all_fetchers();
        self.regrouped.notify_all();
        self.stopped.notify_all();
    }

    /// Writes the log out and gives it free for another broker.
    pub(crate) fn close_log(&self) {
        if let Some(log) = self.state().log.take() {
            // Nothing was promised beyond what the settings say; this is for the machine that is switched off next.
            let _ = log.sync_all();
        }
    }
}

fn unanswerable(request: &Request) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("answer a {:?} request: nobody handles it", request.key))
}

/// Requests that change nothing.
fn read(state: &State, kind: &RequestKind, version: i16) -> Option<ResponseKind> {
    let engine = &state.engine;
    Some(match kind {
        RequestKind::Metadata(r) => ResponseKind::Metadata(metadata::metadata(state, r, version)),
        RequestKind::ListOffsets(r) => {
            let answer = engine.handle_list_offsets(r, version);
            ResponseKind::ListOffsets(with_leader_epoch(answer))
        }
        RequestKind::FindCoordinator(r) => ResponseKind::FindCoordinator(engine.handle_find_coordinator(r, version)),
        RequestKind::OffsetFetch(r) => ResponseKind::OffsetFetch(offsets::fetch(state, r, version)),
        RequestKind::OffsetForLeaderEpoch(r) => {
            ResponseKind::OffsetForLeaderEpoch(engine.handle_offset_for_leader_epoch(r, version))
        }
        RequestKind::DescribeGroups(r) => ResponseKind::DescribeGroups(engine.handle_describe_groups(r, version)),
        RequestKind::ListGroups(r) => ResponseKind::ListGroups(engine.handle_list_groups(r, version)),
        RequestKind::DescribeConfigs(r) => ResponseKind::DescribeConfigs(configs::describe(state, r)),
        RequestKind::DescribeCluster(r) => ResponseKind::DescribeCluster(engine.handle_describe_cluster(r, version)),
        RequestKind::DescribeTransactions(r) => {
            ResponseKind::DescribeTransactions(engine.handle_describe_transactions(r, version))
        }
        RequestKind::ListTransactions(r) => ResponseKind::ListTransactions(engine.handle_list_transactions(r, version)),
        RequestKind::DescribeLogDirs(r) => {
            let mut answer = engine.handle_describe_log_dirs(r, version);
            for dir in &mut answer.results {
                dir.log_dir = StrBytes::from_static_str("memory");
            }
            ResponseKind::DescribeLogDirs(answer)
        }
        _ => return None,
    })
}

fn with_leader_epoch(mut answer: ListOffsetsResponse) -> ListOffsetsResponse {
    for partition in answer.topics.iter_mut().flat_map(|t| &mut t.partitions) {
        if partition.error_code == 0 && partition.offset >= 0 {
            partition.leader_epoch = 0;
        }
    }
    answer
}

/// Requests that change what outlives a restart, and whether they did: then they belong in the log.
fn change(state: &mut State, kind: &RequestKind, version: i16) -> Option<(ResponseKind, bool)> {
    let engine = &mut state.engine;
    Some(match kind {
        RequestKind::DeleteTopics(r) => {
            let a = topics::delete(state, r, version);
            let ok = a.responses.iter().any(|t| t.error_code == 0);
            (ResponseKind::DeleteTopics(a), ok)
        }
        RequestKind::CreatePartitions(r) => {
            let a = topics::create_partitions(state, r, version);
            let ok = a.results.iter().any(|t| t.error_code == 0) && !r.validate_only;
            (ResponseKind::CreatePartitions(a), ok)
        }
        RequestKind::DeleteRecords(r) => {
            let a = engine.handle_delete_records(r, version);
            let ok = truncated(state, &a);
            (ResponseKind::DeleteRecords(a), ok)
        }
        RequestKind::AlterConfigs(r) => {
            let a = engine.handle_alter_configs(r, version);
            let ok = a.responses.iter().any(|t| t.error_code == 0) && !r.validate_only;
            (ResponseKind::AlterConfigs(a), ok)
        }
        RequestKind::IncrementalAlterConfigs(r) => {
            let a = engine.handle_incremental_alter_configs(r, version);
            let ok = a.responses.iter().any(|t| t.error_code == 0) && !r.validate_only;
            (ResponseKind::IncrementalAlterConfigs(a), ok)
        }
        RequestKind::DeleteGroups(r) => {
            let a = engine.handle_delete_groups(r, version);
            let ok = a.results.iter().any(|g| g.error_code == 0);
            (ResponseKind::DeleteGroups(a), ok)
        }
        RequestKind::OffsetDelete(r) => {
            let a = engine.handle_offset_delete(r, version);
            let ok = a.error_code == 0;
            (ResponseKind::OffsetDelete(a), ok)
        }
        RequestKind::OffsetCommit(r) => {
            let a = offsets::commit(state, r, version);
            let mut partitions = a.topics.iter().flat_map(|t| &t.partitions);
            let ok = partitions.any(|p| p.error_code == 0);
            (ResponseKind::OffsetCommit(a), ok)
        }
        _ => return change_transaction(state, kind, version),
    })
}

fn change_transaction(state: &mut State, kind: &RequestKind, version: i16) -> Option<(ResponseKind, bool)> {
    Some(match kind {
        RequestKind::InitProducerId(r) => {
            let a = transactions::init_producer_id(state, r, version);
            let ok = a.error_code == 0;
            (ResponseKind::InitProducerId(a), ok)
        }
        RequestKind::AddPartitionsToTxn(r) => {
            let a = transactions::add_partitions(state, r, version);
            let topics = &a.results_by_topic_v3_and_below;
            let mut partitions = topics.iter().flat_map(|t| &t.results_by_partition);
            let ok = partitions.any(|p| p.partition_error_code == 0);
            (ResponseKind::AddPartitionsToTxn(a), ok)
        }
        RequestKind::AddOffsetsToTxn(r) => {
            let a = transactions::add_offsets(state, r, version);
            let ok = a.error_code == 0;
            (ResponseKind::AddOffsetsToTxn(a), ok)
        }
        RequestKind::TxnOffsetCommit(r) => {
            let a = offsets::txn_commit(state, r, version);
            let mut partitions = a.topics.iter().flat_map(|t| &t.partitions);
            let ok = partitions.any(|p| p.error_code == 0);
            (ResponseKind::TxnOffsetCommit(a), ok)
        }
        RequestKind::EndTxn(r) => {
            let a = transactions::end(state, r, version);
            let ok = a.error_code == 0;
            (ResponseKind::EndTxn(a), ok)
        }
        _ => return None,
    })
}

/// Brings the histories in line after `DeleteRecords`. Returns whether anything was deleted.
fn truncated(state: &mut State, answer: &DeleteRecordsResponse) -> bool {
    let mut any = false;
    for topic in &answer.topics {
        for partition in topic.partitions.iter().filter(|p| p.error_code == 0) {
            any = true;
            if let Some((stored, history)) = state.partition_mut(&topic.name, partition.partition_index) {
                cleaner::truncated(stored, history);
            }
        }
    }
    any
}

/// Does again what a logged request did.
pub(crate) fn replay_request(state: &mut State, request: Request) -> io::Result<()> {
    let version = request.version;
    match request.kind {
        // Whether its sender was a member was decided when it was accepted.
        RequestKind::OffsetCommit(r) => offsets::replay_commit(state, r, version),
        RequestKind::TxnOffsetCommit(r) => offsets::replay_txn_commit(state, r, version),
        ref kind => {
            change(state, kind, version).ok_or_else(|| unanswerable(&request))?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "broker_tests.rs"]
mod tests;
