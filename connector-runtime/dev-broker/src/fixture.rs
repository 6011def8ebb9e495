//! For unit tests: a state with a topic, and the requests that most tests make.

use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, CreateTopicsRequest, EndTxnRequest, InitProducerIdRequest, ProduceRequest, ProducerId,
    TopicName, TransactionalId, add_partitions_to_txn_request::AddPartitionsToTxnTopic,
};
use kafka_protocol::protocol::StrBytes;

use crate::batch::tests::batch;
use crate::produce;
use crate::state::State;
use crate::topics;
use crate::transactions;

pub(crate) fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}

pub(crate) fn id(s: &str) -> TransactionalId {
    TransactionalId(text(s))
}

pub(crate) fn creation(topic: &str, configs: &[(&str, &str)]) -> CreateTopicsRequest {
    let configs = configs
        .iter()
        .map(|(key, value)| CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value))));
    CreateTopicsRequest::default().with_topics(vec![
        CreatableTopic::default()
            .with_name(TopicName(text(topic)))
            .with_num_partitions(1)
            .with_replication_factor(1)
            .with_configs(configs.collect()),
    ])
}

pub(crate) fn state_with(topic: &str, configs: &[(&str, &str)]) -> State {
    let mut state = State::new();
    state.clock.set(1_000_000);
    let answer = topics::create(&mut state, &creation(topic, configs), 7, b"").unwrap();
    assert_eq!(answer.topics[0].error_code, 0, "{:?}", answer.topics[0]);
    state
}

/// A transactional producer as the tests use it: its id, producer id and epoch, and its next sequence number.
pub(crate) struct Producer {
    pub(crate) id: TransactionalId,
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) sequence: i32,
}

impl Producer {
    pub(crate) fn init(state: &mut State, name: &str) -> Producer {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(id(name)))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let answer = transactions::init_producer_id(state, &request, 4);
        assert_eq!(answer.error_code, 0);
        Producer { id: id(name), producer_id: answer.producer_id.0, epoch: answer.producer_epoch, sequence: 0 }
    }

    pub(crate) fn add(&self, state: &mut State, topic: &str, partition: i32) -> i16 {
        let topics =
            vec![AddPartitionsToTxnTopic::default().with_name(TopicName(text(topic))).with_partitions(vec![partition])];
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.id.clone())
            .with_v3_and_below_producer_id(ProducerId(self.producer_id))
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(topics);
        let answer = transactions::add_partitions(state, &request, 3);
        answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
    }

    /// Sends these records to partition 0 in one batch.
    pub(crate) fn send(
        &mut self,
        state: &mut State,
        topic: &str,
        records: &[(&str, Option<&str>)],
    ) -> PartitionProduceResponse {
        let sender = (self.producer_id, self.epoch, self.sequence);
        self.sequence += records.len() as i32;
        send(state, topic, batch(sender, true, records), Some(&self.id))
    }

    pub(crate) fn end(&self, state: &mut State, committed: bool) -> i16 {
        let request = EndTxnRequest::default()
            .with_transactional_id(self.id.clone())
            .with_producer_id(ProducerId(self.producer_id))
            .with_producer_epoch(self.epoch)
            .with_committed(committed);
        transactions::end(state, &request, 3).error_code
    }

    /// One whole transaction.
    pub(crate) fn transact(
        &mut self,
        state: &mut State,
        topic: &str,
        records: &[(&str, Option<&str>)],
        committed: bool,
    ) {
        assert_eq!(self.add(state, topic, 0), 0);
        assert_eq!(self.send(state, topic, records).error_code, 0);
        assert_eq!(self.end(state, committed), 0);
    }
}

/// Sends one batch to partition 0.
pub(crate) fn send(
    state: &mut State,
    topic: &str,
    batch: Vec<u8>,
    transactional_id: Option<&TransactionalId>,
) -> PartitionProduceResponse {
    let data = PartitionProduceData::default().with_records(Some(Bytes::from(batch)));
    let topic = TopicProduceData::default().with_name(TopicName(text(topic))).with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_transactional_id(transactional_id.cloned())
        .with_topic_data(vec![topic]);
    let answer = produce::produce(state, &request).unwrap();
    answer.responses[0].partition_responses[0].clone()
}

/// Sends plain records to partition 0 in one batch.
pub(crate) fn send_plain(state: &mut State, topic: &str, records: &[(&str, Option<&str>)]) -> i64 {
    let answer = send(state, topic, batch((-1, -1, -1), false, records), None);
    assert_eq!(answer.error_code, 0);
    answer.base_offset
}
