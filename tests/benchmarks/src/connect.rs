//! Kafka Connect's own file source beside ours: it parses nothing, makes one record of each line, and, on its own, delivers at least once.

use crate::counting::Ends;
use crate::memory::{kib, ticks};
use crate::runs::Run;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use unbatch_test_harness::{Broker, Launch, Process, Signal, unique_name, wait_until};

pub const NAME: &str = "Kafka Connect's file source, lines not parsed";

const DEADLINE: Duration = Duration::from_secs(300);
/// Rows that it reads before it is measured, so that Java's compiler has had its time.
const WARM_UP: usize = 100_000;
/// Records that a poll returns at most. A poll that is full leaves lines in the task's buffer, and the next one looks at the buffer only
/// when the file has more to read: so a file's last lines, and not only one batch of them, may never arrive.
const BATCH: usize = 10_000;
/// When nothing has come for so long, nothing comes any more.
const QUIET: Duration = Duration::from_secs(3);

/// A warm worker of its own, measured from its first record to the last one that comes. `None` when the jars are
/// not there; `scripts/bench.sh` says where they are.
pub fn file_source(broker: &Broker, file: &Path, rows: usize) -> Option<Run> {
    let jars = PathBuf::from(std::env::var_os("UNBATCH_BENCH_CONNECT")?);
    let home = tempfile::tempdir().expect("a temporary folder");
    let (warm, measured) = (Source::new(home.path(), "warm"), Source::new(home.path(), "measured"));
    broker.create_topic(&warm.topic, 4, &[]);
    broker.create_topic(&measured.topic, 4, &[]);
    copy_lines(file, &warm.file, WARM_UP);
    let mut worker = start(&jars, &home, broker.bootstrap(), [&warm, &measured]);
    let warm_ends = Ends::of(broker, &warm.topic);
    wait_until(DEADLINE, "Kafka Connect to begin its first file", || {
        assert!(worker.exited().is_none(), "Kafka Connect ended: {}", worker.tails());
        warm_ends.sum() > 0
    });
    rest(&warm_ends);
    let cpu = ticks(worker.id());
    std::fs::hard_link(file, &measured.file).expect("a link to the measured file");
    let ends = Ends::of(broker, &measured.topic);
    // it looks for its file once a second, which is not held against it
    wait_until(DEADLINE, "Kafka Connect to find the measured file", || ends.sum() > 0);
    let started = Instant::now();
    let (lines, last) = rest(&ends);
    assert!(lines >= rows / 2, "Kafka Connect read {lines} of {rows} lines");
    let (seconds, cpu) = ((last - started).as_secs_f64(), ticks(worker.id()) - cpu);
    let peak = kib(worker.id(), "VmHWM:") as f64 / 1024.0;
    worker.signal(Signal::Terminate);
    worker.wait(DEADLINE);
    broker.delete_topic(&warm.topic);
    broker.delete_topic(&measured.topic);
    Some(Run { rows: lines, seconds, cpu, peak })
}

/// Waits until nothing comes any more. How many records there are then, and since when.
fn rest(ends: &Ends) -> (usize, Instant) {
    let (mut lines, mut last) = (0, Instant::now());
    wait_until(DEADLINE, "Kafka Connect to read a file", || {
        let now = ends.sum();
        if now != lines {
            (lines, last) = (now, Instant::now());
        }
        last.elapsed() > QUIET
    });
    (lines, last)
}

/// One connector.
struct Source {
    topic: String,
    file: PathBuf,
}

impl Source {
    fn new(home: &Path, name: &str) -> Self {
        Self { topic: unique_name(name), file: home.join(format!("{name}.csv")) }
    }

    fn properties(&self) -> String {
        format!(
            "name={0}\nconnector.class=org.apache.kafka.connect.file.FileStreamSourceConnector\ntasks.max=1\ntopic={0}\n\
             file={1}\nbatch.size={BATCH}\n",
            self.topic,
            self.file.display()
        )
    }
}

/// A worker with the tuned producer of a careful operator.
fn start(jars: &Path, home: &TempDir, bootstrap: &str, sources: [&Source; 2]) -> Process {
    let at = |name: &str| home.path().join(name);
    let text = "org.apache.kafka.connect.storage.StringConverter";
    let worker = format!(
        "bootstrap.servers={bootstrap}\nkey.converter={text}\nvalue.converter={text}\nlisteners=http://127.0.0.1:0\n\
         offset.storage.file.filename={}\nplugin.discovery=service_load\nproducer.compression.type=lz4\n\
         producer.linger.ms=20\nproducer.batch.size=262144\n",
        at("offsets").display(),
    );
    std::fs::write(at("worker.properties"), worker).expect("the worker's settings");
    let log = "rootLogger.level=WARN\nrootLogger.appenderRef.out.ref=out\nappender.out.type=Console\nappender.out.name=out\n\
               appender.out.layout.type=PatternLayout\nappender.out.layout.pattern=%d %p %c{1} %m%n\n";
    std::fs::write(at("log4j2.properties"), log).expect("the worker's log settings");
    let mut launch = Launch::program("java")
        .args(["-Xmx1g", "-XX:+UseG1GC", "-cp"])
        .arg(jars.join("*"))
        .arg(format!("-Dlog4j2.configurationFile={}", at("log4j2.properties").display()))
        .arg("org.apache.kafka.connect.cli.ConnectStandalone")
        .arg(at("worker.properties"));
    for source in sources {
        let path = at(&format!("{}.properties", source.topic));
        std::fs::write(&path, source.properties()).expect("a connector's settings");
        launch = launch.arg(path);
    }
    launch.named("Kafka Connect").start()
}

/// The header and the first `rows` rows of a file.
fn copy_lines(from: &Path, to: &Path, rows: usize) {
    let lines = BufReader::new(File::open(from).expect("the measured file")).lines();
    let mut out = OpenOptions::new().create_new(true).append(true).open(to).expect("a file to warm up with");
    let mut text = String::new();
    for line in lines.take(rows + 1) {
        text.push_str(&line.expect("a line"));
        text.push('\n');
    }
    out.write_all(text.as_bytes()).expect("writing a file to warm up with");
}
