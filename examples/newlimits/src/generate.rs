use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::cell::Cell;
use crate::drop_file::{DropFile, FileStyle, Place};
use crate::error::{Error, Result};
use crate::fault::{Code, spoil};
use crate::feed::{Feed, FeedSpec};
use crate::feeds::{Export, RowContext};
use crate::plan::{Delivery, DeliveryKind, Faults, Plan, PlannedExport};
use crate::random::Random;
use crate::stock::StockBook;
use crate::truth::{FeedTruth, FileTruth, LEDGER_FILE, LedgerLine, Outcome, SCHEMA, TRUTH_FILE, Totals, Truth};
use crate::world::World;

/// What to generate.
#[derive(Clone, Debug)]
pub struct Request {
    pub feeds: Vec<Feed>,
    pub nights: u32,
    pub faults: Faults,
}

const LABEL_STYLE: u64 = 108;
const LABEL_SPOIL: u64 = 109;
const NIGHTS_MAX: u32 = 366;

/// Writes the files of some nights below `out`, with `truth.json` and `ledger.ndjson`, and gives the truth.
///
/// `out` must be empty or not there. Rows are streamed; memory holds the stock book and the list of files. Equal world
/// and request give equal bytes in every file.
pub fn generate(world: &World, request: &Request, out: &Path) -> Result<Truth> {
    if request.nights == 0 || request.nights > NIGHTS_MAX {
        return Err(Error::new(format!("nights must be 1 to {NIGHTS_MAX}, not {}", request.nights)));
    }
    create_empty(out)?;
    let mut feeds = request.feeds.clone();
    feeds.sort_unstable();
    feeds.dedup();
    let scheduled = schedule(world, &feeds, request);

    let mut ledger = LedgerFile::create(out)?;
    let mut files = first_truth(&scheduled);
    let mut book = StockBook::open(world);
    for day in 0..request.nights {
        book.close_day(world);
        for at in 0..scheduled.len() {
            let first_of_its_content = files[at].same_as.is_none();
            if scheduled[at].planned.export.day == day && first_of_its_content {
                write_file(world, &book, &scheduled[at], &mut files[at], out, &mut ledger)?;
            }
        }
    }
    copy_duplicates(&mut files, out)?;
    ledger.finish()?;

    let truth = Truth {
        schema: SCHEMA.to_string(),
        seed: world.seed(),
        scale: world.scale(),
        nights: request.nights,
        faults: faults_name(request.faults).to_string(),
        ledger: LEDGER_FILE.to_string(),
        feeds: feeds.iter().map(|&feed| (feed, feed_truth(feed))).collect(),
        totals: totals(&files),
        files,
    };
    write_truth(&truth, out)?;
    Ok(truth)
}

/// One delivery with the content it brings.
struct Scheduled {
    feed: Feed,
    delivery: Delivery,
    planned: PlannedExport,
}

/// All deliveries of all feeds in the order in which they are dropped.
fn schedule(world: &World, feeds: &[Feed], request: &Request) -> Vec<Scheduled> {
    let mut scheduled: Vec<Scheduled> = Vec::new();
    for &feed in feeds {
        let plan = Plan::new(world, feed, request.nights, request.faults);
        for delivery in plan.deliveries {
            let planned = plan.exports[delivery.export].clone();
            scheduled.push(Scheduled { feed, delivery, planned });
        }
    }
    scheduled.sort_by_key(|one| (one.delivery.night, one.delivery.second_round, one.feed));
    scheduled
}

