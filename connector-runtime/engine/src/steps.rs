//! The chain of a pipeline's steps, each compiled once for each schema that a stream shows.

use crate::cells::cells_of;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use unbatch_api::config::Resolver;
use unbatch_api::{
    Batch, CompiledStep, Error, Ops, RawRow, RejectedRow, Result, RowOrigin, SchemaId, Seen, Stage, Step, StepProblem,
    StreamName,
};

/// Compiled steps that are kept; a pipeline that shows more shapes than this compiles again.
const COMPILED_MAX: usize = 1_024;

pub(crate) struct Steps {
    steps: Vec<Arc<dyn Step>>,
    secrets: Arc<dyn Resolver>,
    /// By place in the chain, and by what comes in there.
    compiled: HashMap<(usize, StreamName, SchemaId), Box<dyn CompiledStep>>,
}

/// What the steps made of a batch.
pub(crate) struct Chained {
    /// At least one; the last has the advance and all rejected rows.
    pub(crate) batches: Vec<Batch>,
    /// Rows that were filtered out.
    pub(crate) filtered: u64,
}

impl Chained {
    /// Of a batch that had one row: the batch that has it now, or the one that says what became of it.
    pub(crate) fn only_row(mut self) -> Option<Batch> {
        match self.batches.iter().position(|batch| batch.rows.num_rows() > 0) {
            Some(at) => Some(self.batches.swap_remove(at)),
            None => self.batches.pop(),
        }
    }
}

impl Steps {
    pub(crate) fn new(steps: Vec<Arc<dyn Step>>, secrets: Arc<dyn Resolver>) -> Self {
        Self { steps, secrets, compiled: HashMap::new() }
    }

    /// Rows go through as they are.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The batch after all steps. Rows that a step refused are kept as they came from the source, so that they can be replayed.
    pub(crate) fn apply(&mut self, batch: Batch) -> Result<Chained> {
        if self.steps.is_empty() {
            return Ok(Chained { batches: vec![batch], filtered: 0 });
        }
        let source = AsRead::of(&batch);
        let mut chained = Chained { batches: vec![batch], filtered: 0 };
        for at in 0..self.steps.len() {
            let mut after = Vec::with_capacity(chained.batches.len());
            for batch in chained.batches {
                let stepped = self.compiled(at, &batch)?.apply(batch)?;
                after.extend(stepped.batches);
                chained.filtered += stepped.filtered;
            }
            chained.batches = after;
        }
        let mut rejected: Vec<RejectedRow> =
            chained.batches.iter_mut().flat_map(|batch| std::mem::take(&mut batch.rejected)).collect();
        source.restore(&mut rejected)?;
        match chained.batches.last_mut() {
            Some(last) => last.rejected = rejected,
            None => return Err(Error::bug("applying a step failed, it gave nothing back").code("U0911")),
        }
        Ok(chained)
    }

    fn compiled(&mut self, at: usize, batch: &Batch) -> Result<&mut Box<dyn CompiledStep>> {
        if self.compiled.len() >= COMPILED_MAX {
            self.compiled.clear();
        }
        let shape = (at, batch.stream.clone(), batch.schema.id().clone());
        match self.compiled.entry(shape) {
            Entry::Occupied(compiled) => Ok(compiled.into_mut()),
            Entry::Vacant(place) => {
                let seen = Seen { stream: &batch.stream, schema: &batch.schema, secrets: Some(&*self.secrets) };
                let step = &self.steps[at];
                let compiled = step.compile(&seen).map_err(|problems| unfit(at, &**step, batch, &problems))?;
                Ok(place.insert(compiled))
            }
        }
    }
}

/// A step that does not fit what the source turned out to have.
fn unfit(at: usize, step: &dyn Step, batch: &Batch, problems: &[StepProblem]) -> Error {
    let columns = batch.schema.fields().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", ");
    let Some(first) = problems.first() else {
        return Error::bug("compiling a step failed without a reason").code("U0911").with("step", step.name());
    };
    let place = if first.path.is_empty() { String::new() } else { format!(" at `{}`", first.path) };
    let error = Error::misconfigured(format!("step {} `{}`{place}: {}", at + 1, step.name(), first.message))
        .code(first.code)
        .with("stream", &batch.stream)
        .with("columns there", columns);
    let more = problems.len() - 1;
    let error = if more > 0 { error.with("more problems", more) } else { error };
    error.help(first.help.clone())
}

/// What is needed of a batch to say how its rows came from the source.
struct AsRead {
    batch: Batch,
}

impl AsRead {
    fn of(batch: &Batch) -> Self {
        Self {
            batch: Batch {
                stream: batch.stream.clone(),
                schema: batch.schema.clone(),
                rows: batch.rows.clone(),
                marks: batch.marks.clone(),
                before: None,
                before_marks: None,
                ops: Ops::Append,
                origin: batch.origin.clone(),
                source_time: None,
                rejected: Vec::new(),
                replayed: Vec::new(),
                advance: None,
            },
        }
    }

    /// Gives rows that steps refused the content and the stream that they had before the first step.
    fn restore(&self, rejected: &mut [RejectedRow]) -> Result<()> {
        let mut places: Option<HashMap<RowOrigin, usize>> = None;
        for row in rejected.iter_mut().filter(|row| row.stage == Stage::Step) {
            let origins = &self.batch.origin.rows;
            let places = places.get_or_insert_with(|| (0..origins.len()).map(|i| (origins.row(i), i)).collect());
            if let Some(&at) = places.get(&row.origin) {
                row.raw = RawRow::Row(cells_of(&self.batch, at)?.into());
                row.stream = self.batch.stream.clone();
            }
        }
        Ok(())
    }
}
