//! Creating, deleting and growing topics, and their ids.
//!
//! A topic gets a random id when it is created (KIP-516) and keeps it; one that is deleted and created again gets
//! another, which is how a client can tell that the offsets it knows mean nothing any more.

use std::collections::HashMap;
use std::io;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use noida::kafka::engine::EngineState;
use uuid::Uuid;

use crate::configs;
use crate::request_log::Kind;
use crate::state::State;

/// All partitions are held in memory and looked at by the cleaner; Kafka itself advises against more.
const PARTITIONS_MAX: i32 = 10_000;

#[derive(Default)]
pub(crate) struct TopicIds {
    by_name: HashMap<String, Uuid>,
    by_id: HashMap<Uuid, String>,
}

impl TopicIds {
    /// Those that exist from the start; their ids need not be remembered, as nothing can recreate them.
    pub(crate) fn add_internal(&mut self, engine: &EngineState) {
        let mut names: Vec<&String> = engine.topics.keys().collect();
        names.sort();
        for (n, name) in (1..).zip(names) {
            self.insert(name, Uuid::from_u128(n));
        }
    }

    pub(crate) fn insert(&mut self, name: &str, id: Uuid) {
        self.remove(name);
        self.by_name.insert(name.to_owned(), id);
        self.by_id.insert(id, name.to_owned());
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if let Some(id) = self.by_name.remove(name) {
            self.by_id.remove(&id);
        }
    }

    /// The zero id, which Kafka uses for "none", when there is no such topic.
    pub(crate) fn id(&self, name: &str) -> Uuid {
        self.by_name.get(name).copied().unwrap_or_default()
    }

    pub(crate) fn name(&self, id: Uuid) -> Option<&str> {
        self.by_id.get(&id).map(String::as_str)
    }
}

/// Creates topics and logs the request with the ids that were given out.
pub(crate) fn create(
    state: &mut State,
    request: &CreateTopicsRequest,
    version: i16,
    raw: &[u8],
) -> io::Result<CreateTopicsResponse> {
    let (answer, ids) = apply_create(state, request, version, |_| Uuid::from_u128(rand::random()));
    if ids.iter().any(|id| !id.is_nil()) {
        let count = u32::try_from(ids.len()).unwrap_or(u32::MAX).to_be_bytes();
        let ids: Vec<u8> = ids.iter().flat_map(|id| *id.as_bytes()).collect();
        state.record(Kind::CreateTopics, &[&count, &ids, raw])?;
    }
    Ok(answer)
}

/// Splits what [`create`] logged into the ids and the request.
pub(crate) fn logged_create(payload: &Bytes) -> Option<(Vec<Uuid>, Bytes)> {
    let count = u32::from_be_bytes(payload.get(..4)?.try_into().ok()?) as usize;
    let ids_end = 4 + count.checked_mul(16)?;
    let ids = payload.get(4..ids_end)?.chunks_exact(16).map(|id| Uuid::from_slice(id).unwrap_or_default()).collect();
    Some((ids, payload.slice(ids_end..)))
}

/// Creates topics whose ids `next_id` makes, by the topic's place in the request. Returns the id for each place, zero
/// where nothing was created.
pub(crate) fn apply_create(
    state: &mut State,
    request: &CreateTopicsRequest,
    version: i16,
    mut next_id: impl FnMut(usize) -> Uuid,
) -> (CreateTopicsResponse, Vec<Uuid>) {
    let mut answer = CreateTopicsResponse::default();
    let mut ids = Vec::with_capacity(request.topics.len());
    for (place, topic) in request.topics.iter().enumerate() {
        let one =
            CreateTopicsRequest::default().with_topics(vec![topic.clone()]).with_validate_only(request.validate_only);
        let mut result = if topic.num_partitions > PARTITIONS_MAX || topic.assignments.len() > PARTITIONS_MAX as usize {
            too_many_partitions(topic.name.clone())
        } else {
            let made = state.engine.handle_create_topics(&one, version);
            made.topics.into_iter().next().unwrap_or_default()
        };
        let mut id = Uuid::nil();
        if result.error_code == 0 {
            result.configs = Some(configs::of_created(&topic.configs));
            if !request.validate_only {
                id = next_id(place);
                state.topic_ids.insert(&topic.name, id);
                result.topic_id = id;
            }
        } else {
            result.num_partitions = -1;
            result.replication_factor = -1;
        }
        ids.push(id);
        answer.topics.push(result);
    }
    (answer, ids)
}

fn too_many_partitions(name: TopicName) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(name)
        .with_error_code(ResponseError::InvalidPartitions.code())
        .with_error_message(Some(StrBytes::from_string(format!(
            "the embedded broker allows {PARTITIONS_MAX} partitions in a topic"
        ))))
}

