//! A second producer with the same transactional id ends the first one, whatever that one is doing.

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, Producer};

use crate::broker::{LIMIT, Probe};
use crate::clients::until;

/// The zombie commits.
#[test]
fn txn_fencing() {
    let probe = Probe::new();
    let topic = probe.topic("fencing", 1, &[]);
    let id = probe.name("fencing");
    let zombie = probe.transactional(&id);
    zombie.begin();
    for i in 0..10 {
        zombie.send(&topic, 0, None, &format!("a{i}"));
    }
    zombie.flush();
    let successor = probe.transactional(&id);
    assert!(zombie.inner.commit_transaction(LIMIT).is_err());
    assert_eq!(zombie.fatal(), Some(RDKafkaErrorCode::Fenced));
    successor.begin();
    for i in 0..5 {
        successor.send(&topic, 0, None, &format!("b{i}"));
    }
    successor.commit();
    let values = probe.values(&topic, "read_committed");
    assert_eq!(values, ["b0", "b1", "b2", "b3", "b4"]);
}

/// The zombie goes on producing in its open transaction.
#[test]
fn txn_fencing_produce() {
    let probe = Probe::new();
    let topic = probe.topic("fencing-produce", 1, &[]);
    let id = probe.name("fencing-produce");
    let zombie = probe.transactional(&id);
    zombie.begin();
    zombie.send(&topic, 0, None, "a-early");
    zombie.flush();
    let successor = probe.transactional(&id);
    let late = BaseRecord::to(&topic).partition(0).payload("a-zombie");
    let _ = zombie.send_record(late);
    zombie.drain();
    let raw = probe.values(&topic, "read_uncommitted");
    assert_eq!(raw, ["a-early"], "the zombie's record is not even in the log");
    assert!(zombie.inner.commit_transaction(LIMIT).is_err());
    successor.begin();
    successor.send(&topic, 0, None, "b");
    successor.commit();
    assert_eq!(probe.values(&topic, "read_committed"), ["b"]);
}

/// The zombie was idle between transactions and starts a new one.
#[test]
fn txn_fencing_idle() {
    let probe = Probe::new();
    let topic = probe.topic("fencing-idle", 1, &[]);
    let id = probe.name("fencing-idle");
    let zombie = probe.transactional(&id);
    zombie.begin();
    zombie.send(&topic, 0, None, "a-ok");
    zombie.commit();
    let successor = probe.transactional(&id);
    zombie.begin();
    let late = BaseRecord::to(&topic).partition(0).payload("a-zombie");
    let _ = zombie.send_record(late);
    zombie.drain();
    assert!(zombie.inner.commit_transaction(LIMIT).is_err());
    assert_eq!(zombie.fatal(), Some(RDKafkaErrorCode::Fenced));
    successor.begin();
    successor.send(&topic, 0, None, "b-ok");
    successor.commit();
    assert_eq!(probe.values(&topic, "read_committed"), ["a-ok", "b-ok"]);
}

/// The zombie aborts; the successor must stay who it is.
#[test]
fn txn_fencing_abort() {
    let probe = Probe::new();
    let topic = probe.topic("fencing-abort", 1, &[]);
    let id = probe.name("fencing-abort");
    let zombie = probe.transactional(&id);
    zombie.begin();
    zombie.send(&topic, 0, None, "a");
    zombie.flush();
    let successor = probe.transactional(&id);
    successor.begin();
    successor.send(&topic, 0, None, "b");
    successor.flush();
    assert!(zombie.inner.abort_transaction(LIMIT).is_err());
    successor.commit();
    assert_eq!(probe.values(&topic, "read_committed"), ["b"]);
}

/// A producer dies with its transaction open; the next one with its id settles that.
#[test]
fn txn_crash_recover() {
    let probe = Probe::new();
    let topic = probe.topic("crash", 1, &[]);
    let id = probe.name("crash");
    {
        let dies = probe.transactional(&id);
        dies.begin();
        for i in 0..10 {
            dies.send(&topic, 0, None, &format!("lost{i}"));
        }
        dies.flush();
    }
    let plain = probe.producer(&[]);
    plain.send(&topic, 0, None, "plain");
    plain.flush();
    assert!(probe.values(&topic, "read_committed").is_empty());
    let _next = probe.transactional(&id);
    until("the plain record, and it alone", || probe.values(&topic, "read_committed") == ["plain"]);
}
