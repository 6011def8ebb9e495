//! The story that the demo tells, act by act. Every wait is for something to happen, with a deadline.

use super::count::{Count, Watcher, count};
use super::ledger::{Ledger, StockFile, export};
use super::worker::Worker;
use crate::answer::Answer;
use crate::arguments::Demo;
use crate::commands::{Context, async_runtime};
use crate::failure::{Failure, Outcome};
use crate::http::question;
use crate::run::signals::Signals;
use crate::tables::{Align, ruled_table};
use crate::terminal::{Glyph, Output, Style, Terminal};
use serde_json::{Value, json};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use unbatch_api::config::NoSecrets;
use unbatch_api::figures::grouped;
use unbatch_api::{Error, Kind, QuarantineEntry, Result};
use unbatch_dev_broker::{DevBroker, Settings};
use unbatch_kafka_client::{Admin, Cluster, KafkaSettings};

const TOPIC: &str = "stock.counts";
const QUARANTINE: &str = "demo.stock-counts.quarantine";
/// Longest that any step of the story may take.
const STEP_TIME_MAX: Duration = Duration::from_secs(30);
/// Between two looks at what a step waits for.
const LOOK: Duration = Duration::from_millis(5);
/// Time for a person to read what happened; nobody waits without a terminal.
const PAUSE: Duration = Duration::from_millis(450);
/// The file in whose middle the worker is killed must take it long enough to be caught there.
const LARGE_ROWS: u64 = if cfg!(debug_assertions) { 60_000 } else { 240_000 };
/// A machine too fast for that gets a file twice as large each time.
const LARGE_CENTRES: [&str; 4] = ["MUC", "VIE", "ZRH", "MIL"];
const BAD_ROW: u64 = 116;

const PIPELINE: &str = r#"version: 1
pipeline: stock-counts
replaces: {job: load_stock_counts, schedule: "0 4 * * *"}
source:
  csv_drops:
    url: drops
    match: "stock_*.csv"
    ready_when: {stable_for: 100ms}
    poll: 50ms
    dialect: {delimiter: ";"}
    columns:
      - {name: count_id, type: string, required: true}
      - {name: counted, type: int32, required: true}
      - {name: unit_cost, type: "decimal(10,2)", decimal_mark: ","}
      - {name: counted_on, type: date, format: "%d.%m.%Y"}
sink:
  topic: {name: stock.counts, key: [count_id], partitions: 3, format: json}
commit: {every: 100ms, rows: 5000}
"#;
const RUNTIME: &str = "deployment: demo\nhttp: {listen: \"127.0.0.1:0\"}\n";

/// Plays the whole demo.
pub(crate) fn play(args: &Demo, cx: &Context) -> Outcome<Answer> {
    let runtime = async_runtime()?;
    let mut stage = Stage::set(args, &cx.terminal, &runtime)?;
    let told = stage.tell();
    let answer = match told {
        Ok((count, entries)) => closing(&stage, count, &entries),
        Err(error) => {
            let said = stage.worker.as_ref().map(Worker::said).unwrap_or_default();
            stage.terminal.say_if_any(said.trim_end());
            Err(error.into())
        }
    };
    stage.clear();
    runtime.shutdown_background();
    answer
}

/// Everything that is on the scene.
struct Stage<'a> {
    terminal: &'a Terminal,
    runtime: &'a Runtime,
    folder: TempDir,
    keep: bool,
    seed: u64,
    broker: DevBroker,
    admin: Admin,
    ledger: Ledger,
    worker: Option<Worker>,
    watcher: Option<Watcher>,
    is_interrupted: Arc<AtomicBool>,
    started: Instant,
}

