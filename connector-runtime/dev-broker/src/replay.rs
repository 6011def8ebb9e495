//! Bringing the state back from the log, and keeping the log from growing beyond what it stands for.

use std::io;
use std::path::Path;

use crate::attempt::attempt;
use crate::broker;
use crate::cleaner;
use crate::connection::Request;
use crate::produce;
use crate::request_log::{Entry, Kind, RequestLog};
use crate::snapshot::{self, SnapshotReader};
use crate::state::State;
use crate::topics;
use crate::transactions;

/// A log smaller than this is left alone at the start.
const REWRITE_AT_START_BYTES: u64 = 4 * 1024 * 1024;
/// And below this while running: it holds everyone up for as long as writing the state takes.
const REWRITE_RUNNING_BYTES: u64 = 256 * 1024 * 1024;

/// The state that the log holds, with the log ready for more; an empty state without one.
pub(crate) fn open(path: Option<&Path>, fsync: bool) -> io::Result<State> {
    let mut state = State::new();
    let Some(path) = path else {
        return Ok(state);
    };
    let mut snapshot = SnapshotReader::default();
    let failed = |e| attempt(format!("replay the broker's log {}", path.display()))(e);
    let log = RequestLog::open(path, fsync, |entry| replay(&mut state, &mut snapshot, entry).map_err(failed))?;
    state.set_cluster_id(log.cluster_id());
    state.log = Some(log);
    state.clock.restart();
    rewrite_if_grown(&mut state, REWRITE_AT_START_BYTES)?;
    Ok(state)
}

/// To be called now and then; see [`REWRITE_RUNNING_BYTES`].
pub(crate) fn rewrite_while_running(state: &mut State) -> io::Result<()> {
    rewrite_if_grown(state, REWRITE_RUNNING_BYTES).inspect_err(|e| {
        state.failure = Some(format!("rewrite the broker's log: {e}"));
    })
}

/// A rewrite pays when more than half of the log is about what no longer exists.
fn rewrite_if_grown(state: &mut State, at_least: u64) -> io::Result<()> {
    let bytes = state.log.as_ref().map_or(0, RequestLog::bytes);
    if bytes >= at_least && bytes > 2 * snapshot::live_bytes(state) {
        snapshot::rewrite_log(state)?;
    }
    Ok(())
}

fn replay(state: &mut State, snapshot: &mut SnapshotReader, entry: Entry) -> io::Result<()> {
    state.clock.set(entry.time_ms);
    match entry.kind {
        Kind::Request => {
            let request = Request::parse(entry.payload)?;
            broker::replay_request(state, request)
        }
        Kind::CreateTopics => {
            let unreadable = || invalid("replay an unreadable topic creation");
            let (ids, raw) = topics::logged_create(&entry.payload).ok_or_else(unreadable)?;
            let request = Request::parse(raw)?;
            let creation = request.into_create_topics().ok_or_else(unreadable)?;
            let (_, made) = topics::apply_create(state, &creation.0, creation.1, |place| {
                ids.get(place).copied().unwrap_or_default()
            });
            if made != ids {
                return Err(invalid("replay a topic creation: it now has another outcome"));
            }
            Ok(())
        }
        Kind::Append => produce::replay_append(state, &entry.payload),
        Kind::TransactionTimedOut => {
            let id =
                std::str::from_utf8(&entry.payload).map_err(|_| invalid("replay an unreadable transactional id"))?;
            transactions::abort_timed_out_one(state, id);
            Ok(())
        }
        Kind::Cleaned => {
            cleaner::clean(state);
            Ok(())
        }
        Kind::Snapshot => snapshot.part(state, &entry.payload),
        Kind::SnapshotBatch => snapshot.batch(state, &entry.payload),
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
