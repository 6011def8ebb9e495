//! One round from its seed to its verdict.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::json;
use unbatch_test_harness::{Launch, Proxy, Reader, Seed, Signal, built_binary};

use crate::Outcome;
use crate::depth::Depths;
use crate::drops::{self, Drops, PARTITIONS};
use crate::figures::Figures;
use crate::owner::{END, End, Owner, wait};
use crate::schedules::Mode;
use crate::server::{Outage, SECRET};
use crate::site::Site;
use crate::source::Source;
use crate::verdict::{self, Results};
use crate::watch::Watch;

/// A round that takes longer is a failure. Most take some seconds.
const ROUND: Duration = Duration::from_secs(240);

/// How long an owner may take until everything that was dropped is visible, whatever happened to it before.
const RECOVERY: Duration = Duration::from_secs(90);

/// No file of so few rows is a large one.
const FEW: i64 = 2000;

/// How long a process may take until its split is open. On Apache Kafka the first makes topics of 128 partitions.
const OPENING: Duration = Duration::from_secs(60);

/// What a round is asked for.
#[derive(Clone, Debug)]
pub struct Order {
    pub mode: Mode,
    pub source: Source,
    pub seed: Seed,
    /// Rules that the product is to leave out (`UNBATCH_SABOTAGE`), to show that the round finds it. Empty: none.
    pub sabotage: String,
    /// Keep the folder of a round that fails: files, logs, and what happened.
    pub keep: bool,
}

/// A round that did not end as it must.
#[derive(Debug)]
pub struct Failure {
    pub figures: Figures,
    message: String,
}

/// Runs one round.
///
/// # Errors
///
/// When anything is missing, doubled, wrong or out of order, or a process did not do what it must. The message says how to
/// run the round again.
pub fn run(site: &Site, order: &Order) -> Result<Figures, Failure> {
    let home = match tempfile::Builder::new().prefix("unbatch-kill-").tempdir() {
        Ok(home) => home,
        Err(e) => return Err(Failure { figures: Figures::default(), message: format!("no temporary folder: {e}") }),
    };
    let mut round = match Round::begin(site, order, home.path()) {
        Ok(round) => round,
        Err(message) => return Err(Failure { figures: Figures::default(), message }),
    };
    let ended = catch_unwind(AssertUnwindSafe(|| round.play(order.mode)))
        .unwrap_or_else(|panic| Err(format!("panicked: {}", text_of(panic.as_ref()))));
    let (figures, story) = (round.figures, std::mem::take(&mut round.story));
    drop(round);
    match ended {
        Ok(()) => Ok(figures),
        Err(what) => {
            let kept = order.keep.then(|| home.keep());
            let message = explain(order, &what, &story, kept.as_deref());
            if let Some(kept) = kept {
                let _ = fs::write(kept.join("failure.txt"), &message);
            }
            Err(Failure { figures, message })
        }
    }
}

/// A pipeline of its own with its files, and the processes that run it.
pub(crate) struct Round<'a> {
    pub(crate) site: &'a Site,
    pub(crate) rng: StdRng,
    pub(crate) drops: Drops,
    pub(crate) figures: Figures,
    sabotage: String,
    home: PathBuf,
    pipeline: PathBuf,
    watch: Watch,
    topic: String,
    quarantine: String,
    runtime: PathBuf,
    transaction_timeout: Duration,
    begun: Instant,
    /// `None`: no file is large.
    depths: Option<Depths>,
    /// How often the store may still go away in this round.
    outages_left: u32,
    /// What was done and seen, for the message of a failure.
    story: Vec<String>,
}

/// How to start the product.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start {
    /// `--once`
    pub once: bool,
    /// `UNBATCH_FAILPOINTS`
    pub failpoints: String,
    /// Through a proxy of its own.
    pub proxied: bool,
    /// It believes to own the split, whatever it is told.
    pub believes: bool,
}

