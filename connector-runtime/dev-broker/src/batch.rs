//! Reading the header of a record batch, format version 2
//! (<https://kafka.apache.org/documentation/#recordbatch>), without decoding its records.

use noida::kafka::engine::PartitionState;

/// From the base offset up to the records.
pub(crate) const HEADER_BYTES: usize = 61;

const MAGIC: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const MAX_TIMESTAMP: usize = 35;
const PRODUCER_ID: usize = 43;
const PRODUCER_EPOCH: usize = 51;
const BASE_SEQUENCE: usize = 53;
const RECORD_COUNT: usize = 57;

const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

/// A batch of at least [`HEADER_BYTES`].
#[derive(Clone, Copy)]
pub(crate) struct Header<'a>(&'a [u8]);

impl<'a> Header<'a> {
    /// Of a batch that is stored already; `None` when it is shorter than a header.
    pub(crate) fn of(batch: &'a [u8]) -> Option<Header<'a>> {
        (batch.len() >= HEADER_BYTES && batch[MAGIC] == 2).then_some(Header(batch))
    }

    /// Of exactly one batch as a producer sent it: its length covers all bytes, its checksum is right, and its count
    /// is that of its offsets.
    pub(crate) fn of_sent(records: &'a [u8]) -> Option<Header<'a>> {
        let header = Header::of(records)?;
        let whole = i64::from(header.int(8)) + 12 == records.len() as i64;
        let sound = header.int(CRC) as u32 == crc32c::crc32c(&records[ATTRIBUTES..]);
        let dense = header.int(RECORD_COUNT) >= 1 && header.int(LAST_OFFSET_DELTA) == header.int(RECORD_COUNT) - 1;
        (whole && sound && dense).then_some(header)
    }

    pub(crate) fn last_offset_delta(self) -> i32 {
        self.int(LAST_OFFSET_DELTA)
    }

    pub(crate) fn max_timestamp_ms(self) -> i64 {
        self.long(MAX_TIMESTAMP)
    }

    /// -1 when the producer is not idempotent.
    pub(crate) fn producer_id(self) -> i64 {
        self.long(PRODUCER_ID)
    }

    pub(crate) fn producer_epoch(self) -> i16 {
        self.short(PRODUCER_EPOCH)
    }

    pub(crate) fn first_sequence(self) -> i32 {
        self.int(BASE_SEQUENCE)
    }

    /// Sequences wrap to 0 after `i32::MAX`.
    pub(crate) fn last_sequence(self) -> i32 {
        let last = i64::from(self.first_sequence()) + i64::from(self.last_offset_delta());
        (last % (i64::from(i32::MAX) + 1)) as i32
    }

    pub(crate) fn is_transactional(self) -> bool {
        self.short(ATTRIBUTES) & TRANSACTIONAL != 0
    }

    /// A commit or abort marker.
    pub(crate) fn is_control(self) -> bool {
        self.short(ATTRIBUTES) & CONTROL != 0
    }

    fn short(self, at: usize) -> i16 {
        i16::from_be_bytes([self.0[at], self.0[at + 1]])
    }

    fn int(self, at: usize) -> i32 {
        let b = self.0;
        i32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
    }

    fn long(self, at: usize) -> i64 {
        (i64::from(self.int(at)) << 32) | i64::from(self.int(at + 4) as u32)
    }
}

/// The offset of a stored batch's last record, or that of its place when it is too short to have one.
pub(crate) fn last_offset(base: i64, batch: &[u8]) -> i64 {
    Header::of(batch).map_or(base, |h| base + i64::from(h.last_offset_delta()))
}

/// The index of the first batch that has something at `offset` or after it; compaction leaves gaps, so this need not be
/// a batch that covers `offset`.
pub(crate) fn index_at(partition: &PartitionState, offset: i64) -> usize {
    partition.record_batches.partition_point(|(base, batch)| last_offset(*base, batch) < offset)
}

/// How many of these batches, taken whole and in order, fit into `room` bytes, and how many bytes they are. The first
/// one always fits when `at_least_one`: a consumer must get past a batch that is larger than its limits.
pub(crate) fn fitting<'a>(batches: impl Iterator<Item = &'a [u8]>, room: usize, at_least_one: bool) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    for batch in batches {
        if bytes + batch.len() > room && !(at_least_one && count == 0) {
            break;
        }
        count += 1;
        bytes += batch.len();
    }
    (count, bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};

    /// One batch with these keys and values, as a producer with this id would send it.
    pub(crate) fn batch(producer: (i64, i16, i32), transactional: bool, records: &[(&str, Option<&str>)]) -> Vec<u8> {
        let (producer_id, producer_epoch, sequence) = producer;
        let records: Vec<Record> = records
            .iter()
            .enumerate()
            .map(|(i, (key, value))| Record {
                transactional,
                control: false,
                delete_horizon: false,
                partition_leader_epoch: 0,
                producer_id,
                producer_epoch,
                timestamp_type: TimestampType::Creation,
                offset: i as i64,
                sequence: if sequence < 0 { sequence.wrapping_add(i as i32) } else { sequence + i as i32 },
                timestamp: 1_000 + i as i64,
                key: Some(bytes::Bytes::copy_from_slice(key.as_bytes())),
                value: value.map(|v| bytes::Bytes::copy_from_slice(v.as_bytes())),
                headers: Default::default(),
            })
            .collect();
        let mut out = bytes::BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut out, records.iter(), &options).unwrap();
        out.to_vec()
    }

    #[test]
    fn the_header_of_a_sent_batch_is_read() {
        let sent = batch((7, 2, 5), true, &[("a", Some("1")), ("b", None)]);
        let header = Header::of_sent(&sent).unwrap();
        assert_eq!((header.producer_id(), header.producer_epoch()), (7, 2));
        assert_eq!((header.first_sequence(), header.last_sequence()), (5, 6));
        assert_eq!(header.last_offset_delta(), 1);
        assert_eq!(header.max_timestamp_ms(), 1_001);
        assert!(header.is_transactional() && !header.is_control());
    }

    #[test]
    fn a_damaged_or_cut_batch_is_refused() {
        let sent = batch((-1, -1, -1), false, &[("a", Some("1"))]);
        let mut damaged = sent.clone();
        damaged[HEADER_BYTES] ^= 1;
        assert!(Header::of_sent(&damaged).is_none());
        assert!(Header::of_sent(&sent[..sent.len() - 1]).is_none());
        let twice = [sent.clone(), sent.clone()].concat();
        assert!(Header::of_sent(&twice).is_none());
        assert!(Header::of_sent(&sent).is_some());
    }

    #[test]
    fn sequences_wrap_after_the_largest() {
        let mut sent = batch((7, 0, 0), false, &[("a", None), ("b", None), ("c", None)]);
        sent[BASE_SEQUENCE..BASE_SEQUENCE + 4].copy_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(Header::of(&sent).unwrap().last_sequence(), 1);
    }

    #[test]
    fn whole_batches_are_taken_up_to_the_limit() {
        let sizes = [10usize, 20, 30];
        let bytes: Vec<Vec<u8>> = sizes.iter().map(|n| vec![0; *n]).collect();
        let take = |room, first| fitting(bytes.iter().map(Vec::as_slice), room, first);
        assert_eq!(take(100, false), (3, 60));
        assert_eq!(take(59, false), (2, 30));
        assert_eq!(take(30, false), (2, 30));
        assert_eq!(take(9, false), (0, 0));
        assert_eq!(take(9, true), (1, 10), "the first one always fits when asked to");
        assert_eq!(take(0, true), (1, 10));
    }
}
