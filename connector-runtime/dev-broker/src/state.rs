//! Everything the broker knows, under one lock: a request sees and changes it as a whole, and the order of changes is
//! the order of entries in the log.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use noida::kafka::engine::{EngineState, PartitionState};
use uuid::Uuid;

use crate::produce::History;
use crate::request_log::{Kind, RequestLog};
use crate::topics::TopicIds;

/// A mutex whose holder panicked is still taken: what these locks guard is replaced as a whole, never left half done.
/// The broker's state is the exception, see `Broker::state`.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct State {
    /// noida-db's tables: topics, partitions, groups, committed offsets, transactional ids. Its methods are Kafka's
    /// request handlers.
    pub(crate) engine: EngineState,
    pub(crate) topic_ids: TopicIds,
    /// What we keep of each partition beside the engine's own: producers and aborted transactions.
    pub(crate) histories: HashMap<String, HashMap<i32, History>>,
    /// Group members (group, member) that wait in `JoinGroup` or `SyncGroup`; they are alive without heartbeats.
    pub(crate) parked: HashSet<(String, String)>,
    /// Fetches that wait, by topic.
    fetchers: HashMap<String, Vec<Arc<Condvar>>>,
    pub(crate) clock: Clock,
    pub(crate) log: Option<RequestLog>,
    /// Why nothing is answered any more.
    pub(crate) failure: Option<String>,
    pub(crate) stopping: bool,
}

impl State {
    pub(crate) fn new() -> State {
        let clock = Clock::new();
        let mut engine = EngineState::new(String::new(), 0);
        let now = Arc::clone(&clock.now_ms);
        engine.clock = Some(Arc::new(move || now.load(Ordering::Relaxed).max(0) as u64));
        engine.broker_configs.insert("auto.create.topics.enable".into(), "false".into());
        let mut state = State {
            engine,
            topic_ids: TopicIds::default(),
            histories: HashMap::new(),
            parked: HashSet::new(),
            fetchers: HashMap::new(),
            clock,
            log: None,
            failure: None,
            stopping: false,
        };
        state.set_cluster_id(Uuid::from_u128(rand::random()));
        state.topic_ids.add_internal(&state.engine);
        state
    }

    pub(crate) fn set_cluster_id(&mut self, id: Uuid) {
        self.engine.cluster_id = url_safe_base64(id);
    }

    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Option<&PartitionState> {
        self.engine.topics.get(topic)?.partitions.get(&partition)
    }

    /// A partition and its history, which is made when it is first asked for.
    pub(crate) fn partition_mut(&mut self, topic: &str, partition: i32) -> Option<(&mut PartitionState, &mut History)> {
        let stored = self.engine.topics.get_mut(topic)?.partitions.get_mut(&partition)?;
        if !self.histories.contains_key(topic) {
            self.histories.insert(topic.to_owned(), HashMap::new());
        }
        let history = self.histories.get_mut(topic)?.entry(partition).or_default();
        Some((stored, history))
    }

    pub(crate) fn history(&self, topic: &str, partition: i32) -> Option<&History> {
        self.histories.get(topic)?.get(&partition)
    }

    /// Adds an entry to the log, if there is one. When that fails the state is ahead of the log, so nothing may be
    /// answered from it any more.
    pub(crate) fn record(&mut self, kind: Kind, payload: &[&[u8]]) -> io::Result<()> {
        let time_ms = self.clock.now_ms();
        let Some(log) = &mut self.log else {
            return Ok(());
        };
        log.append(kind, time_ms, payload).inspect_err(|e| {
            self.failure = Some(format!("write the broker's log: {e}"));
        })
    }

    /// A condition that is notified when something is appended to one of these topics.
    pub(crate) fn add_fetcher<'a>(&mut self, topics: impl Iterator<Item = &'a str>) -> Arc<Condvar> {
        let fetcher = Arc::new(Condvar::new());
        for topic in topics {
            match self.fetchers.get_mut(topic) {
                Some(waiting) => waiting.push(Arc::clone(&fetcher)),
                None => {
                    let waiting = vec![Arc::clone(&fetcher)];
                    self.fetchers.insert(topic.to_owned(), waiting);
                }
            }
        }
        fetcher
    }

    pub(crate) fn remove_fetcher(&mut self, fetcher: &Arc<Condvar>) {
        self.fetchers.retain(|_, waiting| {
            waiting.retain(|f| !Arc::ptr_eq(f, fetcher));
            !waiting.is_empty()
        });
    }

    pub(crate) fn wake_fetchers(&self, topic: &str) {
        for fetcher in self.fetchers.get(topic).into_iter().flatten() {
            fetcher.notify_one();
        }
    }

    pub(crate) fn wake_all_fetchers(&self) {
        for fetcher in self.fetchers.values().flatten() {
            fetcher.notify_one();
        }
    }
}

/// The time that all handlers see. It stands still within one request and follows a monotonic clock, so that a changed
/// wall clock or a suspended machine evicts nobody; while the log is replayed it is the time of the entry.
pub(crate) struct Clock {
    now_ms: Arc<AtomicI64>,
    started: Instant,
    started_ms: i64,
}

impl Clock {
    fn new() -> Clock {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
        Clock { now_ms: Arc::new(AtomicI64::new(wall)), started: Instant::now(), started_ms: wall }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    /// Goes on to the present.
    pub(crate) fn advance(&self) {
        let elapsed = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.now_ms.fetch_max(self.started_ms.saturating_add(elapsed), Ordering::Relaxed);
    }

    /// Goes to the time of a replayed entry.
    pub(crate) fn set(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::Relaxed);
    }

    /// After a replay: to the present, but never before the last entry, should the wall clock have been set back.
    pub(crate) fn restart(&mut self) {
        let last = self.now_ms();
        let fresh = Clock::new();
        self.started = fresh.started;
        self.started_ms = fresh.started_ms.max(last);
        self.set(self.started_ms);
    }
}

/// How Kafka writes its ids of 16 bytes: base64 for URLs, without padding.
pub(crate) fn url_safe_base64(id: Uuid) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // 128 bits are 21 groups of 6 and one of 2, which is filled up with zeros.
    let bits = id.as_u128();
    (0..22)
        .map(|i| {
            let group = if i < 21 { bits >> (122 - 6 * i) } else { bits << 4 };
            char::from(ALPHABET[(group & 0x3f) as usize])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_kafka_writes_them() {
        // RFC 4648, section 10, grown to 16 bytes.
        let id = Uuid::from_bytes(*b"foobarfoobarfoob");
        assert_eq!(url_safe_base64(id), "Zm9vYmFyZm9vYmFyZm9vYg");
        assert_eq!(url_safe_base64(Uuid::max()), "_____________________w");
        assert_eq!(url_safe_base64(Uuid::nil()), "AAAAAAAAAAAAAAAAAAAAAA");
    }

    #[test]
    fn the_clock_never_goes_back_behind_the_log() {
        let mut clock = Clock::new();
        clock.set(9_000_000_000_000);
        clock.restart();
        clock.advance();
        assert!(clock.now_ms() >= 9_000_000_000_000);
    }

    #[test]
    fn only_the_fetches_of_a_topic_are_known_under_it() {
        let mut state = State::new();
        let a = state.add_fetcher(["t", "u"].into_iter());
        let b = state.add_fetcher(["t"].into_iter());
        state.remove_fetcher(&a);
        assert_eq!(state.fetchers.len(), 1);
        assert!(Arc::ptr_eq(&state.fetchers["t"][0], &b));
        state.remove_fetcher(&b);
        assert!(state.fetchers.is_empty());
    }
}
