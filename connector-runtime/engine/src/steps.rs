//! The chain of a pipeline's steps, compiled once for each schema that a stream shows.

use std::collections::HashMap;
use std::sync::Arc;
use unbatch_api::{Batch, CompiledStep, Result, SchemaId, Step, StreamName};

/// Compiled chains that are kept; a source that shows more shapes than this compiles again.
const CHAINS_MAX: usize = 256;

pub(crate) struct Steps {
    steps: Vec<Arc<dyn Step>>,
    chains: HashMap<(StreamName, SchemaId), Vec<Box<dyn CompiledStep>>>,
}

impl Steps {
    pub(crate) fn new(steps: Vec<Arc<dyn Step>>) -> Self {
        Self { steps, chains: HashMap::new() }
    }

    /// The batch after all steps, and how many rows were filtered out.
    pub(crate) fn apply(&mut self, mut batch: Batch) -> Result<(Batch, u64)> {
        if self.steps.is_empty() {
            return Ok((batch, 0));
        }
        let shape = (batch.stream.clone(), batch.schema.id().clone());
        if !self.chains.contains_key(&shape) {
            if self.chains.len() >= CHAINS_MAX {
                self.chains.clear();
            }
            let chain = self.compile(&batch)?;
            self.chains.insert(shape.clone(), chain);
        }
        let mut filtered = 0;
        for step in self.chains.get_mut(&shape).into_iter().flatten() {
            let stepped = step.apply(batch)?;
            batch = stepped.batch;
            filtered += stepped.filtered;
        }
        Ok((batch, filtered))
    }

    fn compile(&self, batch: &Batch) -> Result<Vec<Box<dyn CompiledStep>>> {
        let mut schema = batch.schema.clone();
        let mut chain = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let compiled = step.compile(&batch.stream, &schema)?;
            schema = compiled.output().clone();
            chain.push(compiled);
        }
        Ok(chain)
    }
}
