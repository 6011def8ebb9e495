//! Goes on with a file that was partly read when the source was last open (delivery F3).

use super::expect::changed;
use super::feed::{Feed, Halt};
use super::file::Reading;
use super::told::Word;
use crate::config::{OnBadFile, OnGrowth};
use crate::content;
use crate::digest::{CHUNK_BYTES, ContentDigest};
use crate::notes::OpenFile;
use crate::position::part_of;
use crate::reader::FileReader;
use std::sync::Arc;
use std::time::Instant;
use unbatch_api::failpoint::sabotaged;
use unbatch_api::{Error, Result};
use unbatch_object_files::{ObjectStat, TextError, TextReader};

impl Feed {
    pub(super) fn resume(&mut self, open: OpenFile) -> Result<(), Halt> {
        if open.note.dump.is_some() || self.shared.dumps.is_some() {
            return self.resume_dump(open);
        }
        let name = open.note.path.clone();
        let at = self.shared.folder.at(&name);
        let (stat, is_untouched) = self.stat_to_go_on(&open)?;
        if open.note.way != self.way {
            let help = "`compression`, `entry` or `dialect.encoding` changed while the file was partly read; change it back, or set the file to `again` or `done`";
            let error = Error::misconfigured("going on with a file failed: its rows so far were read in another way");
            return Err(error.code("U0224").with("file", at).help(help).into());
        }
        let (rest, digest) = self.verified_prefix(&name, &stat, &open, is_untouched)?;
        let grew = stat.size > open.note.stat.size && self.config.on_growth == OnGrowth::Alarm;
        if (grew || stat.size < open.note.stat.size) && !sabotaged("file-rewritten") {
            self.mended(&open, &at, &stat)?;
        }
        let Some(text) = self.shared.folder.text(&name, &stat)? else {
            return Err(changed(&at, &stat, self.shared.folder.look(&name)?.as_ref()).into());
        };
        let reader = FileReader::new(text, self.config.clone(), self.stop_after, self.portion);
        let mut reader = reader.with_totals(&open.note.totals)?;
        if let Some(bad) = reader.resume(open.place, rest, digest, open.note.rejected)? {
            let error = Error::misconfigured(format!("reading the header again failed: {}", bad.message));
            let help = "the configuration changed while the file was partly read; change it back, or set the file to `again` or `done`";
            return Err(error.code("U0224").with("file", at).help(help).into());
        }
        self.read_on(Reading {
            part: part_of(&open.id),
            id: open.id,
            name: Arc::from(name),
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
    fn mended(&self, open: &OpenFile, at: &str, now: &ObjectStat) -> Result<()> {
        if self.config.on_bad_file == OnBadFile::Park {
            return Err(changed(at, &open.note.stat, Some(now)));
        }
        let message =
            "has another rest than before; it goes on behind the rows that were committed, which are the same";
        Word::Notice { code: "mended", subject: open.note.path.clone(), message }.say(&self.reports);
        Ok(())
    }

    /// The file as it stands there now, and whether it is untouched since it was read.
    pub(super) fn stat_to_go_on(&mut self, open: &OpenFile) -> Result<(ObjectStat, bool), Halt> {
        let name = &open.note.path;
        let Some(stat) = self.shared.folder.look(name)? else {
            return Err(gone(&self.shared.folder.at(name), open).into());
        };
        // the same kernel sees the same file, untouched, or it is the same upload: what was read of it is still there
        let is_same_host = open.note.host.is_some() && open.note.host == self.host;
        if open.note.stat == stat && (is_same_host || !stat.is_local()) {
            // a listing tells more of a time than a look does
            return Ok((open.note.stat.clone(), true));
        }
        Ok((self.settled(name, stat)?, false))
    }

    /// Waits until a file that was touched stands still.
    fn settled(&mut self, name: &str, mut stat: ObjectStat) -> Result<ObjectStat, Halt> {
        let patience = self.settling.patience();
        let mut since = Instant::now();
        while since.elapsed() < patience {
            if self.shared.stop.wait(self.poll.min(patience)) {
                return Err(Halt::Stopped);
            }
            let now = self.shared.folder.look(name)?;
            let now = now.ok_or_else(|| changed(&self.shared.folder.at(name), &stat, None))?;
            if !now.is_same_content(&stat) {
                (stat, since) = (now, Instant::now());
            }
        }
        Ok(stat)
    }

    /// The text behind the position and the digest up to it, which must be the stored one. What is untouched is taken on trust up to
    /// its last full chunk.
    fn verified_prefix(
        &self,
        name: &str,
        stat: &ObjectStat,
        open: &OpenFile,
        is_untouched: bool,
    ) -> Result<(TextReader, ContentDigest)> {
        let note = &open.note;
        let trusted = ContentDigest::after_chunks(note.chunks, note.chain.as_deref())
            .filter(|_| is_untouched && note.chunks > 0)
            .map(|digest| (digest, note.chunks * CHUNK_BYTES));
        let found = self.text_behind(name, stat, trusted, open.place.byte)?;
        match found.filter(|(_, digest)| digest.so_far() == note.prefix || sabotaged("F3")) {
            Some(found) => Ok(found),
            None => {
                let now = self.shared.folder.look(name)?;
                Err(changed(&self.shared.folder.at(name), &note.stat, now.as_ref()))
            }
        }
    }

    /// The text of a file from `byte` on, and the digest of what is before it; `trusted` is one that is known up to a place. `None`
    /// when the file has no such place, or is not the one of `stat` any more.
    pub(super) fn text_behind(
        &self,
        name: &str,
        stat: &ObjectStat,
        trusted: Option<(ContentDigest, u64)>,
        byte: u64,
    ) -> Result<Option<(TextReader, ContentDigest)>> {
        let Some(Ok(mut text)) = self.shared.folder.text(name, stat)? else { return Ok(None) };
        let (mut digest, from) = match trusted {
            Some(trusted) if text.is_plain() => trusted,
            _ => (content::begun(&text), text.found().start),
        };
        let mut seen = |bytes: &[u8]| digest.update(bytes);
        match text.skip_to(from).and_then(|_| text.read_through(byte, &mut seen)) {
            Ok(reached) => Ok((reached == byte).then_some((text, digest))),
            Err(TextError::Bad(_)) => Ok(None),
            Err(TextError::Failed(error)) => Err(error),
        }
    }
}

fn gone(at: &str, open: &OpenFile) -> Error {
    Error::lost("going on with a file failed: it is no longer there")
        .code("U0222")
        .with("file", at)
        .with("rows_read", open.place.row)
        .with("part", part_of(&open.id))
        .help("put it back with the same content, or set it to `done` with `unbatch offsets set` to give up the rest")
}
