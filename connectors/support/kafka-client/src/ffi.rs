//! The unsafe code of the crate (the rest is [`crate::row_producer`]): administrative requests that the safe wrapper lacks or spreads over threads of its
//! own, asked through the C API of librdkafka 2.12 (`rdkafka.h`, section "Admin API") on the handle of an existing client.
//!
//! Shape of each request: build the C objects, send them with a private queue, wait for the one event that answers, copy
//! out of it, destroy everything. Every C object is owned by an [`Owned`] and destroyed exactly once; the handle outlives
//! the call because it is borrowed from the client; pointers into an event are read only while the event is alive.

use crate::failure::Refusal;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka_sys as sys;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::time::Duration;
use sys::rd_kafka_admin_op_t as op;

/// A partition of a topic.
pub type TopicPartition = (String, i32);

/// Which end of a partition, in the words of ListOffsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndOf {
    /// The first offset that is still there.
    Start,
    /// One past the last record, open transactions included.
    Uncommitted,
    /// One past what a committed reader may see now: the last stable offset.
    Committed,
}

/// What ListOffsets is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Asked {
    End(EndOf),
    /// The first record that is not older, milliseconds since 1970.
    Since(i64),
}

pub(crate) struct Described {
    pub id: String,
    /// Replicas of each partition, by partition.
    pub replicas: Vec<usize>,
    pub led: bool,
}

/// Answers by topic or resource: a value, or why not.
pub(crate) type Answers<T> = BTreeMap<String, Result<T, Refusal>>;

/// A native client that may be used from any thread, as the whole C API may.
#[derive(Clone, Copy)]
pub(crate) struct Handle(pub *mut sys::rd_kafka_t);

/// Tells the producer to send what it has without waiting for `linger.ms`, and waits up to `wait` for its queue to empty.
/// Delivery reports still have to be polled for.
pub fn flush_briefly<C: ProducerContext>(producer: &BaseProducer<C>, wait: Duration) {
    // SAFETY: the handle lives as long as the producer that is borrowed; the call is thread-safe.
    unsafe { sys::rd_kafka_flush(producer.client().native_ptr(), wait.as_millis() as i32) };
}

pub(crate) fn describe_topics(
    client: Handle,
    names: &[&str],
    timeout: Duration,
) -> Result<Answers<Described>, Refusal> {
    let names = c_strings(names)?;
    let pointers: Vec<*const c_char> = names.iter().map(|n| n.as_ptr()).collect();
    // SAFETY: see the module. The collection copies the names.
    unsafe {
        let topics = Owned::new(
            sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_ptr().cast_mut(), pointers.len()),
            sys::rd_kafka_TopicCollection_destroy,
        )?;
        let send = |options, queue| sys::rd_kafka_DescribeTopics(client.0, topics.0, options, queue);
        let event = ask(client, op::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout, |_| Ok(()), send)?;
        let result = sys::rd_kafka_event_DescribeTopics_result(event.0);
        let mut count = 0;
        let found = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        Ok((0..count).map(|i| described(*found.add(i))).collect())
    }
}

/// # Safety
/// `topic` points into a live event.
unsafe fn described(topic: *const sys::rd_kafka_TopicDescription_t) -> (String, Result<Described, Refusal>) {
    // SAFETY: by contract of this function.
    unsafe {
        let name = text(sys::rd_kafka_TopicDescription_name(topic));
        if let Some(refusal) = refusal(sys::rd_kafka_TopicDescription_error(topic)) {
            return (name, Err(refusal));
        }
        let id = text(sys::rd_kafka_Uuid_base64str(sys::rd_kafka_TopicDescription_topic_id(topic)));
        let mut count = 0;
        let partitions = sys::rd_kafka_TopicDescription_partitions(topic, &mut count);
        let mut replicas = vec![0; count];
        let mut led = true;
        for i in 0..count {
            let partition = *partitions.add(i);
            let number = sys::rd_kafka_TopicPartitionInfo_partition(partition);
            let mut replica_count = 0;
            sys::rd_kafka_TopicPartitionInfo_replicas(partition, &mut replica_count);
            let leader = sys::rd_kafka_TopicPartitionInfo_leader(partition);
            led &= !leader.is_null() && sys::rd_kafka_Node_id(leader) >= 0;
            if let Some(place) = replicas.get_mut(number as usize) {
                *place = replica_count;
            }
        }
        (name, Ok(Described { id, replicas, led }))
    }
}

