//! What downstream was told so far: keys in their order, with a digest of each row.
//!
//! The file is an Arrow IPC stream, so that other tools can look into it. Who keeps it must keep [`Written`] beside it: the
//! number of rows and the SHA-256 of all bytes tell a file that is cut, or another one, before anything is made of it.

use crate::merge::Batches;
use crate::shape::{Shape, broken};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{Read, Write};
use unbatch_api::arrow::array::RecordBatch;
use unbatch_api::arrow::error::ArrowError;
use unbatch_api::arrow::ipc::reader::StreamReader;
use unbatch_api::arrow::ipc::writer::StreamWriter;
use unbatch_api::{Error, Result};

const VERSION: &str = "1";
const BATCH_ROWS: usize = 8_192;

/// A baseline that was written whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub rows: u64,
    /// SHA-256 of the file, as hexadecimal digits.
    pub digest: String,
}

/// Writes keys and digests in the order in which they come.
pub(crate) struct BaselineWriter<W: Write> {
    writer: StreamWriter<Hashed<W>>,
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    rows: u64,
}

impl<W: Write> BaselineWriter<W> {
    pub fn new(shape: &Shape, to: W) -> Result<Self> {
        let told = [
            ("unbatch.baseline", VERSION.to_owned()),
            ("unbatch.columns", shape.columns_text()),
            ("unbatch.key", shape.key_text()),
        ];
        let told: HashMap<String, String> = told.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let schema = shape.baseline_fields().as_ref().clone().with_metadata(told);
        let to = Hashed { inner: to, hash: Sha256::new() };
        let writer = StreamWriter::try_new(to, &schema).map_err(write_error)?;
        Ok(Self { writer, waiting: vec![], waiting_rows: 0, rows: 0 })
    }

    /// Rows in the columns of a baseline.
    pub fn write(&mut self, rows: RecordBatch) -> Result<()> {
        self.waiting_rows += rows.num_rows();
        self.waiting.push(rows);
        if self.waiting_rows >= BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    pub fn finish(mut self) -> Result<Written> {
        self.flush()?;
        self.writer.finish().map_err(write_error)?;
        let Hashed { mut inner, hash } = self.writer.into_inner().map_err(write_error)?;
        inner.flush().map_err(|e| write_error(e.into()))?;
        Ok(Written { rows: self.rows, digest: hex(&hash.finalize()) })
    }

    fn flush(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let Some(first) = waiting.first() else { return Ok(()) };
        let rows = unbatch_api::arrow::compute::concat_batches(&first.schema(), &waiting);
        let rows = rows.map_err(|e| broken("assembling a baseline failed", e))?;
        self.rows += rows.num_rows() as u64;
        self.waiting_rows = 0;
        self.writer.write(&rows).map_err(write_error)
    }
}

/// Reads a baseline from its beginning to its end, and says at the end whether it was the one that was expected.
pub struct BaselineReader<R: Read> {
    reader: Option<StreamReader<Hashed<R>>>,
    is_comparable: bool,
    expected: Option<Written>,
    rows: u64,
}

impl<R: Read> BaselineReader<R> {
    /// The baseline that was written as `expected`.
    pub fn new(shape: &Shape, from: R, expected: Written) -> Result<Self> {
        let from = Hashed { inner: from, hash: Sha256::new() };
        let reader = StreamReader::try_new(from, None).map_err(read_error)?;
        let schema = reader.schema();
        let told = |name: &str| schema.metadata().get(name).map(String::as_str).unwrap_or_default();
        if told("unbatch.baseline") != VERSION {
            return Err(lost("its version is unknown"));
        }
        if told("unbatch.key") != shape.key_text() {
            return Err(Error::misconfigured("comparing a full dump failed: its key is not the one of the last dump")
                .code("U0240")
                .help("change `key` and its types back, or begin anew with `unbatch offsets reset`"));
        }
        // one without rows has nothing to compare
        let is_comparable = expected.rows == 0 || told("unbatch.columns") == shape.columns_text();
        Ok(Self { reader: Some(reader), is_comparable, expected: Some(expected), rows: 0 })
    }

    /// No dump was taken before.
    pub fn empty() -> Self {
        Self { reader: None, is_comparable: true, expected: None, rows: 0 }
    }

    /// Whether the digests of rows were made of the same columns.
    pub fn is_comparable(&self) -> bool {
        self.is_comparable
    }

    fn check_end(&mut self, rest: &mut Hashed<R>) -> Result<()> {
        std::io::copy(rest, &mut std::io::sink()).map_err(|e| read_error(e.into()))?;
        let found = Written { rows: self.rows, digest: hex(&rest.hash.finalize_reset()) };
        match self.expected.take() {
            Some(expected) if expected != found => Err(lost("it is not the file that was written")),
            _ => Ok(()),
        }
    }
}

impl<R: Read> Batches for BaselineReader<R> {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        match reader.next() {
            Some(batch) => {
                let batch = batch.map_err(read_error)?;
                self.rows += batch.num_rows() as u64;
                Ok(Some(batch))
            }
            None => {
                if let Some(mut reader) = self.reader.take() {
                    self.check_end(reader.get_mut())?;
                }
                Ok(None)
            }
        }
    }
}

/// Takes the digest of what goes through.
struct Hashed<T> {
    inner: T,
    hash: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hash.update(&bytes[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hash.update(&buffer[..n]);
        Ok(n)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn write_error(cause: ArrowError) -> Error {
    match cause {
        ArrowError::IoError(_, cause) => Error::transient("writing the baseline failed").code("U0242").caused_by(cause),
        other => broken("writing the baseline failed", other),
    }
}

fn read_error(cause: ArrowError) -> Error {
    match cause {
        ArrowError::IoError(_, cause) if cause.kind() != std::io::ErrorKind::UnexpectedEof => {
            Error::transient("reading the baseline failed").code("U0242").caused_by(cause)
        }
        other => lost("it cannot be understood").caused_by(other),
    }
}

fn lost(why: &str) -> Error {
    Error::lost(format!("reading the baseline of the last dump failed: {why}"))
        .code("U0243")
        .help("put the file back as it was; without it `unbatch offsets reset` begins anew, and deletes are not seen")
}
