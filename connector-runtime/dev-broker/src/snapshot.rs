//! The whole durable state as log entries, in place of the requests that led to it: what makes a log that has grown
//! small again. Batches are written as they are, so every offset stays what it was.

use std::collections::HashMap;
use std::io;

use bytes::Bytes;
use noida::kafka::engine::{EngineState, PartitionState, PendingTxnOffset, TopicState, TxnInfo};
use noida::kafka::log::Segment;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::produce::History;
use crate::request_log::{EntryWriter, Kind};
use crate::state::State;

/// One `Snapshot` entry, as JSON. `Broker` comes first and clears what was there.
#[derive(Serialize, Deserialize)]
enum Part {
    Broker {
        next_producer_id: i64,
        broker_configs: HashMap<String, String>,
        producer_epochs: Vec<(i64, i16)>,
    },
    Topic {
        name: String,
        id: [u8; 16],
        configs: HashMap<String, String>,
        partitions: Vec<i32>,
    },
    Partition(Box<Partition>),
    Offset {
        group: String,
        topic: String,
        partition: i32,
        offset: i64,
        metadata: Option<String>,
    },
    Transaction {
        id: String,
        producer: (i64, i16),
        state: String,
        timeout_ms: i32,
        start_ms: i64,
        partitions: Vec<(String, i32)>,
        offsets: Vec<Pending>,
    },
}

/// A partition without its batches; they follow as entries of their own.
#[derive(Serialize, Deserialize)]
struct Partition {
    topic: String,
    index: i32,
    log_start_offset: i64,
    high_watermark: i64,
    clean_offset: i64,
    active_txns: HashMap<i64, i64>,
    segments: Vec<Segment>,
    tombstone_horizons: Vec<(i64, i64)>,
    history: History,
}

#[derive(Serialize, Deserialize)]
struct Pending {
    group: String,
    topic: String,
    partition: i32,
    offset: i64,
    metadata: Option<String>,
}

/// Bytes of all batches that are held: about what a snapshot would take.
pub(crate) fn live_bytes(state: &State) -> u64 {
    let topics = state.engine.topics.values();
    let partitions = topics.flat_map(|t| t.partitions.values());
    partitions.map(|p| p.size_bytes() as u64).sum()
}

/// Replaces the log's entries by a snapshot of the state.
pub(crate) fn rewrite_log(state: &mut State) -> io::Result<()> {
    let Some(mut log) = state.log.take() else {
        return Ok(());
    };
    let result = log.replace(|out| write(state, out));
    state.log = Some(log);
    result
}

fn write(state: &State, out: &mut EntryWriter) -> io::Result<()> {
    let now_ms = state.clock.now_ms();
    let mut put = |part: &Part| -> io::Result<()> { out.append(Kind::Snapshot, now_ms, &[&serde_json::to_vec(part)?]) };
    let engine = &state.engine;
    put(&Part::Broker {
        next_producer_id: engine.next_producer_id,
        broker_configs: engine.broker_configs.clone(),
        producer_epochs: sorted(engine.producer_epochs.iter().map(|(k, v)| (*k, *v))),
    })?;
    for (group, topic, partition) in sorted(engine.committed_offsets.keys().cloned()) {
        let key = (group.clone(), topic.clone(), partition);
        put(&Part::Offset {
            offset: engine.committed_offsets[&key],
            metadata: engine.offset_metadata.get(&key).cloned(),
            group,
            topic,
            partition,
        })?;
    }
    for id in sorted(engine.txn_producers.keys().cloned()) {
        put(&transaction(engine, id))?;
    }
    for name in sorted(engine.topics.keys().cloned()) {
        let topic = &engine.topics[&name];
        if topic.is_internal {
            continue;
        }
        let partitions = sorted(topic.partitions.keys().copied());
        let meta = Part::Topic {
            id: state.topic_ids.id(&name).into_bytes(),
            configs: topic.configs.clone(),
            partitions: partitions.clone(),
            name: name.clone(),
        };
        out.append(Kind::Snapshot, now_ms, &[&serde_json::to_vec(&meta)?])?;
        for index in partitions {
            write_partition(state, out, &name, index)?;
        }
    }
    Ok(())
}

fn sorted<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.collect();
    all.sort();
    all
}

fn transaction(engine: &EngineState, id: String) -> Part {
    let info = engine.txn_info.get(&id);
    let offsets = engine.txn_pending_offsets.get(&id).into_iter().flatten();
    let added = engine.txn_partitions.get(&id).into_iter().flatten();
    Part::Transaction {
        producer: engine.txn_producers[&id],
        state: info.map_or("Empty", |i| i.state).to_owned(),
        timeout_ms: info.map_or(60_000, |i| i.timeout_ms),
        start_ms: info.map_or(-1, |i| i.start_ms),
        partitions: sorted(added.cloned()),
        offsets: offsets
            .map(|o| Pending {
                group: o.key.0.clone(),
                topic: o.key.1.clone(),
                partition: o.key.2,
                offset: o.offset,
                metadata: o.metadata.clone(),
            })
            .collect(),
        id,
    }
}

