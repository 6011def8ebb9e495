//! What the codes of a Kafka cluster's errors mean, for `unbatch explain`.

use unbatch_api::error::CodeEntry;

/// In the order of their codes.
pub const CODES: &[CodeEntry] = &[
    (
        "U0247",
        "not an address of a broker",
        "Brokers are named HOST:PORT, several joined by commas. A port is a number from 1 to 65535; without one it is 9092.",
        "Write kafka-1:9092,kafka-2:9092. What stands before :// in a listener of the broker is left out.",
    ),
    (
        "U0248",
        "a topic did not become ready in time",
        "A topic was made, but not all brokers know it or its leaders after 30 seconds. It is tried again by itself.",
        "If it stays, look whether all brokers are up, with `kafka-topics.sh --describe --unavailable-partitions`.",
    ),
    (
        "U0249",
        "the settings of the cluster are not there",
        "A part of unbatch asked for the Kafka cluster before it was given one.",
        "This is a bug in unbatch, or in the binary that was built around it; please report it.",
    ),
    (
        "U0250",
        "the Kafka cluster does not answer",
        "A request failed for a reason that may pass: no broker is reached, or none could answer in time. A run tries again by itself.",
        "Is Kafka running there? --brokers, UNBATCH_KAFKA_BROKERS or `kafka.brokers` in unbatch.yaml name the address.",
    ),
    (
        "U0251",
        "the broker refuses the login",
        "User name, password or mechanism are not accepted.",
        "Check `kafka.auth`: the mechanism must be one that the broker offers, and user name and password must be right.",
    ),
    (
        "U0252",
        "no encrypted connection with the broker",
        "The TLS handshake failed: the broker's certificate is not trusted or is another host's, or it asks for ours.",
        "Check `kafka.tls`: `ca` must have signed the broker's certificate, the host name must be in it, and a broker that asks for a client certificate needs `certificate` and `key`.",
    ),
    (
        "U0253",
        "a broker's host name is not known",
        "The name has no address here. Brokers also announce names of their own (advertised.listeners), which must be known here too.",
        "Check the host names in `kafka.brokers`, and those that the brokers announce.",
    ),
    (
        "U0254",
        "this user lacks a right on the cluster",
        "The broker refused to let this user read, write, describe or create what the message names.",
        "Give the user the rights that are listed in the connector's README, with kafka-acls.sh.",
    ),
    (
        "U0255",
        "the broker does not accept a topic like this",
        "Its name, partitions, copies or settings break a rule of the cluster; as a rule there are fewer brokers than copies asked for.",
        "Change `partitions`, `replication` or `config` in the sink, or make the topic by hand.",
    ),
    (
        "U0256",
        "the transaction's time-out is longer than the broker allows",
        "The broker's transaction.max.timeout.ms is the limit.",
        "Lower `transaction.timeout.ms` in `kafka.properties`, or `commit.every`, or raise the broker's limit.",
    ),
    (
        "U0257",
        "the broker is too old",
        "It lacks a request that exactly-once writing needs.",
        "Use Kafka 2.5 or newer, or another system that speaks its protocol.",
    ),
    (
        "U0258",
        "a client property cannot be set like this",
        "`kafka.properties` takes a list of names that cannot break a promise, each with a value of its kind.",
        "Take the property out, or write what the message says. Others have a field of their own, such as `kafka.auth`.",
    ),
    (
        "U0259",
        "a client certificate without its key",
        "`certificate` and `key` of `kafka.tls` go together.",
        "Give both for mutual TLS, or neither.",
    ),
    (
        "U0260",
        "records that were to be read are gone",
        "The topic no longer holds the offset where reading was to go on: retention or a deletion removed it.",
        "Read from the start again, and keep records for longer (retention.ms) than a reader may be away.",
    ),
    (
        "U0261",
        "another producer left a transaction open",
        "Reading to the end waits until every transaction before it is over. The broker ends it after that producer's time-out, then it goes on by itself.",
        "Wait, or stop that producer properly; kafka-transactions.sh shows and aborts hanging transactions.",
    ),
    (
        "U0262",
        "reading a topic to its end took too long",
        "The broker answers too slowly, or the topic holds more than can be read in time. It is tried again by itself.",
        "Look at the load of the brokers. If it is the state topic, check that it is compacted.",
    ),
    (
        "U0263",
        "losing a broker can lose committed rows",
        "On three brokers or more, a topic allows an unclean leader or a single copy in sync. What was committed could vanish with one broker.",
        "Run the kafka-configs.sh command of the message, or allow the topic by name in `kafka.allow_unsafe_topics`.",
    ),
    (
        "U0264",
        "an internal topic is not the one it was",
        "A topic that keeps progress was deleted, made anew, or has another number of partitions. Where the pipelines stand cannot be proven.",
        "Restore the topics from a copy, or begin under another `deployment` after making sure that rows are not doubled.",
    ),
    (
        "U0265",
        "the state topic is not compacted",
        "With another cleanup.policy than compact, Kafka would remove the progress of pipelines by age or size.",
        "Run the kafka-configs.sh command of the message.",
    ),
    (
        "U0266",
        "an internal topic has one copy",
        "The cluster has several brokers, and losing one of them would lose the progress of pipelines.",
        "Raise its replication with kafka-reassign-partitions.sh, or set `kafka: {allow_single_replica: true}`.",
    ),
    (
        "U0267",
        "records were removed from the state topic",
        "Compaction keeps the beginning of the log, so another beginning means that progress was deleted.",
        "Set cleanup.policy=compact, then restore the progress with `unbatch offsets set`.",
    ),
    (
        "U0268",
        "the record of the internal topics cannot be read",
        "The record that says which topics are the deployment's own is not as unbatch writes it.",
        "Restore the topic from a copy, and take from others the right to write there.",
    ),
    (
        "U0269",
        "a newer unbatch made the internal topics",
        "Their record has a version that this binary does not know.",
        "Run the version that wrote it, or a later one.",
    ),
];