impl<'a> Round<'a> {
    fn begin(site: &'a Site, order: &Order, home: &Path) -> Outcome<Round<'a>> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mut rng = order.seed.rng();
        let name = format!("{}-{}", order.mode.name(), COUNT.fetch_add(1, Ordering::Relaxed));
        // short ones are for the schedules in which a transaction outlives its time-out
        let transaction_timeout =
            Duration::from_secs([3, 10, order.mode.longest_transaction()][rng.random_range(0..3)]);
        let runtime = home.join("unbatch.yaml");
        let properties = json!({"transaction.timeout.ms": transaction_timeout.as_millis() as u64});
        let file = json!({"deployment": site.deployment(), "kafka": {"properties": properties}});
        drops::write(&runtime, &file)?;
        let bucket = match order.source {
            Source::S3 => Some(site.bucket().ok_or("there is no S3 server here")?),
            Source::Dump if rng.random_bool(0.4) => site.bucket(),
            Source::Folder | Source::Packed | Source::Dump => None,
        };
        let outages_left = if bucket.is_some() { rng.random_range(0..=3) } else { 0 };
        let drops = Drops::generate(home, order.source, bucket, &mut rng)?;
        let (pipeline, topic) = drops.write_pipeline(home, site.deployment(), &name)?;
        fs::create_dir_all(home.join("logs")).map_err(|e| format!("making a folder: {e}"))?;
        let mut round = Round {
            site,
            rng,
            figures: Figures::default(),
            sabotage: order.sabotage.clone(),
            home: home.to_owned(),
            pipeline,
            watch: Watch::new(site.bootstrap(), &topic, PARTITIONS)?,
            topic,
            quarantine: format!("{}.{name}.quarantine", site.deployment()),
            runtime,
            transaction_timeout,
            begun: Instant::now(),
            depths: drops.depths()?,
            outages_left,
            story: Vec::new(),
            drops,
        };
        let (source, files) = (order.source.name(), round.drops.describe());
        let place = if round.drops.server().is_some() { "on S3" } else { "in a folder" };
        round.note(format!("{source}, {place}, {files}, transactions end after {transaction_timeout:?}"));
        Ok(round)
    }

    fn play(&mut self, mode: Mode) -> Outcome<()> {
        while self.drops.next_wave() {
            // the rest comes while the schedule runs
            let first = self.rng.random_range(0..=self.drops.coming() / 2);
            self.drops.drop_files(first)?;
            self.note(format!("a wave: {first} files dropped, {} coming", self.drops.coming()));
            if self.drops.waves_left() > 0 || self.rng.random_bool(0.25) {
                mode.play(self)?;
            }
            self.finish()?;
        }
        self.note("all is dropped and read");
        let (topic, quarantine) = (self.topic.clone(), self.quarantine.clone());
        let results = Results { bootstrap: self.site.bootstrap(), topic: &topic, quarantine: &quarantine };
        let judged = verdict::judge(&self.drops, &results, self.left(), &mut self.figures);
        self.note(format!("judged: {}", self.figures));
        judged
    }

    /// What is left of the wave, read by one clean run to its end.
    fn finish(&mut self) -> Outcome<()> {
        self.drops.drop_files(usize::MAX)?;
        if let Some(server) = self.drops.server() {
            server.back()?;
        }
        let owner = self.start(Start { once: true, ..Start::default() });
        let end = self.ended(owner)?;
        end.must_be_good(self.drops.any_parked())
    }

    /// Something that was done or seen; also told at once when `UNBATCH_KILL_STORY` is set.
    pub(crate) fn note(&mut self, what: impl Into<String>) {
        let line = format!("{:6.2} s  {}", self.begun.elapsed().as_secs_f64(), what.into());
        if std::env::var_os("UNBATCH_KILL_STORY").is_some() {
            eprintln!("  {line}");
        }
        self.story.push(line);
    }

    fn left(&self) -> Duration {
        ROUND.saturating_sub(self.begun.elapsed())
    }