fn write_partition(state: &State, out: &mut EntryWriter, topic: &str, index: i32) -> io::Result<()> {
    let now_ms = state.clock.now_ms();
    let Some(stored) = state.partition(topic, index) else {
        return Ok(());
    };
    let meta = Part::Partition(Box::new(Partition {
        topic: topic.to_owned(),
        index,
        log_start_offset: stored.log_start_offset,
        high_watermark: stored.high_watermark,
        clean_offset: stored.clean_offset,
        active_txns: stored.active_txns.clone(),
        segments: stored.segments.clone(),
        tombstone_horizons: sorted(stored.tombstone_horizons.iter().map(|(k, v)| (*k, *v))),
        history: state.history(topic, index).cloned().unwrap_or_default(),
    }));
    out.append(Kind::Snapshot, now_ms, &[&serde_json::to_vec(&meta)?])?;
    for (base, batch) in &stored.record_batches {
        let place = base.to_be_bytes();
        out.append(Kind::SnapshotBatch, now_ms, &[&place, batch])?;
    }
    Ok(())
}

/// Reads a snapshot back; it remembers which partition the batches belong to.
#[derive(Default)]
pub(crate) struct SnapshotReader {
    current: Option<(String, i32)>,
}

impl SnapshotReader {
    pub(crate) fn part(&mut self, state: &mut State, payload: &Bytes) -> io::Result<()> {
        match serde_json::from_slice(payload)? {
            Part::Broker { next_producer_id, broker_configs, producer_epochs } => {
                state.engine.next_producer_id = next_producer_id;
                state.engine.broker_configs = broker_configs;
                state.engine.producer_epochs = producer_epochs.into_iter().collect();
            }
            Part::Topic { name, id, configs, partitions } => {
                let leader = state.engine.broker_id;
                let new = |p: i32| (p, PartitionState::new(p, leader));
                state.topic_ids.insert(&name, Uuid::from_bytes(id));
                let topic = TopicState {
                    name: name.clone(),
                    is_internal: false,
                    partitions: partitions.into_iter().map(new).collect(),
                    configs,
                };
                state.engine.topics.insert(name, topic);
            }
            Part::Partition(partition) => {
                self.current = Some((partition.topic.clone(), partition.index));
                restore_partition(state, *partition)?;
            }
            Part::Offset { group, topic, partition, offset, metadata } => {
                let key = (group, topic, partition);
                if let Some(metadata) = metadata {
                    state.engine.offset_metadata.insert(key.clone(), metadata);
                }
                state.engine.committed_offsets.insert(key, offset);
            }
            transaction @ Part::Transaction { .. } => {
                restore_transaction(&mut state.engine, transaction);
            }
        }
        Ok(())
    }

    pub(crate) fn batch(&self, state: &mut State, payload: &Bytes) -> io::Result<()> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "replay an unreadable batch");
        let (topic, index) = self.current.as_ref().ok_or_else(invalid)?;
        let (stored, _) = state.partition_mut(topic, *index).ok_or_else(invalid)?;
        let base = payload.get(..8).ok_or_else(invalid)?;
        let base = i64::from_be_bytes(base.try_into().map_err(|_| invalid())?);
        stored.record_batches.push((base, payload[8..].to_vec()));
        Ok(())
    }
}

fn restore_partition(state: &mut State, from: Partition) -> io::Result<()> {
    let Some((stored, history)) = state.partition_mut(&from.topic, from.index) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("replay a snapshot of {}-{}, which does not exist", from.topic, from.index),
        ));
    };
    stored.log_start_offset = from.log_start_offset;
    stored.high_watermark = from.high_watermark;
    stored.clean_offset = from.clean_offset;
    stored.active_txns = from.active_txns;
    stored.segments = from.segments;
    stored.tombstone_horizons = from.tombstone_horizons.into_iter().collect();
    *history = from.history;
    Ok(())
}

fn restore_transaction(engine: &mut EngineState, from: Part) {
    let Part::Transaction { id, producer, state, timeout_ms, start_ms, partitions, offsets } = from else {
        return;
    };
    let known = ["Ongoing", "CompleteCommit", "CompleteAbort"];
    let state = known.into_iter().find(|s| *s == state).unwrap_or("Empty");
    let info = TxnInfo { state, timeout_ms, start_ms };
    engine.txn_info.insert(id.clone(), info);
    engine.txn_producers.insert(id.clone(), producer);
    if !partitions.is_empty() {
        let partitions = partitions.into_iter().collect();
        engine.txn_partitions.insert(id.clone(), partitions);
    }
    let offsets: Vec<PendingTxnOffset> = offsets
        .into_iter()
        .map(|o| PendingTxnOffset { key: (o.group, o.topic, o.partition), offset: o.offset, metadata: o.metadata })
        .collect();
    if !offsets.is_empty() {
        engine.txn_pending_offsets.insert(id, offsets);
    }
}