pub(crate) fn list_offsets(
    client: Handle,
    partitions: &[TopicPartition],
    asked: Asked,
    timeout: Duration,
) -> Result<BTreeMap<TopicPartition, Result<i64, Refusal>>, Refusal> {
    use sys::rd_kafka_IsolationLevel_t::{
        RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED as COMMITTED, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED as UNCOMMITTED,
    };
    use sys::rd_kafka_OffsetSpec_t::{RD_KAFKA_OFFSET_SPEC_EARLIEST, RD_KAFKA_OFFSET_SPEC_LATEST};
    let (spec, isolation) = match asked {
        Asked::End(EndOf::Start) => (RD_KAFKA_OFFSET_SPEC_EARLIEST as i64, UNCOMMITTED),
        Asked::End(EndOf::Uncommitted) => (RD_KAFKA_OFFSET_SPEC_LATEST as i64, UNCOMMITTED),
        Asked::End(EndOf::Committed) => (RD_KAFKA_OFFSET_SPEC_LATEST as i64, COMMITTED),
        Asked::Since(ms) => (ms.max(0), COMMITTED),
    };
    // SAFETY: see the module. The list copies the names.
    unsafe {
        let list = Owned::new(
            sys::rd_kafka_topic_partition_list_new(partitions.len() as i32),
            sys::rd_kafka_topic_partition_list_destroy,
        )?;
        for (topic, partition) in partitions {
            let topic = c_string(topic)?;
            (*sys::rd_kafka_topic_partition_list_add(list.0, topic.as_ptr(), *partition)).offset = spec;
        }
        let configure = |options| check_error(sys::rd_kafka_AdminOptions_set_isolation_level(options, isolation));
        let send = |options, queue| sys::rd_kafka_ListOffsets(client.0, list.0, options, queue);
        let event = ask(client, op::RD_KAFKA_ADMIN_OP_LISTOFFSETS, timeout, configure, send)?;
        let result = sys::rd_kafka_event_ListOffsets_result(event.0);
        let mut count = 0;
        let infos = sys::rd_kafka_ListOffsets_result_infos(result, &mut count);
        let one = |i| {
            let found = &*sys::rd_kafka_ListOffsetsResultInfo_topic_partition(*infos.add(i));
            let code = RDKafkaErrorCode::from(found.err);
            let offset = match code {
                RDKafkaErrorCode::NoError if found.offset >= 0 => Ok(found.offset),
                // there may be no record of that time
                RDKafkaErrorCode::NoError if matches!(asked, Asked::Since(_)) => Ok(found.offset),
                // librdkafka 2.12 gives no error for a partition whose leader's connection broke; only the offset is missing.
                RDKafkaErrorCode::NoError => Err(Refusal::of(RDKafkaErrorCode::BrokerTransportFailure)),
                code => Err(Refusal::of(code)),
            };
            ((text(found.topic), found.partition), offset)
        };
        Ok((0..count).map(one).collect())
    }
}

pub(crate) struct TopicSpec<'a> {
    pub name: &'a str,
    pub partitions: i32,
    pub replication: i32,
    pub config: &'a BTreeMap<String, String>,
}

