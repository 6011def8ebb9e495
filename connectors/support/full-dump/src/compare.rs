//! A sorted dump beside the baseline: what is new, what changed, what is gone.

use crate::baseline::{BaselineReader, BaselineWriter, Written};
use crate::merge::{Cursor, Merge};
use crate::shape::{Extra, Shape, broken, project};
use crate::sort::Sorted;
use std::cmp::Ordering;
use std::io::{Read, Write};
use std::sync::Arc;
use unbatch_api::arrow::array::{ArrayRef, AsArray, RecordBatch, new_null_array};
use unbatch_api::arrow::compute::interleave_record_batch;
use unbatch_api::arrow::datatypes::{Field, UInt64Type};
use unbatch_api::{Op, Result};

/// Duplicate keys that are told by their lines; the others are only counted.
const DUPLICATES_TOLD: usize = 10;
/// Bytes of batches that are held for the changes in them.
const HELD_BYTES_MAX: usize = 16 << 20;

/// What a dump would do, before anything of it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Rows of the dump, without refused ones.
    pub rows: u64,
    /// Rows of the baseline.
    pub before: u64,
    pub creates: u64,
    pub updates: u64,
    pub deletes: u64,
    pub unchanged: u64,
    /// Rows whose columns are not those of the baseline, which are handed on whole.
    pub reads: u64,
    /// Refused rows whose key can be read: what was known of them stays as it was.
    pub kept: u64,
    /// Keys of the baseline that are not in the dump and stay, since [`Deletes::Withheld`].
    pub withheld: u64,
    /// Rows that stand in the dump once more as they are; they count once.
    pub repeated: u64,
    /// Rows whose key stands in the dump before them with other content.
    pub duplicates: u64,
    /// The first duplicates.
    pub duplicate_places: Vec<Duplicate>,
    /// The columns, by names and types, are not those of the baseline.
    pub has_other_columns: bool,
}

impl Plan {
    /// Changes that the dump comes to.
    pub fn changes(&self) -> u64 {
        self.creates + self.updates + self.deletes + self.reads
    }
}

/// Whether a key that is no longer in the dump is a deleted row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deletes {
    #[default]
    Seen,
    /// Nobody can know: there are rows in the dump whose key could not be read. The keys stay in the baseline.
    Withheld,
}

/// Two rows of one dump with the same key and other content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplicate {
    pub first_line: u64,
    pub second_line: u64,
}

/// Changed rows, ready to be handed on.
pub struct ChangeBatch {
    /// In the columns of [`Shape::fields`]; a deleted row has only its key.
    pub rows: RecordBatch,
    pub ops: Vec<Op>,
    /// Line and byte of each row in the dump; 0 where a row is deleted, since it is not in the file.
    pub lines: Vec<u64>,
    pub bytes: Vec<u64>,
    /// How many changes were handed on once these are.
    pub through: u64,
}

/// What one key comes to.
enum Found {
    Create,
    Update,
    Read,
    Unchanged,
    Delete,
    /// Not in the dump, and yet nobody can say that it is gone.
    Withheld,
    /// Refused in this dump: what was known stays; nothing may have been.
    Kept {
        is_known: bool,
    },
}

/// Looks at everything once: counts what would be done, and writes the baseline that holds once it is done.
pub fn compare<R: Read, W: Write>(
    sorted: &Sorted,
    before: BaselineReader<R>,
    deletes: Deletes,
    next: W,
) -> Result<(Plan, Written)> {
    let mut writer = BaselineWriter::new(&sorted.shape, next)?;
    let mut plan = Plan { rows: sorted.rows(), has_other_columns: !before.is_comparable(), ..Plan::default() };
    let mut walk = Walk::new(sorted, before, deletes)?;
    let mut kept = Held::default();
    while let Some(found) = walk.look(&mut plan)? {
        match found {
            Found::Create => plan.creates += 1,
            Found::Update => plan.updates += 1,
            Found::Read => plan.reads += 1,
            Found::Unchanged => plan.unchanged += 1,
            Found::Delete => plan.deletes += 1,
            Found::Withheld => plan.withheld += 1,
            Found::Kept { .. } => plan.kept += 1,
        }
        match found {
            Found::Delete | Found::Kept { is_known: false } => {}
            Found::Kept { is_known: true } | Found::Withheld => kept.add(&mut walk.baseline)?,
            _ => kept.add_first(&mut walk.dump)?,
        }
        walk.step(&found)?;
        if kept.is_full() {
            writer.write(kept.take(|b| to_baseline(&sorted.shape, b))?)?;
            walk.forget_slots();
        }
    }
    if !kept.rows.is_empty() {
        writer.write(kept.take(|b| to_baseline(&sorted.shape, b))?)?;
    }
    plan.before = walk.baseline_rows;
    Ok((plan, writer.finish()?))
}

/// The changes of a dump in the order of their keys.
pub struct Changes<R: Read> {
    shape: Arc<Shape>,
    walk: Walk<R>,
    /// Changes still to be passed over, since they were handed on before.
    skip: u64,
    through: u64,
    rows_max: usize,
}

