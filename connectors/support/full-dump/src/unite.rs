//! Several baselines of which nobody knows how far downstream got from one to the next.

use crate::baseline::{BaselineReader, BaselineWriter, Written};
use crate::compare::Held;
use crate::merge::Cursor;
use crate::shape::{DIGEST_BYTES, Shape, broken};
use std::io::{Read, Write};
use std::sync::Arc;
use unbatch_api::Result;
use unbatch_api::arrow::array::{ArrayRef, AsArray, FixedSizeBinaryArray, RecordBatch};

/// A digest that no row has: whatever comes for the key is a change.
const UNKNOWN: [u8; DIGEST_BYTES] = [0; DIGEST_BYTES];

/// Writes the baseline that is safe whichever of these holds, key by key: it has every key that one of them has, so that a row which
/// is gone is deleted, and a row's digest only where all agree, so that any other one is told again.
pub fn unite<R: Read, W: Write>(shape: &Shape, baselines: Vec<BaselineReader<R>>, to: W) -> Result<Written> {
    let is_comparable = baselines.iter().all(BaselineReader::is_comparable);
    let key: Vec<usize> = (0..shape.key().len()).collect();
    let cursors = baselines.into_iter().map(|b| Cursor::new(shape, key.clone(), b));
    let mut cursors: Vec<_> = cursors.collect::<Result<_>>()?;
    let mut writer = BaselineWriter::new(shape, to)?;
    let (mut held, mut digests) = (Held::default(), Vec::new());
    while let Some(least) = cursors.iter().filter_map(Cursor::key).min().map(<[u8]>::to_vec) {
        let here: Vec<usize> = (0..cursors.len()).filter(|&i| cursors[i].key() == Some(least.as_slice())).collect();
        let first = here.first().and_then(|&i| digest_at(shape, &cursors[i])).unwrap_or_default();
        let agree = is_comparable
            && here.len() == cursors.len()
            && here.iter().all(|&i| digest_at(shape, &cursors[i]).as_ref() == Some(&first));
        digests.extend_from_slice(if agree { &first } else { &UNKNOWN });
        for (n, &i) in here.iter().enumerate() {
            if n == 0 {
                held.add(&mut cursors[i])?;
            }
            cursors[i].advance()?;
        }
        if held.is_full() {
            writer.write(rows_of(shape, &mut held, std::mem::take(&mut digests))?)?;
            cursors.iter_mut().for_each(|c| c.slot = None);
        }
    }
    if !digests.is_empty() {
        writer.write(rows_of(shape, &mut held, digests)?)?;
    }
    writer.finish()
}

fn digest_at<R: Read>(shape: &Shape, cursor: &Cursor<BaselineReader<R>>) -> Option<Vec<u8>> {
    let (rows, row) = cursor.at()?;
    Some(rows.column(shape.key().len()).as_fixed_size_binary().value(row).to_vec())
}

/// The keys that are held, with these digests.
fn rows_of(shape: &Shape, held: &mut Held, digests: Vec<u8>) -> Result<RecordBatch> {
    let fields = shape.baseline_fields();
    let wrong = |e| broken("assembling a baseline failed", e);
    let alike = |b: &RecordBatch| RecordBatch::try_new(fields.clone(), b.columns().to_vec()).map_err(wrong);
    let keys = held.take(alike)?;
    let mut columns: Vec<ArrayRef> = keys.columns()[..shape.key().len()].to_vec();
    let digests = FixedSizeBinaryArray::try_new(DIGEST_BYTES as i32, digests.into(), None).map_err(wrong)?;
    columns.push(Arc::new(digests));
    RecordBatch::try_new(fields.clone(), columns).map_err(wrong)
}
