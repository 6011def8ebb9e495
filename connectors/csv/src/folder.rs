//! The folder that files are dropped into, in whatever kind of store: what is in it, and what its files hold.

use crate::config::{CsvDropsConfig, ReadyWhen};
use crate::content::{Opened, opened};
use globset::{GlobBuilder, GlobMatcher};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Handle;
use unbatch_api::config::Resolver;
use unbatch_api::names::murmur2;
use unbatch_api::{Error, Result};
use unbatch_object_files::{
    Layers, Listed, LocalFolder, Location, Look, ObjectStat, Store, TextReader, is_changed, open_store,
};

/// In the name of a file that was put back beside a newer one.
pub const RETURNED: &str = "~returned-";
pub const OWNER_PREFIX: &str = ".unbatch-owner-";

/// Which names are data files, and of which split.
#[derive(Clone, Debug)]
pub struct Names {
    matcher: GlobMatcher,
    /// Ending of marker files; they are not data whatever `match` says.
    marker: Option<String>,
    split: u32,
    splits: u32,
}

impl Names {
    pub fn new(config: &CsvDropsConfig, split: u32) -> Result<Self> {
        let marker = match &config.ready_when {
            ReadyWhen::Marker(ending) => Some(ending.clone()),
            ReadyWhen::StableFor(_) => None,
        };
        Ok(Self { matcher: matcher(&config.pattern)?, marker, split, splits: config.splits.max(1) })
    }
    /// The marker that says that a file is completely written, where markers say that.
    pub fn marker_of(&self, name: &str) -> Option<String> {
        self.marker.as_ref().map(|ending| format!("{name}{ending}"))
    }
    /// Whether any split of this pipeline reads the file.
    pub fn is_data(&self, name: &str) -> bool {
        !name.starts_with('.') && !self.is_marker(name) && self.matcher.is_match(name)
    }
    fn is_marker(&self, name: &str) -> bool {
        self.marker.as_ref().is_some_and(|ending| name.ends_with(ending.as_str()))
    }
    pub fn is_ours(&self, name: &str) -> bool {
        split_of(name, self.splits) == self.split && self.is_data(name)
    }
    /// Whether a listing has to say more of it than that it is there.
    fn is_looked_at(&self, name: &str) -> bool {
        let marked = self.marker.as_ref().and_then(|ending| name.strip_suffix(ending.as_str()));
        self.is_ours(name) || marked.is_some_and(|data| self.is_ours(data))
    }
}

/// The split that reads files of this name.
pub fn split_of(name: &str, splits: u32) -> u32 {
    (murmur2(name.as_bytes()) & 0x7fff_ffff) % splits.max(1)
}

pub fn matcher(pattern: &str) -> Result<GlobMatcher> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
    let glob = glob.map_err(|e| Error::misconfigured("reading `match` as a glob failed").code("U0211").caused_by(e))?;
    Ok(glob.compile_matcher())
}

/// What a look into the folder found.
#[derive(Debug, Default)]
pub struct Listing {
    /// Data files of this split in the order of the store.
    pub files: Vec<(String, ObjectStat)>,
    /// Data files of any split, by name.
    pub data_names: Vec<String>,
    /// Markers of data files of this split, where markers say that a file is whole.
    pub markers: HashMap<String, ObjectStat>,
    /// Hidden files of ours or of other pipelines that may matter: owner markers and files that are being released.
    pub hidden: Vec<String>,
    /// Data files of this split that cannot even be looked at, such as links in a circle, and why.
    pub unreadable: Vec<(String, Error)>,
    /// Files that were put back under another name, which `match` does not take.
    pub returned: Vec<String>,
    /// Names that are not UTF-8 and so are nobody's.
    pub unreadable_names: u64,
}

/// The folder of `url`.
#[derive(Clone, Debug)]
pub struct Folder {
    store: Arc<dyn Store>,
    /// The same folder where symbolic links are followed: for looking, never for taking away.
    following: Arc<dyn Store>,
    layers: Layers,
}

