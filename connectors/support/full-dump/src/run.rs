//! Sorted runs on disk: temporary files that nobody else sees.

use crate::shape::broken;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek};
use std::path::Path;
use unbatch_api::arrow::array::RecordBatch;
use unbatch_api::arrow::datatypes::Schema;
use unbatch_api::arrow::error::ArrowError;
use unbatch_api::arrow::ipc::reader::StreamReader;
use unbatch_api::arrow::ipc::writer::StreamWriter;
use unbatch_api::{Error, Result};

/// Most rows and about how many bytes a batch in a run has: small, since a merge holds one of each run.
pub const RUN_ROWS: usize = 2_048;
const RUN_BATCH_BYTES: usize = 512 << 10;

/// Rows of a batch, when so many rows take so many bytes.
pub fn batch_rows(rows: usize, bytes: usize) -> usize {
    let row_bytes = (bytes / rows.max(1)).max(1);
    (RUN_BATCH_BYTES / row_bytes).clamp(1, RUN_ROWS)
}

/// A run that was written; reading begins at its beginning each time.
pub struct Run {
    file: File,
    /// Most rows of its batches.
    pub batch_rows: usize,
}

impl Run {
    /// Writes sorted rows into a file in `folder` that has no name and is gone with the process.
    pub fn write(
        folder: &Path,
        schema: &Schema,
        batch_rows: usize,
        batches: impl IntoIterator<Item = Result<RecordBatch>>,
    ) -> Result<Self> {
        let file = tempfile::tempfile_in(folder).map_err(|e| spill_error(folder, e))?;
        let arrow = |e: ArrowError| match e {
            ArrowError::IoError(_, cause) => spill_error(folder, cause),
            other => broken("writing a sorted run failed", other),
        };
        let mut writer = StreamWriter::try_new(BufWriter::new(file), schema).map_err(arrow)?;
        for batch in batches {
            writer.write(&batch?).map_err(arrow)?;
        }
        writer.finish().map_err(arrow)?;
        let buffered = writer.into_inner().map_err(arrow)?;
        let file = buffered.into_inner().map_err(|e| spill_error(folder, e.into_error()))?;
        Ok(Self { file, batch_rows })
    }

    pub fn read(&self) -> Result<RunReader> {
        let mut file = self.file.try_clone().map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        let reader = StreamReader::try_new(BufReader::with_capacity(64 << 10, OwnPlace { file, at: 0 }), None);
        Ok(RunReader(reader.map_err(unreadable)?))
    }
}

/// The batches of a run, in order.
pub struct RunReader(StreamReader<BufReader<OwnPlace>>);

impl RunReader {
    pub fn next(&mut self) -> Result<Option<RecordBatch>> {
        self.0.next().transpose().map_err(unreadable)
    }
}

/// Two readers of one file share its place, so each keeps its own.
struct OwnPlace {
    file: File,
    at: u64,
}

impl std::io::Read for OwnPlace {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = std::os::unix::fs::FileExt::read_at(&self.file, buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

fn spill_error(folder: &Path, cause: std::io::Error) -> Error {
    Error::transient("writing the sorted rows of a full dump failed")
        .code("U0241")
        .with("folder", folder.display())
        .help("sorting needs as much room there as the dump has; `spill` names another folder")
        .caused_by(cause)
}

fn unreadable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::transient("reading sorted rows of a full dump failed").code("U0241").caused_by(cause)
}
