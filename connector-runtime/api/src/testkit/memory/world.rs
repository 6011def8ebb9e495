//! Feeds, stores and planned faults by name, so that a pipeline written in YAML reaches those of its test.

use super::feed::MemoryFeed;
use super::store::MemoryStore;
use crate::context::Resources;
use crate::names::PipelineName;
use crate::testkit::faults::Faults;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Put one into [`Resources`] for each test that needs a world of its own; without it the process has one for all.
/// A clone is the same world.
#[derive(Clone, Default)]
pub struct MemoryWorld(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    feeds: BTreeMap<String, MemoryFeed>,
    stores: BTreeMap<String, MemoryStore>,
    faults: BTreeMap<PipelineName, Faults>,
}

impl MemoryWorld {
    /// The world in the resources, else that of the process.
    pub fn of(resources: &Resources) -> MemoryWorld {
        static WORLD: OnceLock<MemoryWorld> = OnceLock::new();
        match resources.get::<MemoryWorld>() {
            Some(world) => (*world).clone(),
            None => WORLD.get_or_init(MemoryWorld::default).clone(),
        }
    }
    /// Resources that hold this world.
    pub fn resources(&self) -> Resources {
        let mut resources = Resources::default();
        resources.insert(self.clone());
        resources
    }
    /// The feed of this name; a new, empty one when there is none.
    pub fn feed(&self, name: &str) -> MemoryFeed {
        self.book().feeds.entry(name.into()).or_default().clone()
    }
    /// The feed of this name, made by `make` when there is none.
    pub fn feed_or(&self, name: &str, make: impl FnOnce() -> MemoryFeed) -> MemoryFeed {
        self.book().feeds.entry(name.into()).or_insert_with(make).clone()
    }
    pub fn set_feed(&self, name: &str, feed: MemoryFeed) {
        self.book().feeds.insert(name.into(), feed);
    }
    pub fn has_feed(&self, name: &str) -> bool {
        self.book().feeds.contains_key(name)
    }
    /// The store of this name; a new, empty one when there is none.
    pub fn store(&self, name: &str) -> MemoryStore {
        self.book().stores.entry(name.into()).or_default().clone()
    }
    /// What will go wrong in both ends of the pipeline; nothing unless it is set.
    pub fn faults(&self, pipeline: &PipelineName) -> Faults {
        self.book().faults.get(pipeline).cloned().unwrap_or_default()
    }
    pub fn set_faults(&self, pipeline: &PipelineName, faults: Faults) {
        self.book().faults.insert(pipeline.clone(), faults);
    }
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