impl<R: Read> Changes<R> {
    /// The changes behind the first `skip`, in batches of at most `rows_max`.
    pub fn new(
        sorted: &Sorted,
        before: BaselineReader<R>,
        deletes: Deletes,
        skip: u64,
        rows_max: usize,
    ) -> Result<Self> {
        let walk = Walk::new(sorted, before, deletes)?;
        Ok(Self { shape: sorted.shape.clone(), walk, skip, through: 0, rows_max: rows_max.max(1) })
    }

    /// The next changes; `None` when all were given.
    pub fn next_batch(&mut self) -> Result<Option<ChangeBatch>> {
        let mut held = Held::default();
        let (mut ops, mut lines, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        while ops.len() < self.rows_max && !held.is_full() {
            let Some(found) = self.walk.look(&mut Plan::default())? else { break };
            let op = match found {
                Found::Create => Some(Op::Create),
                Found::Update => Some(Op::Update),
                Found::Read => Some(Op::Read),
                Found::Delete => Some(Op::Delete),
                Found::Unchanged | Found::Withheld | Found::Kept { .. } => None,
            };
            if let Some(op) = op {
                self.through += 1;
                if self.through > self.skip {
                    let (line, byte) = if op == Op::Delete {
                        held.add(&mut self.walk.baseline)?;
                        (0, 0)
                    } else {
                        held.add_first(&mut self.walk.dump)?;
                        self.walk.place()
                    };
                    ops.push(op);
                    lines.push(line);
                    bytes.push(byte);
                }
            }
            self.walk.step(&found)?;
        }
        self.walk.forget_slots();
        if ops.is_empty() {
            return Ok(None);
        }
        let rows = held.take(|batch| to_changes(&self.shape, batch))?;
        Ok(Some(ChangeBatch { rows, ops, lines, bytes, through: self.through }))
    }
}

/// Dump and baseline side by side.
struct Walk<R: Read> {
    shape: Arc<Shape>,
    dump: Merge,
    baseline: Cursor<BaselineReader<R>>,
    is_comparable: bool,
    deletes: Deletes,
    baseline_rows: u64,
    /// The last row of the dump that counted.
    last: Option<Last>,
}

#[derive(Default)]
struct Last {
    key: Vec<u8>,
    line: u64,
    digest: Vec<u8>,
    is_refused: bool,
}

impl<R: Read> Walk<R> {
    fn new(sorted: &Sorted, baseline: BaselineReader<R>, deletes: Deletes) -> Result<Self> {
        let is_comparable = baseline.is_comparable();
        let key = (0..sorted.shape.key().len()).collect();
        Ok(Self {
            shape: sorted.shape.clone(),
            dump: sorted.merge()?,
            baseline: Cursor::new(&sorted.shape, key, baseline)?,
            is_comparable,
            deletes,
            baseline_rows: 0,
            last: None,
        })
    }

    /// What the smallest key comes to; rows that repeat a key are counted in `plan` and passed over.
    fn look(&mut self, plan: &mut Plan) -> Result<Option<Found>> {
        self.pass_duplicates(plan)?;
        let order = match (self.dump.first().and_then(Cursor::key), self.baseline.key()) {
            (None, None) => return Ok(None),
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(dump), Some(base)) => dump.cmp(base),
        };
        if order == Ordering::Greater {
            let is_seen = self.deletes == Deletes::Seen;
            return Ok(Some(if is_seen { Found::Delete } else { Found::Withheld }));
        }
        let is_known = order == Ordering::Equal;
        let (Some((rows, row)), base) = (self.dump.first().and_then(Cursor::at), self.baseline.at()) else {
            return Ok(None);
        };
        let (digest, is_refused) = self.content(rows, row);
        if is_refused {
            return Ok(Some(Found::Kept { is_known }));
        }
        let is_same = |(base, at): (&RecordBatch, usize)| {
            base.column(self.shape.key().len()).as_fixed_size_binary().value(at) == digest
        };
        Ok(Some(match base {
            _ if !self.is_comparable => Found::Read,
            _ if !is_known => Found::Create,
            Some(base) if is_same(base) => Found::Unchanged,
            _ => Found::Update,
        }))
    }

    /// Goes behind what was looked at.
    fn step(&mut self, found: &Found) -> Result<()> {
        let is_known = match found {
            Found::Delete | Found::Withheld => true,
            Found::Kept { is_known } => *is_known,
            Found::Create => false,
            Found::Update | Found::Unchanged => true,
            Found::Read => self.dump.first().and_then(Cursor::key) == self.baseline.key(),
        };
        if !matches!(found, Found::Delete | Found::Withheld) {
            self.remember();
            self.dump.advance()?;
        }
        if is_known {
            self.baseline_rows += 1;
            self.baseline.advance()?;
        }
        Ok(())
    }