impl<'a> Stage<'a> {
    fn set(args: &Demo, terminal: &'a Terminal, runtime: &'a Runtime) -> Result<Self> {
        let started = Instant::now();
        let folder =
            tempfile::Builder::new().prefix("unbatch-demo-").tempdir().map_err(|e| failed("making its folder", e))?;
        std::fs::create_dir(folder.path().join("drops")).map_err(|e| failed("making its folder", e))?;
        for (name, text) in [("stock-counts.yaml", PIPELINE), ("unbatch.yaml", RUNTIME)] {
            std::fs::write(folder.path().join(name), text).map_err(|e| failed("writing its files", e))?;
        }
        let broker = DevBroker::start(Settings::default()).map_err(|e| failed("starting the embedded broker", e))?;
        let settings = KafkaSettings::plain(&broker.addr().to_string());
        let admin = Arc::new(Cluster::resolve(&settings, &NoSecrets)?).admin()?;
        let is_interrupted = Arc::new(AtomicBool::new(false));
        let flag = is_interrupted.clone();
        let mut signals = {
            let _inside = runtime.enter();
            Signals::listen()?
        };
        runtime.spawn(async move {
            signals.next().await;
            flag.store(true, Ordering::Relaxed);
        });
        Ok(Stage {
            terminal,
            runtime,
            folder,
            keep: args.keep,
            seed: args.seed,
            broker,
            admin,
            ledger: Ledger::default(),
            worker: None,
            watcher: None,
            is_interrupted,
            started,
        })
    }

    fn tell(&mut self) -> Result<(Count, Vec<QuarantineEntry>)> {
        self.open()?;
        self.first_file()?;
        self.bad_row()?;
        self.delivered_again()?;
        self.killed_in_the_middle()?;
        self.counted()
    }

    fn open(&mut self) -> Result<()> {
        self.heading("NewLimits loads its stock counts every night at four. From now on, whenever a file is dropped.");
        self.say(&format!("a Kafka broker runs inside this process, at {}", self.broker.addr()));
        self.start_worker()?;
        self.say("a worker process runs the pipeline stock-counts.yaml: CSV drops to topic stock.counts, exactly once");
        let admin = &self.admin;
        self.wait("the topic", || Ok(admin.topic(TOPIC)?.is_some_and(|t| t.led).then_some(())))?;
        self.watcher = Some(Watcher::start(&self.admin, TOPIC)?);
        self.say("a separate reader follows the topic and counts; it sees committed rows only");
        Ok(())
    }

    fn first_file(&mut self) -> Result<()> {
        self.heading("1. A file is dropped");
        let file = export(&mut self.ledger, "HAM", 1_200, None, self.seed);
        let dropped = self.drop_file(&file)?;
        self.wait_rows(self.ledger.good())?;
        self.say(&format!(
            "{} rows in the topic {:.1} s after the drop, not tomorrow morning; the first one:",
            grouped(file.rows),
            dropped.elapsed().as_secs_f64()
        ));
        if let Some((key, value)) = self.watcher.as_ref().and_then(|w| w.seen().sample) {
            self.say(&format!("  {key}  {value}"));
        }
        Ok(())
    }

    fn bad_row(&mut self) -> Result<()> {
        self.heading("2. A file with a bad row: a letter O in a number");
        let file = export(&mut self.ledger, "BER", 800, Some(BAD_ROW), self.seed);
        self.drop_file(&file)?;
        self.wait_rows(self.ledger.good())?;
        let place = format!("{}:{}", file.name, file.bad_line.unwrap_or_default());
        let (admin, ledger) = (&self.admin, &self.ledger);
        let entry = self.wait("the bad row in quarantine", || {
            let (_, entries) = count(admin, TOPIC, QUARANTINE, ledger)?;
            Ok(entries.into_iter().find(|e| e.origin.to_string() == place))
        })?;
        self.say(&format!("{} good rows in the topic; the bad one waits in quarantine:", grouped(file.rows - 1)));
        self.say(&format!("  {} at {}: {}", entry.code, entry.origin, entry.message));
        Ok(())
    }

    fn delivered_again(&mut self) -> Result<()> {
        self.heading("3. The exporter sends the first file once more");
        let file = export(&mut Ledger::default(), "HAM", 1_200, None, self.seed);
        self.drop_file(&file)?;
        let notice = self.wait("the duplicate to be noticed", || {
            let status = self.status();
            let notices = status["pipelines"][0]["splits"][0]["notices"].as_array().cloned().unwrap_or_default();
            Ok(notices.into_iter().find(|n| n["code"] == "duplicate"))
        })?;
        self.say(&format!("taken once, so it adds nothing: {}", notice["message"].as_str().unwrap_or_default()));
        Ok(())
    }

