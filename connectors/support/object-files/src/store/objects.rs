//! A folder in an object store.

use super::calls::Calls;
use super::failure::{Answer, Doing, Now, changed};
use super::read::ObjectRead;
use super::{Guarantees, Listed, Listing, Look, Page, Placed, Removed, Store, check_range};
use crate::location::{Location, Service};
use crate::raw::{RawBytes, RawRead};
use crate::stat::ObjectStat;
use bytes::Bytes;
use object_store::list::PaginatedListOptions;
use object_store::path::Path;
use object_store::{CopyMode, CopyOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutResult};
use std::any::Any;
use std::fmt;
use std::ops::Range;
use unbatch_api::{Error, Result};

/// Names in one page, which is what the stores give at most.
const PAGE_NAMES_MAX: usize = 1_000;
/// Copies of at least so many bytes may take the store longer than another request.
const LARGE_BYTES: u64 = 256 << 20;

/// Objects whose keys begin with a prefix and have no further slash.
pub struct BucketFolder {
    calls: Calls,
    location: Location,
    /// Two folders are in one store when their endpoints are the same too.
    endpoint: Option<String>,
}

impl fmt::Debug for BucketFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BucketFolder").field(&format_args!("{}", self.location)).finish()
    }
}

impl BucketFolder {
    pub(crate) fn new(calls: Calls, endpoint: Option<String>) -> Self {
        let location = Location::Bucket((*calls.bucket).clone());
        Self { calls, location, endpoint }
    }

    /// The key of a name, as it is: nothing in it is escaped.
    fn path(&self, name: &str) -> Result<Path> {
        let key = format!("{}{name}", self.calls.bucket.prefix);
        // Azure takes a backslash for a slash
        let is_apart = |c: char| c == '/' || (c == '\\' && self.calls.bucket.service == Service::Azure);
        let is_name = !name.is_empty() && !name.contains(is_apart);
        let path = Path::parse(&key).ok().filter(|path| is_name && path.as_ref() == key);
        path.ok_or_else(|| {
            Error::misconfigured("naming a file in a store failed: such a key cannot be read")
                .code("U0317")
                .with("key", key.escape_debug())
        })
    }

    fn is_now(&self, name: &str, stat: &ObjectStat) -> Result<Option<bool>> {
        Ok(self.head(name)?.map(|now| now.is_same_content(stat)))
    }

    fn same_store<'a>(&self, to: &'a dyn Store) -> Result<&'a BucketFolder> {
        let other = to.as_any().downcast_ref::<BucketFolder>().filter(|other| {
            let (ours, theirs) = (&self.calls.bucket, &other.calls.bucket);
            (ours.service, &ours.name, &self.endpoint) == (theirs.service, &theirs.name, &other.endpoint)
        });
        other.ok_or_else(|| {
            Error::misconfigured("moving a file failed: it would go into another bucket or store")
                .code("U0311")
                .with("from", &self.location)
                .with("to", to.location())
                .help("name a folder of the same bucket; files are moved inside one bucket only")
        })
    }
}

impl Store for BucketFolder {
    fn location(&self) -> &Location {
        &self.location
    }

    fn guarantees(&self) -> Guarantees {
        Guarantees { renames: false, checks_what_it_removes: false, lists_in_order: true, files_stand_still: true }
    }

    fn is_there(&self) -> Result<bool> {
        self.list(None, &|_| false)?.next_page().map(|_| true)
    }

    fn make(&self) -> Result<()> {
        Ok(())
    }

    fn list<'a>(&'a self, after: Option<&str>, wanted: &'a dyn Fn(&str) -> bool) -> Result<Box<dyn Listing + 'a>> {
        Ok(Box::new(Pages { store: self, after: after.map(str::to_owned), token: None, is_over: false, wanted }))
    }

    fn head(&self, name: &str) -> Result<Option<ObjectStat>> {
        let (client, path) = (self.calls.client.clone(), self.path(name)?);
        match self.calls.call(Doing::Look, name, async move { client.head(&path).await })? {
            Ok(meta) => Ok(Some(ObjectStat::of_object(&meta))),
            Err(e @ object_store::Error::NotFound { .. }) if !Answer::of(&e).is_no_bucket() => Ok(None),
            Err(e) => Err(self.calls.error(Doing::Look, name, &e)),
        }
    }

    fn open_read(&self, name: &str, stat: &ObjectStat) -> Result<Box<dyn RawRead>> {
        if stat.is_local() {
            return Err(Error::bug("opening a file of a store failed: it was seen in a folder").code("U0901"));
        }
        if stat.size == 0 {
            // there is no request for nothing, so it is looked at instead
            return match self.is_now(name, stat)? {
                Some(true) => Ok(Box::new(RawBytes::new(Bytes::new()))),
                Some(false) => Err(changed(&name, 0, Now::Another)),
                None => Err(changed(&name, 0, Now::Gone)),
            };
        }
        Ok(Box::new(ObjectRead::new(self.calls.clone(), self.path(name)?, name, stat)))
    }

    fn read_range(&self, name: &str, stat: &ObjectStat, range: Range<u64>) -> Result<Bytes> {
        check_range(stat, &range)?;
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        ObjectRead::new(self.calls.clone(), self.path(name)?, name, stat).range(range)
    }

