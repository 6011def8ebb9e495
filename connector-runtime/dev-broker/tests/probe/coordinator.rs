//! The transaction coordinator's answers to requests that no well-behaved client sends: a predecessor's, a stranger's,
//! and those at the wrong moment.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, ApiKey, EndTxnRequest, FindCoordinatorRequest, GroupId,
    InitProducerIdRequest, ProducerId, RequestKind, ResponseKind, TopicName, TransactionalId, TxnOffsetCommitRequest,
};

use crate::broker::Probe;
use crate::clients::until;
use crate::wire::{Wire, text};

const NONE: i16 = 0;

/// Speaks for one transactional id, with whatever producer id and epoch it is told to.
struct Coordinator {
    wire: Wire,
    id: TransactionalId,
    topic: String,
    group: GroupId,
}

impl Coordinator {
    fn of(probe: &Probe) -> Coordinator {
        let mut coordinator = Coordinator {
            wire: Wire::of(probe),
            id: TransactionalId(text(&probe.name("id"))),
            topic: probe.topic("coordinator", 1, &[]),
            group: GroupId(text(&probe.name("group"))),
        };
        coordinator.found();
        coordinator
    }

    /// Every client asks for its coordinator first, and a new cluster makes the coordinators' topic only then.
    fn found(&mut self) {
        let transaction = 1;
        let request = FindCoordinatorRequest::default().with_key(self.id.0.clone()).with_key_type(transaction);
        let error = |a: &ResponseKind| match a {
            ResponseKind::FindCoordinator(a) => a.error_code,
            other => panic!("{other:?}"),
        };
        assert_eq!(error(&self.settled(ApiKey::FindCoordinator, 3, request, error)), NONE);
    }

    /// Asks again while the last transaction is still being completed, or the coordinator is not ready.
    fn settled(
        &mut self,
        key: ApiKey,
        version: i16,
        request: impl Into<RequestKind>,
        error: impl Fn(&ResponseKind) -> i16,
    ) -> ResponseKind {
        let request = request.into();
        let mut answer = None;
        until("an answer of the coordinator", || {
            let found = self.wire.ask(key, version, request.clone()).expect("an answer");
            let passing = [
                ResponseError::ConcurrentTransactions.code(),
                ResponseError::CoordinatorNotAvailable.code(),
                ResponseError::CoordinatorLoadInProgress.code(),
                ResponseError::NotCoordinator.code(),
            ];
            let is_settled = !passing.contains(&error(&found));
            answer = Some(found);
            is_settled
        });
        answer.expect("an answer")
    }

    /// The error, and the producer id and epoch that were given out.
    fn init(&mut self, producer: (i64, i16)) -> (i16, (i64, i16)) {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(self.id.clone()))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(ProducerId(producer.0))
            .with_producer_epoch(producer.1);
        let error = |a: &ResponseKind| match a {
            ResponseKind::InitProducerId(a) => a.error_code,
            other => panic!("{other:?}"),
        };
        match self.settled(ApiKey::InitProducerId, 4, request, error) {
            ResponseKind::InitProducerId(a) => (a.error_code, (a.producer_id.0, a.producer_epoch)),
            other => panic!("{other:?}"),
        }
    }

    fn add(&mut self, producer: (i64, i16), topic: &str) -> i16 {
        let topic = AddPartitionsToTxnTopic::default().with_name(TopicName(text(topic))).with_partitions(vec![0]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.id.clone())
            .with_v3_and_below_producer_id(ProducerId(producer.0))
            .with_v3_and_below_producer_epoch(producer.1)
            .with_v3_and_below_topics(vec![topic]);
        let error = |a: &ResponseKind| match a {
            ResponseKind::AddPartitionsToTxn(a) => {
                a.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
            }
            other => panic!("{other:?}"),
        };
        error(&self.settled(ApiKey::AddPartitionsToTxn, 3, request, error))
    }

    fn add_offsets(&mut self, producer: (i64, i16)) -> i16 {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(self.id.clone())
            .with_producer_id(ProducerId(producer.0))
            .with_producer_epoch(producer.1)
            .with_group_id(self.group.clone());
        let error = |a: &ResponseKind| match a {
            ResponseKind::AddOffsetsToTxn(a) => a.error_code,
            other => panic!("{other:?}"),
        };
        error(&self.settled(ApiKey::AddOffsetsToTxn, 3, request, error))
    }

    fn commit_offset(&mut self, producer: (i64, i16), topic: &str, member: (&str, i32)) -> i16 {
        let partition =
            TxnOffsetCommitRequestPartition::default().with_committed_offset(5).with_committed_metadata(Some(text("")));
        let topic =
            TxnOffsetCommitRequestTopic::default().with_name(TopicName(text(topic))).with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(self.id.clone())
            .with_group_id(self.group.clone())
            .with_producer_id(ProducerId(producer.0))
            .with_producer_epoch(producer.1)
            .with_member_id(text(member.0))
            .with_generation_id(member.1)
            .with_topics(vec![topic]);
        let error = |a: &ResponseKind| match a {
            ResponseKind::TxnOffsetCommit(a) => a.topics[0].partitions[0].error_code,
            other => panic!("{other:?}"),
        };
        error(&self.settled(ApiKey::TxnOffsetCommit, 3, request, error))
    }

    fn end(&mut self, producer: (i64, i16), committed: bool) -> i16 {
        let request = EndTxnRequest::default()
            .with_transactional_id(self.id.clone())
            .with_producer_id(ProducerId(producer.0))
            .with_producer_epoch(producer.1)
            .with_committed(committed);
        let error = |a: &ResponseKind| match a {
            ResponseKind::EndTxn(a) => a.error_code,
            other => panic!("{other:?}"),
        };
        error(&self.settled(ApiKey::EndTxn, 3, request, error))
    }
}

