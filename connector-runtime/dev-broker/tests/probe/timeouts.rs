//! Transactions that nobody ends.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer;

use crate::broker::{LIMIT, Probe};
use crate::clients::until;

#[test]
fn txn_timeout() {
    let probe = Probe::new();
    let topic = probe.topic("timeout", 1, &[]);
    let producer = probe.uninitialised(&probe.name("timeout"), "3000");
    producer.init();
    producer.begin();
    producer.send(&topic, 0, None, "stuck");
    producer.flush();
    let plain = probe.producer(&[]);
    plain.send(&topic, 0, None, "plain");
    plain.flush();
    until("the open transaction aborted by its time-out of 3 s", || {
        probe.values(&topic, "read_committed") == ["plain"]
    });
    assert!(producer.inner.commit_transaction(LIMIT).is_err());
    assert_eq!(producer.fatal(), Some(RDKafkaErrorCode::Fenced), "a time-out looks like a successor");
}

#[test]
fn txn_timeout_above_the_limit() {
    let probe = Probe::new();
    // transaction.max.timeout.ms is 15 minutes unless someone has changed it.
    let producer = probe.uninitialised(&probe.name("too-long"), "900001");
    let refused = producer.inner.init_transactions(LIMIT);
    match refused {
        Err(KafkaError::Transaction(e)) => {
            assert_eq!(e.code(), RDKafkaErrorCode::InvalidTransactionTimeout);
        }
        other => panic!("a time-out above the limit: {other:?}"),
    }
}