fn first_truth(scheduled: &[Scheduled]) -> Vec<FileTruth> {
    let mut seen: BTreeMap<(Feed, usize), u32> = BTreeMap::new();
    let mut latest: BTreeMap<&str, u32> = BTreeMap::new();
    let mut files = Vec::with_capacity(scheduled.len());
    for (seq, one) in (0_u32..).zip(scheduled) {
        let delivery = &one.delivery;
        let same_as = seen.get(&(one.feed, delivery.export)).copied();
        seen.entry((one.feed, delivery.export)).or_insert(seq);
        let before = latest.insert(&delivery.name, seq);
        let round = round_name(one);
        let reason = one.planned.cut_at.map(|_| Code::TruncatedInQuotes);
        files.push(FileTruth {
            seq,
            feed: one.feed,
            path: format!("{}/{round}/{}", one.feed.name(), delivery.name),
            round,
            name: delivery.name.clone(),
            bytes: 0,
            sha256: String::new(),
            outcome: match (same_as, reason) {
                (Some(_), _) => Outcome::Duplicate,
                (None, Some(_)) => Outcome::Failed,
                (None, None) => Outcome::Loaded,
            },
            reason,
            good: 0,
            bad: 0,
            same_as,
            replaces: before.filter(|_| same_as.is_none()),
            late: delivery.kind == DeliveryKind::Late,
        });
    }
    files
}

/// Files of a business day are dropped in the night that follows: at 02:00, or at 04:30 in the second round.
fn round_name(one: &Scheduled) -> String {
    let date = World::date_of_day(one.delivery.night + 1);
    let time = if one.delivery.second_round { "0430" } else { "0200" };
    format!("{date}T{time}")
}

fn write_file(
    world: &World,
    book: &StockBook,
    scheduled: &Scheduled,
    file: &mut FileTruth,
    out: &Path,
    ledger: &mut LedgerFile,
) -> Result<()> {
    let planned = &scheduled.planned;
    let spec = scheduled.feed.spec();
    let path = out.join(&file.path);
    create_parent(&path)?;
    let cx = RowContext { world, book, export: &planned.export, rows: planned.rows };
    let mut drop_file = DropFile::create(&path, &spec, style(world, planned, &spec))?;
    for row in 0..planned.rows {
        let mut cells = scheduled.feed.row(&cx, row);
        let mut line = ledger_line(file.seq, row, &cells, &spec);
        if let Some(&code) = planned.bad_rows.get(&row) {
            let mut random = spoiler(world, planned, row);
            line.code = Some(code);
            line.column = spoil(&mut cells, code, &spec, &mut random).map(str::to_string);
            file.bad += 1;
        } else {
            line.key = Some(object(&cells, &spec, spec.key));
            line.value = Some(whole_row(&cells, &spec));
            file.good += 1;
        }
        ledger.write(line, drop_file.row(&cells)?)?;
    }
    if planned.cut_at.is_some() {
        let cells = scheduled.feed.row(&cx, planned.rows);
        let mut line = ledger_line(file.seq, planned.rows, &cells, &spec);
        line.code = Some(Code::TruncatedInQuotes);
        line.column = Some(spec.free_text.to_string());
        let at = spec.column(spec.free_text).unwrap_or(0);
        // The line end inside the quotes makes a reader that goes line by line take the rest for a row.
        ledger.write(line, drop_file.cut_row(&cells, at, "Bitte prüfen:\nPalette Nr")?)?;
    }
    (file.bytes, file.sha256) = drop_file.finish()?;
    Ok(())
}

/// Chance by content, not by delivery: a feed has the same bytes whether it is generated alone or with the others.
fn spoiler(world: &World, planned: &PlannedExport, row: u64) -> Random {
    let Export { feed, day, part, export } = planned.export;
    world.random(&[LABEL_SPOIL, feed.label(), u64::from(day), part as u64, u64::from(export), row])
}

fn ledger_line(file: u32, row: u64, cells: &[Cell], spec: &FeedSpec) -> LedgerLine {
    let id = spec.column(spec.id).map_or(&Value::Null, |at| &cells[at].value);
    LedgerLine {
        file,
        row,
        line: 0,
        byte: 0,
        id: id.as_str().map_or_else(|| id.to_string(), str::to_string),
        key: None,
        value: None,
        code: None,
        column: None,
    }
}

fn whole_row(cells: &[Cell], spec: &FeedSpec) -> Value {
    let fields = spec.columns.iter().zip(cells);
    Value::Object(fields.map(|(column, cell)| (column.name.to_string(), cell.value.clone())).collect())
}

