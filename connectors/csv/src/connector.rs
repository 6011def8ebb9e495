//! The doors of the contract.

use crate::config::{After, CsvDropsConfig, Header, Identity};
use crate::folder::{Folder, Names, OWNER_PREFIX, location_of};
use crate::owner::Owner;
use crate::release::archive_of;
use crate::source::{CsvSource, blocking};
use crate::{decode, dump, offsets, replay, validate};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Handle;
use unbatch_api::quarantine::{Edit, RawCell};
use unbatch_api::{
    Batch, CheckContext, Checkpoint, Error, Finding, Jump, PartView, Problem, QuarantineEntry, Result, Severity,
    Source, SourceConnector, SourceContext, StreamName, StreamSchema, async_trait,
};
use unbatch_object_files::{LocalFolder, Store};

/// CSV files that are dropped into a folder, each row of each file exactly once.
pub struct CsvDrops;

#[async_trait]
impl SourceConnector for CsvDrops {
    const NAME: &'static str = "csv_drops";
    type Config = CsvDropsConfig;
    const COUNTS_REJECTED: bool = true;

    fn validate(config: &CsvDropsConfig) -> Vec<Problem> {
        validate::problems(config)
    }

    /// The declared columns; a file may bring more, as text, after them.
    fn streams(config: &CsvDropsConfig) -> Vec<(StreamName, Arc<StreamSchema>)> {
        if config.columns.is_empty() {
            return Vec::new();
        }
        match dump::declared_schema(config) {
            Ok(schema) => {
                vec![(decode::stream_name(config), schema.unwrap_or_else(|| decode::declared_schema(config)))]
            }
            // `validate` says what is wrong with the key
            Err(_) => Vec::new(),
        }
    }

    fn fingerprint(config: &CsvDropsConfig, base: &Path) -> String {
        let identity = match config.identity {
            Identity::Content => "content",
            Identity::Delivery => "delivery",
        };
        let header = match config.dialect.header {
            Header::Present => "present",
            Header::None => "none",
        };
        let folder = location_of(config)
            .map_or_else(|_| base.join(&config.url).display().to_string(), |folder| folder.resolve(base).to_string());
        format!("csv_drops folder={folder} match={} identity={identity} header={header}", config.pattern)
    }

    async fn check(config: Arc<CsvDropsConfig>, cx: CheckContext) -> Result<Vec<Finding>> {
        let runtime = Handle::current();
        blocking("checking the folder", move || check(&config, &cx, &runtime)).await
    }

    async fn splits(config: Arc<CsvDropsConfig>, _: CheckContext) -> Result<u32> {
        Ok(config.splits.max(1))
    }

    async fn open(config: Arc<CsvDropsConfig>, cx: SourceContext) -> Result<Box<dyn Source>> {
        Ok(Box::new(CsvSource::open(config, cx).await?))
    }

    fn raw_cells(config: &CsvDropsConfig, entry: &QuarantineEntry) -> Result<Vec<RawCell>> {
        replay::raw_cells(config, entry)
    }
    fn parse_raw(config: &CsvDropsConfig, entry: &QuarantineEntry, edits: &[Edit]) -> Result<Batch> {
        replay::parse_raw(config, entry, edits)
    }

    fn describe(_: &CsvDropsConfig, checkpoint: &Checkpoint) -> Vec<PartView> {
        offsets::describe(checkpoint)
    }

    fn jump(config: &CsvDropsConfig, checkpoint: &Checkpoint, jumps: &[Jump]) -> Result<Checkpoint> {
        offsets::jump(config, checkpoint, jumps)
    }
}

/// Is the folder there, may we do in it what the configuration asks for, and does anything match?
fn check(config: &CsvDropsConfig, cx: &CheckContext, runtime: &Handle) -> Result<Vec<Finding>> {
    let folder = Folder::open(config, &cx.base, &*cx.secrets, runtime)?;
    let names = Names::new(&CsvDropsConfig { splits: 1, ..config.clone() }, 0)?;
    folder.must_exist()?;
    let listing = folder.list(&names)?;
    let mut findings = Vec::new();
    if listing.data_names.is_empty() {
        findings.push(Finding {
            severity: Severity::Warning,
            code: "U0217",
            message: format!("no file in {} matches `{}` yet", folder.store().location(), config.pattern),
            remedy: "nothing, if files are still to come; otherwise mend `url` or `match`".into(),
        });
    }
    if let Err(error) = Owner::new(config, cx).check_others(folder.store(), &listing) {
        findings.push(finding(&error));
    }
    match archive_of(config, &folder, &cx.base, &*cx.secrets, runtime) {
        Ok(Some(archive)) => findings.extend(not_to_be_made(&*archive)),
        Ok(None) => {}
        Err(error) => findings.push(finding(&error)),
    }
    if let Some(dump) = config.full_dump() {
        match dump::open_baselines(config, dump, cx, runtime) {
            Ok(baselines) => findings.extend(not_to_be_made(&*baselines)),
            Err(error) => findings.push(finding(&error)),
        }
    }
    if config.after != After::Keep {
        findings.extend(unwritable(folder.store()));
    }
    Ok(findings)
}

/// Why nothing could be written there. A folder is made when it is first needed; its nearest one that is there must allow that.
fn not_to_be_made(store: &dyn Store) -> Option<Finding> {
    match store.location().as_folder() {
        Some(path) => {
            let parent = path.ancestors().find(|a| a.is_dir()).unwrap_or(path);
            unwritable(&LocalFolder::new(parent, false))
        }
        None => unwritable(store),
    }
}

/// Tries to make a file there and takes it away again.
fn unwritable(store: &dyn Store) -> Option<Finding> {
    let probe = format!("{OWNER_PREFIX}probe.{}~", std::process::id());
    let tried = || {
        store.put_if_absent(&probe, Bytes::new())?;
        match store.head(&probe)? {
            Some(stat) => store.delete(&probe, &stat).map(|_| ()),
            None => Ok(()),
        }
    };
    tried().err().map(|error: Error| Finding {
        message: format!("writing to {} failed: {}", store.location(), error.one_line()),
        remedy: "give the worker's user the right to write and delete there, or set `after: keep`".into(),
        ..finding(&error)
    })
}

fn finding(error: &Error) -> Finding {
    Finding {
        severity: Severity::Error,
        code: error.code_text().unwrap_or("U0217"),
        message: error.one_line(),
        remedy: error.remedy().unwrap_or_default().to_owned(),
    }
}
