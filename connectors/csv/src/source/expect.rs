//! What the files that rows came from must still be like when those rows are committed.

use crate::folder::Folder;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use unbatch_api::failpoint::sabotaged;
use unbatch_api::{Advance, Error, Part, Result};
use unbatch_object_files::ObjectStat;

#[derive(Debug, Default)]
pub struct Expectations(Mutex<BTreeMap<Part, Expected>>);

#[derive(Clone, Debug)]
struct Expected {
    name: String,
    stat: ObjectStat,
    /// The part was closed in an epoch that was vouched for; it is forgotten with the next one.
    is_over: bool,
}

/// A file to look at.
#[derive(Debug)]
pub struct Due {
    name: String,
    stat: ObjectStat,
    /// It was read to its end and found unchanged then.
    is_closed: bool,
}

impl Expectations {
    /// Rows of `part` come from the file of this name as `stat` has it.
    pub fn expect(&self, part: Part, name: &str, stat: ObjectStat) {
        self.book().insert(part, Expected { name: name.to_owned(), stat, is_over: false });
    }

    /// The files that an epoch has rows of.
    pub fn due(&self, advance: &Advance) -> Result<Vec<Due>> {
        let mut book = self.book();
        book.retain(|part, file| !file.is_over || advance.spans.contains_key(part));
        let mut due = Vec::with_capacity(advance.spans.len());
        for part in advance.spans.keys() {
            let file = book.get_mut(part).ok_or_else(|| {
                Error::bug("vouching for rows failed: this source did not give them").code("U0901").with("part", part)
            })?;
            file.is_over = advance.closed.contains(part);
            due.push(Due { name: file.name.clone(), stat: file.stat.clone(), is_closed: file.is_over });
        }
        Ok(due)
    }

    fn book(&self) -> MutexGuard<'_, BTreeMap<Part, Expected>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lost when one of the files is not what it was when it was read.
pub fn verify(folder: &Folder, due: &[Due]) -> Result<()> {
    if folder.files_stand_still() {
        // each read asked for the upload that was seen, and there is no other that could be read by mistake
        return Ok(());
    }
    for file in due {
        match folder.look(&file.name)? {
            // who reads a file to its end and then cannot find it has still read all of it
            None if file.is_closed => {}
            // the same with another file under its name; that one is read as a delivery of its own
            Some(now) if file.is_closed && !now.is_same_file(&file.stat) => {}
            Some(now) if now.is_same_content(&file.stat) || sabotaged("file-rewritten") => {}
            now => return Err(changed(&folder.at(&file.name), &file.stat, now.as_ref())),
        }
    }
    Ok(())
}

/// The file at this place changed while it was being read.
pub fn changed(file: &str, before: &ObjectStat, now: Option<&ObjectStat>) -> Error {
    let error = Error::lost("reading a file failed: it was changed while it was being read")
        .code("U0222")
        .with("file", file)
        .with("size_before", before.size);
    let error = match now {
        Some(now) => error.with("size_now", now.size),
        None => error.with("size_now", "gone"),
    };
    error.help(
        "nothing of the change was committed; deliver files by renaming them into the folder, or use `ready_when: {marker: …}`. \
         To go on: restore the file and resume, or see `unbatch offsets get` and set the file to `again` (read it as a new \
         one) or `done` (give up the rest)",
    )
}
