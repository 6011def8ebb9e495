//! Files that are the whole table: read into a sorted copy on disk, compared with the baseline of the file before, judged, and only
//! then handed on as what changed. The comparison is `unbatch_full_dump`'s; here are its guards, its notes, and where baselines lie.

mod gathering;
mod guards;
mod note;
mod shelf;

pub use gathering::{Gathering, Judged};
pub use guards::{judge, out_of_order};
pub use note::{BaselineFile, HandedOn, Told, give_up};
pub use shelf::{Shelf, Sweeper, is_same_folder, open_baselines};

use crate::config::{CsvDropsConfig, Share};
use crate::decode;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;
use unbatch_api::{Error, Result, SourceContext, StreamSchema};
use unbatch_full_dump::Shape;

/// Least and most memory for rows that are being sorted.
const SORT_BYTES: std::ops::RangeInclusive<usize> = 4 << 20..=48 << 20;

/// Full dumps of a split.
pub struct Dumps {
    pub setting: Arc<Setting>,
    /// By what was given so far.
    pub told: Option<Told>,
    pub sweeper: Option<Arc<Sweeper>>,
}

/// How dumps are read and compared.
pub struct Setting {
    pub key: Vec<String>,
    pub deletes_max: Share,
    pub shelf: Arc<Shelf>,
    spill: PathBuf,
    memory: usize,
    pub generation: u64,
}

impl Dumps {
    /// `None` where files add rows. Lost when a baseline is gone.
    pub fn open(config: &CsvDropsConfig, cx: &SourceContext, runtime: &Handle) -> Result<Option<Self>> {
        let told = Told::read(&cx.resume)?;
        let Some(dump) = config.full_dump() else {
            return match told {
                None => Ok(None),
                Some(_) => Err(changed("`mode` was `full_dump` and is `append` now")),
            };
        };
        if told.as_ref().is_some_and(|told| told.key != dump.key) {
            return Err(changed("`mode.full_dump.key` is not the one of the last dump"));
        }
        let baselines = open_baselines(config, dump, &cx.place, runtime)?;
        let shelf = Arc::new(Shelf::new(baselines, &cx.place, cx.looks_only));
        for file in told.iter().flat_map(Told::files) {
            shelf.check(file)?;
        }
        let spill = dump.spill.as_ref().map_or_else(std::env::temp_dir, |spill| cx.place.base.join(spill));
        let memory = (cx.limits.memory_bytes / 4).clamp(*SORT_BYTES.start(), *SORT_BYTES.end());
        let sweeper = Sweeper::new(shelf.clone(), cx.place.split.clone(), cx.ownership.clone());
        let setting = Setting {
            key: dump.key.clone(),
            deletes_max: dump.deletes_max,
            shelf,
            spill,
            memory,
            generation: cx.generation,
        };
        let sweeper = (!cx.looks_only).then(|| Arc::new(sweeper));
        Ok(Some(Self { setting: Arc::new(setting), told, sweeper }))
    }
}

impl Setting {
    /// The folder to sort in, which is made when it is not there.
    fn spill(&self) -> Result<&Path> {
        std::fs::create_dir_all(&self.spill).map_err(|e| self.no_room(e))?;
        Ok(&self.spill)
    }

    /// A file without a name, gone with the process.
    fn temporary(&self) -> Result<File> {
        tempfile::tempfile_in(self.spill()?).map_err(|e| self.no_room(e))
    }

    fn no_room(&self, cause: std::io::Error) -> Error {
        Error::transient("writing the sorted rows of a full dump failed")
            .code("U0241")
            .with("folder", self.spill.display())
            .help("sorting needs as much room there as the dump has; `spill` names another folder")
            .caused_by(cause)
    }
}

/// The declared columns as full dumps have them.
pub fn declared_schema(config: &CsvDropsConfig) -> Result<Option<Arc<StreamSchema>>> {
    let Some(dump) = config.full_dump() else { return Ok(None) };
    let declared = decode::declared_schema(&config.with_key_columns());
    let shape = Shape::new(declared.fields(), &dump.key)?;
    Ok(Some(gathering::schema_of(&shape, &dump.key)))
}

fn changed(what: &str) -> Error {
    Error::misconfigured(format!("comparing full dumps failed: {what}"))
        .code("U0240")
        .help("change it back, or begin anew with `unbatch offsets reset`: the next dump is then handed on whole, and deletes are not seen")
}
