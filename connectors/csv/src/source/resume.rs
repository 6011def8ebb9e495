//! Goes on with a file that was partly read when the source was last open (delivery F3).

use super::expect::changed;
use super::feed::{Feed, Halt};
use super::file::{Reading, digest_up_to, stat_of};
use super::told::Word;
use crate::config::{OnBadFile, OnGrowth};
use crate::digest::{CHUNK_BYTES, ContentDigest};
use crate::file_stat::FileStat;
use crate::folder::{file_error, look};
use crate::notes::OpenFile;
use crate::position::part_of;
use crate::reader::FileReader;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use unbatch_api::failpoint::sabotaged;
use unbatch_api::{Error, Result};

impl Feed {
    pub(super) fn resume(&mut self, open: OpenFile) -> Result<(), Halt> {
        if open.note.dump.is_some() || self.shared.dumps.is_some() {
            return self.resume_dump(open);
        }
        let path = self.shared.folder.join(&open.note.path);
        let Some(mut stat) = look(&path, true)? else { return Err(gone(&path, &open).into()) };
        // the same kernel sees the same file, untouched: what was read of it is still there
        let is_untouched = open.note.host.is_some() && open.note.host == self.host && open.note.stat == stat;
        if !is_untouched {
            stat = self.settled(&open.note.path, stat)?;
        }
        let digest = verified_prefix(&path, &open, is_untouched)?;
        let grew = stat.size > open.note.stat.size && self.config.on_growth == OnGrowth::Alarm;
        if (grew || stat.size < open.note.stat.size) && !sabotaged("file-rewritten") {
            self.mended(&open, &path, &stat)?;
        }
        let file = File::open(&path).map_err(|e| file_error("opening a file failed", &path, e))?;
        if !stat_of(&file, &path)?.is_same_content(&stat) {
            return Err(changed(&path, &stat, look(&path, true)?.as_ref()).into());
        }
        let reader = FileReader::new(file, self.config.clone(), self.stop_after, self.portion);
        let mut reader = reader.with_totals(&open.note.totals)?;
        if let Some(bad) = reader.resume(open.place, digest, open.note.rejected)? {
            let error = Error::misconfigured(format!("reading the header again failed: {}", bad.message));
            let help = "the configuration changed while the file was partly read; change it back, or set the file to `again` or `done`";
            return Err(error.code("U0224").with("file", path.display()).help(help).into());
        }
        self.read_on(Reading {
            part: part_of(&open.id),
            id: open.id,
            name: Arc::from(open.note.path.as_str()),
            path,
            stat,
            reader,
            after: Some(open.place.to_position()),
            has_note: true,
            began_at: open.note.began_at,
            refused_before: open.note.refused_before,
            again: None,
        })
    }

    /// Where a bad file stops the pipeline it is mended under its name: another rest behind the rows that were committed is then
    /// what one waited for, since these were verified.
    fn mended(&self, open: &OpenFile, path: &Path, now: &FileStat) -> Result<()> {
        if self.config.on_bad_file == OnBadFile::Park {
            return Err(changed(path, &open.note.stat, Some(now)));
        }
        let message =
            "has another rest than before; it goes on behind the rows that were committed, which are the same";
        Word::Notice { code: "mended", subject: open.note.path.clone(), message }.say(&self.reports);
        Ok(())
    }

    /// Waits until a file that was touched stands still.
    pub(super) fn settled(&mut self, name: &str, mut stat: FileStat) -> Result<FileStat, Halt> {
        let path = self.shared.folder.join(name);
        let patience = self.settling.patience();
        let mut since = Instant::now();
        while since.elapsed() < patience {
            if self.shared.stop.wait(self.config.poll.0.min(patience)) {
                return Err(Halt::Stopped);
            }
            let now = look(&path, true)?.ok_or_else(|| changed(&path, &stat, None))?;
            if !now.is_same_content(&stat) {
                (stat, since) = (now, Instant::now());
            }
        }
        Ok(stat)
    }
}

/// The digest up to the position, equal to the stored one. What is untouched is taken on trust up to its last full chunk.
fn verified_prefix(path: &Path, open: &OpenFile, is_untouched: bool) -> Result<ContentDigest> {
    let note = &open.note;
    let trusted = if is_untouched { ContentDigest::after_chunks(note.chunks, note.chain.as_deref()) } else { None };
    let from = trusted.as_ref().map_or(0, |_| note.chunks * CHUNK_BYTES);
    let digest = digest_up_to(path, trusted.unwrap_or_else(ContentDigest::new), from, open.place.byte)?;
    if digest.so_far() != note.prefix && !sabotaged("F3") {
        let now = look(path, true)?;
        return Err(changed(path, &note.stat, now.as_ref()));
    }
    Ok(digest)
}

pub(super) fn gone(path: &Path, open: &OpenFile) -> Error {
    Error::lost("going on with a file failed: it is no longer there")
        .code("U0222")
        .with("file", path.display())
        .with("rows_read", open.place.row)
        .with("part", part_of(&open.id))
        .help("put it back with the same content, or set it to `done` with `unbatch offsets set` to give up the rest")
}
