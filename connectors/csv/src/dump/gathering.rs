//! Takes the rows of a dump as they are read, and compares them with the baseline once all are there.

use super::Setting;
use super::note::Told;
use crate::config::CsvDropsConfig;
use crate::reader::{FileReader, PIECE_BYTES, Portion, Rows, Step};
use crate::rejects::Refused;
use std::fs::File;
use std::io::{BufWriter, Read};
use std::sync::Arc;
use unbatch_api::arrow::array::RecordBatch;
use unbatch_api::arrow::datatypes::Schema;
use unbatch_api::{Error, Result, StopAfter, StreamSchema};
use unbatch_full_dump::{BaselineReader, Changes, Deletes, Plan, Shape, Sorted, Sorter, Written, compare, unite};
use unbatch_object_files::TextReader;

/// Reasons for which a row falls apart in another way than the others do: what stands in its key columns may be anything.
const MISSHAPEN: [&str; 6] =
    ["bad_escape", "bad_quote", "line_too_long", "line_too_short", "too_few_fields", "too_many_fields"];

pub type Before = BaselineReader<Box<dyn Read + Send>>;

/// A dump that is being read.
pub struct Gathering {
    setting: Arc<Setting>,
    shape: Arc<Shape>,
    sorter: Sorter,
    keys: Arc<CsvDropsConfig>,
    refused: u64,
    unreadable: u64,
}

/// A dump that was read to its end.
pub struct Gathered {
    setting: Arc<Setting>,
    pub shape: Arc<Shape>,
    sorted: Sorted,
    /// Refused rows.
    pub refused: u64,
    /// Whether rows that are missing are gone.
    pub deletes: Deletes,
}

/// A dump that was compared.
pub struct Judged {
    pub gathered: Gathered,
    pub plan: Plan,
    /// The next baseline, not yet where it belongs.
    pub draft: File,
    pub written: Written,
    before: Basis,
}

/// What the dump is compared with.
enum Basis {
    Stored(Told),
    /// Made of several, of which nobody knows which holds.
    United(File, Written),
}

impl Gathering {
    pub fn new(setting: &Arc<Setting>, config: &CsvDropsConfig, fields: &Schema) -> Result<Self> {
        let shape = Arc::new(Shape::new(fields, &setting.key)?);
        let sorter = Sorter::new(shape.clone(), setting.spill()?, setting.memory);
        let keys = Arc::new(config.of_one_key());
        Ok(Self { setting: setting.clone(), shape, sorter, keys, refused: 0, unreadable: 0 })
    }

    pub fn add(&mut self, rows: &Rows) -> Result<()> {
        if rows.rows.num_rows() > 0 {
            self.sorter.push(&rows.rows, &rows.lines, &rows.bytes)?;
        }
        for refused in &rows.refused {
            self.refused += 1;
            match self.key_of(refused)? {
                Some(key) => self.sorter.keep(&key, &[refused.line], &[refused.byte])?,
                None => self.unreadable += 1,
            }
        }
        Ok(())
    }

    pub fn finish(self) -> Result<Gathered> {
        let deletes = if self.unreadable == 0 { Deletes::Seen } else { Deletes::Withheld };
        let sorted = self.sorter.finish()?;
        Ok(Gathered { setting: self.setting, shape: self.shape, sorted, refused: self.refused, deletes })
    }

    /// A refused row of which the key can be read all the same.
    fn key_of(&self, refused: &Refused) -> Result<Option<RecordBatch>> {
        if MISSHAPEN.contains(&refused.code) {
            return Ok(None);
        }
        let portion = Portion { rows: 2, bytes: PIECE_BYTES };
        let text = TextReader::of_text(refused.raw.to_vec());
        let mut reader = FileReader::new(Ok(text), self.keys.clone(), StopAfter::default(), portion);
        let Step::Rows(rows) = reader.step()? else { return Ok(None) };
        let is_one = rows.rows.num_rows() == 1 && rows.refused.is_empty();
        let is_alike = rows.rows.num_columns() >= self.keys.columns.len();
        Ok((is_one && is_alike).then_some(rows.rows))
    }
}

impl Gathered {
    /// Compares with what was told; nothing is told yet.
    pub fn judge(self, told: Option<&Told>) -> Result<Judged> {
        let setting = self.setting.clone();
        let before = match told {
            Some(told) if !told.given_up.is_empty() => self.unite(told)?,
            told => Basis::Stored(told.cloned().unwrap_or_default()),
        };
        let draft = setting.temporary()?;
        let reader = before.reader(&setting, &self.shape)?;
        let (plan, written) = compare(&self.sorted, reader, self.deletes, BufWriter::new(&draft))?;
        Ok(Judged { gathered: self, plan, draft, written, before })
    }

    fn unite(&self, told: &Told) -> Result<Basis> {
        let stored = |file| -> Result<Before> {
            BaselineReader::new(&self.shape, self.setting.shelf.read(file)?, file.written())
        };
        let mut readers: Vec<Before> = told.files().map(stored).collect::<Result<_>>()?;
        if told.baseline.is_none() {
            readers.push(BaselineReader::empty());
        }
        let file = self.setting.temporary()?;
        let written = unite(&self.shape, readers, BufWriter::new(&file))?;
        Ok(Basis::United(file, written))
    }
}

impl Judged {
    /// The changes behind the first `skip`.
    pub fn changes(&self, skip: u64, rows_max: usize) -> Result<Changes<Box<dyn Read + Send>>> {
        let Gathered { setting, shape, sorted, deletes, .. } = &self.gathered;
        Changes::new(sorted, self.before.reader(setting, shape)?, *deletes, skip, rows_max)
    }

    /// Refused rows and changes.
    pub fn through(&self) -> u64 {
        self.gathered.refused + self.plan.changes()
    }

    /// The columns of what is handed on: a deleted row has only its key.
    pub fn schema(&self) -> Arc<StreamSchema> {
        schema_of(&self.gathered.shape, &self.gathered.setting.key)
    }
}

pub fn schema_of(shape: &Shape, key: &[String]) -> Arc<StreamSchema> {
    Arc::new(StreamSchema::new(shape.fields().clone(), key.to_vec()))
}

impl Basis {
    fn reader(&self, setting: &Setting, shape: &Shape) -> Result<Before> {
        match self {
            Basis::Stored(told) => match &told.baseline {
                None => Ok(BaselineReader::empty()),
                Some(file) => BaselineReader::new(shape, setting.shelf.read(file)?, file.written()),
            },
            Basis::United(file, written) => {
                let failed =
                    |e: std::io::Error| Error::transient("reading a baseline failed").code("U0241").caused_by(e);
                let mut file = file.try_clone().map_err(failed)?;
                std::io::Seek::rewind(&mut file).map_err(failed)?;
                BaselineReader::new(shape, Box::new(file), written.clone())
            }
        }
    }
}