#[test]
fn coordinator_refuses_a_predecessor() {
    let mut coordinator = Coordinator::of(&Probe::new());
    let topic = coordinator.topic.clone();
    let (error, old) = coordinator.init((-1, -1));
    assert_eq!(error, NONE);
    assert_eq!(coordinator.add(old, &topic), NONE);
    let (error, new) = coordinator.init((-1, -1));
    assert_eq!((error, new.0), (NONE, old.0));
    assert!(new.1 > old.1);

    let fenced = ResponseError::ProducerFenced.code();
    assert_eq!(coordinator.add(old, &topic), fenced);
    assert_eq!(coordinator.add_offsets(old), fenced);
    assert_eq!(coordinator.end(old, true), fenced);
    assert_eq!(coordinator.end(old, false), fenced);
    assert_eq!(coordinator.init(old).0, fenced, "its own next epoch");

    assert_eq!(coordinator.add(new, &topic), NONE, "the successor is who it was");
    assert_eq!(coordinator.end(new, true), NONE);
    let (error, next) = coordinator.init(new);
    assert_eq!((error, next.0), (NONE, new.0));
    assert!(next.1 > new.1);
}

#[test]
fn coordinator_refuses_a_stranger() {
    let mut coordinator = Coordinator::of(&Probe::new());
    let topic = coordinator.topic.clone();
    let unknown = ResponseError::InvalidProducerIdMapping.code();
    assert_eq!(coordinator.add((123_456, 0), &topic), unknown, "nobody was initialised");
    assert_eq!(coordinator.end((123_456, 0), true), unknown);
    let (error, (producer_id, epoch)) = coordinator.init((-1, -1));
    assert_eq!(error, NONE);
    let stranger = (producer_id + 1_000_000, epoch);
    assert_eq!(coordinator.add(stranger, &topic), unknown);
    assert_eq!(coordinator.add_offsets(stranger), unknown);
    assert_eq!(coordinator.end(stranger, true), unknown);
}

#[test]
fn coordinator_knows_how_the_last_transaction_ended() {
    let mut coordinator = Coordinator::of(&Probe::new());
    let topic = coordinator.topic.clone();
    let (_, producer) = coordinator.init((-1, -1));
    let invalid = ResponseError::InvalidTxnState.code();
    assert_eq!(coordinator.end(producer, true), invalid, "nothing was begun");
    for committed in [true, false] {
        assert_eq!(coordinator.add(producer, &topic), NONE);
        assert_eq!(coordinator.end(producer, committed), NONE);
        assert_eq!(coordinator.end(producer, committed), NONE, "asked for again");
        assert_eq!(coordinator.end(producer, !committed), invalid);
    }
}

#[test]
fn coordinator_refuses_a_partition_that_does_not_exist() {
    let probe = Probe::new();
    let mut coordinator = Coordinator::of(&probe);
    let (_, producer) = coordinator.init((-1, -1));
    assert_eq!(coordinator.add(producer, &probe.name("no-such-topic")), ResponseError::UnknownTopicOrPartition.code());
}

#[test]
fn coordinator_refuses_offsets_of_nobody() {
    let probe = Probe::new();
    let mut coordinator = Coordinator::of(&probe);
    let topic = coordinator.topic.clone();
    let (_, producer) = coordinator.init((-1, -1));
    assert_eq!(coordinator.add_offsets(producer), NONE);
    let refused = coordinator.commit_offset(producer, &topic, ("m", 3));
    // Kafka 4 asks for the generation first, Kafka 3 for the member.
    let wanted = [ResponseError::IllegalGeneration.code(), ResponseError::UnknownMemberId.code()];
    assert!(wanted.contains(&refused), "{refused}");
    assert_eq!(
        coordinator.commit_offset(producer, &probe.name("no-such-topic"), ("", -1)),
        ResponseError::UnknownTopicOrPartition.code()
    );
    assert_eq!(coordinator.commit_offset(producer, &topic, ("", -1)), NONE);
    assert_eq!(coordinator.end(producer, true), NONE);
}