/// Creates topics, or with `validate_only` asks whether it would be allowed to.
pub(crate) fn create_topics(
    client: Handle,
    topics: &[TopicSpec<'_>],
    validate_only: bool,
    timeout: Duration,
) -> Result<Answers<()>, Refusal> {
    // SAFETY: see the module. NewTopic copies names and values.
    unsafe {
        let mut made = Vec::new();
        for topic in topics {
            let name = c_string(topic.name)?;
            let mut errors = [0 as c_char; 256];
            let new = sys::rd_kafka_NewTopic_new(
                name.as_ptr(),
                topic.partitions,
                topic.replication,
                errors.as_mut_ptr(),
                errors.len(),
            );
            if new.is_null() {
                return Err(Refusal { code: RDKafkaErrorCode::InvalidArgument, text: text(errors.as_ptr()) });
            }
            let new = Owned::new(new, sys::rd_kafka_NewTopic_destroy)?;
            for (key, value) in topic.config {
                let (key, value) = (c_string(key)?, c_string(value)?);
                sys::rd_kafka_NewTopic_set_config(new.0, key.as_ptr(), value.as_ptr());
            }
            made.push(new);
        }
        let mut pointers: Vec<_> = made.iter().map(|new| new.0).collect();
        let configure = |options| {
            check_code(sys::rd_kafka_AdminOptions_set_validate_only(
                options,
                i32::from(validate_only),
                std::ptr::null_mut(),
                0,
            ))?;
            set_operation_timeout(options, timeout)
        };
        let send = |options, queue| {
            sys::rd_kafka_CreateTopics(client.0, pointers.as_mut_ptr(), pointers.len(), options, queue);
        };
        let event = ask(client, op::RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout, configure, send)?;
        let mut count = 0;
        let result = sys::rd_kafka_event_CreateTopics_result(event.0);
        Ok(topic_results(sys::rd_kafka_CreateTopics_result_topics(result, &mut count), count))
    }
}

pub(crate) fn delete_topics(client: Handle, names: &[&str], timeout: Duration) -> Result<Answers<()>, Refusal> {
    // SAFETY: see the module. DeleteTopic copies the name.
    unsafe {
        let mut made = Vec::new();
        for name in names {
            made.push(Owned::new(
                sys::rd_kafka_DeleteTopic_new(c_string(name)?.as_ptr()),
                sys::rd_kafka_DeleteTopic_destroy,
            )?);
        }
        let mut pointers: Vec<_> = made.iter().map(|old| old.0).collect();
        let send = |options, queue| {
            sys::rd_kafka_DeleteTopics(client.0, pointers.as_mut_ptr(), pointers.len(), options, queue);
        };
        let configure = |options| set_operation_timeout(options, timeout);
        let event = ask(client, op::RD_KAFKA_ADMIN_OP_DELETETOPICS, timeout, configure, send)?;
        let mut count = 0;
        let result = sys::rd_kafka_event_DeleteTopics_result(event.0);
        Ok(topic_results(sys::rd_kafka_DeleteTopics_result_topics(result, &mut count), count))
    }
}

pub(crate) fn add_partitions(
    client: Handle,
    name: &str,
    total: usize,
    timeout: Duration,
) -> Result<Answers<()>, Refusal> {
    // SAFETY: see the module. NewPartitions copies the name.
    unsafe {
        let new = Owned::new(
            sys::rd_kafka_NewPartitions_new(c_string(name)?.as_ptr(), total, std::ptr::null_mut(), 0),
            sys::rd_kafka_NewPartitions_destroy,
        )?;
        let mut pointers = [new.0];
        let send = |options, queue| sys::rd_kafka_CreatePartitions(client.0, pointers.as_mut_ptr(), 1, options, queue);
        let configure = |options| set_operation_timeout(options, timeout);
        let event = ask(client, op::RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, timeout, configure, send)?;
        let mut count = 0;
        let result = sys::rd_kafka_event_CreatePartitions_result(event.0);
        Ok(topic_results(sys::rd_kafka_CreatePartitions_result_topics(result, &mut count), count))
    }
}

/// What a configuration belongs to.
#[derive(Clone, Copy)]
pub(crate) enum Resource<'a> {
    Topic(&'a str),
    Broker(i32),
}

impl Resource<'_> {
    fn made(self) -> Result<Owned<sys::rd_kafka_ConfigResource_t>, Refusal> {
        let (kind, name) = match self {
            Resource::Topic(name) => (sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC, name.to_owned()),
            Resource::Broker(id) => (sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_BROKER, id.to_string()),
        };
        let name = c_string(&name)?;
        // SAFETY: see the module. ConfigResource copies the name.
        unsafe {
            Owned::new(sys::rd_kafka_ConfigResource_new(kind, name.as_ptr()), sys::rd_kafka_ConfigResource_destroy)
        }
    }
}

