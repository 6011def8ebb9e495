//! Appending record batches: what is checked, how idempotent producers are told duplicates from gaps, and what of it
//! goes into the log.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions};
use noida::kafka::engine::PartitionState;
use noida::kafka::log::{LogConfig, Segment};
use serde::{Deserialize, Serialize};

use crate::batch::Header;
use crate::cleaner;
use crate::request_log::Kind;
use crate::state::State;

/// As many as Kafka remembers, and as a producer may have in flight.
const REMEMBERED_BATCHES: usize = 5;

/// What is kept of a partition beside its batches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct History {
    /// By producer id.
    pub(crate) producers: BTreeMap<i64, Producer>,
    /// In the order of their markers.
    pub(crate) aborted: Vec<Aborted>,
    /// Size of the last segment; `None` when it has to be counted anew.
    #[serde(skip)]
    pub(crate) active_segment_bytes: Option<i64>,
}

/// An aborted transaction: a producer's records from `first_offset` up to its marker do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    pub(crate) marker_offset: i64,
}

/// An idempotent producer's last batches in a partition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    pub(crate) last_append_ms: i64,
    batches: VecDeque<Numbered>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Numbered {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
}

/// What a batch's sequence numbers say about it.
#[derive(Debug, PartialEq, Eq)]
enum Sequence {
    Next,
    /// Appended before, at this offset; its answer was lost.
    Duplicate(i64),
    OutOfOrder,
    Fenced,
}

impl History {
    /// Kafka's rules (`ProducerAppendInfo.checkSequence`): a producer not known here may start anywhere.
    fn sequence_of(&self, header: Header) -> Sequence {
        let Some(producer) = self.producers.get(&header.producer_id()) else {
            return Sequence::Next;
        };
        let (first, last) = (header.first_sequence(), header.last_sequence());
        let epoch = header.producer_epoch();
        if epoch < producer.epoch {
            return Sequence::Fenced;
        }
        if epoch == producer.epoch {
            let same = |b: &&Numbered| (b.first_sequence, b.last_sequence) == (first, last);
            if let Some(known) = producer.batches.iter().find(same) {
                return Sequence::Duplicate(known.base_offset);
            }
        }
        let expected = match producer.batches.back() {
            Some(b) if epoch == producer.epoch && b.last_sequence < i32::MAX => b.last_sequence + 1,
            _ => 0,
        };
        if first == expected { Sequence::Next } else { Sequence::OutOfOrder }
    }

    fn remember(&mut self, header: Header, base_offset: i64, now_ms: i64) {
        let producer = self.producers.entry(header.producer_id()).or_default();
        if producer.epoch != header.producer_epoch() {
            producer.epoch = header.producer_epoch();
            producer.batches.clear();
        }
        producer.last_append_ms = now_ms;
        if producer.batches.len() == REMEMBERED_BATCHES {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Numbered {
            first_sequence: header.first_sequence(),
            last_sequence: header.last_sequence(),
            base_offset,
        });
    }
}

/// Checks and appends each partition's batch. With `acks=0` the caller drops the answer.
pub(crate) fn produce(state: &mut State, request: &ProduceRequest) -> io::Result<ProduceResponse> {
    let mut answer = ProduceResponse::default();
    for topic in &request.topic_data {
        let mut result = TopicProduceResponse::default().with_name(topic.name.clone());
        let mut appended = false;
        for data in &topic.partition_data {
            let outcome = match check(state, request, &topic.name, data) {
                Verdict::Append(batch) => {
                    appended = true;
                    append_and_record(state, &topic.name, data.index, batch)?
                }
                Verdict::Answer(answer) => *answer,
            };
            result.partition_responses.push(outcome);
        }
        if appended {
            state.wake_fetchers(&topic.name);
        }
        answer.responses.push(result);
    }
    Ok(answer)
}

enum Verdict {
    Append(Vec<u8>),
    Answer(Box<PartitionProduceResponse>),
}