    fn put_if_absent(&self, name: &str, content: Bytes) -> Result<Placed> {
        match self.put_by(name, content, PutMode::Create)? {
            Ok(_) => Ok(Placed::Done),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(Placed::Taken)
            }
            Err(e) => Err(self.calls.error(Doing::Write, name, &e)),
        }
    }

    fn put(&self, name: &str, content: Bytes) -> Result<()> {
        let put = self.put_by(name, content, PutMode::Overwrite)?;
        put.map(|_| ()).map_err(|e| self.calls.error(Doing::Write, name, &e))
    }

    fn copy_if_absent(&self, name: &str, stat: &ObjectStat, to: &dyn Store, to_name: &str) -> Result<Placed> {
        let to = self.same_store(to)?;
        let (from, target) = (self.path(name)?, to.path(to_name)?);
        let client = if stat.size < LARGE_BYTES { &self.calls.client } else { &self.calls.copier }.clone();
        if self.is_now(name, stat)? != Some(true) {
            return Ok(Placed::Changed);
        }
        if stat.size == 0 {
            // S3 copies nothing by parts only when there is something
            return to.put_if_absent(to_name, Bytes::new());
        }
        let options = CopyOptions::new().with_mode(CopyMode::Create);
        let copy = async move { client.copy_opts(&from, &target, options).await };
        match self.calls.call(Doing::Copy, name, copy)? {
            Ok(()) => {}
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                return Ok(Placed::Taken);
            }
            Err(object_store::Error::NotFound { .. }) => return Ok(Placed::Changed),
            Err(e) => return Err(self.calls.error(Doing::Copy, name, &e)),
        }
        // the copy is of what was there at that moment; unchanged after it, it was that
        if self.is_now(name, stat)? == Some(true) {
            return Ok(Placed::Done);
        }
        to.remove(to_name)?;
        Ok(Placed::Changed)
    }

    fn rename_if_absent(&self, name: &str, stat: &ObjectStat, to: &dyn Store, to_name: &str) -> Result<Placed> {
        let placed = self.copy_if_absent(name, stat, to, to_name)?;
        if placed == Placed::Done && self.delete(name, stat)? == Removed::Changed {
            // a newer one has the name by now, and the copy is all there is of the one that was seen
            return Ok(Placed::Done);
        }
        Ok(placed)
    }

    fn delete(&self, name: &str, stat: &ObjectStat) -> Result<Removed> {
        match self.is_now(name, stat)? {
            None => Ok(Removed::Gone),
            Some(false) => Ok(Removed::Changed),
            Some(true) => self.remove(name).map(|()| Removed::Done),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl BucketFolder {
    fn put_by(&self, name: &str, content: Bytes, mode: PutMode) -> Result<object_store::Result<PutResult>> {
        let (client, path) = (self.calls.client.clone(), self.path(name)?);
        let options = PutOptions { mode, ..PutOptions::default() };
        self.calls.call(Doing::Write, name, async move { client.put_opts(&path, content.into(), options).await })
    }

    fn remove(&self, name: &str) -> Result<()> {
        let (client, path) = (self.calls.client.clone(), self.path(name)?);
        match self.calls.call(Doing::Delete, name, async move { client.delete(&path).await })? {
            Ok(()) => Ok(()),
            Err(e @ object_store::Error::NotFound { .. }) if !Answer::of(&e).is_no_bucket() => Ok(()),
            Err(e) => Err(self.calls.error(Doing::Delete, name, &e)),
        }
    }
}

struct Pages<'a> {
    store: &'a BucketFolder,
    after: Option<String>,
    token: Option<String>,
    is_over: bool,
    wanted: &'a dyn Fn(&str) -> bool,
}

impl Listing for Pages<'_> {
    fn next_page(&mut self) -> Result<Option<Page>> {
        if self.is_over {
            return Ok(None);
        }
        let calls = &self.store.calls;
        let prefix = calls.bucket.prefix.clone();
        let options = PaginatedListOptions {
            offset: self.after.as_ref().map(|after| format!("{prefix}{after}")),
            delimiter: Some("/".into()),
            max_keys: Some(PAGE_NAMES_MAX),
            page_token: self.token.clone(),
            ..PaginatedListOptions::default()
        };
        let (client, of) = (calls.client.clone(), prefix.clone());
        let list = async move {
            let of = (!of.is_empty()).then_some(of.as_str());
            client.list_paginated(of, options).await
        };
        let listed = calls.call(Doing::List, "", list)?.map_err(|e| calls.error(Doing::List, "", &e))?;
        self.token = listed.page_token;
        self.is_over = self.token.is_none();
        let mut page = Page::default();
        for meta in listed.result.objects {
            // the key of a folder itself, as consoles make them, loses its slash and with it the prefix
            let Some(name) = meta.location.as_ref().strip_prefix(prefix.as_str()).filter(|name| !name.contains('/'))
            else {
                continue;
            };
            if self.after.as_ref().is_some_and(|after| name <= after.as_str()) {
                continue;
            }
            let look = if (self.wanted)(name) { Look::File(ObjectStat::of_object(&meta)) } else { Look::No };
            page.files.push(Listed { name: name.to_owned(), look });
        }
        Ok(Some(page))
    }
}