    /// Digest of a row of the dump, and whether it was refused.
    fn content<'a>(&self, rows: &'a RecordBatch, row: usize) -> (&'a [u8], bool) {
        let digest = rows.column(self.shape.extra(Extra::Digest)).as_fixed_size_binary().value(row);
        (digest, rows.column(self.shape.extra(Extra::IsRefused)).as_boolean().value(row))
    }

    fn remember(&mut self) {
        let line = self.place().0;
        let mut last = self.last.take().unwrap_or_default();
        let Some(cursor) = self.dump.first() else { return };
        if let (Some(key), Some((rows, row))) = (cursor.key(), cursor.at()) {
            last.key.clear();
            last.key.extend_from_slice(key);
            let (digest, is_refused) = self.content(rows, row);
            last.digest.clear();
            last.digest.extend_from_slice(digest);
            (last.line, last.is_refused) = (line, is_refused);
            self.last = Some(last);
        }
    }

    fn pass_duplicates(&mut self, plan: &mut Plan) -> Result<()> {
        while let (Some(last), Some(cursor)) = (&self.last, self.dump.first())
            && let (Some(key), Some((rows, row))) = (cursor.key(), cursor.at())
            && key == last.key.as_slice()
        {
            let (first_line, second_line) = (last.line, self.place().0);
            if self.content(rows, row) == (last.digest.as_slice(), last.is_refused) {
                plan.repeated += 1;
            } else {
                plan.duplicates += 1;
                if plan.duplicate_places.len() < DUPLICATES_TOLD {
                    plan.duplicate_places.push(Duplicate { first_line, second_line });
                }
            }
            self.dump.advance()?;
        }
        Ok(())
    }

    /// Line and byte of the dump's present row.
    fn place(&self) -> (u64, u64) {
        let number = |batch: &RecordBatch, which, row| {
            batch.column(self.shape.extra(which)).as_primitive::<UInt64Type>().value(row)
        };
        self.dump
            .first()
            .and_then(Cursor::at)
            .map_or((0, 0), |(batch, row)| (number(batch, Extra::Line, row), number(batch, Extra::Byte, row)))
    }

    fn forget_slots(&mut self) {
        self.dump.forget_slots();
        self.baseline.slot = None;
    }
}

/// Rows of batches that are not copied before they are many.
#[derive(Default)]
pub(crate) struct Held {
    batches: Vec<RecordBatch>,
    bytes: usize,
    rows: Vec<(usize, usize)>,
}

impl Held {
    pub fn is_full(&self) -> bool {
        self.bytes >= HELD_BYTES_MAX || self.rows.len() >= 8_192
    }

    fn add_first(&mut self, merge: &mut Merge) -> Result<()> {
        match merge.first_mut() {
            Some(cursor) => self.add(cursor),
            None => Ok(()),
        }
    }

    pub fn add<B: crate::merge::Batches>(&mut self, cursor: &mut Cursor<B>) -> Result<()> {
        let Some((batch, row)) = cursor.at() else { return Ok(()) };
        let slot = match cursor.slot {
            Some(slot) => slot,
            None => {
                self.bytes += batch.get_array_memory_size();
                self.batches.push(batch.clone());
                self.batches.len() - 1
            }
        };
        cursor.slot = Some(slot);
        self.rows.push((slot, row));
        Ok(())
    }

    /// The rows as one batch, each of their batches brought to the same columns first.
    pub fn take(&mut self, alike: impl Fn(&RecordBatch) -> Result<RecordBatch>) -> Result<RecordBatch> {
        let batches: Vec<RecordBatch> = self.batches.iter().map(alike).collect::<Result<_>>()?;
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        let rows =
            interleave_record_batch(&batches, &self.rows).map_err(|e| broken("assembling changed rows failed", e));
        *self = Held::default();
        rows
    }
}

/// A batch of a run or of a baseline, as changes have it.
fn to_changes(shape: &Shape, batch: &RecordBatch) -> Result<RecordBatch> {
    if batch.num_columns() == shape.run_fields().fields().len() && batch.num_columns() != shape.key().len() + 1 {
        return project(batch, shape.fields());
    }
    let column = |(i, field): (usize, &Arc<Field>)| -> ArrayRef {
        match shape.key().iter().position(|&k| k == i) {
            Some(at) => batch.column(at).clone(),
            None => new_null_array(field.data_type(), batch.num_rows()),
        }
    };
    let columns = shape.fields().fields().iter().enumerate().map(column).collect();
    RecordBatch::try_new(shape.fields().clone(), columns).map_err(|e| broken("assembling deleted rows failed", e))
}

/// A batch of a run or of a baseline, as a baseline has it.
fn to_baseline(shape: &Shape, batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = if batch.num_columns() == shape.key().len() + 1 {
        batch.columns().to_vec()
    } else {
        let key = shape.key().iter().map(|&i| batch.column(i).clone());
        key.chain([batch.column(shape.extra(Extra::Digest)).clone()]).collect()
    };
    RecordBatch::try_new(shape.baseline_fields().clone(), columns)
        .map_err(|e| broken("assembling a baseline failed", e))
}