/// Deletes topics by name or, from version 6 on, by id. Gone with a topic are its committed offsets and its part in
/// open transactions, as on Kafka.
pub(crate) fn delete(state: &mut State, request: &DeleteTopicsRequest, version: i16) -> DeleteTopicsResponse {
    let mut named = request.clone();
    for topic in &mut named.topics {
        if topic.name.is_none() {
            topic.name =
                state.topic_ids.name(topic.topic_id).map(|name| TopicName(StrBytes::from_string(name.to_owned())));
        }
    }
    let mut answer = state.engine.handle_delete_topics(&named, version);
    for result in &mut answer.responses {
        let Some(name) = result.name.clone().filter(|_| result.error_code == 0) else {
            continue;
        };
        result.topic_id = state.topic_ids.id(&name);
        forget(state, &name);
    }
    answer
}

fn forget(state: &mut State, name: &str) {
    state.topic_ids.remove(name);
    state.histories.remove(name);
    let engine = &mut state.engine;
    engine.committed_offsets.retain(|(_, t, _), _| t != name);
    engine.offset_metadata.retain(|(_, t, _), _| t != name);
    for partitions in engine.txn_partitions.values_mut() {
        partitions.retain(|(t, _)| t != name);
    }
    for offsets in engine.txn_pending_offsets.values_mut() {
        offsets.retain(|o| o.key.1 != name);
    }
    state.wake_fetchers(name);
}

pub(crate) fn create_partitions(
    state: &mut State,
    request: &CreatePartitionsRequest,
    version: i16,
) -> CreatePartitionsResponse {
    let mut allowed = request.clone();
    let refused: Vec<_> = allowed.topics.extract_if(.., |t| t.count > PARTITIONS_MAX).collect();
    let mut answer = state.engine.handle_create_partitions(&allowed, version);
    for topic in refused {
        answer.results.push(
            kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult::default()
                .with_name(topic.name.clone())
                .with_error_code(ResponseError::InvalidPartitions.code())
                .with_error_message(too_many_partitions(topic.name).error_message),
        );
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::create_topics_request::CreatableTopic;
    use kafka_protocol::messages::delete_topics_request::DeleteTopicState;

    fn name(s: &str) -> TopicName {
        TopicName(StrBytes::from_string(s.to_owned()))
    }

    fn creation(topic: &str, partitions: i32) -> CreateTopicsRequest {
        CreateTopicsRequest::default().with_topics(vec![
            CreatableTopic::default().with_name(name(topic)).with_num_partitions(partitions).with_replication_factor(1),
        ])
    }

    fn made(state: &mut State, topic: &str) -> CreatableTopicResult {
        let answer = create(state, &creation(topic, 1), 7, b"").unwrap();
        answer.topics[0].clone()
    }

    #[test]
    fn a_recreated_topic_has_another_id() {
        let mut state = State::new();
        let first = made(&mut state, "t").topic_id;
        assert!(!first.is_nil());
        assert_eq!(state.topic_ids.name(first), Some("t"));

        let again = made(&mut state, "t");
        assert_eq!(again.error_code, ResponseError::TopicAlreadyExists.code());
        assert!(again.topic_id.is_nil());
        assert_eq!(state.topic_ids.id("t"), first, "a refused creation changes nothing");

        let by_id = DeleteTopicsRequest::default().with_topics(vec![DeleteTopicState::default().with_topic_id(first)]);
        let deleted = delete(&mut state, &by_id, 6);
        assert_eq!(deleted.responses[0].error_code, 0);
        assert_eq!(deleted.responses[0].topic_id, first);
        assert_eq!(state.topic_ids.name(first), None);

        let second = made(&mut state, "t").topic_id;
        assert!(!second.is_nil() && second != first);
        assert_eq!(delete(&mut state, &by_id, 6).responses[0].error_code, ResponseError::UnknownTopicId.code());
    }

    #[test]
    fn a_deleted_topic_takes_its_committed_offsets_with_it() {
        let mut state = State::new();
        made(&mut state, "t");
        let key = ("g".to_owned(), "t".to_owned(), 0);
        state.engine.committed_offsets.insert(key.clone(), 5);
        let request = DeleteTopicsRequest::default().with_topic_names(vec![name("t")]);
        assert_eq!(delete(&mut state, &request, 5).responses[0].error_code, 0);
        assert!(!state.engine.committed_offsets.contains_key(&key));
    }

    #[test]
    fn an_absurd_number_of_partitions_is_refused() {
        let mut state = State::new();
        let answer = create(&mut state, &creation("t", i32::MAX), 7, b"").unwrap();
        assert_eq!(answer.topics[0].error_code, ResponseError::InvalidPartitions.code());
        assert!(state.topic_ids.id("t").is_nil());
    }

    #[test]
    fn logged_ids_are_split_from_the_request() {
        let ids = [Uuid::from_u128(5), Uuid::nil()];
        let mut payload = 2u32.to_be_bytes().to_vec();
        payload.extend(ids.iter().flat_map(|id| *id.as_bytes()));
        payload.extend(b"raw");
        let (found, raw) = logged_create(&Bytes::from(payload.clone())).unwrap();
        assert_eq!(found, ids);
        assert_eq!(raw.as_ref(), b"raw");
        assert!(logged_create(&Bytes::from(payload[..10].to_vec())).is_none());
    }
}