/// The configuration in force, defaults included, by resource name.
pub(crate) fn describe_configs(
    client: Handle,
    resources: &[Resource<'_>],
    timeout: Duration,
) -> Result<Answers<BTreeMap<String, String>>, Refusal> {
    let made = resources.iter().map(|r| r.made()).collect::<Result<Vec<_>, _>>()?;
    let mut pointers: Vec<_> = made.iter().map(|r| r.0).collect();
    // SAFETY: see the module.
    unsafe {
        let send = |options, queue| {
            sys::rd_kafka_DescribeConfigs(client.0, pointers.as_mut_ptr(), pointers.len(), options, queue);
        };
        let event = ask(client, op::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout, |_| Ok(()), send)?;
        let result = sys::rd_kafka_event_DescribeConfigs_result(event.0);
        let mut count = 0;
        let found = sys::rd_kafka_DescribeConfigs_result_resources(result, &mut count);
        Ok(resource_results(found, count))
    }
}

/// Sets some keys of a topic's configuration and leaves the others alone.
pub(crate) fn alter_topic_config(
    client: Handle,
    topic: &str,
    changes: &[(&str, &str)],
    timeout: Duration,
) -> Result<Answers<BTreeMap<String, String>>, Refusal> {
    let resource = Resource::Topic(topic).made()?;
    // SAFETY: see the module. The resource copies keys and values.
    unsafe {
        for (key, value) in changes {
            let (key, value) = (c_string(key)?, c_string(value)?);
            check_error(sys::rd_kafka_ConfigResource_add_incremental_config(
                resource.0,
                key.as_ptr(),
                sys::rd_kafka_AlterConfigOpType_t::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET,
                value.as_ptr(),
            ))?;
        }
        let mut pointers = [resource.0];
        let send =
            |options, queue| sys::rd_kafka_IncrementalAlterConfigs(client.0, pointers.as_mut_ptr(), 1, options, queue);
        let event = ask(client, op::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS, timeout, |_| Ok(()), send)?;
        let result = sys::rd_kafka_event_IncrementalAlterConfigs_result(event.0);
        let mut count = 0;
        let found = sys::rd_kafka_IncrementalAlterConfigs_result_resources(result, &mut count);
        Ok(resource_results(found, count))
    }
}

/// Sends a request and waits for the event that answers it, or fails with what the request as a whole failed with.
///
/// # Safety
/// `send` passes options and queue to one request on `client` and keeps neither.
unsafe fn ask(
    client: Handle,
    kind: op,
    timeout: Duration,
    configure: impl FnOnce(*mut sys::rd_kafka_AdminOptions_t) -> Result<(), Refusal>,
    send: impl FnOnce(*const sys::rd_kafka_AdminOptions_t, *mut sys::rd_kafka_queue_t),
) -> Result<Owned<sys::rd_kafka_event_t>, Refusal> {
    // SAFETY: `client` is alive while it is borrowed; options, queue and event are destroyed by their owners, the event
    // first since it was made last.
    unsafe {
        let options = Owned::new(sys::rd_kafka_AdminOptions_new(client.0, kind), sys::rd_kafka_AdminOptions_destroy)?;
        let ms = timeout.as_millis() as i32;
        check_code(sys::rd_kafka_AdminOptions_set_request_timeout(options.0, ms, std::ptr::null_mut(), 0))?;
        configure(options.0)?;
        let queue = Owned::new(sys::rd_kafka_queue_new(client.0), sys::rd_kafka_queue_destroy)?;
        send(options.0, queue.0);
        // The request ends by its own time-out; the second more is only there so that a lost event cannot hang us.
        let event = sys::rd_kafka_queue_poll(queue.0, ms.saturating_add(1000));
        if event.is_null() {
            return Err(Refusal::of(RDKafkaErrorCode::OperationTimedOut));
        }
        let event = Owned::new(event, sys::rd_kafka_event_destroy)?;
        let code = RDKafkaErrorCode::from(sys::rd_kafka_event_error(event.0));
        match code {
            RDKafkaErrorCode::NoError => Ok(event),
            code => Err(Refusal { code, text: text(sys::rd_kafka_event_error_string(event.0)) }),
        }
    }
}

/// # Safety
/// `options` is alive.
unsafe fn set_operation_timeout(options: *mut sys::rd_kafka_AdminOptions_t, timeout: Duration) -> Result<(), Refusal> {
    // SAFETY: by contract of this function.
    check_code(unsafe {
        sys::rd_kafka_AdminOptions_set_operation_timeout(options, timeout.as_millis() as i32, std::ptr::null_mut(), 0)
    })
}

/// # Safety
/// `found` is an array of `count` results in a live event.
unsafe fn topic_results(found: *mut *const sys::rd_kafka_topic_result_t, count: usize) -> Answers<()> {
    // SAFETY: by contract of this function.
    let one = |i| unsafe {
        let result = *found.add(i);
        let code = RDKafkaErrorCode::from(sys::rd_kafka_topic_result_error(result));
        let answer = match code {
            RDKafkaErrorCode::NoError => Ok(()),
            code => Err(Refusal { code, text: text(sys::rd_kafka_topic_result_error_string(result)) }),
        };
        (text(sys::rd_kafka_topic_result_name(result)), answer)
    };
    (0..count).map(one).collect()
}

/// # Safety
/// `found` is an array of `count` resources in a live event.
unsafe fn resource_results(
    found: *mut *const sys::rd_kafka_ConfigResource_t,
    count: usize,
) -> Answers<BTreeMap<String, String>> {
    // SAFETY: by contract of this function.
    let one = |i| unsafe {
        let resource = *found.add(i);
        let code = RDKafkaErrorCode::from(sys::rd_kafka_ConfigResource_error(resource));
        let answer = match code {
            RDKafkaErrorCode::NoError => Ok(entries(resource)),
            code => Err(Refusal { code, text: text(sys::rd_kafka_ConfigResource_error_string(resource)) }),
        };
        (text(sys::rd_kafka_ConfigResource_name(resource)), answer)
    };
    (0..count).map(one).collect()
}

/// # Safety
/// `resource` is alive. Sensitive entries have no value and are left out.
unsafe fn entries(resource: *const sys::rd_kafka_ConfigResource_t) -> BTreeMap<String, String> {
    // SAFETY: by contract of this function.
    unsafe {
        let mut count = 0;
        let found = sys::rd_kafka_ConfigResource_configs(resource, &mut count);
        let one = |i| {
            let entry = *found.add(i);
            let value = sys::rd_kafka_ConfigEntry_value(entry);
            (!value.is_null()).then(|| (text(sys::rd_kafka_ConfigEntry_name(entry)), text(value)))
        };
        (0..count).filter_map(one).collect()
    }
}

/// A C object and the function that destroys it.
struct Owned<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Owned<T> {
    fn new(pointer: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Result<Self, Refusal> {
        if pointer.is_null() {
            return Err(Refusal { code: RDKafkaErrorCode::InvalidArgument, text: "librdkafka made nothing".into() });
        }
        Ok(Self(pointer, destroy))
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the function that pairs with `destroy` and is destroyed only here.
        unsafe { (self.1)(self.0) };
    }
}

fn c_string(text: &str) -> Result<CString, Refusal> {
    let wrong = |_| Refusal { code: RDKafkaErrorCode::InvalidArgument, text: "a name holds a zero byte".into() };
    CString::new(text).map_err(wrong)
}

fn c_strings(texts: &[&str]) -> Result<Vec<CString>, Refusal> {
    texts.iter().map(|t| c_string(t)).collect()
}

/// # Safety
/// `pointer` is null or a C string that lives during the call.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: by contract of this function.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

fn check_code(code: sys::rd_kafka_resp_err_t) -> Result<(), Refusal> {
    match RDKafkaErrorCode::from(code) {
        RDKafkaErrorCode::NoError => Ok(()),
        code => Err(Refusal::of(code)),
    }
}

/// Takes an error object that the caller owns; null means success.
///
/// # Safety
/// `error` is null or owned by the caller and not used afterwards.
unsafe fn check_error(error: *mut sys::rd_kafka_error_t) -> Result<(), Refusal> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: by contract of this function.
    let owned = Owned::new(error, sys::rd_kafka_error_destroy)?;
    unsafe { refusal(owned.0) }.map_or(Ok(()), Err)
}

/// # Safety
/// `error` is null or alive.
unsafe fn refusal(error: *const sys::rd_kafka_error_t) -> Option<Refusal> {
    if error.is_null() {
        return None;
    }
    // SAFETY: by contract of this function.
    let (code, message) =
        unsafe { (RDKafkaErrorCode::from(sys::rd_kafka_error_code(error)), text(sys::rd_kafka_error_string(error))) };
    (code != RDKafkaErrorCode::NoError).then_some(Refusal { code, text: message })
}