fn refusal(index: i32, error: ResponseError) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(error.code())
        .with_base_offset(-1)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(-1)
}

fn check(state: &State, request: &ProduceRequest, topic: &str, data: &PartitionProduceData) -> Verdict {
    let refuse = |error| Verdict::Answer(Box::new(refusal(data.index, error)));
    if !(-1..=1).contains(&request.acks) {
        return refuse(ResponseError::InvalidRequiredAcks);
    }
    let Some(partition) = state.partition(topic, data.index) else {
        return refuse(ResponseError::UnknownTopicOrPartition);
    };
    let Some(records) = &data.records else {
        return refuse(ResponseError::InvalidRecord);
    };
    let Some(header) = Header::of_sent(records) else {
        return refuse(ResponseError::CorruptMessage);
    };
    if header.is_control() {
        return refuse(ResponseError::InvalidRecord);
    }
    let config = LogConfig::of(&state.engine.topics[topic].configs);
    if records.len() as i64 > config.max_message_bytes {
        return refuse(ResponseError::MessageTooLarge);
    }
    if config.compact
        && let Some(place) = keyless(records)
    {
        return Verdict::Answer(Box::new(keyless_refusal(topic, data.index, place)));
    }
    if header.producer_id() >= 0 {
        let known = state.engine.producer_epochs.get(&header.producer_id());
        if known.is_some_and(|epoch| header.producer_epoch() < *epoch) {
            return refuse(ResponseError::InvalidProducerEpoch);
        }
        match state.history(topic, data.index).map_or(Sequence::Next, |h| h.sequence_of(header)) {
            Sequence::Next => {}
            Sequence::Fenced => return refuse(ResponseError::InvalidProducerEpoch),
            Sequence::OutOfOrder => return refuse(ResponseError::OutOfOrderSequenceNumber),
            Sequence::Duplicate(base_offset) => {
                return Verdict::Answer(Box::new(
                    PartitionProduceResponse::default()
                        .with_index(data.index)
                        .with_base_offset(base_offset)
                        .with_log_append_time_ms(-1)
                        .with_log_start_offset(partition.log_start_offset),
                ));
            }
        }
        if header.is_transactional() && !in_transaction(state, request, topic, data.index, header) {
            return refuse(ResponseError::InvalidTxnState);
        }
    }
    Verdict::Append(stamped(records, &config, state.clock.now_ms()))
}

/// Whether the producer has added the partition to its open transaction; a late batch after the end would otherwise
/// open a transaction that nobody ends (KIP-890, part 1).
fn in_transaction(state: &State, request: &ProduceRequest, topic: &str, partition: i32, header: Header) -> bool {
    let Some(id) = &request.transactional_id else {
        return false;
    };
    let engine = &state.engine;
    let owner = engine.txn_producers.get(id.as_str());
    owner.is_some_and(|(producer_id, _)| *producer_id == header.producer_id())
        && engine.txn_partitions.get(id.as_str()).is_some_and(|added| added.contains(&(topic.to_owned(), partition)))
}

/// The place of the first record without a key, which a compacted topic cannot take.
fn keyless(records: &Bytes) -> Option<usize> {
    let decoded = RecordBatchDecoder::decode(&mut records.clone()).ok()?;
    decoded.records.iter().position(|r| r.key.is_none())
}

fn keyless_refusal(topic: &str, partition: i32, place: usize) -> PartitionProduceResponse {
    let message = StrBytes::from_string(format!(
        "Compacted topic cannot accept message without key in topic partition {topic}-{partition}."
    ));
    refusal(partition, ResponseError::InvalidRecord).with_error_message(Some(message.clone())).with_record_errors(vec![
        BatchIndexAndErrorMessage::default()
            .with_batch_index(place as i32)
            .with_batch_index_error_message(Some(message)),
    ])
}

