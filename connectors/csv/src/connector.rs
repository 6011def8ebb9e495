//! The doors of the contract.

use crate::config::{After, CsvDropsConfig, Header, Identity};
use crate::folder::{self, Names, OWNER_PREFIX};
use crate::owner::Owner;
use crate::release::archive_folder;
use crate::source::{CsvSource, blocking, folder_of};
use crate::{decode, dump, offsets, replay, validate};
use std::path::Path;
use std::sync::Arc;
use unbatch_api::quarantine::{Edit, RawCell};
use unbatch_api::{
    Batch, CheckContext, Checkpoint, Error, Finding, Jump, PartView, Problem, QuarantineEntry, Result, Severity,
    Source, SourceConnector, SourceContext, StreamName, StreamSchema, async_trait,
};

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
        let folder = folder_of(config, base).unwrap_or_else(|_| base.join(&config.url));
        format!("csv_drops folder={} match={} identity={identity} header={header}", folder.display(), config.pattern)
    }

    async fn check(config: Arc<CsvDropsConfig>, cx: CheckContext) -> Result<Vec<Finding>> {
        blocking("checking the folder", move || check(&config, &cx)).await
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
fn check(config: &CsvDropsConfig, cx: &CheckContext) -> Result<Vec<Finding>> {
    let folder = folder_of(config, &cx.base)?;
    let names = Names::new(&CsvDropsConfig { splits: 1, ..config.clone() }, 0)?;
    folder::must_exist(&folder)?;
    let listing = folder::list(&folder, &names, config.follows_links())?;
    let mut findings = Vec::new();
    if listing.data_names.is_empty() {
        findings.push(Finding {
            severity: Severity::Warning,
            code: "U0217",
            message: format!("no file in {} matches `{}` yet", folder.display(), config.pattern),
            remedy: "nothing, if files are still to come; otherwise mend `url` or `match`".into(),
        });
    }
    if let Err(error) = Owner::new(config, cx).check_others(&folder, &listing) {
        findings.push(finding(&error));
    }
    if let After::MoveTo(url) = &config.after {
        match archive_folder(url, &folder, &cx.base) {
            Ok(archive) => findings.extend(unwritable(existing_parent(&archive))),
            Err(error) => findings.push(finding(&error)),
        }
    }
    if let Some(baseline) = config.full_dump().map(|dump| &dump.baseline)
        && let Ok(location) = unbatch_object_files::Location::parse(baseline)
        && let Some(baselines) = location.resolve(&cx.base).as_folder()
    {
        findings.extend(unwritable(existing_parent(baselines)));
    }
    if config.after != After::Keep {
        findings.extend(unwritable(&folder));
    }
    Ok(findings)
}

/// Tries to make a file there and takes it away again.
fn unwritable(folder: &Path) -> Option<Finding> {
    let probe = folder.join(format!("{OWNER_PREFIX}probe.{}~", std::process::id()));
    let tried = std::fs::File::create_new(&probe).and_then(|_| std::fs::remove_file(&probe));
    tried.err().map(|e| Finding {
        severity: Severity::Error,
        code: "U0221",
        message: format!("writing to {} failed: {e}", folder.display()),
        remedy: "give the worker's user the right to write there, or set `after: keep`".into(),
    })
}

/// The archive folder is made when it is first needed; its nearest folder that is there must allow that.
fn existing_parent(archive: &Path) -> &Path {
    archive.ancestors().find(|a| a.is_dir()).unwrap_or(archive)
}

fn finding(error: &Error) -> Finding {
    Finding {
        severity: Severity::Error,
        code: error.code_text().unwrap_or("U0217"),
        message: error.one_line(),
        remedy: error.remedy().unwrap_or_default().to_owned(),
    }
}
