//! Decodes the next piece of text on a thread of its own while the last one is used.
//!
//! Two buffers go round: one is filled, one is used. So at most two pieces are in memory, and a reader that stops taking makes the
//! thread wait. A reader that is dropped ends it: at once when it waits or decodes, after the answer or its time limit when it is
//! inside a call to a store. It holds nothing but the open file.

use super::content::Content;
use crate::fault::TextError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use unbatch_api::Error;

/// Text that is decoded at once.
pub(super) const PIECE_BYTES: usize = 1 << 20;
/// Pieces in memory: one that is used and one that is filled.
const PIECES: usize = 2;

/// A piece of text, and what came after it instead of more.
#[derive(Debug)]
pub(super) struct Piece {
    pub bytes: Vec<u8>,
    pub length: usize,
    pub raw_offset: u64,
    pub error: Option<TextError>,
    pub is_last: bool,
}

pub(super) struct Ahead {
    filled: Receiver<Piece>,
    empty: Sender<Vec<u8>>,
    is_dropped: Arc<AtomicBool>,
}

impl Ahead {
    pub fn start(content: Content) -> Result<Self, TextError> {
        let (to_reader, filled) = sync_channel(PIECES);
        let (empty, to_fill) = channel();
        let is_dropped = Arc::new(AtomicBool::new(false));
        let stop = is_dropped.clone();
        std::thread::Builder::new()
            .name("decode".into())
            .spawn(move || decode(content, &to_fill, &to_reader, &stop))
            .map_err(|e| Error::transient("starting a thread that decodes a file failed").code("U0220").caused_by(e))?;
        for _ in 0..PIECES {
            // the thread is there, or the next receive says that it is not
            let _ = empty.send(Vec::new());
        }
        Ok(Self { filled, empty, is_dropped })
    }

    /// Gives a used buffer back and waits for the next piece.
    pub fn next(&mut self, used: Option<Vec<u8>>) -> Result<Piece, TextError> {
        if let Some(used) = used {
            let _ = self.empty.send(used);
        }
        let gone = |_| Error::bug("decoding a file failed: the thread that decodes it is gone").code("U0901");
        Ok(self.filled.recv().map_err(gone)?)
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.is_dropped.store(true, Ordering::Relaxed);
    }
}

fn decode(mut content: Content, to_fill: &Receiver<Vec<u8>>, to_reader: &SyncSender<Piece>, stop: &AtomicBool) {
    while let Ok(mut bytes) = to_fill.recv() {
        bytes.resize(PIECE_BYTES, 0);
        let (length, error) = content.fill(&mut bytes, &|| !stop.load(Ordering::Relaxed));
        let is_last = content.is_over();
        let piece = Piece { bytes, length, raw_offset: content.raw_offset(), error, is_last };
        if to_reader.send(piece).is_err() || is_last {
            return;
        }
    }
}
