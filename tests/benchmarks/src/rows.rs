//! The rows that everything here is measured with: order lines of eleven columns, about 150 bytes each.

use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Rows are seeded, so that every run measures the same bytes.
const SEED: u64 = 20_261_123;

/// The columns as the option `columns` takes them.
pub const COLUMNS: &str = r#"[
  {"name": "id", "type": "int64", "required": true}, {"name": "order_id", "type": "int64"},
  {"name": "line_no", "type": "int32"}, {"name": "product_id", "type": "int32"}, {"name": "quantity", "type": "int32"},
  {"name": "price", "type": "decimal(12,2)"}, {"name": "paid", "type": "bool"}, {"name": "status", "type": "string"},
  {"name": "tracking", "type": "string"}, {"name": "note", "type": "string"}, {"name": "changed_at", "type": "timestamp"}
]"#;

/// What stands in the column `note`. The second has characters that UTF-8 and windows-1252 write differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notes {
    Plain,
    Accents,
}

/// Writes a file of `rows` rows whose ids start at `first`. Returns its bytes.
pub fn write_file(path: &Path, first: usize, rows: usize) -> u64 {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).expect("a file to drop"));
    write_rows(&mut out, first, rows, Notes::Plain);
    out.flush().expect("writing a drop");
    std::fs::metadata(path).expect("the file that was just written").len()
}

/// Writes a header and `rows` rows whose ids start at `first`, in UTF-8.
pub fn write_rows(out: &mut dyn Write, first: usize, rows: usize, notes: Notes) {
    let mut random = SmallRng::seed_from_u64(SEED + first as u64);
    let note = match notes {
        Notes::Plain => "please leave it with the neighbours if nobody opens the door",
        Notes::Accents => "bitte bei Müller im 2. Stock läuten oder Schlüssel für Tür fragen",
    };
    writeln!(out, "id,order_id,line_no,product_id,quantity,price,paid,status,tracking,note,changed_at")
        .expect("writing a drop");
    for id in first..first + rows {
        let (order, line) = (id / 3, id % 3 + 1);
        let (product, quantity) = (random.random_range(1..50_000), random.random_range(1..9));
        let (euros, cents) = (random.random_range(1..400), random.random_range(0..100));
        let (paid, status) = (random.random_bool(0.7), ["new", "packed", "sent", "returned"][id % 4]);
        let tracking: u64 = random.random();
        let (day, second) = (id % 28 + 1, id % 60);
        writeln!(
            out,
            "{id},{order},{line},{product},{quantity},{euros}.{cents:02},{paid},{status},{tracking:016x},{note},\
             2026-02-{day:02}T10:20:{second:02}Z"
        )
        .expect("writing a drop");
    }
}