impl Folder {
    /// Nothing is asked of the store yet. `runtime` is for requests to object stores.
    pub fn open(config: &CsvDropsConfig, base: &Path, secrets: &dyn Resolver, runtime: &Handle) -> Result<Self> {
        let mut options = config.store.resolve(secrets)?;
        options.follow_links = true;
        let following = open_store(&location_of(config)?, base, &options, runtime)?;
        let store: Arc<dyn Store> = match following.location().as_folder() {
            Some(folder) if !config.follows_links() => Arc::new(LocalFolder::new(folder, false)),
            _ => following.clone(),
        };
        Ok(Self { store, following, layers: config.layers() })
    }

    pub fn store(&self) -> &dyn Store {
        &*self.store
    }
    pub fn layers(&self) -> &Layers {
        &self.layers
    }
    /// The folder, if it is one of the file system.
    pub fn as_local(&self) -> Option<&Path> {
        self.store.location().as_folder()
    }
    /// Whether files are whole as soon as they are there, and never change while they are read: another upload is another file.
    pub fn files_stand_still(&self) -> bool {
        self.store.guarantees().files_stand_still
    }
    /// Where a file is, for messages.
    pub fn at(&self, name: &str) -> String {
        match self.as_local() {
            Some(folder) => folder.join(name).display().to_string(),
            None => format!("{}{name}", self.store.location()),
        }
    }

    /// A run that takes what is there and ends cannot wait for its folder; one that stays can, as for a mount that comes late.
    pub fn must_exist(&self) -> Result<()> {
        if self.store.is_there()? {
            return Ok(());
        }
        Err(Error::misconfigured("looking for the folder failed: it is not there")
            .code("U0217")
            .with("folder", self.store.location())
            .help("make the folder, or mend `url`; a relative one starts at the folder of the pipeline file"))
    }

    /// Files that vanish meanwhile are not in it.
    pub fn list(&self, names: &Names) -> Result<Listing> {
        let mut listing = Listing::default();
        let wanted = |name: &str| names.is_looked_at(name);
        let mut pages = self.store.list(None, &wanted)?;
        while let Some(page) = pages.next_page()? {
            listing.unreadable_names += page.unreadable_names;
            for Listed { name, look } in page.files {
                let is_link = names.is_marker(&name) && matches!(look, Look::NoFile);
                let look = match is_link.then(|| self.look(&name)) {
                    Some(Ok(Some(stat))) => Look::File(stat),
                    _ => look,
                };
                listing.add(names, name, look);
            }
        }
        Ok(listing)
    }

    /// The stat of a regular file; `None` when there is none.
    pub fn look(&self, name: &str) -> Result<Option<ObjectStat>> {
        self.following.head(name)
    }

    /// The text of a file; `None` when it is not the one of `stat` any more.
    pub fn text(&self, name: &str, stat: &ObjectStat) -> Result<Option<Opened>> {
        let raw = match self.store.open_read(name, stat) {
            Err(error) if is_changed(&error) => return Ok(None),
            raw => raw?,
        };
        match opened(TextReader::open(raw, name, &self.layers)) {
            Err(error) if is_changed(&error) => Ok(None),
            text => text.map(Some),
        }
    }
}

impl Listing {
    fn add(&mut self, names: &Names, name: String, look: Look) {
        if name.starts_with('.') {
            self.hidden.push(name);
        } else if names.is_data(&name) {
            match look {
                Look::File(stat) => self.files.push((name.clone(), stat)),
                Look::Failed(error) => self.unreadable.push((name.clone(), error)),
                Look::No | Look::NoFile => {}
            }
            self.data_names.push(name);
        } else if names.is_marker(&name) {
            // one that cannot be looked at says nothing, and its file waits
            if let Look::File(stat) = look {
                self.markers.insert(name, stat);
            }
        } else if name.contains(RETURNED) && split_of(&name, names.splits) == names.split {
            self.returned.push(name);
        }
    }
}

/// The place that `url` names.
pub fn location_of(config: &CsvDropsConfig) -> Result<Location> {
    Location::parse(&config.url)
        .map_err(|message| Error::misconfigured(format!("reading `url` failed: {message}")).code("U0210"))
}
