//! `kill -9` and start again: nothing acknowledged is lost, nothing is doubled, nobody fenced comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::topic_partition_list::Offset;

use crate::broker::{LIMIT, Probe, at};
use crate::clients::{TestProducer, until};
use crate::wire::{Wire, named};

/// A broker as a process of its own.
struct Process {
    child: Child,
    address: String,
    log: PathBuf,
}

impl Process {
    fn start(address: &str, log: &Path) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_unbatch-dev-broker"))
            .arg(address)
            .arg(log)
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the broker");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("its first line");
        let address = line.trim().strip_prefix("READY ").unwrap_or_else(|| panic!("the broker said {line:?}"));
        Process { child, address: address.to_owned(), log: log.to_owned() }
    }

    /// SIGKILL, and the next one on the same port with the same log.
    fn kill_and_restart(&mut self) {
        self.child.kill().expect("kill the broker");
        self.child.wait().expect("wait for its end");
        *self = Process::start(&self.address, &self.log);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn fresh() -> (tempfile::TempDir, Process, Probe) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let process = Process::start("127.0.0.1:0", &folder.path().join("log"));
    let probe = Probe::at(&process.address);
    (folder, process, probe)
}

fn id_of(probe: &Probe, topic: &str) -> uuid::Uuid {
    Wire::of(probe).metadata(&[named(topic)]).topics[0].topic_id
}

#[test]
fn restart_brings_everything_back() {
    let (_folder, mut process, probe) = fresh();
    let configs = [("cleanup.policy", "compact"), ("retention.ms", "99999999")];
    let keyed = probe.topic("keyed", 3, &configs);
    let written = probe.topic("written", 1, &[]);
    let group = probe.name("group");
    let id = probe.name("id");
    let (before, zombie) = prepare(&probe, &keyed, &written, &group, &id);
    let ids = [id_of(&probe, &keyed), id_of(&probe, &written)];
    assert!(ids.iter().all(|id| !id.is_nil()));

    process.kill_and_restart();

    assert_eq!(probe.partitions(&keyed).expect("partitions").len(), 3);
    assert_eq!([id_of(&probe, &keyed), id_of(&probe, &written)], ids);
    let records = probe.values(&keyed, "read_uncommitted");
    let distinct: BTreeSet<_> = records.iter().collect();
    assert_eq!((records.len(), distinct.len()), (6000, 6000));
    assert_eq!(probe.committed(&group, &keyed, 1), Offset::Offset(777));
    assert_eq!(probe.committed(&group, &keyed, 0), Offset::Offset(1234));
    let committed = probe.values(&written, "read_committed");
    assert_eq!(committed.len(), 100);
    assert!(committed.iter().all(|v| v.starts_with('c')), "aborted and open are hidden");

    // The one who was fenced before stays fenced.
    zombie.begin();
    let late = BaseRecord::to(&written).partition(0).payload("zombie");
    let _ = zombie.send_record(late);
    zombie.drain();
    assert!(zombie.inner.commit_transaction(LIMIT).is_err());
    assert_eq!(zombie.fatal(), Some(RDKafkaErrorCode::Fenced));

    // The open transaction is still open; its successor settles it and goes on.
    drop(before);
    let successor = probe.transactional(&id);
    successor.begin();
    successor.send(&written, 0, None, "c-new");
    successor.commit();
    let committed = probe.values(&written, "read_committed");
    assert_eq!(committed.len(), 101);
    assert!(committed.iter().all(|v| v.starts_with('c')));

    let producer = probe.producer(&[("enable.idempotence", "true")]);
    producer.send(&keyed, 0, Some("new"), "new");
    producer.flush();
    assert_eq!(producer.acknowledged(), [(0, 2000)]);
}

/// Records, offsets, a committed, an aborted and an open transaction; and a producer that is fenced already.
fn prepare(probe: &Probe, keyed: &str, written: &str, group: &str, id: &str) -> (TestProducer, TestProducer) {
    let producer = probe.producer(&[("enable.idempotence", "true")]);
    for i in 0..6000 {
        producer.send(keyed, i % 3, Some(&format!("k{i}")), &i.to_string());
    }
    producer.flush();
    let zombie = probe.transactional(id);
    let current = probe.transactional(id);
    let consumer = probe.consumer(group, &[]);
    current.begin();
    for i in 0..100 {
        current.send(written, 0, None, &format!("c{i}"));
    }
    let member = consumer.inner.group_metadata().expect("group metadata");
    current.inner.send_offsets_to_transaction(&at(keyed, 0, 1234), &member, LIMIT).expect("send offsets");
    current.commit();
    consumer.inner.commit(&at(keyed, 1, 777), CommitMode::Sync).expect("commit");
    current.begin();
    for i in 0..50 {
        current.send(written, 0, None, &format!("a{i}"));
    }
    current.flush();
    current.abort();
    current.begin();
    for i in 0..20 {
        current.send(written, 0, None, &format!("open{i}"));
    }
    current.flush();
    (current, zombie)
}

