//! The folder of baselines: immutable files, cut into pieces so that none needs much memory in any store.
//!
//! A piece is written under a hidden name, made durable, and only then has its own: `Store::put_if_absent`. Its name carries deployment,
//! pipeline, split, generation, number of the dump and the digest of the whole. The number rises with each dump and the generation
//! with each reset, so a name is never used twice for another content, and whoever is behind, also an owner that was fenced and does
//! not know it yet, takes away only what is older than the baseline that it knows to be committed.

use super::note::{BaselineFile, Told};
use crate::config::{CsvDropsConfig, FullDump};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use unbatch_api::failpoint::{hit, sabotaged};
use unbatch_api::{CheckContext, Checkpoint, Error, Ownership, Result, SplitId};
use unbatch_full_dump::Written;
use unbatch_object_files::{Location, Look, Placed, RawRead, Store, StoreOptions, list_all, open_store};

const PIECE_BYTES: usize = 8 << 20;
/// Hex digits of the digest that a name carries.
const DIGEST_DIGITS: usize = 16;
const ENDING: &str = ".arrows";

#[derive(Debug)]
pub struct Shelf {
    store: Arc<dyn Store>,
    /// Deployment, pipeline and split.
    who: String,
    /// For somebody who only looks: the last two baselines, which are put nowhere. `None`: baselines are put.
    unplaced: Option<Mutex<VecDeque<(String, File)>>>,
}

impl Shelf {
    pub fn new(store: Arc<dyn Store>, place: &CheckContext, looks_only: bool) -> Self {
        let who = format!("{}.{}.{}", place.deployment, place.split.pipeline, place.split.index);
        Self { store, who, unplaced: looks_only.then(Mutex::default) }
    }

    /// The file under the name that it will have.
    pub fn name(&self, generation: u64, number: u64, size: u64, written: &Written) -> BaselineFile {
        let digits = &written.digest[..DIGEST_DIGITS.min(written.digest.len())];
        BaselineFile {
            name: format!("{}.{generation:06}-{number:06}.{digits}", self.who),
            generation,
            number,
            pieces: size.div_ceil(PIECE_BYTES as u64).max(1) as u32,
            rows: written.rows,
            digest: written.digest.clone(),
        }
    }

    /// Puts it there whole; one that is there already is the same one.
    pub fn put(&self, mut content: &File, baseline: &BaselineFile) -> Result<()> {
        let failed =
            |e: std::io::Error| Error::transient("reading the draft of a baseline failed").code("U0241").caused_by(e);
        if let Some(unplaced) = &self.unplaced {
            let content = content.try_clone().map_err(failed)?;
            let mut unplaced = unplaced.lock().unwrap_or_else(PoisonError::into_inner);
            // the one before is still compared with
            unplaced.truncate(1);
            unplaced.push_front((baseline.name.clone(), content));
            return Ok(());
        }
        self.store.make()?;
        content.rewind().map_err(failed)?;
        for piece in 0..baseline.pieces {
            hit("csv.before_baseline")?;
            let mut bytes = Vec::new();
            content.take(PIECE_BYTES as u64).read_to_end(&mut bytes).map_err(failed)?;
            let name = piece_name(baseline, piece);
            let bytes = bytes::Bytes::from(bytes);
            // an attempt that died put it there; whoever touched it since is made undone
            if self.store.put_if_absent(&name, bytes.clone())? != Placed::Done && !self.is_there(&name, &bytes)? {
                self.store.put(&name, bytes)?;
            }
        }
        Ok(())
    }

    /// Lost when a piece is gone, Transient when the folder itself is.
    pub fn check(&self, baseline: &BaselineFile) -> Result<()> {
        if !self.store.is_there()? {
            return Err(Error::transient("looking for the baseline failed: its folder is not there")
                .code("U0242")
                .with("folder", self.store.location())
                .help("is it a mount that is away? It must last as long as the pipeline does"));
        }
        for piece in 0..baseline.pieces {
            self.look(baseline, piece)?;
        }
        Ok(())
    }

    pub fn read(&self, baseline: &BaselineFile) -> Result<Box<dyn Read + Send>> {
        if let Some(unplaced) = &self.unplaced
            && let unplaced = unplaced.lock().unwrap_or_else(PoisonError::into_inner)
            && let Some((_, content)) = unplaced.iter().find(|(name, _)| *name == baseline.name)
        {
            let read = content.try_clone().and_then(|mut content| content.rewind().map(|()| content));
            let failed = |e| Error::transient("reading the draft of a baseline failed").code("U0241").caused_by(e);
            return read.map(|content| Box::new(content) as _).map_err(failed);
        }
        self.check(baseline)?;
        Ok(Box::new(Pieces { store: self.store.clone(), baseline: baseline.clone(), next: 0, now: None }))
    }

