//! Where a field belongs that stands in the wrong mapping: the usual result of wrong indentation.

use super::{Checker, Value, list};
use crate::config::yaml::join;
use std::sync::Arc;

/// Schemas inside schemas that are searched; each mapping takes about three.
const DEPTH_MAX: usize = 24;
/// Schemas looked at in one search; enough for every connector at once.
const STEPS_MAX: usize = 20_000;

impl<'a> Checker<'a> {
    /// The only mapping that has a field of this name.
    pub(super) fn home_of(&self, name: &str) -> Option<Arc<str>> {
        let mut search = Search { checker: self, name, homes: Vec::new(), steps: 0 };
        search.look(self.root, self.base.clone(), DEPTH_MAX);
        match search.homes.as_slice() {
            [only] if !only.is_empty() => Some(only.clone()),
            _ => None,
        }
    }
}

struct Search<'c, 'a> {
    checker: &'c Checker<'a>,
    name: &'c str,
    homes: Vec<Arc<str>>,
    steps: usize,
}

impl<'a> Search<'_, 'a> {
    fn look(&mut self, schema: &'a Value, path: Arc<str>, depth: usize) {
        self.steps += 1;
        if depth == 0 || self.steps > STEPS_MAX || self.homes.len() > 1 {
            return;
        }
        let parts = ["allOf", "oneOf", "anyOf"].into_iter().flat_map(|k| list(schema, k));
        for part in parts.chain(self.checker.target(schema)) {
            self.look(part, path.clone(), depth - 1);
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for (property, content) in properties.into_iter().flatten() {
            if property == self.name && !self.homes.contains(&path) {
                self.homes.push(path.clone());
            }
            self.look(content, join(&path, property), depth - 1);
        }
    }
}