    /// Starts a run of the pipeline.
    pub(crate) fn start(&mut self, how: Start) -> Owner {
        self.figures.starts += 1;
        let name = format!("run-{}", self.figures.starts);
        let proxy = how.proxied.then(|| Proxy::start(self.site.bootstrap()));
        let brokers = proxy.as_ref().map_or(self.site.bootstrap(), |proxy| proxy.bootstrap()).to_owned();
        let mut launch = Launch::program(binary())
            .named(&name)
            .current_dir(&self.home)
            .args(["run", "--no-http", "--json", "--log-format", "json", "--brokers", &brokers, "--config"])
            .arg(&self.runtime)
            .arg(&self.pipeline);
        if how.once {
            launch = launch.arg("--once");
        }
        let mut rules: Vec<&str> = if self.sabotage.is_empty() { vec![] } else { vec![&self.sabotage] };
        rules.extend(how.believes.then_some("ownership"));
        for (variable, value) in [("UNBATCH_FAILPOINTS", &how.failpoints), ("UNBATCH_SABOTAGE", &rules.join(","))] {
            if !value.is_empty() {
                launch = launch.env(variable, value);
            }
        }
        self.note(format!("{name} starts: {how:?}"));
        if let Some(bucket) = self.drops.bucket() {
            launch = launch.env(SECRET, bucket.secret());
        }
        Owner::new(name, launch.start(), proxy, &self.home.join("logs"), self.drops.most_rows())
    }

    /// Takes the S3 server away for a while, now or in a moment; often not, and never when the files are in a folder.
    pub(crate) fn trouble_the_store(&mut self) {
        if self.outages_left == 0 || self.rng.random_bool(0.4) {
            return;
        }
        self.outages_left -= 1;
        self.figures.outages += 1;
        let how = [Outage::Killed, Outage::Killed, Outage::Frozen][self.rng.random_range(0..3)];
        let begins = Duration::from_millis(self.rng.random_range(0..1200));
        let lasts = Duration::from_millis(self.rng.random_range(20..1800));
        self.note(format!("the S3 server is {how:?} in {begins:?} for {lasts:?}"));
        if let Some(server) = self.drops.server() {
            server.take_away(how, begins, lasts);
        }
    }

    /// Waits until the split is open.
    pub(crate) fn opened(&mut self, owner: &mut Owner) -> Outcome<()> {
        let opened = wait(OPENING.min(self.left()), || {
            // looked at first: what ended before it was open never will be
            let ended = owner.has_ended();
            owner.is_open().then_some(true).or(ended.then_some(false))
        });
        self.note(format!("{} opened: {opened:?}", owner.name()));
        match opened {
            Some(true) => Ok(()),
            Some(false) => Err(format!("{} ended before its split was open", owner.name())),
            None => Err(format!("{} did not open its split in {OPENING:?}", owner.name())),
        }
    }

    /// Records and transaction ends of the topic that committed readers may see.
    pub(crate) fn visible(&self) -> i64 {
        self.watch.visible()
    }