    fn killed_in_the_middle(&mut self) -> Result<()> {
        self.heading("4. A large file, and the worker is killed in the middle of it");
        let mut rows = LARGE_ROWS;
        for centre in LARGE_CENTRES {
            let file = export(&mut self.ledger, centre, rows, None, self.seed);
            self.drop_file(&file)?;
            if self.kill_within(&file)? {
                return self.resume(&file);
            }
            self.say("that was too fast to be caught in the middle; a larger file");
            self.start_worker()?;
            self.wait_rows(self.ledger.good())?;
            rows *= 2;
        }
        self.say("this machine is too fast to be caught in the middle of a file; the count stands all the same");
        Ok(())
    }

    /// Kills the worker once rows of the file are visible; whether that was before its end.
    fn kill_within(&mut self, file: &StockFile) -> Result<bool> {
        let rows_of = |stage: &Self| stage.watcher.as_ref().map_or(0, |w| w.rows_of(file.centre));
        self.wait("the first rows of the large file", || Ok((rows_of(self) > 0).then_some(())))?;
        if let Some(worker) = self.worker.take() {
            worker.kill().map_err(|e| failed("killing the worker", e))?;
        }
        // what was committed before the kill still reaches the reader
        let mut last = (rows_of(self), Instant::now());
        self.wait("the reader to stand still", || {
            let now = rows_of(self);
            if now != last.0 {
                last = (now, Instant::now());
            }
            Ok((last.1.elapsed() > Duration::from_millis(150)).then_some(()))
        })?;
        let visible = last.0;
        if visible >= file.rows {
            return Ok(false);
        }
        self.say(&format!("kill -9: {} of {} rows are visible, the rest is not", grouped(visible), grouped(file.rows)));
        Ok(true)
    }

    fn resume(&mut self, file: &StockFile) -> Result<()> {
        self.pause();
        let again = Instant::now();
        self.start_worker()?;
        self.say("the worker is started again; it fences its dead self and goes on behind the last committed row");
        self.wait_rows(self.ledger.good())?;
        let seconds = again.elapsed().as_secs_f64();
        self.say(&format!("all {} rows are visible {seconds:.1} s after the restart", grouped(file.rows)));
        Ok(())
    }

    /// Ends the worker in good order, so that nothing is on its way any more, and counts everything anew.
    fn counted(&mut self) -> Result<(Count, Vec<QuarantineEntry>)> {
        self.heading("5. The reader reads everything again from the start and holds it against the demo's own ledger");
        if let Some(worker) = &mut self.worker {
            worker.terminate().map_err(|e| failed("ending the worker", e))?;
        }
        let mut worker = self.worker.take();
        let status = self.wait("the worker to end", || Ok(worker.as_mut().and_then(Worker::ended)));
        self.worker = worker;
        let status = status?;
        if !status.success() {
            return Err(Error::new(Kind::Lost, "ending the worker in good order failed")
                .code("U0780")
                .with("status", status));
        }
        count(&self.admin, TOPIC, QUARANTINE, &self.ledger)
    }

    fn start_worker(&mut self) -> Result<()> {
        let folder = self.folder.path();
        let brokers = self.broker.addr().to_string();
        let (pipeline, runtime) = (folder.join("stock-counts.yaml"), folder.join("unbatch.yaml"));
        let worker =
            Worker::start(folder, &pipeline, &runtime, &brokers).map_err(|e| failed("starting the worker", e))?;
        self.worker = Some(worker);
        self.wait("the worker to be ready", || {
            let Some(address) = self.worker.as_ref().and_then(Worker::http) else { return Ok(None) };
            let answer = self.runtime.block_on(question::get(&address, "/readyz"));
            Ok(answer.is_ok_and(|(code, _)| code == 200).then_some(()))
        })
    }

    /// What the worker says about itself; null while it does not answer.
    fn status(&self) -> Value {
        let Some(address) = self.worker.as_ref().and_then(Worker::http) else { return Value::Null };
        let answer = self.runtime.block_on(question::get(&address, "/api/v1/status"));
        answer.ok().and_then(|(_, body)| serde_json::from_str(&body).ok()).unwrap_or_default()
    }

    fn drop_file(&mut self, file: &StockFile) -> Result<Instant> {
        file.drop_into(&self.folder.path().join("drops")).map_err(|e| failed("dropping a file", e))?;
        self.say(&format!("{} dropped, {} rows", file.name, grouped(file.rows)));
        Ok(Instant::now())
    }