    /// Takes away our baselines that are older than all that are committed.
    fn remove_before(&self, told: &Told) -> Result<()> {
        let Some(mut oldest) = told.files().map(BaselineFile::age).min() else { return Ok(()) };
        if sabotaged("dump-baseline") {
            oldest = (u64::MAX, u64::MAX);
        }
        let is_older = |name: &str| self.age_of(name).is_some_and(|age| age < oldest);
        for listed in list_all(&*self.store, &is_older)? {
            if let Look::File(stat) = listed.look
                && is_older(&listed.name)
            {
                hit("csv.before_baseline_removal")?;
                self.store.delete(&listed.name, &stat)?;
            }
        }
        Ok(())
    }

    /// Generation and number in the name of a piece of ours.
    fn age_of(&self, name: &str) -> Option<(u64, u64)> {
        let rest = name.strip_prefix(&self.who)?.strip_prefix('.')?.strip_suffix(ENDING)?;
        let (generation, number) = rest.split('.').next()?.split_once('-')?;
        Some((generation.parse().ok()?, number.parse().ok()?))
    }

    fn is_there(&self, name: &str, content: &[u8]) -> Result<bool> {
        let Some(stat) = self.store.head(name)? else { return Ok(false) };
        Ok(stat.size == content.len() as u64 && self.store.read_range(name, &stat, 0..stat.size)? == content)
    }

    fn look(&self, baseline: &BaselineFile, piece: u32) -> Result<unbatch_object_files::ObjectStat> {
        look(&*self.store, baseline, piece)
    }
}

fn look(store: &dyn Store, baseline: &BaselineFile, piece: u32) -> Result<unbatch_object_files::ObjectStat> {
    let name = piece_name(baseline, piece);
    store.head(&name)?.ok_or_else(|| {
        Error::lost("reading the baseline of the last dump failed: it is not there")
            .code("U0243")
            .with("folder", store.location())
            .with("file", name)
            .help(
                "put the file back as it was; without it `unbatch offsets reset` begins anew, and deletes are not seen",
            )
    })
}

fn piece_name(baseline: &BaselineFile, piece: u32) -> String {
    format!("{}.{piece:04}{ENDING}", baseline.name)
}

/// All bytes of a baseline, piece by piece.
struct Pieces {
    store: Arc<dyn Store>,
    baseline: BaselineFile,
    next: u32,
    now: Option<Box<dyn RawRead>>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            if let Some(now) = &mut self.now {
                match now.read(buffer).map_err(std::io::Error::other)? {
                    0 if !buffer.is_empty() => self.now = None,
                    n => return Ok(n),
                }
            }
            if self.next == self.baseline.pieces {
                return Ok(0);
            }
            let stat = look(&*self.store, &self.baseline, self.next).map_err(std::io::Error::other)?;
            let name = piece_name(&self.baseline, self.next);
            self.now = Some(self.store.open_read(&name, &stat).map_err(std::io::Error::other)?);
            self.next += 1;
        }
    }
}

/// Takes old baselines away once newer ones are committed.
pub struct Sweeper {
    shelf: Arc<Shelf>,
    split: SplitId,
    ownership: Arc<dyn Ownership>,
    /// After which one it was swept last.
    swept: Mutex<Option<Told>>,
}

impl Sweeper {
    pub fn new(shelf: Arc<Shelf>, split: SplitId, ownership: Arc<dyn Ownership>) -> Self {
        Self { shelf, split, ownership, swept: Mutex::new(None) }
    }

    pub fn sweep(&self, committed: &Checkpoint) -> Result<()> {
        let Some(told) = Told::read(committed)? else { return Ok(()) };
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.as_ref() == Some(&told) || !self.ownership.is_ours(&self.split) {
            return Ok(());
        }
        self.shelf.remove_before(&told)?;
        *swept = Some(told);
        Ok(())
    }
}

/// Opens the folder of baselines. A bucket is reached as `store` says.
pub fn open_baselines(
    config: &CsvDropsConfig,
    dump: &FullDump,
    place: &CheckContext,
    runtime: &Handle,
) -> Result<Arc<dyn Store>> {
    let location = Location::parse(&dump.baseline).map_err(|message| {
        Error::misconfigured(format!("reading `mode.full_dump.baseline` failed: {message}")).code("U0244")
    })?;
    let options = match location.as_folder() {
        Some(_) => StoreOptions::default(),
        None => config.store.resolve(&*place.secrets)?,
    };
    open_store(&location, &place.base, &options, runtime)
}

/// Whether the folder of baselines is the one of the drops, by their texts.
pub fn is_same_folder(baseline: &Location, url: &str, base: &Path) -> bool {
    Location::parse(url).is_ok_and(|drops| baseline.resolve(base).is_same_text(&drops.resolve(base)))
}