/// With `message.timestamp.type=LogAppendTime` all records get the broker's time.
fn stamped(records: &Bytes, config: &LogConfig, now_ms: i64) -> Vec<u8> {
    if !config.log_append_time {
        return records.to_vec();
    }
    restamped(records, now_ms).unwrap_or_else(|| records.to_vec())
}

fn restamped(records: &Bytes, now_ms: i64) -> Option<Vec<u8>> {
    let mut set = RecordBatchDecoder::decode(&mut records.clone()).ok()?;
    for record in &mut set.records {
        record.timestamp = now_ms;
    }
    let options = RecordEncodeOptions { version: 2, compression: set.compression };
    let mut batch = BytesMut::new();
    RecordBatchEncoder::encode(&mut batch, set.records.iter(), &options).ok()?;
    let mut batch = batch.to_vec();
    noida::kafka::log::set_log_append_time_flag(&mut batch);
    Header::of_sent(&batch)?;
    Some(batch)
}

fn append_and_record(
    state: &mut State,
    topic: &str,
    index: i32,
    batch: Vec<u8>,
) -> io::Result<PartitionProduceResponse> {
    let log_append_time = LogConfig::of(&state.engine.topics[topic].configs).log_append_time;
    let now_ms = state.clock.now_ms();
    let logged = state.log.is_some().then(|| batch.clone());
    let base_offset = append(state, topic, index, batch)?;
    if let Some(batch) = logged {
        let place = place_bytes(topic, index, base_offset);
        state.record(Kind::Append, &[&place, &batch])?;
    }
    let log_start_offset = state.partition(topic, index).map_or(-1, |p| p.log_start_offset);
    Ok(PartitionProduceResponse::default()
        .with_index(index)
        .with_base_offset(base_offset)
        .with_log_append_time_ms(if log_append_time { now_ms } else { -1 })
        .with_log_start_offset(log_start_offset))
}

/// Puts a batch at the end of its partition, whatever it holds. Returns its base offset.
fn append(state: &mut State, topic: &str, index: i32, batch: Vec<u8>) -> io::Result<i64> {
    let now_ms = state.clock.now_ms();
    let missing =
        || io::Error::new(io::ErrorKind::InvalidData, format!("append to {topic}-{index}, which does not exist"));
    let config = LogConfig::of(&state.engine.topics.get(topic).ok_or_else(missing)?.configs);
    let (partition, history) = state.partition_mut(topic, index).ok_or_else(missing)?;
    roll_segment(partition, history, &config, batch.len() as i64, now_ms);
    let base_offset = partition.high_watermark;
    let mut count = 1;
    if let Some(header) = Header::of(&batch) {
        count = i64::from(header.last_offset_delta()) + 1;
        if header.producer_id() >= 0 {
            history.remember(header, base_offset, now_ms);
            if header.is_transactional() {
                partition.active_txns.entry(header.producer_id()).or_insert(base_offset);
            }
        }
    }
    // Without a configuration the engine only appends; its own check for a new segment counts every batch each time.
    partition.append_batch(batch, count, now_ms, None);
    Ok(base_offset)
}

fn roll_segment(
    partition: &mut PartitionState,
    history: &mut History,
    config: &LogConfig,
    batch_bytes: i64,
    now_ms: i64,
) {
    let counted = match (history.active_segment_bytes, partition.segments.last()) {
        (Some(bytes), _) => bytes,
        (None, None) => 0,
        (None, Some(active)) => partition
            .record_batches
            .iter()
            .rev()
            .take_while(|(base, _)| *base >= active.base_offset)
            .map(|(_, b)| b.len() as i64)
            .sum(),
    };
    let active_since_ms = partition.segments.last().map_or(now_ms, |s| s.created_ms);
    let full = counted + batch_bytes > cleaner::segment_bytes(config);
    let old = now_ms - active_since_ms >= config.segment_ms;
    if counted > 0 && (full || old) {
        partition.segments.push(Segment { base_offset: partition.high_watermark, created_ms: now_ms });
        history.active_segment_bytes = Some(batch_bytes);
    } else {
        history.active_segment_bytes = Some(counted + batch_bytes);
    }
}