fn object(cells: &[Cell], spec: &FeedSpec, columns: &[&str]) -> Value {
    let mut object = Map::new();
    for &name in columns {
        if let Some(at) = spec.column(name) {
            object.insert(name.to_string(), cells[at].value.clone());
        }
    }
    Value::Object(object)
}

/// Each sender has its own habits; they belong to the feed and the file's place in the night, not to the date.
fn style(world: &World, planned: &PlannedExport, spec: &FeedSpec) -> FileStyle {
    let export = &planned.export;
    let mut random = world.random(&[LABEL_STYLE, export.feed.label(), export.part as u64]);
    FileStyle {
        byte_order_mark: export.feed == Feed::Prices && random.one_in(2),
        crlf: random.one_in(3),
        quote_all: random.one_in(5),
        open_end: random.one_in(4),
        null_word: random.below(spec.nulls.len() as u64 + 1) as usize,
    }
}

fn copy_duplicates(files: &mut [FileTruth], out: &Path) -> Result<()> {
    for at in 0..files.len() {
        let Some(same_as) = files[at].same_as else {
            continue;
        };
        let original = files[same_as as usize].clone();
        let (from, to) = (out.join(&original.path), out.join(&files[at].path));
        create_parent(&to)?;
        fs::copy(&from, &to).map_err(|error| Error::at("writing", &to, error))?;
        files[at].bytes = original.bytes;
        files[at].sha256 = original.sha256;
    }
    Ok(())
}

fn feed_truth(feed: Feed) -> FeedTruth {
    let spec = feed.spec();
    FeedTruth {
        id: spec.id.to_string(),
        key: spec.key.iter().map(ToString::to_string).collect(),
        source: spec.csv_drops(),
    }
}

fn totals(files: &[FileTruth]) -> Totals {
    let mut totals = Totals::default();
    for file in files {
        totals.files += 1;
        match file.outcome {
            Outcome::Loaded => {
                totals.loaded += 1;
                totals.good += file.good;
                totals.bad += file.bad;
            }
            Outcome::Duplicate => totals.duplicate += 1,
            Outcome::Failed => totals.failed += 1,
        }
    }
    totals
}

fn faults_name(faults: Faults) -> &'static str {
    match faults {
        Faults::None => "none",
        Faults::Few => "few",
        Faults::All => "all",
    }
}

fn create_empty(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| Error::at("creating", folder, error))?;
    let mut entries = fs::read_dir(folder).map_err(|error| Error::at("listing", folder, error))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => {
            Err(Error::new(format!("{} is not empty; generated files would mix with what is there", folder.display())))
        }
    }
}

fn create_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(|error| Error::at("creating", parent, error)),
        None => Ok(()),
    }
}

fn write_truth(truth: &Truth, out: &Path) -> Result<()> {
    let path = out.join(TRUTH_FILE);
    let mut text = serde_json::to_vec_pretty(truth).map_err(|error| Error::at("writing", &path, error))?;
    text.push(b'\n');
    fs::write(&path, text).map_err(|error| Error::at("writing", &path, error))
}

struct LedgerFile {
    out: BufWriter<File>,
    path: PathBuf,
}

impl LedgerFile {
    fn create(folder: &Path) -> Result<Self> {
        let path = folder.join(LEDGER_FILE);
        let file = File::create(&path).map_err(|error| Error::at("creating", &path, error))?;
        Ok(Self { out: BufWriter::with_capacity(1 << 16, file), path })
    }

    fn write(&mut self, mut line: LedgerLine, place: Place) -> Result<()> {
        line.line = place.line;
        line.byte = place.byte;
        serde_json::to_writer(&mut self.out, &line).map_err(|error| Error::at("writing", &self.path, error))?;
        self.out.write_all(b"\n").map_err(|error| Error::at("writing", &self.path, error))
    }

    fn finish(mut self) -> Result<()> {
        self.out.flush().map_err(|error| Error::at("writing", &self.path, error))
    }
}