    /// Waits until the owner has brought every good row of the whole files that were dropped into the topic, so that what
    /// happened to it is shown to be something that it recovers from by itself.
    pub(crate) fn recovered(&mut self, owner: &mut Owner) -> Outcome<()> {
        let wanted = self.drops.rows_dropped();
        let reader = Reader::committed(self.site.bootstrap());
        let found = wait(RECOVERY.min(self.left()), || {
            // looked at first: what ended has done all that it will
            let ended = owner.has_ended();
            let is_there = self.visible() >= wanted as i64
                && reader.read_visible(&self.topic, END).is_ok_and(|records| records.len() as u64 >= wanted);
            is_there.then_some(true).or(ended.then_some(false))
        });
        self.note(format!("{} has brought all {wanted} rows: {found:?}", owner.name()));
        match found {
            Some(true) => Ok(()),
            Some(false) => Err(format!("{} ended although it should have gone on", owner.name())),
            None => Err(format!("{} did not bring all rows that were dropped within {RECOVERY:?}", owner.name())),
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, mut owner: Owner) -> Outcome<()> {
        if !owner.has_ended() {
            owner.signal(Signal::Kill);
        }
        self.ended(owner).map(|_| ())
    }

    /// SIGTERM, on which it must commit what it has and end in good order.
    pub(crate) fn stop(&mut self, mut owner: Owner) -> Outcome<()> {
        if !owner.has_ended() {
            owner.signal(Signal::Terminate);
        }
        let end = self.ended(owner)?;
        end.must_be_good(self.drops.any_parked())
    }

    /// Waits for the end of a process and counts how it ended.
    pub(crate) fn ended(&mut self, owner: Owner) -> Outcome<End> {
        self.figures.faults += owner.failpoint_failures() as u64;
        if let Some(proxy) = &owner.proxy {
            let strikes = proxy.strikes();
            self.figures.faults += strikes.iter().filter(|strike| strike.contains(" struck ")).count() as u64;
            self.story.extend(strikes.into_iter().map(|strike| format!("          wire: {strike}")));
        }
        let end = owner.end(END.min(self.left()))?;
        if end.was_killed() {
            self.figures.kills += 1;
            self.figures.deep += u64::from(self.is_deep());
        }
        self.figures.fences += u64::from(end.is_fenced());
        self.note(format!("{} ended: {}{}", end.name, end.status, if end.is_fenced() { ", fenced" } else { "" }));
        Ok(end)
    }

    pub(crate) fn has_large_files(&self) -> bool {
        self.depths.is_some()
    }

    /// Whether a large file is committed up to some place far behind its beginning.
    fn is_deep(&self) -> bool {
        // as few rows are no megabyte, and a topic that is not there yet would be waited for
        let Some(depths) = self.depths.as_ref().filter(|_| self.visible() > FEW) else { return false };
        let committed = Reader::committed(self.site.bootstrap()).read_visible(&self.topic, END.min(self.left()));
        committed.is_ok_and(|records| depths.is_in_the_middle(&records))
    }

    /// The error of a process that ended although nothing gave it a reason to.
    pub(crate) fn ended_by_itself(&mut self, owner: Owner) -> Outcome<()> {
        let end = self.ended(owner)?;
        Err(format!("{} ended by itself: {}", end.name, end.describe()))
    }

    pub(crate) fn transaction_timeout(&self) -> Duration {
        self.transaction_timeout
    }

    /// Waits until no transaction is open in the topic: where nobody can end one, until the broker has ended it.
    pub(crate) fn transactions_over(&mut self) -> Outcome<()> {
        let limit = self.transaction_timeout + Duration::from_secs(20);
        wait(limit, || self.watch.is_settled().filter(|settled| *settled))
            .map(|_| ())
            .ok_or_else(|| format!("the broker did not end a transaction within {limit:?}"))
    }
}

/// The binary of the product; looked for once, since its age is printed each time.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| built_binary("unbatch"))
}

fn explain(order: &Order, what: &str, story: &[String], kept: Option<&Path>) -> String {
    let Order { mode, source, seed, sabotage, .. } = order;
    let (mode, source) = (mode.name(), source.name());
    let kept = kept.map(|kept| format!("files, logs and this text are in {}\n", kept.display())).unwrap_or_default();
    let sabotage = if sabotage.is_empty() { String::new() } else { format!(" UNBATCH_SABOTAGE={sabotage}") };
    format!(
        "round {mode} from {source} with seed {seed} failed: {what}\n\nwhat happened:\n  {}\n\n{kept}run it again: UNBATCH_SEED={seed} \
         UNBATCH_KILL_MODE={mode} UNBATCH_KILL_SOURCE={source} UNBATCH_ROUNDS=1{sabotage} \
         cargo test -p unbatch-kill-tests --all-features --test rounds\n",
        story.join("\n  "),
    )
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