fn place_bytes(topic: &str, index: i32, base_offset: i64) -> Vec<u8> {
    let mut place = Vec::with_capacity(14 + topic.len());
    place.extend((topic.len() as u16).to_be_bytes());
    place.extend_from_slice(topic.as_bytes());
    place.extend(index.to_be_bytes());
    place.extend(base_offset.to_be_bytes());
    place
}

/// Splits what [`append_and_record`] logged into topic, partition, base offset and batch.
pub(crate) fn logged_append(payload: &Bytes) -> Option<(&str, i32, i64, Bytes)> {
    let name_bytes = usize::from(u16::from_be_bytes(payload.get(..2)?.try_into().ok()?));
    let rest = 2 + name_bytes;
    let topic = std::str::from_utf8(payload.get(2..rest)?).ok()?;
    let index = i32::from_be_bytes(payload.get(rest..rest + 4)?.try_into().ok()?);
    let base = i64::from_be_bytes(payload.get(rest + 4..rest + 12)?.try_into().ok()?);
    Some((topic, index, base, payload.slice(rest + 12..)))
}

/// Repeats a logged append. That it lands at the offset it had is the proof that the replay has gone right so far.
pub(crate) fn replay_append(state: &mut State, payload: &Bytes) -> io::Result<()> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let (topic, index, base_offset, batch) =
        logged_append(payload).ok_or_else(|| invalid("replay an unreadable append".into()))?;
    let found = append(state, topic, index, batch.to_vec())?;
    if found != base_offset {
        return Err(invalid(format!(
            "replay an append to {topic}-{index}: it was at offset {base_offset} and is now at {found}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::batch;

    fn sequence(history: &History, epoch: i16, first: i32) -> Sequence {
        let sent = batch((7, epoch, first), false, &[("a", None), ("b", None)]);
        history.sequence_of(Header::of(&sent).unwrap())
    }

    fn remember(history: &mut History, epoch: i16, first: i32, offset: i64) {
        let sent = batch((7, epoch, first), false, &[("a", None), ("b", None)]);
        history.remember(Header::of(&sent).unwrap(), offset, 0);
    }

    #[test]
    fn duplicates_gaps_and_old_epochs_are_told_apart() {
        let mut history = History::default();
        assert_eq!(sequence(&history, 3, 40), Sequence::Next, "not known here");
        for i in 0..7 {
            remember(&mut history, 3, i * 2, i64::from(i) * 100);
        }
        assert_eq!(sequence(&history, 3, 14), Sequence::Next);
        assert_eq!(sequence(&history, 3, 16), Sequence::OutOfOrder);
        for i in 2..7 {
            let offset = i64::from(i) * 100;
            assert_eq!(sequence(&history, 3, i * 2), Sequence::Duplicate(offset));
        }
        assert_eq!(sequence(&history, 3, 2), Sequence::OutOfOrder, "forgotten");
        assert_eq!(sequence(&history, 2, 14), Sequence::Fenced);
        assert_eq!(sequence(&history, 4, 14), Sequence::OutOfOrder);
        assert_eq!(sequence(&history, 4, 0), Sequence::Next);
        remember(&mut history, 4, 0, 900);
        assert_eq!(sequence(&history, 4, 2), Sequence::Next);
        assert_eq!(sequence(&history, 3, 14), Sequence::Fenced);
    }

    #[test]
    fn a_logged_append_is_split_again() {
        let mut payload = place_bytes("topic", 3, 77);
        payload.extend(b"batch");
        let payload = Bytes::from(payload);
        let (topic, index, base, batch) = logged_append(&payload).unwrap();
        assert_eq!((topic, index, base, batch.as_ref()), ("topic", 3, 77, b"batch".as_slice()));
        assert!(logged_append(&payload.slice(..8)).is_none());
    }
}