    fn wait_rows(&self, total: u64) -> Result<()> {
        self.wait("the rows in the topic", || {
            let seen = self.watcher.as_ref().map_or(0, |w| w.seen().total());
            Ok((seen >= total).then_some(()))
        })
    }

    /// Waits until `look` finds something. A worker that ended, a reader that stopped and Ctrl-C end the wait.
    fn wait<T>(&self, what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let start = Instant::now();
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            let stopped = || Error::new(Kind::Lost, format!("waiting for {what} failed")).code("U0780");
            if self.is_interrupted.load(Ordering::Relaxed) {
                return Err(stopped().with("reason", "a signal ended the demo"));
            }
            if self.watcher.as_ref().is_some_and(|w| !w.is_alive()) {
                return Err(stopped().with("reason", "the reader stopped"));
            }
            if start.elapsed() >= STEP_TIME_MAX {
                return Err(stopped().with("seconds", STEP_TIME_MAX.as_secs()));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn heading(&self, text: &str) {
        self.pause();
        self.terminal.say(&format!("\n{}", self.terminal.paint(Output::Progress, Style::Bold, text)));
    }
    fn say(&self, text: &str) {
        self.terminal.say_prose(&format!("   {text}"));
    }
    fn pause(&self) {
        if self.terminal.is_watched && self.started.elapsed() > PAUSE {
            std::thread::sleep(PAUSE);
        }
    }

    /// Ends reader, worker and broker, in this order, and removes the folder.
    fn clear(mut self) {
        self.watcher = None;
        self.worker = None;
        drop(self.admin);
        self.broker.stop();
        if self.keep {
            let kept: PathBuf = self.folder.keep();
            self.terminal.say(&format!("kept: {}", kept.display()));
        }
    }
}

/// The closing table.
fn closing(stage: &Stage<'_>, count: Count, entries: &[QuarantineEntry]) -> Outcome<Answer> {
    let ledger = &stage.ledger;
    let agrees = count.agrees_with(ledger);
    let lines = [
        ("rows in the files", ledger.rows(), count.in_topic + count.quarantined),
        ("rows in the topic", ledger.good(), count.in_topic),
        ("rows in quarantine", ledger.bad(), count.quarantined),
        ("duplicates", 0, count.duplicates),
        ("missing", 0, count.missing),
        ("altered", 0, count.altered),
    ];
    let columns = [("", Align::Left), ("written by the demo", Align::Right), ("counted by the reader", Align::Right)];
    let rows = lines.iter().map(|(name, book, counted)| vec![(*name).to_owned(), grouped(*book), grouped(*counted)]);
    let mut text = ruled_table(&columns, rows, stage.terminal);
    let (glyph, style, word) = match agrees {
        true => (Glyph::Good, Style::Green, "rows in = rows in topic + quarantined"),
        false => (Glyph::Bad, Style::Red, "the count does not agree"),
    };
    let glyph = stage.terminal.paint(Output::Result, style, stage.terminal.glyph(glyph));
    let dot = stage.terminal.glyph(Glyph::Dot);
    let seconds = stage.started.elapsed().as_secs_f64();
    text.push_str(&format!(
        "{glyph} {word} {dot} duplicates {} {dot} missing {} {dot} {seconds:.1} s\n",
        count.duplicates, count.missing
    ));
    let result = json!({
        "rows_in": ledger.rows(), "rows_in_topic": count.in_topic, "quarantined": count.quarantined,
        "duplicates": count.duplicates, "missing": count.missing, "altered": count.altered,
        "agrees": agrees, "seed": stage.seed, "seconds": seconds,
        "quarantine": entries.iter().map(|e| json!({"code": e.code, "place": e.origin.to_string()})).collect::<Vec<_>>(),
    });
    let answer = Answer::new(text, result);
    Ok(match agrees {
        true => answer,
        false => answer.failed(Failure::Error(
            Error::lost("holding the topic against the ledger failed, the count does not agree")
                .code("U0781")
                .with("seed", stage.seed)
                .help("this is a bug in unbatch, please report it with the table above"),
        )),
    })
}

fn failed(what: &str, cause: io::Error) -> Error {
    Error::new(Kind::Lost, format!("{what} failed")).code("U0780").caused_by(cause)
}
