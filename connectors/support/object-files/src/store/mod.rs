//! Where files are kept: folders of the file system, and object stores.

mod calls;
mod connect;
mod failure;
mod local;
mod objects;
mod read;

pub use calls::CallLimits;
pub use connect::{Credentials, StoreOptions, open};
pub use failure::{Doing, is_changed, local_error, missing_right};
pub use local::LocalFolder;
pub use objects::BucketFolder;
pub use read::BLOCK_BYTES;

use crate::location::Location;
use crate::raw::RawRead;
use crate::stat::ObjectStat;
use bytes::Bytes;
use std::fmt::Debug;
use std::ops::Range;
use unbatch_api::{Error, Result};

/// One folder with files, of any store. Names are those of files directly in it, without the folder and without slashes; folders
/// inside it are not looked into. Every call blocks, has a time limit and a bounded number of attempts, and belongs on a thread of
/// its own or into `spawn_blocking`.
///
/// Errors: a right, a key or a bucket that is missing is Misconfigured and says which; a store that does not answer is Transient; a
/// file that is not the one that was seen any more is Lost with a code that [`is_changed`] knows.
pub trait Store: Send + Sync + Debug {
    /// Without credentials, for messages.
    fn location(&self) -> &Location;

    /// What holds here and not everywhere.
    fn guarantees(&self) -> Guarantees;

    /// Whether the folder is there: locally a folder that can be listed; in an object store a bucket that answers, since folders in it
    /// need no making.
    fn is_there(&self) -> Result<bool>;

    /// Makes the folder and those above it where there are such things; one that is there is good.
    fn make(&self) -> Result<()>;

    /// Begins to list, behind the name `after` if there is one. Of names that `wanted` takes it is looked what they are.
    fn list<'a>(&'a self, after: Option<&str>, wanted: &'a dyn Fn(&str) -> bool) -> Result<Box<dyn Listing + 'a>>;

    /// What a file is now; `None` when there is no regular file of that name.
    fn head(&self, name: &str) -> Result<Option<ObjectStat>>;

    /// Opens a file for reading if it is still the one of `stat`. Objects: each request asks for that very upload, so bytes of two
    /// versions are never mixed. Files of the file system: checked when it is opened; what is written into it later is seen, so look
    /// again before what was read counts.
    fn open_read(&self, name: &str, stat: &ObjectStat) -> Result<Box<dyn RawRead>>;

    /// A part of a file, if it is still the one of `stat`; for formats that are read from their end. The range lies in the file and is
    /// as large as the caller has memory for.
    fn read_range(&self, name: &str, stat: &ObjectStat, range: Range<u64>) -> Result<Bytes>;

    /// Writes a small file, whole or not at all, and only where the name is free. A reply that was lost is asked for again, and then
    /// [`Placed::Taken`] may mean our own first attempt: compare the content.
    fn put_if_absent(&self, name: &str, content: Bytes) -> Result<Placed>;

    /// Writes a small file, whole or not at all, over whatever has the name.
    fn put(&self, name: &str, content: Bytes) -> Result<()>;

    /// Copies a file into another folder of the same store where the name is free there, whole or not at all, if it is the one of
    /// `stat` before and after. Object stores copy by themselves, up to 5 GiB on S3.
    fn copy_if_absent(&self, name: &str, stat: &ObjectStat, to: &dyn Store, to_name: &str) -> Result<Placed>;

    /// Gives a file another name, where that is free and the file is the one of `stat`. Local: one step that never touches another
    /// file. Object stores: a copy and then [`Store::delete`] with its window.
    fn rename_if_absent(&self, name: &str, stat: &ObjectStat, to: &dyn Store, to_name: &str) -> Result<Placed>;

    /// Deletes a file if it is the one of `stat`; one that is gone is deleted. Local: the file is taken under a private name first, so
    /// another one is never deleted. Object stores have no such step: a file that is uploaded under the name within the
    /// milliseconds between the look and the deletion is lost, unless the bucket keeps versions.
    fn delete(&self, name: &str, stat: &ObjectStat) -> Result<Removed>;

    /// For working on two folders of one store.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// A range that does not lie in its file.
pub(crate) fn check_range(stat: &ObjectStat, range: &Range<u64>) -> Result<()> {
    if range.start <= range.end && range.end <= stat.size {
        return Ok(());
    }
    Err(Error::bug("reading a part of a file failed: the range is not in it")
        .code("U0901")
        .with("range", format!("{}..{}", range.start, range.end))
        .with("size", stat.size))
}

/// What a store can do in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guarantees {
    /// A rename is one step for whoever looks.
    pub renames: bool,
    /// Nothing but the file that was seen is deleted or renamed, whatever comes at the same time.
    pub checks_what_it_removes: bool,
    /// Listings come in the order of the names' bytes.
    pub lists_in_order: bool,
    /// A file that was opened cannot change under the reader.
    pub files_stand_still: bool,
}

/// What came of writing under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    Done,
    /// Something has the name already; nothing was done.
    Taken,
    /// The file is not the one that was seen, or gone; nothing was done.
    Changed,
}

/// What came of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    Done,
    /// There was nothing any more.
    Gone,
    /// Another file has the name; it is still there.
    Changed,
}

/// A listing under way.
pub trait Listing {
    /// The next names, at most a thousand; `None` at the end. After an error the same page can be asked for again.
    fn next_page(&mut self) -> Result<Option<Page>>;
}

/// Some of the names of a folder.
#[derive(Debug, Default)]
pub struct Page {
    pub files: Vec<Listed>,
    /// Names that are not UTF-8 and so are nobody's.
    pub unreadable_names: u64,
}

/// A name and what is there.
#[derive(Debug)]
pub struct Listed {
    pub name: String,
    pub look: Look,
}

#[derive(Debug)]
pub enum Look {
    /// Nobody asked.
    No,
    File(ObjectStat),
    /// A folder, a device, a link that is not followed, or gone by now.
    NoFile,
    /// It cannot even be looked at.
    Failed(Error),
}

/// The content of a small file; `None` when there is none of that name. One that is larger than `bytes_max` is an error, as is one that
/// changes meanwhile.
pub fn read_small(store: &dyn Store, name: &str, bytes_max: usize) -> Result<Option<Bytes>> {
    let Some(stat) = store.head(name)? else { return Ok(None) };
    if stat.size > bytes_max as u64 {
        return Err(Error::misconfigured(format!("reading a small file failed: it is larger than {bytes_max} bytes"))
            .code("U0318")
            .with("store", store.location())
            .with("file", name));
    }
    let mut raw = store.open_read(name, &stat)?;
    let mut content = vec![0; stat.size as usize];
    let mut done = 0;
    while done < content.len() {
        match raw.read(&mut content[done..])? {
            0 => break,
            n => done += n,
        }
    }
    content.truncate(done);
    Ok(Some(content.into()))
}

/// All pages in one list; for folders that are known to be small, and for tests.
pub fn list_all(store: &dyn Store, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Listed>> {
    let mut listing = store.list(None, wanted)?;
    let mut all = Vec::new();
    while let Some(page) = listing.next_page()? {
        all.extend(page.files);
    }
    Ok(all)
}
