//! Which settings of librdkafka a user may give, and why the others are not among them.

use crate::cluster::Purpose;
use unbatch_api::{Problem, Severity};

/// A property that may be set, what it is good for, and the clients it goes to.
pub struct AllowedProperty {
    pub name: &'static str,
    pub reason: &'static str,
    pub clients: &'static [Purpose],
}

const ALL: &[Purpose] = &[Purpose::Admin, Purpose::Producer, Purpose::Reader, Purpose::Member];
const PRODUCERS: &[Purpose] = &[Purpose::Producer];
const CONSUMERS: &[Purpose] = &[Purpose::Reader, Purpose::Member];

const fn allow(name: &'static str, clients: &'static [Purpose], reason: &'static str) -> AllowedProperty {
    AllowedProperty { name, reason, clients }
}

/// The whole list.
pub const ALLOWED: &[AllowedProperty] = &[
    allow(
        "linger.ms",
        PRODUCERS,
        "how long a producer waits for more records before it sends a batch; the end of an epoch ends the wait",
    ),
    allow("batch.size", PRODUCERS, "most bytes of a batch; never above the broker's own limit"),
    allow("batch.num.messages", PRODUCERS, "most records of a batch"),
    allow("compression.level", PRODUCERS, "effort of the compression that the sink chooses"),
    allow(
        "transaction.timeout.ms",
        PRODUCERS,
        "how long the broker waits for a silent owner before it drops its transaction",
    ),
    allow("fetch.max.bytes", CONSUMERS, "most bytes of one answer"),
    allow("fetch.message.max.bytes", CONSUMERS, "most bytes of one partition in an answer"),
    allow("fetch.wait.max.ms", CONSUMERS, "how long a broker waits for enough bytes"),
    allow("queued.max.messages.kbytes", CONSUMERS, "memory for records fetched ahead, per partition"),
    allow("client.id", ALL, "the name that the broker's logs and quotas show"),
    allow("client.rack", CONSUMERS, "read from the nearest replica"),
    allow("client.dns.lookup", ALL, "how host names with several addresses are used"),
    allow("broker.address.family", ALL, "IPv4 or IPv6 only"),
    allow("broker.address.ttl", ALL, "how long a resolved address is kept"),
    allow("connections.max.idle.ms", ALL, "close idle connections before a firewall does"),
    allow("socket.keepalive.enable", ALL, "keep idle connections alive through firewalls"),
    allow("socket.nagle.disable", ALL, "send small requests at once"),
    allow("socket.connection.setup.timeout.ms", ALL, "patience with slow networks and logins"),
    allow("socket.timeout.ms", ALL, "patience with slow brokers; at most transaction.timeout.ms"),
    allow("reconnect.backoff.ms", ALL, "first pause before a broker is tried again"),
    allow("reconnect.backoff.max.ms", ALL, "longest pause before a broker is tried again"),
    allow("topic.metadata.refresh.interval.ms", ALL, "how often brokers and leaders are asked for unasked"),
    allow("metadata.max.age.ms", ALL, "how long what is known of brokers and leaders is trusted"),
    allow("ssl.cipher.suites", ALL, "what a company's rules demand of TLS"),
    allow("ssl.curves.list", ALL, "what a company's rules demand of TLS"),
    allow("ssl.sigalgs.list", ALL, "what a company's rules demand of TLS"),
    allow("debug", ALL, "librdkafka's own debug log, at level trace"),
];

const EXACTLY_ONCE: &str = "rows would no longer appear exactly once";
const SINK: &str = "the sink sets it from its own options";

/// What people will try, with the reason why not. Prefixes end in `.`.
const REFUSED: &[(&str, &str)] = &[
    ("acks", EXACTLY_ONCE),
    ("request.required.acks", EXACTLY_ONCE),
    ("enable.idempotence", EXACTLY_ONCE),
    ("enable.gapless.guarantee", EXACTLY_ONCE),
    ("transactional.id", "it is the split's identity: rows would no longer appear exactly once"),
    ("isolation.level", "uncommitted rows would be read"),
    ("max.in.flight", EXACTLY_ONCE),
    ("max.in.flight.requests.per.connection", EXACTLY_ONCE),
    ("retries", EXACTLY_ONCE),
    ("message.send.max.retries", EXACTLY_ONCE),
    ("retry.backoff.ms", "a late commit is recognised by it"),
    ("retry.backoff.max.ms", "a late commit is recognised by it"),
    ("message.timeout.ms", "it follows from transaction.timeout.ms"),
    ("delivery.timeout.ms", "it follows from transaction.timeout.ms"),
    ("message.max.bytes", "the broker's own limit is read and kept"),
    ("partitioner", "partitions are chosen as Java clients choose them, by murmur2 of the key"),
    ("queue.buffering.", "buffers follow from the memory share of the pipeline"),
    ("compression.", SINK),
    ("auto.offset.reset", "reading starts at the checkpoint"),
    ("enable.auto.", "reading starts at the checkpoint"),
    ("enable.partition.eof", "it is how the end of a topic is found"),
    ("group.", "membership is the worker's own"),
    ("session.timeout.ms", "membership is the worker's own"),
    ("heartbeat.interval.ms", "membership is the worker's own"),
    ("bootstrap.servers", "write `kafka.brokers`"),
    ("metadata.broker.list", "write `kafka.brokers`"),
    ("security.protocol", "it follows from `kafka.auth` and `kafka.tls`"),
    ("sasl.", "write `kafka.auth`"),
    ("enable.ssl.certificate.verification", "a broker that is not verified could be anybody"),
    ("ssl.", "write `kafka.tls`"),
];

pub(crate) fn allowed(name: &str) -> Option<&'static AllowedProperty> {
    ALLOWED.iter().find(|p| p.name == name)
}

/// Why `name` may not be set; `None` when it may.
pub(crate) fn problem(name: &str) -> Option<Problem> {
    if allowed(name).is_some() {
        return None;
    }
    let refused = REFUSED.iter().find(|(word, _)| name == *word || (word.ends_with('.') && name.starts_with(word)));
    let reason = refused.map_or("it is not on the list", |(_, reason)| reason);
    let names: Vec<&str> = ALLOWED.iter().map(|p| p.name).collect();
    Some(Problem {
        path: format!("properties.{name}"),
        severity: Severity::Error,
        code: "U0258",
        message: format!("the property `{name}` cannot be set: {reason}"),
        help: format!("there are {}", names.join(", ")),
    })
}
