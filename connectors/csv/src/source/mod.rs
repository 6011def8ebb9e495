//! The reading end: a thread that lists, reads and decodes (`feed`), and the source that hands on what it made.

mod dump;
mod examine;
mod expect;
mod feed;
mod file;
mod punctuality;
mod resume;
mod stop;
mod told;

use crate::config::CsvDropsConfig;
use crate::dump::{Dumps, Sweeper};
use crate::folder::{Folder, Names};
use crate::ledger::Ledger;
use crate::owner::Owner;
use crate::parked::Parked;
use crate::release::Releaser;
use expect::Expectations;
use feed::Feed;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
pub use stop::Stop;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use told::Given;
use unbatch_api::names::SplitIndex;
use unbatch_api::{Advance, Batch, Bound, Checkpoint, Error, Reports, Result, Source, SourceContext, async_trait};

/// Decoded batches that wait for the sink; with the one being made and the one held back, at most four are in memory.
const BATCHES_WAITING_MAX: usize = 2;

/// What the thread hands over; `None` is the end of a bounded input.
type Fed = Result<Option<Given>>;

pub struct CsvSource {
    batches: mpsc::Receiver<Fed>,
    ended: bool,
    stop: Arc<Stop>,
    expectations: Arc<Expectations>,
    releaser: Option<Arc<Mutex<Releaser>>>,
    sweeper: Option<Arc<Sweeper>>,
    folder: Folder,
    names: Names,
    reports: Reports,
}

impl CsvSource {
    /// Opens the folder at `cx.resume` and starts to read.
    pub async fn open(config: Arc<CsvDropsConfig>, cx: SourceContext) -> Result<Self> {
        let runtime = Handle::current();
        blocking("opening the folder", move || Self::start(config, cx, &runtime)).await
    }

    fn start(config: Arc<CsvDropsConfig>, cx: SourceContext, runtime: &Handle) -> Result<Self> {
        let config = if config.full_dump().is_some() { Arc::new(config.with_key_columns()) } else { config };
        let folder = Folder::open(&config, &cx.place.base, &*cx.place.secrets, runtime)?;
        let split = match cx.place.split.index {
            SplitIndex::Number(n) => n,
            SplitIndex::Replay => 0,
        };
        let names = Names::new(&config, split)?;
        if cx.bound == Bound::Once {
            folder.must_exist()?;
        }
        let listing = folder.list(&names)?;
        let (ledger, parked) = (Ledger::read(&cx.resume)?, Parked::read(&cx.resume)?);
        let dumps = Dumps::open(&config, &cx, runtime)?;
        let stop = Arc::new(Stop::default());
        // who only looks takes nothing away, not even what an earlier run left to be taken
        let releaser =
            if cx.looks_only { None } else { Releaser::new(&config, &folder, &names, &cx, stop.clone(), runtime)? };
        if let Some(releaser) = &releaser {
            let known: HashSet<&str> = ledger.files().map(|e| crate::archive::digits(&e.digest)).collect();
            releaser.check_archive(&known)?;
            for name in &listing.hidden {
                releaser.mark().check_known(name, folder.store(), &known)?;
            }
        }
        let owner = (!cx.looks_only).then(|| Owner::new(&config, &cx.place));
        if let Some(owner) = &owner {
            owner.check_others(folder.store(), &listing)?;
            owner.claim(folder.store(), &listing, &config.after)?;
        }

        let (sender, batches) = mpsc::channel(BATCHES_WAITING_MAX);
        let expectations = Arc::new(Expectations::default());
        let releaser = releaser.map(|r| Arc::new(Mutex::new(r)));
        let source = Self {
            batches,
            ended: false,
            stop: stop.clone(),
            expectations: expectations.clone(),
            releaser: releaser.clone(),
            sweeper: dumps.as_ref().and_then(|dumps| dumps.sweeper.clone()),
            folder: folder.clone(),
            names: names.clone(),
            reports: cx.reports.clone(),
        };
        let feed = Feed::new(
            config,
            &cx,
            feed::Shared { folder, names, ledger, parked, dumps, owner, releaser, expectations, stop, sender },
        )?;
        std::thread::Builder::new()
            .name(format!("csv {}", cx.place.split))
            .spawn(move || feed.run())
            .map_err(|e| Error::transient("starting the thread that reads files failed").code("U0220").caused_by(e))?;
        Ok(source)
    }
}

#[async_trait]
impl Source for CsvSource {
    async fn next(&mut self) -> Result<Option<Batch>> {
        if self.ended {
            return Ok(None);
        }
        // `recv` loses nothing when its future is dropped
        match self.batches.recv().await {
            Some(Ok(None)) => {
                self.ended = true;
                Ok(None)
            }
            Some(Ok(Some(given))) => Ok(Some(given.say(&self.reports))),
            Some(Err(error)) => Err(error),
            None => Err(Error::bug("reading files failed: the thread that reads them is gone").code("U0901")),
        }
    }

    async fn vouch(&mut self, advance: &Advance) -> Result<()> {
        let due = self.expectations.due(advance)?;
        let folder = self.folder.clone();
        blocking("looking at open files", move || expect::verify(&folder, &due)).await
    }

    async fn settle(&mut self, committed: &Checkpoint) -> Result<()> {
        self.stop.set();
        if let Some(sweeper) = self.sweeper.clone() {
            let committed = committed.clone();
            blocking("taking old baselines away", move || sweeper.sweep(&committed)).await?;
        }
        let Some(releaser) = self.releaser.clone() else { return Ok(()) };
        let (folder, names, committed) = (self.folder.clone(), self.names.clone(), committed.clone());
        blocking("releasing files", move || {
            let listing = folder.list(&names)?;
            let mut releaser = releaser.lock().unwrap_or_else(PoisonError::into_inner);
            releaser.release_all(&listing, &committed)
        })
        .await
    }
}

impl Drop for CsvSource {
    fn drop(&mut self) {
        self.stop.set();
    }
}

/// Runs file work where it may block.
pub async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // not its own words: they may quote what the file holds
        Err(e) => {
            let ended = if e.is_panic() { "by a panic" } else { "with the process" };
            Err(Error::bug(format!("{doing} failed")).code("U0901").with("its task ended", ended))
        }
    }
}