/// A deleted topic stays deleted, a recreated one keeps its new id, and the ids of both lives differ.
#[test]
fn restart_keeps_the_id_of_a_recreated_topic() {
    let (_folder, mut process, probe) = fresh();
    let topic = probe.topic("again", 2, &[]);
    let first = id_of(&probe, &topic);
    let deleted = futures::executor::block_on(probe.admin().delete_topics(&[&topic], &crate::broker::options()));
    deleted.expect("delete topics").remove(0).expect("delete the topic");
    probe.create(&topic, 4, &[]).expect("create it again");
    let second = id_of(&probe, &topic);
    assert_ne!(first, second);
    process.kill_and_restart();
    assert_eq!(id_of(&probe, &topic), second);
    assert_eq!(probe.partitions(&topic).expect("partitions").len(), 4);
}

/// Transactions and idempotent records are written while the broker is killed again and again.
#[test]
fn restart_while_writing() {
    let (_folder, mut process, probe) = fresh();
    let pairs = probe.topic("pairs", 2, &[]);
    let singles = probe.topic("singles", 1, &[]);
    let done = AtomicBool::new(false);
    let (outcome, sent) = std::thread::scope(|scope| {
        let transactions = scope.spawn(|| write_transactions(&probe, &pairs, &done));
        let idempotent = scope.spawn(|| write_idempotent(&probe, &singles, &done));
        for _ in 0..5 {
            let before = high_watermark(&probe, &pairs);
            until("more transactions", || high_watermark(&probe, &pairs) > before + 30);
            process.kill_and_restart();
        }
        let before = high_watermark(&probe, &pairs);
        until("transactions after the last kill", || high_watermark(&probe, &pairs) > before + 30);
        done.store(true, Ordering::Relaxed);
        (transactions.join().expect("transactions"), idempotent.join().expect("idempotent records"))
    });
    assert!(outcome.sure.len() > 50, "{} committed", outcome.sure.len());

    let mut seen: BTreeMap<i64, Vec<i32>> = BTreeMap::new();
    for record in probe.read(&pairs, "read_committed") {
        let n = record.value.expect("a value").parse().expect("a number");
        seen.entry(n).or_default().push(record.partition);
    }
    let missing: Vec<_> = outcome.sure.iter().filter(|n| !seen.contains_key(n)).collect();
    assert!(missing.is_empty(), "committed and lost: {missing:?}");
    let known = |n: &i64| outcome.sure.contains(n) || outcome.unsure.contains(n);
    let extra: Vec<_> = seen.keys().filter(|n| !known(n)).collect();
    assert!(extra.is_empty(), "aborted and visible: {extra:?}");
    for (n, partitions) in seen {
        let mut partitions = partitions;
        partitions.sort_unstable();
        assert_eq!(partitions, [0, 1], "transaction {n}");
    }
    let wanted: Vec<_> = (0..sent).map(|n| n.to_string()).collect();
    assert_eq!(probe.values(&singles, "read_uncommitted"), wanted);
}

fn high_watermark(probe: &Probe, topic: &str) -> i64 {
    let consumer = probe.consumer(&probe.name("watermark"), &[]);
    let found = consumer.inner.fetch_watermarks(topic, 0, LIMIT);
    found.map_or(0, |(_, high)| high)
}

struct Outcome {
    /// Their commit was acknowledged.
    sure: BTreeSet<i64>,
    /// Their commit was neither acknowledged nor refused for certain.
    unsure: BTreeSet<i64>,
}

/// Each transaction writes its number to both partitions.
fn write_transactions(probe: &Probe, topic: &str, done: &AtomicBool) -> Outcome {
    let id = probe.name("writer");
    let mut outcome = Outcome { sure: BTreeSet::new(), unsure: BTreeSet::new() };
    let mut producer: Option<TestProducer> = None;
    let mut n = 0;
    while !done.load(Ordering::Relaxed) {
        let writer = producer.take().unwrap_or_else(|| {
            let fresh = probe.uninitialised(&id, "60000");
            until("init_transactions", || fresh.inner.init_transactions(Duration::from_secs(5)).is_ok());
            fresh
        });
        n += 1;
        if writer.inner.begin_transaction().is_err() {
            continue;
        }
        for partition in 0..2 {
            let value = n.to_string();
            let record = BaseRecord::to(topic).partition(partition).payload(value.as_str());
            let _ = writer.send_record(record);
        }
        let delivered = writer.drain() && writer.failed().is_empty();
        let committed = delivered && writer.inner.commit_transaction(LIMIT).is_ok();
        if committed {
            outcome.sure.insert(n);
            producer = Some(writer);
        } else if writer.inner.abort_transaction(LIMIT).is_ok() && writer.failed().is_empty() {
            producer = Some(writer);
        } else {
            outcome.unsure.insert(n);
        }
    }
    drop(producer);
    // Settles what the last one may have left open.
    let last = probe.uninitialised(&id, "60000");
    last.init();
    outcome
}

/// Sends the numbers from 0 on, and returns how many, all of them acknowledged.
fn write_idempotent(probe: &Probe, topic: &str, done: &AtomicBool) -> usize {
    let settings = [("enable.idempotence", "true"), ("message.timeout.ms", "120000")];
    let producer = probe.producer(&settings);
    let mut sent = 0;
    let mut next = Instant::now();
    while !done.load(Ordering::Relaxed) {
        if Instant::now() >= next {
            for _ in 0..20 {
                producer.send(topic, 0, None, &sent.to_string());
                sent += 1;
            }
            next += Duration::from_millis(10);
        }
        producer.inner.poll(Duration::from_millis(2));
    }
    producer.flush();
    assert_eq!(producer.fatal(), None);
    sent
}
